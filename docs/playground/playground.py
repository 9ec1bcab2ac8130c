"""What the playground asks of cnnprof, in the browser: a page for a text or a file, or what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cnnprof
from cnnprof.analysis.layout import lay_out
from cnnprof.lookup import architectures
from cnnprof.render import pictured
from cnnprof.render.html import render

NAME = "network.yaml"
"""What errors call the text."""


def networks() -> str:
    """The texts of all networks that come with cnnprof, by name, as JSON."""
    return json.dumps({name: path.read_text(encoding="utf-8") for name, path in architectures().items()})


def analyzed(
    text: str, variant: str = "", settings: str = "", shape: str = "", batch: str = "", with_: str = ""
) -> str:
    """A spec's page, as JSON: `page`, the HTML; `variants`, their names; `problems`, in place of the page.

    settings: `width=0.5, classes=10`. shape: of the input, `3x192x192`. batch: a number. with_: `fuse_bn, int8`. Each
    is as on the command line, and empty for what the spec says.
    """
    variants: list[str] = []
    try:
        spec = cnnprof.parse(text, NAME)
        variants = list(spec.variants)
        report = cnnprof.analyze(
            spec,
            variant=variant if variant in variants else None,
            args=_settings(settings),
            input=shape or None,
            batch=_batch(batch),
            with_=_listed(with_),
        )
        return json.dumps({"page": _page(report), "variants": variants})
    except cnnprof.CnnprofError as error:
        return json.dumps({"problems": _problems(error), "variants": variants})


def imported(path: str) -> str:
    """The page of a network in another format, as JSON: `page`, and `text`, the network as a spec; or `problems`."""
    try:
        report = cnnprof.analyze(Path(path))
        said = f"# Read from {Path(path).name}. After a change the page is of this text, in float32.\n"
        return json.dumps({"page": _page(report), "text": said + cnnprof.to_yaml(report.graph)})
    except cnnprof.CnnprofError as error:
        return json.dumps({"problems": _problems(error)})


def _page(report: Any) -> str:
    return render(pictured.document([lay_out(report)]))


def _settings(text: str) -> dict[str, str]:
    """Arguments by name. Raises UsageError for what is no `name=value`."""
    found = {}
    for part in _listed(text):
        name, sign, value = part.partition("=")
        if not sign:
            raise cnnprof.UsageError(f"an argument is given as name=value, found `{part}`")
        found[name.strip()] = value.strip()
    return found


def _batch(text: str) -> int:
    """A number of examples. Raises UsageError."""
    if not text.strip():
        return 1
    if not text.strip().isdecimal():
        raise cnnprof.UsageError(f"a batch is a number of examples, found `{text.strip()}`")
    return int(text)


def _listed(text: str) -> list[str]:
    """What commas outside of brackets divide, without what is empty."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _problems(error: cnnprof.CnnprofError) -> list[dict[str, Any]]:
    """What is wrong: a text, and the line from 0 where it has one."""
    found = getattr(error, "problems", None)
    if not found:
        return [{"line": None, "text": f"error: {error}"}]
    return [{"line": None if each.mark is None else each.mark.line, "text": str(each)} for each in found]
