"""A network on its way to the operators of a file: steps and tensors, which rules change."""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof.errors import brief, printable
from cnnprof.model.deployed import NotPlanned
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Kind, Shape


class Step:
    """A step on its way to an operator: a layer, until a rule gives it the operator's word.

    reads, makes: numbers of tensors. order: the layer's number, then where among the steps that come of the layer: 0 is
        the layer itself, less is before it.
    weights: shape of its quantised constant, as it is stored. bias: whether it has one per output channel.
    before, behind: shapes of int32 constants that it reads before its tensors, and after them.
    activated: whether an activation is part of it. padded: whether its padding is decided.
    """

    __slots__ = (
        "activated", "before", "behind", "bias", "kind", "makes", "order", "padded", "path", "reads", "weights", "word",
    )  # fmt: skip

    def __init__(self, path: str, kind: Kind | None, reads: Sequence[int], makes: int, order: tuple[int, ...]) -> None:
        self.path = path
        self.kind = kind
        self.reads = list(reads)
        self.makes = makes
        self.order = order
        self.word = ""
        self.weights: Shape | None = None
        self.bias = False
        self.before: list[Shape] = []
        self.behind: list[Shape] = []
        self.activated = False
        self.padded = False

    @property
    def name(self) -> str:
        """The word of the layer, or of the operator that it has become."""
        return self.word or (self.kind.word if self.kind else "")


class Network:
    """The steps of a network and the shapes of its tensors: one example, channels first."""

    def __init__(self, graph: Graph) -> None:
        first = len(graph.inputs)
        self.shapes = dict(enumerate(graph.shapes()))
        self.names = {tensor: graph.tensor_name(tensor) for tensor in self.shapes}
        self.inputs = tuple(range(first))
        self.outputs = [output.tensor for output in graph.outputs if output.executed]
        self.floats: set[int] = set()
        """Tensors that stay in float32."""
        self.lifted: set[int] = set()
        """Tensors of a sequence that are stored as an image of one row."""
        self.notes: dict[str, None] = {}
        self.avoidable: set[str] = set()
        """Names of padded copies that padding as TensorFlow's SAME would avoid."""
        self._steps: dict[Step, None] = {}
        self._readers: dict[int, dict[Step, None]] = {}
        self._makers: dict[int, Step] = {}
        for number, layer in enumerate(graph.layers):
            if layer.executed:
                step = Step(layer.path, layer.kind, layer.inputs, first + number, (number, 0))
                if layer.inputs and not layer.batched:  # a converter computes it, or leaves it to the device
                    raise not_known(step, " of parameters alone")
                self.insert(step)

    def steps(self, *names: str) -> list[Step]:
        """The steps in order: all, or those of some words."""
        found = (step for step in self._steps if not names or step.name in names)
        return sorted(found, key=lambda step: step.order)

    def readers(self, tensor: int) -> list[Step]:
        """The steps that read a tensor."""
        return list(self._readers.get(tensor, ()))

    def maker(self, tensor: int) -> Step | None:
        """The step that makes a tensor; None for an input."""
        return self._makers.get(tensor)

    def only_maker(self, step: Step) -> Step | None:
        """The step before one, where nothing else reads what it makes."""
        tensor = step.reads[0]
        alone = len(self._readers[tensor]) == 1 and tensor not in self.outputs
        return self.maker(tensor) if alone else None

    def only_reader(self, step: Step) -> Step | None:
        """The step behind one, where nothing else reads what that makes."""
        readers = self.readers(step.makes)
        return readers[0] if len(readers) == 1 and step.makes not in self.outputs else None

    def channels(self, tensor: int) -> int:
        """Channels of a tensor."""
        return self.shapes[tensor][0]

    # What rules do.

    def tensor(self, shape: Shape, name: str) -> int:
        """A new tensor."""
        number = len(self.shapes)
        self.shapes[number], self.names[number] = shape, name
        return number

    def note(self, text: str) -> None:
        """Says why a real file may differ."""
        self.notes[text] = None

    def bypass(self, step: Step) -> None:
        """Takes a step out: who reads what it makes reads its first input instead."""
        self.remove(step)
        old, new = step.makes, step.reads[0]
        for reader in self.readers(old):
            self.reread(reader, [new if tensor == old else tensor for tensor in reader.reads])
        self.outputs = [new if tensor == old else tensor for tensor in self.outputs]

    def absorb(self, before: Step, step: Step) -> None:
        """Takes a step out that the one before it does as well."""
        self.remove(step)
        before.makes = step.makes
        self._makers[step.makes] = before

    def reread(self, step: Step, reads: Sequence[int]) -> None:
        """Makes a step read other tensors."""
        self.remove(step)
        step.reads = list(reads)
        self.insert(step)

    def chain(self, step: Step, words: Sequence[str], shapes: Sequence[Shape] = ()) -> list[Step]:
        """Puts steps one after the other in place of a step. shapes: of what they make, but for the last; as what the
        step reads where there are none."""
        self.remove(step)
        tensor = step.reads[0]
        made = []
        for number, word in enumerate(words):
            own = step.makes
            if number < len(words) - 1:
                own = self.tensor(shapes[number] if shapes else self.shapes[step.reads[0]], step.path)
            made.append(Step(step.path, None, [tensor], own, (*step.order, number)))
            made[-1].word = word
            self.insert(made[-1])
            tensor = own
        return made

    def before(self, step: Step, word: str, shape: Shape, position: int = 0) -> Step:
        """Puts a step before another, on the way of one of the tensors that it reads."""
        made = Step(
            step.path,
            None,
            [step.reads[position]],
            self.tensor(shape, step.path),
            (step.order[0], step.order[1] - 1, position),
        )
        made.word = word
        self.insert(made)
        self.reread(step, [*step.reads[:position], made.makes, *step.reads[position + 1 :]])
        return made

    def insert(self, step: Step) -> None:
        """Puts a step in."""
        self._steps[step] = None
        self._makers[step.makes] = step
        for tensor in step.reads:
            self._readers.setdefault(tensor, {})[step] = None

    def remove(self, step: Step) -> None:
        """Takes a step out, and leaves what it reads and makes as it is."""
        del self._steps[step]
        self._makers.pop(step.makes, None)
        for tensor in set(step.reads):
            del self._readers[tensor][step]


def not_known(step: Step, more: str = "") -> NotPlanned:
    """The refusal of a layer."""
    return NotPlanned(
        f"what a converter makes of `{step.name}`{more} is not known (the layer `{brief(printable(step.path))}`); "
        f"convert the network and give the .tflite file"
    )
