"""Split a file into what stands at file scope: functions, prototypes, variables, types and macro lines.

A macro line such as `LIST_HEAD(name)` or `EXPORT_SYMBOL_GPL(name)` without `;` makes a C grammar swallow the next
definition (8 of kernel/bpf/verifier.c), so items are told apart by tokens and brackets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .declarations import ATTRIBUTE, KEYWORDS, OPERATORS, Head, function_head, outline
from .tokens import Lexed, is_word

_TAGS = (b"struct", b"union", b"enum")


class Kind(Enum):
    """The kinds of items."""

    FUNCTION = "function"
    PROTOTYPE = "prototype"
    MACRO = "macro line"
    OTHER = "other"


@dataclass(frozen=True)
class Item:
    """The tokens numbered [first, last) of one thing at file scope; `outline` are those outside of its brackets.

    `opening` is the bracket of a function's body; `repeated` says that an `#else` gave this body a second head.
    """

    kind: Kind
    first: int
    last: int
    outline: tuple[int, ...]
    head: Head | None = None
    opening: int | None = None
    repeated: bool = False


def items(lexed: Lexed) -> Iterator[Item]:
    """Yield the items of a file in order."""
    return _items(lexed, 0, len(lexed.texts))


def _items(lexed: Lexed, at: int, end: int) -> Iterator[Item]:
    """Yield the items that begin in the tokens numbered [at, end)."""
    texts, partner, directives = lexed.texts, lexed.brackets.partner, lexed.in_directive
    twins = lexed.brackets.twins
    seen: list[int] = []
    while at < end:
        if at in directives:
            if seen and _is_macro_line(lexed, seen):
                yield Item(Kind.MACRO, seen[0], _after(lexed, seen[-1]), tuple(seen))
                seen = []
            elif directives[at].keyword in (b"else", b"elif") and len(seen) == 1:
                seen = []
            at = directives[at].last
            continue
        token = texts[at]
        if seen and lexed.begins_line(at) and _ends_before(lexed, seen, token):
            yield Item(Kind.MACRO, seen[0], _after(lexed, seen[-1]), tuple(seen))
            seen = []
        if token == b"}":
            seen = []
            at += 1
            continue
        if token == b";":
            if seen:
                yield _ended(lexed, [*seen, at])
            seen = []
            at += 1
            continue
        if token == b"{" and len(seen) == 2 and texts[seen[0]] == b"extern" and texts[seen[1]].startswith(b'"'):
            seen = []
            at += 1
            continue
        seen.append(at)
        closing = partner.get(at, at)
        if token == b"{" and closing > at and _opens_body(lexed, seen, closing):
            head = function_head(lexed, seen[:-1])
            yield Item(Kind.FUNCTION if head else Kind.OTHER, seen[0], closing + 1, tuple(seen), head, at)
            for twin in twins.get(at, ()):
                yield from _second_head(lexed, at, twin)
            seen = []
        at = (closing if closing > at else at) + 1
    if seen:
        yield _ended(lexed, seen)


def _second_head(lexed: Lexed, opening: int, twin: int) -> Iterator[Item]:
    """Yield the function whose head stands in a branch of an `#if` other than that of the first head of its body."""
    above = bisect_right(lexed.directives, twin, key=lambda d: d.first) - 1
    at = max(lexed.directives[above].last, opening + 1)
    seen = outline(lexed, at, twin)
    head = function_head(lexed, seen)
    if head:
        last = lexed.brackets.partner[twin] + 1
        yield Item(Kind.FUNCTION, seen[0], last, (*seen, twin), head, twin, repeated=True)


def _after(lexed: Lexed, number: int) -> int:
    """Return the number of the token after a token, or after its brackets."""
    closing = lexed.brackets.partner.get(number, number)
    return max(closing, number) + 1


def _is_macro_line(lexed: Lexed, seen: list[int]) -> bool:
    """Say whether an item consists of macro calls so far, e.g. `LIST_HEAD(a)`."""
    texts = lexed.texts
    if len(seen) % 2:
        return False
    return all(
        is_word(texts[name])
        and texts[name] not in KEYWORDS
        and not ATTRIBUTE.match(texts[name])
        and texts[group] == b"("
        for name, group in zip(seen[::2], seen[1::2], strict=True)
    )


def _ends_before(lexed: Lexed, seen: list[int], token: bytes) -> bool:
    """Say whether an item that lacks its `;` ended before `token`, which begins a line."""
    texts = lexed.texts
    if token in (b"static", b"extern", b"typedef"):
        return texts[seen[-1]] == b"(" and not ATTRIBUTE.match(texts[seen[-2]]) if len(seen) > 1 else False
    return (is_word(token) and token not in OPERATORS) and _is_macro_line(lexed, seen)


def _opens_body(lexed: Lexed, seen: list[int], closing: int) -> bool:
    """Say whether the `{` that ends `seen` opens a function's body, not a type's members or an initialiser."""
    texts = lexed.texts
    words = [texts[i] for i in seen[:-1]]
    if b"=" in words or b"(" not in words:
        return False
    if _is_macro_line(lexed, seen[:-1]) and closing + 1 < len(texts) and texts[closing + 1] == b";":
        return False
    tags = [at for at, word in enumerate(words) if word in _TAGS]
    if not tags:
        return True
    # After `struct tag`, members follow attributes only, a body follows a name and parameters.
    rest = words[tags[-1] + 1 :]
    calls = [at for at, word in enumerate(rest) if word == b"(" and at and not ATTRIBUTE.match(rest[at - 1])]
    return bool(calls) and calls[0] > 1


def _ended(lexed: Lexed, seen: list[int]) -> Item:
    """Return the item that a `;` ended."""
    texts = lexed.texts
    last = _after(lexed, seen[-1])
    body = seen[:-1] if texts[seen[-1]] == b";" else seen
    if _is_macro_line(lexed, body):
        return Item(Kind.MACRO, seen[0], last, tuple(seen))
    words = {texts[i] for i in body}
    if b"(" in words and not words & {b"=", b"{", b"typedef"}:
        head = function_head(lexed, body)
        if head is not None:
            return Item(Kind.PROTOTYPE, seen[0], last, tuple(seen), head)
    return Item(Kind.OTHER, seen[0], last, tuple(seen))
