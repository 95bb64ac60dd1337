"""Read what stands in the brackets of a set's macros, with the place of what is not understood."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....c import Source, conditions_at
from ....c.declarations import split_commas
from ....c.tokens import Lexed
from .nouns import KfuncSet, Row, SetError

IDENTIFIER = re.compile(rb"[A-Za-z_]\w*\Z")


class Reader:
    """Reads a source; `out` collects sets and rows, `problems` what is not understood.

    A plain string in `out` is a macro that must be looked up first. Places are numbers of tokens.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.lexed, self.texts = source, source.lexed, source.lexed.texts
        self.out: list[KfuncSet | Row | str] = []
        self.problems: list[str] = []

    def flag_names(self, at: int, words: Sequence[bytes]) -> tuple[str, ...]:
        """Return the flags of `KF_A | KF_B`; `0` has none."""
        if list(words) == [b"0"]:
            return ()
        names, bars = words[::2], words[1::2]
        if len(words) % 2 == 0 or any(bar != b"|" for bar in bars) or not all(IDENTIFIER.match(n) for n in names):
            raise self.error(at, f"flags {spelled(b' '.join(words))!r}; expected 0 or names of flags with | between")
        return tuple(n.decode() for n in names)

    def named(self, at: int, last: int) -> tuple[str, int]:
        """Return the name in `MACRO(name)` and the token after it."""
        args, after = self.call(at, last)
        name = self.source.at(self.lexed.span(*args[0]))
        if len(args) != 1 or not IDENTIFIER.match(name):
            raise self.error(at, f"expected {self.texts[at].decode()}(<name of the set>)")
        return name.decode(), after

    def call(self, at: int, last: int) -> tuple[list[tuple[int, int]], int]:
        """Return the tokens of each argument of the call at a token and the token after its closing bracket."""
        try:
            args, after = bracketed(self.lexed, at + 1, last)
        except ValueError:
            raise self.error(at, f"{spelled(self.texts[at])} without a complete ( ... )") from None
        if any(first == end for first, end in args):
            raise self.error(at, f"{self.texts[at].decode()} has an empty argument")
        return args, after

    def conditions(self, at: int) -> tuple[str, ...]:
        """Return the #if conditions around a token, outermost first."""
        return tuple(spelled_condition(c) for c in conditions_at(self.source, self.lexed.starts[at]))

    def error(self, at: int, message: str) -> SetError:
        """Return an error that names file and line."""
        return SetError(f"{self.source.where(self.lexed.starts[at])}: {message}")


def spelled(text: bytes) -> str:
    """Return a text for a message."""
    return text.decode("utf-8", "replace")


def bracketed(lexed: Lexed, opening: int, last: int) -> tuple[list[tuple[int, int]], int]:
    """Return the tokens of each argument in the brackets at `opening` and the token after; else ValueError."""
    closing = lexed.brackets.partner.get(opening, 0)
    if lexed.texts[opening : opening + 1] != [b"("] or not opening < closing < last:
        raise ValueError("no complete brackets")
    return split_commas(lexed, opening + 1, closing) or [(closing, closing)], closing + 1


def spelled_condition(condition: str) -> str:
    """Return `CONFIG_X` for `defined(CONFIG_X)`, `!CONFIG_X` for its opposite, any other condition as it is."""
    match = re.fullmatch(r"(!?)\(?\s*+defined\s*+(?:\(\s*+)?(\w++)\s*+(?:\)\s*+)?\)?", condition)
    return f"{match[1]}{match[2]}" if match else condition
