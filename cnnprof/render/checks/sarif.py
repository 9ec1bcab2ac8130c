"""SARIF 2.1.0, which code scanning reads: https://docs.oasis-open.org/sarif/sarif/v2.1.0/."""

from __future__ import annotations

import json
import ntpath
from typing import Any
from urllib.parse import quote

from cnnprof.gate.result import LATENCY, Checked, CheckResult, Verdict, Wrong
from cnnprof.model.metrics import METRICS
from cnnprof.render.checks import words

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
WRONG = "wrong"
MOST = 25_000
"""Results of a run that GitHub reads: it refuses a file with more."""
_RULES = {
    "max": "{} is over its limit",
    "warn": "{} is over its warning level",
    "max_increase": "{} grew more than it may since the baseline",
}
_LEVELS = {"max": "error", "warn": "warning", "max_increase": "error"}


def render(result: CheckResult) -> str:
    """One run. Rule ids are `max/params` and so on, `wrong` for what could not be checked."""
    results = [_broken(result, checked, verdict) for checked in result.checks for verdict in checked.broken]
    results += [_wrong(result, wrong) for wrong in result.problems]
    left = len(results) - MOST
    results = sorted(results, key=lambda found: found["level"] != "error")[:MOST] if left > 0 else results
    rules = _rules()
    for found in results:
        found["ruleIndex"] = next(index for index, rule in enumerate(rules) if rule["id"] == found["ruleId"])
    driver = {"name": "cnnprof", "version": result.version, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {"ROOT": {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(result, left)],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _invocation(result: CheckResult, left: int) -> dict[str, Any]:
    """How the run ended, and its notes. left: results that are not told."""
    notes = [f"{checked.network}, {words.budget(checked)}: {note}"
             for checked in result.checks for note in (*checked.unheld, *checked.notes)]  # fmt: skip
    notes += [f"{left:,} more results are left out: a run has {MOST:,} at most"] if left > 0 else []
    told = [{"level": "note", "message": {"text": words.plain(note)}} for note in (*notes, *words.notes(result))]
    invocation = {"executionSuccessful": not result.problems, "exitCode": result.exit_code}
    return {**invocation, "toolExecutionNotifications": told} if told else invocation


def _rules() -> list[dict[str, Any]]:
    """All rules, found broken or not, so that their list is stable."""
    rules = [
        {
            "id": f"{rule}/{metric}",
            "shortDescription": {"text": text.format(metric)},
            "fullDescription": {"text": f"{metric}: {METRICS[metric].meaning}."},
            "defaultConfiguration": {"level": _LEVELS[rule]},
        }
        for rule, text in _RULES.items()
        for metric in METRICS
    ]
    rules.append(
        {
            "id": f"max/{LATENCY}",
            "shortDescription": {"text": _RULES["max"].format(LATENCY)},
            "fullDescription": {"text": f"{LATENCY}: time over that of a reference network, measured alternately."},
            "defaultConfiguration": {"level": _LEVELS["max"]},
        }
    )
    wrong = "A spec, the project file or the baseline is wrong"
    return [*rules, {"id": WRONG, "shortDescription": {"text": wrong}, "defaultConfiguration": {"level": "error"}}]


def _broken(result: CheckResult, checked: Checked, verdict: Verdict) -> dict[str, Any]:
    network = "" if checked.network == checked.file else f"{words.plain(checked.network)}: "
    head = f"{network}{words.sentence(verdict)}; {words.budget(checked)} at {words.plain(verdict.place)}"
    return {
        "ruleId": f"{verdict.rule}/{verdict.metric}",
        "level": "error" if verdict.over else "warning",
        "message": {"text": ". ".join([head, *map(str.strip, words.details(verdict)), *words.note(checked)])},
        "locations": [_location(result, checked.file, verdict.line)],
        "partialFingerprints": {"cnnprof/v1": words.fingerprint(result, checked, verdict)},
    }


def _wrong(result: CheckResult, wrong: Wrong) -> dict[str, Any]:
    return {
        "ruleId": WRONG,
        "level": "error",
        "message": {"text": words.plain(wrong.message)},
        "locations": [_location(result, wrong.file, wrong.line)] if wrong.file is not None else [],
        "partialFingerprints": {"cnnprof/v1": words.fingerprint_of_problem(result, wrong)},
    }


def _location(result: CheckResult, file: str | None, line: int | None) -> dict[str, Any]:
    """GitHub asks for a path: the working directory where there is no file."""
    path = words.source(result, file) or words.path(result, None)
    drive, rest = ntpath.splitdrive(path) if ntpath.splitdrive(result.folder)[0] else ("", path)
    uri = quote(rest.encode("utf-8", "surrogateescape"))
    artifact = {"uri": uri, "uriBaseId": "ROOT"}
    if rest.startswith("/"):
        host = {"": "file://", ":": "file:///"}.get(drive[-1:], "file:")  # a drive, `D:`, or `//server/share`
        artifact = {"uri": f"{host}{drive}{uri}"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": line or 1}}}
