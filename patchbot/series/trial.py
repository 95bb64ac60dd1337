"""Try every anchor of a campaign on a tree, so that a person who ports the campaign sees all of the work at once.

`generate` stops at what it cannot do. Here each step meets the tree that the steps before it left as far as their
anchors were found, and nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..config import CampaignConfig
from ..errors import UserError
from ..model import Edit
from ..progress import tick
from .anchors import Anchor, Outcome, Report, judged, resolve
from .campaign import Campaign, Context, Step
from .generate import active_steps
from .tree import Tree


@dataclass(frozen=True)
class Tried:
    """What became of an anchor of a step; `taken` is the number of the alternative from 1, 0 if none was."""

    step: str
    report: Report
    taken: int
    alternatives: int


def survey(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[Tried]:
    """Return every anchor of the steps that are on; a step that fails for another reason is one more row."""
    steps = active_steps(campaign, config)
    names = tuple(s.name for s in steps)
    last = max((i for i, s in enumerate(steps) if s.anchors is not None), default=-1)
    current = tree
    found: list[Tried] = []
    for number, step in enumerate(steps[: last + 1]):
        tick("anchors", number, last + 1)
        context = Context(current, tree, config, names)
        tried, edits = try_step(step, context)
        found += tried
        current = current.edit(edits)
    return found


def try_step(step: Step, context: Context) -> tuple[list[Tried], Sequence[Edit]]:
    """Return the outcomes of one step and its edits, without those of the anchors that failed."""
    anchors: Sequence[Anchor] = ()
    edits: list[Edit] = []
    reports: list[Report] = []
    refused: UserError | None = None
    try:
        anchors = step.anchors(context) if step.anchors is not None else ()
    except UserError as error:
        return [failed(step, error)], ()
    for anchor in anchors:
        try:
            made, given = resolve(context.tree, [anchor])
        except UserError as error:
            made, given = [], [drifted(anchor, error)]
        edits += made
        reports += given
    reports = judged(reports)
    if not any(r.is_problem for r in reports):
        try:
            change = step.codemod(context)
            edits = list(change.edits)
            reports += [r for r in change.reports if r not in reports] if step.anchors is not None else []
        except UserError as error:
            refused = error
    labels = [[x.label for x in a.alternatives] for a in anchors]
    labels += [[r.alternative] for r in reports[len(anchors) :]]
    tried = [numbered(step, r, known) for r, known in zip(reports, labels, strict=True)]
    return tried + ([failed(step, refused)] if refused is not None else []), edits


def numbered(step: Step, report: Report, labels: Sequence[str]) -> Tried:
    """Return a report with the number of the alternative that was taken."""
    fits = report.outcome in (Outcome.APPLIED, Outcome.ALREADY)
    taken = labels.index(report.alternative) + 1 if fits and report.alternative in labels else 0
    return Tried(step.name, report, taken, len(labels))


def drifted(anchor: Anchor, error: UserError) -> Report:
    """Return the report of an anchor that is there, but with something that its edit does not know."""
    path = anchor.path if isinstance(anchor.path, str) else " or ".join(anchor.path)
    return Report(anchor.name, path, None, Outcome.DRIFTED, "", str(error), bool(anchor.optional))


def failed(step: Step, error: UserError) -> Tried:
    """Return the row of a step that refuses the tree for what is no anchor."""
    report = Report("what the step needs besides its anchors", "", None, Outcome.MISSING, "", str(error), False)
    return Tried(step.name, report, 0, 0)


def document(found: Sequence[Tried]) -> dict[str, Any]:
    """Return the JSON document of a survey: the anchors, and how many have which outcome.

    `absent` are optional anchors that the tree lacks, `not_first` those of which a later alternative was taken.
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
