"""Damage one line of C so that no compiler takes it, if it comes to it at all: tests of what reaches a compiler."""

from __future__ import annotations

import re

from patchbot.c.tokens import lex

#: What an extra word after #else and #endif is: an error, where the preprocessor reads it.
STRICT = ("-Werror=endif-labels",)


def damaged(text: bytes, line: int) -> bytes:
    """Return a text with damage at the beginning of a line."""
    lexed = lex(text)
    start = lexed.line_starts[line - 1]
    end = lexed.line_starts[line] if line < len(lexed.line_starts) else len(text)
    own = [number for number, at in enumerate(lexed.starts) if start <= at < end]
    first = own[0] if own else next(n for n, (a, b) in enumerate(lexed.spans) if a < start < b)
    place = lexed.spans[first][0]
    directive = lexed.directive_at(first)
    if directive is None:
        return text[:place] + b" ` " + text[place:]
    keyword = lexed.spans[directive.first + 1]
    tail = text[keyword[1] : directive.span.end]
    if directive.keyword in (b"else", b"endif"):
        return text[: keyword[1]] + b" ` " + text[keyword[1] :]
    if directive.keyword != b"define":
        return text[: keyword[1]] + b" ` " + text[keyword[1] :]
    head = re.match(rb"\s*\w+(?:\((?:[^()])*\))?", tail)
    assert head is not None
    body = keyword[1] + head.end()
    if not [n for n in range(directive.first, directive.last) if lexed.starts[n] >= body]:
        return text[: keyword[1]] + b" ` " + text[keyword[1] :]  # no macro has such a name
    place = max(place, body)
    return text[:place] + b" ` " + text[place:]
