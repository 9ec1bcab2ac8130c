"""The table on a terminal: what fits at which width, and that nothing is ever cropped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import pytest
import yaml
from rich.cells import cell_len

import cnnprof
from cnnprof.analysis.layout import ReportTable, lay_out
from cnnprof.analysis.report import Report
from cnnprof.cli import analyze, output
from cnnprof.cli.arguments import read_targets
from cnnprof.devices.profiles import Target
from cnnprof.language import manual
from cnnprof.render import catalogue, show, terminal, words
from cnnprof.render.document import Cell, Code, KeyFigure, KeyFigures, Table, TableColumn, document
from cnnprof.render.text import fold as folded
from cnnprof.render.text import shortened
from tests.support.networks import network, report, shipped
from tests.support.shown import same_as_golden, table

PAGE = 24
"""Rows, as many as a window of fifty lines has for them."""
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def drawn(shown: ReportTable, width: int, color: bool = False) -> str:
    return show(words.document([shown]), "text", width, color)


def in_a_window(
    spec: str | Report,
    width: int,
    height: int,
    monkeypatch: pytest.MonkeyPatch,
    fold: int | None = None,
    targets: Sequence[Target] = (),
) -> str:
    """What `cnnprof analyze` shows in a window."""
    for module in (analyze, output):
        monkeypatch.setattr(module, "screen", lambda: output.Screen(width, None, height))
    found = cnnprof.analyze(spec) if isinstance(spec, str) else spec
    return analyze.render([found], analyze.View(fold, None, None, None, [], False, "table"), None, targets)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("spec", ["lenet5", "mobilenet_v1"])
def test_golden(spec: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = in_a_window(spec, width, 50, monkeypatch)
    same_as_golden(f"{spec}.{width}.txt", text)
    assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (40, ["layer", "params", "MACs"]),
        (60, ["layer", "output", "params", "MACs"]),
        (80, ["layer", "output", "params", "MACs", "activations"]),
        (120, ["layer", "kind", "output", "params", "MACs", "FLOPs", "activations", "field"]),
    ],
)
def test_fewer_columns_on_a_narrower_terminal(width: int, headers: list[str]) -> None:
    lines = drawn(table("resnet@50", page=PAGE), width).split("\n")
    assert next(line.split() for line in lines if line.startswith("layer")) == headers


@pytest.mark.parametrize("width", [33, 47, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("spec", ["resnet@50", "googlenet", "alexnet"])
def test_no_line_is_wider_than_the_terminal(spec: str, width: int) -> None:
    for fold in (None, 0):
        text = drawn(table(spec, page=PAGE, segments=fold), width)
        assert max(map(cell_len, text.split("\n"))) <= width


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_path_without_room_loses_its_middle(width: int) -> None:
    """A row per layer all the same; its ends tell which it is, and in a window too narrow for a table it is whole."""
    found = cnnprof.analyze("resnet@50")
    text = drawn(lay_out(found, segments=0), width)
    first, total = text.index("conv1.conv2d"), text.index("───", text.index("conv1.conv2d"))
    shown = [line.split()[0] for line in text[first:total].strip().split("\n")]
    assert len(shown) == len(found.layers)
    for name, row in zip(shown, found.layers, strict=True):
        begin, _, end = name.partition("…")
        assert (row.path.startswith(begin) and row.path.endswith(end)) if "…" in name else name == row.path
    assert any("…" in name for name in shown)


def test_a_window_too_narrow_for_a_table_has_whole_paths() -> None:
    found = cnnprof.analyze("resnet@50")
    text = "".join(drawn(lay_out(found, segments=0), 20).split())
    assert all(f"layer:{row.path}" in text for row in found.layers)


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("a.b.c", 5, "a.b.c"),
        ("stage1.block2.conv", 10, "sta…2.conv"),
        ("stage1.block2.conv", 3, "s…v"),
        ("層層層層", 6, "層…層"),
    ],
)
def test_shortened(path: str, width: int, shown: str) -> None:
    assert shortened(path, width) == shown


@pytest.mark.parametrize("spec", shipped())
def test_it_fits_the_window(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a line for the prompt; the totals are last, all of them."""
    found = cnnprof.analyze(spec)
    labels = ["params", "MACs", "FLOPs", "activations", "peak memory", "inference", "training step", "depth"]
    labels += ["receptive field"] if found.totals.receptive_field is not None else []
    for width, height in ((60, 24), (80, 24), (80, 30), (80, 50), (120, 24), (120, 40), (200, 60)):
        text = in_a_window(found, width, height, monkeypatch)
        assert text.count("\n") < height, (width, height)
        assert max(map(cell_len, text.split("\n"))) <= width
        last = text.rstrip().rpartition("\n\n")[2]
        for label in labels:
            assert re.search(rf"(^|  ){label}  ", last, re.MULTILINE), (width, height, label)


@pytest.mark.parametrize("spec", ["resnet@50", "inception_v3"])
@pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (80, 40), (120, 50)])
def test_verdicts_push_rows_out_of_the_window_before_they_leave_it_themselves(
    spec: str, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cnnprof.analyze(spec)
    text = in_a_window(found, width, height, monkeypatch, targets=read_targets(["nrf52840", "esp32s3"]))
    rows = re.search(r"layers in (\d+) rows", text)
    assert rows is not None
    fewest = len(lay_out(found, page=analyze.FEWEST, runs=True).rows)
    assert text.count("\n") < height or int(rows[1]) == fewest
    assert "nrf52840" in text


def test_what_is_said_in_a_low_window_is_said_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long arguments and paths; what only training runs has its mark in words."""
    low, high = (in_a_window("inception_v3", 80, height, monkeypatch) for height in (24, 60))
    assert "\nno training_bytes: side.au…nv_2.batch_norm: `batch_norm` needs a batch" in low
    assert "\nno training_bytes: side.aux.auxiliary.conv_2.batch_norm: `batch_norm` needs a\n" in high
    assert re.search(r"^side \(training\) .* 3\.33 M ", low, re.MULTILINE)
    assert "†" not in low
    assert re.search(r"^side.* †  ", high, re.MULTILINE)
    assert "depths=[3, 4, 6, 3]  bnecks=[[3, 16, 16, false, rel…  aux" in in_a_window("deeplabv3", 90, 24, monkeypatch)


def test_a_window_that_is_too_low_does_not_take_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = in_a_window("mobilevit", 60, 12, monkeypatch)
    rows = [line.split("  ")[0] for line in text.split("\n") if re.search(r"\d×\d+  ", line)]
    assert len(rows) >= 2
    assert "280 layers in 2 rows: --fold 0 shows every layer" in text
    assert max(map(cell_len, text.split("\n"))) <= 60


def test_rows_that_were_asked_for_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = in_a_window("resnet@50", 80, 24, monkeypatch, fold=0)
    assert text.count("batch_norm ") >= 53
    assert "layers in" not in text


def test_bars_are_longer_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = [
        max(map(len, re.findall("█+", in_a_window("resnet@50", width, 40, monkeypatch)))) for width in (80, 120, 400)
    ]
    assert longest[0] < longest[1] < longest[2] == terminal.LONGEST


def test_a_name_is_broken_after_its_parts() -> None:
    assert list(folded("torch_peak_activation_bytes", 16)) == ["torch_peak_", "  activation_", "  bytes"]
    assert list(folded("stage_1.0.add.conv_bn", 12)) == ["stage_1.0.", "  add.", "  conv_bn"]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_an_example_of_a_kind_means_the_same_where_it_is_folded(width: int) -> None:
    broken = 0
    for each in manual.summaries():
        page = manual.page(each.word)
        shown = show(catalogue.page(page), "text", width)
        assert max(map(cell_len, shown.split("\n"))) <= width, each.word
        example = textwrap.dedent(shown.split("\nExample\n")[1].split("\n\n")[0])
        assert yaml.safe_load(example) == yaml.safe_load(page.sections["Example"]), each.word
        broken += example.strip() != page.sections["Example"].strip()
    assert broken > 5


def test_a_comment_that_is_folded_stays_one() -> None:
    shown = show(
        document(Code("a: 1  # as many as it takes to be wider\n# and one that is alone in its line")), "text", 24
    )
    assert shown == "a: 1\n  # as many as it takes\n  # to be wider\n# and one that is alone\n# in its line\n"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (43, ["layer  peak_activation_bytes  time at least"]),
        (42, ["       peak_activation_", "layer             bytes  time at least"]),
        (32, ["       peak_activation_  time at", "layer             bytes    least"]),
        (27, ["             peak_", "       activation_  time at", "layer        bytes    least"]),
        (24, ["       peak_activation_", "layer             bytes", "layer  time at least"]),
    ],
)
def test_headings_are_broken_before_a_table_is(width: int, lines: list[str]) -> None:
    columns = (
        TableColumn("layer", right=False),
        TableColumn("peak_activation_bytes", repeats=1),
        TableColumn("time at least", repeats=2),
    )
    shown = show(document(Table(columns, ((Cell("conv1"), Cell("1.00 KiB"), Cell("3 s")),))), "text", width)
    assert [line for line in shown.split("\n") if line and not re.match("─|conv1", line)] == lines


def test_colours_change_no_character() -> None:
    shown = table("googlenet", page=PAGE)
    colored = drawn(shown, 100, color=True)
    assert ESCAPE.search(colored)
    plain = "\n".join(line.rstrip() for line in ESCAPE.sub("", colored).split("\n"))
    assert plain == drawn(shown, 100)


def test_what_there_is_no_room_for_is_said() -> None:
    said = {
        width: re.findall(r"^no room for (.*): --columns", drawn(table("lenet5"), width), re.M) for width in (80, 200)
    }
    assert said == {80: ["kind, configuration, FLOPs, field"], 200: []}
    assert "no room for" not in drawn(table("lenet5", "path,params"), 80)


def test_a_page_is_enough() -> None:
    """Fifty lines, for all that comes with the tool but a wide spread of arguments or layers that cannot be folded."""
    for spec in ("lenet5", "alexnet", "resnet@50", "resnet@152"):
        assert drawn(table(spec, page=PAGE), 80).count("\n") <= 50, spec


def test_folding_is_said() -> None:
    text = drawn(table("resnet@50", page=PAGE), 120)
    assert "175 layers in 20 rows, folded to fit the window: --fold 0 shows every layer" in text
    assert "folded" not in drawn(table("resnet@50", segments=1), 100)
    text = drawn(table("lenet5", page=PAGE), 100)
    assert "12 layers in 7 rows, norms and activations with the layer before them: --fold 0 shows every layer" in text


def test_bars_are_shares_of_the_largest_row() -> None:
    text = drawn(table("lenet5", page=PAGE), 80)
    assert re.search(r"^C5 .* 48\.1 K ███████████ ", text, re.MULTILINE)
    assert "a full bar is the largest row's share of the total: params 78.0 %, MACs 57.6 %" in text


def test_side_outputs_are_marked() -> None:
    text = drawn(table("googlenet", page=PAGE), 120)
    assert re.search(r"^side\.aux1 † +8 layers", text, re.MULTILINE)
    assert "† a side output, which runs only in training: only its parameters count" in text


def test_rows_cut_by_top_are_summed() -> None:
    text = drawn(table("resnet@50", sort="params", top=2), 100)
    assert re.search(r"^173 more +20\.8 M +3\.86 G", text, re.MULTILINE)
    assert "\ninput" not in text


def test_columns_that_were_asked_for_are_shown_below_where_they_do_not_fit() -> None:
    """Each of the tables below one another begins with the layers."""
    names = "path,params,buffers,macs,flops,param_bytes,activation_bytes,adds,multiplies,line"
    text = drawn(table("lenet5", names), 60)
    headers = [line.split() for line in text.split("\n") if line.startswith("layer")]
    assert headers == [
        ["layer", "params", "buffers", "MACs", "FLOPs", "weights"],
        ["layer", "activations", "adds", "multiplies", "line"],
    ]
    assert max(map(cell_len, text.split("\n"))) <= 60
    assert "no room" not in text


def test_the_notation_stays_where_the_configuration_has_no_room() -> None:
    narrow, wide = (drawn(table("lenet5"), width).split("\n") for width in (80, 200))
    headers = [next(line.split() for line in lines if line.startswith("layer")) for lines in (narrow, wide)]
    assert [("notation" in header, "configuration" in header) for header in headers] == [(True, False), (False, True)]
    assert any(line.startswith("S2       2×2/2 avg  6×14×14 ") for line in narrow)


def test_what_a_stranger_wrote_steers_no_terminal() -> None:
    """The name comes from the file."""
    text = network("- relu").replace("name: net", 'name: "[bold]\\x1b[2J\\x1b[31mred"')
    shown = lay_out(report(text))
    for color in (False, True):
        assert r"[bold]\x1b[2J\x1b[31mred" in drawn(shown, 80, color)


def test_a_very_narrow_terminal_loses_nothing() -> None:
    """Where not even a path and a number fit, lines are longer than the terminal, which breaks them itself."""
    text = drawn(table("resnet@50", page=PAGE), 12)
    assert "…" not in text
    assert "params: 25,557,032" in " ".join(text.split())


def test_several_tables_stand_one_after_another() -> None:
    text = show(words.document([table("lenet5"), table("alexnet")]), "text", 80)
    assert re.findall(r"^(\w+)  input", text, re.MULTILINE) == ["lenet5", "alexnet"]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("used 133.8 % of it", 12, ["used 133.8 %", "  of it"]),
        ("used 133.8 % of it", 11, ["used", "  133.8 %", "  of it"]),
        ("input 4.00 KiB", 12, ["input", "  4.00 KiB"]),
        ("has 16 KB of it", 8, ["has", "  16 KB", "  of it"]),
        ("takes 4 seconds", 9, ["takes 4", "  seconds"]),
        ("12345678 KiB", 10, ["12345678", "  KiB"]),  # there is nothing else to break at
    ],
)
def test_a_figure_keeps_its_unit(text: str, width: int, lines: list[str]) -> None:
    assert list(folded(text, width)) == lines


@pytest.mark.parametrize("width", [0, 1, 3, 8])
def test_a_line_has_at_least_one_character(width: int) -> None:
    assert list(folded("", width)) == [""]
    assert "".join(line.strip() for line in folded("abcdef", width)) == "abcdef"


def test_a_name_is_shortened_among_figures_and_no_number_is() -> None:
    figures = (
        KeyFigure("MACs", Cell("1,234,567,890,123,456")), KeyFigure("most params", Cell("transformer_block_12")),
        KeyFigure("peak", Cell("≈1.00 MiB")),
    )  # fmt: skip
    shown = terminal.render(document(KeyFigures(figures, flow=True)), 80, color=False)
    assert "1,234,567,890,123,456" in shown
    assert "tran…_block_12" in shown


@pytest.mark.parametrize("width", [8, 24, 60])
def test_key_figures_without_notes_are_folded(width: int) -> None:
    figures = KeyFigures((KeyFigure("conv2d", Cell("Convolution over an image, `torch.nn.Conv2d`.")),))
    shown = terminal.render(document(figures), width, color=False)
    assert max(map(len, shown.splitlines())) <= width
    assert "".join(shown.split()).replace(":", "") == "conv2dConvolutionoveranimage,`torch.nn.Conv2d`."
