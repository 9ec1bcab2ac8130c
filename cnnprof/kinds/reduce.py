"""Several values made one: sums, means, variances, extremes and lengths along dimensions; vectors of length 1."""

from math import isfinite, prod
from operator import attrgetter
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import (
    EVERYTHING,
    SAME_PLACE,
    Code,
    IntList,
    Kind,
    Memory,
    Reach,
    Regrouped,
    Shape,
    Tensor,
    Work,
    show,
)

if TYPE_CHECKING:
    from torch import nn


class Reduction(Kind):
    """
    Shape:
        the input's without the dimensions `dim`; with keepdim they stay, with size 1
    Fields:
        dim: the dimensions that become one value, the batch being 0, which stays whole
        keepdim: whether they stay as dimensions of size 1
    """

    dim: IntList
    keepdim: bool = False

    def output(self, *inputs: Shape) -> Shape:
        dims = self._dims(inputs[0])
        if self.keepdim:
            return tuple(1 if dim in dims else size for dim, size in enumerate(inputs[0]))
        rest = tuple(size for dim, size in enumerate(inputs[0]) if dim not in dims)
        if not rest:
            raise ShapeError(
                f"`{self.word}` must leave at least one dimension, found the input {show(inputs[0])} "
                f"and `dim` {show(self.dim)}",
                "`keepdim: true` leaves all of them, with size 1",
            )
        return rest

    def reach(self, *inputs: Shape) -> Reach:
        dims = self._dims(inputs[0])
        if self.keepdim:
            return tuple(EVERYTHING if dim in dims else SAME_PLACE for dim in range(len(inputs[0])))
        return Regrouped(tuple((dim,) for dim in range(len(inputs[0])) if dim not in dims), whole=tuple(sorted(dims)))

    def code(self, *inputs: Shape) -> Code:
        values = {"dim": self.dim[0] if len(self.dim) == 1 else self.dim, **self._options()}
        return Code(f"torch.{self._function}({{0}}, {', '.join(f'{name}={{{name}}}' for name in values)})", values)

    def module(self, *inputs: Shape) -> "nn.Module":
        import torch

        from cnnprof.runtime.call import Call

        function, options = attrgetter(self._function)(torch), self._options()
        label = ", ".join(f"{name}={show(value)}" for name, value in {"dim": self.dim, **options}.items())
        return Call(lambda tensor: function(tensor, dim=self.dim, **options), label=f"{self.word} {label}")

    @property
    def _function(self) -> str:
        """PyTorch's name of it, in `torch`."""
        return self.word

    def _options(self) -> dict[str, float | bool]:
        """What PyTorch's function is told besides the dimensions."""
        return {"keepdim": True} if self.keepdim else {}

    def _dims(self, shape: Shape) -> set[int]:
        """The dimensions of the example that become one value. Raises ShapeError."""
        if not self.dim:
            raise ShapeError(f"`dim` of `{self.word}` needs at least one dimension, found []")
        dims = [self.dimension(dim, shape) for dim in self.dim]
        if len({*dims}) < len(dims):
            raise ShapeError(f"`dim` of `{self.word}` names a dimension twice, found {show(self.dim)}")
        return {*dims}

    def _values_and_results(self, shape: Shape) -> tuple[int, int]:
        """All values, and how many values they become."""
        return prod(shape), prod(self.output(shape))


class Sum(Reduction, word="sum"):
    """Sum along dimensions, `torch.sum`.

    FLOPs:
        per output of n values n − 1 adds
    Memory:
        keeps nothing for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - sum: {dim: 1}    # [28, 28]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, results = self._values_and_results(inputs[0])
        return Work(adds=values - results)


class Mean(Reduction, word="mean"):
    """Mean along dimensions, `torch.mean`.

    FLOPs:
        per output of n values n − 1 adds and 1 divide
    Memory:
        keeps nothing for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - mean: {dim: [2, 3]}    # [64]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, results = self._values_and_results(inputs[0])
        return Work(adds=values - results, divides=results)


class Extreme(Reduction):
    """
    FLOPs:
        per output of n values n − 1 compares
    Memory:
        keeps its input and its output for the backward pass
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, results = self._values_and_results(inputs[0])
        return Work(compares=values - results)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs and output")


class Amax(Extreme, word="amax"):
    """The largest value along dimensions, `torch.amax`.

    Example:
        input: [64, 28, 28]
        layers:
          - amax: {dim: 1, keepdim: true}    # [1, 28, 28]
    """


class Amin(Extreme, word="amin"):
    """The smallest value along dimensions, `torch.amin`.

    Example:
        input: [64, 28, 28]
        layers:
          - amin: {dim: 1, keepdim: true}    # [1, 28, 28]
    """


class Spread(Reduction):
    """
    Fields:
        dim: the dimensions that become one value, the batch being 0, which stays whole
        keepdim: whether they stay as dimensions of size 1
        correction: what is taken off the number of values that the sum of squares is divided by
    """

    correction: float = 1

    def _options(self) -> dict[str, float | bool]:
        return ({} if self.correction == 1 else {"correction": self.correction}) | super()._options()

    def doubt(self, *inputs: Shape) -> str:
        count = prod(inputs[0][dim] for dim in self._dims(inputs[0]))
        if count > self.correction:
            return ""
        return (
            f"divides by 0, as in PyTorch: {count} values less `correction` {self.correction:g}; "
            "is `correction: 0` meant?"
        )

    def _of_squares(self, shape: Shape) -> Work:
        values, results = self._values_and_results(shape)
        return Work(adds=2 * (values - results) + values, multiplies=values, divides=2 * results)


class Var(Spread, word="var"):
    """Variance along dimensions, `torch.var`.

    FLOPs:
        per output of n values: mean n − 1 adds, 1 divide; n adds (differences), n multiplies, n − 1 adds, 1 divide
    Memory:
        keeps its input for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - var: {dim: 1, keepdim: true, correction: 0}    # [1, 28, 28]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return self._of_squares(inputs[0])

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs")


class Std(Spread, word="std"):
    """Standard deviation along dimensions, `torch.std`.

    FLOPs:
        per output of n values: mean n − 1 adds, 1 divide; n adds (differences), n multiplies, n − 1 adds, 1 divide;
        1 root
    Memory:
        keeps its input and its output for the backward pass
    Example:
        input: [64, 28, 28]
        layers:
          - std: {dim: [2, 3]}    # [64]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        return self._of_squares(inputs[0])._replace(roots=prod(self.output(*inputs)))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs and output")


def positive(word: str, name: str, p: float) -> None:
    """Raises ShapeError for an exponent of which there is no length."""
    if not (isfinite(p) and p > 0):
        raise ShapeError(
            f"`{name}` of `{word}` must be a finite number above 0, found {show(p)}",
            "`abs` and `amax` give the largest absolute value",
        )


def length(p: float, values: int, results: int) -> Work:
    """(|x₁|ᵖ + … + |xₙ|ᵖ)^(1 / p) of `values` values that become `results`.

    Per value |x|, 1 negation and 1 compare, and 1 power; p = 2: 1 multiply instead; p = 1: |x| alone. Per result of n
    values n − 1 adds, and 1 power; p = 2: 1 root instead; p = 1: neither.
    """
    if p == 2:
        return Work(multiplies=values, adds=values - results, roots=results)
    powers = 0 if p == 1 else values + results
    return Work(negations=values, compares=values, adds=values - results, powers=powers)


class VectorNorm(Reduction, word="vector_norm"):
    """Length of vectors along dimensions, (|x₁|ᵖ + … + |xₙ|ᵖ)^(1 / p), p being `ord`, `torch.linalg.vector_norm`.

    Fields:
        dim: the dimensions that become one value, the batch being 0, which stays whole
        keepdim: whether they stay as dimensions of size 1
        ord: the exponent; 2 is the Euclidean length
    FLOPs:
        per output of n values n multiplies, n − 1 adds and 1 root; with another p instead of the multiplies n
        negations, n compares (|x|) and, if it is not 1, n powers, and instead of the root 1 power
    Memory:
        keeps its input and its output for the backward pass
    Example:
        input: [96, 56, 56]
        layers:
          - vector_norm: {dim: [2, 3], keepdim: true}    # [96, 1, 1]
    """

    ord: float = 2

    def output(self, *inputs: Shape) -> Shape:
        positive(self.word, "ord", self.ord)
        return super().output(*inputs)

    def work(self, *inputs: Shape, training: bool) -> Work:
        return length(self.ord, *self._values_and_results(inputs[0]))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs and output")

    def _options(self) -> dict[str, float | bool]:
        return ({} if self.ord == 2 else {"ord": self.ord}) | super()._options()

    @property
    def _function(self) -> str:
        return f"linalg.{self.word}"


class Normalize(Kind, word="normalize"):
    """x divided by its length along a dimension, `torch.nn.functional.normalize`.

    Shape:
        any shape → the same shape
    Fields:
        p: exponent of the length, as of `vector_norm`
        dim: dimension of the vectors, the batch being 0; 1 are the channels
        eps: least length to divide by
    FLOPs:
        per vector of n values its length as of `vector_norm`, 1 compare (eps) and n divides
    Memory:
        keeps its input and, for each vector, its length before and after the comparison for the backward pass
    Example:
        input: [128, 7, 7]
        layers:
          - normalize    # [128, 7, 7]
    """

    p: float = 2
    dim: int = 1
    eps: float = 1e-12

    def output(self, *inputs: Shape) -> Shape:
        positive(self.word, "p", self.p)
        self.dimension(self.dim, inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        along = self.dimension(self.dim, inputs[0])
        return tuple(EVERYTHING if dim == along else SAME_PLACE for dim in range(len(inputs[0])))

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, vectors = prod(inputs[0]), prod(self._lengths(inputs[0]))
        own = length(self.p, values, vectors)
        return own._replace(compares=own.compares + vectors, divides=values)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        lengths = Tensor(self._lengths(inputs[0]))
        return Memory(keeps="inputs", saved=(lengths, lengths), scratch=(lengths,))

    def code(self, *inputs: Shape) -> Code:
        usual = self.usual()
        fields = "".join(f", {name}={value!r}" for name in usual if (value := getattr(self, name)) != usual[name])
        return Code(f"torch.nn.functional.normalize({{0}}{fields})")

    def module(self, *inputs: Shape) -> "nn.Module":
        from torch.nn import functional

        from cnnprof.runtime.call import Call

        return Call(
            lambda tensor: functional.normalize(tensor, self.p, self.dim, self.eps),
            label=f"normalize p={self.p:g}, dim={self.dim}, eps={show(self.eps)}",
        )

    def _lengths(self, shape: Shape) -> Shape:
        """One value for each vector."""
        along = self.dimension(self.dim, shape)
        return *shape[:along], 1, *shape[along + 1 :]
