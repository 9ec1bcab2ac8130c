"""GitLab's code quality report: https://docs.gitlab.com/ci/testing/code_quality/."""

from __future__ import annotations

import json
from typing import Any

from cnnprof.gate.result import Checked, CheckResult, Verdict, Wrong
from cnnprof.render.checks import words


def render(result: CheckResult) -> str:
    """A list of issues, with fingerprints that do not change with lines or figures."""
    issues = [_issue(result, checked, verdict) for checked in result.checks for verdict in checked.broken] + [
        _problem(result, wrong) for wrong in result.problems
    ]
    issues += [_note(result, checked, note) for checked in result.checks for note in checked.unheld]
    unique = {issue["fingerprint"]: issue for issue in issues}
    return json.dumps(list(unique.values()), indent=2) + "\n"


def _issue(result: CheckResult, checked: Checked, verdict: Verdict) -> dict[str, Any]:
    details = [*words.details(verdict), *words.note(checked)]
    network = "" if checked.network == checked.file else f"{words.plain(checked.network)}: "
    return {
        "description": f"{network}{words.sentence(verdict)}; {words.budget(checked)}"
        + "".join(f"; {line.strip()}" for line in details),
        "check_name": f"cnnprof-{verdict.rule.replace('_', '-')}-{verdict.metric}",
        "fingerprint": words.fingerprint(result, checked, verdict),
        "severity": "major" if verdict.over else "minor",
        "location": _location(result, checked.file, verdict.line),
    }


def _note(result: CheckResult, checked: Checked, note: str) -> dict[str, Any]:
    """A limit that could not be compared."""
    where = (checked.network, words.path(result, checked.file), checked.budget)
    return {
        "description": f"{words.plain(checked.network)}: {words.plain(note)}; {words.budget(checked)}",
        "check_name": "cnnprof-note",
        "fingerprint": words.digest(("note", *where, note)),
        "severity": "info",
        "location": _location(result, checked.file, None),
    }


def _problem(result: CheckResult, wrong: Wrong) -> dict[str, Any]:
    return {
        "description": words.plain(wrong.message),
        "check_name": "cnnprof-wrong",
        "fingerprint": words.fingerprint_of_problem(result, wrong),
        "severity": "blocker",
        "location": _location(result, wrong.file, wrong.line),
    }


def _location(result: CheckResult, file: str | None, line: int | None) -> dict[str, Any]:
    """GitLab asks for a path: the working directory where there is no file."""
    return {"path": words.source(result, file) or words.path(result, None), "lines": {"begin": line or 1}}
