"""Write the postings of a draft as lines of commits, and find them again: refs/heads/patchbot/<campaign>.<posting>."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..errors import UserError
from ..git.commits import read_commit
from ..git.fastimport import Kept, NewCommit
from ..git.held import refuse_held
from ..git.objects import FileChange
from ..git.repo import Repo, Scratch
from ..git.transaction import Update
from ..model import Commit, Identity
from ..terminal import some
from .changeids import change_ids, home
from .postings import DoneRow, Line, Link, Posted, PostingRow, called_now, divide
from .record import Document, Draft, ExtraRow, PatchRow, branch, numbered, read_record
from .taken import homes_of, still_done, taken, there
from .trailers import Dropped


def posting_ref(campaign: str, name: str) -> str:
    """Return the branch of a posting."""
    return f"{branch(campaign)}.{name}"


def posting_version_ref(campaign: str, name: str, number: int) -> str:
    """Return the ref of a frozen version of a posting."""
    return f"refs/patchbot/{campaign}/postings/{name}/v{number}"


def with_postings(
    scratch: Scratch, author: Identity, document: Document, commits: Sequence[Commit], last: Document | None
) -> Document:
    """Return the record of a series with its postings, which are written to `scratch`.

    `commits` are those of the whole branch, of which an empty one is a note and no patch; `last` is the record of the
    draft that it replaces.
    """
    changes = scratch.commit_changes([commit.sha for commit in commits])
    commits = [commit for commit in commits if changes.get(commit.sha)]
    rows = {row.commit: row for row in document.patches}
    keys = {row.commit: row.id for row in document.patches} | {row.commit: row.key for row in document.extra or ()}
    links = [link_of(document, keys.get(c.sha, c.sha), rows.get(c.sha), changes[c.sha]) for c in commits]
    if last:
        last = replace(last, postings=tuple(called_now(last.postings or (), links)) or None)
    before = last.postings or () if last else ()
    done: tuple[DoneRow, ...] = ()
    known = posted_names(scratch.source, document.campaign)
    had = {
        (path, version.document.target): name
        for name in known
        for version in posting_versions(scratch.source, document.campaign, name).values()
        for patch in version.patches
        for path in patch.files
    }
    if last:
        found = there(scratch, last, document.base, document.sites, document.kernel.describe)
        ids = {row.id for row in (*document.patches, *(document.generated or ()))}
        done = (*still_done(document, last), *(taken(last, found, ids) if last.base != document.base else ()))
        had |= homes_of(last, found)
    going = [row for row in before if row.name not in {gone.name for gone in done}]
    used = {*known, *(row.name for row in done)}
    lines = divide(links, document.most, going, used, document.target, had)
    made = write_lines(scratch, author, document.base, commits, changes, [link.id for link in links], lines)
    document = replace(document, postings=made or None, done=done or None)
    return replace(document, change_ids=change_ids(scratch, document, last))


def link_of(document: Document, key: str, row: PatchRow | None, files: Iterable[str]) -> Link:
    """Return a commit of the branch as postings see it; one by hand, without a row, is for the campaign's own tree."""
    target, step = (row.target, row.step) if row else ("", "")
    independent, shared = step in document.independent, step in document.shared
    return Link(key, target or document.target, frozenset(files), independent, shared)


def write_lines(
    scratch: Scratch,
    author: Identity,
    base: str,
    commits: Sequence[Commit],
    changes: Mapping[str, Mapping[str, FileChange]],
    ids: Sequence[str],
    lines: Sequence[Line],
) -> tuple[PostingRow, ...]:
    """Write postings with one fast-import, each on the base, and return their rows; `changes` are those of commits."""
    if not lines:
        return ()
    seconds, zone = scratch.committer_date(base)
    kept: dict[int, NewCommit] = {}

    def copy(number: int) -> NewCommit:
        if number not in kept:
            sha = commits[number].sha
            files = {p: None if c.status == "D" else Kept(c.mode, c.oid) for p, c in changes[sha].items()}
            old = read_commit(scratch, sha)
            kept[number] = NewCommit(ids[number], old.message, old.author, "", files, author, old.date)
        return kept[number]

    asked = []
    for line in lines:
        for place, number in enumerate((*line.needs, *line.own)):
            onto = "" if place else base
            asked.append(replace(copy(number), date=f"{seconds + place + 1} {zone}", onto=onto))
    written = iter(scratch.write(base, asked))
    rows = []
    for line in lines:
        made = [next(written) for _ in (*line.needs, *line.own)][len(line.needs) :]
        patches = tuple(Posted(commit.id, commit.sha, commit.parent) for commit in made)
        rows.append(PostingRow(line.name, line.target, patches, len(line.needs)))
    return tuple(rows)


def posting_updates(repo: Repo, document: Document, last: Document | None) -> list[Update]:
    """Return how the branches of postings move; raise UserError for one that is not as patchbot left it, or in use."""
    campaign = document.campaign
    wanted = {posting_ref(campaign, row.name): row.tip for row in document.postings or ()}
    old = {posting_ref(campaign, row.name): row.tip for row in (last.postings or () if last else ())}
    if not wanted and not old:
        return []
    now = repo.refs("refs/heads/patchbot/")
    rows = [(ref, wanted.get(ref), now.get(ref)) for ref in sorted({*wanted, *old})]
    if wrong := [
        foreign(campaign, ref, old.get(ref)) for ref, new, have in rows if have not in (None, old.get(ref), new)
    ]:
        raise UserError("\n".join(some(wrong)))
    updates = [row for row in rows if row[1] != row[2]]
    refuse_held(repo, [ref for ref, *_ in updates])
    return updates


def foreign(campaign: str, ref: str, ours: str | None) -> str:
    """Return what to do about the branch of a posting that patchbot did not leave as it is."""
    short, stack = ref.removeprefix("refs/heads/"), branch(campaign).removeprefix("refs/heads/")
    if ours is None:
        return f"{short} is not patchbot's, and a posting needs its name; rename it: git branch -m {short} <other name>"
    return (
        f"{short} holds commits that patchbot did not make; edits count on {stack} only: put them there with git"
        f" cherry-pick, then this branch back with: git branch -f {short} {ours[:12]}"
    )


def posted_names(repo: Repo, campaign: str) -> list[str]:
    """Return the names of the postings that have versions of their own."""
    start = f"refs/patchbot/{campaign}/postings/"
    return sorted({ref.removeprefix(start).rpartition("/")[0] for ref in repo.refs(start[:-1])})


def posting_versions(repo: Repo, campaign: str, name: str) -> dict[int, Draft]:
    """Return {N: what it held} of the versions of a posting, in order: its own, and what whole versions had of it."""
    start = f"refs/patchbot/{campaign}/"
    refs, own = repo.refs(start), f"{start}postings/{name}/"
    found = {number: read_record(repo, sha, f"{own}v{number}") for number, sha in numbered(refs, own).items()}
    for number, sha in numbered(refs, start).items():
        if number not in found:
            part = part_of_version(read_record(repo, sha, f"{start}v{number}"), name)
            found |= {number: part} if part else {}
    return dict(sorted(found.items()))


def part_of_version(whole: Draft, name: str) -> Draft | None:
    """Return what a version of a whole series had of a posting, None for nothing: it is mailed for its own tree."""
    if name != home(whole.document):
        return None
    if not whole.document.postings:
        return whole
    row = next((row for row in whole.document.postings if row.name == name), None)
    if row is None:
        return None
    ids = {patch.id for patch in row.patches}
    patches = tuple(patch for patch in whole.patches if patch.id in ids)
    extra = tuple(patch for patch in whole.document.extra or () if patch.key in ids)
    document = only(whole.document, patches, extra, row.target)
    document = replace(document, message_id=whole.document.message_id, results=whole.document.results)
    return replace(whole, tip=row.tip, document=document)


def draft_of(repo: Repo, draft: Draft, row: PostingRow) -> Draft:
    """Return a posting of a draft as if it were a series of its own, with the number that it has, or would get."""
    known: Mapping[str, Posted] = {patch.id: patch for patch in row.patches}
    patches = tuple(
        replace(r, commit=known[r.id].commit, parent=known[r.id].parent)
        for r in draft.document.patches
        if r.id in known
    )
    extra = tuple(replace(e, commit=known[e.key].commit) for e in draft.document.extra or () if e.key in known)
    document = only(draft.document, patches, extra, row.target)
    return replace(draft, tip=row.tip, document=document, version=version_at(repo, draft, row))


def dropped_since(repo: Repo, draft: Draft) -> tuple[Dropped, ...]:
    """Return the tags that a draft lost and of which no version tells: what was posted by itself says its own."""
    document, postings = draft.document, draft.document.postings or ()
    if not (rows := document.dropped_trailers):
        return ()
    ids = {row.name: {patch.id for patch in row.patches} for row in postings}
    frozen = {row.name: posting_versions(repo, draft.campaign, row.name).values() for row in postings}
    said = {id_ for row in postings if any(one.tip == row.tip for one in frozen[row.name]) for id_ in ids[row.name]}
    # A version of the whole series is one of the posting for its own tree, and of patches in no posting.
    there = set().union(*ids.values()) if document.version is not None else None
    return tuple(row for row in rows if row.patch not in said and (there is None or row.patch in there))


def only(document: Document, patches: Sequence[PatchRow], extra: Sequence[ExtraRow], target: str) -> Document:
    """Return the record of some patches of a series, as if they were one."""
    sites = {site for patch in patches for site in patch.sites}
    known = {*(patch.id for patch in patches), *(patch.key for patch in extra)}
    return replace(
        document,
        target=target,
        patches=tuple(patches),
        generated=None,
        extra=tuple(extra) or None,
        sites={name: fate for name, fate in document.sites.items() if name in sites},
        postings=None,
        done=None,
        version=None,
        message_id=None,
        results=None,
        dropped_trailers=tuple(d for d in document.dropped_trailers or () if d.patch in known) or None,
    )


def version_at(repo: Repo, draft: Draft, row: PostingRow) -> int:
    """Return the number of the version of a posting that is as it is now, else the next one."""
    frozen = posting_versions(repo, draft.campaign, row.name)
    last = max(frozen, default=0)
    return last if last and frozen[last].tip == row.tip else last + 1
