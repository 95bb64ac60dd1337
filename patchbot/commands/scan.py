"""List every site of a campaign in the base tree and its fate, or every anchor and its outcome."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.table import Table

from ..progress import shown
from ..series.campaign import Audit
from ..series.trial import Tried, survey, survey_document
from ..terminal import cell
from .session import Session

STYLES = {"change": "green", "keep": "dim", "refuse": "bold red"}
OUTCOMES = {"applied": "green", "already": "dim", "missing": "bold red", "ambiguous": "bold red", "drifted": "bold red"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("campaign", nargs="?", metavar="CAMPAIGN")
    parser.add_argument("--anchors", action="store_true", help="try each anchor of each step instead")
    parser.add_argument("--with", dest="with_", metavar="STEP,..", help="switch optional steps on")
    parser.add_argument("--without", metavar="STEP,..", help="switch steps off")


def execute(session: Session) -> int:
    """Run the command."""
    if session.args.anchors:
        return scan_anchors(session)
    with shown(session.err):
        tree = session.tree()
        audit = session.campaign.audit(tree, session.campaign_config)
    for warning in audit.warnings:
        session.say(f"warning: {warning}")
    if not session.emit({"kernel": asdict(tree.kernel()), **audit.document()}):
        show(session, audit)
    for line in audit.refused:
        session.say(f"refused: {line}")
    return 1 if audit.refused else 0


def show(session: Session, audit: Audit) -> None:
    """Print the sites that change or are refused (with -v all), why the others are kept, and the counts."""
    columns = session.campaign.columns
    table = Table("site", *columns, "fate", "reason", box=None, pad_edge=False)
    for site in audit.sites:
        if site.fate == "keep" and not session.args.verbose:
            continue
        cells = [cell(site.where), *(cell(text(site)) for text in columns.values())]
        table.add_row(*cells, cell(site.fate, STYLES[site.fate]), cell(site.reason))
    session.out.print(table)
    for reason, number in audit.kept.most_common():
        session.show(f"{number:5} kept: {reason}")
    session.show("  ".join(f"{name} {number}" for name, number in audit.counts.items()))


def scan_anchors(session: Session) -> int:
    """Try each anchor; return 2 if the tree lacks one, for that is the work of a person."""
    with shown(session.err):
        tree = session.tree()
        found = survey(tree, session.campaign, session.campaign_config)
    made = survey_document(found)
    if not session.emit({"kernel": asdict(tree.kernel()), **made}):
        show_anchors(session, found)
        session.show("  ".join(f"{name} {number}" for name, number in made["counts"].items()))
    return 2 if any(t.report.is_problem for t in found) else 0


def show_anchors(session: Session, found: list[Tried]) -> None:
    """Print a line for each anchor, and below the table what is wrong in full."""
    table = Table(box=None, pad_edge=False)
    for title in ("step", "anchor", "place", "outcome", "alternative", "message"):
        table.add_column(title, overflow="fold", no_wrap=title in ("step", "outcome"))
    for tried in found:
        report = tried.report
        place = report.path if report.line is None else f"{report.path}:{report.line}"
        outcome = "absent" if report.outcome.value == "missing" and not report.is_problem else report.outcome.value
        which = f"{tried.taken} of {tried.alternatives}: " if tried.taken and tried.alternatives > 1 else ""
        message = "" if outcome in ("applied", "already") else report.message.split("\n")[0]
        cells = (tried.step, report.anchor, place)
        table.add_row(
            *map(cell, cells),
            cell(outcome, OUTCOMES.get(outcome, "dim")),
            cell(which + report.alternative),
            cell(message),
        )
    session.out.print(table)
    for tried in found:
        if tried.report.is_problem:
            session.show(f"{tried.step}: {tried.report}")
