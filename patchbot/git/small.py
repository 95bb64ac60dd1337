"""Make a repository of the small kernel that comes with patchbot, for the demo and the tests.

It has the same commit ids on every machine, whatever the person's git configuration.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ..bundle import bundled
from ..model import Identity
from ..run import run
from .export import write_files
from .plumbing import SEALED
from .repo import Repo

DATE = "1767225600 +0000"
PERSON = Identity("A Maintainer", "maintainer@example.org")
WHO = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", PERSON.name), ("EMAIL", PERSON.email), ("DATE", DATE))
}


def lay_out(path: Path) -> None:
    """Copy the small kernel to the new folder `path` and make it a repository without a commit."""
    shutil.copytree(bundled("tests/linux"), path)
    run(["git", "init", "-q", "--template=", "-b", "master", path], env=SEALED)


def make(path: Path, files: Mapping[str, bytes]) -> Repo:
    """Make a repository at the new folder `path` with one commit of {path: bytes}, and open it."""
    path.mkdir(parents=True)
    write_files(path, files)
    run(["git", "init", "-q", "--template=", "-b", "master", path], env=SEALED)
    run(["git", "add", "-A", "-f"], cwd=path, env=SEALED)  # a .gitignore is a file as any other
    commit(path, "Start")
    return Repo.open(path)


def commit(path: Path, message: str, *options: str) -> str:
    """Commit all of the work tree at `path` and return the id; `options` are those of git commit."""
    env = SEALED | WHO
    run(["git", "add", "-A"], cwd=path, env=env)
    run(["git", "commit", "-q", "--no-verify", "--allow-empty", *options, "-m", message], cwd=path, env=env)
    return run(["git", "rev-parse", "HEAD"], cwd=path, env=env).stdout.decode().strip()


def apply(path: Path, patch: Path) -> None:
    """Commit a patch as the tree's maintainer would, to the branch that is checked out at `path`."""
    run(["git", "am", "-q", "--committer-date-is-author-date", patch.resolve()], cwd=path, env=SEALED | WHO)
