"""The same values in other dimensions."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Reach, Regrouped, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Regrouping(Kind):
    """Keeps every value and their order; only the dimensions are others."""

    def reach(self, *inputs: Shape) -> Reach:
        out = self.output(*inputs)
        dims: list[tuple[int, ...]] = [()] * len(out)
        for sources, made in self._groups(inputs[0]):
            # A dimension of one position takes no part in a split.
            several = [dim for dim in made if out[dim] != 1] or made[-1:]
            for dim in several:
                dims[dim] = tuple(sources)
        return Regrouped(tuple(dims))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        # What splits a dimension, or moves those of one position, needs no order.
        if all(sum(inputs[0][dim] != 1 for dim in sources) <= 1 for sources, _ in self._groups(inputs[0])):
            return Memory(view=True, contiguous=contiguous)
        return Memory(view=contiguous)

    def _groups(self, shape: Shape) -> list[tuple[list[int], list[int]]]:
        """The smallest runs of input and output dimensions that hold the same values: (of the input, of the output)."""
        out = self.output(shape)
        groups: list[tuple[list[int], list[int]]] = []
        read = made = 0
        while read < len(shape) and made < len(out):
            sources, ends = [read], [made]
            left, right = shape[read], out[made]
            while left != right:
                if left < right:
                    read += 1
                    sources.append(read)
                    left *= shape[read]
                else:
                    made += 1
                    ends.append(made)
                    right *= out[made]
            read, made = read + 1, made + 1
            groups.append((sources, ends))
        # Dimensions of one position are left over, on one side.
        groups = groups or [([], [])]
        groups[-1][0].extend(range(read, len(shape)))
        groups[-1][1].extend(range(made, len(out)))
        return groups


class Reshape(Regrouping, word="reshape"):
    """Gives the values of an example other dimensions, in the same order, `torch.reshape`.

    Shape:
        `shape`, which holds as many values as the input
    Fields:
        shape: size of each dimension of one example, without the batch; one of them may be −1, which is what is left
    Memory:
        a view; a copy where dimensions are joined that do not lie in memory in order
    Example:
        input: [64, 14, 14]
        layers:
          - reshape: {shape: [2, 32, 196]}    # [2, 32, 196]
          - reshape: {shape: [64, 14, -1]}    # [64, 14, 14]
    """

    shape: IntList

    def output(self, *inputs: Shape) -> Shape:
        if not self.shape:
            raise ShapeError(f"`shape` of `{self.word}` needs at least one dimension, found []")
        if any(size < 1 and size != -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise ShapeError(
                f"`shape` of `{self.word}` takes dimensions of at least 1, of which one may be -1, "
                f"found {show(self.shape)}",
                "it is the shape of one example, without the batch",
            )
        values, given = prod(inputs[0]), prod(size for size in self.shape if size != -1)
        if values % given or (-1 not in self.shape and values != given):
            raise ShapeError(
                f"`{self.word}` keeps every value: the input {show(inputs[0])} has {values:,}, "
                f"found `shape` {show(self.shape)}",
                "it is the shape of one example, without the batch",
            )
        return tuple(values // given if size == -1 else size for size in self.shape)

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.reshape(len({0}), *{shape})", {"shape": self.shape})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(lambda tensor: tensor.reshape(len(tensor), *self.shape), label=f"reshape {list(self.shape)}")


class Unsqueeze(Regrouping, word="unsqueeze"):
    """Puts in a dimension of size 1, `torch.unsqueeze`.

    Shape:
        one dimension more
    Fields:
        dim: where it is afterwards, the batch being 0, which stays first
    Memory:
        a view
    Example:
        input: [64, 100]
        layers:
          - unsqueeze: {dim: 2}    # [64, 1, 100]
          - unsqueeze: {dim: -1}    # [64, 1, 100, 1]
    """

    dim: int
    adds_dimension = True

    def output(self, *inputs: Shape) -> Shape:
        index = self.new_dimension(self.dim, inputs[0])
        return *inputs[0][:index], 1, *inputs[0][index:]

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.unsqueeze({dim})", {"dim": self.dim})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(lambda tensor: tensor.unsqueeze(self.dim), label=f"unsqueeze dim={self.dim}")


class Squeeze(Regrouping, word="squeeze"):
    """Leaves out dimensions of size 1, `torch.squeeze`.

    Shape:
        the input's without those of the dimensions `dim` that have size 1; the others stay, as in PyTorch
    Fields:
        dim: the dimensions to leave out, the batch being 0, which stays
    Memory:
        a view
    Example:
        input: [64, 1, 1]
        layers:
          - squeeze: {dim: 3}    # [64, 1]
          - squeeze: {dim: -1}    # [64]
    """

    dim: IntList

    def output(self, *inputs: Shape) -> Shape:
        dims = [self.dimension(dim, inputs[0]) for dim in self.dim]
        if not dims or len({*dims}) < len(dims):
            raise ShapeError(f"`dim` of `{self.word}` needs dimensions, each once, found {show(self.dim)}")
        rest = tuple(size for index, size in enumerate(inputs[0]) if index not in dims or size != 1)
        if not rest:
            raise ShapeError(f"`{self.word}` must leave at least one dimension, found the input {show(inputs[0])}")
        return rest

    def doubt(self, *inputs: Shape) -> str:
        longer = [dim for dim in self.dim if inputs[0][self.dimension(dim, inputs[0])] != 1]
        if not longer:
            return ""
        return f"leaves dimension {longer[0]} of {show(inputs[0])} as it is, as in PyTorch: its size is not 1"

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.squeeze({dim})", {"dim": self.dim[0] if len(self.dim) == 1 else self.dim})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(lambda tensor: tensor.squeeze(self.dim), label=f"squeeze dim={show(self.dim)}")


class Unflatten(Regrouping, word="unflatten"):
    """Splits one dimension into several, `torch.nn.Unflatten`.

    Shape:
        dimension dim becomes the dimensions unflattened_size, whose product is its size
    Fields:
        dim: the dimension to split, the batch being 0, which stays as it is
        unflattened_size: the sizes that it becomes; one of them may be −1, which is what is left
    Memory:
        a view
    Example:
        input: [197, 768]
        layers:
          - unflatten: {dim: 2, unflattened_size: [12, -1]}    # [197, 12, 64]
    """

    dim: int
    unflattened_size: IntList

    def output(self, *inputs: Shape) -> Shape:
        index = self.dimension(self.dim, inputs[0])
        sizes, size = self.unflattened_size, inputs[0][index]
        given = prod(each for each in sizes if each != -1)
        left_open = sizes.count(-1)
        if not sizes or left_open > 1 or min(each for each in (*sizes, 1) if each != -1) < 1:
            raise ShapeError(
                f"`unflattened_size` of `{self.word}` takes sizes of at least 1, of which one may be -1, "
                f"found {show(sizes)}"
            )
        if size % given or (not left_open and size != given):
            raise ShapeError(
                f"`unflattened_size` of `{self.word}` must have the product {size}, the size of dimension {self.dim}, "
                f"found {show(sizes)}"
            )
        split = tuple(size // given if each == -1 else each for each in sizes)
        return *inputs[0][:index], *split, *inputs[0][index + 1 :]

    def code(self, *inputs: Shape) -> Code:
        values = {"dim": self.dim, "unflattened_size": self.unflattened_size}
        return Code("{0}.unflatten({dim}, {unflattened_size})", values)

    def module(self, *inputs: Shape) -> "nn.Module":
        from torch import nn

        return nn.Unflatten(self.dim, self.unflattened_size)
