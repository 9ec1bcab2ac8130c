"""Graphs: the same network in training, and what is left behind when they are pickled."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

import cnnprof
from cnnprof.errors import SpecError, UsageError
from tests.support.networks import graph, network

WRONG_IN_TRAINING = "- relu\n- add: {a: [], b: [{conv2d: {out_channels: 5, kernel_size: 1}}]}\n  when: training"


def test_the_network_in_training_is_made_once_and_when_asked_for() -> None:
    found = graph(network(WRONG_IN_TRAINING))
    with pytest.raises(SpecError, match="needs equal sizes"):
        assert found.trained
    lenet = cnnprof.unfold("lenet5")
    assert lenet.trained is not None
    assert lenet.trained is lenet.trained
    assert (lenet.trained.training, lenet.trained.trained) == (True, None)


def test_a_graph_is_pickled_without_the_network_in_training() -> None:
    found = cnnprof.unfold("lenet5")
    copy = pickle.loads(pickle.dumps(found))
    assert [layer[:5] for layer in copy.layers] == [layer[:5] for layer in found.layers]
    assert [answers.params for answers in copy.answers] == [answers.params for answers in found.answers]
    with pytest.raises(UsageError) as raised:
        assert copy.trained
    assert str(raised.value) == "the network in training was dropped when this graph was pickled: unfold it again"
    in_training = cnnprof.unfold("lenet5", training=True)
    assert pickle.loads(pickle.dumps(in_training)).trained is None


def test_another_way_to_train_makes_no_other_graph() -> None:
    found = cnnprof.unfold("lenet5")
    assert found == replace(found, train=None)


def test_layers_of_one_kind_and_shape_share_their_answers() -> None:
    found = graph(network("- relu\n- tanh\n- relu"))
    first, _, last = found.answers
    assert first is last
    assert first.memory(True, True) is last.memory(True, True)
