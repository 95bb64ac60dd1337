"""Compare two versions of a series patch by patch: which are the same, and git range-diff's view of the others.

The patches are paired by stable id, not by similarity, so each pair goes through `git range-diff` separately; that
also works between unrelated histories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import ToolError, UserError
from ..git.commits import read_commit
from ..git.diffs import commit_diffs, range_diff
from ..git.objects import Objects
from .matching import diffs, lost
from .record import Document, ExtraRow, PatchRow
from .trailers import Trailers, without_tags


@dataclass(frozen=True)
class Side:
    """A version of a series: {key: commit} in order, subjects and tags by key."""

    name: str
    commits: Mapping[str, str]
    subjects: Mapping[str, str]
    trailers: Trailers


@dataclass(frozen=True)
class Pair:
    """A patch of two versions; `state` is same, changed, new or gone, `what` says what changed.

    `numbers` are its places in the two, from 1; 0 if it is absent. If this clone lacks the older commit or its parent,
    `what` is unknown and `old` None.
    """

    key: str
    state: str
    what: tuple[str, ...]
    old: str | None
    new: str | None
    subject: str
    numbers: tuple[int, int] = (0, 0)


def side(name: str, document: Document, trailers: Trailers) -> Side:
    """Return a version from its record."""
    rows: dict[str, PatchRow | ExtraRow] = {row.id: row for row in document.patches}
    rows |= {row.key: row for row in document.extra or ()}
    return Side(name, {k: r.commit for k, r in rows.items()}, {k: r.subject for k, r in rows.items()}, trailers)


def compare(scratch: Objects, old: Side, new: Side) -> list[Pair]:
    """Return every patch of two versions, in the order of the newer one, with those that are gone at the end.

    An added or dropped tag is not a change of a patch. Extra commits by hand are paired by subject if their keys
    differ.
    """
    twins = paired(old, new)
    before_at = {key: n for n, key in enumerate(old.commits, 1)}
    gone_for_good = lost(scratch, list(old.commits.values()))
    every = dict.fromkeys(sha for v in (old, new) for sha in v.commits.values() if sha not in gone_for_good)
    changes = scratch.commit_changes(list(every))
    # The same files changed from the same contents to the same make the same diff, which git need not write.
    pairs = [(old.commits[before], new.commits[key]) for key, before in twins.items()]
    apart = [pair for pair in pairs if pair[0] in every and changes.get(pair[0]) != changes.get(pair[1])]
    try:
        texts = diffs(scratch, [sha for pair in apart for sha in pair])
    except (UserError, ToolError):  # files of the older version are missing
        texts = {}
        gone_for_good |= {was for was, _ in apart}
    messages = {sha: read_commit(scratch, sha).message for sha in every}
    found = []
    for number, (key, sha) in enumerate(new.commits.items(), 1):
        before = twins.get(key)
        if before is None:
            found.append(Pair(key, "new", (), None, sha, new.subjects[key], (0, number)))
            continue
        was, at = old.commits[before], (before_at[before], number)
        if was in gone_for_good:
            found.append(Pair(key, "changed", ("unknown",), None, sha, new.subjects[key], at))
            continue
        tags = (old.trailers.get(before, ()), new.trailers.get(key, ()))
        words = [without_tags(messages[commit], given)[0] for commit, given in zip((was, sha), tags, strict=True)]
        what = ["message"] if words[0] != words[1] else []
        if was in texts and texts[was].lines != texts[sha].lines:
            code = [[x for x in texts[commit].lines if x[:1] in b"+-"] for commit in (was, sha)]
            what.append("code" if code[0] != code[1] else "context")
        found.append(Pair(key, "changed" if what else "same", tuple(what), was, sha, new.subjects[key], at))
    kept = set(twins.values())
    gone = [key for key in old.commits if key not in kept]
    return found + [Pair(k, "gone", (), old.commits[k], None, old.subjects[k], (before_at[k], 0)) for k in gone]


def ahead(scratch: Objects, old: Side) -> None:
    """Have git make the diffs of a version, which compare() needs, while the other one is not there yet."""
    commits = list(old.commits.values())
    gone_for_good = lost(scratch, commits)
    with suppress(UserError, ToolError):  # compare() says what cannot be seen
        commit_diffs(scratch, [sha for sha in commits if sha not in gone_for_good])


def paired(old: Side, new: Side) -> dict[str, str]:
    """Return {key of the newer version: key of the older one}."""
    twins = {key: key for key in new.commits if key in old.commits}
    left = [k for k in old.commits if k not in twins and k.startswith("+")]
    for key in new.commits:
        like = [k for k in left if old.subjects[k] == new.subjects[key]]
        if key.startswith("+") and key not in twins and like:
            twins[key] = like[0]
            left.remove(like[0])
    return twins


def render(scratch: Objects, pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """Yield the lines of the comparison as git range-diff prints it, each with the mark for its colour."""
    for pair in pairs:
        numbers = [f"{n or '-':>3}" for n in pair.numbers]
        head = f"{numbers[0]}: {(pair.old or '-' * 12)[:12]} "
        tail = f" {numbers[1]}: {(pair.new or '-' * 12)[:12]} {pair.subject}"
        mark = {"same": "=", "changed": "!", "new": ">", "gone": "<"}[pair.state]
        yield head + mark + tail, mark
        if pair.state == "changed" and pair.old and pair.new:
            for line in range_diff(scratch, pair.old, pair.new).rstrip("\n").split("\n"):
                yield line, line[4:6].strip()[:1]
