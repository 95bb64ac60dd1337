"""Share what commands need that look at a range of commits: which range, and how checks get it."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from ..checking.check import Item, Subject
from ..checking.store import Results
from ..draft.postings import PostingRow
from ..draft.range import Range, select_posting
from ..draft.range import select as select_range
from ..draft.record import Draft, need_draft
from ..errors import UserError
from ..git.formatpatch import patch_mails
from ..identity import file_of, identity
from ..model import Commit, Finding, Status
from .session import Session


def select(session: Session, what: str | None, tree: str | None = None) -> Range:
    """Return the range that CAMPAIGN or REV..REV names; without either, the only campaign's draft; of `tree` only.

    What REV..REV is checked by is what the only campaign says.
    """
    if tree is not None:
        if what and ".." in what:
            raise UserError("--tree is for a campaign, not for a range of commits")
        draft = need_draft(session.repo, session.config.campaign(what).name)
        return select_posting(session.repo, draft, tree, session.say, session.upstream)
    if what and ".." in what:
        session.args = replace(session.args, campaign=None)
    return select_range(session.repo, session.config, what, session.say, session.upstream)


def recorded_as(series: Range) -> str:
    """Return what the report of a range is recorded for: a draft's tip, or both ends, which are not about a draft."""
    return series.tip if series.draft else f"{series.base}..{series.tip}"


def report_of(session: Session, name: str, what: str) -> dict[str, Any] | None:
    """Return the recorded report of the checks of a campaign's tip, or of BASE..TIP; None if there is none."""
    with closing(Results(session.work / "results.sqlite")) as store:
        return store.recall(f"report {name} {what}")


def branch_standing(session: Session, draft: Draft, tip: str) -> list[Finding]:
    """Return what the recorded results say against posting the branch as it is, which is at `tip`."""
    commits = {*draft.commits.values(), *(extra.commit for extra in draft.document.extra or ())}
    if tip != draft.tip and session.repo.has(draft.base):
        commits = {commit.sha for commit in session.repo.commits(draft.base, tip)}
    return standing(session, draft.campaign, tip, commits)


def standing(
    session: Session, name: str, tip: str, commits: Collection[str], posting: PostingRow | None = None
) -> list[Finding]:
    """Return what the recorded results say against posting commits of a tip: failures, and what did not run."""
    name_ = f"{name} --tree {posting.name}" if posting else name
    report = report_of(session, name, tip)
    if report is None:
        text = f"The branch as it is was not checked; do it with: patchbot check {name_}"
        return [Finding(Status.WARN, text, type="CHECKS")]
    rows = [row for row in report["results"] if row["patch"] is None or row["commit"] in commits]
    found = [
        Finding(
            Status.FAIL,
            f"The check {row['check']} says {row['status']} of {row['patch'] or 'the series'}.",
            None,
            type="CHECKS",
        )
        for row in rows
        if row["status"] in (Status.FAIL.value, Status.ERROR.value)
    ]
    for check in session.config.checks.run:
        ran = [row["patch"] for row in rows if row["check"] == check]
        each = len([patch for patch in ran if patch])
        if not ran or 0 < each < len(commits):
            which = f"{each} of {len(commits)} patches" if ran else "no patch"
            text = f"The check {check} ran on {which} of the branch as it is: patchbot check {name_} --only {check}"
            found.append(Finding(Status.WARN, text, None, type="CHECKS"))
    return found


def add_tree(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the option --tree to a command."""
    parser.add_argument("--tree", metavar="TREE", help=f"{text} (TREE.2 and so on, where there are several)")


def subject(session: Session, base: str, items: Sequence[Item], jobs: int) -> Subject:
    """Return commits on a base in the form for the runner of checks."""
    campaign, config = session.campaign, session.campaign_config
    commits = [Commit(item.id, item.commit, item.parent, item.tree, item.subject) for item in items]
    mails = patch_mails(session.scratch, base, commits)
    return Subject(
        session.repo,
        session.scratch,
        base,
        tuple(items),
        campaign.name,
        lambda commit: campaign.witnesses(session.tree(commit)),
        mails,
        session.work,
        jobs=jobs,
        sites=lambda commit: campaign.audit(session.tree(commit), config).sites,
        decisions=config.decisions,
        tables=session.config.checks.options,
        sandbox=session.sandbox,
        wishes=campaign.wishes,
        source=identity(file_of(campaign.audit), file_of(campaign.witnesses)),
    )
