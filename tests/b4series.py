"""A person with b4 and a draft: the branches that b4 manages, and what it does to them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from owned import FILES, Owned

MARKER = "--- b4-submit-tracking ---"
BRANCH = "b4/mine-a-next"
SCRIPT = (
    "#!/usr/bin/perl\n"
    'print "M A1 <a1\\@example.org> (maintainer:A1)\\n";\n'
    'print "R <r\\@example.org> (reviewer:A1)\\n";\n'
)
TAG = "Reviewed-by: Rev One <rev1@example.org>"
MAIL = ("mail", "mine", "--b4", "--tree", "a-next")


class Series(Owned):
    """A person with b4, of which this does what its source does to a branch."""

    def load(self, branch: str = BRANCH) -> tuple[str, dict[str, Any]]:
        """Return the cover and the tracking of the cover commit that b4 would find, as load_cover() reads them."""
        me = self.git("config", "user.email")
        argv = ("--grep", MARKER, "-F", "--max-count=1", "--since=1.year", f"--committer={me}", branch, "--")
        contents = self.git("log", "--format=%B", *argv)
        cover, magic = contents.split(MARKER)
        _, data = magic.split("{", maxsplit=1)
        return cover.strip(), json.loads("{" + data)

    def rewrite(self, change: Callable[[str], str], branch: str = BRANCH) -> None:
        """Give each commit of a branch another message, as b4 rewrites commits."""
        rows = self.git("rev-list", "--reverse", f"master..{branch}").splitlines()
        at = self.git("rev-parse", f"{rows[0]}^")
        for row in rows:
            message = change(self.git("log", "-1", "--format=%B", row) + "\n")
            name, email, date = self.git("log", "-1", "--format=%an%n%ae%n%ad", "--date=raw", row).splitlines()
            who = ("-c", f"author.name={name}", "-c", f"author.email={email}")
            self.git(*who, "update-ref", "refs/scratch", self.made(row, at, message, date))
            at = self.git("rev-parse", "refs/scratch")
        self.git("update-ref", "-d", "refs/scratch")
        self.git("update-ref", f"refs/heads/{branch}", at)

    def made(self, row: str, parent: str, message: str, date: str) -> str:
        """Return a commit like another one."""
        head, _, _ = self.git("cat-file", "-p", row).partition("\n\n")
        head = re.sub(r"^parent .*$", f"parent {parent}", head, flags=re.MULTILINE)
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=f"{head}\n\n{message}")

    def store(self, cover: str, tracking: Mapping[str, Any], branch: str = BRANCH) -> None:
        """Put a cover into the cover commit, as store_cover() does."""
        text = f"{cover}\n\n{MARKER}\n# This section is used internally by b4 prep for tracking purposes.\n"
        text += json.dumps(tracking, indent=2) + "\n"
        self.rewrite(lambda message: text if MARKER in message else message, branch)

    def tag(self, subject: str, line: str = TAG, branch: str = BRANCH) -> None:
        """Add a tag to the patches with a subject, as `b4 trailers -u` does."""

        def change(message: str) -> str:
            mine = message.startswith(subject) and MARKER not in message
            return f"{message.rstrip()}\n\n{line}\n" if mine else message

        self.rewrite(change, branch)

    def sent(self, number: int = 1, branch: str = BRANCH, *, tagged: bool = True) -> None:
        """Do what reroll() does after `b4 send` of three patches."""
        cover, tracking = self.load(branch)
        name = f"sent/{tracking['series']['change-id']}-v{number}"
        if tagged:
            self.git("switch", "-q", "--detach", "master")
            self.git("cherry-pick", f"{branch}~3..{branch}")
            self.git("tag", "-a", "-m", "sent", name)
            self.git("switch", "-q", "master")
        tracking["series"].setdefault("history", {})[f"v{number}"] = [f"{number}.sent@example.org"]
        tracking["series"]["revision"] = number + 1
        more = (
            f"Changes in v{number + 1}:\n- EDITME: describe what is new in this series revision.\n"
            "- EDITME: use bulletpoints and terse descriptions.\n"
            f"- Link to v{number}: https://patch.msgid.link/{number}.sent@example.org\n"
        )
        self.store(f"{cover}\n\n---\n{more}", tracking, branch)

    def messages(self, ref: str) -> str:
        return self.git("log", "--format=%B", f"master..{ref}")


S = TypeVar("S", bound=Series)


def with_draft(place: Path, capsys: pytest.CaptureFixture[str], kind: type[S], files: Mapping[str, bytes] = FILES) -> S:
    """Return a draft with three patches for a-next, which need no others."""
    made = kind(place, capsys, {**files, "scripts/get_maintainer.pl": SCRIPT.encode()})
    made.run("generate", "mine")
    return made
