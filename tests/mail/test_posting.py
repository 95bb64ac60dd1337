"""A series goes the whole way with the programs that people use: git send-email, public-inbox, b4 and git am.

Everything is on loopback, and the programs are those that `make posting` puts below .venv/posting.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
from owned import CAMPAIGN, FILES, Owned

TOOLS = Path(os.environ.get("PATCHBOT_POSTING") or "/nonexistent")
NIPA = Path(os.environ.get("PATCHBOT_NIPA") or "/nonexistent")
#: A repository with a draft of kfunc_flags, of which each posting goes the way as well.
DRAFT = Path(os.environ.get("PATCHBOT_POSTING_DRAFT") or "/nonexistent")
ROOT = TOOLS / "root"
PERL = [ROOT / "usr/share/perl5", *sorted((ROOT / "usr/lib").glob("*/perl5/5.*"))]
TO = "b@example.org"
SCRIPT = """#!/usr/bin/perl
print "M A1 <a1\\@example.org> (maintainer:A1)\\nlinux-kernel\\@vger.kernel.org (open list)\\n";
"""
FIRST = """\
from patchbot.model import Edit
from patchbot.series.campaign import Change


def first(context):
    there = context.tree.exists("include/new.h")
    return Change(() if there else (Edit("include/new.h", new=b"int new_a;\\n", create=True),))
"""
STEP = '[[steps]]\nname = "first"\npython = "first.py:first"\nmessage = "rename.txt"\n\n[[steps]]\n'

pytestmark = pytest.mark.skipif(
    not (TOOLS / "venv/bin/b4").exists(),
    reason="it needs public-inbox, b4 and aiosmtpd; get them and run it with: make posting",
)


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Lists:
    """A mail server that takes everything, and an archive of it that is read over HTTP."""

    def __init__(self, where: Path, stack: ExitStack) -> None:
        self.where, self.smtp, self.http, self.taken = where, free_port(), free_port(), 0
        library = next((ROOT / "usr/lib").glob("*-linux-gnu"))
        self.env = {
            **{key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ},
            "HOME": str(where),
            "PERL5LIB": ":".join(map(str, PERL)),
            "LD_LIBRARY_PATH": str(library),
        }
        self.mails = where / "taken"
        place = f"http://127.0.0.1:{self.http}/lists/"
        self.perl("public-inbox-init", "-V2", "--indexlevel=basic", "lists", str(where / "inbox"), place, TO)
        config = str(where / ".public-inbox/config")
        subprocess.run(["git", "config", "--file", config, "publicinboxmda.spamcheck", "none"], check=True)
        server = ["-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{self.smtp}", "-c", "aiosmtpd.handlers.Mailbox"]
        self.daemon(stack, [str(TOOLS / "venv/bin/python"), *server, str(self.mails)], self.smtp)
        self.daemon(stack, [str(ROOT / "usr/bin/public-inbox-httpd"), "-l", f"127.0.0.1:{self.http}"], self.http)

    def perl(self, program: str, *argv: str, stdin: bytes = b"") -> None:
        """Run one of public-inbox's programs."""
        env = {**self.env, "ORIGINAL_RECIPIENT": TO}
        subprocess.run([ROOT / "usr/bin" / program, *argv], input=stdin, env=env, check=True, capture_output=True)

    def daemon(self, stack: ExitStack, argv: list[str], port: int) -> None:
        """Start a server, and wait until it listens."""
        with open(self.where / f"{port}.log", "wb") as log:
            child = subprocess.Popen(argv, env=self.env, stdout=log, stderr=log, cwd=self.where)
        stack.callback(child.wait)
        stack.callback(child.terminate)
        for _ in range(200):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.where / f"{port}.log").read_text())

    def send(self, line: str, sender: str) -> list[Message]:
        """Run the line that `mail` prints, as a person does; archive what the server got, and return it."""
        work = self.where / "sender"
        if not work.exists():
            subprocess.run(["git", "init", "-q", "--template=", work], check=True)
            server = {"sendemail.smtpserver": "127.0.0.1", "sendemail.smtpserverport": str(self.smtp)}
            who = dict(zip(("user.name", "user.email"), parseaddr(sender), strict=True))
            for key, value in {**server, **who, "sendemail.confirm": "never"}.items():
                git(work, "config", key, value)
            (self.where / "bin").mkdir()
            (self.where / "bin/git-send-email").symlink_to(ROOT / "usr/lib/git-core/git-send-email")
        env = {**self.env, "PATH": f"{self.where / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", line], cwd=work, env=env, capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        assert b"250" in done.stdout
        return self.archive()

    def archive(self) -> list[Message]:
        """Put what came since the last time into the archive, in its order, and return it."""
        files = sorted((self.mails / "new").iterdir(), key=lambda file: file.stat().st_mtime_ns)[self.taken :]
        self.taken += len(files)
        for file in files:
            self.perl("public-inbox-mda", "--no-precheck", stdin=file.read_bytes())
        return [message_from_bytes(file.read_bytes()) for file in files]

    def reply(self, to: Message, who: str, text: str) -> None:
        """Have somebody answer a mail."""
        address = who.rpartition("<")[2].rstrip(">")
        head = f"From: {who}\nTo: {to['From']}\nCc: {TO}\nIn-Reply-To: {to['Message-ID']}\n"
        head += f"References: {to['Message-ID']}\nMessage-ID: <{abs(hash((who, to['Message-ID'])))}@example.org>\n"
        head += f"Date: Tue, 06 Jan 2026 10:00:00 +0000\nSubject: Re: {' '.join(to['Subject'].split())}\n\n{text}\n"
        script = "import smtplib, sys; smtplib.SMTP('127.0.0.1', int(sys.argv[1])).sendmail(sys.argv[2], [sys.argv[3]],"
        script += " sys.stdin.buffer.read())"
        argv = [sys.executable, "-c", script, str(self.smtp), address, TO]
        subprocess.run(argv, input=head.encode(), check=True)

    def thread(self, message_id: str) -> bytes:
        """Fetch a thread as a person does: t.mbox.gz."""
        url = f"http://127.0.0.1:{self.http}/lists/{message_id}/t.mbox.gz"
        script = "import sys, urllib.request as u; sys.stdout.buffer.write(u.urlopen(sys.argv[1]).read())"
        return subprocess.run([sys.executable, "-c", script, url], check=True, capture_output=True).stdout


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    """The servers of a test."""
    (tmp_path / "lists").mkdir()
    with ExitStack() as stack:
        yield Lists(tmp_path / "lists", stack)


@pytest.fixture
def shared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    """A campaign of three postings: two patches for tip, which three for a-next and one for b-next need."""
    world = Owned(tmp_path, capsys, {**FILES, "scripts/get_maintainer.pl": SCRIPT.encode()})
    text = CAMPAIGN.replace("[[steps]]\n", STEP).replace("independent = true\n", "")
    (tmp_path / "mine/campaign.toml").write_text(text)
    (tmp_path / "mine/first.py").write_text(FIRST)
    world.run("generate", "mine")
    return world


def git(where: Path, *argv: str) -> str:
    """Run git and return what it says."""
    done = subprocess.run(["git", "-C", str(where), *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {shlex.join(argv)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def received(lists: Lists, repo: Path, message_id: str, below: str, name: str) -> Path:
    """Have a maintainer take a series with b4 and git am, in a clone at the commit `below`; return the clone."""
    clone = lists.where / name
    git(lists.where, "clone", "-q", "--shared", "--no-checkout", str(repo), str(clone))
    git(clone, "config", "b4.midmask", f"http://127.0.0.1:{lists.http}/lists/%s")
    git(clone, "config", "b4.attestation-policy", "off")
    for key, value in (("user.name", "Maint"), ("user.email", "maint@example.org"), ("core.hooksPath", "/dev/null")):
        git(clone, "config", key, value)
    out = clone / ".git/b4"
    env = {**lists.env, "XDG_CACHE_HOME": str(lists.where / "cache"), "http_proxy": "", "https_proxy": ""}
    done = subprocess.run(
        [TOOLS / "venv/bin/b4", "am", "-o", str(out), message_id],
        cwd=clone,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    print(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    git(clone, "sparse-checkout", "set", "--cone", "nothing")
    git(clone, "switch", "-q", "--detach", below)
    (mbox,) = out.glob("*.mbx")
    print(git(clone, "am", "-q", "--signoff", "--whitespace=nowarn", str(mbox)) or f"git am took {mbox.name}")
    return clone


def judged_by_nipa(mails: list[Message], clone: Path, span: str, tree: str) -> dict[str, Any]:
    """Return what NIPA's tests say that work without a patchwork: {test: [code, words]}."""
    script = """\
import json, sys, types
sys.path.insert(0, sys.argv[1])
import core
core.log_init("org", "/dev/null")
from core.patch import Patch
from core.series import Series
import importlib.util
def load(name):
    spec = importlib.util.spec_from_file_location(name, f"{sys.argv[1]}/tests/series/{name}/test.py")
    made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made); return made
series = Series()
for text in json.load(sys.stdin):
    head = text.partition("\\n\\n")[0]
    if " 0/" in head or " 00/" in head:
        series.set_cover_letter(text)
    else:
        series.add_patch(Patch(text, series=series))
series.tree_mark_expected = True
series.tree_marked = f" {sys.argv[2]}" in (series.subject or series.patches[0].subject).partition("]")[0]
tree = types.SimpleNamespace(pfx=sys.argv[2])
form, fixes = load("series_format"), load("fixes_present")
said = {name: getattr(form, name)(tree, series, None) for name in ("cover_letter", "patch_count", "subject_prefix")}
print(json.dumps({**said, "fixes_present": fixes.fixes_present(tree, series, None)}))
"""
    texts = json.dumps([mail.as_bytes().decode("utf-8", "replace") for mail in mails])
    argv = [str(TOOLS / "venv/bin/python"), "-c", script, str(NIPA), tree]
    done = subprocess.run(argv, input=texts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    for name in ("verify_signedoff", "verify_fixes"):
        ran = subprocess.run(
            ["bash", NIPA / f"tests/patch/{name}/{name}.sh", span],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
        )
        found[name] = [ran.returncode, ran.stdout.strip()]
    return found


def posted(lists: Lists, repo: Path, row: Mapping[str, Any], posting: Mapping[str, str], name: str) -> list[Message]:
    """Send the mails of one posting, have a maintainer apply them, and compare the trees; return what the lists got."""
    written = [message_from_bytes(Path(file).read_bytes()) for file in row["files"]]
    mails = lists.send(row["send"], written[0]["From"])
    assert len(mails) == len(written)
    threads = {mail["References"] for mail in mails[1:]}
    assert threads <= {mails[0]["Message-ID"]}, "each patch answers the first mail"
    for mail, file in zip(mails, written, strict=True):
        assert mail.get_payload(decode=True) == file.get_payload(decode=True)
    clone = received(lists, repo, mails[0]["Message-ID"].strip("<>"), posting["below"], name)
    assert git(clone, "rev-parse", "HEAD^{tree}") == git(repo, "rev-parse", f"{posting['tip']}^{{tree}}")
    if NIPA.exists():
        said = judged_by_nipa(mails, clone, f"{posting['below']}..HEAD", row["target"])
        print("NIPA:", json.dumps(said))
        signed = b"\nSigned-off-by:" in mails[-1].get_payload(decode=True)
        for test, (code, words) in said.items():
            if test == "fixes_present" and "next" not in row["target"]:
                continue  # only such trees take what mends nothing
            assert code in ((0,) if test != "verify_signedoff" or signed else (1,)), (test, code, words)
    shutil.rmtree(clone)
    return mails


def postings(repo: Path, record: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return {posting: where its patches start and end}."""
    rows = record["postings"]
    return {r["name"]: {"below": r["patches"][0]["parent"], "tip": r["patches"][-1]["commit"]} for r in rows}


@pytest.mark.parametrize("signed", [[], ["--signoff"]])
def test_each_posting_and_its_second_version_arrive_as_they_are(lists: Lists, shared: Owned, signed: list[str]) -> None:
    folder = shared.path.parent
    first: dict[str, list[Message]] = {}
    where = postings(shared.path, shared.record())
    for tree in ("tip", "a-next", "b-next"):
        document = shared.json("mail", "mine", "--tree", tree, "-o", str(folder / f"v1-{tree}"), *signed)
        first[tree] = posted(lists, shared.path, document["series"][0], where[tree], f"v1-{tree}")
        message_id = first[tree][0]["Message-ID"].strip("<>")
        shared.run("freeze", "mine", "--tree", tree, "--message-id", message_id)
    assert [len(mails) for mails in first.values()] == [3, 4, 1]
    lists.reply(first["a-next"][1], "R <r@example.org>", "> On it.\n\nReviewed-by: R <r@example.org>")
    lists.reply(first["b-next"][0], "B <b2@example.org>", "Acked-by: B <b2@example.org>")
    assert len(lists.archive()) == 2
    for tree in ("a-next", "b-next"):
        thread = folder / f"{tree}.mbox.gz"
        thread.write_bytes(lists.thread(first[tree][0]["Message-ID"].strip("<>")))
        said = shared.run("trailers", "mine", "--mbox", str(thread))
        assert ("Reviewed-by: R" if tree == "a-next" else "Acked-by: B") in said
    new = {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n", "drivers/b/4.c": b"\n" + FILES["drivers/b/4.c"]}
    shared.commit("move", new)
    shared.run("regenerate", "mine", "--onto", "master")
    where = postings(shared.path, shared.record())
    for tree, tag in (("tip", b""), ("a-next", b"\nReviewed-by: R <r@example.org>\n"), ("b-next", b"\nAcked-by: B <")):
        document = shared.json("mail", "mine", "--tree", tree, "-o", str(folder / f"v2-{tree}"), *signed)
        mails = posted(lists, shared.path, document["series"][0], where[tree], f"v2-{tree}")
        assert f"[PATCH {tree} v2" in mails[0]["Subject"]
        assert any(tag in (mail.get_payload(decode=True) or b"") for mail in mails)


@pytest.mark.skipif(not DRAFT.exists(), reason="PATCHBOT_POSTING_DRAFT names no repository with a draft of kfunc_flags")
@pytest.mark.parametrize("signed", [[], ["--signoff"]])
def test_a_real_draft_arrives_as_it_is(
    lists: Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str], signed: list[str]
) -> None:
    repo = tmp_path / "linux.git"
    git(tmp_path, "clone", "-q", "--mirror", "--shared", str(DRAFT), str(repo))
    world = Owned.__new__(Owned)
    world.path, world.capsys, world.bases = repo, capsys, 0
    (tmp_path / "p.toml").write_text(
        '[campaigns.kfunc_flags]\n[author]\nname = "A U Thor"\nemail = "author@example.org"\n'
    )
    record = json.loads(git(repo, "show", "refs/patchbot/kfunc_flags/draft:series.json"))
    document = world.json("mail", "kfunc_flags", "--all", "-o", str(tmp_path / "v1"), *signed)
    where = postings(repo, record)
    for row in document["series"]:
        name = Path(row["files"][0]).parent.name
        mails = posted(lists, repo, row, where[name], name)
        print(f"{name}: {len(mails)} mails, the trees are equal")
