"""Rewritten networks and their reports → WhatIf: what each replaced layer cost before and after, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnprof.analysis.compare import NetworkComparison, Subject
from cnnprof.analysis.record import Record
from cnnprof.analysis.report import Report
from cnnprof.analysis.rows import LayerRow
from cnnprof.model.graph import Graph
from cnnprof.rewrites.contract import Rewrite, is_replaceable
from cnnprof.rewrites.rebuild import Rewritten, Skipped

if TYPE_CHECKING:
    from cnnprof.render.document import Document


class Replaced(NamedTuple):
    """A layer that was replaced: figures before, and those of all layers in its place together.

    kernel: its kernel and channels, as `3×3, 32 → 64`. parts: (path, kind, configuration) of the layers in its
    place. closed_form: what theory says of the ratio of MACs; None where it says nothing. why: what makes the
    parameters differ from it. memory_exact: False where activation_bytes are estimates.
    """

    path: str
    kind: str
    config: str
    kernel: str
    parts: tuple[tuple[str, str, str], ...]
    params: tuple[int, int]
    macs: tuple[int, int]
    activation_bytes: tuple[int, int]
    closed_form: Fraction | None
    why: str
    memory_exact: bool = True


class Stage(NamedTuple):
    """One rewrite of several in a row: its name, what it replaced, what it skipped and why, and what to know of it."""

    name: str
    replaced: tuple[Replaced, ...]
    skipped: tuple[Skipped, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class WhatIf(Record):
    """A network before and after: stage by stage what was replaced, and both side by side.

    notes: what has to be said about the figures.
    """

    before: Subject
    after: Subject
    stages: tuple[Stage, ...]
    comparison: NetworkComparison
    notes: tuple[str, ...] = ()

    @property
    def graph(self) -> Graph:
        """The network that came out; how its values are stored is not in it."""
        return self.after.report.graph

    def records(self) -> list[dict[str, Any]]:
        """A dict per layer that was replaced, with its figures before and after. `comparison.records()`: the whole."""
        return [
            {
                "stage": stage.name,
                "path": each.path,
                "kind": each.kind,
                "kernel": each.kernel,
                **{
                    f"{name}_{when}": figure
                    for name in ("params", "macs", "activation_bytes")
                    for when, figure in zip(("before", "after"), getattr(each, name), strict=True)
                },
            }
            for stage in self.stages
            for each in stage.replaced
        ]

    def _document(self, page: int | None = None) -> Document:
        from cnnprof.render import whatif

        return whatif.document(self, page=page is not None)


def stage(name: str, before: Report, after: Report, rewritten: Rewritten, rule: Rewrite | None = None) -> Stage:
    """What a rewrite did, in figures. rule: where it is a rewrite of convolutions, for its closed form."""
    replaced = []
    for change in rewritten.changes:
        old = before.layers[change.before]
        new = after.layers[change.after.start : change.after.stop]
        layer = before.graph.layers[change.before]
        conv = layer.kind
        closed_form = rule.closed_form(conv) if rule and is_replaceable(conv) else None
        replaced.append(
            Replaced(
                path=change.path,
                kind=old.kind,
                config=old.config,
                kernel=_kernel(conv.kernel, old),
                parts=tuple((row.path, row.kind, row.config) for row in new),
                params=(old.params, sum(row.params for row in new)),
                macs=(old.macs, sum(row.macs for row in new)),
                activation_bytes=(old.activation_bytes, sum(row.activation_bytes for row in new)),
                closed_form=closed_form,
                why=_why(before, after, change.before, change.after) if closed_form is not None else "",
                memory_exact=all(row.memory_exact for row in (old, *new)),
            )
        )
    return Stage(name, tuple(replaced), rewritten.skipped, rule.note if rule else "")


def _kernel(kernel: tuple[int, ...], row: LayerRow) -> str:
    if not kernel:
        return ""
    return f"{'×'.join(map(str, kernel))}, {row.input_shapes[0][1]} → {row.output_shape[1]}"


def _why(before: Report, after: Report, old: int, new: Sequence[int]) -> str:
    """The parameters that a closed form for kernels does not know: biases and norms, as `bias 64 → 96`."""
    biases = [_parameters(report, [*numbers]) for report, numbers in ((before, [old]), (after, new))]
    said = []
    for word in dict.fromkeys([*biases[0], *biases[1]]):
        left, right = biases[0].get(word, 0), biases[1].get(word, 0)
        said.append(f"{word} {left:,} → {right:,}" if left else f"{word} + {right:,}")
    groups = before.graph.layers[old].kind.channel_divisor()
    if groups > 1:
        said.append(f"{groups} groups")
    return ", ".join(said)


def _parameters(report: Report, numbers: Sequence[int]) -> dict[str, int]:
    """Values of the vectors among the weights of some layers: biases under `bias`, all others by their layer's kind."""
    found: dict[str, int] = {}
    graph = report.graph
    for number in numbers:
        layer = graph.layers[number]
        for name, shape in graph.answers[number].weights.items():
            if len(shape) < 2:
                word = name if layer.kind.kernel else layer.kind.word
                found[word] = found.get(word, 0) + prod(shape)
    return found
