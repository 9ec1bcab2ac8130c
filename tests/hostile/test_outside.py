"""The world outside a spec, through the real command line in a process of its own: names of files, what is read and
written, standard streams, terminals, signals, memory.

Whatever it is: no traceback, and the exit status is 0, 1 or 2; 130 where it is interrupted.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cnnprof.cli import main
from cnnprof.errors import UsageError
from tests.support.commands import CNNPROF, ENVIRONMENT, begun, on_a_terminal
from tests.support.networks import network

NET = network("- conv2d: {out_channels: width, kernel_size: 3}\n  name: conv\n- relu", header="args: {width: 4}")
VARIANTS = NET.replace("layers:", "variants: {small: {width: 2}}\nlayers:")
ROOT = os.geteuid() == 0
Done = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a network in it, and no CI around it."""
    for name in ("CI", "GITHUB_STEP_SUMMARY", "CNNPROF_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(VARIANTS)
    return tmp_path


def cnnprof(
    *args: str, before: Sequence[str] = (), most: float = 30, env: dict[str, str] | None = None, **options: Any
) -> Done:
    """Runs a command line, behind that of another program, and sees to what holds whatever happens."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name in os.environ or name.startswith("PY")}
    done = subprocess.run(
        [*before, *CNNPROF, *args], env={**environment, **(env or {})}, timeout=most, check=False,
        **{"capture_output": True, "encoding": "utf-8", "errors": "surrogateescape", "stdin": subprocess.DEVNULL,
           **options},
    )  # fmt: skip
    assert done.returncode in (0, 1, 2), done.stderr
    for said in filter(None, (done.stdout, done.stderr)):
        assert "Traceback" not in said
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", said), said
    return done


def shell(line: str, **options: Any) -> Done:
    """Runs a line of bash, in which `cnnprof` is the command."""
    command = f'set -o pipefail\ncnnprof() {{ {shlex.join(CNNPROF)} "$@"; }}\n{line}'
    done = subprocess.run(
        ["bash", "-c", command], env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=30, check=False,
        **options,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def error_of(done: Done) -> str:
    """What a command says that is refused: one line, or with more about a place in a spec."""
    assert done.returncode == 2
    return done.stderr


# The names of files.

NAMES = [
    pytest.param("a b.yaml", id="a space"),
    pytest.param("a\nb.yaml", id="a line end"),
    pytest.param("a\tb\r.yaml", id="a tab and a carriage return"),
    pytest.param("e\x1b[31m\x1b]0;x\x07.yaml", id="escape sequences"),
    pytest.param("\u202eabc\u200b.yaml", id="a bidirectional override"),
    pytest.param("n\udcff.yaml", id="not UTF-8"),
    pytest.param("a@b.yaml", id="an at sign"),
    pytest.param("a,b=c.yaml", id="a comma and an equals sign"),
    pytest.param("a:b.yaml", id="a colon"),
    pytest.param("=1+1.yaml", id="a formula"),
    pytest.param("*?[x]{y}$HOME`id`.yaml", id="what shells expand"),
    pytest.param("%0A::error::%s%n.yaml", id="percent signs"),
    pytest.param("<b>&amp;]]>'\".yaml", id="markup"),
    pytest.param("n" * 250 + ".yaml", id="the longest name"),
    pytest.param("resnet", id="that of an architecture"),
    pytest.param("relu.YAML", id="a suffix in capitals"),
]
COMMANDS = [
    ["analyze"],
    ["analyze", "--format", "csv"],
    ["analyze", "--format", "markdown"],
    ["compare", "net.yaml"],
    ["compare", "net.yaml", "--format", "csv"],
    ["compare", "net.yaml", "--format", "markdown"],
    ["check", "--max", "params=1"],
    ["check", "--max", "params=1", "--report", "github=-"],
    ["check", "--max", "params=1", "--report", "sarif=-"],
    ["check", "--max", "params=1", "--report", "junit=-"],
    ["explain"],
    ["separable"],
    ["rewrite", "--with", "prune=0.5", "--write", "out.yaml"],
    ["sweep", "--batch", "1,2"],
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name(name: str) -> None:
    """It is read, with and without a variant, and shown harmlessly; several names at once keep the processes few."""
    os.rename(b"net.yaml", os.fsencode(name))
    Path("net.yaml").write_text(NET)
    asked = [name, f"./{name}"] if "," in name or name == "resnet" else [name, f"{name}@small", f"{name}@small,width=3"]
    done = cnnprof("analyze", "--format", "json", *asked)
    assert [each["name"] for each in json.loads(done.stdout)] == ["net"] * len(asked), done.stderr
    assert [each["variant"] for each in json.loads(done.stdout)][1:] == ["small"] * (len(asked) - 1) or "," in name \
        or name == "resnet"  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_reads_a_file_of_any_name(command: list[str]) -> None:
    """The worst that a name can hold at once; nothing of it steers what reads the output."""
    name = "-\x1b[31m\u202e,=@|<i>`x`&%0A::error::y]]> \udcff.yaml"
    os.rename(b"net.yaml", os.fsencode(name))
    Path("net.yaml").write_text(NET)
    done = cnnprof(*command, "--", name)
    assert done.returncode == int(command[0] == "check"), done.stderr
    if "junit=-" in command:
        from xml.etree import ElementTree as xml

        assert xml.fromstring(done.stdout).find(".//failure") is not None
    if "out.yaml" in command:
        assert cnnprof("analyze", "out.yaml").returncode == 0


def test_a_name_that_begins_with_a_dash() -> None:
    """As for any tool: behind `--`, or with its folder."""
    Path("-x.yaml").write_text(NET)
    assert "No such option: -x" in error_of(cnnprof("analyze", "-x.yaml"))
    assert cnnprof("analyze", "--", "-x.yaml").returncode == 0
    assert cnnprof("analyze", "./-x.yaml").returncode == 0
    Path("-").write_text(NET)
    assert cnnprof("analyze", "./-").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        ["analyze"], ["check"], ["explain"], ["sweep"], ["compare"], ["separable"], ["kinds"], ["check", "--config"],
        ["explain", "net.yaml"], ["analyze", "net.yaml", "--sort"], ["analyze", "net.yaml", "--output"],
        ["analyze", "net.yaml", "--columns"], ["analyze", "net.yaml", "--dtype"], ["sweep", "net.yaml", "--batch"],
        ["analyze", "net.yaml", "--convention"], ["rewrite", "net.yaml", "--with"], ["check", "net.yaml", "--max"],
        ["check", "net.yaml", "--report"], ["sweep", "net.yaml", "--plot"], ["separable", "net.yaml", "--only"],
        ["analyze", "net.yaml", "--format"], ["analyze", "net.yaml", "--input"], ["analyze", "net.yaml", "--nosuch"],
        ["check", "net.yaml", "--max", "params=1M", "--baseline-ref"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_refused_is_told_on_lines_of_its_own(command: list[str]) -> None:
    """What was given holds a line that GitHub would take for a command, which no line of the answer is."""
    done = cnnprof(*command, "no/x=\x1b[31m\n::error::y" if command[-1] != "--nosuch" else "--x\n::error::y")
    assert [line for line in error_of(done).splitlines() if line.strip().startswith("::")] == []


BAD = "cnnprof: 1\na: ["


def test_a_wrong_file_with_escape_sequences_in_its_name() -> None:
    Path("e\x1b[31m.yaml").write_text(BAD)
    for command in ("analyze", "check", "sweep"):
        assert error_of(cnnprof(command, "e\x1b[31m.yaml")).startswith("e\\x1b[31m.yaml:3:1: error: not YAML")


def test_a_wrong_file_with_a_line_end_in_its_name() -> None:
    Path("e\n::error::y.yaml").write_text(BAD)
    said = error_of(cnnprof("analyze", "e\n::error::y.yaml"))
    assert [line for line in said.splitlines() if line.startswith("::")] == []


STRANGER = '"=1+1\\n::error::pwned\\e[31m\\u202e\\u200b <script>@me `x` |&lt; https://evil.example"'


@pytest.mark.parametrize("command", ["analyze", "explain", "compare"])
def test_no_title_is_a_workflow_command(command: str) -> None:
    """Neither the name that a spec gives itself, nor that of a file."""
    Path("n\n::error::x.yaml").write_text(NET.replace("name: net", f"name: {STRANGER}"))
    done = cnnprof(command, "n\n::error::x.yaml", *["net.yaml"] * (command == "compare"))
    assert [line for line in done.stdout.splitlines() if line.strip().startswith("::")] == []


def test_the_name_of_a_network_is_harmless_in_markdown() -> None:
    from markdown_it import MarkdownIt

    Path("s.yaml").write_text(NET.replace("name: net", f"name: {STRANGER}"))
    text = cnnprof("analyze", "s.yaml", "--format", "markdown").stdout
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
    assert "<script" not in html
    assert "=1+1\\x0a::error::pwned\\x1b[31m\\x202e\\x200b &lt;script&gt;@\u200bme `x` |&amp;lt; https://evil" in html
    assert re.search(r"https\\://evil", text), "GitHub makes links of addresses"


def test_the_name_of_a_network_is_harmless_in_csv() -> None:
    """It stands there where there are several. One line is one row, and no cell is a formula."""
    Path("s.yaml").write_text(NET.replace("name: net", f"name: {STRANGER}"))
    rows = list(csv.reader(io.StringIO(cnnprof("analyze", "s.yaml", "s.yaml", "--format", "csv").stdout)))
    assert {row[0] for row in rows[1:]} == {
        "'=1+1 ::error::pwned\\x1b[31m\\x202e\\x200b <script>@me `x` |&lt; https://evil.example"
    }


@pytest.mark.parametrize("name", ["=1", " =1", "+1", "-1", "@x", "\t=1", "\uff1d1"])
def test_no_name_of_a_file_is_a_formula(name: str) -> None:
    Path(name).write_text(NET)
    rows = list(csv.reader(io.StringIO(cnnprof("compare", "net.yaml", "--format", "csv", "--", name).stdout)))
    assert not [row for row in rows if row[0].lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]


# What is read.

BYTES = [
    pytest.param(b"", 2, ":1:1: error: expected a spec, found empty text", id="empty"),
    pytest.param(b"\xef\xbb\xbf", 2, ":1:1: error: expected a spec, found empty text", id="only a byte order mark"),
    pytest.param(b"\xef\xbb\xbf" + NET.encode(), 0, "", id="a byte order mark"),
    pytest.param(NET.replace("\n", "\r\n").encode(), 0, "", id="CRLF"),
    pytest.param(NET.replace("\n", "\r").encode(), 0, "", id="CR"),
    pytest.param(NET.encode("utf-16"), 2, ":1:1: error: expected UTF-8 text, found byte 0xff", id="UTF-16"),
    pytest.param(NET.encode("utf-32-be"), 2, ":1:1: error: expected the key `cnnprof`, found none", id="UTF-32"),
    pytest.param(b"name: \xfc", 2, ":1:7: error: expected UTF-8 text, found byte 0xfc", id="Latin-1"),
    pytest.param(b"\0" * 100, 2, ":1:1: error: expected the key `cnnprof`, found none", id="NULs"),
    pytest.param(b"\x1f\x8b\x08\x00", 2, ": error: expected UTF-8 text, found byte 0x8b", id="gzip"),
    pytest.param(b"PK\x03\x04", 2, ":1:1: error: expected the key `cnnprof`, found none", id="zip"),
]


@pytest.mark.parametrize(("data", "code", "said"), BYTES)
def test_a_file_of_any_bytes(data: bytes, code: int, said: str) -> None:
    """From a file, a pipe, and as a project file."""
    Path("x.yaml").write_bytes(data)
    done = cnnprof("check", "x.yaml")
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    with open("x.yaml", "rb") as file:
        assert cnnprof("analyze", "-", stdin=file).returncode == code
    assert cnnprof("check", "--config", "x.yaml").returncode == 2


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/dev/null", "/proc/self/mem"])
def test_a_device_is_read_within_bounds(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"no {path}")
    for args in (["analyze", path], ["check", path], ["check", "--config", path], ["sweep", path, "--batch", "1,2"]):
        assert error_of(cnnprof(*args, preexec_fn=soon))


def limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def soon() -> None:
    """Runs in a process that has to answer soon: within 2 seconds of the processor and 250 MB, start included."""
    limit(resource.RLIMIT_CPU, 2)
    limit(resource.RLIMIT_AS, 250 * 10**6)


@pytest.mark.parametrize(
    "command",
    [["analyze"], ["compare", "net.yaml"], ["check", "--max", "params=1M"], ["sweep", "--batch", "1,2"], ["explain"],
     ["separable"], ["rewrite", "--with", "prune=0.5", "--write", "w.yaml"]],
    ids=" ".join,
)  # fmt: skip
def test_what_can_be_read_only_once(command: list[str]) -> None:
    """`<(generate)` is a pipe under a name, and so is standard input."""
    done = shell(f"cnnprof {shlex.join(command)} <(cat net.yaml)")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell(f"cat net.yaml | cnnprof {shlex.join(command)} -")
    assert (done.returncode, done.stderr) == (0, "")


def test_standard_input_twice() -> None:
    assert "<stdin>:1:1: error: expected a spec, found empty text" in error_of(shell("cnnprof compare - - < net.yaml"))


@pytest.mark.parametrize(
    "args",
    [["analyze", "pipe"], ["check", "pipe"], ["check", "--config", "pipe"], ["compare", "net.yaml", "pipe"],
      ["sweep", "pipe"], ["rewrite", "pipe", "--with", "prune=0.5"]],
    ids=" ".join,
)  # fmt: skip
def test_a_pipe_with_a_name_is_not_waited_for(args: list[str]) -> None:
    os.mkfifo("pipe")
    assert error_of(cnnprof(*args, preexec_fn=soon)) == "error: cannot read `pipe`: it is a pipe, not a file\n"


def test_a_pipe_with_a_name_is_not_written_to_without_a_reader() -> None:
    os.mkfifo("pipe")
    for args in (["analyze", "net.yaml", "-o", "pipe"], ["check", "net.yaml", "--report", "json=pipe"],
                 ["rewrite", "net.yaml", "--with", "fuse_bn", "--write", "pipe"],
                 ["schema", "-o", "pipe"]):  # fmt: skip
        done = cnnprof(*args, preexec_fn=soon)
        assert (done.returncode, done.stderr) == (
            2,
            "error: cannot write `pipe`: it is a pipe that nothing reads from\n",
        )


def test_a_pipe_with_a_reader_is_written_to() -> None:
    os.mkfifo("pipe")
    done = shell("cat pipe > read & cnnprof schema > whole; cnnprof schema -o pipe; wait; cmp whole read")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_pipe_that_nobody_writes_to_can_be_interrupted() -> None:
    read, write = os.pipe()
    started = begun([*CNNPROF[1:], "analyze", "-"], stdin=read)
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    assert (*started.communicate(timeout=30), started.returncode) == (b"", b"", 130)
    os.close(read)
    os.close(write)


def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    """What is not there yet is no end: half a spec may be a network, and another one."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    started = subprocess.Popen(
        [*CNNPROF, "analyze", "-", "--format", "csv", "--columns", "path"],
        stdin=read,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    os.write(write, NET.removesuffix("- relu\n").encode())
    time.sleep(1)
    os.write(write, b"- relu\n")
    os.close(write)
    os.close(read)
    assert started.communicate(timeout=30)[0] == b"path\nconv\nrelu\n"


def test_a_socket() -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.yaml")
        assert error_of(cnnprof("analyze", "socket.yaml")).startswith("error: cannot read `socket.yaml`: ")
        assert error_of(cnnprof("analyze", "net.yaml", "--format", "table", "-o", "socket.yaml")).startswith(
            "error: cannot write "
        )


def test_links_in_a_circle() -> None:
    """Neither read, nor replaced by a file."""
    os.symlink("a.yaml", "b.yaml")
    os.symlink("b.yaml", "a.yaml")
    for spec in ("a.yaml", "a.yaml@small", "a.yaml,width=3"):
        assert error_of(cnnprof("analyze", spec)) == "error: cannot read `a.yaml`: Too many levels of symbolic links\n"
    message = "error: cannot write `a.yaml`: Too many levels of symbolic links\n"
    assert error_of(cnnprof("analyze", "net.yaml", "--format", "table", "-o", "a.yaml")) == message
    assert os.path.islink("a.yaml")


def test_a_link_to_nothing() -> None:
    """There is no file to read; writing makes it."""
    os.symlink("gone", "link.yaml")
    assert error_of(cnnprof("analyze", "link.yaml")) == "error: there is no file `link.yaml`\n"
    assert cnnprof("analyze", "net.yaml", "--format", "table", "-o", "link.yaml").returncode == 0
    assert os.path.islink("link.yaml")
    assert Path("gone").read_text().startswith("net ")


def held(*args: str) -> Done:
    """Runs a command that permissions stop, which they do not for root."""
    if not ROOT:
        return cnnprof(*args)
    if shutil.which("setpriv") is None:
        pytest.skip("root may do everything, and there is no setpriv to take that away")
    return cnnprof(*args, before=["setpriv", "--bounding-set=-dac_override,-dac_read_search"])


def test_what_may_not_be_read() -> None:
    Path("closed.yaml").write_text(NET)
    Path("closed.yaml").chmod(0)
    Path("private").mkdir(mode=0)
    for spec in ("closed.yaml", "closed.yaml@small", "private/x.yaml", "private/x.yaml,width=3"):
        path = re.split("[@,]", spec)[0]
        assert error_of(held("analyze", spec)) == f"error: cannot read `{path}`: Permission denied\n"
        assert error_of(held("check", "--config", path)) == f"error: cannot read `{path}`: Permission denied\n"


def test_what_may_not_be_written() -> None:
    """A file that is read-only is not replaced, though its folder would allow it."""
    Path("old.txt").write_text("old")
    Path("old.txt").chmod(0o444)
    Path("closed").mkdir()
    Path("closed/net.yaml").write_text(NET)
    Path("closed").chmod(0o555)
    for path in ("old.txt", "closed/new.txt", "closed/net.yaml"):
        said = f"error: cannot write `{path}`: Permission denied\n"
        assert error_of(held("analyze", "lenet5", "--format", "table", "-o", path)) == said
        assert error_of(held("check", "lenet5", "--report", f"json={path}")) == said
        assert error_of(held("rewrite", "lenet5", "--with", "prune=0.5", "--write", path)) == said
        assert error_of(held("schema", "-o", path)) == said
    assert Path("old.txt").read_text() == "old"
    assert Path("closed/net.yaml").read_text() == NET
    assert sorted(os.listdir()) == ["closed", "net.yaml", "old.txt"]
    Path("closed").chmod(0o755)


# What is written.

WRITERS = [
    ["analyze", "resnet@50", "--output"],
    ["compare", "resnet@18", "resnet@34", "--layers", "--format", "json", "--output"],
    ["explain", "resnet@50", "--format", "json", "--output"],
    ["sweep", "lenet5", "--batch", "1:40:1", "--output"],
    ["separable", "resnet@50", "--output"],
    ["rewrite", "resnet@50", "--with", "separable", "--write"],
    ["schema", "--output"],
]


@pytest.mark.parametrize("command", WRITERS, ids=lambda command: command[0])
def test_the_old_file_survives_what_stops_the_writing(command: list[str]) -> None:
    """No file may be larger than 1 KiB, which is a full disk to whoever writes."""
    Path("out").mkdir()
    Path("out/old").write_text("old")
    done = cnnprof(*command, "out/old", preexec_fn=lambda: limit(resource.RLIMIT_FSIZE, 1024))
    assert error_of(done) == "error: cannot write `out/old`: File too large\n"
    assert Path("out/old").read_text() == "old"
    assert os.listdir("out") == ["old"]


def test_the_old_file_survives_a_disk_that_is_full(folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        (disk / "old").write_text("old")
        done = cnnprof("analyze", "resnet@152", "-o", str(disk / "old"))
        assert error_of(done) == f"error: cannot write `{disk}/old`: No space left on device\n"
        assert (disk / "old").read_text() == "old"
        assert os.listdir(disk) == ["old"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_baseline_survives_a_full_disk() -> None:
    Path("cnnprof.yaml").write_text(
        "version: 1\nbudgets: [{name: a, files: [net.yaml], max_increase: {params: 0%}}]\nbaseline: base.json\n"
    )
    assert cnnprof("check", "--update-baseline").returncode == 0
    before = Path("base.json").read_text()
    done = cnnprof("check", "--update-baseline", preexec_fn=lambda: limit(resource.RLIMIT_FSIZE, 10))
    assert "cannot write `" in error_of(done)
    assert Path("base.json").read_text() == before


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_its_path(path: str) -> None:
    """A pipe, a file, and a file that others write to as well."""
    expected = cnnprof("analyze", "net.yaml").stdout
    assert cnnprof("analyze", "net.yaml", "-o", path).stdout == expected
    assert shell(f"(echo before; cnnprof analyze net.yaml -o {path}; echo after) > out; cat out").stdout == (
        f"before\n{expected}after\n"
    )
    assert shell(f"echo before > log; cnnprof analyze net.yaml -o {path} >> log; cat log").stdout == (
        f"before\n{expected}"
    )


def test_a_pipe_under_a_name_is_written_to() -> None:
    expected = cnnprof("analyze", "net.yaml").stdout
    assert shell("cnnprof analyze net.yaml -o >(cat > out); wait $!; cat out").stdout == expected
    assert shell("mkfifo pipe; cat pipe & cnnprof analyze net.yaml -o pipe; wait").stdout == expected
    done = shell("cnnprof check net.yaml --report json=>(cat >/dev/null) --report text=/dev/null")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/full", "No space left on device"),
        (".", "Is a directory"),
        ("no/x.txt", "No such file or directory"),
        ("net.yaml/x.txt", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written(path: str, reason: str) -> None:
    done = cnnprof("analyze", "net.yaml", "--output", path)
    assert (done.stdout, error_of(done)) == ("", f"error: cannot write `{path}`: {reason}\n")
    assert os.listdir() == ["net.yaml"]


@pytest.mark.parametrize(
    "command", ["analyze lenet5", "--help", "--version", "analyze --help", "specs", "kinds", "kinds conv2d", "schema",
                "explain lenet5", "check lenet5", "compare lenet5 lenet5", "sweep lenet5 --batch 1,2",
                "separable lenet5", "analyze lenet5 --format json"],
)  # fmt: skip
def test_standard_output_full(command: str) -> None:
    done = shell(f"cnnprof {command} > /dev/full")
    assert error_of(done).endswith("No space left on device\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["analyze nope", "analyze", "check nope", "nope", "analyze lenet5 --dtype x"])
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_nobody_hears_what_is_wrong(command: str, stream: str) -> None:
    assert shell(f"cnnprof {command} {stream}").returncode == 2


def test_closed_streams() -> None:
    assert error_of(shell("cnnprof analyze - <&-")) == "error: standard input is closed\n"
    assert error_of(shell("cnnprof analyze - 0>x")) == "error: cannot read standard input: Bad file descriptor\n"
    assert error_of(shell("cnnprof analyze net.yaml >&-")) == "error: standard output is closed\n"
    assert shell("cnnprof analyze net.yaml -o x.json <&- >&- 2>&-").returncode == 0
    assert json.loads(Path("x.json").read_text())["name"] == "net"


# Around the process.


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONUTF8": ""},
        {"LANG": "C", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp437"},
    ],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)
@pytest.mark.parametrize(
    "command",
    ["analyze lenet5", "compare lenet5 alexnet", "kinds conv2d", "specs", "sweep lenet5 --batch 1,8 --plot macs,params",
     "explain lenet5 C1", "check lenet5 --max macs=1 --report markdown=-", "check --help", "analyze größe"],
)  # fmt: skip
def test_any_locale(command: str, variables: dict[str, str]) -> None:
    done = cnnprof(*command.split(), env=variables, encoding="ascii")
    assert done.returncode == {"check lenet5 --max macs=1 --report markdown=-": 1, "analyze größe": 2}.get(command, 0)


TERMINAL = "xterm-256color"


@pytest.mark.parametrize(
    "variables",
    [{"COLUMNS": "0"}, {"COLUMNS": "1"}, {"COLUMNS": "-5"}, {"COLUMNS": "abc"}, {"COLUMNS": "99999999999"},
     {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": ""}, {"TERM": "dumb", "FORCE_COLOR": "1"}, {"TERM": "nosuch"},
     {"HOME": ""}, {"PAGER": "/nonexistent"}],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)  # fmt: skip
@pytest.mark.parametrize(
    "command", ["analyze lenet5", "compare lenet5 alexnet", "kinds conv2d", "explain lenet5 C1", "--help"]
)
def test_any_terminal(command: str, variables: dict[str, str]) -> None:
    """It ends, and colours are shown only where they may be."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    try:
        text = on_a_terminal(*command.split(), **variables)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert text.strip()
    if variables.get("NO_COLOR") or variables.get("TERM", TERMINAL) in ("", "dumb"):
        assert "\x1b" not in text


@pytest.mark.parametrize("name", ["HOME", "PATH", "TERM", "USER", "TMPDIR"])
def test_without_a_variable(name: str) -> None:
    done = shell(f"unset {name}; cnnprof analyze lenet5 -o out.json")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "code"),
    [("analyze lenet5", 0), ("specs", 0), ("check", 2), ("check lenet5", 2), ("analyze net.yaml", 2),
     ("analyze HEAD:net.yaml", 2), ("analyze lenet5 -o x.txt", 2)],
)  # fmt: skip
def test_a_working_directory_that_is_gone(command: str, code: int) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; cnnprof {command}")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: " if code else "")
    assert done.stderr.count("\n") == bool(code)


def test_too_little_memory() -> None:
    """A fault of the machine, not of cnnprof. One large piece is missing: where small ones are too, CPython 3.11 may
    unwind for ever (it pushes an int to do so)."""
    with Path("big.tflite").open("wb") as file:
        file.truncate(1 << 26)
    program = (
        "import resource, sys\nfrom cnnprof.cli import main\n"
        "import cnnprof.cli.analyze, cnnprof.importers.tflite\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)\n"
        "sys.exit(main(['analyze', 'big.tflite']))"
    )
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc")
    done = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: out of memory\n")


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory"), ValueError("other")])
def test_too_little_memory_in_other_words(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Importing and opening files say it otherwise, and what handles it may fail in turn; any other error is a bug."""
    import cnnprof.cli.schema as command

    def failing() -> object:
        try:
            raise error
        finally:
            raise KeyError("handled")

    monkeypatch.setattr(command.schema, "schema", failing)
    out_of_memory = not isinstance(error, ValueError)
    assert main(["schema"]) == (2 if out_of_memory else 70)
    assert (capsys.readouterr().err == "error: out of memory\n") == out_of_memory


def test_what_was_made_of_too_little_memory_keeps_its_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import cnnprof.cli.schema as command

    def failing() -> object:
        try:
            raise MemoryError
        except MemoryError:
            raise UsageError("a batch of 64 needs 3.00 GiB") from None

    monkeypatch.setattr(command.schema, "schema", failing)
    assert main(["schema"]) == 2
    assert capsys.readouterr().err == "error: a batch of 64 needs 3.00 GiB\n"


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.2, 0.4, 0.8])
@pytest.mark.parametrize(
    "command",
    [["analyze", "big.yaml"], ["sweep", "resnet@152", "--batch", "1:400:1", "--jobs", "1"],
     ["sweep", "resnet@152", "--batch", "1:400:1", "--jobs", "2"]],
    ids=["analyze", "sweep", "sweep in several processes"],
)  # fmt: skip
def test_interruption_at_any_time(command: list[str], delay: float) -> None:
    """From the moment that cnnprof runs: while it imports, while it works. Ctrl-C reaches all processes of a group."""
    Path("big.yaml").write_text(network("- conv2d: {out_channels: 3, kernel_size: 1}\n  repeat: 60000"))
    program = (
        "import os, sys\nfrom cnnprof.cli import main\n"
        "started = lambda event, args: event == 'import' and args[0] == 'cnnprof.cli.app' and os.write(2, b'!')\n"
        "sys.addaudithook(started)\n"
        "sys.exit(main())"
    )
    started = begun(["-c", program, *command])
    assert started.stderr is not None
    assert started.stderr.read(1) == b"!"
    time.sleep(delay)
    os.killpg(started.pid, signal.SIGINT)
    assert (*started.communicate(timeout=30), started.returncode) == (b"", b"", 130)


INTERRUPT = "import os, signal\ninterrupt = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
MAIN = "import sys\nfrom cnnprof.cli import main\nsys.exit(main())"


def ended_by_ctrl_c(program: str, *args: str, most: float = 10, **options: Any) -> None:
    """Runs a program that interrupts itself: it says nothing, and exits with 130."""
    started = begun(["-c", program, *args], **options)
    assert (*started.communicate(timeout=most), started.returncode) == (b"", b"", 130)


@pytest.mark.parametrize("command", [["verify", "lenet5"], ["measure", "lenet5"]], ids=lambda command: command[0])
def test_a_library_that_swallows_interruptions_while_it_is_imported(command: list[str]) -> None:
    """As PyTorch's do: the process ends all the same, and not one instruction of the library later."""
    Path("library").mkdir()
    Path("library/torch.py").write_text(
        f"{INTERRUPT}try:\n    interrupt()\n    sum(range(100))\nexcept BaseException:\n    pass\nprint('went on')\n"
    )
    path = os.pathsep.join([os.path.abspath("library"), ENVIRONMENT["PYTHONPATH"]])
    ended_by_ctrl_c(MAIN, *command, env={**ENVIRONMENT, "PYTHONPATH": path})


@pytest.mark.torch
@pytest.mark.parametrize(
    "module",
    ["torch", "numpy", "torch._C", "torch.overrides", "torch.nn", "torch.distributed", "cnnprof.runtime.verify"],
)
def test_interruption_while_pytorch_is_imported(module: str) -> None:
    watch = (
        "import sys\n"
        f"sys.addaudithook(lambda event, args: event == 'import' and args[0] == '{module}' and interrupt())\n"
    )
    ended_by_ctrl_c(f"{INTERRUPT}{watch}{MAIN}", "verify", "lenet5", most=60)


@pytest.mark.parametrize(
    "module", ["multiprocessing", "multiprocessing.context", "multiprocessing.process", "multiprocessing.util",
               "concurrent.futures.process", "cnnprof.sweeps.run", "yaml"],
)  # fmt: skip
def test_interruption_while_what_starts_processes_is_imported(module: str) -> None:
    """Half of it is there, and the process ends with those that it started."""
    watch = (
        "import sys\n"
        f"sys.addaudithook(lambda event, args: event == 'import' and args[0] == '{module}' and interrupt())\n"
    )
    ended_by_ctrl_c(f"{INTERRUPT}{watch}{MAIN}", "sweep", "lenet5", "--batch", "1:400:1", "--jobs", "2")


def test_whatever_swallows_an_interruption_ends_a_little_later() -> None:
    swallow = (
        "import cnnprof, time\n"
        "def swallow(*_, **__):\n"
        "    try:\n        interrupt()\n        time.sleep(9)\n"
        "    except KeyboardInterrupt:\n        time.sleep(60)\n"
        "cnnprof.analyze = swallow\n"
    )
    ended_by_ctrl_c(f"{INTERRUPT}{swallow}{MAIN}", "analyze", "lenet5")


def test_a_second_interruption_does_not_wait_for_the_first() -> None:
    twice = (
        "import cnnprof\ndef twice(*_, **__):\n    try:\n        interrupt()\n    finally:\n        interrupt()\n"
        + ("cnnprof.analyze = twice\n")
    )
    ended_by_ctrl_c(f"{INTERRUPT}{twice}{MAIN}", "analyze", "lenet5")


def test_interruption_when_all_is_done() -> None:
    """Between the last word and the end of the process."""
    started = begun(["-c", f"{INTERRUPT}import atexit\natexit.register(interrupt)\n{MAIN}", "--version"])
    out, err = started.communicate(timeout=10)
    assert (out.startswith(b"cnnprof "), err, started.returncode) == (True, b"", 130)


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_interruption_while_a_file_is_written(call: str) -> None:
    """What it held before stays, and nothing else."""
    Path("out").mkdir()
    Path("out/old").write_text("old")
    ended_by_ctrl_c(f"{INTERRUPT}os.{call} = interrupt\n{MAIN}", "analyze", "lenet5", "-o", "out/old")
    assert (os.listdir("out"), Path("out/old").read_text()) == (["old"], "old")


@pytest.mark.parametrize("everyone", [True, False], ids=["as a terminal does", "as `kill` does"])
def test_interruption_leaves_no_process_behind(everyone: bool) -> None:
    """Whether or not the processes that share the work hear of it; a receptive field takes combinations one by one."""
    sweep = ["sweep", "resnet@152", "--batch", "1:4000:1", "--columns", "receptive_field", "--jobs", "2"]
    started = begun([*CNNPROF[1:], *sweep])
    group = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    if not group.exists():
        pytest.skip("no /proc")
    deadline = time.monotonic() + 60
    while len(group.read_text().split()) < 2:
        time.sleep(0.05)
        assert started.poll() is None
        assert time.monotonic() < deadline
    (os.killpg if everyone else os.kill)(started.pid, signal.SIGINT)
    assert (*started.communicate(timeout=30), started.returncode) == (b"", b"", 130)
    with pytest.raises(ProcessLookupError):
        os.killpg(started.pid, 0)


def test_who_starts_it_so_that_interruptions_are_ignored_means_it() -> None:
    """As `nohup` does, and a script that starts it in the background: it goes on."""
    ignore = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    started = begun([*CNNPROF[1:], "analyze", "-", "--format", "csv"], stdin=subprocess.PIPE, preexec_fn=ignore)
    time.sleep(1)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(NET.encode(), timeout=30)
    assert (len(out.splitlines()), err, started.returncode) == (3, b"", 0)


def test_these_tests_hold_in_a_process_that_ignores_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not depend on how they were started: `nohup pytest &` is such a process."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        test_a_pipe_that_nobody_writes_to_can_be_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


# Numbers on the command line.

HUGE = "9" * 4000


def bounded(*args: str) -> Any:
    """A command line that has to answer soon."""
    return pytest.param(args, id=" ".join(args)[:60])


@pytest.mark.parametrize(
    "args",
    [
        bounded("analyze", "net.yaml", "--set", "width=9**9**9"),
        bounded("analyze", "net.yaml", "--set", "width=1e308*10"),
        bounded("analyze", "net.yaml", "--set", "width=nan"),
        bounded("analyze", "net.yaml", "--set", f"width={HUGE}"),
        bounded("analyze", "net.yaml,width=9**9**9"),
        bounded("analyze", "net.yaml", "--input", "3x1000000000x999999999999999999"),
        bounded("analyze", "net.yaml", "--input", "x".join(["9"] * 10_000)),
        bounded("analyze", "net.yaml", "--batch", "9" * 5000),
        bounded("check", "net.yaml", "--max", "params=9**9**9"),
        bounded("check", "net.yaml", "--max", "params=1e999999999"),
        bounded("rewrite", "net.yaml", "--with", "prune=1e999999999"),
        bounded("rewrite", "net.yaml", "--with", "weights=int999999999999"),
        bounded("sweep", "net.yaml", "--set", "width=1:1e9:1"),
        bounded("sweep", "net.yaml", "--set", "width=0:1:1e-11"),
        bounded("sweep", "net.yaml", "--max", "params=1e999999999", "--batch", "1,2"),
        bounded("analyze", "net.yaml", "--batch", HUGE),
        bounded("sweep", "net.yaml", "--batch", f"1,{HUGE}"),
        bounded("sweep", "net.yaml", "--batch", f"1,{'9' * 5000}"),
        bounded("sweep", "net.yaml", "--set", "width=0:1e999999999:1"),
        bounded("check", "net.yaml", "--max-latency", "1e999999999", "--against", "net.yaml"),
    ],
)  # fmt: skip
def test_numbers_are_bounded(args: tuple[str, ...]) -> None:
    assert error_of(cnnprof(*args, preexec_fn=soon))


def test_more_segments_than_a_path_has() -> None:
    assert cnnprof("analyze", "net.yaml", "--fold", HUGE).stdout == cnnprof("analyze", "net.yaml").stdout


BASELINE = "version: 1\nbudgets: [{name: a, files: [net.yaml], max_increase: {params: 0%}}]\nbaseline: "


def test_a_baseline_without_an_end() -> None:
    Path("cnnprof.yaml").write_text(f"{BASELINE}/dev/zero\n")
    done = cnnprof("check", preexec_fn=soon)
    assert "baseline" in error_of(done)


def test_a_baseline_with_a_number_of_a_billion_digits() -> None:
    Path("cnnprof.yaml").write_text(f"{BASELINE}base.json\n")
    totals = {"params": "1e999999999"}
    text = json.dumps({"version": 1, "networks": {"a: net.yaml": {"totals": totals, "layers": {}}}})
    Path("base.json").write_text(text)
    assert "baseline" in error_of(cnnprof("check", preexec_fn=soon))


def test_folders_in_a_circle() -> None:
    Path("d").mkdir()
    for name in ("p", "q"):
        os.symlink(".", f"d/{name}")
    Path("cnnprof.yaml").write_text("version: 1\nbudgets: [{name: a, files: ['**/*.yaml'], max: {params: 1M}}]\n")
    cnnprof("check", preexec_fn=soon)


def test_a_project_file_that_is_no_file() -> None:
    os.mkfifo("cnnprof.yaml")
    assert error_of(cnnprof("check")) == "error: cannot read `cnnprof.yaml`: it is a pipe, not a file\n"


# Files of a revision.


@pytest.fixture
def commit(folder: Path) -> Callable[[], None]:
    """Commits all that lies in the working directory."""

    def run() -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "."]):
            subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    return run


@pytest.mark.parametrize(
    "name", ["net.yaml", "a\nb.yaml", "n\udcff.yaml", "a@b.yaml", "-x.yaml", "e\x1b[31m.yaml", ":x.yaml", "x y.yaml"]
)
def test_a_file_of_any_name_at_a_revision(name: str, commit: Callable[[], None]) -> None:
    os.rename(b"net.yaml", os.fsencode(name))
    commit()
    Path(name).unlink()
    done = cnnprof("analyze", f"HEAD:{name}", f"HEAD:{name}@small", "--format", "json")
    assert [each["variant"] for each in json.loads(done.stdout)] == [None, "small"], done.stderr


@pytest.mark.parametrize(
    "spec",
    ["--help:net.yaml", "-x:net.yaml", "HEAD:", "HEAD:.", "HEAD:..", "HEAD:../../net.yaml", "HEAD:/etc/passwd",
     "HEAD:net.yaml/x", "HEAD@{9999}:net.yaml", "HEAD~99999999999:net.yaml", "HEAD\n::error:net.yaml",
     "ext::sh -c id:net.yaml", f"{'a' * 5000}:net.yaml", f"HEAD:{'a' * 5000}"],
    ids=lambda spec: spec[:30],
)  # fmt: skip
def test_a_revision_of_any_name(spec: str, commit: Callable[[], None]) -> None:
    commit()
    done = cnnprof("analyze", "--", spec)
    assert error_of(done).startswith("error: ")
    assert done.stderr.count("\n") == 1
