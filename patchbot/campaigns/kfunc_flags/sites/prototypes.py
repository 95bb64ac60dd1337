"""Find the parameters of each kfunc: its definition, wherever it is, decides which argument a flag is for.

A kfunc can be defined in another file than its row (33 files define those of 38), twice under #if, and have a stub
in a header. Files that hold `__bpf_kfunc` have nearly all of them; only the missing ones are searched for by name.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ....c import Param, functions, parse
from ....series.tree import Tree
from .casts import casts

TOOLS = "tools/"

_CALLED = re.compile(rb"\b(\w+)\s*\(")
_MARKED = re.compile(rb"\b__bpf_kfunc\b")
_INLINE = re.compile(rb"\binline\b|\b__always_inline\b")


@dataclass(frozen=True)
class Prototype:
    """The definition of a kfunc; `marked` says whether it has `__bpf_kfunc`, `inline` whether it is inline.

    `cast` are the parameters that are cast to a pointer or to a number that can hold one, see casts().
    """

    kfunc: str
    file: str
    line: int
    returns: str
    params: tuple[Param, ...]
    marked: bool
    inline: bool
    cast: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Missing:
    """Why there is no prototype."""

    reason: str


def find_prototypes(
    tree: Tree, rows: Iterable[tuple[str, str]], files: Sequence[str], needed: Iterable[str]
) -> dict[tuple[str, str], Prototype | Missing]:
    """Return the prototype of each (kfunc, file of its row).

    `files` are those that can define kfuncs; for the kfuncs in `needed` that none of them defines, the .c files of
    the whole tree are searched once.
    """
    rows = sorted(set(rows))
    needed = set(needed)
    pool = collected(tree, files, {kfunc for kfunc, _ in rows})
    lost = sorted({kfunc for kfunc, file in rows if kfunc in needed and not choices(pool.get(kfunc, []), file)})
    if lost:
        elsewhere = [path for path in tree.grep(lost, ["*.c"], word=True) if path not in files]
        for kfunc, found in collected(tree, elsewhere, set(lost)).items():
            pool[kfunc] = [*pool.get(kfunc, []), *found]
    return {(kfunc, file): choose(kfunc, choices(pool.get(kfunc, []), file)) for kfunc, file in rows}


def collected(tree: Tree, files: Iterable[str], names: Container[str]) -> dict[str, list[Prototype]]:
    """Return the definitions of `names` in some files."""
    pool: dict[str, list[Prototype]] = {}
    for path in files:
        for prototype in definitions(path, tree.read(path)):
            if prototype.kfunc in names:
                pool.setdefault(prototype.kfunc, []).append(prototype)
    return pool


@lru_cache(maxsize=256)
def definitions(path: str, text: bytes) -> tuple[Prototype, ...]:
    """Return every function definition of a text."""
    source = parse(path, text)
    made = []
    for f in functions(source):
        head = source.text[f.span.start : f.body.start]
        line = source.line(f.span.start + named_at(head, f.name.encode()))
        marked, inline = (pattern.search(head) is not None for pattern in (_MARKED, _INLINE))
        cast = casts(source, f) if marked else frozenset()
        made.append(Prototype(f.name, path, line, f.returns, f.params, marked, inline, cast))
    return tuple(made)


def named_at(head: bytes, name: bytes) -> int:
    """Return the offset of a function's name in its head; 0 if it is not before a bracket."""
    # Not a regular expression: compiling one takes 0.1 ms, and a tree has 3,500 functions.
    return next((m.start() for m in _CALLED.finditer(head) if m[1] == name), 0)


def choices(found: Sequence[Prototype], file: str) -> list[Prototype]:
    """Return the definitions that a row in `file` can mean: the file's own, else those of the same side of tools/.

    Marked definitions are preferred to others, and any to a static inline stub.
    """
    own = [p for p in found if p.file == file]
    own = own or [p for p in found if p.file.startswith(TOOLS) == file.startswith(TOOLS)]
    best = [p for p in own if p.marked] or [p for p in own if not p.inline] or own
    return sorted(best, key=lambda p: (p.file, p.line))


def choose(kfunc: str, found: Sequence[Prototype]) -> Prototype | Missing:
    """Return the one definition, or the first of several with the same parameter types and what any of them casts."""
    if not found:
        return Missing(f"no definition of {kfunc}() found; it may be made by a macro")
    if len({tuple(param.type for param in p.params) for p in found}) > 1:
        places = ", ".join(f"{p.file}:{p.line}" for p in found)
        return Missing(f"{kfunc}() is defined with different parameters at {places}")
    cast = [index for p in found for index, param in enumerate(p.params) if param.name in p.cast]
    return replace(found[0], cast=frozenset(found[0].params[index].name for index in cast))
