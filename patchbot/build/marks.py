"""Put a mark at a line of C, so that the preprocessor's output tells whether the line is part of what is compiled.

A mark is a word of its own before the first token of a line, in a copy of the file. Where the compiler's input holds
the line, it holds the word: in code, in the arguments of a macro, and in the body of a macro wherever that is
expanded. What is under an `#if` that does not hold, in a macro that nobody uses or in an argument that is dropped takes
its mark along. All lines are marked at once, since each mark has its own name.

A directive leaves no text. The mark of one stands on a line of its own before it, and what closes an `#if` has the mark
of that. Whether an `#elif` was evaluated shows only when it is broken.

Each mark holds a tag that no file of the tree can hold: the tree's own id.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..c.conditions import branch_at
from ..c.source import Source
from ..c.tokens import Directive, Lexed, is_word

NAME = "patchbot_{}_{}_"
#: A string, which may hold marks, or a mark outside of strings; a mark anywhere.
_SEEN = re.compile(rb'"(?:[^"\\\n]|\\(?s:.))*+"?|\'(?:[^\'\\\n]|\\(?s:.))*+\'?|patchbot_([0-9a-f]++)_(\d{1,9})_')
_ANYWHERE = re.compile(rb"patchbot_([0-9a-f]++)_(\d{1,9})_")
#: In an #if, what is before these may be anything: a mark there would be 0.
_SIGNS = (b"+", b"-")
#: Two numbers are no condition, whatever follows.
NUMBERS = b" 1 1 "
_OPENING = (b"if", b"ifdef", b"ifndef")
_EVALUATED = (b"elif", b"elifdef", b"elifndef")
_CLOSING = (*_EVALUATED, b"else", b"endif")
_DIRECTIVES = {
    *(*_OPENING, *_CLOSING, b"include", b"include_next", b"define", b"undef"),
    *(b"pragma", b"error", b"warning", b"line", b"ident", b"sccs", b"import", b"assert", b"unassert", b"embed"),
}

CODE, BODY, DIRECTIVE, EVALUATED = "code", "body", "directive", "evaluated"


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a file: what stands there, and for the body of a macro its name."""

    path: str
    at: int
    kind: str = CODE
    name: str = ""

    def word(self, tag: str, number: int) -> bytes:
        """Return what is inserted."""
        if self.kind == EVALUATED:
            return NUMBERS
        word = NAME.format(tag, number).encode()
        return word + b"\n" if self.kind == DIRECTIVE else b" " + word + b" "


def marks_of(source: Source, lines: Iterable[int]) -> dict[int, Mark | None]:
    """Return the mark of each line (from 1) of a file; None where a line holds nothing to compile."""
    return {line: _mark_of(source, line) for line in lines}


def before(source: Source, mark: Mark) -> Mark | None:
    """Return the mark that shows whether the preprocessor comes to a line: to its macro's definition, or its branch.

    None for a line under no `#if`.
    """
    lexed = source.lexed
    if mark.kind == BODY:
        directive = lexed.directive_at(max(0, bisect_left(lexed.starts, mark.at + 1) - 1))
        return Mark(mark.path, directive.span.start, DIRECTIVE) if directive else None
    branch = branch_at(source, mark.at)
    return Mark(mark.path, lexed.starts[bisect_left(lexed.starts, branch)], DIRECTIVE) if branch else None


def marked(text: bytes, marks: Mapping[Mark, int], tag: str, damage: bytes = b"") -> bytes:
    """Return a text with numbered marks, or with `damage` at their places."""
    parts, end = [], 0
    for mark in sorted(marks, key=lambda m: (m.at, m.kind != DIRECTIVE)):
        parts += [text[end : mark.at], damage or mark.word(tag, marks[mark])]
        end = mark.at
    return b"".join([*parts, text[end:]])


def read_marks(output: bytes, tag: str) -> tuple[set[int], set[int]]:
    """Return the numbers of the marks in the preprocessor's output: those outside of strings, and all."""
    own = f"patchbot_{tag}_".encode()
    lines = [line for line in output.splitlines() if own in line] if own in output else []
    plain, every = (
        {int(m[2]) for line in lines for m in form.finditer(line) if m[1] == tag.encode()}
        for form in (_SEEN, _ANYWHERE)
    )
    return plain, every


def without_marks(output: bytes, tag: str) -> bytes:
    """Return the preprocessor's output as it is without marks."""
    return _ANYWHERE.sub(lambda m: b"" if m[1] == tag.encode() else m[0], output)


def _mark_of(source: Source, line: int) -> Mark | None:
    """Return the mark of one line."""
    lexed, starts = source.lexed, source.lexed.line_starts
    start = starts[line - 1]
    end = starts[line] if line < len(starts) else len(source.text)
    first, last = bisect_left(lexed.starts, start), bisect_left(lexed.starts, end)
    if first == last:
        # Inside of a string that goes on over lines, or nothing.
        if not first or lexed.spans[first - 1][1] <= start:
            return None
        first, last = first - 1, first
    directive = lexed.directive_at(first)
    if directive is None:
        return Mark(source.path, _gap(lexed, first, last))
    if directive.keyword not in _DIRECTIVES and source.path.endswith(".S"):
        return None  # a comment of the assembler
    if directive.keyword == b"define" and (body := _body(lexed, directive)) < directive.last:
        inner = max(first, body)
        while lexed.texts[inner] in _SIGNS and inner + 1 < directive.last:
            inner += 1
        place = _gap(lexed, inner, max(last, inner + 1))
        return Mark(source.path, place, BODY, lexed.texts[directive.first + 2].decode("utf-8", "replace"))
    if directive.keyword in _EVALUATED:
        return Mark(source.path, lexed.spans[directive.first + 1][1], EVALUATED)
    if directive.keyword in _CLOSING:
        directive = _openers(source).get(directive.first, directive)
    return Mark(source.path, directive.span.start, DIRECTIVE)


def _body(lexed: Lexed, define: Directive) -> int:
    """Return the number of the first token of a macro's body, `define.last` if it has none."""
    name = define.first + 2
    after = name + 1
    if after < define.last and lexed.texts[after] == b"(" and lexed.spans[name][1] == lexed.spans[after][0]:
        while after < define.last and lexed.texts[after] != b")":
            after += 1
        after += 1
    return min(after, define.last)


def _gap(lexed: Lexed, first: int, last: int) -> int:
    """Return where a word among the tokens [first, last) changes least: it parts no call and pastes nothing."""
    for number in range(first, last):
        token, above = lexed.texts[number], lexed.texts[number - 1] if number else b""
        if token != b"##" and above not in (b"##", b"#") and not (token == b"(" and is_word(above)):
            return lexed.spans[number][0]
    return lexed.spans[last - 1][1] if lexed.texts[last - 1] != b"##" else lexed.spans[first][0]


@lru_cache(maxsize=16)
def _openers(source: Source) -> dict[int, Directive]:
    """Return, by the first token of each directive that goes on with an `#if` or ends it, that `#if`."""
    found, opened = {}, []
    for directive in source.lexed.directives:
        if directive.keyword in _OPENING:
            opened.append(directive)
        elif directive.keyword in _CLOSING and opened:
            found[directive.first] = opened[-1]
            if directive.keyword == b"endif":
                opened.pop()
    return found
