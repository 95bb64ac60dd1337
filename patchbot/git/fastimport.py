"""Write what `git fast-import` reads: new commits, and the record of a draft.

Names, paths and messages come from anywhere. Paths are quoted, messages and files are counted bytes, and what would end
a person's field is taken out of it: nothing can break out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model import REGULAR, Entry, Identity

#: What git takes away around a name.
CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
#: Zones that fast-import takes; public histories hold others, as +051800.
ZONE = re.compile(r"[+-](?:(?:0\d|1[0-3])[0-5]\d|1400)")
LAST_SECOND = 253_402_214_399  # in the year 9999, after which Python knows none


@dataclass(frozen=True)
class NewCommit:
    """A commit to write: message, author, date (`<seconds> <+hhmm>`) and what becomes of files of its parent.

    A commit of another person has that person as `author`, with `author_date`, and who carries it as `committer`.
    """

    id: str
    message: str
    author: Identity
    date: str
    files: Mapping[str, Entry | None]
    committer: Identity | None = None
    author_date: str = ""


@dataclass(frozen=True)
class Record:
    """What patchbot remembers of a draft: files in the tree of a commit whose parent is the series' tip.

    `also` are further commits that it keeps alive.
    """

    message: str
    author: Identity
    date: str
    files: Mapping[str, bytes]
    also: tuple[str, ...] = ()


def fast_import_stream(base: str, commits: Sequence[NewCommit], record: Record | None) -> Iterable[bytes]:
    """Yield fast-import's input. Paths are quoted, messages and files are counted bytes: nothing can break out."""
    yield b"feature done\n"
    parent = base
    for mark, commit in enumerate(commits, 1):
        yield header("refs/scratch/series", mark, commit, parent)
        # What goes comes first: a file may take the place of a folder, and a folder that of a file.
        for path, file in sorted(commit.files.items(), key=lambda item: (item[1] is not None, item[0])):
            yield modified(path, file) if file else f"D {quote(path)}\n".encode("utf-8", "surrogateescape")
        parent = f":{mark}"
    if record is not None:
        yield header("refs/scratch/record", len(commits) + 1, record, parent)
        yield from (f"merge {sha}\n".encode() for sha in record.also)
        yield b"deleteall\n"
        yield from (modified(path, Entry(REGULAR, data)) for path, data in sorted(record.files.items()))
    yield b"done\n"


def modified(path: str, file: Entry) -> bytes:
    """Return the command that puts a file into a commit."""
    head = f"M {file.mode} inline {quote(path)}\n".encode("utf-8", "surrogateescape")
    return head + b"data %d\n%b\n" % (len(file.data), file.data)


def header(ref: str, mark: int, commit: NewCommit | Record, parent: str) -> bytes:
    """Return the head of one commit command."""
    author, committer, written = commit.author, commit.author, commit.date
    if isinstance(commit, NewCommit):
        committer, written = commit.committer or commit.author, usable_date(commit.author_date) or commit.date
    text = commit.message.encode("utf-8", "surrogateescape")
    head = f"commit {ref}\nmark :{mark}\nauthor {person(author)} {written}\n"
    head += f"committer {person(committer)} {commit.date}\n"
    return head.encode("utf-8", "surrogateescape") + b"data %d\n%b\n" % (len(text), text) + f"from {parent}\n".encode()


def person(who: Identity) -> str:
    """Return a person as a commit names them."""
    return f"{without_crud(who.name)} <{without_crud(who.email)}>"


def without_crud(text: str) -> str:
    """Return a name or address as git puts it into a commit: without what would end its field, and CRUD around it."""
    return re.sub(r"[<>\n\r\0]", "", text.strip(CRUD))


def usable_date(text: str) -> str:
    """Return `<seconds> <+hhmm>` as git writes and mails take it, "" where it is none; what is no zone is +0000."""
    match = re.fullmatch(r"(\d{1,12}) ([+-]\d+)", text)
    if not match or int(match[1]) > LAST_SECOND:
        return ""
    return f"{int(match[1])} {match[2] if ZONE.fullmatch(match[2]) else '+0000'}"


def quote(path: str) -> str:
    """Return a path as fast-import's C-style quoted string."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
