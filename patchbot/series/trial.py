"""Try the steps of a campaign on a tree, even after failures: the one loop behind `generate` and `scan --anchors`.

Each step works on the tree that the steps before it left, as far as their anchors were found, so a person who ports a
campaign sees all the work at once; a failure may be the consequence of an earlier one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import CampaignConfig
from ..errors import PatchbotError, UserError
from ..model import Edit
from ..progress import tick
from .anchors import Anchor, Outcome, Report, judged, resolve
from .campaign import Campaign, Change, Context, Kept, Step, active_steps
from .returned import insist_change
from .tree import Tree


@dataclass(frozen=True)
class Attempt:
    """The outcome of a step: the tree before it, its change and the tree after it; if it `refused`, only what fits."""

    step: Step
    context: Context
    change: Change
    after: Tree
    refused: UserError | None


@dataclass(frozen=True)
class Tried:
    """The outcome of an anchor of a step; `taken` is the number of the alternative, from 1; 0 if none was."""

    step: str
    report: Report
    taken: int
    alternatives: int


def attempts(
    tree: Tree,
    campaign: Campaign,
    config: CampaignConfig,
    wanted: Callable[[Step], object],
    doing: str = "generate",
    kept: Kept | None = None,
) -> Iterator[Attempt]:
    """Try the steps that are on, each on the result of the one before, except those not `wanted` at their turn.

    A `last` step is left out while a step before it changes anything.
    """
    steps = active_steps(campaign, config)
    names = tuple(s.name for s in steps)
    current, idle = tree, True
    for number, step in enumerate(steps):
        tick(doing, number, len(steps))
        if not wanted(step) or (step.last and not idle):
            continue
        context = Context(current, tree, config, names, kept or Kept())
        refused = None
        try:
            change = step.codemod(context)
        except UserError as error:
            change, refused = Change(fitting(step, context)), error
        insist_change(f"step {step.name}: its codemod", change)
        idle = idle and not change.edits
        current = current.edit(change.edits)
        yield Attempt(step, context, change, current, refused)


def resolved(step: Step, context: Context) -> list[tuple[Anchor, Sequence[Edit], Report]]:
    """Return the anchors of a step, each with its edits and its report."""
    found: list[tuple[Anchor, Sequence[Edit], Report]] = []
    for anchor in step.anchors(context) if step.anchors is not None else ():
        try:
            edits, (report,) = resolve(context.tree, [anchor])
        except UserError as error:
            edits, report = [], drifted_anchor(anchor, error)
        found.append((anchor, edits, report))
    return found


def fitting(step: Step, context: Context) -> tuple[Edit, ...]:
    """Return the edits of those anchors of a step that fit; none if even that is unknown."""
    try:
        edits = tuple(edit for _, made, _ in resolved(step, context) for edit in made)
        context.tree.edit(edits)
    except PatchbotError:
        return ()
    return edits


def survey(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[Tried]:
    """Return every anchor of the steps that are on; a step that fails for another reason is one more row."""
    steps = active_steps(campaign, config)
    last = max((n for n, step in enumerate(steps) if step.anchors is not None), default=-1)
    tries = attempts(tree, campaign, config, lambda step: step in steps[: last + 1], "anchors")
    return [row for tried in tries for row in outcomes(tried)]


def outcomes(tried: Attempt) -> list[Tried]:
    """Return the outcomes of the anchors of one step, and of what else it needs."""
    step, more = tried.step, list(tried.change.reports) if tried.step.anchors is not None else []
    try:
        found = resolved(step, tried.context)
    except UserError as error:
        return [failed_step(step, error)]
    reports = judged([report for _, _, report in found])
    labels = [[x.label for x in anchor.alternatives] for anchor, _, _ in found]
    rows = [with_number(step, r, known) for r, known in zip(reports, labels, strict=True)]
    if any(r.is_problem for r in reports):
        return rows  # for which the step refuses the tree
    rows += [with_number(step, r, [r.alternative]) for r in more if r not in reports]
    return [*rows, failed_step(step, tried.refused)] if tried.refused is not None else rows


def with_number(step: Step, report: Report, labels: Sequence[str]) -> Tried:
    """Return a report with the number of the alternative that was taken."""
    fits = report.outcome in (Outcome.APPLIED, Outcome.ALREADY)
    taken = labels.index(report.alternative) + 1 if fits and report.alternative in labels else 0
    return Tried(step.name, report, taken, len(labels))


def drifted_anchor(anchor: Anchor, error: UserError) -> Report:
    """Return the report of an anchor that exists, but with something that its edit does not know."""
    path = anchor.path if isinstance(anchor.path, str) else " or ".join(anchor.path)
    return Report(anchor.name, path, None, Outcome.DRIFTED, "", str(error), bool(anchor.optional))


def failed_step(step: Step, error: UserError) -> Tried:
    """Return the row of a step that refuses the tree for something that is not an anchor."""
    report = Report("what the step needs besides its anchors", "", None, Outcome.MISSING, "", str(error), False)
    return Tried(step.name, report, 0, 0)


def survey_document(found: Sequence[Tried]) -> dict[str, Any]:
    """Return the JSON document of a survey: the anchors, and how many have which outcome.

    `absent` are optional anchors that the tree lacks, `not_first` those for which a later alternative was used.
    """
    outcomes = Counter(t.report.outcome.value for t in found)
    absent = sum(t.report.outcome is Outcome.MISSING and not t.report.is_problem for t in found)
    return {
        "anchors": [
            {
                "step": t.step,
                "anchor": t.report.anchor,
                "file": t.report.path,
                "line": t.report.line,
                "outcome": t.report.outcome.value,
                "alternative": t.report.alternative,
                "taken": t.taken,
                "alternatives": t.alternatives,
                "optional": t.report.optional,
                "problem": t.report.is_problem,
                "message": t.report.message,
            }
            for t in found
        ],
        "counts": {
            "anchors": len(found),
            **{o.value: outcomes[o.value] - (absent if o is Outcome.MISSING else 0) for o in Outcome},
            "absent": absent,
            "several": sum(t.alternatives > 1 for t in found),
            "not_first": sum(t.taken > 1 for t in found),
        },
    }
