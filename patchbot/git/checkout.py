"""Move a clean work tree along with its branch, if the person asks for it: what `git reset --keep` does, and no more.

`git reset` itself runs hooks and filters and moves the branch alone. `read-tree -m -u` is its middle part: it changes
the files that differ between two commits, and refuses where it would lose anything. Nothing that the repository says
starts a program: hooks and fsmonitor are off, and a file that a filter (clean, smudge) would have to make is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

from ..errors import ToolError, UserError
from ..run import Completed, run
from ..terminal import some
from .objects import changes_in, names_in
from .plumbing import PLAIN

#: A person's own configuration says what files look like (line ends and so on); what runs programs is off.
OFF = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
FILTER = re.compile(r"(?s)filter\.(.+)\.(?:clean|smudge|process)")
#: What git leaves in a work tree's folder while it is in the middle of something.
STATES = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "sequencer": "cherry-pick or revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase or git am",
    "BISECT_START": "bisection",
}


class Checkout:
    """A work tree: the folder that git keeps for it, and where it is."""

    def __init__(self, git_dir: Path, place: Path) -> None:
        self.git_dir, self.place = git_dir, place

    def git(self, *argv: str, stdin: bytes | None = None) -> Completed:
        """Run a git command in the work tree."""
        where = (f"--git-dir={self.git_dir}", f"--work-tree={self.place}")
        return run(["git", *OFF, *where, *argv], cwd=self.place, env=self._without_filters, stdin=stdin, check=False)

    @cached_property
    def _filters(self) -> set[str]:
        """The filters that the configuration knows programs for."""
        done = run(
            ["git", f"--git-dir={self.git_dir}", "config", "-z", "--list"], cwd=self.place, env=PLAIN, check=False
        )
        keys = (row.partition("\n")[0] for row in names_in(done.stdout))
        return {match[1] for key in keys if (match := FILTER.fullmatch(key))}

    @cached_property
    def _without_filters(self) -> dict[str, str]:
        """The environment in which no filter has a program."""
        rows = [("core.commitGraph", "false")]
        for name in sorted(self._filters):
            rows += [(f"filter.{name}.{key}", "") for key in ("clean", "smudge", "process")]
            rows += [(f"filter.{name}.required", "false")]
        keys = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(rows)}
        values = {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(rows)}
        return {**PLAIN, **keys, **values, "GIT_CONFIG_COUNT": str(len(rows))}

    def unfit(self) -> str:
        """Return why the work tree cannot move with its branch, whereto ever, "" if it can."""
        for name, state in STATES.items():
            if (self.git_dir / name).exists():
                return f"is checked out in {self.place}, where a {state} is in progress; end that first"
        done = self.git(
            "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=all"
        )
        if done.returncode:
            return f"is checked out in {self.place}, and git cannot tell its state: {said(done)}"
        if changed := [row[3:] for row in names_in(done.stdout)]:
            names = ", ".join(some(changed, 3))
            return (
                f"is checked out in {self.place}, which has changes that are not committed: {names}; commit them first"
            )
        return ""

    def insist(self, old: str, new: str) -> None:
        """Raise UserError if the work tree, at commit `old`, cannot move to `new`; nothing is written."""
        if why := self.unfit():
            raise UserError(f"a branch {why}")
        head = self.git("rev-parse", "--verify", "--quiet", "HEAD^{commit}").stdout.decode().strip()
        if head != old:
            raise UserError(f"{self.place} moved meanwhile; nothing was written, run it again")
        raw = self.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", old, new)
        changes = changes_in(raw.stdout)[""]
        if wrong := self._made_by_programs(changes):
            raise self._refusal(f"{wrong}, which only git itself may run")
        for path in (path for path, change in changes.items() if change.status == "A"):
            for part in (PurePosixPath(path), *PurePosixPath(path).parents):
                file = self.place / part
                if os.path.lexists(file) and (str(part) == path or file.is_symlink() or not file.is_dir()):
                    raise self._refusal(f"{file} is in the way of a file of the series, and git does not know it")
        done = self.git("read-tree", "--no-recurse-submodules", "-m", "-u", "-n", old, new)
        if done.returncode:
            raise self._refusal(said(done))

    def _made_by_programs(self, paths: Iterable[str]) -> str:
        """Return which of some files a filter would have to make, "" for none."""
        if not self._filters:
            return ""
        asked = list(paths)
        if rules := [path for path in asked if PurePosixPath(path).name == ".gitattributes"]:
            return f"{rules[0]} changes, and filters are configured"
        stdin = b"".join(os.fsencode(path) + b"\0" for path in asked)
        rows = names_in(self.git("check-attr", "-z", "--stdin", "filter", stdin=stdin).stdout)
        found = [f"{path} is made by the filter {name}" for path, name in zip(rows[::3], rows[2::3], strict=True)]
        return next((row for row, name in zip(found, rows[2::3], strict=True) if name in self._filters), "")

    def _refusal(self, why: str) -> UserError:
        """Return the error for a work tree that cannot move."""
        return UserError(f"{self.place} cannot move with its branch: {why}; nothing was written")

    def move(self, old: str, new: str) -> None:
        """Change the files and the index from one commit to another; raise ToolError if that fails half way."""
        done = self.git("read-tree", "--no-recurse-submodules", "-m", "-u", old, new)
        if done.returncode:
            raise ToolError(f"git cannot change the files in {self.place}: {said(done)}")

    def restore(self, old: str) -> None:
        """Bring the files and the index of what was clean at `old` back, as far as git can."""
        self.git("read-tree", "--no-recurse-submodules", "--reset", "-u", old)


def said(done: Completed) -> str:
    """Return what git said, on one line."""
    return " ".join(done.stderr.decode("utf-8", "replace").split()).removeprefix("error: ").removeprefix("fatal: ")
