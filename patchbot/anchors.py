"""Say where an edit goes by name and shape, and say loudly when it cannot go there.

An anchor is a list of alternatives; the first that finds exactly one place in the tree is taken. A tree in which an
anchor is missing, ambiguous or drifted stops the series before anything is written, with every problem named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from .c import Source, Span
from .errors import UserError
from .model import Edit


class AnchorError(UserError):
    """Anchors of a step are missing, ambiguous or drifted in this tree."""


class Outcome(Enum):
    """What became of an anchor."""

    APPLIED = "applied"
    ALREADY = "already"
    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Alternative:
    """One shape that the text may have, what to edit then, and how to see that the edit was made.

    `label` says what is found, never a version. `within` gives the named thing (function, struct) that `find`
    looks in: if it exists and `find` finds nothing, the text drifted. `pattern` is what is looked for, for messages.
    """

    label: str
    find: Callable[[Source], Sequence[Span]]
    edit: Callable[[Source, Span], Sequence[Edit]]
    done: Callable[[Source], bool]
    within: Callable[[Source], Sequence[Span]] | None = None
    pattern: str = ""


@dataclass(frozen=True)
class Anchor:
    """A named place in one file (`path`: the candidates, the first that exists and has it) and its alternatives.

    A tree may lack an anchor that is `optional`, which then is the reason that the report gives.
    """

    name: str
    path: str | tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    optional: str = ""


@dataclass(frozen=True)
class Report:
    """What became of one anchor, where, by which alternative, and what to know about it."""

    anchor: str
    path: str
    line: int | None
    outcome: Outcome
    alternative: str
    message: str
    optional: bool
