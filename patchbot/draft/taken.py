"""Compare what a base has with what the patches of a draft would have made of it: what is taken, and in which form.

A site whose name is gone need not be taken: a function or a file may have another name now, or the file is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..git.objects import Objects
from ..git.repo import Repo
from .postings import DoneRow, PostingRow
from .record import Document, PatchRow


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


@dataclass(frozen=True)
class There:
    """What a later base, `describe`, has of a draft: its sites, {site: file} of those that are left to change.

    `moved` are {file that a patch edits: its new name}, `gone` those that are there under no name.
    """

    describe: str
    left: Mapping[str, str]
    moved: Mapping[str, str]
    gone: frozenset[str]

    def of(self, document: Document, rows: Iterable[PatchRow]) -> set[str]:
        """Return the sites that are left to some patches of the draft: their own, and new ones in their files."""
        rows = list(rows)
        own = {site for row in rows for site in row.sites}
        files = {self.moved.get(path, path) for row in rows for path in row.files}
        return {n for n, file in self.left.items() if n in own or (file in files and n not in document.sites)}

    def sites_there(self, document: Document, rows: Iterable[PatchRow]) -> int:
        """Return how many sites of some patches are in files that are there."""
        places = [document.sites.get(site, ("", ""))[1] for row in rows for site in row.sites]
        return sum(file_of(place) not in self.gone for place in places)

    def gone_of(self, rows: Iterable[PatchRow]) -> int:
        """Return how many files of some patches are gone."""
        return len(self.gone.intersection(path for row in rows for path in row.files))


def there(objects: Objects, document: Document, base: str, sites: Mapping[str, Sequence[str]], describe: str) -> There:
    """Return what `base`, whose sites are {site: (fate, file:line)}, has of a draft.

    git looks for moves only among the files that went and those with sites that the draft has not.
    """
    left = {name: file_of(place) for name, (fate, place) in sites.items() if fate != "keep"}
    if base == document.base:
        return There(describe, left, {}, frozenset())
    rows = rows_of(document)
    changes = objects.commit_changes([row.commit for row in rows])
    edited = {path for files in changes.values() for path, change in files.items() if change.status not in "AD"}
    known = objects.things(f"{base}:{path}" for path in sorted(edited))
    went = {path for path in edited if known.get(f"{base}:{path}", True) is None}
    fresh = set(left.values()) - {file_of(place) for _, place in document.sites.values()}
    look = went and fresh and objects.has(f"{document.base}^{{tree}}")
    moved = objects.moves(document.base, base, went, fresh) if look else {}
    return There(describe, left, moved, frozenset(went - moved.keys()))


def file_of(place: str) -> str:
    """Return the file of file:line."""
    file, _, line = place.rpartition(":")
    return file if line.isdigit() else place


def rows_of(document: Document, posting: PostingRow | None = None) -> list[PatchRow]:
    """Return the patches of a posting, or of a whole draft."""
    if posting is None:
        return list(document.patches)
    return [row for patch in posting.patches if (row := document.row(patch.id))]


def taken(document: Document, found: There, patches: Collection[str]) -> list[DoneRow]:
    """Return the postings of a draft of which a base has all: no site to change, none of `patches` left."""
    done = []
    for posting in document.postings or ():
        rows = rows_of(document, posting)
        if not found.of(document, rows) and {patch.id for patch in posting.patches}.isdisjoint(patches):
            own = tuple(sorted({site for row in rows for site in row.sites}))
            about = (posting.name, posting.target, len(posting.patches), found.sites_there(document, rows))
            done.append(DoneRow(*about, found.describe, own, found.gone_of(rows)))
    return done


def still_done(document: Document, last: Document) -> list[DoneRow]:
    """Return what was done before, but for postings of which this base lacks a site: it is another, or reverted it."""
    left = {name for name, (fate, _) in document.sites.items() if fate != "keep"}
    return [row for row in last.done or () if left.isdisjoint(row.names)]


def homes_of(document: Document, found: There) -> dict[tuple[str, str], str]:
    """Return {(file, by its name on the later base; tree): the posting of a draft that has it}."""
    homes: dict[tuple[str, str], str] = {}
    for posting in document.postings or ():
        for path in (path for row in rows_of(document, posting) for path in row.files):
            homes.setdefault((found.moved.get(path, path), posting.target), posting.name)
    return homes
