"""Try every anchor of a campaign on a tree, so that a person who ports the campaign sees all of the work at once.

`generate` stops at what it cannot do. Here each step meets the tree that the steps before it left as far as their
anchors were found, and nothing is written. And where `generate` stopped, say everything that is wrong with a base at
once, and who changed it there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..config import CampaignConfig
from ..errors import ConfigError, PatchbotError, RefusedSites, UserError
from ..git.commits import read_commit
from ..git.repo import Repo
from ..model import Commit, Edit
from ..progress import tick
from .anchors import Anchor, Outcome, Report, judged, resolve
from .campaign import Campaign, Context, Step
from .generate import active_steps, refusal
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
    """Return the row of a step that refuses the tree for what is not an anchor."""
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


PLACE = re.compile(r"^\s*((?=[^\s:]+?/[^\s:])[^\s:]++|[A-Z][a-z]+file)(?::(\d{1,9}))?: ")


#: A blame of one line of a file with a long history takes seconds; more than this is not worth waiting for.
PATIENCE = 20.0


@contextmanager
def complete(tree: Tree, campaign: Campaign, config: CampaignConfig) -> Iterator[None]:
    """Add to a failure to make a series all else that keeps `tree` from having one."""
    try:
        yield
    except ConfigError:
        raise
    except (UserError, RefusedSites) as error:
        kind, text = everything(tree, campaign, config)
        if not text or text == str(error):
            raise
        raise kind(text) from error


@contextmanager
def explained(tree: Tree, campaign: Campaign, config: CampaignConfig, old: str) -> Iterator[None]:
    """Do as `complete` does, and say which commit of the new base last changed each place."""
    try:
        with complete(tree, campaign, config):
            yield
    except (UserError, RefusedSites) as error:
        text = "\n".join(annotated(tree.repo, tree.commit, old, str(error).split("\n")))
        kind: type[PatchbotError] = RefusedSites if isinstance(error, RefusedSites) else UserError
        raise kind(f"{text}\nthe last version is as it was") from error


def everything(tree: Tree, campaign: Campaign, config: CampaignConfig) -> tuple[type[PatchbotError], str]:
    """Return all that keeps a tree from having a series, "" for nothing, and the kind of error that it is."""
    found: list[str] = []
    kind: type[PatchbotError] = UserError
    try:
        refused = campaign.audit(tree, config).refused
    except UserError as error:
        found.append(f"nothing was written, because this tree has what is not understood:\n{indented(str(error))}")
    else:
        if refused:
            kind = RefusedSites
            found.append(str(refusal(refused)))
    failures = failing(tree, campaign, config)
    if failures:
        kind = UserError  # decisions about the sites would not be enough
    if failures and not found:
        found.append("nothing was written, because this tree lacks what the series needs:")
    return kind, "\n".join([*found, *failures])


def indented(text: str) -> str:
    """Return a text, each line two blanks further in."""
    return "\n".join(f"  {line}" for line in text.split("\n"))


def failing(tree: Tree, campaign: Campaign, config: CampaignConfig) -> list[str]:
    """Return what each step says that the tree is not fit for.

    As in a survey, a step meets what the steps before it could do; what failed there may fail here as a consequence.
    """
    found = []
    steps = active_steps(campaign, config)
    names = tuple(s.name for s in steps)
    current = tree
    for step in steps:
        if step.by_owner:
            continue  # its sites are in the audit
        context = Context(current, tree, config, names)
        try:
            edits: Sequence[Edit] = step.codemod(context).edits
        except UserError as error:
            found.append(f"{step.name}: {error}")
            edits = possible(step, context)
        current = current.edit(edits)
    return found


def possible(step: Step, context: Context) -> Sequence[Edit]:
    """Return the edits of those anchors of a step that fit, none if even this cannot be said."""
    try:
        edits, _ = resolve(context.tree, step.anchors(context) if step.anchors is not None else ())
        context.tree.edit(edits)
    except PatchbotError:
        return ()
    return edits


def annotated(repo: Repo, new: str, old: str, lines: Sequence[str]) -> list[str]:
    """Return lines with the commit that last changed the place that each begins with, where history has it."""
    out: list[str] = []
    for line in lines:
        out.append(line)
        match = PLACE.match(line)
        if match:
            commit = last_change(repo, old, new, match[1], int(match[2]) if match[2] else None)
            if commit:
                out.append(f"    last changed by {commit.sha[:12]} ({commit.subject})")
    return out


def last_change(repo: Repo, old: str, new: str, path: str, line: int | None) -> Commit | None:
    """Return the commit of `new` that last changed a file, None where only a root commit (no history) has it.

    With a line, the commit that is to blame for it, if `old` lacks that; deleted files are found too.
    """
    try:
        if line is not None:
            sha = repo.blame(new, path, line, PATIENCE)
            commit = described(repo, sha) if sha and repo.merge_base(sha, old) != sha else None
            if commit:
                return commit
        sha = repo.last_change(old, new, path, PATIENCE)
        return described(repo, sha) if sha else None
    except PatchbotError:
        return None


def described(repo: Repo, sha: str) -> Commit | None:
    """Return a commit, None for one without a parent, which changed nothing but is where history begins."""
    made = read_commit(repo, sha)
    return Commit("", sha, made.parent, made.tree, made.subject) if made.parent else None
