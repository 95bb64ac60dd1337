"""Remember what a change of the draft replaced, and put it back: refs/patchbot/<campaign>/undo.

It is a commit whose tree says which refs moved from where to where, and whose parents keep the old commits alive. It
moves in the same transaction as the refs that it is about, so it is always about the last change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .. import shapes
from ..errors import UserError
from ..git.fastimport import NewCommit
from ..git.held import refuse_held
from ..git.repo import Repo, Scratch
from ..git.transaction import Update, publish
from ..model import REGULAR, Entry, Identity
from ..shapes import Sha, ShapeError, plain

FILE = "undo.json"
#: What the campaign's own refs end in, but for the branch; this record itself is none that it is about.
OWN = r"(?:draft|before|(?:postings/[\w.+-]+/)?v[1-9][0-9]*)"
#: These records say nothing in a person's name.
ITSELF = Identity("patchbot", "patchbot")


@dataclass(frozen=True)
class Moved:
    """A ref that moved; None if it did not exist before, or no longer does."""

    ref: str
    before: Sha | None
    now: Sha | None


def undo_ref(campaign: str) -> str:
    """Return the ref that remembers what the last change of a draft replaced."""
    return f"refs/patchbot/{campaign}/undo"


def publish_undoable(repo: Repo, scratch: Scratch, campaign: str, updates: Sequence[Update], base: str) -> None:
    """Do what git.transaction.publish does, and remember the old refs."""
    rows = [Moved(ref, old, new) for ref, new, old in updates if new != old]
    there = repo.things(row.before for row in rows if row.before)
    parents = [*(sha for sha, it in there.items() if it), base]
    seconds, zone = repo.committer_date(base)
    text = json.dumps(plain(rows), indent=1).encode() + b"\n"
    record = NewCommit(
        "",
        f"patchbot: what the last change of {campaign} replaced\n",
        ITSELF,
        f"{seconds} {zone}",
        {FILE: Entry(REGULAR, text)},
        alone=True,
        also=tuple(parents[1:]),
    )
    (written,) = scratch.write(parents[0], [record])
    ref = undo_ref(campaign)
    publish(repo, scratch, [*updates, (ref, written.sha, repo.ref(ref))], base)


def insist_own(campaign: str, rows: Sequence[Moved]) -> None:
    """Raise ShapeError unless each row moves a different ref of those that patchbot writes for a campaign.

    Whoever can write a record could put any of the person's branches into it, even after a line end.
    """
    own = re.compile(
        rf"refs/heads/patchbot/{re.escape(campaign)}(?:\.[\w.+-]+)?|refs/patchbot/{re.escape(campaign)}/{OWN}"
    )
    if not rows:
        raise ShapeError("it names no ref")
    for row in rows:
        if not own.fullmatch(row.ref):
            raise ShapeError(f"{row.ref[:80]!r} is not a ref of {campaign}")
        if row.before == row.now:
            raise ShapeError(f"{row.ref} does not move")
    if len({row.ref for row in rows}) < len(rows):
        raise ShapeError("it names a ref twice")


def undo(repo: Repo, scratch: Scratch, campaign: str) -> list[Moved]:
    """Put back what the last change replaced, and return how refs moved; a second time brings the change back.

    Raises UserError where there is nothing to undo, or a ref moved since.
    """
    ref = undo_ref(campaign)
    if (record := repo.ref(ref)) is None:
        raise UserError(f"no change of {campaign} can be undone in {repo.git_dir}: patchbot remembers none")
    try:
        rows = shapes.read(repo.read(record, FILE) or b"", tuple[Moved, ...])
        insist_own(campaign, rows)
    except ShapeError as error:
        raise UserError(f"{ref} cannot be read: {FILE}: {error}; delete it with: git update-ref -d {ref}") from error
    for row in rows:
        if repo.ref(row.ref) != row.now:
            said = f"{row.ref} moved since the last change that patchbot made, so nothing can be undone"
            if row.now and row.ref.startswith("refs/heads/"):
                name = row.ref.removeprefix("refs/heads/")
                said += f"; git branch NAME {name} keeps what it has now, then: git update-ref {row.ref} {row.now[:12]}"
            raise UserError(said)
    refuse_held(repo, [row.ref for row in rows if row.ref.startswith("refs/heads/")])
    back = [Moved(row.ref, row.now, row.before) for row in rows]
    base = next(sha for row in rows for sha in (row.before, row.now) if sha)
    publish_undoable(repo, scratch, campaign, [(row.ref, row.now, row.before) for row in back], base)
    return back
