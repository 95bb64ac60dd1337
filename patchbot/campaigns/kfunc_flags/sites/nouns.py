"""Define what a tree holds: kfunc sets and their rows, as they stand in the source."""

from __future__ import annotations

from dataclasses import dataclass

from ....c import Span
from ....errors import UserError


class SetError(UserError):
    """A set of the tree is not understood; the message names file and line."""


#: What opens a set whose rows are behind the kfuncs.
DEFINED = "BPF_KFUNC_SET_START"


@dataclass(frozen=True)
class KfuncSet:
    """One BTF_KFUNCS_START, BPF_KFUNC_SET_START or BTF_SET8_START; the last makes no set that can be registered."""

    name: str
    file: str
    line: int
    kind: str
    conditions: tuple[str, ...]

    @property
    def kfunc(self) -> bool:
        """Say whether the set holds kfuncs."""
        return self.kind in ("BTF_KFUNCS_START", DEFINED)


@dataclass(frozen=True)
class Row:
    """One row of a set.

    `span` is the macro call without a `;` after it; `args` are its arguments. A row from an X-macro has `via`,
    the macro that is invoked, and its span is that invocation.
    """

    kfunc: str
    set: str
    file: str
    line: int
    end_line: int
    span: Span
    args: tuple[Span, ...]
    flags: tuple[str, ...]
    arg_flags: tuple[tuple[str, ...], ...]
    conditions: tuple[str, ...]
    macro: str
    via: str | None = None


@dataclass(frozen=True)
class FileSets:
    """The sets of one file and all their rows, in the order of the text.

    `problems` are lines about what is not understood, with file and line; if there are any, rows may be missing.
    """

    sets: tuple[KfuncSet, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()
