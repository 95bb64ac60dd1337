"""Keep a work tree of patchbot's own and move it from commit to commit, so that make sees only what a patch changed.

It is a plain folder with its own index on patchbot's scratch repository: nothing is registered in the user's
repository, and a file that two commits share keeps its time stamp. The first checkout of a kernel takes 15 s, a move
to a neighbour 0.3 s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError
from ..run import Completed
from .objects import names_in
from .repo import Scratch


@dataclass(frozen=True)
class WorkTree:
    """A folder that holds one tree of a scratch repository; one process at a time may use it."""

    scratch: Scratch
    path: Path

    @classmethod
    def at(cls, path: Path, scratch: Scratch) -> WorkTree:
        """Return the work tree in `path`; the first move repairs what an interrupted run left behind."""
        path.mkdir(parents=True, exist_ok=True)
        tree = cls(scratch, path)
        for stale in (tree._beside("index.lock"), tree._beside("at")):
            stale.unlink(missing_ok=True)
        return tree

    @property
    def tree(self) -> str | None:
        """Return the id of the tree that is checked out, None if that is not certain."""
        try:
            return self._beside("at").read_text() or None
        except FileNotFoundError:
            return None

    def move(self, tree: str) -> None:
        """Check out `tree`: only files that differ are written, and files that it lacks are removed."""
        old = self.tree
        if old == tree:
            return
        # Without the mark the state is unknown, so a kill from here on leads to a repair, not to a wrong build.
        self._beside("at").unlink(missing_ok=True)
        if old is None:
            self._git("read-tree", "--reset", "-u", tree)
            self._git("clean", "-ffdxq")
        else:
            self._git("read-tree", "-m", "-u", old, tree)
        self._beside("at").write_text(tree)

    def grep(self, needles: Sequence[str], pathspecs: Sequence[str], *options: str) -> list[str]:
        """Return the files that hold one of `needles`, sorted: files here are read faster than objects."""
        argv = ("grep", "-l", "-z", "-a", "--full-name", *options, *(word for n in needles for word in ("-e", n)))
        done = self._git(*argv, "--", *pathspecs, check=False)
        if done.returncode not in (0, 1):
            raise ToolError(done.explain())
        return sorted(names_in(done.stdout))

    @contextmanager
    def laid_over(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Let files of the tree have other bytes for a while; then they are as before, and as old."""
        at, aside = self._beside("at"), self._beside("aside")
        tree = at.read_text()
        at.unlink()
        aside.mkdir(exist_ok=True)
        places = {self.path / path: aside / str(number) for number, path in enumerate(files)}
        try:
            for (path, kept), data in zip(places.items(), files.values(), strict=True):
                path.rename(kept)
                path.write_bytes(data)
            yield
        finally:
            for path, kept in places.items():
                if os.path.lexists(kept):
                    os.replace(kept, path)
            at.write_text(tree)

    def _beside(self, suffix: str) -> Path:
        """Return a file next to the folder that belongs to it."""
        return self.path.with_name(f"{self.path.name}.{suffix}")

    def _git(self, *argv: str, check: bool = True) -> Completed:
        """Run git on this work tree and its own index."""
        env = {"GIT_WORK_TREE": str(self.path), "GIT_INDEX_FILE": str(self._beside("index"))}
        # The change time of a file that was laid aside for a while is news, its content is not.
        settings = ("-c", "checkout.workers=0", "-c", "core.trustctime=false")
        return self.scratch.git(*settings, *argv, env=env, cwd=self.path, timeout=1800, check=check)
