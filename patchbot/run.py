"""The only place that starts programs (git's persistent reader excepted, which GitPython owns).

Argument lists, never a shell string; a process group of its own, so that a timeout or Ctrl-C takes a whole
`make -j` down; the environment is stripped of GIT_* variables that would redirect git to another repository.
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

#: Nothing is fetched behind the user's back (a partial clone would), no lock is taken for a mere look.
GIT_SAFE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
KEPT_GIT_VARIABLES = {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_EDITOR"}


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
    """Return the environment for a child: no stray GIT_DIR and the like, C messages, `extra` on top."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k in KEPT_GIT_VARIABLES}
    env.update(GIT_SAFE)
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


def which(tool: str, package: str | None = None) -> str:
    """Return the path of `tool`; raise MissingTool that names the package to install."""
    path = shutil.which(tool)
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
) -> Completed:
    """Run a program to its end and return what it said.

    `env` is added to `clean_env()`. With `log`, stdout and stderr go to that file (appended, after the command
    line). Raises MissingTool, or ToolError when it takes longer than `timeout` seconds, or with `check` when its
    exit code is not 0. On a timeout and on Ctrl-C the whole process group is killed first.
    """
    args = tuple(str(a) for a in argv)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(log, "ab")) if log else None
        if out:
            out.write(f"$ {' '.join(args)}\n".encode())
            out.flush()
        child = start(args, cwd, env, stdin is not None, out)
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
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; `out` takes both its outputs where given.

    `feed` says whether its stdin is a pipe, or is the file that it reads.
    """
    stdin: int | IO[bytes] = feed if not isinstance(feed, bool) else subprocess.PIPE if feed else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            args,
            cwd=cwd,
            env=clean_env(env),
            stdin=stdin,
            stdout=out or subprocess.PIPE,
            stderr=subprocess.STDOUT if out else subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise ToolError(f"cannot run {args[0]} in {cwd}: no such directory") from error
        raise MissingTool(f"{args[0]} is not installed") from error
    except PermissionError as error:
        raise ToolError(f"cannot run {args[0]}: {error.strerror}") from error


@contextlib.contextmanager
def piped(argv: Sequence[str | Path], *, feed: bool = False, stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Give the caller a program's stdout, with `feed` its stdin, for more data than memory should hold.

    `stdin` is a file that the program reads. When the caller is done, the rest of stdout is read away. Raises
    MissingTool, or ToolError when the program fails, also in place of what its failure made the caller raise. On any
    other exception its process group is killed.
    """
    args = tuple(str(a) for a in argv)
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = start(args, None, None, stdin or feed, said if feed else None)
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
