"""Tell which messages a patch brought, by what programs say of the tree before and after it.

Where a message stands and how many there are says little: lines move, and a patch may bring one message and take away
another. A message is the same by its file, the function that it is in, and its text without the numbers of lines, and
it counts as often as it is there. It is not new either where its code moved: where a function with that line went from
another file to this one, or where the function got another name and the lines around it are the same. Where the file
itself moved, it is the same by its new name. Code that went to another function is not told from code written anew, so
its messages are new.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..c.words import declared, enclosing, like_c
from ..git.objects import Objects
from ..model import Finding
from .check import Item

#: Returns the bytes of a file of a tree, None if the tree lacks it.
Texts = Callable[[str], bytes | None]
NUMBER = re.compile(r"(?<=\blines )\d+|(?<=\bline )\d+|(?<=:)\d+")
#: The other place that a message is about, as Sphinx says of what is there twice: either of the two may be named.
OTHER = re.compile(r"(?<=\bother instance in )\S+|(?<=\balso defined at )\S+")


@dataclass(frozen=True)
class Placed:
    """A message, its text without numbers and the other place that it names, and its own place.

    `code` is the line that it is about, `around` are that and its neighbours. `only_here` says that the other side
    lacks the function.
    """

    finding: Finding
    text: str
    function: str
    code: bytes
    around: tuple[bytes, ...]
    only_here: bool

    def here(self) -> Hashable:
        """Return what a message has in common with the same one in the same line, wherever that is in its function."""
        return (*self.in_function(), self.code)

    def in_function(self) -> tuple[Hashable, ...]:
        """Return what it has in common with the same one in the same function."""
        return (self.finding.file, self.function, self.finding.type, self.text)

    def in_moved_code(self) -> Hashable:
        """Return what it has in common with the same one in another file, None where its function did not move."""
        moved = self.code and (self.only_here or not self.function)
        return (self.function, self.finding.type, self.text, self.code) if moved else None

    def in_renamed_function(self) -> Hashable:
        """Return what it has in common with the same one in a function with another name."""
        return (self.finding.file, self.finding.type, self.text, self.around) if self.code and self.only_here else None

    def in_pair(self) -> Hashable:
        """Return what it has in common with the same one at the other of the two places that it is about."""
        return (self.finding.type, self.text) if OTHER.search(self.finding.message) else None


#: Tried in this order; what is the same by one of them is not new.
SAME: Sequence[Callable[[Placed], Hashable]] = (
    Placed.here,
    Placed.in_function,
    Placed.in_moved_code,
    Placed.in_renamed_function,
    Placed.in_pair,
)


def brought(
    before: Iterable[Finding], after: Iterable[Finding], old: Texts, new: Texts, moves: Mapping[str, str] | None = None
) -> list[Finding]:
    """Return the messages that a patch brought, sorted; `old` and `new` give the files before and after it.

    `moves` is {file: the name that the patch gives it}.
    """
    names = {name: path for path, name in (moves or {}).items()}

    def was(path: str) -> bytes | None:
        return old(names.get(path, path))

    there, here = placed(renamed(before, moves or {}), was, new), placed(after, new, was)
    for same in SAME:
        there, here = unpaired(there, here, same), unpaired(here, there, same)
    return sorted((one.finding for one in here), key=lambda f: (f.file or "", f.line or 0, f.message))


def renamed(findings: Iterable[Finding], moves: Mapping[str, str]) -> Iterable[Finding]:
    """Return messages with the new names of files, also in what they say."""
    if not moves:
        return findings
    form = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, sorted(moves)))})(?![\w/-])")
    return [
        replace(f, file=moves.get(f.file or "", f.file), message=form.sub(lambda m: moves[m[0]], f.message))
        for f in findings
    ]


def moved(objects: Objects, item: Item) -> dict[str, str]:
    """Return {file: its new name} of the files that a patch moves, as git sees it."""
    changes = objects.commit_changes([item.commit]).get(item.commit, {})
    gone, come = ([path for path, change in changes.items() if change.status == status] for status in "DA")
    return objects.moves(item.parent_tree, item.tree, gone, come) if gone and come else {}


def unpaired(some: Iterable[Placed], others: Iterable[Placed], same: Callable[[Placed], Hashable]) -> list[Placed]:
    """Return the messages without one among others that is the same; each counts once."""
    free = Counter(key for key in map(same, others) if key is not None)
    rest = []
    for one in some:
        key = same(one)
        if free[key] > 0:
            free[key] -= 1
        else:
            rest.append(one)
    return rest


def placed(findings: Iterable[Finding], own: Texts, other: Texts) -> list[Placed]:
    """Return messages about the files that `own` gives, each with its place; `other` gives those of the other side."""
    by_file: dict[str | None, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    found = []
    for path, rows in by_file.items():
        text = (own(path) if path else None) or b""
        lines = [line.strip() for line in text.split(b"\n")]
        starts = [0, *(m.end() for m in re.finditer(rb"\n", text))]
        numbers = [min(row.line or 1, len(lines)) - 1 for row in rows]
        known = path is not None and like_c(path)
        names = enclosing(text, [item_at(text, starts[n]) for n in numbers]) if known else [""] * len(rows)
        lacking = {*names} - declared((other(path) if path else None) or b"")
        for row, number, name in zip(rows, numbers, names, strict=True):
            code, around, where = lines[number], tuple(lines[max(number - 1, 0) : number + 2]), name
            if not row.line:
                code, around, where = b"", (), ""
            told = NUMBER.sub("", OTHER.sub("", row.message))
            found.append(Placed(row, told, where, code, around, where in lacking))
    return found


def item_at(text: bytes, start: int) -> int:
    """Return an offset in the item that a line is about: a comment at file scope is about what follows it."""
    if text.startswith((b"/*", b" *"), start) and (end := text.find(b"*/", start)) >= 0:
        start = end + 2
        while text[start : start + 1].isspace():
            start += 1
    end = text.find(b"\n", start)
    return len(text) if end < 0 else end


def united(each: Iterable[Iterable[Finding]]) -> list[Finding]:
    """Return the messages of several runs, as of compilers of objects: what all of them say of a header counts once."""
    most: Counter[tuple[Finding, int | None]] = Counter()
    for findings in each:
        most |= Counter((finding, finding.line) for finding in findings)
    return [finding for finding, _ in most.elements()]


def files_of(read: Callable[[str, str], bytes | None], tree: str) -> Texts:
    """Return what gives the files of a tree; each is read once."""
    known: dict[str, bytes | None] = {}

    def text(path: str) -> bytes | None:
        if path not in known:
            outside = path.startswith("/") or ".." in path.split("/")  # a header of the system
            known[path] = None if outside else read(tree, path)
        return known[path]

    return text
