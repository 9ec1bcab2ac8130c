"""The list of targets: what devices have, and where each figure is from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from cnnprof.analysis import units
from cnnprof.devices.profiles import Figure, Ratios, Target
from cnnprof.render.document import Block, Cell, Document, Heading, KeyFigure, KeyFigures
from cnnprof.render.document import document as made


def document(found: Sequence[Target]) -> Document:
    """Every target with its figures and their sources."""
    return made(block for each in found for block in _blocks(each))


def _blocks(target: Target) -> Iterator[Block]:
    yield Heading(target.name, (target.title,))
    figures = (KeyFigure(name, Cell(text, figure.value), figure.source) for name, text, figure in _figures(target))
    yield KeyFigures(tuple(figures), 2)


def _figures(target: Target) -> Iterator[tuple[str, str, Figure]]:
    """(name, as people read it, the figure) of what is known."""
    for name in ("ram", "flash", "memory"):
        figure: Figure | None = getattr(target, name)
        if figure is not None:
            yield name, units.size(figure.value), figure
    if target.bandwidth is not None:
        yield "bandwidth", f"{units.count(target.bandwidth.value)}B/s", target.bandwidth
    for dtype, figure in target.operations.items():
        yield dtype, f"{units.count(figure.value)}/s", figure


def targets_json(found: Sequence[Target]) -> str:
    """A list of objects."""
    return json.dumps([_record(each) for each in found], indent=2, ensure_ascii=False) + "\n"


def _record(target: Target) -> dict[str, object]:
    known = {
        name: figure._asdict() for name in ("ram", "flash", "memory", "bandwidth") if (figure := getattr(target, name))
    }
    rates = {dtype: figure._asdict() for dtype, figure in target.operations.items()}
    return {"name": target.name, "title": target.title, "sort": target.sort, **known, "operations": rates,
            **({} if target.measured is None else {"measured": _measured(target.measured)})}  # fmt: skip


def _measured(found: Ratios) -> dict[str, object]:
    kinds = {word: ratio._asdict() for word, ratio in found.kinds.items()}
    return {"dtype": found.dtype, "whole": found.whole, "kinds": kinds}
