"""Read what the sender of a mail gives, takes back and limits: tags, near-tags, scopes, conditions and objections.

The kernel allows a tag only as it was given. So nothing is corrected here but the spelling of its name: text that is a
tag to a person but not to git is listed with the reason, and so is a tag whose scope or condition only a person can
judge.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from ..model import Identity
from .doubts import OBJECTION_TAG, condition, far_condition, objection, runs_on, taken_back
from .quoting import Line, plain, read_lines
from .scope import PARTS, Scope, read_scope, unclear_scope
from .threads import ADDRESS

#: The tags that people give to a patch. A sign-off is not an opinion; a report is about the bug and needs a Closes:.
TAKEN = ("Reviewed-by", "Acked-by", "Tested-by", "Suggested-by")
ASKED = ("Reported-by",)
TAG = re.compile(r"[ \t]*(?:[A-Za-z][A-Za-z-]*-by|Cc|Fixes|Closes|Link)[ \t]*:", re.I)
VALUE = re.compile(
    r"(?:(?P<name>[^<>]*[^<>\s])[ \t]+)?<(?P<address>[^<>]*)>"
    r"(?:[ \t]+(?:#(?P<hash>.*)|\((?P<round>[^()]*)\)|\[(?P<square>[^][]*)\]))?"
)
NEAR = re.compile(
    r"(?:\b[a-z]{3,12}[-_ ]{1,3}(?:and|&)[-_ ]{1,3})?\b(?:review|ack|test|suggest|report)[a-z]{0,4}[-_ ]{0,3}by\b"
    r"(?:[*_`'\"\s]{0,4}:|.*@)"
    r"|^\W*(?:[RAT]-?[Bb]|RvB|Reviewed|Acked|Tested|Ack)\s*:.*@|^\W*[^\W\d_][\w-]{0,30}-by\s*:"
    r"|^\W*(?:reviewed|acked|tested|suggested)-by\b",
    re.I,
)
CONTINUED = re.compile(r"[ \t]*<[^<>\s@]+@[^<>\s@]+>.*")
SIGNED_OFF = re.compile(r"[ \t]*Signed-off-by:", re.I)
WITHDRAWN = re.compile(
    r"\b(?:revoked|retracted|withdrawn|rescinded|cancell?ed|dropped|void|obsolete|invalid|not)\b", re.I
)
LEAD = re.compile(
    r"\W{0,9}(?:(?:only|just|but) )?(?:for|on|regarding|as for|concerning) "
    r"(?!me\b|what|the record|my part|your|now\b)\S.*:",
    re.I,
)
MARKUP = re.compile(r"\A\W+")
ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?", re.I)
ANY = Scope()
#: Why a tag is not one, if it is against the patch.
OBJECTS = "it is an objection to the patch"
MOST_TAG = 300
MOST_TAGS = 100
#: Nobody writes more; logs are longer, and so is text that is meant to keep a program busy.
MOST_WORDS = 128 << 10
MOST_CONTEXT = 12


@dataclass(frozen=True)
class Tag:
    """A tag in the form for the commit; `note` is what a person should know about it.

    `scope` says for which of the answered patches it is; with a `doubt` it is taken only if a person accepts it.
    """

    line: str
    giver: Identity
    note: str = ""
    scope: Scope = ANY
    doubt: str = ""


@dataclass(frozen=True)
class Said:
    """What a mail says about patches: (line, tag or why it is not one), and lines that take back, object or limit."""

    tags: tuple[tuple[str, Tag | str], ...]
    retracted: str = ""
    objection: str = ""
    condition: str = ""

    @property
    def objections(self) -> tuple[str, ...]:
        """Return the lines against a patch: the first one in words, and those in the form of a tag."""
        tags = (line for line, found in self.tags if isinstance(found, str) and found.endswith(OBJECTS))
        return tuple(dict.fromkeys(filter(None, (self.objection, *tags))))

    @property
    def withheld(self) -> str:
        """Return why no tag of this mail is taken, "" if they are."""
        if self.objection:
            return f"the same mail objects: {self.objection[:80]}"
        if self.retracted:
            return f"the same mail seems to take a tag back: {self.retracted[:80]}"
        return f"perhaps on a condition: {self.condition[:80]}" if self.condition else ""


@dataclass(frozen=True)
class Context:
    """The sender's words around a group of tags: the paragraphs right above and below, and all up to other tags."""

    above: str
    below: str
    all: str


def read_said(texts: Sequence[str], sender: Identity | None = None) -> Said:
    """Return what the sender of a mail says about patches."""
    rows: list[Line] = []
    tags: list[tuple[str, Tag | str]] = []
    left = MOST_WORDS
    for text in texts:
        lines = read_lines(text)
        size = sum(len(row.text) + 1 for row in lines if row.own)
        if size > left:
            tags.append(
                ("", f"more than {MOST_WORDS >> 10} KiB of its text are not marked as quoted; they are not read")
            )
            continue
        left -= size
        rows += lines
    own = [row.text.strip() for row in rows if row.own and row.text]
    words = [line for line in own if not is_tag(line) and not near(line)]
    words += [f"{a} {b}" for a, b in pairwise(words)]
    for line, found in find_tags(rows, sender):
        if len(tags) >= MOST_TAGS:
            tags.append(("", f"more than {MOST_TAGS} lines look like tags; the others are not read"))
            break
        tags.append((line, found))
    return Said(
        tuple(tags),
        next((line for line in words if taken_back(line)), "")[:MOST_TAG],
        next((line for line in own if objection(line)), "")[:MOST_TAG],
        next((line for line in words if tags and far_condition(line)), "")[:MOST_TAG],
    )


def find_tags(rows: Sequence[Line], sender: Identity | None) -> Iterator[tuple[str, Tag | str]]:
    """Yield (line, tag or why it is not one) for text that is a tag to a person."""
    at = 0
    while at < len(rows):
        row, start, at = rows[at], at, at + 1
        if row.quoted or not row.text:
            continue
        if row.below:
            if sender and is_tag(row.text) and names(row.text, sender):
                yield cut(row.text), f"it is below {row.below[:80]!r}, where text need not be the sender's own"
            continue
        if not is_tag(row.text):
            if reason := near(row.text):
                yield cut(row.text), reason
            continue
        group, at = read_group(rows, start)
        context = read_context(rows, start, at)
        quoted = next((text for text in group if SIGNED_OFF.match(text) and not (sender and names(text, sender))), "")
        for text in group:
            yield cut(text), limit(read_tag(text), context, quoted if sender else "")


def read_group(rows: Sequence[Line], at: int) -> tuple[list[str], int]:
    """Return the consecutive tags from row `at` on, each on one line, and the row after them."""
    group: list[str] = []
    while at < len(rows) and rows[at].own and is_tag(rows[at].text):
        text, at = rows[at].text.strip(), at + 1
        if "<" not in text and at < len(rows) and rows[at].own and CONTINUED.fullmatch(rows[at].text):
            text, at = f"{text} {rows[at].text.strip()}", at + 1
        group.append(text)
    return group, at


def is_tag(text: str) -> bool:
    """Say whether a line has the form of a tag, known or not."""
    return TAG.match(text) is not None


def cut(text: str) -> str:
    """Return a line in the form for messages."""
    return text.strip()[:MOST_TAG]


def names(text: str, person: Identity) -> bool:
    """Say whether a line names a person."""
    folded = plain(text).lower()
    return person.email.lower() in folded or (len(person.name) > 3 and person.name.lower() in folded)


def near(text: str) -> str:
    """Return why a line that is a tag to a person is not one, "" if nobody would read it as one."""
    bare = plain(text)
    hinted = ":" in bare or "@" in bare or "-by" in bare.lower()  # searching each line would take long
    match = NEAR.search(bare) if hinted else None
    if match is None:
        return ""
    odd = next((c for c in text.strip(" \t") if plain(c) != c), "")
    if odd:
        name = f"U+{ord(odd):04X} ({unicodedata.name(odd, 'no name').lower()})"
        return f"it holds {name} where a tag has another character, so git would not recognise it"
    start = bare[: match.start() + len(match[0]) - len(MARKUP.sub("", match[0]))].strip()
    if start:
        return f"{start[:40]!r} comes before it; a tag begins its line"
    return "it does not have the form of a tag for git, `Reviewed-by: Name <user@host>`"


def read_tag(text: str) -> Tag | str:
    """Return a tag in the kernel's spelling of its name, or why it cannot be taken."""
    name, _, value = text.partition(":")
    name, value = name.strip(), value.strip()
    known = {n.lower(): n for n in (*TAKEN, *ASKED)}.get(name.lower())
    if known is None and OBJECTION_TAG.match(text):
        return f"{name} is not taken from mails; {OBJECTS}"
    if known is None:
        return f"{name} is not taken from mails; if it belongs in the patch, put it there"
    if len(text) > MOST_TAG:
        return f"longer than {MOST_TAG} characters"
    odd = next(
        (c for c in text if c == "\ufffd" or unicodedata.category(c)[0] == "C" or (c != " " and c.isspace())), ""
    )
    if odd == "\ufffd":
        return "its text cannot be decoded"
    if odd:
        return f"it holds the character U+{ord(odd):04X}"
    if ENCODED.search(text):
        return "it holds an encoded word, which only a header may have, and which hides its text"
    match = VALUE.fullmatch(value)
    address = match["address"] if match else value
    if not ADDRESS.fullmatch(address):
        return explain(value)
    notes = []
    if not text.startswith(f"{known}:"):
        notes.append(f"its mail spells it {text.partition(':')[0]!r}")
    if match is None or not match["name"]:
        notes.append("it has no name")
    comment = next((c for c in match.group("hash", "round", "square") if c is not None), "").strip() if match else ""
    giver = Identity((match["name"] if match else "") or "", address)
    tag = Tag(f"{known}: {value}", giver, "; ".join(notes), doubt=doubtful(known, comment))
    if not comment:
        return tag
    scope = read_scope(comment)
    if scope is not None:
        return replace(tag, line=tag.line[: tag.line.index(">") + 1], scope=scope)
    told = known == "Tested-by" and not PARTS.search(comment) and not unclear_scope(comment)  # on what it was tested
    return replace(tag, scope=Scope(words="" if told else comment))


def doubtful(name: str, comment: str) -> str:
    """Return why a tag with this name and remark is not taken, "" if it may be."""
    if name in ASKED:
        return f"{name} is about the bug and needs a Closes: with the report"
    if condition(comment):
        return f"perhaps on a condition: {comment[:80]}"
    if taken_back(comment) or objection(comment) or WITHDRAWN.search(comment):
        return f"it seems to be taken back: {comment[:80]}"
    return ""


def explain(value: str) -> str:
    """Return what is wrong with the value of a tag without a readable address."""
    if re.search(r"&[lg]t;", value, re.I):
        return "it has `&lt;` and `&gt;`, as in HTML, instead of `<` and `>`"
    if re.search(r"mailto:", value, re.I):
        return "its address has `mailto:` in it"
    found = re.findall(r"<([^<>]*)>", value)
    if sum(bool(ADDRESS.fullmatch(text.strip())) for text in found) > 1:
        return "it has more than one address"
    behind = re.fullmatch(r"([^<>]*)<([^<>]*)>(.*)", value)
    if behind and ADDRESS.fullmatch(behind[2].strip()):
        if behind[2] != behind[2].strip():
            return "there are blanks in the brackets around the address"
        if behind[3].strip():
            return f"{behind[3].strip()[:40]!r} comes after the address; a remark begins with ` #`"
        return "there is no blank before the `<` of the address"
    if "<" not in value and ADDRESS.search(value):
        return "its address is not in `<` and `>`"
    return "it has no valid address; expected `Name <user@host>`"


def read_context(rows: Sequence[Line], start: int, end: int) -> Context:
    """Return the sender's words around the tags in rows `start` to `end`, up to the tags above and below."""
    before, behind = rows[max(0, start - 4 * MOST_CONTEXT) : start][::-1], rows[end:]
    above = [row.text.strip() for row in takewhile(lambda row: not (row.own and is_tag(row.text)), before) if row.own]
    rest = [row.text.strip() for row in takewhile(lambda row: not is_tag(row.text), behind) if row.own and row.text]
    last, _ = paragraph(before[:MOST_CONTEXT])
    below, end_row = paragraph(behind[:MOST_CONTEXT])
    if end_row and end_row.own and is_tag(end_row.text) and below and below[-1].endswith(":"):
        below.pop()  # it is about that tag
    words = [*filter(None, above[: MOST_CONTEXT + 1][::-1]), *rest]
    return Context("\n".join(last[::-1]), "\n".join(below), "\n".join(words))


def paragraph(rows: Sequence[Line]) -> tuple[list[str], Line | None]:
    """Return the sender's lines at the beginning of rows, up to a tag or a blank line, and the row that ends them."""
    found: list[str] = []
    for row in rows:
        text = row.text.strip()
        if not row.own or is_tag(row.text) or (found and not text):
            return found, row
        found += [text] if text else []
    return found, None


def limit(tag: Tag | str, context: Context, quoted: str) -> Tag | str:
    """Return a tag with its scope and condition by the words around it, or why only a person can tell."""
    if isinstance(tag, str):
        return tag
    doubts = [tag.doubt]
    if quoted:
        doubts.append(f"it is next to {quoted[:80]!r}, among the tags of a patch that is quoted without marks")
    words = (*context.above.split("\n"), *context.below.split("\n"), context.above, context.below)
    limits = next((text for text in words if condition(text)), "").replace("\n", " ")[:80]
    if limits:
        doubts.append(f"perhaps on a condition: {limits}")
    beside = (*ends(context.above), *ends(context.below))
    said = {text: scope for text in beside if (scope := read_scope(text, prose=True))}
    above, below = ("" if said.keys() & set(ends(text)) else text for text in (context.above, context.below))
    rest = runs_on("" if lead(context) else above, below)
    if rest and not limits:
        doubts.append(f"the words next to it may mean that it is not given, or not for all: {rest[:80]}")
    tag = replace(tag, doubt="; ".join(filter(None, doubts)))
    scopes = {*said.values(), *([tag.scope] if tag.scope.given else [])}
    if len(scopes) > 1:
        return "the mail contradicts itself about the patches that it is for"
    if scopes:
        return replace(tag, scope=replace(scopes.pop(), words=tag.scope.words))
    unclear = unclear_scope(context.all)
    return replace(tag, scope=replace(tag.scope, unclear=unclear, lead=lead(context)))


def ends(text: str) -> tuple[str, str, str]:
    """Return a paragraph's first and last line, and the whole as one line."""
    lines = text.split("\n")
    return lines[0], lines[-1], " ".join(lines)


def lead(context: Context) -> str:
    """Return the line above a tag if it says in words what the tag is for."""
    line = context.above.split("\n")[-1]
    return line if LEAD.fullmatch(line) else ""
