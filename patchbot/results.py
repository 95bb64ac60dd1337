"""Results of checks in one SQLite file, keyed by what the check read.

Why a database: two patchbots may check at the same time, and Ctrl-C must not cost what is already known. The key
decides alone whether a result still holds, so nothing here ever expires because a commit got another id.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from . import __version__
from .errors import ToolError
from .model import Finding, Result, Status

T = TypeVar("T")

SCHEMA = """
create table if not exists results (
    key text primary key, created real not null, tool text not null, result text not null);
create table if not exists documents (
    name text primary key, created real not null, tool text not null, document text not null);
"""


class Store:
    """The results that patchbot knows; use one object from one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def at(cls, path: Path) -> Store:
        """Open the store in the file `path`, make it if it is not there; raise ToolError if it is unusable."""
        connection = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            connection.execute("pragma journal_mode=wal").fetchone()
            connection.execute("pragma synchronous=normal")
            connection.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise unusable(path, error) from error
        return cls(path, connection)

    def get(self, key: str) -> Result | None:
        """Return the result stored under `key`, None if there is none."""
        row = self._guard(
            lambda: self._connection.execute("select result from results where key = ?", (key,)).fetchone()
        )
        return None if row is None else result_from(self._decode(row[0]))

    def put(self, key: str, result: Result) -> None:
        """Store a result under `key`; the last one wins."""
        row = (key, time.time(), __version__, json.dumps(result_to(result)))
        self._guard(lambda: self._connection.execute("insert or replace into results values (?, ?, ?, ?)", row))

    def remember(self, name: str, document: dict[str, Any]) -> None:
        """Store a whole document (the last report of a campaign) under a name."""
        row = (name, time.time(), __version__, json.dumps(document))
        self._guard(lambda: self._connection.execute("insert or replace into documents values (?, ?, ?, ?)", row))

    def recall(self, name: str) -> dict[str, Any] | None:
        """Return the document stored under a name, None if there is none."""
        row = self._guard(
            lambda: self._connection.execute("select document from documents where name = ?", (name,)).fetchone()
        )
        return None if row is None else self._decode(row[0])

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _guard(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    def _decode(self, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise unusable(self.path, error) from error
        if not isinstance(value, dict):
            raise unusable(self.path, ValueError("a row holds no object"))
        return value


def unusable(path: Path, error: Exception) -> ToolError:
    """Return the error for a store that cannot be read or written."""
    return ToolError(f"the store of results {path} cannot be used: {error}; it only saves time, so it may be deleted")


def result_key(check: str, source: str, part: str) -> str:
    """Return the key of a result: patchbot's version, the check's name, the hash of its source, what it read."""
    return hashlib.sha256(json.dumps([__version__, check, source, part]).encode()).hexdigest()


def new_findings(before: Iterable[Finding], after: Iterable[Finding]) -> list[Finding]:
    """Return the findings of `after` that `before` lacks, as sets: a finding replaced by another one is new.

    Line numbers do not count (Finding does not compare them), so code that only moved is not new.
    """
    known = set(before)
    return sorted({f for f in after if f not in known}, key=lambda f: (f.file or "", f.line or 0, f.type, f.message))


def result_to(result: Result) -> dict[str, Any]:
    """Return a result as JSON-able data; `cached` is not part of it."""
    return {
        "check": result.check,
        "patch": result.patch,
        "commit": result.commit,
        "status": result.status.value,
        "reason": result.reason,
        "findings": [finding_to(f) for f in result.findings],
        "seconds": result.seconds,
        "log": result.log,
        "reproduce": result.reproduce,
    }


def finding_to(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON-able data, with the keys of `check --json`."""
    return {
        "status": finding.status.value,
        "message": finding.message,
        "file": finding.file,
        "line": finding.line,
        "type": finding.type,
    }


def result_from(data: dict[str, Any]) -> Result:
    """Return the result that `result_to` made `data` from."""
    found = tuple(Finding(Status(f["status"]), f["message"], f["file"], f["line"], f["type"]) for f in data["findings"])
    return Result(
        data["check"],
        data["patch"],
        data["commit"],
        Status(data["status"]),
        data["reason"],
        found,
        seconds=data["seconds"],
        log=data["log"],
        reproduce=data["reproduce"],
    )
