"""Measure the changes of a whole tree by a campaign: renamed words, a SmPL script, mails for many owners.

The kernel is the oldest of the cache, where the words still stand. Beside each row is what the work costs at least: git
that reads and writes the same files, spatch that runs alone, get_maintainer.pl for each patch; of long ones a part is
timed. `python tests/bench/treewide.py REPO REV` looks up the owners of all .c files and does nothing else.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from patchbot.git.fastimport import NewCommit
from patchbot.git.formatpatch import patch_mails
from patchbot.git.repo import Repo, Scratch
from patchbot.git.transaction import publish
from patchbot.mail.recipients import READ, ask, export
from patchbot.model import Entry, Identity
from patchbot.run import run, which
from patchbot.sandbox import NORMAL
from patchbot.series import maintainers

PATCHBOT = [sys.executable, "-m", "patchbot.cli"]
WHO, DATE = Identity("Some Body", "s@example.org"), "1767225700 +0000"
CORES = len(os.sched_getaffinity(0))
WORDS = ("*.c", "*.h", "*.S")
RENAME = """\
title = "treewide: Measure"
target = "tip"
[sites]
words = [{words}]
[[sites.keep]]
path = "include/linux/"
reason = "it declares the name"
[[steps]]
name = "rename"
{codemod}
message = "rename.txt"
split = "owner"
independent = true
"""
SCRIPT = "".join(
    f"@@\nexpression E;\n@@\n- {old}(E)\n+ {new}(E)\n\n"
    for old, new in (("del_timer", "timer_delete"), ("del_timer_sync", "timer_delete_sync"))
)
CAMPAIGNS = {
    "words": ('"remove_new"', 'words = { remove_new = "remove" }'),
    "cocci": ('"del_timer", "del_timer_sync"', 'cocci = "rename.cocci"'),
}
#: One file in so many is timed where all of them take minutes.
PART = 16
#: How many files a base that moved has changed.
MOVED = 500


@dataclass(frozen=True)
class Row:
    """A command to measure: its name, the seconds that are the goal, and what gives those that it costs at least."""

    name: str
    argv: Sequence[str]
    goal: float = 0.0
    floor: Callable[[], float] = lambda: 0.0


def rows(place: Path, kernel: Path, rev: str) -> Iterator[Row]:
    """Yield what to measure of a kernel, in order; a row may need what those before it made."""
    repo = Repo.open(kernel)
    files = {
        name: [p for p in repo.grep(rev, list(words), list(WORDS), word=True) if not p.startswith("include/")]
        for name, words in (("words", ["remove_new"]), ("cocci", ["del_timer", "del_timer_sync"]))
    }
    moved = move(place, repo, rev, files["words"][:: max(1, len(files["words"]) // MOVED)][:MOVED])
    words, cocci, timer = (at(kernel, write(place), name) for name in ("words", "cocci", "timer_delete"))
    many, few = len(files["words"]), len(files["cocci"])
    yield Row(f"words, {many} files: scan", words("scan", "--base", rev))
    yield Row(
        "words: generate", words("generate", "--base", rev), 20, partial(of_git, place, repo, rev, files["words"])
    )
    yield Row(f"words: {MOVED} files moved", words("regenerate", "--onto", moved), 5)
    alone = partial(of_spatch, place, repo, rev, files["cocci"])
    yield Row(f"cocci, {few} files: scan", cocci("scan", "--base", rev), 0, alone)
    yield Row("cocci: scan again", cocci("scan", "--base", rev), 5)
    yield Row("timer_delete: plan", timer("generate", "--dry-run", "--base", rev))
    yield Row("timer_delete: generate", timer("generate", "--base", rev))
    mails = place / "mails"
    yield Row("its mails", timer("mail", "--all", "-o", str(mails)), 60 / CORES, partial(of_perl, place, repo, rev))
    yield Row("its mails again", timer("mail", "--all", "-o", str(mails)), 5)
    yield Row("its check applies", timer("check", "--only", "applies"), 20)
    sources = sum(path.endswith(".c") for path in repo.ls(rev))
    yield Row(f"owners of {sources} files", [sys.executable, __file__, str(kernel), rev], sources * 0.0002)


def write(place: Path) -> Path:
    """Write the campaigns and return the patchbot.toml that names them."""
    config = place / "campaigns.toml"
    for name, (words, codemod) in CAMPAIGNS.items():
        folder = place / name
        folder.mkdir(exist_ok=True)
        (folder / "campaign.toml").write_text(RENAME.format(words=words, codemod=codemod))
        (folder / "rename.txt").write_text("{{ prefix }}: Rename\n\nAt {{ sites }} places.\n")
        (folder / "rename.cocci").write_text(SCRIPT)
    config.write_text("".join(f'[campaigns.{name}]\npath = "{name}"\n' for name in CAMPAIGNS))
    return config


def at(kernel: Path, config: Path, campaign: str) -> Callable[..., list[str]]:
    """Return what makes the command lines about a campaign."""
    known = ["--kernel", str(kernel), "--config", str(config), "--json"]
    return lambda command, *more: [*PATCHBOT, command, campaign, *more, *known]


def move(place: Path, repo: Repo, rev: str, paths: Sequence[str]) -> str:
    """Commit a line at the end of some files upon a revision; return the commit."""
    found = repo.ls(rev)
    files = {path: Entry(found[path][0], (repo.read(rev, path) or b"") + b"/* moved */\n") for path in paths}
    scratch = Scratch.at(place / "moved.git", repo)
    (made,) = scratch.write(rev, [NewCommit("", "treewide: Move\n", WHO, DATE, files)])
    publish(repo, scratch, [("refs/heads/moved-much", made.sha, None)])
    return made.sha


def of_git(place: Path, repo: Repo, rev: str, paths: Sequence[str]) -> float:
    """Return the seconds that git takes to read files and to write each of them anew."""
    there = repo.ls(rev)
    started = time.monotonic()
    texts = dict(repo.blobs({there[path][1] for path in paths}))
    files = {path: Entry(there[path][0], texts[there[path][1]] + b"\n") for path in paths}
    Scratch.at(place / "floor.git", repo).write(rev, [NewCommit("", "floor\n", WHO, DATE, files)])
    return time.monotonic() - started


def of_spatch(place: Path, repo: Repo, rev: str, paths: Sequence[str]) -> float:
    """Return the seconds that spatch takes for files, one by one on each core, by every PARTth of them."""
    program, script = which("spatch", "coccinelle"), place / "cocci/rename.cocci"
    part = paths[::PART]
    seconds = 0.0
    with tempfile.TemporaryDirectory(dir=place) as name:
        for path in part:
            file = Path(name, Path(path).name)
            file.write_bytes(repo.read(rev, path) or b"")
            started = time.monotonic()
            run([program, "--no-includes", "--sp-file", script, "--in-place", file], check=False)
            seconds += time.monotonic() - started
    return seconds / len(part) * len(paths) / CORES


def of_perl(place: Path, repo: Repo, rev: str) -> float:
    """Return the seconds that get_maintainer.pl takes for the patches of timer_delete, by the first four of them."""
    scratch = Scratch.at(place / "asked.git", repo)
    commits = repo.commits(rev, repo.resolve("refs/heads/patchbot/timer_delete"))
    mails = patch_mails(scratch, rev, commits[:4])
    export({path: data for path in READ if (data := repo.read(rev, path)) is not None}, [], place / "asked")
    perl, started = which("perl", "perl"), time.monotonic()
    for mail in mails.values():
        ask(perl, place / "asked", NORMAL, mail)
    return (time.monotonic() - started) / 4 * len(commits) / CORES


def owners(kernel: str, rev: str) -> None:
    """Look up the owners of all .c files of a kernel."""
    repo = Repo.open(Path(kernel))
    entries = maintainers.sections(repo.read(rev, "MAINTAINERS") or b"")
    for path in repo.ls(rev):
        if path.endswith(".c"):
            maintainers.owners(entries, path)


if __name__ == "__main__":
    owners(*sys.argv[1:])
