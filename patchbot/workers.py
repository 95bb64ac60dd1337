"""Reach the workers of a dask.distributed scheduler, where it is safe, and have them say what they have."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .errors import MissingTool, ToolError, UserError
from .run import end_children, which
from .signals import Stopped, end, working_for

#: How often a job is tried again after its worker died.
RETRIES = 3
#: Seconds to wait for the scheduler, and for a first worker.
PATIENCE = 60
#: What a worker has of each program that it has: jobs ask for one, and there is no limit.
PLENTY = 1_000_000
BENCH = "patchbot bench"
#: The scheduler whose workers run the programs of codemods, "" for this machine.
_address: ContextVar[str] = ContextVar("address", default="")


@contextmanager
def spread(address: str, *, insecure: bool) -> Iterator[None]:
    """Let the workers of a scheduler run the programs of codemods meanwhile, for "" this machine.

    Raises UserError for an address that anybody on the network could listen to.
    """
    if address:
        refuse_open(address, insecure)
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def address() -> str:
    """Return the scheduler that was given to `spread`, "" for none."""
    return _address.get()


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
            " configuration names the certificates), or say --insecure"
        )


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its address; a name may mean anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def connected(distributed: Any, address: str) -> Any:
    """Return a client of the scheduler at an address, with a worker; raise UserError if there is none."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it prints tracebacks of what is said below
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"no scheduler answers at {address}: {error}") from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        client.close()
        raise UserError(f"the scheduler at {address} has no worker: dask worker {address}") from error
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


def unlike(what: str) -> str:
    """Return the message for a worker that would not give the same results."""
    return f"{what} is not the same on the worker {socket.gethostname()}: install there what runs here"
