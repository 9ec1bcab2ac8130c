"""The layers that are one operator, or a few, each by its word."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cnnprof.kinds.conv import Conv
from cnnprof.kinds.conv_transpose import ConvTranspose
from cnnprof.kinds.pad import Pad
from cnnprof.rewrites.converter.network import Network, Step, not_known


def _conv(network: Network, step: Step) -> None:
    kind = step.kind
    assert isinstance(kind, Conv)
    channels = network.channels(step.reads[0])
    kernel = kind.kernel_size if len(kind.kernel_size) == 2 else (1, *kind.kernel_size)
    depthwise = kind.groups == channels > 1
    step.word = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    first, last = (1, kind.out_channels) if depthwise else (kind.out_channels, channels // kind.groups)
    step.weights = (first, *kernel, last)
    step.bias = step.bias or kind.bias


def _conv_transpose(network: Network, step: Step) -> None:
    kind = step.kind
    assert isinstance(kind, ConvTranspose)
    image, made = network.shapes[step.reads[0]], network.shapes[step.makes]
    if kind.groups != 1 or any(each != 1 for each in kind.dilation):
        raise not_known(step, " with `groups` or `dilation`")
    whole = [
        (size - 1) * stride + kernel
        for size, stride, kernel in zip(image[1:], kind.stride, kind.kernel_size, strict=True)
    ]
    same = all(
        out == size * stride and cut == max(0, full - out) // 2
        for size, out, stride, cut, full in zip(image[1:], made[1:], kind.stride, kind.padding, whole, strict=True)
    )
    if not same and tuple(whole) != made[1:]:
        if any(kind.output_padding):
            raise not_known(step, " with an `output_padding` that SAME does not give")
        # What SAME does not cut off is cut off behind.
        cut = Step(step.path, None, [step.makes], step.makes, (step.order[0], 1))
        full = network.tensor((made[0], *whole), step.path)
        network.remove(step)
        step.makes = full
        network.insert(step)
        cut.reads, cut.word = [full], "STRIDED_SLICE"
        cut.behind = [(len(made) + 1,)] * 3
        network.insert(cut)
    step.word = "TRANSPOSE_CONV"
    step.weights = (kind.out_channels, *kind.kernel_size, image[0])
    step.bias = step.bias or kind.bias
    step.before = [(len(made) + 1,)]


def _linear(network: Network, step: Step) -> None:
    step.word = "FULLY_CONNECTED"
    kind = step.kind
    assert kind is not None
    read = network.shapes[step.reads[0]]
    step.weights = kind.weights(read)["weight"]
    if prod(read[1:]) == 1:  # a flatten vanished before it
        step.weights = (step.weights[0], network.channels(step.reads[0]))
    elif len(read) > 2:
        network.note("a `linear` along rows of an image may need a TRANSPOSE, since the device stores channels last")
    step.bias = step.bias or bool(getattr(kind, "bias", False))


def _adaptive(network: Network, step: Step) -> None:
    image, made = network.shapes[step.reads[0]], network.shapes[step.makes]
    average = step.name.startswith("adaptive_avg")
    if prod(made[1:]) == 1:
        step.word = "MEAN" if average else "REDUCE_MAX"
        step.behind = [(len(image) - 1,)] if len(image) > 2 else [()]
    elif len(image) == 3 and all(size % out == 0 for size, out in zip(image[1:], made[1:], strict=True)):
        step.word = "AVERAGE_POOL_2D" if average else "MAX_POOL_2D"
    else:
        raise not_known(step, f" from {list(image[1:])} to {list(made[1:])}")


def _interpolate(network: Network, step: Step) -> None:
    mode = getattr(step.kind, "mode", "")
    if mode not in ("nearest", "bilinear") or len(network.shapes[step.makes]) != 3:
        raise not_known(step, f" with `mode: {mode}`")
    if mode == "nearest":
        network.note("`interpolate` with `mode: nearest` may be reshapes and tiles instead of RESIZE_NEAREST_NEIGHBOR")
    step.word = "RESIZE_BILINEAR" if mode == "bilinear" else "RESIZE_NEAREST_NEIGHBOR"
    step.behind = [(2,)]


def _concat(network: Network, step: Step) -> None:
    step.word = "CONCATENATION"
    network.note("branches of `concat` may be quantised again before it, which depends on their values")


def _permute(network: Network, step: Step) -> None:
    rank = len(network.shapes[step.makes])
    network.note("a `permute` may vanish, since the device stores channels last")
    step.word, step.behind = "TRANSPOSE", [(rank + 1,)]


def _channel_shuffle(network: Network, step: Step) -> None:
    groups = getattr(step.kind, "groups", 1)
    channels, *sizes = network.shapes[step.makes]
    parted, swapped = (channels // groups, *sizes, groups), (groups, *sizes, channels // groups)
    for each in network.chain(step, ["RESHAPE", "TRANSPOSE", "RESHAPE"], [parted, swapped]):
        each.behind = [(len(sizes) + 3 if each.makes != step.makes else len(sizes) + 2,)]


def _prelu(network: Network, step: Step) -> None:
    step.word = "PRELU"
    step.weights = (1,) * (len(network.shapes[step.makes]) - 1) + (network.channels(step.makes),)


def _pad_alone(network: Network, step: Step) -> None:
    assert isinstance(step.kind, Pad)
    if step.kind.mode == "constant" and max(step.kind.pad) <= 0:
        _slice(network, step)
        return
    if step.kind.mode not in ("constant", "reflect") or min(step.kind.pad) < 0:
        raise not_known(step, f" with `mode: {step.kind.mode}` and these counts")
    step.word = "MIRROR_PAD" if step.kind.mode == "reflect" else "PADV2" if step.kind.value else "PAD"
    step.behind = [(len(network.shapes[step.makes]) + 1, 2)]
    step.weights = () if step.word == "PADV2" else None  # what it pads with


def _is(word: str) -> Callable[[Network, Step], None]:
    """One operator."""

    def rule(network: Network, step: Step) -> None:
        step.word = word

    return rule


def _along_channels(word: str) -> Callable[[Network, Step], None]:
    """One operator along the channels, which the device stores last."""

    def rule(network: Network, step: Step) -> None:
        shape, dim = network.shapes[step.makes], getattr(step.kind, "dim", 1)
        if step.kind is None or step.kind.dimension(dim, shape) != 0:
            raise not_known(step, f" with `dim: {dim}`")
        step.word = word

    return rule


def _reshape(network: Network, step: Step) -> None:
    if len(network.shapes[step.makes]) != 1:
        network.note(f"a `{step.name}` may need a TRANSPOSE before it, since the device stores channels last")
    step.word, step.behind = "RESHAPE", [(len(network.shapes[step.makes]) + 1,)]


def _slice(network: Network, step: Step) -> None:
    step.word = "STRIDED_SLICE"
    step.behind = [(len(network.shapes[step.makes]) + 1,)] * 3


OPERATORS: dict[str, Callable[[Network, Step], None]] = {
    "conv1d": _conv,
    "conv2d": _conv,
    "conv_transpose2d": _conv_transpose,
    "linear": _linear,
    "max_pool1d": _is("MAX_POOL_2D"),
    "max_pool2d": _is("MAX_POOL_2D"),
    "avg_pool1d": _is("AVERAGE_POOL_2D"),
    "avg_pool2d": _is("AVERAGE_POOL_2D"),
    "adaptive_avg_pool1d": _adaptive,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool1d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "interpolate": _interpolate,
    "concat": _concat,
    "permute": _permute,
    "channel_shuffle": _channel_shuffle,
    "prelu": _prelu,
    "pad": _pad_alone,
    "flatten": _reshape,
    "reshape": _reshape,
    "slice": _slice,
    "center_crop": _slice,
    "pixel_shuffle": _is("DEPTH_TO_SPACE"),
    "pixel_unshuffle": _is("SPACE_TO_DEPTH"),
    "add": _is("ADD"),
    "sub": _is("SUB"),
    "mul": _is("MUL"),
    "div": _is("DIV"),
    "maximum": _is("MAXIMUM"),
    "minimum": _is("MINIMUM"),
    "relu": _is("RELU"),
    "relu6": _is("RELU6"),
    "leaky_relu": _is("LEAKY_RELU"),
    "gelu": _is("GELU"),
    "hardswish": _is("HARD_SWISH"),
    "sigmoid": _is("LOGISTIC"),
    "tanh": _is("TANH"),
    "softmax": _along_channels("SOFTMAX"),
    "log_softmax": _along_channels("LOG_SOFTMAX"),
    "parameter": _is(""),
}
