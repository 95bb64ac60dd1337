"""From a draft on its branch, or any range of commits, to what checks and mails look at.

The branch counts, not the record: what a person amended is what would be posted. A commit that patchbot made keeps its
stable id, and so does one that a person amended; any other goes by its commit id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..draft.recognise import recognise
from ..draft.record import Draft, branch, read_draft
from ..errors import UserError
from ..git.formatpatch import patch_mails
from ..model import Commit
from ..progress import bound
from ..session import Session
from .check import Item, Subject


@dataclass(frozen=True)
class Range:
    """Commits base..tip, oldest first, but for empty ones; what the record knows of each, {} if nothing; the record."""

    base: str
    tip: str
    commits: tuple[Commit, ...]
    known: tuple[Mapping[str, Any], ...]
    draft: Draft | None

    @property
    def edited(self) -> bool:
        """Say whether a person changed the branch after patchbot left it."""
        return self.draft is not None and self.draft.tip != self.tip


def select(session: Session, what: str | None) -> Range:
    """Return the range that CAMPAIGN or REV..REV names; without either, the only campaign's draft."""
    if what and ".." in what:
        old, new = what.split("...", 1) if "..." in what else what.split("..", 1)
        base, tip = session.repo.resolve(old or "HEAD"), session.repo.resolve(new or "HEAD")
        if "..." in what:
            base = session.repo.text("merge-base", base, tip)
        return ranged(session, base, tip, None)
    name = session.config.campaign(what).name
    draft = read_draft(session.repo, name)
    if draft is None:
        raise UserError(
            f"there is no draft of {name} in {session.repo.git_dir}; make one with: patchbot generate {name}"
        )
    current = session.repo.ref(branch(name))
    if current is None:
        raise UserError(f"{branch(name)} is gone; make the draft anew with: patchbot generate {name}")
    return ranged(session, draft.base, current, draft)


def ranged(session: Session, base: str, tip: str, draft: Draft | None) -> Range:
    """Return base..tip without empty commits; raise UserError where nothing is left, or it is not a line."""
    commits = session.repo.commits(base, tip)
    if not commits:
        raise UserError(f"{base[:12]}..{tip[:12]} holds no commit")
    for commit, before in zip(commits, [base, *(c.sha for c in commits)], strict=False):
        if commit.parent != before:
            raise UserError(
                f"{commit.sha[:12]} ({commit.subject}) is not on {before[:12]}: a series must be a line of commits"
                " that starts at its base, without merges"
            )
    changing = without_empty(session, base, commits)
    if not changing:
        raise UserError(f"{base[:12]}..{tip[:12]} changes no file")
    for commit in changing:
        if not commit.subject.strip():
            raise UserError(f"{commit.sha[:12]}: its message is empty; a commit needs one")
    return Range(base, tip, tuple(changing), tuple(known_rows(session, draft, tip, changing)), draft)


def without_empty(session: Session, base: str, commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits that change anything: an empty one is a note, as b4's cover letter is, and no patch."""
    trees = [session.repo.tree_of(base), *(c.tree for c in commits)]
    return [c for c, before in zip(commits, trees, strict=False) if c.tree != before]


def known_rows(
    session: Session, draft: Draft | None, tip: str, commits: Sequence[Commit]
) -> Sequence[Mapping[str, Any]]:
    """Return what the record says of each commit, {} for one by hand; an amended commit is still its patch."""
    rows = draft.by_commit() if draft else {}
    if draft is not None and draft.tip != tip:
        try:
            return recognise(session.repo, draft, tip).known(session.repo, draft, commits)
        except UserError as error:
            session.say(f"note: {error}")
    return [rows.get(c.sha, {}) for c in commits]


def items(session: Session, series: Range) -> tuple[Item, ...]:
    """Return the commits of a range as checks see them."""
    made = []
    before = session.repo.tree_of(series.base)
    for commit, known in zip(series.commits, series.known, strict=True):
        files = tuple(known.get("files") or session.repo.changed_paths(commit.parent, commit.sha))
        name, step = str(known.get("id") or commit.sha[:12]), str(known.get("step") or "")
        made.append(Item(name, commit.sha, commit.parent, commit.tree, before, commit.subject, step, files))
        before = commit.tree
    return tuple(made)


def subject(session: Session, series: Range, jobs: int) -> Subject:
    """Return a range as the runner of checks takes it."""
    campaign, config = session.campaign, session.campaign_config

    def witnesses(commit: str) -> Sequence[str]:
        return campaign.witnesses(session.tree(commit))

    def rows(commit: str) -> Sequence[Mapping[str, Any]]:
        document = campaign.audit(session.tree(commit), config).document
        return list(document.get("entries", []))

    show = bound()
    mails = patch_mails(session.scratch, series.base, series.commits)
    return Subject(
        session.repo,
        session.scratch,
        series.base,
        items(session, series),
        campaign.name,
        witnesses,
        mails,
        session.work,
        jobs=jobs,
        progress=show,
        rows=rows,
        decisions=config.decisions,
        tables=session.config.checks.options,
        sandbox=session.sandbox,
    )
