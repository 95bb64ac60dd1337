"""Tell a person what is going on, without the engine knowing whether anybody watches.

The engine calls `tick` for its current work and `count` for work side by side; `shown` decides that a terminal gets a
display on stderr, and anything else a line now and then of what takes long. A context variable keeps it out of every
signature in between.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from . import signals
from .terminal import Terminal, cell, one_line

T = TypeVar("T")

#: The display that `tick` and `count` tell, and the name of the row that `tick` is about here, "" for none.
_board: ContextVar[Board | None] = ContextVar("board", default=None)
_row: ContextVar[str] = ContextVar("row", default="")
#: Seconds between two looks of `counted`.
LOOK = 1.0
#: Seconds between two lines where no terminal is, and before the first.
EVERY = 10.0
#: The consoles of `shown`, the innermost one last.
_shown: list[Terminal] = []


def tick(what: str, done: int = 0, total: int = 0) -> None:
    """Say what is being done, and that `done` of `total` parts of it are done; `total` 0 means unknown."""
    if (board := _board.get()) is not None:
        board.tick(_row.get(), what, done, total)


def ticked(what: str, parts: Iterable[T], total: int) -> Iterator[T]:
    """Yield parts of `what`, and tick for each of them."""
    tick(what, 0, total)
    for number, part in enumerate(parts, 1):
        tick(what, number, total)
        yield part


def count(name: str, done: int, total: int, left: float | None = None) -> None:
    """Say that `done` of `total` parts of `name` are done, one of several things side by side; all of them end it.

    `left` is how many seconds the others need, if that is known from elsewhere.
    """
    if (board := _board.get()) is not None:
        board.count(name, done, total, left)


@contextmanager
def above(what: RenderableType) -> Iterator[None]:
    """Show something above the display while the code inside runs, if there is a display."""
    if (board := _board.get()) is None:
        yield
        return
    board.above = what
    try:
        yield
    finally:
        board.above = None


@contextmanager
def within(name: str) -> Iterator[None]:
    """Make the ticks inside parts of `name`; see `count`."""
    token = _row.set(name)
    try:
        yield
    finally:
        _row.reset(token)


@contextmanager
def counted(what: str, total: int, done: Callable[[], int]) -> Iterator[None]:
    """Tick the count of `done` once a second while something runs that does not tick itself."""
    tick(what, 0, total)
    if (board := _board.get()) is None:
        yield
        return
    ended, row = threading.Event(), _row.get()

    def look() -> None:
        while not ended.wait(LOOK):
            with suppress(OSError):  # a file may disappear meanwhile
                board.tick(row, what, done(), total)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


@contextmanager
def shown(console: Terminal) -> Iterator[None]:
    """Show the ticks inside on `console`, as lines if that is no terminal, unless it is quiet."""
    _shown.append(console)
    try:
        lines = nullcontext(Lines(say=console.tell))
        with nullcontext() if console.quiet else _told(_live(console) if console.is_terminal else lines):
            yield
    finally:
        _shown.remove(console)


@contextmanager
def _told(board: AbstractContextManager[Board]) -> Iterator[None]:
    """Tell a board of the ticks inside."""
    with board as made:
        token = _board.set(made)
        try:
            yield
        finally:
            _board.reset(token)


@contextmanager
def _live(console: Terminal) -> Iterator[Board]:
    """Show a board, which disappears without a trace at the end, however that comes."""
    board = Board()
    with Live(board, console=console, transient=True, refresh_per_second=4):
        signals.leavers.append(console.leave)
        try:
            yield board
        finally:
            signals.leavers.remove(console.leave)


def note(text: str | Text) -> None:
    """Print a line for the person if `shown` is on, terminal or not; from any thread."""
    for console in _shown[-1:]:
        console.tell(text)


def ended(text: str) -> None:
    """Print the outcome of something if `shown` is on and no terminal shows its progress."""
    for console in _shown[-1:]:
        if not console.is_terminal:
            console.say(text)


@dataclass
class Work:
    """Something that takes time; times are of a monotonic clock, `changed` is when `done` last grew."""

    what: str
    started: float
    done: int = 0
    total: int = 0
    changed: float = 0.0
    expected: float | None = None

    def at(self, done: int, total: int, now: float, expected: float | None = None) -> None:
        """Set how many parts are done now, and how many seconds the others are expected to need."""
        if done != self.done or expected is not None:
            self.done, self.changed = done, now
        self.total, self.expected = total, expected

    def left(self, now: float) -> float | None:
        """Return about how many seconds are left, None while there is nothing to judge by.

        Unless it was said, each part is taken to need the average of those before it, the current one at
        least the time it has used.
        """
        if self.expected is not None:
            return max(self.expected - (now - self.changed), 0.0) or None
        if not 0 < self.done < self.total:
            return None
        each = (self.changed - self.started) / self.done
        return each * (self.total - self.done - 1) + max(each - (now - self.changed), 0.0) or None

    def __str__(self) -> str:
        """Return its name with its count, if there is one."""
        return self.what + (f" {self.done}/{self.total}" if self.total else f" {self.done}" if self.done else "")


@dataclass
class Row:
    """One of the things side by side, and its current work; its clock starts with the first part."""

    name: str
    own: Work
    part: Work | None = None


@dataclass
class Board:
    """What goes on, as a table that rich redraws four times a second."""

    clock: Callable[[], float] = time.monotonic
    rows: dict[str, Row] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    above: RenderableType | None = None

    def tick(self, name: str, what: str, done: int, total: int) -> None:
        """Set the current work of a row; see `tick`."""
        with self.lock:
            now = self.clock()
            row = self.rows.setdefault(name, Row(name, Work(name, now)))
            if row.part is None:
                row.own.started = now
            if row.part is None or row.part.what != what or done < row.part.done:
                row.part = Work(what, now)
            row.part.at(done, total, now)

    def count(self, name: str, done: int, total: int, left: float | None = None) -> None:
        """Set how much of a row is done; see `count`."""
        with self.lock:
            now = self.clock()
            self.rows.pop("", None)
            self.rows.setdefault(name, Row(name, Work(name, now))).own.at(done, total, now, left)
            if done >= total:
                del self.rows[name]

    def __rich__(self) -> RenderableType:
        """Return the table, name, bar, count, time so far, time left, current work, below what is shown above it."""
        table = Table.grid(padding=(0, 1, 0, 0), expand=True)
        table.add_column(no_wrap=True, width=max((len(row.name) for row in self.rows.values()), default=0))
        table.add_column(no_wrap=True, width=12)
        for least in (5, 4, 0):
            table.add_column(no_wrap=True, min_width=least, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        with self.lock:
            for row in self.rows.values():
                table.add_row(*self.cells(row))
        return table if self.above is None else Group(self.above, table)

    def cells(self, row: Row) -> tuple[RenderableType, ...]:
        """Return the cells of a row; if it has only one part, the counts are those of its current work."""
        now = self.clock()
        if row.part is None:
            return row.name, ProgressBar(1, 0, width=12), f"0/{row.own.total}", "", "", cell("waits", "dim")
        outer = row.own.total > 1
        work = row.own if outer else row.part
        known = work.total > 0
        bar = ProgressBar(work.total or None, min(work.done, work.total), width=12, pulse=not known, animation_time=now)
        number = f"{work.done}/{work.total}" if known else str(work.done or "")
        left = work.left(now)
        eta = "" if left is None or left < 1 else f"about {span(left)} left"
        return (
            row.name,
            bar,
            number,
            span(now - row.own.started),
            eta,
            one_line(str(row.part) if outer else row.part.what),
        )


@dataclass
class Lines(Board):
    """What goes on, as a line that is said no more often than each EVERY seconds, and not of what is soon over."""

    say: Callable[[str], None] = field(kw_only=True)
    said: float = 0.0

    def __post_init__(self) -> None:
        """Begin to count the seconds."""
        self.said = self.clock()

    def tick(self, name: str, what: str, done: int, total: int) -> None:
        """Set the current work of a row, and say it."""
        super().tick(name, what, done, total)
        self.tell(name)

    def count(self, name: str, done: int, total: int, left: float | None = None) -> None:
        """Set how much of a row is done, and say it."""
        super().count(name, done, total, left)
        self.tell(name)

    def tell(self, name: str) -> None:
        """Say what a row is at, if it is time."""
        with self.lock:
            if name not in self.rows or self.clock() - self.said < EVERY:
                return
            self.said = self.clock()
            title, _, number, taken, left, what = map(str, self.cells(self.rows[name]))
        self.say(" ".join(filter(None, (title, number, what))) + f" ({', '.join(filter(None, (taken, left)))})")


def span(seconds: float) -> str:
    """Return a time as 0:07, 12:30 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
