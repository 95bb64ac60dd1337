"""Tell under which `#if` conditions a place stands."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from .declarations import decode
from .source import Source
from .tokens import Directive, Lexed

_OPENING = (b"if", b"ifdef", b"ifndef")
_OTHER = (b"else", b"elif", b"elifdef", b"elifndef")
_OF_KCONFIG = ("defined", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE")


def conditions_at(source: Source, offset: int) -> tuple[str, ...]:
    """Return the conditions of the `#if`s around an offset, outermost first, include guards left out.

    `#ifdef X` gives `defined(X)`, `#ifndef X` `!defined(X)`, `#else` `!(condition)`, `#elif c` `!(condition) && (c)`.
    """
    starts, stacks = _stacks(source)
    return stacks[bisect_right(starts, offset) - 1]


def branch_at(source: Source, offset: int) -> int | None:
    """Return where code of the same `#if`s begins before an offset, None if it is under none."""
    starts, stacks = _stacks(source)
    number = bisect_right(starts, offset) - 1
    return starts[number] if stacks[number] else None


def names_asked(source: Source) -> list[str]:
    """Return the names in the conditions of a file in order, without options of Kconfig and include guards."""
    lexed, guard = source.lexed, _guard(source.lexed)
    asked = [d for d in lexed.directives if d is not guard and d.keyword in (*_OPENING, *_OTHER)]
    words = [decode(word) for d in asked for word in lexed.texts[d.first + 2 : d.last]]
    return [
        w for w in dict.fromkeys(words) if w.isidentifier() and w not in _OF_KCONFIG and not w.startswith("CONFIG_")
    ]


@lru_cache(maxsize=64)
def _stacks(source: Source) -> tuple[list[int], list[tuple[str, ...]]]:
    """Return the offsets at which the conditions change, and the conditions from each on."""
    lexed = source.lexed
    starts: list[int] = [0]
    stacks: list[tuple[str, ...]] = [()]
    opened: list[tuple[str, ...] | None] = []
    guard = _guard(lexed)
    for directive in lexed.directives:
        current = stacks[-1]
        branches = opened[-1] if opened else None
        if directive is guard:
            opened.append(None)
            continue
        if directive.keyword in _OPENING:
            condition = _condition(lexed, directive)
            opened.append((condition,))
            current = (*current, condition)
        elif directive.keyword in _OTHER and branches is not None:
            before = " && ".join(f"!({c})" for c in branches)
            if directive.keyword != b"else":
                condition = _condition(lexed, directive)
                opened[-1] = (*branches, condition)
                before = f"{before} && ({condition})"
            current = (*current[:-1], before)
        elif directive.keyword == b"endif" and opened:
            if opened.pop() is not None:
                current = current[:-1]
        else:
            continue
        starts.append(directive.span.end)
        stacks.append(current)
    return starts, stacks


def _guard(lexed: Lexed) -> Directive | None:
    """Return the `#ifndef` of an include guard: it opens the file, `#define`s its name and ends with the file."""
    directives = lexed.directives
    if len(directives) < 3 or directives[0].keyword != b"ifndef" or directives[0].first != 0:
        return None
    names = [lexed.texts[d.first + 2] if d.first + 2 < d.last else b"" for d in directives[:2]]
    if directives[1].keyword != b"define" or names[0] != names[1] or directives[1].first != directives[0].last:
        return None
    depth = 0
    for directive in directives:
        depth += (directive.keyword in _OPENING) - (directive.keyword == b"endif")
        if depth == 0 or (depth == 1 and directive.keyword in _OTHER):
            return directives[0] if directive is directives[-1] and directive.last == len(lexed.texts) else None
    return None


def _condition(lexed: Lexed, directive: Directive) -> str:
    """Return the condition that a directive states, with the kernel's spacing."""
    words = [decode(t) for t in lexed.texts[directive.first + 2 : directive.last]]
    if directive.keyword in (b"ifdef", b"elifdef"):
        return f"defined({''.join(words[:1])})"
    if directive.keyword in (b"ifndef", b"elifndef"):
        return f"!defined({''.join(words[:1])})"
    text = ""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "defined" and at + 1 < len(words) and words[at + 1] != "(":
            word = f"defined({words[at + 1]})"
            at += 1
        tight = not text or text.endswith(("(", "!", "~")) or word in (")", ",", "##")
        called = word == "(" and text[-1:].isidentifier()
        text += word if tight or called else " " + word
        at += 1
    return text
