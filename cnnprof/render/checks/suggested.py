"""Limits that would just hold, as a project file and a spec write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from cnnprof.errors import printable
from cnnprof.gate.result import CheckResult
from cnnprof.gate.suggest import Suggestion
from cnnprof.render.document import Block, Code, Document, Heading, Text
from cnnprof.render.document import document as made
from cnnprof.render.words import ABOUT

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%+ -]*")


def document(result: CheckResult) -> Document:
    """A block for every budget, in the form in which it is written."""
    return made(_blocks(result.suggested, bool(result.problems)))


def _blocks(found: Sequence[Suggestion], wrong: bool) -> Iterator[Block]:
    if not found and wrong:
        yield Text("no limit to suggest: nothing could be checked, see the errors")
    elif not found:
        yield Text("no limit to suggest: no budget has one; name a SPEC, or write a first limit")
    budgets: dict[str, dict[str, dict[str | None, dict[str, str]]]] = {}
    for each in found:
        rules = budgets.setdefault(each.budget, {})
        rules.setdefault(each.rule, {}).setdefault(each.part, {})[each.metric] = each.limit
    for name, rules in budgets.items():
        yield Heading(printable(name))
        lines = [f"{rule}: {_written(rule, parts)}" for rule, parts in rules.items()]
        if estimated := dict.fromkeys(each.metric for each in found if each.budget == name and each.estimate):
            lines.append(f"# {ABOUT} {', '.join(estimated)}: {'estimates' if len(estimated) > 1 else 'an estimate'}")
        yield Code("\n".join(lines), 2)


def _written(rule: str, parts: Mapping[str | None, Mapping[str, str]]) -> str:
    """`{params: 16, macs: 768}`, or by the part that the limits are on."""
    entries = [f"{metric}: {scalar(limit)}" for metric, limit in parts.get(None, {}).items()]
    below = [f"{scalar(part)}: {_mapping(limits)}" for part, limits in parts.items() if part is not None]
    if below and rule == "max_increase":
        entries.append(f"at: {{{', '.join(below)}}}")
    else:
        entries += below
    return f"{{{', '.join(entries)}}}"


def _mapping(limits: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{metric}: {scalar(limit)}' for metric, limit in limits.items())}}}"


def scalar(text: str) -> str:
    """A string of YAML, in quotes where it needs any."""
    return text if _PLAIN.fullmatch(text.removeprefix("+")) and text == text.strip() else json.dumps(text)
