"""Write the header of a mail: addresses, encoded words and dates, in ASCII."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parsedate_to_datetime

from ..errors import UserError
from ..git.fastimport import usable_date
from .recipients import Recipient


def with_headers(mail: bytes, to: Sequence[Recipient], cc: Sequence[Recipient], date: datetime | None) -> bytes:
    """Return a mail with To and Cc, another date if one is given, and a character set if it needs one."""
    head, _, body = mail.partition(b"\n\n")
    rows = [line for line in re.split(rb"\n(?![ \t])", head) if not (date and line.startswith(b"Date: "))]
    rows += [f"Date: {format_datetime(date)}".encode()] if date else []
    for name, people in (("To", to), ("Cc", cc)):
        if people:
            lines = ",\n\t".join(formatted(person.name, person.email) for person in people)
            rows.append(f"{name}: {lines}".encode())
    # format-patch adds it only if the message needs it; send-email would ask if the patch does.
    if not body.isascii() and not any(line.lower().startswith(b"content-type:") for line in rows):
        rows += [b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=UTF-8", b"Content-Transfer-Encoding: 8bit"]
    return b"\n".join(rows) + b"\n\n" + body


def formatted(name: str, email: str) -> str:
    """Return an address for a header, in ASCII: quoted or as an encoded word where the name needs it."""
    if name.isascii():
        return formataddr((name, email))
    return f"{encoded(name, '')} <{email}>"


def encoded(text: str, header: str) -> str:
    """Return text for a header: ASCII, folded, encoded words where it holds anything else."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    return Header(text, charset, header_name=header or None, maxlinelen=75).encode(linesep="\n")


def date_of_git(raw: str) -> datetime:
    """Return git's raw date, `<seconds> <+hhmm>`."""
    seconds, zone = usable_date(raw).split(" ")
    return datetime.fromtimestamp(int(seconds), datetime.strptime(zone, "%z").tzinfo)


def parse_date(text: str) -> datetime:
    """Return the time that --date names: RFC 2822 as in a mail, ISO 8601 or git's `@seconds`; UTC without a zone."""
    for reader in (
        parsedate_to_datetime,
        datetime.fromisoformat,
        lambda t: date_of_git(f"{t.removeprefix('@')} +0000"),
    ):
        try:
            found = reader(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise UserError(f"--date {text!r} is not a date; 2026-01-31T12:00:00+01:00 or @1769857200 would be")


def plain_id(text: str | None, where: str = "--message-id") -> str:
    """Return a Message-ID without brackets or an archive's address before it; raise UserError for other text."""
    if not text:
        return ""
    match = re.fullmatch(r"(?:https?://\S+/)?<?([^\s<>/@]+@[^\s<>/@]+)>?/?", text.strip())
    if not match or not match[1].isascii() or not match[1].isprintable():
        raise UserError(f"{where} {text!r} is not a Message-ID such as 20260131.1-v1-0-abc@example.org")
    return match[1]
