"""Tags on a branch: taken out of the messages to compare those, decided about on a new base, put back at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..git.diffs import diff_of
from ..git.repo import Repo, Scratch
from ..model import Commit
from .matching import lost
from .trailers import (
    Given,
    Trailers,
    apply_to_message,
    diff_id,
    list_dropped,
    measure,
    put_together,
    survives,
    take_apart,
)

#: What says that a person looked at this very patch, and so may not outlive a change of it.
JUDGEMENTS = re.compile(r"(?:Reviewed|Acked|Tested)-by: \S.*", re.I)


@dataclass(frozen=True)
class Dropped:
    """A tag that is not carried on, and why."""

    patch: str
    trailer: str
    reason: str


@dataclass(frozen=True)
class Decided:
    """The tags that hold for the new patches, and those that do not."""

    kept: Trailers
    dropped: tuple[Dropped, ...]


def percentage(text: str) -> float:
    """Return how much of a diff may change before its tags are dropped; raise ValueError for no percentage."""
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError(text)
    return value


def without_tags(message: str, known: Sequence[Given]) -> tuple[str, list[str]]:
    """Return a message without the tags `known`, judgements and notes on dropped tags; and the tags taken out."""
    text, rows, below = take_apart(message)
    lines = [given.trailer for given in known]
    taken = [row for row in rows if row in lines or JUDGEMENTS.fullmatch(row)]
    notes = [line for line in below.split("\n") if line.startswith("Dropped: ")]
    if not taken and not notes:
        return message, []
    kept = [row for row in rows if row not in taken]
    rest = "\n".join(line for line in below.split("\n") if line not in notes)
    rest = "" if rest.strip() == "---" else rest
    return put_together(text, kept, rest), taken


def decide(
    tags: Trailers, old: Mapping[str, str], repo: Repo, new: Sequence[Commit], scratch: Scratch, threshold: float
) -> Decided:
    """Say which tags hold: `old` is {stable id: the commit that was tagged}, `new` are the commits of the branch."""
    kept: dict[str, tuple[Given, ...]] = {}
    dropped: list[Dropped] = []
    commits = {c.id: c for c in new}
    unseen = lost(repo, list(old.values()))
    for id_, given in sorted(tags.items()):
        if id_ not in commits:
            dropped += [Dropped(id_, g.trailer, "the patch is gone") for g in given]
            continue
        lines = diff_of(scratch, commits[id_].parent, commits[id_].sha)
        before = diff_of(repo, f"{old[id_]}^", old[id_]) if id_ in old and old[id_] not in unseen else None
        rows = []
        for tag in given:
            ours = tag.patch_id in (diff_id(before or ()), "") and before is not None
            known = diff_id(before) if ours and before is not None else tag.patch_id
            cost = measure(before, lines) if ours and before is not None else None
            verdict = survives(known, diff_id(lines), cost, threshold)
            if verdict.kept:
                rows.append(tag)
            else:
                dropped.append(Dropped(id_, tag.trailer, verdict.reason))
        kept[id_] = tuple(rows)
    return Decided({i: rows for i, rows in kept.items() if rows}, tuple(dropped))


def dress(message: str, given: Sequence[Given], dropped: Sequence[Dropped]) -> str:
    """Return a commit message with its tags, and below `---` those that do not hold any more."""
    return list_dropped(apply_to_message(message, given), [(d.trailer, d.reason) for d in dropped])
