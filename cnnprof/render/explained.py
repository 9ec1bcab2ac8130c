"""The pages of `cnnprof explain`, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.explained import Formula as Traced
from cnnprof.analysis.explained import LayerPage, Section, Sum, SumPage, SumPart
from cnnprof.model.trace import Term
from cnnprof.render import formula, words
from cnnprof.render.document import (
    Block,
    Cell,
    Document,
    Formula,
    Formulas,
    Heading,
    KeyFigure,
    KeyFigures,
    Notes,
    Table,
    TableColumn,
    Text,
    row,
)  # fmt: skip
from cnnprof.render.document import document as made
from cnnprof.render.words import ABOUT

SCHEMA_VERSION = 2
ROUNDED_FROM = 100_000
"""Figures from here on are also given as 118 M."""


def document(page: LayerPage | SumPage) -> Document:
    """A page: of a layer each figure as a formula, of more each figure as a sum."""
    return made(_layer_page(page) if isinstance(page, LayerPage) else _sum_page(page))


def to_json(page: LayerPage | SumPage) -> str:
    """A page as an object: exact figures, each with its formula in numbers and in names."""
    written = _layer_object(page) if isinstance(page, LayerPage) else _sum_object(page)
    return json.dumps({"schema_version": SCHEMA_VERSION} | written, indent=2, ensure_ascii=False) + "\n"


# For people.


def _layer_page(page: LayerPage) -> Iterator[Block]:
    inputs = ", ".join(f"{name} {units.shape(shape)}" for name, shape in page.inputs) or "no input"
    yield Heading(page.path, (page.kind,))
    yield Text(page.summary)
    place = "" if page.file is None else f"{words.lines(page.lines)} of {page.file}, "
    yield Text(f"{page.network}, {place}batch {page.batch}, {page.dtype}", "dim")
    yield Text(f"{inputs} → {units.shape(page.output)}")
    if page.fields:
        yield Heading("Fields", level=2)
        fields = (KeyFigure(name, Cell(held), page.meanings.get(name, "")) for name, held in page.fields.items())
        yield KeyFigures(tuple(fields), 2)
    for section in page.sections:
        yield Heading(section.title, level=2)
        if section.rule:
            yield Text(section.rule, "dim", 2)
        yield Formulas(tuple(map(_formula, section.formulas)))
        yield from (Text(call, "", 2, 4) for call in _called(section.formulas))
        yield from (Text(fact, "", 2) for fact in section.facts)
    if page.part is not None:
        yield from _sum_page(page.part)


def section(found: Section) -> tuple[str, str, list[Formula], list[str]]:
    """A section of a layer's page: title, rule, formulas, and what else is to be said."""
    return found.title, found.rule, list(map(_formula, found.formulas)), [*_called(found.formulas), *found.facts]


def _formula(each: Traced) -> Formula:
    figure = _figure(each)
    if each.term.op == "value":
        return Formula(each.label, each.term.name, figure)
    shown, named = formula.numbers(each.term), formula.names(each.term)
    return Formula(each.label, shown, figure, named if named != shown else "")


def _figure(each: Traced) -> str:
    """9,408; 118,013,952 (118 M); 3,211,264 bytes (3.06 MiB); ≈ 61.29."""
    value = each.value
    about = "" if each.exact else f"{ABOUT} "
    if isinstance(value, Fraction):
        if each.unit == "positions" and value.denominator <= 16:
            return about + formula.number(value)
        decimal = f"{float(value):.4g}"
        return decimal if Fraction(decimal) == value and each.exact else f"{ABOUT} {decimal}"
    exact = about + formula.number(value)
    if each.unit == "bytes":
        return f"{exact} bytes" + (f" ({units.size(value)})" if value >= 1024 else "")
    return exact + (f" ({units.count(value)})" if value >= ROUNDED_FROM else "")


def _called(formulas: Sequence[Traced]) -> list[str]:
    """What the calls in formulas gave, and what they mean."""
    return [f"{formula.number(call.value)} = {formula.call(call)}: {call.meaning}" for call in _calls(formulas)]


def _calls(formulas: Sequence[Traced]) -> list[Term]:
    """The calls whose results the formulas show, each once."""
    found = {
        formula.call(call): call
        for each in formulas
        for call in each.term.calls()
        if call.name not in formula.SPELLED_OUT
    }
    return list(found.values())


def _sum_page(page: SumPage) -> Iterator[Block]:
    yield Heading(page.path or page.network, (units.plural(page.layers, "layer"),))
    yield Text((f"{page.network}, " if page.path else "") + f"batch {page.batch}, {page.dtype}", "dim")
    for each in page.sums:
        yield Heading(f"{each.name} = {_sum_figure(each)}", level=2)
        yield Text(each.meaning, "dim")
        if each.parts:
            yield _parts(each, page.path)
    refused = {each.name: each.refused for each in page.sums if each.refused}
    estimated = [each.name for each in page.sums if not each.exact]
    yield Notes(tuple(words.labels(estimated, page.declared, refused=refused)))


def _sum_figure(each: Sum) -> str:
    if each.value is None:
        return "refused"
    rounded = units.size(each.value) if each.unit == "bytes" else units.count(each.value)
    exact = units.exact(each.value) + (" bytes" if each.unit == "bytes" else "")
    about = "" if each.exact else f"{ABOUT} "
    return about + (f"{exact} ({rounded})" if each.value >= ROUNDED_FROM else exact)


def _parts(each: Sum, prefix: str) -> Table:
    columns = TableColumn("layer", False, shorten=True), TableColumn("formula", False, True), TableColumn(each.name)
    rows = (
        row(
            _below(part, prefix), _derivation(part), Cell(units.exact(int(part.term.value)), part.term.value, each.unit)
        )
        for part in each.parts
    )
    return Table(columns, tuple(rows), (row("sum", "", Cell(units.exact(each.value or 0), each.value, each.unit)),))


def _below(part: SumPart, prefix: str) -> str:
    path = part.path.removeprefix(f"{prefix}.") if prefix else part.path
    return f"{path} (declared)" if part.declared else path


def _derivation(part: SumPart) -> str:
    return "" if part.term.op == "value" else formula.numbers(part.term)


# JSON.


def _layer_object(page: LayerPage) -> dict[str, Any]:
    return {
        "network": page.network,
        "path": page.path,
        "kind": page.kind,
        "summary": page.summary,
        "file": page.file,
        "line": page.line,
        "lines": list(page.lines),
        "fields": dict(page.fields),
        "inputs": [{"layer": name, "shape": list(shape)} for name, shape in page.inputs],
        "output_shape": list(page.output),
        "batch": page.batch,
        "dtype": page.dtype,
        "sections": [
            {
                "title": section.title,
                "rule": section.rule,
                "formulas": [_formula_object(each) for each in section.formulas],
                "facts": list(section.facts),
            }
            for section in page.sections
        ],
        "part": None if page.part is None else _sum_object(page.part),
    }


def _formula_object(each: Traced) -> dict[str, Any]:
    return {
        "label": each.label,
        "formula": formula.numbers(each.term),
        "names": formula.names(each.term),
        "value": _number(each.value),
        "unit": each.unit,
        "exact": each.exact,
        "where": {formula.call(call): _number(call.value) for call in _calls([each])},
    }


def _sum_object(page: SumPage) -> dict[str, Any]:
    def written(each: Sum) -> Mapping[str, Any]:
        return {
            "name": each.name,
            "meaning": each.meaning,
            "unit": each.unit,
            "value": each.value,
            "exact": each.exact,
            "parts": [
                {
                    "path": part.path,
                    "formula": formula.numbers(part.term),
                    "value": int(part.term.value),
                    "declared": part.declared,
                }
                for part in each.parts
            ],
        }

    return {
        "network": page.network,
        "path": page.path,
        "layers": page.layers,
        "batch": page.batch,
        "dtype": page.dtype,
        "estimates": [each.name for each in page.sums if not each.exact],
        "declared_layers": page.declared,
        "refused": {each.name: each.refused for each in page.sums if each.refused},
        "sums": [written(each) for each in page.sums],
    }


def _number(number: int | Fraction | float) -> int | float | str:
    """An exact number: an integer, a float that equals it, or the text `a/b`."""
    if isinstance(number, Fraction):
        return float(number) if Fraction(float(number)) == number else str(number)
    return number
