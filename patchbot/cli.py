"""The command line: parse, run one command, turn what went wrong into a message and the promised exit code.

This is the only place that prints errors and exits. A command appears here only once it works.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import fields
from types import ModuleType
from typing import Any, NoReturn

from . import __version__, signals, temporary
from .commands.session import Given, Session
from .errors import PatchbotError, UserError, line_in
from .git import lost
from .paths import refused
from .terminal import Terminal, complain, let_go, prepare, write
from .turns import call_me

#: Each is a module of the folder commands/, in the order of --help, with those of the shared options that mean
#: something to it.
COMMANDS = {
    "init": ("json",),
    "demo": (),
    **dict.fromkeys(("doctor",), ("json", "kernel")),
    **dict.fromkeys(("scan", "generate"), ("json", "kernel", "base")),
    **dict.fromkeys(
        ("regenerate", "check", "edits", "diff", "mail", "freeze", "report", "trailers", "undo"), ("json", "kernel")
    ),
    "status": ("json", "kernel", "base"),
    "trust": ("json",),
    **dict.fromkeys(("campaigns", "checks"), ("json", "kernel")),
}
#: How a message names a line: file:line.
PLACE = re.compile(r"(?m)(?:^|(?<=\s))([^\s:]+):([1-9]\d{0,8})(?=[:,;\s]|$)")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the usage."""
        raise UserError(f"{message}\n{self.format_usage().strip()}")


def shared(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the options that every command takes, and those of the others that are named."""
    group = parser.add_argument_group("common")

    def option(*flags: str, **given: Any) -> None:
        # Before and after the command: what is not given in the second place must not undo the first.
        group.add_argument(*flags, default=argparse.SUPPRESS, **given)

    option("-C", metavar="DIR", help="run as if started in DIR")
    option("--config", metavar="FILE", help="instead of ./patchbot.toml or the repository's patchbot.toml")
    if "kernel" in names:
        option("--kernel", metavar="PATH", help="any git repository (default: kernel.path, else the one around DIR)")
    if "base" in names:
        option("--base", metavar="REV", help="the revision to start from (default: kernel.base, else HEAD)")
    if "json" in names:
        option("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    option("-v", "--verbose", action="store_true", help="say more")
    option("-q", "--quiet", action="store_true", help="no progress, no remarks")
    option("--no-color", action="store_true", help="no colour (NO_COLOR is honoured too)")


def command(name: str) -> ModuleType:
    """Return the module of a command; all of them together take 0.2 s to load."""
    return importlib.import_module(f".commands.{name}", __package__)


def build_parser(names: Iterable[str] = COMMANDS) -> Parser:
    """Return the parser of some commands."""
    parser = Parser(prog="patchbot", description="Generate, check and mail a kernel patch series.")
    parser.add_argument("--version", action="version", version=f"patchbot {__version__}")
    shared(parser, ())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in names:
        module = command(name)
        doc = (module.__doc__ or "").strip().splitlines()[0]
        sub = commands.add_parser(name, help=doc, description=doc)
        if hasattr(module, "arguments"):
            module.arguments(sub)
        shared(sub, COMMANDS[name])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run patchbot and return its exit code: 0 done, 1 failed or refused, 2 the user's, 3 error, 128+N a signal."""
    # The tokens of a kernel's files are a million objects without a cycle; to look for one takes 0.5 s of 3.5.
    gc.set_threshold(200_000)
    try:
        with signals.heard():
            prepare()
            try:
                return execute(argv)
            finally:
                temporary.clear()
                if not signals.stopped():
                    write()
    except KeyboardInterrupt as stop:
        code = 128 + (stop.number if isinstance(stop, signals.Stopped) else signal.SIGINT)
        return failed(f"{str(stop) or 'interrupted'}; nothing half done was kept", code, argv)
    except PatchbotError as error:
        return failed(str(error), error.exit_code, argv)
    except BrokenPipeError:
        return 3
    except OSError as error:
        known = refused(error)
        return failed(f"{known}{kept_traceback()}", known.exit_code, argv)
    except SystemExit:
        raise
    except BaseException as error:
        return failed(f"a bug in patchbot: {type(error).__name__}: {error}{kept_traceback()}", 3, argv)
    finally:
        let_go()


def failed(text: str, code: int, argv: Sequence[str] | None) -> int:
    """Print an error, with --json also as a document on stdout, and return the exit code."""
    complain(text)
    if "--json" in (sys.argv[1:] if argv is None else argv):
        at = PLACE.search(text)
        error = {"message": text, "exit": code, "file": at and at[1], "line": at and int(at[2])}
        with contextlib.suppress(PatchbotError, OSError):
            write(json.dumps({"schema": 1, "error": error}) + "\n")
    return code


def execute(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments name."""
    first = next(iter(sys.argv[1:] if argv is None else argv), "")
    parser = build_parser([first] if first in COMMANDS else COMMANDS)
    own = vars(parser.parse_args(argv))
    if not (name := own.pop("command")):
        parser.print_help()
        return 0
    args = Given(**{field.name: own.pop(field.name) for field in fields(Given) if field.name in own})
    no_color = True if args.no_color else None
    session = Session(
        args, Terminal(no_color=no_color), Terminal(stderr=True, no_color=no_color, quiet=args.quiet), execute
    )
    call_me(name)
    temporary.sweep()
    with closing(session):
        try:
            return int(command(name).execute(session, **own))
        except PatchbotError as error:
            raise explained(session, error) from error
        except SystemExit as error:
            raise UserError(f"a campaign or a check ended the program: sys.exit({error.code!r})") from error
        except Exception as error:
            if where := in_campaign(session, error):
                raise UserError(f"{where}: {type(error).__name__}: {error}{kept_traceback()}") from error
            raise


def in_campaign(session: Session, error: Exception) -> str:
    """Return the line of a person's campaign that an error came from, "" where it is patchbot's own."""
    made = session.__dict__.get("campaign")
    return line_in(error, made.folder) if made and made.folder else ""


def explained(session: Session, error: PatchbotError) -> PatchbotError:
    """Return the error to show: that objects of the campaign's own series are gone, where that is behind it."""
    what = session.args.campaign
    try:
        name = session.config.campaign(None if what and ".." in what else what).name
        return lost.explain_loss(session.repo, name, error)
    except PatchbotError:
        return error


def kept_traceback() -> str:
    """Return the line that names the file with the traceback, "" where no file can be written."""
    with contextlib.suppress(OSError):
        # It may quote names that are no text.
        options: Any = {"encoding": "utf-8", "errors": "backslashreplace"}
        with tempfile.NamedTemporaryFile("w", prefix="patchbot-", suffix=".log", delete=False, **options) as log:
            traceback.print_exc(file=log)
        return f"\n  the traceback is in {log.name}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
