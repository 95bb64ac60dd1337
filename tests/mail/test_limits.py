"""No mail keeps patchbot busy: what patterns are matched with is bounded, and the work for a mail grows with its size.

Time is not measured. A child process gets so much time of a processor, many times what it needs, and an input on which
the work grows with the square of its size would take it hours.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from patchbot.mail import parts
from patchbot.mail.said import MOST_TAGS, MOST_WORDS, read_said
from patchbot.mail.threads import read_message

SECONDS = 120
HEAD = b"From: Rae Viewer <rae@example.com>\nSubject: Re: [PATCH 1/4] x\nMessage-ID: <a@b.c>\nIn-Reply-To: <p@b.c>\n"
TAG = b"Reviewed-by: Rae Viewer <rae@example.com>\n"
LONG = b"x" * 3000 + b"\n"


def child(code: str) -> None:
    """Run Python code that must come to an end."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    done = subprocess.run([sys.executable, "-c", code], preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


STEMS = (
    *("with ", "after fix ", "drop my ", "my my ", "took my ", "i ", "so sorry but ", "tag if ", "a", " ", "-", "@"),
    *(
        "--- a ",
        "<a@",
        "a.",
        "<",
        "[",
        "(",
        "#",
        "1",
        "1/",
        "1-",
        "1,",
        "re: ",
        "[x] ",
        "v2",
        "rfc-",
        "patch",
        "patch 1",
    ),
    *(
        "the a ",
        "first ",
        '"',
        "\\",
        "=?",
        "=?q?q?",
        "on ",
        "from: ",
        "a: ",
        "*",
        "_",
        ":",
        "wrote ",
        "10:00 ",
        "2026 ",
    ),
    *(
        ">",
        "by",
        "-by",
        "a-",
        "\t",
        "reviewed-by",
        "review ",
        "From ",
        "Mon Jan 5 10:00 ",
        "\n",
        "\n\n",
        "\n ",
        "---\n",
    ),
    *("content-type: ", "x-by: ", "\xa0", "nak ", "x\n\nFrom "),
)
PATTERNS = f"""
import re
from patchbot.draft import trailers
from patchbot.mail import doubts, mbox, parts, quoting, replies, said, scope, threads
whole = (mbox.LINE, parts.MIME)  # matched with files and mails
modules = (doubts, parts, mbox, quoting, replies, said, scope, threads, trailers)
for pattern in {{p for module in modules for p in vars(module).values() if isinstance(p, re.Pattern)}}:
    length = 1 << 17 if pattern in whole else parts.MOST_LINE
    for stem in {STEMS!r}:
        text = (stem * length)[: length - 1] + "!"
        text = text.encode() if isinstance(pattern.pattern, bytes) else text
        pattern.search(text)
        pattern.fullmatch(text[:-1])
"""


def test_no_pattern_takes_long_on_the_longest_text_that_it_gets():
    child(PATTERNS)


MIB = 1 << 20
MAILS = {
    "parameters": b"Content-Type: text/plain" + b";a=b" * 500_000 + b"\n\n" + TAG,
    "quoted parameters": b'Content-Type: text/plain; a="' + b";" * MIB + b"\n\n" + TAG,
    "parameters of a part": b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain"
    + b";a" * 500_000,
    "disposition": b"Content-Disposition: attachment" + b";a=b" * 500_000 + b"\n\n" + TAG,
    "encoded words": b"Subject: " + b"=?q?q?" * 200_000 + b"\n\n" + TAG,
    "references": b"References: " + b"<a@b.c> " * 250_000 + b"\n\n" + TAG,
    "folded references": b"References:" + b"\n <a@b.c>" * 200_000 + b"\n\n" + TAG,
    "fields": b"a:\n" * 600_000 + b"\n" + TAG,
    "parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 300_000,
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(20_000)),
    "nested, CR": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\r--b%d\r" % (n, n) for n in range(20_000)),
    "blank lines": b"\n" * (MIB // 4),
    "short lines": b"\n" + b"a\n" * (MIB // 8),
    "a condition": b"\n" + b"with " * 200_000 + b"\n" + TAG,
    "conditions": b"\n" + (b"with " * 190 + b"\n") * 130 + TAG,
    "words": b"\n" + (b"i " * 490 + b"\n") * 130 + TAG,
    "headers": b"\n" + b"From: a 2026\n\n" * 20_000 + TAG,
    "wrote": b"\n" + (b"On 2026 10:00 a@b " + b"wrote " * 150 + b":\n>\n") * 150 + TAG,
    "tags": b"\n" + TAG * 20_000,
    "near": b"\n" + b"* Reviewed-by: a <a@b.c>\n" * 5_000,
    "objections": b"\n" + b"Nacked-by: a <a@b.c>\n" * 5_000,
    "addresses": b"\n" + (b"Reviewed-by: x\n <" + b"@" * 900 + b"\n") * 130,
    "flowed": b"Content-Type: text/plain; format=flowed; delsp=yes\n\n" + b"a \n" * 100_000,
    "no line ends": b"\n" + b"\r" * MIB,
    "hunks": b"\ndiff --git a/x b/x\n@@ -" + b"1" * MIB + b" +1 @@\n",
}


def test_no_mail_takes_long(tmp_path):
    for number, body in enumerate(MAILS.values()):
        (tmp_path / str(number)).write_bytes((HEAD + body)[: 2 * MIB])
    child(f"""
from pathlib import Path
from patchbot.mail.parts import Unreadable
from patchbot.mail.said import read_said
from patchbot.mail.threads import read_message
for path in sorted(Path({str(tmp_path)!r}).iterdir()):
    try:
        message = read_message(path.name, path.read_bytes())
    except Unreadable:
        continue
    read_said(message.texts, message.sender)
""")


def test_no_two_diffs_take_long_to_compare():
    child("""
from patchbot.draft.trailers import measure
for many in (200, 2000, 100_000):
    old, new = [b"x", b"y"] * (many // 2), [b"x", b"x", b"y", b"y"] * (many // 4)
    assert 0 < measure(old, new) < 100
    assert measure(old, old) == 0
    assert measure([*old, b"z"], old) > 0
""")


@pytest.mark.parametrize(
    "data",
    [
        b"\n" + LONG,
        b"Content-Type: text/plain; format=flowed\n\n" + LONG + b"xx \n" * 3000,
        b"Content-Transfer-Encoding: base64\n\n" + b"eHh4\n" * 3000,
        b"Content-Transfer-Encoding: quoted-printable\n\n" + b"xxx=\n" * 3000,
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + LONG + b"--b\n\n" + LONG,
        b"Content-Type: text/plain\nContent-Disposition: attachment\n\n" + LONG,
        b"Content-Type: text/plain; charset=utf-16\n\n" + b"x\0" * 3000,
    ],
)
def test_every_way_in_has_the_bound(data):
    message = read_message("m", HEAD + data)
    assert max(map(len, message.lines)) == parts.MOST_LINE


def test_a_mail_with_too_much_is_named_and_not_read():
    said = read_said(["\n".join(["word " * 20] * 2000), TAG.decode()])
    assert [line for line, _ in said.tags] == ["", TAG.decode().strip()]
    assert f"more than {MOST_WORDS >> 10} KiB" in str(said.tags[0][1])
    said = read_said([TAG.decode() * 500])
    assert len(said.tags) == MOST_TAGS + 1
    assert "the others are not read" in str(said.tags[-1][1])
    quoted = read_said(["\n".join(["> " + "word " * 20] * 5000) + "\n\n" + TAG.decode()])
    assert [line for line, _ in quoted.tags] == [TAG.decode().strip()]


def test_a_fault_of_ours_is_not_taken_for_one_of_the_mail():
    with pytest.raises(TypeError):
        parts.asked(parts.Part().set_raw, b"subject", "x")
