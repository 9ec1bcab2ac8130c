"""Graph → Mermaid, which GitHub, GitLab and many editors draw: a node per layer, a subgraph per level of the paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cnnprof.exporters.drawing import Group, Node, drawing
from cnnprof.model.graph import Graph


def text(graph: Graph, classes: Mapping[str, str] = MappingProxyType({})) -> str:
    """The graph as a Mermaid flowchart."""
    drawn = drawing(graph)
    lines = ["flowchart TB", *_inside(drawn.top, 2, iter(range(10**9)))]
    lines += [f"  {edge.source} {'-->' if edge.executed else '-.->'} {edge.target}" for edge in drawn.edges]
    return "\n".join([*lines, ""])


def _inside(group: Group, indent: int, numbers: Iterator[int]) -> Iterator[str]:
    margin = " " * indent
    for each in group.inner:
        if isinstance(each, Node):
            left, right = ("([", "])") if each.is_input else ("[", "]")
            yield f"{margin}{each.id}{left}{_quoted('<br>'.join(map(_escaped, each.texts)))}{right}"
        else:
            yield f"{margin}subgraph g{next(numbers)} [{_quoted(_escaped(each.path))}]"
            yield from _inside(each, indent + 2, numbers)
            yield f"{margin}end"


def _escaped(text: str) -> str:
    """Text without what Mermaid takes for markup, by its entity codes."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _quoted(text: str) -> str:
    return f'"{text}"'
