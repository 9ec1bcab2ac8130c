"""What the formats for people have in common: the text of each cell, of the header and of the totals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cnnprof.analysis import units
from cnnprof.analysis.columns import BAR_RANK, COLUMNS, ReportColumn
from cnnprof.analysis.costs import Totals
from cnnprof.analysis.layout import ReportTable
from cnnprof.analysis.memory import Peak
from cnnprof.analysis.receptive_field import Number
from cnnprof.analysis.report import Report, caveats, doubts
from cnnprof.analysis.rows import LayerRow
from cnnprof.errors import brief, printable
from cnnprof.model.graph import OF_STRIDES, Layer
from cnnprof.model.kind import show
from cnnprof.render.document import (
    Block,
    Cell,
    Document,
    Heading,
    KeyFigure,
    KeyFigures,
    Meaning,
    Notes,
    TableColumn,
    Text,
)  # fmt: skip
from cnnprof.render.document import Table as Grid
from cnnprof.render.document import document as made
from cnnprof.render.text import shortened

if TYPE_CHECKING:
    from cnnprof.analysis.deployment import Deployment
    from cnnprof.devices.verdicts import Fit
    from cnnprof.importers.common import Imported

NOTHING = "-"
"""What a layer that does not run does."""


UNKNOWN = "unknown"
ABOUT = "≈"
"""Before an estimate."""


COMPARED = {
    "params": "parameter tensor",
    "shapes": "tensor shape",
    "macs": "MAC",
    "buffers": "buffer tensor",
    "modules": "module",
}
"""Names for people of what an import was compared in."""

BRIEF = 24
"""Characters of an argument or a path that is said in short."""
DESCRIBED = 1.2
"""Lines per row, on average, that folding may lead to before columns are left out."""


def document(tables: Sequence[ReportTable], fits: Sequence[Sequence[Fit]] = (), compact: bool = False) -> Document:
    """The networks one after another: what their figures hold for, the table, what has to be said, the totals, and what
    targets make of them. fits: of every network. compact: the totals in few lines, and only what must be said."""
    found = fits or [()] * len(tables)
    return made(block for table, each in zip(tables, found, strict=True) for block in _blocks(table, each, compact))


def _blocks(table: ReportTable, fits: Sequence[Fit], compact: bool) -> Iterator[Block]:
    yield Heading(title(table), tuple(facts(table)))
    if said := arguments(table, BRIEF if compact else None):
        yield Text("  ".join(said), "dim")
    yield grid(table, compact)._replace(terse=compact)
    yield Notes(tuple(notes(table, short=compact)))
    yield KeyFigures(tuple(totals(table)), flow=compact)
    if fits:
        from cnnprof.render.fits import section

        yield from section([(table.report.title, fits)])


def grid(table: ReportTable, compact: bool = False) -> Grid:
    """The table of layers, with all columns that a format chooses from. compact: inputs have no rows, and what only
    training runs is marked in words, so that no note has to say it."""
    asked = table.columns is not None
    columns = table.columns or tuple(column for column in COLUMNS.values() if column.rank is not None)
    rows = [*(() if compact else table.inputs), *table.rows, *([table.rest] if table.rest is not None else [])]
    heads: list[TableColumn] = []
    cells: list[list[Cell]] = []
    for number, column in enumerate(columns):
        # Columns that were asked for are all shown: where they do not fit, some are shown below.
        repeats = number if asked and column.name != "path" else None
        rank = 0 if asked else column.rank or 0
        path = column.name == "path"
        heads.append(
            TableColumn(
                column.header,
                column.numeric,
                column.fold and not path,
                rank,
                repeats,
                instead=column.instead,
                shorten=path,
            )
        )
        total = Cell("total") if number == 0 and column.name == "path" else _total(table, column)
        cells.append([*(_cell(table, row, column, compact) for row in rows), total])
        if column.bar and not asked:
            heads.append(TableColumn("", False, optional=max(rank, BAR_RANK), bar=True))
            bars = (Cell("", 0 if row is table.rest else table.share(row, column), "share") for row in rows)
            cells.append([*bars, Cell("")])
    *body, total_row = zip(*cells, strict=True)
    chooses = "" if asked else "--columns or "
    return Grid(tuple(heads), tuple(body), (total_row,), DESCRIBED, chooses)


def _cell(table: ReportTable, row: LayerRow, column: ReportColumn, compact: bool) -> Cell:
    value = column.value(row)
    text = cell(table, row, column)
    if compact and column.name == "path" and not row.executed:
        text = f"{row.path} (training)"
    quiet = row.view or row.in_place or row.kind == "input" or row is table.rest
    meaning: Meaning = "off" if not row.executed else "dim" if quiet else ""
    return Cell(text, value if column.numeric else None, column.unit, meaning)


def _total(table: ReportTable, column: ReportColumn) -> Cell:
    if not column.summed:
        return Cell("")
    return Cell(total_cell(table, column), table.total(column), column.unit)


def title(table: ReportTable) -> str:
    """`resnet@50`."""
    return printable(table.report.title)


def done(with_: Sequence[str]) -> list[str]:
    """What was done to a network, as written; nothing for nothing."""
    return [f"with {printable(', '.join(with_))}"] if with_ else []


def facts(table: ReportTable) -> list[str]:
    """What the figures hold for: input, batch, type, arguments."""
    report = table.report
    inputs = [
        f"{'input' if len(report.inputs) == 1 else name} {units.shape(shape[1:])}"
        for name, shape in report.inputs.items()
    ]
    mode = ["training"] if report.training else []
    best = ["best order"] if report.order == "best" else []
    return [*inputs, f"batch {report.batch}", report.stored_dtype, *mode, *best, *done(report.with_)]


def ran(module: str, stored: str, dtype: str) -> list[str]:
    """What was run, where that is not what everybody would expect. stored: the type of a file's values."""
    own = [f"the module itself, {module}"] if module else []
    return [*own, *([f"stored in {stored}: its layers run in {dtype}, as PyTorch has them"] if stored else [])]


def about(estimates: Collection[str], metric: str) -> str:
    """The sign before a metric's figure where it is among the estimates."""
    return ABOUT if metric in estimates else ""


def labels(estimates: Collection[str], declared: int, refused: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """What has to be said about figures: which are estimates, how many layers are declared, and what is refused."""
    return [printable(label) for label in caveats(tuple(estimates), declared, refused)]


def lines(numbers: Sequence[int]) -> str:
    """`line 5`, or `lines 40, 22, 13` of steps that lead to a layer, the outermost first."""
    return f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def arguments(table: ReportTable, most: int | None = None) -> list[str]:
    """`width=0.5` for every argument of the spec. most: characters of a value that are shown."""
    values = {name: argument(value) for name, value in table.report.args.items()}
    return [printable(f"{name}={text if most is None else brief(text, most)}") for name, text in values.items()]


def argument(value: Any) -> str:
    """An argument's value as `--set` takes it; a block or kind by its name."""
    return show(value) if type(value) in (list, tuple, bool, type(None)) else show(str(value))


def cell(table: ReportTable, row: LayerRow, column: ReportColumn) -> str:
    """The text of a cell."""
    if column.name == "path":
        return f"{row.path} †" if not row.executed else row.path
    if column.name == "kind":
        declared = " (declared)" if row.declared else ""
        return (row.kind or units.plural(row.layers, "layer")) + declared
    if row is table.rest and not column.summed:
        return ""
    sign = "" if row.memory_exact else ABOUT
    if column.name == "activation_bytes" and (row.view or row.in_place):
        return f"{sign}view" if row.view else "in place"
    if column.name == "receptive_field" and row.receptive_field.size is None:
        return UNKNOWN
    value = column.value(row)
    if column.unit == "positions" and value is not None:
        least = COLUMNS["receptive_field_min"].value(row) if column.name == "receptive_field" else value
        return span(least, value, row.receptive_field.exact)
    if not row.executed and column.summed and not value:
        return NOTHING
    return (sign if column.name == "activation_bytes" else "") + figure(value, column, table.exact)


def figure(value: Any, column: ReportColumn, exact: bool = False) -> str:
    """A value in its column's unit."""
    match column.unit:
        case "shape":
            return units.shape(value[1:])
        case "shapes":
            return ", ".join(units.shape(shape[1:]) for shape in value)
        case "count":
            return units.exact(value) if exact or column.name in ("line", "layers") else units.count(value)
        case "bytes":
            return units.exact(value) if exact else units.size(value)
        case "positions":
            return units.places(value)
        case "ratio":
            return units.ratio(value)
        case "text":
            return value if isinstance(value, str) else show(value)


def total_cell(table: ReportTable, column: ReportColumn) -> str:
    """A cell of the row of totals; empty where a column has no sum."""
    if not column.summed:
        return ""
    return about(table.report.estimates, column.name) + figure(table.total(column), column, table.exact)


def _layers_and_products(figures: Totals) -> str:
    """What multiply-accumulates are of: convolution and linear alone, or how many of them and how many of products."""
    if not figures.product_macs:
        return "convolution and linear, as in papers"
    layers = figures.macs - figures.product_macs
    share = f"{100 * layers / figures.macs:.1f} %"
    return (
        f"{units.count(layers)} ({share}) convolution and linear alone, "
        f"{units.count(figures.product_macs)} products of activations"
    )


def totals(table: ReportTable) -> list[KeyFigure]:
    """The totals, each with the convention it is counted by."""
    report = table.report
    figures = report.totals
    estimated = report.estimates
    idle = figures.params - figures.inference_params
    params = f"{units.count(figures.params)}, {units.size(figures.param_bytes)}"
    params += f"; {units.count(idle)} of them run only in training" if idle else ""
    params += f"; plus {units.count(figures.buffers)} buffers" if figures.buffers else ""
    other = units.count(sum(figures.work[1:]))  # all sorts of operations but the multiply-accumulates
    lines = [
        line("params", units.exact(figures.params), params),
        line("MACs", units.exact(figures.macs), f"{units.count(figures.macs)}: {_layers_and_products(figures)}"),
        line(
            "FLOPs",
            units.exact(figures.flops),
            f"{units.count(figures.flops)}: 2 per MAC, plus {other} other operations",
        ),
        *(
            line(priced.name, units.exact(priced.total), f"{units.count(priced.total)}: {priced.rule}")
            for priced in table.priced
        ),
        line(
            "activations",
            about(estimated, "activation_bytes")
            + (units.exact(figures.activation_bytes) if table.exact else units.size(figures.activation_bytes)),
            "all tensors of a forward pass except the input",
        ),
        line(
            "peak memory",
            about(estimated, "peak_activation_bytes")
            + (
                units.exact(figures.peak_activation_bytes) if table.exact else units.size(figures.peak_activation_bytes)
            ),
            "with input, no weights" + _in_torch(table),
        ),
        line("inference", _inference(table), "parameters, buffers and PyTorch's peak"),
        _training_step(table),
        line("depth", units.exact(figures.depth), "conv and linear layers on the longest path"),
        line("receptive field", _receptive_field(table), "input positions on the largest axis"),
        line("intensity", _intensity(table), "FLOPs per byte of weights, inputs, outputs"),
        *(_planned(report.deployment, table) if report.deployed and report.deployment is not None else ()),
    ]
    for label, name in (("most params", "params"), ("most memory", "activation_bytes")):
        column = COLUMNS[name]
        if heaviest := table.heaviest(column):
            sign = about(estimated, name)
            text = f"{sign}{figure(heaviest.value, column)}, {sign}{units.share(heaviest.share)} of all {column.header}"
            more = f" and {units.exact(heaviest.equals)} more" if heaviest.equals else ""
            if name == "params" and (more or heaviest.layer_value != heaviest.value):
                text += f"; top layer {figure(heaviest.layer_value, column)}: {heaviest.layer}{more}"
            lines.append(line(label, heaviest.path, text))
    return [line for line in lines if line.figure.text]


def line(label: str, figure: str, note: str) -> KeyFigure:
    """A key figure by its text."""
    return KeyFigure(label, Cell(figure, meaning="strong"), note)


def _planned(found: Deployment, table: ReportTable) -> Iterator[KeyFigure]:
    """What a microcontroller needs: the planned arena, with the least that any plan takes; its tail, and the file."""
    from cnnprof.analysis.arena import FLASH_ERROR, TAIL_ERROR

    arena, size = found.arena, units.exact if table.exact else units.size
    sign = about(found.estimates, "arena_non_persistent_bytes")
    note = f"head of the arena, as TensorFlow Lite Micro plans it: {units.size(arena.non_persistent_bytes)}"
    least = "no plan takes less" if arena.proved else f"none takes less than {units.exact(arena.lower_bound)}"
    if arena.waste:
        share = units.share(arena.waste / arena.best.bytes)
        note += f"; {share} more than a plan of {units.exact(arena.best.bytes)}, and {least}"
    else:
        note += f"; {least}"
    yield line("arena", sign + units.exact(arena.non_persistent_bytes), note)
    if found.total is not None and found.persistent is not None:
        kept = f"with ≈{units.size(found.persistent)} that kernels keep, ± {units.share(TAIL_ERROR)}"
        yield line("arena in all", ABOUT + size(found.total), kept)
    own = "the file" if found.flash_exact else f"the {found.dtype} file, ± {units.share(FLASH_ERROR)}"
    yield line("flash", ("" if found.flash_exact else ABOUT) + size(found.flash), own)


def _in_torch(table: ReportTable) -> str:
    report = table.report
    peak = report.totals.torch_peak_activation_bytes
    sign = about(report.estimates, "torch_peak_activation_bytes")
    return "" if peak is None else f"; {sign}{units.size(peak)} in PyTorch"


def _inference(table: ReportTable) -> str:
    report = table.report
    needed = report.totals.inference_bytes
    if needed is None:
        return ""
    return about(report.estimates, "inference_bytes") + (units.exact if table.exact else units.size)(needed)


def _training_step(table: ReportTable) -> KeyFigure:
    report = table.report
    if "training_bytes" in report.costs.refusals:
        return line("training step", "", "")
    if report.step is None:
        return line("training step", "refused", "PyTorch refuses to train it: see below")
    sign = about(report.estimates, "training_bytes")
    size = units.exact if table.exact else units.size
    kept = f"{sign}{units.size(report.step.kept)} for backward, weights, gradients, {report.optimizer}"
    return line("training step", f"{sign}{size(report.step.total)}", kept)


def _about_the_arena(report: Report, short: bool) -> Iterator[str]:
    """What has to be said about planned memory, or why there is none; and, unless it is to be short, what is in it
    where the most is needed."""
    found = report.deployment
    if found is None:
        yield f"no arena: {printable(report.reason('arena_non_persistent_bytes'))}"
        return
    held = ", ".join(
        f"{brief(each.buffer.name, 64)} {units.exact(each.buffer.bytes)}" for each in found.arena.at_peak()[:4]
    )
    if not short:
        yield printable(f"arena: the most at once is at {found.at_peak}: {held}")
        if found.avoidable:
            yield "arena: padding as TensorFlow's SAME (`pad_same`) would avoid the padded copy"
    yield from (printable(f"{ABOUT} arena: {note}") for note in found.arena.notes)
    if found.refused:
        yield printable(f"no arena_persistent_bytes, arena_total_bytes: {found.refused}")
    yield (
        "arena: of the reference kernels; optimized ones and the application need more"
        if short
        else "arena: of the reference kernels; optimized ones (CMSIS-NN, ESP-NN) need more, and so does the application"
    )


def imported(found: Imported) -> list[str]:
    """What has to be said of a network that was read from another format."""
    said = [printable(note) for note in found.notes]
    reasons: dict[tuple[str, str], list[str]] = {}
    for layer in found.opaque:
        reasons.setdefault((layer.operator, layer.reason), []).append(layer.path)
    for (operator, reason), paths in reasons.items():
        more = f" and {units.exact(len(paths) - 1)} more" if len(paths) > 1 else ""
        said.append(printable(f"warning: {paths[0]}{more} ({operator}) is opaque: {reason}"))
    if found.agreeing:
        amounts = [units.plural(count, COMPARED.get(name, name)) for name, count in found.agreeing.items()]
        said.append(f"read from {found.format}, which agrees: {', '.join(amounts)}")
    return said


def _alive(peak: Peak) -> str:
    """`input 588 KiB, conv1 1.11 MiB, …`: the largest first, as many as say most of it."""
    largest = sorted(peak.alive, key=lambda storage: -storage.bytes)
    names = [
        f"{'its output' if storage.name == peak.layer else storage.name} {units.size(storage.bytes)}"
        for storage in largest[:4]
    ]
    return ", ".join([*names, *([f"{len(largest) - 4} more"] if len(largest) > 4 else [])])


def _intensity(table: ReportTable) -> str:
    totals = table.report.totals
    found = units.ratio(totals.arithmetic_intensity)
    return found if totals.memory_exact or not found else f"{ABOUT}{found}"


def _receptive_field(table: ReportTable) -> str:
    totals = table.report.totals
    least, most = totals.receptive_field_min, totals.receptive_field
    if least is not None and most is not None:
        return span(least, most, totals.receptive_field_exact)
    if any(row.receptive_field.size is None for row in table.report.layers):
        return UNKNOWN
    return ""  # a network without spatial axes has none


def span(least: Number, most: Number, exact: bool = True) -> str:
    """188–204, what positions see from the one that sees least to the one that sees most; 204 where all see as much."""
    text = units.places(most) if least == most else f"{units.places(least)}–{units.places(most)}"
    return text if exact else f"{ABOUT}{text}"


def notes(table: ReportTable, short: bool = False) -> list[str]:
    """What has to be said about the rows; and, unless it is to be short, what is alive at the peak, which layers make
    figures estimates, and which run only in training. Short reasons name layers by the ends of their paths."""
    report = table.report
    sign = about(report.estimates, "peak_activation_bytes")
    found = [] if short else [f"peak at {report.peak.layer}: {_alive(report.peak)}"]
    if report.order == "best":
        best, written = (sign + units.size(amount) for amount in (report.peak.bytes, report.written_peak_bytes))
        found.append(f"best order: {best}; as written {written}")
    refused = {name: _with_short_words(why) if short else why for name, why in report.refused.items()}
    found += labels((), report.declared, refused=refused)
    found += [] if report.imported is None else imported(report.imported)
    found += map(printable, report.notes)
    if report.deployed:
        found += _about_the_arena(report, short)
    found += [f"warning: nothing uses the argument `{name}`: its value changes nothing" for name in report.unused]
    if table.priced and report.declared:
        found.append("--convention: of a declared layer only the declared MACs count; no other tool sees them")
    if report.imported is not None and any(priced.name == "fvcore" for priced in table.priced):
        found.append(
            "fvcore: of the network that cnnprof builds of what it read; of the original it may count differently, "
            "where an operator became another kind, as `mean` does `adaptive_avg_pool2d`"
        )
    graph = report.graph
    trained = [] if graph.trained is None else graph.trained.layers
    which = "memory figures are estimates" if sign else "the training step is an estimate"
    estimated = [layer for layer in (*graph.layers, *trained) if not layer.memory_exact]
    found += _estimated(estimated, which, short)
    if not (short or all(row.receptive_field.exact for row in report.layers)):
        found.append(
            f"{ABOUT} a receptive field is an estimate where too many positions differ, or along a flattened dimension"
        )
    found += doubts(graph)
    if not short and any(not row.executed for row in table.rows):
        found.append("† a side output, which runs only in training: only its parameters count")
    if (
        not table.chosen
        and table.rest is None
        and table.sorted_by is None
        and len(table.rows) < len(table.report.layers)
    ):
        found.append(_folded(table, short))
    return found


def _with_short_words(text: str) -> str:
    """The text, its long words, such as paths, without their middle."""
    return " ".join(shortened(word, BRIEF) for word in text.split(" "))


def _estimated(layers: Sequence[Layer], which: str, short: bool) -> Iterator[str]:
    """Why figures of memory are estimates, each reason with the first layer that has it; short: these layers alone.
    which: figures."""
    strided = [layer for layer in layers if layer.unsure == OF_STRIDES]
    reasons = {layer.unsure: layer.path for layer in reversed(layers) if layer.unsure != OF_STRIDES}
    if short:
        causes = [*reversed(reasons.values()), *(["strides"] if strided else [])]
        yield from [f"{ABOUT} {which} ({', '.join(causes)})"] if causes else []
        return
    yield from (f"{ABOUT} {reason.format(path)}: {which}" for reason, path in reversed(reasons.items()))
    if strided:
        yield (
            f"{ABOUT} whether {strided[0].path} is a view or a copy depends on strides, which are not tracked after a "
            f"permute or a slice: {which}"
        )


def _folded(table: ReportTable, short: bool) -> str:
    """How the rows are not layers, and what shows those."""
    rows = f"{units.plural(len(table.report.layers), 'layer')} in {units.plural(len(table.rows), 'row')}"
    how = ", folded to fit the window" if table.folded else ", norms and activations with the layer before them"
    return f"{rows}{'' if short else how}: --fold 0 shows every layer"
