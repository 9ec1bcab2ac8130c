"""The converter's rules: what a rule is about is in its name, what the converter does in its docstring.

`RULES` at the end has them in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cnnprof.kinds.conv import Conv
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.pool import Pool
from cnnprof.model.deployed import COPY
from cnnprof.model.kind import Shape
from cnnprof.model.window import Window, same_sides
from cnnprof.rewrites.converter.network import Network, Step, not_known
from cnnprof.rewrites.converter.operators import OPERATORS

WEIGHTED = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")
TAKES_ACTIVATION = (
    *WEIGHTED, "add", "sub", "mul", "div", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "ADD", "MUL",
)  # fmt: skip
"""What may apply a ReLU or ReLU6 before it writes: layers, and what batch norm became."""
ELEMENTWISE = (
    "relu", "relu6", "tanh", "sigmoid", "hardswish", "leaky_relu", "silu", "gelu", "elu", "hardsigmoid", "softplus",
)  # fmt: skip


def dropout_vanishes(network: Network) -> None:
    """Dropout, identities and padding by nothing are no operators."""
    for step in network.steps():
        if "dropout" in step.name or step.name == "identity" or (isinstance(step.kind, Pad) and not any(step.kind.pad)):
            network.bypass(step)


def global_pooling_flattens(network: Network) -> None:
    """Global average or maximum pooling with a flatten after it is one reduction that drops the axes."""
    for step in network.steps("flatten"):
        pool = network.only_maker(step)
        if pool and pool.name.startswith("adaptive_") and prod(network.shapes[pool.makes][1:]) == 1:
            network.absorb(pool, step)


def elementwise_goes_before_flatten(network: Network) -> None:
    """A function of single values after a flatten moves before it, where a convolution may take it."""
    for step in reversed(network.steps("flatten")):
        while (reader := network.only_reader(step)) and reader.name in ELEMENTWISE:
            source, end = step.reads[0], reader.makes
            between = network.tensor(network.shapes[source], reader.path)
            moved = Step(reader.path, reader.kind, [source], between, step.order)
            flat = Step(step.path, step.kind, [between], end, reader.order)
            network.remove(reader)
            network.remove(step)
            network.insert(moved)
            network.insert(flat)
            step = flat


def flatten_before_linear_vanishes(network: Network) -> None:
    """A flatten that has nothing to do is none; one of a single pixel is none before linear layers."""
    for step in network.steps("flatten"):
        read = network.shapes[step.reads[0]]
        readers = network.readers(step.makes)
        linear = bool(readers) and all(reader.name == "linear" for reader in readers)
        alone = linear and step.makes not in network.outputs and prod(read[1:]) == 1
        if len(network.shapes[step.makes]) == 1 and (len(read) == 1 or alone):
            network.bypass(step)


def batch_norm_folds(network: Network) -> None:
    """Batch norm folds into the convolution or linear layer before it, where that has no other reader, or, where it
    normalises features, into a linear layer after it; otherwise it is a product and a sum."""
    for step in network.steps("batch_norm"):
        before, follower = network.only_maker(step), network.only_reader(step)
        features = len(network.shapes[step.makes]) == 1
        if before and before.name in WEIGHTED and (features or before.name != "linear"):
            before.bias = True
            network.absorb(before, step)
        elif follower and follower.name == "linear" and features:
            follower.bias = True
            network.bypass(step)
        else:
            channels = network.channels(step.makes)
            for each in network.chain(step, ["MUL", "ADD"]):
                each.weights = (channels,)


def hardsigmoid_is_a_sum_and_a_product(network: Network) -> None:
    """hardsigmoid is relu6(x + 3) and a product; the sum goes into the bias of a convolution or linear layer."""
    for step in network.steps("hardsigmoid"):
        before = network.only_maker(step)
        words = ["ADD", "MUL"]
        if before and before.name in WEIGHTED and not before.activated:
            before.bias = before.activated = True
            words = ["MUL"]
        for each in network.chain(step, words):
            each.weights = ()
            each.activated = each.word == "ADD"


def activation_fuses(network: Network) -> None:
    """ReLU and ReLU6 are part of what they follow, where that can and nothing else reads it."""
    for step in network.steps("relu", "relu6"):
        before = network.only_maker(step)
        if before and before.name in TAKES_ACTIVATION and not before.activated:
            before.activated = True
            network.absorb(before, step)


def activation_is_several(network: Network) -> None:
    """SiLU is a sigmoid and a product; softplus an exponential, a sum, a logarithm; ELU leaves int8 and comes back."""
    for step in network.steps("silu"):
        source = step.reads[0]
        _, product = network.chain(step, ["LOGISTIC", "MUL"])
        network.reread(product, [source, *product.reads])
    for step in network.steps("softplus"):
        network.chain(step, ["EXP", "ADD", "LOG"])[1].weights = ()
    for step in network.steps("elu"):
        first, middle, _ = network.chain(step, ["DEQUANTIZE", "ELU", "QUANTIZE"])
        network.floats.update((first.makes, middle.makes))


def several_terms_are_taken_two_at_a_time(network: Network) -> None:
    """A sum or product of n is n − 1 operators, from left to right."""
    for step in network.steps("add", "mul"):
        while len(step.reads) > 2:
            first, second, *rest = step.reads
            shape = tuple(map(max, network.shapes[first], network.shapes[second]))
            made = Step(
                step.path, step.kind, [first, second], network.tensor(shape, step.path), (step.order[0], -len(rest))
            )
            network.insert(made)
            network.reread(step, [made.makes, *rest])


def padding_is_absorbed(network: Network) -> None:
    """Zeros around an image are part of the convolutions that read them where they are what SAME adds; a `pad` that
    others read stays for those."""
    for step in network.steps("pad"):
        if not isinstance(step.kind, Pad) or step.kind.mode != "constant" or step.kind.value:
            continue
        image = network.shapes[step.reads[0]]
        sides = _sides(step.kind, len(image))
        if any(sides[0]) or min(min(pair) for pair in sides) < 0:
            continue
        for reader in network.readers(step.makes):
            kind = reader.kind
            if not isinstance(kind, Conv) or kind.padding_mode != "zeros" or kind.padding == "same":
                continue
            if kind.padding != "valid" and any(kind.padding):
                continue
            if [left for left, _ in sides[1:]] == _same(kind, image, network.shapes[reader.makes]):
                network.reread(reader, step.reads)
                reader.padded = True
        if not network.readers(step.makes) and step.makes not in network.outputs:
            network.remove(step)


def padding_stands_alone(network: Network) -> None:
    """Padding that is not what SAME adds is an operator of its own."""
    for step in network.steps():
        kind = step.kind
        if step.padded or not isinstance(kind, Conv | Pool) or step.word:
            continue
        image, made = network.shapes[step.reads[0]], network.shapes[step.makes]
        windows = _windows(kind, image)
        left = [int(window.padding) for window in windows]
        if left == _same(kind, image, made) and getattr(kind, "padding_mode", "zeros") == "zeros":
            continue
        right = [
            int((out - 1) * window.stride + window.extent) - size - before
            for size, out, before, window in zip(image[1:], made[1:], left, windows, strict=True)
        ]
        if not any(left) and max(right) <= 0:
            continue
        if isinstance(kind, Conv):
            if kind.padding_mode not in ("zeros", "reflect"):
                raise not_known(step, f" with `padding_mode: {kind.padding_mode}`")
            word = "PAD" if kind.padding_mode == "zeros" else "MIRROR_PAD"
        elif kind.word.startswith("max"):
            word = "PADV2"
        elif getattr(kind, "count_include_pad", False) and not kind.ceil_mode:
            word = "PAD"
        else:
            raise not_known(step, " whose windows hang over the image otherwise than TensorFlow's do")
        # As the layer says it: on both sides, and what `ceil_mode` adds.
        sizes = [size + before + max(before, after) for size, before, after in zip(image[1:], left, right, strict=True)]
        made_before = network.before(step, word, (image[0], *sizes))
        made_before.behind.append((max(4, len(image) + 1), 2))  # a sequence is read as an image of one row
        made_before.weights = () if word == "PADV2" else None  # what it pads with
        copy = network.names[made_before.makes] = COPY + step.path
        as_large = [-(-size // window.stride) for size, window in zip(image[1:], windows, strict=True)]
        if isinstance(kind, Conv) and word == "PAD" and as_large == list(made[1:]):  # SAME makes no other size
            network.avoidable.add(copy)


def sequences_are_images(network: Network) -> None:
    """What slides over a sequence slides over an image of one row: a reshape comes before the first such operator and
    after the last; what computes each position from itself goes along."""
    windows = ("conv1d", "max_pool1d", "avg_pool1d", "PAD", "PADV2", "MIRROR_PAD")
    along = (*ELEMENTWISE, "RELU", "RELU6", "add", "sub", "mul", "MUL", "ADD", "LOGISTIC", "prelu", "concat")
    lifted = network.lifted
    for step in network.steps():
        if len(network.shapes[step.makes]) != 2:
            continue
        if step.name in windows and step.reads[0] not in lifted:
            made = network.before(step, "RESHAPE", network.shapes[step.reads[0]])
            made.behind.append((4,))
            lifted.add(made.makes)
        if step.name in windows or (step.name in along and all(tensor in lifted for tensor in step.reads)):
            lifted.add(step.makes)
    for tensor in [each for each in lifted if network.maker(each)]:
        flat = [reader for reader in network.readers(tensor) if not _takes_rows(reader, lifted)]
        if not flat and tensor not in network.outputs:
            continue
        maker = network.maker(tensor)
        assert maker is not None
        step = Step(maker.path, None, [tensor], network.tensor(network.shapes[tensor], maker.path), (maker.order[0], 1))
        step.word, step.behind = "RESHAPE", [(3,)]
        for reader in flat:
            network.reread(reader, [step.makes if each == tensor else each for each in reader.reads])
        network.outputs = [step.makes if each == tensor else each for each in network.outputs]
        network.insert(step)


def _takes_rows(step: Step, lifted: set[int]) -> bool:
    """Whether a step reads a sequence as an image of one row."""
    return step.makes in lifted or step.name in ("flatten", "reshape")


def layers_are_operators(network: Network) -> None:
    """Every layer that is left is one operator, or a few."""
    for step in network.steps():
        if not step.word:
            rule = OPERATORS.get(step.name)
            if rule is None:
                raise not_known(step)
            rule(network, step)


# Padding.


def _windows(kind: Conv | Pool, image: Shape) -> list[Window]:
    """What slides over each axis."""
    reach = kind.reach(image)
    assert isinstance(reach, tuple)
    return [window for window in reach[1:] if isinstance(window, Window)]


def _same(kind: Conv | Pool, image: Shape, made: Shape) -> list[int] | None:
    """What SAME adds before each axis; None where it makes another size."""
    found = []
    for size, out, window in zip(image[1:], made[1:], _windows(kind, image), strict=True):
        windows, left, _ = same_sides(size, int(window.extent), int(window.stride), 1)
        if windows != out:
            return None
        found.append(left)
    # An average over padding counts it with PyTorch unless told otherwise, and never with TensorFlow.
    if any(found) and getattr(kind, "count_include_pad", False):
        return None
    return found


def _sides(pad: Pad, rank: int) -> list[tuple[int, int]]:
    """(before, behind) of each dimension that a step pads."""
    pairs = list(zip(pad.pad[::2], pad.pad[1::2], strict=True))[::-1]
    return [(0, 0)] * (rank - len(pairs)) + pairs


RULES: tuple[Callable[[Network], None], ...] = (
    dropout_vanishes,
    global_pooling_flattens,
    elementwise_goes_before_flatten,
    flatten_before_linear_vanishes,
    batch_norm_folds,
    hardsigmoid_is_a_sum_and_a_product,
    activation_fuses,
    activation_is_several,
    several_terms_are_taken_two_at_a_time,
    padding_is_absorbed,
    padding_stands_alone,
    sequences_are_images,
    layers_are_operators,
)
