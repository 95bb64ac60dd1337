"""Split the bodies of functions into statements, by their first words and their brackets.

No C grammar reads the kernel without its preprocessor: macros stand for loops, types and attributes, and the branches
of an `#if` are alternatives. Which tokens form a statement can be told all the same. That matters for lines put next to
one: a line next to the body of an `if` without braces is outside of the `if`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .declarations import ATTRIBUTE, KEYWORDS
from .items import Kind
from .source import Source
from .tokens import Lexed, Span, is_word

_OWNERS = {b"if": "if", b"for": "for", b"switch": "switch statement"}
#: What may follow a macro with brackets that is a loop, or something like it.
_STATEMENT_WORDS = frozenset(b"if while for switch do return goto break continue".split())
_CASES = (b"case", b"default")
_TAGS = (b"struct", b"union", b"enum")
#: How deep statements are told apart, so that hostile text cannot cause endless work.
DEEPEST = 200


class Statement(NamedTuple):
    """The number of the token after a statement, and the statement whose whole body it is, without braces.

    `owner` is "" for one in a block, None for a declaration at file scope.
    """

    last: int
    owner: str | None


def unfit(source: Source, span: Span, *, before: bool = True, after: bool = True) -> str:
    """Return why no line may be put before or after the statements in a span; "" if one may, or if it holds none."""
    lexed = source.lexed
    first, last = lexed.token_range(span.start, span.end)
    found = statements_in(source).get(first)
    if found is None or found.owner is None or found.last > last:
        return ""
    if found.owner:
        return f"it is the whole body of {found.owner} without braces, so nothing can be put next to it"
    if before and not lexed.begins_line(first):
        return "it does not begin its line"
    if after and last < len(lexed.spans) and not lexed.begins_line(last):
        return "more code follows on its line"
    return ""


def are_statements(source: Source, first: int, last: int) -> bool:
    """Say whether the tokens numbered [first, last) are one or more whole statements or declarations side by side."""
    at = first
    while found := statements_in(source).get(at):
        if found.last >= last or found.owner:
            return found.last == last and (at == first or not found.owner)
        at = found.last
        while at in source.lexed.in_directive:
            at = source.lexed.in_directive[at].last
    return False


@lru_cache(maxsize=64)
def statements_in(source: Source) -> dict[int, Statement]:
    """Return the statements in the functions of a file, and its declarations, by their first token."""
    lexed = source.lexed
    skipped = {d.first: d.last for d in lexed.directives} | {n: n + 1 for n in lexed.brackets.loose}
    bodies = [(i, i.opening + 1) for i in source.items if i.kind is Kind.FUNCTION and i.opening is not None]
    skipped |= {item.first: inner for item, inner in bodies if item.repeated}
    cutter = _Cutter(lexed, skipped)
    cutter.found = {
        item.first: Statement(item.last, None)
        for item in source.items
        if item.kind in (Kind.OTHER, Kind.PROTOTYPE) and lexed.texts[item.last - 1] == b";"
    }
    for item, inner in bodies:
        if not item.repeated:
            cutter.block(inner, item.last - 1, 0)
    return cutter.found


class _Cutter:
    """Splits blocks into statements, kept in `found`; `skipped` leads over tokens that belong to none."""

    def __init__(self, lexed: Lexed, skipped: dict[int, int]) -> None:
        self.texts, self.directives = lexed.texts, lexed.in_directive
        # No bracket leads back: the one that closes it may stand before it, in a badly split branch of an `#if`.
        self.closer = {opening: other for opening, other in lexed.brackets.partner.items() if other > opening}
        self.skipped = skipped
        self.found: dict[int, Statement] = {}

    def next(self, at: int) -> int:
        """Return the first token from `at` on that is not skipped."""
        while at in self.skipped:
            at = self.skipped[at]
        return at

    def block(self, at: int, end: int, depth: int) -> None:
        """Split the tokens numbered [at, end)."""
        at = self.next(at)
        while at < end:
            at = self.next(self.statement(at, end, "", depth))

    def statement(self, at: int, end: int, owner: str, depth: int) -> int:
        """Add the statement that begins at a token, and return the token after it."""
        texts, word, deeper = self.texts, self.texts[at], depth + 1
        opening = self.next(at + 1)
        sound = True
        if at >= end or word == b"else":
            return at + 1
        if depth > DEEPEST:
            return self.simple(at, end, deeper)
        if word == b"{":
            last = min(self.closer.get(at, end), end) + 1
            self.block(at + 1, last - 1, deeper)
        elif word in _CASES:
            colon = next((n for n in range(at, end) if texts[n] == b":"), end)
            last = colon + 1
            while (inner := self.next(last)) < end and texts[inner] not in _CASES:
                last = self.statement(inner, end, "", deeper)
        elif is_word(word) and word not in KEYWORDS and texts[opening : opening + 1] == [b":"]:
            last = self.statement(self.next(opening + 1), end, "", deeper)
        elif word == b"do":
            last = self.next(self.statement(opening, end, "do", deeper))
            if texts[last : last + 1] == [b"while"]:
                last = self.next(self.closer.get(last + 1, last) + 1) + 1
        elif self.is_head(at, opening, end):
            closing = self.closer[opening]
            self.expressions(opening, closing, deeper)
            sound = word not in (b"if", b"while", b"switch") or not self.is_broken(opening, closing)
            last = self.statement(self.next(closing + 1), end, _OWNERS.get(word, "a loop"), deeper)
            other = self.next(last)
            if word == b"if" and other < end and texts[other] == b"else":
                last = self.statement(self.next(other + 1), end, "else", deeper)
        else:
            last = self.simple(at, end, deeper)
            sound = texts[last - 1] == b";"
        if sound:
            self.found[at] = Statement(last, owner)
        return last

    def simple(self, at: int, end: int, depth: int) -> int:
        """Return the token after the `;` that ends an expression or a declaration."""
        last = at
        while last < end and self.texts[last] != b";":
            last = self.skipped.get(last, self.closer.get(last, last) + 1)
        last = min(last + 1, end)
        self.expressions(at, last, depth)
        return last

    def expressions(self, at: int, end: int, depth: int) -> None:
        """Split the blocks in expressions, `({ ... })`, among the tokens numbered [at, end)."""
        while depth <= DEEPEST and at < end - 1:
            if self.texts[at] == b"(" and self.texts[at + 1] == b"{" and at + 1 in self.closer:
                self.block(at + 2, self.closer[at + 1], depth)
                at = self.closer[at + 1]
            at += 1

    def is_head(self, at: int, opening: int, end: int) -> bool:
        """Say whether a token and the brackets after it are the head of an `if`, a loop or a macro that is like one."""
        texts, word = self.texts, self.texts[at]
        if opening >= end or texts[opening] != b"(" or opening not in self.closer or not is_word(word):
            return False
        after = self.closer[opening] + 1
        if word == b"while" or word in _OWNERS:
            return True
        if word in KEYWORDS or ATTRIBUTE.match(word) or after >= end or after in self.directives:
            return False
        follows = texts[after] in _STATEMENT_WORDS or (is_word(texts[after]) and texts[after] not in KEYWORDS)
        return texts[after] == b"{" or (follows and not ATTRIBUTE.match(texts[after]))

    def is_broken(self, opening: int, closing: int) -> bool:
        """Say whether brackets hold two names side by side, as no expression does."""
        inner, at = [], opening
        while at < closing:
            inner.append(self.texts[at])  # of a directive, nothing but its #
            at = self.directives[at].last if at in self.directives else at + 1
        plain = [is_word(t) and t not in KEYWORDS and not t.startswith(b"__") for t in inner]
        return b"{" not in inner and any(
            one and two and before not in _TAGS for before, one, two in zip(inner, plain[1:], plain[2:], strict=False)
        )
