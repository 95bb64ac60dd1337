"""Take Reviewed-by and the like from replies."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from ..draft.rebased import refuse_rebased
from ..draft.record import branch, need_draft
from ..draft.trailers import Given, percentage
from ..draft.write import workshop
from ..git.commits import author_of
from ..git.mailmap import Mailmap
from ..mail.answered import NO_PATCH, Drafted
from ..mail.replies import RETRACTED, Choices, Gathered, gather
from ..mail.retag import put_tags, read_branch, read_drafted
from ..mail.threads import Ignored, read_thread
from ..paths import expanded
from ..progress import shown
from ..terminal import cell
from .b4 import take_back
from .session import Session, alone

EXAMPLES = (
    "patchbot trailers --mbox thread.mbox",
    "patchbot trailers --mbox thread.mbox --accept 5f0c2a91,77d3e0b4",
    "patchbot trailers --mbox thread.mbox --threshold 10",
)

#: A whole list as a mailbox has thousands of tags for patches of other people.
MOST_OTHERS = 20


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
        "--accept",
        action="append",
        default=[],
        metavar="ID,..",
        help="also take these of the tags that need your judgement, by the ids in the list of those not taken",
    )


@alone(author=True)
def execute(session: Session, name: str, *, mbox: str, threshold: float | None, accept: Sequence[str]) -> int:
    """Put the tags of the replies on the draft as it is now."""
    repo = session.repo
    need_draft(repo, name)
    take_back(session)
    draft = need_draft(repo, name)
    refuse_rebased(repo, draft, repo.ref(branch(name)) or draft.tip, session.upstream)
    with shown(session.err):
        thread = read_thread(session.cwd / expanded(mbox))
    marked = read_branch(repo, draft)
    target = draft.document.target or session.campaign_config.target
    drafted = read_drafted(repo, marked, target, session.campaign.most, session.campaign.title)
    allowed = session.campaign_config.tag_threshold if threshold is None else threshold
    with shown(session.err):
        chosen = Choices(accepted(accept), allowed, Mailmap(repo, draft.base).same)
        found = gather(thread, drafted, chosen, marked.seen.tags)
    tip = marked.tip
    if found.attached or found.gone:
        author = author_of(repo, session.config.author)
        with workshop(repo) as scratch:
            tip = put_tags(repo, scratch, author, marked, found.trailers, found.gone)
    if not session.emit(describe(name, found, tip)):
        show(session, drafted, found, tip, tip != marked.tip)
    return 0


def accepted(given: Iterable[str]) -> frozenset[str]:
    """Return the ids in the values of --accept."""
    return frozenset(id_.strip().lower() for value in given for id_ in value.split(",") if id_.strip())


def describe(name: str, found: Gathered, tip: str) -> dict[str, Any]:
    """Return the document of `trailers --json`."""
    return {
        "campaign": name,
        "attached": [{"patch": a.patch, **with_from(a.given), "note": a.note} for a in found.attached],
        "ignored": [with_from(i) for i in found.ignored if not i.objection],
        "objections": [with_from(i) for i in found.ignored if i.objection],
        "tip": tip,
    }


def with_from(row: Given | Ignored) -> dict[str, Any]:
    """Return a tag or a mail for the document: its sender is named `from`, as the field of the mail."""
    fields = asdict(row)
    return {"from": fields.pop("sender"), **fields}


def show(session: Session, drafted: Drafted, found: Gathered, tip: str, changed: bool) -> None:
    """Print what people have against the series, the tags of each patch, then what a person should look at."""
    objections = [row for row in found.ignored if row.objection]
    if objections:
        session.out.say(cell("Objections and tags that were taken back:", "bold red"))
        for said in objections:
            head = "TAKEN BACK" if said.reason == RETRACTED else "OBJECTION"
            session.show(f"    {head} by {said.sender}: {place(said)}: {said.line}", f"        in {said.against}")
        session.show("")
    subjects = {p.id: p.subject for p in drafted.patches}
    last = ""
    for row in found.attached:
        if row.patch != last:
            session.show(subjects[row.patch])
            last = row.patch
        session.show(f"    {row.given.trailer}  <{row.given.message_id}>{f'  ({row.note})' if row.note else ''}")
    if not found.attached:
        session.show("no tag for this draft found")
    left = [row for row in found.ignored if not row.objection]
    others = [row for row in left if row.reason.startswith(NO_PATCH)]
    hidden = () if session.args.verbose else frozenset(others[MOST_OTHERS:])
    for one in (row for row in left if row not in hidden):
        id_ = f" [{one.id}]" if one.id else ""
        session.show(f"not taken{id_}: {place(one)}: {one.line + ': ' if one.line else ''}{one.reason}")
    if hidden:
        session.show(f"{len(hidden)} more lines are about patches that the draft does not have; -v lists them")
    if any(one.id for one in left):
        session.show("What has an id in brackets can be taken all the same, one by one: --accept ID,..")
    if changed:
        session.show(f"patchbot/{session.campaign_config.name} is now {tip[:12]}")
    elif found.attached:
        session.show("the draft already has them all")
    if objections:
        mails = len({row.where for row in objections})
        many = "1 reply above is to be settled with its sender"
        many = many if mails == 1 else f"{mails} replies above are to be settled with their senders"
        session.out.say(cell(f"{many} before this is posted again", "bold red"))


def place(row: Ignored) -> str:
    """Return the mail that a row is about, for a person."""
    return f"<{row.message_id}>" if row.message_id else row.where
