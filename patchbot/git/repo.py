"""Read the user's repository, and add a series to it without touching anything else.

Objects are read through a folder of patchbot's own (see plumbing.py), names and refs in the person's repository.
Nothing is written there until the whole series exists: fast-import fills a scratch repository that borrows the user's
objects, its pack is then handed over, and one ref transaction makes it visible. `kill -9` at any moment leaves the
old series or the new.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO

from ..errors import UserError
from ..model import Commit, Entry
from ..paths import cache_dir
from ..run import piped, run, which
from .fastimport import Kept, NewCommit, fast_import_stream
from .objects import Objects, names_in
from .plumbing import PLAIN, SEALED, alternates, insist_on_content, make_bare, object_id

#: Where patchbot's own refs are.
OURS = ("refs/heads/patchbot/", "refs/patchbot/")


class Repo(Objects):
    """A person's kernel repository, bare or not: everything is read, and only `publish` writes."""

    def __init__(self, git_dir: Path, common_dir: Path, form: str) -> None:
        self.where = self.git_dir = git_dir
        self.env = {**PLAIN, "GIT_DIR": str(git_dir)}
        self.common_dir = common_dir
        self.form = form
        self._still: dict[tuple[str, ...], str] | None = None
        #: Whether a clean work tree moves along with its branch: only if the person asks for it.
        self.update_checkouts = False

    @classmethod
    def open(cls, path: Path) -> Repo:
        """Open the repository at or above `path`; raise UserError if there is none, or git refuses to use it."""
        which("git", "git")
        if not path.is_dir():
            what = "not a folder" if path.exists() else "no such directory"
            raise UserError(f"{path}: {what}; --kernel or kernel.path must name a git repository")

        def ask(question: str) -> str:
            # git itself finds it, as it then checks the owner; --git-dir would switch that off.
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
        """Open patchbot's own bare repository at `path`; make it if it does not exist."""
        return cls.open(make_bare(path, "sha1"))

    def text(self, *argv: str) -> str:
        """Return the output of a git command in the person's repository, stripped."""
        return self.git(*argv).stdout.decode("utf-8", "replace").strip()

    @cached_property
    def sealed(self) -> dict[str, str]:
        """The environment for reading objects of this repository from a folder of patchbot's own."""
        return {**SEALED, **({"GIT_SHALLOW_FILE": str(self.common_dir / "shallow")} if self.shallow else {})}

    @cached_property
    def sight(self) -> dict[str, str]:
        """The environment for reading only the objects of this repository."""
        eye = make_bare(cache_dir() / f"reader-{self.form}.git", self.form)
        return {**self.sealed, "GIT_DIR": str(eye), "GIT_OBJECT_DIRECTORY": str(self.objects)}

    @cached_property
    def objects(self) -> Path:
        """Where the object store is (shared by linked worktrees)."""
        return self.common_dir / "objects"

    @cached_property
    def key(self) -> str:
        """Return a short name for this repository that is stable between runs and can name a folder."""
        where = self.common_dir.resolve()
        name = where.parent.name if where.name == ".git" else where.stem
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")
        return f"{safe or 'kernel'}-{hashlib.sha256(os.fsencode(where)).hexdigest()[:10]}"

    @cached_property
    def shallow(self) -> bool:
        """Say whether the clone is shallow."""
        return (self.common_dir / "shallow").exists()

    def resolve(self, rev: str) -> str:
        """Return the 40 hex digits of the commit that `rev` names; raise UserError if there is none."""
        done = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", check=False)
        if done.returncode:
            extra = ", and this clone is shallow: its history was cut off" if self.shallow else ""
            raise UserError(f"{rev!r} names no commit in {self.git_dir}{extra}")
        return done.stdout.decode().strip()

    def describe(self, commit: str) -> str:
        """Return git describe's name of a commit, its short id where no tag reaches it."""
        # Walking a long history without its commit-graph takes a second, and only a name depends on it.
        argv = ("-c", "core.commitGraph=true", "describe", "--tags", "--always", "--abbrev=12", commit)
        return self._asked_of_refs(*argv)

    @cached_property
    def configured(self) -> dict[str, str]:
        """{key: its last value} of git's configuration as it applies to this repository; sections in lower case."""
        rows = names_in(self.git("config", "-z", "--list", check=False).stdout)
        return {key: value for key, _, value in (row.partition("\n") for row in rows)}

    def config(self, key: str) -> str | None:
        """Return one value of git's configuration as it applies to this repository."""
        return self.configured.get(key.lower(), "").strip() or None

    def settings(self, section: str) -> dict[str, str]:
        """Return {key: its last value} of a section of git's configuration as it applies to this repository."""
        return {key: value for key, value in self.configured.items() if key.startswith(f"{section}.")}

    def refs(self, prefix: str) -> dict[str, str]:
        """Return {full ref name: object id} of the ref `prefix` and of those below it."""
        ours = OURS if self._still is not None and f"{prefix}/".startswith(OURS) else ()
        # A name may hold what Unicode takes for the end of a line.
        rows = self._asked_of_refs("for-each-ref", "--format=%(refname) %(objectname)", *(ours or [prefix])).split("\n")
        found = (row.split(" ", 1) for row in rows if row)
        return {name: sha for name, sha in found if not ours or f"{name}/".startswith(f"{prefix.rstrip('/')}/")}

    def hold_still(self) -> None:
        """See all refs as they are when first asked for, until patchbot itself moves one: for who only reads."""
        self._still = {}

    def let_move(self) -> None:
        """See refs as they are from now on."""
        self._still = None

    def _asked_of_refs(self, *argv: str) -> str:
        """Return what a git command says that depends on refs; while they are held still, it is asked once."""
        if self._still is None:
            return self.text(*argv)
        if argv not in self._still:
            self._still[argv] = self.text(*argv)
        return self._still[argv]

    def names(self, prefix: str, condition: str, commit: str) -> list[str]:
        """Return the short names of refs below `prefix` that contain a commit, or point at it, by git's `condition`."""
        argv = ("for-each-ref", f"--{condition}={commit}", "--format=%(refname:short)", prefix)
        rows = self._asked_of_refs(*argv).split("\n")
        return [row for row in rows if row]

    def ref(self, name: str) -> str | None:
        """Return what a ref points to, None if it does not exist."""
        return self.refs(name).get(name)

    def depend(self, paths: Iterable[str]) -> None:
        """Hear that what is made depends on the content of these files, though nobody reads them here."""

    def adopt(self, scratch: Scratch) -> None:
        """Move the packs of `scratch`, which must be on the same file system, to this repository of patchbot's own."""
        to = self.objects / "pack"
        to.mkdir(parents=True, exist_ok=True)
        for pack in sorted((scratch.path / "objects/pack").glob("*.pack")):
            for suffix in (".pack", ".rev", ".idx"):  # git looks for the .idx: it comes last
                file = pack.with_suffix(suffix)
                if file.exists():
                    file.replace(to / file.name)


def outside(place: Path) -> tuple[Path, str] | None:
    """Return the nearest folder above that is in no repository, and the name of what lies there and holds `place`.

    None if `place` is neither in a work tree nor in a repository itself.
    """
    found = None
    while top := holder(found[0] if found else place):
        found = (top.parent, top.name)
        if top.parent == top:
            break
    return found


def holder(place: Path) -> Path | None:
    """Return the work tree, or the repository without one, that a folder is in."""
    for question in ("--show-toplevel", "--absolute-git-dir"):
        done = run(["git", "rev-parse", question], cwd=place, env=PLAIN, check=False)
        if done.returncode == 0:
            return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    return None


class Scratch(Objects):
    """A bare repository of patchbot's own that borrows the objects of `source` and holds what is not published yet.

    `more` are further object folders. Its configuration is patchbot's own, whoever runs it.
    """

    def __init__(self, path: Path, source: Repo, *more: Path) -> None:
        self.path = path
        self.answers = source.answers
        self.source = source
        self.where = source.git_dir
        self.env = {
            **source.sealed,
            "GIT_DIR": str(path),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates(source.objects, *more),
        }

    @classmethod
    def at(cls, path: Path, source: Repo, *more: Path) -> Scratch:
        """Open the scratch repository at `path`; make it if it does not exist."""
        return cls(make_bare(path, source.form), source, *more)

    @property
    def objects(self) -> Path:
        """Where its own objects are."""
        return self.path / "objects"

    def importing(self) -> AbstractContextManager[IO[bytes]]:
        """Yield the stdin of a fast-import that makes one pack without deltas, for trees too big for memory."""
        options = ["-c", "fastimport.unpackLimit=1", "-c", "core.compression=1", "-c", "pack.compression=1"]
        argv = ["git", *options, "fast-import", "--quiet", "--done", "--depth=0", "--date-format=raw"]
        return piped(argv, env=self.env, feed=True)

    def write(self, base: str, commits: Sequence[NewCommit]) -> list[Commit]:
        """Write `commits` on `base`, each on the one before or `onto` another; return them with their ids.

        Only this scratch repository changes.
        """
        # With 1, a pack of one object becomes a loose one, which publish() does not hand over.
        options = ["-c", "fastimport.unpackLimit=0", "-c", "pack.compression=1"]
        argv = [*options, "fast-import", "--quiet", "--force", "--done", "--date-format=raw"]
        ids = self.git(*argv, stdin=b"".join(fast_import_stream(base, self._short(commits)))).stdout.decode().split()
        trees = self.git("rev-parse", *(f"{sha}^{{tree}}" for sha in ids)).stdout.decode().split()
        rows = zip(commits, ids, [base, *ids], trees, strict=False)
        return [Commit(c.id, sha, c.onto or parent, tree, c.message.split("\n", 1)[0]) for c, sha, parent, tree in rows]

    def _short(self, commits: Sequence[NewCommit]) -> list[NewCommit]:
        """Return commits with the ids of files that git has: in a series that is made anew most are as they were.

        Raises UserError where what it has under such an id is something else.
        """
        texts = {file.data for commit in commits for file in commit.files.values() if isinstance(file, Entry)}
        ids = {text: object_id(self.source.form, "blob", text) for text in texts}
        there = {oid for oid, it in self.things(ids.values()).items() if it}
        for oid, text in self.blobs(sorted(there)):
            insist_on_content(oid, oid, "blob", text)

        def short(file: Entry | Kept | None) -> Entry | Kept | None:
            return Kept(file.mode, ids[file.data]) if isinstance(file, Entry) and ids[file.data] in there else file

        return [replace(c, files={path: short(file) for path, file in c.files.items()}) for c in commits]
