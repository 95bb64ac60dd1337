"""The mails apply and give the same trees; nobody's configuration, name or MAINTAINERS line changes what they are."""

from __future__ import annotations

import email
import email.header
import email.policy
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tinytree import commit

from patchbot.errors import ToolError, UserError
from patchbot.git.formatpatch import patch_mails
from patchbot.git.repo import Repo, Scratch
from patchbot.mail.compose import COVER, Outbox, Posting, choose, make_mails
from patchbot.mail.folder import keep_list, listed_files, write_folder
from patchbot.mail.headers import parse_date
from patchbot.mail.recipients import Recipient, Recipients
from patchbot.mail.rules import GENERATED, review
from patchbot.mail.target import Profile
from patchbot.model import Commit, Identity
from patchbot.run import run
from patchbot.series import render

SENDER = Identity("A Developer", "developer@example.org")
LONG = "bpf: " + "Convert the flags of kfuncs of the long named subsystem " * 3 + "to 'what' they \"are\""
WHO = Recipients(
    (
        Recipient("maint@example.org", "Jos\u00e9 Mar\u00eda, " + "Very Long Name " * 5, "maintainer:BPF [CORE]"),
        Recipient("davem@example.org", "David S. Maintainer", "supporter:NET"),
        Recipient("rev@example.org", "Rev", "reviewer:BPF [CORE]"),
        Recipient("bpf@example.org", "", "open list:BPF [CORE]"),
        Recipient("linux-kernel@example.org", "", "open list"),
    ),
    ("Eve\x0bBcc: <x@example.org>",),
)


class Drafted:
    """A repository with three commits on a base, and a scratch repository that sees them."""

    def __init__(self, where: Path) -> None:
        run(["git", "init", "-q", "--template=", where / "linux"])
        text = "".join(f"line {n}\n" for n in range(40)).encode()
        self.base = commit(where / "linux", "base", {"a.c": text, "b.c": b"caf\xe9\n" + text})
        commit(where / "linux", f"{LONG}\n\nBody of one.\n", {"a.c": text.replace(b"line 3\n", b"LINE 3\n")})
        commit(where / "linux", "bpf: Zw\u00f6lf\n\nB\u00f6dy.\n", {"b.c": b"caf\xe9!\n" + text, "new.c": b"x\n"})
        commit(where / "linux", "net: Three\n\nBody of three.\n", {"a.c": text.replace(b"line 3\n", b"Line three\n")})
        self.repo = Repo.open(where / "linux")
        self.scratch = Scratch.at(where / "scratch.git", self.repo)
        self.commits = self.repo.commits(self.base, self.repo.resolve("HEAD"))
        self.path = where / "linux"


@pytest.fixture
def draft(tmp_path: Path) -> Drafted:
    return Drafted(tmp_path)


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "templates"
    (folder / "sample").mkdir(parents=True)
    (folder / "sample/cover-letter.txt.j2").write_text(
        "{{ title }}\n\n{{ patches | length }} now.\n"
        "{% for tree, rows in waiting %}{{ tree }}: {{ rows | length }}\n{% endfor %}"
        "{% for check, row in results %}{{ check }} {{ row.items() | map('join', ' ') | join(' ') }}\n{% endfor %}"
    )
    made = render.environment(folder)
    monkeypatch.setattr(render, "environment", lambda _=None: made)


POSTING = Posting("sample", "bpf-next", SENDER, lists=("bpf@example.org",))


def who(mails: Sequence[bytes]) -> list[Recipients]:
    return [WHO] * len(mails)


def make(draft: Drafted, posting: Posting = POSTING, targets: dict[str, str] | None = None, **more: Any) -> Outbox:
    facts = more | {
        "title": "Gr\u00fcn: give every kfunc flags for each of its arguments, as helpers have types for them"
    }
    return make_mails(draft.scratch, draft.base, draft.commits, targets or {}, posting, facts, who)


def parsed(data: bytes) -> email.message.EmailMessage:
    found = email.message_from_bytes(data.split(b"\n", 1)[1], policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    return found


@pytest.mark.usefixtures("templates")
def test_git_am_of_the_files_gives_the_same_trees(draft: Drafted, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = make(draft)
    made.write(out)
    assert made.mails[0].file == COVER
    assert sorted(p.name for p in out.iterdir()) == sorted(mail.file for mail in made.mails)
    clone = tmp_path / "clone"
    run(["git", "clone", "-q", draft.path, clone], env={"GIT_ALLOW_PROTOCOL": "file"})
    run(["git", "checkout", "-q", draft.base], cwd=clone)
    run(["git", "am", "-q", *sorted(out.glob("000[1-9]*.patch"))], cwd=clone)
    rows = run(["git", "log", "--reverse", "--format=%T%n%B", f"{draft.base}..HEAD"], cwd=clone).stdout
    expected = run(["git", "log", "--reverse", "--format=%T%n%B", f"{draft.base}..master"], cwd=draft.path).stdout
    assert rows == expected


@pytest.mark.usefixtures("templates")
def test_headers(draft: Drafted) -> None:
    made = make(draft, replace(POSTING, version=2))
    cover, first, second, _ = (parsed(mail.data) for mail in made.mails)
    assert cover["subject"].startswith("[PATCH bpf-next v2 0/3] Gr\u00fcn: give every kfunc")
    assert first["subject"] == f"[PATCH bpf-next v2 1/3] {LONG}"
    assert second["subject"] == "[PATCH bpf-next v2 2/3] bpf: Zw\u00f6lf"
    for mail in (cover, first, second):
        assert mail["from"].addresses[0].addr_spec == SENDER.email
        assert [a.addr_spec for a in mail["to"].addresses] == [
            "bpf@example.org",
            "maint@example.org",
            "davem@example.org",
        ]
        assert [a.addr_spec for a in mail["cc"].addresses] == ["rev@example.org", "linux-kernel@example.org"]
    for mail in made.mails:
        head = mail.data.split(b"\n\n", 1)[0]
        name = head.partition(b"\nTo: bpf@example.org,\n\t")[2].partition(b" <maint@")[0].decode()
        assert str(email.header.make_header(email.header.decode_header(name))) == WHO.everyone[0].name
        assert head.isascii()
        assert max(len(line) for line in head.split(b"\n")) <= 100
        assert mail.data.count(b"Signed-off-by") == 0
        assert (b"charset=UTF-8" in head) == (not mail.data.isascii())
        assert head.lower().count(b"content-type") <= 1
    assert b"patchbot" in made.mails[1].data.rsplit(b"-- \n", 1)[1]


@pytest.mark.usefixtures("templates")
def test_numbers_rfc_and_version(draft: Drafted) -> None:
    def subject(posting: Posting) -> str:
        return str(parsed(make(draft, posting).mails[0].data)["subject"])

    assert subject(POSTING).startswith("[RFC PATCH bpf-next 0/3] ")
    assert subject(replace(POSTING, rfc=False)).startswith("[PATCH bpf-next 0/3] ")
    assert subject(replace(POSTING, rfc=True, version=3, target="")).startswith("[RFC PATCH v3 0/3] ")
    with pytest.raises(UserError, match="cannot be the name of a tree"):
        make(draft, replace(POSTING, target="bpf\nBcc: x@example.org"))


@pytest.mark.usefixtures("templates")
def test_numbers_are_padded(tmp_path: Path) -> None:
    draft = Drafted(tmp_path)
    for number in range(8):
        commit(draft.path, f"bpf: Number {number}\n\nBody.\n", {"n.c": f"{number}\n".encode()})
    draft.commits = draft.repo.commits(draft.base, draft.repo.resolve("HEAD"))
    made = make(draft)
    assert parsed(made.mails[0].data)["subject"].startswith("[RFC PATCH bpf-next 00/11] ")
    assert parsed(made.mails[4].data)["subject"] == "[RFC PATCH bpf-next 04/11] bpf: Number 0"


@pytest.mark.usefixtures("templates")
def test_cover_has_base_shortlog_and_diffstat(draft: Drafted) -> None:
    text = make(draft).mails[0].data.decode()
    assert text.count("base-commit: ") == 1
    assert f"\n\nbase-commit: {draft.base}\n-- \n" in text
    assert "A Maintainer (3):\n  bpf: Convert the flags" in text
    assert " 3 files changed, 3 insertions(+), 2 deletions(-)\n" in text
    assert " create mode 100644 new.c\n" in text
    first = make(draft).mails[1].data.decode()
    assert "base-commit" not in first
    assert "\n---\n a.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n" in first
    assert "\nFrom: A Maintainer <maintainer@example.org>\n\nBody of one.\n" in first, "the author is not the sender"


@pytest.mark.usefixtures("templates")
def test_a_single_patch_has_no_cover(draft: Drafted) -> None:
    (only,) = make(draft, replace(POSTING, most=1)).mails
    assert parsed(only.data)["subject"] == f"[RFC PATCH bpf-next] {LONG}"
    assert only.data.decode().count(f"\nbase-commit: {draft.base}\n") == 1
    below = only.data.decode().split("\n---\n")[1]
    assert below.startswith("Made with patchbot ")
    assert "output of a\nscript, the campaign sample.\n\nTesting: no check of this patch" in below


@pytest.mark.usefixtures("templates")
def test_a_single_patch_says_how_it_was_made_and_tested(draft: Drafted) -> None:
    first, second, _ = (c.sha for c in draft.commits)
    rows = [("build", first, "PASS"), ("build", second, "FAIL"), ("applies", first, "PASS"), ("boot", None, "WARN")]
    tool = {"url": "https://example.org/patchbot"}
    posting = replace(POSTING, most=1, notes={first: ["v2: Say more."]})
    (only,) = make(draft, posting, results=rows, tool=tool).mails
    below = only.data.decode().split("\n---\n")[1]
    assert below.startswith("v2: Say more.\nMade with patchbot ")
    assert "https://example.org/patchbot" in below
    assert "Testing: build PASS, applies PASS and boot WARN.\n" in below
    profile = Profile("", (), {GENERATED: "What tools were used? The input to the tools you used"})
    assert [f.message for f in review(Outbox(draft.base, posting, (only,)), profile) if f.type == "T9"] == []


@pytest.mark.usefixtures("templates")
def test_the_letter_counts_the_results_of_what_is_posted(draft: Drafted) -> None:
    first, second, third = (c.sha for c in draft.commits)
    rows = [("build", first, "PASS"), ("build", second, "FAIL"), ("build", third, "FAIL"), ("boot", None, "PASS")]
    made = make(draft, targets={third: "net-next"}, results=rows)
    assert b"\nbuild PASS 1 FAIL 1\nboot PASS 1\n" in made.mails[0].data


@pytest.mark.usefixtures("templates")
def test_other_trees_wait(draft: Drafted, tmp_path: Path) -> None:
    made = make(draft, targets={draft.commits[2].sha: "net-next"})
    assert len(made.mails) == 3
    assert made.waiting == (("net-next", ("net: Three",)),)
    assert b"2 now.\nnet-next: 1\n" in made.mails[0].data
    document = made.document(tmp_path / "out")
    assert document["waiting"] == [{"target": "net-next", "subjects": ["net: Three"]}]
    assert document["rejected"] == ["Eve\x0bBcc: <x@example.org>"]
    (series,) = document["series"]
    assert series["cover"] == str(tmp_path / "out" / COVER)
    assert len(series["files"]) == 3
    assert series["to"][0] == "bpf@example.org"
    assert set(series["recipients"].values()) == {5}


def test_choose_takes_the_start_of_the_branch() -> None:
    rows = [Commit("", str(n), "", "", f"s{n}") for n in range(6)]
    targets = {"2": "net-next"}
    posted, waiting = choose(rows, targets, "bpf-next", 15)
    assert [c.sha for c in posted] == ["0", "1"]
    assert waiting == [("net-next", ("s2",)), ("bpf-next", ("s3", "s4", "s5"))]
    posted, waiting = choose(rows, {}, "bpf-next", 4)
    assert (len(posted), waiting) == (4, [("bpf-next", ("s4", "s5"))])


@pytest.mark.usefixtures("templates")
def test_git_am_keeps_a_signoff_where_the_message_has_a_part_below_three_dashes(draft: Drafted, tmp_path: Path) -> None:
    message = "net: Four\n\nBody of four.\n\nAcked-by: Rita <rita@example.org>\n---\nv2: Say more.\n"
    commit(draft.path, message, {"d.c": b"d\n"})
    draft.commits = draft.repo.commits(draft.base, draft.repo.resolve("HEAD"))
    out = tmp_path / "out"
    make(draft, replace(POSTING, signoff=True)).write(out)
    clone = tmp_path / "clone"
    run(["git", "clone", "-q", draft.path, clone], env={"GIT_ALLOW_PROTOCOL": "file"})
    run(["git", "checkout", "-q", draft.base], cwd=clone)
    run(["git", "am", "-q", *sorted(out.glob("000[1-9]*"))], cwd=clone)
    applied = run(["git", "log", "--format=%B"], cwd=clone).stdout.decode()
    signed = f"Signed-off-by: {SENDER}\n"
    assert applied.count(signed) == 4
    assert applied.startswith(f"net: Four\n\nBody of four.\n\nAcked-by: Rita <rita@example.org>\n{signed}\n")
    assert "Body of three.\n\nSigned-off-by: " in applied


@pytest.mark.usefixtures("templates")
def test_signoff_only_when_asked(draft: Drafted) -> None:
    made = make(draft, replace(POSTING, signoff=True))
    for mail in made.mails[1:]:
        assert mail.data.decode("utf-8", "replace").count(f"\nSigned-off-by: {SENDER}\n---\n") == 1
    assert b"Signed-off-by" not in made.mails[0].data


@pytest.mark.usefixtures("templates")
def test_date_option(draft: Drafted) -> None:
    made = make(draft, replace(POSTING, date=parse_date("2026-01-31T12:00:00+01:00")))
    assert [str(parsed(m.data)["date"]) for m in made.mails[:2]] == [
        "Sat, 31 Jan 2026 12:00:00 +0100",
        "Sat, 31 Jan 2026 12:00:01 +0100",
    ]
    assert parse_date("@0") == parse_date("Thu, 01 Jan 1970 00:00:00 +0000") == parse_date("1970-01-01")
    with pytest.raises(UserError, match="is not a date"):
        parse_date("yesterday")


@pytest.mark.usefixtures("templates")
def test_nobodys_configuration_changes_a_byte(draft: Drafted, sealed: Path) -> None:
    before = [mail.data for mail in make(draft).mails]
    plain = patch_mails(draft.scratch, draft.base, draft.commits)
    config = """
[format]
    attach = yes
    subjectPrefix = EVIL
    headers = "Bcc: victim@example.org\\n"
    to = victim@example.org
    cc = victim@example.org
    signature = evil
    signOff = true
    coverLetter = true
    thread = deep
    numbered = true
    suffix = .txt
    useAutoBase = true
    notes = true
    noprefix = true
    outputDirectory = /tmp/evil
    encodeEmailHeaders = false
[diff]
    noprefix = true
    mnemonicPrefix = true
    renames = false
    context = 9
    algorithm = patience
    external = /bin/false
    colorMoved = true
[color]
    ui = always
[core]
    abbrev = 40
    quotePath = false
[log]
    mailmap = true
    showSignature = true
[i18n]
    logOutputEncoding = latin1
"""
    (sealed / ".gitconfig").write_text(config)
    (sealed / ".config/git").mkdir(parents=True)
    (sealed / ".config/git/attributes").write_text("*.c binary\n")
    with open(draft.path / ".git/config", "a") as own:
        own.write(config)
    assert [mail.data for mail in make(draft).mails] == before
    assert patch_mails(draft.scratch, draft.base, draft.commits) == plain
    assert all(b"Subject: [PATCH] " in data for data in plain.values())


@pytest.mark.usefixtures("templates")
def test_people_cannot_inject_headers(draft: Drafted) -> None:
    evil = Identity('Eve, the\u2028 "X" Bcc: v@example.org', "eve@example.org")
    mail = parsed(make(draft, replace(POSTING, sender=evil)).mails[0].data)
    assert mail["bcc"] is None
    assert [a.addr_spec for a in mail["from"].addresses] == ["eve@example.org"]
    with pytest.raises(UserError, match="control character"):
        make(draft, replace(POSTING, sender=Identity("Eve\nBcc: v@example.org", "eve@example.org")))


@pytest.mark.usefixtures("templates")
def test_merges_are_refused(draft: Drafted) -> None:
    run(["git", "checkout", "-q", "-b", "side", draft.base], cwd=draft.path)
    commit(draft.path, "side\n\nBody.\n", {"side.c": b"x\n"})
    run(["git", "merge", "-q", "--no-edit", "master"], cwd=draft.path)
    draft.commits = draft.repo.commits(draft.base, draft.repo.resolve("side"))
    with pytest.raises(ToolError, match="a line without merges"):
        make(draft)


def test_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    write_folder(out, {"a.patch": b"1", "b.patch": b"2"})
    write_folder(out, {"a.patch": b"3"})
    assert sorted(p.name for p in out.iterdir()) == ["a.patch"]
    assert (out / "a.patch").read_bytes() == b"3"
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_persons_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a.patch": b"1"})
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"did not write \(notes\.txt\)"):
        write_folder(out, {"a.patch": b"2"})
    (out / "notes.txt").unlink()
    (out / "a.patch").write_bytes(b"edited")
    with pytest.raises(UserError, match=r"a\.patch was changed after patchbot wrote it"):
        write_folder(out, {"a.patch": b"2"})
    assert (out / "a.patch").read_bytes() == b"edited"
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is not a folder"):
        write_folder(tmp_path / "file", {"a.patch": b"2"})
    monkeypatch.chdir(out)
    with pytest.raises(UserError, match="a separate folder"):
        write_folder(Path("."), {"a.patch": b"2"})
    for name in ("../a.patch", "/a.patch", "..", "", "a\nb"):
        with pytest.raises(UserError, match="not a file name"):
            write_folder(tmp_path / "new", {name: b""})
    assert not (tmp_path / "new").exists()


def test_a_killed_run_and_a_full_disk_leave_the_old_mails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(out, {"a.patch": b"1"})
    out.rename(tmp_path / ".out.patchbot-old")  # killed between its two renames
    with pytest.raises(UserError, match="which is unchanged"):
        write_folder(out, {"n" * 300: b"2"})  # a name that no file system takes: writing fails half way
    assert (out / "a.patch").read_bytes() == b"1"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    keep_list(out, {"a.patch": [*listed_files(out)["a.patch"], "of the run that was killed"], "new.patch": ["x"]})
    write_folder(out, {"a.patch": b"2"})
    assert listed_files(out).keys() == {"a.patch"}
    assert (out / "a.patch").read_bytes() == b"2"


@pytest.mark.usefixtures("templates")
def test_the_send_line_is_one_line_of_shell(draft: Drafted, tmp_path: Path) -> None:
    line = make(draft).send_line(tmp_path / "it's; out")
    words = shlex.split(line)
    assert words[:2] == ["git", "send-email"]
    assert words[-1] == f"{tmp_path}/it's; out/*.patch"
    assert "--to=bpf@example.org" in words
    assert "\n" not in line


@pytest.mark.usefixtures("templates")
@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        ("bpf: \x1b[31mred", "control character"),
        ("bpf: \x9b", "control character"),
        ("bpf: x\u00a0", "trailing white space"),
    ],
)
def test_a_subject_that_no_mail_can_have_is_named_with_its_commit(draft: Drafted, subject: str, wrong: str) -> None:
    commit(draft.path, f"{subject}\n\nBody.\n", {"d.c": b"d\n"})
    draft.commits = draft.repo.commits(draft.base, draft.repo.resolve("HEAD"))
    with pytest.raises(UserError, match=f"{draft.commits[-1].sha[:12]}: {wrong} in its subject"):
        make(draft)


@pytest.mark.usefixtures("templates")
def test_a_subject_without_a_letter_for_a_files_name_is_mailed(draft: Drafted) -> None:
    commit(draft.path, "修复\n\nBody.\n", {"d.c": b"d\n"})
    draft.commits = draft.repo.commits(draft.base, draft.repo.resolve("HEAD"))
    assert make(draft).mails[-1].file == "0004-.patch"
