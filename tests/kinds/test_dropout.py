"""Dropout: what it gives and what it refuses."""

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.dropout import (
    AlphaDropout,
    Dropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    FeatureAlphaDropout,
    StochasticDepth,
)
from cnnprof.model.kind import Kind, Memory, Shape, Tensor, Work
from tests.support.against_torch import said, same

ONE_ZERO = Tensor((), per_example=False)

# kind, shape, work in training, noise kept in training
GIVES = [
    pytest.param(
        Dropout(),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=120, divides=120, multiplies=120),
        Tensor((4, 6, 5)),
        id="a float of noise per value",
    ),
    pytest.param(
        Dropout(p=1), (4, 6, 5), (4, 6, 5), Work(), Work(multiplies=120), ONE_ZERO, id="p 1 multiplies by a zero"
    ),
    pytest.param(
        Dropout1d(p=0.1),
        (4, 30),
        (4, 30),
        Work(),
        Work(compares=4, divides=4, multiplies=4 * 30),
        Tensor((4,)),
        id="dropout1d",
    ),
    pytest.param(
        Dropout2d(p=0.1),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=4, divides=4, multiplies=4 * 30),
        Tensor((4,)),
        id="dropout2d draws per channel and multiplies per value",
    ),
    pytest.param(
        Dropout3d(p=0.1),
        (4, 2, 6, 5),
        (4, 2, 6, 5),
        Work(),
        Work(compares=4, divides=4, multiplies=4 * 60),
        Tensor((4,)),
        id="dropout3d",
    ),
    pytest.param(Dropout2d(p=1), (4, 6, 5), (4, 6, 5), Work(), Work(multiplies=120), ONE_ZERO, id="dropout2d with p 1"),
    pytest.param(
        StochasticDepth(p=0.2, mode="row"),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=1, divides=1, multiplies=120),
        Tensor(()),
        id="stochastic_depth draws per example",
    ),
    pytest.param(
        StochasticDepth(p=0.2, mode="batch"),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=1, divides=1, multiplies=120),
        ONE_ZERO,
        id="stochastic_depth draws once",
    ),
    pytest.param(
        StochasticDepth(p=1, mode="row"),
        (7,),
        (7,),
        Work(),
        Work(compares=1, multiplies=7),
        Tensor(()),
        id="stochastic_depth with p 1",
    ),
    pytest.param(
        AlphaDropout(),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=120, adds=3 * 120, multiplies=3 * 120),
        Tensor((4, 6, 5)),
        id="alpha_dropout shifts too",
    ),
    pytest.param(
        AlphaDropout(p=1), (4, 6, 5), (4, 6, 5), Work(), Work(multiplies=120), ONE_ZERO, id="alpha_dropout with p 1"
    ),
    pytest.param(
        FeatureAlphaDropout(),
        (4, 6, 5),
        (4, 6, 5),
        Work(),
        Work(compares=4, adds=2 * 4 + 120, multiplies=2 * 4 + 120),
        Tensor((4,)),
        id="feature_alpha_dropout draws per channel",
    ),
]

P_ZERO = [
    pytest.param(Dropout(p=0), id="dropout"),
    pytest.param(Dropout2d(p=0), id="dropout2d"),
    pytest.param(AlphaDropout(p=0), id="alpha_dropout"),
    pytest.param(FeatureAlphaDropout(p=0), id="feature_alpha_dropout"),
]

REFUSES = [
    pytest.param(Dropout(p=1.5), (4, 6, 5), "`p` of `dropout` must be between 0 and 1, found 1.5", id="p above 1"),
    pytest.param(
        AlphaDropout(p=-0.1),
        (4, 6, 5),
        "`p` of `alpha_dropout` must be between 0 and 1, found -0.1",
        id="p below 0",
    ),
    pytest.param(
        Dropout2d(p=2),
        (4, 6, 5),
        "`p` of `dropout2d` must be between 0 and 1, found 2.0",
        id="p of a channel",
    ),
    pytest.param(
        Dropout1d(),
        (4, 6, 5),
        "`dropout1d` needs an input of 2 dimensions (channels, width), found [4, 6, 5]\n"
        "`dropout` drops single values of any input",
        id="dropout1d of an image",
    ),
]

# PyTorch takes the batch for the channels here, or warns that it will refuse one day.
REFUSES_ALONE = [
    pytest.param(
        Dropout1d(),
        (4096,),
        "`dropout1d` needs an input of 2 dimensions (channels, width), found [4096]\n"
        "`dropout` drops single values of any input",
        id="dropout1d of features",
    ),
    pytest.param(
        Dropout2d(),
        (4, 6),
        "`dropout2d` needs an input of 3 dimensions (channels, height, width), found [4, 6]\n"
        "`dropout` drops single values of any input",
        id="dropout2d of a sequence",
    ),
    pytest.param(
        Dropout3d(),
        (4, 6, 5),
        "`dropout3d` needs an input of 4 dimensions (channels, depth, height, width), found [4, 6, 5]\n"
        "`dropout` drops single values of any input",
        id="dropout3d of an image",
    ),
]


def test_alpha_dropout_holds_its_shift_beside_the_noise() -> None:
    """b, as large as the noise; none where everything is dropped."""
    shape, noise = (4, 6, 5), Tensor((4, 6, 5))
    assert AlphaDropout(p=0.5).memory(shape, training=True, contiguous=True).scratch.count(noise) % 2 == 0
    half, whole = (AlphaDropout(p=p).memory(shape, training=True, contiguous=True).scratch for p in (0.5, 1.0))
    assert len(half) == 2 * len(whole) > 0


@pytest.mark.parametrize(("kind", "shape", "output", "evaluation", "training", "noise"), GIVES)
def test_draws_noise_in_training_and_is_an_identity_in_evaluation(
    kind: Kind, shape: Shape, output: Shape, evaluation: Work, training: Work, noise: Tensor
) -> None:
    assert kind.work(shape, training=True) == training
    assert kind.memory(shape, training=True, contiguous=True).saved == (noise,)
    memory = kind.memory(shape, contiguous=False, training=False)
    assert memory == Memory(view=True, in_place=memory.in_place, contiguous=False)


@pytest.mark.torch
@pytest.mark.parametrize("kind", P_ZERO)
def test_with_p_0_is_an_identity_in_training_too(kind: Kind) -> None:
    shape = (4, 6, 5)
    assert kind.work(shape, training=True) == Work()
    assert kind.memory(shape, training=True, contiguous=True).view
    same(kind, shape)


@pytest.mark.parametrize("kind", [AlphaDropout(), FeatureAlphaDropout()])
def test_alpha_dropout_holds_its_shifts_beside_its_noise(kind: Kind) -> None:
    memory = kind.memory((4, 6, 5), training=True, contiguous=True)
    assert memory.scratch == memory.saved * 2


@pytest.mark.parametrize("training", [False, True])
def test_runs_in_place_as_its_module_does(training: bool) -> None:
    """One rule for evaluation and training; AlphaDropout takes `inplace` and does not heed it."""
    shape = (4, 6, 5)
    assert Dropout().memory(shape, training=training, contiguous=True).in_place == "nothing"
    assert Dropout2d().memory(shape, training=training, contiguous=True).in_place == "nothing"
    assert AlphaDropout().memory(shape, training=training, contiguous=True).in_place is None
    assert FeatureAlphaDropout().memory(shape, training=training, contiguous=True).in_place is None


def test_the_batch_is_no_channel() -> None:
    with pytest.raises(ShapeError) as caught:
        FeatureAlphaDropout().output(())
    assert said(caught.value) == "`feature_alpha_dropout` needs an input of at least 1 dimension, found []"
