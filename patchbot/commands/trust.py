"""Let a patchbot.toml in a repository name programs, checks."""

from __future__ import annotations

import argparse
import json

from .. import trust
from ..bundle import bundled
from ..config import load, sift
from ..errors import UserError
from ..paths import expanded
from ..places import read_toml
from .session import Session

EXAMPLES = (
    "patchbot trust patchbot.toml",
    "patchbot trust --list",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="the patchbot.toml to trust")
    parser.add_argument("--list", action="store_true", dest="all", help="list the files that you trust")
    parser.add_argument("--revoke", action="store_true", help="stop trusting FILE")


def execute(session: Session, *, file: str | None, all: bool, revoke: bool) -> int:
    """Run the command."""
    if all or not file:
        if file or not all:
            raise UserError("name one patchbot.toml, or ask for --list")
        return show_all(session)
    where = (session.cwd / expanded(file)).resolve()
    if revoke:
        trust.remember(where, None)
        if not session.emit({"file": str(where), "trusted": False}):
            session.show(f"{where} is not trusted")
        return 0
    data = read_toml(where)
    load(where, bundled("patchbot.toml"), data)
    foreign = trust.is_foreign(where)
    if foreign == trust.WRITABLE:
        raise UserError(f"{where}: {foreign}, so it is not trusted; first: chmod o-w {where}")
    if foreign:
        session.say(f"{where}: {foreign}, who can change it; patchbot notices that and asks again")
    names, files = sift(data)[1], trust.code(where, data)
    trust.remember(where, trust.digest(where, data))
    if not session.emit({"file": str(where), "trusted": True, "names": names, "files": files}):
        session.show(*(f"{k} = {json.dumps(v, ensure_ascii=False, default=str)}" for k, v in names.items()))
        session.show(*(f"code: {path}" for path in files))
        what = "it or this code changes" if files else "it changes"
        session.show(f"{where} is trusted until {what}")
    return 0


def show_all(session: Session) -> int:
    """Print the trusted files."""
    known, problem = trust.read_store()
    if problem:
        raise UserError(problem)
    if not session.emit({"files": list(known)}):
        session.show(*known)
    return 0
