"""Record the draft as the version that you posted."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ..draft.lines import posting_version_ref, posting_versions
from ..draft.matching import parse_choices
from ..draft.range import select_posting
from ..draft.rebased import refuse_rebased
from ..draft.record import Draft, branch, branch_gone, need_draft, version_of
from ..draft.versions import freeze, freeze_posting, version_ref, versions
from ..draft.write import workshop
from ..errors import UserError
from ..git.commits import author_of
from ..mail.headers import plain_id
from ..model import Finding, Status
from ..shapes import plain
from .session import Session, alone
from .subject import add_tree, branch_standing, report_of, standing
from .trees import crowding

EXAMPLES = (
    "patchbot freeze --message-id 20260131.1-0-you@example.org",
    "patchbot freeze --tree net-next --message-id 20260131.1-0-you@example.org",
)
EXITS = {1: "a recorded check failed; the version is made all the same"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_tree(parser, "only what goes to this tree, as a version of its own")
    parser.add_argument(
        "--message-id",
        metavar="ID",
        help="the Message-ID of the cover letter, or its address at lore.kernel.org; the next cover letter links to it",
    )


@alone(author=True)
def execute(session: Session, name: str, *, tree: str | None, message_id: str | None, match: list[str]) -> int:
    """Freeze the draft as it is now."""
    repo = session.repo
    draft = need_draft(repo, name)
    author = author_of(repo, session.config.author)
    if tree is not None:
        return freeze_tree(session, draft, tree, plain_id(message_id))
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
    return told(session, document, findings, bool(given and frozen))


def freeze_tree(session: Session, draft: Draft, tree: str, given: str) -> int:
    """Freeze what goes to one tree as it is now."""
    repo, name = session.repo, draft.campaign
    series = select_posting(repo, draft, tree, session.say, session.upstream)
    row, own = series.posting, series.draft
    assert row is not None
    assert own is not None
    there = posting_versions(repo, name, row.name).get(own.version)
    known = (there.document.message_id or "") if there else ""
    frozen = there is None or (given and given != known)
    if frozen:
        with workshop(repo) as scratch:
            author = author_of(repo, session.config.author)
            freeze_posting(repo, scratch, author, draft, row, given or known, report_of(session, name, row.tip))
    findings = crowding(session, draft, row)
    findings += standing(session, name, row.tip, [commit.sha for commit in series.commits], row)
    document = {
        "campaign": name,
        "tree": row.target,
        "version": own.version,
        "ref": posting_version_ref(name, row.name, own.version),
        "tip": row.tip,
        "base": draft.base,
        "message_id": given or known,
        "new": there is None,
        "findings": [plain(f) for f in findings],
    }
    return told(session, document, findings, bool(given and frozen))


def told(session: Session, document: Mapping[str, Any], findings: Sequence[Finding], named: bool) -> int:
    """Say which version it is now, and what the checks say against it; return the exit code."""
    number, tip = document["version"], document["tip"][:12]
    for finding in findings:
        session.say(f"{'error' if finding.status is Status.FAIL else 'warning'}: {finding.message}")
    if not session.emit(document):
        if document["new"]:
            session.show(f"{document['ref']} is {tip}; the next change starts v{number + 1}")
        else:
            session.show(f"v{number} is {tip} already" + (f", now with {document['message_id']}" if named else ""))
    return 1 if any(f.status is Status.FAIL for f in findings) else 0
