"""Know where patchbot keeps what it can make again (cache) and what it must remember (state), by the XDG rules.

They are two folders, so that removing them removes every trace of patchbot outside the user's repository.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs

from .errors import PatchbotError, ToolError, UserError

#: System errors about a place that a person named or can repair; all others are patchbot's or the machine's.
MENDABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY),
}


def cache_dir() -> Path:
    """Return the folder for what can be made again: kernels, build trees, results, search answers."""
    return Path(platformdirs.user_cache_dir("patchbot", appauthor=False))


def state_dir() -> Path:
    """Return the folder for logs and for what only patchbot knows."""
    return Path(platformdirs.user_state_dir("patchbot", appauthor=False))


def expanded(text: str) -> Path:
    """Return the path that a person wrote, with `~` expanded if there is such a user."""
    return Path(os.path.expanduser(text))


def refused(error: OSError, what: str = "") -> PatchbotError:
    """Return the error to raise for a system error: a UserError if a person can fix it.

    `what` is the place in the person's words. For the cache, the message says how to move it.
    """
    where = Path(os.fsdecode(error.filename)) if error.filename else None
    hint = ""
    if where and (where.is_relative_to(cache_dir()) or cache_dir().is_relative_to(where)):
        hint = "; this is patchbot's cache, and XDG_CACHE_HOME moves it"
    text = f"{what or where or 'the system'}: {error.strerror or error}{hint}"
    return UserError(text) if where and error.errno in MENDABLE else ToolError(text)
