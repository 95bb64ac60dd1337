"""Write an HTML page from the recorded results."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from .. import temporary
from ..checking.page import page
from ..errors import UserError
from ..git.diffs import commit_text
from ..paths import refused
from .session import Session
from .subject import add_tree, report_of, select

EXAMPLES = (
    "patchbot report --html page.html",
    "patchbot report --tree net-next --html net-next.html",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "what goes to this tree, from its own branch")
    parser.add_argument("--html", required=True, metavar="FILE", help="the file to write (required)")


def execute(session: Session, *, tree: str | None, html: str) -> int:
    """Run the command."""
    series = select(session, session.args.campaign, tree)
    name = session.campaign_config.name
    report = report_of(session, name, series.tip)
    if report is None:
        session.say("note: no check has run on this tip yet; the page shows only the patches")
        report = {"campaign": name, "base": series.base, "tip": series.tip}
    kernel = session.tree(series.base).kernel()
    told = zip(series.commits, series.known, strict=True)
    nothing = {"id": "", "files": (), "owners": (), "target": ""}
    rows = [
        {**nothing, **(vars(known) if known else {}), "commit": commit.sha, "subject": commit.subject}
        for commit, known in told
    ]
    diffs = {commit.sha: commit_text(session.scratch, commit.sha) for commit in series.commits}
    text = page(report, rows, asdict(kernel), diffs)
    target = session.cwd / html
    write(target, text)
    if not session.emit({"file": str(target), "recorded": bool(report.get("results"))}):
        session.show(f"wrote {target}")
    return 0


def is_page(file: Path) -> bool:
    """Say whether a file is empty or begins as our pages do: no other is replaced."""
    try:
        with file.open("rb") as stream:
            start = stream.read(200).lstrip().lower()
    except OSError as error:
        raise refused(error, f"cannot read {file}") from error
    return not start or start.startswith(b"<!doctype html")


def write(target: Path, text: str) -> None:
    """Write a file whole or not at all."""
    if not target.parent.is_dir():
        raise UserError(f"{target.parent}: no such directory")
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a regular file, and the page would replace it")
    if target.exists() and not is_page(target):
        raise UserError(f"{target} exists and is not a page of patchbot; name another file, or remove it")
    target = target.resolve()  # else a link such as /dev/stdout would become a file
    try:
        with temporary.beside(target) as place:
            (place / "page").write_text(text, encoding="utf-8", errors="backslashreplace")
            (place / "page").chmod(0o644)
            (place / "page").replace(target)
    except OSError as error:
        raise refused(error, f"cannot write {target}") from error
