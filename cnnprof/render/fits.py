"""What targets make of networks: a table, what would help where one does not fit, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cnnprof.analysis import units
from cnnprof.devices.fit import UNBOUNDED, Need
from cnnprof.devices.verdicts import METRICS, Fit
from cnnprof.errors import printable
from cnnprof.render.document import Block, Cell, Meaning, Notes, Table, TableColumn, row
from cnnprof.render.words import ABOUT

NOT_KNOWN = "not known"
MEANINGS: dict[str | None, Meaning] = {"fits": "within", "too close to call": "warning", "does not fit": "over"}


def section(found: Sequence[tuple[str, Sequence[Fit]]]) -> list[Block]:
    """A row per target and network; found: what every target makes of a network, by its title."""
    several = len(found) > 1
    columns = [
        TableColumn("target", right=False),
        *([TableColumn("network", right=False)] if several else []),
        TableColumn("verdict", right=False),
        TableColumn("memory", right=False, fold=True),
        TableColumn("largest batch", right=False, fold=True, optional=1),
        TableColumn("time at least", right=False, optional=2),
        TableColumn("estimate", right=False, optional=3),
    ]
    rows: list[tuple[Cell, ...]] = []
    notes: dict[str, None] = {}
    for number in range(max((len(fits) for _, fits in found), default=0)):
        for title, fits in found:
            fit = fits[number]
            named = [printable(title)] if several else []
            verdict = Cell(fit.verdict or NOT_KNOWN, meaning=MEANINGS.get(fit.verdict, ""))
            rows.append(row(fit.target.name, *named, verdict, _memory(fit), _batches(fit), _time(fit), _estimate(fit)))
            notes |= dict.fromkeys(_notes(fit, title if several else ""))
    table = Table(tuple(columns), tuple(rows))
    filled = [place for place in range(len(columns)) if any(each[place].text for each in rows)]
    return [table.only(filled), Notes(tuple(notes))]


def _memory(fit: Fit) -> str:
    return ", ".join(_need(each) for each in fit.needs)


def _need(need: Need) -> str:
    """`ram 15.6 to 23.8 KiB of 320 KiB`: between which the need is, and what there is."""
    low, high = units.size(need.least), units.size(need.most)
    if need.most >= UNBOUNDED:
        amount = f"at least {low}"
    elif low == high:
        amount = (ABOUT if need.estimate else "") + high
    else:
        number, _, unit = low.rpartition(" ")
        amount = f"{number if high.endswith(f' {unit}') else low} to {high}"
    return f"{need.what} {amount}" + ("" if need.capacity is None else f" of {units.size(need.capacity)}")


def _batches(fit: Fit) -> str:
    found = {"inference": fit.batch, "training": fit.training_batch}
    sign = ABOUT if any(each.estimate for each in fit.needs) else ""
    return ", ".join(f"{name} {sign}{units.exact(batch)}" for name, batch in found.items() if batch is not None)


def _time(fit: Fit) -> str:
    if fit.time is None:
        return ""
    return f"{fit.time.least.seconds * 1e3:.3g} ms, {fit.time.total * 1e3:.3g} ms layer by layer"


def _estimate(fit: Fit) -> str:
    if fit.estimate is None:
        return ""
    seconds, low, high = (f"{part * 1e3:.3g}" for part in fit.estimate[:3])
    return f"≈{seconds} ms ({low}–{high})"


def _notes(fit: Fit, title: str) -> Iterator[str]:
    before = printable(f"{fit.target.name}, {title}" if title else fit.target.name)
    if fit.refused:
        yield f"{before}: {NOT_KNOWN}: {printable(fit.refused)}"
    if fit.converted and fit.needs:
        yield f"{before}: of the int8 file that TensorFlow's converter makes of it"
    for need in fit.needs:
        if need.capacity is None:
            yield f"{before}: its {need.what} is not known"
    yield from (f"{before}: {printable(each)}" for each in fit.advice)
    if fit.target.sort != "microcontroller":
        yield "memory: parameters, buffers and PyTorch's peak; what the framework takes itself is not in it"
        if fit.batch is not None:
            yield "largest batch: an upper bound, for the same reason"
    elif fit.needs:
        yield (
            "ram: the arena of the reference kernels, at least with pointers of 32 bits; stack, application and "
            "optimized kernels need more"
        )
    if fit.estimate is not None:
        yield (
            "estimate: each layer's bound times the median ratio of measured time to bound of its kind, and between "
            "the quartiles; as good as what was measured is like this network"
        )
        if fit.estimate.other:
            yield f"{before}: not measured, so that the median of all kinds stands: {', '.join(fit.estimate.other)}"
    if fit.time is not None:
        yield (
            "time: a lower bound by operations and bytes (roofline), never a latency; the whole network, and layer by "
            "layer as if each wrote its output to memory"
        )


def to_json(fit: Fit) -> dict[str, Any]:
    """A target's verdict as JSON's values."""
    time = fit.time
    return {
        "target": fit.target.name,
        "verdict": fit.verdict,
        "refused": fit.refused or None,
        "converted": fit.converted,
        "needs": [
            {**each._asdict(), "metric": METRICS[each.what], "verdict": each.verdict} for each in fit.needs
        ],
        "largest_batch": fit.batch,
        "largest_training_batch": fit.training_batch,
        "least_seconds": None if time is None else {
            "total": time.least.seconds, "by": time.least.by, "layer_by_layer": time.total,
            "layers": {path: {"seconds": bound.seconds, "by": bound.by} for path, bound in time.layers.items()},
        },
        "unbounded": fit.unbounded or None,
        "estimate": None if fit.estimate is None else fit.estimate._asdict(),
        "advice": list(fit.advice),
    }  # fmt: skip
