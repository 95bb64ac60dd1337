"""Run checks on a series and reuse what is known.

Results are keyed by what a check read, so a changed message rebuilds nothing and a rebase repeats only what it
touched. What failed always runs again: the machine may have been the reason.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

from ..bundle import bundled
from ..config import ChecksConfig, refuse_unknown
from ..errors import ConfigError, MissingTool, PatchbotError, UserError
from ..model import Result, Status
from ..progress import count, ended, tick, within
from ..run import which
from ..shapes import convert, plain
from .check import Check, Item, Outcome, Subject, refuse_unfit
from .live import Grid, Part
from .programs import available, load
from .store import Results, result_key
from .waivers import apply_waivers, refuse_blanket_waivers


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


class Pace:
    """How many tasks of each check are done, and how long the others need by what the last run took."""

    def __init__(self, seconds: Mapping[str, Mapping[str, float]], todo: Iterable[Task], jobs: int) -> None:
        """Take the recorded seconds, {check: {patch: seconds}}, and the tasks of a run."""
        self.seconds, self.jobs = seconds, jobs
        self.left: dict[str, list[list[Part]]] = {}
        for one in todo:
            self.left.setdefault(one.check.name, []).append(one.parts)
        self.totals = Counter({name: len(tasks) for name, tasks in self.left.items()})

    def done(self, task: Task) -> None:
        """Strike a task off."""
        self.left[task.check.name].remove(task.parts)

    def ended(self, check: Check) -> bool:
        """Say whether a check has nothing left to do."""
        return not self.left.get(check.name)

    def of(self, check: Check) -> tuple[int, int, float | None]:
        """Return how many tasks of a check are done, of how many, and the seconds that the others need, if known."""
        total, left = self.totals[check.name], self.left.get(check.name, [])
        known = self.seconds.get(check.name, {})
        if not known:
            return total - len(left), total, None
        usual = sum(known.values()) / len(known)
        need = sum(known.get(patch or "", usual) for parts in left for _, patch in parts)
        return total - len(left), total, need / (1 if check.exclusive else max(1, self.jobs))


def run_checks(
    subject: Subject,
    config: ChecksConfig,
    store: Results,
    *,
    only: Sequence[str] = (),
    only_patches: Container[int] | None = None,
    fail_fast: bool = False,
    full: bool = False,
    grid: Grid | None = None,
) -> list[Result]:
    """Run the checks of the configuration (or `only` those) and return the results, sorted by check, then patch.

    `only_patches` holds the numbers, from 1, of the patches to judge. Known results are reused unless `full`. Each
    result is stored as soon as it exists, so Ctrl-C loses nothing. With `fail_fast` everything after the first
    failure is SKIP. `grid` is told what goes on.
    """
    checks = choose(config, only)
    there = available(config)
    refuse_unknown("patchbot.toml", "checks", config.options, sorted(there))
    for name in sorted(config.options):
        if name in {c.name for c in checks} or there[name].parent == bundled("checks"):
            refuse_unfit(load(name, config), config.options[name])
    refuse_blanket_waivers(config.waivers, {c.name: c.waivable for c in checks}, there)
    wanted = [i for number, i in enumerate(subject.items, 1) if only_patches is None or number in only_patches]
    steps = {item.id: item.step for item in subject.items}
    waivers = [w for w in config.waivers if w.campaign in ("", subject.campaign)]
    waive = partial(apply_waivers, waivers=waivers, steps=steps, complete=False)
    results: list[Result] = []
    todo: list[Task] = []

    def look(one: Task) -> list[Result]:
        """Return what is known, which another run may have found by now."""
        return [] if full else reuse(store, one, waive)

    for check in checks:
        if passed_over := pass_over(check, subject, wanted):
            results.append(passed_over)
            continue
        own = replace(subject, options=config.options.get(check.name, {}))
        for one in tasks(check, own, wanted, whole=only_patches is None):
            known = look(one)
            results += known
            todo += [] if known else [one]
    # The cheap ones run first and side by side; one that uses every processor itself runs alone.
    crowd = [] if fail_fast else [t for t in todo if not t.check.exclusive]
    alone = [t for t in todo if t not in crowd]
    grid = grid or Grid(subject.items)
    grid.plan([c.name for c in checks], [part for one in todo for part in one.parts], waive(results))
    pace = Pace(store.seconds(subject.campaign), todo, subject.jobs)
    for check in checks:
        count(check.name, *pace.of(check))
        if not pace.totals[check.name]:
            ended(went(check.name, waive(results)))
    ran: list[Result] = []
    try:
        side_by_side = run_parallel(subject, crowd, grid, look)
        for one, found in chain(side_by_side, run_alone(subject, alone, fail_fast, grid, look)):
            save(store, one, found)
            ran += found
            pace.done(one)
            grid.end(waive(found))
            count(one.check.name, *pace.of(one.check))
            if pace.ended(one.check):
                ended(went(one.check.name, waive([*results, *ran])))
    finally:
        if ran:
            store.took(subject.campaign, ran)
    results += ran
    places = {item.id: number for number, item in enumerate(subject.items)}
    order = {check.name: number for number, check in enumerate(checks)}
    results.sort(key=lambda r: (order[r.check], places.get(r.patch or "", len(places))))
    return apply_waivers(results, waivers, steps, complete=only_patches is None)


def went(name: str, results: Iterable[Result]) -> str:
    """Return the outcome of a check in one line."""
    own = [r for r in results if r.check == name]
    counts, known = Counter(r.status for r in own), sum(r.cached for r in own)
    said = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    seconds = sum(r.seconds for r in own)
    return (
        f"{name}: {said}"
        + (f", {known} of them known before" if known else "")
        + (f", {seconds:.1f} s" if known < len(own) else "")
    )


def pass_over(check: Check, subject: Subject, wanted: Sequence[Item]) -> Result | None:
    """Return the result of a check that does not run at all, None for one that does."""
    if not wanted:
        status, why = Status.SKIP, "there is no patch to check"
    elif check.campaign and check.campaign != subject.campaign:
        status, why = Status.SKIP, f"it is only about the campaign {check.campaign}"
    else:
        status, why = Status.ERROR, missing_tools(check)
    return Result(check.name, None, None, status, why) if why else None


def choose(config: ChecksConfig, only: Sequence[str] = ()) -> list[Check]:
    """Return the checks to run, in the order of [checks] run, followed by others in `only`."""
    names = list(dict.fromkeys(only or config.run))
    if not names:
        raise UserError("no check is chosen: [checks] run is empty")
    order = {name: place for place, name in enumerate(config.run)}
    try:
        return [load(name, config) for name in sorted(names, key=lambda n: order.get(n, len(order)))]
    except ConfigError as error:
        if only and error.at == "checks.run":  # it was the command line that named it
            raise UserError(f"--only: {error}") from error
        raise


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


def run_task(subject: Subject, grid: Grid, task: Task) -> list[Result]:
    """Run a task; an exception becomes an ERROR result, with the traceback in a log if it was not expected.

    Raises ConfigError: what patchbot.toml says is the same for all patches, and the user's to mend.
    """
    started = time.monotonic()
    grid.begin(task.parts)
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


def run_parallel(
    subject: Subject, crowd: Sequence[Task], grid: Grid, look: Look
) -> Iterable[tuple[Task, list[Result]]]:
    """Run tasks side by side, `subject.jobs` at a time, and yield each as it ends, or what is known of it by then."""
    jobs = max(1, subject.jobs)
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="check")
    waiting: dict[Future[list[Result]], Task] = {}
    try:
        for one in crowd:
            if known := look(one):
                yield one, known
                continue
            waiting[pool.submit(copy_context().run, run_task, subject, grid, one)] = one
            if len(waiting) == jobs:
                yield from first_ended(waiting)
        while waiting:
            yield from first_ended(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def first_ended(waiting: dict[Future[list[Result]], Task]) -> Iterator[tuple[Task, list[Result]]]:
    """Yield the tasks that end next, which wait no longer."""
    for future in wait(waiting, return_when=FIRST_COMPLETED)[0]:
        yield waiting.pop(future), future.result()


def run_alone(
    subject: Subject, todo: Sequence[Task], fail_fast: bool, grid: Grid, look: Look
) -> Iterable[tuple[Task, list[Result]]]:
    """Run tasks in order and yield each as it ends; after a failure, with `fail_fast`, the others are SKIP."""
    failed = ""
    for one in todo:
        if failed:  # what did not run has no result to keep
            skipped = Outcome(Status.SKIP, reason=failed)
            unkept = replace(one, keys=(None,) * len(one.keys))
            yield unkept, [result_of(one.check, item, skipped, 0.0) for item in one.items]
            continue
        found = look(one) or run_task(subject, grid, one)
        yield one, found
        bad = [r for r in found if r.status.rank >= Status.FAIL.rank]
        if bad and fail_fast:
            failed = f"not run: --fail-fast, and {bad[0].check} of {bad[0].patch or 'the series'} failed"


def reuse(store: Results, task: Task, waive: Callable[[Sequence[Result]], list[Result]]) -> list[Result]:
    """Return the stored results of a task if all of them are known and none failed but for what is waived."""
    found = []
    for item, key in zip(task.items, task.keys, strict=True):
        old = store.get(key) if key else None
        if old is None:
            return []
        log = old.log if old.log and Path(old.log).exists() else None
        patch, commit = (item.id, item.commit) if item else (None, None)
        found.append(replace(old, patch=patch, commit=commit, cached=True, seconds=0.0, log=log))
    return [] if any(r.status.rank >= Status.FAIL.rank for r in waive(found)) else found


def save(store: Results, task: Task, found: Sequence[Result]) -> None:
    """Store the results of a task under their keys; a failure is stored for the record, and `reuse` ignores it."""
    for key, result in zip(task.keys, found, strict=True):
        if key is not None and not result.cached:
            store.put(key, result)
