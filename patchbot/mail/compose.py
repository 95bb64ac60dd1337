"""Turn commits into the files that `git send-email` sends: the same bytes on every machine, whoever runs it.

git format-patch makes the mail of each patch; what it does not know is added here: the recipients and the cover letter.
Nothing here sends or signs; a Signed-off-by is the person's own and is added only on request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UserError
from ..git.commits import read_commit
from ..git.diffs import mail_parts
from ..git.formatpatch import add_trailer, diffstat, format_patches, patch_mails, portable
from ..git.repo import Scratch
from ..model import Commit, Identity
from ..series import render
from ..shapes import TREE
from .folder import write_folder
from .headers import date_of_git, encoded, formatted, with_headers
from .recipients import Recipient, Recipients, once
from .sending import send_line

COVER = "0000-cover-letter.patch"


@dataclass(frozen=True)
class Posting:
    """How a series is posted. `rfc` None means: version 1 is an RFC. `lists` are the target's own mailing lists.

    `notes` is {commit: lines for below the `---` of its mail}, `settings` are those of `sending`. `base` is the commit
    that people have, if the patches are on top of others; `foot` are the lines below it in the first mail. `range_diff`
    are lines for that mail, and `finish` makes the letter of the rendered template.
    """

    campaign: str
    target: str
    sender: Identity
    version: int = 1
    rfc: bool | None = None
    signoff: bool = False
    date: datetime | None = None
    template: str = "cover-letter.txt.j2"
    most: int = 15
    folder: Path | None = None
    lists: tuple[str, ...] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    foot: tuple[str, ...] = ()
    range_diff: tuple[str, ...] = ()
    finish: Callable[[str], str] = str

    @property
    def prefix(self) -> str:
        """Return the text in the brackets before the number, such as `RFC PATCH bpf-next v2`."""
        if self.target and not TREE.match(self.target):
            raise UserError(
                f"{self.target!r} cannot be the name of a tree in a subject; campaigns.*.target should be like bpf-next"
            )
        rfc = self.version == 1 if self.rfc is None else self.rfc
        words = ("RFC" if rfc else "", "PATCH", self.target, f"v{self.version}" if self.version > 1 else "")
        return " ".join(filter(None, words))


@dataclass(frozen=True)
class Mail:
    """One file to send."""

    file: str
    subject: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    data: bytes
    commit: str = ""


@dataclass(frozen=True)
class Outbox:
    """A composed series; `waiting` is (tree, subjects) of patches not posted with it, `rejected` unusable addresses.

    `guessed` are people who get nothing, as a path only looks like theirs (see Recipients). `added` and `dropped` are
    (file:line of the rule, person, number of patches). `letter` is the text of the cover letter; of a single patch, its
    subject and what its mail says below the `---`.
    """

    base: str
    posting: Posting
    mails: tuple[Mail, ...]
    waiting: tuple[tuple[str, tuple[str, ...]], ...] = ()
    rejected: tuple[str, ...] = ()
    guessed: tuple[Recipient, ...] = ()
    added: tuple[tuple[str, Recipient, int], ...] = ()
    dropped: tuple[tuple[str, Recipient, int], ...] = ()
    letter: str = ""

    @property
    def cover(self) -> Mail | None:
        """Return the cover letter, None for a single patch."""
        return self.mails[0] if self.mails[0].file == COVER else None

    def write(self, folder: Path) -> None:
        """Put the mails into `folder`, all or none."""
        write_folder(folder, {mail.file: portable(mail.data) for mail in self.mails})

    def send_line(self, folder: Path) -> str:
        """Return the shell line that sends the mails in `folder`."""
        return send_line(folder, self.posting.lists, self.posting.settings)

    def document(self, folder: Path | None) -> dict[str, Any]:
        """Return the document of `mail --json` without its schema; without a folder, that of no files."""
        return {
            **({"dir": str(folder.resolve())} if folder else {}),
            "series": [self.files(folder.resolve())] if folder else [],
            "waiting": [{"target": target, "subjects": list(subjects)} for target, subjects in self.waiting],
            "rejected": list(self.rejected),
            **{
                name: [{"rule": place, "who": str(person), "patches": number} for place, person, number in rows]
                for name, rows in (("added", self.added), ("dropped", self.dropped))
            },
        }

    def files(self, where: Path) -> dict[str, Any]:
        """Return the document of the files in a folder."""
        return {
            "target": self.posting.target,
            "cover": str(where / COVER) if self.cover else None,
            "files": [str(where / mail.file) for mail in self.mails],
            "to": unique(name for mail in self.mails for name in mail.to),
            "cc": unique(name for mail in self.mails for name in mail.cc),
            "recipients": {mail.file: len(mail.to) + len(mail.cc) for mail in self.mails},
            "send": self.send_line(where),
        }


def choose(
    commits: Sequence[Commit], targets: Mapping[str, str], target: str, most: int
) -> tuple[list[Commit], list[tuple[str, tuple[str, ...]]]]:
    """Return the commits to post now, and (tree, subjects) of those that wait.

    The start of the branch is posted, as far as it is for `target` ({commit: tree}), but at most `most`: a mail for a
    commit further up would not apply to the base.
    """
    posted: list[Commit] = []
    for commit in commits:
        if len(posted) == most or targets.get(commit.sha, target) != target:
            break
        posted.append(commit)
    waiting: dict[str, list[str]] = {}
    for commit in commits[len(posted) :]:
        waiting.setdefault(targets.get(commit.sha, target), []).append(commit.subject)
    return posted, [(name, tuple(subjects)) for name, subjects in waiting.items()]


def make_mails(
    scratch: Scratch,
    base: str,
    commits: Sequence[Commit],
    targets: Mapping[str, str],
    posting: Posting,
    facts: Mapping[str, Any],
    who_gets: Callable[[Sequence[bytes]], Sequence[Recipients]],
) -> Outbox:
    """Compose the mails of the next series of a branch.

    `commits` are those of the branch, `targets` the tree of each; `facts` are the variables of the cover letter:
    `patches`, `waiting` and `rfc` are added, and its `results`, (check, commit or None, status), become (check,
    {status: patches}) of the posted ones; `who_gets` answers for plain mails, as recipients.recipients() does.
    """
    insist_fit(posting.sender, commits)
    posted, waiting = choose(commits, targets, posting.target, posting.most)
    if not posted:
        raise UserError(
            f"the branch does not start with a patch for {posting.target or 'this tree'}; --all, or --tree, posts what"
            " there is for other trees (see patchbot status)"
        )
    plain = patch_mails(scratch, base, posted)
    who = who_gets([plain[commit.sha] for commit in posted])
    results = counted(facts.get("results", ()), {commit.sha for commit in posted})
    if len(posted) == 1:
        (alone,) = posted
        known = {**facts, "patches": [(alone.subject, posting.target)]}
        below = [*posting.notes.get(alone.sha, ()), *below_single(posting.campaign, known, results)]
        text = "\n".join([alone.subject, "", *below])
        below += ["", *posting.range_diff, ""] if posting.range_diff else [""]
        posting = replace(posting, notes={**posting.notes, alone.sha: below})
    mails = compose_patches(scratch, base, posted, posting, who)
    if len(posted) > 1:
        text = posting.finish(render_letter(posted, waiting, posting, facts))
        mails.insert(0, compose_cover(scratch, base, posted, posting, text, addressed(who, posting.lists)))
    rejected = tuple(unique(line for people in who for line in people.rejected))
    guessed = tuple(once(person for people in who for person in people.guessed).values())
    added = by_rule(row for people in who for row in people.added)
    dropped = by_rule(row for people in who for row in people.dropped)
    return Outbox(posting.base or base, posting, tuple(mails), tuple(waiting), rejected, guessed, added, dropped, text)


def render_letter(
    posted: Sequence[Commit],
    waiting: Sequence[tuple[str, Sequence[str]]],
    posting: Posting,
    facts: Mapping[str, Any],
) -> str:
    """Return the text of the cover letter as it is generated: subject, blank line, body."""
    known = {"changes": "", **facts, "patches": [(c.subject, posting.target) for c in posted]}
    known["prefixes"] = unique(c.subject.partition(":")[0] for c in posted)
    known["waiting"] = waiting or facts.get("waits", ())
    known["results"] = list(counted(facts.get("results", ()), {commit.sha for commit in posted}).items())
    known["rfc"] = posting.prefix.startswith("RFC")
    return render.message(posting.campaign, posting.folder, posting.template, **known)


def by_rule(rows: Iterable[tuple[str, Recipient]]) -> tuple[tuple[str, Recipient, int], ...]:
    """Return (file:line of the rule, person, number of patches)."""
    people: dict[tuple[str, str], list[Recipient]] = {}
    for place, person in rows:
        people.setdefault((place, person.email.lower()), []).append(person)
    return tuple((place, found[0], len(found)) for (place, _), found in people.items())


def counted(rows: Iterable[tuple[str, str | None, str]], commits: Set[str]) -> dict[str, Counter[str]]:
    """Return {check: {status: how often}} of recorded results of `commits`, and of the series as a whole."""
    found: dict[str, Counter[str]] = {}
    for check, commit, status in rows:
        if commit is None or commit in commits:
            found.setdefault(check, Counter())[status] += 1
    return found


def below_single(campaign: str, facts: Mapping[str, Any], results: Mapping[str, Counter[str]]) -> list[str]:
    """Return what the mail of a single patch says of its making and of what it needs, as there is no cover letter."""
    tool = {"name": "patchbot", "version": __version__, "url": ""} | facts.get("tool", {})
    known = {"needs": (), "part": None, "since": None, "thing": "site", **facts, "tool": tool, "campaign": campaign}
    known["results"] = [f"{check} {', '.join(counts)}" for check, counts in results.items()]
    return re.sub(r"\n{3,}", "\n\n", render.render("campaign/single.txt.j2", **known)).strip("\n").split("\n")


def insist_fit(sender: Identity, commits: Sequence[Commit]) -> None:
    """Raise UserError for a sender or a subject that no header can hold."""
    if re.search(r"[<>\x00-\x1f\x7f]", f"{sender.name}{sender.email}"):
        raise UserError(f"a control character or bracket in the sender {str(sender)!r} would end the mail's header")
    for commit in commits:
        if wrong := render.unfit(f"    {commit.subject}"):
            raise UserError(f"{commit.sha[:12]}: {wrong} in its subject {commit.subject!r}; reword it on the branch")


def compose_patches(
    scratch: Scratch, base: str, commits: Sequence[Commit], posting: Posting, who: Sequence[Recipients]
) -> list[Mail]:
    """Return the mails of the patches, as format-patch makes them, to the recipients of each."""
    env = {"GIT_COMMITTER_NAME": posting.sender.name, "GIT_COMMITTER_EMAIL": posting.sender.email}
    options = [f"--subject-prefix={posting.prefix}", f"--from={posting.sender}", f"--signature=patchbot {__version__}"]
    options += ["--numbered"] if len(commits) > 1 else ["--no-numbered", f"--base={posting.base or base}"]
    rows = format_patches(scratch, base, commits, options, env)
    mails = []
    for number, ((file, data), commit, people) in enumerate(zip(rows, commits, who, strict=True), 1):
        to, cc = addressed([people], posting.lists)
        date = posting.date and posting.date + timedelta(seconds=number)
        data = with_signoff(scratch, data, posting.sender) if posting.signoff else data
        data = with_foot(data, posting.foot) if len(commits) == 1 else data
        data = with_headers(with_notes(data, posting.notes.get(commit.sha, ())), to, cc, date)
        mails.append(Mail(file, commit.subject, tuple(map(str, to)), tuple(map(str, cc)), data, commit.sha))
    return mails


def with_signoff(scratch: Scratch, mail: bytes, sender: Identity) -> bytes:
    """Return a mail of format-patch with a person's Signed-off-by, unless it has it.

    `format-patch --signoff` adds it below a `---` that a person wrote into the message, where git am cuts it off.
    """
    log, below, diff = mail_parts(mail.decode("utf-8", "surrogateescape"))
    head, _, body = log.partition("\n\n")
    signed = add_trailer(scratch, body.encode("utf-8", "surrogateescape"), f"Signed-off-by: {sender}")
    return b"".join([head.encode(), b"\n\n", signed, f"{below}{diff}".encode("utf-8", "surrogateescape")])


def with_notes(mail: bytes, notes: Sequence[str]) -> bytes:
    """Return a mail of format-patch with lines below its `---`, where git am cuts them off."""
    head, line, rest = mail.partition(b"\n---\n")
    return b"".join([head, line, *(note.encode("utf-8", "surrogateescape") + b"\n" for note in notes), rest])


def with_foot(mail: bytes, foot: Sequence[str]) -> bytes:
    """Return a mail of format-patch with lines below its base-commit, in the place of git's own."""
    head, found, rest = mail.rpartition(b"\nbase-commit: ")
    base, _, rest = rest.partition(b"\n")
    # git 2.39 gives some patches another id here than git patch-id does.
    rest = re.sub(rb"\A(?:prerequisite-patch-id: .*\n)+", b"", rest)
    return b"".join([head, found, base, b"\n", "".join(f"{line}\n" for line in foot).encode(), rest])


def addressed(who: Sequence[Recipients], lists: Sequence[str]) -> tuple[list[Recipient], list[Recipient]]:
    """Return (To, Cc) of a mail to all of `who`: the target's lists and the maintainers, and all others."""
    to = once([*map(Recipient, lists), *(person for people in who for person in people.to)])
    cc = {key: r for key, r in once(person for people in who for person in people.cc).items() if key not in to}
    if not to:  # without a maintainer, the lists
        to, cc = {k: r for k, r in cc.items() if r.is_list}, {k: r for k, r in cc.items() if not r.is_list}
    return list(to.values()), list(cc.values())


def compose_cover(
    scratch: Scratch,
    base: str,
    commits: Sequence[Commit],
    posting: Posting,
    text: str,
    people: tuple[list[Recipient], list[Recipient]],
) -> Mail:
    """Return the cover letter: `text` is subject, blank line, body; shortlog, diffstat and base-commit follow it."""
    subject, _, body = text.partition("\n\n")
    number = f"[{posting.prefix} {'0' * len(str(len(commits)))}/{len(commits)}]"
    logged = [read_commit(scratch, commit.sha) for commit in commits]
    shortlog: dict[str, list[str]] = {}
    for commit, written in zip(commits, logged, strict=True):
        shortlog.setdefault(written.author.name, []).append(f"  {commit.subject}\n")
    summary = "\n".join(f"{author} ({len(lines)}):\n{''.join(lines)}" for author, lines in shortlog.items())
    date = posting.date or date_of_git(logged[-1].date)
    head = [
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001",
        f"From: {formatted(posting.sender.name, posting.sender.email)}",
        f"Date: {format_datetime(date)}",
        f"Subject: {encoded(f'{number} {subject}', 'Subject')}",
    ]
    letter = f"{body.rstrip()}\n\n{summary}\n".encode("utf-8", "replace")
    stat = diffstat(scratch, base, commits[-1].sha)
    if posting.range_diff:
        stat += "\n".join(["", *posting.range_diff, ""]).encode("utf-8", "replace")
    foot = "".join(f"{line}\n" for line in posting.foot)
    tail = f"\nbase-commit: {posting.base or base}\n{foot}-- \npatchbot {__version__}\n\n"
    data = "\n".join(head).encode() + b"\n\n" + letter + stat + tail.encode()
    to, cc = people
    return Mail(COVER, subject, tuple(map(str, to)), tuple(map(str, cc)), with_headers(data, to, cc, None))


def unique(names: Any) -> list[str]:
    """Return names without repetitions."""
    return list(dict.fromkeys(names))
