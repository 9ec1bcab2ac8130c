"""What the documents say of CUDA, from a recorded run: `from tests.docs import device; cog.outl(device.shown())`.

`python -m tests.device --write` makes the record. As long as there is none, the documents say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cnnprof.render.measured import duration, percent, rate
from tests.device import RECORD

NEVER = (
    "`python -m tests.device` has not been run on a CUDA device yet. The code for CUDA follows PyTorch's\n"
    "documentation, its tests skip where there is no such device, and nothing is claimed for a GPU."
)


def recorded() -> dict[str, Any] | None:
    """The record of the last run that was saved."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None


def about(record: dict[str, Any] | None = None) -> str:
    """What ran where and when, or that nothing did."""
    record = record or recorded()
    if record is None:
        return NEVER
    machine = record["machine"]
    versions = [f"{name} {value}" for name, value in machine["details"].items()]
    if record["driver"]:
        versions.insert(0, f"driver {record['driver']}")
    return (
        f"Run on {record['date']} by `python -m tests.device` on {machine['device']}, {machine['hardware']} "
        f"({', '.join(versions)}), in {record['seconds']:.0f} s."
    )


def shown(record: dict[str, Any] | None = None) -> str:
    """The whole record as Markdown, what was left out and what failed with it."""
    record = record or recorded()
    if record is None:
        return NEVER
    parts = [about(record)]
    for name, section in record["sections"].items():
        parts += SECTIONS[name](section["rows"]) if section["rows"] else []
        if section["left_out"]:
            parts.append(f"Left out of `{name}`, for want of time: {'; '.join(section['left_out'])}.")
    if record["failures"]:
        parts.append("\n".join(f"- **Failed**: {_cell(each)}" for each in record["failures"]))
    return "\n\n".join([*parts, _clocks(record)])


def _cell(text: str) -> str:
    """A message on one line, with no markup of its own."""
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")


def _tests(rows: list[Any]) -> Iterator[str]:
    for row in rows:
        yield f"The CUDA tests: {row['passed']} passed, {row['failed']} failed, {row['skipped']} skipped."


def _ceilings(rows: list[Any]) -> Iterator[str]:
    body = [[row["dtype"], rate(row["flops_per_second"]), rate(row["bytes_per_second"])] for row in rows]
    yield _table(["ceilings", "FLOP/s", "B/s"], body)


def _verify(rows: list[Any]) -> Iterator[str]:
    figures = sum(row["figures"] for row in rows)
    agree = sum(not row["mismatches"] for row in rows)
    names = ", ".join(f"`{row['network']}`" for row in rows)
    yield f"`verify` of {len(rows)} networks compared {figures:,} figures; {agree} networks agree: {names}."


def _memory(rows: list[Any]) -> Iterator[str]:
    body = [
        [
            f"`{row['network']}`, batch {row['batch']}",
            *(
                "" if value is None else f"{value:,}"
                for value in (
                    row["predicted"]["torch_peak_activation_bytes"],
                    row["measured"]["live"],
                    row["measured"]["requested"],
                    row["predicted"]["blocks"],
                    row["measured"]["allocated"],
                )
            ),
        ]
        for row in rows
    ]
    head = ["bytes", "`torch_peak_activation_bytes`", "live", "requested", "in blocks", "allocated"]
    yield (
        "Memory of a forward pass in float32, weights apart. `live` is what PyTorch's tensors take, which "
        "`torch_peak_activation_bytes`\npredicts; `requested` is that and the workspace of a single operation. "
        "The allocator "
        "rounds each tensor up to a multiple of\n512 bytes: `in blocks` is the prediction with each tensor so rounded. "
        "`allocated` is more by the workspace, and by the\nrest of larger blocks that are not worth splitting."
    )
    yield _table(head, body)


def _latency(rows: list[Any]) -> Iterator[str]:
    settings = list(dict.fromkeys((row["dtype"], row["channels_last"]) for row in rows))
    cells: dict[tuple[str, int], dict[Any, str]] = {}
    for row in rows:
        line = cells.setdefault((row["network"], row["batch"]), {})
        line[row["dtype"], row["channels_last"]] = _time(row)
    head = ["", *(f"{dtype}{', channels last' if last else ''}" for dtype, last in settings)]
    yield "Median of a forward pass, and the share of the roofline that it reached; `!` marks times not to be trusted."
    yield _table(
        head,
        [
            [f"`{name}`, batch {batch}", *(line.get(setting, "left out") for setting in settings)]
            for (name, batch), line in cells.items()
        ],
    )


def _time(row: dict[str, Any]) -> str:
    if "out_of_memory" in row:
        return "out of memory"
    doubtful = " !" if row["warnings"] else ""
    return f"{duration(row['end_to_end']['median'])} ({percent(row['reached'])}){doubtful}"


def _warm_and_cold(rows: list[Any]) -> Iterator[str]:
    body = [
        [
            f"`{row['network']}`",
            *map(duration, (row["first_seconds"], row["warm"]["median"], row["flushed"]["median"])),
        ]
        for row in rows
    ]
    yield (
        "Batch 1 in float32: the first run, in which libraries choose algorithms and memory comes from the driver; the "
        "median\nwith warm caches; and with caches that were overwritten before each run."
    )
    yield _table(["", "first", "warm", "cold"], body)


SECTIONS = {
    "tests": _tests,
    "ceilings": _ceilings,
    "verify": _verify,
    "memory": _memory,
    "latency": _latency,
    "warm_and_cold": _warm_and_cold,
}


def _clocks(record: dict[str, Any]) -> str:
    taken = {"before": record["clocks_before"]} | {
        f"after `{name}`": section["clocks"] for name, section in record["sections"].items()
    }
    if not any(taken.values()):
        return "Clocks: nvidia-smi did not tell."
    wanted = ("sm_mhz", "max_sm_mhz", "memory_mhz", "temperature_c", "power_w", "utilization_percent")
    body = [[when, *(_figure((said or {}).get(name)) for name in wanted)] for when, said in taken.items()]
    head = ["clocks", "SM, MHz", "at most", "memory, MHz", "°C", "W", "% in use"]
    return _table(head, body)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _table(head: list[str], body: Iterable[list[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])
