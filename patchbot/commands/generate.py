"""Make the series: a draft on the branch patchbot/<campaign>."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from ..draft.produce import produce
from ..draft.rebased import refuse_rebased
from ..draft.record import branch, read_draft, refuse_unsafe
from ..draft.restack import Conflicts
from ..draft.write import Result, beside, carried, put, workshop
from ..errors import UserError
from ..git.commits import author_of
from ..progress import shown, tick
from ..series.campaign import active_steps
from .b4 import take_back
from .session import Session, add_cluster, alone, processes
from .show import describe, describe_plan, remarks, show_dropped, show_series

EXAMPLES = (
    "patchbot generate --dry-run",
    "patchbot generate --base bpf-next/master --with suffixes",
)
EXITS = {1: "a site is refused, and nothing was written"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="make the series and show the plan: trees, owners, prefixes, mails for people; the branch does not move",
    )
    parser.add_argument("--jobs", type=processes, default=0, metavar="N", help="how many programs a codemod may start")
    add_cluster(parser, "spatch")


@alone(author=True, base=True, steps=True)
def execute(session: Session, name: str, *, dry_run: bool, jobs: int, cluster: str | None, insecure: bool) -> int:
    """Make the series, and the draft of it."""
    session.jobs = jobs
    started = time.monotonic()
    author = author_of(session.repo, session.config.author)
    result: Result | None = None
    if session.args.verbose:
        say_steps(session)
    if not dry_run:
        take_back(session)
    with shown(session.err), session.spread(cluster, insecure):
        tree = session.tree()
        if not dry_run:
            check_base(session, tree.commit)
        draft = read_draft(session.repo, name)
        made = produce(tree, session.campaign, session.campaign_config, draft)
        for text in made.notes:
            session.say(f"note: {text}")
        if made.series.patches:
            tick("write")
            given = replace(carried(session.repo, draft), beside=beside(draft, tree.commit, session.configured))
            with workshop(session.repo) as scratch:
                try:
                    result = put(session.repo, scratch, made, author, given, dry_run=dry_run)
                except Conflicts as error:
                    again = f"patchbot regenerate {name} --onto {tree.commit[:12]}"
                    raise UserError(f"{error}\nnothing was written; resolve it with: {again}") from error
    document = describe(session, made, result, time.monotonic() - started)
    if dry_run:
        document |= describe_plan(session, made, tree)
    if not session.emit(document):
        remarks(session, result)
        show_series(session, document, result is not None and result.changed)
        show_dropped(session, document)
    return 0


def say_steps(session: Session) -> None:
    """Say what each step does, and which are off."""
    on = active_steps(session.campaign, session.campaign_config)
    for step in session.campaign.steps:
        session.say(f"{'step' if step in on else 'off'}: {step}")


def check_base(session: Session, base: str) -> None:
    """Refuse early what publish() would refuse after seconds of work; the tip of the series itself is a fine base."""
    repo, name = session.repo, session.campaign_config.name
    tip = repo.ref(branch(name))
    if tip == base:
        return
    if tip and (draft := read_draft(repo, name)):
        refuse_rebased(repo, draft, tip, session.upstream)
    refuse_unsafe(repo, name)
