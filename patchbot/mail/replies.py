"""Collect tags from a thread: whose they are, which patch of the draft they are for, and what their giver took back.

Whatever is uncertain is not attached but named with its reason, so that a person can look: a tag in somebody else's
name, one for a patch that has changed, a mail without a Message-ID to prove it. Where a person can decide, it has an
id by which they accept it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..config import listed
from ..draft.trailers import Given, Trailers, diff_id, identify
from ..errors import UserError
from ..model import Identity
from ..progress import tick
from .answered import Drafted, DraftPatch, Found, patches_answered
from .said import Said, Tag, read_said
from .scope import doubtful_scope, pick
from .threads import Answer, Ignored, Message, Thread, Title, read_sender, read_title

#: Some lists give and refuse in the subject: `NACK/Cmnt: [PATCH] ...`.
REFUSED = re.compile(r"(?:re:\s{0,3}){0,5}\W{0,3}NAC?K\b(?=[^\[]{0,40}\[)", re.I)

OBJECTED = "an objection; settle it with its sender before this is posted again"
RETRACTED = "its sender seems to take back an earlier tag"


@dataclass(frozen=True)
class Attached:
    """A tag for a patch of the draft (its stable id), with its proof."""

    patch: str
    given: Given
    note: str = ""


@dataclass(frozen=True)
class Back:
    """A mail that takes tags back or objects, and the patches that it answers: none if that is unclear."""

    message: Message
    line: str
    answer: Answer
    patches: frozenset[str]


def same_address(one: Identity, other: Identity) -> bool:
    """Say whether two people have the same address."""
    return one.email.lower() == other.email.lower()


@dataclass(frozen=True)
class Choices:
    """What a person allows: doubtful tags by their ids; the percentage of a diff that may have changed.

    `same` says whether two people are one.
    """

    accept: frozenset[str] = frozenset()
    threshold: float = 0.0
    same: Callable[[Identity, Identity], bool] = same_address


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

    `known` are the tags that the draft has already; those of them that are taken back are `gone`. Raises UserError if
    there is nothing to accept by an id.
    """
    work = Gathering(thread, drafted, choices, known)
    answers = [message for message in thread.messages if not message.opens]
    for number, message in enumerate(answers, 1):
        tick("answers", number, len(answers))
        work.hear(message)
    work.insist_known()
    rows = work.standing()
    gone = work.taken_back(known, rows)
    order = {patch.id: number for number, patch in enumerate(drafted.patches)}
    kept = sorted(rows.values(), key=lambda row: order[row.patch])
    return Gathered(tuple(kept), tuple(dict.fromkeys(work.ignored)), gone)


@dataclass(frozen=True)
class Offer:
    """A tag as a mail gives it: its line, which of the equal lines in the mail that is, and whether it is another's."""

    message: Message
    said: Said
    line: str
    count: int
    tag: Tag
    other: str = ""

    def doubt(self, scope: str) -> str:
        """Return why a person must look before it is taken, with the doubt about its `scope`; "" if they need not."""
        return "; ".join(dict.fromkeys(filter(None, (self.other, self.said.withheld, self.tag.doubt, scope))))

    def id_for(self, patch: str = "") -> str:
        """Return the id by which a person accepts it, for one changed patch if that is named: stable and short."""
        named = "\0".join((self.message.id, self.line, str(self.count), patch))
        return hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:8]

    @property
    def id(self) -> str:
        """Return the id by which a person accepts it."""
        return self.id_for()

    def given(self, found: Found) -> Given:
        """Return the tag with its proof for a patch."""
        sender = str(self.message.sender or "")
        return Given(self.tag.line, self.message.id, found.version, diff_id(found.patch.diff), sender)


#: The attached tags by patch and identity.
Standing = dict[tuple[str, tuple[str, str]], Attached]


class Gathering:
    """What the replies so far give, refuse and take back."""

    def __init__(self, thread: Thread, drafted: Drafted, choices: Choices, known: Trailers) -> None:
        self.thread, self.drafted, self.choices = thread, drafted, choices
        self.proofs = {(p, g.message_id, identify(g.trailer)): g for p, rows in known.items() for g in rows}
        self.doubtful: dict[str, tuple[str, ...]] = {}
        self.ambiguous: set[str] = set()
        self.ignored = list(thread.unread)
        self.attached: list[tuple[Message, Attached]] = []
        self.backs: list[Back] = []
        self.seen: dict[tuple[Title, str, str], tuple[list[Found], str]] = {}

    def ignore(self, message: Message, line: str, reason: str, id_: str = "", *, against: bool = False) -> None:
        """Name a line of a mail that was not taken."""
        sender, subject = str(message.sender or ""), (message.title.text or "?") if against else ""
        self.ignored.append(Ignored(message.id, sender, line, reason, message.where, id_, subject))

    def hear(self, message: Message) -> None:
        """Read what a mail says about patches."""
        if message.note:
            self.ignore(message, "", message.note)
        said = read_said(message.texts, message.sender)
        if REFUSED.match(message.title.text):
            said = replace(said, objection=said.objection or message.title.text)
        if not (said.tags or said.retracted or said.objection):
            return
        answer = self.thread.answer(message)
        answered, problem = self.look_up(answer)
        ours = bool(answered or answer.problem) or self.drafted.is_cover(answer.title)
        ours = ours and not answer.elsewhere
        self.name_objections(message, said, "" if ours else problem)
        if (said.retracted or said.objection) and message.sender and ours:
            line = said.objection or said.retracted
            self.backs.append(Back(message, line, answer, frozenset(row.patch.id for row in answered)))
        count: Counter[str] = Counter()
        for line, tag in said.tags:
            count[line] += 1
            if isinstance(tag, str):
                if line not in said.objections:
                    self.ignore(message, line, tag)
            elif reason := unproven(message):
                self.ignore(message, line, reason)
            elif answered:
                if problem:
                    self.ignore(message, line, problem)
                offer = Offer(message, said, line, count[line], tag, self.giver_doubt(message, tag))
                self.attach(offer, answer, answered)
            elif reason := self.giver_doubt(message, tag) or said.withheld or tag.doubt or problem:
                self.ignore(message, line, reason)

    def name_objections(self, message: Message, said: Said, elsewhere: str) -> None:
        """List what a mail says against a patch of the series; `elsewhere` says why it is not about one."""
        for line, reason in [*((line, OBJECTED) for line in said.objections), (said.retracted, RETRACTED)]:
            if line:
                self.ignore(message, line, f"{reason}; {elsewhere}" if elsewhere else reason, against=not elsewhere)

    def giver_doubt(self, message: Message, tag: Tag) -> str:
        """Return why a tag may not be its sender's, "" if it is: the same address, or the same person."""
        if message.sender and (same_address(message.sender, tag.giver) or self.choices.same(message.sender, tag.giver)):
            return ""
        return f"given by {message.sender and message.sender.email} for {tag.giver.email}"

    def look_up(self, answer: Answer) -> tuple[list[Found], str]:
        """Return the result of `patches_answered`, which is computed once for a patch."""
        key = (answer.title, answer.opener.where if answer.opener else "", answer.problem)
        if key not in self.seen:
            self.seen[key] = patches_answered(self.thread, answer, self.drafted, self.choices.threshold)
        return self.seen[key]

    def attach(self, offer: Offer, answer: Answer, answered: list[Found]) -> None:
        """Attach a tag to those of the answered patches that it is for."""
        tag, title = offer.tag, answer.title
        wanted, why = pick(tag.scope, title.number, title.total or 0, title.number == 0)
        if why:
            self.ignore(offer.message, offer.line, why)
        meant = [found for found in answered if wanted is None or found.number in wanted]
        doubt = offer.doubt(doubtful_scope(tag.scope, title.total or 0, title.number == 0))
        if doubt and meant and not self.accepted(offer):
            had = [found for found in meant if self.has(offer, found.patch)]
            if not had:
                self.ignore(offer.message, offer.line, doubt, offer.id)
            meant = had
        for found in meant:
            verdict = found.verdict
            if not verdict.kept and not self.accepted(offer, found.patch.id) and not self.has(offer, found.patch):
                why = f"not for {found.patch.subject!r} as it is now: {verdict.reason}"
                self.ignore(offer.message, offer.line, why, offer.id_for(found.patch.id))
                continue
            given = offer.given(found)
            note = "; ".join(filter(None, (tag.note, doubt, verdict.reason)))
            self.attached.append((offer.message, Attached(found.patch.id, given, note)))

    def accepted(self, offer: Offer, patch: str = "") -> bool:
        """Say whether a person accepts a doubtful tag, for a patch that has changed if one is named."""
        what, id_ = (offer.message.id, offer.line, str(offer.count), patch), offer.id_for(patch)
        if self.doubtful.setdefault(id_, what) != what:
            self.ambiguous.add(id_)
        return id_ in self.choices.accept

    def has(self, offer: Offer, patch: DraftPatch) -> bool:
        """Say whether the draft has this very tag for a patch as it is now, since a person accepted it."""
        known = self.proofs.get((patch.id, offer.message.id, identify(offer.tag.line)))
        return known is not None and known.patch_id == diff_id(patch.diff)

    def insist_known(self) -> None:
        """Raise UserError for an accepted id that names no tag, or more than one."""
        if unknown := sorted(self.choices.accept - set(self.doubtful)):
            ids = f"those that can be accepted are {listed(self.doubtful)}" if self.doubtful else "none is in doubt"
            raise UserError(f"--accept: no tag of these mails has the id {', '.join(unknown)}; {ids}")
        if twice := sorted(self.choices.accept & self.ambiguous):
            raise UserError(f"--accept: {', '.join(twice)} names more than one tag; leave a mail out of the mailbox")

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
        return next((why for back in self.backs if (why := takes_back(back, message, row, self.choices.same))), "")


def unknown(given: Given) -> Message:
    """Return a mail that is no longer in the thread: older than everything in it."""
    return Message("", given.message_id, (), read_sender(given.sender), read_title(""), (), place=-1)


def takes_back(back: Back, message: Message, row: Attached, same: Callable[[Identity, Identity], bool]) -> str:
    """Return how a mail takes back the same person's tag for this patch, "" if it does not, or the tag came again."""
    if back.patches and row.patch not in back.patches:
        return ""
    old, new = back.message.sender, message.sender
    if old is None or new is None or back.message is message:
        return ""
    newer = bool(back.patches) and row.given.version > back.answer.title.version
    if newer or message.follows(back.message):
        return ""
    if not (same_address(old, new) or (old.name and old.name.lower() == new.name.lower()) or same(old, new)):
        return ""
    return f"apparently taken back in <{back.message.id or back.message.where}>: {back.line[:80]}"


def unproven(message: Message) -> str:
    """Return why a mail proves nothing about who gave a tag, "" if it does."""
    if not message.id:
        return "the mail has no usable Message-ID, so there is no proof"
    return "" if message.sender else "the mail's From is not one address"
