"""Keep the draft of a series in the user's repository: one branch and one record, moved together or not at all.

refs/heads/patchbot/<campaign> is the branch that people look at. refs/patchbot/<campaign>/draft is a commit on top
of it whose tree holds series.json: what patchbot made; edits.json, trailers.json, covers.json: what people put on that.
If branch and record disagree, a person has committed, and generate must not throw that away. A frozen draft is the
same kind of record under refs/patchbot/<campaign>/vN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from .. import __version__, shapes
from ..errors import UserError
from ..git.fastimport import NewCommit
from ..git.held import refuse_held
from ..git.repo import Repo, Scratch
from ..git.transaction import Update
from ..model import REGULAR, Commit, Entry, Identity, KernelInfo, Patch, Series
from ..shapes import Sha, ShapeError, TreePath
from ..terminal import some
from .amendments import Handmade, read_handmade
from .covers import Covers, read_covers
from .postings import DoneRow, PostingRow
from .trailers import Dropped, Trailers, read_trailers
from .undo import publish_undoable

FILE = "series.json"
ROOTLESS = "it is not a commit on top of a branch"


@dataclass(frozen=True)
class PatchRow:
    """A generated patch in series.json: its stable id, its commit, and the campaign's facts about it."""

    id: str
    step: str
    commit: Sha
    parent: Sha
    subject: str
    files: tuple[TreePath, ...]
    sites: tuple[str, ...]
    owners: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class ExtraRow:
    """A commit by hand in series.json."""

    commit: Sha
    key: str
    subject: str


class Judged(TypedDict, total=False):
    """The results of the checks when a version was frozen."""

    worst: str
    counts: dict[str, int]
    results: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What series.json keeps besides the commits: what the cover letter and later versions need.

    `prefixes` are {patch: start of its subject}, `joined` the steps of which patches are joined and cut to size. The
    patches of `independent` steps need no others, those of `shared` ones are needed by all others after them. A posting
    has at most `most` patches.
    """

    target: str = ""
    steps: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[tuple[str, int], ...] = ()
    sites: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    joined: tuple[str, ...] = ()
    independent: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    most: int = 15


@dataclass(frozen=True, kw_only=True)
class Document(Facts):
    """series.json: a series as it lies on its branch.

    `generated` are the patches as the campaign made them, if `patches`, those on the branch, differ; `extra` are the
    commits by hand. `postings` are what goes to each tree, `done` those that a tree has taken. `version`, `message_id`
    and `results` are those of a frozen version. `beside` is what the configured base was when a person put the series
    on another one. `change_ids` are those of the postings by name. None is not written.
    """

    campaign: str
    patchbot: str
    base: Sha
    kernel: KernelInfo
    patches: tuple[PatchRow, ...]
    generated: tuple[PatchRow, ...] | None = None
    extra: tuple[ExtraRow, ...] | None = None
    postings: tuple[PostingRow, ...] | None = None
    done: tuple[DoneRow, ...] | None = None
    version: int | None = None
    message_id: str | None = None
    results: Judged | None = None
    dropped_trailers: tuple[Dropped, ...] | None = None
    beside: Sha | None = None
    change_ids: Mapping[str, str] | None = None
    schema: int = 1

    def row(self, id_: str) -> PatchRow | None:
        """Return the patch with a stable id, as generated if it is not on the branch; None for an unknown id."""
        return next((row for row in (*self.patches, *(self.generated or ())) if row.id == id_), None)


@dataclass(frozen=True)
class Draft:
    """A recorded draft: where patchbot left the branch, and the content of its record, the commit `record`.

    `version` is the number that it has, or would get.
    """

    tip: str
    document: Document
    record: str
    handmade: Handmade
    trailers: Trailers
    version: int = 1
    covers: Covers = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Return the commit that the series is on."""
        return self.document.base

    @property
    def campaign(self) -> str:
        """Return the name of the campaign."""
        return self.document.campaign

    @property
    def patches(self) -> tuple[PatchRow, ...]:
        """Return the patches on the branch."""
        return self.document.patches

    @property
    def generated(self) -> tuple[PatchRow, ...]:
        """Return the patches as the campaign made them, including those that a person dropped."""
        return self.patches if self.document.generated is None else self.document.generated

    @property
    def commits(self) -> dict[str, str]:
        """Return {stable id: commit} of the branch."""
        return {p.id: p.commit for p in self.patches}


def branch(campaign: str) -> str:
    """Return the branch of a campaign."""
    return f"refs/heads/patchbot/{campaign}"


def branch_gone(draft: Draft) -> str:
    """Return what to say of a draft whose branch somebody deleted."""
    again = f"patchbot regenerate {draft.campaign} --onto {draft.base[:12]}"
    return f"{branch(draft.campaign).removeprefix('refs/heads/')} is gone; bring it back with: {again}"


def record_ref(campaign: str) -> str:
    """Return the ref of a campaign's record."""
    return f"refs/patchbot/{campaign}/draft"


def before_ref(campaign: str) -> str:
    """Return the ref of the last rewritten branch with commits by hand."""
    return f"refs/patchbot/{campaign}/before"


def version_refs(repo: Repo, campaign: str) -> dict[int, str]:
    """Return {N: record} of the frozen versions of a campaign, in order."""
    start = f"refs/patchbot/{campaign}/"
    return numbered(repo.refs(start), start)


def numbered(refs: Mapping[str, str], start: str) -> dict[int, str]:
    """Return {N: object} of the refs `<start>vN`, in order."""
    named = ((re.fullmatch(r"v([1-9]\d*)", ref.removeprefix(start)), sha) for ref, sha in refs.items())
    return dict(sorted((int(match[1]), sha) for match, sha in named if match))


def read_draft(repo: Repo, campaign: str) -> Draft | None:
    """Return the recorded draft, None if there is none."""
    record = repo.ref(record_ref(campaign))
    if record is None:
        return None
    draft = read_record(repo, record, record_ref(campaign))
    return replace(draft, version=version_of(repo, campaign, draft.tip))


def need_draft(repo: Repo, campaign: str) -> Draft:
    """Return the recorded draft; raise UserError if there is none."""
    if draft := read_draft(repo, campaign):
        return draft
    raise UserError(f"there is no draft of {campaign} in {repo.git_dir}; make one with: patchbot generate {campaign}")


def version_of(repo: Repo, campaign: str, tip: str) -> int:
    """Return the number of the frozen version that ends at `tip`, else the next one."""
    versions = version_refs(repo, campaign)
    last = max(versions, default=0)
    name = f"refs/patchbot/{campaign}/v{last}"
    return last if last and first_parent(repo, versions[last], name) == tip else last + 1


def read_record(repo: Repo, record: str, name: str) -> Draft:
    """Return the content of a record, of the draft or of a frozen version.

    Only a person can decide about one that cannot be read: UserError has its `name`, the ref, and the way out.
    """
    try:
        return repo.once(content_of, record)
    except ShapeError as error:
        raise unreadable(name, str(error)) from error


def content_of(repo: Repo, record: str) -> Draft:
    """Return the content of a record; raise ShapeError if it cannot be read."""
    if (tip := repo.parent(record)) is None:
        raise ShapeError(ROOTLESS)
    document = read_document(repo, record)
    handmade, trailers, covers = read_handmade(repo, record), read_trailers(repo, record), read_covers(repo, record)
    there = repo.things(sha for p in document.patches for sha in (p.commit, p.parent))
    # What is beyond the border of a shallow clone is unknown.
    if gone := [sha for sha, it in there.items() if (it.kind != "commit" if it else not repo.shallow)]:
        raise ShapeError(f"{FILE}: this repository has no commit {gone[0][:40]}")
    return Draft(tip, document, record, handmade, trailers, document.version or 1, covers)


def read_document(repo: Repo, record: str) -> Document:
    """Return series.json of a record; raise ShapeError if it cannot be read."""
    try:
        text = repo.read(record, FILE)
        if text is None:
            raise ShapeError("it is missing")
        document = shapes.read(text, Document)
        for rows in (document.patches, document.generated or ()):
            shapes.once((row.id for row in rows), "the patch")
        if document.kernel.base != document.base:
            raise ShapeError(f"kernel.base is {document.kernel.base[:60]!r}, not {document.base}")
    except ShapeError as error:
        raise ShapeError(f"{FILE}: {error}") from error
    return document


def unreadable(name: str, why: str) -> UserError:
    """Return the error for a record that cannot be read."""
    return UserError(
        f"the record {name} cannot be read: {why}\nto delete the record and keep the branch: git update-ref -d {name}"
    )


def first_parent(repo: Repo, record: str, name: str) -> str:
    """Return the tip that the record called `name` is about."""
    if (tip := repo.parent(record)) is None:
        raise unreadable(name, ROOTLESS)
    return tip


def plain_commits(repo: Repo, series: Series, author: Identity) -> list[NewCommit]:
    """Return the commits of a generated series.

    Patch n's date is the base's committer date plus n seconds, so the same input gives the same ids.
    """
    seconds, zone = repo.committer_date(series.kernel.base)
    return [
        NewCommit(p.id, p.message, author, f"{seconds + n} {zone}", p.files, author)
        for n, p in enumerate(series.patches, 1)
    ]


def write_record(
    scratch: Scratch,
    author: Identity,
    tip: str,
    document: Document,
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Write the record of a branch that ends at `tip` into `scratch` and return its id.

    It keeps the generated commits alive.
    """
    seconds, zone = scratch.source.committer_date(document.base)
    known = {key: value for key, value in shapes.plain(document).items() if value is not None}
    text = json.dumps(known, indent=1, sort_keys=True).encode() + b"\n"
    date = f"{seconds + len(document.patches)} {zone}"
    message = f"patchbot {__version__}: record of {document.campaign}\n"
    also = tuple(row.commit for row in (document.generated or ())[-1:] if row.commit != tip)
    kept = {path: Entry(REGULAR, data) for path, data in {FILE: text, **(files or {})}.items()}
    (record,) = scratch.write(tip, [NewCommit("", message, author, date, kept, alone=True, also=also)])
    return record.sha


def document_of(series: Series, commits: Sequence[Commit], facts: Facts) -> Document:
    """Return series.json of a generated series, and what it was made from, commit by commit."""
    return Document(
        **vars(facts),
        campaign=series.campaign,
        patchbot=__version__,
        base=series.kernel.base,
        kernel=series.kernel,
        patches=tuple(row_of(p, c) for p, c in zip(series.patches, commits, strict=True)),
    )


def row_of(patch: Patch, commit: Commit) -> PatchRow:
    """Return a patch as it was generated."""
    of = (patch.id, patch.step, commit.sha, commit.parent, patch.subject, tuple(sorted(patch.files)))
    return PatchRow(*of, tuple(patch.sites), tuple(patch.owners), patch.target)


def refuse_unsafe(repo: Repo, campaign: str) -> None:
    """Raise UserError if moving the branch would lose a person's commits or surprise a work tree."""
    ref = branch(campaign)
    short = ref.removeprefix("refs/heads/")
    refuse_in_the_way(repo, campaign)
    current = repo.ref(ref)
    draft = read_draft(repo, campaign)
    if current is None or (draft is not None and draft.tip == current):
        return
    known = set(draft.commits.values()) if draft else set()
    start = draft.base if draft else current + "^"
    theirs = [f"{c.sha[:12]} {c.subject}" for c in repo.commits(start, current) if c.sha not in known]
    listing = "".join(f"\n  {line}" for line in some(theirs))
    carry = (
        f"see what was changed with: patchbot edits {campaign}\n"
        f"keep it with: patchbot regenerate {campaign} --onto {draft.base[:12]}\n"
        if draft
        else ""
    )
    raise UserError(
        f"{short} holds commits that patchbot did not make, and generate would drop them:{listing}\n"
        f"{carry}or keep them under another name and give up the draft: git branch -m {short} <other name>"
    )


def refuse_in_the_way(repo: Repo, campaign: str) -> None:
    """Raise UserError if the branch cannot be made, or is checked out in a work tree."""
    if repo.ref("refs/heads/patchbot"):
        raise UserError(
            "a branch named patchbot is in the way of patchbot/...; rename it: git branch -m patchbot <other name>"
        )
    refuse_held(repo, [branch(campaign)])


def publish(
    repo: Repo,
    scratch: Scratch,
    campaign: str,
    base: str,
    tip: str,
    record: str,
    taken: str | None = None,
    postings: Sequence[Update] = (),
) -> bool:
    """Make a series on `base` the draft, with its `postings`; return False if the branch is there already.

    `taken` is the tip whose commits by hand the series includes; without it, a branch with such commits is refused.
    The commits themselves stay as refs/patchbot/<campaign>/before.
    """
    ref, kept = branch(campaign), record_ref(campaign)
    now = (repo.ref(ref), repo.ref(kept))
    if now == (tip, record) and not postings:
        return False
    if taken is not None and now[0] not in (None, taken):
        raise UserError(f"{ref.removeprefix('refs/heads/')} moved meanwhile; nothing was written, run it again")
    updates = [(ref, tip, now[0]), (kept, record, now[1]), *postings]
    if now[0] != tip:
        if taken is None:
            refuse_unsafe(repo, campaign)
        refuse_in_the_way(repo, campaign)
        before = before_ref(campaign)
        if now[0] is not None and now[1] is not None and first_parent(repo, now[1], kept) != now[0]:
            updates.append((before, now[0], repo.ref(before)))
    publish_undoable(repo, scratch, campaign, updates, base)
    return now[0] != tip
