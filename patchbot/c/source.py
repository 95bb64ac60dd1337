"""A C file: its bytes, its tokens, and what stands at file scope."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, lru_cache

from .items import Item, items
from .tokens import Lexed, Span, lex


class Source:
    """One C file."""

    def __init__(self, path: str, text: bytes) -> None:
        """Keep the file; it is tokenised and parsed on demand."""
        self.path = path
        self.text = text

    @property
    def lexed(self) -> Lexed:
        """Return the tokens of the text."""
        return lex(self.text)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Return what stands at file scope."""
        return tuple(items(self.lexed))

    def line(self, offset: int) -> int:
        """Return the line of an offset, counted from 1."""
        return bisect_right(self.lexed.line_starts, offset)

    def at(self, span: Span) -> bytes:
        """Return the bytes of a span."""
        return self.text[span.start : span.end]

    def where(self, offset: int) -> str:
        """Return `path:line` of an offset."""
        return f"{self.path}:{self.line(offset)}"

    def __repr__(self) -> str:
        """Name the file and its size."""
        return f"Source({self.path!r}, {len(self.text)} bytes)"


@lru_cache(maxsize=64)
def parse(path: str, text: bytes) -> Source:
    """Return the C file `path` with the bytes `text`; the same object for the same file."""
    return Source(path, text)
