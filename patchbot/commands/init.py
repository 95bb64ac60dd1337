"""Write a patchbot.toml to start from, all commented out."""

from __future__ import annotations

import argparse
import shlex
from contextlib import suppress

from ..bundle import bundled
from ..errors import UserError
from ..git.repo import Repo
from ..trust import surroundings
from .session import Session

EXAMPLES = (
    "patchbot init                # for the repository here: in its .git/, where nothing is committed by mistake",
    "patchbot init ~/series       # a folder for more than one repository",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "dir",
        nargs="?",
        metavar="DIR",
        help="the folder to write it to (default: .git/ of the repository here, else the current folder)",
    )


def execute(session: Session, *, dir: str | None) -> int:
    """Run the command."""
    folder = session.cwd / dir if dir else session.cwd
    if not dir:
        with suppress(UserError):  # in a work tree, its git directory
            folder = Repo.open(folder).common_dir.resolve()
    target = folder / "patchbot.toml"
    text = bundled("templates").joinpath("init/patchbot.toml").read_text()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such directory")
    try:
        with open(target, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{target} exists; patchbot does not overwrite it") from None
    if not session.emit({"file": str(target)}):
        session.show(f"wrote {target}; everything in it is commented out, the defaults hold until you change a line")
        if surroundings(target):
            session.show(f"once it names programs or folders: patchbot trust {shlex.quote(str(target))}")
    return 0
