"""Put the work by hand back on a generated series: compose the commits of the new branch in memory.

Each generated change, each edit and each extra commit is merged into what lies below it, file by file. If nothing was
done by hand, the result is the generated series itself, commit for commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UserError
from ..git.commits import entries
from ..git.fastimport import NewCommit
from ..git.merge import Labels, merge_file
from ..git.repo import Repo
from ..model import REGULAR, Entry, Identity, Patch, Series
from .amendments import Extra, FileEdit, Handmade, PatchEdit, Rewrite, insert
from .record import plain_commits

EDIT = Labels("generated now", "generated before", "edited by hand")
MOVE = Labels("on the branch below", "below the generated patch", "generated now")
CARRY = Labels("on the branch below", "below the commit by hand", "commit by hand")


@dataclass(frozen=True)
class Conflict:
    """A file (`path` "" is the message) of one commit that cannot be merged; `data` holds both sides between markers.

    `digest` stands for the three sides, so a resolution fits only the very same conflict.
    """

    key: str
    subject: str
    path: str
    data: bytes
    digest: str
    mode: str = REGULAR


class Conflicts(UserError):
    """One commit's edits contradict what is generated now."""

    def __init__(self, found: Sequence[Conflict]) -> None:
        self.found = tuple(found)
        rows = "".join(f"\n  {c.path or 'its message'}" for c in found)
        super().__init__(f"{found[0].key} ({found[0].subject}) cannot be merged:{rows}")


#: {path: the file, None if it does not exist}
Files = Mapping[str, Entry | None]
#: The base of a merge, our file and their file.
Sides = tuple[Entry | None, Entry | None, Entry | None]
#: {path: (before, after)} of a generated patch.
Steps = Mapping[str, tuple[Entry | None, Entry | None]]
#: {digest of a conflict: its resolved bytes, None for a deleted file}
Resolutions = Mapping[str, bytes | None]


@dataclass(frozen=True)
class Composed:
    """The new branch: commits (`id` is a stable id or an extra commit's key), the edits as they are now, remarks."""

    commits: tuple[NewCommit, ...]
    handmade: Handmade
    remarks: tuple[str, ...]


class Merging:
    """The merges of one commit: `done` are the resolved conflicts, `problems` the others."""

    def __init__(self, key: str, subject: str, done: Resolutions) -> None:
        self.key = key
        self.subject = subject
        self.done = done
        self.problems: list[Conflict] = []

    def merge(self, path: str, sides: Sides, labels: Labels, *, favour: bool = False) -> Entry | None:
        """Return a file (`path` "" is the message) merged or as resolved; otherwise it is a problem.

        With `favour`, the last of the sides counts where they contradict.
        """
        merged = merge_file(*sides, labels, favour=favour)
        if not merged.conflict:
            return merged.entry
        entry = merged.entry or Entry(REGULAR, b"")
        found = Conflict(self.key, self.subject, path, entry.data, digest(self.key, path, sides), entry.mode)
        if found.digest not in self.done:
            self.problems.append(found)
            return entry
        data = self.done[found.digest]
        return None if data is None else Entry(found.mode, data)

    def finish(self, message: str) -> None:
        """Raise Conflicts if anything is unresolved, UserError for a commit without a message."""
        if self.problems:
            raise Conflicts(self.problems)
        if not message.strip():
            raise UserError(f"{self.key}: its message is empty; a commit needs one")


class Branch:
    """The new branch: the files at its tip, its commits, the edits on it, and remarks."""

    def __init__(
        self,
        files: Files,
        start: tuple[int, str],
        committer: Identity,
        done: Resolutions,
        solved: Collection[tuple[str, str]],
    ) -> None:
        self.files = dict(files)
        self.start = start
        self.committer = committer
        self.done = done
        self.solved = solved
        self.commits: list[NewCommit] = []
        self.patches: dict[str, PatchEdit] = {}
        self.extras: list[Extra] = []
        self.remarks: list[str] = []

    def put_extra(self, extra: Extra) -> None:
        """Put a commit by hand on the branch, if it changes anything there."""
        merging = Merging(extra.key, extra.subject, self.done)
        below = {f.path: self.files.get(f.path) for f in extra.files}
        merged = {f.path: merging.merge(f.path, (f.before, below[f.path], f.after), CARRY) for f in extra.files}
        merging.finish(extra.message)
        if extra.files and merged == below:
            self.remarks.append(f"{extra.subject!r} is in the new base already, so it is dropped")
            return
        self.extras.append(replace(extra, files=tuple(FileEdit(p, below[p], entry) for p, entry in merged.items())))
        self._add(extra.key, extra.message, extra.author, merged, extra.date)

    def put_patch(self, patch: Patch, edit: PatchEdit, steps: Steps) -> None:
        """Put a generated patch with its edit on the branch, if it changes anything there."""
        merging = Merging(patch.id, patch.subject, self.done)
        files, changed = self._merge_files(merging, edit, steps)
        message = patch.message
        if edit.message:
            texts = (edit.message.generated, message, edit.message.edited)
            old, now, edited = (Entry(REGULAR, text.encode("utf-8", "surrogateescape")) for text in texts)
            entry = merging.merge("", (old, now, edited), EDIT)
            message = (entry.data if entry else b"").decode("utf-8", "surrogateescape")
        merging.finish(message)
        if all(self.files.get(path) == entry for path, entry in files.items()):
            self.remarks.append(f"{patch.id} no longer changes anything, so it is dropped")
            return
        rewrite = Rewrite(patch.message, message) if message != patch.message else None
        restated = PatchEdit(patch.id, rewrite, changed, edit.author if edit.author != self.committer else None)
        if restated.kinds:
            self.patches[patch.id] = restated
        for kind in edit.kinds:
            if kind not in restated.kinds:
                self.remarks.append(f"the edit of the {kind} of {patch.id} is in the generated patch now")
        self._add(patch.id, message, restated.author or self.committer, files)

    def _merge_files(self, merging: Merging, edit: PatchEdit, steps: Steps) -> tuple[Files, tuple[FileEdit, ...]]:
        """Return a patch's files with its edit put back, and the updated edit."""
        edits = {f.path: f for f in edit.files}
        files: dict[str, Entry | None] = {}
        changed: list[FileEdit] = []
        for path in sorted({*steps, *edits}):
            ours, edited, solved = self.files.get(path), edits.get(path), False
            if path in steps:
                before, after = steps[path]
                moved = merge_file(before, ours, after, MOVE)
                if solved := moved.conflict:
                    # A person's resolution of a conflict is relative to the generated file.
                    edited = edited or FileEdit(path, after, merging.merge(path, (before, ours, after), MOVE))
                ours = after if solved else moved.entry
            if edited:
                favour = path in steps and (merging.key, path) in self.solved
                base = steps[path][0] if favour else edited.before
                files[path] = merging.merge(path, (base, ours, edited.after), EDIT, favour=favour)
            else:
                files[path] = ours
            if edited and (solved or files[path] != ours):
                changed.append(FileEdit(path, ours, files[path]))
        return files, tuple(changed)

    def _add(self, key: str, message: str, author: Identity, files: Files, author_date: str = "") -> None:
        """Add a commit of the files that changed."""
        changed = {path: entry for path, entry in files.items() if self.files.get(path) != entry}
        self.files.update(changed)
        when = f"{self.start[0] + len(self.commits) + 1} {self.start[1]}"
        self.commits.append(NewCommit(key, message, author, when, changed, self.committer, author_date))


def sequence(ids: Sequence[str], made: Handmade) -> list[str]:
    """Return the order of the new branch: stable ids and keys of extra commits.

    It is the campaign's order, with the extra commits where they were, unless a person reordered: then it is theirs,
    and a patch that they never saw comes after its predecessor in the campaign's order.
    """
    kept = [i for i in ids if i not in made.dropped]
    extras = {e.key for e in made.extras}
    if made.reordered:
        out = [i for i in made.sequence if i in kept or i in extras]
        return insert(out, kept, [i for i in kept if i not in out])
    return insert(kept, made.sequence, [i for i in made.sequence if i in extras])


def compose(
    repo: Repo,
    series: Series,
    made: Handmade,
    author: Identity,
    resolutions: Resolutions | None = None,
    solved: Collection[tuple[str, str]] = (),
) -> Composed:
    """Return the commits of the branch; raise Conflicts for the first commit that cannot be merged.

    `solved` are (stable id, path) of the files in which a person solved the conflicts with this very base already.
    """
    if not made:
        return Composed(tuple(plain_commits(repo, series, author)), made, ())
    base = series.kernel.base
    by_hand: list[PatchEdit | Extra] = [*made.patches.values(), *made.extras]
    touched = {f.path for edit in by_hand for f in edit.files}.union(*(p.files for p in series.patches))
    below = entries(repo, base, sorted(touched))
    generated, extras = {p.id: p for p in series.patches}, {e.key: e for e in made.extras}
    steps = changes_of(series, below)
    branch = Branch(below, repo.committer_date(base), author, resolutions or {}, solved)
    for key in sequence(list(generated), made):
        if key in extras:
            branch.put_extra(extras[key])
        else:
            branch.put_patch(generated[key], made.patches.get(key, PatchEdit(key, None, (), None)), steps[key])
    parked = {i: e for i, e in made.patches.items() if i not in generated}
    branch.remarks += [f"{i} is not generated on this base; its edits are kept for later" for i in parked]
    order = tuple(c.id for c in branch.commits)
    left = Handmade({**parked, **branch.patches}, tuple(branch.extras), made.dropped, order, made.reordered)
    return Composed(tuple(branch.commits), left, tuple(branch.remarks))


def changes_of(series: Series, start: Files) -> dict[str, Steps]:
    """Return {id: {path: (before, after)}} of the generated patches, in order."""
    now = dict(start)
    out: dict[str, Steps] = {}
    for patch in series.patches:
        out[patch.id] = {path: (now.get(path), after) for path, after in sorted(patch.files.items())}
        now.update(patch.files)
    return out


def digest(key: str, path: str, sides: Sides) -> str:
    """Return the digest of a conflict: of the commit, the file and its three sides."""
    parts = [key.encode(), path.encode("utf-8", "surrogateescape")]
    parts += [b"-" if side is None else side.mode.encode() + b" " + side.data for side in sides]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(p), p) for p in parts)).hexdigest()
