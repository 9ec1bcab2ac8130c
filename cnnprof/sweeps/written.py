"""A job, and what is asked of it, as plain data: to be sent to another machine, or to be kept with its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnprof.errors import UsageError
from cnnprof.load import as_text
from cnnprof.sweeps.asked import Objective, SweepLimit, Wanted
from cnnprof.sweeps.axes import SweepAxis
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.space import DecimalRange


def text_of(job: Job) -> str:
    """The text of the spec. Raises UsageError where there is none."""
    if job.graph is not None:
        raise UsageError("a Graph has no text that could be sent or stored: sweep the spec that it came from")
    if job.reference is not None:
        raise UsageError(f"{job.reference.called}, which has no text that could be sent or stored: use --jobs")
    if job.read is not None:
        return job.read.mark.source.text
    return job.text.decode("utf-8", "surrogateescape")


def space_data(job: Job) -> dict[str, Any]:
    """All that varies, and what is the same of all combinations."""
    return {
        "variant": job.variant,
        "settings": {name: as_text(value) for name, value in job.settings.items()},
        "axes": [_axis(axis) for axis in job.axes],
        "training": job.training,
        "with": list(job.with_),
        "sample": job.sample,
        "seed": job.seed,
        "where": job.where,
        "planned": job.planned,
    }


def job_of(name: str, text: str, space: Mapping[str, Any]) -> Job:
    """The job of a spec's text and a space."""
    return Job(
        text.encode("utf-8", "surrogateescape"),
        name,
        space["variant"],
        space["settings"],
        tuple(map(_read_axis, space["axes"])),
        space["training"],
        with_=tuple(space["with"]),
        sample=space["sample"],
        seed=space["seed"],
        where=space["where"],
        planned=space["planned"],
    )


def wanted_data(wanted: Wanted) -> dict[str, Any]:
    """What is asked."""
    return wanted._asdict()


def read_wanted(data: Mapping[str, Any]) -> Wanted:
    """What is asked, of its data."""
    return Wanted(
        data["title"],
        tuple(data["names"]),
        tuple(SweepLimit(*each) for each in data["limits"]),
        tuple(Objective(*each) for each in data["objectives"]),
        data["sort"],
        data["top"],
    )


def _axis(axis: SweepAxis) -> dict[str, Any]:
    values = axis.values
    if isinstance(values, DecimalRange):
        kept: Any = {name: getattr(values, name) for name in ("start", "step", "digits", "length", "whole")}
    else:
        kept = list(values)
    return {"name": axis.name, "kind": axis.kind, "target": axis.target, "values": kept}


def _read_axis(data: Mapping[str, Any]) -> SweepAxis:
    values = data["values"]
    kept = DecimalRange(**values) if isinstance(values, Mapping) else tuple(values)
    return SweepAxis(data["name"], data["kind"], kept, data["target"])
