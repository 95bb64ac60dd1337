"""The one door to git: reading the user's repository, and adding a series to it without touching anything else.

Objects are read through a folder of patchbot's own (see plumbing.py), names and refs in the person's repository.
Nothing is written there until the whole series exists: fast-import fills a scratch repository that borrows the user's
objects, its pack is then handed over, and one ref transaction makes it visible. `kill -9` at any moment leaves the
old series or the new.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import IO

from ..errors import ToolError, UserError
from ..model import Commit
from ..paths import cache_dir
from ..run import Completed, piped, run, which
from .fastimport import NewCommit, Record, fast_import_stream, usable_date
from .plumbing import PLAIN, SEALED, SETTINGS, Batch, alternates, make_bare

#: What git says of an object that is there but is not what its name says.
DAMAGED = re.compile(
    rb"^fatal: ((?:loose|packed) object .*is corrupt.*|.*hash mismatch.*|.*(?:malformed|too-short|corrupt) tree.*)",
    re.M,
)


class Repo:
    """A kernel repository of a person, bare or not: read everything, write only through `publish`."""

    def __init__(self, git_dir: Path, common_dir: Path, form: str) -> None:
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.form = form

    @classmethod
    def open(cls, path: Path) -> Repo:
        """Open the repository at or above `path`; raise UserError if there is none, or git refuses to use it."""
        which("git", "git")
        if not path.is_dir():
            what = "not a folder" if path.exists() else "no such directory"
            raise UserError(f"{path}: {what}; --kernel or kernel.path must name a git repository")

        def ask(question: str) -> str:
            # Found by git itself, which looks at the owner; --git-dir would switch that off.
            done = run(["git", "rev-parse", "--path-format=absolute", question], cwd=path, env=PLAIN, check=False)
            if done.returncode:
                said = done.stderr.decode("utf-8", "surrogateescape").strip()
                if "not a git repository" in said:
                    raise UserError(f"{path} is not a git repository; --kernel or kernel.path must name one")
                raise UserError(f"git cannot use {path}: {said}")
            return os.fsdecode(done.stdout.removesuffix(b"\n"))

        return cls(Path(ask("--git-dir")), Path(ask("--git-common-dir")), ask("--show-object-format"))

    @classmethod
    def create(cls, path: Path) -> Repo:
        """Open patchbot's own bare repository at `path`, make it if it is not there."""
        return cls.open(make_bare(path, "sha1"))

    def git(
        self,
        *argv: str,
        stdin: bytes | None = None,
        check: bool = True,
        timeout: float = 600,
        feed: IO[bytes] | None = None,
        apart: bool = False,
    ) -> Completed:
        """Run one git command in the person's repository: what is about names, refs and configuration."""
        command = ["git", f"--git-dir={self.git_dir}", *SETTINGS, *argv]
        return run(command, env=PLAIN, stdin=stdin, check=check, timeout=timeout, feed=feed, apart=apart)

    def text(self, *argv: str) -> str:
        """Return what a git command in the person's repository prints, stripped."""
        return self.git(*argv).stdout.decode("utf-8", "replace").strip()

    def look(self, *argv: str, stdin: bytes | None = None, check: bool = True, timeout: float = 600) -> Completed:
        """Run one git command that reads objects by their ids; nothing but the objects decides what it says."""
        command = ["git", f"--git-dir={self._eye}", *argv]
        done = run(command, env=self._sight, stdin=stdin, check=False, timeout=timeout)
        if done.returncode and (broken := DAMAGED.search(done.stderr)):
            said = broken[1].decode("utf-8", "replace")
            raise UserError(f"{self.git_dir}: git cannot read an object: {said}; `git fsck` says more")
        if check and done.returncode:
            raise ToolError(done.explain())
        return done

    @cached_property
    def _eye(self) -> Path:
        """The folder of patchbot's own through which objects are read."""
        return make_bare(cache_dir() / f"reader-{self.form}.git", self.form)

    @cached_property
    def sealed(self) -> dict[str, str]:
        """The environment of what reads objects of this repository from a folder of patchbot's own."""
        return {**SEALED, **({"GIT_SHALLOW_FILE": str(self.common_dir / "shallow")} if self.shallow else {})}

    @cached_property
    def _sight(self) -> dict[str, str]:
        """The environment of what reads no other objects than those of this repository."""
        return {**self.sealed, "GIT_OBJECT_DIRECTORY": str(self.objects)}

    @cached_property
    def _batch(self) -> Batch:
        """The reader of single objects."""
        return Batch(self._eye, self._sight)

    @cached_property
    def objects(self) -> Path:
        """Where the object store is (shared by linked worktrees)."""
        return self.common_dir / "objects"

    @cached_property
    def key(self) -> str:
        """Return a short name for this repository that is stable between runs and fit for a folder's name."""
        where = self.common_dir.resolve()
        name = where.parent.name if where.name == ".git" else where.stem
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
        return f"{safe or 'kernel'}-{hashlib.sha256(os.fsencode(where)).hexdigest()[:10]}"

    @cached_property
    def shallow(self) -> bool:
        """Say whether history was cut off."""
        return (self.common_dir / "shallow").exists()

    def resolve(self, rev: str) -> str:
        """Return the 40 hex digits of the commit that `rev` names; raise UserError if there is none."""
        done = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", check=False)
        if done.returncode:
            extra = ", and this clone is shallow: its history was cut off" if self.shallow else ""
            raise UserError(f"{rev!r} names no commit in {self.git_dir}{extra}")
        return done.stdout.decode().strip()

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the bytes of a file of `commit`, None if it has no such file.

        Raises UserError where the object should be there and is not (a partial clone): nothing is fetched.
        """
        name = f"{commit}:{path}"
        if "\n" in path:  # which ends a question to git's reader
            if path not in (there := self.ls(commit, path)):
                return None
            name = there[path][1]
        found = self._object(name)
        if found is None and self._lists(commit, path):
            raise absent(f"{commit[:12]}:{path}", self.git_dir)
        return found[1] if found and found[0] == "blob" else None

    def _object(self, name: str) -> tuple[str, bytes] | None:
        """Return the type and content of an object, None if it is not there."""
        found = self._batch.read(name)
        return (found[0], found[2]) if found else None

    def _lists(self, commit: str, path: str) -> bool:
        """Say whether a tree of `commit` names `path`; asked of the reader that runs already, not of a new process."""
        folder, _, name = path.rpartition("/")
        found = self._object(f"{commit}:{folder}")
        if found is None:
            return self._lists(commit, folder) if folder else bool(self.ls(commit, path))
        return re.search(rb"[0-7]{5,6} " + re.escape(os.fsencode(name)) + rb"\0", found[1]) is not None

    def raw(self, name: str) -> bytes:
        """Return an object as git keeps it; of a commit: header lines, a blank line, the message.

        Raises UserError where it is not there (a partial clone): nothing is fetched.
        """
        found = self._object(name)
        if found is None:
            raise absent(name, self.git_dir)
        return found[1]

    def ls(self, commit: str, *paths: str) -> dict[str, tuple[str, str]]:
        """Return {path: (mode, object id)} of the files of `commit` below `paths`, all of them if none is given."""
        argv = ["ls-tree", "-r", "-z", "--full-tree", commit]
        if paths:
            argv += ["--", *paths]
        found = {}
        done = self.look(*argv, check=False)
        if done.returncode and self._object(f"{commit}^{{tree}}") is None:
            raise absent(f"{commit}^{{tree}}", self.git_dir)
        if done.returncode:
            raise ToolError(done.explain())
        for row in done.stdout.split(b"\0"):
            if row:
                meta, path = row.split(b"\t", 1)
                mode, _, oid = meta.decode().split(" ")
                found[path.decode("utf-8", "surrogateescape")] = (mode, oid)
        return found

    def grep(
        self, commit: str, needles: Sequence[str], pathspecs: Sequence[str] = (), *, word: bool = False
    ) -> list[str]:
        """Return the text files of `commit` that hold any of the fixed strings `needles`, sorted."""
        argv = ["-c", "core.quotePath=false", "grep", "-z", "-l", "-a", "-F", "--full-name"]
        argv += ["-w"] if word else []
        for needle in needles:
            argv += ["-e", needle]
        done = self.look(*argv, commit, "--", *(pathspecs or [":/"]), check=False)
        if lost := re.search(rb"unable to read (?:tree )?\(?([0-9a-f]{40,64})", done.stderr):
            raise absent(lost[1].decode(), self.git_dir)
        if done.returncode not in (0, 1) or done.stderr:
            raise ToolError(done.explain())
        names = [n.decode("utf-8", "surrogateescape") for n in done.stdout.split(b"\0") if n]
        return sorted(n.removeprefix(f"{commit}:") for n in names)

    def changed_paths(self, old: str, new: str, pathspecs: Sequence[str] = ()) -> list[str]:
        """Return the files that differ between two commits (or trees), related or not, sorted; both names of a move."""
        done = self.look("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--", *pathspecs)
        return sorted(n.decode("utf-8", "surrogateescape") for n in done.stdout.split(b"\0") if n)

    def changed_blobs(self, old: str, new: str, pathspecs: Sequence[str] = ()) -> dict[str, str | None]:
        """Return {path: object id in `new`} of the files that differ; None for what is no regular file there."""
        done = self.look("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", old, new, "--", *pathspecs)
        fields = done.stdout.decode("utf-8", "surrogateescape").split("\0")
        found: dict[str, str | None] = {}
        for meta, path in zip(fields[::2], fields[1::2], strict=False):
            _, mode, _, oid, _ = meta.split(" ")
            found[path] = oid if mode.startswith("100") else None
        return found

    def blobs(self, oids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (object id, bytes) of many blobs with one git process; raise UserError where one is not there."""
        with tempfile.TemporaryFile() as asked:
            asked.writelines(f"{oid}\n".encode() for oid in oids)
            asked.seek(0)
            argv = ["git", f"--git-dir={self._eye}", "cat-file", "--batch", "--buffer"]
            with piped(argv, env=self._sight, stdin=asked) as pipe:
                while head := pipe.readline():
                    oid, kind, *size = head.decode().split()
                    if kind == "missing":
                        raise absent(oid, self.git_dir)
                    yield oid, pipe.read(int(size[0]))
                    pipe.read(1)

    def tree_of(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        return self.look("rev-parse", "--verify", f"{commit}^{{tree}}").stdout.decode().strip()

    def describe(self, commit: str) -> str:
        """Return git describe's name of a commit, its short id where no tag reaches it."""
        # A long history takes a second to walk without its commit-graph, and only a name depends on it.
        return self.text("-c", "core.commitGraph=true", "describe", "--tags", "--always", "--abbrev=12", commit)

    def committer_date(self, commit: str) -> tuple[int, str]:
        """Return a commit's committer date as (seconds since 1970, `+hhmm`); raise UserError where it has none."""
        # Not git show: it compares all files of a commit without a parent, 0.5 s.
        head = self.raw(f"{commit}^{{commit}}").partition(b"\n\n")[0]
        said = head.rpartition(b"\ncommitter ")[2].split(b"\n")[0].rpartition(b"> ")[2].decode("ascii", "replace")
        if not (date := usable_date(said)):
            raise UserError(f"{commit[:12]} has no committer date that patchbot can use; choose another base")
        seconds, zone = date.split(" ")
        return int(seconds), zone

    def config(self, key: str) -> str | None:
        """Return one value of git's configuration as it holds for this repository."""
        done = self.git("config", "--get", key, check=False)
        return done.stdout.decode("utf-8", "surrogateescape").strip() or None if done.returncode == 0 else None

    def refs(self, prefix: str) -> dict[str, str]:
        """Return {full ref name: object id} below `prefix`."""
        rows = self.text("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(row.split(" ", 1) for row in rows)

    def ref(self, name: str) -> str | None:
        """Return what a ref points to, None if it does not exist."""
        return self.refs(name).get(name)

    def commits(self, base: str, tip: str) -> list[Commit]:
        """Return the commits of base..tip, oldest first; `id` is empty."""
        rows = self.look(
            "log", "-z", "--reverse", "--topo-order", "--format=%H%x01%P%x01%T%x01%s", f"{base}..{tip}", "--"
        )
        found = []
        for row in rows.stdout.decode("utf-8", "replace").split("\0"):
            if row:
                sha, parent, tree, subject = row.split("\x01", 3)
                found.append(Commit("", sha, parent, tree, subject))
        return found

    def adopt(self, scratch: Scratch) -> None:
        """Move the packs of `scratch`, which must be on the same file system, to this repository of patchbot's own."""
        to = self.objects / "pack"
        to.mkdir(parents=True, exist_ok=True)
        for pack in sorted((scratch.path / "objects/pack").glob("*.pack")):
            for suffix in (".pack", ".rev", ".idx"):  # git looks for the .idx: it comes last
                file = pack.with_suffix(suffix)
                if file.exists():
                    file.replace(to / file.name)


def absent(name: str, where: Path) -> UserError:
    """Return the error for an object that a clone lacks, with the commands that fetch it."""
    git = f"git -C {shlex.quote(str(where))}"
    return UserError(
        f"{name} is not in {where} (a partial clone?), and patchbot fetches nothing; fetch it with:"
        f" {git} cat-file -p {shlex.quote(name)} >/dev/null\n  or all that is missing with:"
        f" {git} fetch --refetch --no-filter"
    )


class Scratch:
    """A bare repository of patchbot's own that borrows the objects of `source` and holds what is not yet published.

    `more` are further object folders. Its configuration is patchbot's own, whoever runs it.
    """

    def __init__(self, path: Path, source: Repo, *more: Path) -> None:
        self.path = path
        self.source = source
        self.env = {
            **source.sealed,
            "GIT_DIR": str(path),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates(source.objects, *more),
        }

    @classmethod
    def at(cls, path: Path, source: Repo, *more: Path) -> Scratch:
        """Open the scratch repository at `path`, make it if it is not there."""
        return cls(make_bare(path, source.form), source, *more)

    @property
    def objects(self) -> Path:
        """Where its own objects are."""
        return self.path / "objects"

    def git(
        self,
        *argv: str,
        stdin: bytes | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 600,
    ) -> Completed:
        """Run one git command on this repository, with hooks and the user's aliases out of play."""
        command = ["git", *SETTINGS, *argv]
        return run(command, stdin=stdin, check=check, env={**self.env, **(env or {})}, cwd=cwd, timeout=timeout)

    def importing(self) -> AbstractContextManager[IO[bytes]]:
        """Give the stdin of a fast-import that makes one pack without deltas, for trees too big for memory."""
        options = ["-c", "fastimport.unpackLimit=1", "-c", "core.compression=1", "-c", "pack.compression=1"]
        argv = ["git", *options, "fast-import", "--quiet", "--done", "--depth=0", "--date-format=raw"]
        return piped(argv, env=self.env, feed=True)

    def write(self, base: str, commits: Sequence[NewCommit], record: Record | None = None) -> list[Commit]:
        """Write `commits` one on the other upon `base` with one fast-import; `record` rides on the last one.

        Returns the commits with their ids; the record's comes last, its `id` is "". Nothing but this scratch
        repository changes.
        """
        with tempfile.NamedTemporaryFile(dir=self.path, prefix="marks") as marks:
            stream = b"".join(fast_import_stream(base, commits, record))
            # With 1, a pack of one object becomes a loose one, which publish() does not hand over.
            argv = ["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force", "--done"]
            self.git(*argv, "--date-format=raw", f"--export-marks={marks.name}", stdin=stream)
            rows = Path(marks.name).read_text().split()
        shas = {int(mark[1:]): sha for mark, sha in zip(rows[::2], rows[1::2], strict=True)}
        ordered = [shas[mark] for mark in sorted(shas)]
        trees = self.git("rev-parse", *(f"{sha}^{{tree}}" for sha in ordered)).stdout.decode().split()
        ids = [(c.id, c.message.split("\n", 1)[0]) for c in commits] + ([("", "")] if record else [])
        parents = [base, *ordered]
        return [
            Commit(id_, sha, parent, tree, subject)
            for (id_, subject), sha, parent, tree in zip(ids, ordered, parents, trees, strict=False)
        ]
