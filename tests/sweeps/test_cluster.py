"""Shares on the workers of a real Dask scheduler, in processes of their own on this machine."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cnnprof
from cnnprof.errors import UsageError
from cnnprof.sweeps.result import Sweep

pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

from cnnprof.sweeps.lanes import count

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
SOON = 60
"""Seconds in which anything here is done, however busy the machine."""
SPACE: dict[str, Any] = {
    "args": {"width": "0.25:1.25:0.01"},
    "input": [(3, size, size) for size in range(96, 160, 2)],
    "metrics": ["params", "macs", "peak_activation_bytes"],
    "max": {"macs": "300M"},
    "pareto": ["macs", "+width", "+input"],
    "where": "width != 0.5",
}
SLOW = """
import time
from cnnprof.sweeps.lanes import count
if not hasattr(count, "share"):  # Dask loads this twice
    count.share = count.Counter.share
    def slow(self, number):
        time.sleep(0.3)
        yield from count.share(self, number)
    count.Counter.share = slow
"""


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "SHARE", 128)


class Running(NamedTuple):
    """A scheduler and its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


Start = Callable[..., Running]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts a scheduler and a worker for each of some preloaded texts; all end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(module: str, *args: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{module}", *args, "--no-dashboard"]
        with open(tmp_path / f"{len(processes)}.log", "wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return processes[-1]

    def start(*preloaded: str, transport: str = "tcp") -> Running:
        file = tmp_path / "scheduler.json"
        where = ["--host", f"{transport}://127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
        scheduler = begin("dask_scheduler", *where)
        address = wait_for(lambda: json.loads(file.read_text())["address"])
        workers = []
        for number, text in enumerate(preloaded):
            preload = tmp_path / f"preload{number}.py"
            preload.write_text(text, encoding="utf-8")
            workers.append(begin(
                "dask_worker", address, "--nthreads", "1", "--no-nanny", "--preload", str(preload),
                "--local-directory", str(tmp_path / f"worker{number}"),
            ))  # fmt: skip
        wait_for(lambda: registered(address) == len(preloaded) or 1 / 0)
        return Running(address, scheduler, workers)

    yield start
    for process in processes:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()


def registered(address: str) -> int:
    """How many workers a scheduler knows."""
    from distributed import Client

    with Client(address, timeout=5, set_as_default=False) as client:
        return len(client.nthreads())


def wait_for(look: Callable[[], Any]) -> Any:
    """What there is to be seen, as soon as it is there."""
    deadline = time.monotonic() + SOON
    while True:
        try:
            return look()
        except (OSError, ValueError, KeyError, ZeroDivisionError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def swept(**options: Any) -> Sweep:
    return cnnprof.sweep("mobilenet_v1", **{**SPACE, **options})


def parts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_two_workers_change_no_byte(started: Start, tmp_path: Path) -> None:
    """One after the other, in two processes and on two workers, with a store and without."""
    cluster = started("", "")
    here = swept(store=tmp_path / "here")
    assert here == swept() == swept(jobs=2)
    assert swept(scheduler=cluster.address) == here
    assert swept(scheduler=cluster.address, store=tmp_path / "there") == here
    assert parts(tmp_path / "there") == parts(tmp_path / "here")
    assert len(parts(tmp_path / "here")) > 8


def test_the_spec_travels_as_text(started: Start, tmp_path: Path) -> None:
    """The workers have no such file; and what is counted one by one is counted there as well."""
    cluster = started("")
    path = tmp_path / "net.yaml"
    path.write_text(cnnprof.lookup.architectures()["lenet5"].read_text(encoding="utf-8"), encoding="utf-8")
    spec = cnnprof.load.read(cnnprof.lookup.locate(str(path)))
    path.unlink()
    options: dict[str, Any] = {"args": {"classes": [5, 10]}, "metrics": ["params", "receptive_field"]}
    found = cnnprof.sweep(spec, **options, scheduler=cluster.address)
    here = cnnprof.sweep(spec, **options)
    assert len(found.rows) == 2
    for one, other in zip(found.rows, here.rows, strict=True):
        assert one.metrics.items() <= other.metrics.items()


def test_what_a_worker_refuses_is_said_here(started: Start, tmp_path: Path) -> None:
    cluster = started("")
    large: dict[str, Any] = {"args": {}, "input": (3, 2000, 2000), "batch": [1, 2**31 - 1], "where": "", "max": None}
    with pytest.raises(UsageError, match=r"on the worker tcp://.*: a store holds figures below 2\^63"):
        swept(**large, pareto=["macs", "params"], scheduler=cluster.address, store=tmp_path / "store")


def test_a_worker_that_is_killed(started: Start, tmp_path: Path) -> None:
    """In the middle: the others count its shares, and the answer is the same."""
    cluster = started(SLOW, SLOW)
    found: list[Sweep] = []
    run = threading.Thread(
        target=lambda: found.append(swept(scheduler=cluster.address, store=tmp_path / "store")), daemon=True
    )
    run.start()
    wait_for(lambda: len(parts(tmp_path / "store")) >= 3 or 1 / 0)
    cluster.workers[0].send_signal(signal.SIGKILL)
    run.join(SOON)
    assert found == [swept(store=tmp_path / "whole")]
    assert parts(tmp_path / "store") == parts(tmp_path / "whole")


def test_a_scheduler_that_goes_away(started: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A clear error within seconds, nothing else is said, and a store that goes on without it."""
    cluster = started(SLOW, SLOW)
    said: list[str] = []

    def run() -> None:
        try:
            swept(scheduler=cluster.address, store=tmp_path / "store")
        except UsageError as error:
            said.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(lambda: len(parts(tmp_path / "store")) >= 3 or 1 / 0)
    cluster.scheduler.send_signal(signal.SIGKILL)
    thread.join(30)
    assert not thread.is_alive()
    (message,) = said
    assert message.startswith(f"the scheduler at {cluster.address} has gone away, with ")
    assert message.endswith(" shares done; those of a store are kept, and --resume counts the others")
    assert [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []
    done = parts(tmp_path / "store")
    whole = swept(store=tmp_path / "whole")
    assert swept(store=tmp_path / "store", resume=True) == whole
    assert 3 <= len(done) < len(parts(tmp_path / "whole"))
    assert parts(tmp_path / "store") == parts(tmp_path / "whole")


def test_a_worker_of_another_version_is_refused(started: Start) -> None:
    cluster = started("", "import cnnprof\ncnnprof.__version__ = '0.0.1'\n")
    with pytest.raises(UsageError) as caught:
        swept(scheduler=cluster.address)
    assert str(caught.value).startswith("the worker tcp://127.0.0.1:")
    assert str(caught.value).endswith(
        f" has cnnprof 0.0.1, and this is cnnprof {cnnprof.__version__}: install the same version on all workers"
    )


def test_a_worker_without_cnnprof_is_refused(started: Start) -> None:
    cluster = started("import sys\nsys.modules['cnnprof'] = None\n")
    with pytest.raises(UsageError, match=r"cannot import cnnprof \(import of cnnprof halted"):
        swept(scheduler=cluster.address)


def test_a_worker_that_joins_late_is_refused(started: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first look saw only others."""
    from cnnprof.sweeps.cluster import Cluster

    cluster = started("import cnnprof\ncnnprof.__version__ = '0.0.1'\n")
    monkeypatch.setattr(Cluster, "_checked", lambda self, client: 1)
    with pytest.raises(UsageError, match=r"has cnnprof 0\.0\.1, and this is cnnprof .*: install the same version"):
        swept(scheduler=cluster.address)


def test_no_workers(started: Start) -> None:
    cluster = started()
    with pytest.raises(UsageError, match=r"has no workers: start some with `dask worker tcp://127.0.0.1:\d+`"):
        swept(scheduler=cluster.address)


# What is no scheduler.


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None], transport: str = "tcp") -> Iterator[str]:
    """The address of something that answers each connection in its own way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answered, args=[connection], daemon=True).start()

        def answered(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"{transport}://127.0.0.1:{server.getsockname()[1]}"


def web(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def silent(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def noisy(connection: socket.socket) -> None:
    while True:
        connection.sendall(os.urandom(10_000))


def closing(connection: socket.socket) -> None:
    connection.close()


def waiting(connection: socket.socket) -> None:
    """Says what a scheduler says first, and then nothing."""
    connection.sendall(struct.pack("<Q", 10_000) + b"pickle-protocol")
    silent(connection)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Dask's configuration with a certificate of its own."""
    import distributed  # whose configuration is not one of those that are restored

    assert distributed
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    if shutil.which(command[0]) is None:
        pytest.skip("OpenSSL is not installed: apt-get install openssl")
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    begin = "distributed.comm.tls."
    return {f"{begin}ca-file": str(made), f"{begin}client.cert": str(made), f"{begin}client.key": str(key)}


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
@pytest.mark.parametrize("peer", [web, silent, noisy, closing, waiting])
def test_another_peer(
    transport: str,
    peer: Callable[[socket.socket], None],
    certificate: dict[str, str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A clear error within seconds, and nothing else is said, not even later."""
    import dask

    with serving(peer, transport) as address, dask.config.set(certificate):
        begun = time.monotonic()
        with pytest.raises(UsageError) as caught:
            swept(scheduler=address)
    assert time.monotonic() - begun < 30
    assert str(caught.value).startswith(f"what answers at {address} is no Dask scheduler that cnnprof can talk to: ")
    del caught
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_the_command_ends_with_2(tmp_path: Path) -> None:
    """In a process of its own, which ends soon: no thread of Dask's is waited for."""
    space = tmp_path / "space.yaml"
    space.write_text("set: {width: [0.5, 1]}\n", encoding="utf-8")
    with serving(silent, "ws") as address:
        command = ["sweep", "mobilenet_v1", "--space", str(space), "--scheduler", address]
        done = subprocess.run(
            [sys.executable, "-m", "cnnprof", *command], capture_output=True, text=True, check=False, timeout=SOON
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: what answers at {address} is no Dask scheduler that cnnprof can talk to: ")
    assert done.stderr.count("\n") == 1


def test_a_transport_that_is_not_set_up() -> None:
    """Which is the fault of no peer."""
    with serving(silent, "tls") as address, pytest.raises(UsageError, match=r"^tls:// needs the certificates of the "):
        swept(scheduler=address)
    with serving(silent, "ucx") as address, pytest.raises(UsageError, match=r"^Dask cannot speak ucx:// here: "):
        swept(scheduler=address)


def test_a_scheduler_that_encrypts(started: Start, certificate: dict[str, str]) -> None:
    """Is greeted as one that does not."""
    import dask

    names = {key: value for key, value in certificate.items() if "client" not in key}
    cert, key = (certificate[f"distributed.comm.tls.client.{each}"] for each in ("cert", "key"))
    both = {f"distributed.comm.tls.{who}.{what}": file
            for who in ("scheduler", "worker") for what, file in (("cert", cert), ("key", key))}  # fmt: skip
    variables = {f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value
                 for name, value in {**names, **certificate, **both}.items()}  # fmt: skip
    with pytest.MonkeyPatch.context() as patched, dask.config.set(certificate):
        for name, value in variables.items():
            patched.setenv(name, value)
        cluster = started("", transport="tls")
        assert cluster.address.startswith("tls://")
        assert swept(scheduler=cluster.address) == swept()


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(UsageError, match=f"no Dask scheduler answers at {address}: Connection refused"):
        swept(scheduler=address)


@pytest.mark.parametrize("address", ["", "localhost", "tcp://host", "tcp://host:0", "http://host:8786", "tcp://a:b:1"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="--scheduler takes the address of a Dask scheduler, such as tcp://host:8786"):
        swept(scheduler=address)


def test_jobs_and_a_scheduler() -> None:
    with pytest.raises(UsageError, match="--jobs is for processes here, and --scheduler for those of a cluster"):
        swept(scheduler="tcp://127.0.0.1:1", jobs=2)
