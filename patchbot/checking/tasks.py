"""Define what a run of checks consists of: one call of a check for one patch, or for all of them, with its key.

What a check returns is looked at here, too: it may be anybody's.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from ..errors import ConfigError, MissingTool, PatchbotError
from ..model import Result, Status
from ..progress import tick, within
from ..run import which
from ..shapes import convert, plain
from .check import Check, Item, Outcome, Subject
from .live import Part
from .store import result_key


@dataclass(frozen=True)
class Task:
    """One call of a check's function: it returns the outcomes for `items`, where None stands for the series."""

    check: Check
    items: tuple[Item | None, ...]
    what: str
    call: Callable[[], Outcome | Sequence[Outcome]]
    keys: tuple[str | None, ...]

    @property
    def parts(self) -> list[Part]:
        """Return which results it gives."""
        return [(self.check.name, item.id if item else None) for item in self.items]


#: Return the known results of a task, [] if it has to run.
Look = Callable[[Task], list[Result]]


def missing_tools(check: Check) -> str:
    """Return what a check needs and this machine lacks, "" if nothing."""
    lacking = []
    for tool, package in sorted(check.needs.items()):
        try:
            which(tool, package)
        except MissingTool as error:
            lacking.append(str(error))
    return "; ".join(lacking)


def tasks(check: Check, subject: Subject, wanted: Sequence[Item], *, whole: bool) -> Iterator[Task]:
    """Yield the tasks of one check; the series as a whole only if all of it is wanted."""
    # A check may ask the campaign about sites, so its key includes the campaign's code.
    check = replace(check, source=f"{check.source} {subject.source}")
    if check.patch is not None:
        for item in wanted:
            key = partial(check.patch_key, subject, item)
            yield task(check, (item,), item.subject, partial(check.patch, subject, item), key)
    key = partial(check.series_key, subject)
    if check.each is not None:
        call = partial(each_patch, check, check.each, subject, wanted)
        yield task(check, tuple(wanted), f"{len(subject.items)} patches", call, key)
    if check.series is not None and whole:
        yield task(check, (None,), "the series", partial(check.series, subject), key)


def task(
    check: Check,
    items: tuple[Item | None, ...],
    what: str,
    call: Callable[[], Outcome | Sequence[Outcome]],
    key: Callable[[], str | None],
) -> Task:
    """Return a task with its keys in the store; if the check cannot compute its key, the task says why."""
    try:
        part = key()
    except ConfigError:  # which all patches have
        raise
    except Exception as error:
        return Task(check, items, what, partial(fail, error), (None,) * len(items))
    names = (item.id if item else "" for item in items)
    keys = tuple(part and result_key(check.name, check.source, f"{name}\n{part}") for name in names)
    return Task(check, items, what, call, keys)


def fail(error: Exception) -> Sequence[Outcome]:
    """Raise what a check's key function raised."""
    raise error


def each_patch(
    check: Check, each: Callable[[Subject], Sequence[Outcome]], subject: Subject, wanted: Sequence[Item]
) -> Sequence[Outcome]:
    """Run a check that judges all patches in one go, and pick the wanted outcomes."""
    outcomes = each(subject)
    if len(outcomes) != len(subject.items):
        raise PatchbotError(
            f"{check.file}: check_each returned {len(outcomes)} outcomes for {len(subject.items)} patches"
        )
    return [outcome for item, outcome in zip(subject.items, outcomes, strict=True) if item in wanted]


def run_task(subject: Subject, task: Task) -> list[Result]:
    """Run a task; an exception becomes an ERROR result, with the traceback in a log if it was not expected.

    Raises ConfigError: what patchbot.toml says is the same for all patches, and the user's to mend.
    """
    started = time.monotonic()
    try:
        with within(task.check.name):
            tick(task.what)
            said = task.call()
        outcomes = [sound(outcome) for outcome in ([said] if isinstance(said, Outcome) else said)]
        if len(outcomes) != len(task.items):
            raise ValueError(f"it gave {len(outcomes)} outcomes, not {len(task.items)}")
    except ConfigError:
        raise
    except PatchbotError as error:
        outcomes = [Outcome(Status.ERROR, reason=str(error))] * len(task.items)
    except Exception as error:
        log = subject.log(f"{task.check.name}-traceback", task.items[0])
        log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        reason = f"a bug in {task.check.file.name}: {type(error).__name__}: {error} (traceback in {log})"
        outcomes = [Outcome(Status.ERROR, reason=reason, log=log)] * len(task.items)
    seconds = (time.monotonic() - started) / len(task.items)
    return [result_of(task.check, item, o, seconds) for item, o in zip(task.items, outcomes, strict=True)]


def sound(outcome: Outcome) -> Outcome:
    """Return an outcome after `honest`; raise ValueError or TypeError if its fields are not those of an Outcome."""
    told = plain(replace(outcome, log=outcome.log and str(outcome.log)))  # type: ignore[arg-type]
    return honest(convert(told, Outcome, "its outcome"))


def honest(outcome: Outcome) -> Outcome:
    """Return the outcome, or ERROR for a PASS that looked at nothing or a SKIP without a reason."""
    if outcome.status is Status.PASS and outcome.examined == 0:
        reason = f"the check says PASS but examined nothing; {outcome.reason}".rstrip("; ")
        return replace(outcome, status=Status.ERROR, reason=reason)
    if outcome.status is Status.SKIP and not outcome.reason:
        return replace(outcome, status=Status.ERROR, reason="the check says SKIP but not why")
    return outcome


def result_of(check: Check, item: Item | None, outcome: Outcome, seconds: float) -> Result:
    """Return an outcome as the result of a check on a patch."""
    return Result(
        check.name,
        item.id if item else None,
        item.commit if item else None,
        outcome.status,
        outcome.reason,
        outcome.findings,
        seconds=round(seconds, 3),
        log=str(outcome.log) if outcome.log else None,
        reproduce=outcome.reproduce,
        date=datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00"),
        evidence=outcome.evidence,
        covered=outcome.covered,
    )


def not_run(task: Task, why: str) -> tuple[Task, list[Result]]:
    """Return a task that did not run, with SKIP for a reason, and nothing to keep."""
    skipped = Outcome(Status.SKIP, reason=why)
    return replace(task, keys=(None,) * len(task.keys)), [result_of(task.check, i, skipped, 0.0) for i in task.items]
