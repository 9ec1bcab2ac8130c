"""Normalisation: what it gives and what it refuses."""

import re

import pytest

from cnnprof.errors import ShapeError
from cnnprof.kinds.norm import BatchNorm, FoldedBatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Kind, Memory, Reach, Shape, Tensor, Work
from tests.support.against_torch import said, torch

IMAGE = (8, 6, 5)
N = 8 * 6 * 5


def statistics(groups: int, n: int) -> Work:
    """Mean, variance and reciprocal root of `groups` groups of `n` values, and the multiply by the root."""
    return Work(
        adds=groups * ((n - 1) + n + (n - 1) + 1),
        multiplies=groups * n + groups * n,
        divides=groups * (1 + 1 + 1),
        roots=groups,
    )


def plus(work: Work, adds: int = 0, multiplies: int = 0) -> Work:
    return work._replace(adds=work.adds + adds, multiplies=work.multiplies + multiplies)


# kind, shape, work in evaluation, work in training
GIVES = [
    pytest.param(
        BatchNorm(),
        IMAGE,
        IMAGE,
        Work(multiplies=N, adds=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="batch_norm: 1 multiply and 1 add in evaluation",
    ),
    pytest.param(
        BatchNorm(affine=False),
        IMAGE,
        IMAGE,
        Work(multiplies=N, adds=N),
        statistics(8, 30),
        id="batch_norm without weight: as many in evaluation",
    ),
    pytest.param(
        BatchNorm(bias=False, momentum=None, eps=0.001),
        IMAGE,
        IMAGE,
        Work(multiplies=N, adds=N),
        plus(statistics(8, 30), multiplies=N),
        id="batch_norm without bias",
    ),
    pytest.param(
        BatchNorm(track_running_stats=False),
        IMAGE,
        IMAGE,
        plus(statistics(8, 30), adds=N, multiplies=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="batch_norm without averages evaluates as it trains",
    ),
    pytest.param(
        BatchNorm(),
        (8,),
        (8,),
        Work(multiplies=8, adds=8),
        plus(statistics(8, 1), adds=8, multiplies=8),
        id="batch_norm of features",
    ),
    pytest.param(
        BatchNorm(),
        (8, 30),
        (8, 30),
        Work(multiplies=N, adds=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="batch_norm of a sequence",
    ),
    pytest.param(
        BatchNorm(),
        (8, 2, 3, 5),
        (8, 2, 3, 5),
        Work(multiplies=N, adds=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="batch_norm of a volume",
    ),
    pytest.param(
        InstanceNorm(),
        IMAGE,
        IMAGE,
        statistics(8, 30),
        statistics(8, 30),
        id="instance_norm: a group per channel",
    ),
    pytest.param(
        InstanceNorm(affine=True),
        IMAGE,
        IMAGE,
        plus(statistics(8, 30), adds=N, multiplies=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="instance_norm with weight and bias",
    ),
    pytest.param(
        InstanceNorm(affine=True, bias=False),
        IMAGE,
        IMAGE,
        plus(statistics(8, 30), multiplies=N),
        plus(statistics(8, 30), multiplies=N),
        id="instance_norm with weight alone",
    ),
    pytest.param(
        InstanceNorm(track_running_stats=True),
        IMAGE,
        IMAGE,
        Work(multiplies=N, adds=N),
        statistics(8, 30),
        id="instance_norm by averages",
    ),
    pytest.param(
        InstanceNorm(track_running_stats=True, affine=True),
        (8, 30),
        (8, 30),
        Work(multiplies=N, adds=N),
        plus(statistics(8, 30), adds=N, multiplies=N),
        id="instance_norm of a sequence, with everything",
    ),
    pytest.param(
        InstanceNorm(),
        (8, 2, 3, 5),
        (8, 2, 3, 5),
        statistics(8, 30),
        statistics(8, 30),
        id="instance_norm of a volume",
    ),
    pytest.param(
        GroupNorm(num_groups=4),
        IMAGE,
        IMAGE,
        plus(statistics(4, 60), adds=N, multiplies=N),
        plus(statistics(4, 60), adds=N, multiplies=N),
        id="group_norm",
    ),
    pytest.param(
        GroupNorm(num_groups=1, affine=False),
        (8, 30),
        (8, 30),
        statistics(1, 240),
        statistics(1, 240),
        id="group_norm of one group, a sequence",
    ),
    pytest.param(
        GroupNorm(num_groups=2, bias=False),
        (8,),
        (8,),
        plus(statistics(2, 4), multiplies=8),
        plus(statistics(2, 4), multiplies=8),
        id="group_norm of features, without bias",
    ),
    pytest.param(
        RMSNorm(normalized_shape=5),
        IMAGE,
        IMAGE,
        Work(multiplies=3 * N, adds=N, divides=2 * 48, roots=48),
        Work(multiplies=3 * N, adds=N, divides=2 * 48, roots=48),
        id="rms_norm: no mean is taken off, and no bias added",
    ),
    pytest.param(
        RMSNorm(normalized_shape=[6, 5], elementwise_affine=False, eps=0.1),
        IMAGE,
        IMAGE,
        Work(multiplies=2 * N, adds=N, divides=2 * 8, roots=8),
        Work(multiplies=2 * N, adds=N, divides=2 * 8, roots=8),
        id="rms_norm without weight",
    ),
    pytest.param(
        LayerNorm(normalized_shape=5),
        IMAGE,
        IMAGE,
        plus(statistics(48, 5), adds=N, multiplies=N),
        plus(statistics(48, 5), adds=N, multiplies=N),
        id="layer_norm of the last dimension",
    ),
    pytest.param(
        LayerNorm(normalized_shape=[8, 6, 5], bias=False),
        IMAGE,
        IMAGE,
        plus(statistics(1, 240), multiplies=N),
        plus(statistics(1, 240), multiplies=N),
        id="layer_norm of everything, without bias",
    ),
    pytest.param(
        LayerNorm(normalized_shape=[6, 5], elementwise_affine=False),
        IMAGE,
        IMAGE,
        statistics(8, 30),
        statistics(8, 30),
        id="layer_norm without weight",
    ),
    pytest.param(
        FoldedBatchNorm(),
        (3, 4, 6, 6),
        (3, 4, 6, 6),
        Work(multiplies=432, adds=432),
        Work(*(3 * each for each in plus(statistics(4, 36), adds=144, multiplies=144))),
        id="folded_batch_norm: of each part",
    ),
]

REFUSES = [
    pytest.param(
        BatchNorm(),
        (2, 2, 2, 2, 2),
        "`batch_norm` needs an input of 1 to 4 dimensions (channels first), found [2, 2, 2, 2, 2]",
        id="batch_norm of too many dimensions",
    ),
    pytest.param(BatchNorm(eps=-1), IMAGE, "`eps` of `batch_norm` must be at least 0, found -1.0", id="negative eps"),
    pytest.param(
        BatchNorm(eps=0, track_running_stats=False),
        IMAGE,
        "`eps` of `batch_norm` must be greater than 0 where it computes statistics, found 0.0\n"
        "leave `eps` out, or set `track_running_stats: true`",
        id="statistics without eps",
    ),
    pytest.param(
        InstanceNorm(),
        (2, 2, 2, 2, 2),
        "`instance_norm` needs an input of 2 to 4 dimensions (channels first), found [2, 2, 2, 2, 2]",
        id="instance_norm of too many dimensions",
    ),
    pytest.param(
        InstanceNorm(),
        (8, 1, 1),
        "`instance_norm` needs more than one position to take statistics over, found [8, 1, 1]\n"
        "the mean of a single value is the value itself, so every output would be 0",
        id="instance_norm of a single position",
    ),
    pytest.param(
        GroupNorm(num_groups=3),
        IMAGE,
        "`num_groups` of `group_norm` must divide the channels, found num_groups 3 and 8 channels",
        id="groups that do not divide",
    ),
    pytest.param(
        GroupNorm(num_groups=0),
        IMAGE,
        "`num_groups` of `group_norm` must be at least 1, found 0",
        id="no groups",
    ),
    pytest.param(
        LayerNorm(normalized_shape=8),
        IMAGE,
        "`normalized_shape` of `layer_norm` must be the last sizes of the input, "
        "found normalized_shape [8] and input [8, 6, 5]",
        id="layer_norm of the channels, which come first",
    ),
    pytest.param(
        LayerNorm(normalized_shape=[3, 8, 6, 5]),
        IMAGE,
        "`normalized_shape` of `layer_norm` must be the last sizes of the input, "
        "found normalized_shape [3, 8, 6, 5] and input [8, 6, 5]",
        id="layer_norm of more than there is",
    ),
    pytest.param(
        LayerNorm(normalized_shape=[]),
        IMAGE,
        "`normalized_shape` of `layer_norm` needs at least one size, found []",
        id="layer_norm of nothing",
    ),
]

# What PyTorch takes when the batch is large enough, or takes for something else.
REFUSES_ALONE = [
    pytest.param(
        InstanceNorm(),
        (8,),
        "`instance_norm` needs an input of 2 to 4 dimensions (channels first), found [8]",
        id="instance_norm of features: PyTorch takes the batch for the channels",
    ),
    pytest.param(
        LayerNorm(normalized_shape=[2, 6, 5]),
        (6, 5),
        "`normalized_shape` of `layer_norm` must be the last sizes of the input, "
        "found normalized_shape [2, 6, 5] and input [6, 5]",
        id="layer_norm over the batch",
    ),
    pytest.param(
        FoldedBatchNorm(),
        (4,),
        "`folded_batch_norm` needs an input of at least 2 dimensions, those of `batch_norm` after the parts of an "
        "example, found [4]",
        id="no channels",
    ),
]

FEATURES = (8,)
SPOT = (8, 1, 1)
NO_EPS = "`eps` of `batch_norm` must be greater than 0 where it computes statistics, found 0.0\nleave `eps` out"

# kind, shape, the least batch in evaluation, and in training or why there is none
LEAST = [
    pytest.param(BatchNorm(), IMAGE, 1, 1, id="batch_norm of an image"),
    pytest.param(BatchNorm(), SPOT, 1, 2, id="batch_norm of one value per channel"),
    pytest.param(BatchNorm(), FEATURES, 1, 2, id="batch_norm of features"),
    pytest.param(BatchNorm(), (8, 1), 1, 2, id="batch_norm of a sequence of one"),
    pytest.param(BatchNorm(), (8, 1, 1, 2), 1, 1, id="batch_norm of a volume of two"),
    pytest.param(BatchNorm(track_running_stats=False), SPOT, 2, 2, id="batch_norm without averages"),
    pytest.param(BatchNorm(track_running_stats=False), IMAGE, 1, 1, id="batch_norm of an image without averages"),
    pytest.param(BatchNorm(eps=0), IMAGE, 1, NO_EPS, id="batch_norm without eps"),
    pytest.param(BatchNorm(eps=0), SPOT, 1, NO_EPS, id="batch_norm of one value without eps"),
    pytest.param(InstanceNorm(), IMAGE, 1, 1, id="instance_norm of an image"),
    pytest.param(InstanceNorm(eps=0, track_running_stats=True), IMAGE, 1, 1, id="instance_norm without eps"),
    pytest.param(
        InstanceNorm(track_running_stats=True),
        SPOT,
        1,
        "`instance_norm` needs more than one position to take statistics over, found [8, 1, 1]\n"
        "the mean of a single value is the value itself, so every output would be 0",
        id="instance_norm of one place by averages",
    ),
    pytest.param(GroupNorm(num_groups=8), IMAGE, 1, 1, id="group_norm of an image"),
    pytest.param(GroupNorm(num_groups=8), SPOT, 2, 2, id="group_norm of one value per group"),
    pytest.param(GroupNorm(num_groups=8), FEATURES, 2, 2, id="group_norm of one feature per group"),
    pytest.param(GroupNorm(num_groups=4), FEATURES, 1, 1, id="group_norm of two features per group"),
    pytest.param(LayerNorm(normalized_shape=1), SPOT, 1, 1, id="layer_norm of one value"),
]

REACHES = [
    pytest.param(BatchNorm(), (), id="batch_norm by averages"),
    pytest.param(
        BatchNorm(track_running_stats=False),
        (SAME_PLACE, EVERYTHING, EVERYTHING),
        id="batch_norm without averages",
    ),
    pytest.param(InstanceNorm(), (SAME_PLACE, EVERYTHING, EVERYTHING), id="instance_norm"),
    pytest.param(InstanceNorm(track_running_stats=True), (), id="instance_norm by averages"),
    pytest.param(GroupNorm(num_groups=8), (SAME_PLACE, EVERYTHING, EVERYTHING), id="group_norm"),
    pytest.param(RMSNorm(normalized_shape=5), (SAME_PLACE, SAME_PLACE, EVERYTHING), id="rms_norm"),
    pytest.param(LayerNorm(normalized_shape=5), (SAME_PLACE, SAME_PLACE, EVERYTHING), id="layer_norm of one"),
    pytest.param(LayerNorm(normalized_shape=[8, 6, 5]), (EVERYTHING,) * 3, id="layer_norm of all"),
]

WEIGHTS = [
    pytest.param(BatchNorm(), {"weight": (8,), "bias": (8,)}, 2 * 8 + 1, id="batch_norm: 2C and 2C + 1"),
    pytest.param(BatchNorm(affine=False), {}, 2 * 8 + 1, id="batch_norm without weight"),
    pytest.param(BatchNorm(affine=False, bias=True), {}, 2 * 8 + 1, id="no bias without weight"),
    pytest.param(BatchNorm(bias=False), {"weight": (8,)}, 2 * 8 + 1, id="batch_norm without bias"),
    pytest.param(
        BatchNorm(track_running_stats=False), {"weight": (8,), "bias": (8,)}, 0, id="batch_norm without averages"
    ),
    pytest.param(InstanceNorm(), {}, 0, id="instance_norm learns nothing by default"),
    pytest.param(
        InstanceNorm(affine=True, track_running_stats=True),
        {"weight": (8,), "bias": (8,)},
        2 * 8 + 1,
        id="instance_norm with everything",
    ),
    pytest.param(GroupNorm(num_groups=2), {"weight": (8,), "bias": (8,)}, 0, id="group_norm: per channel"),
    pytest.param(LayerNorm(normalized_shape=[6, 5]), {"weight": (6, 5), "bias": (6, 5)}, 0, id="layer_norm: per value"),
    pytest.param(RMSNorm(normalized_shape=5), {"weight": (5,)}, 0, id="rms_norm"),
    pytest.param(LayerNorm(normalized_shape=5, bias=False), {"weight": (5,)}, 0, id="layer_norm without bias"),
]

PER_CHANNEL = Tensor((8,))
OF_BATCH = Tensor((8,), per_example=False)

# kind, training, and its memory
MEMORY = [
    pytest.param(BatchNorm(), False, Memory(keeps="inputs"), id="batch_norm in evaluation"),
    pytest.param(
        BatchNorm(),
        True,
        Memory(keeps="inputs", saved=(OF_BATCH,) * 2, scratch=(OF_BATCH,) * 2),
        id="batch statistics do not grow with the batch",
    ),
    pytest.param(
        InstanceNorm(affine=True),
        False,
        Memory(keeps="inputs", saved=(PER_CHANNEL,) * 3, scratch=(PER_CHANNEL,) * 4, gathers=True),
        id="instance_norm repeats its weight and bias, and keeps the weight",
    ),
    pytest.param(
        InstanceNorm(affine=True, track_running_stats=True),
        False,
        Memory(keeps="inputs", saved=(PER_CHANNEL,) * 3, scratch=(PER_CHANNEL,) * 4, gathers=True),
        id="instance_norm repeats its averages",
    ),
    pytest.param(
        InstanceNorm(affine=True, track_running_stats=True, bias=False),
        True,
        Memory(keeps="inputs", saved=(PER_CHANNEL,) * 5, scratch=(PER_CHANNEL,) * 5, gathers=True),
        id="instance_norm repeats its averages and makes statistics",
    ),
    pytest.param(
        GroupNorm(num_groups=4),
        False,
        Memory(keeps="inputs", saved=(Tensor((4,)),) * 2, scratch=(Tensor((4,)),) * 2, gathers=True),
        id="group_norm: a mean and a root per group",
    ),
    pytest.param(
        LayerNorm(normalized_shape=5),
        False,
        Memory(keeps="inputs", saved=(Tensor((8, 6)),) * 2, scratch=(Tensor((8, 6)),) * 2),
        id="layer_norm: a mean and a root per row",
    ),
]

LAYOUTS = [
    pytest.param(BatchNorm(), IMAGE, id="batch_norm of an image"),
    pytest.param(BatchNorm(), (8, 30), id="batch_norm of a sequence"),
    pytest.param(InstanceNorm(), IMAGE, id="instance_norm"),
    pytest.param(GroupNorm(num_groups=2), IMAGE, id="group_norm of an image"),
    pytest.param(GroupNorm(num_groups=2), (8, 30), id="group_norm of a sequence"),
    pytest.param(LayerNorm(normalized_shape=[6, 5]), IMAGE, id="layer_norm"),
]


@pytest.mark.parametrize(("kind", "shape", "output", "evaluation", "training"), GIVES)
def test_work_in_training(kind: Kind, shape: Shape, output: Shape, evaluation: Work, training: Work) -> None:
    assert kind.work(shape, training=True) == training


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape", "evaluation", "training"), LEAST)
def test_the_least_batch_is_pytorchs(kind: Kind, shape: Shape, evaluation: int, training: int | str) -> None:
    """A batch of that many runs in the mode and one less does not; a message where PyTorch refuses any."""
    assert kind.output(shape) == shape
    assert kind.least_batch(shape, training=False) == evaluation
    assert least(kind, shape) == training
    for mode, fewest in ((False, evaluation), (True, training)):
        runs = {batch for batch in (1, 2, 3) if takes(kind, shape, batch, mode)}
        assert runs == (set() if isinstance(fewest, str) else {batch for batch in (1, 2, 3) if batch >= fewest})


def least(kind: Kind, shape: Shape) -> int | str:
    try:
        return kind.least_batch(shape, training=True)
    except ShapeError as error:
        return said(error)


def takes(kind: Kind, shape: Shape, batch: int, training: bool) -> bool:
    try:
        kind.module(shape).train(training)(torch.rand(batch, *shape))
    except ValueError as error:
        if re.search("more than 1 (value per channel|spatial element)|eps must be positive", str(error)):
            return False
        raise
    return True


@pytest.mark.parametrize(("kind", "reach"), REACHES)
def test_sees_what_it_takes_statistics_over(kind: Kind, reach: Reach) -> None:
    assert kind.reach(IMAGE) == reach


@pytest.mark.parametrize(("kind", "weights", "buffers"), WEIGHTS)
def test_learns_and_stores(kind: Kind, weights: dict[str, Shape], buffers: int) -> None:
    assert kind.weights(IMAGE) == weights
    assert sum(tensor.numel for tensor in kind.buffers(IMAGE).values()) == buffers


@pytest.mark.parametrize(("kind", "training", "memory"), MEMORY)
def test_memory(kind: Kind, training: bool, memory: Memory) -> None:
    assert kind.memory(IMAGE, training=training, contiguous=True) == memory


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shape"), LAYOUTS)
def test_an_input_with_channels_last_in_memory(kind: Kind, shape: Shape) -> None:
    """Whether the output keeps that order, and the bytes that autograd keeps: a copy of the input, or the input."""
    channels, *sizes = shape
    permuted = torch.rand(2, *sizes, channels).movedim(-1, 1).requires_grad_()
    saved: dict[int, torch.Tensor] = {}
    module = kind.module(shape)
    own = {tensor.data_ptr() for tensor in (*module.parameters(), *module.buffers())}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            saved[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module.eval()(permuted)
    memory = kind.memory(shape, contiguous=False, training=False)
    assert output[0].is_contiguous() is memory.contiguous
    assert memory.keeps in ("inputs", "nothing")
    if memory.keeps == "nothing":  # then it has made a copy, while it runs too
        assert memory.saved[0] == memory.scratch[0] == Tensor(shape)
    assert (permuted.data_ptr() in saved) == (memory.keeps == "inputs")
    kept = [Tensor(shape)] if memory.keeps == "inputs" else []
    assert sum(tensor.numel() for tensor in saved.values()) == 2 * sum(t.numel for t in (*kept, *memory.saved))


@pytest.mark.torch
@pytest.mark.parametrize(
    "kind",
    [
        BatchNorm(eps=0.25),
        InstanceNorm(eps=0.25),
        GroupNorm(num_groups=2, eps=0.25),
        LayerNorm(normalized_shape=5, eps=0.25),
    ],
)
def test_eps_reaches_the_module(kind: Kind) -> None:
    assert kind.module((8, 6, 5)).eps == 0.25


def test_several_places_on_one_axis_are_enough() -> None:
    assert InstanceNorm().output((8, 3, 1)) == (8, 3, 1)


def test_group_norm_needs_channels() -> None:
    with pytest.raises(ShapeError) as caught:
        GroupNorm(num_groups=1).output(())
    assert said(caught.value) == "`group_norm` needs an input of at least 1 dimension, found []"
