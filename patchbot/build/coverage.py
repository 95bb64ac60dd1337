"""Keep which compiler saw which changed line, and say why none saw the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import temporary
from ..c.conditions import conditions_at
from ..c.source import Source
from ..model import Covered, Finding, Status
from ..shapes import plain
from .bench import Bench
from .marks import BODY, DIRECTIVE, EVALUATED, Mark, before, marks_of
from .survey import Seen
from .units import Unit

#: How many runs of lines a finding names.
SHOWN = 6


@dataclass(frozen=True, order=True)
class Where:
    """Who compiled a line: for which architecture, in which configuration, as part of which object."""

    arch: str
    config: str
    object: str
    source: str = ""
    module: str = ""

    @property
    def name(self) -> str:
        """Return the configuration for a sentence."""
        return f"{self.arch} {self.config}"


@dataclass
class Coverage:
    """The lines that a patch adds or changes, the mark of each (None: it holds nothing to compile), and what is known.

    `by` says who compiled a mark, `only_text` holds those that only ended up in a string. `shown` are the objects that
    a file is part of, `lacking` says why a file is in none, `reached` are the directives that were carried out,
    `elsewhere` says which compiler would be needed.
    """

    sources: Mapping[str, Source]
    lines: dict[tuple[str, int], Mark | None] = field(default_factory=dict)
    by: dict[Mark, Where] = field(default_factory=dict)
    only_text: set[Mark] = field(default_factory=set)
    shown: dict[str, list[Where]] = field(default_factory=dict)
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)
    reached: set[Mark] = field(default_factory=set)
    elsewhere: dict[Mark, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Mapping[str, Source], lines: Mapping[str, Sequence[int]]) -> Coverage:
        """Return the coverage of some lines of files, of which nothing is known yet."""
        new = cls(sources)
        for path, numbers in sorted(lines.items()):
            marks = marks_of(sources[path], numbers)
            new.lines.update(((path, number), mark) for number, mark in sorted(marks.items()))
        return new

    @property
    def left(self) -> frozenset[Mark]:
        """The marks that nobody compiled so far."""
        return frozenset(mark for mark in self.lines.values() if mark and mark not in self.by)

    def asked(self, marks: frozenset[Mark]) -> frozenset[Mark]:
        """Return the marks to look for: some that are left, and those that tell why."""
        heads = (before(self.sources[mark.path], mark) for mark in marks)
        return marks | {mark for mark in heads if mark and mark not in self.by}

    def came_to(self, mark: Mark) -> bool:
        """Say whether the preprocessor came to a line that is left: as text, or where nothing expands or keeps it."""
        return mark in self.only_text or before(self.sources[mark.path], mark) in self.reached

    def add(self, bench: Bench, found: Mapping[Unit, Seen]) -> None:
        """Add what objects of a bench showed."""
        wanted = self.left
        for unit, seen in sorted(found.items()):
            where = Where(bench.kbuild.compiler.arch.folder, bench.title, unit.obj, unit.source, unit.module)
            for path in {*seen.files} & self.sources.keys():
                self.shown.setdefault(path, []).append(where)
            for mark in seen.marks:
                self.reached.add(mark)
                if mark in wanted:
                    self.by.setdefault(mark, where)
            self.only_text.update(seen.only_text)

    def why(self, mark: Mark) -> tuple[str, str]:
        """Return the kind of reason for which nobody compiled a mark, and the reason."""
        if mark in self.elsewhere:
            above = conditions_at(self.sources[mark.path], mark.at)
            return "NO_COMPILER", self.elsewhere[mark] + (f"; it is under #if {' && '.join(above)}" if above else "")
        if mark.path not in self.shown:
            if mark.path in self.lacking:
                return self.lacking[mark.path]
            return "NOT_INCLUDED", "nothing that was compiled includes it"
        source = self.sources[mark.path]
        objects = sorted({where.object for where in self.shown[mark.path]})
        among = f"{', '.join(objects[:3])}{f' and {len(objects) - 3} more' if len(objects) > 3 else ''}"
        above = conditions_at(source, mark.at)
        if above and not self.came_to(mark):
            return "UNDER_IF", f"under #if {' && '.join(above)}, which held in no configuration that was tried"
        if mark.kind == EVALUATED:
            return "UNDER_IF", f"its condition is not evaluated: an earlier branch of the #if holds in {among}"
        if mark in self.only_text and mark.path.endswith(".S"):
            why = "the assembler does not come to it: it is under an .if, or in a .macro or .rept that is used no time"
            return "NOT_ASSEMBLED", f"{why} ({among})"
        if mark in self.only_text:
            return "ONLY_TEXT", f"it only becomes text in a string, which no compiler judges ({among})"
        if mark.kind == BODY:
            return "NOT_EXPANDED", f"nothing expands the macro {mark.name} in what was compiled ({among})"
        if mark.kind == DIRECTIVE:
            return "UNDER_IF", f"the preprocessor does not come to it in {among}"
        return "DROPPED", f"the macro that it is given to drops it in {among}"

    def findings(self) -> list[Finding]:
        """Return a finding for the lines of a file that nobody compiled for the same reason, at the first of them."""
        rows = [(path, n, *self.why(m)) for (path, n), m in self.lines.items() if m and m not in self.by]
        places: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
        for path, first, last, (kind, why) in runs((path, n, (kind, why)) for path, n, kind, why in rows):
            places.setdefault((path, kind, why), []).append((first, last))
        return [
            Finding(Status.WARN, f"{named_lines(spans)} not compiled: {why}", path, spans[0][0], kind)
            for (path, kind, why), spans in places.items()
        ]

    def covered(self) -> tuple[Covered, ...]:
        """Return who compiled each line that holds something to compile, for the page."""
        rows = (
            (path, number, f"{where.name}, {where.object}" if (where := self.by.get(mark)) else "")
            for (path, number), mark in self.lines.items()
            if mark
        )
        return tuple(Covered(*row) for row in runs(rows))

    def counts(self) -> Counter[str]:
        """Return how many lines each configuration was the first to compile."""
        return Counter(self.by[mark].name for mark in self.lines.values() if mark in self.by)

    def document(self) -> dict[str, Any]:
        """Return what compiled each line, as JSON can hold it: runs of lines of one fate."""
        rows: list[tuple[str, int, dict[str, Any]]] = []
        for (path, number), mark in self.lines.items():
            if mark is None:
                rows.append((path, number, {"compiled": None, "why": "nothing to compile"}))
            elif where := self.by.get(mark):
                rows.append((path, number, {"compiled": True, **plain(where)}))
            else:
                tried = [plain(place) for place in self.shown.get(path, ())]
                rows.append((path, number, {"compiled": False, "why": self.why(mark)[1], "tried": tried}))
        return {"schema": 1, "lines": [{"file": p, "first": a, "last": b, **fate} for p, a, b, fate in runs(rows)]}


def runs(rows: Iterable[tuple[str, int, Any]]) -> list[tuple[str, int, int, Any]]:
    """Return (file, first, last, what) of consecutive lines of a file about which the same is said."""
    found: list[tuple[str, int, int, Any]] = []
    for path, number, what in rows:
        if found and found[-1][0] == path and found[-1][2] + 1 == number and found[-1][3] == what:
            found[-1] = (path, found[-1][1], number, what)
        else:
            found.append((path, number, number, what))
    return found


def named_lines(spans: Sequence[tuple[int, int]]) -> str:
    """Return runs of lines, (first, last), for a sentence."""
    words = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    words = [*words[:SHOWN], f"in {len(words) - SHOWN} more places"] if len(words) > SHOWN + 1 else words
    text = f"{', '.join(words[:-1])} and {words[-1]}" if words[1:] else words[0]
    return f"line {text}" if text.isdecimal() else f"lines {text}"


def write_coverage(coverage: Coverage, path: Path) -> None:
    """Write what compiled each line of a patch, for whoever shows it beside the diff."""
    temporary.replace(path, json.dumps(coverage.document(), indent=1).encode())
