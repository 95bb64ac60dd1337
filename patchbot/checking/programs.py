"""Make a check of a program: a person who has one needs three lines of patchbot.toml, and no Python.

    [checks.command.mycheck]
    run = ["./mycheck", "{patch}"]

The program judges one patch. An exit status of 0 is PASS, and another one FAIL. Its lines `file:line: message` become
findings: WARN where they begin with `warning:` or the status is 0, FAIL otherwise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Annotated

from msgspec import Meta

from .. import temporary
from ..config import ChecksConfig, fit, suggestion
from ..errors import ConfigError, ToolError, UserError
from ..identity import identity
from ..model import Finding, Status
from ..run import run, which
from ..shapes import Text
from . import check
from .check import Check, Item, Outcome, Subject

PLACE = re.compile(r"^([^\s:][^:\n]{0,4095}):(\d{1,9}):(?:\d{1,9}:)? ?(\S.*)$")
WORD = re.compile(r"\{(\w+)\}")
WORDS = ("patch", "commit", "parent", "base")
#: How much of its output is read, in bytes.
MOST = 1 << 20


@dataclass(frozen=True)
class Program:
    """One [checks.command.<name>]; `timeout` is in seconds, for one patch."""

    run: Annotated[tuple[Text, ...], Meta(min_length=1)]
    doc: Text = ""
    timeout: Annotated[float, Meta(gt=0)] = 600


def available(config: ChecksConfig) -> dict[str, Path]:
    """Return {name: file} of every check; a program's file is the folder that it runs in."""
    files = check.available(config.path)
    if both := sorted(files.keys() & config.programs):
        raise UserError(f"two checks are called {both[0]}: {files[both[0]]} and [checks.command.{both[0]}]; rename one")
    return dict(sorted({**files, **dict.fromkeys(config.programs, config.folder)}.items()))


def load(name: str, config: ChecksConfig) -> Check:
    """Return a check; raise ConfigError for a name that no check has, or a table that does not fit."""
    if name not in config.programs:
        return check.load(name, config.path, list(config.programs))
    key = f"checks.command.{name}"
    program = fit("patchbot.toml", key, config.programs[name], Program)
    for word in (word for text in program.run for word in WORD.findall(text) if word not in WORDS):
        known = ", ".join(f"{{{one}}}" for one in WORDS)
        text = f"patchbot.toml: {key}.run: nothing is called {{{word}}}{suggestion(word, WORDS)} (known: {known})"
        raise ConfigError(text, f"{key}.run")
    return check_of(name, program, config.folder)


def check_of(name: str, program: Program, folder: Path) -> Check:
    """Return the check that runs a program in `folder`."""
    first = program.run[0]
    file = folder / first if "/" in first else None

    def argv(words: Mapping[str, str]) -> list[str]:
        args = [WORD.sub(lambda m: words[m[1]], text) for text in program.run]
        return [str(file or which(first)), *args[1:]]

    def words_of(subject: Subject, item: Item, patch: str) -> dict[str, str]:
        return {"patch": patch, "commit": item.commit, "parent": item.parent, "base": subject.base}

    def key(subject: Subject, item: Item) -> str:
        mail = hashlib.sha256(subject.mail(item)).hexdigest()
        code = hashlib.sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""
        return json.dumps([*words_of(subject, item, mail).values(), item.tree, list(program.run), code])

    def judge(subject: Subject, item: Item) -> Outcome:
        if file and not os.access(file, os.X_OK):
            raise UserError(f"checks.command.{name}.run: {file} is not a program (chmod +x)")
        log = subject.log(name, item)
        log.write_bytes(b"")
        with temporary.folder("check") as scratch:
            patch = scratch / "patch"
            patch.write_bytes(subject.mail(item))
            line = argv(words_of(subject, item, str(patch)))
            # Its git commands see the commits, but not the repository of the person.
            done = run(
                line, cwd=folder, env=subject.scratch.env, stdin=b"", timeout=program.timeout, check=False, log=log
            )
        if done.killed:
            raise ToolError(done.explain())
        with open(log, "rb") as said:
            said.readline()
            text = said.read(MOST).decode("utf-8", "replace")
        findings = tuple(read(text, done.returncode != 0))
        if done.returncode and not any(f.status == Status.FAIL for f in findings):
            last = next((line for line in reversed(text.splitlines()) if line.strip()), "it printed nothing")
            findings += (Finding(Status.FAIL, f"exit status {done.returncode}: {last.strip()}", None, type="exit"),)
        again = join([first, *argv(words_of(subject, item, "0001.patch"))[1:]])
        reproduce = f"git format-patch --stdout -1 {item.commit[:12]} > 0001.patch; {again}"
        return Outcome.of(findings, examined=1, log=log, reproduce=reproduce)

    doc = program.doc or f"the program {join(program.run)} has nothing to say"
    source = identity(Path(__file__))
    return Check(
        name, file or Path(first), doc, source, {}, False, "", True, (), judge, None, None, key, lambda _: None
    )


def read(text: str, failed: bool) -> Iterator[Finding]:
    """Yield a finding for each line `file:line: message` or `file:line:column: message`."""
    for line in text.splitlines():
        if place := PLACE.match(line):
            only = not failed or place[3].lower().startswith("warning:")
            yield Finding(Status.WARN if only else Status.FAIL, place[3], place[1], int(place[2]), "said")
