"""Text for a stream: in the characters that it has, and without commands to the program that reads it.

ASCII and the code pages of Windows lack many of the characters in tables.
"""

from __future__ import annotations

import codecs
import os
import re

_PLAIN = {
    "×": "x", "·": "*", "−": "-", "–": "-", "…": "...", "→": "->", "≈": "~", "≤": "<=", "≡": "==", "±": "+-",
    "─": "-", "│": "|", "└": "+", "├": "+", "┤": "+", "┬": "+", "†": "+", "⚠": "!", "\ufe0f": "", "❌": "x", "✅": "ok",
    "⌊": "[", "⌋": "]", "⌈": "[", "⌉": "]", "½": "1/2", "√": "sqrt", "Σ": "sum", "Π": "product", "π": "pi", "Φ": "Phi",
    "∞": "inf", "µ": "u",
    **dict.fromkeys("█▉▊▋▌▍▎▏", "#"),
    **{power: f"^{number}" for number, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    "ᵖ": "^p", "ᵀ": "^T", "₁": "_1", "ₙ": "_n", "ᵢ": "_i",
}  # fmt: skip
NAME = "cnnprof.plain"


def shown(text: str, encoding: str) -> str:
    """The text with plain characters in place of those that an encoding does not have; those without any are escaped,
    `\\xe9`."""
    return text.encode(encoding, NAME).decode(encoding)


def inert(text: str) -> str:
    """A text of which no line is a command to what runs the jobs of GitHub and Azure, which reads both streams: a
    stranger may have named a file `::error::x.yaml`.

    GitHub's runner looks for `::` where a line begins, and as Azure's for `##[` and `##vso[` anywhere.
    """
    if not (os.environ.get("GITHUB_ACTIONS") or os.environ.get("TF_BUILD")):
        return text
    text = re.sub(r"(?m)^([^\S\n]*)::", r"\1\\::", text)
    return re.sub(r"#(?=#(vso)?\[)", r"#\\", text, flags=re.IGNORECASE)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What takes the place of characters that cannot be encoded, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN[each] if each in _PLAIN else _escaped(each) for each in lacking), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(NAME, _plain)
