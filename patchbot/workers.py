"""Reach the workers of a dask.distributed scheduler, where it is safe, and have them say what they have."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from .errors import MissingTool, ToolError, UserError
from .paths import cache_dir
from .run import end_children, which
from .signals import Stopped, end, working_for

#: How often a job is tried again after its worker died.
RETRIES = 3
#: Seconds to wait for the scheduler, and for a first worker.
PATIENCE = 60
#: Seconds between looks at who is there.
LOOK = 1.0
#: Seconds to wait for workers when a run is ended.
PARTING = 10.0
#: What a worker has of each program that it has: jobs ask for one, and there is no limit.
PLENTY = 1_000_000
BENCH = "patchbot bench"
#: Bytes that a worker must have free on its disk.
ROOM = 64 << 20
#: The scheduler whose workers run the programs of codemods, "" for this machine, and whether anybody may listen.
_scheduler: ContextVar[tuple[str, bool]] = ContextVar("scheduler", default=("", False))


@contextmanager
def spread(address: str, *, insecure: bool) -> Iterator[None]:
    """Let the workers of a scheduler run the programs of codemods meanwhile, for "" this machine.

    Raises UserError for an address that anybody on the network could listen to.
    """
    if address:
        refuse_open(address, insecure)
    token = _scheduler.set((address, insecure))
    try:
        yield
    finally:
        _scheduler.reset(token)


def scheduler() -> tuple[str, bool]:
    """Return the scheduler that was given to `spread`, "" for none, and whether it may be insecure."""
    return _scheduler.get()


def library() -> Any:
    """Return dask.distributed; raise UserError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        text = "a cluster needs dask.distributed, which cannot be loaded here"
        raise UserError(f"{text} ({error}): pip install 'patchbot[cluster]'") from error
    return distributed


def refuse_open(address: str, insecure: bool) -> None:
    """Raise UserError for an address that is none, or a plain one of another machine: who hears it can run programs."""
    kind, _, rest = address.partition("://")
    host = rest.rpartition(":")[0].strip("[]")
    if kind not in ("tcp", "tls") or not host:
        raise UserError(
            f"{address!r} is not the address of a scheduler, such as tls://host:8786 or tcp://127.0.0.1:8786"
        )
    if kind == "tcp" and not insecure and not is_loopback(host):
        raise UserError(
            f"{address}: whoever reaches a scheduler by plain tcp can run programs on its workers; use tls:// (dask's"
            " configuration names the certificates), or say --insecure; one that is for this machine alone is started"
            " with `dask scheduler --host 127.0.0.1`"
        )


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its address; a name may mean anything."""
    try:
        address = ipaddress.ip_address(host)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return host == "localhost"


def connected(distributed: Any, address: str, insecure: bool) -> Any:
    """Return a client of the scheduler at an address, with a worker; raise UserError if there is none.

    Also where a loopback address leads to a scheduler that other machines reach by plain tcp, or that reaches them.
    """
    for name in ("distributed", "distributed.client"):  # it prints tracebacks of what is said below
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        raise UserError(f"no scheduler answers at {address}: {error}") from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        client.close()
        raise UserError(f"the scheduler at {address} has no worker: dask worker {address}") from error
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        # Sent as code, so that the scheduler need not have patchbot.
        listening = client.run_on_scheduler(
            lambda dask_scheduler: [one.contact_address for one in dask_scheduler.listeners]
        )
        for other in (*listening, *sorted(workers)):
            refuse_open(other, insecure)
    except UserError:
        client.close()
        raise
    return client


def offer(distributed: Any, programs: Sequence[str]) -> Any:
    """Return a plugin that has each worker, also one that comes later, offer the programs that it has, and a bench."""

    class Offer(distributed.WorkerPlugin):  # type: ignore[misc]
        async def setup(self, worker: Any) -> None:
            await worker.set_resources(**{BENCH: 1}, **dict.fromkeys(present(programs), PLENTY))

    return Offer()


def present(programs: Sequence[str]) -> list[str]:
    """Return those of some programs that this machine has."""
    found = []
    for tool in programs:
        try:
            which(tool)
        except MissingTool:
            continue
        found.append(tool)
    return found


@contextmanager
def at_work(run: str) -> Iterator[None]:
    """Do something of a run on a worker; raise ToolError where `halt` ends it."""
    try:
        with working_for(run):
            yield
    except Stopped as error:  # which would end the worker
        raise ToolError("the run was ended") from error


def halt(run: str) -> None:
    """End what this worker does for a run, now and from now on; what it does for others goes on."""
    end(run)
    end_children(run)


def halt_all(client: Any, futures: Sequence[Any], run: str) -> None:
    """End what workers do for a run; one that does not answer is not waited for."""

    def parting() -> None:
        with suppress(Exception):  # the scheduler may be gone
            client.cancel(futures, force=True)
            client.run(halt, run, on_error="ignore")

    thread = threading.Thread(target=parting, daemon=True)
    thread.start()
    thread.join(PARTING)


def arrived(completed: Any) -> Any:
    """Return the next of dask's `as_completed` that ended, None if none does within LOOK seconds."""
    until = time.monotonic() + LOOK
    while not completed.has_ready() and time.monotonic() < until:
        time.sleep(0.005)
    return next(completed) if completed.has_ready() else None


def lost(what: str) -> str:
    """Return the message for the end of a run."""
    return f"{what}; the results so far are kept, and the same command does the rest"


def unlike(what: str, worker: str = "") -> str:
    """Return the message for a worker, by default this one, that would not give the same results."""
    return f"{what} is not the same on the worker {worker or socket.gethostname()}: install there what runs here"


class Unfit(ToolError):
    """A place (see `offered`) cannot do any job, and another one may."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(place, why)
        self.place, self.why = place, why

    def __str__(self) -> str:
        return self.why


def this_place() -> str:
    """Return the name of the place where this worker keeps its benches and caches; several may share it."""
    return f"{socket.gethostname()}:{os.path.realpath(cache_dir())}"


def refuse_full() -> None:
    """Raise Unfit if there is no room for what a job writes."""
    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    if (free := shutil.disk_usage(folder).free) < ROOM:
        raise Unfit(this_place(), f"{socket.gethostname()}: only {free >> 20} MB are free below {cache_dir()}")
