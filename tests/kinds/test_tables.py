"""The tables of this folder's modules: what each kind gives and refuses, and whether PyTorch agrees.

A module may have:

- `GIVES`: kind, input shape (a list of shapes where there are several), output shape, and its work in evaluation if it
  has any. Columns after these are for the module's own tests.
- `REFUSES`: kind, input shapes and the message, where PyTorch refuses too.
- `REFUSES_ALONE`: the same, where PyTorch would run and mean something else.

`pytest tests/kinds -k conv` runs the rows of `test_conv.py` with the rest of its tests.
"""

from importlib import import_module
from pathlib import Path

import pytest

from cnnprof.errors import RuleError
from cnnprof.model.kind import Kind, Shape, Work
from tests.support.against_torch import refused, said, same

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))


def rows(*tables: str) -> list[object]:
    """The rows of the tables of these names, the input shapes as a list; each is named by its module and its id."""
    found = []
    for name in MODULES:
        module = import_module(f"{__package__}.{name}")
        for row in (row for table in tables for row in getattr(module, table, ())):
            kind, shapes, *rest = row.values
            shapes = shapes if isinstance(shapes, list) else [shapes]
            found.append(pytest.param(kind, shapes, *rest[:2], id=f"{name.removeprefix('test_')}: {row.id}"))
    return found


def given() -> list[object]:
    """The rows of `GIVES`, with no work where a row has none."""
    found = []
    for row in rows("GIVES"):
        kind, shapes, output, *rest = row.values
        work = rest[0] if rest and isinstance(rest[0], Work) else Work()
        found.append(pytest.param(kind, shapes, output, work, id=row.id))
    return found


@pytest.mark.parametrize(("kind", "shapes", "output", "work"), given())
def test_gives(kind: Kind, shapes: list[Shape], output: Shape, work: Work) -> None:
    assert kind.output(*shapes) == output
    assert kind.work(*shapes, training=False) == work


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shapes", "output", "work"), given())
def test_agrees_with_pytorch(kind: Kind, shapes: list[Shape], output: Shape, work: Work) -> None:
    same(kind, *shapes)


@pytest.mark.parametrize(("kind", "shapes", "message"), rows("REFUSES", "REFUSES_ALONE"))
def test_refuses(kind: Kind, shapes: list[Shape], message: str) -> None:
    with pytest.raises(RuleError) as caught:
        kind.output(*shapes)
    assert said(caught.value) == message


@pytest.mark.torch
@pytest.mark.parametrize(("kind", "shapes", "message"), rows("REFUSES"))
def test_refuses_what_pytorch_refuses(kind: Kind, shapes: list[Shape], message: str) -> None:
    assert refused(kind, *shapes) == message
