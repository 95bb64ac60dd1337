"""Keep what a person wrote into a cover letter, and merge it with what is generated later, as edits of patches are.

The record of a draft holds it as covers.json, by posting: the letter as generated and as the person left it, and the
same of each list of changes, which stays in the letters of later versions.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .. import shapes
from ..git.merge import Labels, merge_text, unresolved
from ..git.repo import Repo
from ..shapes import ShapeError, plain
from .amendments import insert

FILE = "covers.json"
#: Stands in a letter for the lists of changes, which are kept apart.
MARK = "@@ changes @@"
HEADING = re.compile(r"Changes since v([1-9][0-9]{0,5}):")
SIDES = Labels("generated now", "generated before", "edited by hand")


@dataclass(frozen=True)
class Written:
    """A text as generated and as the person left it."""

    generated: str
    edited: str


@dataclass(frozen=True)
class Cover:
    """What a person wrote of one posting: its letter, with MARK, and {N: changes since version N}."""

    text: Written | None = None
    changes: Mapping[str, Written] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.text or self.changes)


#: {posting: what a person wrote}
Covers = Mapping[str, Cover]


def cover_files(covers: Covers) -> dict[str, bytes]:
    """Return the files of a record that keep the letters."""
    kept = {name: plain(cover) for name, cover in sorted(covers.items()) if cover}
    return {FILE: json.dumps(kept, indent=1, sort_keys=True).encode() + b"\n"} if kept else {}


def read_covers(repo: Repo, record: str) -> Covers:
    """Return the letters that a record keeps; raise ShapeError if they cannot be read."""
    text = repo.read(record, FILE)
    if text is None:
        return {}
    try:
        return shapes.read(text, dict[str, Cover])
    except ShapeError as error:
        raise ShapeError(f"{FILE}: {error}") from error


@dataclass(frozen=True)
class Letter:
    """A cover letter as it would be mailed: `text` with conflict markers if the two sides contradict each other.

    `generated` has MARK, `lists` are the generated {N: changes since version N}, at most one; `shown` are the lists in
    `text`, the newest first.
    """

    text: str
    conflict: bool
    generated: str
    lists: Mapping[str, str]
    shown: tuple[str, ...] = ()


def merge(cover: Cover, generated: str, lists: Mapping[str, str]) -> Letter:
    """Return the letter of a generated text with MARK, the generated changes, and what a person wrote."""
    text, clean = merged(cover.text, generated)
    found = {}
    for since in sorted({*lists, *cover.changes}, key=int, reverse=True):
        known = cover.changes.get(since)
        found[since] = merged_list(known, lists.get(since, known.generated)) if known else lists[since]
    shown = tuple(since for since, part in found.items() if part.strip())
    part = "\n\n".join(found[since].strip("\n") for since in shown)
    rows = text.split("\n")
    if MARK in rows:
        place = rows.index(MARK)
        after = place + 1 if part or rows[place + 1 : place + 2] != [""] else place + 2
        rows[place:after] = part.split("\n") if part else []
    text = "\n".join(rows)
    unsettled = unresolved(text.encode("utf-8", "surrogateescape"))
    return Letter(text, not clean or unsettled, generated, lists, shown)


def merged(written: Written | None, generated: str) -> tuple[str, bool]:
    """Return a text with a person's edit, and whether the merge is free of conflicts."""
    if written is None:
        return generated, True
    sides = [text.encode("utf-8", "surrogateescape") for text in (written.generated, generated, written.edited)]
    data, clean = merge_text(sides[0], sides[1], sides[2], SIDES)
    return data.decode("utf-8", "surrogateescape"), clean


def merged_list(written: Written, generated: str) -> str:
    """Return a list of changes with a person's edit: theirs, without what is no longer so, with what is new."""
    before, now, mine = (items_of(text) for text in (written.generated, generated, written.edited))
    if not mine:
        return ""
    kept = [item for item in mine if item in now or item not in before]
    made = insert(kept, now, [item for item in now if item not in before and item not in kept])
    return "\n".join([generated.partition("\n")[0], "", *made, ""])


def items_of(text: str) -> list[str]:
    """Return the items of a list of changes, each with the lines that belong to it."""
    found: list[str] = []
    for row in text.split("\n"):
        if row.startswith("- "):
            found.append(row)
        elif found and row:
            found[-1] += f"\n{row}"
    return found


def rewritten(cover: Cover, letter: Letter, text: str) -> Cover:
    """Return what a person wrote once more, after they changed the text of a letter."""
    rows = text.strip("\n").split("\n")
    lists: dict[str, str] = {}
    if MARK in letter.generated.split("\n"):
        start, end = place_of_lists(letter, rows)
        lists = by_heading(rows[start:end])
        blank = [""] if rows[end : end + 1] != [""] else []
        rows[start:end] = [MARK, *blank] if start == end else [MARK]
    edited = "\n".join(rows) + "\n"
    changes = dict(cover.changes)
    for since in {*letter.shown, *lists}:
        known = letter.lists.get(since, cover.changes[since].generated if since in cover.changes else "")
        changes[since] = Written(known, lists.get(since, ""))
    same = letter.generated.strip("\n") == edited.strip("\n")
    return Cover(
        None if same else Written(letter.generated, edited),
        {since: one for since, one in sorted(changes.items()) if one.edited.strip("\n") != one.generated.strip("\n")},
    )


def place_of_lists(letter: Letter, rows: Sequence[str]) -> tuple[int, int]:
    """Return where the lists of changes stand in a person's text; where they would, if it has none."""
    start = next((number for number, row in enumerate(rows) if HEADING.fullmatch(row)), None)
    if start is not None and letter.lists:
        end = start
        for number in range(start, len(rows)):
            if rows[number].startswith(("- ", "  ")) or HEADING.fullmatch(rows[number]):
                end = number + 1
            elif rows[number]:
                break
        return start, end
    before = letter.generated.strip("\n").split("\n")
    place = before.index(MARK)
    found = len(rows)
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, rows, autojunk=False).get_opcodes():
        if i1 <= place < i2:
            found = j1 if kind != "equal" else j1 + place - i1
            found = j2 if kind == "delete" else found
    while 0 < found < len(rows) and rows[found - 1]:
        found -= 1  # to the start of a paragraph
    return found, found


def by_heading(rows: Sequence[str]) -> dict[str, str]:
    """Return {N: changes since version N} of lists of changes."""
    found: dict[str, list[str]] = {}
    since = ""
    for row in rows:
        if match := HEADING.fullmatch(row):
            since = match[1]
        found.setdefault(since, []).append(row)
    return {since: "\n".join(lines).strip("\n") + "\n" for since, lines in found.items()}
