"""What a verification compared, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cnnprof.analysis import units
from cnnprof.analysis.verified import Check, Mismatch, Verified
from cnnprof.errors import printable
from cnnprof.render import words
from cnnprof.render.document import Block, Cell, Document, Heading, Notes, Table, TableColumn, Text, row
from cnnprof.render.document import document as made

SCHEMA_VERSION = 2
SHOWN = 10
"""Mismatches of one check that are shown; JSON has all."""


def document(networks: Sequence[Verified]) -> Document:
    """Each network's checks, a line for each, with what was asked and what was said."""
    return made(block for verified in networks for block in _network(verified))


def _network(verified: Verified) -> Iterator[Block]:
    inputs = [f"{name} {units.shape(shape[1:])}" for name, shape in verified.inputs.items()]
    versions = [f"{name} {version}" for name, version in verified.versions.items()]
    tensors = f"{verified.tensors} tensors" + (f" ({verified.why})" if verified.why else "")
    ran = words.ran(verified.module, verified.stored, verified.dtype)
    facts = [*ran, *inputs, f"batch {verified.batch}", verified.dtype, verified.device, tensors, *versions]
    yield Heading(printable(verified.title), tuple(facts))
    yield Table(_columns(verified.batch), tuple(map(_row, verified.checks)))
    for check in verified.checks:
        yield Notes(tuple(_notes(check)))
    yield Text(summary(verified), "within" if verified.ok else "over")


def _columns(batch: int) -> tuple[TableColumn, ...]:
    total = "total" if batch == 1 else f"total ({batch:,} examples)"
    return (
        TableColumn("", right=False), TableColumn("compared", right=False, fold=True), TableColumn("figures"),
        TableColumn(total), TableColumn("with", right=False, fold=True, optional=1),
    )  # fmt: skip


def summary(verified: Verified) -> str:
    """One line: that all agrees, or how much does not and at which layers."""
    figures = sum(check.compared for check in verified.checks)
    failed = [check for check in verified.checks if not check.ok]
    title = printable(verified.title)
    if not failed:
        asked = [check for check in verified.checks if not check.left_out]
        return f"{title}: PyTorch agrees on {units.plural(figures, 'figure')} in {units.plural(len(asked), 'check')}"
    where = "; ".join(f"{check.name} at {check.mismatches[0].where}" for check in failed)
    return f"{title}: {units.plural(len(failed), 'check')} of {len(verified.checks)} failed: {printable(where)}"


def _row(check: Check) -> tuple[Cell, ...]:
    if check.left_out:
        return row(Cell("left out", meaning="dim"), check.name, "", "", check.left_out)
    said = Cell("ok", meaning="within") if check.ok else Cell("FAILED", meaning="over")
    total = "" if check.total is None else Cell(units.exact(check.total), check.total)
    figures = Cell(f"{check.compared:,} {check.unit}", check.compared, check.unit)
    return row(said, check.name, figures, total, check.against)


def _notes(check: Check) -> list[str]:
    found = [f"{check.name}: {_mismatch(mismatch)}" for mismatch in check.mismatches[:SHOWN]]
    if len(check.mismatches) > SHOWN:
        found.append(f"{check.name}: and {len(check.mismatches) - SHOWN:,} more")
    if check.detail:
        found.append(f"{check.name}: {check.detail}")
    for reason, layers, counted, macs in check.excepted:
        found.append(
            f"{check.name}, exception: {reason}; it says {counted:,} where {macs:,} MACs are done, in "
            f"{units.plural(len(layers), 'layer')}: {', '.join(layers[:5])}{', …' if len(layers) > 5 else ''}"
        )
    return found


def _mismatch(mismatch: Mismatch) -> str:
    where, ours, theirs = mismatch
    return printable(f"{where}: cnnprof says {_figure(ours)}, PyTorch {_figure(theirs)}")


def _figure(value: object) -> str:
    if value is None:
        return "nothing"
    return f"{value:,}" if isinstance(value, int) else str(value)


def to_json(networks: Sequence[Verified]) -> str:
    """One network as an object, several as a list."""
    found = [_document(verified) for verified in networks]
    return json.dumps(found[0] if len(found) == 1 else found, indent=2, default=str) + "\n"


def _document(verified: Verified) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "name": verified.name,
        "variant": verified.variant,
        "inputs": verified.inputs,
        "batch": verified.batch,
        "dtype": verified.dtype,
        "device": verified.device,
        "tensors": verified.tensors,
        "why": verified.why or None,
        "versions": verified.versions,
        "module": verified.module or None,
        "stored_dtype": verified.stored or verified.dtype,
        "ok": verified.ok,
        "checks": [
            {
                **check._asdict(),
                "ok": check.ok,
                "left_out": check.left_out or None,
                "mismatches": [mismatch._asdict() for mismatch in check.mismatches],
                "excepted": [excepted._asdict() for excepted in check.excepted],
            }
            for check in verified.checks
        ],
    }
