"""Collect tags from a thread: whose they are, which patch of the draft they are for, and what their giver took back.

Whatever is uncertain is not attached but named with its reason, so that a person can look: a tag in somebody else's
name, one for a patch that has changed, a mail without a Message-ID to prove it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..draft.trailers import Given, Trailers, Verdict, diff_id, identify, measure, survives
from ..progress import tick
from .said import Said, Tag, read_said
from .scope import pick
from .threads import Answer, Ignored, Message, Thread, Title, read_sender, read_title

#: Some lists give and refuse in the subject: `NACK/Cmnt: [PATCH] ...`.
REFUSED = re.compile(r"(?:re:\s{0,3}){0,5}\W{0,3}NAC?K\b(?=[^\[]{0,40}\[)", re.I)


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
    """A mail that takes tags back or objects, and the patches that it answers: none if that is unclear."""

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
    """What replies are matched with: the draft, the part posted first, the cover's title, versions, its tree."""

    patches: tuple[DraftPatch, ...]
    posted: tuple[str, ...]
    title: str
    versions: Mapping[int, tuple[DraftPatch, ...]] = field(default_factory=dict)
    target: str = ""


@dataclass(frozen=True)
class Choices:
    """What a person allows: tags in another name than the sender's; the percentage of a diff that may have changed."""

    sloppy: bool = False
    threshold: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """All tags of a thread for the draft, those left out, and tags of the draft that were taken back."""

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


def gather(thread: Thread, drafted: Drafted, choices: Choices, known: Trailers = MappingProxyType({})) -> Gathered:
    """Return the tags that the replies in a thread give to patches of the draft, each person's once a patch.

    `known` are the tags that the draft has already; those of them that are taken back are `gone`.
    """
    work = Gathering(thread, drafted, choices)
    answers = [message for message in thread.messages if not message.opens]
    for number, message in enumerate(answers, 1):
        tick("answers", number, len(answers))
        work.hear(message)
    rows = work.standing()
    gone = work.taken_back(known, rows)
    order = {patch.id: number for number, patch in enumerate(drafted.patches)}
    kept = sorted(rows.values(), key=lambda row: order[row.patch])
    return Gathered(tuple(kept), tuple(dict.fromkeys(work.ignored)), gone)


#: The attached tags by patch and identity.
Standing = dict[tuple[str, tuple[str, str]], Attached]


class Gathering:
    """What the replies so far give, refuse and take back."""

    def __init__(self, thread: Thread, drafted: Drafted, choices: Choices) -> None:
        self.thread, self.drafted, self.choices = thread, drafted, choices
        self.ignored = list(thread.unread)
        self.attached: list[tuple[Message, Attached]] = []
        self.backs: list[Back] = []
        self.seen: dict[tuple[Title, str, str], tuple[list[Found], str]] = {}

    def ignore(self, message: Message, line: str, reason: str, objection: bool = False) -> None:
        """Name a line of a mail that was not taken."""
        sender = str(message.sender or "")
        self.ignored.append(Ignored(message.id, sender, line, reason, message.where, objection))

    def hear(self, message: Message) -> None:
        """Read what a mail says about patches."""
        if message.note:
            self.ignore(message, "", message.note)
        sloppy = self.choices.sloppy
        said = read_said(message.texts, message.sender, sloppy)
        if REFUSED.match(message.title.text):
            said = replace(said, objection=said.objection or message.title.text)
        if not (said.tags or said.retracted or said.objection):
            return
        answer = self.thread.answer(message)
        self.name_objections(message, said)
        answered, doubt = self.look_up(answer)
        if (said.retracted or said.objection) and message.sender and not answer.elsewhere:
            back = Back(message, said.objection or said.retracted, answer, frozenset(row.patch.id for row in answered))
            if answered or answer.problem or fold(answer.title.summary) == fold(self.drafted.title):
                self.backs.append(back)
        for line, tag in said.tags:
            if isinstance(tag, str):
                self.ignore(message, line, tag, line == said.objection)
            elif reason := check_giver(message, tag, sloppy) or said.withheld(sloppy) or tag.doubt:
                self.ignore(message, line, reason, line == said.objection)
            else:
                if doubt:
                    self.ignore(message, line, doubt)
                if answered:
                    self.attach(message, said, line, tag, answer.title, answered)

    def name_objections(self, message: Message, said: Said) -> None:
        """List what a mail says against a patch, once: a line in the form of a tag is listed as one too."""
        named = {line for line, _ in said.tags}
        for line, reason in (
            (said.objection, "an objection; settle it with its sender before this is posted again"),
            (said.retracted, "its sender seems to take back an earlier tag"),
        ):
            if line and line not in named:
                self.ignore(message, line, reason, True)

    def look_up(self, answer: Answer) -> tuple[list[Found], str]:
        """Return the result of `patches_answered`, which is computed once for a patch."""
        key = (answer.title, answer.opener.where if answer.opener else "", answer.problem)
        if key not in self.seen:
            self.seen[key] = patches_answered(self.thread, answer, self.drafted, self.choices)
        return self.seen[key]

    def attach(self, message: Message, said: Said, line: str, tag: Tag, title: Title, answered: list[Found]) -> None:
        """Attach a tag to those of the answered patches that it is for."""
        wanted, why = pick(tag.scope, title.number, title.total or 0, title.number == 0)
        if why:
            self.ignore(message, line, why)
        for found in answered:
            if wanted is not None and found.number not in wanted:
                continue
            if not found.verdict.kept:
                self.ignore(message, line, f"not for {found.patch.subject!r} as it is now: {found.verdict.reason}")
                continue
            given = Given(tag.line, message.id, found.version, diff_id(found.patch.diff), str(message.sender or ""))
            limited = f"perhaps on a condition: {said.condition[:80]}" if said.condition and not tag.note else ""
            note = "; ".join(filter(None, (tag.note, limited, found.verdict.reason)))
            self.attached.append((message, Attached(found.patch.id, given, note)))

    def standing(self) -> Standing:
        """Return the tags that nobody took back, each person's once a patch."""
        rows: Standing = {}
        for message, row in self.attached:
            if reason := self.taken(message, row):
                self.ignore(message, row.given.trailer, reason)
            else:
                rows.setdefault((row.patch, identify(row.given.trailer)), row)
        return rows

    def taken_back(self, known: Trailers, rows: Standing) -> dict[str, list[Given]]:
        """Return those of the `known` tags that were taken back and not given again."""
        gone: dict[str, list[Given]] = {}
        for patch, given in ((patch, given) for patch, tags in known.items() for given in tags):
            message = self.thread.by_id.get(given.message_id) or unknown(given)
            reason = self.taken(message, Attached(patch, given))
            if reason and (patch, identify(given.trailer)) not in rows:
                gone.setdefault(patch, []).append(given)
                why = f"taken out of the draft: {reason}"
                self.ignored.append(Ignored(given.message_id, given.sender, given.trailer, why))
        return gone

    def taken(self, message: Message, row: Attached) -> str:
        """Return how a tag was taken back, "" if it was not."""
        return next((why for back in self.backs if (why := takes_back(back, message, row))), "")


def unknown(given: Given) -> Message:
    """Return a mail that is no longer in the thread: older than everything in it."""
    return Message("", given.message_id, (), read_sender(given.sender), read_title(""), (), place=-1)


def takes_back(back: Back, message: Message, row: Attached) -> str:
    """Return how a mail takes back the same person's tag for this patch, "" if it does not, or the tag came again."""
    if back.patches and row.patch not in back.patches:
        return ""
    old, new = back.message.sender, message.sender
    if old is None or new is None or back.message is message:
        return ""
    same = old.email.lower() == new.email.lower() or (old.name and old.name.lower() == new.name.lower())
    newer = bool(back.patches) and row.given.version > back.answer.title.version
    if not same or newer or message.follows(back.message):
        return ""
    return f"apparently taken back in <{back.message.id or back.message.where}>: {back.line[:80]}"


def check_giver(message: Message, tag: Tag, sloppy: bool) -> str:
    """Return why the mail does not prove who gave the tag, "" if it does."""
    if not message.id:
        return "the mail has no usable Message-ID, so there is no proof"
    if message.sender is None:
        return "the mail's From is not one address"
    if tag.address.lower() != message.sender.email.lower() and not sloppy:
        return f"given by {message.sender.email} for {tag.address}; --sloppy takes it"
    return ""


def patches_answered(thread: Thread, answer: Answer, drafted: Drafted, choices: Choices) -> tuple[list[Found], str]:
    """Return the patches of the draft that a mail answers, and why some or all are missing."""
    title = answer.title
    if answer.problem:
        return [], answer.problem
    if title.older_tree and title.older_tree != drafted.target:
        return [], f"it is about the patch for another tree, {title.older_tree}"
    if title.number == 0:
        return patches_of_cover(thread, answer, drafted, choices)
    patch = find_patch(title, drafted)
    if isinstance(patch, str):
        return [], patch
    return [Found(title.number, patch, title.version, compare(answer, patch, drafted, choices))], ""


def patches_of_cover(thread: Thread, answer: Answer, drafted: Drafted, choices: Choices) -> tuple[list[Found], str]:
    """Return all patches that were posted with a cover, and why some are missing; none if it is another series."""
    title = answer.title
    mails = thread.posted.get((answer.opener.id, title.version), {}) if answer.opener else {}
    posted = {number: find_patch(mail.title, drafted) for number, mail in sorted(mails.items())}
    gone = [repr(mails[number].title.summary) for number, patch in posted.items() if isinstance(patch, str)]
    if len(gone) == len(posted) and fold(title.summary) != fold(drafted.title):
        return [], f"the cover {title.summary!r} is not that of this series"
    order = [p.id for p in drafted.versions[title.version]] if title.version in drafted.versions else [*drafted.posted]
    draft = {p.id: p for p in drafted.patches}
    total = title.total or 0
    if len(mails) < total:
        if title.version in drafted.versions:
            order = order[:total]
        if len(order) != total:
            here = f"{len(mails)} of them are here, and the draft has {len(order)}"
            return [], f"the cover is for {total} patches, {here}"
    places = dict(enumerate(order, 1))
    found = []
    for number in range(1, total + 1):
        patch = posted.get(number) or draft.get(places.get(number, ""))
        if isinstance(patch, DraftPatch):
            verdict = compare(Answer(title, mails.get(number)), patch, drafted, choices)
            found.append(Found(number, patch, title.version, verdict))
    return found, f"not for {', '.join(gone[:5])}: the draft has no such patch" if gone else ""


def find_patch(title: Title, drafted: Drafted) -> DraftPatch | str:
    """Return the draft's patch that a posted patch has become, or why there is none, or more than one."""
    draft = {p.id: p for p in drafted.patches}
    for pool in (drafted.versions.get(title.version, ()), drafted.patches):
        found = [n for n, p in enumerate(pool) if fold(read_summary(p.subject)) == fold(title.summary)]
        if len(found) > 1 and title.number and title.number - 1 in found:
            found = [title.number - 1]
        if len(found) > 1:
            return f"{len(found)} patches are called {title.summary!r}"
        if found:
            return draft.get(pool[found[0]].id) or f"the draft no longer has {title.summary!r}"
    return f"the draft has no patch {title.summary!r}"


def compare(answer: Answer, patch: DraftPatch, drafted: Drafted, choices: Choices) -> Verdict:
    """Say whether the answered patch is that of the draft.

    The posted mail tells, or the frozen version; without either, the subject must do.
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
