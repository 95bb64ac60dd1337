"""Write the draft series to refs/heads/patchbot/<campaign>."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from typing import Any

from rich.text import Text

from ..draft.produce import Made, produce
from ..draft.record import branch, read_draft, refuse_unsafe, version_of
from ..draft.restack import Conflicts
from ..draft.write import Result, carried, put, workshop
from ..errors import UserError
from ..git.commits import author_of
from ..progress import shown, tick
from ..series.campaign import active_steps
from ..series.generate import posted
from ..series.render import plural
from ..terminal import cell
from .session import Session, alone


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("campaign", nargs="?", metavar="CAMPAIGN")
    parser.add_argument("--dry-run", action="store_true", help="do everything but move the branch")
    parser.add_argument("--with", dest="with_", metavar="STEP,..", help="switch optional steps on")
    parser.add_argument("--without", metavar="STEP,..", help="switch steps off")


@alone
def execute(session: Session, name: str) -> int:
    """Make the series, and the draft of it."""
    started = time.monotonic()
    author = author_of(session.repo, session.config.author)
    result: Result | None = None
    if session.args.verbose:
        say_steps(session)
    with shown(session.err):
        tree = session.tree()
        if not session.args.dry_run:
            check_base(session, tree.commit)
        draft = read_draft(session.repo, name)
        made = produce(tree, session.campaign, session.campaign_config, draft)
        for text in made.notes:
            session.say(f"note: {text}")
        if made.series.patches:
            tick("write", 0, 0)
            given = carried(draft)
            with workshop(session.repo) as scratch:
                try:
                    result = put(session.repo, scratch, made, author, given, dry_run=session.args.dry_run)
                except Conflicts as error:
                    again = f"patchbot regenerate {name} --onto {tree.commit[:12]}"
                    raise UserError(f"{error}\nnothing was written; resolve it with: {again}") from error
    document = describe(session, made, result, time.monotonic() - started)
    if not session.emit(document):
        remarks(session, result)
        show(session, document, result is not None and result.changed)
    return 0


def say_steps(session: Session) -> None:
    """Say what each step does, and which are off."""
    on = active_steps(session.campaign, session.campaign_config)
    for step in session.campaign.steps:
        session.say(f"{'step' if step in on else 'off'}: {step}")


def check_base(session: Session, base: str) -> None:
    """Refuse early what publish would refuse after seconds of work; the tip of the own series is a fine base."""
    if session.repo.ref(branch(session.campaign_config.name)) != base:
        refuse_unsafe(session.repo, session.campaign_config.name)


def describe(session: Session, made: Made, result: Result | None, seconds: float) -> dict[str, Any]:
    """Return the document of `generate --json`."""
    config, series = session.campaign_config, made.series
    rows = result.document.patches if result else ()
    by_id = {p.id: p for p in series.patches}
    tip = result.tip if result and result.commits else series.kernel.base
    stat = result.stat if result else {"patches": 0, "files": 0, "insertions": 0, "deletions": 0}
    return {
        "campaign": config.name,
        "kernel": asdict(series.kernel),
        "ref": branch(config.name),
        "tip": tip,
        "version": version_of(session.repo, config.name, tip),
        "series": [
            {"target": target, "cover": {"subject": session.campaign.title}, "patches": [p.id for p in patches]}
            for target, patches in posted([by_id[row.id] for row in rows], config.target, session.campaign.most)
        ],
        "patches": [asdict(row) | {"sites": len(row.sites)} for row in rows],
        "extra": [asdict(row) for row in result.document.extra or ()] if result else [],
        "counts": dict(stat),
        "remarks": list(made.facts.remarks),
        "kept_edits": result.composed.handmade.rows() if result else [],
        "seconds": round(seconds, 2),
    }


def remarks(session: Session, result: Result | None) -> None:
    """Say which edits were put back, and what became of the others."""
    if result is None:
        return
    for text in result.composed.remarks:
        session.say(f"note: {text}")
    for line in edit_lines(result.composed.handmade.rows()):
        session.say(f"kept: {line}")


def edit_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return edits as one line each."""
    words = {
        "message": "reworded",
        "code": "code changed by hand",
        "author": "another author",
        "extra": "a commit by hand",
        "dropped": "dropped by hand",
        "order": "in another order than the generated one",
    }
    lines = []
    for row in rows:
        about = f" ({row['what']})" if row["what"] and row["kind"] != "order" else ""
        lines.append(f"{row['patch'] or 'the patches'}: {words[row['kind']]}{about}")
    return lines


def show(session: Session, document: dict[str, Any], changed: bool) -> None:
    """Print the series as a table, tree by tree."""
    rows = {p["id"]: p for p in document["patches"]}
    if not rows:
        session.show("every site of this tree is converted already: nothing to do, nothing was written")
        return
    table: list[tuple[str | Text, ...]] = []
    numbers = count(1)
    for series in document["series"]:
        table.append(("", "", "", "", cell(f"[{series['target']}]", "bold")))
        for patch in (rows[key] for key in series["patches"]):
            sites, files = str(patch["sites"]), str(len(patch["files"]))
            table.append((str(next(numbers)), patch["commit"][:12], sites, files, patch["subject"]))
    session.out.table(("#", "commit", "sites", "files", "subject"), table)
    session.show(*(f"by hand: {row['commit'][:12]}  {row['subject']}" for row in document["extra"]))
    stat = document["counts"]
    by_hand = f" and {len(document['extra'])} by hand" if document["extra"] else ""
    session.show(
        f"{plural(len(rows), 'patch', 'patches')}{by_hand}, {plural(stat['files'], 'file')},"
        f" {stat['insertions']} insertions(+), {stat['deletions']} deletions(-) in {document['seconds']} s"
    )
    if getattr(session.args, "dry_run", False):
        session.show("dry run: no ref was moved")
    elif changed:
        session.show(f"{document['ref']} is now {document['tip'][:12]}")
    else:
        session.show(f"{document['ref']} is the same already")
