"""Say which files of a tree can hold sets of kfuncs, whatever they are called: a set may be in what a file includes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...tree import Tree
from .includes import named

SETS_HEADER = "include/linux/btf_ids.h"
SETS_HEADERS = (SETS_HEADER, "tools/include/linux/btf_ids.h")
#: One search of the tree serves all: sets, rows outside of them, what registers sets, and what defines kfuncs.
NEEDLES = ("BTF_KFUNCS", "BTF_SET8", "BTF_ID_FLAGS", "btf_kfunc_id_set", "__bpf_kfunc")
#: What no compiler reads; a set that is hidden there all the same is missed where it is registered.
PATHSPECS = (
    ":/",
    *(
        f":(top,exclude){spec}"
        for spec in ("Documentation", "*.rst", "*.dts", "*.dtsi", "*.dtso", "*.yaml", "*.json", "*Kconfig*")
    ),
)
#: What is taken for C without asking who includes it.
C_LIKE = (".c", ".h", ".inc", ".def", ".S")

_DEFINING = re.compile(rb"BTF_KFUNCS_START|BTF_SET8_START|BTF_ID_FLAGS|__bpf_kfunc")


def candidates(tree: Tree) -> list[str]:
    """Return the files that can hold a set, register one or define a kfunc, sorted.

    A file with a name that is not C's counts if one with such a name includes it, directly or not.
    """
    found = tree.grep(NEEDLES, PATHSPECS)
    odd = {path for path in found if not path.endswith(C_LIKE)}
    read: dict[str, frozenset[str]] = {}
    new = odd
    while new:
        ends = sorted({f"{path.rpartition('/')[2]}{end}" for path in new for end in '">'})
        for path in tree.grep(ends, PATHSPECS):
            if path not in read:
                read[path] = named(tree.read(path), directly=not path.endswith(C_LIKE))
        more = {path for path, names in read.items() if names and not path.endswith(C_LIKE)} - odd
        odd, new = odd | more, more
    sure = {path for path in found if path not in odd}
    while counted := [path for path in odd - sure if included(path, read, sure)]:
        sure.update(counted)
    return sorted(sure.intersection(found))


def included(path: str, read: dict[str, frozenset[str]], sure: set[str]) -> bool:
    """Say whether a file that counts names `path` to include it."""
    name = path.rpartition("/")[2]
    return any(
        name == other.rpartition("/")[2]
        for place, names in read.items()
        if place != path and (place in sure or place.endswith(C_LIKE))
        for other in names
    )


def defining(tree: Tree, files: Sequence[str]) -> list[str]:
    """Return those of `files` in which kfuncs can be defined."""
    return [path for path in files if _DEFINING.search(tree.read(path))]
