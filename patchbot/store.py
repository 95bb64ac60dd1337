"""Keep what can be made again, by key, in SQLite and JSON files, with one policy for errors.

Anything damaged or of another shape is set aside, with one line that says so, and made anew. If nothing can be
written, the message names the folder. A store that another process holds for long is named, not waited for forever.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from . import __version__, temporary
from .errors import UserError
from .shapes import ShapeError, plain, read
from .terminal import complain

T = TypeVar("T")

SCHEMA = "create table if not exists kept (key text primary key, value text not null, created real, tool text)"
COLUMNS = ["key", "value", "created", "tool"]
HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
#: The file may be sound, but the system does not let us use it.
DENIED = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
)


class Store:
    """JSON by key in one file; use one object from one thread at a time."""

    def __init__(self, path: Path, patience: float = 30) -> None:
        """Open the file; make it if it is missing or cannot be used; raise UserError if that is impossible."""
        self.path = path
        self.patience = patience
        self._connection: sqlite3.Connection | None = None
        self._do("select 1")

    def get(self, key: str, kind: type[T]) -> T | None:
        """Return the value of that type under a key, None if there is none."""
        row = self._do("select value from kept where key = ?", key)
        if row is None:
            return None
        try:
            return read(row[0], kind)
        except ShapeError as error:
            self._do("delete from kept where key = ?", key)
            complain(f"{self.path}: the entry {key[:80]} cannot be read and is dropped: {error}")
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a value under a key in place of an earlier one."""
        row = (key, json.dumps(plain(value)), time.time(), __version__)
        self._do("insert or replace into kept values (?, ?, ?, ?)", *row)

    def trim(self, most: int) -> None:
        """Drop the oldest entries, but for `most`."""
        self._do("delete from kept where rowid <= (select rowid from kept order by rowid desc limit 1 offset ?)", most)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the store alone, to read and write in one go."""
        self._do("begin immediate")
        try:
            yield
        except BaseException:
            with contextlib.suppress(UserError):
                self._do("rollback")
            raise
        self._do("commit")

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        """Return the open file."""
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise sqlite3.DatabaseError("it is a folder")
            connection = sqlite3.connect(
                self.path, timeout=self.patience, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            connection.execute("pragma journal_mode=wal").fetchone()
            connection.execute("pragma synchronous=normal")
            connection.execute(SCHEMA)
            if [row[1] for row in connection.execute("pragma table_info(kept)")] != COLUMNS:
                raise sqlite3.DatabaseError("it has another table")
        return self._connection

    def _do(self, statement: str, *values: Any) -> Any:
        """Return the first row of a statement's result; a damaged file is set aside first."""
        for attempt in (1, 2):
            try:
                return self._open().execute(statement, values).fetchone()
            except OSError as error:
                raise unusable(self.path.parent, error) from error
            except sqlite3.Error as error:
                self.close()
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                if code in HELD:
                    raise UserError(f"another process holds {self.path}; wait until it ends ({error})") from error
                if code in DENIED or attempt == 2:
                    raise unusable(self.path.parent, error) from error
                set_aside(self.path, error)
        raise AssertionError


class Answers:
    """What was made of content alone, in one file, by all that it was made of; without the file it is made again.

    Nothing in it can be out of date: another content is another key. At most `most` are kept, the oldest go.
    """

    def __init__(self, path: Path, most: int = 1000) -> None:
        self.path = path
        self.most = most
        self._lock = threading.Lock()
        self._store: Store | None = None

    def once(self, kind: type[T], make: Callable[[], T], *parts: Any) -> T:
        """Return what `make` makes of `parts`, which JSON can hold: from the file, or made and kept there."""
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        with contextlib.suppress(UserError), self._lock:
            if (found := self._open().get(key, kind)) is not None:
                return found
        made = plain(make())
        with contextlib.suppress(UserError), self._lock:
            self._open().put(key, made)
            self._open().trim(self.most)
        return read(json.dumps(made), kind)

    def each(
        self, kind: type[dict[str, T]], make: Callable[[str], T], names: Iterable[str], *parts: Any
    ) -> dict[str, T]:
        """Return {name: what `make` makes of it and of `parts`}, a `kind`; the file has the names of the last time."""
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        known: dict[str, T] = {}
        with contextlib.suppress(UserError), self._lock:
            known = self._open().get(key, kind) or {}
        found = {name: known[name] if name in known else make(name) for name in names}
        if found.keys() != known.keys():
            with contextlib.suppress(UserError), self._lock:
                self._open().put(key, found)
                self._open().trim(self.most)
        return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._store:
                self._store.close()

    def _open(self) -> Store:
        """Return the open file."""
        self._store = self._store or Store(self.path)
        return self._store


def unusable(folder: Path, error: Exception) -> UserError:
    """Return the error for a folder in which patchbot cannot keep its results."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UserError(f"patchbot cannot keep its results in {folder}: {why}; XDG_CACHE_HOME moves it")


def set_aside(path: Path, why: object) -> None:
    """Rename a file or folder that cannot be used, and say so; one that was set aside before is replaced."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        shutil.rmtree(aside) if aside.is_dir() and not aside.is_symlink() else aside.unlink(missing_ok=True)
        path.rename(aside)
        for end in ("-wal", "-shm", "-journal"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    except FileNotFoundError:
        return  # another patchbot was faster
    except OSError as error:
        raise unusable(path.parent, error) from error
    complain(f"{path} cannot be used ({why}); it is set aside as {aside.name} and made anew")


def read_json(path: Path, kind: type[T]) -> T | None:
    """Return the content of a JSON file, None if it does not exist; one of another type is set aside."""
    try:
        return read(path.read_bytes(), kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ShapeError) as error:
        set_aside(path, error.strerror if isinstance(error, OSError) else error)
        return None


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file, whole or not at all; raise UserError if that is impossible."""
    try:
        temporary.replace(path, json.dumps(plain(data)).encode())
    except OSError as error:
        raise unusable(path.parent, error) from error
