"""Random networks over the whole vocabulary are what PyTorch builds and runs: see `tests.support.random_networks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings

from cnnprof.errors import RuleError, SpecError, UsageError
from cnnprof.exporters import pytorch
from cnnprof.kinds.conv import Conv1d
from cnnprof.language.registry import kinds
from cnnprof.model.kind import Memory, Tensor, Work
from tests.support import random_networks
from tests.support.networks import graph, network
from tests.support.random_networks import (
    EXCEPTIONS,
    MERGES,
    TABLE,
    Mismatch,
    Net,
    Pardoned,
    Refusal,
    Seeded,
    Step,
    as_in_its_example,
    compare_graph,
    networks,
    refused_alike,
    round_trips,
    seeded,
)
from tests.support.random_networks.round_trips import TRIPS, travel
from tests.support.random_networks.simulation import Body, Simulation

NETWORKS = 1000
TRAVELLERS = 60
PROFILE = settings(
    max_examples=NETWORKS,
    derandomize=True,  # every run compares the same networks; `python -m tests.support.random_networks` others
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On tensors this small, threads cost more than they bring."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.torch
@pytest.mark.usefixtures("one_thread")
def test_networks_are_what_pytorch_builds() -> None:
    """In evaluation and training: names and shapes of parameters and buffers, the shape of every layer's output,
    multiply-accumulates, shared storages, the backward pass, the same values in place and apart; and what a kind
    refuses on the way, PyTorch refuses too."""
    tally: Counter[str] = Counter()

    @PROFILE
    @given(networks())
    def compared(net: Net) -> None:
        try:
            random_networks.check(net, tally)
        except Mismatch as mismatch:
            raise AssertionError(f"{mismatch}\n{net.text()}") from mismatch

    compared()
    assert tally["networks"] >= 500
    assert tally["refusals"] >= 100


def test_every_kind_is_drawn_or_says_why_not() -> None:
    """A new kind is drawn as in its example; what cannot be drawn like the others has a reason in `EXCEPTIONS`."""
    drawn = {*TABLE, *MERGES}
    assert kinds().keys() - EXCEPTIONS.keys() == drawn
    assert not drawn & EXCEPTIONS.keys()


def test_a_kind_without_an_entry_is_drawn_as_in_its_example() -> None:
    fields = as_in_its_example(Conv1d)(seeded("any"), (16, 100))
    assert fields == {"out_channels": 32, "kernel_size": 5, "stride": 2}


def test_the_whole_language_is_drawn() -> None:
    """Every kind, and every construction of the language, occurs in a few hundred networks."""
    nets = [seeded(("language", number)) for number in range(800)]
    texts = [net.text() for net in nets]
    drawn = [layer for text in texts for layer in graph(text).layers]
    layers = Counter(layer.kind.word for layer in drawn)
    assert {word for word in [*TABLE, *MERGES, "parameter"] if layers[word] < 3} == set()
    for construction in (
        *("blocks:", "args:", "repeat: 2", "repeat: 0", "when: training", "from: ", "share: ", "side:", "input: {"),
        *(
            ": []",
            "layers: []",
            "index",
            "in_channels",
            "size: n",
            "skip: required",
            "ak0: required",
            "ak0: {",
            "inplace: false",
            "collect: outs",
            "outs: outs",
            "start: 1",
            "frozen: true",
            "frozen: in_channels",
            "from: [",
            "number: 0.5",
        ),
    ):
        assert sum(construction in text for text in texts) >= 3, construction
    assert {len(shape) for net in nets for shape in net.inputs.values()} == {1, 2, 3, 4}
    seen: dict[tuple[str, str], set[Any]] = {}
    for kind in [layer.kind for layer in drawn if layer.kind.merge or layer.kind.source]:
        for name in kind.fields:
            seen.setdefault((kind.word, name), set()).add(getattr(kind, name))
    assert lacking(seen) == {}


@pytest.mark.torch
@pytest.mark.usefixtures("one_thread")
def test_networks_come_back_from_other_forms() -> None:
    """As a spec, folded and flat; as a module that is imported and built again; as PyTorch source."""
    tally: Counter[str] = Counter()
    for number in range(TRAVELLERS):
        net = seeded(("trip", number))
        assert [*travel(net, tally, [*TRIPS])] == [], net.text()
    for trip in TRIPS:
        assert tally[f"{trip}: the same"] > 0.85 * TRAVELLERS
        refused = Counter({what: n for what, n in tally.items() if what.startswith(f"{trip}: refused")}).total()
        lost = Counter({what: n for what, n in tally.items() if what.startswith(f"{trip}: the same")}).total()
        assert refused + lost == TRAVELLERS


@pytest.mark.torch
@pytest.mark.parametrize(("said", "instead"), [("eps: 0.5", "eps: 0.4"), ("bias: false", "bias: true")])
def test_a_change_on_the_way_is_caught(monkeypatch: pytest.MonkeyPatch, said: str, instead: str) -> None:
    """By every trip, where what it writes says something else."""
    write, source = round_trips.write, pytorch.text
    monkeypatch.setattr(round_trips, "write", lambda found, **options: write(found, **options).replace(said, instead))
    python = {
        text: text.replace(": ", "=").replace("true", "True").replace("false", "False") for text in (said, instead)
    }
    monkeypatch.setattr(pytorch, "text", lambda found: source(found).replace(python[said], python[instead]))
    net = Net({"input": (3, 8, 8)}, (Step("batch_norm", {"eps": 0.5, "bias": False}), Step("relu")))
    changed = [*travel(net, Counter(), [*TRIPS])]
    assert [each.partition(": ")[0] for each in changed] == [*TRIPS]


@pytest.mark.torch
def test_what_breaks_or_is_refused_on_the_way_is_no_silent_success(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net({"input": (3, 8, 8)}, (Step("conv2d", {"out_channels": 4, "kernel_size": 3}),))
    for error in (UsageError("no reason that is known"), KeyError("x")):
        monkeypatch.setitem(TRIPS, "source", Mock(side_effect=error))
        tally: Counter[str] = Counter()
        assert len([*travel(net, tally, ["source"])]) == 1
        assert not tally["source: the same"]


def lacking(seen: Mapping[tuple[str, str], set[Any]]) -> dict[tuple[str, str], list[Any]]:
    """The fields that have one value alone, and the words, true or false and null that others do not have."""
    found = {}
    for (word, name), values in seen.items():
        field = kinds()[word].fields[name]
        possible = [*field.words, *((True, False) if field.type is bool else ()), *([None] if field.optional else ())]
        if (left := [each for each in possible if each not in values]) or len(values) < 2:
            found[word, name] = left
    return found


SHAPES = [(4,), (6, 8), (3, 4), (4, 6, 7), (8, 6, 6), (1, 4, 4), (4, 4, 4, 6), (2, 5, 6, 6)]
ONE_VALUE = {(f"conv_transpose{axes}d", "padding_mode"): [] for axes in (1, 2, 3)}


def test_every_field_of_every_kind_is_drawn() -> None:
    """With several values that its kind accepts, among them every word, true and false, and null."""
    choose = Seeded("fields")
    seen: dict[tuple[str, str], set[Any]] = {}
    for word in TABLE:
        for shape in SHAPES * 100:
            step = Step(word, TABLE[word](choose, shape))
            try:
                kind = kinds()[word](**Simulation({}, {}).written(step, Body({}, shape, {}), shape))
                kind.output(shape)
            except RuleError:
                continue
            for name in kind.fields:
                seen.setdefault((word, name), set()).add(getattr(kind, name))
    assert {word for word, _ in seen} == {word for word in TABLE if kinds()[word].fields}
    assert lacking(seen) == ONE_VALUE


def test_the_same_seed_draws_the_same_network() -> None:
    assert seeded((1, 7)).text() == seeded((1, 7)).text() != seeded((1, 8)).text()


LYING = {
    "shapes": ("output", lambda self, *inputs: (inputs[0][0] + 1, *inputs[0][1:])),
    "parameters": ("weights", lambda self, *inputs: {"weight": (1,)}),
    "buffers": ("buffers", lambda self, *inputs: {"mean": Tensor((1,))}),
    "MACs": ("work", lambda self, *inputs, training=False: Work(macs=1)),
    "storages": ("memory", lambda self, *inputs, **flags: Memory(view=True)),
}


@pytest.mark.torch
@pytest.mark.parametrize("what", LYING)
def test_a_lying_kind_is_caught(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The comparison sees what it says it sees."""
    rule, lie = LYING[what]
    monkeypatch.setattr(kinds()["gelu"], rule, lie)
    with pytest.raises(Mismatch, match=f"^{what}: cnnprof"):
        compare_graph(graph(network("- gelu")))


@pytest.mark.torch
def test_a_refusal_without_cause_is_caught() -> None:
    with pytest.raises(Mismatch, match="PyTorch accepts what cnnprof refuses"):
        refused_alike(Refusal(kinds()["relu"](), ((3, 8, 8),), "no reason"))


@pytest.mark.torch
def test_what_only_pytorch_refuses_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds()["max_pool2d"], "output", lambda self, *inputs: (3, 1, 1))
    monkeypatch.setattr(kinds()["max_pool2d"], "memory", lambda self, *inputs, **flags: Memory())
    with pytest.raises(Mismatch, match="PyTorch refuses what cnnprof accepts"):
        compare_graph(graph(network("- max_pool2d: {kernel_size: 9}")))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("layers", "input"),
    [
        pytest.param(
            "- permute: {dims: [0, 1, 3, 4, 2]}\n- local_response_norm: {size: 3}",
            "[3, 4, 5, 6]",
            id="local_response_norm of a volume that does not lie in order",
        ),
    ],
)
def test_pardoned_acceptances_are_needed(layers: str, input: str) -> None:
    """What `PARDONED_ACCEPTANCES` lists is real: cnnprof's rules know shapes, not modes or layouts."""
    with pytest.raises(Pardoned):
        compare_graph(graph(network(layers, input), training=True))


@pytest.mark.torch
@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(
            "- relu\n- permute: {dims: [0, 2, 3, 1]}\n- permute: {dims: [0, 3, 1, 2]}\n- flatten",
            id="two permutes that undo each other: a view",
        ),
        pytest.param(
            "- relu\n- permute: {dims: [0, 3, 2, 1]}\n- group_norm: {num_groups: 2}\n- flatten",
            id="a group norm keeps channels last in memory, and no other order",
        ),
        pytest.param(
            "- relu\n- permute: {dims: [0, 3, 1, 2]}\n- conv2d: {out_channels: 4, kernel_size: 3}\n- flatten",
            id="a convolution keeps channels last in memory",
        ),
        pytest.param(
            "- slice: {dim: 3, start: 2}\n- flatten: {end_dim: 2}",
            id="dimensions joined before the one with gaps: a view",
        ),
    ],
)
def test_layouts_that_the_graph_cannot_tell(layers: str) -> None:
    """Whether a flatten copies depends on strides, which are not followed: its memory is labelled an estimate, and
    everything else agrees."""
    unfolded = graph(network(layers, "[4, 8, 6]"))
    assert "flatten" in [layer.path for layer in unfolded.layers if not layer.memory_exact]
    compare_graph(unfolded)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        pytest.param(
            "- parameter: {shape: [3, 8, 8]}\n- conv2d: {out_channels: 4, kernel_size: 3}",
            "the network ends with what is computed of parameters alone",
            id="read",
        ),
        pytest.param(
            "- add: {a: [{parameter: {shape: [3, 1, 1]}}], b: {when: false, layers: []}}\n- relu",
            "the network ends with what is computed of parameters alone",
            id="left",
        ),
        pytest.param(
            "- stack: {a: [{parameter: {shape: [3, 8, 8]}}], b: []}",
            "`stack` reads `stack.a.parameter`, which has no batch",
            id="stacked",
        ),
    ],
)
def test_a_parameter_is_no_main_tensor(layers: str, message: str) -> None:
    """It has no batch, so what is computed of it is computed once, and no kind but a few mixes it with examples."""
    with pytest.raises(SpecError, match=message):
        graph(network(layers))
