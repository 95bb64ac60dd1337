"""Make the edits of one step in the files that they refer to, and find the edits that turn one text into another.

All edits of a step refer to that step's base, as names and byte offsets, so they may come in any order. What overlaps,
inserts twice at one place or contradicts itself about a file has no defined result and is an error.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

from ..errors import PatchbotError
from ..model import REGULAR, Edit, Entry

MODES = (REGULAR, "100755")
#: What git keeps besides files; no codemod edits it.
SUBMODULE = "160000"
KINDS = {"120000": "a symbolic link", SUBMODULE: "a submodule"}
#: What to look at where a codemod does not fit a tree: all steps are made again on what they made.
AGAIN = "; on the tree that it made it must make no edit: look first, as with context.tree.exists()"


class EditError(PatchbotError):
    """Two edits contradict each other, or one does not fit its file: a bug in a codemod."""


def apply_edits(edits: Iterable[Edit], read: Callable[[str], Entry | None]) -> dict[str, Entry | None]:
    """Return {path: file, None if deleted} of the files that `edits` change; `read` gives a file of the base."""
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    made: dict[str, Entry | None] = {}
    for path in sorted(by_path):
        file = apply_to_file(path, read(path), by_path[path])
        to = only(path, "name", (e.to for e in by_path[path]))
        if to and (to in by_path or to in made or read(to) is not None):
            raise EditError(f"{to}: a codemod renames {path} to this, but the name is taken")
        made |= {path: None, to: file} if to else {path: file}
    return {path: file for path, file in made.items() if file != read(path)}


def apply_to_file(path: str, file: Entry | None, edits: Sequence[Edit]) -> Entry | None:
    """Return a file with all its `edits` made, None if they delete it; a `file` that is None does not exist."""
    create, delete = any(e.create for e in edits), any(e.delete for e in edits)
    if file is None and not create:
        raise EditError(f"{path}: a codemod {'deletes' if delete else 'edits'} it, but it does not exist{AGAIN}")
    if file is not None and create:
        raise EditError(f"{path}: a codemod creates it, but it exists with another content{AGAIN}")
    if file is not None and file.mode not in MODES:
        raise EditError(f"{path}: a codemod edits it, but it is {KINDS.get(file.mode, 'not a file')}")
    mode = only(path, "mode", (e.mode for e in edits)) or (file.mode if file else REGULAR)
    if mode not in MODES:
        raise EditError(f"{path}: a codemod gives it the mode {mode}; a file has {' or '.join(MODES)}")
    bare = [replace(e, key="", site="", new=b"" if e.create else e.new, mode="" if e.create else e.mode) for e in edits]
    if (create or delete) and bare not in ([Edit(path, create=True)], [Edit(path, delete=True)]):
        raise EditError(f"{path}: a codemod both {'creates' if create else 'deletes'} and edits it")
    if delete:
        return None
    texts = [e for e in edits if e.new or e.start != e.end or not (e.to or e.mode)]
    return Entry(mode, apply_to_text(path, file.data if file else b"", texts))


def only(path: str, what: str, values: Iterable[str]) -> str:
    """Return the name or mode that the edits of a file give it, "" if none does."""
    said = sorted({value for value in values if value})
    if len(said) > 1:
        raise EditError(f"{path}: a codemod gives it more than one {what}: {', '.join(said)}")
    return said[0] if said else ""


def apply_to_text(path: str, text: bytes, edits: Sequence[Edit]) -> bytes:
    """Return `text` with `edits` made."""
    ordered = sorted(edits, key=lambda e: (e.start, e.end))
    for edit in ordered:
        if not 0 <= edit.start <= edit.end <= len(text):
            raise EditError(
                f"{path}: edit [{edit.start}, {edit.end}) of {edit.site or 'a codemod'} is outside the file"
            )
    for one, two in pairwise(ordered):
        if two.start < one.end or (one.start, one.end) == (two.start, two.end):
            line = text.count(b"\n", 0, two.start) + 1
            sites = [edit.site or "another place" for edit in (one, two)]
            what = f"the edits of {' and '.join(sites)}" if one.site or two.site else "two edits"
            raise EditError(f"{path}:{line}: {what} overlap")
    parts, at = [], 0
    for edit in ordered:
        parts += [text[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, text[at:]])


def edits_between(path: str, old: bytes | None, new: bytes | None) -> list[Edit]:
    """Return the edits that turn the text `old` into `new`; None is a file that does not exist.

    Lines that both texts have are left alone, and so are the equal beginning and end of a line that is replaced.
    """
    if old is None or new is None:
        return [Edit(path, new=new or b"", create=old is None, delete=new is None)] if old != new else []
    one, two = (re.findall(rb"[^\n]*\n|[^\n]+", text) for text in (old, new))
    starts = list(accumulate(map(len, one), initial=0))
    found = []
    for kind, a, b, c, d in blocks(one, two):
        if kind == "equal":
            continue
        if b - a == d - c:
            pairs = [(n, one[n], two[c + n - a]) for n in range(a, b)]
        else:
            pairs = [(a, b"".join(one[a:b]), b"".join(two[c:d]))]
        found += [trimmed_edit(path, starts[n], *texts) for n, *texts in pairs]
    return [edit for edit in found if edit.new or edit.start != edit.end]


def blocks(one: Sequence[bytes], two: Sequence[bytes]) -> Iterable[tuple[str, int, int, int, int]]:
    """Return how lines become others, as `SequenceMatcher.get_opcodes` does."""
    apart = [n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b]
    # Lines that only change where they are: the matcher takes 40 s for 5,000 of them between as many that stay.
    if len(one) == len(two) and {one[n] for n in apart}.isdisjoint(two[n] for n in apart):
        return [("replace", n, n + 1, n, n + 1) for n in apart]
    found: list[tuple[str, int, int, int, int]] = []
    a = c = 0
    for b, d in [*anchors(one, two), (len(one), len(two))]:
        gap = SequenceMatcher(None, one[a:b], two[c:d]).get_opcodes()
        found += [(kind, a + start, a + end, c + other, c + to) for kind, start, end, other, to in gap]
        a, c = b + 1, d + 1
    return found


def anchors(one: Sequence[bytes], two: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the places of lines that both texts have once, those of them that are in the same order in both.

    What is between two of them is short, even if whole lines come and go in thousands of places: compared as one piece
    that takes the square of the time.
    """
    there = {line: n for n, line in enumerate(two)}
    counts = Counter(one), Counter(two)
    pairs = [(n, there[line]) for n, line in enumerate(one) if counts[0][line] == counts[1][line] == 1]
    # The longest rising sequence: `tops` are the least ends of those of each length, `before` what each one follows.
    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for number, (_, at) in enumerate(pairs):
        place = bisect(tops, at)
        before.append(ends[place - 1] if place else -1)
        tops[place : place + 1] = [at]
        ends[place : place + 1] = [number]
    chain = []
    number = ends[-1] if ends else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def trimmed_edit(path: str, start: int, old: bytes, new: bytes) -> Edit:
    """Return the edit of `old`, which begins at `start`, without its equal beginning and end."""
    head = common_start(old, new)
    tail = common_start(old[head:][::-1], new[head:][::-1])
    return Edit(path, start + head, start + len(old) - tail, new[head : len(new) - tail])


def common_start(one: bytes, two: bytes) -> int:
    """Return how many bytes two texts have in common at their beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
