"""A revision of a kernel as patchbot reads it: git objects with edits laid over them, no work tree.

Nothing here writes to the repository. A full kernel has 95,000 files; a search of all of them takes 5 s, so the
answer of a search is kept by (tree id, question), and for a base that moved only the files that differ from a
kept one are searched again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ..errors import UserError
from ..git.grep import GrepCache
from ..git.repo import Repo
from ..model import Edit, KernelInfo, kernel_version
from .edits import apply_edits


@dataclass(frozen=True)
class Tree:
    """A commit of `repo` with `overlay` ({path: bytes}) over it. Paths are relative to the kernel's root."""

    repo: Repo
    commit: str
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    cache: GrepCache | None = None

    def get(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is none."""
        if path in self.overlay:
            return self.overlay[path]
        return self.repo.read(self.commit, path)

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; raise UserError if this tree has none."""
        data = self.get(path)
        if data is None:
            raise UserError(f"{path}: no such file in {self.commit[:12]}")
        return data

    def exists(self, path: str) -> bool:
        """Say whether a file is there."""
        return path in self.overlay or path in self.modes(path)

    def modes(self, *paths: str) -> dict[str, str]:
        """Return {path: mode} of those of `paths` (files) that the base commit has."""
        return {p: mode for p, (mode, _) in self.repo.ls(self.commit, *paths).items()}

    def grep(self, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False) -> list[str]:
        """Return the files that hold any of the fixed strings `needles`, sorted.

        `pathspecs` are git pathspecs (":(glob)..." or a folder); with `word`, only whole words count. The overlay is
        searched too, whatever the pathspecs that a plain prefix or a `*.x` suffix cannot express.
        """
        if self.cache is not None:
            found = set(self.cache.grep(self.repo, self.commit, needles, pathspecs, word=word))
        else:
            found = set(self.repo.grep(self.commit, needles, pathspecs, word=word))
        pattern = "|".join(re.escape(n) for n in needles)
        compiled = re.compile((rf"\b(?:{pattern})\b" if word else pattern).encode())
        for path, text in self.overlay.items():
            found.discard(path)
            if in_pathspecs(path, pathspecs) and compiled.search(text):
                found.add(path)
        return sorted(found)

    def edit(self, edits: Iterable[Edit]) -> Tree:
        """Return this tree with `edits` made."""
        return self.overlaid(apply_edits(edits, self.get))

    def below(self, *paths: str) -> set[str]:
        """Return the files that are `paths`, or lie below them."""
        laid = {p for p in self.overlay if any(p == q or p.startswith(f"{q}/") for q in paths)}
        return laid | self.repo.ls(self.commit, *paths).keys()

    def overlaid(self, files: Mapping[str, bytes]) -> Tree:
        """Return this tree with whole `files` laid over it."""
        return Tree(self.repo, self.commit, {**self.overlay, **files}, self.cache)

    def kernel(self) -> KernelInfo:
        """Return which kernel this is; raise UserError if it is none."""
        return KernelInfo(self.commit, kernel_version(self.get("Makefile")), self.repo.describe(self.commit))


def in_pathspecs(path: str, pathspecs: Sequence[str]) -> bool:
    """Say whether `:/` or a plain folder, file or pattern takes in `path`, and none with `:(top,exclude)` does."""
    left_out = [spec.removeprefix(":(top,exclude)") for spec in pathspecs if spec.startswith(":(top,exclude)")]
    taken = [spec for spec in pathspecs if not spec.startswith(":(top,exclude)")]
    return (not taken or any(covers(spec, path) for spec in taken)) and not any(covers(s, path) for s in left_out)


def covers(spec: str, path: str) -> bool:
    """Say whether a pathspec that is `:/`, a folder, a file or a pattern takes in `path`."""
    return spec == ":/" or path == spec or path.startswith(spec.rstrip("/") + "/") or fnmatchcase(path, spec)
