"""Take Reviewed-by and the like from replies."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ..draft.rebased import refuse_rebased
from ..draft.record import branch, need_draft
from ..draft.trailers import Given, percentage
from ..draft.write import workshop
from ..git.commits import author_of
from ..mail.replies import Choices, Drafted, Gathered, gather
from ..mail.retag import put_tags, read_branch, read_drafted
from ..mail.threads import Ignored, read_thread
from ..paths import expanded
from ..progress import shown
from .session import Session, alone

EXAMPLES = (
    "patchbot trailers --mbox thread.mbox",
    "patchbot trailers --mbox thread.mbox --threshold 10",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--mbox", required=True, metavar="FILE", help="the thread as an mbox (gzipped or not) or a maildir (required)"
    )
    parser.add_argument(
        "--threshold",
        type=percentage,
        metavar="PERCENT",
        help="take a tag of an earlier version of a patch if at most so much of its diff changed since (default:"
        " tag_threshold in patchbot.toml, else 0)",
    )
    parser.add_argument(
        "--sloppy",
        action="store_true",
        help="also take Reported-by, tags on a condition, and those whose name is not the sender's",
    )


@alone(author=True)
def execute(session: Session, name: str, *, mbox: str, threshold: float | None, sloppy: bool) -> int:
    """Put the tags of the replies on the draft as it is now."""
    repo = session.repo
    draft = need_draft(repo, name)
    refuse_rebased(repo, draft, repo.ref(branch(name)) or draft.tip, session.upstream)
    with shown(session.err):
        thread = read_thread(session.cwd / expanded(mbox))
    marked = read_branch(repo, draft)
    target = draft.document.target or session.campaign_config.target
    drafted = read_drafted(repo, marked, target, session.campaign.most, session.campaign.title)
    allowed = session.campaign_config.tag_threshold if threshold is None else threshold
    with shown(session.err):
        found = gather(thread, drafted, Choices(sloppy, allowed), marked.seen.tags)
    tip = marked.tip
    if found.attached or found.gone:
        author = author_of(repo, session.config.author)
        with workshop(repo) as scratch:
            tip = put_tags(repo, scratch, author, marked, found.trailers, found.gone)
    if not session.emit(describe(name, found, tip)):
        show(session, drafted, found, tip, tip != marked.tip)
    return 0


def describe(name: str, found: Gathered, tip: str) -> dict[str, Any]:
    """Return the document of `trailers --json`."""
    return {
        "campaign": name,
        "attached": [{"patch": a.patch, **with_from(a.given), "note": a.note} for a in found.attached],
        "ignored": [with_from(i) for i in found.ignored],
        "tip": tip,
    }


def with_from(row: Given | Ignored) -> dict[str, Any]:
    """Return a tag or a mail for the document: its sender is named `from`, as the field of the mail."""
    fields = asdict(row)
    return {"from": fields.pop("sender"), **fields}


def show(session: Session, drafted: Drafted, found: Gathered, tip: str, changed: bool) -> None:
    """Print the tags of each patch, then what a person should look at."""
    subjects = {p.id: p.subject for p in drafted.patches}
    last = ""
    for row in found.attached:
        if row.patch != last:
            session.show(subjects[row.patch])
            last = row.patch
        session.show(f"    {row.given.trailer}  <{row.given.message_id}>{f'  ({row.note})' if row.note else ''}")
    if not found.attached:
        session.show("no tag for this draft found")
    for ignored in sorted(found.ignored, key=lambda row: not row.objection):
        where = f"<{ignored.message_id}>" if ignored.message_id else ignored.where
        head = f"OBJECTION by {ignored.sender}" if ignored.objection else "not taken"
        session.show(f"{head}: {where}: {ignored.line + ': ' if ignored.line else ''}{ignored.reason}")
    if changed:
        session.show(f"patchbot/{session.campaign_config.name} is now {tip[:12]}")
    elif found.attached:
        session.show("the draft already has them all")
