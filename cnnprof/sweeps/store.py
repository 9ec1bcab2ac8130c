"""A folder that keeps the rows of a sweep, in parts, so that it can go on after an interruption.

    sweep.json            what is counted: the spec's checksum, cnnprof's version, the space, the metrics, the limits
    spec.yaml             the spec's text
    part-000000.parquet   the rows of one share of the space; each is written whole or not at all

Parts do not depend on how many processes counted them, nor on the order.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnprof import files
from cnnprof.errors import UsageError, brief, listing, printable
from cnnprof.sweeps.asked import Wanted
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.written import space_data, text_of

FORMAT = 1
MANIFEST = "sweep.json"
SPEC = "spec.yaml"
_PART = re.compile(r"part-([0-9]{6,})\.parquet")
_MOST = 2**26
"""Bytes of a manifest: axes of 100,000 values are written out."""
_SAME = {
    "format": "in another format",
    "cnnprof": "of another version of cnnprof",
    "spec": "of another spec",
    "space": "of another space",
    "metrics": "of other metrics",
    "limits": "of other limits",
}
"""What has to be the same for a store to go on, and what it is called where it differs."""


class Store:
    """The folder of a job. plan: how the space is divided into parts. resume: goes on with a store that is there.

    Raises UsageError where there is one and it is not to go on, or cannot; and where the folder cannot be written.
    """

    def __init__(self, folder: str, job: Job, wanted: Wanted, version: str, resume: bool) -> None:
        self.folder = Path(folder)
        self.text = text_of(job)
        self.shown = printable(brief(folder, 200))
        self.kept: dict[str, Any] = {
            "format": FORMAT,
            "cnnprof": version,
            "spec": {
                "name": job.name,
                "sha256": hashlib.sha256(self.text.encode("utf-8", "surrogateescape")).hexdigest(),
            },
            "space": space_data(job),
            "metrics": list(wanted.names),
            "limits": [[limit.metric, limit.most] for limit in wanted.limits],
        }
        found = self._found()
        if found is None:
            return
        if not resume:
            raise UsageError(f"`{self.shown}` holds a store: --resume goes on with it, or name another folder")
        self._refuse_other(found)
        self.kept = found

    @property
    def plan(self) -> tuple[int, ...] | None:
        """How the space is divided, where that was decided before."""
        plan = self.kept.get("plan")
        return None if plan is None else tuple(plan)

    def begin(self, plan: Sequence[int], parts: int) -> None:
        """Makes the folder, unless there is one to go on with. Raises UsageError."""
        if "plan" in self.kept:
            return
        self.kept |= {"plan": list(plan), "parts": parts}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder `{self.shown}`: {error.strerror}") from None
        files.save_bytes(self.text.encode("utf-8", "surrogateescape"), str(self.folder / SPEC))
        files.save(json.dumps(self.kept, indent=1) + "\n", str(self.folder / MANIFEST))

    def finished(self) -> set[int]:
        """The parts that are there."""
        return {
            int(match[1])
            for path in self.folder.iterdir()
            if (match := _PART.fullmatch(path.name)) and int(match[1]) < self.kept["parts"]
        }

    def path(self, part: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{part:06}.parquet"

    def keep(self, part: int, data: bytes) -> None:
        """Writes a part. Raises UsageError."""
        files.save_bytes(data, str(self.path(part)))

    def damaged(self, part: int) -> UsageError:
        """The error for a part that cannot be read."""
        return UsageError(
            f"cannot read `{printable(str(self.path(part)))}`, which is damaged or no part of this store: delete it, "
            "and --resume counts it again"
        )

    def _found(self) -> dict[str, Any] | None:
        """The manifest that is there. Raises UsageError for a folder with anything else in it."""
        path = self.folder / MANIFEST
        if not path.exists():
            if any(self._others()):
                raise UsageError(f"`{self.shown}` is not empty and holds no store: name a new folder")
            return None
        try:
            found = json.loads(files.read(path, _MOST))
        except ValueError:
            found = None
        if not (isinstance(found, dict) and isinstance(found.get("parts"), int) and _is_plan(found.get("plan"))):
            raise UsageError(f"`{printable(str(path))}` is no manifest of a store: name another folder")
        return found

    def _others(self) -> Iterator[Path]:
        """What is in the folder that an interrupted beginning does not leave. Raises UsageError."""
        try:
            for path in self.folder.iterdir():
                if path.name != SPEC and not path.name.startswith(".cnnprof-"):
                    yield path
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"cannot read the folder `{self.shown}`: {error.strerror}") from None

    def _refuse_other(self, found: dict[str, Any]) -> None:
        """Raises UsageError where a store that is there is not of this job."""
        ours = json.loads(json.dumps(self.kept))
        for key, what in _SAME.items():
            same = found.get(key) == ours[key]
            if key == "spec" and isinstance(found.get(key), dict):  # a file may have been renamed
                same = found[key].get("sha256") == ours[key]["sha256"]
            if same:
                continue
            differs = ""
            if key == "cnnprof":
                differs = f": {printable(brief(str(found.get(key))))}, and this is {ours[key]}"
            elif key == "space" and isinstance(found.get(key), dict):
                names = [name for name, value in ours[key].items() if found[key].get(name) != value]
                differs = f", which differs in {listing(names)}"
            raise UsageError(f"the store `{self.shown}` is {what}{differs}; name another folder")


def _is_plan(plan: Any) -> bool:
    return isinstance(plan, list) and all(isinstance(length, int) and length > 0 for length in plan)
