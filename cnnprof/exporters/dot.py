"""Graph → Graphviz: a node per layer, a cluster for each level of the paths. `dot -Tsvg net.dot` draws it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cnnprof.exporters.drawing import Group, Node, drawing
from cnnprof.model.graph import Graph


def text(graph: Graph, classes: Mapping[str, str] = MappingProxyType({})) -> str:
    """The graph in the DOT language."""
    drawn = drawing(graph)
    lines = [
        f"digraph {_quoted(graph.name)} {{",
        '  node [shape=box, style=rounded, fontname="sans-serif", fontsize=10];',
        *_inside(drawn.top, 2),
    ]
    for edge in drawn.edges:
        lines.append(f"  {edge.source} -> {edge.target}{'' if edge.executed else ' [style=dashed]'};")
    return "\n".join([*lines, "}", ""])


def _inside(group: Group, indent: int) -> Iterator[str]:
    margin = " " * indent
    for each in group.inner:
        if isinstance(each, Node):
            style = ', style=""' if each.is_input else "" if each.executed else ', style="rounded,dashed"'
            yield f"{margin}{each.id} [label={_quoted(chr(10).join(each.texts))}{style}];"
        else:
            yield f"{margin}subgraph {_quoted('cluster_' + each.path)} {{"
            yield f"{margin}  label={_quoted(each.path)};"
            yield from _inside(each, indent + 2)
            yield f"{margin}}}"


def _quoted(text: str) -> str:
    """Text as a DOT string, whose escapes for quotes, backslashes and line ends are JSON's."""
    return json.dumps(text, ensure_ascii=False)
