"""Prepare C for a preprocessor that must see all of it: no comments, no continued lines, each #if decided.

Every line keeps its number, so line numbers from the preprocessor hold for the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPAQUE = re.compile(rb'"(?:\\.|[^"\\\n])*+"?|\'(?:\\.|[^\'\\\n])*+\'?|(//[^\n]*|/\*.*?(?:\*/|\Z))', re.DOTALL)
_DIRECTIVE = re.compile(rb"[ \t]*(?:#|%:)[ \t]*(\w*)[ \t]*(.*)", re.DOTALL)
_CONTINUED = re.compile(rb"^(?:[^\n]*\\\n)+[^\n]*\n?", re.MULTILINE)
OPENING = (b"if", b"ifdef", b"ifndef")
MIDDLE = (b"else", b"elif", b"elifdef", b"elifndef")
#: Directives that change definitions; the others (#error, #line, #pragma, #embed) are useless or read foreign files.
INCLUDES = (b"include", b"include_next", b"import")
KEPT = (b"define", b"undef", *INCLUDES)
PRAGMAS = (b"push_macro", b"pop_macro", b"once")


def plain(text: bytes) -> bytes:
    """Return a text without comments and with whole logical lines, each beginning on its original line."""
    text = spliced(text.replace(b"\r\n", b"\n"))
    # A comment does not end a line, so what follows it belongs to the line on which it began.
    return spliced(_OPAQUE.sub(lambda m: m[0] if m[1] is None else b" " + b"\\\n" * m[1].count(b"\n"), text))


def spliced(text: bytes) -> bytes:
    """Return a text with continued lines joined, followed by empty lines in their place."""
    return _CONTINUED.sub(lambda m: m[0].rstrip(b"\n").replace(b"\\\n", b"") + b"\n" * m[0].count(b"\n"), text)


def branches(text: bytes, branch: int) -> bytes:
    """Return a `plain` text with one branch of each #if, counted from 0 (the last if there are fewer), -1 for all."""
    out: list[bytes] = []
    lines = text.split(b"\n")
    guard = guarded(lines)
    depth: list[tuple[int, bool]] = []
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(line)
        word = match[1] if match else b""
        if word in OPENING:
            depth.append((0, number == guard))
            line = b""
        elif word in MIDDLE and depth:
            depth[-1] = (depth[-1][0] + 1, depth[-1][1])
            line = b""
        elif word == b"endif":
            del depth[-1:]
            line = b""
        elif match and word not in KEPT and not (word == b"pragma" and match[2].startswith(PRAGMAS)):
            line = b""
        if branch >= 0 and any(at != branch and not own for at, own in depth):
            line = b""
        out.append(line)
    return (b"#pragma once " if guard is not None else b"") + b"\n".join(out)


def guarded(lines: list[bytes]) -> int | None:
    """Return the line of the #ifndef that guards a header against being read twice, None if there is none."""
    found = [(n, m) for n, line in enumerate(lines) if line.strip() for m in [_DIRECTIVE.match(line)]][:2]
    if len(found) == 2 and all(m is not None for _, m in found):
        (number, first), (_, second) = found
        if first and second and first[1] == b"ifndef" and second[1] == b"define":
            return number if first[2].split() == second[2].split()[:1] else None
    return None


def replaced_includes(text: bytes, numbers: Mapping[str, int]) -> bytes:
    """Return a text that includes only the files in {name: number}, as `f<number>`; a macro's name is looked up."""
    names = {m[1]: m[2] for m in re.finditer(rb'^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+([<"][^">\n]+[">])', text, re.M)}
    out = []
    for line in text.split(b"\n"):
        match = _DIRECTIVE.match(line)
        if match and match[1] in INCLUDES:
            what = names.get(match[2].strip(), match[2].strip())[1:-1].decode("utf-8", "surrogateescape")
            line = b'#include "f%d"' % numbers[what] if what in numbers else b""
        out.append(line)
    return b"\n".join(out)
