"""What cog writes into docs/on-a-microcontroller.md: MLPerf Tiny's networks as predicted, as measured, and as others
say, and two peaks that papers print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cnnprof
from cnnprof.analysis.report import Report

GOLDEN = Path(__file__).parents[1] / "golden" / "tflm"
MEASURED: dict[str, Any] = json.loads((GOLDEN / "measured.json").read_text(encoding="utf-8"))["nets"]
INT16: dict[str, Any] = json.loads((GOLDEN / "converter16.json").read_text(encoding="utf-8"))["nets"]
OTHERS: dict[str, Any] = json.loads((GOLDEN / "others.json").read_text(encoding="utf-8"))["nets"]
TINY = {
    "keyword spotting": ("ds_cnn_kws", "ds_cnn"),
    "image classification": ("resnet8_ic", "resnet8"),
    "visual wake words": ("mobilenet_v1_025_96_vww", str(GOLDEN / "mobilenet_v1_025_96_vww.yaml")),
    "anomaly detection": ("autoencoder_ad", "autoencoder"),
}
"""MLPerf Tiny's tasks: the file of each, and the spec of the same network."""


def both(file: str, spec: str) -> tuple[Report, Report]:
    """The reports on a file, and on the spec of the same network in int8."""
    return cnnprof.analyze(GOLDEN / f"{file}.tflite"), cnnprof.analyze(spec, with_="int8")


def predicted() -> str:
    """A row per task: what the spec and the file say, and what the interpreter allocates."""
    lines = [
        "| task | params | MACs | head, from the spec | from the file | **measured** | "
        "in all, from the file | **measured** | file, from the spec | **its bytes** |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for task, (file, spec) in TINY.items():
        from_file, from_spec = both(file, spec)
        measured = MEASURED[file]
        head, total, flash = "arena_non_persistent_bytes", "arena_total_bytes", "flash_bytes"
        assert from_file.metric(head) == from_spec.metric(head) == measured["head"], file
        assert from_file.metric(flash) == measured["file_bytes"], file
        cells = [
            f"{task}: `{file}`",
            f"{from_spec.totals.params:,}",
            f"{from_spec.totals.macs:,}",
            f"{from_spec.metric(head):,}",
            f"{from_file.metric(head):,}",
            f"**{measured['head']:,}**",
            f"≈{from_file.metric(total):,}",
            f"**{measured['total']:,}**",
            f"≈{from_spec.metric(flash):,}",
            f"**{measured['file_bytes']:,}**",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def in_int16() -> str:
    """A row per task: with int16 activations, as predicted from the spec and as measured."""
    lines = [
        "| task | head | **measured** | tail | **measured** | file | **its bytes** |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for task, (file, spec) in TINY.items():
        found, measured = cnnprof.analyze(spec, with_="int16"), INT16[file]
        head, tail, flash = "arena_non_persistent_bytes", "arena_persistent_bytes", "flash_bytes"
        assert found.metric(head) == measured["head"], file
        cells = [
            f"{task}: `{spec if '/' not in spec else file}`",
            f"{found.metric(head):,}",
            f"**{measured['head']:,}**",
            f"≈{found.metric(tail):,}",
            f"**{measured['tail']:,}**",
            f"≈{found.metric(flash):,}",
            f"**{measured['file_bytes']:,}**",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plans() -> str:
    """A row per file: the runtime's plan, the lower bound and the best plan."""
    lines = ["| file | head | no plan takes less than | best plan | wasted |", "|---|---:|---:|---:|---:|"]
    for file in MEASURED:
        found = cnnprof.analyze(GOLDEN / f"{file}.tflite").deployment
        assert found is not None
        arena = found.arena
        wasted = f"{100 * arena.waste / arena.best.bytes:.0f} %" if arena.waste else ""
        lines.append(
            f"| `{file}` | {arena.non_persistent_bytes:,} | {arena.lower_bound:,} | {arena.best.bytes:,} | {wasted} |"
        )
    return "\n".join(lines)


def others() -> str:
    """A row per task: the whole arena as predicted here and by another tool, and as two builds measure it."""
    lines = [
        "| file | cnnprof | mcufit, static | **measured, 64 bits** | **measured, WebAssembly** |",
        "|---|---:|---:|---:|---:|",
    ]
    for file, _ in TINY.values():
        ours = cnnprof.analyze(GOLDEN / f"{file}.tflite").metric("arena_total_bytes")
        theirs = OTHERS[file]
        lines.append(
            f"| `{file}` | ≈{ours:,} | {theirs['static']['total']:,} | **{MEASURED[file]['total']:,}** | "
            f"**{theirs['tflm_wasm32']['total']:,}** |"
        )
    return "\n".join(lines)


def printed() -> dict[str, str]:
    """What papers print of MobileNetV2's memory, from its layers."""
    half = cnnprof.analyze("mobilenet_v2", dtype="float16")
    between = max(row.activation_bytes for row in half.layers if row.path.endswith(".project"))
    report = cnnprof.analyze("mobilenet_v2", with_=["fuse_bn", "int8"])
    expand = next(row for row in report.layers if row.path.endswith("expand.conv2d"))
    read = next(row for row in report.layers if row.path == expand.inputs[0])
    both_ends = read.activation_bytes + expand.activation_bytes
    peak = report.totals.peak_activation_bytes
    held = report.totals.input_bytes
    return {
        "between": f"{between:,}",
        "expansion": f"{read.activation_bytes:,} + {expand.activation_bytes:,} = {both_ends:,}",
        "kib": f"{both_ends // 1024:,}" if both_ends % 1024 == 0 else f"{both_ends / 1024:,.1f}",
        "peak": f"{peak - held:,}",
        "arena": f"{report.metric('arena_non_persistent_bytes') or 0:,}",
    }
