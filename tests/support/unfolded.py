"""What specs unfold to, in a line per layer or problem."""

from typing import Any

import pytest

from cnnprof.errors import SpecError
from cnnprof.language.source import parse
from cnnprof.language.spec import read
from cnnprof.language.unfold import unfold
from cnnprof.model.graph import Graph

HEAD = "cnnprof: 1\ninput: [3, 8, 8]\n"
CONV = """
blocks:
  conv:
    args: {channels: required, kernel: 1, stride: 1, act: relu}
    layers:
      - conv2d: {out_channels: channels, kernel_size: kernel, stride: stride, padding: kernel // 2}
      - act
"""


def graph(text: str, variant: str | None = None, **options: Any) -> Graph:
    """The graph of a spec, whose head may be left out; options as `unfold` takes them."""
    if not text.startswith("cnnprof"):
        text = HEAD + text
    return unfold(read(parse(text, "net.yaml")), variant, **options)


def layers(text: str, variant: str | None = None, **options: Any) -> list[str]:
    """`path kind shape` of every layer; `(…)` where it is not executed."""
    found = []
    for layer in graph(text, variant, **options).layers:
        line = f"{layer.path} {layer.kind.word} {'x'.join(map(str, layer.shape))}"
        found.append(line if layer.executed else f"({line})")
    return found


def paths(text: str, **options: Any) -> list[str]:
    """The path of every layer."""
    return [layer.path for layer in graph(text, **options).layers]


def problems(text: str, **options: Any) -> list[str]:
    """`line:column message | hint < trail` of every problem; lines are counted behind the head."""
    with pytest.raises(SpecError) as caught:
        graph(text, **options)
    found = []
    head = 0 if text.startswith("cnnprof") else HEAD.count("\n")
    for problem in caught.value.problems:
        assert problem.mark is not None
        hint = f" | {problem.hint}" if problem.hint else ""
        trail = "".join(f" < {frame.path}:{frame.mark.line + 1 - head}" for frame in reversed(problem.trail))
        found.append(f"{problem.mark.line + 1 - head}:{problem.mark.column + 1} {problem.message}{hint}{trail}")
    return found
