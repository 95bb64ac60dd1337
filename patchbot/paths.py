"""Where patchbot keeps what it can make again (cache) and what it must remember (state), by the XDG rules.

One place, so that `rm -rf` of two folders removes every trace of patchbot outside of the user's repository.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Return the folder of what can be made again: kernels, build trees, results, search answers."""
    return Path(platformdirs.user_cache_dir("patchbot", appauthor=False))


def state_dir() -> Path:
    """Return the folder of logs and of what only patchbot knows."""
    return Path(platformdirs.user_state_dir("patchbot", appauthor=False))
