"""Where the commits of a branch start: a person may have rebased it onto another commit than the draft is on.

What lies below that commit is upstream's and nothing by hand. Git keeps no note of a rebase, so upstream's is what the
new base, or any other name in the repository, holds of the branch.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UserError
from ..git.commits import boundary, read_line, read_touching
from ..git.repo import Repo
from ..model import headline
from .recognise import identify
from .record import Draft, branch

#: Where names of a person's are: branches (the series' own too), what was fetched, tags.
NAMES = ("refs/heads", "refs/remotes", "refs/tags")


def start_of(repo: Repo, draft: Draft, tip: str, upstream: Sequence[str] = ()) -> str:
    """Return what the branch that is at `tip` starts from: the draft's base, or what it was rebased onto.

    `upstream` are commits which hold nothing of the series that is not to be taken for upstream's.
    """
    if tip == draft.tip:
        return draft.base
    told = usable(repo, draft, tip, boundary(repo, tip, upstream)) if upstream else ""
    names = [
        sha for ref in NAMES for name, sha in repo.refs(ref).items() if not name.startswith("refs/heads/patchbot/")
    ]
    seen = usable(repo, draft, tip, boundary(repo, tip, [*upstream, *names]))
    if seen and seen != told and holds_patches(repo, draft, seen, tip):
        seen = ""  # a copy of the branch, as a person makes one before a change
    return seen or told or draft.base


def usable(repo: Repo, draft: Draft, tip: str, start: str) -> str:
    """Return `start` if the branch may have been rebased onto it, else ""."""
    own = {row.commit for row in (*draft.patches, *draft.generated)} | {e.commit for e in draft.document.extra or ()}
    if not start or start in own | {draft.base}:
        return ""
    below = repo.merge_base(draft.base, tip) == draft.base and repo.merge_base(draft.base, start) != draft.base
    return "" if below else start


def holds_patches(repo: Repo, draft: Draft, start: str, tip: str) -> bool:
    """Say whether patches that are not above `start` are below it, or may be."""
    try:
        above = identify(repo, draft, read_line(repo, start, tip)).values()
        lacking = [row for row in draft.generated if row.id not in {*above, *draft.handmade.dropped}]
        files = sorted({path for row in lacking for path in row.files})
        if not files:
            return False
        found = identify(repo, draft, read_touching(repo, draft.base, start, files))
    except UserError:  # it is not clear which commit is which patch
        return True
    return not {row.id for row in lacking}.isdisjoint(found.values())


def refuse_rebased(repo: Repo, draft: Draft, tip: str, upstream: Sequence[str] = ()) -> None:
    """Raise UserError with the way on where the branch is not a line of commits that starts from the draft's base."""
    start = start_of(repo, draft, tip, upstream)
    if start != draft.base:
        raise UserError(rebased(repo, draft, start, tip))
    if tip != draft.tip:
        read_line(repo, start, tip)


def rebased(repo: Repo, draft: Draft, start: str, tip: str) -> str:
    """Return what to do about a branch that was rebased."""
    name = branch(draft.campaign).removeprefix("refs/heads/")
    subject = headline(repo.raw(start).partition(b"\n\n")[2].decode("utf-8", "replace"))
    if start == tip:
        return (
            f"{name} is at {start[:12]} ({subject}), which is upstream's, and holds no patch any more;"
            f" put the draft back with: git branch -f {name} {draft.tip[:12]}"
        )
    return (
        f"{name} was rebased onto {start[:12]} ({subject}); make that the draft's base, with your edits and the tags"
        f" kept: patchbot regenerate {draft.campaign} --onto {start[:12]}"
    )
