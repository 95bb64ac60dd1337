"""Find out what a person did on a generated branch: compare each commit with the generated one of the same patch.

A commit that merely sits on an edited one is not edited itself: a file counts as changed by hand only if it differs
from the generated change applied to the commit below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..git.commits import Written, entries, read_commit, read_line
from ..git.diffs import diff_of
from ..git.merge import Labels, merge_file
from ..git.objects import Objects
from ..git.repo import Repo
from ..model import Commit
from .amendments import Extra, FileEdit, Handmade, PatchEdit, Rewrite
from .matching import Diff, Known, diffs, match
from .record import Document, Draft, ExtraRow, PatchRow
from .trailers import Given, Trailers, canonical, diff_id, without_tags

SIDES = Labels("on the branch", "below the generated patch", "generated")


@dataclass(frozen=True)
class Recognised:
    """A branch as it was read: the work by hand, the tags on its commits, and the stable id of each commit with one.

    `solved` are (stable id, path) of files in which a person resolved a conflict with what lies below.
    """

    handmade: Handmade
    tags: Trailers
    ids: Mapping[str, str]
    solved: frozenset[tuple[str, str]] = frozenset()

    def known(self, repo: Repo, draft: Draft, commits: Sequence[Commit]) -> list[PatchRow | None]:
        """Return the row that the record would have for each commit of the branch; None for a commit by hand."""
        rows = [draft.document.row(self.ids.get(c.sha, "")) for c in commits]
        return changed_rows(repo, rows, commits)

    def document(self, draft: Draft, commits: Sequence[Commit], rows: Sequence[PatchRow | None]) -> Document:
        """Return the record of the branch with these commits, of which `rows` are the patches."""
        own = [c for c, row in zip(commits, rows, strict=True) if row is None]
        extra = tuple(ExtraRow(c.sha, e.key, c.subject) for c, e in zip(own, self.handmade.extras, strict=True))
        patches = tuple(row for row in rows if row)
        return replace(draft.document, patches=patches, generated=draft.generated, extra=extra)


def recognise(
    repo: Repo, draft: Draft, tip: str, chosen: Mapping[str, str] | None = None, start: str = ""
) -> Recognised:
    """Return what a person changed on the branch that is at `tip` now; raise UserError if that is ambiguous.

    `start` is what the branch is on, if that is not the draft's base any more.
    """
    if tip == draft.tip and not chosen:
        return Recognised(draft.handmade, draft.trailers, {sha: id_ for id_, sha in draft.commits.items()})
    branch = read_line(repo, start or draft.base, tip)
    ids = identify(repo, draft, branch, chosen)
    generated = {p.id: p.commit for p in draft.generated}
    recorded = {e.commit: e.key for e in draft.document.extra or ()}
    keys = {w.sha: ids.get(w.sha) or recorded.get(w.sha, f"+{w.sha[:12]}") for w in branch}
    pairs = [(w, generated[ids[w.sha]]) for w in branch if w.sha in ids and generated[ids[w.sha]] != w.sha]
    texts = diffs(repo, list(dict.fromkeys(sha for w, g in pairs for sha in (w.sha, g))))
    patches: dict[str, PatchEdit] = {}
    tags: dict[str, tuple[Given, ...]] = {}
    solved: set[tuple[str, str]] = set()
    for commit, sha in pairs:
        id_ = ids[commit.sha]
        known = draft.trailers.get(id_, [])
        message, lines = without_tags(commit.message, known)
        tags[id_] = kept_tags(repo, commit, known, lines, draft.version)
        edit, conflicts = patch_edit(repo, id_, commit, message, sha, texts)
        solved |= {(id_, path) for path in conflicts}
        if edit.kinds:
            patches[id_] = edit
    extras = tuple(extra_commit(repo, w, keys[w.sha]) for w in branch if w.sha not in ids)
    made = by_hand(draft, patches, extras, tuple(keys[w.sha] for w in branch))
    tags |= {id_: tuple(given) for id_, given in draft.trailers.items() if id_ not in ids.values()}
    return Recognised(made, {i: t for i, t in tags.items() if t}, ids, frozenset(solved))


def by_hand(draft: Draft, patches: dict[str, PatchEdit], extras: tuple[Extra, ...], order: tuple[str, ...]) -> Handmade:
    """Return the work by hand on a branch in this order, and the edits that wait for a patch to be generated again."""
    generated = [p.id for p in draft.generated]
    there = [i for i in order if i in generated]
    dropped = {i for i in generated if i not in there} | {i for i in draft.handmade.dropped if i not in generated}
    parked = {i: e for i, e in draft.handmade.patches.items() if i not in generated}
    reordered = there != [i for i in generated if i in there]
    return Handmade({**parked, **patches}, extras, tuple(sorted(dropped)), order, reordered)


def identify(
    repo: Repo, draft: Draft, branch: Sequence[Written], chosen: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return {commit: stable id} of those commits of a branch that are patches of the draft."""
    known = dict.fromkeys(Known(p.id, p.commit, p.subject) for p in (*draft.patches, *draft.generated))
    own = {e.commit for e in draft.document.extra or ()} - set(chosen or {})
    rest = [(w.sha, w.subject) for w in branch if w.sha not in own]
    return match(list(known), rest, repo, chosen)


def kept_tags(
    repo: Repo, commit: Written, known: Sequence[Given], lines: Sequence[str], version: int
) -> tuple[Given, ...]:
    """Return the tags of a commit: those of patchbot that are still there, and those that a person added."""
    lines = [canonical(line) for line in lines]
    spelled = [replace(given, trailer=canonical(given.trailer)) for given in known]
    kept = [given for given in spelled if given.trailer in lines]
    new = [line for line in lines if line not in {given.trailer for given in spelled}]
    digest = diff_id(diff_of(repo, commit.parent, commit.sha)) if new else ""
    return (*kept, *(Given(line, "", version, digest) for line in new))


def patch_edit(
    repo: Repo, id_: str, commit: Written, message: str, generated: str, texts: Mapping[str, Diff]
) -> tuple[PatchEdit, list[str]]:
    """Return how a commit differs from the generated one, and the files in which a person resolved a conflict."""
    before = read_commit(repo, generated)
    rewrite = Rewrite(before.message, message) if message != before.message else None
    author = commit.author if commit.author != before.author else None
    files, solved = ([], []) if texts[commit.sha] == texts[generated] else code_edits(repo, commit, before)
    return PatchEdit(id_, rewrite, tuple(files), author), solved


def code_edits(repo: Repo, commit: Written, generated: Written) -> tuple[list[FileEdit], list[str]]:
    """Return the files of a commit that differ from the generated change applied to the commit below it.

    Second come those of them in which the two contradict, so that a person solved it.
    """
    paths = sorted({path for c in (commit, generated) for path in repo.changed_paths(c.parent, c.sha)})
    old, new = entries(repo, generated.parent, paths), entries(repo, generated.sha, paths)
    below, there = entries(repo, commit.parent, paths), entries(repo, commit.sha, paths)
    found, solved = [], []
    for path in paths:
        merged = merge_file(old[path], below[path], new[path], SIDES)
        expected = new[path] if merged.conflict else merged.entry
        # A conflict was resolved by hand, even if the result is the generated file.
        if merged.conflict or expected != there[path]:
            found.append(FileEdit(path, expected, there[path]))
        if merged.conflict:
            solved.append(path)
    return found, solved


def extra_commit(repo: Repo, commit: Written, key: str) -> Extra:
    """Return a commit by hand as data."""
    paths = repo.changed_paths(commit.parent, commit.sha)
    before, after = entries(repo, commit.parent, paths), entries(repo, commit.sha, paths)
    files = tuple(FileEdit(path, before[path], after[path]) for path in paths)
    return Extra(key, commit.message, commit.author, commit.date, files)


def changed_rows(objects: Objects, rows: Iterable[PatchRow | None], commits: Sequence[Commit]) -> list[PatchRow | None]:
    """Return the rows of patches in commits that may differ from the generated ones."""
    pairs = list(zip(rows, commits, strict=True))
    changes = objects.commit_changes([c.sha for row, c in pairs if row and row.commit != c.sha])

    def moved(row: PatchRow, commit: Commit) -> PatchRow:
        files = tuple(sorted(changes.get(commit.sha, {})))
        return replace(row, commit=commit.sha, parent=commit.parent, subject=commit.subject, files=files)

    return [row if row is None or row.commit == c.sha else moved(row, c) for row, c in pairs]
