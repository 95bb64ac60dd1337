"""Remember which files of a tree hold which words, because a search of a whole kernel takes 5 s and a look 0.05 s.

The key is the tree's id and the question, never a name or a date. For a tree that was not searched yet, the last
tree with the same question serves: what git diff-tree says is different is searched again, the rest is taken over.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from .git import Repo

#: Where more files than this differ, a search of the whole tree is cheaper than reading them.
MOST_CHANGED = 20_000


class GrepCache:
    """Answers of `Repo.grep`, kept in an SQLite file; a file that cannot be used is only slower, never wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def grep(
        self, repo: Repo, commit: str, needles: Sequence[str], pathspecs: Sequence[str], *, word: bool
    ) -> list[str]:
        """Return the same as `repo.grep`."""
        tree = repo.tree_of(commit)
        question = json.dumps([sorted(needles), list(pathspecs), word])
        try:
            with closing(self.open()) as db:
                row = db.execute("SELECT paths FROM grep WHERE tree = ? AND question = ?", (tree, question)).fetchone()
                if row:
                    return list(json.loads(row[0]))
                found = self.incremental(db, repo, tree, question, needles, pathspecs, word)
                if found is None:
                    found = repo.grep(commit, needles, pathspecs, word=word)
                with db:
                    db.execute(
                        "INSERT OR REPLACE INTO grep VALUES (?, ?, ?, datetime())",
                        (tree, question, json.dumps(found)),
                    )
                return found
        except sqlite3.Error:
            return repo.grep(commit, needles, pathspecs, word=word)

    def open(self) -> sqlite3.Connection:
        """Open the file, make its table if it is new."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10)
        db.execute("CREATE TABLE IF NOT EXISTS grep (tree, question, paths, at, PRIMARY KEY (tree, question))")
        return db

    def incremental(
        self,
        db: sqlite3.Connection,
        repo: Repo,
        tree: str,
        question: str,
        needles: Sequence[str],
        pathspecs: Sequence[str],
        word: bool,
    ) -> list[str] | None:
        """Return the answer derived from the latest one for another tree, None where none can serve."""
        rows = db.execute(
            "SELECT tree, paths FROM grep WHERE question = ? ORDER BY at DESC, rowid DESC LIMIT 4",
            (question,),
        )
        for other, paths in rows.fetchall():
            if repo.look("cat-file", "-e", f"{other}^{{tree}}", check=False).returncode:
                continue
            changed = repo.changed_blobs(other, tree, pathspecs)
            if len(changed) > MOST_CHANGED:
                continue
            found = set(json.loads(paths)) - set(changed)
            holding = search(repo, [oid for oid in changed.values() if oid], needles, word=word)
            found |= {path for path, oid in changed.items() if oid in holding}
            return sorted(found)
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
