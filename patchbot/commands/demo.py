"""Show the way from scan to mails, on a kernel of its own."""

from __future__ import annotations

import argparse
import json
import mailbox
import os
import shutil
from contextlib import closing
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from ..bundle import bundled
from ..config import load
from ..errors import UserError
from ..git import kernels
from ..git.commits import author_of
from ..git.repo import Repo
from ..git.small import apply, commit, lay_out
from ..model import Identity
from ..paths import cache_dir
from ..progress import shown
from .session import Session

EXAMPLES = (
    "patchbot demo --small        # no network, half a minute",
    "patchbot demo                # a real kernel from Debian",
    "patchbot demo --kernel 7.2",
)
EXITS = {1: "a check failed, or a site was refused"}

#: The author if git has none, so that a fresh machine can show something; nothing of a demo is ever posted.
NOBODY = Identity("A. U. Thor", "author@example.org")
#: Who replies in the demo on the small kernel: two of its maintainers, and to which patches.
ANSWERS = (
    ("Carol Core <carol@example.org>", "for cpumask", "Looks right to me.\n\nAcked-by: Carol Core <carol@example.org>"),
    ("Gene General <gene@example.org>", "for file system", "Nice.\n\nReviewed-by: Gene General <gene@example.org>"),
)
#: The Message-ID of mail N of the demo's v1, in the form of git send-email.
POSTED = "20260101120000.1-{}-author@example.org"
#: CPU minutes that the checks of 7.3 took when this was measured.
COMPILING = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--small",
        action="store_true",
        help="use the small kernel that comes with patchbot, and go on to the mails of v2: no network, half a minute",
    )
    parser.add_argument(
        "--prepare",
        action="store_true",
        help="with --small: only make its folder, so that you can type the commands yourself",
    )
    parser.add_argument(
        "--kernel",
        dest="version",
        metavar="VERSION",
        help="a release that Debian has, such as 7.2 (default: the newest in the cache, else the newest there is)",
    )
    parser.add_argument(
        "-o",
        dest="output",
        metavar="DIR",
        help="put everything into DIR, which must not exist (default: a folder in the cache, made anew)",
    )


def execute(session: Session, *, small: bool, prepare: bool, version: str | None, output: str | None) -> int:
    """Run the command."""
    if small:
        if version:
            raise UserError("--small has its own kernel: leave out --kernel")
        return on_small(session, new_folder(session, output, "small"), prepare)
    if prepare:
        raise UserError("--prepare needs --small: with a real kernel there is nothing to prepare but its repository")
    cpus = os.cpu_count() or 1
    session.say(
        f"This takes about {max(3, round(COMPILING / cpus))} minutes on {cpus} processors, longer if the kernel has to"
        " be downloaded first (160 MB).\nThere is something to read after a few seconds of work; compiling comes last."
    )
    with shown(session.err):
        kernel = kernels.fetch(version, cache_dir(), session.say)
    session.say(f"the kernel is {kernel.version}, {kernel.tag} in {kernel.repo}")
    return on_real(session, kernel, new_folder(session, output, kernel.version))


def new_folder(session: Session, output: str | None, name: str) -> Path:
    """Return the new folder that the demo works in; the one in the cache is patchbot's own and made anew."""
    if output:
        where = session.cwd / output
        if where.exists():
            raise UserError(f"{where} exists; name a folder that does not, or leave out -o")
    else:
        where = cache_dir() / f"demo-{name}"
        shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    session.say(f"\n$ cd {where}")
    return Path(where)


def shipped() -> str:
    """Return the name of the campaign that comes with patchbot."""
    return load(None, bundled("patchbot.toml")).campaign(None).name


def configure(session: Session, where: Path, kernel: Path, base: str, more: str = "") -> None:
    """Write the demo's patchbot.toml, with an author if git has none; `kernel` may be relative to the folder."""
    text = f"[kernel]\npath = {quoted(where, kernel)}\nbase = {json.dumps(base)}\n{more}"
    try:
        author_of(Repo.open(where / kernel), None)
    except UserError:
        session.say(f"# git has no user.name and user.email here: the author is {NOBODY}, for the demo only")
        text += f'\n[author]\nname = "{NOBODY.name}"\nemail = "{NOBODY.email}"\n'
    (where / "patchbot.toml").write_text(text, encoding="utf-8")


def quoted(where: Path, path: Path) -> str:
    """Return a path for a TOML file in a folder, relative to that if it cannot be written in full."""
    for text in (str(path), os.path.relpath(where / path, where)):
        if text.encode("utf-8", "replace").decode() == text:
            # JSON's escapes of what is beyond U+FFFF are two surrogates, which TOML does not take.
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise UserError(f"{path}: no patchbot.toml can hold a name that is not UTF-8; set XDG_CACHE_HOME to another folder")


def on_real(session: Session, kernel: kernels.Kernel, where: Path) -> int:
    """Make, read and check the series on a real kernel: what there is to read first, compiling last."""
    configure(session, where, kernel.repo, kernel.tag)
    steps = (["scan"], ["generate"], ["check", "--only", "applies,checkpatch"], ["mail", "-o", "mails"], ["check"])
    code = 0
    for step in steps:
        if step == ["check"]:
            session.say(
                f"\n# The mails are in {where / 'mails'}. What follows compiles each patch; Ctrl-C loses nothing."
            )
        code = max(code, session.patchbot(where, *step))
    session.say(
        f"\nthe series:  git -C {kernel.repo} log -p {kernel.tag}..patchbot/{shipped()}"
        f"\nthe mails:   {where / 'mails'}"
        f"\nthe folder:  cd {where}, and try other commands there: patchbot status"
    )
    return code


def on_small(session: Session, where: Path, prepare: bool) -> int:
    """Go the whole way on the small kernel: a series, its mails, replies, a base that moves, the mails of v2."""
    linux = where / "linux"
    lay_out(linux)
    commit(linux, "Linux 7.99")
    link = f'\n[campaigns.{shipped()}]\nurl = "https://example.org/patchbot"\n'
    moved = where / "moved.patch"
    moved.write_bytes((bundled("templates") / "demo/moved.patch").read_bytes())
    configure(session, where, Path(linux.name), "master", link)
    if prepare:
        session.say(f"# {where} is ready: cd there, and start with: patchbot scan")
        return 0
    code = 0
    for step in (["scan"], ["generate"], ["check"], ["mail", "-o", "v1"]):
        code = max(code, session.patchbot(where, *step))
    session.say(
        "\n# Somebody sends the mails (patchbot never does), two maintainers reply, and meanwhile the base moves."
    )
    write_thread(where)
    apply(linux, moved)
    for step in (
        ["freeze", "--message-id", POSTED.format(0)],
        ["trailers", "--mbox", "thread.mbox"],
        ["regenerate", "--onto", "master"],
        ["diff"],
        ["check"],
        ["mail", "-o", "v2"],
        ["status"],
    ):
        code = max(code, session.patchbot(where, *step))
    session.say(
        f"\n# All of it is in {where}: the mails in v1 and v2, the kernel in linux. Try other commands there;"
        " without -o, the next demo makes this folder anew."
    )
    return code


def write_thread(where: Path) -> None:
    """Write thread.mbox as in an archive: the mails of v1 with their Message-IDs, and the replies."""
    with closing(mailbox.mbox(where / "thread.mbox")) as box:
        for number, file in enumerate(sorted((where / "v1").glob("*.patch"))):
            mail = message_from_bytes(file.read_bytes(), policy=policy.default)
            mail["Message-ID"] = f"<{POSTED.format(number)}>"
            box.add(mail)
            for who, about, text in ANSWERS:
                if about in mail["Subject"]:
                    reply = EmailMessage()
                    reply["From"], reply["Subject"], reply["Date"] = who, f"Re: {mail['Subject']}", mail["Date"]
                    reply["Message-ID"] = f"<answer-{number}@example.org>"
                    reply["In-Reply-To"] = reply["References"] = mail["Message-ID"]
                    reply.set_content(f"> {mail['Subject']}\n\n{text}\n")
                    box.add(reply)
