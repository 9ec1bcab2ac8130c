"""Division by the energy of neighbouring channels, as in AlexNet."""

from math import prod

from cnnprof.errors import ShapeError
from cnnprof.model import window
from cnnprof.model.kind import Code, Kind, Memory, Shape, Tensor, Work, show


class LocalResponseNorm(Kind, word="local_response_norm"):
    """Division by the energy of neighbouring channels at the same position, `torch.nn.LocalResponseNorm`.

    Shape:
        (channels, size, …) → the same shape; output = input / (k + alpha · mean of squares)^beta, the mean being over
        a window of `size` channels that starts ⌊size / 2⌋ channels before its own, with zeros beyond the ends
    Fields:
        size: channels in the window
        alpha: factor of the mean of squares
        beta: exponent
        k: what is added to the mean of squares
    FLOPs:
        per output: square 1 multiply; sum over the channels of its window that exist, their number − 1 adds;
        1 divide (mean over size), 1 multiply (alpha), 1 add (k), 1 power (beta), 1 divide
    Memory:
        keeps its input, the squares padded by size − 1 channels, the base of the power and the power for the backward
        pass; while it runs, the padded squares or two tensors of its input's size, whichever is more
    Example:
        input: [96, 55, 55]
        layers:
          - local_response_norm: {size: 5, k: 2.0}    # [96, 55, 55]
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def output(self, *inputs: Shape) -> Shape:
        self.at_least(1, "size")
        if len(inputs[0]) < 2:
            raise ShapeError(
                f"`{self.word}` needs an input of at least 2 dimensions (channels, then positions), "
                f"found {show(inputs[0])}"
            )
        return inputs[0]

    def work(self, *inputs: Shape, training: bool) -> Work:
        # out[c, …] = in[c, …] / (k + alpha / size · sum over channels c − size // 2 … of in²)^beta
        channels, *sizes = inputs[0]
        positions = prod(sizes)
        outputs = channels * positions
        taps = positions * window.taps_inside(channels, self.size, 1, self.size // 2, 1, channels)
        sums = taps - outputs
        return Work(adds=sums + outputs, multiplies=2 * outputs, divides=2 * outputs, powers=outputs)

    def memory(self, *inputs: Shape, training: bool, contiguous: bool) -> Memory:
        channels, *sizes = inputs[0]
        padded, whole = Tensor((channels + self.size - 1, *sizes)), Tensor(inputs[0])
        # Padding holds the squares and their padded copy; k is added while the mean and alpha times it are held.
        most = (padded,) if padded.numel > 2 * whole.numel else (whole, whole)
        return Memory(keeps="inputs", saved=(padded, whole, whole), scratch=most, contiguous=contiguous)

    def code(self, *inputs: Shape) -> Code:
        return self.made("LocalResponseNorm")
