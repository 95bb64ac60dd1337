"""Read and write what b4 keeps of a series: a cover letter with its recipients, and a table in JSON below a marker.

b4 has both in the message of an empty commit, or in the configuration of the branch (`b4.prep-cover-strategy`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..draft.covers import items_of
from ..draft.trailers import identify, put_together, take_apart
from ..series.render import checked_message
from ..shapes import ShapeError, convert, read

MARKER = "--- b4-submit-tracking ---"
COMMENT = "# This section is used internally by b4 prep for tracking purposes."
#: What b4 puts into the letter after it sent one.
CHANGES = re.compile(r"Changes in v([1-9][0-9]{0,5}):?")
TEMPLATE = ("- EDITME", "- Link to v")
#: The types of what is read in the table.
TYPES: Mapping[str, Any] = {
    "revision": int,
    "change-id": str,
    "prefixes": list[str],
    "prerequisites": list[str],
    "history": dict[str, list[str]],
}


@dataclass(frozen=True)
class Tracked:
    """A series as b4 knows it: the letter, lines `To: ...` and `Cc: ...`, and the table `series`.

    `changes` are {N: items of the changes since version N} that a person wrote below b4's own heading, `notes` lines
    with # to themselves, which no mail has.
    """

    text: str
    people: tuple[str, ...]
    series: Mapping[str, Any]
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def cover(self) -> str:
        """Return the cover letter as b4 keeps it."""
        parts = (self.text.strip("\n"), "\n".join(self.notes), "\n".join(self.people))
        return "\n\n".join(part for part in parts if part)

    @property
    def json(self) -> str:
        """Return the table as b4 keeps it."""
        return json.dumps({"series": self.series}, indent=2)

    @property
    def message(self) -> str:
        """Return the message of b4's cover commit."""
        return f"{self.cover}\n\n{MARKER}\n{COMMENT}\n{self.json}\n"

    @property
    def history(self) -> dict[int, str]:
        """Return {N: the Message-ID} of the versions that were sent."""
        rows = ((re.fullmatch(r"v([1-9]\d{0,5})", key), ids) for key, ids in self.series.get("history", {}).items())
        return {int(match[1]): ids[-1] for match, ids in rows if match and ids}


def read_message(message: str, where: str) -> Tracked:
    """Return what the message of a cover commit holds; raise ShapeError if b4 could not read it."""
    cover, _, rest = message.partition(f"{MARKER}\n")
    return read_tracked(cover, rest[rest.find("{") :] if "{" in rest else "", where)


def read_tracked(cover: str, text: str, where: str) -> Tracked:
    """Return a cover letter and its table; raise ShapeError for a table of another shape, UserError for the letter."""
    series = read_table(text)
    for key in ("revision", "change-id"):
        if key not in series:
            raise ShapeError(f"series lacks {key!r}")
    for key, kind in TYPES.items():
        if key in series:
            convert(series[key], kind, f"series.{key}")
    notes = tuple(row for row in cover.split("\n") if row.startswith("#"))
    text, people, changes = read_cover(cover)
    return Tracked(checked_message(where, text), people, series, changes, notes)


def read_table(text: str) -> dict[str, Any]:
    """Return the table `series` of a tracking, {} if it has none; raise ShapeError for what is not one."""
    return read(text, dict[str, dict[str, Any]]).get("series", {})


def read_cover(cover: str) -> tuple[str, tuple[str, ...], dict[str, list[str]]]:
    """Return the letter of a cover, its recipients, and {N: items} of what b4 calls `Changes in v<N+1>`."""
    rows = [row.rstrip() for row in cover.replace("\r\n", "\n").split("\n") if not row.startswith("#")]
    sections: list[list[str]] = [[]]
    changes: dict[str, list[str]] = {}
    for row in rows:
        if row == "---":
            sections.append([])
        else:
            sections[-1].append(row)
    kept = []
    for section in sections:
        start = next((n for n, row in enumerate(section) if CHANGES.fullmatch(row)), None)
        if start is not None:
            changes |= listed(section[start:])
            section = section[:start]
        kept.append("\n".join(section).strip("\n"))
    text, lines, _ = take_apart(f"{kept[0]}\n")
    people = tuple(line for line in lines if identify(line)[0] in ("to", "cc"))
    text = put_together(text, [line for line in lines if line not in people], "")
    return "\n\n".join(part.strip("\n") for part in (text, *kept[1:]) if part.strip()), people, changes


def listed(rows: Sequence[str]) -> dict[str, list[str]]:
    """Return {N: items of the changes since version N} of b4's lists, without what it fills in itself."""
    found: dict[str, list[str]] = {}
    since = ""
    for row in rows:
        if match := CHANGES.fullmatch(row):
            since = str(int(match[1]) - 1)
        found[since] = [*found.get(since, []), row]
    items = {n: [i for i in items_of("\n".join(part)) if not i.startswith(TEMPLATE)] for n, part in found.items()}
    return {n: part for n, part in items.items() if part}


def merged(ours: Tracked, before: Tracked, theirs: Tracked) -> Tracked:
    """Return what patchbot has now with what a person changed in b4 since patchbot wrote `before`: theirs counts.

    The revision is not merged, as both count versions; nor is the letter, which goes another way.
    """
    series = dict(ours.series)
    for key in sorted({*before.series, *theirs.series} - {"revision", "history", "change-id", "patchbot"}):
        if theirs.series.get(key) != before.series.get(key):
            series[key] = theirs.series.get(key)
    series["history"] = {**ours.series.get("history", {}), **theirs.series.get("history", {})}
    had, have = ({identify(line) for line in one.people} for one in (before, theirs))
    people = [line for line in ours.people if identify(line) in have or identify(line) not in had]
    there = {identify(line) for line in people}
    people += [line for line in theirs.people if identify(line) not in {*had, *there}]
    known = {key: value for key, value in series.items() if value not in (None, {})}
    people.sort(key=lambda line: identify(line)[0] != "to")
    return replace(ours, people=tuple(people), series=known, notes=theirs.notes)
