"""A store: rows in parts, which go on after an interruption and are those that counting alone gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import cnnprof
from cnnprof.cli import main
from cnnprof.errors import UsageError
from cnnprof.sweeps.result import Sweep

pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
from pyarrow import dataset, parquet  # noqa: E402

from cnnprof.sweeps.lanes import answer, count  # noqa: E402

SPACE: dict[str, Any] = {
    "args": {"width": "0.25:1.25:0.01", "classes": [10, 20]},
    "input": [(3, size, size) for size in range(96, 160, 8)],
    "metrics": ["params", "macs"],
    "max": {"macs": "300M"},
    "pareto": ["macs", "+width", "+input"],
}


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "SHARE", 256)
    monkeypatch.setattr(count, "CHUNK", 100)
    monkeypatch.setattr(answer, "MOST", 1000)
    monkeypatch.setattr(answer, "POOL", 300)


def swept(folder: Path | None, **options: Any) -> Sweep:
    return cnnprof.sweep("mobilenet_v1", **{**SPACE, **options}, store=folder)


def read(folder: Path) -> Any:
    """All rows, as people read them."""
    return dataset.dataset(folder, format="parquet", exclude_invalid_files=True).to_table()


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_rows_are_what_counting_alone_gives(tmp_path: Path) -> None:
    found = swept(tmp_path / "store")
    table = read(tmp_path / "store")
    rows = table.sort_by("combination").to_pylist()
    assert len(rows) == found.combinations - found.over == len(found.rows) + found.unlisted
    assert len({row["combination"] for row in rows}) == len(rows)
    assert max(row["macs"] for row in rows) <= 300_000_000
    for row in rows[:: len(rows) // 5]:
        size = int(row["input"].split("x")[1])
        alone = cnnprof.analyze(
            "mobilenet_v1", args={"width": row["width"], "classes": row["classes"]}, input=(3, size, size)
        ).totals
        assert (row["params"], row["macs"]) == (alone.params, alone.macs)
        assert (row["estimates"], row["declared_layers"]) == ("", 0)
    assert table.schema.field("width").type == pa.float64()
    assert table.schema.field("classes").type == pa.int64()


def test_a_store_changes_nothing_of_the_answer(tmp_path: Path) -> None:
    assert swept(tmp_path / "store") == swept(None)
    assert len(parts(tmp_path / "store")) > 5


def test_what_is_beside_the_parts(tmp_path: Path) -> None:
    swept(tmp_path)
    kept = json.loads((tmp_path / "sweep.json").read_text(encoding="utf-8"))
    assert (kept["cnnprof"], kept["metrics"]) == (cnnprof.__version__, ["params", "macs"])
    text = (tmp_path / "spec.yaml").read_bytes()
    assert text == cnnprof.lookup.architectures()["mobilenet_v1"].read_bytes()
    import hashlib

    assert kept["spec"]["sha256"] == hashlib.sha256(text).hexdigest()
    assert kept["parts"] == len(parts(tmp_path))


def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    one, two = swept(tmp_path / "one"), swept(tmp_path / "two", jobs=2)
    assert one == two
    assert parts(tmp_path / "one") == parts(tmp_path / "two")


def test_it_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is not counted again, and the answer is the same, whatever is asked of the rows."""
    whole = swept(tmp_path)
    written = parts(tmp_path)
    gone = sorted(written)[1::2]
    for name in gone:
        (tmp_path / name).unlink()
    counted: list[int] = []
    share = count.Counter.share
    monkeypatch.setattr(count.Counter, "share", lambda self, number: counted.append(number) or share(self, number))
    assert swept(tmp_path, resume=True) == whole
    assert [f"part-{number:06}.parquet" for number in counted] == gone
    assert parts(tmp_path) == written
    monkeypatch.setattr(count.Counter, "share", None)
    top = swept(tmp_path, resume=True, pareto=None, sort="params", top=5)
    stored = read(tmp_path).sort_by([("params", "ascending"), ("combination", "ascending")]).to_pylist()
    assert [row.metrics for row in top.rows] == [{"params": row["params"], "macs": row["macs"]} for row in stored[:5]]
    assert [(float(row.point[0]), row.point[2]) for row in top.rows] == [
        (row["width"], row["input"]) for row in stored[:5]
    ]


@pytest.mark.parametrize(("metric", "with_"), [("receptive_field", "fuse_bn"), ("arena_total_bytes", "int8")])
def test_one_by_one(metric: str, with_: str, tmp_path: Path) -> None:
    """What has no form for many at once is stored as well."""
    options: dict[str, Any] = {"args": {"channels": "32:64:4"}, "metrics": ["params", metric], "with_": with_}
    found = cnnprof.sweep("ds_cnn", **options, store=tmp_path)
    alone = cnnprof.sweep("ds_cnn", **options)
    assert [row.metrics[metric] for row in found.rows] == [row.metrics[metric] for row in alone.rows]
    assert [row.notes for row in found.rows] == [row.notes for row in alone.rows]
    assert [row.optimal for row in found.rows] == [row.optimal for row in alone.rows]
    again = cnnprof.sweep("ds_cnn", **options, store=tmp_path, resume=True)
    assert again == found


def test_those_that_are_wrong_and_those_left_out(tmp_path: Path) -> None:
    options: dict[str, Any] = {"args": {"width": "0.0:1.0:0.0005"}, "metrics": ["macs"], "where": "width < 0.9"}
    found = cnnprof.sweep("mobilenet_v1", **options, store=tmp_path)
    assert (found.wrong, found.left_out, found.wrong_unlisted) != ((), 0, 0)
    assert found == cnnprof.sweep("mobilenet_v1", **options)
    assert found == cnnprof.sweep("mobilenet_v1", **options, store=tmp_path, resume=True)


def test_a_front_that_nobody_would_read_is_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "MOST", 100)
    found = cnnprof.sweep("mobilenet_v1", args={"width": "0.5:1.0:0.001"}, metrics=["params"], store=tmp_path)
    assert (found.rows, found.unlisted) == ((), 501)
    assert "more than 100 combinations are Pareto-optimal, and none is listed: the store has all rows" in found.counted


# What is refused.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"args": {"width": "0.25:1.25:0.02", "classes": [10, 20]}}, "is of another space, which differs in `axes`"),
        ({"where": "width < 1"}, "is of another space, which differs in `where`"),
        ({"metrics": ["flops"]}, "is of other metrics"),
        ({"max": {"macs": "200M"}}, "is of other limits"),
    ],
)
def test_another_sweep_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    swept(tmp_path)
    with pytest.raises(UsageError) as caught:
        swept(tmp_path, resume=True, **change)
    assert str(caught.value) == f"the store `{tmp_path}` {message}; name another folder"


def test_another_spec_or_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, spec = tmp_path / "store", tmp_path / "net.yaml"
    text = cnnprof.lookup.architectures()["mobilenet_v1"].read_text(encoding="utf-8")
    spec.write_text(text, encoding="utf-8")
    options: dict[str, Any] = {"args": {"width": "0.25:0.5:0.01"}, "metrics": ["macs"], "store": folder}
    cnnprof.sweep(spec, **options)
    renamed = spec.rename(tmp_path / "renamed.yaml")
    assert cnnprof.sweep(renamed, **options, resume=True).combinations == 26
    renamed.write_text(f"{text}\n# another\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is of another spec; name another folder"):
        cnnprof.sweep(renamed, **options, resume=True)
    renamed.write_text(text, encoding="utf-8")
    monkeypatch.setattr(cnnprof, "__version__", "99.0")
    with pytest.raises(UsageError, match=r"is of another version of cnnprof: .*, and this is 99.0; name another"):
        cnnprof.sweep(renamed, **options, resume=True)


def test_folders_that_are_refused(tmp_path: Path) -> None:
    swept(tmp_path / "store")
    with pytest.raises(UsageError, match="holds a store: --resume goes on with it, or name another folder"):
        swept(tmp_path / "store")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="is not empty and holds no store: name a new folder"):
        swept(tmp_path / "other", resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot read the folder `.*file`: Not a directory"):
        swept(tmp_path / "file")
    (tmp_path / "store" / "sweep.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"sweep.json` is no manifest of a store: name another folder"):
        swept(tmp_path / "store", resume=True)


@pytest.mark.parametrize("damage", ["short", "other", "elsewhere"])
def test_a_damaged_part_is_named(damage: str, tmp_path: Path) -> None:
    swept(tmp_path)
    part = tmp_path / "part-000001.parquet"
    if damage == "short":
        part.write_bytes(part.read_bytes()[:-20])
    elif damage == "other":
        parquet.write_table(pa.table({"combination": [1]}), part)
    else:
        table = parquet.read_table(part)
        moved = table.set_column(0, "combination", pa.array([10**12] * len(table)))
        kept = parquet.ParquetFile(part).metadata.metadata[b"cnnprof"]
        with parquet.ParquetWriter(part, moved.schema) as writer:
            writer.write_table(moved)
            writer.add_key_value_metadata({"cnnprof": kept.decode()})
    with pytest.raises(UsageError, match="damaged or no part of this store: delete it, and --resume counts it again"):
        swept(tmp_path, resume=True)
    part.unlink()
    assert swept(tmp_path, resume=True) == swept(None)


def test_a_figure_of_more_than_63_bits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a store holds figures below 2\^63, and macs is up to \d\d,\d{3},"):
        cnnprof.sweep("mobilenet_v1", input=(3, 2000, 2000), batch=[1, 2**31 - 1], metrics=["macs"], store=tmp_path)


def test_what_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a Graph has no text that could be sent or stored"):
        cnnprof.sweep(cnnprof.unfold("lenet5"), batch=[1, 2], store=tmp_path / "store")
    with pytest.raises(UsageError, match="--resume goes on with a store: say which with --store FOLDER"):
        cnnprof.sweep("lenet5", batch=[1, 2], resume=True)
    assert not (tmp_path / "store").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["sweep", "lenet5", "--set", "classes=1:700", "--store", str(tmp_path), "--format", "csv"]
    assert main(args) == 0
    once = capsys.readouterr().out
    assert main(args) == 2
    assert "holds a store: --resume goes on with it" in capsys.readouterr().err
    assert main([*args, "--resume"]) == 0
    assert capsys.readouterr().out == once


SLOW = """
import sys, time
from cnnprof.sweeps.lanes import count
count.SHARE = 256
part = count.Counter.share
def share(self, number):
    time.sleep(0.2)
    yield from part(self, number)
count.Counter.share = share
from cnnprof.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_a_store_that_goes_on(jobs: str, tmp_path: Path) -> None:
    """As a terminal sends it, to all processes."""
    folder = tmp_path / "store"
    command = ["sweep", "lenet5", "--set", "classes=1:20000", "--max", "macs=500k", "--store", str(folder)]
    command += ["--columns", "params,macs", "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(parts(folder)) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode() == f"interrupted: `{folder}` keeps what is done; --resume goes on with it\n"
    done = parts(folder)
    assert 3 <= len(done) < json.loads((folder / "sweep.json").read_text())["parts"]
    assert not list(folder.glob(".cnnprof-*"))
    options: dict[str, Any] = {"args": {"classes": "1:20000"}, "max": {"macs": "500k"}, "metrics": ["params", "macs"]}
    resumed = cnnprof.sweep("lenet5", **options, store=folder, resume=True)
    assert done.items() <= parts(folder).items()
    assert resumed == cnnprof.sweep("lenet5", **options, store=tmp_path / "whole")
    assert parts(folder) == parts(tmp_path / "whole")


USED = """
import resource, subprocess, sys
command = [sys.executable, "-c", "import sys; from cnnprof.cli import main; sys.exit(main())"]
done = subprocess.run([*command, *sys.argv[1:]])
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command from a process that is smaller than it: one starts with the peak memory of its parent."""
MOST_BYTES = 400_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="no module `resource` here")
def test_memory_is_limited_whatever_the_size(tmp_path: Path) -> None:
    """Three million combinations, of which 2.3 million are kept."""
    command = ["sweep", "mobilenet_v1", "--set", "width=0.1:1.1:0.000001", "--columns", "params,macs"]
    command += ["--input", "3x224x224,3x192x192,3x160x160", "--max", "macs=300M", "--store", str(tmp_path / "store")]
    done = subprocess.run([sys.executable, "-c", USED, *command], capture_output=True, text=True, check=True)
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0, done.stderr
    assert "2,283,009 of 3,000,003 networks within macs ≤ 300M" in done.stdout
    assert read(tmp_path / "store").num_rows == 2_283_009
    unit = 1 if sys.platform == "darwin" else 1024
    assert 50_000_000 < peak * unit < MOST_BYTES
