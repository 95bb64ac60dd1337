"""Define the nouns of patchbot, as frozen dataclasses with the shape that each must have when it is read.

They exist in one place so that every arrow of the main path (Tree -> Edits -> Patch -> Series -> commits ->
Report -> Mail) can be read as a function from one of these to the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from .errors import UserError


class Status(Enum):
    """The outcome of a check, ordered from best to worst; the worst of several wins."""

    PASS = "PASS"
    SKIP = "SKIP"
    WARN = "WARN"
    FAIL = "FAIL"
    ERROR = "ERROR"

    @property
    def rank(self) -> int:
        """Return 0 for PASS up to 4 for ERROR."""
        return list(Status).index(self)

    @staticmethod
    def worst(statuses: list[Status]) -> Status:
        """Return the worst of `statuses`, SKIP if there is none: a check that examined nothing did not pass."""
        return max(statuses, key=lambda s: s.rank, default=Status.SKIP)


#: The mode of a file that is not executable.
REGULAR = "100644"
Mode = Annotated[str, Meta(pattern=r"\A(?:100644|100755|120000|160000)\Z")]


@dataclass(frozen=True)
class Entry:
    """A file in a commit: mode and bytes. None stands for a file that a commit lacks."""

    mode: Mode
    data: bytes = b""


@dataclass(frozen=True, order=True)
class Edit:
    """Replace the bytes [start, end) of `path`, as they are in the base text of the step, by `new`.

    A file that the base lacks is made by one edit with start = end = 0 and `create` set. `delete` removes a file, `to`
    is its new name, `mode` its new mode; edits of its text may come with a new name and mode. The step's split function
    groups by `key`; `site` names what is edited (a site, an anchor) for counts and messages.
    """

    path: str
    start: int = 0
    end: int = 0
    new: bytes = b""
    key: str = ""
    site: str = ""
    create: bool = False
    delete: bool = False
    to: str = ""
    mode: str = ""


@dataclass(frozen=True)
class KernelInfo:
    """A base: the commit's 40 hex digits, `make kernelversion`'s answer read from its Makefile, git describe's."""

    base: str
    version: str
    describe: str


@dataclass(frozen=True)
class Patch:
    """One future commit: a stable id, a message, and each touched file in its new form, None if it is deleted.

    `id` says what the patch means (step, and split key if the step makes several), so it survives a rebase.
    `message` is subject, blank line and body, without anybody's trailers. `sites` are the sites it changes.
    """

    id: str
    step: str
    message: str
    files: Mapping[str, Entry | None]
    sites: tuple[str, ...] = ()
    target: str = ""
    owners: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return headline(self.message)


@dataclass(frozen=True)
class Series:
    """An ordered list of patches on a base, and the facts for the cover letter."""

    campaign: str
    kernel: KernelInfo
    patches: tuple[Patch, ...]
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """A person as in git: name and address."""

    name: str
    email: str

    def __str__(self) -> str:
        """Return `Name <email>`."""
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True)
class Commit:
    """A patch that exists as a git object."""

    id: str
    sha: str
    parent: str
    tree: str
    subject: str


@dataclass(frozen=True, order=True)
class Finding:
    """One finding of a check, normalised so that sets of findings can be compared."""

    status: Status = field(compare=False)
    message: str
    file: str | None = None
    line: int | None = field(default=None, compare=False)
    type: str = ""


@dataclass(frozen=True)
class Evidence:
    """Figures that a check found, as a table: `head` names its columns. What is `posted` goes into the cover letter."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    posted: bool = False

    def lines(self) -> list[str]:
        """Return the table as text: the first column to the left, figures to the right."""
        rows = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            "  ".join(
                c.rjust(w) if n else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]


@dataclass(frozen=True)
class Covered:
    """Lines of a file that a patch changes, from `first` to `last`, and who read them; by nobody if `by` is empty."""

    file: str
    first: int
    last: int
    by: str


@dataclass(frozen=True)
class Result:
    """What one check says about one patch (`patch` is its stable id) or, if `patch` is None, about the series.

    `date` is when it said so, in UTC as ISO 8601 has it; one that is reused keeps it. `where` is the worker that said
    so, empty for this machine.
    """

    check: str
    patch: str | None
    commit: str | None
    status: Status
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    cached: bool = False
    seconds: float = 0.0
    log: str | None = None
    reproduce: str = ""
    date: str = ""
    evidence: tuple[Evidence, ...] = ()
    covered: tuple[Covered, ...] = ()
    where: str = ""


def headline(message: str) -> str:
    """Return the first non-blank line of a message, "" if there is none."""
    return next((line for line in message.split("\n") if line.strip()), "")


@lru_cache(maxsize=16)
def kernel_version(makefile: bytes | None) -> str:
    """Return `make kernelversion`'s answer from the text of the top Makefile; raise UserError for any other."""
    values = {}
    for name in (b"VERSION", b"PATCHLEVEL", b"SUBLEVEL", b"EXTRAVERSION"):
        match = re.search(rb"^" + name + rb"[ \t]*=[ \t]*(.*)$", makefile or b"", re.MULTILINE)
        values[name] = match[1].strip().decode("utf-8", "replace") if match else None
    version, patchlevel = values[b"VERSION"], values[b"PATCHLEVEL"]
    if not version or not version.isdigit() or not patchlevel or not patchlevel.isdigit():
        raise UserError("this is not a kernel: its top Makefile has no VERSION and PATCHLEVEL")
    sublevel = values[b"SUBLEVEL"]
    return f"{version}.{patchlevel}" + (f".{sublevel}" if sublevel else "") + (values[b"EXTRAVERSION"] or "")
