"""Mails of a list, as they come: taken apart without trust, and which patch each of them answers.

Anybody can post to a list, so a mail may be cut off, in another charset than it says, or made to crash its reader. One
mail that cannot be read is reported and costs no other mail; nothing in a mail is ever run, fetched or written.
"""

from __future__ import annotations

import codecs
import email
import email.message
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import decode_header
from functools import cached_property
from pathlib import Path

from .errors import UserError
from .model import Identity
from .trailers import diff_lines

MOST_BYTES = 512 << 20
MOST_MAIL = 2 << 20
MOST_HEADER = 4000
MOST_NAME = 100
MOST_PARTS = 20
MOST_PARENTS = 200

ENVELOPE = re.compile(
    rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]{0,300}?\b\d{1,2}:\d{2}(?::\d{2})?[^\n]{0,40}\b\d{4}\b[^\n]{0,40}\n"
)
FIELD = re.compile(rb"[!-9;-~]+:")
MIME = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.I | re.M)
ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,128}@[^\W_](?:[\w-]*\w)?(?:\.[^\W_](?:[\w-]*\w)?)*")
MESSAGE_ID = re.compile(r"<([!-;=?-~]{1,250})>")
REPLY = re.compile(r"(?:re|aw|sv|vs|antw|odp|tr|回复|答复)(?:\[\d+\]|\^\d+)?[:：]\s*", re.I)
BRACKET = re.compile(r"\[([^\[\]]*)\]\s*")
#: Text encodings that mails have. Python knows more, some of them slow or made to hide text.
CHARSETS = re.compile(
    r"ascii|utf-8|utf-16(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[rut]|mac-roman|gb2312|gbk|gb18030|hz|big5(hkscs)?|tis-620"
    r"|euc_(jp|kr|jis_2004)|shift_jis|iso2022_(jp|kr)(_\w+)?|johab"
)
WESTERN = ("ascii", "iso8859-1", "iso8859-15", "cp1252")


@dataclass(frozen=True)
class Title:
    """A subject taken apart: `[PATCH bpf-next v2 03/13] summary`; `number` 0 is a cover, None a patch of its own."""

    text: str
    is_patch: bool
    is_reply: bool
    version: int
    number: int | None
    total: int | None
    summary: str

    @property
    def place(self) -> str:
        """Return what a person calls it."""
        number = "" if self.number is None else f" {self.number}/{self.total}"
        return f"v{self.version}{number}" if self.is_patch else repr(self.text)


@dataclass(frozen=True)
class Message:
    """A mail. `where` is its place in the file; `id`, `sender` and `lines` are empty where it has none of use.

    `parents` are the mails that it answers, nearest first; `note` says why there is no text. `diff` is as diff_lines'.
    """

    where: str
    id: str
    parents: tuple[str, ...]
    sender: Identity | None
    title: Title
    lines: tuple[str, ...]
    diff: tuple[bytes, ...] = ()
    note: str = ""

    @property
    def opens(self) -> bool:
        """Say whether this is a patch or a cover as posted, and not an answer to one (some forget the Re:)."""
        if not self.title.is_patch or self.title.is_reply:
            return False
        return bool(self.diff) or (self.title.number == 0 and not any(line.startswith(">") for line in self.lines))


@dataclass(frozen=True)
class Unread:
    """A mail, or a part of the file, that could not be used, and why."""

    where: str
    message_id: str
    reason: str


@dataclass(frozen=True)
class Answer:
    """What a mail answers: its title, and the posted mail if that is there; `problem` where that is not certain."""

    title: Title
    opener: Message | None
    problem: str = ""


@dataclass(frozen=True)
class Thread:
    """All mails of a file, each message-id once, in the file's order."""

    messages: tuple[Message, ...]
    unread: tuple[Unread, ...] = ()

    @cached_property
    def by_id(self) -> dict[str, Message]:
        """The mails by message-id."""
        return {m.id: m for m in reversed(self.messages) if m.id}

    def opener(self, message: Message) -> tuple[Message | None, bool]:
        """Return the nearest posted patch or cover above a mail, and whether mails between the two are missing."""
        seen, gap = {message.id}, False
        while len(seen) < MOST_PARENTS:
            near = [p for p in message.parents if p not in seen]
            there = next((p for p in near if p in self.by_id), None)
            if there is None:
                return None, gap
            gap = gap or there != near[0]
            seen.add(there)
            message = self.by_id[there]
            if message.opens:
                return message, gap
        return None, True

    def answer(self, message: Message) -> Answer:
        """Return which patch or cover a mail answers: its thread says, else its subject; both must not disagree."""
        title = message.title
        if not title.is_reply and not message.parents:
            return Answer(title, None, "it answers nothing: neither a Re: nor an In-Reply-To")
        opener, gap = self.opener(message)
        if opener is None:
            if title.is_patch:
                return Answer(title, None)
            return Answer(title, None, "neither its thread nor its subject names a patch")
        theirs = opener.title
        if not title.is_patch or (title.version, title.number) == (theirs.version, theirs.number):
            return Answer(theirs, opener)
        if gap:
            return Answer(title, None)
        problem = f"its thread leads to {theirs.place}, its subject to {title.place}"
        return Answer(title, None, problem)

    def posted_with(self, cover: Message) -> dict[int, Message]:
        """Return the patches that were posted as answers to a cover, by number."""
        found: dict[int, Message] = {}
        for message in self.messages:
            number = message.title.number
            if not message.opens or not number or message.title.version != cover.title.version:
                continue
            if cover.id and cover.id in message.parents:
                found.setdefault(number, message)
        return found


def read_thread(path: Path) -> Thread:
    """Read an mbox (also gzipped), a maildir or a single mail; raise UserError if the path is none of them."""
    messages: dict[str, Message] = {}
    unread: list[Unread] = []
    for where, data in read_files(path):
        if len(data) > MOST_MAIL:
            unread.append(Unread(where, "", f"longer than {MOST_MAIL >> 20} MiB"))
            continue
        try:
            message = read_message(where, data)
        except RecursionError:
            unread.append(Unread(where, "", "its parts are nested too deeply"))
            continue
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
            unread.append(Unread(where, "", f"cannot be taken apart ({type(error).__name__})"))
            continue
        old = messages.get(message.id) if message.id else None
        if old is None:
            messages[message.id or where] = message
        elif (old.sender, old.title, own_words(old)) != (message.sender, message.title, own_words(message)):
            unread.append(Unread(where, message.id, f"{old.where} has the same message-id and is another mail"))
    return Thread(tuple(messages.values()), tuple(unread))


def own_words(message: Message) -> list[str]:
    """Return a mail's text without what lists do to copies: blanks, and a footer below a line of underscores."""
    out: list[str] = []
    for line in message.lines:
        if re.fullmatch(r"_{10,}", line.strip()):
            break
        if line.strip():
            out.append(line.rstrip())
    return out


def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (place, bytes) of each mail of an mbox, a maildir or a single mail."""
    if path.is_dir():
        folders = [path / name for name in ("cur", "new") if (path / name).is_dir()]
        if not folders:
            raise UserError(f"{path} is no maildir: it has neither cur nor new")
        for file in sorted((f for folder in folders for f in folder.iterdir()), key=lambda f: f.name):
            if file.is_file():
                with file.open("rb") as stream:
                    yield f"{path.name}/{file.name}", stream.read(MOST_MAIL + 1)
        return
    if not path.is_file():
        raise UserError(f"{path}: no such file; --mbox takes an mbox or a maildir")
    data = read_bounded(path)
    starts = list(ENVELOPE.finditer(data))
    if not data.strip():
        raise UserError(f"{path} is empty")
    if not starts and not FIELD.match(data):
        raise UserError(f"{path} is no mbox: its first line is neither `From ` nor a mail's header")
    if not starts:
        yield path.name, data
        return
    ends = [m.start() for m in starts[1:]] + [len(data)]
    for number, (match, end) in enumerate(zip(starts, ends, strict=True), 1):
        text = data[match.end() : end]
        yield f"{path.name}: mail {number}", re.sub(rb"(?m)^>(>*From )", rb"\1", text)


def read_bounded(path: Path) -> bytes:
    """Return a file's bytes, unpacked if it is gzipped; raise UserError for one that is too big or broken."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=raw) if packed else raw).read(MOST_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path} is not a whole gzip file: {error}") from error
    if len(data) > MOST_BYTES:
        raise UserError(f"{path} holds more than {MOST_BYTES >> 20} MiB; give the mails of this series alone")
    return data


def read_message(where: str, data: bytes) -> Message:
    """Take one mail apart."""
    if len(MIME.findall(data)) > MOST_PARTS:
        raise RecursionError
    mail = email.message_from_bytes(data)
    fields: dict[str, list[str]] = {}
    for name, value in mail.raw_items():
        fields.setdefault(name.lower(), []).append(unfold(str(value)))
    own = [MESSAGE_ID.fullmatch(value) for value in fields.get("message-id", [])]
    answered = MESSAGE_ID.findall(" ".join(fields.get("in-reply-to", [])))
    older = MESSAGE_ID.findall(" ".join(fields.get("references", [])))[::-1]
    parents = tuple(dict.fromkeys([*answered, *older][:MOST_PARENTS]))
    senders = fields.get("from", [])
    part, note = text_part(mail)
    payload = part.get_payload(decode=True) if part is not None else b""
    payload = payload if isinstance(payload, bytes) else b""
    lines = tuple(text_lines(part, payload)) if part is not None else ()
    return Message(
        where,
        own[0][1] if len(own) == 1 and own[0] else "",
        parents,
        read_sender(senders[0]) if len(senders) == 1 else None,
        read_title(decode_words(" ".join(fields.get("subject", [])[:1]))),
        lines,
        diff_lines(payload),
        note,
    )


def unfold(value: str) -> str:
    """Return a header field on one line, its bytes as UTF-8, cut where no honest field is that long."""
    raw = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub(r"[\r\n]+[ \t]*", " ", raw)[: MOST_HEADER * 4].strip()


def decode_words(text: str) -> str:
    """Return header text with its encoded words decoded; what cannot be decoded stays as it is."""
    text = text[:MOST_HEADER]
    try:
        parts = decode_header(text)
        words = [p if isinstance(p, str) else decode(p, charset) for p, charset in parts]
    except (ValueError, LookupError, TypeError, AssertionError, email.errors.MessageError):
        return text
    return "".join(words)


def read_sender(value: str) -> Identity | None:
    """Return who a From: names, None unless that is exactly one address."""
    value = value[:MOST_HEADER]
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', lambda m: "x" * len(m[0]), value)
    angles = list(re.finditer(r"<([^<>]*)>", bare))
    if len(angles) == 1:
        start, end = angles[0].span()
        address = angles[0][1].strip()
        if "@" in bare[:start] + bare[end:]:
            return None
        name = value[:start].strip()
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
    elif not angles and (match := re.fullmatch(r"([^\s()]+)\s*(?:\(([^()]*)\))?", bare)):
        address, name = match[1], match[2] or ""
    else:
        return None
    if not ADDRESS.fullmatch(address):
        return None
    return Identity(" ".join(decode_words(name).split())[:MOST_NAME], address)


def read_title(text: str) -> Title:
    """Take a subject apart; replies and brackets may come in any order before the summary."""
    text = " ".join(text.split())
    rest, is_reply, brackets = text, False, ""
    while match := REPLY.match(rest) or BRACKET.match(rest):
        if match.re is BRACKET:
            brackets += f" {match[1]}"
        else:
            is_reply = True
        rest = rest[match.end() :]
    is_patch = re.search(r"\bPATCH|\bRFC\b", brackets, re.I) is not None
    version = re.search(r"(?:\b|PATCH)v(\d{1,4})\b", brackets, re.I)
    number = re.search(r"\b(\d{1,4})/(\d{1,4})\b", brackets)
    return Title(
        text,
        is_patch,
        is_reply,
        int(version[1]) if version else 1,
        int(number[1]) if number else None,
        int(number[2]) if number else None,
        rest,
    )


def text_part(mail: email.message.Message) -> tuple[email.message.Message | None, str]:
    """Return the first plain text of a mail, no attachment and not of a mail inside it, or why there is none."""
    kinds: list[str] = []
    parts: list[tuple[email.message.Message, int]] = [(mail, 0)]
    while parts:
        part, depth = parts.pop(0)
        kind = part.get_content_type()
        if part.get_content_disposition() == "attachment" or kind.startswith("message/"):
            continue
        inner = part.get_payload() if part.is_multipart() else None  # else it decodes with any codec that is named
        if isinstance(inner, list) and depth < MOST_PARTS:
            parts = [(p, depth + 1) for p in inner if isinstance(p, email.message.Message)] + parts
        elif kind == "text/plain":
            return part, ""
        else:
            kinds.append(kind)
    if "text/html" in kinds:
        return None, "it is HTML only"
    return None, f"it has no plain text, only {', '.join(sorted(set(kinds))[:3]) or 'attachments'}"


def text_lines(part: email.message.Message, payload: bytes) -> Iterator[str]:
    """Yield the lines of a text part: decoded, and as its writer had them if it is format=flowed."""
    text = decode(payload, parameter(part, "charset"))
    lines = text.replace("\r\n", "\n").split("\n")
    if parameter(part, "format").lower() == "flowed":
        return unflow(lines, parameter(part, "delsp").lower() == "yes")
    return iter(lines)


def parameter(part: email.message.Message, name: str) -> str:
    """Return a parameter of Content-Type, "" if it is missing or broken."""
    try:
        value = part.get_param(name, "")
    except (ValueError, LookupError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def decode(data: bytes, charset: str | None) -> str:
    """Return text; U+FFFD stands for what the charset does not explain.

    Text that is valid UTF-8 and claims to be Latin-1 or ASCII is UTF-8: the chance is nil that it is not.
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


def unflow(lines: Sequence[str], delete_space: bool) -> Iterator[str]:
    """Yield paragraphs of format=flowed text (RFC 3676); a tag begins a line of its own even after a soft break."""
    joined = ""
    open_depth: int | None = None
    for raw in lines:
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:].removeprefix(" ") if depth or raw.startswith(" ") else raw
        soft = line.endswith(" ") and line != "-- "
        if open_depth is not None and (open_depth != depth or line == "-- " or re.match(r"[A-Za-z-]+-by:", line, re.I)):
            yield joined
            joined, open_depth = "", None
        if open_depth is None:
            joined = ">" * depth + (" " if depth else "") + line
        else:
            joined += line
        if soft:
            open_depth = depth
            joined = joined[:-1] if delete_space else joined
        else:
            yield joined
            joined, open_depth = "", None
    if open_depth is not None:
        yield joined
