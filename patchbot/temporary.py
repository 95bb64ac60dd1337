"""Make folders that are removed when they are no longer needed, even after the run was killed.

Each is locked as long as its process lives. Whoever can lock one knows that nobody has it; process ids, which are
reused, do not count.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError
from .paths import cache_dir
from .signals import leavers

#: How often to try to remove a folder that fills again, 0.02 s apart.
TRIES = 100
_mine: dict[Path, int] = {}


@contextmanager
def folder(purpose: str) -> Iterator[Path]:
    """Yield a new folder below patchbot's cache, removed afterwards; raise UserError if that is impossible."""
    root = cache_dir() / "tmp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        place = make(root, f"{purpose}-")
    except OSError as error:
        raise UserError(f"{root} cannot be written: {error.strerror} (XDG_CACHE_HOME moves it)") from error
    try:
        yield place
    finally:
        drop(place)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a new folder next to a path, for what will be moved to it; those of killed runs are removed."""
    name = f".{path.name[:100]}.patchbot-new-"
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f"{glob.escape(name)}*")
    place = make(path.parent, name)
    try:
        yield place
    finally:
        drop(place)


def make(where: Path, prefix: str) -> Path:
    """Make a folder in `where` that belongs to this process until `drop`."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
        try:
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another patchbot found it before the lock
            continue
        if lock(handle) and place.exists():
            _mine[place] = handle
            return place
        os.close(handle)


def drop(place: Path) -> None:
    """Remove a folder of `make` and everything in it, even what a program that is being ended still writes."""
    for _ in range(TRIES):
        shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            break
        time.sleep(0.02)
    handle = _mine.pop(place, None)
    if handle is not None:
        os.close(handle)


def clear() -> None:
    """Remove every folder that this process made and still has."""
    for place in list(_mine):
        drop(place)


leavers.append(clear)


def sweep(where: Path | None = None, pattern: str = "*") -> None:
    """Remove the folders of runs that were killed."""
    for place in (where or cache_dir() / "tmp").glob(pattern):
        try:
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        if lock(handle):
            shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


def lock(handle: int) -> bool:
    """Lock an open file or folder; say whether nobody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def replace(path: Path, data: bytes) -> None:
    """Write one of patchbot's own files, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder("file") as place:
        (place / "new").write_bytes(data)
        os.replace(place / "new", path)


def forget() -> None:
    """Forget the folders of the parent after a fork."""
    _mine.clear()


os.register_at_fork(after_in_child=forget)
