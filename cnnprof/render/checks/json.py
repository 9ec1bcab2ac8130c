"""JSON, stable and versioned: every limit with its exact figure, broken or not."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from cnnprof.analysis.receptive_field import Number
from cnnprof.gate.changes import NetworkChange
from cnnprof.gate.result import Cause, Checked, CheckResult, Contribution, Verdict, Wrong
from cnnprof.render.checks import words

SCHEMA_VERSION = 2


def render(result: CheckResult) -> str:
    """One object; `checks` are budgets of networks, `problems` what could not be checked."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "exit_code": result.exit_code,
        "summary": words.summary(result),
        "checks": [_checked(result, checked) for checked in result.checks],
        "valid": list(result.valid),
        "problems": [_problem(wrong) for wrong in result.problems],
        "changes": [_change(change) for change in result.changes],
        "loosened": [each._asdict() for each in result.loosened],
        "notes": list(result.notes),
    }
    return json.dumps(document, indent=2) + "\n"


def _checked(result: CheckResult, checked: Checked) -> dict[str, Any]:
    return {
        "network": checked.network,
        "file": checked.file,
        "budget": checked.budget,
        "message": checked.message or None,
        "within": not checked.over,
        "limits": [_verdict(result, checked, verdict) for verdict in checked.verdicts],
        "estimates": list(dict.fromkeys(each.metric for each in checked.verdicts if each.estimate)),
        "declared_layers": checked.declared,
        "notes": [*checked.unheld, *checked.notes],
        "unheld": list(checked.unheld),
    }


def _verdict(result: CheckResult, checked: Checked, verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "metric": verdict.metric,
        "path": verdict.path,
        "limit": verdict.limit,
        "most": _number(verdict.most),
        "figure": _number(verdict.figure),
        "baseline": None if verdict.base is None else _number(verdict.base),
        "since": verdict.since,
        "broken": verdict.broken,
        "estimate": verdict.estimate,
        "place": verdict.place,
        "line": verdict.line,
        "layers": [_part(part) for part in verdict.why.layers],
        "causes": [_cause(cause) for cause in verdict.why.causes],
        "rest": verdict.why.rest._asdict(),
        "around": verdict.around,
        "fingerprint": words.fingerprint(result, checked, verdict),
    }


def _change(change: NetworkChange) -> dict[str, Any]:
    """A network and what became of it; `where` are the outermost steps that a sum grew or shrank in."""
    metrics = {
        each.metric: {
            "before": None if each.before is None else _number(each.before),
            "after": None if each.after is None else _number(each.after),
            "estimate": each.estimate,
            "where": [share._asdict() for share in each.where],
        }
        for each in change.metrics
    }
    named: dict[str, Any] = {
        "network": change.network,
        "file": change.file,
        "status": change.status,
        "since": change.since,
    }
    args = [each._asdict() for each in change.args]
    steps = [each._asdict() for each in change.steps]
    named["was"] = change.was or None
    return {**named, "metrics": metrics, "args": args, "steps": steps, "more_steps": change.more}


def _part(part: Contribution) -> dict[str, Any]:
    """The layers that make up a figure; `line` is their own, or the outermost of `lines` where they are in a block that
    comes with the tool; `lines` are those of the steps that lead there, the outermost first."""
    placed = {"path": part.path, "amount": part.amount, "changed": part.changed, "line": part.line}
    return {**placed, "lines": list(part.lines), "what": part.what or None}


def _cause(cause: Cause) -> dict[str, Any]:
    """An outermost step, the heaviest steps inside it (`*` in the paths of repeated ones), and what else it has."""
    return {
        "path": cause.path,
        "amount": cause.amount,
        "changed": cause.changed,
        "line": cause.line,
        "parts": [{**_part(part), "layers": part.layers} for part in cause.parts],
        "rest": cause.rest._asdict(),
    }


def _problem(wrong: Wrong) -> dict[str, Any]:
    return {"file": wrong.file, "line": wrong.line, "message": wrong.message}


def _number(value: Number) -> int | float | str:
    """An exact number: an integer, a float that equals it, or the text `a/b`."""
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1:
        return value.numerator
    return float(value) if Fraction(float(value)) == value else str(value)
