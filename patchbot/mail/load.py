"""Count how many mails each person would get of a series that does not exist yet.

get_maintainer.pl, which has the last word, takes half a second a patch; this reads MAINTAINERS as it does, changed
lines for K: included, and what corrects its answers for the mails corrects these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from ..foreign import extended
from ..model import Patch
from ..series.maintainers import Section, Sections, catches_all, ranked, regex, sections, strangers
from ..series.tree import Tree
from .recipients import Recipient, Recipients, once, recipient_of

IGNORED = ".get_maintainer.ignore"
#: Corrects who gets a patch that touches some paths.
Correct = Callable[[Recipients, Sequence[str]], Recipients]


@dataclass(frozen=True)
class Load:
    """How many mails there are, how many people get any, and how many of them: the median, and who gets the most."""

    mails: int
    people: int
    median: float
    most: int
    busiest: str


def load(tree: Tree, postings: Iterable[tuple[Correct, Sequence[Patch]]]) -> Load:
    """Return the load of some postings; of several patches, each has a cover letter, which all its people get."""
    entries = sections(tree.get("MAINTAINERS") or b"")
    ignored = {*(tree.get(IGNORED) or b"").decode("utf-8", "replace").lower().split()}
    count: Counter[str] = Counter()
    mails = 0
    for correct, patches in postings:
        rows = []
        for patch in patches:
            who = correct(Recipients(people(entries, tree, patch, ignored)), [*patch.files])
            rows.append({person.email.lower() for person in who.everyone})
        rows += [set().union(*rows)] if len(rows) > 1 else []
        mails += len(rows)
        for names in rows:
            count.update(names)
    busiest = min(count, key=lambda name: (-count[name], name), default="")
    return Load(mails, len(count), median(count.values()) if count else 0, count[busiest], busiest)


def people(entries: Sections, tree: Tree, patch: Patch, ignored: set[str]) -> tuple[Recipient, ...]:
    """Return those who maintain or review any file of a patch by F: and N:, or its changed lines by K:."""
    found: dict[Section, str] = {}
    for path in patch.files:
        odd = strangers(entries, path)
        for _, section in ranked(entries, path):
            if section not in odd and not any(map(catches_all, section.files)):
                found[section] = ""
    lines = changed(tree, patch)
    for section in entries:
        if (
            section.keywords
            and section not in found
            and any(regex(extended(k)).within(lines) for k in section.keywords)
        ):
            found[section] = ":Keyword:"
    rows = [
        recipient_of(f"{who} ({role}:{section.name}{end})")
        for section, end in found.items()
        for role, names in (("maintainer", section.maintainers), ("reviewer", section.reviewers))
        for who in names
    ]
    return tuple(once(row for row in rows if row and row.email.lower() not in ignored).values())


def changed(tree: Tree, patch: Patch) -> str:
    """Return the lines that a patch takes away or adds."""
    found: list[bytes] = []
    for path, entry in patch.files.items():
        texts = [{*(data or b"").split(b"\n")} for data in (tree.get(path), entry and entry.data)]
        found += sorted(texts[0] ^ texts[1])
    return b"\n".join(found).decode("latin-1")
