"""Say what a series is about to ask of whom, as a table: tree, owner, prefix, and how many patches, files and sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model import Patch
from . import maintainers
from .prefixes import start_of
from .splits import NOBODY
from .tree import Tree


@dataclass(frozen=True)
class Row:
    """The patches of one tree, owner (the section of MAINTAINERS that has most of the files) and prefix."""

    target: str
    owner: str
    prefix: str
    patches: int
    files: int
    sites: int


def plan(tree: Tree, patches: Sequence[Patch], prefixes: Mapping[str, str]) -> list[Row]:
    """Return the table of a series on `tree`, in its order; `prefixes` are {patch: prefix} where these are known."""
    entries = maintainers.sections(tree.get("MAINTAINERS") or b"")
    groups: dict[tuple[str, str, str], list[Patch]] = {}
    for patch in patches:
        owners = Counter(next(iter(maintainers.owners(entries, path)), NOBODY) for path in patch.files)
        first, *more = (owner for owner, _ in owners.most_common())
        owner = f"{first} and {len(more)} more" if more else first
        prefix = prefixes.get(patch.id) or start_of(patch.subject)
        groups.setdefault((patch.target, owner, prefix), []).append(patch)
    return [
        Row(
            *key,
            patches=len(rows),
            files=len({path for patch in rows for path in patch.files}),
            sites=sum(len(patch.sites) for patch in rows),
        )
        for key, rows in groups.items()
    ]
