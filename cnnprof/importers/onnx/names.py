"""What the layers of an ONNX file are called: the module that each came from, where the exporter wrote it down."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cnnprof.importers.common import Paths, plain

_SCOPES = "pkg.torch.onnx.name_scopes"


class Scopes(Paths):
    """The paths of layers, made unique."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        super().__init__()
        self._own = [_scope(node) for node in nodes]
        self._count = Counter(self._own)
        self._above = {scope.rpartition(".")[0] for scope in self._own}

    def path(self, number: int, operator: str) -> str:
        """A path for what a node makes: its module's, and the operator where the module has several nodes."""
        scope = self._own[number]
        alone = scope and self._count[scope] == 1 and scope not in self._above
        return self.unique(scope if alone else ".".join(filter(None, [scope, operator.lower()])))


def _scope(node: Any) -> str:
    """The dotted name of the module that a node is in; empty where the file does not tell."""
    for entry in node.metadata_props:  # of torch's exporter since 2.5: a list of names, the node's own last
        if entry.key == _SCOPES:
            try:
                names = ast.literal_eval(entry.value[:10_000])
                return plain(str(names[-2])) if len(names) > 1 else ""
            except (ValueError, SyntaxError, IndexError, TypeError, RecursionError, MemoryError):
                break
    if not node.name.startswith("/"):
        return node.name and plain(node.name)
    found: list[str] = []
    for part in node.name[1:].split("/")[:-1]:  # of the older one: /layer1/layer1.0/conv1/Conv
        if found and part.startswith(f"{found[-1]}."):
            found.pop()
        found.append(part)
    return plain(".".join(found))
