"""Run programs on the files that a patch touches, before and after it, and keep what they say only after it.

A check chooses the files and says how its program is called and read; the rest is the same for all of them. Each side
of a patch is a folder with its own files and what the program needs besides; nothing else of a tree, of a person or of
the network is seen there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path, PurePosixPath

from .. import temporary
from ..errors import ToolError
from ..git.export import tree_files, write_files
from ..model import Finding, Status
from ..run import run, which
from ..series.render import plural
from ..terminal import some
from .check import Item, Outcome, Subject
from .news import brought, files_of, moved, renamed
from .programs import apart, place_of

#: Seconds for one program on one side.
PATIENCE = 600.0
MANY = 1000
#: Gives a program all the stack that it may have: with 8 MB spatch dies of kernel/bpf/verifier.c.
DEEP = ("sh", "-c", 'ulimit -S -s "$(ulimit -H -s)"; exec "$@"', "sh")
#: What begins a message that is more than a warning.
#: What some program misreads in the name of a file: a colon, a blank, what is not ASCII.
ODD = re.compile(r"[^\w./+,@=~#%-]", re.ASCII)
GRAVE = re.compile(r"(?:fatal )?error\b|(?:ERROR|CRITICAL|SEVERE)\b")


@dataclass(frozen=True)
class Side:
    """The tree before or after a patch: a folder with `files`, those of the touched ones that it has, and a log.

    A file whose name programs misread has another one here, which messages need not heed: see `named_plainly`.
    Programs see the folders `reads` besides. `troubles` are those of programs that could not do their work.
    """

    subject: Subject
    item: Item
    after: bool
    place: Path
    files: Mapping[str, bytes]
    log: Path
    reads: tuple[Path, ...]
    troubles: list[str]

    @property
    def names(self) -> list[str]:
        """Return the files as arguments, which no program takes for options."""
        return [f"./{path}" for path in sorted(self.files)]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = PATIENCE,
        allowed: Collection[int] = (0, 1),
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Return what a program says in the sandbox, which is in the log, too.

        Raises ToolError if it is killed or ends with an exit code that is not allowed.
        """
        inside = [*self.subject.sandbox.around(self.place, [self.place], self.reads, [argv[0]]), *DEEP]
        line = [which(argv[0]), *argv[1:]]
        around = {"HOME": str(self.place), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        with apart(self.log) as own:
            done = run(line, cwd=self.place, env=around, timeout=timeout, check=False, log=own, inside=inside)
            said = own.read_bytes().partition(b"\n")[2]
        if done.returncode not in allowed:
            raise ToolError(f"{replace(done, stdout=said[-2000:]).explain()}\n  log: {self.log}")
        return said.decode("utf-8", "replace")

    def attempt(self, argv: Sequence[str], *, timeout: float) -> str:
        """Return what one of many programs says; if it does not work, the result is ERROR, and the others count."""
        try:
            return self.run(argv, timeout=timeout, allowed=(0,))
        except ToolError as error:
            self.troubles.append(str(error))
            return ""


def compare(
    subject: Subject,
    item: Item,
    check: str,
    touched: Collection[str],
    look: Callable[[Side], Iterable[Finding]],
    *,
    needed: Callable[[str, Mapping[str, bytes]], Mapping[str, bytes]] = lambda tree, files: {},
    reads: Sequence[Path] = (),
    reason: str = "it touches no such file",
) -> Outcome:
    """Judge a patch by what `look` finds in the touched files after it and not before it.

    `needed` gives what programs read besides, by a tree and its touched files; `reads` are folders that they see.
    A program that hangs, floods or is killed makes an ERROR with the log so far. `reason` is why a patch without such
    files is SKIP.
    """
    if not touched:
        return Outcome(Status.SKIP, reason=reason)
    log = subject.log(check, item)
    log.write_text(f"{check} of {item.commit}\n")
    seen: set[str] = set()
    troubles: list[str] = []

    def look_at(tree: str, after: bool) -> list[Finding]:
        files = regular(subject, tree, touched)
        seen.update(files if after else ())
        if not files:
            return []
        more = needed(tree, files)
        plain = named_plainly(files, more)
        here = {plain.get(path, path): data for path, data in files.items()}
        note(log, *(f"{name} is {path!r}" for path, name in plain.items()))
        with temporary.folder("side") as place:
            write_files(place, {**{path: data for path, data in more.items() if path not in plain}, **here})
            said = list(look(Side(subject, item, after, place, here, log, tuple(reads), troubles)))
        return [*renamed(said, {name: path for path, name in plain.items()})]

    try:
        after = look_at(item.tree, True)
        if not seen:
            return Outcome(Status.SKIP, reason="it only deletes what there was to look at", log=log)
        if after:
            note(log, f"before it: {item.parent}")
        before = look_at(item.parent_tree, False) if after else []
    except ToolError as error:
        return Outcome(Status.ERROR, reason=str(error), log=log)
    old, new = (files_of(subject.scratch.read, tree) for tree in (item.parent_tree, item.tree))
    findings = brought(before, after, old, new, moved(subject.scratch, item))
    findings += [Finding(Status.ERROR, text, type="program") for text in dict.fromkeys(troubles)]
    note(log, *(f"new: {f.file or ''}:{f.line or ''}: {f.message} [{f.type}]" for f in findings))
    told = f"looked at {', '.join(some(sorted(seen), 3))}"
    known = len(after) + len(troubles) - len(findings)
    told += f"; {plural(known, 'message')} of before" if known > 0 else ""
    return Outcome.of(findings, examined=len(seen), reason=told, log=log)


def named_plainly(files: Iterable[str], more: Iterable[str]) -> dict[str, str]:
    """Return {path: another name} of the files whose names programs misread; no file has it, of these and of `more`."""
    odd, there = sorted(path for path in files if ODD.search(path)), {*files, *more}
    folders = {folder for path in there for folder in above(path)} if odd else set()
    found: dict[str, str] = {}
    for path in odd:
        names = (ODD.sub(char * times, path) for times in count(1) for char in "_-+=")
        name = next(name for name in names if name not in folders and there.isdisjoint([name, *above(name)]))
        found[path] = name
        there.add(name)
        folders.update(above(name))
    return found


def above(path: str) -> list[str]:
    """Return the folders that a file is in."""
    return [str(folder) for folder in PurePosixPath(path).parents]


def note(log: Path, *lines: str) -> None:
    """Add lines of our own to a log."""
    with log.open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)


def regular(subject: Subject, tree: str, paths: Collection[str]) -> dict[str, bytes]:
    """Return {path: bytes} of those files that a tree has; links and submodules are not read."""
    few = sorted(paths) if len(paths) < MANY else ()  # more are asked for best with all files of the tree
    there = subject.scratch.ls(tree, *few)
    oids = {path: oid for path, (mode, oid) in there.items() if path in paths and mode.startswith("100")}
    return dict(zip(oids, (data for _, data in subject.scratch.blobs(oids.values())), strict=True))


def of_base(subject: Subject, *paths: str) -> dict[str, bytes]:
    """Return {path: bytes} of files and folders of the base: the programs that judge both sides are the same."""
    found: dict[str, bytes] = {}
    for path in paths:
        found |= tree_files(subject.scratch, subject.base, path)
    return found


def key_of(
    subject: Subject,
    item: Item,
    paths: Iterable[str],
    *more: object,
    programs: Sequence[str] = (),
    own: Sequence[str] = (),
) -> str:
    """Return what a result depends on: files by their content, programs by their versions, and more (JSON-able).

    `paths` are files before and after the patch, `own` are files of the base, `programs` those of this machine.
    """
    named = {subject.base: own, item.parent_tree: sorted(paths), item.tree: sorted(paths)}
    things = subject.scratch.things(f"{tree}:{path}" for tree, names in named.items() for path in names)
    seen = [(name.partition(":")[2], thing.oid if thing else "") for name, thing in things.items()]
    return json.dumps([seen, [version_of(name) for name in programs], *more])


def reached(
    subject: Subject, tree: str, files: Mapping[str, bytes], named: Callable[[str, bytes], Iterable[str]]
) -> dict[str, bytes]:
    """Return {path: bytes} of the files of a tree that some files name, that these name, and so on."""
    found: dict[str, bytes] = {}
    asked, new = {*files}, dict(files)
    while new:
        names = {name for path, data in new.items() for name in named(path, data)} - asked
        asked |= names
        things = subject.scratch.things(f"{tree}:{name}" for name in sorted(names))
        there = [name for name in sorted(names) if (thing := things.get(f"{tree}:{name}")) and thing.kind == "blob"]
        new = subject.scratch.read_many(tree, there)
        found |= new
    return found


def version_of(program: str) -> str:
    """Return which version of a program this machine has, as its results depend on it."""
    return asked_version(which(program))


@cache
def asked_version(path: str) -> str:
    """Return what a program says to --version; it is asked once a run."""
    done = run([path, "--version"], check=False, timeout=60)
    return (done.stdout or done.stderr).decode("utf-8", "replace").strip()


def placed(text: str, kind: str) -> Iterator[Finding]:
    """Yield a finding for each line `file:line: message` or `file:line:column: message`, FAIL where it says error."""
    for place in map(place_of, text.split("\n")):
        if place:
            file, line, said = place
            yield Finding(Status.FAIL if GRAVE.match(said) else Status.WARN, said, file, line, kind)
