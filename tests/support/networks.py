"""Small networks for tests, written in the language."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from cnnprof.analysis.costs import count
from cnnprof.analysis.report import Report, tabulate
from cnnprof.language import source
from cnnprof.language import unfold as expand
from cnnprof.language.spec import read
from cnnprof.load import architectures
from cnnprof.model.graph import Graph


def network(layers: str, input: str = "[3, 8, 8]", header: str = "") -> str:
    """The text of a spec around a list of layers."""
    body = "\n".join("  " + line for line in dedent(layers).strip("\n").split("\n"))
    return f"cnnprof: 1\nname: net\ninput: {input}\n{dedent(header).strip()}\nlayers:\n{body}\n"


def graph(text: str, **options: Any) -> Graph:
    """The graph of a spec's text; options as `expand.unfold` takes them."""
    return expand.unfold(read(source.parse(text, "net.yaml")), **options)


def report(text: str, batch: int = 1, dtype: str = "float32", **options: Any) -> Report:
    """The report on a spec's text."""
    unfolded = graph(text, **options)
    return tabulate(unfolded, count(unfolded, batch, dtype))


def shipped() -> list[str]:
    """Every architecture that comes with the tool, in every variant."""
    found = []
    for name, path in architectures().items():
        variants = read(source.parse(path.read_bytes(), name)).variants
        found += [name, *(f"{name}@{variant}" for variant in variants)]
    return found
