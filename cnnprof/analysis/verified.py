"""What a verification found: which figures of cnnprof were compared with which of PyTorch's, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from cnnprof.model.graph import titled
from cnnprof.model.kind import Shape

Figure = TypeVar("Figure")


class Mismatch(NamedTuple):
    """A figure that differs: of which layer, parameter or total; None where one side has none."""

    where: str
    cnnprof: object
    pytorch: object


class Excepted(NamedTuple):
    """Layers that the other tool counts wrongly in a known way, and which way that is. `counted` is what both
    cnnprof's copy of its convention and the tool itself say; `macs` what the layers do."""

    reason: str
    layers: tuple[str, ...]
    counted: int
    macs: int


class Check(NamedTuple):
    """Figures of one sort, compared one by one.

    against: who was asked. compared: how many figures there were, counted in `unit`.
    total: what both say in sum; None where there is no sum or no agreement on it.
    detail: what else is worth knowing. left_out: why nothing was compared; empty where it was.
    """

    name: str
    against: str
    unit: str
    compared: int
    mismatches: tuple[Mismatch, ...]
    total: int | None = None
    detail: str = ""
    excepted: tuple[Excepted, ...] = ()
    left_out: str = ""

    @property
    def ok(self) -> bool:
        return not self.mismatches


@dataclass(frozen=True, slots=True)
class Verified:
    """A network's checks. inputs: shapes with the batch. tensors: "real", or "fake" where none was computed, and
    `why`. versions: of the packages that were asked. module: somebody's own that was run; empty where it was the one
    that is built from the graph. stored: the type of a file's values, where its layers were run in another."""

    name: str
    variant: str | None
    inputs: Mapping[str, Shape]
    batch: int
    dtype: str
    device: str
    tensors: str
    why: str
    versions: Mapping[str, str]
    checks: tuple[Check, ...]
    module: str = ""
    stored: str = ""

    @property
    def title(self) -> str:
        """`resnet@50`."""
        return titled(self.name, self.variant)

    @property
    def ok(self) -> bool:
        """Whether PyTorch agrees on everything."""
        return all(check.ok for check in self.checks)


def compare(
    name: str,
    against: str,
    unit: str,
    expected: Mapping[str, Figure],
    found: Mapping[str, Figure],
    *,
    total: int | None = None,
    detail: str = "",
    excepted: tuple[Excepted, ...] = (),
) -> Check:
    """The check of figures by layer or name: equal keys with equal values, in cnnprof's order."""
    keys = [*expected, *(key for key in found if key not in expected)]
    mismatches = tuple(
        Mismatch(key, expected.get(key), found.get(key))
        for key in keys
        if key not in expected or key not in found or expected[key] != found[key]
    )
    return Check(name, against, unit, len(keys), mismatches, None if mismatches else total, detail, excepted)
