"""The planner against what the interpreter allocates, and against plans worked out by hand or by trying all of them."""

import itertools
import json
import random
from pathlib import Path

import pytest

import cnnprof
from cnnprof.analysis.arena import (
    TAIL_ERROR,
    Arena,
    Buffer,
    Placed,
    Plan,
    _first_fit,
    _neighbours,
    best_plan,
    buffers,
    flash_bytes,
    greedy,
    most_at_once,
    persistent_bytes,
    plan_arena,
    scratch,
)
from cnnprof.importers import tflite
from cnnprof.model.deployed import Deployed, DeployedTensor, NotPlanned, Operator
from cnnprof.rewrites.converter import convert

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
MEASURED = json.loads((GOLDEN / "measured.json").read_text())["nets"]
# Of the planner's own figures, the least that any plan takes.
LOWER_BOUND = {name: net["head"] for name, net in MEASURED.items()} | {"mobilenet_v1_025_96_vww": 55_296}


def load(name):
    return tflite.load((GOLDEN / f"{name}.tflite").read_bytes(), name)


def image(name, *shape, **more):
    return DeployedTensor(name, shape, "INT8", scales=1, **more)


# Measured.


@pytest.mark.parametrize("name", MEASURED)
def test_the_head_of_a_file_is_what_the_interpreter_allocates(name):
    arena = plan_arena(load(name).deployed)
    assert arena.non_persistent_bytes == MEASURED[name]["head"]
    assert arena.lower_bound == arena.best.bytes == LOWER_BOUND[name]
    assert arena.proved
    assert arena.notes == ()


def test_the_waste_of_the_visual_wake_words_network():
    """A third more than need be; with ties the other way round it would be 64,512."""
    arena = plan_arena(load("mobilenet_v1_025_96_vww").deployed)
    assert (arena.plan.bytes, arena.best.bytes, arena.waste) == (73_728, 55_296, 18_432)
    needed = buffers(load("mobilenet_v1_025_96_vww").deployed)
    order = sorted(range(len(needed)), key=lambda number: (-needed[number].bytes, number))
    assert _first_fit(needed, order).bytes == 64_512


def test_the_tensors_at_the_peak():
    """The stem's output is read, the first depthwise convolution's written; channels last, 48x48."""
    arena = plan_arena(load("ds_cnn_kws").deployed)
    assert arena.peak == 2
    assert [each.buffer.bytes for each in arena.at_peak()] == [8_000, 8_000]
    assert sum(each.buffer.bytes for each in arena.at_peak()) == arena.lower_bound


@pytest.mark.parametrize("name", MEASURED)
def test_the_tail_of_a_file_is_within_its_error(name):
    found = persistent_bytes(load(name).deployed)
    assert abs(found - MEASURED[name]["tail"]) <= TAIL_ERROR * MEASURED[name]["tail"]


@pytest.mark.parametrize("spec", ["autoencoder", "ds_cnn", "resnet8"])
def test_the_tail_of_a_spec_is_within_its_error(spec):
    """The measured files leave out biases that are all zero, 24 bytes each in the tail; trained networks have none."""
    file = {"autoencoder": "autoencoder_ad", "ds_cnn": "ds_cnn_kws", "resnet8": "resnet8_ic"}[spec]
    network = convert(cnnprof.unfold(spec))
    left_out = len(network.tensors) - len(load(file).deployed.tensors)
    assert (
        abs(persistent_bytes(network) - 24 * left_out - MEASURED[file]["tail"]) <= TAIL_ERROR * MEASURED[file]["tail"]
    )


# By hand.


def test_buffers_are_in_the_order_of_the_file_and_scratch_is_behind():
    """Constants and variables are left out; a tensor lives from its writer to its last reader, an output to the end."""
    network = Deployed(
        (
            image("in", 1, 4, 4, 3),
            image("weights", 2, 1, 1, 3, constant=True),
            image("state", 7, variable=True),
            image("conv", 1, 4, 4, 2),
            DeployedTensor("axes", (2,), "INT32", constant=True),
            image("mean", 1, 2),
            image("out", 1, 2),
        ),
        (
            Operator("CONV_2D", (0, 1), (3,), "conv"),
            Operator("MEAN", (3, 4), (5,), "mean"),
            Operator("SOFTMAX", (5,), (6,), "softmax"),
        ),
        (0,),
        (3, 6),
    )
    assert buffers(network) == [
        Buffer("in", 48, 0, 1),
        Buffer("conv", 32, 1, 3),
        Buffer("mean", 16, 2, 3),
        Buffer("out", 16, 3, 3),
        Buffer("mean", 16, 2, 2, scratch=True),  # 4 bytes per dimension of what it reads
        Buffer("mean", 16, 2, 2, scratch=True),  # per axis
        Buffer("mean", 16, 2, 2, scratch=True),  # per output
    ]


def test_the_scratch_of_a_transposed_convolution_is_a_sum_per_output():
    network = Deployed(
        (
            image("shape", 4, constant=True),
            image("w", 6, 2, 2, 3, constant=True),
            image("in", 1, 4, 4, 3),
            image("out", 1, 8, 8, 6),
        ),
        (Operator("TRANSPOSE_CONV", (0, 1, 2), (3,)),),
        (2,),
        (3,),
    )  # fmt: skip
    assert scratch(network, network.operators[0]) == (4 * 8 * 8 * 6,)


@pytest.mark.parametrize(
    ("word", "dtype", "axes", "expected"),
    [
        ("MEAN", "INT8", (2,), (16, 8, 24)),
        ("REDUCE_MAX", "INT8", (2,), (16, 8)),
        ("SUM", "INT16", (), (16, 4, 24)),
        ("MIRROR_PAD", "INT8", (4, 2), (16, 16)),
        ("TRANSPOSE_CONV", "INT16", (2,), (48,)),
        ("TRANSPOSE_CONV", "INT8", (2,), (24,)),
        ("CONV_2D", "INT8", (2,), ()),
    ],
)
def test_scratch_by_hand(word, dtype, axes, expected):
    """Of four dimensions read, the axes, and six values written; int16 is summed in 64 bits by a convolution alone."""
    tensors = (
        DeployedTensor("in", (1, 4, 4, 6), dtype),
        DeployedTensor("axes", axes, "INT32", constant=True),
        DeployedTensor("out", (1, 6), dtype),
    )
    network = Deployed(tensors, (Operator(word, (0, 1), (2,)),), (0,), (2,))
    assert scratch(network, network.operators[0]) == expected


TAIL = 493 + 112 + 112  # of the interpreter itself, an input, an output


@pytest.mark.parametrize(
    ("word", "scales", "inputs", "dtype", "expected"),
    [
        ("TANH", 0, 1, "INT8", 3 * 24 + 64 + 15),
        ("SOFTMAX", 0, 1, "INT8", 3 * 24 + 64 + 88),
        ("SOFTMAX", 0, 1, "INT16", 3 * 24 + 64 + 2_168),
        ("CONV_2D", 1, 1, "INT8", 3 * 24 + 64 + 108 + 2 * 32),  # 5 channels: 20 bytes are rounded up to 32
        ("DEPTHWISE_CONV_2D", 1, 1, "INT8", 3 * 24 + 64 + 108 + 2 * 16),  # 3
        ("FULLY_CONNECTED", 1, 1, "INT8", 3 * 24 + 64 + 111),
        ("FULLY_CONNECTED", 5, 1, "INT8", 3 * 24 + 64 + 111 + 2 * 32),
        ("MIRROR_PAD", 0, 1, "INT8", 3 * 24 + 64 + 39 + 2 * 8),  # two scratch buffers
        ("ADD", 0, 2, "INT8", 3 * 24 + 64 + 72 + 112 - 16),
    ],
)
def test_the_tail_by_hand(word, scales, inputs, dtype, expected):
    weights = DeployedTensor("weights", (5, 1, 1, 3), "INT8", constant=inputs == 1, scales=scales)
    network = Deployed(
        (DeployedTensor("in", (1, 4), dtype), weights, DeployedTensor("out", (1, 4), dtype)),
        (Operator(word, (0, 1), (2,)),),
        tuple(range(inputs)),
        (2,),
    )
    assert persistent_bytes(network) == TAIL + expected


@pytest.mark.parametrize(("dtype", "each"), [("INT8", 12), ("INT16", 16)])
def test_the_file_by_hand(dtype, each):
    """Constants rounded up, so much for each scale, and for each tensor 177.5 bytes, rounded up, and 1,059."""
    tensors = (
        DeployedTensor("in", (1, 4), dtype, scales=1),
        DeployedTensor("weights", (5, 5), "INT8", constant=True, scales=5),
        DeployedTensor("out", (1, 4), dtype, scales=1),
    )
    network = Deployed(tensors, (Operator("FULLY_CONNECTED", (0, 1), (2,)),), (0,), (2,))
    assert flash_bytes(network) == 32 + each * 7 + 1_059 + 533


def test_the_orders_that_are_tried():
    """By time, from the end, by size and by area; then one buffer of the kept order elsewhere, as often as allowed."""
    needed = [Buffer("a", 16, 0, 5), Buffer("b", 48, 1, 2), Buffer("c", 32, 1, 4), Buffer("d", 48, 0, 2)]
    orders = [order.tried for order in _neighbours(needed, 0)]
    assert orders == [[3, 0, 1, 2], [0, 2, 1, 3], [3, 1, 2, 0], [3, 2, 0, 1]]
    searched = _neighbours(needed, 25)
    for order, start in zip(searched, orders, strict=False):
        assert order.bytes == 2**63
        if start is orders[2]:
            break
    order.keep(128)
    kept, moved = orders[2], []
    assert next(searched).tried == orders[3]
    for order in searched:
        assert order.bytes == 128
        assert sorted(order.tried) == [0, 1, 2, 3]
        assert any(
            [each for each in order.tried if each != out] == [each for each in kept if each != out] for out in kept
        )
        moved.append(tuple(order.tried))
    assert len(moved) == 25
    assert len(set(moved)) > 5


def test_a_large_network_gets_fewer_orders():
    needed = [Buffer(str(number), 16, 0, 1) for number in range(2_000)]
    assert sum(1 for _ in _neighbours(needed, 20_000)) == 4 + 5


def test_the_buffers_at_the_peak_are_in_order():
    """The largest first, of equal ones the lower; what ends before, or starts after, is none of them."""
    needed = [Buffer("a", 16, 0, 2), Buffer("b", 32, 2, 3), Buffer("c", 16, 2, 2), Buffer("d", 64, 3, 3)]
    placed = [Placed(buffer, offset) for buffer, offset in zip(needed, (48, 0, 32, 64), strict=True)]
    arena = Arena(Plan(tuple(placed)), 64, Plan(tuple(placed)), 2)
    assert [each.buffer.name for each in arena.at_peak()] == ["b", "c", "a"]


def test_of_equal_sizes_the_one_added_last_is_placed_first():
    plan = greedy([Buffer("a", 16, 0, 1), Buffer("b", 16, 1, 2)])
    assert [each.offset for each in plan.placed] == [16, 0]


def test_a_buffer_goes_into_the_first_gap_that_fits():
    """c goes between a and b, which end before d; d is not needed with a, so it goes below it."""
    needed = [Buffer("a", 64, 0, 1), Buffer("b", 48, 1, 2), Buffer("c", 32, 1, 1), Buffer("d", 16, 2, 2)]
    plan = greedy(needed)
    assert [each.offset for each in plan.placed] == [0, 64, 112, 0]
    assert plan.bytes == 144


def test_no_buffers_take_no_bytes():
    assert greedy([]).bytes == 0
    assert most_at_once([]) == (0, 0)


def random_buffers(generator, count):
    needed = []
    for number in range(count):
        first = generator.randrange(6)
        needed.append(Buffer(str(number), 16 * generator.randint(1, 6), first, first + generator.randrange(3)))
    return needed


@pytest.mark.parametrize("seed", range(40))
def test_plans_hold_what_they_say(seed):
    """No two buffers that are needed at once touch; the bounds are in order."""
    needed = random_buffers(random.Random(seed), 12)
    plan = greedy(needed)
    bound, _ = most_at_once(needed)
    best = best_plan(needed, plan, bound, searched=300)
    for found in (plan, best):
        for left, right in itertools.combinations(found.placed, 2):
            apart = left.end <= right.offset or right.end <= left.offset
            assert apart or not left.buffer.overlaps(right.buffer)
    assert bound <= best.bytes <= plan.bytes


@pytest.mark.parametrize("seed", range(15))
def test_the_best_plan_of_a_few_is_the_best_of_all_orders(seed):
    """Placing each buffer at the lowest offset in some order gives the smallest plan that there is."""
    needed = random_buffers(random.Random(seed), 6)
    plan, (bound, _) = greedy(needed), most_at_once(needed)
    smallest = min(_first_fit(needed, order).bytes for order in itertools.permutations(range(6)))
    assert best_plan(needed, plan, bound).bytes == smallest


def test_the_most_at_once_is_the_largest_sum():
    needed = [Buffer("a", 16, 0, 2), Buffer("b", 32, 1, 1), Buffer("c", 64, 2, 3)]
    assert most_at_once(needed) == (80, 2)


def test_an_arena_that_is_not_proved_says_so():
    placed = (Placed(Buffer("a", 16, 0, 0), 16),)
    assert not Arena(Plan(placed), 16, Plan(placed), 0).proved


# Refused.


def test_a_type_without_a_size_is_refused():
    network = Deployed((DeployedTensor("x", (3,), "STRING"),), (), (0,), (0,))
    with pytest.raises(NotPlanned, match=r"^the tensor `x` is of type STRING, of which a value has no size$"):
        plan_arena(network)


@pytest.mark.parametrize(
    ("word", "inputs", "outputs"),
    [
        ("CONV_2D", (0, 0), (1,)),
        ("CONV_2D", (0, -1), (1,)),
        ("DEPTHWISE_CONV_2D", (0, 2), (1,)),
        ("SOFTMAX", (0,), ()),
        ("TRANSPOSE_CONV", (0, 0), ()),
        ("MEAN", (0, -1), (1,)),
        ("MIRROR_PAD", (), (1,)),
    ],
)
def test_an_operator_of_a_file_that_lacks_a_tensor_has_no_tail(word, inputs, outputs):
    """Weights without dimensions, or left out; nothing that is made."""
    tensors = DeployedTensor("none", (), "INT8"), image("out", 1, 4), DeployedTensor("w", (4, 3), "INT8")
    network = Deployed(tensors, (Operator(word, inputs, outputs, path="a"),), (0,), (1,))
    with pytest.raises(NotPlanned, match=r"^`a` lacks a tensor, or a dimension of one, that its kernel reads$"):
        persistent_bytes(network)


def test_a_kernel_that_was_not_measured_has_no_tail():
    network = Deployed((image("in", 1, 4), image("out", 1, 4)), (Operator("CUMSUM", (0,), (1,)),), (0,), (1,))
    with pytest.raises(NotPlanned, match=r"^what the kernels of `CUMSUM` keep in the arena was not measured$"):
        persistent_bytes(network)
    assert plan_arena(network).notes == (
        "whether the kernels of `CUMSUM` ask for scratch was not measured: none is counted",
    )


def test_scratch_in_other_types_is_noted():
    network = Deployed(
        (
            DeployedTensor("in", (1, 4, 4, 2), "FLOAT32"),
            DeployedTensor("axes", (2,), "INT32", constant=True),
            DeployedTensor("out", (1, 2), "FLOAT32"),
        ),
        (Operator("MEAN", (0, 1), (2,)),),
        (0,),
        (2,),
    )
    assert plan_arena(network).notes == ("the scratch of `MEAN` was measured for int8 and int16 alone",)
    for dtype in ("INT8", "INT16"):
        tensors = [each if each.constant else each._replace(dtype=dtype) for each in network.tensors]
        assert plan_arena(network._replace(tensors=tuple(tensors))).notes == ()


def test_too_many_buffers_are_refused(monkeypatch):
    monkeypatch.setattr("cnnprof.analysis.arena.MAX_PLANNED", 1)
    network = Deployed((image("in", 1, 4), image("out", 1, 4)), (Operator("TANH", (0,), (1,)),), (0,), (1,))
    with pytest.raises(NotPlanned, match=r"^a plan is made for at most 1 buffers, found 2$"):
        plan_arena(network)


@pytest.mark.parametrize("name", MEASURED)
def test_another_build_of_the_runtime_allocates_the_same_head(name):
    """For WebAssembly, with pointers of 32 bits; its tail is another, less a constant that it names."""
    theirs = json.loads((GOLDEN / "others.json").read_text())["nets"][name]["tflm_wasm32"]
    network = tflite.load((GOLDEN / f"{name}.tflite").read_bytes(), name).deployed
    assert plan_arena(network).non_persistent_bytes == theirs["head"]
    tail = theirs["total"] - theirs["head"]
    assert tail - 2_128 <= persistent_bytes(network) * (1 + TAIL_ERROR)
