"""List every site of the campaign, and its fate."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from rich.text import Text

from ..progress import shown
from ..series.campaign import Audit
from ..series.trial import Tried, survey, survey_document
from ..terminal import cell
from .session import Session, add_cluster, processes

EXAMPLES = (
    "patchbot scan                # -v lists the sites that are kept, too",
    "patchbot scan --base v7.2 --anchors",
)
EXITS = {
    1: "a site is refused or left: it needs your decision",
    2: "with --anchors also: a place is missing or ambiguous",
}

STYLES = {"change": "green", "keep": "dim", "refuse": "bold red", "left": "bold red"}
OUTCOMES = {"applied": "green", "already": "dim", "missing": "bold red", "ambiguous": "bold red", "drifted": "bold red"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--anchors",
        action="store_true",
        help="list the places in the C code that the steps edit instead, and whether each is there",
    )
    parser.add_argument("--jobs", type=processes, default=0, metavar="N", help="how many programs a codemod may start")
    add_cluster(parser, "spatch")


def execute(session: Session, *, anchors: bool, jobs: int, cluster: str | None, insecure: bool) -> int:
    """Run the command."""
    session.jobs = jobs
    session.insist(base=True, steps=True)
    if anchors:
        return scan_anchors(session)
    with shown(session.err), session.spread(cluster, insecure):
        tree = session.tree()
        audit = session.campaign.audit(tree, session.campaign_config)
    for warning in audit.warnings:
        session.say(f"warning: {warning}")
    if not session.emit({"kernel": asdict(tree.kernel()), **audit.document()}):
        show(session, audit)
    for site, line in zip(audit.stopping, audit.refused, strict=True):
        session.say(f"{'left' if site.fate == 'left' else 'refused'}: {line}")
    return 1 if audit.refused else 0


def show(session: Session, audit: Audit) -> None:
    """Print the sites that change or are refused (with -v all), why the others are kept, and the counts."""
    columns = session.campaign.columns
    rows: Iterator[tuple[str | Text, ...]] = (
        (site.where, *(text(site) for text in columns.values()), cell(site.fate, STYLES[site.fate]), site.reason)
        for site in audit.sites
        if session.args.verbose or site.fate != "keep"
    )
    session.out.table(("site", *columns, "fate", "reason"), rows)
    session.show(*(f"{number:5} kept: {reason}" for reason, number in audit.kept.most_common()))
    session.show("  ".join(f"{name} {number}" for name, number in audit.counts.items()))


def scan_anchors(session: Session) -> int:
    """Try each anchor; return 2 if the tree lacks one, as a person must then port the campaign."""
    with shown(session.err):
        tree = session.tree()
        found = survey(tree, session.campaign, session.campaign_config)
    made = survey_document(found)
    if not session.emit({"kernel": asdict(tree.kernel()), **made}):
        show_anchors(session, found)
        session.show("  ".join(f"{name} {number}" for name, number in made["counts"].items()))
    return 2 if any(t.report.is_problem for t in found) else 0


def show_anchors(session: Session, found: list[Tried]) -> None:
    """Print a line for each anchor, and all problems in full below the table."""
    heads = ("step", "anchor", "place", "outcome", "alternative", "message")
    rows = []
    for tried in found:
        report = tried.report
        place = report.path if report.line is None else f"{report.path}:{report.line}"
        outcome = "absent" if report.outcome.value == "missing" and not report.is_problem else report.outcome.value
        which = f"{tried.taken} of {tried.alternatives}: " if tried.taken and tried.alternatives > 1 else ""
        message = "" if outcome in ("applied", "already") else report.message.split("\n")[0]
        told = cell(outcome, OUTCOMES.get(outcome, "dim"))
        rows.append((tried.step, report.anchor, place, told, which + report.alternative, message))
    session.out.table(heads, rows)
    for tried in found:
        if tried.report.is_problem:
            session.show(f"{tried.step}: {tried.report}")
