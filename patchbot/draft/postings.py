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
    homes: dict[str, list[int]] = {}
    targets: dict[str, str] = {}
    for fresh in (False, True):
        for number, link in enumerate(links):
            known = was.get((link.id, link.target))
            if (known is None) is not fresh:
                continue
            before = Counter((had or {}).get((path, link.target), "") for path in sorted(link.files))
            name = known or next((n for n, _ in before.most_common() if n and len(homes.get(n, ())) < most), "")
            name = name or room(link.target, homes, targets, most, {*used, *(row.name for row in last)})
            homes.setdefault(name, []).append(number)
            targets[name] = link.target
    if len(homes) < 2 and not last and {*targets.values()} <= {target}:
        return []
    needs = needed(links)
    lines = []
    for name, own in sorted(homes.items(), key=lambda home: min(home[1])):
        below = frozenset().union(*(needs[number] for number in own)) - set(own)
        between = {number for number in below if needs[number] & set(own)}
        lines.append(Line(name, targets[name], tuple(sorted(below - between)), tuple(sorted({*own, *between}))))
    return lines


def called_now(rows: Sequence[PostingRow], links: Sequence[Link]) -> list[PostingRow]:
    """Return postings of the last draft with what their trees are called now: the patches of a posting stay in it."""
    now = {link.id: link.target for link in links}
    targets = [followed(row.target, [now[patch.id] for patch in row.patches if patch.id in now]) for row in rows]
    return [replace(row, target=target) for row, target in zip(rows, targets, strict=True)]


def room(
    target: str, homes: Mapping[str, Sequence[int]], targets: Mapping[str, str], most: int, used: Collection[str]
) -> str:
    """Return the posting of a tree that has room for a patch more, a new one if none has."""
    open_ = [name for name, there in homes.items() if targets[name] == target and len(there) < most]
    return open_[0] if open_ else next(name for name in names_of(target) if name not in used and name not in homes)
