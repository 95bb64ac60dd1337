"""The draft of a series in the user's repository: one branch, one record, moved together or not at all.

refs/heads/patchbot/<campaign> is the branch that people look at. refs/patchbot/<campaign>/draft is a commit on top
of the generated tip whose tree holds series.json: what patchbot made. Where branch and record disagree, a person
has committed, and generate must not throw that away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import __version__
from .errors import UserError
from .git import NewCommit, Record, Repo, Scratch
from .model import Commit, Identity, Patch, Series


@dataclass(frozen=True)
class Draft:
    """A recorded draft: where the branch was left, its base, and one mapping a patch as in series.json."""

    tip: str
    base: str
    patches: tuple[Mapping[str, Any], ...]
    document: Mapping[str, Any]

    def by_commit(self) -> dict[str, Mapping[str, Any]]:
        """Return the patches by commit id."""
        return {p["commit"]: p for p in self.patches}


@dataclass(frozen=True)
class Written:
    """A series as commits; `changed` says whether a ref moved."""

    commits: tuple[Commit, ...]
    tip: str
    changed: bool


def branch(campaign: str) -> str:
    """Return the branch of a campaign."""
    return f"refs/heads/patchbot/{campaign}"


def record_ref(campaign: str) -> str:
    """Return the ref of a campaign's record."""
    return f"refs/patchbot/{campaign}/draft"


def read_draft(repo: Repo, campaign: str) -> Draft | None:
    """Return the recorded draft, None if there is none."""
    record = repo.ref(record_ref(campaign))
    if record is None:
        return None
    text = repo.read(record, "series.json")
    if text is None:
        raise UserError(
            f"{record_ref(campaign)} holds no series.json; delete it with: git update-ref -d {record_ref(campaign)}"
        )
    document = json.loads(text)
    tip = repo.text("rev-parse", "--verify", f"{record}^1")
    return Draft(tip, document["base"], tuple(document["patches"]), document)


def identity(repo: Repo, configured: Identity | None) -> Identity:
    """Return who the author is: [author] of patchbot.toml, else git's user.name and user.email for this repository."""
    if configured is not None:
        return configured
    name, email = repo.config("user.name"), repo.config("user.email")
    if not name or not email:
        lacking = " and ".join(k for k, v in (("user.name", name), ("user.email", email)) if not v)
        raise UserError(
            f"no author: git has no {lacking} for {repo.git_dir}; set it with git config, or put name and email into"
            " [author] of patchbot.toml"
        )
    return Identity(name, email)


def write_scratch(
    scratch: Scratch, series: Series, author: Identity, extra: Mapping[str, Any]
) -> tuple[tuple[Commit, ...], str]:
    """Write a series and its record into `scratch`; return the commits and the record's id.

    Patch n's date is the base's committer date plus n seconds, so the same input gives the same ids.
    """
    repo, base = scratch.source, series.kernel.base
    seconds, zone = repo.committer_date(base)
    modes = {
        path: mode for path, (mode, _) in repo.ls(base, *sorted({f for p in series.patches for f in p.files})).items()
    }
    new = [
        NewCommit(
            p.id,
            p.message,
            author,
            f"{seconds + n} {zone}",
            p.files,
            {f: modes.get(f, "100644") for f in p.files},
        )
        for n, p in enumerate(series.patches, 1)
    ]
    commits = scratch.write(base, new)
    document = record_document(series, commits, extra)
    text = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
    date = f"{seconds + len(new)} {zone}"
    message = f"patchbot {__version__}: record of {series.campaign}\n"
    (record,) = scratch.write(commits[-1].sha, [], Record(message, author, date, {"series.json": text}))
    return tuple(commits), record.sha


def record_document(series: Series, commits: Sequence[Commit], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return series.json: what was generated, from what, commit by commit."""
    return {
        "schema": 1,
        "campaign": series.campaign,
        "patchbot": __version__,
        "base": series.kernel.base,
        "kernel": {
            "base": series.kernel.base,
            "version": series.kernel.version,
            "describe": series.kernel.describe,
        },
        "patches": [patch_document(p, c) for p, c in zip(series.patches, commits, strict=True)],
        **extra,
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
    if repo.ref("refs/heads/patchbot"):
        raise UserError(
            "a branch named patchbot is in the way of patchbot/...; rename it: git branch -m patchbot <other name>"
        )
    current = repo.ref(ref)
    if current is None:
        return
    places = repo.checked_out(ref)
    if places:
        raise UserError(
            f"{short} is checked out in {places[0]}, and patchbot moves no branch under a work tree;"
            f" free it with: git -C {places[0]} switch --detach"
        )
    draft = read_draft(repo, campaign)
    if draft is None or draft.tip != current:
        known = set(draft.by_commit()) if draft else set()
        start = draft.base if draft else current + "^"
        theirs = [c for c in repo.commits(start, current) if c.sha not in known][:5]
        listing = "".join(f"\n  {c.sha[:12]} {c.subject}" for c in theirs)
        raise UserError(
            f"{short} holds commits that patchbot did not make, and generate would drop them:{listing}\n"
            f"keep them under another name and let the draft go: git branch -m {short} <other name>"
        )


def publish(repo: Repo, scratch: Scratch, campaign: str, tip: str, record: str) -> bool:
    """Make a written series the draft; return False if the branch is there already."""
    ref, kept = branch(campaign), record_ref(campaign)
    now = (repo.ref(ref), repo.ref(kept))
    if now == (tip, record):
        return False
    if now[0] != tip:
        refuse_unsafe(repo, campaign)
    repo.publish(scratch, [(ref, tip, now[0]), (kept, record, now[1])])
    return now[0] != tip


def numstat(scratch: Scratch, commits: Sequence[Commit]) -> dict[str, int]:
    """Return the numbers of patches, files, and inserted and deleted lines over all patches, as git counts them."""
    files, inserted, deleted = set(), 0, 0
    for commit in commits:
        rows = scratch.git("diff-tree", "-r", "-z", "--numstat", "--no-renames", commit.parent, commit.sha).stdout
        for row in rows.split(b"\0"):
            if row:
                plus, minus, path = row.split(b"\t", 2)
                files.add(path)
                inserted += int(plus) if plus.isdigit() else 0
                deleted += int(minus) if minus.isdigit() else 0
    return {"patches": len(commits), "files": len(files), "insertions": inserted, "deletions": deleted}
