"""Divide a series into postings: what goes to one tree at a time, a line of commits of its own on the base.

A posting holds at most as many patches as a tree takes at once, on top of what they need: patches of a step that is not
independent need those that all trees share, and whoever touches a file needs who touched it before. A patch stays in
the posting that it was in, and a name that was used for one is not used for another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from ..series.treenames import followed
from ..shapes import Sha


@dataclass(frozen=True)
class Posted:
    """A patch in a posting: its stable id, or the key of a commit by hand, and its commit there."""

    id: str
    commit: Sha
    parent: Sha


@dataclass(frozen=True)
class PostingRow:
    """A posting in series.json: `<tree>` or `<tree>.N`, its patches, how many commits that they need lie below them."""

    name: str
    target: str
    patches: tuple[Posted, ...]
    needs: int = 0

    @property
    def tip(self) -> str:
        """Return its last commit."""
        return self.patches[-1].commit

    @property
    def below(self) -> str:
        """Return the commit below its patches: the base, or the last of what they need."""
        return self.patches[0].parent


@dataclass(frozen=True)
class DoneRow:
    """A posting of which nothing is left to change on a later base, `describe`: its tree has it, or its files are gone.

    Of its sites, `names`, `sites` are in files that are there, under whatever name; `gone` files are there no more.
    """

    name: str
    target: str
    patches: int
    sites: int
    describe: str
    names: tuple[str, ...] = ()
    gone: int = 0


@dataclass(frozen=True)
class Link:
    """A commit of the whole series: what it touches, whose it is, whether other trees' patches need it or it them."""

    id: str
    target: str
    files: frozenset[str]
    independent: bool
    shared: bool


@dataclass(frozen=True)
class Line:
    """A posting to write: numbers of commits of the series that it needs, and of those that it is about, in order."""

    name: str
    target: str
    needs: tuple[int, ...]
    own: tuple[int, ...]


def branch_name(target: str) -> str:
    """Return a tree's name as a part of a branch's."""
    name = re.sub(r"\.lock\b", "-lock", re.sub(r"[^A-Za-z0-9_+.-]|\.(?=\.)", "-", target)).strip(".")
    return name or "tree"


def names_of(target: str) -> Iterator[str]:
    """Yield the names that postings of a tree can have."""
    first = branch_name(target)
    yield first
    yield from (f"{first}.{number}" for number in count(2))


def needed(links: Sequence[Link]) -> list[frozenset[int]]:
    """Return the numbers of the earlier commits that each one needs, directly or not."""
    found: list[frozenset[int]] = []
    touched: dict[str, int] = {}
    shared: list[int] = []
    for number, link in enumerate(links):
        direct = {touched[path] for path in link.files if path in touched}
        direct |= set() if link.independent else set(shared)
        found.append(frozenset(direct).union(*(found[other] for other in direct)))
        touched |= dict.fromkeys(link.files, number)
        if link.shared:
            shared.append(number)
    return found


def divide(
    links: Sequence[Link],
    most: int,
    last: Sequence[PostingRow],
    used: Collection[str],
    target: str,
    had: Mapping[tuple[str, str], str] | None = None,
) -> list[Line]:
    """Return the postings of a series, in the order of their first patches.

    `last` are those of the last draft, `used` names of earlier ones; `had` are {(file, tree): posting} of the last
    draft and of versions, where a patch goes that has another name now, or had none then. A series that one posting to
    `target`, the campaign's own tree, holds needs none.
    """
    was = {(patch.id, row.target): row.name for row in last for patch in row.patches}
    taken = {*used, *(row.name for row in last)}
    needs = needed(links)
    homes: dict[str, list[int]] = {}
    targets: dict[str, str] = {}

    def has_room(name: str, number: int) -> bool:
        """Say whether a patch may go to a posting: it is not full, and no patch of another one comes in between."""
        there = homes.get(name, ())
        return len(there) < most and between({*there, number}, needs) <= between(there, needs)

    for fresh in (False, True):
        for number, link in enumerate(links):
            name = was.get((link.id, link.target), "")
            if bool(name) is fresh:
                continue
            if fresh:
                before = Counter((had or {}).get((path, link.target), "") for path in sorted(link.files))
                likely = [n for n, _ in before.most_common() if n]
                likely += [n for n in homes if targets[n] == link.target]
                unused = (n for n in names_of(link.target) if n not in taken and n not in homes)
                name = next((n for n in likely if has_room(n, number)), "") or next(unused)
            homes.setdefault(name, []).append(number)
            targets[name] = link.target
    if len(homes) < 2 and not last and {*targets.values()} <= {target}:
        return []
    lines = []
    for name, own in sorted(homes.items(), key=lambda home: min(home[1])):
        also = between(own, needs)
        below = frozenset().union(*(needs[number] for number in own)) - also - set(own)
        lines.append(Line(name, targets[name], tuple(sorted(below)), tuple(sorted({*own, *also}))))
    return lines


def between(own: Collection[int], needs: Sequence[frozenset[int]]) -> set[int]:
    """Return the patches that some of a posting need and that need some of it themselves."""
    mine = frozenset(own)
    below = frozenset().union(*(needs[number] for number in mine)) - mine
    return {number for number in below if needs[number] & mine}


def called_now(rows: Sequence[PostingRow], links: Sequence[Link]) -> list[PostingRow]:
    """Return postings of the last draft with what their trees are called now: the patches of a posting stay in it."""
    now = {link.id: link.target for link in links}
    targets = [followed(row.target, [now[patch.id] for patch in row.patches if patch.id in now]) for row in rows]
    return [replace(row, target=target) for row, target in zip(rows, targets, strict=True)]
