"""Compare what a base has with what the patches of a draft would have made of it: a tree may take another form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..git.repo import Repo
from .record import PatchRow


@dataclass(frozen=True)
class OtherForm:
    """A file of a patch that is not needed any more: of the `lines` that it adds, the base lacks `missing`.

    `first` is the first of these; a base without the file (`gone`) lacks all.
    """

    patch: str
    subject: str
    file: str
    lines: int
    missing: int
    first: str
    gone: bool


def other_forms(repo: Repo, rows: Iterable[PatchRow], base: str) -> Iterator[OtherForm]:
    """Yield the files of some patches in which a base has not all lines that the patches add, wherever they are."""
    for row in rows:
        for path in row.files:
            now = repo.read(base, path)
            before, after = ((repo.read(commit, path) or b"").splitlines() for commit in (row.parent, row.commit))
            added = Counter(after) - Counter(before)
            missing = added - Counter((now or b"").splitlines())
            if missing:
                first = next(line for line in after if line in missing).decode("utf-8", "replace").strip()
                yield OtherForm(row.id, row.subject, path, added.total(), missing.total(), first, now is None)
