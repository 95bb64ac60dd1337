"""Define the exceptions: each kind of failure knows the exit code that the command line promises for it.

A failed check is never one of these; it is a Finding. An exception means that patchbot could not do its work.
"""

import traceback
from pathlib import Path


class PatchbotError(Exception):
    """Something stopped patchbot; the message says what, where, and what would be right."""

    exit_code = 3


class UserError(PatchbotError):
    """The user can fix it: arguments, configuration, an anchor this tree lacks, a branch a person edited."""

    exit_code = 2


class ConfigError(UserError):
    """Something in patchbot.toml cannot be used; `at` is its key, such as `checks.build.jobs`."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.at = at


class CheckedOut(UserError):
    """A branch would have to move that a work tree has checked out; with --update-checkout a clean one moves along."""


class RefusedSites(PatchbotError):
    """Sites need a person's decision; nothing was written."""

    exit_code = 1


class ToolError(PatchbotError):
    """A program that patchbot started failed, hung or is missing."""


class Unfinished(ToolError):
    """A program took too long, wrote too much or was killed, so nothing follows from how it ended."""


class MissingTool(ToolError):
    """A program that patchbot needs is not installed."""


def line_in(error: BaseException, folder: Path) -> str:
    """Return file:line of the innermost line below a folder that an exception passed through, "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(folder):
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(folder)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
