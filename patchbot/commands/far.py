"""Do what another patchbot asks for, on a worker of its cluster: the same checks, with the same code, or none."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from ..build.benches import close_benches
from ..bundle import PACKAGE
from ..checking.check import Check, Subject
from ..checking.cluster import Done, Job, Series, digest, logs_of
from ..checking.programs import load
from ..checking.tasks import run_task, tasks
from ..config import Config
from ..errors import UserError
from ..git.mirror import mirrored
from ..identity import identity
from ..model import Status
from ..paths import cache_dir
from ..shapes import plain, read
from ..terminal import Terminal
from ..workers import at_work, refuse_full, unlike
from .session import Given, Session
from .subject import subject


@dataclass(frozen=True)
class Met:
    """A run that this worker has met, with its checks by name."""

    series: Series
    config: Config
    subject: Subject
    checks: dict[str, Check]


#: The last ones, by digest.
_known: dict[str, Met] = {}
_opening = threading.Lock()
MOST = 4
#: Whoever has this may use or close the benches, which `_leaving` does in a MOMENT, in seconds.
_benches = threading.Lock()
_leaving: list[threading.Timer] = []
MOMENT = 3.0


def do(series: str, job: str) -> str:
    """Do a Job of a Series and return a Done, all as JSON.

    Raises UserError if this worker is not like the other machine, Unfit if its disk is full.
    """
    wanted = read(job, Job)
    refuse_full()
    try:
        with at_work(wanted.run):
            made = done(opened(series), wanted)
    except (SystemExit, KeyboardInterrupt) as error:  # which would end the worker, and the next one
        raise UserError(f"the check {wanted.check} ended the program: {error!r}") from error
    except Exception:
        refuse_full()  # which explains it
        raise
    if any(result.status.rank >= Status.FAIL.rank for result in made.results):
        refuse_full()
    return json.dumps(plain(made))


def done(run: Met, wanted: Job) -> Done:
    """Do a job; raise UserError if the check or the campaign is another one here."""
    check = run.checks.get(wanted.check)
    if check is None or check.source != wanted.source:
        check = run.checks[wanted.check] = load(wanted.check, run.config.checks)
    own = replace(run.subject, options=run.config.checks.options.get(check.name, {}))
    chosen = [item for item in own.items if item.id in wanted.patches]
    for one in tasks(check, own, chosen, whole=None in wanted.patches):
        if tuple(part[1] for part in one.parts) == wanted.patches:
            if one.check.source != wanted.source:
                break
            with at_bench() if check.exclusive else nullcontext():
                results = run_task(own, one)
            where = f"{socket.gethostname()} {os.getpid()}"
            return Done(tuple(results), one.keys, str(own.work), str(cache_dir()), logs_of(results, own.work), where)
    raise UserError(unlike(f"the check {check.name} or the campaign {run.series.campaign}"))


@contextmanager
def at_bench() -> Iterator[None]:
    """Have the benches of this machine inside, and for a moment more: the next job may be one of the same chain.

    Without an end to it, this worker would keep them for as long as it lives, and another one would wait as long.
    """
    with _benches:
        for timer in _leaving:
            timer.cancel()
        try:
            yield
        finally:
            _leaving[:] = [threading.Timer(MOMENT, leave_benches)]
            _leaving[0].daemon = True
            _leaving[0].start()


def leave_benches() -> None:
    """Let others have the benches, unless a job has them."""
    if _benches.acquire(blocking=False):
        try:
            close_benches()
        finally:
            _benches.release()


def opened(text: str) -> Met:
    """Return a series with the repository that it is in; made once."""
    key = digest(text)
    with _opening:
        if key not in _known:
            shared = read(text, Series)
            if shared.identity != identity(PACKAGE):
                raise UserError(unlike("patchbot"))
            config = read(json.dumps(shared.config), Config)
            repo = mirrored(shared.remote, (shared.tip, shared.base))
            quiet = Terminal(file=io.StringIO())
            session = Session(Given(campaign=shared.campaign, quiet=True), quiet, quiet, lambda argv: 2)
            session.__dict__ |= {"repo": repo, "config": config}
            under = subject(session, shared.base, shared.items, os.cpu_count() or 1)
            _known[key] = Met(shared, config, under, {})
            for old in list(_known)[:-MOST]:
                del _known[old]
        return _known[key]
