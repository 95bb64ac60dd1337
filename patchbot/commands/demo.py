"""Get a kernel, generate the series, check it, write the mails, and say where everything is."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..draft.record import branch
from ..errors import UserError
from ..git import kernels
from ..git.commits import author_of
from ..git.repo import Repo
from ..model import Identity
from ..paths import cache_dir
from . import check, generate, mail
from .session import Session

#: Stands in where git knows nobody, so that a fresh machine can show something; nothing of a demo is ever posted.
NOBODY = Identity("A. U. Thor", "author@example.org")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments; --kernel is a version here, such as 7.2, the newest one without it."""
    parser.add_argument("campaign", nargs="?", metavar="CAMPAIGN")
    parser.add_argument("--only", metavar="a,b", help="only these checks")
    parser.add_argument("-o", dest="output", metavar="DIR", help="where the mails go")


def execute(session: Session) -> int:
    """Run the command."""
    kernel = kernels.fetch(session.args.kernel, cache_dir(), session.say)
    session.say(f"the kernel is {kernel.version}, {kernel.tag} in {kernel.repo}")
    inner = narrowed(session, kernel)
    session.say("\n$ patchbot generate")
    code = generate.execute(inner)
    if code:
        return code
    session.say("\n$ patchbot check")
    checked = check.execute(inner)
    session.say("\n$ patchbot mail")
    code = mail.execute(inner)
    ref = branch(inner.campaign_config.name)
    session.say(
        f"\nthe series:    git -C {kernel.repo} log -p {kernel.tag}..{ref.removeprefix('refs/heads/')}"
        f"\nthe mails:     {inner.args.output}"
        f"\nlogs, builds:  {inner.work}"
        f"\nagain:         patchbot check --kernel {kernel.repo}"
    )
    return max(checked, code)


def narrowed(session: Session, kernel: kernels.Kernel) -> Session:
    """Return a session on the fetched kernel, with an author even where git knows none."""
    given = vars(session.args)
    output = given["output"] or str(cache_dir() / f"demo-{kernel.version}")
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    for command in (generate, check, mail):
        command.arguments(parser)
    own = {"kernel": str(kernel.repo), "base": kernel.commit, "output": output}
    args = argparse.Namespace(**(vars(parser.parse_args([])) | given | own))
    inner = Session(args, session.out, session.err)
    try:
        author_of(Repo.open(Path(kernel.repo)), inner.config.author)
    except UserError:
        session.say(f"git knows no user.name and user.email here: the author is {NOBODY}, for the demo only")
        inner.config = replace(inner.config, author=NOBODY)
    return inner
