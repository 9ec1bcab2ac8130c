"""The list of targets, as text or JSON: what devices have, and where each figure is from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from cnnprof.analysis import units
from cnnprof.devices.profiles import Figure, Target
from cnnprof.render.sheet import fold

LABEL = 12  # cells of a figure's name, and of the figure


def listed(found: Sequence[Target], form: str, width: int | None = None) -> str:
    """Every target with its figures. width: of a terminal."""
    if form == "json":
        return json.dumps([_record(each) for each in found], indent=2, ensure_ascii=False) + "\n"
    return "\n".join("\n".join(_lines(each, width)) + "\n" for each in found)


def _lines(target: Target, width: int | None) -> Iterator[str]:
    yield from fold(f"{target.name}  {target.title}", width or 2**31, "  ")
    for name, value, figure in _figures(target):
        lead = f"  {name:<{LABEL}}{value:<{LABEL}}"
        if width is None or width < len(lead) + 24:
            yield f"{lead}{figure.source}" if width is None else lead.rstrip()
        else:
            first, *more = fold(figure.source, width - len(lead), "")
            yield lead + first
            yield from (" " * len(lead) + part for part in more)


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


def _record(target: Target) -> dict[str, object]:
    known = {
        name: figure._asdict() for name in ("ram", "flash", "memory", "bandwidth") if (figure := getattr(target, name))
    }
    rates = {dtype: figure._asdict() for dtype, figure in target.operations.items()}
    return {"name": target.name, "title": target.title, "sort": target.sort, **known, "operations": rates}
