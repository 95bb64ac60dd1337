"""Read files that hold mails: find where one ends and the next begins.

Four kinds of mbox differ in what they do to a line of text that begins with `From `, so such a line alone does not
begin a mail: a header must follow it.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError
from ..progress import tick

MOST_BYTES = 512 << 20
MOST_MAIL = 2 << 20
MOST_FIELDS = 200

LINE = re.compile(rb"^From [^\n]{0,400}\n", re.M)
FIELD = re.compile(rb"[!-9;-~]{1,100}:")
DATED = re.compile(
    rb"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? {1,3}(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,3}\d{1,2}"
    rb"|\d{1,2} {1,3}(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?: {1,3}\d{4})?) {1,3}\d{1,2}:\d\d"
)
#: The envelope that `git format-patch` writes; if a mailbox has other ones, it is a patch that somebody pasted.
PATCH = re.compile(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001")
KNOWN = {b"from:", b"date:", b"message-id:", b"subject:", b"received:", b"return-path:", b"to:", b"in-reply-to:"}


def read_mails(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, bytes) of each mail of an mbox (also gzipped), a maildir or a file with a single mail."""
    if path.is_dir():
        yield from read_maildir(path)
        return
    if not path.is_file():
        raise UserError(f"{path}: no such file; --mbox takes an mbox or a maildir")
    data = read_bounded(path).removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise UserError(f"{path} is empty")
    mails = find_mails(data)
    if not mails and not FIELD.match(data):
        raise UserError(f"{path} is not an mbox: its first line is neither a `From ` line nor the header of a mail")
    if not mails:
        yield path.name, data
        return
    if data[: mails[0][0]].strip():
        yield f"{path.name}: before mail 1", data[: mails[0][0]]
    ends = [envelope for envelope, _ in mails[1:]] + [len(data)]
    for number, ((_, start), end) in enumerate(zip(mails, ends, strict=True), 1):
        tick("mails", number, len(mails))
        yield f"{path.name}: mail {number}", re.sub(rb"(?m)^>(>*From )", rb"\1", data[start:end])


def read_maildir(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, bytes) of each mail of a maildir; a mail that is too long is cut."""
    folders = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    if not folders:
        raise UserError(f"{path} is not a maildir: it has neither cur nor new")
    files = sorted((f for folder in folders for f in folder.iterdir() if f.is_file()), key=lambda f: f.name)
    for number, file in enumerate(files, 1):
        tick("mails", number, len(files))
        with file.open("rb") as stream:
            yield f"{path.name}/{file.name}", stream.read(MOST_MAIL + 1)


def find_mails(data: bytes) -> list[tuple[int, int]]:
    """Return (start of the envelope, start of the mail) of each mail of an mbox."""
    found: list[tuple[int, int]] = []
    patches = False
    leading = len(data) - len(data.lstrip())
    for match in LINE.finditer(data):
        start, end = match.span()
        if not found:
            patches = PATCH.match(match[0]) is not None
        elif PATCH.match(match[0]) and not patches:
            continue
        if begins_mail(data, start, end, match[0], start == leading):
            found.append((start, end))
    return found


def begins_mail(data: bytes, start: int, end: int, line: bytes, first: bool) -> bool:
    """Say whether a `From ` line begins a mail: a line of a person's text has no date, and no header follows it."""
    dated = DATED.search(line) is not None
    timed = re.search(rb"\d:\d\d", line) is not None and re.search(rb"\b\d{4}\b", line) is not None
    if first:
        return dated or timed or FIELD.match(data, end) is not None
    blank = data[start - 2 : start] == b"\n\n" or data[start - 3 : start] == b"\n\r\n"
    if dated and blank:
        return True
    if not dated and not (timed and blank):
        return False
    names = header_names(data, end)
    return b"from:" in names and len(names) > 1


def header_names(data: bytes, at: int) -> set[bytes]:
    """Return which of the fields that every mail has are in the header that begins at `at`."""
    names: set[bytes] = set()
    for _ in range(MOST_FIELDS):
        match = FIELD.match(data, at)
        if match:
            names.add(match[0].lower())
        elif data[at : at + 1] not in (b" ", b"\t") and data[at : at + 6] != b">From ":
            break
        at = data.find(b"\n", at) + 1
        if not at:
            break
    return names & KNOWN


def read_bounded(path: Path) -> bytes:
    """Return a file's bytes, unpacked if it is gzipped; raise UserError if it is too big or damaged."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(MOST_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path} is a damaged gzip file: {error}") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path} holds more than {MOST_BYTES >> 20} MiB; pass only the mails of this series")
    return data
