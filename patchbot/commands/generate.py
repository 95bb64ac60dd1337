"""Write the draft series to refs/heads/patchbot/<campaign>."""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ..draft import branch, identity, numstat, patch_document, publish, refuse_unsafe, write_scratch
from ..git import Scratch
from ..model import Commit
from ..progress import shown, tick
from ..series import Generated, active_steps, generate, posted
from ..session import Session, clean


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("campaign", nargs="?", metavar="CAMPAIGN")
    parser.add_argument("--dry-run", action="store_true", help="do everything but move the branch")
    parser.add_argument("--with", dest="with_", metavar="STEP,..", help="switch optional steps on")
    parser.add_argument("--without", metavar="STEP,..", help="switch steps off")


def execute(session: Session) -> int:
    """Run the command."""
    started = time.monotonic()
    author = identity(session.repo, session.config.author)
    name = session.campaign_config.name
    with shown(session.err):
        tree = session.tree()
        if not session.args.dry_run:
            check_base(session, tree.commit)
        made = generate(tree, session.campaign, session.campaign_config)
        for text in (*made.audit.warnings, *made.remarks):
            session.say(f"note: {text}")
        commits: tuple[Commit, ...] = ()
        changed = False
        stat = {"patches": 0, "files": 0, "insertions": 0, "deletions": 0}
        if made.series.patches:
            tick("write", 0, 0)
            with tempfile.TemporaryDirectory(prefix="draft-", dir=session.work) as folder:
                scratch = Scratch.at(Path(folder) / "scratch.git", session.repo)
                commits, record = write_scratch(scratch, made.series, author, extras(session, made))
                stat = numstat(scratch, commits)
                if not session.args.dry_run:
                    changed = publish(session.repo, scratch, name, commits[-1].sha, record)
    document = describe(session, made, commits, stat, time.monotonic() - started)
    if not session.emit(document):
        show(session, document, changed)
    return 0


def check_base(session: Session, base: str) -> None:
    """Refuse early what publish would refuse after seconds of work; the tip of the own series is a fine base."""
    if session.repo.ref(branch(session.campaign_config.name)) != base:
        refuse_unsafe(session.repo, session.campaign_config.name)


def extras(session: Session, made: Generated) -> dict[str, Any]:
    """Return what the record keeps besides the patches: the facts that cover letter and later versions need."""
    kept: dict[str, int] = {}
    for entry in made.audit.document.get("entries", []):
        if entry["fate"] == "keep":
            kept[entry["reason"]] = kept.get(entry["reason"], 0) + 1
    return {
        "target": session.campaign_config.target,
        "steps": [s.name for s in active_steps(session.campaign, session.campaign_config)],
        "counts": made.audit.document.get("counts", {}),
        "kept": sorted(([reason, n] for reason, n in kept.items()), key=lambda row: (-row[1], row[0])),
        "sites": {site: list(fate) for site, fate in sorted(made.audit.sites.items())},
        "remarks": list(made.remarks),
    }


def describe(
    session: Session, made: Generated, commits: tuple[Commit, ...], stat: dict[str, int], seconds: float
) -> dict[str, Any]:
    """Return the document of `generate --json`."""
    config, patches = session.campaign_config, made.series.patches
    return {
        "campaign": config.name,
        "kernel": asdict(made.series.kernel),
        "ref": branch(config.name),
        "tip": commits[-1].sha if commits else made.series.kernel.base,
        "version": 1,
        "series": [
            {"target": target, "cover": {"subject": session.campaign.title}, "patches": [p.id for p in rows]}
            for target, rows in posted(patches, config.target, session.campaign.most)
        ],
        "patches": [patch_document(p, c) | {"sites": len(p.sites)} for p, c in zip(patches, commits, strict=True)],
        "counts": stat,
        "remarks": list(made.remarks),
        "seconds": round(seconds, 2),
    }


def show(session: Session, document: dict[str, Any], changed: bool) -> None:
    """Print the series as a table, tree by tree."""
    rows = {p["id"]: p for p in document["patches"]}
    if not rows:
        session.show("every site of this tree is converted already: nothing to do, nothing was written")
        return
    table = Table("#", "commit", "subject", "sites", "files", box=None, pad_edge=False)
    number = 0
    for series in document["series"]:
        table.add_row("", "", Text(f"[{clean(series['target'])}]", "bold"), "", "")
        for key in series["patches"]:
            number += 1
            patch = rows[key]
            cells = (str(number), patch["commit"][:12], clean(patch["subject"]))
            table.add_row(*(Text(c) for c in cells), str(patch["sites"]), str(len(patch["files"])))
    session.out.print(table)
    stat = document["counts"]
    session.show(
        f"{stat['patches']} patches, {stat['files']} files, {stat['insertions']} insertions(+),"
        f" {stat['deletions']} deletions(-) in {document['seconds']} s"
    )
    if session.args.dry_run:
        session.show("dry run: no ref was moved")
    elif changed:
        session.show(f"{document['ref']} is now {document['tip'][:12]}")
    else:
        session.show(f"{document['ref']} is the same already")
