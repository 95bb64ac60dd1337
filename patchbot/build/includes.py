"""Know which .c files include a file by a name in quotes, as code that has no object of its own.

What a file includes is kept by its content, so that in the next tree only the files that differ are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from ..git.repo import Scratch

_FORM = r'^[[:space:]]*#[[:space:]]*include[[:space:]]*"'
_NAME = re.compile(rb'^[ \t]*+#[ \t]*+include[ \t]*+"([^"\n]*+)"', re.M)
#: How many files are read one by one; git searches more of them sooner.
FEW = 8


class Includes:
    """What .c files include by a name in quotes, by the files' ids, and the files of each folder of the latest tree."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self._names: dict[str, frozenset[str]] = {}
        self._tree, self._folders = "", dict[str, dict[str, str]]()

    def of(self, tree: str, files: Mapping[str, str], source: str) -> list[str]:
        """Return the .c files in the folder of a file, and in those above, that include it.

        `files` is {path: object id} of the tree.
        """
        if self._tree != tree:
            self._tree, self._folders = tree, {}
            for path, oid in files.items():
                if path.endswith(".c"):
                    self._folders.setdefault(path.rpartition("/")[0], {})[path] = oid
        found = []
        for parent in PurePosixPath(source).parents:
            folder = "" if str(parent) == "." else str(parent)
            here = self._folders.get(folder, {})
            self._learn(tree, folder, here)
            name = os.path.relpath(source, folder or ".")
            found += [path for path, oid in here.items() if name in self._names[oid]]
        return sorted(found)

    def _learn(self, tree: str, folder: str, files: Mapping[str, str]) -> None:
        """Read what the .c files in a folder include, as far as it is not known."""
        unknown = {oid: path for path, oid in files.items() if oid not in self._names}
        names: dict[str, list[str]] = {oid: [] for oid in unknown}
        if len(unknown) > FEW:
            for path, line in self.scratch.grep_lines(tree, _FORM, [f":(glob){folder}{'/' if folder else ''}*.c"]):
                names.setdefault(files[path], []).append(line.split('"')[1])
        else:
            for oid in unknown:
                names[oid] = [n.decode("utf-8", "surrogateescape") for n in _NAME.findall(self.scratch.raw(oid))]
        self._names |= {oid: frozenset(map(os.path.normpath, found)) for oid, found in names.items()}
