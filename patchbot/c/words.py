"""Find given identifiers, and what they stand in if that is C, without cutting the rest of the text into tokens.

The tokens of 2,000 files of a kernel take 20 s, this 1 s.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .conditions import conditions_at
from .source import Source
from .tokens import COMMENT as COMMENTS
from .tokens import STRING as STRINGS

#: What an identifier can stand in. Only in code it is an identifier; elsewhere it is mentioned.
CODE, COMMENT, STRING, DIRECTIVE = "code", "comment", "string", "directive"
#: Preprocessor lines whose words are a file's name or text for a person.
_TEXT_LINE = re.compile(rb"[ \t]*#[ \t]*(?:include|include_next|import|error|warning|pragma|ident)\b")
_HEAD = re.compile(rb"[A-Za-z_$]|#[ \t]*define\b")
_NEXT_HEAD = re.compile(rb"\n(?=" + _HEAD.pattern + rb")")
#: A line that may declare something.
_FIRST = re.compile(rb"^[A-Za-z_#].*$", re.M)
_LABEL = re.compile(rb"[\w$]+[ \t]*:(?!:)")
_NAME = re.compile(rb"(?<![\w$])([A-Za-z_$][\w$]*+)[ \t]*+(?=[(=\[{;,\r\n]|\Z)")
#: What an identifier goes on with. gcc takes $ as well, but no kernel has it in a name, and in assembler it is in front
#: of a symbol whose address is wanted, also in macros of headers.
_WITHIN = re.compile(rb"\w")
_OPEN = re.compile(rb"(?:\s|\\\r?\n|" + COMMENTS + rb")*+\(")
_PIECE = re.compile(STRINGS + rb"|" + COMMENTS + rb"|[(){}\[\],]")
_COMMENTS = re.compile(COMMENTS)
MOST_OF_A_CALL = 1 << 16
#: Files with the comments and strings of C.
_LIKE_C = re.compile(r"\.(?:[chsSyl]|cc|cpp|inc|lds|ld|dtsi?|dtso)$")
_MACRO = re.compile(rb"#[ \t]*define[ \t]+([\w$]+)")


@dataclass(frozen=True, order=True)
class Occurrence:
    """A word in the bytes [start, end) of a text; `kind` says what it stands in."""

    start: int
    end: int
    word: str
    kind: str


@lru_cache(maxsize=64)
def _patterns(words: tuple[str, ...]) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what finds comments, strings and words, each by its first byte, and what finds words in a piece."""
    named = b"|".join(re.escape(word.encode()) + rb"(?!\w)" for word in sorted(words, key=len, reverse=True))
    return re.compile(STRINGS + rb"|" + COMMENTS + rb"|" + named), re.compile(named)


def like_c(path: str) -> bool:
    """Say whether a file has the comments and strings of C, by its name."""
    return _LIKE_C.search(path) is not None


def find_words(path: str, text: bytes, words: Sequence[str]) -> list[Occurrence]:
    """Return where any of `words` stands in a file as a word of its own, in order, in code or elsewhere.

    In a file of another language all of it counts as code: what is a comment there is not known, an apostrophe may be
    the beginning of anything, and nothing must be passed over.
    """
    if not words:
        return []
    pieces, named = _patterns(tuple(words))
    # A look behind in the pattern would be tried at each byte: three times as slow.
    places = [m.span() for m in named.finditer(text) if not _WITHIN.match(text, max(0, m.start() - 1), m.start())]
    if not like_c(path):
        return [Occurrence(at, upto, text[at:upto].decode(), CODE) for at, upto in places]
    found: list[Occurrence] = []
    for piece in pieces.finditer(text):
        if len(found) == len(places):
            break
        start, end = piece.span()
        first = text[start : start + 1]
        kind = COMMENT if first == b"/" else STRING if first in (b'"', b"'") else CODE
        while len(found) < len(places) and places[len(found)][0] < end:
            at, upto = places[len(found)]
            if kind == CODE and _TEXT_LINE.match(text, text.rfind(b"\n", 0, at) + 1):
                kind = DIRECTIVE
            found.append(Occurrence(at, upto, text[at:upto].decode(), kind))
    return found


def call_at(text: bytes, end: int) -> tuple[int, int] | None:
    """Return how many arguments (or parameters) stand in the brackets behind a name, and where these end.

    `end` is the end of the name; None if no brackets follow, or none that are closed within MOST_OF_A_CALL bytes.
    """
    if not (opened := _OPEN.match(text, end)):
        return None
    first, depth, commas = opened.end(), 1, 0
    for piece in _PIECE.finditer(text, first, first + MOST_OF_A_CALL):
        kind = piece[0]
        depth += (kind in (b"(", b"[", b"{")) - (kind in (b")", b"]", b"}"))
        commas += kind == b"," and depth == 1
        if depth == 0:
            inside = _COMMENTS.sub(b"", text[first : piece.start()]).strip()
            return (0 if inside in (b"", b"void") else commas + 1), piece.end()
    return None


def enclosing(text: bytes, offsets: Sequence[int]) -> list[str]:
    """Return for each offset the name of the function, variable or macro that it is in, "" before the first one.

    It is read from the last line above that begins in the first column, as git does it for the headers of hunks.
    """
    upto = max(offsets, default=-1) + 1
    starts = [0] if _HEAD.match(text) else []
    starts += [match.end() for match in _NEXT_HEAD.finditer(text, 0, upto)]
    names: dict[int, str] = {}
    found = []
    for offset in offsets:
        above = at = bisect_right(starts, offset)
        while at and at not in names:
            if name := _declared(text, starts[at - 1]):
                names[at] = name
            else:
                at -= 1
        names[above] = names.get(at, "")
        found.append(names[above])
    return found


def declared(text: bytes) -> set[str]:
    """Return the names of the functions, variables and macros of a C file."""
    return {*enclosing(text, [match.end() for match in _FIRST.finditer(text)])}


def _declared(text: bytes, start: int) -> str:
    """Return the name that a line declares, "" if none is seen."""
    line = text[start : (text.find(b"\n", start) + 1) or len(text)]
    name = _MACRO.match(line) if line.startswith(b"#") else None if _LABEL.match(line) else _NAME.search(line)
    return name[1].decode("utf-8", "replace") if name else ""


def standing(source: Source, offset: int) -> tuple[tuple[str, ...], str]:
    """Return the conditions around an offset, and in words what may keep a tool from seeing code there, "" if nothing.

    That is a macro's definition, or text that no configuration compiles.
    """
    conditions = conditions_at(source, offset)
    if "0" in conditions:
        return conditions, "in #if 0"
    lexed = source.lexed
    number, _ = lexed.token_range(offset, len(source.text))
    directive = lexed.directive_at(number)
    if directive is None:
        return conditions, ""
    macro = lexed.texts[directive.first + 2].decode("utf-8", "replace") if directive.keyword == b"define" else ""
    what = f"the definition of the macro {macro}" if macro else f"#{directive.keyword.decode('utf-8', 'replace')}"
    return conditions, f"in {what}"
