"""Find the parameters of each kfunc: whose argument a flag is for is decided by the definition, wherever it is.

A kfunc can be defined in another file than its row (33 files define those of 38), twice under #if, and have a stub
in a header. Files that hold `__bpf_kfunc` have nearly all of them; only what is still missing is searched for by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ....c import Param, functions, parse
from ....series.tree import Tree

TOOLS = "tools/"

_CALLED = re.compile(rb"\b(\w+)\s*\(")
_MARKED = re.compile(rb"\b__bpf_kfunc\b")
_INLINE = re.compile(rb"\binline\b|\b__always_inline\b")


@dataclass(frozen=True)
class Prototype:
    """The definition of a kfunc; `marked` says whether it bears `__bpf_kfunc`, `inline` whether it is inline."""

    kfunc: str
    file: str
    line: int
    returns: str
    params: tuple[Param, ...]
    conditions: tuple[str, ...]
    marked: bool
    inline: bool

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the parameters."""
        return tuple(p.type for p in self.params)


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
    pool: dict[str, list[Prototype]] = {}
    names = {kfunc for kfunc, _ in rows}
    for path in files:
        collect(tree, path, names, pool)
    lost = sorted({kfunc for kfunc, file in rows if kfunc in set(needed) and not choices(pool, kfunc, file)})
    if lost:
        for path in tree.grep(lost, ["*.c"], word=True):
            if path not in files:
                collect(tree, path, set(lost), pool)
    return {(kfunc, file): choose(kfunc, file, choices(pool, kfunc, file)) for kfunc, file in rows}


def collect(tree: Tree, path: str, names: set[str], pool: dict[str, list[Prototype]]) -> None:
    """Add the definitions of `names` in a file to `pool`."""
    text = tree.read(path)
    for name, prototypes in definitions(path, text).items():
        if name in names:
            pool.setdefault(name, []).extend(prototypes)


@lru_cache(maxsize=256)
def definitions(path: str, text: bytes) -> Mapping[str, tuple[Prototype, ...]]:
    """Return every function definition of a text by name."""
    source = parse(path, text)
    out: dict[str, tuple[Prototype, ...]] = {}
    for function in functions(source):
        head = source.text[function.span.start : function.body.start]
        line = source.line(function.span.start + named_at(head, function.name.encode()))
        marked = _MARKED.search(head) is not None
        inline = _INLINE.search(head) is not None
        made = Prototype(
            function.name, path, line, function.returns, function.params, function.conditions, marked, inline
        )
        out[function.name] = (*out.get(function.name, ()), made)
    return out


def named_at(head: bytes, name: bytes) -> int:
    """Return where a function's name stands in its head; 0 where it is not before a bracket."""
    # Not a pattern of the name: Python takes 0.1 ms to compile one, and a tree has 3,500 functions.
    return next((m.start() for m in _CALLED.finditer(head) if m[1] == name), 0)


def choices(pool: Mapping[str, Sequence[Prototype]], kfunc: str, file: str) -> list[Prototype]:
    """Return the definitions that can be meant by a row in `file`: its own, else those of the same side of tools/.

    Marked definitions go before others, and any before a static inline stub.
    """
    found = pool.get(kfunc, [])
    own = [p for p in found if p.file == file]
    if not own:
        own = [p for p in found if p.file.startswith(TOOLS) == file.startswith(TOOLS)]
    for better in ([p for p in own if p.marked], [p for p in own if not p.inline]):
        if better:
            return sorted(better, key=lambda p: (p.file, p.line))
    return sorted(own, key=lambda p: (p.file, p.line))


def choose(kfunc: str, file: str, found: Sequence[Prototype]) -> Prototype | Missing:
    """Return the one definition, or the first of several with the same parameter types."""
    if not found:
        return Missing(f"no definition of {kfunc}() found; it may be made by a macro")
    if len({p.types for p in found}) > 1:
        places = ", ".join(f"{p.file}:{p.line}" for p in found)
        return Missing(f"{kfunc}() is defined with different parameters at {places}")
    return found[0]
