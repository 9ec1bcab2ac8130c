"""What a terminal shows as an SVG: commands of the documents, run in a terminal of their own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from tests.support.commands import on_a_terminal

CELL, LINE, MARGIN, BAR = 8.4, 18, 14, 30
"""Width and height of a cell, the margin, and the height of the line with the command; in pixels."""
COLORS = {"31": "#ff7b72", "32": "#3fb950", "33": "#d29922", "35": "#bc8cff", "36": "#39c5cf"}
_CODE = re.compile(r"\x1b\[([0-9;]*)m")


class Shot(NamedTuple):
    """A command, and the terminal that it runs in. code: what it exits with."""

    command: str
    width: int
    height: int
    code: int = 0

    def svg(self) -> str:
        """The picture."""
        _, *arguments = shlex.split(self.command)
        text = on_a_terminal(*arguments, width=self.width, height=self.height, code=self.code)
        return svg(self.command, text.rstrip("\n").split("\n"), self.width)


SHOTS = {
    "terminal.svg": Shot("cnnprof analyze resnet@50", 100, 24),
    "check.svg": Shot("cnnprof check resnet@18 resnet@50 mobilenet_v2 --max params=12M", 100, 40, 1),
    "sweep.svg": Shot(
        "cnnprof sweep mobilenet_v1 --set width=0.25:1.0:0.25 --input 3x128x128,3x224x224 --max macs=400M", 100, 40
    ),
}
"""The pictures of README.md and the documents, by their file in docs/pictures."""


def svg(command: str, lines: list[str], width: int) -> str:
    """Lines with escape codes as an SVG, so many cells wide."""
    across, down = width * CELL + 2 * MARGIN, BAR + len(lines) * LINE + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:g} {down:g}" width="{across:g}" '
        f'height="{down:g}" role="img" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" '
        'font-size="14" fill="#e6edf3" xml:space="preserve">',
        f"<title>{escape(command)}</title>",
        f'<rect width="{across:g}" height="{down:g}" rx="8" fill="#0d1117"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 8}" fill="#8b949e">$ {escape(command)}</text>',
    ]
    for number, line in enumerate(lines):
        y = BAR + MARGIN + (number + 0.7) * LINE
        for column, text, style in pieces(line):
            place = f'x="{MARGIN + column * CELL:g}" y="{y:g}" textLength="{len(text) * CELL:g}"'
            drawn.append(f"<text {place}{style}>{escape(text)}</text>")
    return "\n".join([*drawn, "</svg>", ""])


def pieces(line: str) -> Iterator[tuple[int, str, str]]:
    """The texts of a line, the column of each, and its attributes; spaces between them are left out."""
    column, style = 0, ""
    for number, part in enumerate(_CODE.split(line)):
        if number % 2:
            style = _style(part.split(";"))
            continue
        for word in re.finditer(r"\S+(?: \S+)*", part):
            yield column + word.start(), word[0], style
        column += len(part)


def _style(codes: list[str]) -> str:
    """The attributes that escape codes stand for."""
    found = [f' fill="{COLORS[code]}"' for code in codes if code in COLORS]
    found += [' font-weight="bold"'] if "1" in codes else []
    return "".join([*found, *([' opacity="0.65"'] if "2" in codes else [])])
