"""Count how many mails each person would get of a series that does not exist yet.

get_maintainer.pl, which has the last word, takes half a second a patch; this reads MAINTAINERS as it does, but for what
it knows from the text of a patch (K:).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ..model import Patch
from ..series.maintainers import Sections, catches_all, ranked, strangers
from .recipients import recipient_of


@dataclass(frozen=True)
class Load:
    """How many mails there are, how many people get any, and how many of them: the median, and who gets the most."""

    mails: int
    people: int
    median: float
    most: int
    busiest: str


def load(entries: Sections, postings: Iterable[Sequence[Patch]]) -> Load:
    """Return the load of some postings; of several patches, each has a cover letter, which all its people get."""
    count: Counter[str] = Counter()
    mails = 0
    for patches in postings:
        rows = [people(entries, patch.files) for patch in patches]
        rows += [set().union(*rows)] if len(rows) > 1 else []
        mails += len(rows)
        for names in rows:
            count.update(names)
    busiest = min(count, key=lambda name: (-count[name], name), default="")
    return Load(mails, len(count), median(count.values()) if count else 0, count[busiest], busiest)


def people(entries: Sections, paths: Iterable[str]) -> set[str]:
    """Return the addresses of those who maintain or review any of some files, by F: and N: of their sections."""
    found = set()
    for path in paths:
        odd = strangers(entries, path)
        for _, section in ranked(entries, path):
            if section in odd or any(map(catches_all, section.files)):
                continue
            rows = map(recipient_of, (*section.maintainers, *section.reviewers))
            found |= {row.email.lower() for row in rows if row}
    return found
