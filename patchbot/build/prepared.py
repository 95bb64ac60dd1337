"""Know when what a kernel's build makes before all objects has to be made again: its programs and generated headers.

make takes seconds to find out that nothing has to be done. It is spared only if no file changed that these can be made
from: which headers bounds.c, asm-offsets.c and the programs include stands in the .cmd files beside what was made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..git.objects import FileChange
from ..git.repo import Scratch
from .kbuild import Kbuild, has_failed
from .units import steers

#: Where generated headers are made by rules that leave no .cmd file, and whatever a program is made from.
ALWAYS = ("arch/", "certs/", "include/asm-generic/", "include/uapi/", "rust/", "scripts/", "tools/", "usr/")
#: What nothing is made from.
NEVER = ("Documentation/", "LICENSES/", "samples/", "tools/testing/", "MAINTAINERS", "CREDITS")
#: What is made from such a file is known, since a compiler told it; all else is read by scripts and make.
TOLD = (".c", ".h", ".S")
_WORD = re.compile(r"[^\s()'\"=:]+")


@dataclass
class Prepared:
    """What is made first in an output folder: the tree that it is of, "" if that is not certain, and what it reads."""

    tree: str = ""
    inputs: set[str] = field(default_factory=set)

    def is_stale(self, scratch: Scratch, tree: str) -> bool:
        """Say whether it may be another one for `tree`."""
        return not self.tree or (self.tree != tree and is_stale(scratch.changes(self.tree, tree), self.inputs))

    def make(self, kbuild: Kbuild, tree: str, log: Path, is_object: Callable[[str], bool]) -> None:
        """Make it for `tree`, which is checked out and configured; `is_object` is that of inputs_of()."""
        said = kbuild.make(["W=1", "prepare"], log)
        self.tree = "" if has_failed(said) else tree
        self.inputs = inputs_of(kbuild.out, kbuild.source, is_object)


def is_stale(changes: Mapping[str, FileChange], inputs: Collection[str]) -> bool:
    """Say whether changes of a tree may change what is made first, given the files that it was made from.

    A file that is new or gone may stand before another one of its name, or be asked for by make.
    """
    return any(
        path.startswith(ALWAYS) or not path.endswith(TOLD) or change.status != "M" or path in inputs
        for path, change in changes.items()
        if not path.startswith(NEVER)
    )


def makes(path: str) -> bool:
    """Say whether headers for all objects may be made from one of the inputs, e.g. kernel/bounds.c.

    The headers that such a source includes are left out, and what decides about configurations and programs.
    """
    return not path.endswith(".h") and not path.startswith("tools/") and not steers(path)


def inputs_of(out: Path, source: Path, is_object: Callable[[str], bool]) -> set[str]:
    """Return the files of the tree in `source` that all in an output folder was made from, and words besides.

    What `is_object` says of a path below `out` is left out: the kernel's objects, which are made later.
    """
    found: set[str] = set()
    for folder, _, names in os.walk(out):
        below = os.path.relpath(folder, out)
        for name in names:
            if name.endswith(".cmd") and not is_object(os.path.normpath(f"{below}/{name[1:-4]}")):
                text = Path(folder, name).read_text(encoding="utf-8", errors="surrogateescape")
                found.update(_WORD.findall(text))
    root = f"{source}/"
    return {re.sub(r"^(?:\.\./)+", "", os.path.normpath(word.removeprefix(root))) for word in found}
