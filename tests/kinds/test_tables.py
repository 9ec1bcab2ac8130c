"""The tables of this folder's modules: what each kind gives and refuses, and whether PyTorch agrees.

A module may have:

- `GIVES`: kind, input shape (a list of shapes where there are several), output shape, and its work in evaluation if it
  has any. Columns after these are for the module's own tests.
- `REFUSES`: kind, input shapes and the message, where PyTorch refuses too.
- `REFUSES_ALONE`: the same, where PyTorch would run and mean something else.

`pytest tests/kinds -k conv` runs the rows of `test_conv.py` with the rest of its tests.
"""

import pytest

from cnnprof.errors import RuleError
from cnnprof.model.kind import Kind, Shape, Work
from tests.support.against_torch import refused, said, same
from tests.support.kind_tables import rows


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
