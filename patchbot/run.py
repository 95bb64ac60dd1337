"""The only place that starts programs, and the one that makes the environment they get.

Argument lists, never a shell string; a process group of its own, so that a timeout or Ctrl-C takes a whole
`make -j` down. A child gets the variables that are listed here and no others: what a person exports for their own
builds and repositories (KCONFIG_CONFIG, LLVM, GIT_DIR, PYTHONPATH) must not decide what patchbot makes, or where.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import MissingTool, ToolError

#: What a child gets of patchbot's own environment: who and where the person is, where programs, their libraries and
#: configuration files are, ccache's folders, and how Debian's archive is reached.
LET_THROUGH = (
    *("HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "LIBRARY_PATH"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
    *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
    *("CCACHE_DIR", "CCACHE_CONFIGPATH", "CCACHE_MAXSIZE", "CCACHE_TEMPDIR", "CCACHE_DISABLE"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "APT_CONFIG"),
)
#: Messages that can be read by a program; nothing is fetched behind the user's back (a partial clone would).
SAID = {
    "LC_ALL": "C.UTF-8",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


@dataclass(frozen=True)
class Completed:
    """A program that ended: `stdout` and `stderr` are bytes, empty where they went to a log file."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    def explain(self) -> str:
        """Return one paragraph for an error message: what ran, how it ended, the tail of what it said."""
        if self.returncode < 0:
            try:
                how = f"was killed by {signal.Signals(-self.returncode).name}"
            except ValueError:
                how = f"was killed by signal {-self.returncode}"
        else:
            how = f"ended with exit code {self.returncode}"
        tail = (self.stderr or self.stdout).decode("utf-8", "replace").strip().splitlines()[-8:]
        return f"{' '.join(self.argv[:4])} {how}" + "".join(f"\n  {line}" for line in tail)


def clean_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: what is let through, what is always said, `extra` on top."""
    env = {name: os.environ[name] for name in LET_THROUGH if name in os.environ}
    return {**env, "PATH": search_path(), **SAID, **(extra or {})}


def search_path() -> str:
    """Return PATH without folders that are relative: a program is never looked for in a tree that one stands in."""
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
) -> Completed:
    """Run a program to its end and return what it said.

    `env` is added to `clean_env()`. With `log`, stdout and stderr go to that file (appended, after the command
    line). `inside` is the argv of a sandbox to run it in. Raises MissingTool, or ToolError when it takes longer than
    `timeout` seconds, or with `check` when its exit code is not 0. On a timeout and on Ctrl-C the whole process group
    is killed first.
    """
    args = tuple(str(a) for a in argv)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(log, "ab")) if log else None
        if out:
            out.write(f"$ {' '.join(args)}\n".encode())
            out.flush()
        child = start((*inside, *args), cwd, env, stdin is not None, out)
        try:
            stdout, stderr = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            kill(child)
            raise ToolError(f"{' '.join(args[:4])} took longer than {timeout:g} s and was killed") from error
        except BaseException:
            kill(child)
            raise
    done = Completed(args, child.returncode, stdout or b"", stderr or b"", time.monotonic() - started)
    if check and done.returncode != 0:
        raise ToolError(done.explain() + (f"\n  log: {log}" if log else ""))
    return done


def start(
    args: tuple[str, ...],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    feed: bool | IO[bytes],
    out: IO[bytes] | None,
    errors: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; `out` takes both its outputs where given.

    `feed` says whether its stdin is a pipe, or is the file that it reads; `errors` where else its stderr goes.
    """
    stdin: int | IO[bytes] = feed if not isinstance(feed, bool) else subprocess.PIPE if feed else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            args,
            cwd=cwd,
            env=clean_env(env),
            stdin=stdin,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.STDOUT if out else errors,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise ToolError(f"cannot run {args[0]} in {cwd}: no such directory") from error
        raise MissingTool(f"{args[0]} is not installed") from error
    except PermissionError as error:
        raise ToolError(f"cannot run {args[0]}: {error.strerror}") from error


@contextlib.contextmanager
def piped(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    feed: bool = False,
    stdin: IO[bytes] | None = None,
) -> Iterator[IO[bytes]]:
    """Give the caller a program's stdout, with `feed` its stdin, for more data than memory should hold.

    `env` is as in `run`, `stdin` is a file that the program reads. When the caller is done, the rest of stdout is read
    away. Raises MissingTool, or ToolError when the program fails, also in place of what its failure made the caller
    raise. On any other exception its process group is killed.
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
        except Exception as error:
            if not feed or isinstance(error, BrokenPipeError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=1)
            if child.returncode in (None, 0):
                raise
        finally:
            if child.returncode is None:
                kill(child)
        said.seek(0)
        stderr = said.read() if child.stderr is None else child.stderr.read()
    if child.returncode:
        raise ToolError(Completed(args, child.returncode, b"", stderr, time.monotonic() - started).explain())


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child with its whole process group and reap it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.communicate()
