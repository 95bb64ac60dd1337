"""The one reader of git objects: files, trees, commits and what differs between them, by their ids.

Everything is read through a bare folder of patchbot's own (see plumbing.py), so the objects alone decide what git
says. Nothing is fetched: an object that a partial clone lacks is an error that says how to get it.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePath
from typing import Any, TypeVar, cast

from ..errors import ToolError, UserError
from ..model import Commit
from ..run import Completed, piped, run
from ..store import Answers
from .fastimport import usable_date
from .plumbing import SETTINGS, Batch, insist_on_content

T = TypeVar("T")

#: The name of an object, or of what belongs to it, that always means the same; HEAD does not.
ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?(?![0-9A-Za-z_./-])")
#: So many paths can be told to git.
MOST_PATHS = 5000
#: A running git is asked about fewer names than these, each by itself; for more another one is started.
FEW_NAMES = 200
RAW = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev")
#: What git says about an object whose content does not match its name.
DAMAGED = re.compile(
    rb"^fatal: ((?:loose|packed) object .*is corrupt.*|.*hash mismatch.*|.*(?:malformed|too-short|corrupt) tree.*)",
    re.M,
)


@dataclass(frozen=True)
class Thing:
    """What a name (`<commit>:<path>`, `<commit>`) stands for in a repository: git's kind of object and its id."""

    kind: str
    oid: str


@dataclass(frozen=True)
class FileChange:
    """How a file differs between two trees: A, D, M or T, its new mode and object id (zeros for D), what it was."""

    status: str
    mode: str
    oid: str
    was: tuple[str, str] = ("", "")

    @property
    def blob(self) -> str | None:
        """Return the object id of a regular file, None for anything else and for a deletion."""
        return self.oid if self.mode.startswith("100") else None


class Objects:
    """A repository: `where` is its path as a person knows it, `env` the environment of a git that works on it.

    `answers` keeps what objects say from run to run; a shallow clone has none, as its history can get longer.
    """

    where: Path
    env: dict[str, str]
    answers: Answers | None = None

    def git(self, *argv: str, env: Mapping[str, str] | None = None, **how: Any) -> Completed:
        """Run one git command without hooks, aliases and the like; `how` is what `run` takes."""
        return run(["git", *SETTINGS, *argv], env={**self.env, **(env or {})}, **how)

    @cached_property
    def sight(self) -> dict[str, str]:
        """The environment of a git that reads objects and nothing else."""
        return self.env

    @cached_property
    def diffs(self) -> dict[str, bytes]:
        """{commit: its diff}, of those that `commit_diffs` was asked for."""
        return {}

    @cached_property
    def _changes(self) -> dict[str, dict[str, FileChange]]:
        """{commit: what changes_in() it}, of those that `commit_changes` was asked for."""
        return {}

    @cached_property
    def _batch(self) -> Batch:
        """The reader of single objects."""
        return Batch(self.sight)

    @cached_property
    def _names(self) -> Batch:
        """The reader of what names stand for."""
        return Batch(self.sight, "--batch-check")

    @cached_property
    def _made(self) -> dict[object, Any]:
        """What was made of objects, by what `once` was told."""
        return {}

    def once(self, make: Callable[..., T], *parts: Any) -> T:
        """Return what `make` makes of this repository and ids of objects, once while it is open: it never changes."""
        if (make, parts) not in self._made:
            self._made[make, parts] = make(self, *parts)
        return cast("T", self._made[make, parts])

    def kept(self, kind: type[T], make: Callable[[], T], *parts: Any) -> T:
        """Return what `make` makes with git of object ids and other text alone, `parts`; it is kept from run to run."""
        return self.answers.once(kind, make, git_version(), *parts) if self.answers else make()

    def kept_each(
        self, kind: type[dict[str, T]], make: Callable[[str], T], names: Iterable[str], *parts: Any
    ) -> dict[str, T]:
        """Return {name: what `make` makes of it}, of names that hold ids of objects, and of `parts`; as kept()."""
        return self.answers.each(kind, make, names, *parts) if self.answers else {name: make(name) for name in names}

    def close(self) -> None:
        """End the process that reads objects, and close what is kept; the next question opens them again."""
        for reader in ("_batch", "_names"):
            if reader in self.__dict__:
                getattr(self, reader).close()
        if self.answers:
            self.answers.close()

    def look(self, *argv: str, stdin: bytes | None = None, check: bool = True, timeout: float = 600) -> Completed:
        """Run one git command that reads objects by their ids; the objects alone decide what it says."""
        done = self.git(*argv, env=self.sight, stdin=stdin, check=False, timeout=timeout)
        if done.returncode and (broken := DAMAGED.search(done.stderr)):
            said = broken[1].decode("utf-8", "replace")
            raise UserError(f"{self.where}: git cannot read an object: {said}; `git fsck` says more")
        if check and done.returncode:
            raise ToolError(done.explain())
        return done

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file of `commit`, None if it has no such file.

        Raises UserError if the object is missing (a partial clone): nothing is fetched.
        """
        name = f"{commit}:{path}"
        if "\n" in path:  # which ends a question to git's reader
            if path not in (there := self.ls(commit, path)):
                return None
            name = there[path][1]
        found = self._batch.read(name)
        if found is None and self._lists(commit, path):
            raise absent_object(f"{commit[:12]}:{path}", self.where)
        return found[2] if found and found[0] == "blob" else None

    def _lists(self, commit: str, path: str) -> bool:
        """Say whether the tree of `commit` has `path`, by the reader that runs already, not by a new process."""
        folder, _, name = path.rpartition("/")
        found = self._batch.read(f"{commit}:{folder}")
        if found is None:
            return self._lists(commit, folder) if folder else bool(self.ls(commit, path))
        return re.search(rb"[0-7]{5,6} " + re.escape(os.fsencode(name)) + rb"\0", found[2]) is not None

    def raw(self, name: str) -> bytes:
        """Return an object as git keeps it; of a commit: header lines, a blank line, the message.

        Raises UserError if it is missing (a partial clone): nothing is fetched.
        """
        return self._found(name)[2]

    def tree_of(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        return self._found(f"{commit}^{{tree}}")[1]

    def _found(self, name: str) -> tuple[str, str, bytes]:
        """Return the type, id and bytes of an object; raise UserError if it is missing."""
        found = self._batch.read(name)
        if found is None:
            raise absent_object(name, self.where)
        return found

    def things(self, names: Iterable[str]) -> dict[str, Thing | None]:
        """Return what each name stands for, None if it does not exist; with one git process if they are many."""
        asked = [name for name in dict.fromkeys(names) if "\n" not in name]
        rows = self._names.heads(asked) if len(asked) < FEW_NAMES else []
        if not rows:
            stdin = "".join(f"{name}\n" for name in asked).encode("utf-8", "surrogateescape")
            rows = self.look("cat-file", "--batch-check", "--buffer", stdin=stdin).stdout.splitlines()
        found: dict[str, Thing | None] = {}
        for name, row in zip(asked, rows, strict=True):
            words = row.rstrip(b"\n").rsplit(b" ", 2)
            there = len(words) == 3 and words[1] in (b"blob", b"tree", b"commit", b"tag")
            found[name] = Thing(words[1].decode(), words[0].decode()) if there else None
        return found

    def has(self, name: str) -> bool:
        """Say whether an object exists."""
        return self.things([name]).get(name) is not None

    def read_many(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Return {path: bytes} of files that `commit` has, by one git process, but for odd paths."""
        asked: list[str] = []
        odd: list[str] = []
        for path in paths:
            (odd if "\n" in path else asked).append(path)
        found = {path: data for path in odd if (data := self.read(commit, path)) is not None}
        for path, (oid, data) in zip(asked, self.blobs(f"{commit}:{path}" for path in asked), strict=True):
            insist_on_content(f"{commit}:{path}", oid, "blob", data)
            found[path] = data
        return found

    def blobs(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (object id, bytes) of many blobs with one git process; raise UserError if one is missing."""
        with tempfile.TemporaryFile() as asked:
            asked.writelines(os.fsencode(f"{name}\n") for name in names)
            asked.seek(0)
            with piped(["git", "cat-file", "--batch", "--buffer"], env=self.sight, stdin=asked) as pipe:
                while head := pipe.readline():
                    if head.endswith(b" missing\n"):
                        raise absent_object(head.rpartition(b" ")[0].decode("utf-8", "replace"), self.where)
                    oid, _, size = head.decode().split()
                    yield oid, pipe.read(int(size))
                    pipe.read(1)

    def ls(self, commit: str, *paths: str) -> dict[str, tuple[str, str]]:
        """Return {path: (mode, object id)} of the files of `commit` below `paths`, of all files if none is given."""
        if len(paths) > MOST_PATHS:
            asked = set(paths)
            every = self.ls(commit).items()
            return {p: file for p, file in every if p in asked or not asked.isdisjoint(map(str, PurePath(p).parents))}
        argv = ("-r", "--full-tree", commit, *(["--", *paths] if paths else []))
        # Each patch of a letter has the same few questions; all files of a kernel are too many to keep.
        return dict(self.once(Objects._listed, *argv)) if paths and ID.match(commit) else self._listed(*argv)

    def folder(self, name: str) -> dict[str, tuple[str, str]]:
        """Return {name: (mode, object id)} of the files and folders at the top of a tree."""
        return self._listed(name)

    def folders(self, commit: str) -> set[str]:
        """Return the folders of `commit`, at whatever depth."""
        return set(self._listed("-r", "-d", "--full-tree", commit))

    def _listed(self, *argv: str) -> dict[str, tuple[str, str]]:
        """Return the output of git ls-tree."""
        done = self.look("--literal-pathspecs", "ls-tree", "-z", *argv, check=False)
        tree = next(arg for arg in argv if not arg.startswith("-"))
        if done.returncode and not self.has(f"{tree}^{{tree}}"):
            raise absent_object(f"{tree}^{{tree}}", self.where)
        if done.returncode:
            raise ToolError(done.explain())
        rows = (row.partition("\t") for row in names_in(done.stdout))
        return {path: (meta[:6], meta.split(" ")[2]) for meta, _, path in rows}

    def grep(
        self, commit: str, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False
    ) -> list[str]:
        """Return the text files of `commit` that hold any of the fixed strings `needles`, sorted."""
        options = ["-l", "-F", *(["-w"] if word else []), *(part for needle in needles for part in ("-e", needle))]
        return sorted(name.removeprefix(f"{commit}:") for name in names_in(self._grep(options, commit, pathspecs)))

    def grep_lines(
        self, commit: str, pattern: str, pathspecs: Sequence[str], *, after: int = 0
    ) -> list[tuple[str, str]]:
        """Return (path, line) of the lines that match an extended expression, and of `after` more lines after each.

        With `after`, ("", "--") stands between places.
        """
        said = self._grep(["-E", f"-A{after}", "-e", pattern], commit, pathspecs).decode("utf-8", "surrogateescape")
        rows = (row.partition("\0") for row in said.removesuffix("\n").split("\n") if row)
        return [(path.removeprefix(f"{commit}:"), line) if apart else ("", path) for path, apart, line in rows]

    def _grep(self, options: Sequence[str], commit: str, pathspecs: Sequence[str]) -> bytes:
        """Return the output of git grep."""
        argv = ["-c", "core.quotePath=false", "grep", "-z", "-a", "--full-name", *options]
        done = self.look(*argv, commit, "--", *(pathspecs or [":/"]), check=False)
        if lost := re.search(rb"unable to read (?:tree )?\(?([0-9a-f]{40,64})", done.stderr):
            raise absent_object(lost[1].decode(), self.where)
        if done.returncode not in (0, 1) or done.stderr:
            raise ToolError(done.explain())
        return done.stdout

    def changes(self, old: str, new: str, pathspecs: Sequence[str] = ()) -> dict[str, FileChange]:
        """Return {path: Change} of the files that differ between two commits (or trees); a move is two changes."""
        return changes_in(self.look("diff-tree", *RAW, old, new, "--", *pathspecs).stdout)[""]

    def commit_changes(self, commits: Sequence[str]) -> dict[str, dict[str, FileChange]]:
        """Return {commit: {path: Change}} for many commits, with one git process for those not asked for before."""
        known = self._changes
        if asked := "".join(f"{sha}\n" for sha in commits if sha not in known).encode():
            found = changes_in(self.look("diff-tree", "--stdin", *RAW, stdin=asked).stdout)
            known |= {sha: found.get(sha, {}) for sha in asked.decode().split()}
        return {sha: known[sha] for sha in commits if known[sha]}

    def changed_paths(self, old: str, new: str) -> list[str]:
        """Return the files that differ between two commits (or trees), related or not, sorted; both names of a move."""
        return sorted(self.changes(old, new))

    def moves(self, old: str, new: str, gone: Iterable[str], come: Iterable[str]) -> dict[str, str]:
        """Return {file of `old` among `gone`: the name in `new`, among `come`, that git says it has now}."""
        paths = sorted({*gone, *come})
        argv = ("-r", "-z", "-M", "-l1000", "--diff-filter=R", "--name-status", old, new, "--", *paths)
        said = names_in(self.look("--literal-pathspecs", "diff-tree", *argv).stdout)
        return dict(zip(said[1::3], said[2::3], strict=True))

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit, None for one without a parent and for anything but a commit."""
        if found := self._batch.read(f"{commit}^1"):
            return found[1]
        return self._answer("rev-parse", "-q", "--verify", f"{commit}^1")  # it may have one that is missing

    def committer_date(self, commit: str) -> tuple[int, str]:
        """Return a commit's committer date as (seconds since 1970, `+hhmm`); raise UserError if it has none."""
        # Not git show: it compares all files of a commit without a parent, 0.5 s.
        head = self.raw(f"{commit}^{{commit}}").partition(b"\n\n")[0]
        said = head.rpartition(b"\ncommitter ")[2].split(b"\n")[0].rpartition(b"> ")[2].decode("ascii", "replace")
        if not (date := usable_date(said)):
            raise UserError(f"{commit[:12]} has no usable committer date; choose another base")
        seconds, zone = date.split(" ")
        return int(seconds), zone

    def commits(self, base: str, tip: str) -> list[Commit]:
        """Return the commits of base..tip, oldest first; `id` is empty."""
        return list(self.once(log, base, tip) if ID.match(base) and ID.match(tip) else log(self, base, tip))

    def merge_base(self, one: str, two: str) -> str | None:
        """Return the best common ancestor of two commits, None if there is none."""
        return self._answer("merge-base", one, two)

    def count(self, old: str, new: str) -> int:
        """Return how many commits of `new` are not in `old`."""
        return int(self.look("rev-list", "--count", f"{old}..{new}").stdout)

    def blame(self, commit: str, path: str, line: int, patience: float) -> str | None:
        """Return the commit that last changed a line of a file, None if git cannot tell."""
        argv = ("-s", "-l", "--root", f"-L{line},{line}", commit, "--", path)
        said = self._answer("blame", *argv, timeout=patience)
        return said.lstrip("^").split(" ", 1)[0] if said is not None else None

    def last_change(self, old: str, new: str, path: str, patience: float) -> str | None:
        """Return the commit of `new` that last changed or deleted a file; those that `old` lacks come first."""
        argv = ("log", "-1", "--format=%H")
        said = self._answer(*argv, f"{old}..{new}", "--", path, timeout=patience)
        return (self._answer(*argv, new, "--", path, timeout=patience) if said is None else said) or None

    def _answer(self, *argv: str, timeout: float = 600) -> str | None:
        """Return what git says about objects, None if it fails."""
        done = self.look(*argv, check=False, timeout=timeout)
        return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


@cache
def git_version() -> str:
    """Return which git this is."""
    return run(["git", "version"]).stdout.decode("utf-8", "replace").strip()


def log(objects: Objects, base: str, tip: str) -> tuple[Commit, ...]:
    """Return the commits of base..tip, oldest first."""
    argv = ("log", "-z", "--reverse", "--topo-order", "--format=%H%x01%P%x01%T%x01%s", f"{base}..{tip}", "--")

    def make() -> str:
        return objects.look(*argv).stdout.decode("utf-8", "replace")

    said = objects.kept(str, make, argv) if ID.match(base) and ID.match(tip) else make()
    return tuple(Commit("", *row.split("\x01", 3)) for row in said.split("\0") if row)


def changes_in(output: bytes) -> dict[str, dict[str, FileChange]]:
    """Return {commit ("" if git names none): {path: Change}} of the output of git diff-tree."""
    found: dict[str, dict[str, FileChange]] = {"": {}}
    fields, commit = iter(names_in(output)), ""
    for meta in fields:
        if meta.startswith(":"):
            mode_before, mode, oid_before, oid, status = meta.removeprefix(":").split(" ")
            found[commit][next(fields)] = FileChange(status, mode, oid, (mode_before, oid_before))
        else:
            commit = meta
            found[commit] = {}
    return found


def names_in(output: bytes) -> list[str]:
    """Return the parts of output that end with NUL."""
    return output.decode("utf-8", "surrogateescape").split("\0")[:-1]


def absent_object(name: str, where: Path) -> UserError:
    """Return the error for an object that a clone lacks, with the commands that fetch it."""
    git = f"git -C {shlex.quote(str(where))}"
    return UserError(
        f"{name} is not in {where} (a partial clone?), and patchbot fetches nothing; get it with:"
        f" {git} cat-file -p {shlex.quote(name)} >/dev/null\n  or everything that is missing with:"
        f" {git} fetch --refetch --no-filter"
    )
