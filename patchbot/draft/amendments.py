"""Keep what a person changed on a generated branch, as data that does not depend on commits.

The record of a draft holds it as edits.json and the bytes it is about, tied to stable ids, so that it can be put back
on whatever the campaign generates later. A patch that is no longer generated keeps its edit, in case it returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Annotated, Any

from msgspec import Meta

from .. import shapes
from ..git.repo import Repo
from ..model import Entry, Identity, headline
from ..shapes import ShapeError, TreePath, Words, plain

FILE = "edits.json"
FOLDER = "edits"
SIDES = ("before", "after")


DATE = re.compile(r"\A-?[0-9]{1,15} [+-][0-9]{1,6}\Z")
Date = Annotated[str, Meta(pattern=DATE.pattern)]


@dataclass(frozen=True)
class Rewrite:
    """A message as generated and as the person left it."""

    generated: str
    edited: Words


@dataclass(frozen=True)
class FileEdit:
    """One file without the person's edit and with it; None if it does not exist."""

    path: TreePath
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class PatchEdit:
    """What a person changed in one generated patch; `author` is set if it is not the one that patchbot would name."""

    id: str
    message: Rewrite | None
    files: tuple[FileEdit, ...]
    author: Identity | None

    @property
    def kinds(self) -> list[str]:
        """Return what was changed, in words."""
        named = (("message", self.message), ("code", self.files), ("author", self.author))
        return [name for name, value in named if value]


@dataclass(frozen=True)
class Extra:
    """A commit that a person added; `date` is its author's, `<seconds> <+hhmm>`."""

    key: str
    message: Words
    author: Identity
    date: Date
    files: tuple[FileEdit, ...]

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return headline(self.message)


@dataclass(frozen=True)
class Handmade:
    """Everything made by hand on a branch; `sequence` is the branch's order: stable ids and keys of extra commits."""

    patches: Mapping[str, PatchEdit] = field(default_factory=dict)
    extras: tuple[Extra, ...] = ()
    dropped: tuple[str, ...] = ()
    sequence: tuple[str, ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.patches or self.extras or self.dropped or self.reordered)

    def rows(self) -> list[dict[str, Any]]:
        """Return one mapping an edit, for people and programs: patch, kind, what."""
        rows: list[dict[str, Any]] = []
        for id_, edit in sorted(self.patches.items()):
            for kind in edit.kinds:
                what = {
                    "message": f"subject {headline(edit.message.edited)!r}" if edit.message else "",
                    "code": ", ".join(f.path for f in edit.files),
                    "author": str(edit.author),
                }[kind]
                rows.append({"patch": id_, "kind": kind, "what": what})
        rows += [{"patch": e.key, "kind": "extra", "what": e.subject} for e in self.extras]
        rows += [{"patch": id_, "kind": "dropped", "what": ""} for id_ in self.dropped]
        if self.reordered:
            rows.append({"patch": None, "kind": "order", "what": ", ".join(self.sequence)})
        return rows


@dataclass(frozen=True)
class Edits:
    """The content of edits.json; the bytes of the files are next to it."""

    patches: tuple[PatchEdit, ...]
    extra: tuple[Extra, ...]
    dropped: tuple[str, ...]
    sequence: tuple[str, ...]
    reordered: bool
    schema: int = 1


def edits_files(made: Handmade) -> dict[str, bytes]:
    """Return the files of a record that keep the edits."""
    if not made:
        return {}
    edits = tuple(edit for _, edit in sorted(made.patches.items()))
    document = plain(Edits(edits, made.extras, made.dropped, made.sequence, made.reordered))
    blobs: dict[str, bytes] = {}
    for kind, rows in (("patch", document["patches"]), ("extra", document["extra"])):
        for number, row in enumerate(rows, 1):
            for file, side in product(row["files"], SIDES):
                if file[side]:
                    blobs[blob_path(kind, number, side, file["path"])] = file[side].pop("data")
    return {FILE: json.dumps(document, indent=1, sort_keys=True).encode() + b"\n", **blobs}


def blob_path(kind: str, number: int, side: str, path: str) -> str:
    """Return the path in a record of one side of a file of the edit with this number."""
    return f"{FOLDER}/{kind}-{number}/{side}/{path}"


def read_handmade(repo: Repo, record: str) -> Handmade:
    """Return the edits that a record keeps; raise ShapeError if they cannot be read."""
    text = repo.read(record, FILE)
    if text is None:
        return Handmade()
    try:
        known = shapes.read(text, Edits)
    except ShapeError as error:
        raise ShapeError(f"{FILE}: {error}") from error
    there = {path: oid for path, (_, oid) in repo.ls(record, FOLDER).items()}

    def load(files: Sequence[FileEdit], kind: str, number: int) -> tuple[FileEdit, ...]:
        def side(entry: Entry | None, name: str, path: str) -> Entry | None:
            place = blob_path(kind, number, name, path)
            if entry and place not in there:
                raise ShapeError(f"{place} is missing")
            return entry and Entry(entry.mode, repo.raw(there[place]))

        return tuple(FileEdit(f.path, side(f.before, "before", f.path), side(f.after, "after", f.path)) for f in files)

    patches = {e.id: replace(e, files=load(e.files, "patch", n)) for n, e in enumerate(known.patches, 1)}
    extras = tuple(replace(e, files=load(e.files, "extra", n)) for n, e in enumerate(known.extra, 1))
    shapes.once([*(e.id for e in known.patches), *(e.key for e in extras)], f"{FILE}: the edit of")
    return Handmade(patches, extras, known.dropped, known.sequence, known.reordered)


def insert(into: Sequence[str], order: Sequence[str], names: Iterable[str]) -> list[str]:
    """Return `into` with each of `names` after the nearest one that precedes it in `order`."""
    out = list(into)
    for name in names:
        before = [n for n in order[: list(order).index(name)] if n in out]
        out.insert(out.index(before[-1]) + 1 if before else 0, name)
    return out
