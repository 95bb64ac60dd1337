"""Merge one file, or one message, three ways in memory.

git's merge of whole trees reads 90,000 files for the sake of five, and before 2.40 the caller cannot choose its merge
base, so each file goes through `git merge-file`; nearly all of them need no merge at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import temporary
from ..errors import ToolError
from ..model import REGULAR, Entry
from ..run import run

MARKER = re.compile(rb"^(?:<<<<<<< |\|\|\|\|\|\|\| |>>>>>>> )", re.M)


@dataclass(frozen=True)
class Labels:
    """The names of the sides of a conflict."""

    ours: str
    base: str
    theirs: str


@dataclass(frozen=True)
class Merged:
    """The merged file; with `conflict`, its bytes hold git's conflict markers."""

    entry: Entry | None
    conflict: bool = False


def merge_file(
    base: Entry | None, ours: Entry | None, theirs: Entry | None, labels: Labels, *, favour: bool = False
) -> Merged:
    """Merge the changes from `base` to `theirs` into `ours`; a change and a deletion conflict.

    With `favour`, theirs counts where the two contradict, and there is no conflict.
    """
    if theirs in (base, ours):
        return Merged(ours)
    if ours == base:
        return Merged(theirs)
    modes = [e.mode if e else None for e in (base, ours, theirs)]
    mode = (modes[2] if modes[1] == modes[0] else modes[1]) or modes[2] or REGULAR
    texts = [e.data if e else b"" for e in (base, ours, theirs)]
    odd = None in (ours, theirs) or (modes[1] not in (modes[0], modes[2]) and modes[2] != modes[0])
    if odd or any(b"\0" in t for t in texts) or not mode.startswith("100"):
        return Merged(theirs) if favour else Merged(Entry(mode, both(ours, theirs, labels)), True)
    data, clean = merge_text(texts[0], texts[1], texts[2], labels, favour=favour)
    return Merged(Entry(mode, data), not clean)


def both(ours: Entry | None, theirs: Entry | None, labels: Labels) -> bytes:
    """Return two whole files as one conflict."""
    sides = [lined(e.data) if e else b"" for e in (ours, theirs)]
    names = [f"{name}{'' if e else ' (deleted)'}" for name, e in ((labels.ours, ours), (labels.theirs, theirs))]
    return b"<<<<<<< %b\n%b=======\n%b>>>>>>> %b\n" % (names[0].encode(), sides[0], sides[1], names[1].encode())


def lined(data: bytes) -> bytes:
    """Return text that ends with a line end."""
    return data if data.endswith(b"\n") or not data else data + b"\n"


def merge_text(base: bytes, ours: bytes, theirs: bytes, labels: Labels, *, favour: bool = False) -> tuple[bytes, bool]:
    """Return the merge of two texts, and whether it is free of conflicts."""
    if theirs in (base, ours):
        return ours, True
    if ours == base:
        return theirs, True
    with temporary.folder("merge") as folder:
        files = [folder / name for name in ("ours", "base", "theirs")]
        for file, text in zip(files, (ours, base, theirs), strict=True):
            file.write_bytes(text)
        names = [f"-L{name}" for name in (labels.ours, labels.base, labels.theirs)]
        done = run(["git", "merge-file", "-p", "--theirs" if favour else "--diff3", *names, *files], check=False)
    if not 0 <= done.returncode < 128:
        raise ToolError(done.explain())
    return done.stdout, done.returncode == 0


def unresolved(data: bytes) -> bool:
    """Say whether a text still holds conflict markers."""
    return MARKER.search(data) is not None
