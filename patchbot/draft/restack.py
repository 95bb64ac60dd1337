"""Put what is by hand back on a generated series: the commits of the branch to be, in memory.

Each generated change, each edit and each extra commit is merged into what lies below it, file by file. Where nothing is
by hand, the result is the generated series itself, commit for commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UserError
from ..git.commits import entries
from ..git.fastimport import NewCommit
from ..git.merge import Labels, Merged, merge_file, merge_text
from ..git.repo import Repo
from ..model import REGULAR, Entry, Identity, Patch, Series
from .amendments import Extra, FileEdit, Handmade, PatchEdit, Rewrite
from .record import plain_commits

EDIT = Labels("generated now", "generated before", "edited by hand")
MOVE = Labels("on the branch below", "below the generated patch", "generated now")
CARRY = Labels("on the branch below", "below the commit by hand", "commit by hand")


@dataclass(frozen=True)
class Conflict:
    """A file (`path` "" is the message) of one commit that cannot be merged; `data` holds both sides between markers.

    `digest` names the three sides, so a resolution fits only the very same conflict.
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


#: {digest of a conflict: its resolved bytes, None for a file that goes}
Resolutions = Mapping[str, bytes | None]


@dataclass(frozen=True)
class Composed:
    """The branch to be: commits (`id` is a stable id or an extra commit's key), the edits as they are now, remarks."""

    commits: tuple[NewCommit, ...]
    handmade: Handmade
    remarks: tuple[str, ...]


class Stack:
    """The files of a base with commits put on it one by one."""

    def __init__(self, base: Mapping[str, Entry | None]) -> None:
        self.files = dict(base)

    def put(self, files: Mapping[str, Entry | None]) -> dict[str, Entry | None]:
        """Lay files over what is there and return those that really change."""
        changed = {path: entry for path, entry in files.items() if self.files.get(path) != entry}
        self.files.update(changed)
        return changed


def sequence(ids: Sequence[str], made: Handmade) -> list[str]:
    """Return the order of the branch to be: stable ids and keys of extra commits.

    The campaign's order counts, with the extra commits where they were, unless a person reordered: then theirs does,
    and a patch that they never saw comes after the one that it follows in the campaign's order.
    """
    kept = [i for i in ids if i not in made.dropped]
    extras = {e.key for e in made.extras}
    if made.reordered:
        out = [i for i in made.sequence if i in kept or i in extras]
        return insert(out, kept, [i for i in kept if i not in out])
    return insert(kept, made.sequence, [i for i in made.sequence if i in extras])


def insert(into: Sequence[str], order: Sequence[str], names: Iterable[str]) -> list[str]:
    """Return `into` with each of `names` after the nearest one that stands before it in `order`."""
    out = list(into)
    for name in names:
        before = [n for n in order[: list(order).index(name)] if n in out]
        out.insert(out.index(before[-1]) + 1 if before else 0, name)
    return out


def compose(
    repo: Repo, series: Series, made: Handmade, author: Identity, resolutions: Resolutions | None = None
) -> Composed:
    """Return the commits of the branch; raise Conflicts for the first commit that cannot be merged."""
    if not made:
        return Composed(tuple(plain_commits(repo, series, author)), made, ())
    base, done = series.kernel.base, resolutions or {}
    by_hand = [*(e.files for e in made.patches.values()), *(e.files for e in made.extras)]
    edited = {f.path for files in by_hand for f in files}
    start = entries(repo, base, sorted(edited.union(*(p.files for p in series.patches))))
    date = repo.committer_date(base)
    generated = {p.id: p for p in series.patches}
    steps = sides(series, start)
    extras = {e.key: e for e in made.extras}
    stack = Stack(start)
    out: list[NewCommit] = []
    remarks: list[str] = []
    parked = {i: e for i, e in made.patches.items() if i not in generated}
    patches = dict(parked)
    kept: list[Extra] = []
    for key in sequence([p.id for p in series.patches], made):
        when = f"{date[0] + len(out) + 1} {date[1]}"
        if key in extras:
            extra = carried(extras[key], stack.files, done)
            changed = stack.put({f.path: f.after for f in extra.files})
            if extra.files and not changed:
                remarks.append(f"{extra.subject!r} is in the new base already and goes")
                continue
            kept.append(extra)
            out.append(NewCommit(key, extra.message, extra.author, when, changed, author, extra.date))
            continue
        patch, edit = generated[key], made.patches.get(key, PatchEdit(key))
        now, message, files = put_back(patch, edit, steps[key], stack.files, done)
        changed = stack.put(now)
        if not changed:
            remarks.append(f"{key} changes nothing any more on what is below it and goes")
            continue
        rewrite = Rewrite(patch.message, message) if message != patch.message else None
        restated = PatchEdit(key, rewrite, tuple(files), edit.author if edit.author != author else None)
        if restated.kinds:
            patches[key] = restated
        remarks += [
            f"the edit of the {kind} of {key} is part of what is generated now"
            for kind in edit.kinds
            if kind not in restated.kinds
        ]
        out.append(NewCommit(key, message, restated.author or author, when, changed, author))
    remarks += [f"{i} is not generated on this base; its edits are kept" for i in parked]
    order = tuple(c.id for c in out)
    return Composed(tuple(out), Handmade(patches, tuple(kept), made.dropped, order, made.reordered), tuple(remarks))


Sides = Mapping[str, tuple[Entry | None, Entry | None]]


def sides(series: Series, start: Mapping[str, Entry | None]) -> dict[str, Sides]:
    """Return {id: {path: (before, after)}} of the generated patches, one on the other."""
    now = dict(start)
    out: dict[str, Sides] = {}
    for patch in series.patches:
        out[patch.id] = {path: (now.get(path), after) for path, after in sorted(patch.files.items())}
        now.update(patch.files)
    return out


def put_back(
    patch: Patch,
    edit: PatchEdit,
    steps: Sides,
    below: Mapping[str, Entry | None],
    done: Resolutions,
) -> tuple[dict[str, Entry | None], str, list[FileEdit]]:
    """Return a patch's files and message with the edit put back, and the edit of its code as it is now."""
    problems: list[Conflict] = []
    edits = {f.path: f for f in edit.files}
    files: dict[str, Entry | None] = {}
    restated: list[FileEdit] = []

    def settle(path: str, sides: tuple[Entry | None, ...], merged: Merged) -> Entry | None:
        found = conflict(patch.id, patch.subject, path, sides, merged)
        if not merged.conflict:
            return merged.entry
        if found.digest in done:
            data = done[found.digest]
            return None if data is None else Entry(found.mode, data)
        problems.append(found)
        return merged.entry

    for path in sorted({*steps, *edits}):
        ours = below.get(path)
        edited, solved = edits.get(path), False
        if path in steps:
            before, after = steps[path]
            merged = merge_file(before, ours, after, MOVE)
            solved = merged.conflict
            if not solved:
                ours = merged.entry
            else:
                # What a person made of a conflict is relative to the generated file.
                edited = edited or FileEdit(path, after, settle(path, (before, ours, after), merged))
                ours = after
        files[path] = ours
        if edited:
            edit_sides = (edited.before, ours, edited.after)
            files[path] = settle(path, edit_sides, merge_file(*edit_sides, EDIT))
            if solved or files[path] != ours:
                restated.append(FileEdit(path, ours, files[path]))
    message = patch.message
    if edit.message:
        texts = [t.encode("utf-8", "surrogateescape") for t in (edit.message.generated, message, edit.message.edited)]
        data, clean = merge_text(texts[0], texts[1], texts[2], EDIT)
        merged = Merged(Entry(REGULAR, data), not clean)
        entry = settle("", tuple(Entry(REGULAR, t) for t in texts), merged)
        message = (entry.data if entry else b"").decode("utf-8", "surrogateescape")
    if problems:
        raise Conflicts(problems)
    insist_message(patch.id, message)
    return files, message, restated


def insist_message(key: str, message: str) -> None:
    """Raise UserError for a commit without a message."""
    if not message.strip():
        raise UserError(f"{key}: its message is empty; a commit needs one")


def carried(extra: Extra, below: Mapping[str, Entry | None], done: Resolutions) -> Extra:
    """Return a commit by hand with its files on what lies below it now."""
    insist_message(extra.key, extra.message)
    problems, files = [], []
    for file in extra.files:
        sides = (file.before, below.get(file.path), file.after)
        merged = merge_file(*sides, CARRY)
        found = conflict(extra.key, extra.subject, file.path, sides, merged)
        after = merged.entry
        if merged.conflict:
            data = done.get(found.digest, b"")
            after = None if data is None else Entry(found.mode, data)
            if found.digest not in done:
                problems.append(found)
        files.append(FileEdit(file.path, below.get(file.path), after))
    if problems:
        raise Conflicts(problems)
    return replace(extra, files=tuple(files))


def conflict(key: str, subject: str, path: str, sides: Sequence[Entry | None], merged: Merged) -> Conflict:
    """Return a merge as a conflict, named by its three sides."""
    parts = [key.encode(), path.encode("utf-8", "surrogateescape")]
    parts += [b"-" if side is None else side.mode.encode() + b" " + side.data for side in sides]
    digest = hashlib.sha256(b"".join(b"%d:%b" % (len(p), p) for p in parts)).hexdigest()
    entry = merged.entry or Entry(REGULAR, b"")
    return Conflict(key, subject, path, entry.data, digest, entry.mode)
