"""The pages of `cnnprof explain`, as text or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.explain import Formula, LayerPage, Part, Section, Sum, SumPage
from cnnprof.errors import printable
from cnnprof.model.trace import Term
from cnnprof.render import formula, words
from cnnprof.render.sheet import BOLD, DIM, PLAIN
from cnnprof.render.words import ABOUT

SCHEMA_VERSION = 2
WIDEST_INDENT = 30
"""What goes on in the next line stands below its formula, unless the label is longer than this."""
ROUNDED_FROM = 100_000
"""Figures from here on are also given as 118 M."""


def text(page: LayerPage | SumPage, width: int | None = None, color: bool = False) -> str:
    """A page in lines of at most `width` cells, where that can be; color: whether escape codes are shown."""
    drawn = _layer_page(page, width) if isinstance(page, LayerPage) else _sum_page(page, width)
    lines = []
    for line, style, indent in drawn:
        for piece in _fold(printable(line), width, indent):
            lines.append(f"{style}{piece}{PLAIN}" if color and style and piece else piece)
    return "\n".join(lines) + "\n"


def to_json(page: LayerPage | SumPage) -> str:
    """A page as an object: exact figures, each with its formula in numbers and in names."""
    written = _layer_object(page) if isinstance(page, LayerPage) else _sum_object(page)
    return json.dumps({"schema_version": SCHEMA_VERSION} | written, indent=2, ensure_ascii=False) + "\n"


# Text. A line is (text, style, indent of the lines it goes on in).

Line = tuple[str, str, int]


def _layer_page(page: LayerPage, width: int | None) -> Iterator[Line]:
    inputs = ", ".join(f"{name} {units.shape(shape)}" for name, shape in page.inputs) or "no input"
    yield f"{page.path}  {page.kind}", BOLD, 2
    yield page.summary, "", 0
    yield f"{page.network}, {words.lines(page.lines)} of {page.file}, batch {page.batch}, {page.dtype}", DIM, 2
    yield f"{inputs} → {units.shape(page.output)}", "", 2
    if page.fields:
        yield "", "", 0
        yield "Fields", BOLD, 0
        name_width = max(map(len, page.fields))
        value_width = max(map(len, page.fields.values()))
        for name, held in page.fields.items():
            before = f"  {name:<{name_width}}  {held:<{value_width}}  "
            yield before + page.meanings.get(name, ""), "", len(before)
    for section in page.sections:
        yield "", "", 0
        yield from _section(section)
    if page.part is not None:
        yield "", "", 0
        yield from _sum_page(page.part, width)


def _section(section: Section) -> Iterator[Line]:
    yield section.title, BOLD, 0
    for line in section.rule.split("\n") if section.rule else ():
        yield f"  {line}", DIM, 4
    if section.rule and section.formulas:
        yield "", "", 0
    for each in section.formulas:
        yield from _formula(each)
    for call in _calls(section.formulas):
        yield f"  {formula.number(call.value)} = {formula.call(call)}: {call.meaning}", "", 6
    for fact in section.facts:
        yield f"  {fact}", "", 4


def _formula(each: Formula) -> Iterator[Line]:
    label = f"  {each.label} = "
    indent = min(len(label), WIDEST_INDENT)
    shown, named = formula.numbers(each.term), formula.names(each.term)
    figure = _figure(each)
    if each.term.op == "value":
        name = f"{each.term.name} = " if each.term.name else ""
        yield f"{label}{name}{figure}", "", indent
        return
    yield f"{label}{shown} {'' if figure.startswith(ABOUT) else '= '}{figure}", "", indent
    if named != shown:
        yield " " * indent + named, DIM, indent


def _figure(each: Formula) -> str:
    """9,408; 118,013,952 (118 M); 3,211,264 bytes (3.06 MiB); ≈ 61.29."""
    value = each.value
    about = "" if each.exact else f"{ABOUT} "
    if isinstance(value, Fraction):
        if each.unit == "places" and value.denominator <= 16:
            return about + formula.number(value)
        decimal = f"{float(value):.4g}"
        return decimal if Fraction(decimal) == value and each.exact else f"{ABOUT} {decimal}"
    exact = about + formula.number(value)
    if each.unit == "bytes":
        return f"{exact} bytes" + (f" ({units.size(value)})" if value >= 1024 else "")
    return exact + (f" ({units.count(value)})" if value >= ROUNDED_FROM else "")


def _calls(formulas: Sequence[Formula]) -> list[Term]:
    """The calls whose results the formulas show, each once."""
    found = {
        formula.call(call): call
        for each in formulas
        for call in each.term.calls()
        if call.name not in formula.SPELLED_OUT
    }
    return list(found.values())


def _sum_page(page: SumPage, width: int | None) -> Iterator[Line]:
    what = page.path or page.network
    yield f"{what}  {units.plural(page.layers, 'layer')}", BOLD, 2
    yield (f"{page.network}, " if page.path else "") + f"batch {page.batch}, {page.dtype}", DIM, 2
    for each in page.sums:
        yield "", "", 0
        yield f"{each.name} = {_sum_figure(each)}", BOLD, 2
        yield f"  {each.meaning}", DIM, 4
        if each.parts:
            yield from _parts(each, page.path, width)
    refused = {each.name: each.refused for each in page.sums if each.refused}
    if notes := words.labels([each.name for each in page.sums if not each.exact], page.declared, refused=refused):
        yield "", "", 0
        for note in notes:
            yield note, DIM, 2


def _sum_figure(each: Sum) -> str:
    if each.value is None:
        return "refused"
    rounded = units.size(each.value) if each.unit == "bytes" else units.count(each.value)
    exact = units.exact(each.value) + (" bytes" if each.unit == "bytes" else "")
    about = "" if each.exact else f"{ABOUT} "
    return about + (f"{exact} ({rounded})" if each.value >= ROUNDED_FROM else exact)


def _parts(each: Sum, prefix: str, width: int | None) -> Iterator[Line]:
    rows = [(_below(part, prefix), _derivation(part), units.exact(int(part.term.value))) for part in each.parts]
    rows.append(("sum", "", units.exact(each.value or 0)))
    paths, shown, figures = (max(map(len, column)) for column in zip(*rows, strict=True))
    together = width is None or 2 + paths + 2 + shown + 2 + figures <= width
    for number, (path, derivation, figure) in enumerate(rows):
        if number == len(rows) - 1:
            yield "  " + "─" * (paths + 2 + shown + 2 + figures if together else (width or 0) - 2), "", 2
        if together:
            yield f"  {path:<{paths}}  {derivation:<{shown}}  {figure:>{figures}}", "", 4
        else:
            assert width is not None
            room = max(1, width - 2 - len(path))
            yield f"  {path}{figure:>{room}}" if len(figure) + 2 <= room else f"  {path} = {figure}", "", 4
            if derivation:
                yield f"    {derivation}", DIM, 6


def _below(part: Part, prefix: str) -> str:
    path = part.path.removeprefix(f"{prefix}.") if prefix else part.path
    return f"{path} (declared)" if part.declared else path


def _derivation(part: Part) -> str:
    return "" if part.term.op == "value" else formula.numbers(part.term)


def _fold(text: str, width: int | None, indent: int) -> Iterator[str]:
    """A line in pieces of at most `width` cells, broken behind a space or a factor."""
    if width is None or len(text) <= width:
        yield text.rstrip()
        return
    indent = min(indent, width // 2)
    line = ""
    for token in re.findall(r"\s*[^\s·]*·?", text):
        if len(line) + len(token) > width and line.strip():
            yield line.rstrip()
            line, token = " " * indent, token.lstrip()
        line += token
        while len(line) > width:
            yield line[:width]
            line = " " * indent + line[width:]
    if line.strip():
        yield line.rstrip()


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


def _formula_object(each: Formula) -> dict[str, Any]:
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
