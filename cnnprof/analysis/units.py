"""Numbers and shapes as people read them: 4.09 G, 25.6 M, 97.5 MiB, 64×112×112."""

from __future__ import annotations

from collections.abc import Sequence

from cnnprof.analysis.receptive_field import Number

_DECIMAL = ("", "K", "M", "G", "T", "P", "E")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def exact(number: int) -> str:
    """25,557,032."""
    return f"{number:,}"


def count(number: int) -> str:
    """25.6 M: three digits and a decimal unit; below a thousand the number itself."""
    return _scaled(number, 1000, _DECIMAL).rstrip()


def size(number: int) -> str:
    """97.5 MiB: three digits and a binary unit; below 1,024 the bytes themselves."""
    return _scaled(number, 1024, _BINARY)


def shape(dims: Sequence[int]) -> str:
    """64×112×112."""
    return "×".join(map(str, dims))


def places(number: Number | None) -> str:
    """A distance in positions: 7, or 3.5; empty where there is none."""
    if number is None:
        return ""
    return f"{number:,}" if isinstance(number, int) else f"{float(number):.4g}"


def ratio(number: float | None) -> str:
    """58.4; empty where there is none."""
    if number is None:
        return ""
    return f"{number:,.1f}" if number >= 1 else f"{number:.3f}"


def share(part: float) -> str:
    """58.7 %."""
    return f"{100 * part:.1f} %"


def bar(part: float, width: int) -> str:
    """A part of 1 as a bar of eighths of a cell; anything above 0 shows."""
    eighths = round(part * width * 8)
    if part > 0:
        eighths = max(1, eighths)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def plural(number: int, one: str) -> str:
    """1 layer, 2 layers."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"


def _scaled(number: int, base: int, units: tuple[str, ...]) -> str:
    if number < base:
        return f"{number} {units[0]}"
    scale = 1
    for unit in units[1:]:
        scale *= base
        # The text, not the number, decides: 999,950 is 1.00 M, not 1000 K.
        if number * 2 < (2 * base - 1) * scale or unit == units[-1]:
            break
    value = number / scale
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{digits}f} {unit}"
