"""Say what a kernel has of what a row of programs.toml can need: flags, what they mean there, and kfuncs.

Rows are chosen by what a tree defines and what was linked, never by a version: a backport is as good as a release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from ....errors import ToolError
from ....git.repo import Scratch
from ..proof.btf_ids import elf_file, is_undefined, symbols_of
from ..proof.meaning import RELEASE, Flags, Rule

#: Where kfuncs are; a look into every file of a kernel takes ten times as long.
FOLDERS = ("block", "crypto", "drivers", "fs", "io_uring", "kernel", "lib", "mm", "net", "security", "virt", "include")


def features(flags: Flags, rule: Rule) -> frozenset[str]:
    """Return the names that `needs` and `lacks` of a row may hold: KF_ and KFA_ flags, and what KF_RELEASE is about."""
    return frozenset((*flags.kfunc, *flags.argument, f"{RELEASE}={rule.release}"))


def called(obj: Path) -> frozenset[str]:
    """Return the functions that a BPF object takes from elsewhere: the kfuncs that it calls."""
    with elf_file(obj) as file:
        symbols = symbols_of(file)
    if not symbols:
        raise ToolError(f"{obj} has no symbols")
    return frozenset(s.name for s in symbols if is_undefined(s))


def absent(objects: Iterable[Path], kfuncs: Collection[str], own: str) -> dict[str, list[str]]:
    """Return {name of an object: kfuncs that it calls and the kernel lacks}.

    `kfuncs` are those of the kernel, `own` the source of the test module: what stands there is never excused.
    """
    ours = frozenset(re.findall(r"\w+", own))
    missing = {obj.stem: sorted(called(obj) - set(kfuncs) - ours) for obj in objects}
    return {name: names for name, names in missing.items() if names}


def rows_in_source(scratch: Scratch, tree: str, names: Collection[str]) -> list[str]:
    """Return which kfuncs have a row in the source of a tree: a configuration leaves these out, not the kernel."""
    if not names:
        return []
    pattern = rf"BTF_ID_FLAGS\(func, *({'|'.join(sorted(names))})\b"
    return sorted(
        {name for _, line in scratch.grep_lines(tree, pattern, FOLDERS) for name in re.findall(pattern, line)}
    )
