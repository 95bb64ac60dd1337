"""A mail taken apart as its readers do it: header, changelog, what is below `---`, tags; and a series of them.

A rule is a function of such a series, a Case, that yields remarks; rules.py and wording.py hold the rules.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ..git.diffs import mail_parts
from .compose import Mail, Outbox
from .target import Profile

SUBJECT = re.compile(r"\[((?:RFC )?PATCH(?: [^\]\s]+)*?)(?: (\d+)/(\d+))?\] (.*)")
#: Where the text of a cover letter ends.
SHORTLOG = re.compile(r"^[^\n]+ \(\d+\):\n  ", re.MULTILINE)
TRAILER = re.compile(r"([A-Z][A-Za-z-]+): (.+)")


@dataclass(frozen=True)
class Letter:
    """One mail, taken apart once: header fields, the changelog (up to `---`), the comments below it, the diff."""

    mail: Mail
    is_cover: bool

    @cached_property
    def headers(self) -> email.message.EmailMessage:
        """The header fields, decoded."""
        parsed = email.message_from_bytes(self.mail.data.partition(b"\n")[2], policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        return parsed

    @cached_property
    def body(self) -> str:
        """All after the header."""
        return self.mail.data.partition(b"\n\n")[2].decode("utf-8", "replace")

    @cached_property
    def log(self) -> list[str]:
        """The lines of the changelog, without an in-body From:; a cover letter's text up to its shortlog."""
        text = SHORTLOG.split(self.body, maxsplit=1)[0] if self.is_cover else mail_parts(self.body)[0]
        return re.sub(r"\AFrom: [^\n]*\n\n", "", text).rstrip().split("\n")

    @cached_property
    def comments(self) -> str:
        """What is between `---` and the diff."""
        return mail_parts(self.body)[1].removeprefix("---\n")

    @cached_property
    def subject(self) -> str:
        """The subject, decoded and unfolded."""
        return str(self.headers["subject"] or "")

    @cached_property
    def summary(self) -> str:
        """The subject without its brackets."""
        match = SUBJECT.fullmatch(self.subject)
        return match[4] if match else self.subject

    @cached_property
    def trailers(self) -> list[tuple[str, str]]:
        """The tags at the end of the changelog."""
        last = "\n".join(self.log).rsplit("\n\n", 1)[-1].split("\n")
        rows = [TRAILER.fullmatch(line) for line in last]
        return [(row[1], row[2]) for row in rows if row] if all(rows) else []


@dataclass(frozen=True)
class Case:
    """What the rules look at."""

    outbox: Outbox
    profile: Profile
    letters: tuple[Letter, ...]

    @property
    def patches(self) -> tuple[Letter, ...]:
        """The mails that hold a patch."""
        return tuple(letter for letter in self.letters if not letter.is_cover)


#: What a rule's function yields: the mail it is about (None: the series) and what is wrong with it.
Remarks = Iterator[tuple[Letter | None, str]]
