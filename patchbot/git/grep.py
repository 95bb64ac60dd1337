"""Remember which files of a tree hold which words: a search of a whole kernel takes 5 s, a look-up 0.05 s.

The key is the tree's id and the question, never a name or a date. For a tree that was not searched yet, the answer for
the last tree is the start: only the files that git diff-tree lists are searched again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import UserError
from ..progress import tick
from ..store import Store
from .repo import Repo

#: If more files than this differ, a search of the whole tree is cheaper than reading them.
MOST_CHANGED = 20_000
#: How many trees are kept that the next answer may start from.
NEAR = 4


class GrepCache:
    """Answers of `Repo.grep` of one repository, kept in a file; without the file it is slower, never wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def grep(
        self, repo: Repo, commit: str, needles: Sequence[str], pathspecs: Sequence[str], *, word: bool
    ) -> list[str]:
        """Return the same as `repo.grep`."""
        tree = repo.tree_of(commit)
        question = json.dumps([sorted(needles), list(pathspecs), word])
        try:
            with Store(self.path) as store:
                found = store.get(f"{tree} {question}", list[str])
                if found is None:
                    latest = store.get(f"latest {question}", list[str]) or []
                    near = {t: store.get(f"{t} {question}", list[str]) for t in latest}
                    found = derived(repo, tree, near, needles, pathspecs, word=word)
                    if found is None:
                        tick("searching the whole tree")
                        found = repo.grep(commit, needles, pathspecs, word=word)
                    store.put(f"{tree} {question}", found)
                    store.put(f"latest {question}", [tree, *(t for t in latest if t != tree)][:NEAR])
                return found
        except UserError:  # of the store; an error of the repository will come up again
            return repo.grep(commit, needles, pathspecs, word=word)


def derived(
    repo: Repo,
    tree: str,
    near: Mapping[str, list[str] | None],
    needles: Sequence[str],
    pathspecs: Sequence[str],
    *,
    word: bool,
) -> list[str] | None:
    """Return the answer derived from that of another tree, {tree: answer}; None if no tree is close enough."""
    for other, paths in near.items():
        if paths is None or not repo.has(f"{other}^{{tree}}"):
            continue
        changed = {path: change.blob for path, change in repo.changes(other, tree, pathspecs).items()}
        if len(changed) > MOST_CHANGED:
            continue
        holding = search(repo, [oid for oid in changed.values() if oid], needles, word=word)
        return sorted({*paths} - {*changed} | {path for path, oid in changed.items() if oid in holding})
    return None


def search(repo: Repo, oids: Sequence[str], needles: Sequence[str], *, word: bool) -> set[str]:
    """Return those blobs that hold any of `needles`; they are unpacked on all processors."""
    count = min(os.cpu_count() or 1, 4)
    size = len(oids) // count + 1

    def look(part: Sequence[str]) -> set[str]:
        return {oid for oid, text in repo.blobs(part) if holds(text, needles, word=word)}

    with ThreadPoolExecutor(count) as pool:
        return set().union(*pool.map(look, (oids[at : at + size] for at in range(0, len(oids), size))))


def holds(text: bytes, needles: Sequence[str], *, word: bool) -> bool:
    """Say whether `git grep -a -F`, with `word` `-w`, finds any of `needles` in a file."""
    found = [needle for needle in (n.encode() for n in needles) if needle in text]
    return any(not word or re.search(rb"(?<!\w)" + re.escape(needle) + rb"(?!\w)", text) for needle in found)
