"""A C file: its bytes, its tokens, and a syntax tree of a copy in which what no grammar understands is blank."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, lru_cache

import tree_sitter
import tree_sitter_c

from .items import Item, items
from .mask import mask
from .tokens import Lexed, Span, lex


class Source:
    """One C file. Offsets hold in `text` (as it is), `masked` (same length) and `root` (the tree of `masked`)."""

    def __init__(self, path: str, text: bytes) -> None:
        """Keep the file; it is cut and parsed on demand."""
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

    @cached_property
    def masked(self) -> bytes:
        """Return the text with directives and macro lines blank, heads plain and macro loops as plain loops."""
        return mask(self.lexed, self.items)

    @cached_property
    def root(self) -> tree_sitter.Node:
        """Return the syntax tree of the masked text."""
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
        return parser.parse(self.masked).root_node

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
