"""Read a thread of mails: who wrote each, what it says, and which patch it answers.

A mail that cannot be read is reported and does not affect the others; nothing in a mail is run, fetched or written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.header import decode_header
from email.utils import mktime_tz, parsedate_tz
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from ..git.diffs import diff_lines
from ..model import Identity
from .mbox import MOST_MAIL, read_mails
from .parts import Unreadable, asked, decode, parse, read_fields, read_text

MOST_HEADER = 4000
MOST_NAME = 100
MOST_PARENTS = 200

ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,128}@[^\W_](?:[\w-]*\w)?(?:\.[^\W_](?:[\w-]*\w)?)*")
MESSAGE_ID = re.compile(r"<([!-;=?-~]{1,250})>")
REPLY = re.compile(r"(?:re|aw|sv|vs|antw|odp|tr|回复|答复)(?:\[\d+\]|\^\d+)?[:：]\s*", re.I)
BRACKET = re.compile(r"\[([^\[\]]*)\]\s*")
#: The words in a subject's brackets. `v6.12.y` is not a version of a series but a tree.
PATCH_WORD = re.compile(r"(?:\A|[-_/.]|send|post)(?:patch(?:es|set)?|rfc)(?![a-uw-z])", re.I)
VERSION_WORD = re.compile(
    r"(?:.*(?:patch(?:es|set)?|rfc|send|post)[-_]?)?v\.?([0-9]{1,4})(?:[-_]?(?:rfc|re-?send|re-?post))?", re.I
)
NUMBER_WORD = re.compile(r"(?:patch)?([0-9]{1,4})/([0-9]{1,4})", re.I)
#: Somebody sent a `v2.1` of a series: that is not a tree, and it is neither version 1 nor 2.
POINT_WORD = re.compile(r"v[12]\.[0-9]{1,3}", re.I)
#: A tree that a patch is backported to: `6.12`, `6.12.y`, `linux-6.1.y`, `AUTOSEL`.
OLDER_TREE = re.compile(
    r"(?:v|linux-)?[2-9]\.[0-9]{1,3}(?:\.[0-9]{1,4})?(?:\.y)?(?:-stable|-lts)?|(?:[a-z]{1,20}[-_])?[0-9]{1,2}\.[0-9]{1,3}\.y"
    r"|auto-?sel|(?:[a-z]{1,20}-)?(?:stable|lts|backports?)|sru|olk-[0-9.]{1,9}|openeuler[a-z0-9.-]{0,20}",
    re.I,
)


@dataclass(frozen=True)
class Title:
    """The parts of a subject: `[PATCH bpf-next v2 03/13] summary`; `number` 0 is a cover, None a single patch.

    `words` are those in brackets; the version is 0 if they name one but it is unclear which.
    """

    text: str
    is_patch: bool
    is_reply: bool
    version: int
    number: int | None
    total: int | None
    summary: str
    words: tuple[str, ...]

    @property
    def place(self) -> str:
        """Return its name for a person."""
        number = "" if self.number is None else f" {self.number}/{self.total}"
        return f"v{self.version}{number}" if self.is_patch else repr(self.text)

    @property
    def older_tree(self) -> str:
        """Return the tree in its brackets if it is about a patch for an older kernel, else ""."""
        return next((word for word in self.words if OLDER_TREE.fullmatch(word)), "")


@dataclass(frozen=True)
class Message:
    """A mail. `where` is its place in the file; `id`, `sender` and `texts` are empty if it has no usable ones.

    `parents` are the mails that it answers, nearest first; `note` says what could not be read. `diff` is as from
    diff_lines, `date` the mail's own in seconds, `place` its number.
    """

    where: str
    id: str
    parents: tuple[str, ...]
    sender: Identity | None
    title: Title
    texts: tuple[str, ...]
    diff: tuple[bytes, ...] = ()
    note: str = ""
    date: float | None = None
    place: int = 0

    @property
    def lines(self) -> list[str]:
        """The lines of all texts."""
        return [line for text in self.texts for line in text.split("\n")]

    @cached_property
    def own_words(self) -> tuple[str, ...]:
        """The text without what lists add to copies: blanks, and a footer below a line of underscores."""
        out: list[str] = []
        for text in self.texts:
            lines = takewhile(lambda line: len(line.strip()) < 10 or line.strip().strip("_"), text.split("\n"))
            out += [line.rstrip() for line in lines if line.strip()]
        return tuple(out)

    def follows(self, other: Message) -> bool:
        """Say whether this mail was written after another: by the thread, else by the dates, else by their order."""
        if (other.id and other.id in self.parents) or (self.id and self.id in other.parents):
            return other.id in self.parents
        if self.date is not None and other.date is not None and self.date != other.date:
            return self.date > other.date
        return self.place > other.place

    @property
    def opens(self) -> bool:
        """Say whether this is a posted patch or cover, not a reply to one (some forget the Re:)."""
        if not self.title.is_patch or self.title.is_reply:
            return False
        return bool(self.diff) or (self.title.number == 0 and not any(line.startswith(">") for line in self.lines))


@dataclass(frozen=True)
class Ignored:
    """A tag, a mail or a part of the file that was not taken, and why; a person may accept one that has an `id`.

    `against` is the subject of the mail if its sender rejects a patch, or takes back a tag.
    """

    message_id: str
    sender: str
    line: str
    reason: str
    where: str = ""
    id: str = ""
    against: str = ""

    @property
    def objection(self) -> bool:
        """Say whether it is against the series, and not a tag that was left out."""
        return bool(self.against)


@dataclass(frozen=True)
class Answer:
    """What a mail answers: its title, and the posted mail if it is there; `problem` if that is uncertain.

    `elsewhere` if it certainly is not a patch of this series.
    """

    title: Title
    opener: Message | None
    problem: str = ""
    elsewhere: bool = False


@dataclass(frozen=True)
class Thread:
    """All mails of a file, each Message-ID once, in the file's order."""

    messages: tuple[Message, ...]
    unread: tuple[Ignored, ...] = ()

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
        """Return which patch or cover a mail answers: by its thread, else by its subject; they must not disagree."""
        title = message.title
        if not title.is_reply and not message.parents:
            return Answer(title, None, "it answers nothing: neither a Re: nor an In-Reply-To")
        near = next((self.by_id[p] for p in message.parents if p in self.by_id), None)
        if near is not None and near.diff and not near.opens:
            return Answer(title, None, f"it answers a diff in <{near.id}>, which is not a patch of this series", True)
        opener, gap = self.opener(message)
        if opener is None:
            if title.is_patch and not title.version:
                return Answer(title, None, f"its subject does not say clearly which version it is about: {title.text}")
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

    @cached_property
    def posted(self) -> dict[tuple[str, int], dict[int, Message]]:
        """The posted patches by number, for each mail that they answer and each version."""
        found: dict[tuple[str, int], dict[int, Message]] = {}
        for message in self.messages:
            if message.title.number and message.opens:
                for parent in message.parents:
                    place = found.setdefault((parent, message.title.version), {})
                    place.setdefault(message.title.number, message)
        return found


def read_thread(path: Path) -> Thread:
    """Read an mbox (gzipped or not), a maildir or a single mail; raise UserError for anything else."""
    messages: dict[str, Message] = {}
    unread: list[Ignored] = []
    for number, (where, data) in enumerate(read_mails(path)):
        if len(data) > MOST_MAIL:
            unread.append(Ignored("", "", "", f"longer than {MOST_MAIL >> 20} MiB", where))
            continue
        try:
            message = read_message(where, data, number)
        except Unreadable as error:
            unread.append(Ignored("", "", "", str(error), where))
            continue
        old = messages.get(message.id) if message.id else None
        if old is None:
            messages[message.id or where] = message
        elif (old.sender, old.title) != (message.sender, message.title) or old.own_words != message.own_words:
            other = f"{old.where} is another mail with the same Message-ID"
            unread.append(Ignored(message.id, "", "", other, where))
    return Thread(tuple(messages.values()), tuple(unread))


def read_message(where: str, data: bytes, place: int = 0) -> Message:
    """Take one mail apart; `place` is its number in the file."""
    mail = parse(data)
    fields = read_fields(mail)
    own = [MESSAGE_ID.fullmatch(value) for value in fields.get("message-id", [])]
    answered = MESSAGE_ID.findall(" ".join(fields.get("in-reply-to", [])))
    older = MESSAGE_ID.findall(" ".join(fields.get("references", [])))[::-1]
    parents = tuple(dict.fromkeys([*answered, *older][:MOST_PARENTS]))
    senders = fields.get("from", [])
    texts, payload, note = read_text(mail)
    return Message(
        where,
        own[0][1] if len(own) == 1 and own[0] else "",
        parents,
        read_sender(senders[0]) if len(senders) == 1 else None,
        read_title(decode_words(" ".join(fields.get("subject", [])[:1]))),
        texts,
        diff_lines(payload),
        note,
        read_date(" ".join(fields.get("date", [])[:1])),
        place,
    )


def read_date(value: str) -> float | None:
    """Return when a mail says that it was written, None if that is unclear."""
    try:
        parsed = asked(parsedate_tz, value[:MOST_NAME])
        return float(asked(mktime_tz, parsed)) if parsed else None
    except Unreadable:
        return None


def decode_words(text: str) -> str:
    """Return header text with its encoded words decoded; those that cannot be decoded are kept."""
    text = text[:MOST_HEADER]
    try:
        parts = asked(decode_header, text)
    except Unreadable:
        return text
    return "".join(p if isinstance(p, str) else decode(p, charset) for p, charset in parts)


def read_sender(value: str) -> Identity | None:
    """Return the person in a From:, None unless it is exactly one address."""
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
    """Split a subject; `Re:` and brackets may come in any order before the summary."""
    text = " ".join(text.split())
    rest, is_reply, brackets = text, False, ""
    while match := REPLY.match(rest) or BRACKET.match(rest):
        if match.re is BRACKET:
            brackets += f" {match[1]}"
        else:
            is_reply = True
        rest = rest[match.end() :]
    words = tuple(re.split(r"[\s,;:()]+", brackets))
    is_patch = any(PATCH_WORD.search(word) for word in words)
    named = {int(match[1]) for word in words if (match := VERSION_WORD.fullmatch(word))}
    unclear = len(named) > 1 or (not named and any(POINT_WORD.fullmatch(word) for word in words))
    version = 0 if unclear else max(named, default=1)
    found = next((match for word in words if (match := NUMBER_WORD.fullmatch(word))), None)
    number, total = (int(found[1]), int(found[2])) if found else (None, None)
    return Title(text, is_patch, is_reply, version, number, total, rest, words)
