"""Read the bit of each flag of a tree: a second name for a bit would hide the meaning of a row from its readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ....c import macros, parse
from ....c.constants import constant
from ....c.query import Macro
from ....series.tree import Tree

FLAGS_HEADER = "include/linux/btf.h"
#: Flags of kfuncs and of arguments are two families, each with bits from 0.
FAMILIES = ("KF_", "KFA_")


@dataclass(frozen=True)
class Flags:
    """The bit of each flag; `bits` lacks names whose definitions differ, are not one bit or cannot be read.

    A tree without the header (`there` is False) cannot be compiled; its flags are taken by their names.
    """

    bits: Mapping[str, int]
    there: bool

    def doubt(self, flag: str, asked: tuple[str, ...], family: str = "KF_") -> str:
        """Return why a flag in a row is unclear, "" if it is not; `asked` are the flags that the campaign converts."""
        if not self.there:
            return ""
        if flag not in self.bits or not flag.startswith(family):
            return f"{FLAGS_HEADER} does not define {flag} as a single flag, so the meaning of the row is unknown"
        same = [other for other in asked if other != flag and self.bits.get(other) == self.bits[flag]]
        return f"{flag} is another name for the bit of {same[0]}; expected {same[0]}" if same else ""


def read_flags(tree: Tree) -> Flags:
    """Return the flags that the header of a tree defines."""
    found: dict[str, set[int | None]] = {}
    for family in FAMILIES:
        for macro in macros_of(tree, FLAGS_HEADER, family):
            value = constant(macro.value.decode("utf-8", "replace")) if macro.params is None else None
            found.setdefault(macro.name, set()).add(value)
    single = {name: next(iter(values)) for name, values in found.items() if len(values) == 1}
    bits = {name: bit for name, bit in single.items() if bit and bit & (bit - 1) == 0}
    return Flags(bits, tree.get(FLAGS_HEADER) is not None)


def macros_of(tree: Tree, path: str, prefix: str) -> list[Macro]:
    """Return the macros of a header whose names begin with `prefix`."""
    text = tree.get(path)
    return [m for m in macros(parse(path, text)) if m.name.startswith(prefix)] if text is not None else []
