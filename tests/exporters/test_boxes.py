"""A graph as boxes, columns and rows."""

from __future__ import annotations

import pytest

import cnnprof
from cnnprof.exporters import svg
from cnnprof.exporters.boxes import Box, Branch, Item, Node, Row, boxes, inner_boxes, key, nodes, opened, sides
from cnnprof.kinds.activation import ReLU
from cnnprof.kinds.arithmetic import Add
from cnnprof.lookup import architectures
from cnnprof.model.builder import Builder
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
    if name not in ("ssd300", "yolov8"):  # all others fall apart into branches
        assert not [node for node in seen if node.aside]


def test_sides_are_next_to_what_leads_through() -> None:
    through, ends, begins = Branch("", ()), Branch("", (), True, False), Branch("", (), False, True)
    assert sides([ends, through, begins]) == ([begins], [through], [ends])
    assert sides([begins, begins]) == ([], [begins, begins], [])


def test_what_is_too_deep_is_a_column() -> None:
    """Skips within skips, and paths of many segments, from a file that somebody made up."""
    made = Builder()
    tensors = [made.input("image", (4,))]
    for number in range(400):
        tensors.append(made.add(".".join([*"ab" * 200, f"down{number}"]), ReLU(), [tensors[-1]]))
    last = tensors[-1]
    for number in range(400):
        last = made.add(f"{'up.' * number}add{number}", Add(), [last, tensors[-2 - number]])
    made.output("out", last)
    found = made.graph("deep")
    seen = list(nodes(boxes(found)))
    assert len(seen) == 801
    assert any(node.aside for node in seen)
    assert svg.text(found).count("<svg ") == 1


def test_keys_tell_boxes_apart() -> None:
    def keys(items: tuple[Item, ...]) -> list[str]:
        return [each for box in inner_boxes(items) for each in (key(box), *keys(box.items))]

    found = keys(boxes(cnnprof.unfold("resnet@50")))
    assert len(found) == len(set(found)) > 16


# In all: conv1, 4 stages, 16 blocks, 4 boxes of blocks alike, 52 convolutions with their norm.
@pytest.mark.parametrize(("most", "open_"), [(0, 0), (12, 0), (40, 5), (10_000, 77)])
def test_boxes_open_level_by_level_while_there_is_room(most: int, open_: int) -> None:
    assert len(opened(boxes(cnnprof.unfold("resnet@50")), most)) == open_
