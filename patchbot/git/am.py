"""Apply mails with git am, in a repository and work tree made for it.

Only the files that the mails touch come into that work tree, so 30 patches on a full kernel take 3 s instead of a
checkout of 90,000 files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..run import Completed
from .formatpatch import portable
from .repo import Scratch

#: git am makes commits, and its scratch repository has no user.name.
ENV = {"GIT_COMMITTER_NAME": "patchbot", "GIT_COMMITTER_EMAIL": "patchbot@localhost"}
#: git am writes the index for each patch: 80 ms for a whole kernel, 15 ms for the files that change.
SPLIT = ("-c", "core.splitIndex=true")


def apply_mails(scratch: Scratch, base: str, mails: Sequence[bytes], folder: Path) -> Completed:
    """Run git am on all mails, starting at `base`, in `folder`; HEAD of `scratch` is then the last commit it made."""
    tree = folder / "tree"
    tree.mkdir()
    files = [folder / f"{number:04}.patch" for number in range(1, len(mails) + 1)]
    for file, mail in zip(files, mails, strict=True):
        file.write_bytes(portable(mail))
    env = {**ENV, "GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(tree)}
    scratch.git("update-ref", "--no-deref", "HEAD", base, env=env)
    scratch.git("read-tree", base, env=env)
    listing = scratch.git("ls-files", "-z", env=env).stdout
    scratch.git(*SPLIT, "update-index", "-z", "--skip-worktree", "--stdin", stdin=listing, env=env)
    # git am itself checks out a file that it needs and that is missing, so no file has to be named here.
    argv = (*SPLIT, "-c", "advice.mergeConflict=false", "am", "--no-3way", *map(str, files))
    return scratch.git(*argv, check=False, env=env, cwd=tree)
