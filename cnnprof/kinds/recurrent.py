"""Recurrent layers over a sequence."""

from typing import TYPE_CHECKING, ClassVar

from cnnprof.errors import ShapeError
from cnnprof.model.kind import EVERYTHING, UNKNOWN, Channels, Code, Kind, Memory, Reach, Shape, Tensor, Work, show

if TYPE_CHECKING:
    from torch import nn


_OF_A_LIBRARY = "what {} holds depends on the library that runs it"


class Recurrent(Kind):
    """
    Shape:
        (positions, features) → (positions, hidden_size), with both directions 2 · hidden_size
    Fields:
        hidden_size: features of a position's output, in one direction
        num_layers: layers, each of which reads the outputs of the one before
        bias: whether the products with the input and with the state before have a bias each
        bidirectional: whether a second one runs from the end, whose outputs are joined to those of the first
    Memory:
        an estimate, of PyTorch's own implementation, step by step: for the backward pass keeps for each layer and
        direction 7 · hidden_size values per position, and each layer's input, the first one's for each direction;
        while it runs, the products with the input and the outputs. oneDNN, which runs an LSTM on a CPU, and cuDNN
        keep the output and a workspace of their own instead, and of a batch of one the input is not copied
    """

    gates: ClassVar[int]

    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    bidirectional: bool = False

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "hidden_size", "num_layers")
        if len(inputs[0]) != 2:
            raise ShapeError(
                f"`{self.word}` needs an input of 2 dimensions (positions, features), found {show(inputs[0])}",
                "`flatten` and `permute` make a sequence of an image's columns",
            )
        return inputs[0][0], self.hidden_size * self._directions

    def weights(self, *inputs: Shape) -> dict[str, Shape]:
        named: dict[str, Shape] = {}
        made = self.gates * self.hidden_size
        for layer, features in enumerate(self._read(inputs[0])):
            for direction in ("", "_reverse")[: self._directions]:
                end = f"l{layer}{direction}"
                named[f"weight_ih_{end}"] = (made, features)
                named[f"weight_hh_{end}"] = (made, self.hidden_size)
                if self.bias:
                    named[f"bias_ih_{end}"] = named[f"bias_hh_{end}"] = (made,)
        return named

    def reach(self, *inputs: Shape) -> Reach:
        # In one direction every position sees another number of those before it.
        return EVERYTHING if self.bidirectional else UNKNOWN, EVERYTHING

    def work(self, *inputs: Shape, training: bool) -> Work:
        positions, size = inputs[0][0], self.hidden_size
        features = sum(self._read(inputs[0])) + self.num_layers * size
        steps = positions * self._directions
        products = self.gates * size * self.num_layers * steps
        own = self._of_state()
        values = self.num_layers * steps * size
        adds = products * (3 if self.bias else 1) + values * own.adds
        return Work(*(values * each for each in own))._replace(macs=steps * self.gates * size * features, adds=adds)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        positions, size = inputs[0][0], self.hidden_size
        first, *others = [Tensor((positions, features)) for features in self._read(inputs[0])]
        kept = [first] * self._directions + others
        kept += [Tensor((positions, 7 * size))] * (self.num_layers * self._directions)
        running = Tensor((positions, (self.gates + 1) * size * self._directions))
        return Memory(keeps="output", saved=tuple(kept), scratch=(running,), contiguous=False, estimate=_OF_A_LIBRARY)

    def code(self, *inputs: Shape) -> Code:
        own = type(self).__name__
        name = own.title()
        values = {"input_size": inputs[0][1]} | {field: getattr(self, field) for field in self.fields}
        definition = (
            f"class {name}(nn.{own}):\n"
            "    def __init__(self, input_size, hidden_size, **options):\n"
            "        super().__init__(input_size, hidden_size, batch_first=True, **options)\n\n"
            "    def forward(self, sequence):\n"
            "        return super().forward(sequence)[0]\n"
        )
        return Code(name, values, self.usual(), unnamed=2, definition=definition)

    def module(self, *inputs: Shape) -> "nn.Module":
        from cnnprof.runtime import call

        return call.SEQUENCES[self.word](
            inputs[0][1], self.hidden_size, self.num_layers, bias=self.bias, batch_first=True,
            bidirectional=self.bidirectional,
        )  # fmt: skip

    def channels(self, *inputs: Shape) -> Channels:
        return "fixed"

    def fvcore(self, *inputs: Shape, training: bool) -> int | None:
        return 0

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _read(self, shape: Shape) -> list[int]:
        """Features that each layer reads."""
        return [shape[1], *[self.hidden_size * self._directions] * (self.num_layers - 1)]

    def _of_state(self) -> Work:
        """What each value of a state takes, besides the products."""
        raise NotImplementedError


class LSTM(Recurrent, word="lstm"):
    """Long short-term memory, whose output is that of every position, `torch.nn.LSTM` with the batch first.

    Weights:
        for each layer l0, l1 … (and l0_reverse …) weight_ih (4 · hidden_size, features), weight_hh (4 · hidden_size,
        hidden_size), bias_ih and bias_hh (4 · hidden_size)
    FLOPs:
        per position, layer and direction 4 · hidden_size · (features + hidden_size) multiply-accumulates, and per
        value of the state 4 adds of the two products and with biases 8 more; 3 sigmoids and 2 hyperbolic tangents as
        of these kinds; 3 multiplies and 1 add (c = f · c + i · g, h = o · tanh c), see Hochreiter & Schmidhuber 1997
    Example:
        input: [26, 512]
        layers:
          - lstm: {hidden_size: 256, bidirectional: true}    # [26, 512]
    """

    gates = 4

    def _of_state(self) -> Work:
        return Work(multiplies=2 + 3, adds=3 + 4 + 1, divides=3 + 2, exponentials=3 + 2, negations=3)


class GRU(Recurrent, word="gru"):
    """Gated recurrent unit, whose output is that of every position, `torch.nn.GRU` with the batch first.

    Weights:
        for each layer l0, l1 … (and l0_reverse …) weight_ih (3 · hidden_size, features), weight_hh (3 · hidden_size,
        hidden_size), bias_ih and bias_hh (3 · hidden_size)
    FLOPs:
        per position, layer and direction 3 · hidden_size · (features + hidden_size) multiply-accumulates, and per
        value of the state 3 adds of the two products and with biases 6 more; 2 sigmoids and 1 hyperbolic tangent as
        of these kinds; 2 multiplies and 2 adds (n = tanh(x + r · h'), h = n + z · (h − n)), see Cho et al. 2014
    Example:
        input: [26, 512]
        layers:
          - gru: {hidden_size: 256}    # [26, 256]
    """

    gates = 3

    def _of_state(self) -> Work:
        return Work(multiplies=1 + 2, adds=2 + 2 + 2, divides=2 + 1, exponentials=2 + 1, negations=2)
