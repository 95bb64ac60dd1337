"""Read a revision of a kernel: git objects with edits on top of them, no work tree.

Nothing here writes to the repository. A full kernel has 95,000 files, and searching all of them takes 5 s, so answers
are kept by (tree id, question); after a move of the base, only the files that differ are searched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, TypeVar

from ..errors import UserError
from ..git.grep import GrepCache, holds
from ..git.repo import Repo
from ..identity import file_of, identity
from ..model import REGULAR, Edit, Entry, KernelInfo, kernel_version
from .edits import SUBMODULE, EditError, apply_edits

T = TypeVar("T")


@dataclass(frozen=True)
class Tree:
    """A commit of `repo` under an `overlay` of files, None for a deleted one. Paths start at the kernel's root."""

    repo: Repo
    commit: str
    overlay: Mapping[str, Entry | None] = field(default_factory=dict)
    cache: GrepCache | None = None
    #: What was read of the commit: a file is asked for again by each step.
    kept: dict[str, bytes | None] = field(default_factory=dict, compare=False, repr=False)

    def get(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if it does not exist."""
        if path in self.overlay:
            file = self.overlay[path]
            return file.data if file else None
        if path not in self.kept:
            self.kept[path] = self.repo.read(self.commit, path)
        return self.kept[path]

    def read(self, path: str) -> bytes:
        """Return the bytes of a file; raise UserError if it does not exist."""
        data = self.get(path)
        if data is None:
            raise UserError(f"{path}: no such file in {self.commit[:12]}")
        return data

    def load(self, paths: Iterable[str]) -> None:
        """Read files of the commit at once that are asked for one by one later."""
        wanted = [path for path in paths if path not in self.overlay and path not in self.kept and "\n" not in path]
        self.kept.update(self.repo.read_many(self.commit, wanted))

    def once(self, make: Callable[..., Mapping[str, Any]], *parts: Any) -> Mapping[str, Any]:
        """Return what `make`, whose arguments are this tree and `parts`, makes of them and of nothing else, as JSON.

        It is kept from run to run, by the content of the tree and the code of `make`.
        """
        if self.overlay:
            return make(self, *parts)
        made_by = [make.__qualname__, self.repo.once(code_of, make), self.repo.tree_of(self.commit)]
        return self.repo.kept(dict[str, Any], lambda: dict(make(self, *parts)), *made_by, *parts)

    def each(self, kind: type[dict[str, T]], make: Callable[..., T], paths: Sequence[str], *parts: Any) -> dict[str, T]:
        """Return {path: what `make` makes of the path, the text and `parts`} of files; kept as once(), by file."""
        if self.overlay:
            return {path: make(path, self.read(path), *parts) for path in paths}
        self.repo.depend(paths)
        there = self.repo.ls(self.commit, *paths) if paths else {}
        ids = {f"{there[path][1]} {path}": path for path in paths}
        made_by = [make.__qualname__, self.repo.once(code_of, make), *parts]
        found = self.repo.kept_each(kind, lambda name: make(ids[name], self.read(ids[name]), *parts), ids, *made_by)
        return {ids[name]: made for name, made in found.items()}

    def exists(self, path: str) -> bool:
        """Say whether a file exists."""
        return path in self.below(path)

    def files(self, paths: Iterable[str]) -> dict[str, Entry]:
        """Return those of `paths` that are files here; for a submodule, only its mode."""
        asked = sorted(paths)
        found = {path: file for path in asked if (file := self.overlay.get(path))}
        there = self.repo.ls(self.commit, *asked) if len(found) < len(asked) else {}
        for path in there.keys() & set(asked) - self.overlay.keys():
            mode = there[path][0]
            found[path] = Entry(mode, b"" if mode == SUBMODULE else self.read(path))
        return found

    def grep(self, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False) -> list[str]:
        """Return the files that hold any of the fixed strings `needles`, sorted.

        `pathspecs` are git pathspecs (":(glob)..." or a folder); with `word`, only whole words count. The overlay is
        searched too, whatever the pathspecs that a plain prefix or a `*.x` suffix cannot express.
        """
        if self.cache is not None:
            found = set(self.cache.grep(self.repo, self.commit, needles, pathspecs, word=word))
        else:
            found = set(self.repo.grep(self.commit, needles, pathspecs, word=word))
        for path, file in self.overlay.items():
            found.discard(path)
            if file and in_pathspecs(path, pathspecs) and holds(file.data, needles, word=word):
                found.add(path)
        return sorted(found)

    def edit(self, edits: Iterable[Edit]) -> Tree:
        """Return this tree with `edits` made; raise EditError if they contradict each other or the tree."""
        made = list(edits)
        self._insist_on_places(made)
        return self.overlaid(apply_edits(made, self.files(names_in_edits(made)).get))

    def below(self, *paths: str) -> set[str]:
        """Return the files that are `paths`, or lie below them."""
        laid = {p for p, file in self.overlay.items() if file and any(f"{p}/".startswith(f"{q}/") for q in paths)}
        return laid | self.repo.ls(self.commit, *paths).keys() - self.overlay.keys()

    def overlaid(self, files: Mapping[str, Entry | bytes | None]) -> Tree:
        """Return this tree with whole `files` on top."""
        laid = {p: Entry(REGULAR, file) if isinstance(file, bytes) else file for p, file in files.items()}
        return Tree(self.repo, self.commit, {**self.overlay, **laid}, self.cache, self.kept)

    def fresh(self, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits without those that create a file which is there with the same content: a step is made again."""
        self._insist_on_places(edits)
        return [edit for edit in edits if not edit.create or self.get(edit.path) != edit.new]

    def _insist_on_places(self, edits: Sequence[Edit]) -> None:
        """Raise EditError for a path that no file of a kernel can have, or that would take the place of others."""
        for path in sorted(names_in_edits(edits)):
            if any(part.lower() in ("", ".", "..", ".git") for part in path.split("/")) or "\0" in path:
                raise EditError(f"{path!r}: a codemod edits it, but no file of a kernel can have this name")
        new = {e.path for e in edits if e.create} | {e.to for e in edits if e.to}
        below = self.below(*sorted(new)) if new else set()
        for path in sorted(new):
            if any(other.startswith(f"{path}/") for other in below | new):
                raise EditError(f"{path}: a codemod creates it, but it is a folder")
            for above in map(str, PurePosixPath(path).parents):
                if above != "." and (above in new or self.get(above) is not None):
                    raise EditError(f"{path}: a codemod creates it, but {above} is a file")

    def kernel(self) -> KernelInfo:
        """Return which kernel this is; raise UserError if it is not a kernel."""
        return KernelInfo(self.commit, self.version, self.repo.describe(self.commit))

    @property
    def version(self) -> str:
        """The version of this kernel; UserError if it is not a kernel."""
        return kernel_version(self.get("Makefile"))


def code_of(repo: Repo, make: Callable[..., Any]) -> str:
    """Return the identity of a function's code."""
    return identity(file_of(make))


def names_in_edits(edits: Iterable[Edit]) -> set[str]:
    """Return all names of files in edits, before and after."""
    return {name for edit in edits for name in (edit.path, edit.to or edit.path)}


def in_pathspecs(path: str, pathspecs: Sequence[str]) -> bool:
    """Say whether `:/` or a plain folder, file or pattern includes `path`, and no `:(top,exclude)` excludes it."""
    left_out = [spec.removeprefix(":(top,exclude)") for spec in pathspecs if spec.startswith(":(top,exclude)")]
    taken = [spec for spec in pathspecs if not spec.startswith(":(top,exclude)")]
    return (not taken or any(covers(spec, path) for spec in taken)) and not any(covers(s, path) for s in left_out)


def covers(spec: str, path: str) -> bool:
    """Say whether a pathspec that is `:/`, a folder, a file or a pattern includes `path`."""
    return spec == ":/" or path == spec or path.startswith(spec.rstrip("/") + "/") or fnmatchcase(path, spec)
