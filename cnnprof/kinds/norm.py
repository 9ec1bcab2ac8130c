"""Normalisation by mean and variance: of a channel, a group of channels, or the last dimensions."""

from collections.abc import Sequence
from math import prod
from typing import ClassVar

from cnnprof.errors import ShapeError
from cnnprof.model.kind import (
    EVERYTHING,
    SAME_PLACE,
    Code,
    IntList,
    Keeps,
    Kind,
    Memory,
    Reach,
    Shape,
    Tensor,
    Work,
    show,
)
from cnnprof.model.parts import InParts


def by_own_statistics(values: int, group: int, scale: bool, shift: bool) -> Work:
    """Normalising `values` by the statistics of each group of `group` values, computed from them.

    Per group of n values: mean n − 1 adds, 1 divide; variance n adds (differences), n multiplies, n − 1 adds,
    1 divide; 1 / √(variance + eps) 1 add, 1 root, 1 divide. Per value 1 multiply; scale 1 multiply, shift 1 add.
    """
    groups = values // group
    mean = group - 1
    variance = group + group - 1
    return Work(
        adds=groups * (mean + variance + 1) + (values if shift else 0),
        multiplies=groups * group + values + (values if scale else 0),
        divides=groups * 3,
        roots=groups,
    )


class Norm(Kind):
    """
    Shape:
        any shape → the same shape
    FLOPs:
        per group of n values: mean n − 1 adds, 1 divide; variance n adds (differences), n multiplies, n − 1 adds,
        1 divide; then 1 add (eps), 1 root, 1 divide; per output 1 multiply, weight 1 multiply, bias 1 add
    """

    role = "norm"

    def _weight_and_bias(self, shape: Shape, affine: bool, bias: bool) -> dict[str, Shape]:
        named = {"weight": shape} if affine else {}
        return named | {"bias": shape} if affine and bias else named


class ChannelNorm(Norm):
    """
    Fields:
        eps: added to the variance
        momentum: weight of the newest value in the running averages; null averages all values alike
        affine: whether a weight and a bias are learned per channel
        track_running_stats: whether running averages are kept and used in evaluation
        bias: whether the bias is learned (where affine; false needs a recent PyTorch)
    Weights:
        weight (channels); bias (channels); buffers running_mean (channels), running_var (channels) and
        num_batches_tracked
    FLOPs:
        by running averages (in evaluation, where they are tracked) 1 multiply and 1 add per output; otherwise, counted
        over one example, per channel of n values: mean n − 1 adds, 1 divide; variance n adds (differences),
        n multiplies, n − 1 adds, 1 divide; then 1 add (eps), 1 root, 1 divide; per output 1 multiply, weight
        1 multiply, bias 1 add; updating the averages is not counted
    """

    ranks: ClassVar[tuple[int, ...]]
    inferred = ("num_features",)

    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track_running_stats: bool = True
    bias: bool = True

    def output(self, *inputs: Shape) -> Shape:
        if len(inputs[0]) not in self.ranks:
            raise ShapeError(
                f"`{self.word}` needs an input of {self.ranks[0]} to {self.ranks[-1]} dimensions (channels first), "
                f"found {show(inputs[0])}"
            )
        self.least_batch(*inputs, training=False)  # what evaluation refuses, no mode takes
        return inputs[0]

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return self._weight_and_bias(inputs[0][:1], self.affine, self.bias)

    def buffers(self, *inputs: Shape) -> dict[str, Tensor]:
        if not self.track_running_stats:
            return {}
        average = Tensor(inputs[0][:1], per_example=False)
        return {
            "running_mean": average,
            "running_var": average,
            "num_batches_tracked": Tensor((), "int64", per_example=False),
        }

    def reach(self, *inputs: Shape) -> Reach:
        if not self._own_statistics(training=False):
            return ()
        return SAME_PLACE, *(EVERYTHING for _ in inputs[0][1:])

    def work(self, *inputs: Shape, training: bool) -> Work:
        channels, *sizes = inputs[0]
        positions = prod(sizes)
        outputs = channels * positions
        if not self._own_statistics(training):
            return Work(multiplies=outputs, adds=outputs)
        return by_own_statistics(outputs, positions, self.affine, self.affine and self.bias)

    def code(self, *inputs: Shape) -> Code:
        axes = min(max(1, len(inputs[0]) - 1), 3)
        return self.made(f"{type(self).__name__}{axes}d", num_features=inputs[0][0])

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return prod(inputs[0]) * (5 if self.affine else 4)

    def _own_statistics(self, training: bool) -> bool:
        return training or not self.track_running_stats


class BatchNorm(ChannelNorm, word="batch_norm"):
    """Normalisation of each channel over the batch, `torch.nn.BatchNorm1d`, `2d` or `3d` by the input's dimensions.

    Where it computes statistics (in training, or without running averages), PyTorch refuses a batch of one whose
    channels have a single value each, and `eps: 0`.

    Shape:
        (channels), (channels, size), (channels, height, width) or (channels, depth, height, width) → the same shape
    Memory:
        keeps its input for the backward pass; where it computes statistics, a mean and a root per channel as well,
        whatever the batch
    Example:
        input: [64, 112, 112]
        layers:
          - batch_norm    # [64, 112, 112]
    """

    ranks = (1, 2, 3, 4)

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(0, "eps")
        return super().output(*inputs)

    def least_batch(self, *inputs: Shape, training: bool) -> int:
        if not self._own_statistics(training):
            return 1
        if self.eps == 0:
            raise ShapeError(
                f"`eps` of `{self.word}` must be greater than 0 where it computes statistics, found {show(self.eps)}",
                "leave `eps` out" if training else "leave `eps` out, or set `track_running_stats: true`",
            )
        return 2 if prod(inputs[0][1:]) == 1 else 1

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        per_channel = Tensor(inputs[0][:1], per_example=False)
        statistics = (per_channel,) * 2 if self._own_statistics(training) else ()
        # PyTorch keeps an image's order of channels last, and puts a sequence in order.
        in_order = contiguous or len(inputs[0]) < 3
        return Memory(keeps="inputs", saved=statistics, scratch=statistics, contiguous=in_order)

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        if self._own_statistics(training):
            return super().fvcore(*inputs, training=training)
        return prod(inputs[0]) * (2 if self.affine else 1)


class FoldedBatchNorm(InParts, BatchNorm, word="folded_batch_norm"):
    """Batch norm over several parts of each example as over a larger batch, as windows, `torch.nn.BatchNorm2d`.

    Example:
        input: [49, 32, 8, 8]
        layers:
          - folded_batch_norm: {}    # [49, 32, 8, 8]
    """

    of = BatchNorm
    fields = BatchNorm.fields
    role = ""


class InstanceNorm(ChannelNorm, word="instance_norm"):
    """Normalisation of each channel of each example, `torch.nn.InstanceNorm1d`, `2d` or `3d` by the input's dimensions.

    Where it computes statistics (in training, or without running averages), PyTorch refuses a single position.

    Shape:
        (channels, size), (channels, height, width) or (channels, depth, height, width) → the same shape
    Memory:
        runs as a batch norm over the channels of all examples: keeps its input for the backward pass (a copy where it
        does not lie in order), per channel and example the weight and the running averages where it has them, and
        where it computes statistics a mean and a root
    Example:
        input: [64, 128, 128]
        layers:
          - instance_norm: {affine: true}    # [64, 128, 128]
    """

    ranks = (2, 3, 4)

    affine: bool = False
    track_running_stats: bool = False

    def least_batch(self, *inputs: Shape, training: bool) -> int:
        if self._own_statistics(training) and prod(inputs[0][1:]) == 1:
            raise ShapeError(
                f"`{self.word}` needs more than one position to take statistics over, found {show(inputs[0])}",
                "the mean of a single value is the value itself, so every output would be 0",
            )
        return 1

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        per_channel = Tensor(inputs[0][:1])
        weight = (per_channel,) if self.affine else ()
        bias = (per_channel,) if self.affine and self.bias else ()
        averages = (per_channel,) * 2 if self.track_running_stats else ()
        statistics = (per_channel,) * 2 if self._own_statistics(training) else ()
        copy = () if contiguous else (Tensor(inputs[0]),)
        return Memory(
            keeps="inputs" if contiguous else "nothing",
            saved=(*copy, *weight, *averages, *statistics),
            scratch=(*copy, *weight, *bias, *averages, *statistics),
            gathers=True,
        )


class GroupNorm(Norm, word="group_norm"):
    """Normalisation of groups of channels of each example, `torch.nn.GroupNorm`.

    PyTorch refuses a batch of one whose groups have a single value each.

    Shape:
        (channels, …) → the same shape
    Fields:
        num_groups: groups that the channels are divided into, normalised separately
        eps: added to the variance
        affine: whether a weight and a bias are learned per channel
        bias: whether the bias is learned (where affine; false needs a recent PyTorch)
    Weights:
        weight (channels); bias (channels)
    Memory:
        keeps its input (a copy of a sequence that does not lie in order) and a mean and a root per group for the
        backward pass
    Example:
        input: [64, 56, 56]
        layers:
          - group_norm: {num_groups: 32}    # [64, 56, 56]
    """

    inferred = ("num_channels",)
    positional = ("num_groups", "num_channels", "eps", "affine", "bias")

    num_groups: int
    eps: float = 1e-5
    affine: bool = True
    bias: bool = True

    def output(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        self.at_least(1, "num_groups")
        if not shape:
            raise ShapeError(f"`{self.word}` needs an input of at least 1 dimension, found {show(shape)}")
        if shape[0] % self.num_groups:
            raise ShapeError(
                f"`num_groups` of `{self.word}` must divide the channels, "
                f"found num_groups {self.num_groups} and {shape[0]} channels"
            )
        return shape

    def least_batch(self, *inputs: Shape, training: bool) -> int:
        # PyTorch asks for more than one value in the whole batch, though every example has its own statistics.
        return 2 if prod(inputs[0]) == self.num_groups else 1

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return self._weight_and_bias(inputs[0][:1], self.affine, self.bias)

    def reach(self, *inputs: Shape) -> Reach:
        return SAME_PLACE, *(EVERYTHING for _ in inputs[0][1:])

    def work(self, *inputs: Shape, training: bool) -> Work:
        channels, *sizes = inputs[0]
        positions = prod(sizes)
        group = channels // self.num_groups * positions
        return by_own_statistics(channels * positions, group, self.affine, self.affine and self.bias)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        statistics = (Tensor((self.num_groups,)),) * 2
        if contiguous or len(inputs[0]) > 2:  # an image keeps its order of channels last
            return Memory(keeps="inputs", saved=statistics, scratch=statistics, contiguous=contiguous, gathers=True)
        copy = Tensor(inputs[0])
        return Memory(saved=(copy, *statistics), scratch=(copy, *statistics))

    def code(self, *inputs: Shape) -> Code:
        return self.made("GroupNorm", num_channels=inputs[0][0])

    def channel_divisor(self) -> int:
        return self.num_groups

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return prod(inputs[0]) * (5 if self.affine else 4)


class LastNorm(Norm):
    """
    Shape:
        (…, normalized_shape) → the same shape
    """

    normalized_shape: IntList

    def output(self, *inputs: Shape) -> Shape:
        self._leading(inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        leading = self._leading(inputs[0])
        return *(SAME_PLACE for _ in leading), *(EVERYTHING for _ in self.normalized_shape)

    def _leading(self, shape: Shape) -> Shape:
        """The dimensions before those that are normalised. Raises ShapeError."""
        sizes = self.normalized_shape
        if not sizes:
            raise ShapeError(f"`normalized_shape` of `{self.word}` needs at least one size, found []")
        leading = shape[: max(0, len(shape) - len(sizes))]
        if leading + sizes != shape:
            raise ShapeError(
                f"`normalized_shape` of `{self.word}` must be the last sizes of the input, "
                f"found normalized_shape {show(sizes)} and input {show(shape)}"
            )
        return leading


class LayerNorm(LastNorm, word="layer_norm"):
    """Normalisation over the last dimensions of each example, `torch.nn.LayerNorm`.

    Fields:
        normalized_shape: sizes of the last dimensions, which are normalised together
        eps: added to the variance
        elementwise_affine: whether a weight and a bias are learned per value of normalized_shape
        bias: whether the bias is learned (where elementwise_affine)
    Weights:
        weight (normalized_shape); bias (normalized_shape)
    Memory:
        keeps its input and a mean and a root per group for the backward pass
    Example:
        input: [96, 56, 56]
        layers:
          - permute: {dims: [0, 2, 3, 1]}    # [56, 56, 96]
          - layer_norm: {normalized_shape: 96}    # [56, 56, 96]
    """

    eps: float = 1e-5
    elementwise_affine: bool = True
    bias: bool = True

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return self._weight_and_bias(self.normalized_shape, self.elementwise_affine, self.bias)

    def work(self, *inputs: Shape, training: bool) -> Work:
        group = prod(self.normalized_shape)
        affine = self.elementwise_affine
        return by_own_statistics(prod(inputs[0]), group, affine, affine and self.bias)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        statistics = (Tensor(self._leading(inputs[0])),) * 2
        return Memory(keeps="inputs", saved=statistics, scratch=statistics)

    def code(self, *inputs: Shape) -> Code:
        return self.made("LayerNorm")

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return prod(inputs[0]) * (5 if self.elementwise_affine else 4)


class RMSNorm(LastNorm, word="rms_norm"):
    """Division by the root of the mean square over the last dimensions of each example, `torch.nn.RMSNorm`.

    Fields:
        normalized_shape: sizes of the last dimensions, which are normalised together
        eps: added to the mean square; null is the smallest difference from 1 that the type can hold
        elementwise_affine: whether a weight is learned per value of normalized_shape
    Weights:
        weight (normalized_shape)
    FLOPs:
        per group of n values: n multiplies (squares), n − 1 adds and 1 divide (mean), 1 add (eps), 1 root, 1 divide;
        per output 1 multiply, weight 1 multiply
    Memory:
        keeps its input and a root per group for the backward pass, and the normalised values where it has a weight
    Example:
        input: [196, 384]
        layers:
          - rms_norm: {normalized_shape: 384}    # [196, 384]
    """

    eps: float | None = None
    elementwise_affine: bool = True

    keeps_frozen = "root"

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        return self._weight_and_bias(self.normalized_shape, self.elementwise_affine, bias=False)

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, groups = prod(inputs[0]), prod(self._leading(inputs[0]))
        weighted = values if self.elementwise_affine else 0
        return Work(multiplies=2 * values + weighted, adds=values, divides=2 * groups, roots=groups)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        roots = Tensor(self._leading(inputs[0]))
        if not self.elementwise_affine:
            return Memory(keeps="inputs", saved=(roots,), scratch=(roots, roots))  # the means next to the squares
        normalised = Tensor(inputs[0])
        return Memory(keeps="inputs", saved=(roots, normalised), scratch=(roots, normalised))

    def code(self, *inputs: Shape) -> Code:
        return self.made("RMSNorm")

    def kept(self, asked: Sequence[bool], *inputs: Shape) -> Keeps | None:
        # The gradient of the weight takes the normalised values alone.
        return None if asked[0] or not self.elementwise_affine else Keeps(saved=(1,))
