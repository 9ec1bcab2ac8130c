"""JSON, stable and versioned: every limit with its exact figure, broken or not."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from cnnprof.budget import Checked, Result, Verdict, Wrong
from cnnprof.receptive_field import Number
from cnnprof.render.checks import words

SCHEMA_VERSION = 1


def render(result: Result) -> str:
    """One object; `checks` are budgets of networks, `problems` what could not be checked."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "exit_code": result.exit_code,
        "summary": words.summary(result),
        "checks": [_checked(result, checked) for checked in result.checks],
        "valid": list(result.valid),
        "problems": [_problem(wrong) for wrong in result.problems],
    }
    return json.dumps(document, indent=2) + "\n"


def _checked(result: Result, checked: Checked) -> dict[str, Any]:
    return {
        "network": checked.network,
        "file": checked.file,
        "budget": checked.budget,
        "message": checked.message or None,
        "within": not checked.over,
        "limits": [_verdict(result, checked, verdict) for verdict in checked.verdicts],
        "estimates": list(dict.fromkeys(each.metric for each in checked.verdicts if each.estimate)),
        "declared_layers": checked.declared,
        "notes": list(checked.notes),
    }


def _verdict(result: Result, checked: Checked, verdict: Verdict) -> dict[str, Any]:
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
        "layers": [
            {"path": part.path, "amount": part.amount, "changed": part.changed, "line": part.line}
            for part in verdict.parts
        ],
        "around": verdict.around,
        "fingerprint": words.fingerprint(result, checked, verdict),
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
