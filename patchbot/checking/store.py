"""Results of checks in one SQLite file, keyed by what the check read.

Why a database: two patchbots may check at the same time, and Ctrl-C must not cost what is already known. The key
decides alone whether a result still holds, so nothing here ever expires because a commit got another id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..model import Finding, Result, Status
from ..store import Store

STATUS = tuple(status.value for status in Status)
TEXT = (str, None)
FINDING = {"status": STATUS, "message": str, "file": TEXT, "line": (int, None), "type": str}
RESULT = {
    "check": str,
    "patch": TEXT,
    "commit": TEXT,
    "status": STATUS,
    "reason": str,
    "findings": [FINDING],
    "seconds": float,
    "log": TEXT,
    "reproduce": str,
}
REPORT = {
    "campaign": str,
    "base": str,
    "tip": str,
    "worst": STATUS,
    "results": [{**RESULT, "cached": bool}],
    "counts": {str: int},
    "seconds": float,
}


class Results:
    """The results that patchbot knows; use one object from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the store in the file `path`; raise UserError if that cannot be."""
        self._store = Store(path)

    def get(self, key: str) -> Result | None:
        """Return the result kept under `key`, None if there is none."""
        return self._store.get(f"result {key}", RESULT, result_from)

    def put(self, key: str, result: Result) -> None:
        """Keep a result under `key`; the last one wins."""
        self._store.put(f"result {key}", result_to(result))

    def remember(self, name: str, document: dict[str, Any]) -> None:
        """Keep the report of a campaign's tip under a name."""
        self._store.put(name, document)

    def revise(self, name: str, change: Callable[[dict[str, Any] | None], dict[str, Any]]) -> None:
        """Store what `change` makes of the document of that name, None if there is none; no other run comes between."""
        with self._store.alone():
            self.remember(name, change(self.recall(name)))

    def recall(self, name: str) -> dict[str, Any] | None:
        """Return the report kept under a name, None if there is none."""
        return self._store.get(name, REPORT, dict)

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def result_key(check: str, source: str, part: str) -> str:
    """Return the key of a result: the check's name and identity, what it read."""
    return hashlib.sha256(json.dumps([check, source, part]).encode()).hexdigest()


def result_to(result: Result) -> dict[str, Any]:
    """Return a result as JSON-able data; `cached` is not part of it."""
    row = {**asdict(result), "status": result.status.value, "findings": [finding_to(f) for f in result.findings]}
    del row["cached"]
    return row


def finding_to(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON-able data, with the keys of `check --json`."""
    return {**asdict(finding), "status": finding.status.value}


def result_from(data: dict[str, Any]) -> Result:
    """Return the result that `result_to` made `data` from."""
    found = tuple(Finding(Status(f["status"]), f["message"], f["file"], f["line"], f["type"]) for f in data["findings"])
    known = {name: data[name] for name in RESULT}
    return Result(**{**known, "status": Status(data["status"]), "findings": found})
