"""The mails apply with git am on the base, in order, and give exactly the tree and message of each commit.

It is one run of git am on all mails, in a repository and work tree made for it. That work tree has only the files that
the series touches, so 30 patches on a full kernel take 3 s instead of a checkout of 90,000 files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import closing

from patchbot import temporary
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.errors import ToolError
from patchbot.git.am import apply_mails
from patchbot.git.commits import Written, read_commit
from patchbot.git.diffs import mail_parts, read_diff
from patchbot.git.repo import Scratch
from patchbot.model import Finding, Status

NEEDS = {"git": "git"}
WAIVABLE = False
OPTIONS = ()


def key_series(subject: Subject) -> str:
    """Return the input of git am, and what its result is compared with."""
    read = hashlib.sha256(subject.repo.tree_of(subject.base).encode())
    for item in subject.items:
        mail = subject.mail(item)
        read.update(b"%b %d %b" % (item.tree.encode(), len(mail), mail))
    return read.hexdigest()


def check_each(subject: Subject) -> Sequence[Outcome]:
    """Apply the whole series and judge each patch; those after a failure are SKIP."""
    log = subject.log("applies", None)
    with (
        temporary.folder("am") as folder,
        closing(Scratch.at(folder / "git", subject.repo, subject.scratch.objects)) as scratch,
    ):
        done = apply_mails(scratch, subject.base, [subject.mail(item) for item in subject.items], folder)
        temporary.replace(log, done.stdout + done.stderr)
        commits = [read_commit(scratch, commit.sha) for commit in scratch.commits(subject.base, "HEAD")]
        if done.returncode < 0 or (done.returncode == 0) != (len(commits) == len(subject.items)):
            raise ToolError(f"git am made {len(commits)} commits of {len(subject.items)} mails: {done.explain()}")
        outcomes: list[Outcome] = []
        for number, item in enumerate(subject.items):
            reproduce = f"git checkout --detach {subject.base[:12]} && git am <the first {number + 1} mails>"
            if any(o.status is not Status.PASS for o in outcomes):
                outcomes.append(Outcome(Status.SKIP, reason="an earlier patch does not apply"))
                continue
            if number < len(commits):
                findings = compare(scratch, item, commits[number], read_commit(scratch, item.commit))
            else:
                findings = explain(done.stdout + b"\n" + done.stderr, subject.mail(item))
            outcomes.append(Outcome.of(findings, examined=1, log=log, reproduce=reproduce))
    return outcomes


def compare(scratch: Scratch, item: Item, applied: Written, wanted: Written) -> list[Finding]:
    """Return how the commit that git am made differs from the one that the mail was made from.

    A message may be longer than the commit's: the mail may carry more trailers.
    """
    findings = []
    if applied.tree != item.tree:
        first = scratch.changed_paths(item.tree, applied.tree)[0]
        text = f"the mail applies, but gives another tree than commit {item.commit[:12]}: {first} differs"
        findings.append(Finding(Status.FAIL, text, first, None, "TREE"))
    pairs = zip(applied.message.strip().splitlines() + [""] * 1000, wanted.message.strip().splitlines(), strict=False)
    for got, want in pairs:
        if got.rstrip() != want.rstrip():
            text = f"git am does not keep the commit message: {want!r} became {got!r}"
            findings.append(Finding(Status.FAIL, text, type="MESSAGE"))
            break
    return findings


def explain(output: bytes, mail: bytes) -> list[Finding]:
    """Return what git am says about the mail where it stopped; raise ToolError if it is not about the mail."""
    text = output.decode("utf-8", "replace")
    found = []
    parted = mail_parts(mail.decode("utf-8", "surrogateescape"))
    failed = re.findall(r"^error: patch failed: (.*):(\d{1,9})$", text, re.M)
    # git read the whole diff of the mail before it tried a hunk, so the diff is complete.
    rows = [row for row in read_diff(parted[2]) if row.kind == "@"] if failed else []
    for file, line in failed:
        own = (r.text for r in rows if r.path == file and re.match(rf"@@ -{line}[, ]", r.text))
        hunk = next(own, f"@@ -{line} @@")
        found.append(Finding(Status.FAIL, f"this hunk does not apply: {hunk}", file, int(line), "HUNK"))
    errors = re.findall(r"^(?:error|fatal): (?!patch failed)(.*)$", text, re.M)
    if not found:
        for error in errors:
            where = re.search(r"corrupt patch at (?:line |(?:(?!corrupt patch at ).)*:)(\d{1,9})", error)
            hint = f": {mail_line(parted[1] + parted[2], int(where[1]))}" if where else ""
            found.append(Finding(Status.FAIL, f"git am: {error}{hint}", type="CORRUPT" if where else "AM"))
    if not found and "Patch is empty" in text:
        found.append(Finding(Status.FAIL, "git am: the mail holds no patch", type="EMPTY"))
    if not found:
        raise ToolError(f"git am stopped without saying why:\n{text.strip()[-600:]}")
    return found


def mail_line(patch: str, number: int) -> str:
    """Return a line of the patch by git's number, counted from the mail's `---` line or from its diff."""
    lines = patch.splitlines()
    return repr(lines[number - 1]) if 0 < number <= len(lines) else f"line {number}"
