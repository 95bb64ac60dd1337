"""Select a series as it is now: the draft on its branch, or any range of commits.

The branch counts, not the record: what a person amended is what would be posted. A commit that patchbot made keeps its
stable id, and so does one that a person amended; any other is known by its commit id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..config import Config, suggestion
from ..errors import UserError
from ..git.repo import Repo
from ..model import Commit
from ..terminal import some
from .changeids import home
from .lines import draft_of, foreign, posting_ref
from .posted import gone_elsewhere
from .postings import PostingRow
from .rebased import refuse_rebased
from .recognise import recognise
from .record import Draft, PatchRow, branch, branch_gone, need_draft

#: Tells a person something meanwhile.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Range:
    """Commits base..tip, oldest first, without empty ones; the record's row of each, if it has one; the record.

    Of a `posting`, the record is about that alone.
    """

    base: str
    tip: str
    commits: tuple[Commit, ...]
    known: tuple[PatchRow | None, ...]
    draft: Draft | None
    posting: PostingRow | None = None

    @property
    def foundation(self) -> str:
        """Return the commit that the series starts from, below all that a posting needs."""
        return self.draft.base if self.draft else self.base

    @property
    def edited(self) -> bool:
        """Say whether a person changed the branch after patchbot left it."""
        return self.draft is not None and self.draft.tip != self.tip


def postings_of(repo: Repo, draft: Draft, upstream: Sequence[str] = ()) -> tuple[PostingRow, ...]:
    """Return the postings of a draft; raise UserError where its branch was changed by hand since they were made."""
    name, tip = draft.campaign, repo.ref(branch(draft.campaign))
    if tip is None:
        raise UserError(branch_gone(draft))
    refuse_rebased(repo, draft, tip, upstream)
    if tip != draft.tip:
        raise UserError(
            "the branch has commits by hand, which no posting has yet; put them there with:"
            f" patchbot regenerate {name} --onto {draft.base[:12]}"
        )
    if not draft.document.postings:
        raise UserError(f"all patches of {name} are for one tree, so they are one posting: leave out the tree")
    return draft.document.postings


def select_posting(repo: Repo, draft: Draft, tree: str, say: Say, upstream: Sequence[str] = ()) -> Range:
    """Return the patches of a posting, which is named as its branch is, or as its tree; what they need is left out."""
    rows = postings_of(repo, draft, upstream)
    row = next((row for row in rows if tree == row.name), None) or next((r for r in rows if tree == r.target), None)
    if row is None:
        names = [row.name for row in rows]
        done = next((gone for gone in draft.document.done or () if tree in (gone.name, gone.target)), None)
        away = next((away for away in gone_elsewhere(repo, draft.document) if tree in (away.name, away.target)), None)
        told = f"; it was {away}" if away else suggestion(tree, names)
        told = f"; it is done: nothing of it is left to change in {done.describe}" if done else told
        raise UserError(f"{draft.campaign} has no posting {tree!r}{told} (there are: {', '.join(some(names, 20))})")
    ref = posting_ref(draft.campaign, row.name)
    now = repo.ref(ref)
    if now is None:
        again = f"patchbot regenerate {draft.campaign} --onto {draft.base[:12]}"
        raise UserError(f"{ref.removeprefix('refs/heads/')} is gone; bring it back with: {again}")
    if now != row.tip:
        raise UserError(foreign(draft.campaign, ref, row.tip))
    return replace(ranged(repo, row.below, now, draft_of(repo, draft, row), say), posting=row)


def as_left(repo: Repo, draft: Draft, name: str, say: Say) -> Range:
    """Return a posting, or the only one, as patchbot left it, whatever a person did since; raise UserError for none."""
    rows = draft.document.postings or ()
    if not rows and name == home(draft.document):
        return ranged(repo, draft.base, draft.tip, draft, say)
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        raise UserError(f"{draft.campaign} has no posting {name!r}")
    return replace(ranged(repo, row.below, row.tip, draft_of(repo, draft, row), say), posting=row)


def select(repo: Repo, config: Config, what: str | None, say: Say, upstream: Sequence[str] = ()) -> Range:
    """Return the range that CAMPAIGN or REV..REV names; without either, the only campaign's draft.

    Raises UserError where a person rebased the draft (`upstream` is as in start_of).
    """
    if what and ".." in what:
        old, new = what.split("...", 1) if "..." in what else what.split("..", 1)
        base, tip = repo.resolve(old or "HEAD"), repo.resolve(new or "HEAD")
        if "..." in what:
            if (common := repo.merge_base(base, tip)) is None:
                raise UserError(f"{what}: the two have no common ancestor")
            base = common
        return ranged(repo, base, tip, None, say)
    name = config.campaign(what).name
    draft = need_draft(repo, name)
    current = repo.ref(branch(name))
    if current is None:
        raise UserError(branch_gone(draft))
    refuse_rebased(repo, draft, current, upstream)
    return ranged(repo, draft.base, current, draft, say)


def ranged(repo: Repo, base: str, tip: str, draft: Draft | None, say: Say) -> Range:
    """Return base..tip without empty commits; raise UserError if nothing is left, or it is not a line."""
    commits = repo.commits(base, tip)
    if not commits:
        raise UserError(f"{base[:12]}..{tip[:12]} has no commits")
    for commit, before in zip(commits, [base, *(c.sha for c in commits)], strict=False):
        if commit.parent != before:
            raise UserError(
                f"{commit.sha[:12]} ({commit.subject}) is not on {before[:12]}: a series must be a line of commits"
                " that starts at its base, without merges"
            )
    changing = without_empty(repo, base, commits)
    if not changing:
        raise UserError(f"{base[:12]}..{tip[:12]} changes no file")
    for commit in changing:
        if not commit.subject.strip():
            raise UserError(f"{commit.sha[:12]}: its message is empty; a commit needs one")
    return Range(base, tip, tuple(changing), tuple(known_rows(repo, draft, tip, changing, say)), draft)


def without_empty(repo: Repo, base: str, commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits that change anything: an empty one is a note, such as b4's cover letter, not a patch."""
    trees = [repo.tree_of(base), *(c.tree for c in commits)]
    return [c for c, before in zip(commits, trees, strict=False) if c.tree != before]


def known_rows(
    repo: Repo, draft: Draft | None, tip: str, commits: Sequence[Commit], say: Say
) -> Sequence[PatchRow | None]:
    """Return the record's row of each commit, None for one made by hand; an amended commit is still its patch."""
    if draft is not None and draft.tip != tip:
        try:
            return recognise(repo, draft, tip).known(repo, draft, commits)
        except UserError as error:
            say(f"note: {error}")
    rows = {row.commit: row for row in draft.patches} if draft else {}
    return [rows.get(c.sha) for c in commits]
