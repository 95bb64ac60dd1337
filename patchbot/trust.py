"""Decide whether a patchbot.toml that was merely found may name programs, folders, other repositories and people.

A clone, a copy or an unpacked archive can contain one. It counts for what a reader of the output can see, and for the
rest only after `patchbot trust FILE`; that covers the text of the file and the code below the folders that it names,
as they were then.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shlex
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import shapes
from .config import sift
from .errors import UserError
from .paths import state_dir
from .shapes import ShapeError

#: A folder of checks or a campaign has fewer files; a kernel tree must not be read at each start.
MOST_FILES = 1000
#: The marks of a folder under version control.
REPOSITORIES = (".git", ".hg", ".jj", ".svn")
WRITABLE = "everybody can write it"


@dataclass(frozen=True)
class Standing:
    """Whether a found file is trusted; `why` says why it is not."""

    trusted: bool
    why: str = ""


def judge(file: Path, data: Mapping[str, Any]) -> Standing:
    """Say whether a found file, given with its content, counts for everything that it names."""
    real = file.resolve()
    why = is_foreign(real)
    if where := surroundings(file) or surroundings(real):
        why = why or f"it lies in {where}"
    if not why or not sift(data)[1]:
        return Standing(not why, why)
    known, problem = read_store()
    if problem:
        return Standing(False, problem)
    if str(real) not in known:
        return Standing(False, why)
    try:
        same = known[str(real)] == digest(real, data)
    except (OSError, UserError) as error:
        return Standing(False, str(error))
    if not same:
        return Standing(False, "it, or code that it names, has changed since it was trusted")
    return Standing(True)


def is_foreign(file: Path) -> str:
    """Return why a file may be somebody else's, "" if it is the person's own."""
    found = file.stat()
    if found.st_mode & stat.S_IWOTH:
        return WRITABLE
    # As in git's safe.directory: with sudo the person is the caller.
    own = {0, os.geteuid(), *([int(os.environ["SUDO_UID"])] if os.environ.get("SUDO_UID", "").isdecimal() else [])}
    return "" if found.st_uid in own else f"it belongs to {owner(found.st_uid)}"


def owner(uid: int) -> str:
    """Return a user's name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def surroundings(path: Path) -> str:
    """Return the repository or unpacked kernel around a path, "" if there is none; no git runs for that."""
    here = Path(os.path.abspath(path))
    for folder in (here, *here.parents):
        if any(os.path.lexists(folder / name) for name in REPOSITORIES):
            return f"the repository {folder}"
        if all(os.path.lexists(folder / name) for name in ("HEAD", "objects", "refs")):
            return f"the repository {folder}"
        if all(os.path.lexists(folder / name) for name in ("MAINTAINERS", "Kconfig", "Makefile")):
            return f"the kernel tree {folder}"
    return ""


def digest(file: Path, data: Mapping[str, Any]) -> str:
    """Return the digest of a file's content, and of the code below what it names if a repository can change that."""
    said = hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
    for path in code(file, data):
        content = path.read_bytes()
        said.update(f"\0{path}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
    return said.hexdigest()


def code(file: Path, data: Mapping[str, Any]) -> list[Path]:
    """Return the files in any repository that a configuration names, or that are below folders that it names.

    Raises UserError if these are too many to be a folder of checks or a campaign.
    """
    found: dict[Path, None] = {}
    for key, value in sift(data)[1].items():
        if not key.startswith(("checks.", "campaigns.")):
            continue
        for word in words(value):
            path = file.parent / os.path.expanduser(word)
            if word and (surroundings(path) or surroundings(path.resolve())):
                for one in below(path):
                    found[one] = None
                    if len(found) > MOST_FILES:
                        raise UserError(
                            f"{file}: {key} names {path}, which has more than {MOST_FILES} files;"
                            " name a folder that holds nothing else"
                        )
    return sorted(found)


def words(value: Any) -> Iterator[str]:
    """Yield the strings in a value, and the words of each, as a program may be named with its arguments."""
    if isinstance(value, str):
        yield value
        try:
            yield from shlex.split(value)
        except ValueError:
            pass
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from words(part)


def below(path: Path) -> Iterator[Path]:
    """Yield a file, or the files below a folder; links are followed, as an import does."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for folder, _, names in os.walk(path, followlinks=True):
            yield from (Path(folder, name) for name in names if Path(folder, name).is_file())


def store() -> Path:
    """Return the file that lists what is trusted."""
    folder = state_dir()
    if not folder.is_absolute():  # a repository could contain it
        raise UserError(f"XDG_STATE_HOME must be an absolute path, not {os.environ.get('XDG_STATE_HOME')}")
    return folder / "trust.json"


def read_store() -> tuple[dict[str, str], str]:
    """Return {real path: digest} of the trusted files, and what is wrong with the list, "" if nothing is."""
    path = store()
    try:
        return dict(shapes.read(path.read_bytes(), shapes.Sums).files), ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ShapeError):
        return {}, f"{path} is damaged, so nothing is trusted; `patchbot trust` writes it anew"


def remember(file: Path, value: str | None) -> None:
    """Store the digest of a trusted file, or drop it; the list is never half written."""
    path = store()
    known = {**read_store()[0], str(file): value}
    document = {"schema": 1, "files": {name: text for name, text in sorted(known.items()) if text is not None}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as out:
        json.dump(document, out, indent=1)
    os.replace(out.name, path)
