"""A repository with bases that have no common history, and patchbot run on it with the sample campaign."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import sample
from tinytree import commit

from patchbot.cli import main
from patchbot.git.repo import Repo

BRANCH = "patchbot/sample"


class World:
    """A kernel repository of a person who works on the branch of the sample campaign."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.capsys = capsys
        path.mkdir()
        self.git("init", "-q")
        self.bases = 0

    def git(self, *argv: str, stdin: str | None = None, check: bool = True) -> str:
        """Run git in the work tree."""
        done = subprocess.run(["git", *argv], cwd=self.path, input=stdin, capture_output=True, text=True, check=check)
        return done.stdout.strip()

    @property
    def repo(self) -> Repo:
        return Repo.open(self.path)

    def base(self, changes: Mapping[str, bytes | None] | None = None, *, related: bool = False) -> str:
        """Commit a base, without history unless `related`, and return its id; the work tree is detached at it."""
        self.bases += 1
        if related:
            self.git("switch", "-q", "--detach", "base")
        else:
            self.git("switch", "-q", "--orphan", f"orphan{self.bases}")
        files = {} if related else dict(sample.FILES)
        files |= {k: v for k, v in (changes or {}).items() if v is not None}
        for name, data in (changes or {}).items():
            if data is None:
                files.pop(name, None)
                (self.path / name).unlink(missing_ok=True)
        made = commit(self.path, f"base {self.bases}", files)
        self.git("switch", "-q", "--detach", made)
        self.git("branch", "-f", "base", made)
        return made

    def run(self, *argv: str, code: int = 0) -> str:
        """Run patchbot with the sample campaign, check its exit code and return stdout, stderr if it failed."""
        command, *rest = argv
        self.capsys.readouterr()
        assert main([command, "--kernel", str(self.path), "--config", str(self.path.parent / "p.toml"), *rest]) == code
        said = self.capsys.readouterr()
        self.err = said.err
        return said.err if code else said.out

    def json(self, *argv: str) -> dict:
        return json.loads(self.run(*argv, "--json", "-q"))

    def record(self) -> dict:
        """Return series.json of the draft."""
        return json.loads(self.repo.read(self.ref("refs/patchbot/sample/draft"), "series.json"))

    def subjects(self, ref: str = BRANCH) -> list[str]:
        """Return the subjects of the branch, oldest first."""
        return self.git("log", "--reverse", "--format=%s", f"{self.record()['base']}..{ref}").splitlines()

    def ref(self, name: str) -> str:
        return self.git("rev-parse", "--verify", name)

    def refs(self) -> str:
        return self.git("for-each-ref", "refs/patchbot", "refs/heads/patchbot")

    def show(self, rev: str, path: str) -> str:
        return self.git("show", f"{rev}:{path}")

    def message(self, rev: str) -> str:
        return self.git("log", "-1", "--format=%B", rev)

    def rework(self, *steps: str) -> None:
        """Rebuild the branch as a person does, from steps like `reword|REV|TEXT`."""
        record = self.record()
        self.git("switch", "-q", "--detach", record["base"])
        for step in steps:
            word, *rest = step.split("|")
            if word == "pick":
                self.git("cherry-pick", "--allow-empty", rest[0])
            elif word == "reword":
                self.git("cherry-pick", rest[0])
                self.git("commit", "-q", "--amend", "-m", rest[1])
            elif word == "edit":
                self.git("cherry-pick", rest[0])
                file = self.path / rest[1]
                data = file.read_bytes()
                assert rest[2].encode() in data
                file.write_bytes(data.replace(rest[2].encode(), rest[3].encode()))
                self.git("commit", "-q", "-a", "--amend", "--no-edit")
            elif word == "empty":
                self.git("commit", "-q", "--allow-empty", "-m", rest[0])
            elif word == "add":
                (self.path / rest[1]).write_text(rest[2])
                self.git("add", rest[1])
                self.git("commit", "-q", "-m", rest[0])
        self.git("branch", "-f", BRANCH, "HEAD")
        self.git("switch", "-q", "--detach", record["base"])


def open_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """Give a repository and the sample campaign, for a fixture."""
    (tmp_path / "p.toml").write_text(sample.TOML)
    return World(tmp_path / "linux", capsys)
