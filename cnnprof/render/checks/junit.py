"""JUnit's XML, which most CI systems read: a suite per budget, a case per network."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as xml

from cnnprof.errors import printable_lines
from cnnprof.gate.result import Checked, CheckResult, Verdict, Wrong
from cnnprof.render.checks import words

VALID = "validation"


def render(result: CheckResult) -> str:
    """Broken limits are failures, what could not be checked is an error, warnings are output."""
    root = xml.Element("testsuites", name="cnnprof check")
    suites: dict[str, list[xml.Element]] = {}
    for checked in result.checks:
        suites.setdefault(checked.budget, []).append(_case(result, checked))
    for network in result.valid:
        case = xml.Element("testcase", classname=VALID, name=words.plain(network))
        suites.setdefault(VALID, []).append(case)
    for wrong in result.problems:
        suites.setdefault(VALID, []).append(_problem(result, wrong))
    for name, cases in suites.items():
        suite = xml.SubElement(root, "testsuite", {"name": words.plain(name), **_counts(cases)})
        suite.extend(cases)
    if suites and (notes := words.notes(result)):
        xml.SubElement(suite, "system-out").text = "\n".join(notes)
    for key, value in _counts(case for cases in suites.values() for case in cases).items():
        root.set(key, value)
    xml.indent(root)
    text: str = xml.tostring(root, encoding="unicode")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + text + "\n"


def _counts(cases: Iterable[xml.Element]) -> dict[str, str]:
    found = list(cases)
    failures = sum(case.find("failure") is not None for case in found)
    errors = sum(case.find("error") is not None for case in found)
    return {"tests": str(len(found)), "failures": str(failures), "errors": str(errors), "skipped": "0"}


def _case(result: CheckResult, checked: Checked) -> xml.Element:
    case = xml.Element("testcase", classname=words.plain(checked.budget), name=words.plain(checked.network))
    if (file := words.source(result, checked.file)) is not None:
        case.set("file", words.plain(file))
    over = checked.over
    if over:
        if over[0].line is not None:
            case.set("line", str(over[0].line))
        failure = xml.SubElement(case, "failure", message="; ".join(map(words.sentence, over)), type="over budget")
        seen: words.Told = set()
        told = [line for verdict in over for line in _told(checked, verdict, seen)]
        failure.text = "\n".join(told + words.note(checked))
    said = [f"warning: {words.sentence(verdict)}" for verdict in checked.broken if not verdict.over]
    said += [words.sentence(verdict) for verdict in checked.verdicts if not verdict.broken]
    said += [words.plain(note) for note in (*checked.unheld, *checked.notes)]
    if said:
        xml.SubElement(case, "system-out").text = "\n".join(said)
    return case


def _told(checked: Checked, verdict: Verdict, seen: words.Told) -> list[str]:
    head = f"{words.where(checked, verdict)}: {words.sentence(verdict)} ({words.plain(verdict.place)})"
    return [head, *(f"    {line}" for line in words.untold(checked, verdict, seen))]


def _problem(result: CheckResult, wrong: Wrong) -> xml.Element:
    case = xml.Element("testcase", classname=VALID, name=words.plain(wrong.file or "cnnprof check"))
    if (file := words.source(result, wrong.file)) is not None:
        case.set("file", words.plain(file))
        case.set("line", str(wrong.line or 1))
    error = xml.SubElement(case, "error", message=words.plain(wrong.message), type="wrong")
    error.text = printable_lines(wrong.text)
    return case
