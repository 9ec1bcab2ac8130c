"""A report inside a document: a section between two comments, which is filled and kept true.

    <!-- cnnprof models/net.yaml -->
    what `cnnprof analyze models/net.yaml --insert README.md` wrote
    <!-- /cnnprof -->

The first comment names what it is of, or nothing where the document has one section.
"""

from __future__ import annotations

import re

from cnnprof.errors import UsageError, brief, printable

_MARK = re.compile(r"^[ \t]*<!--[ \t]*(/?)cnnprof(?:[ \t]+(.*?))?[ \t]*-->[ \t]*\r?$", re.MULTILINE)


def inserted(document: str, title: str, section: str, name: str) -> str:
    """The document with the section of that title filled; its line ends are kept.

    title: the SPECs, as they are given. name: of the document, in errors.

    Raises UsageError where there is no such section, or more than one, and where one is not closed.
    """
    start, end = _section(document, title, printable(name))
    line_end = "\r\n" if "\r\n" in document else "\n"
    body = section.strip("\n").replace("\n", line_end)
    return f"{document[:start]}{line_end}{line_end}{body}{line_end}{line_end}{document[end:].lstrip(' ')}"


def _section(document: str, title: str, name: str) -> tuple[int, int]:
    """Where what is between its comments begins and ends."""
    sections: list[tuple[str, int, int]] = []
    opened: tuple[str, int, int] | None = None
    for mark in _MARK.finditer(document):
        line = document.count("\n", 0, mark.start()) + 1
        if mark[1]:
            if opened is None:
                raise UsageError(f"{name}:{line}: `<!-- /cnnprof -->` closes nothing")
            sections.append((opened[0], opened[1], mark.start()))
            opened = None
        elif opened is not None:
            raise UsageError(f"{name}:{line}: the section of line {opened[2]} is not closed: add `<!-- /cnnprof -->`")
        else:
            opened = mark[2] or "", mark.end() - (document[mark.end() - 1 : mark.end()] == "\r"), line
    if opened is not None:
        raise UsageError(f"{name}:{opened[2]}: the section is not closed: add `<!-- /cnnprof -->`")
    found = [each for each in sections if each[0] == title] or [each for each in sections if not each[0]]
    shown = brief(printable(title), 200)
    if not found:
        raise UsageError(
            f"{name} has no section for `{shown}`: write the lines `<!-- cnnprof {shown} -->` and `<!-- /cnnprof -->` "
            "where it goes"
        )
    if len(found) > 1:
        raise UsageError(f"{name} has {len(found)} sections for `{shown}`: one is filled")
    return found[0][1], found[0][2]
