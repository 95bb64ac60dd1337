"""Take one untrusted mail apart: its header fields and its plain texts.

Anybody can post to a list, so a mail may be truncated, in another charset than it says, or made to keep its reader
busy for hours. The email package is quadratic in the length of a field and in the depth of parts, so both are limited,
and so is every line that a pattern is matched with.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.errors import (
    InvalidBase64CharactersDefect,
    InvalidBase64LengthDefect,
    InvalidBase64PaddingDefect,
    MessageError,
)
from email.message import Message
from email.parser import BytesFeedParser
from email.policy import Policy, compat32
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeVar

from ..bundle import PACKAGE

T = TypeVar("T")

MOST_PARTS = 100
MOST_NESTED = 12
MOST_FIELDS = 2000
MOST_FIELD = 16_000
MOST_MIME_FIELD = 2000
#: No line of a text is longer: every pattern for people's texts relies on it.
MOST_LINE = 1000

MIME = re.compile(rb"(?:\A|[\r\n])content-type:\s*(?:multipart|message)/", re.I)
BAD_BASE64 = (InvalidBase64CharactersDefect, InvalidBase64LengthDefect, InvalidBase64PaddingDefect)
#: What the email package raises on malformed mails.
FAULTS = (ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError, MessageError)
#: Text encodings that mails have. Python knows more, some of them slow or made to hide text.
CHARSETS = re.compile(
    r"ascii|utf-8|utf-16(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rut]|mac-roman|gb2312|gbk|gb18030|hz|big5(hkscs)?|tis-620"
    r"|euc_(jp|kr|jis_2004)|shift_jis|iso2022_(jp|kr)(_\w+)?|johab"
)
WESTERN = ("ascii", "iso8859-1", "iso8859-15", "cp1252")


class Unreadable(ValueError):
    """A mail cannot be read; the message is the reason."""


class Part(Message):
    """A mail, or a part of one, with a header of bounded length."""

    def set_raw(self, name: str, value: str) -> None:
        """Accept a header field from the parser."""
        if name.lower().startswith("content-") and len(value) > MOST_MIME_FIELD:
            raise Unreadable(f"its {name[:40]} is longer than {MOST_MIME_FIELD} characters")
        if len(self) >= MOST_FIELDS:
            raise Unreadable(f"its header has more than {MOST_FIELDS} fields")
        super().set_raw(name, value[:MOST_FIELD])


def parse(data: bytes) -> Part:
    """Return a mail's parts; raise Unreadable for one that has too much of anything."""
    if len(MIME.findall(data)) > MOST_NESTED:
        raise Unreadable("its parts are nested too deeply")
    count = 0

    def make(policy: Policy = compat32) -> Part:
        nonlocal count
        count += 1
        if count > MOST_PARTS:
            raise Unreadable(f"it has more than {MOST_PARTS} parts")
        return Part(policy)

    parser = BytesFeedParser(make)
    asked(parser.feed, data)
    return asked(parser.close)


def asked(method: Callable[..., T], *words: Any) -> T:
    """Call the email package; raise Unreadable for the errors that it raises on mails that it cannot parse."""
    try:
        return method(*words)
    except RecursionError as error:
        raise Unreadable("its parts are nested too deeply") from error
    except FAULTS as error:
        if Path(extract_tb(error.__traceback__)[-1].filename).is_relative_to(PACKAGE):
            raise  # Unreadable, or our own fault
        raise Unreadable(f"cannot be taken apart ({type(error).__name__})") from error


def read_fields(mail: Part) -> dict[str, list[str]]:
    """Return a mail's header by lower-case name: each field on one line, cut at a length that no honest one has."""
    fields: dict[str, list[str]] = {}
    for name, value in mail.raw_items():
        text = str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        fields.setdefault(name.lower(), []).append(re.sub(r"[\r\n]+[ \t]*", " ", text)[:MOST_FIELD].strip())
    return fields


def read_text(mail: Part) -> tuple[tuple[str, ...], bytes, str]:
    """Return the plain texts of a mail, their bytes, and what a person should know about missing ones.

    Attachments are included, but not the texts of a mail inside the mail.
    """
    texts: list[str] = []
    payloads: list[bytes] = []
    kinds: list[str] = []
    broken = False
    parts: list[tuple[Message, int]] = [(mail, 0)]
    while parts:
        part, depth = parts.pop()
        kind = asked(part.get_content_type)
        inner = part.get_payload() if part.is_multipart() else None  # else it decodes with any codec that is named
        if kind.startswith("message/"):
            kinds.append(kind)
        elif isinstance(inner, list) and depth < MOST_NESTED:
            parts += [(p, depth + 1) for p in reversed(inner) if isinstance(p, Message)]
        elif kind == "text/plain":
            payload = asked(part.get_payload, None, True)
            payload = payload if isinstance(payload, bytes) else b""
            broken = broken or any(isinstance(defect, BAD_BASE64) for defect in part.defects)
            payloads.append(payload)
            texts.append("\n".join(text_lines(part, payload)))
        elif asked(part.get_content_disposition) != "attachment":
            kinds.append(kind)
    note = "a text in it claims to be base64 but is not, so it cannot be read in full" if broken else ""
    if not any(text.strip() for text in texts) and not note:
        note = missing_text(kinds, bool(texts))
    return tuple(texts), b"\n".join(payloads), note


def missing_text(kinds: Sequence[str], empty: bool) -> str:
    """Say why a mail has no text, by what it has instead."""
    if "text/html" in kinds:
        return "it is HTML only, its plain text is empty" if empty else "it is HTML only"
    if empty:
        return f"its plain text is empty, beside {', '.join(sorted(set(kinds))[:3])}" if kinds else ""
    return f"it has no plain text, only {', '.join(sorted(set(kinds))[:3]) or 'attachments'}"


def text_lines(part: Message, payload: bytes) -> Iterator[str]:
    """Yield the lines of a text part: decoded, none too long, and joined again if it is format=flowed."""
    text = decode(payload, parameter(part, "charset"))
    lines: Iterator[str] = (line[:MOST_LINE] for line in text.replace("\r\n", "\n").split("\n"))
    if parameter(part, "format").lower() == "flowed":
        lines = (line[:MOST_LINE] for line in unflow(lines, parameter(part, "delsp").lower() == "yes"))
    return lines


def parameter(part: Message, name: str) -> str:
    """Return a parameter of Content-Type, "" if it is missing or broken."""
    try:
        value = asked(part.get_param, name, "")
    except Unreadable:
        return ""
    return value if isinstance(value, str) else ""


def decode(data: bytes, charset: str | None) -> str:
    """Return text, with U+FFFD for bytes that do not fit the charset.

    Text that is valid UTF-8 but claims to be Latin-1 or ASCII is UTF-8: anything else is as good as impossible.
    """
    try:
        name = codecs.lookup(charset or "ascii").name
    except (LookupError, ValueError):
        name = "ascii"
    if not CHARSETS.fullmatch(name) or name in WESTERN:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            name = name if name in WESTERN else "ascii"
    try:
        return data.decode(name)
    except (UnicodeError, LookupError):
        return data.decode("utf-8", "replace")


def unflow(lines: Iterable[str], delete_space: bool) -> Iterator[str]:
    """Yield paragraphs of format=flowed text (RFC 3676); a tag begins a new line even after a soft break."""
    joined: list[str] = []
    open_depth: int | None = None
    for raw in lines:
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:].removeprefix(" ") if depth or raw.startswith(" ") else raw
        soft = line.endswith(" ") and line != "-- "
        if open_depth is not None and (open_depth != depth or line == "-- " or re.match(r"[A-Za-z-]+-by:", line, re.I)):
            yield "".join(joined)
            joined, open_depth = [], None
        if open_depth is None:
            joined = [">" * depth + (" " if depth else "")]
        joined.append(line[:-1] if soft and delete_space else line)
        open_depth = depth if soft else None
        if not soft:
            yield "".join(joined)
            joined = []
    if open_depth is not None:
        yield "".join(joined)
