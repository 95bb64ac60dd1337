"""Write an HTML page or JUnit XML from the recorded results."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import temporary
from ..checking.junit import junit as as_junit
from ..checking.page import page
from ..errors import UserError
from ..git.diffs import commit_text
from ..paths import refused
from .session import Session
from .subject import add_tree, recorded_as, report_of, select

EXAMPLES = (
    "patchbot report --html page.html",
    "patchbot report --tree net-next --html net-next.html",
    "patchbot report v7.2..mine --junit results.xml",
)
#: The form of a file: how one begins, and what it is called.
PAGE, XML = (b"<!doctype html", "page"), (b"<testsuites", "JUnit file")
#: Bytes of a log that are read; the page holds its two ends.
LOG = 4_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "what goes to this tree, from its own branch")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--html", metavar="FILE", help="write a page with the table, the diffs, findings and logs")
    form.add_argument("--junit", metavar="FILE", help="write JUnit XML, as build servers read it")


def execute(session: Session, *, tree: str | None, html: str | None, junit: str | None) -> int:
    """Run the command."""
    series = select(session, session.args.campaign, tree)
    name = session.campaign_config.name
    report = report_of(session, name, recorded_as(series))
    if report is None:
        session.say("note: no check has run on this yet" + ("; the page shows only the patches" if html else ""))
        report = {"campaign": name, "base": series.base, "tip": series.tip}
    told = zip(series.commits, series.known, strict=True)
    nothing = {"id": "", "files": (), "owners": (), "target": ""}
    rows = [
        {**nothing, **(vars(known) if known else {}), "commit": commit.sha, "subject": commit.subject}
        for commit, known in told
    ]
    if html:
        kernel = session.tree(series.base).kernel()
        diffs = {commit.sha: commit_text(session.scratch, commit.sha) for commit in series.commits}
        text = page(report, rows, asdict(kernel), diffs, logs_of(report.get("results", ())))
        content, form = text.encode("utf-8", "backslashreplace"), PAGE
    else:
        content, form = as_junit(report, rows), XML
    target = session.cwd / (html or junit or "")
    write(target, content, *form)
    if not session.emit({"file": str(target), "recorded": bool(report.get("results"))}):
        session.show(f"wrote {target}")
    return 0


def logs_of(results: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the logs that results name, as far as they are still there."""
    found = {}
    for log in {r["log"] for r in results if r["log"]}:
        try:
            with open(log, "rb") as file:
                found[log] = file.read(LOG).decode("utf-8", "surrogateescape")
        except OSError:
            continue
    return found


def is_ours(file: Path, start: bytes) -> bool:
    """Say whether a file is empty or begins as ours do: no other is replaced."""
    try:
        with file.open("rb") as stream:
            found = stream.read(200).lstrip().lower()
    except OSError as error:
        raise refused(error, f"cannot read {file}") from error
    return not found or found.startswith(start)


def write(target: Path, content: bytes, start: bytes, what: str) -> None:
    """Write a file whole or not at all."""
    if not target.parent.is_dir():
        raise UserError(f"{target.parent}: no such directory")
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a regular file, and the {what} would replace it")
    if target.exists() and not is_ours(target, start):
        raise UserError(f"{target} exists and is not a {what} of patchbot; name another file, or remove it")
    target = target.resolve()  # else a link such as /dev/stdout would become a file
    try:
        with temporary.beside(target) as place:
            (place / "file").write_bytes(content)
            (place / "file").chmod(0o644)
            (place / "file").replace(target)
    except OSError as error:
        raise refused(error, f"cannot write {target}") from error
