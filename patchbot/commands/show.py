"""Print a series and what people changed on it, for every command that makes or looks at one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from typing import Any

from rich.text import Text

from ..draft.lines import posting_ref
from ..draft.produce import Made
from ..draft.record import branch, record_ref, version_of
from ..draft.write import Result
from ..mail.corrections import Corrections
from ..mail.load import load
from ..series import maintainers
from ..series.generate import posted
from ..series.plan import plan
from ..series.render import plural
from ..series.tree import Tree
from ..terminal import cell
from .session import Session
from .trees import elsewhere


def describe_plan(session: Session, made: Made, tree: Tree) -> dict[str, Any]:
    """Return what `generate --dry-run` says besides: the plan, and how many mails that would be for people."""
    config, patches = session.campaign_config, made.series.patches
    entries = maintainers.sections(tree.get("MAINTAINERS") or b"")
    postings = [
        (Corrections.of(config, session.config.file, entries, target).apply, rows)
        for target, rows in posted(patches, config.target, session.campaign.most)
    ]
    return {
        "plan": [asdict(row) for row in plan(tree, patches, made.facts.prefixes)],
        "mails": asdict(load(tree, postings)),
    }


def show_plan(session: Session, document: dict[str, Any]) -> None:
    """Print the plan as a table."""
    heads = ("tree", "patches", "files", "sites", "prefix", "owner")
    rows = document["plan"]
    session.out.table(heads, [tuple(str(row["target" if head == "tree" else head]) for head in heads) for row in rows])
    stat, mails = document["counts"], document["mails"]
    session.show(
        f"{plural(stat['patches'], 'patch', 'patches')} for {plural(len({row['target'] for row in rows}), 'tree')},"
        f" {plural(stat['files'], 'file')}, {plural(sum(row['sites'] for row in rows), 'site')};"
        f" {plural(mails['mails'], 'mail')} to {plural(mails['people'], 'person', 'people')} by MAINTAINERS:"
        f" median {mails['median']:g}, most {mails['most']} ({mails['busiest'] or 'nobody'})"
    )


def describe(session: Session, made: Made, result: Result | None, seconds: float) -> dict[str, Any]:
    """Return the document of `generate --json`."""
    config, series = session.campaign_config, made.series
    rows = result.document.patches if result else ()
    by_id = {p.id: p for p in series.patches}
    tip = result.tip if result and result.commits else series.kernel.base
    draft = session.repo.ref(record_ref(config.name))
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
        "postings": [
            {
                "name": row.name,
                "target": row.target,
                "ref": posting_ref(config.name, row.name),
                "tip": row.tip,
                "needs": row.needs,
                "patches": [patch.id for patch in row.patches],
            }
            for row in (result.document.postings if result else None) or ()
        ],
        "done": [asdict(row) for row in (result.document.done if result else None) or ()],
        "elsewhere": elsewhere(session, result.document) if result and result.record == draft else [],
        "extra": [asdict(row) for row in result.document.extra or ()] if result else [],
        "counts": dict(stat),
        "remarks": list(made.facts.remarks),
        "kept_edits": result.composed.handmade.rows() if result else [],
        "dropped_trailers": [asdict(row) for row in result.decided.dropped] if result else [],
        "seconds": round(seconds, 2),
    }


def remarks(session: Session, result: Result | None) -> None:
    """Say which edits were put back, and what happened to the others."""
    if result is None:
        return
    for text in result.composed.remarks:
        session.say(f"note: {text}")
    for line in edit_lines(result.composed.handmade.rows()):
        session.say(f"kept: {line}")


def show_dropped(session: Session, document: dict[str, Any]) -> None:
    """Print the posted postings whose patches are in others now, and the tags that hold no longer."""
    session.show(*(f"  {away['name']}: {away['state']}" for away in document["elsewhere"]))
    session.show(*(f"  dropped: {d['trailer']} of {d['patch']}: {d['reason']}" for d in document["dropped_trailers"]))


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


def show_series(session: Session, document: dict[str, Any], changed: bool) -> None:
    """Print the series as a table, tree by tree."""
    rows = {p["id"]: p for p in document["patches"]}
    if not rows:
        session.show("every site of this tree is converted already: nothing to do, nothing was written")
        return
    if "plan" not in document or session.args.verbose:
        show_patches(session, document)
    session.show(*(f"by hand: {row['commit'][:12]}  {row['subject']}" for row in document["extra"]))
    stat = document["counts"]
    by_hand = f" and {len(document['extra'])} by hand" if document["extra"] else ""
    session.show(
        f"{plural(len(rows), 'patch', 'patches')}{by_hand}, {plural(stat['files'], 'file')},"
        f" {stat['insertions']} insertions(+), {stat['deletions']} deletions(-) in {document['seconds']} s"
    )
    if "plan" in document:
        show_plan(session, document)
        session.show("dry run: no ref was moved")
    elif changed:
        session.show(f"{document['ref']} is now {document['tip'][:12]}")
        if trees := {row["target"] for row in document["postings"]}:
            session.show(
                f"{plural(len(document['postings']), 'posting')} for {plural(len(trees), 'tree')}, each on a branch"
                f" of its own: {document['ref'].removeprefix('refs/heads/')}.<tree>"
            )
    else:
        session.show(f"{document['ref']} is unchanged")


def show_patches(session: Session, document: dict[str, Any]) -> None:
    """Print the patches as a table, tree by tree."""
    rows = {p["id"]: p for p in document["patches"]}
    table: list[tuple[str | Text, ...]] = []
    numbers = count(1)
    for series in document["series"]:
        table.append(("", "", "", "", cell(f"[{series['target']}]", "bold")))
        for patch in (rows[key] for key in series["patches"]):
            sites, files = str(patch["sites"]), str(len(patch["files"]))
            table.append((str(next(numbers)), patch["commit"][:12], sites, files, patch["subject"]))
    session.out.table(("#", "commit", "sites", "files", "subject"), table)
