"""Get commits from a person's repository on another machine, into a repository of patchbot's own.

A folder that this machine sees as well is read where it is; nothing is copied, and nothing is written there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..paths import cache_dir
from ..turns import Turn
from .repo import Repo

#: What git fetches from; any other transport (ext::, a helper) would run a program that the name says.
URL = re.compile(r"\A(?:ssh|https|git)://[^\s]+\Z")


def mirrored(remote: str, commits: Sequence[str]) -> Repo:
    """Return a repository that has some commits of `remote`, a folder or a URL; raise UserError if that can't be."""
    if not URL.match(remote):
        if not Path(remote).is_absolute():
            raise UserError(f"{remote!r} is neither an absolute path nor a URL (ssh://, https://, git://)")
        return Repo.open(Path(remote))
    name = hashlib.sha256(remote.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    place = cache_dir() / "mirrors" / f"{name}.git"
    with Turn(cache_dir() / "mirrors" / f"{name}.lock", f"the mirror of {remote}", lambda text: None):
        repo = Repo.create(place)
        lacking = [sha for sha in commits if not repo.has(sha)]
        if lacking:
            # Without a ref for each, the next fetch would start from nothing.
            argv = ("fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--end-of-options", remote)
            env = {"SSH_AUTH_SOCK": os.environ.get("SSH_AUTH_SOCK", ""), "GIT_ALLOW_PROTOCOL": "git:https:ssh"}
            done = repo.git(*argv, *(f"{sha}:refs/mirror/{sha}" for sha in lacking), env=env, check=False)
            if done.returncode:
                said = done.stderr.decode("utf-8", "surrogateescape").strip()
                raise UserError(f"git cannot fetch {lacking[0][:12]} from {remote}: {said}")
    return repo
