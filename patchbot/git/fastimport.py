"""Write the input of `git fast-import`: new commits, each on top of the one before.

Names, paths and messages are untrusted. Paths are quoted, messages and files are counted bytes, and whatever would end
a person's field is removed: nothing can break out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model import Entry, Identity

#: What git strips from both ends of a name.
CRUD = "".join(map(chr, range(33))) + ".,:;<>\"\\'"
#: Zones that fast-import takes; public histories hold others, as +051800.
ZONE = re.compile(r"[+-](?:(?:0\d|1[0-3])[0-5]\d|1400)")
LAST_SECOND = 253_402_214_399  # in the year 9999, the last that Python knows


@dataclass(frozen=True)
class Kept:
    """A file in a commit whose content git has already: mode and object id."""

    mode: str
    oid: str


@dataclass(frozen=True)
class NewCommit:
    """A commit to write: message, author, date (`<seconds> <+hhmm>`) and what becomes of files of its parent.

    Somebody else's commit has that person as `author`, with `author_date`, and whoever carries it as `committer`.
    One that stands `alone` has only these files. `also` are further parents, which it keeps alive. `onto` is its parent
    if that is not the commit before it.
    """

    id: str
    message: str
    author: Identity
    date: str
    files: Mapping[str, Entry | Kept | None]
    committer: Identity | None = None
    author_date: str = ""
    alone: bool = False
    also: tuple[str, ...] = ()
    onto: str = ""


def fast_import_stream(base: str, commits: Sequence[NewCommit]) -> Iterable[bytes]:
    """Yield the input that makes fast-import write the commits and print their ids."""
    yield b"feature done\n"
    parent = base
    for mark, commit in enumerate(commits, 1):
        yield commit_header(mark, commit, commit.onto or parent)
        yield from (f"merge {sha}\n".encode() for sha in commit.also)
        yield b"deleteall\n" if commit.alone else b""
        # Deletions come first: a file may take the place of a folder, and a folder that of a file.
        for path, file in sorted(commit.files.items(), key=lambda item: (item[1] is not None, item[0])):
            where = file.oid if isinstance(file, Kept) else "inline"
            command = f"M {file.mode} {where} {quote(path)}\n" if file else f"D {quote(path)}\n"
            yield command.encode("utf-8", "surrogateescape")
            yield b"data %d\n%b\n" % (len(file.data), file.data) if isinstance(file, Entry) else b""
        parent = f":{mark}"
        yield f"get-mark {parent}\n".encode()
    yield b"done\n"


def commit_header(mark: int, commit: NewCommit, parent: str) -> bytes:
    """Return the head of one commit command."""
    text = commit.message.encode("utf-8", "surrogateescape")
    written = usable_date(commit.author_date) or commit.date
    head = f"commit refs/scratch/series\nmark :{mark}\nauthor {person(commit.author)} {written}\n"
    head += f"committer {person(commit.committer or commit.author)} {commit.date}\n"
    return head.encode("utf-8", "surrogateescape") + b"data %d\n%b\n" % (len(text), text) + f"from {parent}\n".encode()


def person(who: Identity) -> str:
    """Return a person as a commit names them."""
    return f"{without_crud(who.name)} <{without_crud(who.email)}>"


def without_crud(text: str) -> str:
    """Return a name or address as git puts it into a commit: without CRUD around it, and what would end its field."""
    return re.sub(r"[<>\n\r\0]", "", text.strip(CRUD))


def usable_date(text: str) -> str:
    """Return `<seconds> <+hhmm>` as git writes it and mails need it, "" for other text; an invalid zone is +0000."""
    match = re.fullmatch(r"(\d{1,12}) ([+-]\d+)", text)
    if not match or int(match[1]) > LAST_SECOND:
        return ""
    return f"{int(match[1])} {match[2] if ZONE.fullmatch(match[2]) else '+0000'}"


def quote(path: str) -> str:
    """Return a path as fast-import's C-style quoted string."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
