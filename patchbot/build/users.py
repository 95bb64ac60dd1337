"""Find source files whose objects show a header: those that include it, or that use a macro of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .bench import Bench
from .benches import APART, units_of

#: How many files are asked whether the configuration builds them.
ASKED = 40
#: How far to follow headers that include headers.
DEPTH = 2


def users_of(
    bench: Bench, tree: str, header: str, names: Sequence[str], first: Iterable[str], log: Path, most: int
) -> list[str]:
    """Return up to `most` .c files that the bench builds and that use some macros (`names`) or include a header.

    Those in `first` are tried before all others.
    """
    found: list[str] = []
    bench.enter(tree, log)
    wanted = bench.worktree.grep(names, ["*.c"], "-F", "-w") if names else includers(bench, tree, header)
    arch = f"arch/{bench.kbuild.compiler.arch.folder}/"
    fit = [p for p in wanted if not p.startswith(APART) and (not p.startswith("arch/") or p.startswith(arch))]
    known = [path for path in first if path in set(fit)]
    for path in list(dict.fromkeys([*known, *sorted(fit, key=lambda p: (p.startswith(("drivers/", "sound/")), p))]))[
        :ASKED
    ]:
        if len(found) < most and units_of(bench, tree, path, log):
            found.append(path)
    return found


def includers(bench: Bench, tree: str, header: str, depth: int = DEPTH) -> list[str]:
    """Return the .c files that include a header, or a header that does, nearest first."""
    beside = bench.includers(tree, header)
    spelled = re.sub(r"^(?:.*/)?include/(?:uapi/)?", "", header)
    if spelled == header:
        return beside
    # Fixed words: git's expressions take minutes for a whole kernel. Who names it in a remark alone does no harm.
    paths = bench.worktree.grep([f"{spelled}>", f'{spelled}"'], ["*.c", "*.h"], "-F")
    sources = [path for path in paths if path.endswith(".c")]
    if sources or not depth:
        return [*beside, *sources]
    return [*beside, *(user for path in paths for user in includers(bench, tree, path, depth - 1))]
