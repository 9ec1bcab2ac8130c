"""Several dimensions made one."""

from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model.kind import Code, Kind, Memory, Reach, Regrouped, Shape, show


class Flatten(Kind, word="flatten"):
    """Makes one dimension of several, `torch.nn.Flatten`.

    Shape:
        the dimensions start_dim to end_dim become one, as large as their product
    Fields:
        start_dim: first dimension to join, the batch being 0, which stays separate
        end_dim: last dimension to join; −1 is the last one
    Memory:
        a view; a copy where the input does not lie in memory in the order of its dimensions
    Example:
        input: [512, 7, 7]
        layers:
          - flatten    # [25088]
    """

    start_dim: int = 1
    end_dim: int = -1

    def output(self, *inputs: Shape) -> Shape:
        first, last = self._range(inputs[0])
        return *inputs[0][:first], prod(inputs[0][first : last + 1]), *inputs[0][last + 1 :]

    def reach(self, *inputs: Shape) -> Reach:
        first, last = self._range(inputs[0])
        before = [(dim,) for dim in range(first)]
        after = [(dim,) for dim in range(last + 1, len(inputs[0]))]
        return Regrouped((*before, tuple(range(first, last + 1)), *after))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        first, last = self._range(inputs[0])
        # Dimensions of size 1 need no order: joining them to a longer one moves nothing.
        if sum(size != 1 for size in inputs[0][first : last + 1]) <= 1:
            return Memory(view=True, contiguous=contiguous)
        return Memory(view=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self.made("Flatten")

    def _range(self, shape: Shape) -> tuple[int, int]:
        """The first and the last dimension of the example to join."""
        first, last = self.dimension(self.start_dim, shape), self.dimension(self.end_dim, shape)
        if first > last:
            raise ShapeError(
                f"`start_dim` of `{self.word}` must not come after `end_dim`, "
                f"found start_dim {self.start_dim} and end_dim {self.end_dim} for the input {show(shape)}"
            )
        return first, last
