"""Find the person's editor by git's rules."""

from __future__ import annotations

import os

from ..errors import UserError
from ..paths import cache_dir
from ..run import run
from .plumbing import make_bare

#: What git looks at besides core.editor.
NAMES = ("GIT_EDITOR", "VISUAL", "EDITOR", "TERM")


def editor() -> str:
    """Return the shell words that start the editor: GIT_EDITOR, core.editor, VISUAL, EDITOR, else git's default.

    Only the person's own configuration counts, not that of the kernel repository, which must start nothing.
    """
    env = {"GIT_DIR": str(make_bare(cache_dir() / "reader-sha1.git", "sha1"))}
    env |= {name: os.environ[name] for name in NAMES if name in os.environ}
    done = run(["git", "var", "GIT_EDITOR"], env=env, check=False)
    if done.returncode:
        raise UserError(f"git finds no editor; set GIT_EDITOR\n  {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "surrogateescape").strip()
