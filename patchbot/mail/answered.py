"""Find which patches of the draft a mail answers, and whether they are still what was posted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..draft.trailers import Verdict, diff_id, measure, survives
from .threads import Answer, Thread, Title

NO_PATCH = "the draft has no patch "


@dataclass(frozen=True)
class DraftPatch:
    """A patch of the draft or of an earlier version: stable id, subject, what it changes (see trailers.diff_of)."""

    id: str
    subject: str
    diff: tuple[bytes, ...]


@dataclass(frozen=True)
class Drafted:
    """What replies are matched with: the draft, the part posted first, the cover's title, versions, its tree.

    `parts` are (tree, version, ids) of postings, now and as they were frozen; with any, a cover is that of one of them.
    `titles` are those that a person gave to covers.
    """

    patches: tuple[DraftPatch, ...]
    posted: tuple[str, ...]
    title: str
    versions: Mapping[int, tuple[DraftPatch, ...]] = field(default_factory=dict)
    target: str = ""
    parts: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    titles: tuple[str, ...] = ()

    def order(self, title: Title) -> list[str]:
        """Return the ids of the patches that a cover is for, as far as that is known without their mails."""
        if not self.parts:
            version = self.versions.get(title.version)
            return [*self.posted] if version is None else [p.id for p in version][: title.total or None]
        fits = {
            ids
            for target, version, ids in self.parts
            if version == title.version and len(ids) == title.total and (target in title.words or not target)
        }
        return [*fits.pop()] if len(fits) == 1 else []

    def is_cover(self, title: Title) -> bool:
        """Say whether a mail is about a cover letter of the series: some add to its title what they are about."""
        known = [fold(name) for name in (self.title, *self.titles) if name]
        return fold(title.summary).startswith(tuple(known))


@dataclass(frozen=True)
class Found:
    """A patch of the draft that a mail answers: its number, the version, and whether it is the same patch."""

    number: int | None
    patch: DraftPatch
    version: int
    verdict: Verdict


def patches_answered(thread: Thread, answer: Answer, drafted: Drafted, threshold: float) -> tuple[list[Found], str]:
    """Return the patches of the draft that a mail answers, and why some or all are missing."""
    title = answer.title
    if answer.problem:
        return [], answer.problem
    if title.older_tree and title.older_tree != drafted.target:
        return [], f"it is about the patch for another tree, {title.older_tree}"
    if title.number == 0:
        return patches_of_cover(thread, answer, drafted, threshold)
    patch = find_patch(title, drafted)
    if isinstance(patch, str):
        return [], patch
    return [Found(title.number, patch, title.version, compare(answer, patch, drafted, threshold))], ""


def patches_of_cover(thread: Thread, answer: Answer, drafted: Drafted, threshold: float) -> tuple[list[Found], str]:
    """Return all patches that were posted with a cover, and why some are missing; none if it is another series."""
    title = answer.title
    mails = thread.posted.get((answer.opener.id, title.version), {}) if answer.opener else {}
    posted = {number: find_patch(mail.title, drafted) for number, mail in sorted(mails.items())}
    gone = [repr(mails[number].title.summary) for number, patch in posted.items() if isinstance(patch, str)]
    if len(gone) == len(posted) and not drafted.is_cover(title):
        return [], f"the cover {title.summary!r} is not that of this series"
    order = drafted.order(title)
    draft = {p.id: p for p in drafted.patches}
    total = title.total or 0
    if len(mails) < total and len(order) != total:
        here = f"{len(mails)} of them are here, and the draft has {len(order)}"
        return [], f"the cover is for {total} patches, {here}"
    places = dict(enumerate(order, 1))
    found = []
    for number in range(1, total + 1):
        patch = posted.get(number) or draft.get(places.get(number, ""))
        if isinstance(patch, DraftPatch):
            verdict = compare(Answer(title, mails.get(number)), patch, drafted, threshold)
            found.append(Found(number, patch, title.version, verdict))
    return found, f"not for {', '.join(gone[:5])}: the draft has no such patch" if gone else ""


def find_patch(title: Title, drafted: Drafted) -> DraftPatch | str:
    """Return the draft's patch that a posted patch has become, or why there is none, or more than one."""
    draft = {p.id: p for p in drafted.patches}
    for pool in (drafted.versions.get(title.version, ()), drafted.patches):
        found = [n for n, p in enumerate(pool) if fold(read_summary(p.subject)) == fold(title.summary)]
        if len(found) > 1 and title.number and title.number - 1 in found:
            found = [title.number - 1]
        if len(found) > 1:
            return f"{len(found)} patches are called {title.summary!r}"
        if found:
            return draft.get(pool[found[0]].id) or f"the draft no longer has {title.summary!r}"
    return f"{NO_PATCH}{title.summary!r}"


def compare(answer: Answer, patch: DraftPatch, drafted: Drafted, threshold: float) -> Verdict:
    """Say whether the answered patch is that of the draft.

    The posted mail tells, or the frozen version; without either, the subject must do.
    """
    version = drafted.versions.get(answer.title.version, ())
    seen = [p.diff for p in version if p.id == patch.id and p.diff]
    seen += [answer.opener.diff] if answer.opener and answer.opener.diff else []
    if not seen:
        return Verdict(True, f"by the subject alone: v{answer.title.version} is not here")
    new = diff_id(patch.diff)
    if any(diff_id(diff) == new for diff in seen):
        return Verdict(True, "")
    cost, nearest = min(((measure(diff, patch.diff), diff) for diff in seen), key=lambda row: row[0])
    return survives(diff_id(nearest), new, cost, threshold)


def read_summary(subject: str) -> str:
    """Return a commit's subject as it looks after git put it into a mail and out again."""
    return re.sub(r"^(?:\[[^\]]*\]\s*|re:\s*)+", "", subject, flags=re.I)


def fold(text: str) -> str:
    """Return text with its white space folded."""
    return " ".join(text.split())
