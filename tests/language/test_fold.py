"""What is alike becomes one block, and what differs its arguments; `test_write` checks that it unfolds to the same."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from cnnprof.language import fold as folding
from cnnprof.language.fold import flat, fold
from cnnprof.language.registry import kinds
from cnnprof.language.write import write
from cnnprof.model.builder import Builder
from cnnprof.model.graph import Graph
from tests.support.networks import graph, network


def blocks(text: str) -> str:
    """The blocks of what is written, from left."""
    written = write(graph(text))
    return (
        dedent(written.partition("\nblocks:\n")[2].partition("\n\nlayers:")[0] + "\n") if "blocks:" in written else ""
    )


def test_what_differs_becomes_arguments() -> None:
    """Equal columns share one; channels are said by what they are equal to, or a multiple of; padding by the kernel."""
    text = network(
        """
        - unit: [8, 3]
          name: a
        - unit: [16, 5]
          name: b
        - unit: [16, 5]
          name: c
        - unit: [32, 3]
          name: d
        """,
        header="""
blocks:
  unit:
    args: {c: required, k: required}
    layers:
      - conv2d: {out_channels: c, kernel_size: k, padding: k // 2, bias: k == 3}
      - conv2d: {out_channels: c, kernel_size: 3, padding: k // 2, groups: c, dilation: k // 2}
      - conv2d: {out_channels: 2 * c, kernel_size: 1}
      - elu: {alpha: k / 10}
      - conv2d: {out_channels: "input[0]", kernel_size: 1}
      - conv2d: {out_channels: c, kernel_size: 1}
""",
    )
    assert blocks(text) == dedent(
        """\
        unit:
          args: {channels: required, kernel: required, bias: true, dilation: 1, alpha: required}
          layers:
            - conv2d: {out_channels: channels, kernel_size: kernel, padding: kernel // 2, bias: bias}
            - conv2d: {out_channels: channels, kernel_size: 3, padding: dilation, dilation: dilation, groups: channels}
            - conv2d: {out_channels: 2 * channels, kernel_size: 1}
            - elu: {alpha: alpha}
            - conv2d: {out_channels: "input[0]", kernel_size: 1}
            - conv2d: {out_channels: channels, kernel_size: 1}
        """
    )


CONV = "conv2d: {out_channels: 8, kernel_size: 3, padding: 1}"
UNIT = f"[{{{CONV}}}, relu, {{{CONV}}}, tanh]"


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        pytest.param("- unit:\n  name: a\n- unit:\n  name: b\n- unit:\n  name: c", ["unit"], id="three alike"),
        pytest.param("- unit:\n  name: a\n- tanh", [], id="one of its kind"),
        pytest.param(
            f"- {CONV}\n- unit:\n  name: a\n- relu6\n- unit:\n  name: b\n  share: a\n- unit:\n  name: c",
            [],
            id="shared weights",
        ),
        pytest.param("- small:\n  name: a\n- relu\n- small:\n  name: b", [], id="more lines as a block than without"),
        pytest.param(
            "- other:\n  name: a\n- other:\n  name: b\n- other:\n  name: c\n- tanh:\n  name: d",
            ["unit"],
            id="a block in a block, which saves more without the one around",
        ),
    ],
)
def test_which_parts_are_blocks(steps: str, found: list[str]) -> None:
    """As few lines as may be."""
    header = f"blocks:\n  unit: {{layers: {UNIT}}}\n  small: {{layers: [relu, tanh]}}\n  other: {{layers: [unit]}}"
    made = fold(graph(network(steps, header=header)))
    assert [block.name for block in made.blocks.values()] == found


def alike(count: int, path: str = "m{}") -> Graph:
    """As many parts of eight layers, all alike."""
    builder = Builder()
    tensor = builder.input("input", (4, 8, 8))
    for number in range(count):
        for layer in range(8):
            kind = kinds()["conv2d"](out_channels=4, kernel_size=1) if layer % 2 else kinds()["relu"]()
            tensor = builder.add(f"{path.format(number)}.l{layer}", kind, [tensor])
    builder.output("out", tensor)
    return builder.graph("net", same_in_training=True)


def names(found: Graph, **options: Any) -> list[str]:
    return [block.name for block in fold(found, **options).blocks.values()]


@pytest.mark.parametrize(
    ("path", "classes", "expected"),
    [
        ("m{}", {}, "m"),
        ("features.{}", {}, "features"),
        ("{}", {}, "block"),
        ("layer{}", {"layer0": "InvertedResidual"}, "inverted_residual"),
        ("layer{}", {"layer0": "HTTPBlock2"}, "http_block"),
        ("relu{}", {}, "relu_block"),
        ("side{}", {}, "side_block"),
    ],
)
def test_names_of_blocks(path: str, classes: dict[str, str], expected: str) -> None:
    """What the author calls the first of them, or the last level of its path that is no number; never as a kind."""
    assert names(alike(3, path), classes=classes) == [expected]


def test_a_spec_s_own_words_name_its_blocks() -> None:
    text = network("- depthwise_separable: {channels: 8}\n  name: x\n  repeat: 9\n- relu\n- depthwise_separable: [4]")
    assert names(graph(text)) == ["depthwise_separable"]


def test_paths_of_many_levels() -> None:
    """What is deeper than anyone writes stays a list."""
    deep = ".".join(["a"] * (folding.MOST_LEVELS + 40))
    found = alike(3, f"{deep}{{}}")
    assert len(fold(found).parts) == 24
    write(found)


def test_many_candidates_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighing each takes time; not weighed, every part that has its like is a block."""
    steps = "".join(f"- small:\n  name: a{number}\n- relu6\n" for number in range(2))
    found = graph(network(steps, header="blocks: {small: {layers: [relu, tanh]}}"))
    assert names(found) == []
    monkeypatch.setattr(folding, "MOST_WEIGHED", 0)
    assert names(found) == ["small"]
    write(found)


def test_parts_in_front_that_join_what_the_others_read() -> None:
    """A part that reads several layers is no block; the rest of it, after it has joined them, is."""
    builder = Builder()
    outs = [builder.input("input", (4, 8, 8))]
    for number in range(1, 5):
        joined = builder.add(f"dense.l{number}.cat", kinds()["concat"](), outs) if number > 1 else outs[0]
        for layer in range(3):
            joined = builder.add(f"dense.l{number}.norm{layer}", kinds()["batch_norm"](), [joined])
            joined = builder.add(
                f"dense.l{number}.conv{layer}", kinds()["conv2d"](out_channels=2, kernel_size=1), [joined]
            )
        outs.append(joined)
    builder.output("out", outs[-1])
    found = builder.graph("net", same_in_training=True)
    assert [part.name for part in fold(found).parts] == [
        "dense.l1", "dense.l2.cat", "dense.l2", "dense.l3.cat", "dense.l3", "dense.l4.cat", "dense.l4",
    ]  # fmt: skip
    write(found)


def test_flat_is_a_part_per_layer() -> None:
    found = alike(2)
    assert [part.name for part in flat(found).parts] == [layer.path for layer in found.layers]
    assert flat(found).blocks == {}
