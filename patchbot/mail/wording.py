"""Split a mail as its readers do, and check the content and the form of single mails.

A rule is a function of a series of letters, a Case, that yields remarks. Those here read only the mail, so they hold
for any series; those on recipients and the base are in rules.py.
"""

from __future__ import annotations

import difflib
import email
import email.policy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..draft.trailers import SPELLED, TRAILER, canonical, take_apart
from ..git.diffs import mail_parts
from ..series.render import DAMAGING, MOST
from .compose import Mail, Outbox
from .target import Profile

SUBJECT = re.compile(r"\[((?:RFC )?PATCH(?: [^\]\s]+)*?)(?: (\d+)/(\d+))?\] (.*)")
#: Where the text of a cover letter ends.
SHORTLOG = re.compile(r"^[^\n]+ \(\d+\):\n  ", re.MULTILINE)

#: Columns that the summary of a patch should have at most.
BETTER = 70
#: The start of a summary: its subsystem and a colon.
PREFIX = re.compile(r'^(?:Revert "|\w[\w.,+*/{}()-]*(?: [\w.,+*/{}()-]+){0,3}: \S)')
PLACEHOLDER = re.compile(r"\*\*\* [^*\n]* HERE \*\*\*|SUBJECT HERE|BLURB HERE|EDITME|FIXME: |\{\{")
CHECKER = re.compile(r"\b(checkpatch|sparse|smatch)(\.pl)?\b", re.I)
ITSELF = re.compile(r"\b(?:this patch|this commit)\b", re.I)
#: Exempt: tags, links, quotations of logs and code, which are indented.
LONG_LINE = re.compile(r"^(?!\s|>|[A-Z][A-Za-z-]+: |\[\d+\]|\S*://)(?=.* ).{76,}")
#: A line of a changelog that says nothing about the change.
TAG = re.compile(r"\s*$|(?:[A-Z][\w-]*-by|Fixes|Link|Closes|Cc): ")
STAT = re.compile(r"^ \d+ files? changed", re.M)


@dataclass(frozen=True)
class Letter:
    """One mail, split once: header fields, the changelog (up to `---`), the tags."""

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
        """The text after the header."""
        return self.mail.data.partition(b"\n\n")[2].decode("utf-8", "replace")

    @cached_property
    def log(self) -> list[str]:
        """The lines of the changelog, without an in-body From:; a cover letter's text up to its shortlog."""
        text = SHORTLOG.split(self.body, maxsplit=1)[0] if self.is_cover else mail_parts(self.body)[0]
        return re.sub(r"\AFrom: [^\n]*\n\n", "", text).rstrip().split("\n")

    @property
    def said(self) -> str:
        """What it says to its readers: the changelog, and without a cover letter also the text below its `---`."""
        return "\n".join(self.log) + ("" if self.is_cover else mail_parts(self.body)[1])

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
    def rows(self) -> list[str]:
        """The tags at the end of the changelog as they stand there."""
        return [row for row in take_apart(f"{self.summary}\n\n" + "\n".join(self.log))[1] if TRAILER.fullmatch(row)]

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The tags at the end of the changelog: name, value."""
        return [(row[1], row[2]) for row in map(TRAILER.fullmatch, self.rows) if row]


@dataclass(frozen=True)
class Case:
    """What the rules read."""

    outbox: Outbox
    profile: Profile
    letters: tuple[Letter, ...]

    @property
    def patches(self) -> tuple[Letter, ...]:
        """The mails that hold a patch."""
        return tuple(letter for letter in self.letters if not letter.is_cover)


#: What a rule yields: the mail it is about (None: the series) and the problem.
Remarks = Iterator[tuple[Letter | None, str]]


def each(
    texts: Callable[[Letter], Iterable[str]],
    pattern: re.Pattern[str],
    says: str,
    *,
    covers: bool = False,
    missing: bool = False,
) -> Callable[[Case], Remarks]:
    """Return the rule that no text of a patch (or cover) matches a pattern; with `missing`, that each one does."""

    def find(case: Case) -> Remarks:
        for letter in case.letters if covers else case.patches:
            for text in texts(letter):
                match = pattern.search(text)
                if (match is None) == missing:
                    yield letter, says.format(text=text.strip(), columns=len(text), found=match and match[0])

    return find


def summary(letter: Letter) -> list[str]:
    """Return a mail's summary for `each`."""
    return [letter.summary]


def log(letter: Letter) -> list[str]:
    """Return the lines of its changelog."""
    return letter.log


def says_nothing(lines: Iterable[str]) -> bool:
    """Say whether a changelog has only tags."""
    return all(TAG.match(line) for line in lines)


summary_long = each(summary, re.compile(rf".{{{MOST + 1},}}"), "The summary has {columns} columns: {text}", covers=True)
summary_longish = each(summary, re.compile(rf"^.{{{BETTER + 1},{MOST}}}$"), "The summary has {columns} columns: {text}")
summary_prefix = each(
    summary, PREFIX, "The summary {text!r} does not start with its subsystem and a colon.", missing=True
)
summary_tool = each(summary, CHECKER, "The summary names a checking tool, not the problem.")
placeholders = each(lambda x: (x.subject, *x.log), PLACEHOLDER, "A placeholder was left: {text}", covers=True)
log_style = each(
    lambda x: [" ".join(x.log)],
    ITSELF,
    "The changelog says {found!r}; it should say what the change does, in imperative mood.",
)
log_lines = each(log, LONG_LINE, "A line of the changelog has {columns} columns: {text}")
log_damage = each(log, DAMAGING, "This line ends the changelog or gets lost: {text}", covers=True)
diffstat = each(lambda x: [mail_parts(x.body)[1]], STAT, "There is no diffstat below ---.", missing=True)


def subject_form(case: Case) -> Remarks:
    """Ask for brackets with PATCH and the number."""
    total = len(case.patches)
    for number, letter in enumerate(case.letters, 1 if case.outbox.cover is None else 0):
        expected = f"{number:0{len(str(total))}}/{total}" if total > 1 else None
        match = SUBJECT.fullmatch(letter.subject)
        got = f"{match[2]}/{match[3]}" if match and match[2] else None
        if match is None or got != expected:
            yield letter, f"The subject {letter.subject!r} does not start with [PATCH {expected or ''}".rstrip() + "]."


def subject_target(case: Case) -> Remarks:
    """Ask for brackets that name the tree."""
    for letter in case.letters:
        match = SUBJECT.fullmatch(letter.subject)
        if not match or case.profile.target not in match[1].split()[1:]:
            yield letter, f"The brackets of the subject {letter.subject!r} do not name the tree {case.profile.target}."


def summary_same(case: Case) -> Remarks:
    """Ask for a distinct summary in each mail."""
    count = Counter(letter.summary for letter in case.letters)
    yield from ((None, f"{n} mails have the same summary, {text!r}.") for text, n in count.items() if n > 1)


def plain_text(case: Case) -> Remarks:
    """Ask for plain text in UTF-8."""
    for letter in case.letters:
        if letter.headers.is_multipart() or letter.headers.get_content_type() != "text/plain":
            yield letter, f"The mail is {letter.headers.get_content_type()}, not plain text."
        elif (letter.headers.get_content_charset() or "us-ascii") not in ("us-ascii", "utf-8"):
            yield letter, f"The character set of the mail is {letter.headers.get_content_charset()}, not UTF-8."
        if letter.headers.get_param("format") == "flowed":
            yield letter, "The mail has format=flowed, which breaks patches."
        if b"-----BEGIN PGP" in letter.mail.data:
            yield letter, "The mail is signed with PGP."


def latin_bytes(case: Case) -> Remarks:
    """Ask for bytes that a mail in UTF-8 can hold."""
    for letter in case.letters:
        try:
            letter.mail.data.decode()
        except UnicodeDecodeError as error:
            line = letter.mail.data.count(b"\n", 0, error.start) + 1
            yield letter, f"Line {line} is not UTF-8, because the file is not; a relay may damage it."


def misspelt(case: Case) -> Remarks:
    """Ask for tags as the kernel spells them."""
    for letter in case.patches:
        for row in letter.rows:
            if (right := canonical(row)) != row:
                yield letter, f"The kernel spells this tag {right.partition(':')[0]}: {row}"


def nearly(case: Case) -> Remarks:
    """Name what looks like a misspelt tag."""
    for letter in case.patches:
        for name, value in letter.trailers:
            known = name.lower() in SPELLED or not re.fullmatch(r"[a-z-]+-?by", name, re.I)
            close = () if known else difflib.get_close_matches(name.lower(), SPELLED, 1, 0.85)
            if close:
                yield letter, f"Is this a {SPELLED[close[0]]}? {name}: {value}"


def empty_log(case: Case) -> Remarks:
    """Ask for a changelog."""
    yield from ((letter, "The changelog is empty.") for letter in case.letters if says_nothing(letter.log))
