"""A condition on what is varied, in the language of specs: `depths[0] <= depths[1] and act == relu`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cnnprof.errors import ExpressionError, SpecError, UsageError, brief, listing, printable
from cnnprof.language import expression, source
from cnnprof.language.source import Node, Scalar
from cnnprof.language.source import Sequence as Items

if TYPE_CHECKING:
    from cnnprof.sweeps.axes import SweepAxis


class Where:
    """A condition on the values of axes, each under its name. Raises UsageError for what is no expression."""

    def __init__(self, text: str, axes: Sequence[SweepAxis]) -> None:
        self.text = text
        self.axes = axes
        self.words = frozenset(value for axis in axes if len(axis.values) <= 1000 for value in axis.values)
        try:
            self.evaluate = expression.read(text)
        except ExpressionError as error:
            raise UsageError(f"the condition `{self._shown}` of --where: {error.message}") from None

    def holds(self, given: Sequence[Any]) -> bool:
        """Whether it holds of a combination. given: the value on each axis: a number, a shape, or a text as written.

        Raises UsageError where it has no truth.
        """
        try:
            value = self.evaluate(_Names(self, given))
        except ExpressionError as error:
            raise UsageError(f"the condition `{self._shown}` of --where: {error.message}") from None
        if not isinstance(value, bool | int | float):
            raise UsageError(f"--where takes a condition, such as 'depth < 4', found `{self._shown}`")
        return bool(value)

    @property
    def _shown(self) -> str:
        return printable(brief(self.text))


class _Names:
    """The scope of a condition: what is varied, and the words among its values."""

    def __init__(self, where: Where, given: Sequence[Any]) -> None:
        self.where = where
        self.given = given

    def lookup(self, name: str) -> Any:
        """The value of a name. Raises ExpressionError."""
        for axis, value in zip(self.where.axes, self.given, strict=True):
            if name in (axis.name, axis.varies):
                return _value(value) if isinstance(value, str) and axis.kind in ("argument", "batch") else value
        if name in self.where.words:
            return name
        raise ExpressionError(f"`{name}` is not varied; known: {listing([axis.varies for axis in self.where.axes])}")


@lru_cache(maxsize=4096)
def _value(text: str) -> Any:
    """What a spec reads of a text; a word stays one."""
    try:
        return _of_node(source.parse(text, "value"))
    except SpecError:
        return text


def _of_node(node: Node) -> Any:
    if isinstance(node, Items):
        return tuple(map(_of_node, node.items))
    assert isinstance(node, Scalar)
    try:
        return expression.read(node.text)(_Nothing())
    except (ExpressionError, KeyError):
        return node.text


class _Nothing:
    """A scope without names."""

    def lookup(self, name: str) -> Any:
        """No value. Raises KeyError."""
        raise KeyError(name)
