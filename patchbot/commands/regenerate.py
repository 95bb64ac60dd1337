"""Move the series to a new base; edits and tags are kept."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

from ..draft import conflicts
from ..draft.amendments import Handmade
from ..draft.conflicts import Asked, Pending
from ..draft.lines import dropped_since
from ..draft.matching import parse_choices
from ..draft.produce import produce, switched_off
from ..draft.rangediff import Pair, ahead, compare, render, side
from ..draft.rebased import start_of
from ..draft.recognise import recognise
from ..draft.record import Draft, before_ref, branch, need_draft, refuse_in_the_way
from ..draft.restack import Conflicts, Resolutions
from ..draft.taken import other_forms, taken, there
from ..draft.trailers import percentage
from ..draft.versions import previous, version_ref
from ..draft.write import Carried, Result, beside, carried, put, site_changes, site_lines, workshop
from ..errors import UserError
from ..git.commits import author_of
from ..progress import shown, tick
from ..series.campaign import active_steps
from ..series.diagnosis import blame_places
from ..series.render import plural
from ..terminal import cell
from .b4 import outdated, take_back
from .letter import contradictions, told_contradictions
from .session import Session, add_cluster, alone
from .show import describe, remarks, show_dropped, show_series
from .trees import done_state

EXAMPLES = (
    "patchbot regenerate --onto bpf-next/master",
    "patchbot regenerate --continue    # after a conflict",
)
EXITS = {1: "a site is refused, and nothing was written", 2: "yours to fix; a conflict, too"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--onto", metavar="REV", help="the new base: a branch, tag or commit")
    what.add_argument("--continue", dest="go_on", action="store_true", help="go on after you resolved a conflict")
    what.add_argument(
        "--abort", action="store_true", help="give up one that stopped at a conflict; the branch is as it was"
    )
    parser.add_argument(
        "--discard-edits", action="store_true", help="drop what was changed by hand (default: put it back)"
    )
    parser.add_argument(
        "--keep-tags",
        type=percentage,
        metavar="PERCENT",
        help="keep the tags of a patch of which at most so much changed (default: tag_threshold in patchbot.toml,"
        " else 0)",
    )
    add_cluster(parser, "spatch")


@alone(author=True, steps=True)
def execute(
    session: Session,
    name: str,
    *,
    onto: str | None,
    go_on: bool,
    abort: bool,
    discard_edits: bool,
    match: list[str],
    keep_tags: float | None,
    cluster: str | None,
    insecure: bool,
) -> int:
    """Regenerate the draft as it is now."""
    started = time.monotonic()
    conflicts.recover(session.work, name)
    if abort:
        return let_go_of(session, name)
    pending = conflicts.read_pending(session.work, name)
    if not (go_on or pending):
        take_back(session)
    draft = need_draft(session.repo, name)
    tip = session.repo.ref(branch(name)) or draft.tip
    if go_on:
        asked, done = go_on_with(pending, draft, tip)
    else:
        if pending is not None:
            raise UserError(
                f"a regeneration of {name} onto {pending.asked.onto[:12]} waits for you:{listed(pending)}\n"
                f"edit the files, then: patchbot regenerate {name} --continue; or give it up: --abort"
            )
        if not onto:
            raise UserError("regenerate needs --onto REV, or --continue or --abort after a conflict")
        chosen = parse_choices(match, session.repo.resolve, [p.id for p in draft.generated])
        threshold = session.config.campaign(name).tag_threshold if keep_tags is None else keep_tags
        done = {}
        asked = Asked(session.repo.resolve(onto), tip, draft.record, discard_edits, chosen, threshold)
    with shown(session.err), session.spread(cluster, insecure):
        document, result, pairs = regenerate(session, draft, asked, done, started)
        document["letters"] = contradictions(session) if result else []
    conflicts.abort(session.work, name)
    if not session.emit(document) and result is None:
        show_done(session, document)
        session.show(f"every site of {asked.onto[:12]} is converted: the series is done; {branch(name)} is as it was")
    elif not session.args.json and result is not None:
        remarks(session, result)
        if result.changed and asked.tip != draft.tip:
            session.say(f"note: your own commits are kept as they were: {before_ref(name)}")
        show(session, document, result, pairs)
        if result.changed:
            outdated(session)
    return 0


def let_go_of(session: Session, name: str) -> int:
    """Give up a stopped regeneration."""
    if not conflicts.abort(session.work, name):
        raise UserError(f"no regeneration of {name} waits for you")
    if not session.emit({"campaign": name, "aborted": True}):
        session.show(f"given up; {branch(name)} is as it was")
    return 0


def go_on_with(pending: Pending | None, draft: Draft, tip: str) -> tuple[Asked, Resolutions]:
    """Return what was asked for before a conflict, and how a person resolved it."""
    name = draft.campaign
    if pending is None:
        raise UserError(f"no regeneration of {name} waits for you; start one with --onto REV")
    if (pending.asked.tip, pending.asked.record) != (tip, draft.record):
        raise UserError(
            f"{branch(name)} has moved since the conflict; give it up with: patchbot regenerate {name} --abort"
        )
    return pending.asked, pending.resolutions()


def regenerate(
    session: Session, draft: Draft, asked: Asked, done: Resolutions, started: float
) -> tuple[dict[str, Any], Result | None, list[Pair]]:
    """Make the draft anew; return the JSON document, what was written, each patch's change since the last version.

    Where nothing is left to change, nothing is written.
    """
    repo, name = session.repo, draft.campaign
    author = author_of(repo, session.config.author)
    before = previous(repo, name, "")
    known = before.draft if before else draft
    old = side(before.name if before else "draft", known.document, known.trailers)
    given = gathered(session, draft, asked)
    if asked.onto != draft.base:
        refuse_in_the_way(repo, name)
    tree = session.tree(asked.onto)
    with blame_places(tree, draft.base):
        made = produce(tree, session.campaign, session.campaign_config, draft)
    steps = active_steps(session.campaign, session.campaign_config)
    for text in filter(None, (*made.notes, switched_off(draft, session.campaign, steps))):
        session.say(f"note: {text}")
    made_now = {patch.id for patch in made.series.patches}
    moved = {site for patch in made.series.patches for site in patch.sites}
    gone = [row for row in draft.generated if row.id not in made_now and moved.isdisjoint(row.sites)]
    gone = gone if repo.has(draft.base) else []
    forms = [asdict(form) for form in other_forms(repo, gone, asked.onto)]
    where = {"version": before.number if before else draft.version, "base": known.base}
    if not made.series.patches:
        document = describe(session, made, None, time.monotonic() - started) | {"from": where}
        document |= {"gone": [row.id for row in known.patches], **site_changes(known.document.sites, made.facts.sites)}
        has = there(repo, draft.document, asked.onto, made.facts.sites, made.series.kernel.describe)
        rows = taken(draft.document, has, ())
        document["done"] = [asdict(row) for row in (*(draft.document.done or ()), *rows)]
        document["other_forms"] = forms
        return document, None, []
    # What a rebase leaves out because upstream has it was not dropped by hand.
    still = {*draft.handmade.dropped, *(p.id for p in made.series.patches)}
    dropped = tuple(id_ for id_ in given.handmade.dropped if id_ in still)
    to = beside(draft, asked.onto, session.configured)
    given = replace(given, handmade=replace(given.handmade, dropped=dropped), beside=to)
    tick("write")
    with workshop(repo) as scratch, ThreadPoolExecutor(1) as aside:
        was = aside.submit(ahead, scratch, old) if asked.onto != draft.base and not made.reused else None
        try:
            result = put(repo, scratch, made, author, given, done, taken=asked.tip)
        except Conflicts as error:
            raise stopped(session, name, asked, error, done) from error
        tick("compare")
        if was:
            was.result()
        new = side("draft", result.document, result.decided.kept)
        pairs = compare(scratch, old, new)
    document = describe(session, made, result, time.monotonic() - started)
    states = {p.key: p for p in pairs}
    document["from"] = where
    document["other_forms"] = forms
    for patch in document["patches"]:
        pair = states[patch["id"]]
        patch |= {"state": pair.state, "changed": list(pair.what)}
    document["gone"] = [p.key for p in pairs if p.state == "gone"]
    document |= site_changes(known.document.sites, made.facts.sites)
    document["reused"] = made.reused
    document["seconds"] = round(time.monotonic() - started, 2)
    return document, result, pairs


def gathered(session: Session, draft: Draft, asked: Asked) -> Carried:
    """Return what people put on top of the draft, reading the commits on the branch again."""
    if asked.discard:
        return replace(carried(session.repo, draft), handmade=Handmade())
    start = start_of(session.repo, draft, asked.tip, [asked.onto, *session.upstream])
    seen = recognise(session.repo, draft, asked.tip, asked.chosen, start)
    tagged = draft.commits | {i: sha for sha, i in seen.ids.items()}
    solved = seen.solved if start == asked.onto != draft.base else frozenset()
    dropped = dropped_since(session.repo, draft)
    return Carried(seen.handmade, seen.tags, tagged, dropped, asked.threshold, solved, covers=draft.covers)


def stopped(session: Session, name: str, asked: Asked, error: Conflicts, done: Resolutions) -> UserError:
    """Store the conflict for --continue, and return the error to raise."""
    kept = conflicts.keep(session.work, name, asked, error.found, done)
    return UserError(
        f"{error}\n{branch(name)} is as it was. Both sides are in:{listed(kept)}\n"
        f"edit the files, then: patchbot regenerate {name} --continue; or give it up: --abort"
    )


def listed(pending: Pending) -> str:
    """Return the files to resolve, one a line."""
    return "".join(f"\n  {file}" for file in pending.files)


def show_done(session: Session, document: Mapping[str, Any]) -> None:
    """Print the postings that their trees have taken, and what of the patches that went they took otherwise."""
    for row in document["done"]:
        what = f"{row['name']}: {plural(row['patches'], 'patch', 'patches')}, {plural(len(row['names']), 'site')}"
        session.show(f"  done: {what}: {done_state(row, 'no site of it is left in ' + row['describe'])}")
    forms = document["other_forms"]
    for row in forms if session.args.verbose else forms[:10]:
        lacks = f"it lacks {row['missing']} of {plural(row['lines'], 'line')}: {row['first']}"
        lacks = "the file is gone" if row["gone"] else lacks
        session.show(f"  in another form: {row['file']} ({row['subject']}): {lacks}")
    if len(forms) > 10 and not session.args.verbose:
        session.show(f"  in another form: {plural(len(forms) - 10, 'file')} more, -v shows all")


def show(session: Session, document: Mapping[str, Any], result: Result, pairs: Sequence[Pair]) -> None:
    """Print the series, the state of each patch, new and gone sites, dropped tags; with -v the range-diff."""
    show_series(session, dict(document), result.changed)
    where = document["from"]
    count = {s: sum(p.state == s for p in pairs) for s in ("same", "changed", "new", "gone")}
    frozen = session.repo.ref(version_ref(document["campaign"], where["version"]))
    last = f"v{where['version']}" if frozen else "the last draft"
    session.show(f"since {last} on {where['base'][:12]}: " + ", ".join(f"{n} {state}" for state, n in count.items()))
    styles = {"changed": "yellow", "new": "green", "gone": "red"}
    for pair in pairs:
        if pair.state != "same":
            gone = ("dropped by hand",) if pair.key in result.composed.handmade.dropped else ()
            what = f" ({', '.join(pair.what + gone)})" if pair.what + gone else ""
            session.out.print(cell(f"  {pair.state:8}{pair.subject}{what}", styles[pair.state]), soft_wrap=True)
    session.show(*(f"  {line}" for line in site_lines(document)))
    show_done(session, document)
    show_dropped(session, dict(document))
    session.show(*told_contradictions(document["letters"]))
    if session.args.verbose:
        session.out.diff(render(session.scratch, pairs))
    elif count["changed"] + count["new"] + count["gone"]:
        earlier = previous(session.repo, document["campaign"], document["tip"])
        session.show("see it with: patchbot diff" if earlier else "-v shows their range-diff here")
