"""Make a check of a program: a person who has one needs three lines of patchbot.toml, and no Python.

    [checks.command.mycheck]
    run = ["./mycheck", "{patch}"]

The program judges one patch. An exit status of 0 is PASS, and another one FAIL. Its lines `file:line: message` become
findings: WARN where they begin with `warning:` or the status is 0, FAIL otherwise. All of its output is read, line by
line, but for the ends of very long lines; what is kept of it has a limit, and the outcome says what is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
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
#: `:12: ` or `:12:3: ` after a name that may hold a colon itself.
NUMBERED = re.compile(r":(\d{1,9}):(?:\d{1,9}:)? ?(?=\S)")
#: How many findings of a program are kept, bytes that are read of a line, and characters of a message.
MOST, LONGEST, SAID = 1000, 1 << 14, 1000
#: Characters in which a name with its number is looked for.
LONGEST_NAME = 4200


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
        with temporary.folder("check") as scratch, apart(log) as own:
            patch = scratch / "patch"
            patch.write_bytes(subject.mail(item))
            line = argv(words_of(subject, item, str(patch)))
            # Its git commands see the commits, but not the repository of the person.
            done = run(
                line, cwd=folder, env=subject.scratch.env, stdin=b"", timeout=program.timeout, check=False, log=own
            )
            if done.killed:
                raise ToolError(done.explain())
            found, left, last = read(own, done.returncode != 0, cache(lambda: misread(subject, item)))
        if done.returncode and not any(f.status == Status.FAIL for f in found):
            text = f"exit status {done.returncode}: {last or 'it printed nothing'}"
            found.insert(0, Finding(Status.FAIL, text, None, type="exit"))
        reason = f"it names {left + MOST} places, of which the first {MOST} are here" if left else ""
        again = join([first, *argv(words_of(subject, item, "0001.patch"))[1:]])
        reproduce = f"git format-patch --stdout -1 {item.commit[:12]} > 0001.patch; {again}"
        return Outcome.of(found, examined=1, reason=reason, log=log, reproduce=reproduce)

    doc = program.doc or f"the program {join(program.run)} has nothing to say"
    source = identity(Path(__file__))
    return Check(
        name, file or Path(first), doc, source, {}, False, "", True, (), judge, None, None, key, lambda _: None
    )


@contextmanager
def apart(log: Path) -> Iterator[Path]:
    """Give a program a log of its own, which is added to `log` in the end: another run may write to that meanwhile."""
    with temporary.folder("said") as place:
        own = place / log.name
        own.touch()
        try:
            yield own
        except ToolError as error:
            raise type(error)(str(error).replace(str(own), str(log))) from error
        finally:
            with own.open("rb") as said, log.open("ab") as kept:
                shutil.copyfileobj(said, kept)


def misread(subject: Subject, item: Item) -> set[str]:
    """Return the files of the tree after a patch, and those that it deletes, which PLACE does not find."""
    return {path for path in (*subject.scratch.ls(item.tree), *item.files) if ":" in path or path[0].isspace()}


def read(log: Path, failed: bool, odd: Callable[[], Collection[str]]) -> tuple[list[Finding], int, str]:
    """Return the findings in a log, one for each line that names a place, how many more there are, and the last line.

    `odd` gives files as `misread` does.
    """
    found: list[Finding] = []
    left, last = 0, ""
    for line in lines_of(log):
        last = line.strip() or last
        if place := place_of(line, odd):
            file, number, said = place
            only = not failed or said.lower().startswith("warning:")
            if len(found) < MOST:
                found.append(Finding(Status.WARN if only else Status.FAIL, shortened(said), file, number, "said"))
            else:
                left += 1
    return found, left, shortened(last)


def lines_of(log: Path) -> Iterator[str]:
    """Yield what a program said, a line each; the end of a very long one is not read."""
    with open(log, "rb") as said:
        said.readline()  # what was run
        while line := said.readline(LONGEST):
            yield line.removesuffix(b"\n").decode("utf-8", "surrogateescape")
            while line and not line.endswith(b"\n"):
                line = said.readline(1 << 16)


def place_of(line: str, odd: Callable[[], Collection[str]] = tuple) -> tuple[str, int, str] | None:
    """Return file, line and message of `file:line: message`, None of any other; `odd` gives files as `misread` does."""
    match = PLACE.match(line)
    ends = [*NUMBERED.finditer(line[:LONGEST_NAME])]
    # Only what can be read in another way is worth a look at all names.
    for end in ends if len(ends) > bool(match) else ():
        if (name := line[: end.start()].removeprefix("./")) in odd():
            return name, int(end[1]), line[end.end() :]
    return (match[1].removeprefix("./"), int(match[2]), match[3]) if match else None


def shortened(text: str) -> str:
    """Return a message that is not too long to be shown, and that UTF-8 can hold."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text if len(text) <= SAID else f"{text[:SAID]} [...]"
