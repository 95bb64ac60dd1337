"""Find the place of an edit by name and shape, and fail loudly if it cannot go there.

An anchor is a list of alternatives; the first that finds exactly one place in the tree is used. If an anchor is
missing, ambiguous or drifted in a tree, the series stops before anything is written, and every problem is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..c import Source, Span, nearest, parse
from ..errors import UserError
from ..model import Edit
from .diagnosis import elsewhere
from .tree import Tree

#: If something in the tree is at least this similar, an optional anchor counts as drifted, not as absent.
DRIFTED_LIKENESS = 0.75

#: The new text, or a function that makes it from the place.
Text = str | bytes | Callable[[Source, Span], bytes]


class AnchorError(UserError):
    """Anchors of a patch are missing, ambiguous or drifted in this tree."""


class Outcome(Enum):
    """The possible outcomes of an anchor."""

    APPLIED = "applied"
    ALREADY = "already"
    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Alternative:
    """One shape that the text may have, what to edit then, and how to see that the edit was made.

    `label` says what is found, never a version. `find` finds nothing if the text has another shape. `within` gives the
    named thing (function, struct) that `find` looks in: if it exists and `find` finds nothing, the text drifted.
    `edit` may raise AnchorError to say what it does not know about the place: the text drifted as well.
    `pattern` (C with metavariables) and `name` (of the named thing) are what is looked for, for messages.
    """

    label: str
    find: Callable[[Source], Sequence[Span]]
    edit: Callable[[Source, Span], Sequence[Edit]]
    done: Callable[[Source], bool]
    within: Callable[[Source], Sequence[Span]] | None = None
    pattern: str = ""
    name: str = ""


@dataclass(frozen=True)
class Anchor:
    """A named place in one file (`path`: the candidates, the first that exists and has it) and its alternatives.

    `optional` is the reason why a tree may lack the anchor; the report then gives it. `lost` is the reason why the
    anchor is missing whatever is in the tree: something that it depends on is not known.
    """

    name: str
    path: str | tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    optional: str = ""
    lost: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of one anchor: where, by which alternative, and what to know about it."""

    anchor: str
    path: str
    line: int | None
    outcome: Outcome
    alternative: str
    message: str
    optional: bool

    @property
    def is_problem(self) -> bool:
        """Say whether this outcome stops the series: all but applied, already and an absent optional anchor."""
        if self.outcome is Outcome.MISSING:
            return not self.optional
        return self.outcome in (Outcome.AMBIGUOUS, Outcome.DRIFTED)

    def __str__(self) -> str:
        """Return `path:line: anchor: outcome: message`."""
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.anchor}: {self.outcome.value}" + (f": {self.message}" if self.message else "")


def resolve(tree: Tree, anchors: Sequence[Anchor]) -> tuple[list[Edit], list[Report]]:
    """Return the edits of all anchors found in `tree`, and one report an anchor, whatever its outcome."""
    edits: list[Edit] = []
    reports: list[Report] = []
    for anchor in anchors:
        made, report = _resolve(tree, anchor)
        edits += made
        reports.append(report)
    return edits, reports


def judged(reports: Sequence[Report]) -> list[Report]:
    """Return the reports of one patch, with a part that the tree already has as drifted.

    That is so only if other anchors of the patch were applied: then the tree has a part of the patch.
    """
    lacking = [r.anchor for r in reports if not r.optional and r.outcome is Outcome.APPLIED]
    if not lacking:
        return list(reports)
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    part = f"this tree has only a part of this patch, not that of {', '.join(lacking[:3])}{more}"
    return [
        dataclasses.replace(r, outcome=Outcome.DRIFTED, message=f"{part}: {r.message}")
        if r.outcome is Outcome.ALREADY and not r.optional
        else r
        for r in reports
    ]


def require(reports: Sequence[Report]) -> None:
    """Raise AnchorError naming every problem in the reports of one patch, as `judged` sees them."""
    problems = [str(r) for r in judged(reports) if r.is_problem]
    if problems:
        count = "1 anchor does" if len(problems) == 1 else f"{len(problems)} anchors do"
        raise AnchorError(f"{count} not fit this tree:\n" + "\n".join(problems))


_SEVERITY = (Outcome.AMBIGUOUS, Outcome.DRIFTED, Outcome.MISSING)


def _resolve(tree: Tree, anchor: Anchor) -> tuple[list[Edit], Report]:
    """Return the edits and the report of one anchor, in the first file that has it, or nearly has it."""
    paths = (anchor.path,) if isinstance(anchor.path, str) else anchor.path
    if anchor.lost:
        return [], Report(anchor.name, paths[0], None, Outcome.MISSING, "", anchor.lost, False)
    failures: list[Report] = []
    for path in paths:
        text = tree.get(path)
        if text is None:
            continue
        edits, report = _resolve_in(parse(path, text), anchor)
        if report.outcome in (Outcome.APPLIED, Outcome.ALREADY):
            return edits, report
        failures.append(report)
    if failures:
        worst = min(failures, key=lambda r: _SEVERITY.index(r.outcome))
        names = dict.fromkeys(x.name for x in anchor.alternatives if x.name)
        found = elsewhere(tree, paths, list(names)) if worst.outcome is Outcome.MISSING and worst.is_problem else ""
        return [], dataclasses.replace(worst, message=worst.message + found)
    absent = anchor.optional or f"this tree has no {' and no '.join(paths)}"
    return [], Report(anchor.name, " or ".join(paths), None, Outcome.MISSING, "", absent, bool(anchor.optional))


def _resolve_in(source: Source, anchor: Anchor) -> tuple[list[Edit], Report]:
    """Return the edits and the report of one anchor in one file."""

    def report(outcome: Outcome, alternative: str, message: str, offset: int | None = None) -> Report:
        line = None if offset is None else source.line(offset)
        return Report(anchor.name, source.path, line, outcome, alternative, message, bool(anchor.optional))

    ambiguous: Report | None = None
    for alternative in anchor.alternatives:
        if alternative.done(source):
            return [], report(Outcome.ALREADY, alternative.label, f"the text already has it ({alternative.label})")
        spans = list(dict.fromkeys(alternative.find(source)))
        if len(spans) == 1:
            try:
                edits = alternative.edit(source, spans[0])
            except AnchorError as error:
                message = f"{alternative.label}: {error}"
                return [], report(Outcome.DRIFTED, alternative.label, message, spans[0].start)
            made = [dataclasses.replace(e, site=e.site or anchor.name) for e in edits]
            return made, report(Outcome.APPLIED, alternative.label, "", spans[0].start)
        if spans and ambiguous is None:
            lines = ", ".join(str(source.line(s.start)) for s in spans)
            message = f"{alternative.label} occurs {len(spans)} times, in lines {lines}"
            ambiguous = report(Outcome.AMBIGUOUS, alternative.label, message, spans[0].start)
    return [], ambiguous or _unfound(source, anchor)


def _unfound(source: Source, anchor: Anchor) -> Report:
    """Return the report of an anchor if no alternative finds anything: drifted or missing."""
    best: tuple[float, Report] | None = None
    for alternative in anchor.alternatives:
        scopes: list[Span | None] = list(alternative.within(source)) if alternative.within else []
        for scope in scopes or [None]:
            near = nearest(source, alternative.pattern, scope) if alternative.pattern else None
            if near and alternative.within and scope is None and near.likeness < DRIFTED_LIKENESS:
                near = None  # anywhere in the file, only great similarity means something
            likeness = near.likeness if near else 0.0
            drifted = scope is not None and (not anchor.optional or likeness >= DRIFTED_LIKENESS)
            line = near.line if near else source.line(scope.start) if scope else None
            message = f"not found: {alternative.label}"
            if alternative.within and scope is None and alternative.pattern:
                message += ", nor what should contain it"
            if near:
                message += f"; nearest:\n{_difference(alternative.pattern, near.excerpt)}"
                if likeness == 1.0:
                    message += "\n    (these are its tokens, but not whole statements, or with a syntax error)"
            outcome = Outcome.DRIFTED if drifted else Outcome.MISSING
            if anchor.optional and not drifted:
                line, message = None, anchor.optional
            found = Report(anchor.name, source.path, line, outcome, alternative.label, message, bool(anchor.optional))
            rank = likeness + drifted * 2
            if best is None or rank > best[0]:
                best = (rank, found)
    if best is None:
        return Report(anchor.name, source.path, None, Outcome.MISSING, "", "the anchor has no alternative", False)
    return best[1]


def _difference(wanted: str, found: str) -> str:
    """Write what was looked for and what is there as a small diff."""
    lines = [f"    -{line.strip()}" for line in wanted.strip().splitlines()[:12]]
    lines += [f"    +{line.strip()}" for line in found.strip().splitlines()[:12]]
    return "\n".join(lines)
