"""A matrix applied to the last dimension."""

from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Channels, Code, Kind, Memory, Reach, Shape, Tensor, Work, show


class Linear(Kind, word="linear"):
    """A fully connected layer over the last dimension, `torch.nn.Linear`.

    Shape:
        (…, in_features) → (…, out_features); dimensions before the last are positions that share the weight
    Fields:
        out_features: size of the last dimension of the output
        bias: whether a bias is added per output feature
    Weights:
        weight (out_features, in_features); bias (out_features)
    FLOPs:
        positions · in_features · out_features MACs; bias: 1 add per output
    Memory:
        keeps its input for the backward pass; of an input whose positions do not lie in order, a copy
    Example:
        input: [512, 7, 7]
        layers:
          - flatten    # [25088]
          - linear: {out_features: 1000}    # [1000]
    """

    inferred = ("in_features",)

    out_features: int
    bias: bool = True

    keeps_frozen = "nothing"

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "out_features")
        if not inputs[0]:
            raise ShapeError(f"`{self.word}` needs an input of at least 1 dimension, found {show(inputs[0])}")
        return *inputs[0][:-1], self.out_features

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        named: dict[str, Shape] = {"weight": (self.out_features, inputs[0][-1])}
        if self.bias:
            named["bias"] = (self.out_features,)
        return named

    def reach(self, *inputs: Shape) -> Reach:
        return *(SAME_PLACE for _ in inputs[0][:-1]), EVERYTHING

    def work(self, *inputs: Shape, training: bool) -> Work:
        # out[…, o] = sum over in_features
        outputs = prod(self.output(*inputs))
        return Work(macs=outputs * inputs[0][-1], adds=outputs if self.bias else 0)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        if contiguous:
            return Memory(keeps="inputs", gathers=len(inputs[0]) > 1)
        copy = Tensor(inputs[0])  # PyTorch folds the positions into one dimension
        return Memory(saved=(copy,), scratch=(copy,))

    def code(self, *inputs: Shape) -> Code:
        return self.made("Linear", in_features=inputs[0][-1])

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed" if len(inputs[0]) == 1 else "follow"

    def doubt(self, *inputs: Shape) -> str:
        shape = inputs[0]
        if len(shape) == 1 or shape[-1] != 1:
            return ""
        return (
            f"applies only to the last axis of {'×'.join(map(str, shape))}, a single value, as in PyTorch: "
            "is a `flatten` missing before it?"
        )
