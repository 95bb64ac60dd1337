"""Take turns: a run that has to wait for another one says for which, waits, and then continues from its result.

A lock ends with the run that has it and with everything that it started: the children inherit the open file. So a run
also waits for what a killed run left running (a compiler, git moving refs).
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .errors import ToolError, UserError
from .run import inherited
from .temporary import lock

#: Seconds. A check that compiles may have a bench for an hour; a run that holds one for longer hangs.
LIMIT = 4 * 3600.0

#: The name of this process in the messages of those that wait for it.
_command = "patchbot"


def call_me(command: str) -> None:
    """Set the name of this process in the messages of those that wait for it."""
    global _command
    _command = f"patchbot {command}"


class Turn:
    """A lock that this process has; `path` is the file. It is released by `end`, or at the end of a with block."""

    def __init__(self, path: Path, about: str, say: Callable[[str], None], limit: float = LIMIT) -> None:
        """Wait for the lock; raise UserError after `limit` seconds. `about` tells those who wait what it protects."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror} (XDG_CACHE_HOME moves it)") from error
        try:
            self._wait(about, say, limit)
        except BaseException:
            os.close(self._handle)
            raise
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()} {_command}\n".encode(), 0)
        inherited.add(self._handle)

    def _wait(self, about: str, say: Callable[[str], None], limit: float) -> None:
        """Return once the lock is this process's."""
        until = time.monotonic() + limit
        told = False
        while not lock(self._handle):
            who, pid = self.holder()
            if pid == os.getpid():
                raise ToolError(f"{about}: this run already has it")
            if not told:
                say(f"waiting for {who}, which works on {about}")
                told = True
            if time.monotonic() > until:
                raise UserError(
                    f"{who} has worked on {about} for more than {limit / 60:.0f} minutes; wait until it ends,"
                    f" or end it (`fuser -v {self.path}` shows who has it)"
                )
            time.sleep(0.05)

    def holder(self) -> tuple[str, int]:
        """Return the name of the holder and its process id, as far as the file says."""
        match = re.match(
            r"(\d{1,9}) (patchbot(?: [a-z]+)?)\n", os.pread(self._handle, 100, 0).decode("ascii", "replace")
        )
        return (f"`{match[2]}` (process {match[1]})", int(match[1])) if match else ("another patchbot", 0)

    def end(self) -> None:
        """Let the next one have it."""
        if self._handle >= 0:
            inherited.discard(self._handle)
            fcntl.flock(self._handle, fcntl.LOCK_UN)  # for those that inherited it, too
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
