"""Match patterns that other people wrote (N: and F: of MAINTAINERS, what a selftest expects) in linear time.

A backtracking engine runs for hours on `(a+)+$`, and such a pattern may be in a tree's MAINTAINERS. RE2 never
backtracks, takes bounded memory, and refuses what it cannot match like that: look-around and back-references.
"""

from __future__ import annotations

import re
from functools import lru_cache

import re2

#: In Perl's /x: what is kept (escapes and classes), and what is ignored (blanks and comments).
EXTENDED = re.compile(r"(\\.|\[\^?+\]?+(?:\\.|[^\]\\])*+\]?)|\s+|#.*")


class BadPattern(ValueError):
    """A pattern that cannot be used; the message says why."""


class Pattern:
    """A pattern in Perl's syntax that takes linear time; it also tells bytes apart that are not UTF-8."""

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        options.max_mem = 1 << 20
        try:
            self._compiled = re2.compile(text.encode("utf-8", "surrogateescape"), options)
        except (re2.error, UnicodeEncodeError) as error:
            why = error.args[0]
            raise BadPattern((why.decode("utf-8", "replace") if isinstance(why, bytes) else why)[:80]) from error

    def begins(self, text: str) -> bool:
        """Say whether the pattern matches at the start of a text."""
        return self._compiled.match(text.encode("utf-8", "surrogateescape")) is not None

    def within(self, text: str) -> bool:
        """Say whether the pattern matches anywhere in a text."""
        return self._compiled.search(text.encode("utf-8", "surrogateescape")) is not None


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
