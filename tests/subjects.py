"""Make a Subject, as a check gets it, out of commits that a test writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbot.campaigns.kfunc_flags.campaign import campaign
from patchbot.checking.check import Item, Subject
from patchbot.config import CampaignConfig
from patchbot.git.fastimport import NewCommit
from patchbot.git.repo import Repo, Scratch
from patchbot.model import REGULAR, Entry, Identity
from patchbot.series.campaign import Site

AUTHOR = Identity("A Developer", "developer@example.org")
DATE = "1767225600 +0000"

#: What the campaign of kfuncs wants of objects: tests are mostly about its checks.
KFUNCS = campaign(CampaignConfig("kfunc_flags")).wishes


def make_subject(
    repo: Repo,
    base: str,
    commits: Sequence[tuple[str, Mapping[str, bytes | None]]],
    where: Path,
    modes: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Subject:
    """Write commits (message, {path: bytes, or None to delete it}) into a scratch repository, with their mails."""
    base = repo.resolve(base)
    scratch = Scratch.at(where / "scratch.git", repo)
    news = [
        NewCommit(
            f"step{n}",
            message,
            AUTHOR,
            DATE,
            {p: None if d is None else Entry((modes or {}).get(p, REGULAR), d) for p, d in files.items()},
        )
        for n, (message, files) in enumerate(commits, 1)
    ]
    items = []
    parent_tree = repo.tree_of(base)
    for commit in scratch.write(base, news):
        diff = scratch.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", parent_tree, commit.tree).stdout
        files = tuple(name.decode("utf-8", "surrogateescape") for name in diff.split(b"\0") if name)
        items.append(
            Item(commit.id, commit.sha, commit.parent, commit.tree, parent_tree, commit.subject, commit.id, files)
        )
        parent_tree = commit.tree
    work = where / "work"
    work.mkdir(exist_ok=True)
    mails = {
        item.commit: scratch.git(
            "format-patch", "--stdout", "-1", f"--subject-prefix=PATCH {n}/{len(items)}", item.commit
        ).stdout
        for n, item in enumerate(items, 1)
    }
    return Subject(
        repo, scratch, base, tuple(items), "demo", lambda commit: (), mails, work, options or {}, 2, wishes=KFUNCS
    )


def site_of(entry: Mapping[str, Any]) -> Site:
    """Return the site of an entry of the inventory's document."""
    conditions, fate = tuple(entry.get("conditions", ())), entry.get("fate", "keep")
    return Site(entry.get("kfunc", ""), entry.get("file", ""), entry.get("line", 1), fate, "", conditions, entry)
