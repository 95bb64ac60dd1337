"""Have the tasks of a run done by other machines: dask.distributed sends them there, watches the workers, and retries.

A task travels as a value, a `Job`: which check, for which patches. What all of a run share (the commits, patchbot.toml,
where the kernel is) goes as one value more, a `Series`. A worker offers the programs that it has, and one bench, as
dask's resources, and a job asks for those that its check needs. A chain of patches goes to one worker as long as that
lives, so that its builds stay incremental. A result comes back with its log, and is the same as one that was made here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from ..bundle import PACKAGE
from ..errors import UserError
from ..identity import identity
from ..model import Result, Status
from ..paths import cache_dir
from ..progress import ended as announce
from ..progress import tick, within
from ..series.render import plural
from ..shapes import plain, read
from ..terminal import one_line
from ..workers import BENCH, connected, halt_all, library, offer, present, refuse_open, this_place, unlike
from .check import Check, Item, Subject
from .flow import Flow, Found, Offers, can, failed
from .live import Grid
from .tasks import Look, Task, not_run

#: Bytes of logs, and of what a check keeps beside them, that come along with a result.
BESIDE = 32 << 20
#: Bytes of a file that repeating a result needs.
SMALL = 64 << 10
#: The name of a log that a worker may send, and how much of another one is shown.
LONG = 200
FILE = re.compile(rf"(?!\.)[\w -.0-~]{{1,{LONG}}}+")
#: Where workers say which job they begin; one for all runs, as a scheduler keeps some events of each for good.
TOPIC = "patchbot"


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
    """What came of a job: results and their keys, the logs as {name: content in base 64}, and the folders they name."""

    results: tuple[Result, ...]
    keys: tuple[str | None, ...]
    work: str
    cache: str
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
        self.address, self.insecure, self.do = address, insecure, do
        self.like, self.series = series.identity, json.dumps(plain(series))

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
        distributed, run = library(), uuid4().hex
        with connected(distributed, self.address, self.insecure) as client:
            programs = sorted({tool for one in rest for tool in one.check.needs})
            meet = partial(introduced, client, programs, self.like)
            offers = meet(None)
            client.register_plugin(offer(distributed, programs), name=f"patchbot {' '.join(programs)}")
            lacking = {one.check.name: lacked(one.check, offers) for one in rest}
            yield from [not_run(one, f"no worker has {why}") for one in rest if (why := lacking[one.check.name])]
            shared = client.submit(str, self.series, pure=False)
            names: dict[str, Task] = {}
            watch(client, offers, names, grid)

            def send(one: Task, workers: list[str] | None) -> Any:
                job = Job(run, one.check.name, tuple(part[1] for part in one.parts), one.check.source)
                how = {"resources": needs(one.check), "workers": workers, "priority": 0 if one.check.exclusive else 1}
                names[key := f"{one.check.name}-{uuid4().hex}"] = one
                return client.submit(begun, self.do, shared, json.dumps(plain(job)), key=key, pure=False, **how)

            flow = Flow(
                client,
                distributed.as_completed([], loop=client.loop, with_results=True, raise_errors=False),
                offers,
                [one for one in rest if not lacking[one.check.name]],
                send=send,
                meet=meet,
                take=partial(received, subject),
            )
            try:
                yield from ended(flow, fail_fast)
            finally:
                if flow.sent:
                    halt_all(client, list(flow.sent), run)


def digest(series: str) -> str:
    """Return the name of a run."""
    return hashlib.sha256(series.encode("utf-8", "surrogatepass")).hexdigest()


def introduced(client: Any, programs: Sequence[str], like: str, workers: Sequence[str] | None) -> Offers:
    """Return what workers (None for all) offer, but for those that are gone; raise UserError for another patchbot."""
    found = {}
    for worker, said in sorted(client.run(offered, programs, like, workers=workers, on_error="return").items()):
        if isinstance(said, UserError):
            raise said
        if isinstance(said, OSError):  # it is gone
            continue
        if isinstance(said, Exception):
            raise UserError(f"{unlike('patchbot', worker)} ({said})")
        found[worker] = said
    return found


def offered(programs: Sequence[str], like: str) -> dict[str, Any]:
    """Return what this worker has: programs, and the place of its benches; raise UserError for another patchbot."""
    if like != identity(PACKAGE):
        raise UserError(unlike("patchbot"))
    return {"has": present(programs), "place": this_place()}


def needs(check: Check) -> dict[str, int]:
    """Return the resources that a job of a check asks for."""
    return {**dict.fromkeys(check.needs, 1), **({BENCH: 1} if check.exclusive else {})}


def lacked(check: Check, offers: Offers) -> str:
    """Return the programs that a check needs and no worker has, with Debian's packages, "" if one has them all."""
    if any(can(check, one) for one in offers.values()):
        return ""
    there = {tool for one in offers.values() for tool in one["has"]}
    names = {tool: f"{tool} (Debian: {package})" for tool, package in sorted(check.needs.items())}
    return ", ".join(names[tool] for tool in names if tool not in there) or f"all of {', '.join(names.values())}"


def ended(flow: Flow, fail_fast: bool) -> Iterator[Found]:
    """Yield the tasks as they end; with `fail_fast` stop after the first failure."""
    for one, found in flow:
        yield one, found
        if fail_fast and any(r.status.rank >= Status.FAIL.rank for r in found):
            why = f"not run: --fail-fast, and {one.check.name} failed"
            yield from [not_run(other, why) for other in flow.left()]
            return


def begun(do: Callable[[str, str], str], series: str, job: str) -> str:
    """Do a job on a worker, which says first that it has begun; the scheduler knows only what it was given."""
    worker = library().get_worker()
    worker.log_event(TOPIC, {"worker": worker.address, "key": worker.get_current_task()})
    return do(series, job)


def watch(client: Any, offers: Mapping[str, Mapping[str, Any]], names: Mapping[str, Task], grid: Grid) -> None:
    """Tell the table from now on which workers there are, and what begins on which of them."""
    hosts = {host_of(worker): str(o["place"]).partition(":")[0] for worker, o in offers.items()}

    def join(worker: str) -> str:
        return grid.join(worker, hosts.get(host_of(worker), host_of(worker)))

    def begins(event: tuple[float, Any]) -> None:
        worker = str(event[1]["worker"])
        if one := names.get(event[1]["key"]):
            grid.begin(one.parts, worker)
            with within(one.check.name):
                tick(f"{join(worker)}: {one.what}")

    def moves(event: tuple[float, Any]) -> None:
        worker = str(event[1].get("worker"))
        if event[1].get("action") == "add-worker":
            join(worker)
        elif event[1].get("action") == "remove-worker":
            grid.leave(worker, lost=not event[1].get("expected"))

    for worker in sorted(offers):
        join(worker)
    for topic, handler in ((TOPIC, begins), ("all", moves)):
        client.subscribe_topic(topic, partial(copy_context().run, cast(Callable[..., None], handler)))
    told = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in sorted(grid.came.items()))
    announce(one_line(f"the work goes to {plural(len(offers), 'worker')}: {told}"))


def host_of(worker: str) -> str:
    """Return the host in a worker's address."""
    return worker.partition("://")[2].rpartition(":")[0]


def received(subject: Subject, task: Task, text: str) -> Found:
    """Return a task with the keys that it has on the worker, and its results as if it had run here, with their logs."""
    try:
        done = read(text, Done)
        logs = {name: base64.b64decode(data, validate=True) for name, data in done.logs.items()}
    except (TypeError, ValueError) as error:
        return failed(task, f"what the worker sent cannot be read: {error}")
    folder = subject.work / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    if odd := [name for name in logs if not FILE.fullmatch(name)]:
        return failed(task, f"the worker sent a log with the name {odd[0][:LONG]!r}")
    if [(r.check, r.patch) for r in done.results] != task.parts or len(done.keys) != len(task.keys):
        return failed(task, "the worker sent results of something else")
    for name, data in logs.items():
        (folder / name).write_bytes(data)
    results = [replace(moved(r, done, subject), where=done.where) for r in done.results]
    return replace(task, keys=done.keys), results


def moved(result: Result, done: Done, subject: Subject) -> Result:
    """Return a result that names this machine's folders in the place of a worker's.

    Logs and small files came along; who wants to repeat what needs another file of the worker has patchbot do it here.
    """

    def here(text: str) -> str:
        return text.replace(done.work, str(subject.work)).replace(done.cache, str(cache_dir()))

    again = result.reproduce
    for path in named(again, done.work):
        if Path(path).name in done.logs:
            again = again.replace(path, f"{subject.work}/logs/{Path(path).name}")
    if done.work in again or done.cache in again:
        number = next((str(n) for n, item in enumerate(subject.items, 1) if item.id == result.patch), "")
        again = f"patchbot check {subject.campaign} --only {result.check} --full"
        again += f" --patches {number}" if number else ""
    tables = tuple(replace(t, rows=tuple(tuple(map(here, row)) for row in t.rows)) for t in result.evidence)
    return replace(
        result,
        log=result.log and str(subject.work / "logs" / Path(result.log).name),
        reason=here(result.reason),
        reproduce=again,
        findings=tuple(replace(f, message=here(f.message), file=f.file and here(f.file)) for f in result.findings),
        evidence=tables,
    )


def named(text: str, folder: str) -> list[str]:
    """Return the paths below a folder that a shell line names."""
    return [word for word in text.replace("'", " ").replace("=", " ").split() if word.startswith(f"{folder}/")]


def logs_of(results: Sequence[Result], work: Path) -> dict[str, str]:
    """Return {name: content in base 64} of the logs of results, what lies beside them, and small files.

    The small ones are what a line that repeats a result needs, such as the options of a kernel. Of a log that is too
    long the end comes along.
    """
    found: dict[str, bytes] = {}
    for file in {Path(path) for r in results for path in named(r.reproduce, str(work))}:
        if file.is_file() and file.stat().st_size <= SMALL:
            found[file.name] = file.read_bytes()
    for log in {Path(r.log) for r in results if r.log}:
        for file in sorted(log.parent.glob(f"{log.stem}.*"), key=lambda file: file != log):
            room = BESIDE - sum(map(len, found.values()))
            if file.stat().st_size <= room or file == log:
                found[file.name] = file.read_bytes()[-room:] if room else b""
    return {name: base64.b64encode(data).decode() for name, data in found.items()}
