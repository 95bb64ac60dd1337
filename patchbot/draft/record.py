"""The draft of a series in the user's repository: one branch, one record, moved together or not at all.

refs/heads/patchbot/<campaign> is the branch that people look at. refs/patchbot/<campaign>/draft is a commit on top
of it whose tree holds series.json: what patchbot made; edits.json and trailers.json: what people put on top of that.
Where branch and record disagree, a person has committed, and generate must not throw that away. A frozen draft is the
same kind of record under refs/patchbot/<campaign>/vN.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .. import __version__, shapes
from ..errors import UserError
from ..git import transaction
from ..git.diffs import line_counts
from ..git.fastimport import NewCommit, without_crud
from ..git.held import held
from ..git.repo import Repo, Scratch
from ..model import REGULAR, Commit, Entry, Identity, Patch, Series
from ..shapes import PATH, SHA, ShapeError
from .amendments import Handmade, read_handmade
from .trailers import Trailers, read_trailers

PATCH = {
    "id": str,
    "step": str,
    "commit": SHA,
    "parent": SHA,
    "subject": str,
    "files": [PATH],
    "sites": [str],
    "owners": [str],
    "target": str,
}
SERIES = {
    "campaign": str,
    "patchbot": str,
    "base": SHA,
    "kernel": {"base": SHA, "version": str, "describe": str},
    "patches": [PATCH],
    "generated?": [PATCH],
    "extra?": [{"commit": SHA, "key": str, "subject": str}],
    "version?": int,
    "message_id?": (str, None),
    "results?": {"worst?": str, "counts?": {str: int}, "results?": [dict]},
    "target?": str,
    "steps?": [str],
    "counts?": dict,
    "kept?": [[str, int]],
    "sites?": {str: [str, str]},
    "remarks?": [str],
    "warnings?": [str],
    "config?": dict,
    "dropped_trailers?": [{"patch": str, "trailer": str, "reason": str}],
}


@dataclass(frozen=True)
class Draft:
    """A recorded draft: where the branch was left, its base, and one mapping a patch as in series.json.

    `generated` are the patches as the campaign made them, those a person dropped too; `patches` those on the branch.
    `version` is the number that it has, or would get. `record` is the record's own commit.
    """

    tip: str
    base: str
    patches: tuple[Mapping[str, Any], ...]
    document: Mapping[str, Any]
    record: str = ""
    version: int = 1
    generated: tuple[Mapping[str, Any], ...] = ()
    handmade: Handmade = field(default_factory=Handmade)
    trailers: Trailers = field(default_factory=dict)

    def by_commit(self) -> dict[str, Mapping[str, Any]]:
        """Return the patches by commit id."""
        return {p["commit"]: p for p in self.patches}


def branch(campaign: str) -> str:
    """Return the branch of a campaign."""
    return f"refs/heads/patchbot/{campaign}"


def record_ref(campaign: str) -> str:
    """Return the ref of a campaign's record."""
    return f"refs/patchbot/{campaign}/draft"


def before_ref(campaign: str) -> str:
    """Return the ref of the last branch with commits by hand that was rewritten."""
    return f"refs/patchbot/{campaign}/before"


def version_refs(repo: Repo, campaign: str) -> dict[int, str]:
    """Return {N: record} of the frozen versions of a campaign, in order."""
    found = {}
    for name, sha in repo.refs(f"refs/patchbot/{campaign}/").items():
        match = re.fullmatch(r"v([1-9]\d*)", name.rsplit("/", 1)[1])
        if match:
            found[int(match[1])] = sha
    return dict(sorted(found.items()))


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
    """Return the number of the frozen version that ends at `tip`, else the one that it would get."""
    versions = version_refs(repo, campaign)
    last = max(versions, default=0)
    name = f"refs/patchbot/{campaign}/v{last}"
    return last if last and first_parent(repo, versions[last], name) == tip else last + 1


def read_record(repo: Repo, record: str, name: str) -> Draft:
    """Return what a record, that of the draft or of a frozen version, keeps.

    Only a person can decide about one that cannot be read: UserError has the ref, its `name`, and the way out.
    """
    tip = first_parent(repo, record, name)
    try:
        text = repo.read(record, "series.json")
        if text is None:
            raise ShapeError("it is not there")
        document = shapes.read(text, SERIES)
        for key in ("patches", "generated"):
            shapes.once((p["id"] for p in document.get(key, [])), "the patch")
    except ShapeError as error:
        raise unreadable(name, f"series.json: {error}") from error
    try:
        handmade, trailers = read_handmade(repo, record), read_trailers(repo, record)
    except ShapeError as error:
        raise unreadable(name, str(error)) from error
    patches = tuple(document["patches"])
    there = repo.things(p[key] for p in patches for key in ("commit", "parent"))
    # What lies beyond a shallow clone's border is not known.
    if gone := [sha for sha, it in there.items() if (it.kind != "commit" if it else not repo.shallow)]:
        raise unreadable(name, f"series.json: this repository has no commit {gone[0][:40]}")
    generated = tuple(document.get("generated", patches))
    version = document.get("version", 1)
    return Draft(tip, document["base"], patches, document, record, version, generated, handmade, trailers)


def unreadable(name: str, why: str) -> UserError:
    """Return the error for a record that cannot be read."""
    return UserError(
        f"the record {name} cannot be read: {why}\n"
        f"what is on the branch stays if you let the record go: git update-ref -d {name}"
    )


def first_parent(repo: Repo, record: str, name: str) -> str:
    """Return the tip that the record called `name` is about."""
    if (tip := repo.parent(record)) is None:
        raise unreadable(name, "it is not a commit on top of a branch")
    return tip


def identity(repo: Repo, configured: Identity | None) -> Identity:
    """Return who the author is: [author] of patchbot.toml, else git's user.name and user.email for this repository."""
    name, email = (configured.name, configured.email) if configured else (own(repo, "name"), own(repo, "email"))
    who = Identity(without_crud(name), without_crud(email))
    if who.name and who.email:
        return who
    place = "[author] of patchbot.toml" if configured else f"git for {repo.git_dir}"
    lacking = " and ".join(f"user.{k}" for k, v in (("name", who.name), ("email", who.email)) if not v)
    raise UserError(
        f"no author: {place} has no {lacking} that can stand in a commit; set it with git config, or put name and email"
        " into [author] of patchbot.toml"
    )


def own(repo: Repo, key: str) -> str:
    """Return user.name or user.email of git, "" without; raise UserError where nobody can tell its encoding."""
    data = (repo.config(f"user.{key}") or "").encode("utf-8", "surrogateescape")
    for encoding in ("utf-8", repo.config("i18n.commitEncoding") or "utf-8"):
        try:
            return data.decode(encoding)
        except (LookupError, ValueError):
            continue
    raise UserError(
        f"user.{key} of git for {repo.git_dir} is not UTF-8; set it again with git config, or say in"
        " i18n.commitEncoding what it is"
    )


def plain_commits(repo: Repo, series: Series, author: Identity) -> list[NewCommit]:
    """Return the commits of a series as it was generated.

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
    document: Mapping[str, Any],
    files: Mapping[str, bytes] | None = None,
    also: tuple[str, ...] = (),
) -> str:
    """Write the record of a branch that ends at `tip` into `scratch` and return its id; `also` stays alive with it."""
    seconds, zone = scratch.source.committer_date(document["base"])
    text = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    date = f"{seconds + len(document['patches'])} {zone}"
    message = f"patchbot {__version__}: record of {document['campaign']}\n"
    kept = {path: Entry(REGULAR, data) for path, data in {"series.json": text, **(files or {})}.items()}
    (record,) = scratch.write(tip, [NewCommit("", message, author, date, kept, alone=True, also=also)])
    return record.sha


def record_document(series: Series, commits: Sequence[Commit]) -> dict[str, Any]:
    """Return series.json: what was generated, from what, commit by commit."""
    return {
        "schema": 1,
        "campaign": series.campaign,
        "patchbot": __version__,
        "base": series.kernel.base,
        "kernel": asdict(series.kernel),
        "patches": [patch_document(p, c) for p, c in zip(series.patches, commits, strict=True)],
    }


def patch_document(patch: Patch, commit: Commit) -> dict[str, Any]:
    """Return one patch of series.json."""
    return {
        "id": patch.id,
        "step": patch.step,
        "commit": commit.sha,
        "parent": commit.parent,
        "subject": patch.subject,
        "files": sorted(patch.files),
        "sites": list(patch.sites),
        "owners": list(patch.owners),
        "target": patch.target,
    }


def refuse_unsafe(repo: Repo, campaign: str) -> None:
    """Raise UserError where moving the branch would lose a person's commits or surprise a work tree."""
    ref = branch(campaign)
    short = ref.removeprefix("refs/heads/")
    refuse_in_the_way(repo, campaign)
    current = repo.ref(ref)
    draft = read_draft(repo, campaign)
    if current is None or (draft is not None and draft.tip == current):
        return
    known = set(draft.by_commit()) if draft else set()
    start = draft.base if draft else current + "^"
    theirs = [c for c in repo.commits(start, current) if c.sha not in known][:5]
    listing = "".join(f"\n  {c.sha[:12]} {c.subject}" for c in theirs)
    carry = (
        f"see what was changed with: patchbot edits {campaign}\n"
        f"carry it along with: patchbot regenerate {campaign} --onto <base>\n"
        if draft
        else ""
    )
    raise UserError(
        f"{short} holds commits that patchbot did not make, and generate would drop them:{listing}\n"
        f"{carry}or keep them under another name and let the draft go: git branch -m {short} <other name>"
    )


def refuse_in_the_way(repo: Repo, campaign: str) -> None:
    """Raise UserError where the branch cannot be made, or is checked out in a work tree."""
    if repo.ref("refs/heads/patchbot"):
        raise UserError(
            "a branch named patchbot is in the way of patchbot/...; rename it: git branch -m patchbot <other name>"
        )
    ref = branch(campaign)
    if why := held(repo, ref):
        raise UserError(
            f"{ref.removeprefix('refs/heads/')} {why[0]} (patchbot moves no branch that git itself would not move)"
        )


def publish(
    repo: Repo, scratch: Scratch, campaign: str, base: str, tip: str, record: str, taken: str | None = None
) -> bool:
    """Make a series that was written upon `base` the draft; return False if the branch is there already.

    `taken` is the tip whose commits by hand the series carries; without it, a branch with such commits is refused. The
    commits themselves stay as refs/patchbot/<campaign>/before.
    """
    ref, kept = branch(campaign), record_ref(campaign)
    now = (repo.ref(ref), repo.ref(kept))
    if now == (tip, record):
        return False
    if taken is not None and now[0] not in (None, taken):
        raise UserError(f"{ref.removeprefix('refs/heads/')} moved meanwhile; nothing was written, run it again")
    updates = [(ref, tip, now[0]), (kept, record, now[1])]
    if now[0] != tip:
        if taken is None:
            refuse_unsafe(repo, campaign)
        refuse_in_the_way(repo, campaign)
        before = before_ref(campaign)
        if now[0] is not None and now[1] is not None and first_parent(repo, now[1], kept) != now[0]:
            updates.append((before, now[0], repo.ref(before)))
    transaction.publish(repo, scratch, updates, base)
    return now[0] != tip


def numstat(scratch: Scratch, commits: Sequence[Commit]) -> dict[str, int]:
    """Return the numbers of patches, files, and inserted and deleted lines over all patches, as git counts them."""
    files, inserted, deleted = line_counts(scratch, [c.sha for c in commits])
    return {"patches": len(commits), "files": files, "insertions": inserted, "deletions": deleted}
