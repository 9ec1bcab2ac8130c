"""Convolution: what it gives and what it refuses."""

from typing import Any

import pytest

from cnnprof.errors import FieldError, ShapeError
from cnnprof.exporters import pytorch
from cnnprof.kinds.conv import Conv1d, Conv2d, Conv3d, DynamicConv2d, FoldedConv2d, FoldedConv3d, StdConv2d
from cnnprof.model.kind import EVERYTHING, Memory, Shape, Work
from cnnprof.model.window import Window
from tests.support.against_torch import said
from tests.support.networks import graph, network

IMAGE = (4, 16, 16)

GIVES = [
    pytest.param(
        StdConv2d(out_channels=8, kernel_size=3, stride=2, padding=1),
        IMAGE,
        (8, 8, 8),
        Work(macs=8 * 8 * 8 * 4 * 3 * 3, adds=8 * 8 * 8),
        id="standardised weights",
    ),
    pytest.param(
        StdConv2d(out_channels=6, kernel_size=[3, 4], padding="same", groups=2, gain=False, bias=False),
        IMAGE,
        (6, 16, 16),
        Work(macs=6 * 16 * 16 * 2 * 3 * 4),
        id="standardised weights without gain",
    ),
    pytest.param(
        Conv2d(out_channels=64, kernel_size=7, stride=2, padding=3, bias=False),
        (3, 224, 224),
        (64, 112, 112),
        Work(macs=64 * 112 * 112 * 3 * 7 * 7),
        id="resnet stem",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, padding=1),
        IMAGE,
        (8, 16, 16),
        Work(macs=8 * 16 * 16 * 4 * 3 * 3, adds=8 * 16 * 16),
        id="bias is one add per output, not per MAC",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, padding=1, groups=4, bias=False),
        IMAGE,
        (8, 16, 16),
        Work(macs=8 * 16 * 16 * 1 * 3 * 3),
        id="depthwise, multiplier 2",
    ),
    pytest.param(
        Conv2d(out_channels=4, kernel_size=4, padding="same", bias=False),
        IMAGE,
        (4, 16, 16),
        Work(macs=4 * 16 * 16 * 4 * 4 * 4),
        id="same padding of an even kernel keeps the size",
    ),
    pytest.param(
        Conv2d(out_channels=1, kernel_size=3, dilation=2, padding="same"),
        (1, 7, 7),
        (1, 7, 7),
        Work(macs=7 * 7 * 3 * 3, adds=7 * 7),
        id="dilation widens the window, not the work",
    ),
    pytest.param(
        Conv2d(out_channels=1, kernel_size=4, padding=2, bias=False),
        (1, 16, 16),
        (1, 17, 17),
        Work(macs=17 * 17 * 4 * 4),
        id="symmetric padding of an even kernel adds a place",
    ),
    pytest.param(
        Conv2d(out_channels=1, kernel_size=3, stride=2, bias=False),
        (1, 8, 8),
        (1, 3, 3),
        Work(macs=3 * 3 * 3 * 3),
        id="a stride drops the last row",
    ),
    pytest.param(
        Conv2d(out_channels=2, kernel_size=[3, 1], stride=[2, 1], padding=[1, 0], padding_mode="reflect"),
        IMAGE,
        (2, 8, 16),
        Work(macs=2 * 8 * 16 * 4 * 3, adds=2 * 8 * 16),
        id="per axis, reflected border",
    ),
    pytest.param(
        Conv1d(out_channels=8, kernel_size=5, bias=False),
        (4, 36),
        (8, 32),
        Work(macs=8 * 32 * 4 * 5),
        id="conv1d",
    ),
    pytest.param(
        Conv3d(out_channels=4, kernel_size=3, padding="same", bias=False),
        (2, 4, 6, 8),
        (4, 4, 6, 8),
        Work(macs=4 * 4 * 6 * 8 * 2 * 27),
        id="conv3d",
    ),
    pytest.param(
        FoldedConv2d(out_channels=6, kernel_size=3, stride=2, padding=1),
        (5, 4, 8, 9),
        (5, 6, 4, 5),
        Work(macs=5 * 6 * 4 * 5 * 4 * 9, adds=5 * 6 * 4 * 5),
        id="windows",
    ),
    pytest.param(
        FoldedConv2d(out_channels=2, kernel_size=3, padding=1, padding_mode="reflect", bias=False),
        (3, 2, 6, 6),
        (3, 2, 6, 6),
        Work(macs=3 * 2 * 36 * 2 * 9),
        id="a padded copy of each",
    ),
    pytest.param(
        FoldedConv3d(out_channels=8, kernel_size=3, stride=[1, 2, 2], padding=1, groups=8, bias=False),
        (2, 8, 4, 6, 6),
        (2, 8, 4, 3, 3),
        Work(macs=2 * 8 * 4 * 9 * 27),
        id="heads of a video",
    ),
    pytest.param(
        DynamicConv2d(stride=2, padding=1, groups=4),
        [IMAGE, (4, 1, 3, 3)],
        (4, 8, 8),
        Work(macs=4 * 8 * 8 * 9),
        id="dynamic_conv2d: depthwise",
    ),
    pytest.param(
        DynamicConv2d(padding="same", dilation=2),
        [IMAGE, (6, 4, 3, 3)],
        (6, 16, 16),
        Work(macs=6 * 16 * 16 * 4 * 9),
        id="dynamic_conv2d: dense",
    ),
]

REFUSES = [
    pytest.param(
        DynamicConv2d(groups=2),
        [IMAGE, (4, 4, 3, 3)],
        "the weight of `dynamic_conv2d` must be [4, 2, 3, 3], found [4, 4, 3, 3]",
        id="dynamic_conv2d: a weight of other channels",
    ),
    pytest.param(
        StdConv2d(out_channels=8, kernel_size=1, groups=4),
        IMAGE,
        "`std_conv2d` needs more than one weight per output channel to take statistics over, "
        "found `kernel_size` [1, 1] and one channel per group",
        id="a single weight has no variance",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=7),
        (4, 5, 5),
        "the kernel of `conv2d` must not be larger than the padded input, found a kernel spanning 7 and an axis of 5",
        id="kernel larger than the input",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, groups=3),
        IMAGE,
        "`groups` of `conv2d` must divide in_channels, found groups 3 and in_channels 4",
        id="groups and in_channels",
    ),
    pytest.param(
        Conv2d(out_channels=6, kernel_size=3, groups=4),
        IMAGE,
        "`groups` of `conv2d` must divide out_channels, found groups 4 and out_channels 6",
        id="groups and out_channels",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, stride=2, padding="same"),
        IMAGE,
        "`padding: same` of `conv2d` needs stride 1, as in PyTorch, found stride [2, 2]\n"
        "write `padding: 1`, which gives ⌈size / stride⌉",
        id="same padding with a stride",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, stride=0),
        IMAGE,
        "`stride` of `conv2d` must be at least 1, found [0, 0]",
        id="stride 0",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, padding=-1),
        IMAGE,
        "`padding` of `conv2d` must be at least 0, found [-1, -1]",
        id="negative padding",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3),
        (256,),
        "`conv2d` needs an input of 3 dimensions (channels, height, width), found [256]",
        id="flattened input",
    ),
    pytest.param(
        Conv2d(out_channels=8, kernel_size=3, padding=16, padding_mode="reflect"),
        IMAGE,
        "`padding_mode: reflect` of `conv2d` takes a padding of at most 15 on an axis of 16, found 16",
        id="reflection past the far edge",
    ),
    pytest.param(
        FoldedConv2d(out_channels=6, kernel_size=9),
        (5, 4, 8, 8),
        "the kernel of `folded_conv2d` must not be larger than the padded input, "
        "found a kernel spanning 9 and an axis of 8",
        id="a kernel larger than a part",
    ),
]

REFUSES_ALONE = [
    pytest.param(
        DynamicConv2d(),
        [IMAGE, (4, 3, 3)],
        "`dynamic_conv2d` needs features [channels, height, width] and a weight [out_channels, in_channels / groups, "
        "height, width], found `[4, 16, 16]`, `[4, 3, 3]`",
        id="dynamic_conv2d: a weight of three dimensions",
    ),
    pytest.param(
        DynamicConv2d(),
        [(3, 4, 4), (8, 3, 5, 5)],
        "the kernel of `dynamic_conv2d` must not be larger than the padded input, "
        "found a kernel spanning 5 and an axis of 4",
        id="dynamic_conv2d: a kernel larger than the image",
    ),
    pytest.param(
        DynamicConv2d(groups=2),
        [(3, 4, 4), (8, 3, 3, 3)],
        "`groups` of `dynamic_conv2d` must divide in_channels, found groups 2 and in_channels 3",
        id="dynamic_conv2d: groups that do not divide the channels",
    ),
    pytest.param(
        FoldedConv2d(out_channels=6, kernel_size=3),
        (4, 8, 8),
        "`folded_conv2d` needs an input of 4 dimensions, those of `conv2d` after the parts of an example, "
        "found [4, 8, 8]",
        id="no parts",
    ),
]


def test_a_field_says_what_it_takes() -> None:
    with pytest.raises(FieldError) as caught:
        Conv2d(out_channels=8, kernel_size=2.5)
    assert said(caught.value) == "`kernel_size` takes an integer or one per axis (2 axes), found 2.5"


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(FieldError) as caught:
        Conv2d(out_channels=8, kernel=3, kernel_size=3)
    assert (str(caught.value), caught.value.hint) == ("`conv2d` has no field `kernel`", "did you mean `kernel_size`?")


@pytest.mark.parametrize("field", ["out_channels", "kernel_size", "stride", "dilation", "groups"])
def test_every_count_is_at_least_1(field: str) -> None:
    kind = Conv1d(**{"out_channels": 2, "kernel_size": 1, field: 0})
    with pytest.raises(ShapeError) as caught:
        kind.output((2, 9))
    assert said(caught.value).startswith(f"`{field}` of `conv1d` must be at least 1, found ")


def test_padding_on_both_sides_counts_for_a_kernel_that_is_too_large() -> None:
    with pytest.raises(ShapeError) as caught:
        Conv1d(out_channels=2, kernel_size=9, padding=2).output((2, 3))
    assert said(caught.value).endswith("found a kernel spanning 9 and an axis of 7")


def test_valid_is_no_padding() -> None:
    kind, none = (Conv2d(out_channels=2, kernel_size=3, padding=padding) for padding in ("valid", 0))
    shape = (3, 8, 9)
    assert kind.output(shape) == none.output(shape) == (2, 6, 7)
    assert kind.reach(shape) == none.reach(shape) == (EVERYTHING, Window(3), Window(3))
    assert kind.memory(shape, training=True, contiguous=True) == Memory(keeps="inputs")


@pytest.mark.parametrize(("mode", "most"), [("circular", 8), ("reflect", 7)])
def test_a_padding_mode_goes_around_once(mode: str, most: int) -> None:
    def padded(padding: int) -> Shape:
        return Conv1d(out_channels=2, kernel_size=1, padding=padding, padding_mode=mode).output((2, 8))

    assert padded(most) == (2, 8 + 2 * most)
    with pytest.raises(ShapeError):
        padded(most + 1)


@pytest.mark.parametrize(("size", "exact"), [((1, 1), False), ((1, 2), False), ((1, 3), True)])
def test_statistics_of_weights_are_more_than_an_output_of_few_pixels(size: Shape, exact: bool) -> None:
    """A mean, a root and a scaled gain of each channel, all gone before the output is there: of one example."""
    memory = StdConv2d(out_channels=8, kernel_size=1).memory((4, *size), training=False, contiguous=True)
    assert memory.exact == exact


@pytest.mark.torch
def test_a_kernel_of_each_example_or_one_of_all() -> None:
    import torch
    from torch.nn import functional

    kind = DynamicConv2d(padding=1, groups=2)
    module = kind.module(IMAGE, (6, 2, 3, 3))
    features, weight = torch.rand(3, *IMAGE), torch.rand(3, 6, 2, 3, 3)
    assert repr(module) == "Call(dynamic_conv2d, padding=1, groups=2)"
    for number in range(3):
        expected = functional.conv2d(features[number][None], weight[number], padding=1, groups=2)[0]
        torch.testing.assert_close(module(features, weight)[number], expected)
    expected = functional.conv2d(features, weight[0], padding=1, groups=2)
    for shared in (weight[:1], weight[0]):  # computed of a parameter, and a parameter itself
        torch.testing.assert_close(module(features, shared), expected)


@pytest.mark.torch
def test_a_kernel_without_a_batch_is_one_of_all() -> None:
    """As of a buffer, which the built module has without a batch."""
    import torch
    from torch.nn import functional

    features, weight = torch.rand(3, *IMAGE), torch.rand(6, 2, 3, 3)
    made = DynamicConv2d(stride=2, groups=2).module(IMAGE, (6, 2, 3, 3))(features, weight)
    torch.testing.assert_close(made, functional.conv2d(features, weight, stride=2, groups=2))


@pytest.mark.torch
def test_source_with_a_kernel_that_all_examples_share_runs() -> None:
    import torch

    steps = """
- dynamic_conv2d: {features: [], weight: [{buffer: {shape: [4, 1, 3, 3]}}]}
  groups: 4
"""
    names: dict[str, Any] = {}
    exec(pytorch.text(graph(network(steps, "[4, 8, 8]"))), names)
    assert names["Net"]()(torch.rand(2, 4, 8, 8)).shape == (2, 4, 6, 6)
