"""The printed line reaches the people in the mails and nobody else, whatever a person's git configuration says."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from patchbot.git.repo import Repo
from patchbot.mail.sending import kept_off, read_settings, send_line

SEND_EMAIL = Path(os.environ.get("PATCHBOT_SEND_EMAIL") or "/usr/lib/git-core/git-send-email")
MAIL = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Dev <dev@example.org>
Date: Mon, 5 Jan 2026 10:00:0{0} +0000
Subject: [PATCH {0}/2] a: Change {0}
To: bpf@example.org, Maint {0} <maint{0}@example.org>
Cc: Rev <rev@example.org>, linux-kernel@example.org
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit

Zw\u00f6lf.

Reported-by: Reporter <reporter@example.org>
Signed-off-by: Handler <handler@example.org>
---
 a.c | 2 +-

diff --git a/a.c b/a.c
"""
#: Keeps a mail and whom it is for.
SERVER = """#!/bin/sh
n=$(ls "{0}" | wc -l)
printf '%s\\n' "$@" > "{0}/$n.to"
cat > "{0}/$n.mail"
"""
WANTED = ["bpf", "handler", "linux-kernel", "maint{}", "reporter", "rev"]
#: Each setting would change who gets a mail, or what; the last one of a git after 2.39.
HOSTILE = {
    "to": "hidden@example.com",
    "cc": "hidden@example.com",
    "bcc": "hidden@example.com",
    "toCmd": "echo hidden@example.com #",
    "ccCmd": "echo hidden@example.com #",
    "headerCmd": "echo Cc: hidden@example.com #",
    "signedOffByCc": "false",
    "suppressFrom": "false",
    "toCover": "true",
    "ccCover": "true",
    "suppressCc": "all",
    "transferEncoding": "base64",
    "thread": "false",
    "chainReplyTo": "true",
}


class Sender:
    """A person with git, a repository and a program that takes mails."""

    def __init__(self, where: Path) -> None:
        self.where, self.taken, self.mails = where, where / "taken", where / "mails"
        for folder in (self.taken, self.mails, where / "bin"):
            folder.mkdir()
        (where / "bin/git-send-email").symlink_to(SEND_EMAIL)
        server = where / "server"
        server.write_text(SERVER.format(self.taken))
        server.chmod(0o755)
        subprocess.run(["git", "init", "-q", "--template=", where / "repo"], check=True)
        self.config("user.name", "Dev")
        self.config("user.email", "dev@example.org")
        self.config("sendemail.smtpserver", str(server))
        for number in (1, 2):
            (self.mails / f"000{number}-a.patch").write_text(MAIL.format(number))

    def config(self, key: str, value: str) -> None:
        subprocess.run(["git", "config", key, value], cwd=self.where / "repo", check=True)

    def settings(self) -> dict[str, str]:
        return read_settings(Repo.open(self.where / "repo"))

    def send(self, lists: Sequence[str] = ("bpf@example.org",), line: str = "") -> list[tuple[list[str], str]]:
        """Run the line without a terminal; return (local parts of the recipients, mail) of each mail."""
        line = line or send_line(self.mails, lists, self.settings())
        env = {**os.environ, "PATH": f"{self.where / 'bin'}:{os.environ['PATH']}"}
        where = self.where / "repo"
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=where,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = []
        for file in sorted(self.taken.glob("*.to"), key=lambda path: int(path.stem)):
            people = [word.partition("@")[0] for word in file.read_text().split() if "@" in word]
            found.append((sorted(set(people) - {"dev"}), file.with_suffix(".mail").read_text()))
        return found


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    if not SEND_EMAIL.exists():
        pytest.skip("git send-email is not installed (Debian: git-email)")
    return Sender(tmp_path)


def wanted(number: int) -> list[str]:
    return sorted(name.format(number) for name in WANTED)


def insist(sent: Sequence[tuple[list[str], str]]) -> None:
    """Say that both mails went to those whom they name, as they are, the second one in reply to the first."""
    assert [people for people, _ in sent] == [wanted(1), wanted(2)]
    for _, mail in sent:
        assert "Zw\u00f6lf." in mail
        assert "hidden@" not in mail
    assert ["In-Reply-To: " in mail for _, mail in sent] == [False, True]


@pytest.mark.parametrize("lists", [("bpf@example.org",), ()])
def test_the_mails_go_to_whom_they_name_without_a_terminal(sender: Sender, lists: Sequence[str]) -> None:
    insist(sender.send(lists))


@pytest.mark.parametrize("key", HOSTILE)
def test_no_setting_changes_who_gets_what(sender: Sender, key: str) -> None:
    sender.config(f"sendemail.{key}", HOSTILE[key])
    insist(sender.send())


def test_no_mailmap_changes_who_gets_what(sender: Sender) -> None:
    (sender.where / "map").write_text("Hidden <hidden@example.com> <rev@example.org>\n")
    sender.config("sendemail.mailmap", "true")
    sender.config("sendemail.mailmap.file", str(sender.where / "map"))
    insist(sender.send())


def test_not_even_all_of_them_and_the_server_of_an_identity_is_kept(sender: Sender) -> None:
    server = str(sender.where / "server")
    for key, value in (*HOSTILE.items(), ("smtpserver", "/nonexistent"), ("identity", "my work")):
        sender.config(f"sendemail.{key}", value)
    sender.config("sendemail.my work.smtpserver", server)
    sender.config("sendemail.my work.cc", "hidden@example.com")
    assert kept_off(sender.settings()) == ""
    insist(sender.send())
    sender.config("sendemail.my work.suppressCc", "all")
    assert "sendemail.my work.suppresscc" in kept_off(sender.settings())


def test_no_password_is_read(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--template=", tmp_path], check=True)
    for key, value in (("smtpPass", "secret"), ("work.smtpPass", "secret"), ("identity", "work"), ("cc", "a@b.c")):
        subprocess.run(["git", "config", f"sendemail.{key}", value], cwd=tmp_path, check=True)
    assert read_settings(Repo.open(tmp_path)) == {"sendemail.identity": "work"}


def test_whether_to_be_asked_is_the_persons_choice() -> None:
    assert "--confirm" not in send_line(Path("x"), (), {"sendemail.confirm": "always"})


def test_what_only_newer_versions_of_git_know_is_switched_off_where_it_is_set() -> None:
    plain = shlex.split(send_line(Path("x"), (), {"sendemail.cc": "x"}))
    assert plain[:2] == ["git", "send-email"]
    settings = dict.fromkeys(("sendemail.headercmd", "sendemail.a b.headercmd", "sendemail.mailmap"), "x")
    words = shlex.split(send_line(Path("x"), (), settings))
    assert words[: words.index("send-email")] == [
        "git",
        *("-c", "sendemail.headercmd=true", "-c", "sendemail.a b.headercmd=true", "-c", "sendemail.mailmap=false"),
    ]
