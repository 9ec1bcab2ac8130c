"""What an explanation is: the page of a layer, in formulas, and that of a part of a network, in sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.model.kind import Shape
from cnnprof.model.trace import Term

if TYPE_CHECKING:
    from cnnprof.render.document import Document


class Formula(NamedTuple):
    """A figure and how it comes about, exact, in base units.

    exact: False for an estimate.
    """

    label: str
    term: Term
    unit: Literal["count", "bytes", "positions"] = "count"
    exact: bool = True

    @property
    def value(self) -> Number:
        assert not isinstance(self.term.value, float)
        return self.term.value


class Section(NamedTuple):
    """One subject of a layer's page: the rule in words, its formulas, and what else is to be said."""

    title: str
    rule: str
    formulas: tuple[Formula, ...]
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class LayerPage(Record):
    """All about one layer. Shapes are of one example.

    fields: as the spec may write them, defaults included. meanings: what each of them is.
    line: of the file, as in a report; lines: of the steps that lead to the layer, the outermost first.
    part: the sums of a merge and its branches; None of a layer that is all of its part.
    """

    network: str
    path: str
    kind: str
    summary: str
    file: str | None
    line: int | None
    lines: tuple[int, ...]
    fields: Mapping[str, str]
    meanings: Mapping[str, str]
    inputs: tuple[tuple[str, Shape], ...]
    output: Shape
    batch: int
    dtype: str
    sections: tuple[Section, ...]
    part: SumPage | None = None

    def records(self) -> list[dict[str, Any]]:
        """A dict per formula: its section, its label, and the figure in base units."""
        return [
            {
                "section": section.title,
                "label": formula.label,
                "value": plain(formula.value),
                "unit": formula.unit,
                "exact": formula.exact,
            }
            for section in self.sections
            for formula in section.formulas
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import explained

        return explained.document(self)


class SumPart(NamedTuple):
    """A layer's part of a sum; `term` tells how it comes about. declared: it is the spec's word."""

    path: str
    term: Term
    declared: bool = False


class Sum(NamedTuple):
    """A figure of a block or network as the sum of its layers' parts; layers that have none are left out. refused: why
    there is no figure."""

    name: str
    unit: Literal["count", "bytes"]
    meaning: str
    parts: tuple[SumPart, ...]
    exact: bool = True
    refused: str = ""

    @property
    def value(self) -> int | None:
        return None if self.refused else sum(int(part.term.value) for part in self.parts)


@dataclass(frozen=True, slots=True, repr=False)
class SumPage(Record):
    """All about a part of a network, the parts that a pattern names (`path` is what was asked for), or the network as a
    whole (`path` is empty). declared: layers with declared figures."""

    network: str
    path: str
    layers: int
    batch: int
    dtype: str
    sums: tuple[Sum, ...]
    declared: int

    def records(self) -> list[dict[str, Any]]:
        """A dict per layer and figure that it has a part of: the figure's name, the layer's path and its part."""
        return [
            {
                "figure": each.name,
                "path": part.path,
                "value": plain(part.term.value),
                "unit": each.unit,
                "exact": each.exact,
                "declared": part.declared,
            }
            for each in self.sums
            for part in each.parts
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import explained

        return explained.document(self)
