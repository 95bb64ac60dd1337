"""Each rule lets a good series through and is broken by a bad one: a rule that cannot fail is a defect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RealKernel
from tinytree import commit

from patchbot.git.repo import Repo
from patchbot.mail.compose import COVER, Mail, Outbox, Posting
from patchbot.mail.recipients import Recipient
from patchbot.mail.rules import RULES, profile_of, review
from patchbot.mail.target import ASSISTANTS, Profile
from patchbot.model import Identity, Status
from patchbot.run import run

BASE = "0123456789" * 4
PERSON = Identity("A Developer", "developer@example.org")
TO = ("bpf@vger.kernel.org", "Maint <maint@example.org>")
CC = ("linux-kernel@vger.kernel.org",)
POSTING = Posting("sample", "bpf-next", PERSON, lists=("bpf@vger.kernel.org",))
DOCUMENTS = {rule.document: "" for rule in RULES}
for rule in RULES:
    DOCUMENTS[rule.document] += f"{rule.phrase}\n"
DOCUMENTS[ASSISTANTS] += "\n  Assisted-by: LLM [TOOL]\n"
PROFILE = Profile("bpf-next", POSTING.lists, DOCUMENTS, "Assisted-by: LLM [TOOL]", (), "bpf-next/master", "v7.3")

HEAD = "From 000 Mon Sep 17 00:00:00 2001\nFrom: A Developer <developer@example.org>\nSubject: {}\n\n"
COVER_TEXT = """The patches are output of patchbot, campaign sample, tested with its checks:
https://example.org/patchbot

A Developer (2):
  bpf: One
  bpf: Two

 a.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

base-commit: 0123456789012345678901234567890123456789
-- 
patchbot
"""  # noqa: W291
PATCH_TEXT = """From: An Author <author@example.org>

Say what was wrong, and do it better.

Signed-off-by: A Developer <developer@example.org>
---
 a.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/a.c b/a.c
--- a/a.c
+++ b/a.c
@@ -1 +1 @@
-a
+# b
-- 
patchbot
"""  # noqa: W291


def mail(file: str, subject: str, text: str, to: tuple[str, ...] = TO, cc: tuple[str, ...] = CC) -> Mail:
    return Mail(file, subject, to, cc, (HEAD.format(subject) + text).encode())


GOOD = (
    mail(COVER, "[RFC PATCH bpf-next 0/2] bpf: Do it all", COVER_TEXT),
    mail("0001-bpf-One.patch", "[RFC PATCH bpf-next 1/2] bpf: One", PATCH_TEXT),
    mail("0002-bpf-Two.patch", "[RFC PATCH bpf-next 2/2] bpf: Two", PATCH_TEXT),
)


def broken(mails: tuple[Mail, ...], profile: Profile = PROFILE, posting: Posting = POSTING) -> set[tuple[str, str]]:
    found = review(Outbox(BASE, posting, mails), profile)
    return {(f.type, f.status.value) for f in found if f.status is not Status.PASS}


ALWAYS = {("B16", "SKIP"), ("C2", "SKIP"), ("T8", "SKIP")}


def test_a_good_series_leaves_only_what_a_person_must_say() -> None:
    assert broken(GOOD) == ALWAYS
    assert broken(change(0, BASE, f"{BASE:0<64}")(GOOD)) == ALWAYS, "a repository with SHA-256"
    single = (mail("0001-x.patch", "[RFC PATCH bpf-next] bpf: One", PATCH_TEXT + f"base-commit: {BASE}\n"),)
    assert broken(single) - {("T9", "FAIL"), ("T9", "WARN")} == ALWAYS


def change(index: int, old: str, new: str) -> Callable[[tuple[Mail, ...]], tuple[Mail, ...]]:
    def edit(mails: tuple[Mail, ...]) -> tuple[Mail, ...]:
        data = mails[index].data
        assert old.encode() in data
        return (
            *mails[:index],
            replace(mails[index], data=data.replace(old.encode(), new.encode("latin-1"), 1)),
            *mails[index + 1 :],
        )

    return edit


def who(index: int, **names: tuple[str, ...]) -> Callable[[tuple[Mail, ...]], tuple[Mail, ...]]:
    return lambda mails: (*mails[:index], replace(mails[index], **names), *mails[index + 1 :])


LONG = "word " * 16
BAD = [
    ("B1", "FAIL", change(0, "base-commit: 0", "base: 0")),
    ("B1", "FAIL", change(0, "base-commit: 01", "base-commit: 1")),
    ("B1", "FAIL", change(0, "base-commit: 01", "base-commit: 0001")),
    ("B1", "FAIL", change(0, "-- \n", "more\n-- \n")),
    ("B1", "FAIL", change(1, "---\n", f"---\nbase-commit: {BASE}\n")),
    ("B14", "FAIL", change(1, "Subject:", "In-Reply-To: <x@example.org>\nSubject:")),
    ("B15", "FAIL", lambda mails: mails[1:]),
    ("S1", "FAIL", change(1, "[RFC PATCH bpf-next 1/2]", "[RFC PATCH bpf-next 01/2]")),
    ("S1", "FAIL", change(1, "[RFC PATCH bpf-next 1/2] ", "")),
    ("S2", "FAIL", change(2, "PATCH bpf-next", "PATCH net-next")),
    ("S3", "FAIL", change(1, "bpf: One", "bpf: One " + LONG)),
    ("S3", "WARN", change(1, "bpf: One", "bpf: One " + "x" * 64)),
    ("S3", "FAIL", change(2, "bpf: Two", "bpf: One")),
    ("S4", "WARN", change(1, "bpf: One", "One")),
    ("S5", "WARN", change(1, "bpf: One", "bpf: Fix checkpatch warnings")),
    ("S6", "FAIL", change(0, "bpf: Do it all", "*** SUBJECT HERE ***")),
    ("S9", "FAIL", change(1, "Subject:", "Content-Type: text/html\nSubject:")),
    ("S9", "FAIL", change(1, "Subject:", "Content-Type: text/plain; charset=latin-1\nSubject:")),
    ("S9", "FAIL", change(1, "Subject:", "Content-Type: text/plain; format=flowed\nSubject:")),
    ("S9", "WARN", change(1, "-a\n", "-\xe9\n")),
    ("C1", "FAIL", change(1, "Say what was wrong, and do it better.\n\n", "")),
    ("C1", "WARN", change(1, "Say what", "This patch says what")),
    ("C3", "WARN", change(1, "Say what", LONG + "what")),
    ("C8", "FAIL", change(1, "Say what", "#Say what")),
    ("C10", "FAIL", change(1, " 1 file changed", " some files")),
    ("T2", "SKIP", change(1, "Signed-off-by: A", "Acked-by: A")),
    ("T9", "FAIL", change(0, "patchbot,", "a thing,")),
    ("T9", "WARN", change(0, "https://example.org/patchbot", "none")),
    ("T12", "FAIL", change(1, "Signed-off-by", "Signed-off-by: A Developer <developer@example.org>\nSigned-off-by")),
    ("T12", "FAIL", change(1, "Signed-off-by", "Reviewed-By: R V <r@example.org>\nSigned-off-by")),
    ("T12", "FAIL", change(1, "Signed-off-by", "Acked-by : R V <r@example.org>\nSigned-off-by")),
    ("T12", "WARN", change(1, "Signed-off-by", "Reveiwed-by: R V <r@example.org>\nSigned-off-by")),
    ("T12", "FAIL", who(1, cc=(*CC, "MAINT@example.org"))),
    ("R1", "FAIL", who(1, to=(), cc=(*TO, *CC))),
    ("R2", "WARN", who(1, cc=())),
    ("R2", "WARN", who(1, cc=(*CC, "Linus Torvalds <torvalds@linux-foundation.org>"))),
    ("R6", "FAIL", who(1, to=TO[1:])),
    ("R8", "WARN", who(1, cc=(*CC, *(f"p{n}@example.org" for n in range(60))))),
]


@pytest.mark.parametrize(("rule", "status", "edit"), BAD, ids=[f"{r}-{n}" for n, (r, _, _) in enumerate(BAD)])
def test_each_rule_can_be_broken(rule: str, status: str, edit: Callable[[tuple[Mail, ...]], tuple[Mail, ...]]) -> None:
    assert (rule, status) in broken(edit(GOOD))


def test_what_nobody_can_see_from_here_is_a_box() -> None:
    unknown = replace(PROFILE, public="", release="", profiles=("Documentation/riscv/patch-acceptance.rst",))
    assert broken(GOOD, unknown) - ALWAYS == {("B2", "SKIP"), ("B3", "SKIP"), ("B6", "SKIP"), ("P", "SKIP")}
    (box,) = [f for f in review(Outbox(BASE, POSTING, GOOD), unknown) if f.type == "B3"]
    assert "No tag names it" in box.message
    packaged = replace(unknown, tag="debian/7.3.4-1_bpo13+1")
    (box,) = [f for f in review(Outbox(BASE, POSTING, GOOD), packaged) if f.type == "B3"]
    assert "Its tag debian/7.3.4-1_bpo13+1 is not one of a kernel, as v7.3 is." in box.message
    final = replace(POSTING, rfc=False)
    assert ("B11", "SKIP") in broken(GOOD, PROFILE, final)
    net = replace(PROFILE, target="net-next", lists=("netdev@vger.kernel.org",), public="net-next/main")
    found = broken(GOOD, net, replace(POSTING, target="net-next"))
    assert ("B10", "SKIP") in found
    assert ("S2", "FAIL") in found
    assert ("B15", "FAIL") not in found


def test_who_is_left_out_is_named() -> None:
    chip = (
        Recipient("m@example.org", "Chip", "maintainer:ODD CHIP"),
        Recipient("l@example.org", role="open list:ODD CHIP"),
    )
    (found,) = [f for f in review(Outbox(BASE, POSTING, GOOD, guessed=chip), PROFILE) if f.type == "R2"]
    assert found.status is Status.PASS
    assert "A path only looks like one of ODD CHIP (N: in MAINTAINERS), so these get nothing: Chip <" in found.message


def test_large_series() -> None:
    mails = [mail(COVER, "[RFC PATCH bpf-next 00/16] bpf: All", COVER_TEXT)]
    mails += [
        mail(f"{n:04}-x.patch", f"[RFC PATCH bpf-next {n:02}/16] bpf: Number {n}", PATCH_TEXT) for n in range(1, 17)
    ]
    assert broken(tuple(mails)) - ALWAYS == {("B8", "WARN")}


def test_a_tree_without_the_document_has_no_such_rule() -> None:
    old = replace(PROFILE, documents={k: v for k, v in DOCUMENTS.items() if "generated" not in k}, assisted_by="")
    assert ("T9", "FAIL") not in broken(change(0, "patchbot,", "x,")(GOOD), old)
    assert ("T8", "SKIP") not in broken(GOOD, old)


def test_findings_name_the_line_of_the_document() -> None:
    found = review(Outbox(BASE, POSTING, GOOD), PROFILE)
    (box,) = [f for f in found if f.type == "T8"]
    line = DOCUMENTS[ASSISTANTS].split("\n").index("Contributions should include an Assisted-by tag") + 1
    assert f"({ASSISTANTS}:{line})" in box.message
    assert "Assisted-by: LLM [TOOL]" in box.message
    (count,) = [f for f in found if f.type == "R8"]
    assert (count.status, count.message[:8]) == (Status.PASS, "3 people")


def test_where_a_base_is_public(tmp_path: Path) -> None:
    run(["git", "init", "-q", "--template=", tmp_path])
    base = commit(
        tmp_path, "base", {"MAINTAINERS": b"X\nL:\tbpf@vger.kernel.org\nT:\tgit git://x/bpf/bpf-next.git\nF:\ta/\n"}
    )
    repo = Repo.open(tmp_path)
    seen = profile_of(repo, base, "bpf-next", ["a/b.c"])
    assert (seen.public, seen.release, seen.lists) == ("", "", ("bpf@vger.kernel.org",))
    run(["git", "update-ref", "refs/tags/debian/7.3.4-1", base], cwd=tmp_path)
    run(["git", "update-ref", "refs/tags/v2-of-mine", base], cwd=tmp_path)
    seen = profile_of(repo, base, "bpf-next", ["a/b.c"])
    assert (seen.release, seen.tag) == ("", "debian/7.3.4-1")
    for ref in ("refs/remotes/origin/main", "refs/remotes/bpf-next/master", "refs/tags/v7.3"):
        run(["git", "update-ref", ref, base], cwd=tmp_path)
    seen = profile_of(repo, base, "bpf-next", ["a/b.c"])
    assert (seen.public, seen.release) == ("bpf-next/master", "v7.3")
    assert profile_of(repo, base, "hid", ["a/b.c"]).public == "bpf-next/master"


@pytest.mark.kernel
def test_every_phrase_is_in_a_real_tree(kernel: RealKernel) -> None:
    profile = profile_of(kernel.repo, kernel.commit, "bpf-next", ["kernel/bpf/verifier.c", "net/core/xdp.c"])
    lost = [r.id for r in RULES if r.document in profile.documents and ":" not in profile.cite(r.document, r.phrase)]
    assert lost == []
    assert (ASSISTANTS in profile.documents) == bool(profile.assisted_by)
    assert "Documentation/process/maintainer-netdev.rst" in profile.profiles
