"""Tell a person what is going on, without the engine knowing whether anybody looks.

The engine calls `tick`; `shown` decides that a terminal gets a progress bar on stderr and nothing else gets anything.
A context variable keeps it out of every signature on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .terminal import Terminal, one_line

Sink = Callable[[str, int, int], None]
_sink: ContextVar[Sink | None] = ContextVar("progress", default=None)
#: The consoles of `shown`, the innermost one last.
_shown: list[Terminal] = []


def tick(what: str, done: int = 0, total: int = 0) -> None:
    """Say that `done` of `total` parts of `what` are done; `total` 0 means that nobody knows."""
    sink = _sink.get()
    if sink is not None:
        sink(what, done, total)


@contextmanager
def shown(console: Terminal) -> Iterator[None]:
    """Show what is ticked inside as a bar on `console` if that is a terminal."""
    _shown.append(console)
    try:
        with _bar(console) if console.is_terminal and not console.quiet else nullcontext():
            yield
    finally:
        _shown.remove(console)


@contextmanager
def _bar(console: Terminal) -> Iterator[None]:
    """Show a progress bar."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def sink(what: str, done: int, total: int) -> None:
            kind = what.split(":", 1)[0]
            if kind not in tasks:
                tasks[kind] = progress.add_task(one_line(what)[:70], total=None)
            progress.update(tasks[kind], description=one_line(what)[:70], completed=done, total=total or None)

        token = _sink.set(sink)
        try:
            yield
        finally:
            _sink.reset(token)


def note(text: str) -> None:
    """Print a line that a person should see where `shown` is on, terminal or not; from any thread."""
    for console in _shown[-1:]:
        console.say(text)


def bound() -> Callable[[str], None]:
    """Return a function that ticks here, for threads, which do not inherit the context."""
    sink = _sink.get()

    def say(what: str) -> None:
        if sink is not None:
            sink(what, 0, 0)

    return say
