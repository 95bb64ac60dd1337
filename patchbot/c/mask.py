"""Make a copy of a C file that a grammar without a preprocessor parses, of the same length.

Blank are: directives, macro lines at file scope, brackets that an `#else` repeats. The head of a function becomes
`int name()`. In a body, a macro that is followed by a block or a statement becomes `while`, so that what it holds
are statements.
"""

from __future__ import annotations

from collections.abc import Sequence

from .items import Item, Kind
from .tokens import Lexed


def mask(lexed: Lexed, items: Sequence[Item]) -> bytes:
    """Return the masked copy of a text; newlines stay."""
    copy = bytearray(lexed.text)
    for directive in lexed.directives:
        _blank(copy, directive.span.start, directive.span.end)
    for number in lexed.brackets.loose:
        _blank(copy, *lexed.spans[number])
    for item in items:
        if item.kind is Kind.MACRO:
            span = lexed.span(item.first, item.last)
            _blank(copy, span.start, span.end)
        elif item.kind is Kind.FUNCTION and item.head is not None and item.opening is not None:
            _plain_head(copy, lexed, item)
    return bytes(copy)


def _blank(copy: bytearray, start: int, end: int) -> None:
    """Overwrite bytes with spaces, but for newlines."""
    for line in bytes(copy[start:end]).split(b"\n"):
        copy[start : start + len(line)] = b" " * len(line)
        start += len(line) + 1


def _plain_head(copy: bytearray, lexed: Lexed, item: Item) -> None:
    """Turn the head of a function into `int name()`, that of a repeated one into nothing."""
    assert item.head is not None and item.opening is not None
    head = item.head
    start, end = lexed.spans[item.first][0], lexed.spans[item.opening][0]
    _blank(copy, start, end)
    if item.repeated:
        return
    name = lexed.spans[head.name]
    copy[name[0] : name[1]] = lexed.texts[head.name]
    for bracket in (head.opening, head.closing):
        copy[lexed.spans[bracket][0] : lexed.spans[bracket][1]] = lexed.texts[bracket]
    if name[0] - start > 3:
        copy[start : start + 3] = b"int"
