"""What a person changed on a generated branch, as data that needs no commit to stay alive.

The record of a draft keeps it as edits.json and the bytes it is about, tied to stable ids, so that it can be put back
on whatever the campaign generates later. A patch that is not generated any more keeps its edit for the day it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import shapes
from ..git.repo import Repo
from ..model import Entry, Identity, headline
from ..shapes import PATH, WORDS, ShapeError

FILE = "edits.json"
FOLDER = "edits"

SIDE = ({"mode": re.compile("100644|100755|120000|160000")}, None)
FILES = [{"path": PATH, "before": SIDE, "after": SIDE}]
PERSON = {"name": str, "email": str}
DATE = re.compile(r"-?[0-9]{1,15} [+-][0-9]{1,6}")
EDITS = {
    "patches": [
        {
            "id": str,
            "message": ({"generated": str, "edited": WORDS}, None),
            "author": (PERSON, None),
            "files": FILES,
        }
    ],
    "extra": [{"key": str, "message": WORDS, "author": PERSON, "date": DATE, "files": FILES}],
    "dropped": [str],
    "sequence": [str],
    "reordered": bool,
}


@dataclass(frozen=True)
class Rewrite:
    """A message as generated and as the person left it."""

    generated: str
    edited: str


@dataclass(frozen=True)
class FileEdit:
    """One file as it would be without the person's hand, and as it is with it; None where it does not exist."""

    path: str
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class PatchEdit:
    """What a person changed in one generated patch; `author` is set if it is not who patchbot would name."""

    id: str
    message: Rewrite | None = None
    files: tuple[FileEdit, ...] = ()
    author: Identity | None = None

    @property
    def kinds(self) -> list[str]:
        """Return what was changed, in words."""
        named = (("message", self.message), ("code", self.files), ("author", self.author))
        return [name for name, value in named if value]


@dataclass(frozen=True)
class Extra:
    """A commit that a person added; `date` is its author's, `<seconds> <+hhmm>`."""

    key: str
    message: str
    author: Identity
    date: str
    files: tuple[FileEdit, ...] = ()

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return headline(self.message)


@dataclass(frozen=True)
class Handmade:
    """Everything by hand on a branch; `sequence` is the branch's order, stable ids and keys of extra commits."""

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


def edits_files(made: Handmade) -> dict[str, bytes]:
    """Return the files of a record that keep the edits."""
    if not made:
        return {}
    blobs: dict[str, bytes] = {}

    def store(files: Sequence[FileEdit], name: str) -> list[dict[str, Any]]:
        rows = []
        for file in files:
            row: dict[str, Any] = {"path": file.path}
            for side, entry in (("before", file.before), ("after", file.after)):
                row[side] = entry and {"mode": entry.mode}
                if entry:
                    blobs[f"{FOLDER}/{name}/{side}/{file.path}"] = entry.data
            rows.append(row)
        return rows

    document = {
        "schema": 1,
        "patches": [
            {
                "id": e.id,
                "message": e.message and asdict(e.message),
                "author": e.author and asdict(e.author),
                "files": store(e.files, f"patch-{n}"),
            }
            for n, (_, e) in enumerate(sorted(made.patches.items()), 1)
        ],
        "extra": [
            {
                "key": e.key,
                "message": e.message,
                "author": e.author and asdict(e.author),
                "date": e.date,
                "files": store(e.files, f"extra-{n}"),
            }
            for n, e in enumerate(made.extras, 1)
        ],
        "dropped": list(made.dropped),
        "sequence": list(made.sequence),
        "reordered": made.reordered,
    }
    return {FILE: json.dumps(document, indent=1, sort_keys=True).encode() + b"\n", **blobs}


def read_handmade(repo: Repo, record: str) -> Handmade:
    """Return the edits that a record keeps; raise ShapeError if they cannot be read."""
    text = repo.read(record, FILE)
    if text is None:
        return Handmade()
    try:
        document = shapes.read(text, EDITS)
    except ShapeError as error:
        raise ShapeError(f"{FILE}: {error}") from error
    there = {path: oid for path, (_, oid) in repo.ls(record, FOLDER).items()}

    def load(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[FileEdit, ...]:
        def side(row: Mapping[str, Any], which: str) -> Entry | None:
            if row[which] is None:
                return None
            kept = f"{FOLDER}/{name}/{which}/{row['path']}"
            if kept not in there:
                raise ShapeError(f"{kept} is not there")
            return Entry(row[which]["mode"], repo.raw(there[kept]))

        return tuple(FileEdit(r["path"], side(r, "before"), side(r, "after")) for r in rows)

    def who(row: Mapping[str, str]) -> Identity:
        return Identity(row["name"], row["email"])

    patches = {
        row["id"]: PatchEdit(
            row["id"],
            Rewrite(row["message"]["generated"], row["message"]["edited"]) if row["message"] else None,
            load(row["files"], f"patch-{n}"),
            who(row["author"]) if row["author"] else None,
        )
        for n, row in enumerate(document["patches"], 1)
    }
    extras = tuple(
        Extra(row["key"], row["message"], who(row["author"]), row["date"], load(row["files"], f"extra-{n}"))
        for n, row in enumerate(document["extra"], 1)
    )
    shapes.once([*(row["id"] for row in document["patches"]), *(e.key for e in extras)], f"{FILE}: the edit of")
    return Handmade(patches, extras, tuple(document["dropped"]), tuple(document["sequence"]), document["reordered"])
