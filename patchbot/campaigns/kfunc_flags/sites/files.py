"""Say which files of a tree can hold sets of kfuncs, whatever their names: a set may be in an included file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ....series.tree import Tree
from .includes import forced, is_makefile, named

SETS_HEADER = "include/linux/btf_ids.h"
SETS_HEADERS = (SETS_HEADER, "tools/include/linux/btf_ids.h")
#: One search of the tree serves all: sets, rows outside of them, what registers sets, and what defines kfuncs.
NEEDLES = ("BTF_KFUNC", "BTF_SET8", "BTF_ID_FLAGS", "BPF_KFUNC", "btf_kfunc_id_set", "__bpf_kfunc")
#: What no compiler reads; a set that is hidden there all the same is missed where it is registered.
PATHSPECS = (
    ":/",
    *(
        f":(top,exclude){spec}"
        for spec in ("Documentation/*.txt", "*.rst", "*.dts", "*.dtsi", "*.dtso", "*.yaml", "*.json", "*Kconfig*")
    ),
)
#: Names that mean C, whoever includes the file.
C_LIKE = (".c", ".h", ".inc", ".def", ".S", ".c_shipped", ".h_shipped", ".S_shipped")

_DEFINING = re.compile(rb"BTF_KFUNC|BTF_SET8_START|BTF_ID_FLAGS|BPF_KFUNC|__bpf_kfunc")


def candidates(tree: Tree) -> list[str]:
    """Return the files that can hold a set, register one or define a kfunc, sorted.

    A file whose name does not mean C counts if one whose name does includes it, directly or not.
    """
    found = tree.grep(NEEDLES, PATHSPECS)
    odd = {path for path in found if not path.endswith(C_LIKE)}
    read: dict[str, frozenset[str]] = {}
    new = odd
    while new:
        asked = sorted({word for path in new for word in spellings(path.rpartition("/")[2])})
        for path in tree.grep(asked, PATHSPECS):
            if path not in read:
                text = tree.read(path)
                read[path] = forced(text) if is_makefile(path) else named(text, directly=not path.endswith(C_LIKE))
        more = {path for path, names in read.items() if names and not path.endswith(C_LIKE) and not is_makefile(path)}
        more -= odd
        odd, new = odd | more, more
    sure = {path for path in found if path not in odd}
    while counted := [path for path in odd - sure if included(path, read, sure)]:
        sure.update(counted)
    return sorted(sure.intersection(found))


def spellings(name: str) -> list[str]:
    """Return the search text for files that include a file; a name without a dot could be any word."""
    return [name] if "." in name else [*(f"{name}{end}" for end in '">)'), f"/{name}", f"include {name}"]


def included(path: str, read: dict[str, frozenset[str]], sure: set[str]) -> bool:
    """Say whether a file that counts includes `path` by name."""
    name = path.rpartition("/")[2]
    return any(
        name == other.rpartition("/")[2]
        for place, names in read.items()
        if place != path and (place in sure or place.endswith(C_LIKE) or is_makefile(place))
        for other in names
    )


def defining(tree: Tree, files: Sequence[str]) -> list[str]:
    """Return those of `files` in which kfuncs can be defined."""
    return [path for path in files if _DEFINING.search(tree.read(path))]
