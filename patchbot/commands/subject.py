"""What the commands that look at a range of commits have in common: which range, and how checks get it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from ..checking.check import Subject, items
from ..checking.store import Results
from ..draft.range import Range
from ..draft.range import select as select_range
from ..git.formatpatch import patch_mails
from ..identity import file_of, identity
from ..progress import bound
from .session import Session


def select(session: Session, what: str | None) -> Range:
    """Return the range that CAMPAIGN or REV..REV names; without either, the only campaign's draft."""
    return select_range(session.repo, session.config, what, session.say)


def report_of(session: Session, name: str, tip: str) -> dict[str, Any] | None:
    """Return the recorded report of the checks of a campaign's tip, None if there is none."""
    with closing(Results(session.work / "results.sqlite")) as store:
        return store.recall(f"report {name} {tip}")


def subject(session: Session, series: Range, jobs: int) -> Subject:
    """Return a range as the runner of checks takes it."""
    campaign, config = session.campaign, session.campaign_config

    mails = patch_mails(session.scratch, series.base, series.commits)
    return Subject(
        session.repo,
        session.scratch,
        series.base,
        items(session.repo, series),
        campaign.name,
        lambda commit: campaign.witnesses(session.tree(commit)),
        mails,
        session.work,
        jobs=jobs,
        progress=bound(),
        sites=lambda commit: campaign.audit(session.tree(commit), config).sites,
        decisions=config.decisions,
        tables=session.config.checks.options,
        sandbox=session.sandbox,
        wishes=campaign.wishes,
        source=identity(file_of(campaign.audit), file_of(campaign.witnesses)),
    )
