"""A layer that passes its input through."""

from cnnprof.model.kind import Code, Kind, Memory, Shape


class Identity(Kind, word="identity"):
    """Passes its input through unchanged, `torch.nn.Identity`.

    Shape:
        any shape → the same shape
    FLOPs:
        none
    Memory:
        a view: the output is its input
    Example:
        input: [64, 56, 56]
        layers:
          - identity    # [64, 56, 56]
    """

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(view=True, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self.made("Identity")
