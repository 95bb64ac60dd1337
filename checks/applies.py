"""The mails apply with git am on the base, one on the other, and give exactly the tree and message of each commit.

One run of git am over all mails, in a repository and work tree made for it. Only the files that the series touches are
in that work tree, so 30 patches on a full kernel take 3 s instead of a checkout of 90,000 files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from patchbot import temporary
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.errors import ToolError
from patchbot.git.repo import Scratch
from patchbot.model import Finding, Status
from patchbot.run import Completed

NEEDS = {"git": "git"}
WAIVABLE = False

#: git am makes commits; its scratch repository knows no person.
ENV = {"GIT_COMMITTER_NAME": "patchbot", "GIT_COMMITTER_EMAIL": "patchbot@localhost"}
#: git am writes the index for each patch: of a whole kernel that takes 80 ms, of what changed 15.
SPLIT = ("-c", "core.splitIndex=true")


@dataclass(frozen=True)
class Applied:
    """A commit that git am made."""

    tree: str
    message: str


def key_series(subject: Subject) -> str:
    """Return what git am reads and what its result is compared with."""
    read = hashlib.sha256(subject.repo.tree_of(subject.base).encode())
    for item in subject.items:
        mail = subject.mail(item)
        read.update(b"%b %d %b" % (item.tree.encode(), len(mail), mail))
    return read.hexdigest()


def check_each(subject: Subject) -> Sequence[Outcome]:
    """Apply the whole series and judge each patch; what follows a failure is SKIP."""
    log = subject.log("applies", None)
    with temporary.folder("am") as folder:
        scratch = Scratch.at(folder / "git", subject.repo, subject.scratch.objects)
        done = apply_mails(subject, scratch, folder)
        temporary.replace(log, done.stdout + done.stderr)
        commits = read_commits(scratch, "--reverse", f"{subject.base}..HEAD")
        if done.returncode < 0 or (done.returncode == 0) != (len(commits) == len(subject.items)):
            raise ToolError(f"git am made {len(commits)} commits of {len(subject.items)} mails: {done.explain()}")
        wanted = read_commits(scratch, "--no-walk=unsorted", *(item.commit for item in subject.items))
        outcomes: list[Outcome] = []
        for number, item in enumerate(subject.items):
            reproduce = f"git checkout --detach {subject.base[:12]} && git am <the first {number + 1} mails>"
            if any(o.status is not Status.PASS for o in outcomes):
                outcomes.append(Outcome(Status.SKIP, reason="an earlier patch does not apply"))
                continue
            if number < len(commits):
                findings = compare(scratch, item, commits[number], wanted[number])
            else:
                findings = explain(done.stdout + b"\n" + done.stderr, subject.mail(item))
            outcomes.append(Outcome.of(findings, examined=1, log=log, reproduce=reproduce))
    return outcomes


def apply_mails(subject: Subject, scratch: Scratch, folder: Path) -> Completed:
    """Run git am over all mails in a work tree that holds nothing but the files it needs."""
    tree = folder / "tree"
    tree.mkdir()
    mails = []
    for number, item in enumerate(subject.items, 1):
        mails.append(folder / f"{number:04}.patch")
        mails[-1].write_bytes(subject.mail(item))
    env = {**ENV, "GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(tree)}
    scratch.git("update-ref", "--no-deref", "HEAD", subject.base, env=env)
    scratch.git("read-tree", subject.base, env=env)
    listing = scratch.git("ls-files", "-z", env=env).stdout
    scratch.git(*SPLIT, "update-index", "-z", "--skip-worktree", "--stdin", stdin=listing, env=env)
    # git am itself writes out a file that it needs and that is not there, so no file has to be named here.
    argv = (*SPLIT, "-c", "advice.mergeConflict=false", "am", "--no-3way", *map(str, mails))
    return scratch.git(*argv, check=False, env=env, cwd=tree)


def read_commits(scratch: Scratch, *revisions: str) -> list[Applied]:
    """Return tree and message of the commits that git log names, in its order."""
    rows = scratch.git("log", "-z", "--format=%T%n%B", *revisions, "--").stdout
    found = []
    for row in rows.decode("utf-8", "surrogateescape").split("\0"):
        if row:
            tree, _, message = row.partition("\n")
            found.append(Applied(tree, message.strip()))
    return found


def compare(scratch: Scratch, item: Item, applied: Applied, wanted: Applied) -> list[Finding]:
    """Return how the commit that git am made differs from the one that the mail was made of.

    A message may be longer than the commit's: the mail may carry more trailers.
    """
    findings = []
    if applied.tree != item.tree:
        rows = scratch.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", item.tree, applied.tree).stdout
        first = rows.split(b"\0")[0].decode("utf-8", "surrogateescape")
        text = f"the mail applies but gives another tree than commit {item.commit[:12]}: {first} differs"
        findings.append(Finding(Status.FAIL, text, first, None, "TREE"))
    pairs = zip(applied.message.splitlines() + [""] * 1000, wanted.message.splitlines(), strict=False)
    for got, want in pairs:
        if got.rstrip() != want.rstrip():
            text = f"git am does not keep the commit message: {want!r} became {got!r}"
            findings.append(Finding(Status.FAIL, text, None, None, "MESSAGE"))
            break
    return findings


def explain(output: bytes, mail: bytes) -> list[Finding]:
    """Return what git am says about the mail that it stopped at; raise ToolError if that is not about the mail."""
    text = output.decode("utf-8", "replace")
    found = []
    heads = hunks(mail.decode("utf-8", "surrogateescape"))
    for file, line in re.findall(r"^error: patch failed: (.*):(\d{1,9})$", text, re.M):
        hunk = heads.get((file, int(line)), f"@@ -{line} @@")
        found.append(Finding(Status.FAIL, f"this hunk does not apply: {hunk}", file, int(line), "HUNK"))
    errors = re.findall(r"^(?:error|fatal): (?!patch failed)(.*)$", text, re.M)
    if not found:
        for error in errors:
            where = re.search(r"corrupt patch at (?:line |(?:(?!corrupt patch at ).)*:)(\d{1,9})", error)
            hint = f": {mail_line(mail, int(where[1]))}" if where else ""
            found.append(Finding(Status.FAIL, f"git am: {error}{hint}", None, None, "CORRUPT" if where else "AM"))
    if not found and "Patch is empty" in text:
        found.append(Finding(Status.FAIL, "git am: the mail holds no patch", None, None, "EMPTY"))
    if not found:
        raise ToolError(f"git am stopped without saying why:\n{text.strip()[-600:]}")
    return found


def hunks(mail: str) -> dict[tuple[str, int], str]:
    """Return the headers of a mail's hunks by file and first old line."""
    found: dict[tuple[str, int], str] = {}
    file = ""
    for line in mail.split("\n"):
        if line.startswith("diff --git "):
            file = line.rpartition(" b/")[2]
        elif hunk := re.match(r"@@ -(\d{1,9})[, ]", line):
            found.setdefault((file, int(hunk[1])), line)
    return found


def mail_line(mail: bytes, number: int) -> str:
    """Return a line of the patch by git's count, which starts after the mail's `---` line or at its diff."""
    body = mail.decode("utf-8", "surrogateescape")
    start = re.search(r"^---$|^diff --git ", body, re.M)
    lines = body[start.start() if start else 0 :].splitlines()
    return repr(lines[number - 1]) if 0 < number <= len(lines) else f"line {number}"
