"""Workflow commands of GitHub Actions: one annotation per file and budget, and a notice of what was not compared.

`::error file=…,line=…,title=…::message`, with `%`, line ends and in properties `:` and `,` escaped.
https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from cnnprof.errors import brief, printable_lines
from cnnprof.gate.result import Checked, CheckResult, Verdict
from cnnprof.render.checks import words

SUMMARY_BYTES = 1024 * 1024
"""What GitHub takes as the summary of a step, at most."""
MOST = 10
"""Broken limits that one annotation tells."""


def render(result: CheckResult) -> str:
    """Errors first: GitHub shows the first ten of a step."""
    commands: list[tuple[int, str]] = []
    for (name, budget), found in _grouped(result).items():
        first, verdict = found[0]
        over = any(verdict.over for _, verdict in found)
        level = "error" if over else "warning"
        title = f"Over budget {budget}" if over else f"Near the budget {budget}"
        seen: words.Told = set()
        told = [line for checked, verdict in found[:MOST] for line in _lines(checked, verdict, seen)]
        told += [f"{len(found) - MOST:,} more"] if len(found) > MOST else []
        message = "\n".join([*told, *words.note(first)])
        commands.append((0 if over else 1, _command(level, words.source(result, name), verdict.line, title, message)))
    wrong: dict[str | None, list[str]] = {}
    lines: dict[str | None, int | None] = {}
    for problem in result.problems:
        wrong.setdefault(problem.file, []).append(problem.text)
        lines.setdefault(problem.file, problem.line)
    for file, texts in wrong.items():
        commands.append(
            (0, _command("error", words.source(result, file), lines[file], "cnnprof check", "\n".join(texts)))
        )
    for checked in result.checks:
        for note in checked.unheld:
            place, text = words.source(result, checked.file), f"{checked.network}: {note}"
            commands.append((2, _command("notice", place, 1, f"Not checked against {checked.budget}", text)))
    for each in result.loosened:
        place = words.path(result, each.file)
        commands.append((1, _command("warning", place, each.line or 1, "Allows more", words.loosened(each))))
    commands.sort(key=lambda command: command[0])
    return "".join(f"{command}\n" for _, command in commands)


def _grouped(result: CheckResult) -> dict[tuple[str, str], list[tuple[Checked, Verdict]]]:
    """What is broken, by file and budget, failures first."""
    groups: dict[tuple[str, str], list[tuple[Checked, Verdict]]] = {}
    for checked in result.checks:
        for verdict in checked.broken:
            groups.setdefault((checked.file, checked.budget), []).append((checked, verdict))
    return {key: sorted(found, key=lambda pair: not pair[1].over) for key, found in groups.items()}


def _lines(checked: Checked, verdict: Verdict, seen: words.Told) -> list[str]:
    network = "" if checked.network == checked.file else f"{checked.network}: "
    head = f"{network}{words.sentence(verdict)} ({verdict.place})"
    return [head, *(f"  {line}" for line in words.untold(checked, verdict, seen))]


def _command(level: str, file: str | None, line: int | None, title: str, message: str) -> str:
    properties = {"file": file, "line": str(line) if line and file else None, "title": brief(title, 200)}
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level} {written}::{_data(brief(message, 20_000))}"


def _data(text: str) -> str:
    """The text of a command, which ends with its line."""
    return printable_lines(text.replace("\r", "")).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(words.plain(text)).replace(":", "%3A").replace(",", "%2C")
