"""Store the results of checks in one SQLite file, keyed by what the check read.

Why a database: two patchbots may check at the same time, and Ctrl-C must not cost what is already known. The key alone
decides whether a result still holds, so nothing here ever expires because a commit got another id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model import Result, Status
from ..shapes import plain
from ..store import Store
from .report import fit_for_json


@dataclass(frozen=True)
class Report:
    """The results of the checks on a campaign's tip, as `check --json` prints them.

    `made` says on which machine, with which compiler and patchbot; more than one if it was not always the same.
    """

    campaign: str
    base: str
    tip: str
    worst: Status
    results: tuple[Result, ...]
    counts: Mapping[str, int]
    seconds: float
    made: tuple[Mapping[str, str], ...] = ()


class Results:
    """The results that patchbot knows; use one object from one thread."""

    def __init__(self, path: Path) -> None:
        """Open the store in the file `path`; raise UserError if that is impossible."""
        self._store = Store(path)

    def get(self, key: str) -> Result | None:
        """Return the result kept under `key`, None if there is none."""
        return self._store.get(f"result {key}", Result)

    def put(self, key: str, result: Result) -> None:
        """Keep a result under `key` in place of an earlier one."""
        self._store.put(f"result {key}", fit_for_json(result))

    def remember(self, name: str, document: dict[str, Any]) -> None:
        """Keep the report of a campaign's tip under a name."""
        self._store.put(name, document)

    def revise(self, name: str, change: Callable[[dict[str, Any] | None], dict[str, Any]]) -> None:
        """Replace the document of a name (None if there is none) by what `change` returns; no other run interferes."""
        with self._store.alone():
            self.remember(name, change(self.recall(name)))

    def recall(self, name: str) -> dict[str, Any] | None:
        """Return the report kept under a name, None if there is none."""
        kept = self._store.get(name, Report)
        return None if kept is None else dict(plain(kept))

    def seconds(self, campaign: str) -> dict[str, dict[str, float]]:
        """Return {check: {patch: how long it took}}, as far as that is known; "" is the series."""
        return self._store.get(f"seconds {campaign}", dict[str, dict[str, float]]) or {}

    def took(self, campaign: str, results: Iterable[Result]) -> None:
        """Remember how long results took, for the next run to say how long it will take."""
        with self._store.alone():
            known = self.seconds(campaign)
            for result in results:
                if not result.cached and result.status is not Status.SKIP:
                    known.setdefault(result.check, {})[result.patch or ""] = result.seconds
            self._store.put(f"seconds {campaign}", known)

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def result_key(check: str, source: str, part: str) -> str:
    """Return the key of a result: the check's name and identity, what it read."""
    return hashlib.sha256(json.dumps([check, source, part]).encode()).hexdigest()
