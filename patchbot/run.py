"""Start programs, and make their environment; no other module does.

They are started by argument lists, never a shell string, and in a process group of their own, so that a timeout or
Ctrl-C ends a whole `make -j`. A child gets the variables that are listed here and no others: what a person exports for
their own builds and repositories (KCONFIG_CONFIG, LLVM, GIT_DIR, PYTHONPATH) must not decide what patchbot makes, or
where.

No child outlives patchbot: a signal ends the groups of all children, and if patchbot is killed, a guard does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import signals
from .errors import MissingTool, ToolError, Unfinished

#: What a child inherits of patchbot's own environment: who and where the person is, where programs, their libraries
#: and configuration files are, ccache's folders, and how to reach Debian's archive.
LET_THROUGH = (
    *("HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "LIBRARY_PATH"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
    *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
    *("CCACHE_DIR", "CCACHE_CONFIGPATH", "CCACHE_MAXSIZE", "CCACHE_TEMPDIR", "CCACHE_DISABLE"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "APT_CONFIG"),
)
#: Messages that a program can read; nothing is fetched behind the user's back (a partial clone would).
SAID = {
    "LC_ALL": "C.UTF-8",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
#: How many bytes a program may write to a log; the longest that a kernel's build writes is far below.
MOST_LOGGED = 64 << 20
#: How many bytes a program may say to be read: git lists all files of a kernel in a thirtieth of it.
MOST_READ = 256 << 20
#: Seconds between looks at what was said.
PAUSE = 0.1
#: Seconds between SIGTERM and SIGKILL: a compiler removes its temporary files meanwhile.
GRACE = 1.0
#: Reads `+PID` and `-PID`; when patchbot is gone, for whatever reason, it ends the remaining groups.
GUARD = """\
trap '' HUP INT QUIT TERM
live=' '
while read -r what pid; do
	case $what in
	+) live="$live$pid " ;;
	-) case $live in *" $pid "*) live="${live%%" $pid "*} ${live#*" $pid "}" ;; esac ;;
	esac
done
[ "$live" = ' ' ] && exit
for pid in $live; do kill -TERM "-$pid"; done
sleep 1
for pid in $live; do kill -KILL "-$pid"; done
"""

#: Open files (locks) that each child inherits: what they protect is not free before all children have ended.
inherited: set[int] = set()
#: The children, each with the client whom it works for: see `signals.working_for`.
_live: dict[subprocess.Popen[bytes], str] = {}
_guard: list[int] = []


@dataclass(frozen=True)
class Completed:
    """A program that ended: `stdout` and `stderr` are bytes, empty if they went to a log file."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def killed(self) -> int:
        """Return the signal that ended it, 0 if none did; a sandbox reports one as a shell does."""
        shell = self.returncode - 128 if 128 < self.returncode < 128 + signal.NSIG else 0
        return -self.returncode if self.returncode < 0 else shell

    def explain(self) -> str:
        """Return one paragraph for an error message: what ran, how it ended, the end of its output."""
        if self.killed:
            try:
                how = f"was killed by {signal.Signals(self.killed).name}"
            except ValueError:
                how = f"was killed by signal {self.killed}"
        else:
            how = f"ended with exit code {self.returncode}"
        tail = (self.stderr or self.stdout).decode("utf-8", "replace").strip().splitlines()[-8:]
        words = re.sub(r"\0-c\0[^\0]*+", "", "\0".join(self.argv)) if self.argv[0] == "git" else "\0".join(self.argv)
        return f"{' '.join(words.split(chr(0))[:4])} {how}" + "".join(f"\n  {line}" for line in tail)


def clean_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: the inherited variables, the fixed ones, and `extra`."""
    env = {name: os.environ[name] for name in LET_THROUGH if name in os.environ}
    return {**env, "PATH": search_path(), **SAID, **(extra or {})}


def search_path() -> str:
    """Return PATH without relative folders: a program is never searched for in the current tree."""
    path = os.environ.get("PATH", os.defpath)
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if os.path.isabs(folder))


def which(tool: str, package: str | None = None) -> str:
    """Return the path of `tool`; raise MissingTool that names the package to install."""
    path = shutil.which(tool, path=search_path())
    if path is None:
        hint = f"; Debian has it in the package {package}" if package else ""
        raise MissingTool(f"{tool} is not installed{hint}")
    return path


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout: float = 600,
    check: bool = True,
    log: Path | None = None,
    inside: Sequence[str] = (),
    feed: IO[bytes] | None = None,
    apart: bool = False,
) -> Completed:
    """Run a program to its end and return its output.

    `env` is added to `clean_env()`. With `log`, stdout and stderr go to that file (appended, after the command
    line), which keeps the first MOST_LOGGED bytes. `inside` is the argv of a sandbox to run it in. Raises MissingTool,
    Unfinished when it takes longer than `timeout` seconds or writes more to its log, or with `check` ToolError when its
    exit code is not 0. In these cases and on a signal the whole process group is ended first. `feed` is a file that it
    reads instead of `stdin`. With `apart` it finishes whatever happens to patchbot: a program that moves refs must.
    """
    args = tuple(str(a) for a in argv)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(log, "ab")) if log else None
        if out:
            out.write(headline(args))
            out.flush()
        if stdin and not feed:
            # A file: what a pipe does not take at once is lost when communicate() is called again.
            feed = stack.enter_context(tempfile.TemporaryFile())
            feed.write(stdin)
            feed.seek(0)
        child = start((*inside, *args), cwd, env, feed or False, out, apart=apart)
        try:
            stdout, stderr = attend(child, timeout, out)
        except subprocess.TimeoutExpired as error:
            kill(child)
            seen = f"; what it said is in {log}" if log else ""
            raise Unfinished(f"{' '.join(args[:4])} took longer than {timeout:g} s and was killed{seen}") from error
        except Flood as error:
            kill(child)
            if log:
                cut(log, error.most)
            where = f"; the first of them are in {log}" if log else ""
            much = (MOST_LOGGED if log else error.most) >> 20
            raise Unfinished(f"{' '.join(args[:4])} wrote more than {much} MB and was killed{where}") from error
        except BaseException:
            kill(child)
            raise
        release(child)
    if not apart:
        signals.check()  # it may have been ended by us, so its result means nothing
    done = Completed(args, child.returncode, stdout or b"", stderr or b"", time.monotonic() - started)
    if check and done.returncode != 0:
        raise ToolError(done.explain() + (f"\n  log: {log}" if log else ""))
    return done


def headline(argv: Sequence[str]) -> bytes:
    """Return the line of a log that says what ran."""
    return os.fsencode(f"$ {' '.join(argv)}".replace("\n", " ")) + b"\n"


class Flood(Exception):
    """More output than a program may write, and how much of it to keep."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most


def cut(log: Path, kept: int) -> None:
    """Keep the beginning of a log, in a new file: a child that is not quite dead yet still writes to the old one."""
    short = log.with_name(f"{log.name}.cut")
    with open(log, "rb") as old, open(short, "wb") as new:
        while part := old.read(min(kept, 1 << 20)):
            kept -= new.write(part)
    os.replace(short, log)


def attend(child: subprocess.Popen[bytes], timeout: float, log: IO[bytes] | None) -> tuple[bytes | None, bytes | None]:
    """Return what a child said when it ends; raise TimeoutExpired, or Flood when it says too much meanwhile."""
    most = os.fstat(log.fileno()).st_size + MOST_LOGGED if log else MOST_READ
    end = time.monotonic() + timeout
    while True:
        left, said, size = end - time.monotonic(), None, 0
        try:
            said = child.communicate(timeout=min(left, PAUSE))
        except subprocess.TimeoutExpired as error:
            if left <= PAUSE:
                raise
            size = len(error.output or b"") + len(error.stderr or b"")
        if (os.fstat(log.fileno()).st_size if log else size) > most:
            raise Flood(most)
        if said is not None:
            return said


def talk(argv: Sequence[str | Path]) -> int:
    """Run a program that a person works with, on their terminal and in their environment; return its exit code.

    Ctrl-C is for that program meanwhile.
    """
    child = subprocess.Popen([str(a) for a in argv])
    with signals.left_alone():
        return child.wait()


def start(
    args: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    feed: bool | IO[bytes],
    out: IO[bytes] | None,
    errors: int = subprocess.PIPE,
    *,
    apart: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; `out`, if given, takes both its outputs.

    `feed` says whether its stdin is a pipe, or is the file that it reads; `errors` is another place for its stderr. The
    caller calls `release` when it has ended. With `apart` neither a signal nor the end of patchbot ends it.
    """
    stdin: int | IO[bytes] = feed if not isinstance(feed, bool) else subprocess.PIPE if feed else subprocess.DEVNULL
    try:
        with signals.whole():
            tell_guard("")  # it must run before the child does
            child = subprocess.Popen(
                args,
                cwd=cwd,
                env=clean_env(env),
                stdin=stdin,
                stdout=out or subprocess.PIPE,
                stderr=subprocess.STDOUT if out else errors,
                start_new_session=True,
                pass_fds=tuple(inherited),
            )
            if not apart:
                _live[child] = signals.client()
                tell_guard(f"+ {child.pid}\n")
    except FileNotFoundError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise ToolError(f"cannot run {args[0]} in {cwd}: no such directory") from error
        raise MissingTool(f"{args[0]} is not installed") from error
    except PermissionError as error:
        raise ToolError(f"cannot run {args[0]}: {error.strerror}") from error
    try:
        signals.check()  # a signal that came in another thread did not see this child
    except signals.Stopped:
        kill(child)
        raise
    return child


@contextlib.contextmanager
def piped(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    feed: bool = False,
    stdin: IO[bytes] | None = None,
) -> Iterator[IO[bytes]]:
    """Yield a program's stdout, or with `feed` its stdin, for more data than memory should hold.

    `env` is as in `run`, `stdin` is a file that the program reads. When the caller is done, the rest of stdout is
    discarded. Raises MissingTool, or ToolError if the program fails, even in place of an exception that its failure
    caused in the caller. On any other exception its process group is killed.
    """
    args = tuple(str(a) for a in argv)
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = start(args, None, env, stdin or feed, said if feed else None)
        pipe = child.stdin if feed else child.stdout
        assert pipe is not None
        try:
            yield pipe
            while not feed and pipe.read(1 << 20):
                pass
            if feed:
                pipe.close()
            child.wait()
            signals.check()
        except Exception as error:
            if not feed or isinstance(error, BrokenPipeError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=1)
            if child.returncode in (None, 0):
                raise
        finally:
            if child.returncode is None:
                kill(child)
            release(child)
        said.seek(0)
        stderr = said.read() if child.stderr is None else child.stderr.read()
    if child.returncode:
        raise ToolError(Completed(args, child.returncode, b"", stderr, time.monotonic() - started).explain())


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child with its whole process group, first by SIGTERM, and reap it."""
    signal_group(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
        child.wait(timeout=GRACE)
    signal_group(child, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()
    release(child)


def release(child: subprocess.Popen[bytes]) -> None:
    """Forget a child that ended."""
    if child in _live:
        _live.pop(child, None)
        tell_guard(f"- {child.pid}\n")


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the process group of a child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def end_children(client: str | None = None) -> None:
    """End all children, whichever thread started them, or those that work for one client."""
    live = tuple(_live.items())
    children = [child for child, own in live if child.returncode is None and client in (None, own)]
    for child in children:
        signal_group(child, signal.SIGTERM)

    def insist() -> None:
        time.sleep(GRACE)
        for child in children:
            if child.returncode is None:
                signal_group(child, signal.SIGKILL)

    if children:
        threading.Thread(target=insist, daemon=True).start()


def tell_guard(line: str) -> None:
    """Tell the guard about a child; start it with the first one. Without it, only a kill leaves children behind."""
    with contextlib.suppress(OSError, NotImplementedError):
        if not _guard:
            ours, theirs = os.pipe()
            try:
                devnull = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_WRONLY, 0) for n in (1, 2)]
                actions = [(os.POSIX_SPAWN_DUP2, ours, 0), *devnull]
                env = {"PATH": "/usr/bin:/bin"}
                os.posix_spawn("/bin/sh", ["sh", "-c", GUARD], env, file_actions=actions, setsid=True)
            finally:
                os.close(ours)
            _guard.append(theirs)
        os.write(_guard[0], line.encode())


def forget() -> None:
    """Forget the children of the parent after a fork."""
    for handle in _guard:
        os.close(handle)
    _live.clear()
    _guard.clear()
    inherited.clear()


signals.listeners.append(end_children)
os.register_at_fork(after_in_child=forget)
