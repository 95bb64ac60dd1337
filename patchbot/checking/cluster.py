"""Have the tasks of a run done by other machines: dask.distributed sends them there, watches the workers, and retries.

A task travels as a value, a `Job`: which check, for which patches. What all of a run share (the commits, patchbot.toml,
where the kernel is) goes as one value more, a `Series`. A worker offers the programs that it has, and one bench, as
dask's resources, and a job asks for those that its check needs. A chain of patches goes to one worker as long as that
lives, so that its builds stay incremental. A result comes back with its log, and is the same as one that was made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..errors import ToolError, UserError
from ..model import Result, Status
from ..paths import cache_dir
from ..progress import tick, within
from ..shapes import plain, read
from ..workers import BENCH, RETRIES, connected, halt, library, offer, present, refuse_open
from .check import Check, Item, Outcome, Subject
from .live import Grid
from .tasks import Look, Task, not_run, result_of

#: Bytes of what a check keeps beside its log that come along.
BESIDE = 32 << 20


@dataclass(frozen=True)
class Series:
    """What all jobs of a run share: `config` is patchbot.toml as read, `remote` where the workers get the kernel."""

    items: tuple[Item, ...]
    base: str
    tip: str
    campaign: str
    config: Mapping[str, Any]
    remote: str
    identity: str


@dataclass(frozen=True)
class Job:
    """A task as a value; `source` is the identity of its check and its campaign; a patch is None for the series.

    `run` names what `halt` ends.
    """

    run: str
    check: str
    patches: tuple[str | None, ...]
    source: str


@dataclass(frozen=True)
class Done:
    """What came of a job: results and their keys, the logs as {name: content}, and the folder that the results name."""

    results: tuple[Result, ...]
    keys: tuple[str | None, ...]
    work: str
    logs: Mapping[str, str]
    where: str


class Cluster:
    """An executor (see runner.py): on a worker `do` makes a Done of a Series and a Job, as JSON."""

    def __init__(
        self,
        address: str,
        series: Series,
        do: Callable[[str, str], str],
        *,
        insecure: bool = False,
    ) -> None:
        """Take the address of a scheduler; raise UserError for one that anybody on the network could listen to."""
        refuse_open(address, insecure)
        self.address, self.series, self.do = address, json.dumps(plain(series)), do

    def __call__(
        self, subject: Subject, todo: Sequence[Task], grid: Grid, look: Look, fail_fast: bool
    ) -> Iterator[tuple[Task, list[Result]]]:
        """Yield each task as it ends, with its results; see `run_here`."""
        rest = []
        for one in todo:
            if known := look(one):
                yield one, known
            else:
                rest.append(one)
        if not rest:
            return
        distributed = library()
        with connected(distributed, self.address) as client:
            programs = sorted({tool for one in rest for tool in one.check.needs})
            client.register_plugin(offer(distributed, programs), name=f"patchbot {' '.join(programs)}")
            offers = client.run(offered, programs)
            shared = client.submit(str, self.series, pure=False)
            futures, run = {}, uuid4().hex
            for one, worker in placed(rest, offers):
                if lacking := lacked(one.check, offers):
                    yield not_run(one, f"no worker has {lacking}")
                    continue
                job = Job(run, one.check.name, tuple(part[1] for part in one.parts), one.check.source)
                future = client.submit(
                    self.do,
                    shared,
                    json.dumps(plain(job)),
                    pure=False,
                    retries=RETRIES,
                    resources=needs(one.check),
                    workers=worker,
                    allow_other_workers=worker is not None,
                    priority=0 if one.check.exclusive else 1,
                )
                futures[future] = one
            completed = distributed.as_completed(list(futures), loop=client.loop)
            try:
                yield from ended(client, completed, subject, futures, grid, fail_fast)
            finally:
                if futures:
                    client.cancel(list(futures), force=True)
                    client.run(halt, run)


def digest(series: str) -> str:
    """Return the name of a run."""
    return hashlib.sha256(series.encode("utf-8", "surrogatepass")).hexdigest()


def offered(programs: Sequence[str]) -> dict[str, Any]:
    """Return what this worker has: programs, and the place of its benches, which several workers may share."""
    return {"has": present(programs), "place": f"{socket.gethostname()}:{os.path.realpath(cache_dir())}"}


def needs(check: Check) -> dict[str, int]:
    """Return the resources that a job of a check asks for."""
    return {**dict.fromkeys(check.needs, 1), **({BENCH: 1} if check.exclusive else {})}


def placed(todo: Sequence[Task], offers: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[Task, list[str] | None]]:
    """Yield each task with the worker that it should go to, None for any.

    What needs a bench is divided among the places that have one, each a run of patches one after the other.
    """
    chains: dict[str, list[Task]] = {}
    for one in todo:
        if one.check.exclusive:
            chains.setdefault(one.check.name, []).append(one)
        else:
            yield one, None
    for chain in chains.values():
        able = {o["place"]: worker for worker, o in sorted(offers.items()) if {*chain[0].check.needs} <= {*o["has"]}}
        workers = [able[place] for place in sorted(able)]
        for number, one in enumerate(chain):
            yield one, [workers[number * len(workers) // len(chain)]] if workers else None


def lacked(check: Check, offers: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the programs that a check needs and no worker has, with Debian's packages, "" if there is none."""
    there = {tool for one in offers.values() for tool in one["has"]}
    return ", ".join(
        f"{tool} (Debian: {package})" for tool, package in sorted(check.needs.items()) if tool not in there
    )


def ended(
    client: Any, completed: Iterable[Any], subject: Subject, futures: dict[Any, Task], grid: Grid, fail_fast: bool
) -> Iterator[tuple[Task, list[Result]]]:
    """Yield the tasks as they end and strike them off `futures`; with `fail_fast` stop after the first failure."""
    names = {future.key: one for future, one in futures.items()}
    show(client, names, grid)
    for future in completed:
        one, found = received(subject, futures[future], future)
        del futures[future]
        yield one, found
        show(client, names, grid)
        if fail_fast and any(r.status.rank >= Status.FAIL.rank for r in found):
            why = f"not run: --fail-fast, and {one.check.name} failed"
            yield from [not_run(other, why) for other in futures.values()]
            return


def show(client: Any, names: Mapping[str, Task], grid: Grid) -> None:
    """Tell the table what runs on which worker."""
    for number, (_, keys) in enumerate(sorted(client.processing().items()), 1):
        for key in keys:
            if one := names.get(key):
                grid.begin(one.parts)
                with within(one.check.name):
                    tick(f"worker {number}: {one.what}")


def received(subject: Subject, task: Task, future: Any) -> tuple[Task, list[Result]]:
    """Return a task with the keys that it has on the worker, and its results as if it had run here, with their logs.

    Raises UserError where the worker is not like this machine.
    """
    if future.status != "finished":
        error = future.exception() if future.status == "error" else None
        if isinstance(error, UserError):
            raise error
        why = f"{type(error).__name__}: {error}" if error else f"it was {future.status}"
        failed = Outcome(Status.ERROR, reason=f"the cluster gave no result: {why}")
        return task, [result_of(task.check, item, failed, 0.0) for item in task.items]
    done = read(future.result(), Done)
    folder = subject.work / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in done.logs.items():
        if Path(name).name != name:
            raise ToolError(f"a worker sent a log with the name {name!r}")
        (folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    results = [replace(moved(r, done.work, str(subject.work)), where=done.where) for r in done.results]
    return replace(task, keys=done.keys), results


def moved(result: Result, old: str, new: str) -> Result:
    """Return a result that names another folder of patchbot."""
    log = result.log and str(Path(new) / "logs" / Path(result.log).name)
    return replace(
        result, log=log, reason=result.reason.replace(old, new), reproduce=result.reproduce.replace(old, new)
    )


def logs_of(results: Sequence[Result]) -> dict[str, str]:
    """Return {name: content} of the logs of results, and of what lies beside them under the same name."""
    found = {}
    for log in {Path(r.log) for r in results if r.log}:
        for file in sorted(log.parent.glob(f"{log.stem}.*")):
            if file.stat().st_size <= BESIDE or file == log:
                found[file.name] = file.read_bytes()[-BESIDE:].decode("utf-8", "surrogateescape")
    return found
