"""Figures that stay true in documents: `--insert`, `--check` and badges."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from tests.support import commands
from tests.support.commands import Run
from tests.support.networks import network

NET = network("- conv2d: {out_channels: 4, kernel_size: 3}\n  name: stem\n- relu")
README = "# Title\n\n<!-- cnnprof net.yaml -->\nold\n<!-- /cnnprof -->\n\nThe end.\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `cnnprof analyze …`."""
    return lambda *arguments: commands.run(capsys, "analyze", *arguments)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "README.md").write_text(README)
    return tmp_path


def insert(run: Run, *arguments: str) -> commands.Done:
    return run("net.yaml", "--columns", "path,params", "--insert", "README.md", *arguments)


def test_a_section_is_filled_and_kept_true(folder: Path, run: Run) -> None:
    """Stale, filled, true; and stale again when the network has changed."""
    stale = (1, "", "README.md is stale: the same command without --check renews it\n")
    assert insert(run, "--check") == stale
    assert (folder / "README.md").read_text() == README
    assert insert(run) == (0, "", "")
    filled = (folder / "README.md").read_text()
    before, _, rest = filled.partition("<!-- cnnprof net.yaml -->\n")
    section, _, after = rest.partition("<!-- /cnnprof -->")
    assert (before, after) == ("# Title\n\n", "\n\nThe end.\n")
    assert section == "\n" + run("net.yaml", "--columns", "path,params", "--format", "markdown").out + "\n"
    assert "| stem | 112 |" in section
    assert insert(run, "--check") == insert(run) == (0, "", "")
    assert (folder / "README.md").read_text() == filled
    (folder / "net.yaml").write_text(NET.replace("channels: 4", "channels: 5"))
    assert insert(run, "--check") == stale


def test_windows_line_ends_stay(folder: Path, run: Run) -> None:
    path = folder / "README.md"
    path.write_bytes(README.replace("\n", "\r\n").encode())
    assert insert(run).code == 0
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert path.read_bytes().endswith(b"<!-- /cnnprof -->\r\n\r\nThe end.\r\n")
    assert insert(run, "--check").code == 0


def test_each_network_has_its_section(folder: Path, run: Run) -> None:
    """A section without a name takes what has none of its own."""
    path = folder / "README.md"
    path.write_text(README + "\n<!-- cnnprof -->\n<!-- /cnnprof -->\n")
    assert insert(run).code == 0
    assert run("lenet5", "--insert", "README.md").code == 0
    assert path.read_text().count("| stem | 112 |") == 1
    assert path.read_text().index("| stem | 112 |") < path.read_text().index("lenet5")
    assert insert(run, "--check").code == run("lenet5", "--insert", "README.md", "--check").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "README.md has no section for `net.yaml`: write the lines `<!-- cnnprof net.yaml -->` and "
                    "`<!-- /cnnprof -->` where it goes"),
        ("<!-- cnnprof -->\n", "README.md:1: the section is not closed: add `<!-- /cnnprof -->`"),
        ("\n<!-- /cnnprof -->\n", "README.md:2: `<!-- /cnnprof -->` closes nothing"),
        ("<!-- cnnprof -->\n<!-- cnnprof -->\n<!-- /cnnprof -->",
         "README.md:2: the section of line 1 is not closed: add `<!-- /cnnprof -->`"),
        ("<!-- cnnprof -->\n<!-- /cnnprof -->\n" * 2, "README.md has 2 sections for `net.yaml`: one is filled"),
    ],
)  # fmt: skip
def test_refuses_a_document(folder: Path, run: Run, text: str, message: str) -> None:
    (folder / "README.md").write_text(text)
    assert insert(run) == (2, "", f"error: {message}\n")
    assert (folder / "README.md").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check"], "--check compares a file with what would be written: use it with --insert or --output"),
        (["--insert", "README.md", "--output", "x.md"],
         "--insert writes markdown into a document: it does not go with --format, --output or --open"),
        (["--insert", "none.md"], "cannot read `none.md`: No such file or directory"),
        (["--insert", "net.yaml"], "cannot write `net.yaml`: it is an input; name another file"),
        (["lenet5", "--format", "badge"], "a badge is of one network, and has totals alone"),
        (["--format", "badge", "--columns", "path"], "a badge has metrics, and `path` is not one; "),
    ],
)  # fmt: skip
def test_refuses(run: Run, arguments: list[str], message: str) -> None:
    done = run("net.yaml", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message}")


def test_what_is_not_text_is_left_alone(folder: Path, run: Run) -> None:
    (folder / "README.md").write_bytes(b"\xff")
    assert insert(run) == (2, "", "error: `README.md` is not text in UTF-8, so nothing is written into it\n")


# Badges.


def test_a_badge(folder: Path, run: Run) -> None:
    """Well-formed, named for a screen reader, and as wide as its parts."""
    assert run("net.yaml", "-o", "badge.svg") == (0, "", "")
    badge = xml.fromstring((folder / "badge.svg").read_text(encoding="utf-8"))
    assert badge.get("aria-label") == "net: 112 params · 3.89 K MACs"
    space = "{http://www.w3.org/2000/svg}"
    assert badge.findtext(f"{space}title") == badge.get("aria-label")
    left, right = badge.findall(f"{space}g/{space}rect")
    assert int(left.get("width", 0)) + int(right.get("width", 0)) == int(badge.get("width", 0))
    assert [text.text for text in badge.iter(f"{space}text")] == ["net", "112 params · 3.89 K MACs"]
    for text, part in zip(badge.iter(f"{space}text"), (left, right), strict=True):
        end = int(text.get("x", 0)) + int(text.get("textLength", 0))
        assert end < int(part.get("x", 0)) + int(part.get("width", 0))


def test_a_badge_is_kept_true(folder: Path, run: Run) -> None:
    badge = ("net.yaml", "-o", "badge.svg", "--columns", "params,peak_activation_bytes,depth")
    assert run(*badge, "--check").code == 1
    assert not (folder / "badge.svg").exists()
    assert run(*badge).code == run(*badge, "--check").code == 0
    assert "112 params · peak_activation_bytes 1.31 KiB · depth 1" in (folder / "badge.svg").read_text(encoding="utf-8")
    (folder / "net.yaml").write_text(NET.replace("channels: 4", "channels: 5"))
    assert run(*badge, "--check") == (1, "", "badge.svg is stale: the same command without --check renews it\n")


def test_a_name_that_is_no_xml(folder: Path, run: Run) -> None:
    (folder / "net.yaml").write_text(NET.replace("name: net", 'name: "<a>&\\"\\e"'))
    badge = xml.fromstring(run("net.yaml", "--format", "badge").out)
    assert (badge.get("aria-label") or "").startswith('<a>&"\\x1b: ')
