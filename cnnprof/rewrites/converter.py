"""What a converter makes of a network: the operators and tensors of its integer TensorFlow Lite file.

A graph is turned into operators by rules, each a function below, applied in the order of `RULES`. They are what
TensorFlow's own converter was seen to do (2.21, a batch of one): with full integer quantisation to int8, and with int16
activations and int8 weights, which have the same operators. Tests compare them with its files. Where a file may differ
from what a rule makes, the network gets a note, and its figures are estimates. What no rule knows is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal, TypeAlias

from cnnprof.errors import brief, printable
from cnnprof.kinds.conv import Conv
from cnnprof.kinds.conv_transpose import ConvTranspose
from cnnprof.kinds.pad import Pad
from cnnprof.kinds.pool import Pool
from cnnprof.model.deployed import Deployed, DeployedTensor, NotPlanned, Operator
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape
from cnnprof.model.window import Window, same_sides


class Step:
    """A step on its way to an operator: a layer, until a rule gives it the operator's word.

    reads, makes: numbers of tensors. order: the layer's number, then where among the steps that come of the layer: 0 is
        the layer itself, less is before it.
    weights: shape of its quantised constant, as it is stored. bias: whether it has one per output channel.
    before, behind: shapes of int32 constants that it reads before its tensors, and after them.
    activated: whether an activation is part of it. padded: whether its padding is decided.
    """

    __slots__ = (
        "activated", "before", "behind", "bias", "kind", "makes", "order", "padded", "path", "reads", "weights", "word",
    )  # fmt: skip

    def __init__(self, path: str, kind: Kind | None, reads: Sequence[int], makes: int, order: tuple[int, ...]) -> None:
        self.path = path
        self.kind = kind
        self.reads = list(reads)
        self.makes = makes
        self.order = order
        self.word = ""
        self.weights: Shape | None = None
        self.bias = False
        self.before: list[Shape] = []
        self.behind: list[Shape] = []
        self.activated = False
        self.padded = False

    @property
    def name(self) -> str:
        """The word of the layer, or of the operator that it has become."""
        return self.word or (self.kind.word if self.kind else "")


class Network:
    """The steps of a network and the shapes of its tensors: one example, channels first."""

    def __init__(self, graph: Graph) -> None:
        first = len(graph.inputs)
        self.shapes = dict(enumerate(graph.shapes()))
        self.names = {tensor: graph.tensor_name(tensor) for tensor in self.shapes}
        self.inputs = tuple(range(first))
        self.outputs = [output.tensor for output in graph.outputs if output.executed]
        self.floats: set[int] = set()
        """Tensors that stay in float32."""
        self.lifted: set[int] = set()
        """Tensors of a sequence that are stored as an image of one row."""
        self.notes: dict[str, None] = {}
        self._steps: dict[Step, None] = {}
        self._readers: dict[int, dict[Step, None]] = {}
        self._makers: dict[int, Step] = {}
        for number, layer in enumerate(graph.layers):
            if layer.executed:
                step = Step(layer.path, layer.kind, layer.inputs, first + number, (number, 0))
                if layer.inputs and not layer.batched:  # a converter computes it, or leaves it to the device
                    raise _refused(step, " of parameters alone")
                self._insert(step)

    def steps(self, *names: str) -> list[Step]:
        """The steps in order: all, or those of some words."""
        found = (step for step in self._steps if not names or step.name in names)
        return sorted(found, key=lambda step: step.order)

    def readers(self, tensor: int) -> list[Step]:
        """The steps that read a tensor."""
        return list(self._readers.get(tensor, ()))

    def maker(self, tensor: int) -> Step | None:
        """The step that makes a tensor; None for an input."""
        return self._makers.get(tensor)

    def only_maker(self, step: Step) -> Step | None:
        """The step before one, where nothing else reads what it makes."""
        tensor = step.reads[0]
        alone = len(self._readers[tensor]) == 1 and tensor not in self.outputs
        return self.maker(tensor) if alone else None

    def only_reader(self, step: Step) -> Step | None:
        """The step behind one, where nothing else reads what that makes."""
        readers = self.readers(step.makes)
        return readers[0] if len(readers) == 1 and step.makes not in self.outputs else None

    def channels(self, tensor: int) -> int:
        """Channels of a tensor."""
        return self.shapes[tensor][0]

    # What rules do.

    def tensor(self, shape: Shape, name: str) -> int:
        """A new tensor."""
        number = len(self.shapes)
        self.shapes[number], self.names[number] = shape, name
        return number

    def note(self, text: str) -> None:
        """Says why a real file may differ."""
        self.notes[text] = None

    def bypass(self, step: Step) -> None:
        """Takes a step out: who reads what it makes reads its first input instead."""
        self._remove(step)
        old, new = step.makes, step.reads[0]
        for reader in self.readers(old):
            self.reread(reader, [new if tensor == old else tensor for tensor in reader.reads])
        self.outputs = [new if tensor == old else tensor for tensor in self.outputs]

    def absorb(self, before: Step, step: Step) -> None:
        """Takes a step out that the one before it does as well."""
        self._remove(step)
        before.makes = step.makes
        self._makers[step.makes] = before

    def reread(self, step: Step, reads: Sequence[int]) -> None:
        """Makes a step read other tensors."""
        self._remove(step)
        step.reads = list(reads)
        self._insert(step)

    def chain(self, step: Step, words: Sequence[str], shapes: Sequence[Shape] = ()) -> list[Step]:
        """Puts steps one after the other in place of a step. shapes: of what they make, but for the last; as what the
        step reads where there are none."""
        self._remove(step)
        tensor = step.reads[0]
        made = []
        for number, word in enumerate(words):
            own = step.makes
            if number < len(words) - 1:
                own = self.tensor(shapes[number] if shapes else self.shapes[step.reads[0]], step.path)
            made.append(Step(step.path, None, [tensor], own, (*step.order, number)))
            made[-1].word = word
            self._insert(made[-1])
            tensor = own
        return made

    def before(self, step: Step, word: str, shape: Shape, position: int = 0) -> Step:
        """Puts a step before another, on the way of one of the tensors that it reads."""
        made = Step(
            step.path,
            None,
            [step.reads[position]],
            self.tensor(shape, step.path),
            (step.order[0], step.order[1] - 1, position),
        )
        made.word = word
        self._insert(made)
        self.reread(step, [*step.reads[:position], made.makes, *step.reads[position + 1 :]])
        return made

    def _insert(self, step: Step) -> None:
        self._steps[step] = None
        self._makers[step.makes] = step
        for tensor in step.reads:
            self._readers.setdefault(tensor, {})[step] = None

    def _remove(self, step: Step) -> None:
        del self._steps[step]
        self._makers.pop(step.makes, None)
        for tensor in set(step.reads):
            del self._readers[tensor][step]


Activations: TypeAlias = Literal["INT8", "INT16"]


def convert(graph: Graph, dtype: Activations = "INT8") -> Deployed:
    """The integer network that a converter makes of a graph. dtype: of activations; weights are INT8.

    Raises NotPlanned for a layer that no rule knows, and for one that there is none of in that type.
    """
    network = Network(graph)
    for rule in RULES:
        rule(network)
    if dtype == "INT16":
        _refuse_in_int16(network)
    return _emitted(network, dtype)


NOT_IN_INT16 = {
    **dict.fromkeys(
        ("DEPTH_TO_SPACE", "ELU", "HARD_SWISH", "LOG_SOFTMAX", "PRELU", "SPACE_TO_DEPTH"),
        "TensorFlow's converter has none with int16 activations",
    ),
    "PADV2": "TensorFlow Lite Micro has no int16 kernel of it",
}
"""Operators of int8 networks that were seen to be missing from int16 ones, and where."""


def _refuse_in_int16(network: Network) -> None:
    """Raises NotPlanned for an operator that int16 networks do not have."""
    for step in network.steps():
        if step.word in NOT_IN_INT16:
            raise NotPlanned(
                f"there is no {step.word} in int16: {NOT_IN_INT16[step.word]} (the layer "
                f"`{brief(printable(step.path))}`); see `--with int8`"
            )


# Rules. What a rule is about is in its name; its docstring says what the converter does.

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
            network._remove(reader)
            network._remove(step)
            network._insert(moved)
            network._insert(flat)
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
            network._insert(made)
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
            network._remove(step)


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
                raise _refused(step, f" with `padding_mode: {kind.padding_mode}`")
            word = "PAD" if kind.padding_mode == "zeros" else "MIRROR_PAD"
        elif kind.word.startswith("max"):
            word = "PADV2"
        elif getattr(kind, "count_include_pad", False) and not kind.ceil_mode:
            word = "PAD"
        else:
            raise _refused(step, " whose windows hang over the image otherwise than TensorFlow's do")
        # As the layer says it: on both sides, and what `ceil_mode` adds.
        sizes = [size + before + max(before, after) for size, before, after in zip(image[1:], left, right, strict=True)]
        made_before = network.before(step, word, (image[0], *sizes))
        made_before.behind.append((max(4, len(image) + 1), 2))  # a sequence is read as an image of one row
        made_before.weights = () if word == "PADV2" else None  # what it pads with


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
        network._insert(step)


def _takes_rows(step: Step, lifted: set[int]) -> bool:
    """Whether a step reads a sequence as an image of one row."""
    return step.makes in lifted or step.name in ("flatten", "reshape")


def layers_are_operators(network: Network) -> None:
    """Every layer that is left is one operator, or a few."""
    for step in network.steps():
        if not step.word:
            rule = OPERATORS.get(step.name)
            if rule is None:
                raise _refused(step)
            rule(network, step)


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


def _refused(step: Step, more: str = "") -> NotPlanned:
    """The refusal of a layer."""
    return NotPlanned(
        f"what a converter makes of `{step.name}`{more} is not known (the layer `{brief(printable(step.path))}`); "
        f"convert the network and give the .tflite file"
    )


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


# Layers that are one operator, or a few.


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
        raise _refused(step, " with `groups` or `dilation`")
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
            raise _refused(step, " with an `output_padding` that SAME does not give")
        # What SAME does not cut off is cut off behind.
        cut = Step(step.path, None, [step.makes], step.makes, (step.order[0], 1))
        full = network.tensor((made[0], *whole), step.path)
        network._remove(step)
        step.makes = full
        network._insert(step)
        cut.reads, cut.word = [full], "STRIDED_SLICE"
        cut.behind = [(len(made) + 1,)] * 3
        network._insert(cut)
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
        raise _refused(step, f" from {list(image[1:])} to {list(made[1:])}")


def _interpolate(network: Network, step: Step) -> None:
    mode = getattr(step.kind, "mode", "")
    if mode not in ("nearest", "bilinear") or len(network.shapes[step.makes]) != 3:
        raise _refused(step, f" with `mode: {mode}`")
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
        raise _refused(step, f" with `mode: {step.kind.mode}` and these counts")
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
            raise _refused(step, f" with `dim: {dim}`")
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


# The network as a file has it.


def _emitted(network: Network, dtype: Activations) -> Deployed:
    """Tensors in the order of a file: inputs, constants, then what operators make."""
    steps = network.steps()
    tensors = [
        DeployedTensor(network.names[number], _stored(network, number), dtype, scales=1) for number in network.inputs
    ]
    numbers = {number: number for number in network.inputs}
    constants: dict[Step, tuple[list[int], list[int]]] = {}
    for step in steps:
        if step.name == "parameter":
            numbers[step.makes] = len(tensors)
            tensors.append(DeployedTensor(step.path, _stored(network, step.makes), dtype, True, scales=1))
            continue
        held: tuple[list[int], list[int]] = ([], [])
        for place, shapes in ((0, step.before), (1, step.behind)):
            for shape in shapes:
                held[place].append(len(tensors))
                tensors.append(DeployedTensor(f"{step.path}.constant", shape, "INT32", True))
        constants[step] = held
        _add_weights(step, tensors, held, dtype)
    operators = []
    for step in steps:
        if step not in constants:
            continue
        numbers[step.makes] = len(tensors)
        made = "FLOAT32" if step.makes in network.floats else dtype
        tensors.append(
            DeployedTensor(network.names[step.makes], _stored(network, step.makes), made, scales=made == dtype)
        )
        first, last = constants[step]
        read = [numbers[tensor] for tensor in step.reads]
        # A transposed convolution reads its shape, its weights, its image, its bias.
        inputs = (*first, last[0], *read, *last[1:]) if step.word == "TRANSPOSE_CONV" else (*first, *read, *last)
        operators.append(Operator(step.word, inputs, (numbers[step.makes],), step.path))
    outputs = tuple(dict.fromkeys(numbers[tensor] for tensor in network.outputs))
    return Deployed(tuple(tensors), tuple(operators), network.inputs, outputs, tuple(network.notes))


SUMS = {"INT8": "INT32", "INT16": "INT64"}
"""The type of biases, which sums of products fit into."""


def _add_weights(
    step: Step, tensors: list[DeployedTensor], held: tuple[list[int], list[int]], dtype: Activations
) -> None:
    """Adds the quantised constants of a step: weights, and a bias per output channel."""
    if step.weights is None:
        return
    channels, stored = 1, str(dtype)  # what is added to or multiplied with activations is stored like them
    if step.word in ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "DEPTHWISE_CONV_2D"):
        channels = step.weights[-1] if step.word == "DEPTHWISE_CONV_2D" else step.weights[0]
        stored = "INT8"
    held[1].append(len(tensors))
    tensors.append(DeployedTensor(f"{step.path}.weight", step.weights, stored, True, scales=channels))
    if step.bias:
        held[1].append(len(tensors))
        tensors.append(DeployedTensor(f"{step.path}.bias", (channels,), SUMS[dtype], True, scales=channels))


def _stored(network: Network, tensor: int) -> Shape:
    """A tensor as the device stores it: with a batch of one, channels last."""
    channels, *sizes = network.shapes[tensor]
    return (1, *([1] if tensor in network.lifted else []), *sizes, channels)
