"""Mails in the forms that lists have, each a file in tests/mails: what is a tag, whose, and for which patch."""

from __future__ import annotations

import base64
import gzip

import pytest
from tinytree import TESTS

from patchbot.draft.trailers import diff_id
from patchbot.errors import UserError
from patchbot.git.diffs import diff_lines
from patchbot.mail.answered import Drafted, DraftPatch
from patchbot.mail.parts import decode, unflow
from patchbot.mail.replies import Choices, Gathered, gather
from patchbot.mail.said import Tag, read_said
from patchbot.mail.threads import Thread, read_message, read_sender, read_thread, read_title
from patchbot.model import Identity

MAILS = TESTS / "mails"
HEADER = diff_lines(
    b"diff --git a/inc.h b/inc.h\n--- a/inc.h\n+++ b/inc.h\n@@ -1 +1,2 @@\n #define NEW\n+#define ADDED\n"
)
TWO = diff_lines(b"diff --git a/b/two.c b/b/two.c\n--- a/b/two.c\n+++ b/b/two.c\n@@ -1 +1 @@\n-OLD z;\n+NEW z;\n")
ONE = diff_lines(b"diff --git a/a/one.c b/a/one.c\n--- a/a/one.c\n+++ b/a/one.c\n@@ -1 +1 @@\n-OLD x;\n+NEW x;\n")
PATCHES = (
    DraftPatch("header", "sample: Add a header line", HEADER),
    DraftPatch("words/b/two.c", "sample: Convert b/two.c", TWO),
    DraftPatch("words/a/one.c", "sample: Convert a/one.c", ONE),
)
DRAFTED = Drafted(PATCHES, ("header", "words/b/two.c"), "sample: A title")
RAE, TED = "Rae Viewer <rae@example.com>", "Ted Tester <ted@example.net>"
FLORA = "Flora Flowed <flora@a-rather-long-host-name.example.com>"

#: {file: {patch: tags}}
ATTACHED: dict[str, dict[str, list[str]]] = {
    "plain": {
        "header": [f"Acked-by: {RAE}", f"Tested-by: {TED} # qemu, arm64", f"Reviewed-by: {TED}"],
    },
    "base64": {"header": ["Reviewed-by: Jürgen Groß <juergen@example.com>"]},
    "quoted-printable": {"words/b/two.c": ["Acked-by: Björn Töpel <bjorn@example.com>"]},
    "cover": {"header": [f"Reviewed-by: {RAE}"], "words/b/two.c": [f"Reviewed-by: {RAE}"]},
    "cover-alone": {"header": [f"Acked-by: {RAE}"], "words/b/two.c": [f"Acked-by: {RAE}"]},
    "versions": {"header": ["Acked-by: Oda Old <oda@example.com>"], "words/b/two.c": [f"Tested-by: {TED}"]},
    "parts": {"header": [f"Reviewed-by: {RAE}", f"Tested-by: {TED}"]},
    "flowed": {"header": [f"Acked-by: {FLORA}"]},
    "mboxrd": {"header": [f"Reviewed-by: {RAE}"], "words/b/two.c": [f"Tested-by: {TED}"]},
    "charsets": {
        "header": [
            "Reviewed-by: André Latin <andre@example.com>",
            "Reviewed-by: Åsa Wrong <asa@example.com>",
            "Reviewed-by: Zoë None <zoe@example.com>",
            "Reviewed-by: 王一 <wang@example.com>",
            "Acked-by: Hidden Seven <seven@example.com>",
        ]
    },
    "forms": {
        "header": [
            "Tested-by: Ted Tester <TED@example.net>",
            'Acked-by: "Tester, Ted" <ted@example.net> (corporate)',
            "Suggested-by: ted@example.net",
        ]
    },
    "outlook": {
        "header": [
            "Reviewed-by: Rae Viewer of a Company With a Rather Long Name <rae@example.com>",
            f"Suggested-by: {TED}",
        ]
    },
    "gaps": {"header": [f"Tested-by: {TED}"], "words/b/two.c": [f"Reviewed-by: {RAE}"]},
    "twice": {"header": [f"Reviewed-by: {RAE}", f"Tested-by: {TED}"]},
    "hostile": {"header": ["Tested-by: Mallory <mallory@example.com>", "Acked-by: Mallory <mallory@example.com>"]},
}
#: {file: (message-id, start of the line, what the reason says)}
IGNORED: dict[str, list[tuple[str, str, str]]] = {
    "plain": [
        ("r1@example.com", "Suggested-by", "below '--'"),
        ("r3@example.net", "Reviewed-by", "perhaps on a condition: With the comma fixed:"),
    ],
    "quoted-printable": [("qp@example.com", "Tested-by", "below '--'")],
    "flowed": [("fl@example.com", "Tested-by", "below '--'")],
    "outlook": [
        ("o1@example.com", "Tested-by", "below '-----Original Message-----'"),
        ("o2@example.net", "Acked-by", "below '---8<---'"),
    ],
    "cover-alone": [
        ("ca2@example.net", "Acked-by", "not that of this series"),
        ("ca3@example.net", "Tested-by", "for 9 patches"),
    ],
    "versions": [("vr1@example.com", "Reviewed-by", "not for 'sample: Convert b/two.c' as it is now")],
    "parts": [("html@example.net", "", "HTML only")],
    "charsets": [
        ("l5@example.com", "Reviewed-by", "cannot be decoded"),
        ("l6@example.com", "+AFI-eviewed-by", "'+' comes before it"),
    ],
    "forms": [
        ("f1@example.com", "Reviewed-by", "given by rae@example.com for rae@corp.example"),
        ("f1@example.com", "Signed-off-by", "not taken from mails"),
        ("f1@example.com", "Reported-by", "about the bug"),
        ("f1@example.com", "Reviewed-and-tested-by", "not taken from mails"),
        ("f1@example.com", "Cc", "not taken from mails"),
        ("f1@example.com", "Fixes", "not taken from mails"),
        ("f2@example.net", "Reviewed-by", "no valid address"),
        ("f2@example.net", "Tested-by", "no valid address"),
        ("f2@example.net", "Acked-by", "no valid address"),
        ("f2@example.net", "Suggested-by", "more than one address"),
        ("f2@example.net", "Reviewed-by:", "no valid address"),
        ("f5@example.com", "Nacked-by", "an objection; settle it"),
        ("f4@example.com", "Acked-by: Boss", "given by rae@example.com for boss@example.com"),
    ],
    "gaps": [
        ("g2@example.net", "Acked-by", "its thread leads to v1 1/2, its subject to v1 2/2"),
        ("g3@example.net", "Acked-by", "neither its thread nor its subject"),
        ("g5@example.net", "Acked-by", "no patch 'other: Change another tree'"),
    ],
    "twice": [("d1@example.com", "", "is another mail with the same Message-ID")],
    "hostile": [
        ("", "", "nested too deeply"),
        ("", "Reviewed-by", "no usable Message-ID"),
        ("h2@example.com", "Reviewed-by", "From is not one address"),
        ("h3@example.com", "Reviewed-by", "given by mallory@example.com for rae@example.com"),
        ("h4@example.com", "Reviewed-by", "U+001B"),
        ("h4@example.com", "Acked-by", "U+202E"),
        ("h4@example.com", "Tested-by", "U+000D"),
        ("h4@example.com", "Tested-by", "U+0000"),
        ("h4@example.com", "Acked-by", "U+2028"),
        ("h7@example.com", "Tested-by", "neither its thread nor its subject"),
        ("h8@example.com", "Reviewed-by", "longer than"),
        ("", "Reviewed-by", "no usable Message-ID"),
        ("h10@example.com", "", "claims to be base64 but is not"),
        ("h12@example.com", "Reviewed-by", "as it is now"),
        ("", "Acked-by", "no usable Message-ID"),
    ],
}


def read(name: str) -> Thread:
    return read_thread(MAILS / f"{name}.mbox")


def gather_all(thread: Thread, threshold: float = 0) -> Gathered:
    """Return what a person gets who accepts every tag that can be."""
    ids: set[str] = set()
    found = gather(thread, DRAFTED, Choices(threshold=threshold))
    while new := {row.id for row in found.ignored if row.id} - ids:
        ids |= new
        found = gather(thread, DRAFTED, Choices(frozenset(ids), threshold))
    return found


def taken(found: Gathered) -> dict[str, list[str]]:
    return {patch: [given.trailer for given in rows] for patch, rows in found.trailers.items()}


def test_every_file_is_expected_to_say_something():
    assert {path.stem for path in MAILS.glob("*.mbox")} == set(ATTACHED)


@pytest.mark.parametrize("name", ATTACHED)
def test_tags_reach_the_patch_that_they_answer(name):
    found = gather(read(name), DRAFTED, Choices())
    assert taken(found) == ATTACHED[name]
    wanted = IGNORED.get(name, [])
    assert len(found.ignored) == len(wanted)
    for row, (message_id, line, reason) in zip(found.ignored, wanted, strict=True):
        assert (row.message_id, row.line[: len(line)]) == (message_id, line)
        assert reason in row.reason


@pytest.mark.parametrize("name", ATTACHED)
def test_no_tag_is_made_up(name):
    data = (MAILS / f"{name}.mbox").read_bytes()
    for row in gather_all(read(name), threshold=100).attached:
        assert row.given.message_id.encode() in data
        if name not in ("base64", "quoted-printable", "charsets", "outlook", "flowed"):
            assert row.given.trailer.partition(":")[2].encode() in data


@pytest.mark.parametrize("name", ATTACHED)
def test_a_mail_cut_off_anywhere_is_no_crash_and_gives_no_other_tag(name, tmp_path):
    data = (MAILS / f"{name}.mbox").read_bytes()
    known = {line for rows in ATTACHED[name].values() for line in rows}
    for end in range(97, len(data), 97):
        path = tmp_path / "cut.mbox"
        path.write_bytes(data[:end])
        found = gather(read_thread(path), DRAFTED, Choices())
        for rows in taken(found).values():
            assert all(any(full.startswith(line) for full in known) for line in rows if name != "hostile")


@pytest.mark.parametrize("name", ATTACHED)
def test_damaged_bytes_are_no_crash(name, tmp_path):
    data = bytearray((MAILS / f"{name}.mbox").read_bytes())
    for step, value in ((61, 0x00), (53, 0xFF), (47, 0x0A), (43, 0x22)):
        broken = bytearray(data)
        broken[70::step] = bytes([value]) * len(broken[70::step])
        path = tmp_path / "broken.mbox"
        path.write_bytes(broken)
        gather_all(read_thread(path))


def test_other_names_and_reports_can_be_accepted_but_no_sign_off():
    lines = taken(gather_all(read("forms")))["header"]
    assert {"Reviewed-by: Rae Viewer <rae@corp.example>", f"Reported-by: {RAE}"} < set(lines)
    assert "Acked-by: Boss Of Rae <boss@example.com>" in lines
    assert not [line for line in lines if line.lower().startswith(("signed", "nacked", "cc", "fixes", "reviewed-and"))]


def test_a_tag_for_a_patch_that_changed_is_taken_as_far_as_a_person_allows():
    strict = gather(read("versions"), DRAFTED, Choices(threshold=24))
    loose = gather(read("versions"), DRAFTED, Choices(threshold=25))
    assert f"Reviewed-by: {RAE}" not in taken(strict)["words/b/two.c"]
    assert f"Reviewed-by: {RAE}" in taken(loose)["words/b/two.c"]
    (given,) = [g for g in loose.trailers["words/b/two.c"] if g.trailer == f"Reviewed-by: {RAE}"]
    assert (given.version, given.message_id, given.patch_id) == (1, "vr1@example.com", diff_id(TWO))


def test_a_frozen_version_says_what_a_tag_was_given_for():
    old = DraftPatch("header", "sample: Add an older line", (*HEADER, b"+more"))
    frozen = Drafted(PATCHES, DRAFTED.posted, DRAFTED.title, {1: (old, PATCHES[1])})
    found = gather(read("gaps"), frozen, Choices())
    assert f"Reviewed-by: {RAE}" in taken(found)["words/b/two.c"]
    assert {a.note for a in found.attached} == {""}
    renamed = Drafted((DraftPatch("header", "sample: Other words", HEADER),), (), "", {1: (PATCHES[0],)})
    assert list(taken(gather(read("base64"), renamed, Choices()))) == ["header"]
    gone = Drafted(PATCHES[1:], (), "", {1: PATCHES})
    assert "no longer" in gather(read("base64"), gone, Choices()).ignored[0].reason


def test_the_proof_is_kept_with_the_tag():
    (row,) = gather(read("base64"), DRAFTED, Choices()).attached
    assert row.given.message_id == "b64@example.com"
    assert row.given.sender == "Jürgen Groß <juergen@example.com>"
    assert row.given.patch_id == diff_id(HEADER)


def test_a_tag_on_a_condition_is_taken_only_if_a_person_says_so():
    found = gather_all(read("plain"))
    notes = {a.given.message_id: a.note for a in found.attached}
    assert notes == {
        "r1@example.com": "",
        "r2@example.net": "",
        "r3@example.net": "perhaps on a condition: With the comma fixed:",
    }


def test_patches_of_the_same_name_are_told_apart_by_number_or_not_at_all(tmp_path):
    same = Drafted(tuple(DraftPatch(p.id, "sample: Add a header line", HEADER) for p in PATCHES), (), "")
    assert list(taken(gather(read("base64"), same, Choices()))) == ["header"]
    path = tmp_path / "other.mbox"
    path.write_bytes((MAILS / "base64.mbox").read_bytes().replace(b"1/2]", b"9/9]"))
    found = gather(read_thread(path), same, Choices())
    assert found.attached == ()
    assert "3 patches are called" in found.ignored[0].reason


def test_a_maildir_a_gzipped_mbox_and_a_single_mail_are_read(tmp_path):
    data = (MAILS / "plain.mbox").read_bytes()
    (tmp_path / "t.mbox.gz").write_bytes(gzip.compress(data))
    assert taken(gather(read_thread(tmp_path / "t.mbox.gz"), DRAFTED, Choices())) == ATTACHED["plain"]
    for number, mail in enumerate(data.split(b"From list@example.org Mon Jan  5 10:00:00 2026\n")[1:]):
        where = tmp_path / "dir" / ("new" if number % 2 else "cur") / f"{number}.host:2,S"
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(mail)
    (tmp_path / "dir/cur/folder").mkdir()
    assert taken(gather(read_thread(tmp_path / "dir"), DRAFTED, Choices())) == ATTACHED["plain"]
    single = tmp_path / "dir/cur/4.host:2,S"
    assert len(read_thread(single).messages) == 1


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("missing", None, "no such file"),
        ("empty", b"\n", "is empty"),
        ("text", b"some notes\nof mine\n", "is not an mbox"),
        ("cut.gz", gzip.compress(b"From x\n" * 999, mtime=0)[:-9], "a damaged gzip file"),
    ],
)
def test_what_is_no_mailbox_is_refused(tmp_path, name, data, text):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=text):
        read_thread(path)
    with pytest.raises(UserError, match="is not a maildir"):
        read_thread(tmp_path)


def test_what_the_email_package_cannot_take_costs_only_that_mail(tmp_path):
    (tmp_path / "odd").write_bytes(b"Content-Type: multipart/mixed; boundary*=x; boundary*0=y\n\nx")
    assert [u.reason for u in read_thread(tmp_path / "odd").unread] == ["cannot be taken apart (TypeError)"]


def test_a_fault_of_our_own_is_not_the_mails(tmp_path, monkeypatch):
    def broken(text):
        raise AttributeError("ours")

    monkeypatch.setattr("patchbot.mail.threads.read_title", broken)
    with pytest.raises(AttributeError, match="ours"):
        read_thread(MAILS / "plain.mbox")


def test_a_huge_mail_costs_only_itself(tmp_path):
    data = (MAILS / "base64.mbox").read_bytes()
    huge = b"From x@y Mon Jan  5 10:00:00 2026\nFrom: a@b.c\n\n" + b"x" * (3 << 20) + b"\n\n"
    (tmp_path / "huge.mbox").write_bytes(huge + data)
    found = gather(read_thread(tmp_path / "huge.mbox"), DRAFTED, Choices())
    assert taken(found) == ATTACHED["base64"]
    assert [i.reason for i in found.ignored] == ["longer than 2 MiB"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[PATCH bpf-next v2 03/13] bpf: Do it", (True, False, 2, 3, 13, "bpf: Do it")),
        ("Re: [PATCH bpf-next v2 03/13] bpf:  Do it", (True, True, 2, 3, 13, "bpf: Do it")),
        ("RE: [EXT] Re: [RFC PATCHv3 1/2] x", (True, True, 3, 1, 2, "x")),
        ("AW: Re[2]: [bpf-next] [PATCH] Re: x", (True, True, 1, None, None, "x")),
        ("[patch V4] x", (True, False, 4, None, None, "x")),
        ("[PATCH RFCv2 3/5] x", (True, False, 2, 3, 5, "x")),
        ("[RFCv2 3/5] x", (True, False, 2, 3, 5, "x")),
        ("[RFC v2 3/5] x", (True, False, 2, 3, 5, "x")),
        ("[PATCH v6.12.y 1/3] x", (True, False, 1, 1, 3, "x")),
        ("[PATCH v6.12 v2 1/3] x", (True, False, 2, 1, 3, "x")),
        ("[PATCH net-next,v3] x", (True, False, 3, None, None, "x")),
        ("[PATCH 6.6.y v2 1/2] x", (True, False, 2, 1, 2, "x")),
        ("[PATCH 6.12/6.6 1/3] x", (True, False, 1, 1, 3, "x")),
        ("[PATCH for-v6.13 1/3] x", (True, False, 1, 1, 3, "x")),
        ("[RESEND,v5,RFC,1/3] x", (True, False, 5, 1, 3, "x")),
        ("[bpf-PATCHv2 1/3] x", (True, False, 2, 1, 3, "x")),
        ("[PATCH v2.1 1/3] x", (True, False, 0, 1, 3, "x")),
        ("[PATCH v2 v3 1/3] x", (True, False, 0, 1, 3, "x")),
        ("[dispatch] x", (False, False, 1, None, None, "x")),
        ("Re: lunch", (False, True, 1, None, None, "lunch")),
        ("", (False, False, 1, None, None, "")),
    ],
)
def test_subjects(text, wanted):
    title = read_title(text)
    got = (title.is_patch, title.is_reply, title.version, title.number, title.total, title.summary)
    assert got == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A B <a@b.c>", Identity("A B", "a@b.c")),
        ('"B, A" <a@b.c>', Identity("B, A", "a@b.c")),
        ("a@b.c (A B)", Identity("A B", "a@b.c")),
        ('"x <x@y.z>" <a@b.c>', Identity("x <x@y.z>", "a@b.c")),
        ("x@y.z <a@b.c>", None),
        ("<a@b.c>, <x@y.z>", None),
        ("A B <a at b.c>", None),
        ("", None),
    ],
)
def test_senders(text, wanted):
    assert read_sender(text) == wanted


def test_text_is_decoded_as_it_is_and_not_as_it_claims():
    assert decode("ü".encode(), "iso-8859-1") == "ü"
    assert decode("ü".encode("latin-1"), "iso-8859-1") == "ü"
    assert decode("ü".encode("latin-1"), "utf-8") == "\ufffd"
    assert decode(b"+AFI-", "utf-7") == "+AFI-"
    assert decode("王".encode("gbk"), "gb2312") == "王"


def test_flowed_paragraphs_are_joined_and_stuffing_is_taken_off():
    lines = ["one ", "two", " >three", "> a ", "> b", "Acked-by: A ", "<a@b.c> ", "Tested-by: x", "-- ", "sig"]
    wanted = ["one two", ">three", "> a b", "Acked-by: A <a@b.c> ", "Tested-by: x", "-- ", "sig"]
    assert list(unflow(lines, False)) == wanted


def tags_in(*lines: str) -> list[tuple[str, Tag | str]]:
    return list(read_said(["\n".join(lines)], Identity("A B", "a@b.c")).tags)


def test_a_tag_below_a_signature_or_foreign_text_is_named_if_it_is_in_the_senders_name():
    tag = "Acked-by: A B <a@b.c>"
    for mark in ("-- ", "--", "diff --git a/x b/x", "--- >8 ---", "-----Original Message-----"):
        ((line, reason),) = tags_in(mark, tag, "Reviewed-by: Else <e@b.c>")
        assert line == tag
        assert reason == f"it is below {mark.strip()!r}, where text need not be the sender's own"
    said = tags_in(f"> {tag}", f" | {tag}", f"I said {tag}", tag)
    assert said[0] == (f"I said {tag}", "'I said' comes before it; a tag begins its line")
    assert said[1] == (tag, Tag(tag, Identity("A B", "a@b.c")))


def test_a_name_that_is_encoded_as_in_a_header_is_not_taken():
    """Whoever decodes it later, say a mail program in Cc:, would find line ends and other fields in it."""
    tag = "Tested-by: =?utf-8?q?M=0ASigned-off-by=3A_x?= <m@example.com>"
    assert [str(found) for _, found in tags_in(tag)] == [
        "it holds an encoded word, which only a header may have, and which hides its text"
    ]


HEAD = b"From: A B <a@b.c>\nSubject: Re: [PATCH 1/2] x\nMessage-ID: <1@b.c>\nIn-Reply-To: <c1@example.org>\n"
TAG = b"Reviewed-by: A B <a@b.c>\n"


def multipart(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    start = b"Content-Type: multipart/" + kind + b"; boundary=bb\n\n"
    return start + b"".join(b"--bb\n" + part + b"\n" for part in parts) + b"--bb--\n"


@pytest.mark.parametrize(
    "body",
    [
        multipart(b"\nCAUTION: from outside.\n", b"\n" + TAG),
        multipart(b"\nSee below.\n-- \nA\n", b"Content-Disposition: attachment; filename=r.txt\n\n" + TAG),
        multipart(b"\nSee below.\n", b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(TAG)),
        multipart(multipart(b"\n", b"Content-Type: text/html\n\n<p>x").replace(b"bb", b"inner"), b"\n" + TAG),
        multipart(b"Content-Type: text/html\n\n<p>", b"Content-Type: text/plain\n\n" + TAG, kind=b"alternative"),
    ],
)
def test_every_plain_text_of_a_mail_is_read(body):
    message = read_message("m", HEAD + body)
    assert message.note == ""
    assert [line for line, found in read_said(message.texts, message.sender).tags] == [TAG.decode().strip()]


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (multipart(b"\n\n", b"Content-Type: text/html\n\n<p>x", kind=b"alternative"), "it is HTML only"),
        (multipart(b"\n \n", b"Content-Type: application/pdf\n\nx"), "its plain text is empty"),
        (b"Content-Type: text/html\n\n<p>x", "it is HTML only"),
        (b"Content-Transfer-Encoding: base64\n\n" + TAG, "claims to be base64 but is not"),
        (multipart(b"Content-Transfer-Encoding: base64\n\n" + TAG, b"\nlist footer\n"), "to be base64 but is not"),
    ],
)
def test_a_mail_of_which_the_text_cannot_be_read_is_named(body, note):
    assert note in read_message("m", HEAD + body).note
