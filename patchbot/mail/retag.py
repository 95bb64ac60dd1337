"""Put tags into the commits of a draft: new messages, the same trees, and a record that keeps the proof.

Nothing is generated for that. Commits below the first tagged one stay, and nothing is written if every tag is there
already. What a person committed on the branch becomes part of the record, as with freeze.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from ..draft.lines import draft_of, dropped_since, posting_updates, posting_versions, with_postings
from ..draft.recognise import Recognised, recognise
from ..draft.record import Draft, PatchRow, branch, branch_gone, publish
from ..draft.trailers import (
    Given,
    Trailers,
    apply_to_message,
    identify,
    merge,
    remove_from_message,
)
from ..draft.versions import versions
from ..draft.write import write_again
from ..errors import ToolError, UserError
from ..git.commits import new_entries, read_commit
from ..git.diffs import commit_diffs, diff_lines
from ..git.fastimport import NewCommit
from ..git.repo import Repo, Scratch
from ..model import Commit, Identity
from .answered import Drafted, DraftPatch


@dataclass(frozen=True)
class Marked:
    """The branch as it is now: its commits, the record's row of each (None for one by hand), the work by hand."""

    draft: Draft
    tip: str
    commits: tuple[Commit, ...]
    rows: tuple[PatchRow | None, ...]
    seen: Recognised

    @property
    def patches(self) -> list[PatchRow]:
        """The rows of the patches that have a stable id."""
        return [row for row in self.rows if row]


def read_branch(repo: Repo, draft: Draft) -> Marked:
    """Return a draft's branch; raise UserError if it is gone, or if it is unclear which commit is which patch."""
    campaign = draft.campaign
    tip = repo.ref(branch(campaign))
    if tip is None:
        raise UserError(branch_gone(draft))
    seen = recognise(repo, draft, tip)
    commits = repo.commits(draft.base, tip)
    return Marked(draft, tip, tuple(commits), tuple(seen.known(repo, draft, commits)), seen)


def read_drafted(repo: Repo, marked: Marked, target: str, most: int, title: str) -> Drafted:
    """Return what replies are matched with; `target` and `most` say which part of the branch is posted first."""
    posted: list[str] = []
    for commit, row in zip(marked.commits[:most], marked.rows, strict=False):
        if ((row and row.target) or target) != target:
            break
        posted.append(row.id if row else commit.sha)
    rows = {v.number: {row.id: row for row in v.draft.patches} for v in versions(repo, marked.draft.campaign)}
    parts = []
    for posting in marked.draft.document.postings or ():
        own = draft_of(repo, marked.draft, posting)
        frozen = posting_versions(repo, own.campaign, posting.name)
        for number, version in {own.version: own, **frozen}.items():
            parts.append((version.document.target, number, tuple(version.commits)))
        for number, version in frozen.items():
            rows.setdefault(number, {}).update({row.id: row for row in version.patches})
    commits = dict.fromkeys(
        row.commit for there in (marked.patches, *(r.values() for r in rows.values())) for row in there
    )
    texts = {commit: diff_lines(text) for commit, text in commit_diffs(repo, list(commits)).items()}
    known = partial(draft_patches, texts)
    old = {number: known(there.values()) for number, there in rows.items()}
    titles = tuple(cover.text.edited.partition("\n")[0] for cover in marked.draft.covers.values() if cover.text)
    return Drafted(known(marked.patches), tuple(posted), title, old, target, tuple(parts), titles)


def draft_patches(texts: Mapping[str, tuple[bytes, ...]], rows: Iterable[PatchRow]) -> tuple[DraftPatch, ...]:
    """Return patches of a record with their diffs, {commit: lines}."""
    return tuple(DraftPatch(row.id, row.subject, texts[row.commit]) for row in rows)


def put_tags(
    repo: Repo, scratch: Scratch, author: Identity, marked: Marked, new: Trailers, gone: Trailers = MappingProxyType({})
) -> str:
    """Add tags to the branch and the record, take out those that are `gone`, and return the branch's tip.

    If there is nothing to do, no ref moves.
    """
    draft = marked.draft
    tags = {
        patch: tuple(row for row in rows if row not in gone.get(patch, ()))
        for patch, rows in merge(marked.seen.tags, new).items()
    }
    tags = merge(tags, {})
    given = {row.commit: tags.get(row.id, ()) for row in marked.patches}
    lost = {row.commit: [g.trailer for g in gone.get(row.id, ())] for row in marked.patches}
    commits = rewrite(repo, scratch, author, marked, given, lost)
    tip = commits[-1].sha
    if (tip, tags) == (draft.tip, merge(draft.trailers, {})):
        return tip
    pairs = zip(marked.rows, commits, strict=True)
    rows = [row and replace(row, commit=commit.sha, parent=commit.parent) for row, commit in pairs]
    document = marked.seen.document(draft, commits, rows)
    if document.version is not None:  # the facts about the frozen version do not hold for this one
        document = replace(document, version=None, message_id=None, results=None)
    back = {(patch, identify(g.trailer)) for patch, given_now in tags.items() for g in given_now}
    dropped = tuple(d for d in dropped_since(repo, draft) if (d.patch, identify(d.trailer)) not in back)
    document = replace(document, dropped_trailers=dropped or None)
    document = with_postings(scratch, author, document, commits, draft.document)
    record = write_again(repo, scratch, author, draft, tip, document, marked.seen.handmade, tags)
    moves = posting_updates(repo, document, draft.document)
    publish(repo, scratch, draft.campaign, draft.base, tip, record, marked.tip, moves)
    return tip


def rewrite(
    repo: Repo,
    scratch: Scratch,
    author: Identity,
    marked: Marked,
    given: Mapping[str, Sequence[Given]],
    lost: Mapping[str, Sequence[str]],
) -> list[Commit]:
    """Return the branch's commits with the tags `given` in their messages, without those `lost` ({commit: tags})."""
    seconds, zone = repo.committer_date(marked.draft.base)
    kept: list[Commit] = []
    new: list[NewCommit] = []
    for number, commit in enumerate(marked.commits, 1):
        old = read_commit(repo, commit.sha)
        tags = given.get(commit.sha, ())
        message = remove_from_message(old.message, lost.get(commit.sha, ()))
        message = apply_to_message(message, tags)
        if not new and message == old.message:
            kept.append(commit)
            continue
        when = f"{seconds + number} {zone}"
        new.append(NewCommit(commit.sha, message, old.author, when, {}, author, old.date))
    if not new:
        return kept
    files = new_entries(repo, [commit.id for commit in new])
    new = [replace(commit, id="", files=files[commit.id]) for commit in new]
    written = scratch.write(kept[-1].sha if kept else marked.draft.base, new)
    for before, after in zip(marked.commits[len(kept) :], written, strict=True):
        if before.tree != after.tree:
            raise ToolError(f"{before.sha[:12]} ({before.subject}) cannot be written again with the same files")
    return [*kept, *written]
