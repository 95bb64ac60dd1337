"""Apply the edits of one step to the text they refer to.

All edits of a step refer to that step's base text, as byte offsets, so they may come in any order. What overlaps, or
inserts twice at one place, has no defined result and is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from ..errors import PatchbotError
from ..model import Edit


class EditError(PatchbotError):
    """Two edits contradict each other, or one does not fit its text: a bug in a codemod."""


def apply_edits(edits: Iterable[Edit], read: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """Return {path: new bytes} of the files that `edits` change; `read` gives a file's base text, None if absent."""
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(edit.path, []).append(edit)
    changed = {}
    for path in sorted(by_path):
        text = read(path)
        new = apply_to_text(path, text, by_path[path])
        if new != text:
            changed[path] = new
    return changed


def apply_to_text(path: str, text: bytes | None, edits: list[Edit]) -> bytes:
    """Return `text` with `edits` made; `text` None means that the file does not exist and must be created."""
    if text is None or any(e.create for e in edits):
        return create(path, text, edits)
    ordered = sorted(edits, key=lambda e: (e.start, e.end))
    for edit in ordered:
        if not 0 <= edit.start <= edit.end <= len(text):
            raise EditError(
                f"{path}: edit [{edit.start}, {edit.end}) of {edit.site or 'a codemod'} is outside the file"
            )
    for one, two in pairwise(ordered):
        if two.start < one.end or (one.start, one.end) == (two.start, two.end):
            line = text.count(b"\n", 0, two.start) + 1
            raise EditError(f"{path}:{line}: the edits of {one.site or '?'} and {two.site or '?'} overlap")
    parts, at = [], 0
    for edit in ordered:
        parts += [text[at : edit.start], edit.new]
        at = edit.end
    return b"".join([*parts, text[at:]])


def create(path: str, text: bytes | None, edits: list[Edit]) -> bytes:
    """Return the text of a new file, which must be made by exactly one edit and must not exist yet."""
    if text is not None:
        raise EditError(f"{path}: a codemod creates it, but it exists")
    if len(edits) != 1 or not edits[0].create:
        raise EditError(f"{path}: a codemod edits it, but it does not exist")
    return edits[0].new
