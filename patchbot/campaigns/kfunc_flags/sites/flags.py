"""Read which bit each flag of a tree is: a second name for a bit would hide what a row says from all who go by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ....c import macros, parse
from ....c.query import Macro
from ....series.tree import Tree

FLAGS_HEADER = "include/linux/btf.h"
#: Flags of kfuncs and of arguments are two families: each counts its bits from 0.
FAMILIES = ("KF_", "KFA_")
#: No flag of 32 bits is longer; a text from a tree is not worth more work.
LONGEST = 200

_PIECE = re.compile(r"\s*(?:(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)[uUlL]*\b|(_?BIT\w*)|(<<|[|()+]))")


@dataclass(frozen=True)
class Flags:
    """The bit of each flag that is one; `bits` has no name whose definitions differ, are not a bit or cannot be read.

    A tree without the header, `there` is False, is none that anybody compiles; its flags are what they are called.
    """

    bits: Mapping[str, int]
    there: bool

    def doubt(self, flag: str, asked: tuple[str, ...], family: str = "KF_") -> str:
        """Return why a flag in a row is not clear, "" if it is; `asked` are the flags that the campaign converts."""
        if not self.there:
            return ""
        if flag not in self.bits or not flag.startswith(family):
            return f"{FLAGS_HEADER} defines no single flag {flag}, so what the row says of arguments is not known"
        same = [other for other in asked if other != flag and self.bits.get(other) == self.bits[flag]]
        return f"{flag} is the bit of {same[0]} under another name; expected {same[0]}" if same else ""


def read_flags(tree: Tree) -> Flags:
    """Return the flags that the header of a tree defines."""
    found: dict[str, set[int | None]] = {}
    for family in FAMILIES:
        for macro in macros_of(tree, FLAGS_HEADER, family):
            value = value_of(macro.value.decode("utf-8", "replace")) if macro.params is None else None
            found.setdefault(macro.name, set()).add(value)
    single = {name: next(iter(values)) for name, values in found.items() if len(values) == 1}
    bits = {name: bit for name, bit in single.items() if bit and bit & (bit - 1) == 0}
    return Flags(bits, tree.get(FLAGS_HEADER) is not None)


def macros_of(tree: Tree, path: str, prefix: str) -> list[Macro]:
    """Return the macros of a header whose names begin with `prefix`."""
    text = tree.get(path)
    return [m for m in macros(parse(path, text)) if m.name.startswith(prefix)] if text is not None else []


def value_of(text: str) -> int | None:
    """Return the number that a constant like `(1 << 7)`, `0x80`, `BIT(7)` or `1 | 2` is, None if it is none."""
    text = re.sub(r"/\*(?:.*?\*/|.*)|//[^\n]*|\\\r?\n", " ", text[:LONGEST], flags=re.DOTALL).strip()
    pieces: list[str] = []
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            return None
        pieces.append("BIT" if match[2] else match[1] or match[3])
        at = match.end()
    try:
        value, after = either(pieces, 0)
    except (IndexError, ValueError, RecursionError):
        return None
    return value if after == len(pieces) else None


def either(pieces: list[str], at: int) -> tuple[int, int]:
    """Return the value of `a | b` from a piece on, and where it ends; raise ValueError where it is none."""
    value, at = shifted(pieces, at)
    while pieces[at : at + 1] == ["|"]:
        more, at = shifted(pieces, at + 1)
        value |= more
    return value, at


def shifted(pieces: list[str], at: int) -> tuple[int, int]:
    """Return the value of `a << b`, where both may be sums."""
    value, at = added(pieces, at)
    while pieces[at : at + 1] == ["<<"]:
        by, at = added(pieces, at + 1)
        value = shift(value, by)
    return value, at


def added(pieces: list[str], at: int) -> tuple[int, int]:
    """Return the value of `a + b`."""
    value, at = primary(pieces, at)
    while pieces[at : at + 1] == ["+"]:
        more, at = primary(pieces, at + 1)
        value += more
    return value, at


def primary(pieces: list[str], at: int) -> tuple[int, int]:
    """Return the value of a number, of something in brackets or of BIT()."""
    if pieces[at] == "BIT" and pieces[at + 1] == "(":
        by, after = primary(pieces, at + 1)
        return shift(1, by), after
    if pieces[at] == "(":
        value, after = either(pieces, at + 1)
        if pieces[after] != ")":
            raise ValueError("the bracket does not close")
        return value, after + 1
    number = pieces[at]
    octal = len(number) > 1 and number[0] == "0" and number.isdigit()
    return int(number, 8 if octal else 0), at + 1


def shift(value: int, by: int) -> int:
    """Return `value << by`; raise ValueError where no machine has that many bits."""
    if by >= 64:
        raise ValueError("too far")
    return value << by
