"""Say where each posting of a series is: drafted, posted, reviewed, taken; and what is still to be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..draft.lines import draft_of, posting_ref, posting_versions
from ..draft.posted import gone_elsewhere
from ..draft.postings import PostingRow
from ..draft.rangediff import compare, side
from ..draft.record import Document, Draft
from ..draft.taken import There, rows_of
from ..draft.versions import Version
from ..model import Finding, Status
from ..series import render
from ..series.render import plural
from .session import Session


def about_postings(session: Session, draft: Draft, there: There | None) -> list[dict[str, Any]]:
    """Return a row for each posting of a draft; `there` is what the configured base has of it, if it moved."""
    found = []
    for row in draft.document.postings or ():
        own, rows = draft_of(session.repo, draft, row), rows_of(draft.document, row)
        sites = {site for patch in rows for site in patch.sites}
        frozen = posting_versions(session.repo, draft.campaign, row.name)
        last = max(frozen, default=0)
        now = session.repo.ref(posting_ref(draft.campaign, row.name))
        found.append(
            {
                "name": row.name,
                "target": row.target,
                "patches": len(row.patches),
                "sites": len(sites),
                "needs": row.needs,
                "reviewed": sum(bool(draft.trailers.get(patch.id)) for patch in row.patches),
                "posted": last or None,
                "message_id": (frozen[last].document.message_id or "") if last else "",
                "changed": bool(last) and own.version != last and differs(session, frozen[last], own),
                "left": len(there.of(draft.document, rows) if there else sites),
                "gone": there.gone_of(rows) if there else 0,
                "there": there.sites_there(draft.document, rows) if there else len(sites),
                "letter": bool(draft.covers.get(row.name)),
                "stored": now == row.tip,
            }
        )
    return found


def differs(session: Session, posted: Draft, now: Draft) -> bool:
    """Say whether the patches of a posting have other messages or edits than they were posted with."""
    sides = [side(name, one.document, one.trailers) for name, one in (("posted", posted), ("now", now))]
    return any(pair.what != ("context",) for pair in compare(session.scratch, *sides) if pair.state != "same")


def elsewhere(session: Session, document: Document) -> list[dict[str, Any]]:
    """Return a row for each posted posting of which patches are in others now."""
    return [{**asdict(away), "state": str(away)} for away in gone_elsewhere(session.repo, document)]


def crowding(session: Session, draft: Draft, row: PostingRow, besides: Collection[str] = ()) -> list[Finding]:
    """Return what is to be said where a tree would have more patches with a posting than it takes at once.

    Those count that are posted, or among `besides`, and of which the draft's base does not have all.
    """
    there = [
        other
        for other in draft.document.postings or ()
        if other.target == row.target
        and other.name != row.name
        and (other.name in besides or posting_versions(session.repo, draft.campaign, other.name))
    ]
    waiting, own, most = sum(len(other.patches) for other in there), len(row.patches), session.campaign.most
    if not there or waiting + own <= most:
        return []
    names = render.listing([other.name for other in there])
    text = (
        f"{row.target} takes {most} patches at once, and {waiting} of yours wait there ({names});"
        f" with these {own} it would have {waiting + own}. Post these when it has taken some."
    )
    return [Finding(Status.WARN, text, type="LIMIT")]


def burn_down(versions: Sequence[Version], draft: Draft, rev: str, there: There | None) -> list[dict[str, Any]]:
    """Return how many sites the patches of each version and of the draft change, and how many are left in `rev`."""
    series = [*((v.name, v.draft.document) for v in versions), ("draft", draft.document)]
    rows = [{"name": name, "sites": sum(len(row.sites) for row in document.patches)} for name, document in series]
    if there:
        rows.append({"name": rev, "sites": len(there.of(draft.document, draft.patches))})
    return rows


def show_postings(session: Session, document: Mapping[str, Any]) -> None:
    """Print the table of trees and the burn-down."""
    rows = document["postings"]
    if rows or document["done"] or document["elsewhere"]:
        table = [(row["name"], str(row["patches"]), str(row["sites"]), state(row)) for row in rows]
        if not rows:  # what is left is for one tree: the series itself
            table.append(whole(document))
        table += [
            (row["name"], str(row["patches"]), str(len(row["names"])), done_state(row, f"done: in {row['describe']}"))
            for row in document["done"]
        ]
        table += [
            (away["name"], str(away["patches"]), str(away["sites"]), away["state"])
            for away in document["elsewhere"]
            if not away["there"]
        ]
        session.out.table(("tree", "patches", "sites", "state"), table)
    session.show(*(f"{away['name']}: {away['state']}" for away in document["elsewhere"] if away["there"]))
    for target in dict.fromkeys(row["target"] for row in rows):
        waiting = sum(row["patches"] for row in rows if row["target"] == target and row["posted"] and row["left"])
        if waiting > document["most"]:
            session.show(f"{target} has {plural(waiting, 'patch', 'patches')} of yours; it takes {document['most']}")
    if len(document["burn_down"]) > 1:
        steps = ", ".join(f"{row['name']} {row['sites']}" for row in document["burn_down"])
        session.show(f"sites to change: {steps}")


def whole(document: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return the row of a series without postings."""
    draft, sites = document["draft"], {row["name"]: row["sites"] for row in document["burn_down"]}
    posted = any(row["version"] == draft["version"] for row in document["versions"])
    said = f"posted as v{draft['version']}" if posted else "drafted"
    said = "in the base" if document["upstream"]["converted"] else said
    return document["target"], str(draft["patches"]), str(sites["draft"]), said


def state(row: Mapping[str, Any]) -> str:
    """Return where a posting is, in words."""
    if not row["left"]:
        return done_state({**row, "sites": row["there"]}, "in the base")
    posted = f"posted as v{row['posted']}" if row["posted"] else "drafted"
    said = [f"{posted} ({row['message_id']})" if row["message_id"] else posted]
    said += ["changed since"] if row["changed"] else []
    said += [f"{row['reviewed']} of {row['patches']} reviewed"] if row["reviewed"] else []
    said += [f"{row['left']} sites left"] if row["left"] < row["sites"] else []
    said += ["with a letter of yours"] if row["letter"] else []
    said += [] if row["stored"] else ["its branch is not as patchbot left it"]
    return ", ".join(said)


def done_state(row: Mapping[str, Any], taken: str) -> str:
    """Return what became of a posting of which nothing is left to change: `taken`, unless its files are gone."""
    gone = f"gone: {plural(row['gone'], 'file')}, no longer in the kernel" if row["gone"] else ""
    return "; ".join(filter(None, [taken if row["sites"] or not gone else "", gone]))
