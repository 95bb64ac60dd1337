"""Find source files whose objects show a header: those that include it, that use what it has, or that set what it asks.

Hundreds of files may include a header; who uses what a patch changed in it shows more than who comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
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
#: How many names that decide about a header's code are looked for.
NAMES = 16
SOURCES = (".c", ".S")
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
    fit = fitting(bench, named(bench, names) if names else includers(bench, tree, header))
    rest = sorted(fit, key=lambda path: (path.startswith(("drivers/", "sound/")), path))
    return built(bench, tree, [*(path for path in first if path in {*fit}), *rest], log, most)


def showing(bench: Bench, tree: str, header: str, old: bytes, new: bytes, log: Path) -> tuple[list[str], int]:
    """Return the sources that show what changed in a header, best first, and how many of them have to.

    They include it, and name something that changed or is gone; if another header is included there or an #if differs,
    all that include it have to.
    """
    bench.enter(tree, log)
    near, users = fitting(bench, includers(bench, tree, header)), set[str]()
    if parse(header, old).lexed.texts != parse(header, new).lexed.texts:  # not in comments alone
        users.update(fitting(bench, named(bench, names_changed(header, old, new))))
    best = near if {*_ASKS.findall(old)} != {*_ASKS.findall(new)} else [p for p in near if p in users]
    best = sorted(best, key=lambda path: path not in users)
    return list(dict.fromkeys([*best, *sorted(users), *near])), len({*best, *users})


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
    beside = bench.includers(tree, header)
    spelled = re.sub(r"^(?:.*/)?include/(?:uapi/)?", "", header)
    where = ""
    if spelled == header:
        *folders, spelled = header.split("/")
        where = "".join(f"{folder}/" for folder in folders[:2])
    # Fixed words: git's expressions take minutes for a whole kernel. Who names it in a remark alone does no harm.
    among = [f":(literal){where}"] if where else [f"*{end}" for end in (*SOURCES, ".h")]
    paths = bench.worktree.grep([f"{spelled}>", f'{spelled}"'], among, "-F")
    paths = [path for path in paths if path != header and path.endswith((*SOURCES, ".h"))]
    sources = [path for path in paths if path.endswith(SOURCES)]
    if not sources and not beside and depth:
        sources = [user for path in paths for user in includers(bench, tree, path, depth - 1)]
    return list(dict.fromkeys([*beside, *sources]))


def deciders(bench: Bench, tree: str, header: Source) -> list[str]:
    """Return the sources that include a header and #define what decides about its code, or about one that it includes.

    E.g. CREATE_TRACE_POINTS: <trace/define_trace.h>, at the end of a header of events, asks for it.
    """
    among = [path for path in includers(bench, tree, header.path) if path.endswith(SOURCES)]
    names = list(dict.fromkeys(_deciding(bench, tree, header)))[:NAMES] if among else []
    rows = [bench.worktree.grep([f"define {name}"], among, "-F", "-w") for name in names]
    return [path for row in zip_longest(*rows) for path in row if path]


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
    for text, other in ((old, new), (new, old)):
        there, at, offsets = {*other.splitlines()}, 0, []
        for line in text.splitlines(keepends=True):
            at += len(line)
            offsets += [at - 1] if line.strip() and line.rstrip(b"\r\n") not in there else []
        found.update(enclosing(text, offsets))
    return sorted(found - {""})


def words_of(path: str, text: bytes) -> set[str]:
    """Return the identifiers in the code of a file."""
    return {word.decode("utf-8", "replace") for word in parse(path, text).lexed.texts if is_word(word)}
