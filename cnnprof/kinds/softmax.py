"""Softmax along one dimension, and its logarithm."""

from math import prod

from cnnprof.model.kind import EVERYTHING, SAME_PLACE, Code, Kind, Memory, Reach, Shape, Work


class AlongDimension(Kind):
    """
    Shape:
        any shape → the same shape
    Fields:
        dim: dimension along which the values sum to 1, counted with the batch as in PyTorch: 1 is the channels
    Memory:
        keeps its output for the backward pass
    """

    dim: int

    def output(self, *inputs: Shape) -> Shape:
        self.dimension(self.dim, inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        along = self.dimension(self.dim, inputs[0])
        return tuple(EVERYTHING if index == along else SAME_PLACE for index in range(len(inputs[0])))

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        return Memory(keeps="output")

    def code(self, *inputs: Shape) -> Code:
        return self.made(type(self).__name__)

    def _values_and_rows(self, shape: Shape) -> tuple[int, int]:
        """All values, and the rows of values that sum to 1."""
        along = self.dimension(self.dim, shape)
        rows = prod(shape[:along]) * prod(shape[along + 1 :])
        return rows * shape[along], rows


class Softmax(AlongDimension, word="softmax"):
    """Exponentials scaled to sum to 1, `torch.nn.Softmax`.

    FLOPs:
        e^(x − max) / sum, per row of n values: maximum n − 1 compares; differences n adds; n exponentials;
        sum n − 1 adds; n divides
    Example:
        input: [1000]
        layers:
          - softmax: {dim: 1}    # [1000]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, rows = self._values_and_rows(inputs[0])
        return Work(
            compares=values - rows,
            adds=values + (values - rows),
            exponentials=values,
            divides=values,
        )


class LogSoftmax(AlongDimension, word="log_softmax"):
    """The logarithm of softmax, `torch.nn.LogSoftmax`.

    FLOPs:
        x − max − ln(sum of e^(x − max)), per row of n values: maximum n − 1 compares; differences n adds;
        n exponentials; sum n − 1 adds; 1 exponential (the logarithm); n adds
    Example:
        input: [21, 64, 64]
        layers:
          - log_softmax: {dim: 1}    # [21, 64, 64]
    """

    def work(self, *inputs: Shape, training: bool) -> Work:
        values, rows = self._values_and_rows(inputs[0])
        return Work(
            compares=values - rows,
            adds=values + (values - rows) + values,
            exponentials=values + rows,
        )
