"""Find source files whose objects show a header: those that include it, that use what it has, or that set what it asks.

Hundreds of files may include a header; who uses what a patch changed in it shows more than who comes first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, zip_longest
from pathlib import Path

from ..c.conditions import names_asked
from ..c.source import Source, parse
from ..c.tokens import is_word
from ..c.words import enclosing
from .bench import Bench
from .benches import APART, units_of

#: How many files are asked whether the configuration builds them.
ASKED = 40
#: How far to follow headers that include headers.
DEPTH = 2
#: How many names that decide about a header's code are looked for, and headers through which it is included.
NAMES, WAYS = 16, 64
SOURCES = (".c", ".S")
#: How many headers that carry on what another one has are followed, and how many files that include each of them.
CARRIERS, EACH = 16, 4
#: How many names are followed, and how many sources are read.
WORDS, READ = 256, 500
_WORD = re.compile(rb"(?a:[A-Za-z_]\w*+)")
_DEFINED = re.compile(rb"(?a:^[ \t]*+#[ \t]*+define[ \t]++([A-Za-z_]\w*+))", re.M)
#: How far from a ## the parts of a word are that a macro puts together, in bytes.
NEAR = 64
_INCLUDE = re.compile(rb'^[ \t]*+#[ \t]*+include[ \t]*+[<"]([^>"\n]++)[>"]', re.M)
#: What decides about more than the line itself.
_ASKS = re.compile(rb"^[ \t]*+#[ \t]*+(?:include|if|el|undef).*+", re.M)


def users_of(
    bench: Bench, tree: str, header: str, names: Sequence[str], first: Iterable[str], log: Path, most: int
) -> list[str]:
    """Return up to `most` sources that the bench builds and that use names of a header; without names, that include it.

    Those in `first` are tried before all others.
    """
    bench.enter(tree, log)
    by_name = [*named(bench, names), *carried(bench, tree, header, names)] if names else None
    fit = fitting(bench, includers(bench, tree, header) if by_name is None else by_name)
    rest = sorted(fit, key=lambda path: (path.startswith(("drivers/", "sound/")), path))
    return built(bench, tree, [*(path for path in first if path in {*fit}), *rest], log, most)


def showing(bench: Bench, tree: str, header: str, old: bytes, new: bytes, log: Path) -> tuple[list[str], int]:
    """Return the sources that show what changed in a header, best first, and how many of them have to.

    They include it, and name something that changed or is gone, or they do so by way of other headers, or they define
    what the header asks for; if another header is included there or an #if differs, all that include it have to.
    """
    bench.enter(tree, log)
    near, users, far = fitting(bench, includers(bench, tree, header)), set[str](), list[str]()
    if parse(header, old).lexed.texts != parse(header, new).lexed.texts:  # not in comments alone
        names = names_changed(header, old, new)
        users.update(fitting(bench, named(bench, names)))
        ask = deciders(bench, tree, parse(header, new), near)
        far = [path for pair in zip_longest(ask, carried(bench, tree, header, names)) for path in pair if path]
    best = near if _ASKS.findall(old) != _ASKS.findall(new) else [p for p in near if p in users]
    best = [*sorted(best, key=lambda path: path not in users), *sorted(users)]
    both = [path for pair in zip_longest(dict.fromkeys(best), fitting(bench, far)) for path in pair if path]
    return list(dict.fromkeys([*both, *near])), len({*both})


def carried(bench: Bench, tree: str, header: str, names: Sequence[str]) -> list[str]:
    """Return sources that use some names of a header by way of other headers, or may break by them.

    Such a header includes this one, or one that does, and makes of the names macros, inline functions or types of its
    own; who includes it need not name them to break.
    """
    files, words, seen, carriers, level = bench.files(tree), {*names}, {header}, list[str](), [header]
    for _ in range(DEPTH + 1):
        others = [path for path in including(bench, level, (".h",)) if path in files and path not in seen]
        seen.update(others)
        for path in others:
            if made := made_with(bench.scratch.raw(files[path]), words):
                carriers.append(path)
                words.update(sorted(made)[: max(0, WORDS - len(words))])
        level = sorted(others, key=lambda path: path not in carriers)[:CARRIERS]
    if not (carriers := carriers[:CARRIERS]):
        return []
    users: list[str] = []
    by_carrier: list[list[str]] = [[] for _ in carriers]
    spelled = [[word.encode("utf-8", "surrogateescape") for word in spellings(path)[0]] for path in carriers]
    wanted = {word.encode("utf-8", "surrogateescape") for word in words}
    for path, text in texts_of(bench, fitting(bench, including(bench, carriers, SOURCES))):
        users += [path] if wanted.intersection(_WORD.findall(text)) else []
        for row, forms in zip(by_carrier, spelled, strict=True):
            row += [path] if len(row) < EACH and any(form in text for form in forms) else []
    return [path for row in zip_longest(users, *by_carrier) for path in row if path]


def made_with(text: bytes, names: Iterable[str]) -> set[str]:
    """Return what a header makes of some names: what they stand in, and the macros that put one of them together."""
    words = {name.encode("utf-8", "surrogateescape") for name in names}
    offsets = [found.start() for found in _WORD.finditer(text) if found[0] in words]
    for found in re.finditer(rb"##", text):
        left = _WORD.findall(text[max(0, found.start() - NEAR) : found.start()].rstrip(b" \t"))
        right = _WORD.match(text[found.end() : found.end() + NEAR].lstrip(b" \t"))
        start, end = left[-1] if left else b"", right[0] if right else b""
        # The other part may be what the macro is given.
        if any((start and w.startswith(start)) or (end and w.endswith(end)) for w in words):
            offsets.append(found.start())
    return {*enclosing(text, sorted(offsets))} - {"", "asm", "__asm__"}


def named(bench: Bench, names: Sequence[str]) -> list[str]:
    """Return the sources that hold some words."""
    return bench.worktree.grep(names, [f"*{end}" for end in SOURCES], "-F", "-w") if names else []


def fitting(bench: Bench, paths: Iterable[str]) -> list[str]:
    """Return those of some sources that a bench may build by the folder that they are in."""
    arch = f"arch/{bench.kbuild.compiler.arch.folder}/"
    return [p for p in paths if not p.startswith(APART) and (not p.startswith("arch/") or p.startswith(arch))]


def built(bench: Bench, tree: str, paths: Iterable[str], log: Path, most: int) -> list[str]:
    """Return up to `most` of some sources that a bench builds; not all are asked about."""
    found: list[str] = []
    for path in list(dict.fromkeys(paths))[:ASKED]:
        if len(found) < most and units_of(bench, tree, path, log):
            found.append(path)
    return found


def includers(bench: Bench, tree: str, header: str, depth: int = DEPTH) -> list[str]:
    """Return the sources that include a header, or a header that does, nearest first.

    A header that is not below an include/ is looked for by its name, in the first two folders that it is in.
    """
    beside, paths = bench.includers(tree, header), including(bench, [header], (*SOURCES, ".h"))
    sources = [path for path in paths if path.endswith(SOURCES)]
    if not sources and not beside and depth:
        sources = [user for path in paths for user in includers(bench, tree, path, depth - 1)]
    return list(dict.fromkeys([*beside, *sources]))


def including(bench: Bench, headers: Sequence[str], ends: tuple[str, ...]) -> list[str]:
    """Return the files with some ends of their names that include one of some headers; see includers()."""
    forms = [spellings(header) for header in headers]
    words, places = [word for spelled, _ in forms for word in spelled], {f":(literal){place}" for _, place in forms}
    # Fixed words: git's expressions take minutes for a whole kernel. Who names it in a remark alone does no harm.
    where = [f"*{end}" for end in ends] if ":(literal)" in places else sorted(places)
    paths = bench.worktree.grep(words, where, "-F") if words else []
    return [path for path in paths if path not in headers and path.endswith(ends)]


def spellings(header: str) -> tuple[list[str], str]:
    """Return how an #include ends that names a header, and the folder where to look for it, "" for everywhere."""
    spelled, where = re.sub(r"^(?:.*/)?include/(?:uapi/)?", "", header), ""
    if spelled == header:
        *folders, spelled = header.split("/")
        where = "".join(f"{folder}/" for folder in folders[:2])
    return [f"{spelled}>", f'{spelled}"'], where


def texts_of(bench: Bench, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield some files with their texts, not too many: git compares each of many names with each file of a kernel."""
    for path in paths[:READ]:
        file = bench.worktree.path / path
        if file.is_file() and not file.is_symlink():
            yield path, file.read_bytes()


def deciders(bench: Bench, tree: str, header: Source, near: Collection[str]) -> list[str]:
    """Return the sources that #define what decides about the code of a header, or of one that it includes.

    They include it (`near`), or a header that does. E.g. CREATE_TRACE_POINTS: <trace/define_trace.h>, at the end of a
    header of events, asks for it.
    """
    rows: dict[str, list[str]] = {name: [] for name in list(dict.fromkeys(_deciding(bench, tree, header)))[:NAMES]}
    words = [f"define {name}" for name in rows]
    paths = bench.worktree.grep(words, [f"*{end}" for end in SOURCES], "-F", "-w") if words else []
    ways = including(bench, [header.path], (".h",))[:WAYS] if paths else []
    forms = [word.encode("utf-8", "surrogateescape") for way in ways for word in spellings(way)[0]]
    for path, text in texts_of(bench, paths):
        if path in near or any(form in text for form in forms):
            for name in {found.decode() for found in _DEFINED.findall(text)} & rows.keys():
                rows[name].append(path)
    return [path for row in zip_longest(*rows.values()) for path in row if path]


def _deciding(bench: Bench, tree: str, header: Source) -> Iterator[str]:
    """Yield the names in the conditions of a header, and of those that it includes, the last one first."""
    yield from names_asked(header)
    files, folder = bench.files(tree), header.path.rpartition("/")[0]
    for name in reversed([raw.decode("utf-8", "surrogateescape") for raw in _INCLUDE.findall(header.text)]):
        path = next((p for p in (f"include/{name}", f"{folder}/{name}") if p in files), None)
        if path:
            yield from names_asked(parse(path, bench.scratch.raw(files[path])))


def names_changed(header: str, old: bytes, new: bytes) -> list[str]:
    """Return what differs in a header: functions, macros, types and variables, and words that are gone."""
    found = words_of(header, old) - words_of(header, new)
    sides = [text.splitlines(keepends=True) for text in (old, new)]
    blocks = SequenceMatcher(None, sides[0], sides[1], autojunk=False).get_matching_blocks()
    for side, lines in enumerate(sides):
        same = {number for block in blocks for number in range(block[side], block[side] + block.size)}
        ends = accumulate(map(len, lines))
        offsets = [
            end - 1 for n, (line, end) in enumerate(zip(lines, ends, strict=True)) if line.strip() and n not in same
        ]
        found.update(enclosing(b"".join(lines), offsets))
    return sorted(found - {"", "asm", "__asm__"})


def words_of(path: str, text: bytes) -> set[str]:
    """Return the identifiers in the code of a file; a source from which a header is made has them in strings, too."""
    if path.endswith(SOURCES):
        return {word.decode() for word in _WORD.findall(text)}
    return {word.decode("utf-8", "replace") for word in parse(path, text).lexed.texts if is_word(word)}
