"""Where a mail of an mbox begins, and where a line of text only looks like it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from patchbot.mail import mbox
from patchbot.mail.mbox import read_mails
from patchbot.mail.threads import read_thread

ENVELOPE = b"From list@example.org Mon Jan  5 10:00:00 2026\n"
PATCH = b"From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n"


def mail(name: str, body: bytes = b"Hello.\n") -> bytes:
    return (
        f"From: Rae Viewer <rae@example.com>\nSubject: Re: {name}\nMessage-ID: <{name}@example.com>\n\n".encode() + body
    )


def mails(tmp_path: Path, data: bytes) -> list[bytes]:
    path = tmp_path / "t.mbox"
    path.write_bytes(data)
    return [text for _, text in read_mails(path)]


@pytest.mark.parametrize(
    "line",
    [
        "From here on it looks good.",
        "From 10:30 to 2024 lines were lost.",
        "From Monday 10:30 on, and in all of 2026, it was stable.",
        "From what I saw at 12:00:01 on 2026-01-05: fine",
        "From: nobody in particular",
        "From Rae Viewer, Mon Jan 5 2026",
        "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001",
        ">From list@example.org Mon Jan  5 10:00:00 2026",
        ">>From list@example.org Mon Jan  5 10:00:00 2026",
        "From ",
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("following", [b"Acked-by: A B <a@b.c>\n", b"\nNote: this\n", b"Subject: x\n", b""])
def test_a_line_of_text_begins_no_mail(tmp_path, line, end, following):
    body = b"Hello.\n\n" + line.encode() + b"\n" + following
    data = ENVELOPE + mail("a", body) + b"\n" + ENVELOPE + mail("b")
    first, second = mails(tmp_path, data.replace(b"\n", end))
    assert b"Hello." in first
    assert line.encode().replace(b">From", b"From", 1) in first
    assert following.replace(b"\n", end) in first
    assert b"<b@example.com>" in second


@pytest.mark.parametrize(
    "envelope",
    [
        ENVELOPE,
        b"From mboxrd@z Thu Jan  1 00:00:00 1970\n",
        b"From - Mon Jan 05 10:00:00 2026\n",
        b"From 1234567890@xxx Mon Jan 05 10:00:00 +0000 2026\n",
        b"From rae at example.com  Mon Jan  5 10:00:00 2026\n",
        b"From rae@example.com Mon, 5 Jan 2026 10:00:00 +0000\n",
        b"From rae@example.com 2026-01-05 10:00:00\n",
        PATCH,
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("tail", [b"\n", b""])
def test_envelopes_of_all_programs_begin_a_mail(tmp_path, envelope, end, tail):
    data = envelope + mail("a") + b"\n" + envelope + mail("b", b"The end.\n\n")
    found = mails(tmp_path, data.replace(b"\n", end).rstrip() + tail)
    assert [b"<a@example.com>" in found[0], b"<b@example.com>" in found[1], len(found)] == [True, True, 2]
    assert found[1].rstrip().endswith(b"The end.")


def test_files_that_were_put_together_without_a_blank_line(tmp_path):
    assert len(mails(tmp_path, ENVELOPE + mail("a") + ENVELOPE + mail("b"))) == 2
    assert len(mails(tmp_path, b"\xef\xbb\xbf" + ENVELOPE + mail("a"))) == 1
    assert len(mails(tmp_path, b"\n\n" + ENVELOPE + mail("a"))) == 1
    assert len(mails(tmp_path, mail("a") + b"\n" + ENVELOPE + mail("b"))) == 2
    assert len(mails(tmp_path, b"\xef\xbb\xbf" + mail("a"))) == 1


def test_an_mbox_cut_off_anywhere_loses_no_whole_mail(tmp_path):
    one, two = ENVELOPE + mail("a") + b"\n", ENVELOPE + mail("b")
    for end in range(len(one) + 1, len(one + two)):
        found = mails(tmp_path, (one + two)[:end])
        assert found[0].startswith(mail("a"))


def test_what_is_read_is_counted_for_a_person(tmp_path, monkeypatch):
    ticks: list[tuple[str, int, int]] = []
    path = tmp_path / "t.mbox.gz"
    path.write_bytes(gzip.compress(b"\n".join(ENVELOPE + mail(str(n)) for n in range(30))))
    monkeypatch.setattr(mbox, "tick", lambda *row: ticks.append(row))
    assert len(read_thread(path).messages) == 30
    assert ticks == [("mails", n, 30) for n in range(1, 31)]
