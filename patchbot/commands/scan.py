"""List every site of a campaign in the base tree and its fate."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from ..progress import shown
from ..session import Session, clean

STYLES = {"change": "green", "keep": "dim", "refuse": "bold red"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("campaign", nargs="?", metavar="CAMPAIGN")


def execute(session: Session) -> int:
    """Run the command."""
    with shown(session.err):
        tree = session.tree()
        audit = session.campaign.audit(tree, session.campaign_config)
    for warning in audit.warnings:
        session.say(f"warning: {warning}")
    if not session.emit({"kernel": asdict(tree.kernel()), **audit.document}):
        show(session, audit.document)
    for line in audit.refused:
        session.say(f"refused: {line}")
    return 1 if audit.refused else 0


def show(session: Session, document: object) -> None:
    """Print the rows that change or are refused (with -v all), why the others are kept, and the counts."""
    assert isinstance(document, dict)
    table = Table("row", "kfunc", "set", "flags", "argument flags", "fate", "reason", box=None, pad_edge=False)
    kept: dict[str, int] = {}
    for entry in document["entries"]:
        if entry["fate"] == "keep":
            kept[entry["reason"]] = kept.get(entry["reason"], 0) + 1
            if not session.args.verbose:
                continue
        flags = " ".join(f"{n}:{'|'.join(f)}" for n, f in entry["arg_flags"].items())
        cells = (
            f"{entry['file']}:{entry['line']}",
            entry["kfunc"],
            entry["set"] or "",
            "|".join(entry["flags"]),
            flags,
        )
        fate = Text(entry["fate"], STYLES[entry["fate"]])
        table.add_row(*(Text(clean(c)) for c in cells), fate, Text(clean(entry["reason"])))
    session.out.print(table)
    for reason, number in sorted(kept.items(), key=lambda item: -item[1]):
        session.show(f"{number:5} kept: {reason}")
    session.show("  ".join(f"{name} {number}" for name, number in document["counts"].items()))
