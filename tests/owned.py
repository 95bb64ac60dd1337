"""A kernel of several owners and trees, and a campaign that renames a word in it, as a person would have both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tinytree import commit
from versioned import World

from patchbot.git import small

GIT = "git://git.kernel.org/pub/scm/linux/kernel/git"
CAMPAIGN = """\
title = "treewide: Use new_a()"
target = "tip"

[sites]
words = ["old_a"]

[[steps]]
name = "rename"
words = { old_a = "new_a" }
message = "rename.txt"
split = "owner"
independent = true
"""
MESSAGE = "{{ prefix }}: Use new_a()\n\nAt {{ sites }} in {{ files | length }}.\n"


def maintainers(*rows: tuple[str, str, str]) -> bytes:
    """Return MAINTAINERS of (section, [owner/]tree or "", path) rows; each section has a maintainer of its own."""
    text = ""
    for name, tree, path in rows:
        at = f"T:\tgit {GIT}/{tree if '/' in tree else f'x/{tree}'}.git\n" if tree else ""
        text += f"{name}\nM:\tM {name} <{name.lower()}@example.org>\nR:\tR <r@example.org>\n{at}F:\t{path}\n\n"
    rest = "THE REST\nM:\tChief <chief@example.org>\nL:\tlinux-kernel@vger.kernel.org\nF:\t*\nF:\t*/\n"
    return f"{text}{rest}".encode()


FILES = {
    "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "MAINTAINERS": maintainers(
        ("A1", "a-next", "drivers/a/one/"),
        ("A2", "a-next", "drivers/a/two/"),
        ("A3", "a-next", "drivers/a/three/"),
        ("B", "b-next", "drivers/b/"),
    ),
    "drivers/a/one/1.c": b"int x = old_a;\n",
    "drivers/a/two/2.c": b"int x = old_a;\nint y = old_a;\n",
    "drivers/a/three/3.c": b"int x = old_a;\n",
    "drivers/b/4.c": b"int x = old_a;\n",
    "drivers/b/5.c": b"int x = old_a;\n",
    "lib/6.c": b"int x = old_a;\n",
}
NEW = {path: text.replace(b"old_a", b"new_a") for path, text in FILES.items() if path != "MAINTAINERS"}


class Owned(World):
    """A repository of FILES beside the campaign `mine`."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str], files: Mapping[str, bytes] = FILES) -> None:
        self.path, self.capsys, self.bases = place / "linux", capsys, 0
        small.make(self.path, files)
        (place / "mine").mkdir()
        (place / "mine/campaign.toml").write_text(CAMPAIGN)
        (place / "mine/rename.txt").write_text(MESSAGE)
        self.configure("")

    def configure(self, more: str) -> None:
        """Write patchbot.toml with more in the campaign's table."""
        (self.path.parent / "p.toml").write_text(f'[campaigns.mine]\npath = "mine"\n{more}')

    def record(self) -> dict[str, Any]:
        """Return series.json of the draft."""
        made: dict[str, Any] = json.loads(self.repo.read(self.ref("refs/patchbot/mine/draft"), "series.json") or b"")
        return made

    def commit(self, message: str, changes: Mapping[str, bytes | None]) -> str:
        """Commit changes to master and return the id; None deletes a file."""
        for path in [path for path, text in changes.items() if text is None]:
            (self.path / path).unlink()
        return commit(self.path, message, {path: text for path, text in changes.items() if text is not None})

    def patches(self, ref: str = "patchbot/mine") -> list[str]:
        """Return the subjects of a branch of the campaign, oldest first."""
        return self.git("log", "--reverse", "--format=%s", f"master..{ref}").splitlines()
