"""What people write around a tag: for which patches it is, on which condition, and whether it still stands."""

from __future__ import annotations

import pytest

from patchbot.mail.answered import Drafted, DraftPatch
from patchbot.mail.replies import Choices, Gathered, gather
from patchbot.mail.threads import Thread, read_message

RAE = "Rae Viewer <rae@example.com>"
TAG = f"Reviewed-by: {RAE}"
PATCHES = tuple(DraftPatch(str(n), f"sample: Patch {n}", (b"+x%d" % n,)) for n in range(1, 5))
DRAFTED = Drafted(PATCHES, ("1", "2", "3", "4"), "sample: A title")


def mail(body: str, number: int = 0, id_: str = "r1", sender: str = RAE, version: str = "", **fields: str) -> bytes:
    title = f"sample: Patch {number}" if number else "sample: A title"
    head = {
        "From": sender,
        "Subject": f"Re: [PATCH {version} {number}/4] {title}",
        "Message-ID": f"<{id_}@example.com>",
        "In-Reply-To": f"<p{number}@example.org>",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    return ("".join(f"{name}: {value}\n" for name, value in head.items()) + f"\n{body}\n").encode()


def read(*mails: bytes) -> Gathered:
    messages = [read_message(f"mail {n}", data, n) for n, data in enumerate(mails)]
    return gather(Thread(tuple(messages)), DRAFTED, Choices())


def patches(found: Gathered) -> str:
    return "".join(row.patch for row in found.attached)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (f"{TAG} # for patch 3", "3"),
        (f"For patches 1-2 and 4:\n\n{TAG}", "124"),
        (f"{TAG} (patches 2-4)", "234"),
        (f"{TAG} [patches 1, 3]", "13"),
        (f"{TAG} # patches 1,2, and 4", "124"),
        (f"{TAG} (1-3)", "123"),
        (f"{TAG} # 2/4", "2"),
        (f"{TAG} # 1/4 to 3/4", "123"),
        (f"{TAG} # patches 2..3", "23"),
        (f"{TAG} (patches 2\u20133)", "23"),
        (f"{TAG} # for patches #1 and #4", "14"),
        (f"{TAG} (only patch 2)", "2"),
        (f"{TAG} # patch 2 only", "2"),
        (f"Patches 1 & 2:\n{TAG}", "12"),
        (f"patch 1 through patch 3:\n\n{TAG}", "123"),
        (f"{TAG}\nfor patches 1-2.", "12"),
        (f"For patch 1:\n{TAG}\n\nFor patch 2:\nAcked-by: {RAE}", "12"),
        (f"For patches 1 and 2:\n\nAcked-by: {RAE}\nTested-by: {RAE}", "1122"),
        (f"For the whole series:\n\n{TAG}", "1234"),
        (f"For the series:\n\n{TAG}", "1234"),
        (f"{TAG} # series", "1234"),
        (f"{TAG} (all 4 patches)", "1234"),
        (f"I read all of it.\n\nFor all patches:\n{TAG}", "1234"),
        (f"Nice work, thanks!\n\n{TAG}\n\nThanks,\nRae", "1234"),
        (f"For what it's worth:\n{TAG}", "1234"),
        (f"Tested-by: {RAE} # qemu, arm64", "1234"),
        # not certain
        (f"{TAG} # for patch 5", ""),
        (f"{TAG} # patches 0-2", ""),
        (f"{TAG} # patches 3-1", ""),
        (f"{TAG} # 3/12", ""),
        (f"{TAG} (all 3 patches)", ""),
        (f"{TAG} # for the verifier patches", ""),
        (f"{TAG} # rust", ""),
        (f"{TAG} [arm64]", ""),
        (f"{TAG} (for the bpf parts)", ""),
        (f"{TAG} # all but patch 2", ""),
        (f"{TAG} # this patch", ""),
        (f"Tested-by: {RAE} # for the arm64 bits", ""),
        (f"For the verifier patches:\n\n{TAG}", ""),
        (f"Patches 2-4 look good:\n\n{TAG}", ""),
        (f"The first three patches look good.\n\n{TAG}", ""),
        (f"Patch 3 looks odd, but the rest is fine.\n\n{TAG}", ""),
        (f"Everything but the last patch:\n{TAG}", ""),
        (f"I read patches 1-2.\n\nNice.\n\n{TAG}", ""),
        (f"Only the docs patch:\n{TAG}", ""),
        (f"{TAG}\n\nI did not look at patch 4.", ""),
        (f"For patches 1-2:\n\n{TAG} # patch 3", ""),
        (f"The verifier patches look good.\n{TAG}", ""),
        (f"On 2/4 and 3/4 only:\n{TAG}", "23"),
        (f"I only looked at the code under drivers.\n{TAG}", ""),
    ],
)
def test_a_tag_goes_to_the_patches_that_it_names(body, wanted):
    found = read(mail(body))
    assert patches(found) == wanted
    assert {row.given.trailer.partition(" #")[0].partition(" (")[0] for row in found.attached} <= {
        TAG,
        f"Acked-by: {RAE}",
        f"Tested-by: {RAE}",
    }
    assert not [row for row in found.attached if "atch" in row.given.trailer]
    if not wanted:
        assert [row.line for row in found.ignored if row.reason]


@pytest.mark.parametrize(
    ("body", "wanted", "reason"),
    [
        (f"{TAG} # for patch 3", "3", ""),
        (f"{TAG} # this patch", "3", ""),
        (f"{TAG} # patches 2-4", "3", "patches 2, 3, 4, but answers patch 3: taken for that one alone"),
        (f"For the series:\n{TAG}", "3", "the whole series, but answers patch 3"),
        (f"{TAG} # patch 2", "", "for patch 2, but answers patch 3"),
        (f"For patches 1 and 2:\n{TAG}", "", "for patches 1, 2, but answers patch 3"),
        (f"{TAG} (for the bpf parts)", "", "for only a part of the patch: for the bpf parts"),
        (f"For the bpf bits:\n{TAG}", "", "for only a part of the patch: For the bpf bits:"),
        (f"Acked-by: {RAE} (corporate)", "3", ""),
        (f"Patch 2 is what made me look at this.\n\n{TAG}", "3", ""),
    ],
)
def test_a_tag_for_one_patch_that_names_patches(body, wanted, reason):
    found = read(mail(body, 3))
    assert patches(found) == wanted
    assert reason in "".join(row.reason for row in found.ignored)
    assert bool(reason) == bool(found.ignored)


@pytest.mark.parametrize(
    "body",
    [
        f"With the nits below fixed:\n\n{TAG}",
        f"If you fix the typo in line 3\nthen feel free to add my\n\n{TAG}",
        f"{TAG}\n(assuming the typo gets fixed)",
        f"{TAG}\nonce the comma is gone.",
        f"{TAG} # with the nits fixed",
        f"{TAG} [if the lock is dropped]",
        f"{TAG} (provided that it builds)",
        f"Please fix the comma in the message.\n\n> x\n\n{TAG}",
        f"Once that is addressed you can add my tag.\n\n> some code\n> more\n\nThanks!\n\n{TAG}",
        f"You may add the tag below after\nthe comma is fixed.\n\n> x\n\nNice.\n\n{TAG}",
        f"Other than that, looks good.\n\n{TAG}",
        f"Modulo the nit below:\n\n{TAG}\n\n> x\n\ns/foo/bar/",
        f"The name needs to be changed.\n> x\n\n{TAG}",
        f"With the comma fixed:\nAcked-by: {RAE}\n{TAG}",
        f"Tentatively:\n{TAG}",
        f"{TAG}\n\nunless somebody objects to the name.",
    ],
)
def test_a_condition_anywhere_in_the_mail_holds_a_tag_back(body):
    found = read(mail(body, 1))
    assert found.attached == ()
    assert {row.reason.partition(":")[0] for row in found.ignored} == {"perhaps on a condition"}


@pytest.mark.parametrize(
    "body",
    [
        f"Looks good to me.\n\n{TAG}",
        f"Thanks for fixing this!\n\n{TAG}\n\nCheers,\nRae",
        f"I ran this with lockdep on arm64.\n{TAG}",
        f"As I said once again:\n{TAG}",
        f"LGTM\n{TAG}",
        f"> Does this need a lock?\n\nNo, all callers hold it.\n\n{TAG}",
        f"I withdraw my NAK, the numbers convince me.\n\n{TAG}",
        f"No objections.\n\n{TAG}",
        f"The driver answers with a nack byte here, which is right.\n\n{TAG}",
        f"> NAK\n\nThat was answered.\n\n{TAG}",
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{TAG}\n-----BEGIN PGP SIGNATURE-----\nx",
        f"Config: 6.12\nMachine: qemu\nCompiler: gcc\n\n{TAG}",
    ],
)
def test_a_tag_without_a_condition_is_taken(body):
    found = read(mail(body, 1))
    assert patches(found) == "1"
    assert found.ignored == ()


BACK = [
    "Sorry, I have to take this back, please drop my tag:",
    "I never sent you my Reviewed-by.",
    "Please remove me from the tags.",
    "Please drop my tag.",
    "Please ignore my tag, I read the wrong version.",
    "I have to revoke my tag.",
    "I revoke my Reviewed-by.",
    "Revoked.",
    "Please do not add my Reviewed-by to this.",
    "Don't carry my tag to the next version.",
    "I retract my earlier ack.",
    "I'm withdrawing my R-b.",
    "I take that back.",
    "Taking my Reviewed-by back, this deadlocks.",
    "My tag no longer holds.",
    "My Reviewed-by was premature.",
    "Please disregard the above tag.",
    "Please remove my trailer from this\npatch.",
    "Please drop\nmy tag.",
    "I changed my mind about this one.",
    "The tag was sent by mistake.",
    "Scratch that review, please.",
    "You can't keep my ack on this.",
    "Consider my Reviewed-by withdrawn.",
    "I can no longer stand behind my tag.",
    "I'd rather not have my tag on this.",
    "Please hold back my tag for now.",
    "This is NOT a review tag.",
    "My earlier Reviewed-by doesn't apply to this version.",
    "NAK",
    "NACK.",
    "-1 from me, NAK",
    "Nak, this breaks arm64.",
    "So it's a NAK from me.",
    "Sorry, but this is NAKed until the lock is back.",
    "I NAK this.",
    "Hence: NAK.",
    f"Nacked-by: {RAE}",
    f"NAcked-by: {RAE}",
    f"Nak-by: {RAE}",
    f"Not-Reviewed-by: {RAE}",
    f"Rejected-by: {RAE}",
    "I object to this patch.",
]


@pytest.mark.parametrize("words", BACK)
def test_what_takes_a_tag_back_in_the_same_mail(words):
    found = read(mail(f"{words}\n\n{TAG}", 1))
    assert found.attached == ()
    reasons = [row.reason for row in found.ignored if row.line == TAG]
    assert len(reasons) == 1
    assert reasons[0].startswith(("the same mail objects: ", "the same mail seems to take a tag back: "))


@pytest.mark.parametrize("words", BACK)
def test_what_takes_a_tag_back_later_in_the_thread(words):
    found = read(mail(TAG, 1), mail(words, 1, "r2"))
    assert found.attached == ()
    (reason,) = [row.reason for row in found.ignored if row.line == TAG]
    assert reason.startswith("apparently taken back in <r2@example.com>: ")
    assert [row.line for row in found.ignored if row.message_id == "r2@example.com"]
    assert [row.objection for row in found.ignored if "-by:" in row.line and row.message_id == "r2@example.com"] in (
        [],
        [True],
    )


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (mail(TAG, 1), mail("NAK", 2, "r2"), "1"),
        (mail(TAG), mail("NAK", 2, "r2"), "134"),
        (mail(TAG, 1), mail("NAK", 0, "r2"), ""),
        (mail(TAG, 1), mail("NAK", 1, "r2", "Else Where <else@example.com>"), "1"),
        (mail(TAG, 1), mail("NAK", 1, "r2", "Rae Viewer <rae@corp.example>"), ""),
        (mail("NAK", 1, "r2"), mail(f"Fine now.\n{TAG}", 1), "1"),
        (mail("NAK", 1, "r2"), mail(TAG, 1, version="v2"), "1"),
        (mail(TAG, 1, version="v2"), mail("NAK", 1, "r2"), "1"),
        (mail(TAG, 1), mail("NAK", 1, "r2", version="v2"), ""),
        (mail("NAK", 1, "r2", In_Reply_To="<r1@example.com>"), mail(TAG, 1), ""),
        (mail("NAK", 1, "r2"), mail(f"OK then.\n{TAG}", 1, In_Reply_To="<r2@example.com>", Date="x"), "1"),
        (
            mail("NAK", 1, "r2", Date="Tue, 6 Jan 2026 10:00:00 +0000"),
            mail(TAG, 1, Date="Mon, 5 Jan 2026 10:00:00 +0000"),
            "",
        ),
    ],
)
def test_whose_tag_for_what_is_taken_back_and_when(first, second, wanted):
    found = read(first, second)
    assert patches(found) == wanted
    assert [row for row in found.ignored if row.line == "NAK" and row.objection]


def test_an_objection_without_a_tag_is_named():
    found = read(mail("NAK, this breaks arm64.\n\nSee the log.", 2, "r9"))
    assert [(row.line, row.objection) for row in found.ignored] == [("NAK, this breaks arm64.", True)]
    assert "settle it" in found.ignored[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("\u00a0" + TAG, "it holds U+00A0 (no-break space)"),
        (TAG.replace(":", "\uff1a"), "it holds U+FF1A (fullwidth colon)"),
        (TAG.replace("-", " "), "it does not have the form of a tag for git"),
        ("\ufeff" + TAG, "it holds U+FEFF (zero width no-break space)"),
        (TAG.replace("-", "\u2011", 1), "it holds U+2011 (non-breaking hyphen)"),
        (TAG.replace("-", "\u2013", 1), "it holds U+2013 (en dash)"),
        (TAG.replace("Re", "Re\u00ad", 1), "it holds U+00AD (soft hyphen)"),
        (f"**{TAG}**", "'**' comes before it"),
        (f"* {TAG}", "'*' comes before it"),
        (f"- {TAG}", "'-' comes before it"),
        (f"1. {TAG}", "'1.' comes before it"),
        (f"\u2022 {TAG}", "'\u2022' comes before it"),
        (f"`{TAG}`", "'`' comes before it"),
        (f'"{TAG}"', "'\"' comes before it"),
        (f"({TAG})", "'(' comes before it"),
        (f"Feel free to add {TAG}", "'Feel free to add' comes before it"),
        (f"You can have my {TAG}", "'You can have my' comes before it"),
        (TAG.replace(":", ""), "it does not have the form of a tag for git"),
        (f"Reviewed: {RAE}", "it does not have the form of a tag for git"),
        (f"R-b: {RAE}", "it does not have the form of a tag for git"),
        (TAG.replace("e", "\u0435", 1), "it does not have the form of a tag for git"),
        ("Reviewed-by: Rae Viewer<rae@example.com>", "there is no blank before the `<`"),
        (f"{TAG}.", "'.' comes after the address"),
        (f"{TAG} on arm64", "'on arm64' comes after the address"),
        (f"{TAG}; ship it", "'; ship it' comes after the address"),
        (f"{TAG}, thanks!", "', thanks!' comes after the address"),
        ("Reviewed-by: Rae Viewer <mailto:rae@example.com>", "its address has `mailto:` in it"),
        ("Reviewed-by: Rae Viewer <rae@example.com<mailto:rae@example.com>>", "its address has `mailto:` in it"),
        ("Reviewed-by: Rae Viewer &lt;rae@example.com&gt;", "it has `&lt;`"),
        ("Reviewed-by: Rae Viewer < rae@example.com >", "there are blanks in the brackets"),
        ("Reviewed-by: Rae Viewer rae@example.com", "its address is not in `<` and `>`"),
        ("Reviewed-by: Rae Viewer (rae@example.com)", "its address is not in `<` and `>`"),
        ("Reviewed-by: Rae Viewer", "it has no valid address"),
        ("Reviewed-by: Rae Viewer <rae at example.com>", "it has no valid address"),
        (f"Reveiwed-by: {RAE}", "Reveiwed-by is not taken from mails"),
        (f"{TAG} # revoked", "it seems to be taken back: revoked"),
        (f"{TAG} (withdrawn)", "it seems to be taken back: withdrawn"),
    ],
)
def test_what_a_person_would_read_as_a_tag_is_named_with_what_keeps_it_from_being_one(line, reason):
    found = read(mail(line, 1))
    assert found.attached == ()
    ((said, why),) = [(row.line, row.reason) for row in found.ignored]
    assert said == line.strip()
    assert why.startswith(reason)


@pytest.mark.parametrize(
    "line", ["This was reviewed by Ted.", "Tested by all of us, I think.", "It is suggested by v1"]
)
def test_prose_is_no_near_tag(line):
    assert read(mail(line, 1)).ignored == ()


HEADERS = {
    "outlook": "From: Pat Author <pat@example.org>\nSent: Monday, January 5, 2026 10:00\nTo: bpf\nSubject: [PATCH] x",
    "mobile": "From: Pat Author\nSent: Monday, January 5, 2026 10:00 AM\nTo: bpf\nSubject: [PATCH] x",
    "order": "Subject: [PATCH] x\nTo: list@example.org\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nFrom: Pat Author",
    "bold": "*From:* Pat Author <pat@example.org>\n*Sent:* Monday, 5 January 2026\n*Subject:* [PATCH] x",
    "blank lines": "From: Pat Author\n\nSent: Monday, January 5, 2026\n\nTo: bpf\n\nSubject: [PATCH] x",
    "long to": "From: Pat Author <pat@example.org>\nTo: a@example.org; b@example.org;\n  c@example.org\nSubject: x",
    "one line": "From: Pat Author Sent: Monday To: bpf Subject: x",
    "german": "Von: Pat Author <pat@example.org>\nGesendet: Montag, 5. Januar 2026 10:00\nAn: bpf\nBetreff: [PATCH] x",
    "french": "De : Pat Author <pat@example.org>\nEnvoyé : lundi 5 janvier 2026 10:00\nÀ : bpf\nObjet : [PATCH] x",
    "chinese": "发件人：Pat Author <pat@example.org>\n发送时间：2026年1月5日 10:00\n收件人：bpf\n主题：[PATCH] x",
    "russian": "От: Pat Author <pat@example.org>\nОтправлено: 5 января 2026 г. 10:00\nКому: bpf\nТема: [PATCH] x",
    "unknown": "Ô: Pat Author <pat@example.org>\nKdy: 5. 1. 2026 10:00\nKohoze: bpf\nVjec: [PATCH] x",
    "only from": "From: Pat Author <pat@example.org>",
    "english": "On Mon, Jan 5, 2026 at 10:00 AM Pat Author <pat@example.org> wrote:",
    "folded": "On Mon, Jan 5, 2026 at 10:00 AM Pat Author\n<pat@example.org> wrote:",
    "no colon": "On Mon, Jan 5, 2026 at 10:00 AM Pat Author <pat@example.org> wrote",
    "name alone": "Pat Author wrote:",
    "schrieb": "Am Mo., 5. Jan. 2026 um 10:00 Uhr schrieb Pat Author <pat@example.org>:",
    "a écrit": "Le lun. 5 janv. 2026 à 10:00, Pat Author <pat@example.org> a écrit :",
    "xie dao": "Pat Author <pat@example.org> 于2026年1月5日周一 10:00写道：",
    "any language": "5. 1. 2026 10:00, Pat Author <pat@example.org> hat dit :",
    "dashes": "-------- Message d'origine --------",
    "zoho": "---- On Mon, 05 Jan 2026 10:00:00 +0000 Pat Author <pat@example.org> wrote ---",
    "underscores": "________________________________",
    "git log": "commit 0123456789abcdef0123456789abcdef01234567",
    "format-patch": "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("before", ["NAK, this breaks arm64.", "See below."])
def test_what_is_quoted_without_marks_is_not_said(header, before):
    quoted = f"check_kfunc_call() tells it ...\n\n{TAG}\nSigned-off-by: Pat Author <pat@example.org>\n---\n a.c | 5 +\n"
    for blank in ("\n", "\n\n"):
        found = read(mail(f"{before}\n\n{header}{blank}{quoted}", 1))
        assert found.attached == ()
        (reason,) = [row.reason for row in found.ignored if row.line == TAG]
        assert reason.startswith("it is below ")
    below = read(mail(f"{header}\n{quoted}\nNice.\n\nAcked-by: {RAE}", 1))  # the answer below: who can tell?
    assert below.attached == ()
    assert {row.line for row in below.ignored} == {TAG, f"Acked-by: {RAE}"}
    above = read(mail(f"Nice.\n\nAcked-by: {RAE}\n\n{header}\n{quoted}", 1))
    assert [row.given.trailer for row in above.attached] == [f"Acked-by: {RAE}"]


def test_a_patch_that_is_quoted_without_any_sign_is_known_by_its_sign_off():
    quoted = f"check_kfunc_call() tells it ...\n\n{TAG}\nSigned-off-by: Pat Author <pat@example.org>\n---\n a.c | 5 +\n"
    found = read(mail(f"Hm.\n\n{quoted}", 1))
    assert found.attached == ()
    assert "a patch that is quoted without marks" in found.ignored[0].reason


def test_an_attribution_above_marked_text_hides_nothing():
    head = HEADERS["english"]
    assert patches(read(mail(f"{head}\n> a\n> b\n\nNice.\n\n{TAG}", 1))) == "1"
    assert patches(read(mail(f"{HEADERS['folded']}\n\n> a\n\n{TAG}", 1))) == "1"
    assert patches(read(mail(f"Pat> I fixed it.\n\n{TAG}", 1))) == "1"


@pytest.mark.parametrize(
    "tree", ["6.12", "6.12.y", "v6.12.y", "linux-6.1.y", "AUTOSEL 6.12", "stable 6.12.y", "5.10-stable", "OLK-6.6"]
)
def test_a_tag_for_a_patch_in_an_older_tree_is_not_taken(tree):
    found = read(mail(TAG, 1).replace(b"[PATCH ", f"[PATCH {tree} ".encode()))
    assert found.attached == ()
    assert [row.reason.rpartition(",")[0] for row in found.ignored] == ["it is about the patch for another tree"]


@pytest.mark.parametrize("tree", ["bpf-next", "RFC v2", "v2.1", "6.12-rc3", "for-7.4", "net/next", "RESEND"])
def test_other_words_in_a_subject_are_no_older_tree(tree):
    assert "another tree" not in str(read(mail(TAG, 1).replace(b"[PATCH ", f"[PATCH {tree} ".encode())).ignored)


@pytest.mark.parametrize("subject", ["NAK: [PATCH 1/4] sample: Patch 1", "Re: NACK/Cmnt: [PATCH 1/4] sample: Patch 1"])
def test_an_objection_in_the_subject_is_one(subject):
    found = read(mail(TAG, 1), mail("See the subject.", 1, "r2", Subject=subject))
    assert found.attached == ()
    assert [(row.line, row.objection) for row in found.ignored if row.message_id == "r2@example.com"] == [
        (subject, True)
    ]


def test_a_tag_for_a_diff_that_somebody_answered_with_is_not_for_the_patch():
    diff = "How about this?\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n a\n+y\n"
    other = mail(diff, 1, "d1", "Else Where <else@example.com>")
    found = read(other, mail(f"Better.\n\n{TAG}", 1, In_Reply_To="<d1@example.com>"))
    assert found.attached == ()
    assert [row.reason for row in found.ignored] == [
        "it answers a diff in <d1@example.com>, which is not a patch of this series"
    ]
    assert patches(read(other, mail(TAG, 1))) == "1"
    refused = mail("NAK", 1, "r2", In_Reply_To="<d1@example.com>")
    assert patches(read(other, mail(TAG, 1), mail(TAG, 2, "r3"), refused)) == "12"
