"""From a thread to tags: whose they are, which patch of the draft they are for, and what their giver took back.

Whatever is not certain is not attached but named with its reason, so that a person can look: a tag in somebody else's
name, one for a patch that is another by now, a mail without a message-id to prove it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..draft.trailers import Given, Trailers, Verdict, diff_id, identify, measure, survives
from ..progress import tick
from .said import Said, Tag, read_said
from .scope import pick
from .threads import Answer, Message, Thread, Title, read_sender, read_title

#: Some lists give and refuse in the subject: `NACK/Cmnt: [PATCH] ...`.
REFUSED = re.compile(r"(?:re:\s{0,3}){0,5}\W{0,3}NAC?K\b(?=[^\[]{0,40}\[)", re.I)


@dataclass(frozen=True)
class Ignored:
    """A tag, or a mail, that was not taken, and why; `objection` where its sender does not want the patch at all."""

    message_id: str
    sender: str
    line: str
    reason: str
    where: str = ""
    objection: bool = False


@dataclass(frozen=True)
class Attached:
    """A tag for a patch of the draft (its stable id), with its proof."""

    patch: str
    given: Given
    note: str = ""


@dataclass(frozen=True)
class Found:
    """A patch of the draft that a mail answers: its number, the version, and whether it is the same patch."""

    number: int | None
    patch: DraftPatch
    version: int
    verdict: Verdict


@dataclass(frozen=True)
class Back:
    """A mail that takes tags back or objects, and the patches that it answers: none where that is not clear."""

    message: Message
    line: str
    answer: Answer
    patches: frozenset[str]


@dataclass(frozen=True)
class DraftPatch:
    """A patch of the draft or of an earlier version: stable id, subject, what it changes (see trailers.diff_of)."""

    id: str
    subject: str
    diff: tuple[bytes, ...]


@dataclass(frozen=True)
class Drafted:
    """What answers are matched with: the draft, what of it is posted first, the cover's title, versions, its tree."""

    patches: tuple[DraftPatch, ...]
    posted: tuple[str, ...]
    title: str
    versions: Mapping[int, tuple[DraftPatch, ...]] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True)
class Choices:
    """What a person allows: tags in another name than the sender's; the share of a diff, in percent, that changed."""

    sloppy: bool = False
    threshold: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """All tags of a thread that are for the draft, what was left out, and what the draft has and was taken back."""

    attached: tuple[Attached, ...]
    ignored: tuple[Ignored, ...]
    gone: Trailers = field(default_factory=dict)

    @property
    def trailers(self) -> dict[str, list[Given]]:
        """The tags by stable id."""
        out: dict[str, list[Given]] = {}
        for row in self.attached:
            out.setdefault(row.patch, []).append(row.given)
        return out


class Doubt(Exception):
    """A tag is not attached; the message is the reason."""


def gather(thread: Thread, drafted: Drafted, choices: Choices, known: Trailers = MappingProxyType({})) -> Gathered:
    """Return the tags that the answers in a thread give to patches of the draft, each person's once a patch.

    `known` are the tags that the draft has already; what of them is taken back is `gone`.
    """
    ignored = [Ignored(u.message_id, "", "", u.reason, u.where) for u in thread.unread]
    attached: list[tuple[Message, Attached]] = []
    backs: list[Back] = []
    answers = [message for message in thread.messages if not message.opens]
    seen: dict[tuple[Title, str, str], tuple[list[Found], str]] = {}
    for number, message in enumerate(answers, 1):
        tick("answers", number, len(answers))
        sender = str(message.sender or "")

        def ignore(line: str, reason: str, objection: bool = False, message: Message = message) -> None:
            sender = str(message.sender or "")
            ignored.append(Ignored(message.id, sender, line, reason, message.where, objection))

        if message.note:
            ignore("", message.note)
        said = read_said(message.texts, message.sender, choices.sloppy)
        if REFUSED.match(message.title.text):
            said = replace(said, objection=said.objection or message.title.text)
        if not (said.tags or said.retracted or said.objection):
            continue
        answer = thread.answer(message)
        name_objections(said, ignore)
        key = (answer.title, answer.opener.where if answer.opener else "", answer.problem)
        if key not in seen:
            seen[key] = look_up(thread, answer, drafted, choices)
        answered, doubt = seen[key]
        if (said.retracted or said.objection) and message.sender and not answer.elsewhere:
            back = Back(message, said.objection or said.retracted, answer, frozenset(row.patch.id for row in answered))
            if answered or answer.problem or fold(answer.title.summary) == fold(drafted.title):
                backs.append(back)
        for line, tag in said.tags:
            reason = tag if isinstance(tag, str) else check_giver(message, tag, choices)
            if not isinstance(tag, str):
                reason = reason or said.withheld(choices.sloppy) or tag.doubt
            if isinstance(tag, str) or reason:
                ignore(line, reason, line == said.objection)
                continue
            if doubt:
                ignore(line, doubt)
            title = answer.title
            wanted, why = pick(tag.scope, title.number, title.total or 0, title.number == 0) if answered else (None, "")
            if why:
                ignore(line, why)
            for found in answered:
                if wanted is not None and found.number not in wanted:
                    continue
                if not found.verdict.kept:
                    ignore(line, f"not for {found.patch.subject!r} as it is now: {found.verdict.reason}")
                    continue
                given = Given(tag.line, message.id, found.version, diff_id(found.patch.diff), sender)
                limited = f"perhaps on a condition: {said.condition[:80]}" if said.condition and not tag.note else ""
                note = "; ".join(filter(None, (tag.note, limited, found.verdict.reason)))
                attached.append((message, Attached(found.patch.id, given, note)))
    rows: dict[tuple[str, tuple[str, str]], Attached] = {}
    for message, row in attached:
        reasons = [why for back in backs if (why := takes_back(back, message, row))]
        if not reasons:
            rows.setdefault((row.patch, identify(row.given.trailer)), row)
        else:
            ignored.append(Ignored(message.id, row.given.sender, row.given.trailer, reasons[0], message.where))
    gone: dict[str, list[Given]] = {}
    for patch, tags in known.items():
        for given in tags:
            message = thread.by_id.get(given.message_id) or unknown(given)
            reasons = [why for back in backs if (why := takes_back(back, message, Attached(patch, given)))]
            if reasons and (patch, identify(given.trailer)) not in rows:
                gone.setdefault(patch, []).append(given)
                why = f"taken out of the draft: {reasons[0]}"
                ignored.append(Ignored(given.message_id, given.sender, given.trailer, why))
    order = {patch.id: number for number, patch in enumerate(drafted.patches)}
    kept = sorted(rows.values(), key=lambda row: order[row.patch])
    return Gathered(tuple(kept), tuple(dict.fromkeys(ignored)), gone)


def unknown(given: Given) -> Message:
    """Return a mail that is not in the thread any more: older than all that is."""
    return Message("", given.message_id, (), read_sender(given.sender), read_title(""), (), place=-1)


def name_objections(said: Said, ignore: Callable[[str, str, bool], None]) -> None:
    """Name what a mail says against a patch, once: a line that is in the form of a tag is named as one too."""
    named = {line for line, _ in said.tags}
    if said.objection and said.objection not in named:
        ignore(said.objection, "an objection; settle it with its sender before this is posted again", True)
    if said.retracted and said.retracted not in named:
        ignore(said.retracted, "its sender takes back what he gave before, or so it seems", True)


def takes_back(back: Back, message: Message, row: Attached) -> str:
    """Return how a mail takes back a tag: of the same person, for this patch, and not given anew after it; else ""."""
    if back.patches and row.patch not in back.patches:
        return ""
    old, new = back.message.sender, message.sender
    if old is None or new is None or back.message is message:
        return ""
    same = old.email.lower() == new.email.lower() or (old.name and old.name.lower() == new.name.lower())
    newer = bool(back.patches) and row.given.version > back.answer.title.version
    if not same or newer or message.follows(back.message):
        return ""
    return f"taken back in <{back.message.id or back.message.where}>, or so it seems: {back.line[:80]}"


def look_up(thread: Thread, answer: Answer, drafted: Drafted, choices: Choices) -> tuple[list[Found], str]:
    """Return what `patches_answered` yields, and why that is not all."""
    found: list[Found] = []
    try:
        for row in patches_answered(thread, answer, drafted, choices):
            found.append(row)
    except Doubt as doubt:
        return found, str(doubt)
    return found, ""


def check_giver(message: Message, tag: Tag, choices: Choices) -> str:
    """Return why the mail does not prove who gave the tag, "" if it does."""
    if not message.id:
        return "the mail has no usable Message-ID, so there is no proof"
    if message.sender is None:
        return "the mail's From is not one address"
    if tag.address.lower() != message.sender.email.lower() and not choices.sloppy:
        return f"given by {message.sender.email} for {tag.address}; --sloppy takes it"
    return ""


def patches_answered(thread: Thread, answer: Answer, drafted: Drafted, choices: Choices) -> Iterator[Found]:
    """Yield the patches of the draft that a mail answers; raise Doubt if there is none."""
    if answer.problem:
        raise Doubt(answer.problem)
    title = answer.title
    if title.older_tree and title.older_tree != drafted.target:
        raise Doubt(f"it is about the patch for another tree, {title.older_tree}")
    if title.number == 0:
        yield from patches_of_cover(thread, answer, drafted, choices)
        return
    patch = find_patch(title, drafted)
    yield Found(title.number, patch, title.version, compare(answer, patch, drafted, choices))


def patches_of_cover(thread: Thread, answer: Answer, drafted: Drafted, choices: Choices) -> Iterator[Found]:
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
            yield Found(number, patch, title.version, compare(reply, patch, drafted, choices))
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
