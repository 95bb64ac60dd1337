"""Refuse what makes a row differ from its looks: words of the sets that a file redefines or pastes together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ....c import Source, conditions_at, parse
from ....series.tree import Tree
from .files import SETS_HEADER, SETS_HEADERS
from .flags import FLAGS_HEADER
from .includes import beside
from .nouns import DEFINED, FileSets, KfuncSet, Row
from .plan import SELFTESTS

#: The words of the sets' header; a file that redefines them has sets that only the preprocessor knows.
WORDS = (
    b"BTF_KFUNCS_START",
    b"BTF_KFUNCS_END",
    b"BTF_SET8_START",
    b"BTF_SET8_END",
    b"__BTF_SET8_START",
    b"BTF_ID_FLAGS",
    b"BTF_KFUNC",
    b"BPF_KFUNC_SET_START",
    b"BPF_KFUNC_SET_END",
    b"BPF_KFUNC",
    b"BTF_ID",
    b"BTF_SET8_KFUNCS",
)

HARMLESS = (b"BTF_ID", b"BTF_SET8_KFUNCS")

_PIECE = re.compile(rb"\b(?:(?:__)?+BTF_\w*+|BPF_KFUNC\w*+)")
_DEFINED = re.compile(rb"#[ \t]*(?:define|undef)[ \t]+(\w+)")


def mentions(text: bytes, path: str) -> bool:
    """Say whether a file may hold sets, or change those of others; a .c file that only reads or lists ids may not."""
    found = set(_PIECE.findall(text))
    if not path.endswith(".c"):
        return bool(found)
    return any(word not in HARMLESS and any(w.startswith(word) for w in WORDS) for word in found)


def shadows(source: Source, sets: Sequence[KfuncSet], rows: Sequence[Row]) -> list[str]:
    """Return a line for each place in a file that changes its sets and rows, or those of files that include it."""
    if source.path in SETS_HEADERS:
        return []
    if not sets and not rows and source.path.endswith(".c"):
        return pasted(source)
    # Test modules keep their flags in any case.
    return [*redefined(source), *pasted(source), *([] if source.path.startswith(SELFTESTS) else renamed(source, rows))]


def renamed(source: Source, rows: Iterable[Row], whose: str = "rows of this file") -> list[str]:
    """Return a line for each #define and #undef of a word that a row uses."""
    used = {word for row in rows for word in words_in(row)}
    lines = []
    for word, offset, keyword in macro_lines(source):
        name = word.decode("utf-8", "replace")
        if name in used and f"!defined({name})" not in conditions_at(source, offset):
            lines.append(
                f"{source.where(offset)}: #{keyword} {name}, which {whose} use: they do not mean what "
                "they seem to mean; expected rows that no macro changes"
            )
    return lines


def foreign(tree: Tree, by_file: Mapping[str, FileSets]) -> list[str]:
    """Return a line for each macro that changes rows of other files.

    The files searched have a word of the sets, or are included in quotes by a file with rows.
    """
    rows = [row for found in by_file.values() for row in found.rows if not row.file.startswith(SELFTESTS)]
    used = {word.encode() for row in rows for word in words_in(row)}
    near = {other for path in {row.file for row in rows} for other in beside(path, tree.read(path))}
    lines = []
    for path in sorted(near.union(by_file) - {*SETS_HEADERS, FLAGS_HEADER}):
        has_rows = path in by_file and by_file[path].sets
        text = b"" if has_rows or (path.endswith(".c") and path not in near) else tree.get(path) or b""
        if not used.isdisjoint(_DEFINED.findall(text)):
            lines += renamed(parse(path, text), rows, "rows of other files")
    return lines


def words_in(row: Row) -> tuple[str, ...]:
    """Return the words of a row that a macro could change."""
    return ("func", row.kfunc, row.set, *row.flags, *sum(row.arg_flags, ()))


def macro_lines(source: Source) -> Iterator[tuple[bytes, int, str]]:
    """Yield name, offset and keyword of each #define and #undef."""
    texts = source.lexed.texts
    for line in source.lexed.directives:
        if line.keyword in (b"define", b"undef") and line.first + 2 < line.last:
            yield texts[line.first + 2], line.span.start, line.keyword.decode()


def redefined(source: Source) -> list[str]:
    """Return a line for each #define and #undef of a word of the sets."""
    return [
        f"{source.where(offset)}: #{keyword} {name.decode()}, which {SETS_HEADER} defines: what its rows mean cannot "
        "be followed; expected the header's own macros"
        for name, offset, keyword in macro_lines(source)
        if name in WORDS
    ]


def pasted(source: Source) -> list[str]:
    """Return a line for each piece of a word of the sets that something pastes together."""
    texts, lexed = source.lexed.texts, source.lexed
    # BPF_ is a piece of many names; the rows of a set have to be in the file of the set.
    pieces = (b"BTF_", b"__BTF_", b"BPF_" if DEFINED.encode() in lexed.index else b"BPF_KFUNC")
    return [
        f"{source.where(lexed.starts[number])}: {text.decode()} is a piece of a set's macro, pasted together where "
        "nobody sees it; expected the whole word"
        for text, numbers in lexed.index.items()
        if text.startswith(pieces) and text not in WORDS and any(w.startswith(text) for w in WORDS)
        for number in numbers
        if text.endswith(b"_") or b"##" in texts[max(0, number - 1) : number + 2]
    ]
