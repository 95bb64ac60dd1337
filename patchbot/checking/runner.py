"""Run checks on a series and reuse what is known.

Results are keyed by what a check read, so a changed message rebuilds nothing and a rebase repeats only what it
touched. What failed always runs again: the machine may have been the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..bundle import bundled
from ..config import ChecksConfig, refuse_unknown
from ..errors import ConfigError, UserError
from ..model import Result, Status
from ..progress import count, ended
from .check import Check, Item, Subject, refuse_unfit
from .live import Grid, Part
from .programs import available, load
from .store import Results
from .tasks import Look, Task, missing_tools, tasks
from .threads import run_here
from .waivers import apply_waivers, refuse_blanket_waivers

#: Run tasks: see `run_here`.
Executor = Callable[[Subject, Sequence[Task], Grid, Look, bool], Iterator[tuple[Task, list[Result]]]]


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
    execute: Executor = run_here,
) -> list[Result]:
    """Run the checks of the configuration (or `only` those) and return the results, sorted by check, then patch.

    `only_patches` holds the numbers, from 1, of the patches to judge. Known results are reused unless `full`. Each
    result is stored as soon as it exists, so Ctrl-C loses nothing. With `fail_fast` everything after the first
    failure is SKIP. `grid` is told what goes on; `execute` runs the tasks.
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
        if passed_over := pass_over(check, subject, wanted, here=execute is run_here):
            results.append(passed_over)
            continue
        own = replace(subject, options=config.options.get(check.name, {}), pending=set())
        for one in tasks(check, own, wanted, whole=only_patches is None):
            known = look(one)
            results += known
            todo += [] if known else [one]
            own.pending.update(item.id for item in one.items if item and not known)
    grid = grid or Grid(subject.items)
    grid.plan([c.name for c in checks], [part for one in todo for part in one.parts], waive(results))
    pace = Pace(store.seconds(subject.campaign), todo, subject.jobs)
    for check in checks:
        count(check.name, *pace.of(check))
        if not pace.totals[check.name]:
            ended(went(check.name, waive(results)))
    ran: list[Result] = []
    try:
        for one, found in execute(subject, todo, grid, look, fail_fast):
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


def pass_over(check: Check, subject: Subject, wanted: Sequence[Item], *, here: bool) -> Result | None:
    """Return the result of a check that does not run at all, None for one that does."""
    if not wanted:
        status, why = Status.SKIP, "there is no patch to check"
    elif check.campaign and check.campaign != subject.campaign:
        status, why = Status.SKIP, f"it is only about the campaign {check.campaign}"
    else:
        status, why = Status.ERROR, missing_tools(check) if here else ""
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
