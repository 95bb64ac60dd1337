"""Show a run of checks while it goes on: patches by checks, what runs now, and the first failure at once.

A terminal shows as many rows as fit, first those in which something happens. Without one there is no table; the first
failure is said at once all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ..model import Result, Status
from ..progress import note
from ..series.render import plural
from ..terminal import cell
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
        self.running: set[Part] = set()
        self.failed = False
        self.lock = threading.Lock()

    def plan(self, checks: Sequence[str], todo: Iterable[Part], known: Iterable[Result]) -> None:
        """Say which checks there are, what is to be done, and what is known."""
        with self.lock:
            self.checks, self.waiting = list(checks), set(todo)
        self.end(known)

    def begin(self, parts: Iterable[Part]) -> None:
        """Say what runs now."""
        with self.lock:
            self.running |= set(parts)

    def end(self, results: Iterable[Result]) -> None:
        """Say what was found; the first failure of all is printed."""
        for result in results:
            part = (result.check, result.patch)
            with self.lock:
                self.running.discard(part)
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
        if not self.checks:
            return
        shown = pick(rows, busy, bad, idle, max(1, console.size.height - SPARE - len(self.checks)))
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
            waits = sum(patch in idle for patch in hidden)
            yield Text(f"and {plural(len(hidden), 'more row')}: {len(hidden) - waits} done, {waits} to do", "dim")

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
