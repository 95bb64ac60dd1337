"""Run the command line: parse, run one command, turn errors into a message and the promised exit code.

This is the only place that prints errors and exits. A command appears here only once it works.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import re
import shlex
import signal
import sys
import tempfile
import traceback
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import fields
from types import ModuleType
from typing import Any, NoReturn

from . import __version__, signals, temporary
from .commands.session import Given, Session
from .config import located
from .errors import CheckedOut, ConfigError, PatchbotError, UserError, line_in
from .git import lost
from .paths import refused
from .terminal import Terminal, complain, let_go, prepare, write
from .turns import call_me

#: The modules of the folder commands/, each with the shared options that mean something to it; in groups, in the order
#: in which a person needs them.
GROUPS = {
    "start": {"demo": (), "doctor": ("json", "kernel"), "init": ("json",)},
    "make": {
        "scan": ("campaign", "steps", "json", "kernel", "base"),
        "generate": ("campaign", "steps", "move", "json", "kernel", "base"),
        "edits": ("campaign", "match", "json", "kernel"),
        "check": ("range", "json", "kernel"),
        "report": ("range", "json", "kernel"),
        "cover": ("campaign", "move", "json", "kernel"),
        "mail": ("campaign", "move", "json", "kernel"),
    },
    "keep up": {
        "freeze": ("campaign", "match", "move", "json", "kernel"),
        "trailers": ("campaign", "move", "json", "kernel"),
        "regenerate": ("campaign", "match", "move", "json", "kernel"),
        "diff": ("json", "kernel"),
        "undo": ("campaign", "move", "json", "kernel"),
        "status": ("campaign", "json", "kernel", "base"),
    },
    "look up": {"campaigns": ("json", "kernel"), "checks": ("json", "kernel"), "trust": ("json",)},
}
COMMANDS = {name: names for group in GROUPS.values() for name, names in group.items()}
#: What the exit codes mean, unless a command says otherwise.
EXITS = {
    0: "done",
    2: "you can fix it: the arguments, patchbot.toml, the repository",
    3: "a program or patchbot failed",
}
#: A place in a message: file:line.
PLACE = re.compile(r"(?m)(?:^|(?<=\s))([^\s:]+):([1-9]\d{0,8})(?=[:,;\s]|$)")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are handled like all others, and which takes options by their whole names only.

    The start of a name could mean another option later.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **given)

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the usage."""
        raise UserError(f"{message}\n{self.format_usage().strip()}")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """argparse's own formatter, with the commands as on the first page."""

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return f"{first_page()}\n"
        return super()._format_action(action)


def shared(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the options that every command takes, and those of the others that are named."""
    if "campaign" in names:
        parser.add_argument(
            "campaign", nargs="?", metavar="CAMPAIGN", help="the campaign (default: the only one in your patchbot.toml)"
        )
    if "range" in names:
        parser.add_argument(
            "campaign",
            nargs="?",
            metavar="CAMPAIGN|REV..REV",
            help="the draft of a campaign, or any commits (default: the only campaign in patchbot.toml)",
        )
    if "steps" in names:
        parser.add_argument("--with", dest="with_", metavar="STEP,..", help="switch these optional steps on")
        parser.add_argument("--without", metavar="STEP,..", help="switch these steps off")
    if "match" in names:
        parser.add_argument(
            "--match",
            action="append",
            default=[],
            metavar="COMMIT=PATCH",
            help="say which patch a commit is, where patchbot cannot tell (more than once is fine)",
        )
    if "move" in names:
        parser.add_argument(
            "--update-checkout",
            action="store_true",
            help="move a branch that is checked out, too, and its work tree with it, if that is clean (default: stop)",
        )
    group = parser.add_argument_group("common options")

    def option(*flags: str, **given: Any) -> None:
        # Before and after the command: what is not given in the second place must not undo the first.
        group.add_argument(*flags, default=argparse.SUPPRESS, **given)

    option("-C", metavar="DIR", help="run as if started in DIR")
    option(
        "--config", metavar="FILE", help="the patchbot.toml to use (default: ./patchbot.toml, else .git/patchbot.toml)"
    )
    if "kernel" in names:
        option("--kernel", metavar="PATH", help="the git repository (default: kernel.path in patchbot.toml, else here)")
    if "base" in names:
        option(
            "--base", metavar="REV", help="the commit to start from (default: kernel.base in patchbot.toml, else HEAD)"
        )
    if "json" in names:
        option("--json", action="store_true", help="print one JSON document, and nothing else, on stdout")
    option("-v", "--verbose", action="store_true", help="say more")
    option("-q", "--quiet", action="store_true", help="print no progress and no remarks")
    option("--no-color", action="store_true", help="print without colour, as with NO_COLOR in the environment")


def command(name: str) -> ModuleType:
    """Return the module of a command; all of them together take 0.2 s to load."""
    return importlib.import_module(f".commands.{name}", __package__)


def summary(name: str) -> str:
    """Return what a command does, in one line."""
    return (command(name).__doc__ or "").strip().splitlines()[0]


def first_page() -> str:
    """Return the commands in the order in which a person needs them, one a line; it fits 80 by 24."""
    rows = [
        f"{group if name == next(iter(names)) else '':9}{name:12}{summary(name).rstrip('.')}"
        for group, names in GROUPS.items()
        for name in names
    ]
    return "\n".join(rows)


def epilog(name: str) -> str:
    """Return the examples and the exit codes of a command."""
    module = command(name)
    exits = sorted({**EXITS, **getattr(module, "EXITS", {})}.items())
    rows = [*(f"  {code}      {meaning}" for code, meaning in exits), "  128+N  ended by signal N; Ctrl-C is 130"]
    return "\n".join(["examples:", *(f"  {line}" for line in module.EXAMPLES), "", "exit codes:", *rows])


def build_parser(names: Collection[str] = tuple(COMMANDS)) -> Parser:
    """Return the parser of some commands; that of all is what the completion and the manual page are made of."""
    parser = Parser(
        prog="patchbot",
        description="Generate, check and mail a kernel patch series.",
        epilog="patchbot COMMAND --help explains a command.",
        formatter_class=Formatter,
        usage="%(prog)s [-C DIR] [--config FILE] COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"patchbot {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    shared(parser, ())
    for name in names:
        sub = commands.add_parser(
            name,
            prog=f"patchbot {name}",
            help=summary(name),
            description=summary(name),
            epilog=epilog(name),
            formatter_class=Formatter,
        )
        if hasattr(command(name), "arguments"):
            command(name).arguments(sub)
        shared(sub, COMMANDS[name])
    if len(names) > 1:
        add_completion(parser, commands.choices.values())
    return parser


def add_completion(parser: Parser, commands: Iterable[Parser]) -> None:
    """Add the option that prints the completion script, and what the shell completes for an option or argument."""
    import shtab  # as long as the rest of the command line

    completed = {
        "FILE": shtab.FILE,
        "DIR": shtab.DIRECTORY,
        "PATH": shtab.DIRECTORY,
        "REV": shtab.cmd("git for-each-ref '--format=%(refname:short)' 2>/dev/null"),
    }
    parser.add_argument(
        "--print-completion",
        action=shtab.completion_action(),
        choices=shtab.SUPPORTED_SHELLS,
        default=argparse.SUPPRESS,
        help="print the completion script of a shell",
    )
    for each in (parser, *commands):
        for action in each._actions:
            if action.metavar in completed:
                action.complete = completed[action.metavar]  # type: ignore[attr-defined]


def main(argv: Sequence[str] | None = None) -> int:
    """Run patchbot and return its exit code: 0 done, 1 failed or refused, 2 the user's, 3 error, 128+N a signal."""
    # The tokens of a kernel's files are a million objects without a cycle; looking for one takes 0.5 s of 3.5.
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
        write(f"{parser.format_usage()}\n{first_page()}\n\n{parser.epilog}\n")
        return 0
    args = Given(**{field.name: own.pop(field.name) for field in fields(Given) if field.name in own})
    no_color = True if args.no_color else None
    session = Session(
        args, Terminal(no_color=no_color), Terminal(stderr=True, no_color=no_color, quiet=args.quiet), execute
    )
    call_me(name)
    temporary.sweep()
    with closing(session), signals.staying():
        try:
            return int(command(name).execute(session, **own))
        except PatchbotError as error:
            raise explained(session, error, sys.argv[1:] if argv is None else argv) from error
        except SystemExit as error:
            raise UserError(f"a campaign or a check ended the program: {error.code!r}") from error
        except Exception as error:
            if where := in_campaign(session, error):
                raise UserError(f"{where}: {type(error).__name__}: {error}{kept_traceback()}") from error
            raise


def in_campaign(session: Session, error: Exception) -> str:
    """Return the line of a person's campaign that an error came from, "" if it came from patchbot itself."""
    made = session.__dict__.get("campaign")
    return line_in(error, made.folder) if made and made.folder else ""


def explained(session: Session, error: PatchbotError, argv: Sequence[str]) -> PatchbotError:
    """Return the error to show: with the line of patchbot.toml, or that objects of the campaign's series are gone.

    Where a branch is checked out, it has the command that moves the work tree along.
    """
    if isinstance(error, CheckedOut):
        again = shlex.join(["patchbot", *argv, "--update-checkout"])
        return UserError(f"{error}\nor have patchbot move it, if its work tree is clean, with: {again}")
    if isinstance(error, ConfigError) and (config := session.__dict__.get("config")):
        return located(error, config.file)
    what = session.args.campaign
    try:
        name = session.config.campaign(None if what and ".." in what else what).name
        return lost.explain_loss(session.repo, name, error)
    except PatchbotError:
        return error


def kept_traceback() -> str:
    """Return the line that names the file with the traceback, "" if none can be written."""
    with contextlib.suppress(OSError):
        # It may quote names that are not text.
        options: Any = {"encoding": "utf-8", "errors": "backslashreplace"}
        with tempfile.NamedTemporaryFile("w", prefix="patchbot-", suffix=".log", delete=False, **options) as log:
            traceback.print_exc(file=log)
        return f"\n  the traceback is in {log.name}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
