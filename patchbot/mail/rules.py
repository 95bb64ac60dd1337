"""Check the mails, as they would be sent, against what the target tree's own documents ask of a series.

Each rule is a row: an id, what breaking it means, the document and a phrase of it, and a function that yields
problems; those that read only one mail are in wording.py. The phrase is looked up in the target tree, so a finding
names the line that a reviewer would point to; if a tree lacks the document, the rule does not apply there. What only a
person can know is an open box that is shown and never ticked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..git.repo import Repo
from ..model import Finding, Status
from . import wording
from .compose import Outbox
from .target import ASSISTANTS, Family, Profile, read_profile
from .wording import Case, Letter, Remarks

FAIL, WARN, BOX = Status.FAIL, Status.WARN, Status.SKIP

PROCESS = "Documentation/process"
SUBMITTING = f"{PROCESS}/submitting-patches.rst"
POSTING = f"{PROCESS}/5.Posting.rst"
CLIENTS = f"{PROCESS}/email-clients.rst"
NETDEV = f"{PROCESS}/maintainer-netdev.rst"
GENERATED = f"{PROCESS}/generated-content.rst"
BPF = "Documentation/bpf/bpf_devel_QA.rst"

#: The end of a mail with a base-commit: what comes behind it says which series it is, and what it needs.
BOTTOM = re.compile(r"^base-commit: .*\n(?:(?:change-id|prerequisite-[a-z-]+): .*\n)*(-- \n.*)?\s*\Z", re.M)
#: With more people than this on one mail, a list or a provider may take it for spam.
MANY = 60


@dataclass(frozen=True)
class Rule:
    """One rule; `family` limits it to one subsystem, `status` is what breaking it means."""

    id: str
    status: Status
    document: str
    phrase: str
    find: Callable[[Case], Remarks]
    family: Family = ""


def profile_of(repo: Repo, base: str, target: str, paths: Iterable[str]) -> Profile:
    """Return what the tree of `base` says about a series for `target` that touches `paths`, as far as rules need it."""
    return read_profile(repo, base, target, paths, {rule.document for rule in RULES})


def review(outbox: Outbox, profile: Profile) -> list[Finding]:
    """Return what the rules say about composed mails.

    FAIL and WARN are broken rules, SKIP an open box that a person ticks, PASS a number worth knowing. `type` is the
    rule's id, `file` the mail.
    """
    letters = tuple(Letter(mail, mail is outbox.cover) for mail in outbox.mails)
    case = Case(outbox, profile, letters)
    found = []
    for rule in RULES:
        if rule.family not in profile.families or rule.document not in profile.documents:
            continue
        source = profile.cite(rule.document, rule.phrase)
        for letter, text in rule.find(case):
            found.append(
                Finding(rule.status, f"{text} ({source})", letter.mail.file if letter else None, None, rule.id)
            )
    known = {rule.document for rule in RULES}
    for document in sorted(set(profile.profiles) - known):
        text = f"Read {document}, the profile of a touched section (P: in MAINTAINERS): patchbot has no rules of it."
        found.append(Finding(BOX, text, None, None, "P"))
    found += corrected(outbox)
    sizes = [len(mail.to) + len(mail.cc) for mail in outbox.mails]
    people = {name for mail in outbox.mails for name in (*mail.to, *mail.cc)}
    span = " to ".join(str(size) for size in sorted({min(sizes), max(sizes)}))
    text = f"{len(people)} people and lists get this series, and each mail goes to {span} of them."
    found.append(Finding(WARN if max(sizes) > MANY else Status.PASS, text, None, None, "R8"))
    return found


def says(text: str, when: Callable[[Case], bool] = lambda case: True) -> Callable[[Case], Remarks]:
    """Return the rule that says something about the series as a whole if a condition holds."""

    def find(case: Case) -> Remarks:
        if when(case):
            base, target = case.outbox.base[:12], case.profile.target
            yield None, text.format(base=base, target=target, patches=len(case.patches))

    return find


base_public = says(
    "Is base commit {base} public? No remote branch of this clone has it.", lambda case: not case.profile.public
)
base_target = says(
    "Is the base the tip of {target}? This clone has no remote {target}.",
    lambda case: case.profile.public.split("/", 1)[0] != case.profile.target,
)
too_many = says("The series has {patches} patches; post 15 of them and wait.", lambda case: len(case.patches) > 15)
merge_window = says(
    "Is the merge window closed? {target} takes nothing but RFCs while it is open.",
    lambda case: not case.outbox.posting.prefix.startswith("RFC"),
)
has_cover = says(
    "There is more than one patch, and no cover letter.",
    lambda case: len(case.patches) > 1 and case.outbox.cover is None,
)


def base_commit(case: Case) -> Remarks:
    """Ask for one base-commit line, at the very bottom of the first mail."""
    rows = [(letter, line) for letter in case.letters for line in re.findall(r"^base-commit: .*$", letter.body, re.M)]
    if len(rows) != 1 or rows[0][0] is not case.letters[0]:
        yield None, f"There are {len(rows)} base-commit lines; there must be one, in the first mail."
    for letter, line in rows:
        if not re.fullmatch(r"base-commit: (?:[0-9a-f]{40}|[0-9a-f]{64})", line):
            yield letter, f"This is not a full commit id: {line}"
        if not BOTTOM.search(letter.body):
            yield letter, "The line base-commit is not at the very bottom."


def base_point(case: Case) -> Remarks:
    """Ask whether people know the base."""
    if not case.profile.release and not case.profile.public:
        known = (
            f"Its tag {case.profile.tag} is not one of a kernel, as v7.3 is."
            if case.profile.tag
            else "No tag names it."
        )
        yield None, f"Is base commit {case.outbox.base[:12]} a release, or in the target's tree? {known}"


def shallow(case: Case) -> Remarks:
    """Ask for mails that are not threaded by hand."""
    for letter in case.letters:
        if letter.headers["in-reply-to"] or letter.headers["references"]:
            yield (
                letter,
                "The mail is threaded by hand; a new version is a thread of its own, which git send-email makes.",
            )


def signed(case: Case) -> Remarks:
    """Ask for the sender's Signed-off-by."""
    sender = str(case.outbox.posting.sender)
    missing = sum(("Signed-off-by", sender) not in letter.trailers for letter in case.patches)
    if missing:
        yield (
            None,
            f"{missing} of {len(case.patches)} patches lack your Signed-off-by. Read them, and if you can certify"
            f" the Developer's Certificate of Origin as {sender}, add it with --signoff.",
        )


def assisted(case: Case) -> Remarks:
    """Ask for Assisted-by if an assistant helped."""
    if case.profile.assisted_by and not any("Assisted-by" in dict(letter.trailers) for letter in case.patches):
        form = case.profile.assisted_by.removeprefix("Assisted-by:").strip()
        yield None, f"Did an assistant help with this? Then the patches need: Assisted-by: {form}"


def disclosed(case: Case) -> Remarks:
    """Ask the letter, or the single mail, for what it must say about a generated series."""
    text = re.sub(r"\s+", " ", case.letters[0].said).lower()
    wanted = {
        "the tool": "patchbot",
        "its input": "campaign|script",
        "which parts": "patches|changelog",
        "testing": "test",
    }
    for what, words in wanted.items():
        if not re.search(words, re.sub(r"https?://\S+", "", text)):
            yield case.letters[0], f"The letter does not say {what}, as it must for a generated series."


def linked(case: Case) -> Remarks:
    """Ask the letter where the tool's source is."""
    words = case.letters[0].said
    if not any("lore.kernel.org" not in url for url in re.findall(r"https?://\S+", words)):
        yield (
            case.letters[0],
            "The letter has no link to the tool's source; `url` in the campaign's table of patchbot.toml adds it.",
        )


def duplicates(case: Case) -> Remarks:
    """Ask for each tag and each address once."""
    for letter in case.letters:
        twice = [f"{name}: {value}" for (name, value), n in Counter(letter.trailers).items() if n > 1]
        addresses = [address_of(name) for name in (*letter.mail.to, *letter.mail.cc)]
        twice += [name for name, n in Counter(addresses).items() if n > 1]
        yield from ((letter, f"This is there twice: {name}") for name in twice)


def address_of(line: str) -> str:
    """Return the address in `Name <address>`, for comparison."""
    return re.sub(r"\A.*<([^<>]*)>", r"\1", line).lower()


def unusable(case: Case) -> Remarks:
    """Ask for addresses that can be used, one of them in To."""
    yield from ((None, f"get_maintainer.pl names no usable address: {line!r}") for line in case.outbox.rejected)
    for letter in case.letters:
        if not letter.mail.to:
            yield letter, "The mail goes to nobody."


def the_list(case: Case) -> Remarks:
    """Ask for the list that gets everything, and that Linus is not bothered."""
    for letter in case.letters:
        everybody = " ".join((*letter.mail.to, *letter.mail.cc))
        if "linux-kernel@vger.kernel.org" not in everybody:
            yield letter, "The list linux-kernel@vger.kernel.org does not get the mail."
        if "torvalds@" in everybody:
            yield letter, "Linus gets the mail, who wants no patches but those for him."


def guessed(case: Case) -> Remarks:
    """Name those who get nothing, as a path only looks like one of their section."""
    for section in sorted({person.section for person in case.outbox.guessed}):
        people = ", ".join(str(person) for person in case.outbox.guessed if person.section == section)
        yield None, f"A path only looks like one of {section} (N: in MAINTAINERS), so these get nothing: {people}"


def corrected(outbox: Outbox) -> list[Finding]:
    """Name whom a person's rules add, and whom they leave out."""
    total = len(outbox.mails) - (outbox.cover is not None)
    return [
        Finding(Status.PASS, f"{person} {verb} {number} of {total} patches, by {place}.", None, None, "R2")
        for verb, rows in (("gets also", outbox.added), ("does not get", outbox.dropped))
        for place, person, number in rows
    ]


def own_list(case: Case) -> Remarks:
    """Ask for the target's own lists."""
    for letter in case.letters:
        for name in case.profile.lists:
            if name not in (*letter.mail.to, *letter.mail.cc):
                yield letter, f"The list {name} does not get the mail."


RULES: tuple[Rule, ...] = (
    Rule("B1", FAIL, SUBMITTING, "the same ``base-commit`` trailer", base_commit),
    Rule("B2", BOX, SUBMITTING, "base commit is in an official maintainer/mainline tree", base_public),
    Rule("B3", BOX, POSTING, "start with a well-known release point", base_point),
    Rule("B6", BOX, BPF, "rebase the patches against those trees", base_target, "bpf"),
    Rule("B6", BOX, NETDEV, "designate your patch to a tree", base_target, "net"),
    Rule("B8", WARN, SUBMITTING, "only post say 15 or so at a time", too_many),
    Rule("B8", FAIL, NETDEV, "don't post large series", too_many, "net"),
    Rule("B10", BOX, NETDEV, "24 hours", says("Have 24 hours passed since this was last posted?"), "net"),
    Rule("B11", BOX, BPF, "when the merge window is open", merge_window, "bpf"),
    Rule("B11", BOX, NETDEV, "Do not send new ``net-next`` content", merge_window, "net"),
    Rule("B14", FAIL, POSTING, "--chain-reply-to", shallow),
    Rule("B15", FAIL, BPF, "must have a cover letter", has_cover, "bpf"),
    Rule("B15", WARN, POSTING, "introductory description as part zero", has_cover),
    Rule(
        "B16",
        BOX,
        POSTING,
        "complete changelog information",
        says("Do the changelogs say all that the cover letter says?"),
    ),
    Rule("S1", FAIL, SUBMITTING, "[PATCH 001/123] subsystem: summary phrase", wording.subject_form),
    Rule("S2", FAIL, BPF, "--subject-prefix='PATCH bpf-next'", wording.subject_target, "bpf"),
    Rule("S2", FAIL, NETDEV, "designate your patch to a tree", wording.subject_target, "net"),
    Rule("S3", FAIL, SUBMITTING, "must be no more than 70-75 characters", wording.summary_long),
    Rule("S3", WARN, SUBMITTING, "must be no more than 70-75 characters", wording.summary_longish),
    Rule("S3", FAIL, SUBMITTING, "Do not use the same ``summary phrase``", wording.summary_same),
    Rule("S4", WARN, SUBMITTING, "should identify which area or subsystem", wording.summary_prefix),
    Rule("S5", WARN, SUBMITTING, "what the patch changes, as well as why", wording.summary_tool),
    Rule("S6", FAIL, SUBMITTING, "should concisely describe the patch", wording.placeholders),
    Rule("S9", FAIL, SUBMITTING, "No MIME, no links, no compression, no attachments", wording.plain_text),
    Rule("S9", WARN, CLIENTS, "ASCII or UTF-8", wording.latin_bytes),
    Rule("C1", FAIL, SUBMITTING, "Describe your problem", wording.empty_log),
    Rule("C1", WARN, SUBMITTING, "imperative mood", wording.log_style),
    Rule(
        "C2", BOX, SUBMITTING, "self-contained", says("Can each changelog be read without the thread and the others?")
    ),
    Rule("C3", WARN, SUBMITTING, "line wrapped at 75 columns", wording.log_lines),
    Rule("C8", FAIL, SUBMITTING, "A marker line containing simply ``---``", wording.log_damage),
    Rule("C10", FAIL, SUBMITTING, "after the ``---`` marker is for a ``diffstat``", wording.diffstat),
    Rule("T2", BOX, SUBMITTING, "Developer's Certificate of Origin", signed),
    Rule("T8", BOX, ASSISTANTS, "Contributions should include an Assisted-by tag", assisted),
    Rule("T9", FAIL, GENERATED, "What tools were used?", disclosed),
    Rule("T9", WARN, GENERATED, "The input to the tools you used", linked),
    Rule("T12", FAIL, SUBMITTING, "Sign your work", duplicates),
    Rule("T12", FAIL, SUBMITTING, "A Reviewed-by tag is a statement of opinion", wording.misspelt),
    Rule("T12", WARN, SUBMITTING, "A Reviewed-by tag is a statement of opinion", wording.nearly),
    Rule("R1", FAIL, SUBMITTING, "always copy the appropriate subsystem maintainer", unusable),
    Rule("R2", WARN, SUBMITTING, "should be used by default for all patches", the_list),
    Rule("R2", Status.PASS, SUBMITTING, "do not spam unrelated lists and unrelated people", guessed),
    Rule("R6", FAIL, BPF, "bpf@vger.kernel.org", own_list, "bpf"),
)
