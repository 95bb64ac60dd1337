"""Have Coccinelle's spatch change one file by a SmPL script, and read what it says of what it did not see.

One process a file: `spatch --jobs` loses sites without a word. What spatch cannot parse it leaves out with exit code
0; here that is said with its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import temporary
from ..errors import ToolError
from ..git.export import write_files
from ..model import Edit
from ..run import Completed, run, which
from .edits import edits_between

PACKAGE = "coccinelle"
LATE = "spatch took longer than"
UNPARSED = "spatch did not parse this"
PARSE_ERROR = re.compile(
    r'parse error\s++= File "([^"\n]*+)", line \d++.*+\n(?:.*+\n){0,4}?badcount: \d++\n((?:(?:bad:|BAD:!!!!!).*+\n)*)'
)
BAD = re.compile(r"(?:bad:|BAD:!!!!!) ?")
FAILURE = re.compile(r"(?m)^(?:EXN|Fatal error|exn while in|.*already tagged token).*$", re.I)


@dataclass(frozen=True)
class Trouble:
    """What spatch did not do in the lines `line` to `end` of a file; `whole` says that it gave the file up."""

    line: int
    end: int
    text: str
    whole: bool = False


@dataclass(frozen=True)
class Result:
    """What spatch made of a file: (start, end, new bytes as Latin-1) of each edit, and its troubles."""

    made: tuple[tuple[int, int, str], ...]
    troubles: tuple[Trouble, ...] = ()

    def edits(self, path: str) -> Iterator[Edit]:
        """Yield the edits of the file, called `path`."""
        for start, end, new in self.made:
            yield Edit(path, start, end, new.encode("latin-1"))


@dataclass(frozen=True)
class Piece:
    """A script for one file; texts of files are as Latin-1, `near` are those beside it, `timeout` is in seconds."""

    script: str
    options: tuple[str, ...]
    path: str
    text: str
    near: Mapping[str, str]
    timeout: float


@lru_cache
def version(program: str) -> str:
    """Return what spatch says of its version."""
    return run([program, "--version"], check=False, timeout=30).stdout.decode("utf-8", "replace").split("\n")[0]


def one(piece: Piece, script: Path) -> Result:
    """Return what spatch makes of a piece by its script, which lies in a file, in a folder of its own."""
    text = piece.text.encode("latin-1")
    with temporary.folder("spatch") as place:
        near = {path: data.encode("latin-1") for path, data in piece.near.items()}
        write_files(place, {**near, piece.path: text})
        argv = [which("spatch", PACKAGE), *piece.options, "--sp-file", str(script), "--in-place", piece.path]
        try:
            done = run(argv, cwd=place, env={"TMPDIR": str(place)}, timeout=piece.timeout, check=False)
        except ToolError as error:
            if "took longer" not in str(error):
                raise
            return Result((), (Trouble(1, 1, f"{LATE} {piece.timeout:g} s", whole=True),))
        new = (place / piece.path).read_bytes()
    troubles = tuple(dict.fromkeys(troubles_in(done, piece.path, text)))
    if any(trouble.whole for trouble in troubles):
        return Result((), troubles)
    made = edits_between(piece.path, text, tidied(text, new))
    return Result(tuple((e.start, e.end, e.new.decode("latin-1")) for e in made), troubles)


def tidied(old: bytes, new: bytes) -> bytes:
    """Return what spatch made of a text without the lines of blanks that it leaves where it takes statements away."""
    known = {*old.split(b"\n")}
    return b"\n".join(line for line in new.split(b"\n") if not line or line.strip() or line in known)


def troubles_in(done: Completed, path: str, text: bytes) -> Iterator[Trouble]:
    """Yield what spatch says of a file that it did not parse, or why it gave up."""
    said = (done.stderr + b"\n" + done.stdout).decode("latin-1")
    lines = [line.rstrip() for line in text.decode("latin-1").split("\n")]
    for match in PARSE_ERROR.finditer(said):
        # Where a macro of spatch's own is expanded, the place is one in its standard.h; so the quoted lines count.
        rows = [row[len(mark[0]) :].rstrip() for row in match[2].split("\n") if (mark := BAD.match(row))]
        places = [n for n in range(len(lines)) if rows and lines[n : n + len(rows)] == rows]
        if places:
            yield from (Trouble(n + 1, n + len(rows), UNPARSED) for n in places)
        elif match[1] == path:
            yield Trouble(1, len(lines), f"{UNPARSED}, or another part of the file")
    if failure := FAILURE.search(said):
        yield Trouble(1, 1, f"spatch gave this file up: {failure[0].strip()[:200]}", whole=True)
    elif done.returncode:
        yield Trouble(1, 1, f"spatch ended with exit code {done.returncode}: {said.strip()[-200:]}", whole=True)
