"""Replace a folder of mails as a whole or not at all, and never at the cost of a person's files.

A list in patchbot's own state says which files it wrote to a folder and what was in them: a mail that a person
corrected by hand is recognised and not overwritten. The folder holds only mails, since programs that take a folder
send every file in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import shapes, temporary
from ..errors import UserError
from ..paths import cache_dir, refused, state_dir
from ..progress import note
from ..shapes import ShapeError
from ..signals import whole
from ..terminal import some
from ..turns import Turn


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` hold exactly `files` ({name: bytes}).

    Raises UserError if the folder holds anything that patchbot did not write, ToolError if it cannot be written; then
    the folder is unchanged.
    """
    where = folder.resolve()
    if where == Path.cwd().resolve() or where.parent == where:
        raise UserError(f"{folder}: mails need a separate folder; name one with -o")
    for name in files:
        if name in ("", ".", "..") or name != os.path.basename(name) or not name.isprintable():
            raise UserError(f"{name!r} is not a file name for a mail")
    with Turn(cache_dir() / f"mails-{digest(os.fsencode(where))[:16]}.lock", f"the mails in {folder}", note):
        replace_folder(where, folder, files)


def replace_folder(where: Path, folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the folder, which this run has alone, by the files."""
    old = where.with_name(f".{where.name}.patchbot-old")
    try:
        if old.exists() and not where.exists():
            old.rename(where)  # an earlier run was killed between its two renames
        refuse_foreign(where, folder)
        sums = {name: [digest(data)] for name, data in sorted(files.items())}
        if where.exists() and listed_files(where) == sums and {path.name for path in where.iterdir()} == sums.keys():
            return
        with temporary.beside(where) as place:
            new = place / "mails"
            new.mkdir()
            for name, data in files.items():
                (new / name).write_bytes(data)
            shutil.rmtree(old, ignore_errors=True)
            with whole():
                # The old and the new files are both listed, whenever this is killed.
                was = listed_files(where)
                keep_list(where, {name: [*was.get(name, ()), *sums.get(name, ())] for name in {**was, **sums}})
                if where.exists():
                    where.rename(old)
                try:
                    new.rename(where)
                except OSError:
                    if old.exists():
                        old.rename(where)
                    raise
                keep_list(where, sums)
    except OSError as error:
        raise refused(error, f"cannot write the mails to {folder}, which is unchanged") from error
    finally:
        if where.exists():
            shutil.rmtree(old, ignore_errors=True)


def refuse_foreign(where: Path, shown: Path) -> None:
    """Raise UserError unless `where` is a folder of files that patchbot wrote and nobody changed."""
    if not where.exists():
        return
    if not where.is_dir():
        raise UserError(f"{shown} is not a folder")
    known = listed_files(where)
    foreign = sorted(p.name for p in where.iterdir() if p.name not in known or not p.is_file() or p.is_symlink())
    if foreign:
        names = ", ".join(some(foreign, 3))
        raise UserError(f"{shown} holds files that patchbot did not write ({names}); name another folder with -o")
    there = ((name, where / name, sums) for name, sums in sorted(known.items()))
    edited = [name for name, file, sums in there if file.exists() and digest(file.read_bytes()) not in sums]
    if edited:
        names = ", ".join(some(edited, 3))
        raise UserError(
            f"{shown}: {names} was changed after patchbot wrote it; move the folder away to keep it, or delete it"
        )


def list_of(where: Path) -> Path:
    """Return the file that lists what patchbot wrote to a folder."""
    return state_dir() / "mails" / f"{digest(os.fsencode(where))[:32]}.json"


def keep_list(where: Path, sums: Mapping[str, Sequence[str]]) -> None:
    """Store {name: digests} of the files that patchbot may have written to a folder."""
    with temporary.beside(list_of(where)) as place:
        (place / "new").write_text(json.dumps({"mails": sums}, indent=1) + "\n")
        (place / "new").replace(list_of(where))


def listed_files(where: Path) -> dict[str, Sequence[str]]:
    """Return {name: digests} of what patchbot wrote to a folder, {} if there is no readable list."""
    try:
        return dict(shapes.read(list_of(where).read_bytes(), shapes.Mails).mails)
    except (OSError, ShapeError):
        return {}


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()
