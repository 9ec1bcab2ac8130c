"""What a check finds: verdicts with what explains them, and the whole as CheckResult."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.record import Record, plain
from cnnprof.errors import OverBudgetError, UsageError
from cnnprof.gate.budget import Figures

if TYPE_CHECKING:
    from cnnprof.gate.changes import NetworkChange
    from cnnprof.gate.suggest import Suggestion
    from cnnprof.render.document import Document

LATENCY = "latency_ratio"
"""Not a metric of the arithmetic: it is measured, and limited on request alone."""
Rule: TypeAlias = Literal["max", "warn", "max_increase"]
"""Sorts of limits: one that fails a check, one that is only said, and one on the increase since a baseline."""


class Contribution(NamedTuple):
    """What explains a figure: what layers carry, or (`changed`) by how much they grew since the baseline.

    path: of a layer, or the pattern of all that the repetitions of one step made. layers: how many.
    lines: of the steps that lead there, the outermost first, the layer's own last; none for what no step made.
    line: where the file writes the layer: of one in a block that comes with the tool, the outermost of them.
    what: what changed in all of them, in words, where that is known.
    """

    path: str
    amount: int
    changed: bool
    lines: tuple[int, ...] = ()
    layers: int = 1
    what: str = ""
    line: int | None = None


class Rest(NamedTuple):
    """Layers that are not named, and what they come to together."""

    layers: int = 0
    amount: int = 0


class Cause(NamedTuple):
    """An outermost step of the network, or the limited part, with all that it adds to a figure.

    parts: the heaviest of it, layers of one step together. rest: what else there is.
    """

    path: str
    amount: int
    changed: bool
    line: int | None
    parts: tuple[Contribution, ...]
    rest: Rest


class Why(NamedTuple):
    """What makes up a figure. layers: the heaviest, one by one. causes: the same by step; rest: what they leave."""

    layers: tuple[Contribution, ...] = ()
    causes: tuple[Cause, ...] = ()
    rest: Rest = Rest()


NOTHING = Why()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A limit and the figure it was compared with.

    rule: which sort of limit it is. path: of the part that is limited; None is the network.
    limit: as written; `most` is what it comes to. base: the baseline's figure, of an increase.
    since: the baseline's name, where the network is in one.
    place: where the limit is written. line: of the network's file, where it is broken: of the outermost step; None
        for a network in another format, whose file has no lines.
    around: parts over the same limit that contain this one, which are not distinguished.
    estimate: whether the figure is one, and not exact. bound: what it is of that estimate: `up to` where it is the
        most, `at least` where it is the least; empty where it is the estimate itself.
    """

    rule: Rule
    metric: str
    path: str | None
    limit: str
    most: Number
    figure: Number
    base: Number | None
    since: str | None
    place: str
    line: int | None
    why: Why = NOTHING
    around: int = 0
    estimate: bool = False
    bound: str = ""

    @property
    def broken(self) -> bool:
        """Whether the figure is over the limit."""
        return self.figure > self.most

    @property
    def over(self) -> bool:
        """Whether that fails the check."""
        return self.broken and self.rule != "warn"


@dataclass(frozen=True, slots=True)
class Checked:
    """A budget and what a network made of it. `notes` say how far its figures are to be trusted.

    declared: layers with figures that the spec declares.
    unheld: which limits could not be compared, and why that is not an error.
    """

    network: str
    file: str
    budget: str
    message: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    declared: int = 0
    unheld: tuple[str, ...] = ()

    @property
    def over(self) -> tuple[Verdict, ...]:
        """What fails the check."""
        return tuple(verdict for verdict in self.verdicts if verdict.over)

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """What fails it, and then what is only said."""
        warned = tuple(verdict for verdict in self.verdicts if verdict.broken and not verdict.over)
        return self.over + warned


class Wrong(NamedTuple):
    """What kept something from being checked: where, in short, and the whole text for a terminal."""

    file: str | None
    line: int | None
    message: str
    text: str


class Loosened(NamedTuple):
    """A limit, or what else a budget says, that is not what it was in the baseline, and allows more now.

    file: where it is written; line: None where it is gone, or is a key of a TOML file. before, after: as written; None:
    not there.
    """

    file: str
    line: int | None
    budget: str
    what: str
    before: str | None
    after: str | None
    since: str


class Updated(NamedTuple):
    """A baseline file that was written: the figures by network before, None where there were none, and now.

    limited: the metrics that a network's budget limits.
    """

    name: str
    before: Mapping[str, Figures] | None
    after: Mapping[str, Figures]
    limited: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, repr=False)
class CheckResult(Record):
    """All that one run found. `valid`: networks that were unfolded. `notes`: on the run as a whole.

    folder, root: the working directory, and the repository's, from which reports for machines name files.
    version: of cnnprof. said: what is to be said with the report. updated: the baseline files that were written.
    changes: what became of the networks since the baseline. loosened: limits that allow more than they did there.
    suggested: limits that would just hold, where they are asked for.
    """

    checks: tuple[Checked, ...]
    problems: tuple[Wrong, ...]
    valid: tuple[str, ...]
    folder: str = "/"
    root: str = "/"
    version: str = ""
    notes: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    updated: tuple[Updated, ...] = ()
    changes: tuple[NetworkChange, ...] = ()
    loosened: tuple[Loosened, ...] = ()
    suggested: tuple[Suggestion, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 within budget, 1 over, 2 where something is wrong, whatever else."""
        if self.problems:
            return 2
        return 1 if any(checked.over for checked in self.checks) else 0

    def require(self) -> CheckResult:
        """This result, where all networks are within their budgets.

        Raises UsageError where something is wrong, so that not all could be checked, and OverBudgetError, which names
        the networks, metrics, limits and layers.
        """
        if self.problems:
            raise UsageError("\n".join(wrong.text.removeprefix("error: ") for wrong in self.problems))
        if self.exit_code:
            from cnnprof.render.checks import text

            raise OverBudgetError(text.over(self))
        return self

    def records(self) -> list[dict[str, Any]]:
        """A dict per limit and network that it was compared with."""
        return [
            {
                "network": checked.network,
                "file": checked.file,
                "budget": checked.budget,
                "rule": verdict.rule,
                "metric": verdict.metric,
                "path": verdict.path,
                "figure": plain(verdict.figure),
                "limit": verdict.limit,
                "most": plain(verdict.most),
                "broken": verdict.broken,
                "over": verdict.over,
            }
            for checked in self.checks
            for verdict in checked.verdicts
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render.checks import text
        from cnnprof.render.document import Text, document

        return document([Text(wrong.text, "over") for wrong in self.problems], text.document(self).blocks)

    def to_markdown(self) -> str:
        """The report for a pull request, as `cnnprof check --report markdown=-` writes it."""
        from cnnprof.render.checks import markdown

        return markdown.render(self)
