"""Say where in a tree a thing went that an anchor misses: upstream splits files and moves functions between them."""

from __future__ import annotations

from collections.abc import Sequence

from ..c import functions, macros, parse, prototypes, structs
from .tree import Tree

#: More places than this tell nothing.
MOST = 4


def elsewhere(tree: Tree, paths: Sequence[str], names: Sequence[str]) -> str:
    """Return where the functions, structs or macros `names` are defined instead of in `paths`, "" if nowhere near.

    The folders of `paths` and the kernel's own headers are searched.
    """
    if not names:
        return ""
    folders = sorted({path.rpartition("/")[0] for path in paths} - {""} | {"include/linux"})
    found = []
    for path in tree.grep(list(names), folders, word=True):
        if not path.endswith((".c", ".h")) or path in paths:
            continue
        source = parse(path, tree.read(path))
        things = [(x.name, x.span) for kind in (functions, structs, macros) for x in kind(source)]
        found += [f"{name} is in {source.where(span.start)}" for name, span in things if name in names]
    if not found:
        found = [
            f"{p.name}() is only declared in {source.where(p.span.start)}"
            for path in paths
            if (text := tree.get(path)) is not None
            for source in [parse(path, text)]
            for p in prototypes(source)
            if p.name in names
        ]
    return "".join(f"\n    {line}" for line in found[:MOST])
