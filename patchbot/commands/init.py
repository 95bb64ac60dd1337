"""Write a patchbot.toml to start from, or a new campaign."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from ..bundle import bundled
from ..errors import UserError
from ..git.repo import Repo
from ..trust import surroundings
from .session import Session

EXAMPLES = (
    "patchbot init                # for the repository here: in its .git/, where nothing is committed by mistake",
    "patchbot init ~/series       # a folder for more than one repository",
    "patchbot init ~/series --campaign my_rename --words",
)

#: What makes the edits of a campaign.
KINDS = {
    "words": "renames identifiers",
    "cocci": "is a SmPL script",
    "python": "is a function in Python",
    "command": "is a program of your own",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "dir",
        nargs="?",
        metavar="DIR",
        help="the folder to write it to (default: .git/ of the repository here, else the current folder)",
    )
    parser.add_argument(
        "--campaign", metavar="NAME", help="write the folder of a campaign that works, for you to change"
    )
    kinds = parser.add_mutually_exclusive_group()
    for kind, text in KINDS.items():
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=f"its codemod {text}")


def execute(session: Session, *, dir: str | None, kind: str | None) -> int:
    """Run the command."""
    if (campaign := session.args.campaign) is not None:
        return init_campaign(session, campaign, dir, kind)
    if kind:
        raise UserError(f"--{kind} is for --campaign NAME")
    folder = session.cwd / dir if dir else session.cwd
    if not dir:
        with suppress(UserError):  # in a work tree, its git directory
            folder = Repo.open(folder).common_dir.resolve()
    target = folder / "patchbot.toml"
    text = bundled("templates").joinpath("init/patchbot.toml").read_text()
    make_folder(folder)
    if not write_new(target, text):
        raise UserError(f"{target} exists; patchbot does not overwrite it")
    if not session.emit({"file": str(target)}):
        session.show(f"wrote {target}; everything in it is commented out, so the defaults hold until you change a line")
        if surroundings(target):
            session.show(f"once it names programs or folders: patchbot trust {shlex.quote(str(target))}")
    return 0


def init_campaign(session: Session, name: str, dir: str | None, kind: str | None) -> int:
    """Write the folder of a campaign, and a patchbot.toml that names it where there is none."""
    if kind is None:
        raise UserError(f"what makes the edits? --campaign {name} with one of --{', --'.join(KINDS)}")
    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise UserError(f"{name!r} cannot be the name of a campaign: letters, digits and _ can")
    where = session.cwd / dir if dir else session.cwd
    if not dir and (around := surroundings(where)):
        raise UserError(f"{where} lies in {around}; name a folder for it: patchbot init DIR --campaign {name} --{kind}")
    folder, toml = where / name, where / "patchbot.toml"
    if folder.exists():
        raise UserError(f"{folder} exists; patchbot does not overwrite it")
    make_folder(where)
    template = bundled("templates") / "init/campaign"
    for part in ("common", kind):
        shutil.copytree(template / part, folder, dirs_exist_ok=True)
    for script in folder.glob("*.sh"):
        script.chmod(0o755)  # whatever an installer made of it
    line = f'[campaigns.{name}]\npath = "{name}"\n'
    made = write_new(toml, line)
    if not session.emit({"folder": str(folder), "file": str(toml) if made else None}):
        session.show(f"wrote {folder}; it renames old_call() to new_call() until you change it")
        session.show(f"wrote {toml}" if made else f"add to {toml}:\n{line}".rstrip())
        session.show(f"try it: patchbot campaigns --test {name}")
    return 0


def make_folder(folder: Path) -> None:
    """Make a folder that is not there yet, but not those above it: one of these is more often misspelt than meant."""
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise UserError(f"{folder.parent}: no such directory") from error
    except FileExistsError as error:
        raise UserError(f"{folder} is not a folder") from error
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from error


def write_new(file: Path, text: str) -> bool:
    """Write a file, if there is none yet; say whether it was written."""
    try:
        with open(file, "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        return False
    return True
