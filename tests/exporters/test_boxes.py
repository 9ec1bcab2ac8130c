"""A graph as boxes, columns and rows."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.exporters.boxes import Box, Item, Node, Row, boxes, inner_boxes, key, nodes, opened
from cnnprof.load import architectures
from cnnprof.model.graph import Graph

HEAD = "cnnprof: 1\nname: net\ninput: [4, 8, 8]\n"


def graph(layers: str, blocks: str = "") -> Graph:
    return cnnprof.unfold(cnnprof.parse(f"{HEAD}{blocks}layers:\n{layers}"))


def told(items: tuple[Item, ...]) -> list[object]:
    """A box as (name, count, items), a row as a list of (label, items), a node as its name."""
    found: list[object] = []
    for item in items:
        match item:
            case Node():
                found.append(item.name)
            case Box():
                found.append((item.name, item.count, told(item.items)))
            case Row():
                found.append([(branch.label, told(branch.items)) for branch in item.branches])
    return found


RESIDUAL = """\
  - add:
      body:
        - conv2d: {out_channels: 4, kernel_size: 1}
        - relu
      shortcut: []
"""


def test_a_sequence_is_a_column() -> None:
    assert told(boxes(graph("  - relu\n  - tanh\n"))) == ["input", "relu", "tanh"]


def test_branches_are_a_row_and_one_may_only_pass() -> None:
    assert told(boxes(graph(RESIDUAL))) == ["input", [("body", ["conv2d", "relu"]), ("", [])], "add"]


def test_what_a_path_puts_together_is_a_box_and_one_layer_is_none() -> None:
    blocks = "blocks:\n  pair:\n    layers: [relu, tanh]\n  single:\n    layers: [relu]\n"
    found = boxes(graph("  - pair\n  - single\n", blocks))
    assert told(found) == ["input", ("pair", 1, ["relu", "tanh"]), "single.relu"]


def test_boxes_alike_are_one_with_their_number() -> None:
    blocks = (
        "blocks:\n  block:\n    args: {channels: 4}\n    layers:\n"
        "      - conv2d: {out_channels: channels, kernel_size: 1}\n      - relu\n"
    )
    layers = "  - block: {channels: 8}\n    name: a\n  - block\n    name: b\n    repeat: 3\n".replace(
        "  - block\n    name", "  - block: {}\n    name"
    )
    inner = ["conv2d", "relu"]
    assert told(boxes(graph(layers, blocks))) == [
        "input",
        ("a", 1, inner),
        ("b", 3, [("0", 1, inner), ("1", 1, inner), ("2", 1, inner)]),
    ]


def test_a_side_output_is_a_branch_that_ends() -> None:
    found = boxes(graph("  - relu\n  - side:\n      aux: [tanh]\n  - sigmoid\n"))
    (row,) = [item for item in found if isinstance(item, Row)]
    ends, passes = row.branches
    assert told(ends.items) == ["tanh"]
    assert (ends.reads, ends.read) == (True, False)
    assert (passes.items, passes.reads, passes.read) == ((), True, True)


def test_skips_within_skips_are_rows_within_rows() -> None:
    names = told(boxes(cnnprof.unfold("unet")))
    depth = 0
    while rows := [item for item in names if isinstance(item, list)]:
        (_, names), passes = rows[0]
        assert passes == ("", [])
        depth += 1
    assert depth == 4


@pytest.mark.parametrize("name", architectures())
def test_every_tensor_is_there_once_and_lines_lead_to_each(name: str) -> None:
    found = cnnprof.unfold(name)
    seen = list(nodes(boxes(found)))
    assert sorted(node.tensor for node in seen) == list(range(len(found.inputs) + len(found.layers)))
    assert not [node for node in seen if node.aside]  # these all fall apart into branches


def test_keys_tell_boxes_apart() -> None:
    def keys(items: tuple[Item, ...]) -> list[str]:
        return [each for box in inner_boxes(items) for each in (key(box), *keys(box.items))]

    found = keys(boxes(cnnprof.unfold("resnet@50")))
    assert len(found) == len(set(found)) > 16


# In all: conv1, 4 stages, 16 blocks, 4 boxes of blocks alike, 52 convolutions with their norm.
@pytest.mark.parametrize(("most", "open_"), [(0, 0), (12, 0), (40, 5), (10_000, 77)])
def test_boxes_open_level_by_level_while_there_is_room(most: int, open_: int) -> None:
    assert len(opened(boxes(cnnprof.unfold("resnet@50")), most)) == open_
