"""Shares of a sweep on the workers of a Dask scheduler. The only place that knows `distributed`.

What is sent is text and numbers: the spec, the space and what is asked of it, as JSON. A worker has its own cnnprof,
which has to be the same version. Dask itself sends pickles, so a scheduler is trusted as one's own machine is.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from cnnprof.errors import CnnprofError, MissingDependencyError, UsageError, brief, printable
from cnnprof.sweeps.job import Job
from cnnprof.sweeps.written import job_of, read_wanted, space_data, text_of, wanted_data

if TYPE_CHECKING:
    import ssl

    from distributed import Client, Future

    from cnnprof.sweeps.lanes.answer import Sharing
    from cnnprof.sweeps.lanes.count import Counter

PATIENCE = 5.0
"""Seconds that a scheduler may take to answer, and to come back."""
OFTEN = 0.5
"""Seconds between two looks whether the scheduler is still there."""
AHEAD = 3
"""Shares that a thread of the cluster has at once, so that it never waits for the next."""
GREETING = 1000
"""Bytes in which a scheduler has said the word."""
WORD = b"pickle-protocol"
"""What is in the greeting of every version of Dask, which says how it writes."""
_ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://(\[[^\]]+\]|[^:/\s]+):([0-9]{1,5})/?")


class Cluster:
    """The workers of the scheduler at an address, `tcp://host:8786`. version: of cnnprof, here.

    Raises UsageError for what is no address, and MissingDependencyError.
    """

    def __init__(self, address: str, version: str) -> None:
        if find_spec("distributed") is None:
            raise MissingDependencyError("--scheduler needs the package distributed: pip install 'cnnprof[cluster]'")
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[3]) < 2**16:
            raise UsageError(
                f"--scheduler takes the address of a Dask scheduler, such as tcp://host:8786, found "
                f"`{printable(brief(address))}`"
            )
        self.address = address
        self.transport, self.host, self.port = match[1], match[2].strip("[]"), int(match[3])
        self.version = version

    @contextmanager
    def shares(self, job: Job, sharing: Sharing, numbers: Sequence[int]) -> Iterator[Iterator[tuple[int, Any]]]:
        """Those shares of a job, by number, in the order in which they are done.

        Raises UsageError where there is no scheduler, or not any more, or a worker cannot take part.
        """
        sent = json.dumps(
            {
                "version": self.version,
                "name": job.name,
                "text": text_of(job),
                "space": space_data(job),
                "wanted": wanted_data(sharing.wanted),
                "plan": list(sharing.plan),
                "one_by_one": sharing.one_by_one,
                "stored": sharing.stored,
            }
        )
        with self._client() as client:
            threads = self._checked(client)
            yield self._handed_out(client, sent, numbers, AHEAD * threads)

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A connection to the scheduler. Raises UsageError where nothing answers, or something else does."""
        import dask
        from distributed import Client

        # One that failed would close itself once more, which takes ten seconds and ends in a traceback.
        closed_here = type("Client", (Client,), {"__del__": lambda self: None})
        self._greeted(self._encryption())
        settings = {"distributed.comm.timeouts.connect": PATIENCE, "distributed.comm.retry.count": 0}
        with dask.config.set(settings), _quiet():
            try:
                client = closed_here(self.address, timeout=PATIENCE, set_as_default=False)
            except Exception as error:  # noqa: BLE001  # what an unknown peer sends can raise anything
                raise self._no_scheduler(_first_line(error)) from None
            try:
                yield client
            finally:
                with suppress(Exception):
                    client.close(timeout=PATIENCE)

    def _encryption(self) -> ssl.SSLContext | None:
        """What Dask's configuration says of TLS; None in the other transports.

        Raises UsageError where Dask here does not know the transport, or how to encrypt.
        """
        from distributed.comm.registry import get_backend
        from distributed.security import Security

        try:
            get_backend(self.transport).get_connector()
            found = Security().get_connection_args("client").get("ssl_context") if self.transport == "tls" else None
        except (TypeError, ValueError, ImportError, OSError) as error:  # a package or a certificate that is missing
            raise UsageError(f"Dask cannot speak {self.transport}:// here: {_first_line(error)}") from None
        if self.transport == "tls" and found is None:
            raise UsageError(
                "tls:// needs the certificates of the cluster: set `distributed.comm.tls` in Dask's configuration "
                "(https://distributed.dask.org/en/stable/tls.html)"
            )
        return found

    def _greeted(self, encryption: ssl.SSLContext | None) -> None:
        """Waits for the first words of a scheduler: Dask waits for ever for one that says none.

        Raises UsageError where nothing answers, or something else does.
        """
        try:
            connection = socket.create_connection((self.host, self.port), PATIENCE)
        except OSError as error:
            raise UsageError(
                f"no Dask scheduler answers at {printable(self.address)}: {error.strerror or error}"
            ) from None
        if self.transport not in ("tcp", "tls"):  # in the others the client speaks first, and Dask waits no longer
            connection.close()
            return
        said = b""
        with suppress(OSError), ExitStack() as stack:
            deadline = time.monotonic() + PATIENCE
            stack.enter_context(connection)
            if encryption is not None:
                connection = stack.enter_context(encryption.wrap_socket(connection, server_hostname=self.host))
            while len(said) < GREETING and (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                some = connection.recv(GREETING - len(said))
                said += some
                if not some or WORD in said:
                    break
        if WORD not in said:
            raise self._no_scheduler("it does not say what one says first")

    def _no_scheduler(self, why: str) -> UsageError:
        return UsageError(
            f"what answers at {printable(self.address)} is no Dask scheduler that cnnprof can talk to: {why}"
        )

    def _checked(self, client: Client) -> int:
        """How many threads the workers have. Raises UsageError where there are none, or one has another cnnprof."""
        threads = client.nthreads()
        if not threads:
            raise UsageError(
                f"the scheduler at {printable(self.address)} has no workers: start some with `dask worker "
                f"{printable(self.address)}`"
            )
        # A builtin, so that a worker without cnnprof can answer.
        found = client.run(eval, "__import__('cnnprof').__version__", on_error="return")
        for worker, version in found.items():
            if version != self.version:
                self._refuse(worker, version)
        return sum(threads.values())

    def _refuse(self, worker: str, version: object) -> None:
        """Raises UsageError for a worker that has none, or another version."""
        has = f"has cnnprof {version}"
        if not isinstance(version, str):
            has = f"cannot import cnnprof ({_first_line(version)})"
        raise UsageError(
            f"the worker {printable(worker)} {printable(brief(has, 200))}, and this is cnnprof {self.version}: install "
            "the same version on all workers"
        )

    def _handed_out(self, client: Client, sent: str, numbers: Sequence[int], ahead: int) -> Iterator[tuple[int, Any]]:
        """The shares as they are done. Only some are under way at a time, so that their results fit into memory.

        Raises UsageError where the scheduler has gone away.
        """
        waiting = iter(numbers)
        running: dict[Future, int] = {}
        finished: SimpleQueue[Future] = SimpleQueue()
        done, lost = 0, 0.0
        while True:
            while len(running) < ahead and (number := next(waiting, None)) is not None:
                future = client.submit(count_share, sent, number, pure=False)
                running[future] = number
                future.add_done_callback(finished.put)
            if not running:
                return
            with suppress(Empty):
                future = finished.get(timeout=OFTEN)
                if not future.cancelled():
                    number = running.pop(future)
                    yield number, self._result(future)
                    done, lost = done + 1, 0.0
                    continue
            if client.status == "running" and not any(future.cancelled() for future in running):
                lost = 0.0
            elif not lost:
                lost = time.monotonic()
            elif time.monotonic() - lost > PATIENCE:
                raise UsageError(
                    f"the scheduler at {printable(self.address)} has gone away, with {done:,} of {len(numbers):,} "
                    "shares done; those of a store are kept, and --resume counts the others"
                )

    def _result(self, future: Future) -> Any:
        """What a worker found. Raises UsageError where it refused, or went away again and again."""
        from distributed.scheduler import KilledWorker

        try:
            worker, version, error, share = future.result(timeout=10 * PATIENCE)
        except KilledWorker:
            raise UsageError(
                "a share was lost with its worker again and again, as for want of memory: give workers more memory"
            ) from None
        except ModuleNotFoundError as missing:
            raise UsageError(f"a worker cannot import what it needs: {printable(str(missing))}") from None
        if version != self.version:
            self._refuse(worker, version)
        if error:
            raise UsageError(f"on the worker {printable(worker)}: {error}")
        return share


@contextmanager
def _quiet() -> Iterator[None]:
    """Lets Dask log nothing: what goes wrong is said once, in an error."""
    import logging

    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _first_line(error: object) -> str:
    return printable(brief((str(error).strip() or type(error).__name__).split("\n")[0], 200))


# On a worker.

_one_at_a_time = threading.Lock()
"""A worker may have several threads, and Python runs one of them at a time."""


def count_share(sent: str, number: int) -> tuple[str, str, str, Any]:
    """A share, counted where this is called: the worker's address, its version of cnnprof, what is wrong (empty:
    nothing), and the share."""
    from distributed import get_worker

    worker, version = get_worker().address, sys.modules["cnnprof"].__version__
    data = json.loads(sent)
    if data["version"] != version:
        return worker, version, "", None
    try:
        with _one_at_a_time:
            sharing, counter = _prepared(sent)
            return worker, version, "", sharing.share(counter, number)
    except CnnprofError as error:
        return worker, version, str(error), None


@lru_cache(maxsize=2)
def _prepared(sent: str) -> tuple[Sharing, Counter]:
    """What a text that was sent stands for; made once."""
    from cnnprof.sweeps.lanes.answer import Sharing

    data = json.loads(sent)
    job = job_of(data["name"], data["text"], data["space"])
    sharing = Sharing(read_wanted(data["wanted"]), tuple(data["plan"]), data["one_by_one"], data["stored"])
    return sharing, sharing.counter(job, job.spec())
