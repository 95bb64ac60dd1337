"""Match patterns that other people wrote (N: and F: of MAINTAINERS, what a selftest expects) in linear time.

A backtracking engine runs for hours on `(a+)+$`, and such a pattern may be in a tree's MAINTAINERS. RE2 never
backtracks, takes bounded memory, and refuses what it cannot match like that: look-around and back-references.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import re2

#: In Perl's /x: what is kept (escapes and classes), and what is ignored (blanks and comments).
EXTENDED = re.compile(r"(\\.|\[\^?+\]?+(?:\\.|[^\]\\])*+\]?)|\s+|#.*")


class BadPattern(ValueError):
    """A pattern that cannot be used; the message says why."""


class Pattern:
    """A pattern in Perl's syntax that takes linear time; it also tells bytes apart that are not UTF-8."""

    def __init__(self, text: str) -> None:
        try:
            self._compiled = re2.compile(text.encode("utf-8", "surrogateescape"), limited(1 << 20))
        except (re2.error, UnicodeEncodeError) as error:
            why = error.args[0]
            raise BadPattern((why.decode("utf-8", "replace") if isinstance(why, bytes) else why)[:80]) from error

    def begins(self, text: str) -> bool:
        """Say whether the pattern matches at the start of a text."""
        return self._compiled.match(text.encode("utf-8", "surrogateescape")) is not None

    def within(self, text: str) -> bool:
        """Say whether the pattern matches anywhere in a text."""
        return self._compiled.search(text.encode("utf-8", "surrogateescape")) is not None


class Patterns:
    """Many usable patterns, matched at once: 1,500 of them, tried one by one, take a millisecond for each text."""

    def __init__(self, texts: Sequence[str], *, begin: bool) -> None:
        """Take patterns that match anywhere in a text, or only at its start."""
        self._texts, self._begin = texts, begin
        options = limited(1 << 26)
        self._set = re2.Set.MatchSet(options) if begin else re2.Set.SearchSet(options)
        for text in ("", *texts):
            self._set.Add(text.encode("utf-8", "surrogateescape"))
        try:
            self._set.Compile()
        except re2.error:  # all of them together are too long
            self._set = None

    def among(self, text: str) -> list[int]:
        """Return the numbers of the patterns that match."""
        found = self._set.Match(text.encode("utf-8", "surrogateescape")) if self._set else ()
        if 0 in found:  # the empty pattern, which does not match when the memory is used up
            return sorted(number - 1 for number in found if number)
        rows = enumerate(map(pattern, self._texts))
        return [number for number, one in rows if (one.begins(text) if self._begin else one.within(text))]


def limited(memory: int) -> re2.Options:
    """Return options for patterns in bytes that may take so much memory."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = memory
    return options


@lru_cache(maxsize=1024)
def pattern(text: str) -> Pattern:
    """Return the pattern in a text; raise BadPattern if it cannot be used."""
    return Pattern(text)


def extended(text: str) -> str:
    """Return a pattern for Perl's /x in the form that means the same without /x."""
    return EXTENDED.sub(lambda match: match[1] or "", text)


def literal(text: str) -> str:
    """Return the pattern that matches a plain text."""
    return re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)
