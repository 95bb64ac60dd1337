"""The life of a series on real kernels, as README tells it, with patchbot from a wheel in an empty environment."""

from __future__ import annotations

import mailbox
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from conftest import RealKernel, real_kernels
from tinytree import TOP

from patchbot.git.repo import Repo

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
BRANCH = "refs/heads/patchbot/kfunc_flags"
POSTED = "20260101120000.1-{}-dev@example.org"
#: What `check` is asked for; empty is everything, which compiles each patch twice.
ONLY = os.environ.get("PATCHBOT_LIFE_CHECKS", "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the patchbot of a wheel that is installed where nothing else is."""
    dist, venv = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("venv")
    for argv in (
        [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", dist, TOP],
        [sys.executable, "-m", "venv", venv],
    ):
        subprocess.run(argv, check=True)
    subprocess.run([venv / "bin/pip", "install", "-q", *dist.glob("*.whl")], check=True)
    return venv / "bin/patchbot"


def git(repo: Repo, *argv: str, said: bytes = b"", env: Mapping[str, str] | None = None) -> str:
    """Run git as a person would and return what it printed."""
    command = ["git", "-C", str(repo.git_dir), *argv]
    return subprocess.run(command, input=said, env=env, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


class Person:
    """Someone in a folder with a patchbot.toml, who types commands and reads what they say."""

    def __init__(self, patchbot: Path, folder: Path, repo: Repo) -> None:
        self.patchbot, self.folder, self.repo = patchbot, folder, repo
        settings = '[campaigns.kfunc_flags]\nurl = "https://example.org/patchbot"\nrfc = false\n'
        (folder / "patchbot.toml").write_text(f'[kernel]\npath = "{repo.git_dir}"\n{settings}')

    def types(self, *argv: str) -> str:
        """Run patchbot, print what a terminal would show, and return it."""
        done = subprocess.run([self.patchbot, *argv], cwd=self.folder, capture_output=True, text=True)
        said = done.stdout + done.stderr
        print(f"$ patchbot {' '.join(argv)}\n{said}[exit {done.returncode}]\n")
        assert done.returncode == 0, (argv, said)
        return said

    def checks(self) -> str:
        return self.types("check", *(["--only", ONLY] if ONLY else []))

    def amends(self, subject: str, line: str) -> None:
        """Change the last patch of the branch by hand in a work tree of its own: one line more in its changelog."""
        message = git(self.repo, "log", "-1", "--format=%B", BRANCH).replace("\n\n", f"\n\n{line}\n\n", 1)
        assert subject in message
        own = git(self.repo, "commit-tree", f"{BRANCH}^{{tree}}", "-p", f"{BRANCH}^", "-F", "-", said=message.encode())
        git(self.repo, "update-ref", BRANCH, own)

    def subjects(self, base: str) -> list[str]:
        return git(self.repo, "log", "--reverse", "--format=%s", f"{base}..{BRANCH}").splitlines()


def answered(folder: Path, mails: str, numbers: Sequence[int]) -> Path:
    """Write the thread as an archive would have it: what was sent, and an Acked-by to some patches."""
    path = folder / "thread.mbox"
    box = mailbox.mbox(path)
    for number, file in enumerate(sorted((folder / mails).glob("*.patch"))):
        mail = message_from_bytes(file.read_bytes(), policy=policy.default)
        mail["Message-ID"] = f"<{POSTED.format(number)}>"
        box.add(mail)
        if number in numbers:
            reply = EmailMessage()
            reply["From"], reply["Subject"] = "Rita Reviewer <rita@example.org>", f"Re: {mail['Subject']}"
            reply["Date"], reply["Message-ID"] = mail["Date"], f"<answer-{number}@example.org>"
            reply["In-Reply-To"] = reply["References"] = mail["Message-ID"]
            reply.set_content("> a line\n\nAcked-by: Rita Reviewer <rita@example.org>\n")
            box.add(reply)
    box.close()
    return path


def moved(repo: Repo, base: str) -> str:
    """Commit on a kernel what upstream does all the time: lines come before those that the series changes."""
    env = {**os.environ, "GIT_INDEX_FILE": str(repo.git_dir / "moved-index")}
    git(repo, "read-tree", base, env=env)
    for path in ("kernel/bpf/verifier.c", "kernel/bpf/helpers.c", "kernel/bpf/cpumask.c"):
        text = b"/* A line that upstream added. */\n" + (repo.read(base, path) or b"")
        blob = git(repo, "hash-object", "-w", "--stdin", said=text)
        git(repo, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
    return git(repo, "commit-tree", git(repo, "write-tree", env=env), "-p", base, "-m", "bpf: Move on")


@pytest.mark.parametrize("number", [0, 1], ids=["newest-moves", "older-to-newest"])
def test_from_nothing_to_version_two(
    number: int, wheel: Path, tmp_path: Path, borrow: Callable[[RealKernel], Repo]
) -> None:
    there = real_kernels()
    if len(there) < 2:
        pytest.skip("needs two real kernels: `make kernels` fetches them")
    kernel = there[number]
    repo = borrow(kernel)
    onto = there[0].commit if number else moved(repo, kernel.commit)
    before = {ref: oid for ref, oid in repo.refs("refs/").items() if "patchbot" not in ref}
    me = Person(wheel, tmp_path, repo)

    me.types("scan")
    me.types("generate")
    first = me.subjects(kernel.commit)
    assert len(first) > 10
    me.checks()
    me.types("mail", "-o", "v1")
    me.types("freeze", "--message-id", POSTED.format(0))
    assert git(repo, "merge-base", BRANCH, "refs/patchbot/kfunc_flags/v1") == repo.ref(BRANCH)

    me.amends(first[-1], "A sentence of mine.")
    assert "A sentence of mine." in me.types("edits")
    posted = len(list((tmp_path / "v1").glob("*.patch"))) - 1
    answered(tmp_path, "v1", [1, posted])
    said = me.types("trailers", "--mbox", "thread.mbox")
    assert said.count("Rita Reviewer") >= 2

    me.types("regenerate", "--onto", onto)
    again = me.subjects(onto)
    log = git(repo, "log", "--format=%B", f"{onto}..{BRANCH}")
    assert log.count("A sentence of mine.") == 1
    assert "Acked-by: Rita Reviewer <rita@example.org>" in log
    if not number:
        assert again == first
    me.types("diff")
    me.checks()
    me.types("mail", "-o", "v2")
    cover = next((tmp_path / "v2").glob("*0000*")).read_text()
    assert re.search(r"^Subject: \[PATCH.* v2", cover, re.M)
    assert "Changes since v1" in cover
    me.types("status")
    tip = repo.ref(BRANCH)
    me.types("undo")
    assert repo.ref(BRANCH) != tip
    me.types("undo")
    assert repo.ref(BRANCH) == tip, "an undo is undone"
    assert {ref: oid for ref, oid in repo.refs("refs/").items() if "patchbot" not in ref} == before
