"""Record the draft as the version that you posted."""

from __future__ import annotations

import argparse
import re

from ..draft.matching import parse_choices
from ..draft.rebased import refuse_rebased
from ..draft.record import branch, branch_gone, need_draft, version_of
from ..draft.versions import freeze, version_ref, versions
from ..draft.write import workshop
from ..errors import UserError
from ..git.commits import author_of
from ..model import Status
from ..shapes import plain
from .session import Session, alone
from .subject import branch_standing, report_of

EXAMPLES = ("patchbot freeze --message-id 20260131.1-0-you@example.org",)
EXITS = {1: "a recorded check failed; the version is made all the same"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--message-id",
        metavar="ID",
        help="the Message-ID of the cover letter, or its address at lore.kernel.org; the next cover letter links to it",
    )


@alone(author=True)
def execute(session: Session, name: str, *, message_id: str | None, match: list[str]) -> int:
    """Freeze the draft as it is now."""
    repo = session.repo
    draft = need_draft(repo, name)
    author = author_of(repo, session.config.author)
    tip = repo.ref(branch(name))
    if tip is None:
        raise UserError(branch_gone(draft))
    refuse_rebased(repo, draft, tip, session.upstream)
    number = version_of(repo, name, tip)
    there = {v.number: v for v in versions(repo, name)}.get(number)
    given = plain_id(message_id)
    chosen = parse_choices(match, repo.resolve, [p.id for p in draft.generated])
    known = there.message_id if there else ""
    frozen = there is None or (given and given != known)
    if frozen:
        with workshop(repo) as scratch:
            freeze(repo, scratch, author, draft, number, given or known, report_of(session, name, tip), chosen)
    findings = branch_standing(session, draft, tip)
    ref = version_ref(name, number)
    document = {
        "campaign": name,
        "version": number,
        "ref": ref,
        "tip": tip,
        "base": draft.base,
        "message_id": given or known,
        "new": there is None,
        "findings": [plain(f) for f in findings],
    }
    for finding in findings:
        session.say(f"{'error' if finding.status is Status.FAIL else 'warning'}: {finding.message}")
    if not session.emit(document):
        if there is None:
            session.show(f"{ref} is {tip[:12]}; the next change starts v{number + 1}")
        else:
            session.show(f"v{number} is {tip[:12]} already" + (f", now with {given}" if given and frozen else ""))
    return 1 if any(f.status is Status.FAIL for f in findings) else 0


def plain_id(text: str | None) -> str:
    """Return a Message-ID without brackets or an archive's address before it; raise UserError for other text."""
    if not text:
        return ""
    match = re.fullmatch(r"(?:https?://\S+/)?<?([^\s<>/@]+@[^\s<>/@]+)>?/?", text.strip())
    if not match or not match[1].isascii() or not match[1].isprintable():
        raise UserError(f"--message-id {text!r} is not a Message-ID such as 20260131.1-v1-0-abc@example.org")
    return match[1]
