"""From a thread to tags: which lines of an answer are tags, whose they are, and which patch of the draft they are for.

Whatever is not certain is not attached but named with its reason, so that a person can look: a tag in somebody else's
name, one for a patch that is another by now, a mail without a message-id to prove it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .threads import ADDRESS, Answer, Message, Thread, Title
from .trailers import Given, Verdict, diff_id, identify, measure, survives

#: What people give to a patch. Sign-offs are no opinion, and a report is about the bug, so it comes with a Closes:.
TAKEN = ("Reviewed-by", "Acked-by", "Tested-by", "Suggested-by")
ASKED = ("Reported-by",)
OTHER = re.compile(r"(?:[A-Za-z][A-Za-z-]*-by|Cc|Fixes|Closes|Link):", re.I)
TAG = re.compile(r"[ \t]*([A-Za-z][A-Za-z-]*)[ \t]*:[ \t]*(.*)")
VALUE = re.compile(r"(?:(?P<name>[^<>]*[^<>\s])[ \t]+)?<(?P<address>[^<>]*)>(?:[ \t]+(?:#.*|\([^()]*\)|\[[^][]*\]))?")
QUOTE = re.compile(r"[ \t]*[>|]")
SIGNATURE = re.compile(r"--[ \t]*")
FOREIGN = re.compile(
    r"diff --git |-{2,}[ \t]*(?:8<|>8|✂)|(?:8<|>8)[ \t]*-{2,}|_{20,}[ \t]*$"
    r"|-{2,} ?(?:Original|Forwarded|Weitergeleitete|Ursprüngliche) (?:[Mm]essage|Nachricht)|Begin forwarded message:"
)
CONDITION = re.compile(
    r"\b(?:if|once|provided|assuming|modulo|unless|except|nits?|other than|apart from)\b"
    r"|\b(?:with|after|when)\b.*\b(?:fix|address|chang|correct|resolv|updat|remov|add|done)",
    re.I,
)
ENCODED = re.compile(r"=\?[^?\s]+\?[bq]\?", re.I)
MOST_LINE = 300


@dataclass(frozen=True)
class Tag:
    """A tag as it stands in a mail; `note` is what a person should know of it."""

    line: str
    address: str
    note: str = ""


@dataclass(frozen=True)
class Ignored:
    """A tag, or a mail, that was not taken, and why."""

    message_id: str
    sender: str
    line: str
    reason: str
    where: str = ""


@dataclass(frozen=True)
class Attached:
    """A tag for a patch of the draft (its stable id), with its proof."""

    patch: str
    given: Given
    note: str = ""


@dataclass(frozen=True)
class DraftPatch:
    """A patch of the draft or of an earlier version: stable id, subject, what it changes (see trailers.diff_of)."""

    id: str
    subject: str
    diff: tuple[bytes, ...]


@dataclass(frozen=True)
class Drafted:
    """What answers are matched with: the draft, what of it is posted first, the cover's title, and frozen versions."""

    patches: tuple[DraftPatch, ...]
    posted: tuple[str, ...]
    title: str
    versions: Mapping[int, tuple[DraftPatch, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What a person allows: tags in another name than the sender's; the share of a diff, in percent, that changed."""

    sloppy: bool = False
    threshold: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """All tags of a thread that are for the draft, and what was left out."""

    attached: tuple[Attached, ...]
    ignored: tuple[Ignored, ...]

    @property
    def trailers(self) -> dict[str, list[Given]]:
        """The tags by stable id."""
        out: dict[str, list[Given]] = {}
        for row in self.attached:
            out.setdefault(row.patch, []).append(row.given)
        return out


class Doubt(Exception):
    """A tag is not attached; the message is the reason."""


def gather(thread: Thread, drafted: Drafted, choices: Choices) -> Gathered:
    """Return the tags that the answers in a thread give to patches of the draft, each person's once a patch."""
    attached: dict[tuple[str, tuple[str, str]], Attached] = {}
    ignored = [Ignored(u.message_id, "", "", u.reason, u.where) for u in thread.unread]
    for message in thread.messages:
        if message.opens:
            continue
        sender = str(message.sender or "")
        if message.note:
            ignored.append(Ignored(message.id, sender, "", message.note, message.where))
        doubt = ""
        answered: list[tuple[DraftPatch, int, Verdict]] | None = None
        for line, found in find_tags(message.lines, choices.sloppy):
            try:
                if isinstance(found, str):
                    raise Doubt(found)
                check_giver(message, found, choices)
            except Doubt as why:
                ignored.append(Ignored(message.id, sender, line, str(why), message.where))
                continue
            if answered is None:
                answered, doubt = look_up(thread, message, drafted, choices)
            if doubt:
                ignored.append(Ignored(message.id, sender, line, doubt, message.where))
            for patch, version, verdict in answered:
                if not verdict.kept:
                    reason = f"not for {patch.subject!r} as it is now: {verdict.reason}"
                    ignored.append(Ignored(message.id, sender, line, reason, message.where))
                    continue
                given = Given(found.line, message.id, version, diff_id(patch.diff), sender)
                note = "; ".join(filter(None, (found.note, verdict.reason)))
                attached.setdefault((patch.id, identify(found.line)), Attached(patch.id, given, note))
    order = {patch.id: number for number, patch in enumerate(drafted.patches)}
    rows = sorted(attached.values(), key=lambda row: order[row.patch])
    return Gathered(tuple(rows), tuple(dict.fromkeys(ignored)))


def look_up(
    thread: Thread, message: Message, drafted: Drafted, choices: Choices
) -> tuple[list[tuple[DraftPatch, int, Verdict]], str]:
    """Return what `patches_answered` yields, and why that is not all."""
    found: list[tuple[DraftPatch, int, Verdict]] = []
    try:
        for row in patches_answered(thread, message, drafted, choices):
            found.append(row)
    except Doubt as doubt:
        return found, str(doubt)
    return found, ""


def check_giver(message: Message, tag: Tag, choices: Choices) -> None:
    """Raise Doubt unless the mail proves who gave the tag."""
    if not message.id:
        raise Doubt("the mail has no usable Message-ID, so there is no proof")
    if message.sender is None:
        raise Doubt("the mail's From is not one address")
    if tag.address.lower() != message.sender.email.lower() and not choices.sloppy:
        raise Doubt(f"given by {message.sender.email} for {tag.address}; --sloppy takes it")


def find_tags(lines: Sequence[str], sloppy: bool = False) -> Iterator[tuple[str, Tag | str]]:
    """Yield (line, tag or why it is none) for what looks like a tag in a mail's own words.

    Quoted text, signatures, forwarded mails and diffs are not the sender's words. With `sloppy`, Reported-by counts.
    """
    before = ""
    rows = list(own_lines(lines))
    for number, line in enumerate(rows):
        match = TAG.fullmatch(line)
        if match is None or not OTHER.match(line.strip()):
            before = line.strip() or before
            continue
        following = rows[number + 1] if number + 1 < len(rows) else ""
        tag = line.strip()
        if "<" not in tag and re.fullmatch(r"[ \t]*<[^<>\s]+@[^<>\s]+>.*", following):
            tag = f"{tag} {following.strip()}"
        yield tag[:MOST_LINE], read_tag(tag, before, sloppy)
        before = ""


def own_lines(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines that the sender wrote as text."""
    for line in lines:
        if SIGNATURE.fullmatch(line) or FOREIGN.match(line):
            return
        if not QUOTE.match(line):
            yield line


def read_tag(text: str, before: str, sloppy: bool) -> Tag | str:
    """Return a tag as it stands, or why it is none that can be taken."""
    name, _, value = text.partition(":")
    name, value = name.strip(), value.strip()
    known = {n.lower(): n for n in (*TAKEN, *ASKED)}.get(name.lower())
    if known is None:
        return f"{name} is not taken from mails; if it belongs into the patch, put it there"
    if known in ASKED and not sloppy:
        return f"{name} is about the bug and goes with Closes: the report; --sloppy takes it"
    if len(text) > MOST_LINE:
        return f"longer than {MOST_LINE} characters"
    odd = next(
        (c for c in text if c == "\ufffd" or unicodedata.category(c)[0] == "C" or (c != " " and c.isspace())), ""
    )
    if odd == "\ufffd":
        return "its text cannot be decoded"
    if odd:
        return f"it holds the character U+{ord(odd):04X}"
    if ENCODED.search(text):
        return "it holds an encoded word, which only a header may, and which hides what it says"
    match = VALUE.fullmatch(value)
    address = match["address"].strip() if match else value
    if not ADDRESS.fullmatch(address) or (match and address != match["address"]):
        return "no address that could be one; `Name <user@host>` would be"
    notes = []
    if name != known:
        notes.append(f"the kernel spells it {known}")
    if match is None or not match["name"]:
        notes.append("without a name")
    if CONDITION.search(before):
        notes.append(f"perhaps on a condition: {before[:80]}")
    return Tag(text, address, "; ".join(notes))


def patches_answered(
    thread: Thread, message: Message, drafted: Drafted, choices: Choices
) -> Iterator[tuple[DraftPatch, int, Verdict]]:
    """Yield (patch of the draft, version answered, whether it is the same patch); raise Doubt if there is none."""
    answer = thread.answer(message)
    if answer.problem:
        raise Doubt(answer.problem)
    title = answer.title
    if title.number == 0:
        yield from patches_of_cover(thread, answer, drafted, choices)
        return
    patch = find_patch(title, drafted)
    yield patch, title.version, compare(answer, patch, drafted, choices)


def patches_of_cover(
    thread: Thread, answer: Answer, drafted: Drafted, choices: Choices
) -> Iterator[tuple[DraftPatch, int, Verdict]]:
    """Yield all patches that were posted with a cover; Doubt unless it is the cover of this series."""
    title = answer.title
    mails = thread.posted_with(answer.opener) if answer.opener else {}
    matched: dict[int, DraftPatch] = {}
    gone: list[Title] = []
    for number, mail in sorted(mails.items()):
        try:
            matched[number] = find_patch(mail.title, drafted)
        except Doubt:
            gone.append(mail.title)
    if not matched and fold(title.summary) != fold(drafted.title):
        raise Doubt(f"the cover {title.summary!r} is not that of this series")
    order = [p.id for p in drafted.versions[title.version]] if title.version in drafted.versions else [*drafted.posted]
    draft = {p.id: p for p in drafted.patches}
    total = title.total or 0
    if len(mails) < total:
        if title.version in drafted.versions:
            order = order[:total]
        if len(order) != total:
            raise Doubt(
                f"the cover is for {total} patches, {len(mails)} of them are here, and the draft has {len(order)}"
            )
    for number in range(1, total + 1):
        if number in matched:
            patch: DraftPatch | None = matched[number]
        elif number in mails:
            patch = None
        else:
            patch = draft.get(order[number - 1])
        if patch is not None:
            reply = Answer(title, mails.get(number))
            yield patch, title.version, compare(reply, patch, drafted, choices)
    if gone:
        raise Doubt(f"not for {', '.join(repr(t.summary) for t in gone[:5])}: the draft has no such patch")


def find_patch(title: Title, drafted: Drafted) -> DraftPatch:
    """Return the draft's patch that a posted patch has become; Doubt if there is none or more than one."""
    draft = {p.id: p for p in drafted.patches}
    for pool in (drafted.versions.get(title.version, ()), drafted.patches):
        found = [n for n, p in enumerate(pool) if fold(read_summary(p.subject)) == fold(title.summary)]
        if len(found) > 1 and title.number and title.number - 1 in found:
            found = [title.number - 1]
        if len(found) > 1:
            raise Doubt(f"{len(found)} patches are called {title.summary!r}")
        if found:
            patch = draft.get(pool[found[0]].id)
            if patch is None:
                raise Doubt(f"the draft has no {title.summary!r} any more")
            return patch
    raise Doubt(f"the draft has no patch {title.summary!r}")


def compare(answer: Answer, patch: DraftPatch, drafted: Drafted, choices: Choices) -> Verdict:
    """Say whether the patch that was answered is that of the draft.

    What the mail posted says it, or the frozen version; if neither is there, the subject has to do.
    """
    version = drafted.versions.get(answer.title.version, ())
    seen = [p.diff for p in version if p.id == patch.id and p.diff]
    seen += [answer.opener.diff] if answer.opener and answer.opener.diff else []
    if not seen:
        return Verdict(True, f"by the subject alone: v{answer.title.version} is not here")
    new = diff_id(patch.diff)
    if any(diff_id(diff) == new for diff in seen):
        return Verdict(True, "")
    cost, nearest = min(((measure(diff, patch.diff), diff) for diff in seen), key=lambda row: row[0])
    return survives(diff_id(nearest), new, cost, choices.threshold)


def read_summary(subject: str) -> str:
    """Return a commit's subject as it looks after git put it into a mail and out again."""
    return re.sub(r"^(?:\[[^\]]*\]\s*|re:\s*)+", "", subject, flags=re.I)


def fold(text: str) -> str:
    """Return text with its white space folded."""
    return " ".join(text.split())
