"""The tensors of a file in the language's order of dimensions: one example, channels first."""

from __future__ import annotations

from math import prod

from cnnprof.errors import UsageError, brief, printable
from cnnprof.importers.tflite.file import Contents, FileOperator
from cnnprof.model.kind import Shape

CHANNELS_FIRST = (0, 3, 1, 2)
"""Dimensions of a stored image, batch included, in the language's order."""
CHANNELS_LAST = (0, 2, 3, 1)
"""Where those of the file are in the language's order."""


class Tensors:
    """What there is to ask of an operator's tensors, each by its number in the file.

    shown: the file's name in errors. constant: the tensors that no input decides. batch: what the shape of every input
    begins with, one number at most.
    """

    def __init__(self, contents: Contents, shown: str) -> None:
        self.contents = contents
        self.shown = shown
        self.constant = {number for number, tensor in enumerate(contents.tensors) if tensor.constant or tensor.variable}
        batches = {contents.tensors[number].shape[:1] for number in contents.inputs}
        self.batch = batches.pop() if len(batches) == 1 else (1,)

    def example(self, number: int) -> Shape:
        """Shape of a tensor of one example in the language's order. Raises UsageError where the batch is folded."""
        shape = self.contents.tensors[number].shape
        if shape[:1] == self.batch:
            kept = shape[1:]
        elif self.batch in ((1,), ()):
            kept = shape
        else:
            name = brief(printable(self.contents.tensors[number].name))
            raise UsageError(
                f"`{self.shown}` is for a batch of {self.batch[0]}, which the shape {list(shape)} "
                f"of `{name}` does not begin with; convert the network for a batch of 1"
            )
        return (kept[2], kept[0], kept[1]) if len(shape) == 4 and len(kept) == 3 else kept

    def read(self, operator: FileOperator) -> list[int]:
        """The tensors that an operator reads, without constants."""
        return [number for number in operator.inputs if number >= 0 and number not in self.constant]

    def stored(self, operator: FileOperator, place: int) -> Shape:
        """Shape of an input as the file has it; () where it is left out."""
        number = operator.inputs[place] if place < len(operator.inputs) else -1
        return self.contents.tensors[number].shape if number >= 0 else ()

    def held(self, operator: FileOperator, place: int) -> tuple[int, ...] | None:
        """Values of an input that is a small constant; None where it is none."""
        return self.contents.values.get(operator.inputs[place]) if place < len(operator.inputs) else None

    def input(self, operator: FileOperator, place: int = 0) -> Shape:
        """Shape of an input in the language's order, one example."""
        return self.example(operator.inputs[place])

    def output(self, operator: FileOperator) -> Shape:
        """Shape of the output in the language's order, one example."""
        return self.example(operator.outputs[0])

    def params(self, operator: FileOperator, least: int = 1) -> int:
        """Values of the constants that are numbers of the network, not shapes or axes, and have at least so many."""
        constants = [self.contents.tensors[number] for number in operator.inputs if number in self.constant]
        sizes = [prod(each.shape) for each in constants if each.scales or not each.dtype.startswith("INT")]
        return sum(size for size in sizes if size >= least)


def dimension(axis: int, rank: int) -> int:
    """A dimension of a stored tensor, batch included, as the language counts it."""
    axis %= rank
    return CHANNELS_LAST[axis] if rank == 4 else axis
