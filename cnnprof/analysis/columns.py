"""The columns of a layer: a new one is one entry of `COLUMNS`, which every format and every option then has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from cnnprof.analysis.receptive_field import Number
from cnnprof.errors import UsageError, listing, nearest
from cnnprof.model.kind import Work
from cnnprof.model.metrics import METRICS

if TYPE_CHECKING:
    from cnnprof.analysis.rows import LayerRow, ReceptiveField

Unit: TypeAlias = Literal["text", "shape", "shapes", "count", "bytes", "ratio", "positions"]


class ReportColumn(NamedTuple):
    """A column of the table: how to read it from a row, what it is counted in, and when it is shown.

    summed: it adds up to a figure of the network, so it can show shares and order rows.
    rank: None: shown where asked for; 0: always; else left out where there is no room, the highest first.
    fold: its texts may be broken into lines. bar: a bar next to it shows each row's share.
    instead: the heading of the column that it replaces where that one has no room.
    """

    name: str
    header: str
    unit: Unit
    value: Callable[[LayerRow], Any]
    summed: bool = False
    rank: int | None = None
    fold: bool = False
    bar: bool = False
    instead: str = ""

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers, set to the right."""
        return self.unit not in ("text", "shape", "shapes")

    def plain(self, row: LayerRow) -> Any:
        """The value as plain text or a number."""
        value = self.value(row)
        if self.unit == "shape":
            return "x".join(map(str, value))
        if self.unit == "shapes":
            return " ".join("x".join(map(str, shape)) for shape in value)
        return value


BAR_RANK = 3
"""When bars are left out: after the columns of a higher rank."""


def _largest(sizes: Sequence[Number] | None) -> Number | None:
    return max(sizes, default=None) if sizes else None


def _notation(row: LayerRow) -> str:
    """A layer as papers write it: `7×7/2, 64` with its stride, `3×3 dw` (depthwise), `3×3/2 max`, `fc 1000`.

    Empty for kinds without a window or features. Fields are named alike in all kinds, as in `torch.nn`.
    """
    kind: Any = row.fields
    kernel = getattr(kind, "kernel_size", None)
    if kernel is None:
        return f"fc {kind.out_features}" if hasattr(kind, "out_features") else ""
    stride = kernel if kind.stride is None else kind.stride
    text = "×".join(map(str, kernel)) if isinstance(kernel, tuple) else f"{kernel}×{kernel}"
    text += f"/{_alike(stride)}" if _alike(stride) != "1" else ""
    if not hasattr(kind, "out_channels"):
        return f"{text} {row.kind.partition('_pool')[0].replace('_', ' ')}"
    text += " transposed" if "transpose" in row.kind else ""
    channels, groups = row.input_shapes[0][1], kind.groups
    depthwise = groups == channels > 1
    text += " dw" if depthwise else ""
    text += f", {kind.out_channels}" if not depthwise or kind.out_channels != channels else ""
    text += f", {groups} groups" if groups > 1 and not depthwise else ""
    return text + (f", dilation {_alike(kind.dilation)}" if _alike(kind.dilation) != "1" else "")


def _alike(sizes: int | tuple[int, ...]) -> str:
    """`2` for all axes, or `2×1`."""
    sizes = (sizes,) if isinstance(sizes, int) else sizes
    return "×".join(map(str, sizes[:1] if len(set(sizes)) == 1 else sizes))


def _smallest(field: ReceptiveField) -> int | None:
    """Of the axis that the largest size is on."""
    if not field.size or not field.size_min:
        return None
    return min(least for size, least in zip(field.size, field.size_min, strict=True) if size == max(field.size))


COLUMNS: dict[str, ReportColumn] = {
    column.name: column
    for column in (
        ReportColumn("path", "layer", "text", lambda row: row.path, rank=0, fold=True),
        ReportColumn("kind", "kind", "text", lambda row: row.kind, rank=7, fold=True),
        ReportColumn("config", "configuration", "text", lambda row: row.config, rank=8, fold=True),
        ReportColumn("notation", "notation", "text", _notation, rank=5, instead="configuration"),
        ReportColumn("input_shape", "input", "shapes", lambda row: row.input_shapes, fold=True),
        ReportColumn("output_shape", "output", "shape", lambda row: row.output_shape, rank=2),
        ReportColumn("params", "params", "count", lambda row: row.params, summed=True, rank=1, bar=True),
        # What gets a gradient: buffers are not parameters, and a weight that is used twice counts where it is first.
        ReportColumn("trainable", "trainable", "count", lambda row: row.params - row.frozen, summed=True),
        ReportColumn("buffers", "buffers", "count", lambda row: row.buffers, summed=True),
        ReportColumn("macs", "MACs", "count", lambda row: row.macs, summed=True, rank=0, bar=True),
        ReportColumn("flops", "FLOPs", "count", lambda row: row.flops, summed=True, rank=9),
        ReportColumn("param_bytes", "weights", "bytes", lambda row: row.param_bytes, summed=True),
        ReportColumn("activation_bytes", "activations", "bytes", lambda row: row.activation_bytes, summed=True, rank=4),
        *(
            ReportColumn(sort, sort, "count", lambda row, sort=sort: getattr(row.work, sort), summed=True)  # type: ignore[misc]
            for sort in Work._fields[1:]
        ),
        ReportColumn("arithmetic_intensity", "FLOPs/byte", "ratio", lambda row: row.arithmetic_intensity),
        ReportColumn("receptive_field", "field", "positions", lambda row: _largest(row.receptive_field.size), rank=6),
        ReportColumn("receptive_field_min", "smallest field", "positions", lambda row: _smallest(row.receptive_field)),
        ReportColumn("stride", "stride", "positions", lambda row: _largest(row.receptive_field.stride)),
        ReportColumn("executed", "executed", "text", lambda row: row.executed),
        ReportColumn("declared", "declared", "text", lambda row: row.declared),
        ReportColumn("memory_exact", "memory exact", "text", lambda row: row.memory_exact),
        ReportColumn("receptive_field_exact", "field exact", "text", lambda row: row.receptive_field.exact),
        ReportColumn("file", "file", "text", lambda row: row.file),
        ReportColumn("line", "line", "count", lambda row: row.line),
        ReportColumn("layers", "layers", "count", lambda row: row.layers),
    )
}


def columns(names: Iterable[str]) -> list[ReportColumn]:
    """The columns of these names, in that order. Raises UsageError."""
    found = []
    for name in names:
        if name not in COLUMNS:
            if name in METRICS:
                raise UsageError(f"`{name}` is a metric of the whole network, not of a layer: see the totals")
            headings = {column.header.lower(): column.name for column in COLUMNS.values()}
            meant = headings.get(name.lower())
            hint = f"`{meant}` has that heading" if meant else nearest(name, COLUMNS)
            raise UsageError(f"unknown column `{name}`; {hint or 'columns: ' + listing(list(COLUMNS))}")
        found.append(COLUMNS[name])
    return found
