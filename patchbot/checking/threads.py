"""Do tasks on this machine: cheap ones side by side, in threads; one that uses every processor itself runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context

from ..model import Result, Status
from .check import Subject
from .live import Grid
from .tasks import Look, Task, not_run, run_task


def run_here(
    subject: Subject, todo: Sequence[Task], grid: Grid, look: Look, fail_fast: bool
) -> Iterator[tuple[Task, list[Result]]]:
    """Yield each task as it ends, with its results; with `fail_fast` everything after the first failure is SKIP."""
    crowd = [] if fail_fast else [t for t in todo if not t.check.exclusive]
    yield from run_parallel(subject, crowd, grid, look)
    yield from run_alone(subject, [t for t in todo if t not in crowd], fail_fast, grid, look)


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
            waiting[pool.submit(copy_context().run, begin, subject, grid, one)] = one
            if len(waiting) == jobs:
                yield from first_ended(waiting)
        while waiting:
            yield from first_ended(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def begin(subject: Subject, grid: Grid, task: Task) -> list[Result]:
    """Run a task, and say that it runs."""
    grid.begin(task.parts)
    return run_task(subject, task)


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
        if failed:
            yield not_run(one, failed)
            continue
        found = look(one) or begin(subject, grid, one)
        yield one, found
        bad = [r for r in found if r.status.rank >= Status.FAIL.rank]
        if bad and fail_fast:
            failed = f"not run: --fail-fast, and {bad[0].check} of {bad[0].patch or 'the series'} failed"
