"""Find text by its tokens, so that whitespace, comments and line breaks don't matter.

A pattern is C text with metavariables. `$name` stands for one expression: tokens with balanced brackets and neither
`,` nor `;` outside of them; twice the same name must match the same tokens. `$_` may hold commas and matches
something else each time. `$...` may be empty and may hold `;` too, e.g. `if (!$p) { $... }`. Each takes as few tokens
as it can, at least one except for `$...`, and never crosses the edge of a preprocessor line. A metavariable at the
beginning of a pattern stands for one name with its `->`, `.`, `[]` and `()`.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..errors import PatchbotError
from .declarations import KEYWORDS, decode
from .source import Source
from .statements import are_statements, statements_in
from .tokens import CLOSER, OPENER, Lexed, Span, is_word

#: How many tokens or brackets a metavariable may span, so that hostile text cannot cause endless work.
LONGEST_RUN = 1000
#: How many lines `nearest` looks at; it only serves a message.
MOST_CANDIDATES = 100_000
_EXPRESSION, _RUN, _ANYTHING = "$name", "$_", "$..."


class PatternError(PatchbotError):
    """A pattern that cannot be searched for: a bug in a codemod."""


@dataclass(frozen=True)
class Match:
    """A place where a pattern matched and what its named metavariables stand for."""

    span: Span
    bindings: Mapping[str, Span] = field(default_factory=dict)


@dataclass(frozen=True)
class _Meta:
    kind: str
    name: str


@dataclass(frozen=True)
class _Pattern:
    elements: tuple[bytes | _Meta, ...]
    repeats: bool


@lru_cache(maxsize=1024)
def _compile(text: str) -> _Pattern:
    """Split a pattern into literal tokens and metavariables."""
    raw = Lexed(text.encode("utf-8", "surrogateescape")).texts
    elements: list[bytes | _Meta] = []
    for at, token in enumerate(raw):
        if token == b"..." and at and raw[at - 1] == b"$":
            elements[-1] = _Meta(_ANYTHING, "")
        elif token == b"$_":
            elements.append(_Meta(_RUN, ""))
        elif token.startswith(b"$"):
            elements.append(_Meta(_EXPRESSION, decode(token[1:])))
        else:
            elements.append(token)
    names = [e.name for e in elements if isinstance(e, _Meta) and e.name]
    if all(isinstance(e, _Meta) for e in elements) or _Meta(_EXPRESSION, "") in elements:
        raise PatternError(f"the pattern {text!r} must hold a token, and its metavariables are $name, $_ and $...")
    return _Pattern(tuple(elements), len(set(names)) < len(names))


def find(source: Source, pattern: str, within: Span | None = None) -> list[Span]:
    """Return where the tokens of `pattern` stand in `within` (by default the file), in order, without overlaps."""
    return [match.span for match in matches(source, pattern, within)]


def matches(source: Source, pattern: str, within: Span | None = None) -> list[Match]:
    """Do what `find` does, and say what the metavariables stand for."""
    lexed, compiled = source.lexed, _compile(pattern)
    first, last = _limits(lexed, within)
    leading = compiled.elements[0] if isinstance(compiled.elements[0], _Meta) else None
    elements = compiled.elements[1:] if leading else compiled.elements
    if isinstance(elements[0], _Meta):
        raise PatternError(f"the pattern {pattern!r} begins with two metavariables")
    found: list[Match] = []
    reached = first
    for start in _starts(lexed, elements, first, last):
        begin = _postfix_start(lexed, start, reached) if leading else start
        if begin is None or begin < reached:
            continue
        bound = {leading.name: (begin, start)} if leading and leading.name else {}
        for end, bindings in _Matcher(lexed, elements, last, compiled.repeats).ends(0, start, bound):
            found.append(_match(lexed, begin, end, bindings))
            reached = end
            break
    return found


def statements(source: Source, pattern: str, within: Span | None = None) -> list[Span]:
    """Do what `find` does for whole statements or declarations without a syntax error."""
    return [match.span for match in statement_matches(source, pattern, within)]


def statement_matches(source: Source, pattern: str, within: Span | None = None) -> list[Match]:
    """Do what `statements` does, and say what the metavariables stand for."""
    lexed, compiled = source.lexed, _compile(pattern)
    elements = compiled.elements
    first, last = _limits(lexed, within)
    begins = statements_in(source)
    starts: Iterable[int] = sorted(n for n in begins if first <= n < last)
    if not isinstance(elements[0], _Meta):
        starts = (n for n in _starts(lexed, elements, first, last) if n in begins)
    found: list[Match] = []
    reached = first
    for start in starts:
        if start < reached:
            continue
        for end, bindings in _Matcher(lexed, elements, last, compiled.repeats).ends(0, start, {}):
            if are_statements(source, start, end):
                found.append(_match(lexed, start, end, bindings))
                reached = end
                break
    return found


def find_text(source: Source, text: bytes, within: Span | None = None) -> list[Span]:
    """Return where the tokens of `text`, which may hold anything, stand in `within`; its bytes if it has no tokens."""
    elements = tuple(Lexed(text).texts)
    lexed = source.lexed
    if not elements:
        area = within or Span(0, len(source.text))
        at = source.text.find(text.strip(), area.start, area.end) if text.strip() else -1
        return [] if at < 0 else [Span(at, at + len(text.strip()))]
    first, last = _limits(lexed, within)
    length = len(elements)
    return [
        lexed.span(start, start + length)
        for start in _starts(lexed, elements, first, last)
        if start + length <= last and tuple(lexed.texts[start : start + length]) == elements
    ]


def _limits(lexed: Lexed, within: Span | None) -> tuple[int, int]:
    return (0, len(lexed.texts)) if within is None else lexed.token_range(within.start, within.end)


def _match(lexed: Lexed, first: int, last: int, bindings: Mapping[str, tuple[int, int]]) -> Match:
    return Match(lexed.span(first, last), {name: lexed.span(*at) for name, at in bindings.items()})


def _starts(lexed: Lexed, elements: tuple[bytes | _Meta, ...], first: int, last: int) -> Iterator[int]:
    """Yield where `elements`, of which the first is a token, may begin, by the rarest token with a known distance."""
    index = lexed.index
    if any(not isinstance(e, _Meta) and e not in index for e in elements):
        return
    prefix: list[bytes] = []
    for element in elements:
        if isinstance(element, _Meta):
            break
        prefix.append(element)
    distance = min(range(len(prefix)), key=lambda i: len(index[prefix[i]]))
    numbers = index[prefix[distance]]
    for number in numbers[bisect_left(numbers, first + distance) : bisect_left(numbers, last)]:
        yield number - distance


class _Matcher:
    """One attempt to match from one place; `dead` remembers where the rest of the pattern cannot match."""

    def __init__(self, lexed: Lexed, elements: tuple[bytes | _Meta, ...], last: int, repeats: bool) -> None:
        self.texts = lexed.texts
        self.partner = lexed.brackets.partner
        self.edges = lexed.edges
        self.elements = elements
        self.last = last
        self.dead: set[tuple[int, int]] | None = None if repeats else set()

    def ends(
        self, element: int, at: int, bound: Mapping[str, tuple[int, int]]
    ) -> Iterator[tuple[int, Mapping[str, tuple[int, int]]]]:
        """Yield where the rest of the pattern, from `element` on, may end if it begins at token `at`, nearest first."""
        texts, elements = self.texts, self.elements
        while element < len(elements):
            wanted = elements[element]
            if isinstance(wanted, _Meta):
                if wanted.name not in bound or not wanted.name:
                    break
                begin, end = bound[wanted.name]
                if texts[at : min(at + end - begin, self.last)] != texts[begin:end]:
                    return
                at += end - begin
            elif at < self.last and texts[at] == wanted:
                at += 1
            else:
                return
            element += 1
        if element == len(elements):
            yield at, bound
            return
        if self.dead is not None and (element, at) in self.dead:
            return
        alive = False
        meta = elements[element]
        assert isinstance(meta, _Meta)
        for end in self._extents(meta.kind, at):
            binding = {**bound, meta.name: (at, end)} if meta.name else bound
            for result in self.ends(element + 1, end, binding):
                alive = True
                yield result
        if not alive and self.dead is not None:
            self.dead.add((element, at))

    def _extents(self, kind: str, begin: int) -> Iterator[int]:
        """Yield where what a metavariable stands for may end, if it begins at token `begin`."""
        if kind == _ANYTHING:
            yield begin
        at = begin
        for _ in range(LONGEST_RUN):
            if at >= self.last or (at in self.edges and at != begin):
                return
            token = self.texts[at]
            if token in OPENER or (token == b";" and kind != _ANYTHING) or (token == b"," and kind == _EXPRESSION):
                return
            if token in CLOSER:
                at = self.partner.get(at, self.last)
                if at >= self.last:
                    return
            at += 1
            yield at


def _postfix_start(lexed: Lexed, end: int, lowest: int) -> int | None:
    """Return where the name with `->`, `.`, `[]`, `()` that ends before token `end` begins, None if there is none."""
    texts, partner = lexed.texts, lexed.brackets.partner
    at = end
    while at > lowest:
        at -= 1
        if texts[at] in OPENER:
            at = partner.get(at, -1)
            if at < lowest:
                return None
            if at > lowest and (
                texts[at - 1] in (b"]", b")") or (is_word(texts[at - 1]) and texts[at - 1] not in KEYWORDS)
            ):
                continue
        elif not (is_word(texts[at]) or texts[at][:1].isdigit()) or texts[at] in KEYWORDS:
            return None
        if at - 1 > lowest and texts[at - 1] in (b"->", b"."):
            at -= 1
            continue
        return at
    return None


def comments(source: Source, text: str, within: Span | None = None) -> list[Span]:
    """Return the comments in `within` whose words, without the stars that begin lines, hold `text`."""
    wanted = " ".join(text.split())
    return [
        span
        for span in source.lexed.comments
        if (within is None or span in within) and wanted in comment_words(source.at(span))
    ]


def comment_words(comment: bytes) -> str:
    """Return the words of a comment with one space between them."""
    body = comment[2:].removesuffix(b"*/")
    lines = [line.strip().removeprefix(b"*").removeprefix(b"*").strip() for line in body.split(b"\n")]
    return " ".join(decode(b" ".join(lines)).split())


def line_span(source: Source, span: Span) -> Span:
    """Return a span widened to whole lines, the last newline included."""
    start = source.text.rfind(b"\n", 0, span.start) + 1
    last = max(span.start, span.end - 1)
    end = source.text.find(b"\n", last)
    return Span(start, len(source.text) if end < 0 else end + 1)


@dataclass(frozen=True)
class Candidate:
    """What comes nearest to a pattern: where it is, its lines, and how similar it is (1.0: the same tokens)."""

    line: int
    excerpt: str
    likeness: float


def nearest(source: Source, pattern: str, within: Span | None = None) -> Candidate | None:
    """Return what comes nearest to `pattern` in `within`, None if nothing is similar.

    Candidates begin with a line and have as many tokens as the pattern.
    """
    lexed = source.lexed
    elements = _compile(pattern).elements
    wanted = [e for e in elements if isinstance(e, bytes)]
    first, last = _limits(lexed, within)
    begins = [n for n in range(first, last) if n == first or lexed.begins_line(n)]
    counts = Counter(wanted)
    telling = {t for t in wanted if is_word(t) and t not in KEYWORDS}
    scored = []
    for begin in begins[:MOST_CANDIDATES]:
        window = lexed.texts[begin : min(begin + len(elements), last)]
        if not telling or not telling.isdisjoint(window):
            common = sum((Counter(window) & counts).values())
            if common * 3 > len(wanted):
                scored.append((-common, begin))
    best: tuple[float, int] | None = None
    for _, begin in sorted(scored)[:40]:
        window = lexed.texts[begin : min(begin + len(elements), last)]
        ratio = difflib.SequenceMatcher(None, wanted, window, autojunk=False).ratio()
        if best is None or ratio > best[0]:
            best = (ratio, begin)
    if best is None or best[0] < 0.4:
        return None
    lines = line_span(source, lexed.span(best[1], min(best[1] + len(elements), last)))
    return Candidate(source.line(lexed.starts[best[1]]), decode(source.at(lines)).rstrip(), best[0])
