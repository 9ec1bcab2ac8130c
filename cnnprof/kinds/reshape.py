"""The same values in other dimensions."""

from math import prod
from typing import TYPE_CHECKING

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, IntList, Kind, Memory, Reach, Regrouped, Shape, show

if TYPE_CHECKING:
    from torch import nn


class Reshape(Kind, word="reshape"):
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

    def reach(self, *inputs: Shape) -> Reach:
        dims: list[tuple[int, ...]] = [()] * len(self.shape)
        out = self.output(*inputs)
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

    def code(self, *inputs: Shape) -> Code:
        return Code("{0}.reshape(len({0}), *{shape})", {"shape": self.shape})

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime.call import Call

        return Call(lambda tensor: tensor.reshape(len(tensor), *self.shape), label=f"reshape {list(self.shape)}")

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
