"""Make a git repository out of tests/linux, the tiny kernel, with the same commit id on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from patchbot.git import Repo
from patchbot.run import run

TINY = Path(__file__).parent / "linux"
DATE = "1767225600 +0000"
PERSON = ("A Maintainer", "maintainer@example.org")


def build(path: Path, changes: Mapping[str, bytes | None] | None = None) -> Repo:
    """Commit the tiny kernel to a new repository with a work tree at `path` and open it.

    `changes` are laid over it first: {path: whole new bytes, or None to leave the file out}.
    """
    shutil.copytree(TINY, path)
    for name, data in (changes or {}).items():
        where = path / name
        if data is None:
            where.unlink()
        else:
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(data)
    run(["git", "init", "-q", "--template=", "-b", "master", path])
    commit(path, "Linux 7.99")
    return Repo.open(path)


def commit(path: Path, message: str, changes: Mapping[str, bytes] | None = None, *, amend: bool = False) -> str:
    """Commit everything in the work tree, after writing `changes`, as a fixed person at a fixed time; return the id."""
    for name, data in (changes or {}).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    name, email = PERSON
    env = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email), ("DATE", DATE))
    }
    run(["git", "add", "-A"], cwd=path, env=env)
    extra = ["--amend"] if amend else []
    run(["git", "commit", "-q", "--no-verify", "--allow-empty", *extra, "-m", message], cwd=path, env=env)
    return run(["git", "rev-parse", "HEAD"], cwd=path).stdout.decode().strip()
