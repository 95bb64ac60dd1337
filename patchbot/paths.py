"""Where patchbot keeps what it can make again (cache) and what it must remember (state), by the XDG rules.

One place, so that `rm -rf` of two folders removes every trace of patchbot outside of the user's repository.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import platformdirs

from .errors import PatchbotError, ToolError, UserError

#: What the system says of a place that a person named, or can mend; everything else is patchbot's or the machine's.
MENDABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTEMPTY),
}


def cache_dir() -> Path:
    """Return the folder of what can be made again: kernels, build trees, results, search answers."""
    return Path(platformdirs.user_cache_dir("patchbot", appauthor=False))


def state_dir() -> Path:
    """Return the folder of logs and of what only patchbot knows."""
    return Path(platformdirs.user_state_dir("patchbot", appauthor=False))


def expanded(text: str) -> Path:
    """Return the path that a person wrote; `~` is a home, if there is a person with that name."""
    return Path(os.path.expanduser(text))


def refused(error: OSError, what: str = "") -> PatchbotError:
    """Return what the system refused as the error to raise: a UserError where a person can mend it.

    `what` is the place in the person's words. For the cache, the message says how to have it elsewhere.
    """
    where = Path(os.fsdecode(error.filename)) if error.filename else None
    hint = ""
    if where and (where.is_relative_to(cache_dir()) or cache_dir().is_relative_to(where)):
        hint = "; patchbot keeps there what it can make again, and XDG_CACHE_HOME names another place for it"
    text = f"{what or where or 'the system'}: {error.strerror or error}{hint}"
    return UserError(text) if where and error.errno in MENDABLE else ToolError(text)
