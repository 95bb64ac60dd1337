"""Make a campaign's series on a base, or see that nothing that the last series was made from differs there.

Parsing the candidates of a kernel takes 4 s. A record keeps which files were read, which folders were listed and what
was searched for; if a new base differs in none of that, the codemods would see the same bytes and yield the same
patches, so those of the record are used: 0.1 s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import PurePath
from typing import Any, TypeVar

from .. import shapes
from ..bundle import PACKAGE, bundled
from ..config import CampaignConfig
from ..git.commits import read_commit
from ..git.grep import GrepCache, holds
from ..git.repo import Repo
from ..identity import identity
from ..model import Entry, KernelInfo, Patch, Series
from ..series import maintainers
from ..series.campaign import Campaign, Kept, Step, active_steps
from ..series.generate import Generated, generate
from ..series.tree import Tree
from ..shapes import ShapeError
from ..terminal import complain
from .record import Draft, Facts

T = TypeVar("T")

FILE = "reads.json"
#: If more files than this differ, the series is made anew without a closer look.
MOST_CHANGED = 5000


@dataclass(frozen=True)
class Reads:
    """What a series was made from: its maker, files read, folders listed, {question: answer} of searches."""

    maker: str
    files: set[str]
    folders: set[str]
    searches: dict[str, list[str]]

    def questions(self) -> Iterator[tuple[list[str], list[str], bool, list[str]]]:
        """Yield the needles, the pathspecs and `word` of each search, and its answer."""
        for text, answer in self.searches.items():
            yield *shapes.read(text, tuple[list[str], list[str], bool]), answer

    def formatted(self) -> bytes:
        """Return reads.json."""
        document = {**vars(self), "files": sorted(self.files), "folders": sorted(self.folders)}
        document["searches"] = dict(sorted(self.searches.items()))
        return json.dumps(document, indent=1).encode("utf-8", "surrogateescape") + b"\n"


@dataclass(frozen=True)
class Made:
    """A series, the facts that its record keeps, notes for the person, and what it was made from (for the record)."""

    series: Series
    facts: Facts
    notes: tuple[str, ...]
    reads: bytes
    reused: bool = False


class WatchedRepo(Repo):
    """A repository that notes what is read from it, and reads it once, not seven times; `index` may know searches."""

    def __init__(self, repo: Repo, index: GrepCache | None, reads: Reads) -> None:
        super().__init__(repo.git_dir, repo.common_dir, repo.form)
        self.plain, self.index, self.reads = repo, index, reads
        self.lists: dict[tuple[str, ...], dict[str, tuple[str, str]]] = {}
        self.files: dict[tuple[str, str], tuple[str, str]] = {}

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file; `commit` is an id, so its files never change."""
        self.reads.files.add(path)
        return super().read(commit, path)

    def read_many(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of files."""
        found = super().read_many(commit, paths)
        self.depend(found)
        return found

    def depend(self, paths: Iterable[str]) -> None:
        """Note files on whose content the series depends."""
        self.reads.files.update(paths)

    def ls(self, commit: str, *paths: str) -> dict[str, tuple[str, str]]:
        """Return the files below `paths`."""
        self.reads.folders.update(paths or ("",))
        if (commit, *paths) in self.lists:
            return self.lists[commit, *paths]
        if paths and self.files.keys() >= {(commit, path) for path in paths}:
            return {path: self.files[commit, path] for path in paths}
        found = self.lists[commit, *paths] = super().ls(commit, *paths)
        self.files |= {(commit, path): entry for path, entry in found.items()}
        return found

    def kept_each(
        self, kind: type[dict[str, T]], make: Callable[[str], T], names: Iterable[str], *parts: Any
    ) -> dict[str, T]:
        """Return what is made of files, which who asks must `depend` on: what is kept is not read."""
        return self.plain.kept_each(kind, make, names, *parts)

    def grep(
        self, commit: str, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False
    ) -> list[str]:
        """Return the files that hold any of `needles`."""
        if self.index is not None:
            found = self.index.grep(self.plain, commit, needles, pathspecs, word=word)
        else:
            found = super().grep(commit, needles, pathspecs, word=word)
        self.reads.searches[json.dumps([sorted(needles), list(pathspecs), word])] = found
        return found


def produce(tree: Tree, campaign: Campaign, config: CampaignConfig, last: Draft | None = None) -> Made:
    """Return the series of a campaign on `tree`; it is that of the draft `last` if nothing it was made from differs.

    Raises what series.generate() raises.
    """
    reads = Reads(maker(campaign, config), set(), set(), {})
    if last is not None and (again := reuse(tree, reads.maker, last)):
        return again
    with closing(WatchedRepo(tree.repo, tree.cache, reads)) as watched:
        made = generate(Tree(watched, tree.commit, tree.overlay), campaign, config, kept_of(last, config))
    found = facts(campaign, config, made)
    moved = shifted(config, last.document.sites, found.sites) if last else ()
    notes = (*made.audit.warnings, *made.remarks, *moved, *unusable(tree))
    return Made(made.series, found, notes, reads.formatted())


def shifted(config: CampaignConfig, before: Collection[str], after: Collection[str]) -> Iterator[str]:
    """Yield a note for each decision about a site that is told from others by a number, where there are now others."""
    for name in config.decisions:
        stem = name.partition("#")[0]
        old, new = (sum(site.partition("#")[0] == stem for site in sites) for sites in (before, after))
        if stem.count(":") > 1 and old != new and old and new:
            yield (
                f'the decision about "{name}" may be about another place now: {old} of this name were there when it was'
                f" last used, and {new} are: look at it, and name the right one"
            )


def kept_of(draft: Draft | None, config: CampaignConfig) -> Kept:
    """Return what a draft had, for the next one to keep; who changes how files become patches wants new ones."""
    if draft is None:
        return Kept()
    places: dict[str, dict[str, tuple[str, str]]] = {}
    was, now = draft.document.config, json.loads(json.dumps(config.document()))
    if all(was.get(key) == now[key] for key in ("owners", "most_files")):
        for row in draft.generated:
            if row.step in draft.document.joined:
                place = (row.id.removeprefix(f"{row.step}/"), row.target)
                places.setdefault(row.step, {}).update(dict.fromkeys(row.files, place))
    return Kept(places, draft.document.prefixes)


def unusable(tree: Tree) -> tuple[str, ...]:
    """Return the notes about patterns in the tree's MAINTAINERS."""
    return maintainers.sections(tree.get("MAINTAINERS") or b"").unusable


def facts(campaign: Campaign, config: CampaignConfig, made: Generated) -> Facts:
    """Return the facts that the record keeps besides the patches."""
    return Facts(
        target=config.target,
        steps=tuple(s.name for s in active_steps(campaign, config)),
        counts=made.audit.counts,
        kept=tuple(sorted(made.audit.kept.items(), key=lambda row: (-row[1], row[0]))),
        sites=made.audit.fates(),
        remarks=made.remarks,
        warnings=made.audit.warnings,
        config=config.document(),
        prefixes=made.prefixes,
        joined=tuple(s.name for s in active_steps(campaign, config) if s.joins),
        independent=tuple(s.name for s in active_steps(campaign, config) if s.independent),
        shared=tuple(s.name for s in active_steps(campaign, config) if not (s.by_owner or s.independent)),
        most=campaign.most,
    )


def switched_off(draft: Draft, campaign: Campaign, steps: Sequence[Step]) -> str:
    """Return what to say of steps of a draft that are off now, as those of `generate --with` are, "" without any.

    Steps that the campaign no longer has cannot be switched on.
    """
    known = [step.name for step in campaign.steps]
    off = [name for name in draft.document.steps if name in known and name not in [step.name for step in steps]]
    given = ", ".join(f'"{name}"' for name in off)
    told = f"the draft has steps that are off now: with = [{given}] in [campaigns.{draft.campaign}] keeps them on"
    return told if off else ""


def maker(campaign: Campaign, config: CampaignConfig) -> str:
    """Return a digest of what turns a tree into a series: patchbot, templates, the campaign and its configuration."""
    sources = [*([campaign.folder] if campaign.folder else []), *campaign.programs]
    made_with = identity(PACKAGE, bundled("templates"), *sources)
    return hashlib.sha256(json.dumps([made_with, config.document()], sort_keys=True).encode()).hexdigest()


def recorded_maker(repo: Repo, record: str) -> str | None:
    """Return the digest of the maker of a draft, None if its record does not have it."""
    reads = read_reads(repo, record)
    return reads.maker if reads else None


def read_reads(repo: Repo, record: str) -> Reads | None:
    """Return what a series was made from; None if the record does not say so or cannot be read."""
    text = repo.read(record, FILE)
    if text is None:
        return None
    try:
        reads = shapes.read(text, Reads)
        list(reads.questions())
    except ShapeError as error:
        complain(f"{FILE} of the record {record[:12]} cannot be read ({error}); the series is made anew")
        return None
    return reads


def reuse(tree: Tree, made_with: str, last: Draft) -> Made | None:
    """Return the series of a record on another base, None if it might be different there."""
    reads = None if tree.overlay else read_reads(tree.repo, last.record)
    if reads is None or reads.maker != made_with or not unmoved(tree, last.base, reads) or not last.generated:
        return None
    repo, changes = tree.repo, tree.repo.commit_changes([p.commit for p in last.generated])
    patches = tuple(
        Patch(
            p.id,
            p.step,
            read_commit(repo, p.commit).message,
            {
                path: Entry(c.mode, repo.raw(c.oid)) if c.status != "D" else None
                for path, c in changes[p.commit].items()
            },
            p.sites,
            p.target,
            p.owners,
        )
        for p in last.generated
    )
    kept = Facts(**{f.name: getattr(last.document, f.name) for f in fields(Facts)})
    series = Series(last.campaign, kernel(tree, last.document.kernel), patches, {"counts": kept.counts})
    return Made(series, kept, (*kept.warnings, *kept.remarks, *unusable(tree)), reads.formatted(), reused=True)


def kernel(tree: Tree, known: KernelInfo) -> KernelInfo:
    """Return the kernel at the new base; git takes a while to describe one."""
    return known if known.base == tree.commit else tree.kernel()


def unmoved(tree: Tree, base: str, reads: Reads) -> bool:
    """Say whether everything that was read, listed or found is the same in `base` and the tree."""
    repo = tree.repo
    if base == tree.commit:
        return True
    if not repo.has(f"{base}^{{tree}}"):
        return False
    changes = repo.changes(base, tree.commit)
    if len(changes) > MOST_CHANGED or not changes.keys().isdisjoint(reads.files.union(*reads.searches.values())):
        return False
    folders = {f.rstrip("/") for f in reads.folders}
    moved = [path for path, change in changes.items() if change.status != "M"]
    if (moved and "" in folders) or any(not folders.isdisjoint((p, *map(str, PurePath(p).parents))) for p in moved):
        return False
    needles = sorted({needle for names, *_ in reads.questions() for needle in names})
    present = sorted({change.blob for change in changes.values() if change.blob})
    if not needles or not any(holds(text, needles, word=False) for _, text in repo.blobs(present)):
        return True
    return all(tree.grep(names, specs, word=word) == answer for names, specs, word, answer in reads.questions())
