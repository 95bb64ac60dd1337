"""Make a campaign's series on a base, or see that the base moved past everything that the last series was made from.

Parsing the candidates of a kernel takes 4 s. A record keeps which files were read, which folders were listed and what
was searched for; where a new base differs in none of that, the codemods would see the same bytes and yield the same
patches, so those of the record are taken: 0.1 s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from .. import shapes
from ..bundle import PACKAGE, bundled
from ..config import CampaignConfig
from ..git.commits import read_commit
from ..git.grep import GrepCache, holds
from ..git.repo import Repo
from ..identity import identity
from ..model import Entry, KernelInfo, Patch, Series
from ..series import maintainers
from ..series.campaign import Campaign, active_steps
from ..series.generate import Generated, generate
from ..series.tree import Tree
from ..shapes import ShapeError
from ..terminal import complain
from .record import Draft

FILE = "reads.json"
#: What the record keeps of making a series besides the patches.
FACTS = ("target", "steps", "counts", "kept", "sites", "remarks", "warnings", "config")
READS = {"maker": str, "files": [str], "folders": [str], "searches": {str: [str]}}
#: Where more files than this differ, the series is made anew without a closer look.
MOST_CHANGED = 5000


@dataclass(frozen=True)
class Made:
    """A series, the facts that its record keeps, what to say about it, and what it was made from (for the record)."""

    series: Series
    facts: Mapping[str, Any]
    notes: tuple[str, ...]
    reads: bytes
    reused: bool = False


class WatchedRepo(Repo):
    """A repository that notes what is read of it, and asks for it once, not seven times; `index` may know searches."""

    def __init__(self, repo: Repo, index: GrepCache | None) -> None:
        super().__init__(repo.git_dir, repo.common_dir, repo.form)
        self.plain, self.index = repo, index
        self.kept: dict[tuple[str, str], bytes | None] = {}
        self.lists: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
        self.seen: set[str] = set()
        self.listed: set[str] = set()
        self.searches: dict[str, list[str]] = {}

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file; `commit` is an id, whose files never change."""
        self.seen.add(path)
        if (commit, path) not in self.kept:
            self.kept[commit, path] = super().read(commit, path)
        return self.kept[commit, path]

    def ls(self, commit: str, *paths: str) -> dict[str, tuple[str, str]]:
        """Return the files below `paths`."""
        self.listed.update(paths or ("",))
        if (commit, *paths) not in self.lists:
            self.lists[commit, *paths] = super().ls(commit, *paths)
        return self.lists[commit, *paths]

    def grep(
        self, commit: str, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False
    ) -> list[str]:
        """Return the files that hold any of `needles`."""
        if self.index is not None:
            found = self.index.grep(self.plain, commit, needles, pathspecs, word=word)
        else:
            found = super().grep(commit, needles, pathspecs, word=word)
        self.searches[json.dumps([sorted(needles), list(pathspecs), word])] = found
        return found

    def reads(self, made_with: str) -> bytes:
        """Return reads.json: what made the series, the files read, the folders listed, {question: answer}."""
        document = {
            "maker": made_with,
            "files": sorted(self.seen),
            "folders": sorted(self.listed),
            "searches": dict(sorted(self.searches.items())),
        }
        return json.dumps(document, indent=1).encode("utf-8", "surrogateescape") + b"\n"


def produce(tree: Tree, campaign: Campaign, config: CampaignConfig, last: Draft | None = None) -> Made:
    """Return the series of a campaign on `tree`: that of the draft `last` where nothing that it was made from differs.

    Raises what series.generate() raises.
    """
    made_with = maker(campaign, config)
    if last is not None and (again := reuse(tree, made_with, last)):
        return again
    with closing(WatchedRepo(tree.repo, tree.cache)) as watched:
        made = generate(Tree(watched, tree.commit, tree.overlay), campaign, config)
    notes = (*made.audit.warnings, *made.remarks, *unusable(tree))
    return Made(made.series, facts(campaign, config, made), notes, watched.reads(made_with))


def unusable(tree: Tree) -> tuple[str, ...]:
    """Return what is to be said of patterns in the tree's MAINTAINERS."""
    return maintainers.sections(tree.get("MAINTAINERS") or b"").unusable


def facts(campaign: Campaign, config: CampaignConfig, made: Generated) -> dict[str, Any]:
    """Return what the record keeps besides the patches: the facts that cover letter and later versions need."""
    return {
        "target": config.target,
        "steps": [s.name for s in active_steps(campaign, config)],
        "counts": made.audit.counts,
        "kept": sorted(([reason, n] for reason, n in made.audit.kept.items()), key=lambda row: (-row[1], row[0])),
        "sites": {site: list(fate) for site, fate in sorted(made.audit.fates().items())},
        "remarks": list(made.remarks),
        "warnings": list(made.audit.warnings),
        "config": config.document(),
    }


def maker(campaign: Campaign, config: CampaignConfig) -> str:
    """Return a digest of what makes a series out of a tree: patchbot, templates, the campaign and its configuration."""
    made_with = identity(PACKAGE, bundled("templates"), *([campaign.folder] if campaign.folder else []))
    return hashlib.sha256(json.dumps([made_with, config.document()], sort_keys=True).encode()).hexdigest()


def recorded_maker(repo: Repo, record: str) -> str | None:
    """Return the digest of what made a draft, None if its record does not say."""
    known = read_reads(repo, record)
    return str(known[0]["maker"]) if known else None


def read_reads(repo: Repo, record: str) -> tuple[Mapping[str, Any], bytes] | None:
    """Return what a series was made from, with its text; None where the record does not say, or cannot be read."""
    text = repo.read(record, FILE)
    if text is None:
        return None
    try:
        known = shapes.read(text, READS)
        for key in known["searches"]:
            shapes.read(key, [[str], [str], bool])
    except ShapeError as error:
        complain(f"{FILE} of the record {record[:12]} cannot be read ({error}); the series is made anew")
        return None
    return known, text


def reuse(tree: Tree, made_with: str, last: Draft) -> Made | None:
    """Return the series of a record on another base, None where it might come out differently."""
    read = None if tree.overlay else read_reads(tree.repo, last.record)
    if read is None:
        return None
    known, text = read
    if known["maker"] != made_with or not unmoved(tree, last.base, known):
        return None
    repo, changes = tree.repo, tree.repo.commit_changes([p["commit"] for p in last.generated])
    patches = tuple(
        Patch(
            p["id"],
            p["step"],
            read_commit(repo, p["commit"]).message,
            {
                path: Entry(c.mode, repo.raw(c.oid)) if c.status != "D" else None
                for path, c in changes[p["commit"]].items()
            },
            tuple(p["sites"]),
            p["target"],
            tuple(p["owners"]),
        )
        for p in last.generated
    )
    if not patches:
        return None
    document = last.document
    kept = {name: document[name] for name in FACTS if name in document}
    series = Series(document["campaign"], kernel(tree, document), patches, {"counts": document.get("counts", {})})
    notes = (*document.get("warnings", []), *document.get("remarks", []), *unusable(tree))
    return Made(series, kept, notes, text, reused=True)


def kernel(tree: Tree, document: Mapping[str, Any]) -> KernelInfo:
    """Return which kernel the new base is; git takes a while to describe one."""
    known = KernelInfo(*(document["kernel"][name] for name in ("base", "version", "describe")))
    return known if known.base == tree.commit else tree.kernel()


def unmoved(tree: Tree, base: str, known: Mapping[str, Any]) -> bool:
    """Say whether nothing that was read, listed or found differs between `base` and the tree."""
    repo = tree.repo
    if base == tree.commit:
        return True
    if not repo.has(f"{base}^{{tree}}"):
        return False
    found = {path for answer in known["searches"].values() for path in answer}
    here = sorted(found | set(known["files"]))
    # These few first: to compare two whole trees takes 0.2 s.
    if repo.ls(base, *here) != repo.ls(tree.commit, *here):
        return False
    changes = repo.changes(base, tree.commit)
    if len(changes) > MOST_CHANGED:
        return False
    folders = {f.rstrip("/") for f in known["folders"]}
    moved = [path for path, change in changes.items() if change.status != "M"]
    if (moved and "" in folders) or any(not folders.isdisjoint((p, *map(str, PurePath(p).parents))) for p in moved):
        return False
    needles = sorted({needle for text in known["searches"] for needle in json.loads(text)[0]})
    present = sorted({change.blob for change in changes.values() if change.blob})
    if not needles or not any(holds(text, needles, word=False) for _, text in repo.blobs(present)):
        return True
    asked = ((json.loads(text), answer) for text, answer in known["searches"].items())
    return all(tree.grep(names, specs, word=word) == answer for (names, specs, word), answer in asked)
