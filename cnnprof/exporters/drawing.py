"""What drawings of a graph share: nodes with their texts, edges, and the levels of the paths around them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from cnnprof.language.fold import prefixes
from cnnprof.language.literal import fields, literal
from cnnprof.model.graph import Graph
from cnnprof.model.kind import Shape


class Node(NamedTuple):
    """An input or a layer. texts: its lines; executed: False in a side output that only training executes."""

    id: str
    texts: tuple[str, ...]
    executed: bool = True
    is_input: bool = False


class Edge(NamedTuple):
    """A tensor between the node that gives it and one that reads it, or the output that it is."""

    source: str
    target: str
    executed: bool = True


@dataclass(slots=True)
class Group:
    """Nodes below one path, of which there are at least two, and the groups among them, in the order of the layers."""

    path: str
    inner: list[Node | Group] = field(default_factory=list)


class Drawing(NamedTuple):
    """A graph to be drawn."""

    top: Group
    edges: tuple[Edge, ...]


def drawing(graph: Graph) -> Drawing:
    """The nodes of a graph by the levels of their paths, its edges, and a node for each output."""
    ids = [f"t{tensor}" for tensor in range(len(graph.inputs) + len(graph.layers))]
    first = len(graph.inputs)
    sizes = Counter(prefix for layer in graph.layers for prefix in prefixes(layer.path))
    groups = {"": Group("")}

    def group(path: str) -> Group:
        """The innermost group that a path is in."""
        above = path.rpartition(".")[0]
        if path and sizes[path] < 2:
            return group(above)
        if path not in groups:
            groups[path] = Group(path)
            group(above).inner.append(groups[path])
        return groups[path]

    for tensor, (name, shape) in enumerate(graph.inputs.items()):
        groups[""].inner.append(Node(ids[tensor], (name, by(shape)), is_input=True))
    edges = []
    for number, layer in enumerate(graph.layers):
        values = ", ".join(f"{name}: {literal(value)}" for name, value in fields(layer.kind).items())
        around = group(layer.path.rpartition(".")[0])
        name = layer.path.removeprefix(f"{around.path}.")
        said = f"{layer.kind.word} {values}".strip()
        texts = (said, by(layer.shape)) if name == layer.kind.word else (name, said, by(layer.shape))
        node = Node(ids[first + number], texts, layer.executed)
        around.inner.append(node)
        edges += [Edge(ids[tensor], node.id, layer.executed) for tensor in layer.inputs]
    for number, output in enumerate(graph.outputs):
        groups[""].inner.append(Node(f"o{number}", (output.label,), output.executed, is_input=True))
        edges.append(Edge(ids[output.tensor], f"o{number}", output.executed))
    return Drawing(groups[""], tuple(edges))


def by(shape: Shape) -> str:
    """A shape as `64×56×56`."""
    return "×".join(map(str, shape))
