"""Half of the values gated by the other half."""

from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model.kind import SAME_PLACE, UNKNOWN, Channels, Code, Kind, Memory, Reach, Shape, Work, show


class GLU(Kind, word="glu"):
    """Gated linear unit, the first half of a dimension times the sigmoid of the second, `torch.nn.GLU`.

    Shape:
        any shape → the same with half the size along `dim`
    Fields:
        dim: dimension that is halved, counted with the batch as in PyTorch: 1 is the channels
    FLOPs:
        per output 1 negation, 1 exponential, 1 add and 1 divide (sigmoid), and 1 multiply
    Memory:
        keeps its input for the backward pass
    Reach:
        unknown along a spatial axis: its positions come from both halves
    Example:
        input: [64, 28, 28]
        layers:
          - glu: {dim: 1}    # [32, 28, 28]
    """

    dim: int = -1

    def output(self, *inputs: Shape) -> Shape:
        index = self.dimension(self.dim, inputs[0])
        size = inputs[0][index]
        if size % 2:
            raise ShapeError(
                f"`{self.word}` halves dimension {self.dim}, whose size must be even, "
                f"found {size} of the input {show(inputs[0])}"
            )
        return *inputs[0][:index], size // 2, *inputs[0][index + 1 :]

    def reach(self, *inputs: Shape) -> Reach:
        index = self.dimension(self.dim, inputs[0])
        return tuple(UNKNOWN if dim == index else SAME_PLACE for dim in range(len(inputs[0])))

    def work(self, *inputs: Shape, training: bool) -> Work:
        outputs = prod(self.output(*inputs))
        return Work(negations=outputs, exponentials=outputs, adds=outputs, divides=outputs, multiplies=outputs)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="inputs")

    def code(self, *inputs: Shape) -> Code:
        return self.made("GLU")

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed" if self.dimension(self.dim, inputs[0]) == 0 else "follow"
