"""Asks a GPU for what only a GPU can show: `python -m tests.device`.

The tests that need one, `verify` on 20 networks, the allocator's peak beside the prediction, latency of six networks at
three batches in two types and two layouts beside the roofline, warm and cold. It is done in under five minutes: each
section has its share of the time, and what did not fit is named in the record. The record, a JSON, is printed;
`--write` saves it beside this file, where docs/measure-honestly.md takes its figures from. The exit code is 1 where
anything failed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

import cnnprof
from cnnprof.analysis.measured import Machine
from cnnprof.errors import UsageError
from cnnprof.runtime.device import Cuda, Device, find
from tests.device import RECORD
from tests.device.sections import CPU, GPU, SHARES, Item, Plan, sections

SCHEMA_VERSION = 1
SECONDS = 240.0
"""An item that has begun is finished, so the whole may take a little longer."""
SMI = {
    "driver": "driver_version",
    "sm_mhz": "clocks.sm",
    "memory_mhz": "clocks.mem",
    "max_sm_mhz": "clocks.max.sm",
    "max_memory_mhz": "clocks.max.mem",
    "temperature_c": "temperature.gpu",
    "power_w": "power.draw",
    "utilization_percent": "utilization.gpu",
}
"""What is asked of nvidia-smi."""


def main(arguments: list[str] | None = None) -> int:
    """Runs, prints, and saves if asked to; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.device", description=__doc__)
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:N, or cpu for a small trial (default: %(default)s)"
    )
    parser.add_argument("--time-limit", type=float, default=SECONDS, metavar="SECONDS", help="(default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"save the record of a CUDA device in {RECORD.name}")
    options = parser.parse_args(arguments)
    try:
        device = find(options.device)
    except UsageError as error:
        parser.error(str(error))
    if options.write and not isinstance(device, Cuda):
        parser.error("--write is for a CUDA device: the documents say what was run on one")
    made = record(device, GPU if isinstance(device, Cuda) else CPU, options.time_limit)
    text = json.dumps(made, indent=2) + "\n"
    if options.write:
        RECORD.write_text(text, encoding="utf-8")
    print(text, end="")
    for each in made["failures"]:
        print(f"failed: {each}", file=sys.stderr)
    return int(bool(made["failures"]))


def record(device: Device, plan: Plan, seconds: float) -> dict[str, Any]:
    """Everything, section by section; seconds: for all of them."""
    begin = time.monotonic()
    found = {}
    deadline = begin
    before = smi(device)
    for name, items in sections(device, plan, seconds).items():
        deadline += seconds * SHARES[name]
        found[name] = section(name, items, deadline) | {"clocks": smi(device)}
        device.release()
    machine = device.machine()
    return {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cnnprof": cnnprof.__version__,
        "machine": machine._asdict(),
        "driver": before and before["driver"],
        "clocks_before": before,
        "time_limit": seconds,
        "seconds": time.monotonic() - begin,
        "failures": failures(machine, found),
        "sections": found,
    }


def section(name: str, items: Mapping[str, Item], deadline: float) -> dict[str, Any]:
    """The rows of the items that were begun before the deadline, and by name those that were not, and that failed."""
    begin = time.monotonic()
    rows, left_out, failed = [], [], []
    for what, item in items.items():
        if time.monotonic() >= deadline:
            left_out.append(what)
            continue
        print(f"{name}: {what}", file=sys.stderr, flush=True)
        try:
            rows.append(item())
        except Exception as error:  # noqa: BLE001  # the record says what failed, and has the rest
            failed.append({"what": what, "error": f"{type(error).__name__}: {error}"})
    return {"seconds": time.monotonic() - begin, "rows": rows, "left_out": left_out, "failed": failed}


def failures(machine: Machine, found: Mapping[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    wrong = [f"{each['what']}: {each['error']}" for part in found.values() for each in part["failed"]]
    for row in found["tests"]["rows"]:
        wrong += [f"{each['test']}: {each['message']}" for each in row["failures"]]
        if row["skipped"] and machine.device != "cpu":
            wrong.append(f"{row['skipped']} tests that need a CUDA device were skipped on one")
    for row in found["verify"]["rows"]:
        wrong += [f"{row['network']}: {each['check']} at {each['where']}" for each in row["mismatches"]]
    for row in found["memory"]["rows"]:
        predicted, measured = row["predicted"], row["measured"]
        where = f"{row['network']}, batch {row['batch']}"
        if measured["live"] != predicted["torch_peak_activation_bytes"]:
            wrong.append(
                f"{where}: {measured['live']} bytes live, {predicted['torch_peak_activation_bytes']} predicted"
            )
        if measured["allocated"] is not None and measured["allocated"] < predicted["blocks"]:
            wrong.append(f"{where}: {measured['allocated']} bytes allocated, {predicted['blocks']} in blocks predicted")
    return wrong


def smi(device: Device) -> dict[str, Any] | None:
    """What nvidia-smi says of a CUDA device now, by the names of `SMI`: text for the driver, else a number or None.
    None where there is no nvidia-smi, or it says nothing of the device."""
    if not isinstance(device, Cuda):
        return None
    # Its numbers are not PyTorch's where CUDA_VISIBLE_DEVICES hides a device.
    identity = getattr(torch.cuda.get_device_properties(device.torch), "uuid", None)
    command = ["nvidia-smi", f"--id=GPU-{identity}", f"--query-gpu={','.join(SMI.values())}"]
    try:
        done = subprocess.run(
            [*command, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    said = dict(zip(SMI, map(str.strip, done.stdout.split(",")), strict=False))
    return {name: said.get(name) if name == "driver" else _number(said.get(name, "")) for name in SMI}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # `[N/A]`


if __name__ == "__main__":
    raise SystemExit(main())
