"""Run a check on commits that a test writes, with the programs that it needs, or say how to get them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from subjects import make_subject

from patchbot.checking.check import Outcome, Subject, load
from patchbot.git.repo import Repo


def needs(check: str) -> pytest.MarkDecorator:
    """Skip a test where a program of a check is missing, and say which package has it."""
    lacking = sorted({package for tool, package in load(check).needs.items() if not shutil.which(tool)})
    return pytest.mark.skipif(bool(lacking), reason=f"apt-get install {' '.join(lacking)} enables it")


def module_of(check: str) -> ModuleType:
    """Return the module of a check, for what reads the output of its program."""
    function = load(check).patch
    assert function is not None
    return sys.modules[function.__module__]


def subject_of(
    repo: Repo,
    where: Path,
    changes: Sequence[Mapping[str, bytes | None]],
    message: str = "",
    base: str = "HEAD",
    **options: Any,
) -> Subject:
    """Return a series of which each patch makes one change."""
    commits = [(f"net: Patch number {n}\n\n{message or 'Why it is needed.'}\n", c) for n, c in enumerate(changes, 1)]
    where.mkdir(exist_ok=True)
    return make_subject(repo, base, commits, where, options=options)


def outcomes(check: str, subject: Subject) -> list[Outcome]:
    """Run a check on each patch."""
    function = load(check).patch
    assert function is not None
    return [function(subject, item) for item in subject.items]


def places(outcome: Outcome) -> list[tuple[str, str | None, int | None, str]]:
    """Return (status, file, line, type) of each finding."""
    return [(f.status.value, f.file, f.line, f.type) for f in outcome.findings]
