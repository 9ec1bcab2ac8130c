"""A document as one HTML file that holds all it needs: it asks no network, and its tables need no script."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from cnnprof.errors import printable
from cnnprof.render.document import Block, Document, Heading
from cnnprof.render.html.blocks import block as written
from cnnprof.render.html.blocks import escape

NAMED = 3
"""Networks that the page's title names."""


def render(document: Document) -> str:
    """The blocks one after another, each network in a section of its own."""
    titles = [block.title for block in document.blocks if isinstance(block, Heading) and block.level == 1]
    several = len(titles) > 1
    title = ", ".join(titles[:NAMED]) + (f" and {len(titles) - NAMED} more" if len(titles) > NAMED else "")
    title = printable(title) or "cnnprof"
    body = [f"<h1>{escape(title)}</h1>"] if several or not titles else []
    body += _sections(document.blocks, 2 if several else 1)
    return _page(title, "\n".join(body), _data(document))


def _sections(blocks: tuple[Block, ...], level: int) -> Iterator[str]:
    inside = False
    for each in blocks:
        if isinstance(each, Heading) and each.level == 1:
            yield ("</section>" if inside else "") + "<section>"
            inside = True
        yield from written(each, level)
    if inside:
        yield "</section>"


def _data(document: Document) -> str:
    """What the script reads of the figures: an object by the key of each."""
    found: dict[str, object] = {}
    for each in document.blocks:
        if (data := getattr(each, "data", None)) is not None:
            found.update(data())
    return _in_script(json.dumps(found, separators=(",", ":"), ensure_ascii=False)) if found else ""


def _in_script(text: str) -> str:
    """JSON that cannot end the element that it is in, and steers nothing: what does stands only in its strings."""
    text = text.replace("<", "\\u003c")
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    """A character as JSON may write it, escaped where it is not to be seen; beyond 16 bits as a pair of surrogates."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


@cache
def asset(name: str) -> str:
    """A style or script of the page, from the package."""
    return files("cnnprof.render.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _page(title: str, body: str, data: str) -> str:
    style, script = asset("page.css"), asset("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="cnnprof">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="data">{data or "{}"}</script>
<script>{script}</script>
</body>
</html>
"""
