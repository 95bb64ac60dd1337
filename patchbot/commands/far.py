"""Do what another patchbot asks for, on a worker of its cluster: the same checks, with the same code, or none."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from dataclasses import replace

from ..bundle import PACKAGE
from ..checking.check import Subject
from ..checking.cluster import Done, Job, Series, digest, logs_of
from ..checking.programs import load
from ..checking.tasks import run_task, tasks
from ..config import Config
from ..errors import UserError
from ..git.mirror import mirrored
from ..identity import identity
from ..shapes import plain, read
from ..terminal import Terminal
from ..workers import at_work, unlike
from .session import Given, Session
from .subject import subject

#: The runs that this worker has met, by digest, the last ones.
_known: dict[str, tuple[Series, Config, Subject]] = {}
_opening = threading.Lock()
MOST = 4


def do(series: str, job: str) -> str:
    """Do a Job of a Series and return a Done, all as JSON; raise UserError if this worker is not like the other."""
    wanted = read(job, Job)
    with at_work(wanted.run):
        return json.dumps(plain(done(*opened(series), wanted)))


def done(shared: Series, config: Config, under: Subject, wanted: Job) -> Done:
    """Do a job; raise UserError if the check or the campaign is another one here."""
    check = load(wanted.check, config.checks)
    own = replace(under, options=config.checks.options.get(check.name, {}))
    chosen = [item for item in under.items if item.id in wanted.patches]
    for one in tasks(check, own, chosen, whole=None in wanted.patches):
        if tuple(part[1] for part in one.parts) == wanted.patches:
            if one.check.source != wanted.source:
                break
            results = run_task(own, one)
            where = f"{socket.gethostname()} {os.getpid()}"
            return Done(tuple(results), one.keys, str(own.work), logs_of(results), where)
    raise UserError(unlike(f"the check {check.name} or the campaign {shared.campaign}"))


def opened(text: str) -> tuple[Series, Config, Subject]:
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
            _known[key] = (shared, config, subject(session, shared.base, shared.items, os.cpu_count() or 1))
            for old in list(_known)[:-MOST]:
                del _known[old]
        return _known[key]
