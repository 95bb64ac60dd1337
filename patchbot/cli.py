"""The command line: parse, run one command, turn what went wrong into a message and the promised exit code.

This is the only place that prints errors and exits. A command appears here only once it works.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import closing
from types import ModuleType
from typing import Any, NoReturn

from . import __version__, signals, temporary
from .commands.session import Session
from .errors import PatchbotError, UserError, line_in
from .git import lost
from .paths import refused
from .terminal import Terminal, complain, let_go, prepare, visible, write
from .turns import call_me

#: Each is a module of the folder commands/, in the order of --help.
COMMANDS = (
    *("init", "demo", "doctor", "scan", "generate", "regenerate", "check", "edits", "diff", "mail", "freeze"),
    *("report", "trailers", "status", "trust", "campaigns", "checks"),
)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints, which quote arguments, are fit for a terminal."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message and exit."""
        super().error(visible(message))


def common() -> Parser:
    """Return the options that every command takes."""
    parser = Parser(add_help=False)
    group = parser.add_argument_group("common")
    group.add_argument("-C", metavar="DIR", help="run as if started in DIR")
    group.add_argument("--config", metavar="FILE", help="instead of ./patchbot.toml or the repository's patchbot.toml")
    group.add_argument("--kernel", metavar="PATH", help="the kernel: any git repository, bare or not")
    group.add_argument("--base", metavar="REV", help="the revision to start from (default: kernel.base, else HEAD)")
    group.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    group.add_argument("--strict", action="store_true", help="only PASS is success")
    group.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress, no remarks")
    group.add_argument("--no-color", action="store_true", help="no colour (NO_COLOR is honoured too)")
    return parser


def command(name: str) -> ModuleType:
    """Return the module of a command; all of them together take 0.2 s to load."""
    return importlib.import_module(f".commands.{name}", __package__)


def build_parser(names: Sequence[str] = COMMANDS) -> Parser:
    """Return the parser of some commands."""
    parser = Parser(prog="patchbot", description="Generate, check and mail a kernel patch series.")
    parser.add_argument("--version", action="version", version=f"patchbot {__version__}")
    shared = common()
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name in names:
        module = command(name)
        doc = (module.__doc__ or "").strip().splitlines()[0]
        sub = commands.add_parser(name, help=doc, description=doc, parents=[shared])
        if hasattr(module, "arguments"):
            module.arguments(sub)
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
        complain(f"{str(stop) or 'interrupted'}; nothing half done was kept")
        return 128 + (stop.number if isinstance(stop, signals.Stopped) else signal.SIGINT)
    except PatchbotError as error:
        complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        return 3
    except OSError as error:
        known = refused(error)
        complain(f"{known}{kept_traceback()}")
        return known.exit_code
    except SystemExit:
        raise
    except BaseException as error:
        complain(f"a bug in patchbot: {type(error).__name__}: {error}{kept_traceback()}")
        return 3
    finally:
        let_go()


def execute(argv: Sequence[str] | None) -> int:
    """Run the command that the arguments name."""
    first = next(iter(sys.argv[1:] if argv is None else argv), "")
    parser = build_parser([first] if first in COMMANDS else COMMANDS)
    args = parser.parse_args(argv)
    if not args.command:
        parser.print_help()
        return 0
    no_color = True if args.no_color else None
    session = Session(args, Terminal(no_color=no_color), Terminal(stderr=True, no_color=no_color, quiet=args.quiet))
    call_me(args.command)
    temporary.sweep()
    with closing(session):
        try:
            return int(command(args.command).execute(session))
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
    what = getattr(session.args, "campaign", None)
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
