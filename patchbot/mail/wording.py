"""Rules on what single mails say and in which form: subjects, changelogs, the diffstat; the letter names each rule.

They read nothing but the mail, so they hold for any series; who gets it and on what it is based is in rules.py.
"""

from __future__ import annotations

import re
from collections import Counter

from .letter import SUBJECT, Case, Remarks

#: Columns that the summary of a patch may have, and should have.
MOST, BETTER = 75, 70

PLACEHOLDER = re.compile(r"\*\*\* [^*\n]* HERE \*\*\*|SUBJECT HERE|BLURB HERE|EDITME|FIXME: |\{\{")
DAMAGE = re.compile(r"#|diff -|---|>?From |(?i:change-id:)")


def subject_form(case: Case) -> Remarks:
    """Ask for brackets with PATCH and the number."""
    total = len(case.patches)
    for number, letter in enumerate(case.letters, 1 if case.outbox.cover is None else 0):
        expected = f"{number:0{len(str(total))}}/{total}" if total > 1 else None
        match = SUBJECT.fullmatch(letter.subject)
        got = f"{match[2]}/{match[3]}" if match and match[2] else None
        if match is None or got != expected:
            yield letter, f"{letter.subject!r} does not start with [PATCH {expected or ''}".rstrip() + "]"


def subject_target(case: Case) -> Remarks:
    """Ask for brackets that name the tree."""
    for letter in case.letters:
        match = SUBJECT.fullmatch(letter.subject)
        if (
            not match
            or case.profile.target not in match[1].split()[1:]
            or match[1] != match[1].replace("Patch", "PATCH")
        ):
            yield letter, f"the brackets of {letter.subject!r} do not name the tree {case.profile.target}"


def summary_long(case: Case) -> Remarks:
    """Ask for no more columns than allowed."""
    yield from ((x, f"{len(x.summary)} columns: {x.summary}") for x in case.letters if len(x.summary) > MOST)


def summary_longish(case: Case) -> Remarks:
    """Ask for as few columns as is wanted."""
    yield from ((x, f"{len(x.summary)} columns: {x.summary}") for x in case.patches if BETTER < len(x.summary) <= MOST)


def summary_same(case: Case) -> Remarks:
    """Ask for a summary of its own for each mail."""
    count = Counter(letter.summary for letter in case.letters)
    yield from ((None, f"{n} mails have the summary {text!r}") for text, n in count.items() if n > 1)


def summary_prefix(case: Case) -> Remarks:
    """Ask for a subsystem before the summary."""
    for letter in case.patches:
        if not re.match(r"[A-Za-z][\w/,.+ -]*: \S", letter.summary):
            yield letter, f"{letter.summary!r} does not start with its subsystem and a colon"


def summary_tool(case: Case) -> Remarks:
    """Ask for the problem, not the tool that found it."""
    for letter in case.patches:
        if re.search(r"\b(checkpatch|sparse|smatch)(\.pl)?\b", letter.summary, re.I):
            yield letter, "the summary names a checking tool, not the problem"


def placeholders(case: Case) -> Remarks:
    """Ask for a letter without placeholders."""
    for letter in case.letters:
        for line in (letter.subject, *letter.log):
            if PLACEHOLDER.search(line):
                yield letter, f"a placeholder was left: {line.strip()}"


def plain_text(case: Case) -> Remarks:
    """Ask for plain text in UTF-8."""
    for letter in case.letters:
        if letter.headers.is_multipart() or letter.headers.get_content_type() != "text/plain":
            yield letter, f"{letter.headers.get_content_type()}, not plain text"
        elif (letter.headers.get_content_charset() or "us-ascii") not in ("us-ascii", "utf-8"):
            yield letter, f"its character set is {letter.headers.get_content_charset()}, not UTF-8"
        if letter.headers.get_param("format") == "flowed":
            yield letter, "format=flowed"
        if b"-----BEGIN PGP" in letter.mail.data:
            yield letter, "the body is signed with PGP"


def latin_bytes(case: Case) -> Remarks:
    """Ask for bytes that a mail in UTF-8 can hold."""
    for letter in case.letters:
        try:
            letter.mail.data.decode()
        except UnicodeDecodeError as error:
            line = letter.mail.data.count(b"\n", 0, error.start) + 1
            yield letter, f"line {line} is not UTF-8, because the file is not; a relay may damage it"


def empty_log(case: Case) -> Remarks:
    """Ask for a changelog."""
    for letter in case.letters:
        tags = {f"{name}: {value}" for name, value in letter.trailers}
        if not [line for line in letter.log if line.strip() and line not in tags]:
            yield letter, "the changelog is empty"


def log_style(case: Case) -> Remarks:
    """Ask for the imperative mood."""
    for letter in case.patches:
        for phrase in re.findall(r"\b(?:this patch|this commit)\b", " ".join(letter.log), re.I)[:1]:
            yield letter, f"{phrase!r}: say what the change does in imperative mood"


def log_lines(case: Case) -> Remarks:
    """Ask for lines of 75 columns."""
    for letter in case.patches:
        for line in letter.log:
            # Exempt: tags, links, quotations of logs and code, which are indented.
            if len(line) > 75 and not re.match(r"\s|>|[A-Z][A-Za-z-]+: |\[\d+\]|\S*://", line) and " " in line:
                yield letter, f"{len(line)} columns: {line}"


def log_damage(case: Case) -> Remarks:
    """Ask for no line that git am takes for an end."""
    for letter in case.letters:
        for line in letter.log:
            if DAMAGE.match(line):
                yield letter, f"this line ends the changelog or gets lost: {line}"


def diffstat(case: Case) -> Remarks:
    """Ask for a diffstat."""
    for letter in case.patches:
        if not re.search(r"^ \d+ files? changed", letter.comments, re.M):
            yield letter, "no diffstat below ---"
