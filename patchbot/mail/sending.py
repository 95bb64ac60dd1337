"""Say the line that sends the mails: whom they go to stands in them, and no configuration of git changes that.

A person's configuration keeps what is theirs: servers, the sender, whether to be asked. `to`, `cc`, `bcc`, the programs
that add people, and the like are switched off, with options that git 2.39 has too.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..git.repo import Repo

#: A program that prints no address stands for `tocmd`; with it, git does not ask whom to send to.
OPTIONS = (
    *("--no-format-patch", "--thread", "--no-chain-reply-to", "--no-to-cover", "--no-cc-cover", "--no-cc", "--no-bcc"),
    *("--to-cmd=true", "--suppress-cc=cccmd", "--suppress-from", "--signed-off-by-cc", "--transfer-encoding=auto"),
)
#: What only newer versions of git know, so that older ones have no option for it: the value that switches it off.
NEWER = {"headercmd": "true", "mailmap": "false"}
#: What the line depends on; a password is nobody's business here.
READ = (*NEWER, "identity", "suppresscc")


def read_settings(repo: Repo) -> dict[str, str]:
    """Return {key: value} of those settings of a person's sendemail.* that the line depends on."""
    return {key: value for key, value in repo.settings("sendemail").items() if key.rpartition(".")[2] in READ}


def send_line(folder: Path, lists: Sequence[str], settings: Mapping[str, str]) -> str:
    """Return the shell line that sends the mails in `folder`; see `read_settings`."""
    options = [*OPTIONS, *([f"--to={name}" for name in lists] or ["--no-to"])]
    over = [f"{key}={NEWER[name]}" for key in settings if (name := key.rpartition(".")[2]) in NEWER]
    if "sendemail.suppresscc" in settings:
        # No option takes it back, but the table of an identity goes before the general one.
        name = settings.get("sendemail.identity") or "patchbot"
        over.append(f"sendemail.{name}.suppresscc=self")
        options.append(f"--identity={name}")
    words = [*(word for setting in over for word in ("-c", setting)), "send-email", *options]
    return f"git {shlex.join(words)} {shlex.quote(str(folder.resolve()))}/*.patch"


def kept_off(settings: Mapping[str, str]) -> str:
    """Return what keeps people off the mails and cannot be switched off, "" if nothing does."""
    key = f"sendemail.{settings.get('sendemail.identity', '')}.suppresscc"
    if key not in settings:
        return ""
    return f"{key} in your git configuration is {settings[key]!r}, which no option of git send-email takes back."
