"""Know which sources include a file by a name in quotes, as code that has no object of its own, or as a header.

What a file includes is kept by its content, so that in the next tree only the files that differ are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from ..git.repo import Scratch

_FORM = r'^[[:space:]]*#[[:space:]]*include[[:space:]]*"'
_NAME = re.compile(rb'^[ \t]*+#[ \t]*+include[ \t]*+"([^"\n]*+)"', re.M)
ENDS = (".c", ".S", ".h")
#: How many files are read one by one; git searches more of them sooner.
FEW = 8


class Includes:
    """What C files include by a name in quotes, by the files' ids, and the files of each folder of the latest tree."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self._names: dict[str, frozenset[str]] = {}
        self._tree, self._folders = "", dict[str, dict[str, str]]()

    def of(self, tree: str, files: Mapping[str, str], source: str) -> list[str]:
        """Return the sources in the folder of a file, and in those above, that include it, or a header there that does.

        `files` is {path: object id} of the tree.
        """
        found, seen, todo = set[str](), {source}, [source]
        while todo:
            new = {*self._of(tree, files, todo.pop())} - seen
            seen |= new
            todo += [path for path in new if path.endswith(".h")]
            found |= {path for path in new if not path.endswith(".h")}
        return sorted(found)

    def _of(self, tree: str, files: Mapping[str, str], source: str) -> Iterator[str]:
        """Yield the files in the folder of a file, and in those above, that include it."""
        if self._tree != tree:
            self._tree, self._folders = tree, {}
            for path, oid in files.items():
                if path.endswith(ENDS):
                    self._folders.setdefault(path.rpartition("/")[0], {})[path] = oid
        for parent in PurePosixPath(source).parents:
            folder = "" if str(parent) == "." else str(parent)
            here = self._folders.get(folder, {})
            self._learn(tree, folder, here)
            name = os.path.relpath(source, folder or ".")
            yield from (path for path, oid in here.items() if name in self._names[oid])

    def _learn(self, tree: str, folder: str, files: Mapping[str, str]) -> None:
        """Read what the files in a folder include, as far as it is not known."""
        unknown = {oid: path for path, oid in files.items() if oid not in self._names}
        names: dict[str, list[str]] = {oid: [] for oid in unknown}
        if len(unknown) > FEW:
            here = f":(glob){folder}{'/' if folder else ''}*"
            for path, line in self.scratch.grep_lines(tree, _FORM, [here + end for end in ENDS]):
                names.setdefault(files[path], []).append(line.split('"')[1])
        else:
            for oid in unknown:
                names[oid] = [n.decode("utf-8", "surrogateescape") for n in _NAME.findall(self.scratch.raw(oid))]
        self._names |= {oid: frozenset(map(os.path.normpath, found)) for oid, found in names.items()}
