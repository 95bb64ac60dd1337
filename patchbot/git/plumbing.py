"""Run git so that the objects alone decide what it says.

A repository can redirect its reader (replace refs, grafts, attributes), start programs (fsmonitor, hooks, signature and
diff programs), and a person's configuration changes what git prints (colours, signatures, line ends). So objects are
read from bare folders of patchbot's own, whose configuration is ours and which only borrow the repository's objects.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .. import temporary
from ..errors import UserError
from ..run import release, run, start

#: For every git process, also in the person's repository: no replace refs, and no commit-graph (a file that git
#: believes more than the commits themselves) for the parents and the tree of a commit.
PLAIN = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null/none",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.commitGraph",
    "GIT_CONFIG_VALUE_0": "false",
}
#: For commands that only read objects: no configuration but that of patchbot's own folder.
SEALED = {**PLAIN, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
#: Overrides for what the configuration of a person's repository could start or print; and no gc on the way.
SETTINGS = tuple(
    part
    for setting in (
        *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null"),
        *("log.showSignature=false", "color.ui=false", "gc.auto=0", "maintenance.auto=false"),
    )
    for part in ("-c", setting)
)
#: Files are checked out byte for byte, whatever the tree's .gitattributes say.
ATTRIBUTES = "* -text -ident !eol !filter !working-tree-encoding\n"


def make_bare(path: Path, form: str) -> Path:
    """Return a bare repository of patchbot's own at `path` for objects of a format (sha1, sha256); make it if needed.

    Raises UserError if that is impossible.
    """
    if (path / "HEAD").exists():
        return path
    version, extension = (0, "") if form == "sha1" else (1, f"[extensions]\n\tobjectFormat = {form}\n")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.folder("git") as place:
            making = place / "git"
            for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
                (making / folder).mkdir(parents=True)
            (making / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}")
            (making / "info/attributes").write_text(ATTRIBUTES)
            (making / "HEAD").write_text("ref: refs/heads/none\n")
            os.rename(making, path)
    except OSError as error:
        if not (path / "HEAD").exists():  # else another patchbot was faster
            raise UserError(f"{path} cannot be written: {error.strerror} (XDG_CACHE_HOME moves it)") from error
    return path


def alternates(*folders: Path) -> str:
    """Return object folders as GIT_ALTERNATE_OBJECT_DIRECTORIES needs them, whatever their names hold."""
    return ":".join('"' + str(f).replace("\\", "\\\\").replace('"', '\\"') + '"' for f in folders)


def own_commands() -> Path:
    """Return the folder of git's own commands."""
    return Path(run(["git", "--exec-path"]).stdout.decode().strip())


class Batch:
    """A `git cat-file` that keeps running; if it ends, the next question starts another one.

    With `--batch` it reads objects, with `--batch-check` it says what names stand for.
    """

    def __init__(self, env: Mapping[str, str], how: str = "--batch") -> None:
        self.env = env
        self.how = how
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, name: str) -> tuple[str, str, bytes] | None:
        """Return the type, id and bytes of an object, None if it does not exist; `name` holds no line break.

        Raises UserError if the object is there but damaged.
        """
        with self._lock:
            for _ in range(2):
                try:
                    return self._ask(name)
                except (BrokenPipeError, EOFError):
                    self.close()
        raise UserError(f"git cannot read {name}: the object is damaged; `git fsck` says more")

    def heads(self, names: Sequence[str]) -> list[bytes]:
        """Return git's line about each name, none if it ends instead: then an object is damaged."""
        with self._lock:
            try:
                return [self._head(name)[0] for name in names]
            except (BrokenPipeError, EOFError):
                self.close()
        return []

    def _head(self, name: str) -> tuple[bytes, IO[bytes]]:
        """Return the first line of the running process about a name, and what follows; raise EOFError if it ends."""
        if self.process is None:
            self.process = start(("git", "cat-file", self.how), None, self.env, True, None, errors=subprocess.DEVNULL)
            self._end = weakref.finalize(self, end, self.process)
        asked, answer = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answer is not None
        asked.write(os.fsencode(name) + b"\n")
        asked.flush()
        head = answer.readline()
        if not head:
            raise EOFError
        return head, answer

    def _ask(self, name: str) -> tuple[str, str, bytes] | None:
        """Return an object of the running process."""
        head, answer = self._head(name)
        fields = head.rsplit(b" ", 2)
        if head.endswith((b" missing\n", b" ambiguous\n")) or len(fields) != 3:
            return None
        oid, kind, size = fields[0].decode(), fields[1].decode(), int(fields[2])
        data = read_exactly(answer, size + 1)[:-1]
        insist_on_content(name, oid, kind, data)
        return kind, oid, data

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process = None
            self._end()


def insist_on_content(name: str, oid: str, kind: str, data: bytes) -> None:
    """Raise UserError unless the bytes of an object make its id."""
    if object_id("sha1" if len(oid) == 40 else "sha256", kind, data) != oid:
        raise UserError(f"{name}: the content of object {oid} does not match its id; `git fsck` says more")


def object_id(form: str, kind: str, data: bytes) -> str:
    """Return the id of an object in a format, sha1 or sha256."""
    made = hashlib.new(form, b"%b %d\0" % (kind.encode(), len(data)))
    made.update(data)
    return made.hexdigest()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a reader and reap it."""
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait()
    release(process)


def read_exactly(pipe: IO[bytes], size: int) -> bytes:
    """Read `size` bytes; raise EOFError if the pipe ends earlier."""
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
