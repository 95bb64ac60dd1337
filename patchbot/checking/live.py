"""Show a run of checks while it goes on: patches by checks, what runs now and on which worker, and the first failure.

A terminal shows as many rows as fit, first those in which something happens. Without one there is no table; the first
failure, and each worker that is lost, is said at once all the same.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ..model import Result, Status
from ..progress import note
from ..series.render import plural
from ..terminal import cell, one_line
from .check import Item
from .report import details, judged, whose

#: A check and a patch by its id, or the series.
Part = tuple[str, str | None]
#: Rows of the terminal that the table leaves: its head, the sum, the rows of progress below have one more each.
SPARE = 4
WAITS, RUNS = Text(".", "dim"), Text("runs", "bold cyan")
SERIES = "(the series)"


class Grid:
    """The table; `plan`, `begin` and `end` may be called from any thread."""

    def __init__(self, items: Sequence[Item]) -> None:
        """Take the patches of the series."""
        self.names = {item.id: item.subject for item in items}
        self.numbers = {item.id: number for number, item in enumerate(items, 1)}
        self.checks: list[str] = []
        self.found: dict[Part, list[Result]] = {}
        self.waiting: set[Part] = set()
        self.running: dict[Part, str] = {}
        #: The workers by address, with their names; how many came from each host; how many were lost.
        self.crew: dict[str, str] = {}
        self.came: Counter[str] = Counter()
        self.lost = 0
        self.failed = False
        self.lock = threading.Lock()

    def plan(self, checks: Sequence[str], todo: Iterable[Part], known: Iterable[Result]) -> None:
        """Say which checks there are, what is to be done, and what is known."""
        with self.lock:
            self.checks, self.waiting = list(checks), set(todo)
        self.end(known)

    def begin(self, parts: Iterable[Part], worker: str = "") -> None:
        """Say what runs now, and on which worker, by its address, if it is not this machine."""
        with self.lock:
            self.running |= {part: worker for part in parts if part in self.waiting}

    def join(self, worker: str, host: str) -> str:
        """Take a worker, by its address, into the table; return its name: its host, and which one of that it is."""
        with self.lock:
            if worker not in self.crew:
                self.came[host] += 1
                self.crew[worker] = f"{host} {self.came[host]}"
            return self.crew[worker]

    def leave(self, worker: str, *, lost: bool) -> None:
        """Take a worker out; what it was doing waits again. One that is lost is said at once."""
        with self.lock:
            name = self.crew.pop(worker, None)
            self.running = {part: at for part, at in self.running.items() if at != worker}
            self.lost += lost and name is not None
            left = plural(len(self.crew), "worker is", "workers are")
        if lost and name:
            note(one_line(f"the worker {name} is lost, and {left} left; what it was doing is done again"))

    def end(self, results: Iterable[Result]) -> None:
        """Say what was found; the first failure of all is printed."""
        for result in results:
            part = (result.check, result.patch)
            with self.lock:
                self.running.pop(part, None)
                self.waiting.discard(part)
                self.found.setdefault(part, []).append(result)
                first = not self.failed and result.status.rank >= Status.FAIL.rank
                self.failed |= first
            if first:
                note(details(result, whose([result], self.numbers), 1))

    def __rich_console__(self, console: Any, options: ConsoleOptions) -> RenderResult:
        """Yield the table, as high as the terminal allows."""
        with self.lock:
            rows = self.rows()
            cells = {patch: [self.cell(check, patch) for check in self.checks] for patch in rows}
            busy = {patch for _, patch in self.running}
            bad = {p for (_, p), found in self.found.items() if any(r.status.rank >= Status.WARN.rank for r in found)}
            idle = {patch for _, patch in self.waiting} - busy
            crew = list(self.working())
        if not self.checks:
            return
        room = max(1, console.size.height - SPARE - len(self.checks))
        most = max(0, min(len(crew), room // 2 - 1))
        shown = pick(rows, busy, bad, idle, max(1, room - most - bool(crew)))
        table = Table.grid(padding=(0, 1, 0, 0), expand=True)
        table.add_column(justify="right", no_wrap=True)
        for check in self.checks:
            table.add_column(no_wrap=True, min_width=min(len(check), 6), overflow="ellipsis")
        table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_row("", *(Text(check, "bold") for check in self.checks), "")
        for patch in shown:
            name = cell(self.names.get(patch or "", SERIES), "bold" if patch in busy else "")
            table.add_row(str(self.numbers.get(patch or "", "")), *cells[patch], name)
        yield table
        if hidden := [patch for patch in rows if patch not in shown]:
            waits = len({*hidden} & (idle | busy))
            yield Text(f"and {plural(len(hidden), 'more row')}: {len(hidden) - waits} done, {waits} to do", "dim")
        yield from self.workers(crew, most)

    def working(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each worker, with what it does: `build 3, 4`, or "" if that is nothing."""
        parts: dict[str, dict[str, list[str]]] = {}
        for (check, patch), worker in self.running.items():
            number = str(self.numbers.get(patch or "", SERIES))
            parts.setdefault(worker, {}).setdefault(check, []).append(number)
        for worker, name in self.crew.items():
            found = parts.get(worker, {}).items()
            yield name, "; ".join(f"{check} {', '.join(numbers)}" for check, numbers in found)

    def workers(self, crew: Sequence[tuple[str, str]], most: int) -> RenderResult:
        """Yield how many workers there are, and of `most` of them what they do, first those at work."""
        if not crew and not self.lost:
            return
        busy = sum(bool(what) for _, what in crew)
        said = f"{plural(len(crew), 'worker')}: {busy} at work, {len(crew) - busy} idle"
        yield Text.assemble(said, (f", {self.lost} lost", "bold red") if self.lost else "")
        shown = Table.grid(padding=(0, 1, 0, 0), expand=True)
        shown.add_column(no_wrap=True, max_width=30, overflow="ellipsis")
        shown.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
        for name, what in sorted(crew, key=lambda one: not one[1])[:most]:
            shown.add_row(cell(f"  {name}"), cell(what) if what else cell("idle", "dim"))
        yield shown

    def rows(self) -> list[str | None]:
        """Return the patches that something is or will be known of, in order, and None for the series at the end."""
        there = {patch for _, patch in [*self.found, *self.waiting]}
        return [*(patch for patch in self.numbers if patch in there), *([None] if None in there else [])]

    def cell(self, check: str, patch: str | None) -> Text:
        """Return what a cell of the table shows."""
        part = (check, patch)
        return RUNS if part in self.running else WAITS if part in self.waiting else judged(self.found.get(part, []))


def pick(
    rows: Sequence[str | None], busy: set[str | None], bad: set[str | None], idle: set[str | None], room: int
) -> list[str | None]:
    """Return the rows to show, in order: what runs, what is not right, the next ones, and the last that were done."""
    places = {patch: number for number, patch in enumerate(rows)}
    begun = max([-1, *(places[p] for p in busy if p in places)])

    def rank(patch: str | None) -> tuple[int, int]:
        place = places[patch]
        if patch in busy:
            return 0, place
        if patch in bad:
            return 1, place
        return (2, place) if patch in idle else (3, abs(place - begun))

    chosen = set(sorted(rows, key=rank)[:room])
    return [patch for patch in rows if patch in chosen]
