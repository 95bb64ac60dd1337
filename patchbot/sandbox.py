"""Run a kernel tree's own scripts and Makefiles without network and with the person's home hidden.

bubblewrap gives a command its own view of the file system: everything read-only, empty folders in place of homes, /tmp
and /run with its sockets, and in these only what the command needs. If it is missing or cannot work (in some
containers), the command runs without it, unless patchbot.toml says `[run] sandbox = "required"`.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .config import AUTO, OFF, REQUIRED
from .errors import ToolError, UserError
from .run import run, search_path

#: Folders of the system that a command needs; a HOME among them (such as that of `daemon`) is not hidden.
SYSTEM = tuple(map(Path, ("/bin", "/dev", "/etc", "/lib", "/proc", "/sbin", "/sys", "/usr")))
#: A folder with one of these holds what the programs in its bin/ need.
PREFIX = ("pyvenv.cfg", "versions", "lib", "lib64", "libexec")


@dataclass(frozen=True)
class Sandbox:
    """How the scripts of a tree run: in a sandbox if that works here (`auto`), without one (`off`), or only in one."""

    mode: str = AUTO

    def lacking(self) -> str:
        """Return why nothing runs in a sandbox, "" if it does; raise UserError if it must but cannot."""
        if self.mode == OFF:
            return 'patchbot.toml says [run] sandbox = "off"'
        program = shutil.which("bwrap", path=search_path())
        why = try_out(tuple(common(program))) if program else "bwrap is not installed (Debian: bubblewrap)"
        if why and self.mode == REQUIRED:
            raise UserError(f'[run] sandbox = "required", but {why}')
        return why

    def around(
        self, cwd: Path, writes: Sequence[Path], reads: Sequence[Path] = (), programs: Sequence[str] = ()
    ) -> list[str]:
        """Return the argv to put before a command that runs in `cwd`, [] if there is no sandbox.

        The command may only write to `writes`. Of the hidden folders it sees `reads`, those in PATH, and those where
        `programs` are installed.
        """
        if self.lacking():
            return []
        hidden = private()
        needed = dict.fromkeys((*tools(programs, hidden), *reads), "--ro-bind")
        needed |= dict.fromkeys((*writes, *caches(programs)), "--bind")
        mounts: dict[Path, tuple[str, Path]] = {}
        for path, kind in needed.items():
            path = Path(os.path.abspath(path))
            real = path.resolve()
            for place in (path, real):
                if real.exists() and (is_below(place, hidden) or (kind == "--bind" and place == real)):
                    mounts[place] = (kind, real)
        ordered = sorted(mounts.items(), key=lambda row: len(row[0].parts))
        binds = [word for place, (kind, real) in ordered for word in (kind, str(real), str(place))]
        return [*common(shutil.which("bwrap", path=search_path()) or "bwrap"), *binds, "--chdir", str(cwd), "--"]


#: The default for callers without patchbot.toml.
NORMAL = Sandbox()


def common(bwrap: str) -> list[str]:
    """Return the start of each argv: the hidden folders, and what a command cannot do."""
    argv = [bwrap, "--die-with-parent", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    # root would keep its capabilities in the sandbox and could escape; it needs only the one to write root's files.
    argv += ["--cap-drop", "ALL", "--cap-add", "CAP_DAC_OVERRIDE"] if os.geteuid() == 0 else []
    argv += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--setenv", "TMPDIR", "/tmp"]
    return [*argv, *(word for place in private() for word in ("--tmpfs", str(place)))]


@cache
def try_out(argv: tuple[str, ...]) -> str:
    """Return why a sandbox does not work here, "" if it does; tried once."""
    try:
        done = run([*argv, "--", "true"], check=False, timeout=20)
    except ToolError as error:
        return str(error)
    said = (done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}").splitlines()[-1]
    return f"bwrap does not work here: {said}" if done.returncode else ""


def private() -> list[Path]:
    """Return the folders to hide: homes, the XDG folders, and the folders for temporary files and sockets."""
    names = ["/home", "/root", "/run", "/tmp", "/var/tmp", os.path.expanduser("~"), os.environ.get("TMPDIR", "")]
    names += [
        value for name, value in os.environ.items() if name.startswith("XDG_") and name.endswith(("_HOME", "_DIR"))
    ]
    try:
        names.append(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        pass
    found: list[Path] = []
    for place in sorted({Path(name).resolve() for name in names if os.path.isabs(name)}, key=lambda p: len(p.parts)):
        system = any(s.is_relative_to(place) or place.is_relative_to(s) for s in SYSTEM)
        if place.is_dir() and not system and not is_below(place, found):
            found.append(place)
    return found


def is_below(path: Path, folders: Sequence[Path]) -> bool:
    """Say whether a path is one of some folders or is below one."""
    return any(path.is_relative_to(folder) for folder in folders)


def tools(programs: Sequence[str], hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders below `hidden` that programs run from: those in PATH, and the real places of `programs`."""
    folders = [Path(name) for name in search_path().split(os.pathsep)]
    for name in ("LD_LIBRARY_PATH", "LIBRARY_PATH"):
        folders += [Path(part) for part in os.environ.get(name, "").split(os.pathsep) if os.path.isabs(part)]
    for name in programs:
        link = Path(shutil.which(name, path=search_path()) or "/")
        for _ in range(40):  # as many as Linux follows
            folders.append(link.parent)
            if not link.is_symlink():
                break
            link = link.parent / os.readlink(link)
        folders.append(link.resolve().parent)
    homes = {*hidden, *(Path(os.path.expanduser(f"~/{n}")) for n in (".config", ".cache", ".local/share", ".ssh", ""))}
    for folder in dict.fromkeys(Path(os.path.abspath(f)) for f in folders):
        above = folder.parent
        for place in (folder, *([above] if any((above / name).exists() for name in PREFIX) else [])):
            if is_below(place, hidden) and not any(is_below(home, [place]) for home in homes):
                yield place


def caches(programs: Sequence[str]) -> Iterator[Path]:
    """Yield ccache's folder of objects, if ccache is among `programs`."""
    if "ccache" in programs and (folder := ccache_folder(shutil.which("ccache", path=search_path()) or "")):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@cache
def ccache_folder(ccache: str) -> Path | None:
    """Return the folder that ccache says it uses."""
    done = run([ccache, "--get-config=cache_dir"], check=False, timeout=20)
    said = done.stdout.decode("utf-8", "surrogateescape").strip()
    return Path(said) if done.returncode == 0 and os.path.isabs(said) else None


def borrowed(objects: Path) -> list[Path]:
    """Return a repository's folder of objects and all those it borrows from."""
    found: dict[Path, None] = {}
    todo = [objects]
    while todo:
        folder = todo.pop()
        if folder in found:
            continue
        found[folder] = None
        try:
            lines = (folder / "info/alternates").read_bytes().decode("utf-8", "surrogateescape").splitlines()
        except OSError:
            continue
        todo += [folder / line for line in lines if line and not line.startswith("#")]
    return list(found)
