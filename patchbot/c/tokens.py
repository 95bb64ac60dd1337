"""Split C text into tokens, comments, directives and bracket pairs, whatever bytes a tree holds.

The kernel is full of macros that no C grammar understands without the preprocessor, but its tokens and brackets
are sound, so structure is found by them. The branches of an `#if` are alternatives: each starts with the brackets that
were open at the `#if`.
The 0.7 MB of kernel/bpf/verifier.c take 0.15 s.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache

COMMENT = rb"/\*(?s:.*?)\*/|/\*(?s:.*)|//(?:[^\n\\]|\\(?s:.))*+"
STRING = rb'"(?:[^"\\\n]|\\(?s:.))*+"|\'(?:[^\'\\\n]|\\(?s:.))*+\''
_SKIPPED = rb"(?:\s|\\\r?\n|" + COMMENT + rb")*+"
_PUNCTUATOR = rb"\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-*/%+&|^]=|##|(?s:.)"
_WORDS = rb"[A-Za-z_$][\w$]*+|\.?[0-9](?:[eEpP][-+]|[\w.])*+"
_TOKEN = re.compile(_SKIPPED + rb"(?:(" + _WORDS + rb"|" + STRING + rb"|" + _PUNCTUATOR + rb")|\Z)")
_OPAQUE = re.compile(STRING + rb"|(" + COMMENT + rb")")
_LOGICAL_LINE = re.compile(rb"(?:[^\n\\/\"']++|\\\r?\n|" + COMMENT + rb"|" + STRING + rb"|[\\/\"'])*+\n?")
_WORD = re.compile(rb"[A-Za-z_$]")

CLOSER = {b"(": b")", b"[": b"]", b"{": b"}"}
OPENER = {close: open_ for open_, close in CLOSER.items()}


@dataclass(frozen=True, order=True)
class Span:
    """The bytes [start, end) of a text."""

    start: int
    end: int

    def __contains__(self, other: object) -> bool:
        """Say whether a span, or the byte at an offset, lies within this span."""
        if isinstance(other, Span):
            return self.start <= other.start and other.end <= self.end
        return isinstance(other, int) and self.start <= other < self.end


@dataclass(frozen=True)
class Token:
    """One token of C and where it stands."""

    start: int
    end: int
    text: bytes


@dataclass(frozen=True)
class Directive:
    """A preprocessor line with its continuations and newline; its tokens are those numbered [first, last)."""

    span: Span
    keyword: bytes
    first: int
    last: int


def is_word(token: bytes) -> bool:
    """Say whether a token is an identifier or a keyword."""
    return _WORD.match(token) is not None


class Lexed:
    """The tokens of one text as parallel lists (three numbers a token are cheaper than an object), found on demand."""

    def __init__(self, text: bytes) -> None:
        """Keep `text`; nothing is split yet."""
        self.text = text

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Return (start, end) of each token."""
        spans = [m.span(1) for m in _TOKEN.finditer(self.text)]
        while spans and spans[-1][0] < 0:
            spans.pop()
        return spans

    @cached_property
    def texts(self) -> list[bytes]:
        """Return the bytes of each token."""
        text = self.text
        return [text[start:end] for start, end in self.spans]

    @cached_property
    def starts(self) -> list[int]:
        """Return the offset of each token."""
        return [start for start, _ in self.spans]

    @cached_property
    def index(self) -> dict[bytes, list[int]]:
        """Return the numbers of the tokens that have a text, in order."""
        found: defaultdict[bytes, list[int]] = defaultdict(list)
        for number, token in enumerate(self.texts):
            found[token].append(number)
        return dict(found)

    @cached_property
    def line_starts(self) -> list[int]:
        """Return the offset of each line."""
        return [0, *(m.end() for m in re.finditer(rb"\n", self.text))]

    @cached_property
    def comments(self) -> list[Span]:
        """Return the comments, in order."""
        return [Span(*m.span(1)) for m in _OPAQUE.finditer(self.text) if m[1] is not None]

    def token_range(self, start: int, end: int) -> tuple[int, int]:
        """Return the numbers [first, last) of the tokens that lie in the bytes [start, end)."""
        first = bisect_left(self.starts, start)
        last = bisect_left(self.starts, end, first)
        while last > first and self.spans[last - 1][1] > end:
            last -= 1
        return first, last

    def span(self, first: int, last: int) -> Span:
        """Return the bytes of the tokens numbered [first, last); not for an empty range."""
        return Span(self.spans[first][0], self.spans[last - 1][1])

    @cached_property
    def directives(self) -> list[Directive]:
        """Return the preprocessor lines, in order."""
        found: list[Directive] = []
        end = 0
        for number in self.index.get(b"#", ()):
            start = self.spans[number][0]
            if start < end:
                continue
            line = self.text.rfind(b"\n", 0, start) + 1
            if number and self.spans[number - 1][1] > line:
                continue
            match = _LOGICAL_LINE.match(self.text, start)
            end = match.end() if match else len(self.text)
            last = bisect_left(self.starts, end, number)
            keyword = self.texts[number + 1] if number + 1 < last else b""
            found.append(Directive(Span(start, end), keyword, number, last))
        return found

    @cached_property
    def in_directive(self) -> dict[int, Directive]:
        """Return the directives by the number of their first token."""
        return {d.first: d for d in self.directives}

    def begins_line(self, number: int) -> bool:
        """Say whether a token is the first on its line."""
        return number == 0 or b"\n" in self.text[self.spans[number - 1][1] : self.spans[number][0]]

    def directive_at(self, number: int) -> Directive | None:
        """Return the preprocessor line that a token is in, None if it is in none."""
        above = bisect_right(self.directives, number, key=lambda d: d.first) - 1
        return self.directives[above] if above >= 0 and number < self.directives[above].last else None

    @cached_property
    def edges(self) -> frozenset[int]:
        """Return the numbers of the tokens that begin a preprocessor line or follow one."""
        return frozenset(n for d in self.directives for n in (d.first, d.last))

    @cached_property
    def brackets(self) -> Brackets:
        """Return the pairs of brackets."""
        return match_brackets(self)


@dataclass(frozen=True)
class Brackets:
    """Bracket pairs by token number.

    `partner` holds both directions. An opening bracket that an `#else` repeats shares the closing one of the first
    branch: `twins` gives {the first: the repeated ones}. `loose` are those that close nothing or are never closed,
    and the repeated ones, i.e. those to drop so that the rest is balanced.
    """

    partner: dict[int, int]
    twins: dict[int, tuple[int, ...]]
    loose: frozenset[int]


#: The open brackets as a linked list, so that a branch of an `#if` keeps its own at no cost.
@dataclass(frozen=True)
class _Open:
    number: int
    kind: bytes
    below: _Open | None


def match_brackets(lexed: Lexed) -> Brackets:
    """Pair the brackets of a text, those of a directive among themselves, in linear time whatever the text."""
    texts = lexed.texts
    partner: dict[int, int] = {}
    twins: dict[int, list[int]] = {}
    loose: set[int] = set()
    opened: set[int] = set()
    stack: _Open | None = None
    branches: list[tuple[_Open | None, list[_Open | None]]] = []
    numbers = sorted(n for kind in (*CLOSER, *OPENER) for n in lexed.index.get(kind, ()))
    events = iter([*lexed.directives, None])
    directive = next(events)
    for number in [*numbers, len(texts)]:
        while directive is not None and directive.last <= number:
            stack = _branch(directive.keyword, stack, branches, twins)
            directive = next(events)
        if number == len(texts) or (directive is not None and directive.first <= number):
            continue
        kind = texts[number]
        if kind in CLOSER:
            stack = _Open(number, kind, stack)
            opened.add(number)
            continue
        if kind == b"}":
            while stack is not None and stack.kind != b"{":
                stack = stack.below
        if stack is None or stack.kind != OPENER[kind]:
            loose.add(number)
            continue
        if stack.number in partner:
            loose.add(number)
        else:
            partner[stack.number] = number
        partner[number] = stack.number
        stack = stack.below
    for first, repeated in twins.items():
        for twin in repeated:
            if first in partner and twin not in partner:
                partner[twin] = partner[first]
                loose.add(twin)
    loose |= {number for number in opened if number not in partner}
    for directive in lexed.directives:
        _match_directive(texts, directive, partner)
    return Brackets(partner, {first: tuple(repeated) for first, repeated in twins.items()}, frozenset(loose))


def _branch(
    keyword: bytes,
    stack: _Open | None,
    branches: list[tuple[_Open | None, list[_Open | None]]],
    twins: dict[int, list[int]],
) -> _Open | None:
    """Return the open brackets after a conditional directive: those of the `#if`, or of its first branch's end."""
    if keyword in (b"if", b"ifdef", b"ifndef"):
        branches.append((stack, []))
    elif keyword in (b"else", b"elif", b"elifdef", b"elifndef") and branches:
        before, ends = branches[-1]
        ends.append(stack)
        return before
    elif keyword == b"endif" and branches:
        _, ends = branches.pop()
        for other in [*ends[1:], stack] if ends else []:
            _join(ends[0], other, twins)
        return ends[0] if ends else stack
    return stack


def _join(one: _Open | None, two: _Open | None, twins: dict[int, list[int]]) -> None:
    """Note which brackets two branches both leave open, innermost first."""
    while one is not None and two is not None and one is not two and one.kind == two.kind:
        twins.setdefault(one.number, []).append(two.number)
        one, two = one.below, two.below


def _match_directive(texts: list[bytes], directive: Directive, partner: dict[int, int]) -> None:
    """Pair the brackets inside of one directive."""
    stack: list[int] = []
    for number in range(directive.first, directive.last):
        kind = texts[number]
        if kind in CLOSER:
            stack.append(number)
        elif kind in OPENER and stack and texts[stack[-1]] == OPENER[kind]:
            partner[number] = stack[-1]
            partner[stack.pop()] = number


@lru_cache(maxsize=64)
def lex(text: bytes) -> Lexed:
    """Return the tokens of `text`; the same object for the same bytes."""
    return Lexed(text)


def tokens(text: bytes, start: int = 0, end: int | None = None) -> list[Token]:
    """Return the C tokens that lie in the bytes [start, end) of `text`.

    Comments, whitespace and line continuations are skipped; preprocessor lines are split into tokens like the rest.
    """
    lexed = lex(text)
    first, last = lexed.token_range(start, len(text) if end is None else end)
    return [Token(*lexed.spans[i], lexed.texts[i]) for i in range(first, last)]
