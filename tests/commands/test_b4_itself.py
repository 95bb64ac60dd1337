"""The real b4 takes a branch that patchbot leaves, and what it changes there comes back (`make b4` installs it)."""

from __future__ import annotations

import os
import subprocess
from email.message import EmailMessage
from mailbox import mbox
from pathlib import Path

import pytest
from b4series import BRANCH, MAIL, TAG, Series, with_draft
from owned import FILES
from tinytree import TOP

PROGRAMS = sorted(TOP.glob(".venv/b4/*/bin/b4"))
STRATEGIES = ("commit", "tip-commit", "branch-description")
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="b4 is not installed: make b4")


class Sender(Series):
    """A person who sends with b4, to a program that takes the mails."""

    program: Path

    def b4(self, *argv: str, editor: str = "false") -> str:
        """Run b4 on the branch."""
        script = self.path.parent / "editor"
        script.write_text(f"#!/bin/sh\n{editor}\n")
        script.chmod(0o755)
        env = {**os.environ, "EDITOR": str(script), "GIT_EDITOR": str(script)}
        self.git("switch", "-q", BRANCH)
        done = subprocess.run(
            [self.program, "--offline-mode", "--no-interactive", *argv],
            cwd=self.path,
            env=env,
            input="\n\n\n",
            capture_output=True,
            text=True,
        )
        self.git("switch", "-q", "master")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def info(self) -> dict[str, str]:
        """Return what `b4 prep --show-info` says."""
        rows = (row.partition(": ") for row in self.b4("prep", "--show-info").splitlines())
        return {key: value for key, _, value in rows}

    def leave(self) -> None:
        """Leave the posting for b4, and set the description where it says how."""
        for row in self.run(*MAIL).splitlines():
            if row.strip().startswith("git config "):
                subprocess.run(["sh", "-c", row], cwd=self.path, check=True)

    def mails(self, name: str) -> list[Path]:
        """Have b4 write the mails, and return them."""
        where = self.path.parent / name
        self.b4("send", "--no-sign", "-o", str(where))
        return sorted(where.iterdir())


@pytest.fixture(params=PROGRAMS, ids=[program.parent.parent.name for program in PROGRAMS])
def sender(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sender:
    made = with_draft(tmp_path, capsys, Sender)
    made.program = request.param
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\ncat > /dev/null\n")
    server.chmod(0o755)
    made.git("config", "sendemail.smtpserver", str(server))
    return made


def replied(mails: list[Path], number: int, file: Path) -> Path:
    """Write a thread in which somebody gives a tag to a patch."""
    box = mbox(file)
    for mail in mails:
        box.add(mail.read_bytes())
    patch = box[number]
    reply = EmailMessage()
    reply["From"] = TAG.partition(": ")[2]
    reply["Subject"] = "Re: " + " ".join(str(patch["Subject"]).split())
    reply["Message-ID"] = "<reply@example.org>"
    reply["In-Reply-To"] = str(patch["Message-ID"])
    reply["Date"] = str(patch["Date"])
    reply.set_content(f"Fine.\n\n{TAG}\n")
    box.add(reply)
    box.flush()
    return file


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_whole_round(sender: Sender, strategy: str, tmp_path: Path) -> None:
    filtering = any(sender.program.parents[1].glob("lib/*/site-packages/git_filter_repo.py"))
    if strategy == "branch-description" and filtering:
        pytest.skip("git-filter-repo, which b4 used then, cannot read a configuration with values of several lines")
    sender.git("config", "b4.prep-cover-strategy", strategy)
    sender.leave()
    first = sender.info()
    assert first["cover-subject"] == "treewide: Use new_a()"
    assert (first["revision"], first["prefixes"], first["cover-strategy"]) == ("1", "RFC a-next", strategy)
    assert (first["base-commit"], first["needs-editing"]) == (sender.ref("master"), "False")
    mails = sender.mails("one")
    assert len(mails) == 4
    cover = mails[0].read_text()
    assert "Subject: [PATCH RFC a-next 0/3] treewide: Use new_a()\n" in cover
    assert "\nTo: M A1 <a1@example.org>\nCc: R <r@example.org>\n" in cover
    assert f"\nbase-commit: {sender.ref('master')}\nchange-id: {first['change-id']}\n" in cover

    sender.b4("prep", "--edit-cover", editor='sed -i -e "1s/.*/treewide: Say new/" "$1"')
    sender.b4("prep", "--set-prefixes", "RFC", "a-next", "RFT")
    thread = replied(mails, 2, tmp_path / "thread.mbox")
    sender.b4("trailers", "-u", "-m", str(thread))
    sender.mails("two")
    sender.commit("move", {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n"})
    sender.run("regenerate", "mine", "--onto", "master")
    sender.leave()
    second = sender.info()
    assert second["cover-subject"] == "treewide: Say new"
    assert (second["change-id"], second["revision"]) == (first["change-id"], "1")
    assert (second["prefixes"], second["base-commit"]) == ("RFC a-next RFT", sender.ref("master"))
    assert [TAG in mail.read_text() for mail in sender.mails("three")] == [False, False, True, False]

    assert "Sent 4 messages" in sender.b4("send", "--no-sign")
    assert sender.info()["revision"] == "2"
    sender.commit("on", {"drivers/a/one/1.c": FILES["drivers/a/one/1.c"] + b"int z = old_a;\n"})
    sender.run("regenerate", "mine", "--onto", "master")
    assert sender.repo.ref("refs/patchbot/mine/postings/a-next/v1")
    sender.leave()
    third = sender.info()
    assert (third["change-id"], third["revision"]) == (first["change-id"], "2")
    assert third["needs-editing"] == "False"
    assert "series-v1" in third
    mails = sender.mails("four")
    cover = mails[0].read_text()
    assert "Subject: [PATCH a-next RFT v2 0/3] treewide: Say new\n" in cover or "RFC" in cover
    assert "\nChanges since v1:\n" in cover
    assert [TAG in mail.read_text() for mail in mails] == [False, False, True, False]
