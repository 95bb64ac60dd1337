"""Keep a regeneration that stopped at a conflict: what was asked for, the files to resolve, the resolutions so far.

All of it is in patchbot's own folder. Nothing in the repository has moved, so --abort has nothing to undo there; and
since --continue repeats the whole regeneration, a conflict is recognised by its three sides.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import shapes
from ..errors import UserError
from ..git.merge import unresolved
from ..shapes import Sha, ShapeError, TreePath, plain
from ..signals import whole
from .restack import Conflict, Resolutions

MESSAGE = "COMMIT_MESSAGE.txt"


@dataclass(frozen=True)
class Asked:
    """What a person asked for; `tip` and `record` are the branch and the record at that time."""

    onto: Sha
    tip: Sha
    record: Sha
    discard: bool
    chosen: Mapping[str, str]
    threshold: float


@dataclass(frozen=True)
class Waiting:
    """A file to resolve, below the folder of conflicts, and its conflict."""

    file: TreePath
    key: str
    subject: str
    digest: str


@dataclass(frozen=True)
class Pending:
    """A regeneration that waits for a person, as in state.json of `folder`."""

    asked: Asked
    rows: tuple[Waiting, ...]
    folder: Path = Path()

    @property
    def files(self) -> list[Path]:
        """Return the files to resolve."""
        return [self.folder / "files" / row.file for row in self.rows]

    def resolutions(self) -> Resolutions:
        """Return every resolution so far; raise UserError if a file still holds markers."""
        done: dict[str, bytes | None] = {}
        for resolved in sorted((self.folder / "resolved").glob("*")):
            done[resolved.name] = resolved.read_bytes()
        for gone in sorted((self.folder / "deleted").glob("*")):
            done[gone.name] = None
        left = []
        for row, file in zip(self.rows, self.files, strict=True):
            data = file.read_bytes() if file.exists() else None
            if data is not None and unresolved(data):
                left.append(file)
            done[row.digest] = data
        if left:
            listing = "".join(f"\n  {file}" for file in left)
            raise UserError(
                f"these files still hold conflict markers:{listing}\nedit them,"
                f" then: patchbot regenerate {self.folder.name} --continue"
            )
        return done


def folder(work: Path, campaign: str) -> Path:
    """Return where a campaign's stopped regeneration is kept."""
    return work / "regenerate" / campaign


def read_pending(work: Path, campaign: str) -> Pending | None:
    """Return the regeneration that waits for a person, None if there is none."""
    where = folder(work, campaign)
    try:
        return replace(shapes.read((where / "state.json").read_bytes(), Pending), folder=where)
    except FileNotFoundError:
        return None
    except (OSError, ShapeError) as error:
        raise UserError(
            f"{where}/state.json cannot be read ({error}); give it up with: patchbot regenerate {campaign} --abort"
        ) from error


def keep(work: Path, campaign: str, asked: Asked, found: Sequence[Conflict], done: Resolutions) -> Pending:
    """Store a stopped regeneration: one file for each conflict, and the resolutions so far."""
    where = folder(work, campaign)
    making = beside(where, "new")
    shutil.rmtree(making, ignore_errors=True)
    (making / "files").mkdir(parents=True)
    rows = []
    for conflict in found:
        name = place(conflict)
        file = making / "files" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(conflict.data)
        rows.append(Waiting(name, conflict.key, conflict.subject, conflict.digest))
    for digest, data in done.items():
        kept = making / ("deleted" if data is None else "resolved") / digest
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(data or b"")
    (making / "state.json").write_text(json.dumps({"asked": plain(asked), "rows": plain(rows)}, indent=1))
    with whole():
        if where.exists():
            where.rename(beside(where, "old"))
        making.rename(where)
    shutil.rmtree(beside(where, "old"), ignore_errors=True)
    return Pending(asked, tuple(rows), where)


def place(conflict: Conflict) -> str:
    """Return the file of a conflict below the folder of conflicts; never a path that leads out of it."""
    key = re.sub(r"[^A-Za-z0-9_.-]+", "-", conflict.key).strip(".-") or "patch"
    if not conflict.path:
        return f"{key}/{MESSAGE}"
    parts = conflict.path.split("/")
    if any(part in ("", ".", "..") or not part.isprintable() for part in parts):
        return f"{key}/{hashlib.sha256(conflict.path.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return f"{key}/{conflict.path}"


def abort(work: Path, campaign: str) -> bool:
    """Give up a stopped regeneration; return whether there was one."""
    where = folder(work, campaign)
    there = where.exists()
    if there and not where.is_dir():
        where.unlink()
    elif there:
        # Half a folder would look as if files had been resolved by deleting them.
        where.rename(beside(where, "gone"))
        shutil.rmtree(beside(where, "gone"), ignore_errors=True)
    return there


def recover(work: Path, campaign: str) -> None:
    """Repair what a killed run left; the caller must have the draft alone."""
    where = folder(work, campaign)
    if beside(where, "old").exists() and not where.exists():
        beside(where, "old").rename(where)
    for state in ("old", "new", "gone"):
        shutil.rmtree(beside(where, state), ignore_errors=True)


def beside(where: Path, state: str) -> Path:
    """Return the folder next to one that is being made, or was removed."""
    return where.with_name(f".{where.name}.{state}")
