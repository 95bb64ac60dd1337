"""See which lines reach a compiler, by marks in the files: see marks.py.

The marked files lie in the bench's own work tree for a while, so that each include finds what it always finds. What
breaks the preprocessor is looked at in halves; a line that alone breaks it was read, since without it the object
compiles. That it does is not assumed: an object that was not compiled so far is, to the end, from the same text. What
ends up in a string, or in an assembler's input, is damaged, and counts if the object then fails.

What an object showed is known by the contents of all files that it is made of, so it holds in every tree that has
these: lines of many patches are looked for at once, at the last of them, and each patch then finds its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..c.source import Source
from ..errors import Unfinished
from ..identity import identity
from ..progress import ticked
from ..run import Completed, run
from .bench import Bench
from .command import Command, commands
from .log import was_killed
from .marks import BODY, CODE, EVALUATED, NUMBERS, Mark, before, marked, read_marks, without_marks
from .units import Compiled, Unit, digest

#: No compiler or assembler takes this, wherever it stands.
DAMAGE = b" ` "
_FILE = re.compile(rb'^# \d{1,9} "([^"\n]+)"', re.M)
#: Compile to the end: a BUILD_BUG_ON or an unknown instruction shows only there.
_COMPILED = ("-c", "-w", "-o", os.devnull)
_PREPROCESSED = (*_COMPILED, "-fpreprocessed", "-x", "cpp-output", "-")
#: How many objects are looked at before what they showed is kept.
AT_ONCE = 32


@dataclass(frozen=True)
class Seen:
    """What one object showed: the marks in its input, the files of the tree that it is made of, or why it failed.

    `asked` are the marks in these files that were looked for.
    """

    built: bool
    marks: tuple[Mark, ...] = ()
    only_text: tuple[Mark, ...] = ()
    files: tuple[str, ...] = ()
    said: str = ""
    asked: tuple[Mark, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        """Return what is known after other marks were looked for in the same files."""
        both = zip((self.marks, self.only_text, self.asked), (other.marks, other.only_text, other.asked), strict=True)
        marks, only_text, asked = (tuple(sorted({*old, *new})) for old, new in both)
        return replace(other, marks=marks, only_text=only_text, asked=asked)


@dataclass(frozen=True)
class Survey:
    """The marks in the files of a tree, and the bench that compiles them."""

    bench: Bench
    tree: str
    marks: frozenset[Mark]
    sources: Mapping[str, Source]
    log: Path
    _numbers: dict[Mark, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give each mark its number."""
        self._numbers.update((mark, number) for number, mark in enumerate(sorted(self.marks)))

    @property
    def _tag(self) -> str:
        """The part of each mark that no file of the tree can hold."""
        return self.tree[:16]

    def seen(self, units: Iterable[Unit]) -> dict[Unit, Seen]:
        """Return what each unit shows; only what is not known is asked."""
        bench, files = self.bench, self.bench.files(self.tree)
        shelf = bench.shelf(self.tree, self.log, digest(["seen", identity(Path(__file__))]))
        known = {unit: old for unit in sorted(set(units)) if (old := shelf.find(unit, files, Seen))}
        found = {unit: old for unit, old in known.items() if self._among(old.files) <= {*old.asked}}
        rest = sorted(set(units) - found.keys())
        if not rest:
            return found
        told = commands(bench, self.tree, rest, self.log)
        bench.ready(self.tree, self.log)
        simple = frozenset(mark for mark in self.marks if mark.kind != EVALUATED)
        parts = [rest[at : at + AT_ONCE] for at in range(0, len(rest), AT_ONCE)]
        for part in ticked(f"looking for lines in {len(rest)} objects for {bench.name}", parts, len(parts)):
            outputs = self._outputs([unit for unit in part if unit in told], told, simple)
            sound = self._sound([unit for unit in part if unit not in known], told, outputs)
            broken = self._broken([unit for unit in part if unit not in known and unit not in sound], told)
            found |= broken
            late = [u for u in part if u not in broken and (u not in outputs or outputs[u].returncode)]
            for unit, done in (outputs | self._outputs(late, told, simple)).items():
                if unit in broken:
                    continue
                seen = self._judge(unit, told[unit], simple, done)
                found[unit] = known[unit] + seen if unit in known and seen.built else seen
                if seen.built:
                    shelf.put(unit, bench.made_of(self.tree, unit, seen.files), files, found[unit])
        return found

    def _outputs(
        self, units: Sequence[Unit], told: Mapping[Unit, Command], marks: frozenset[Mark]
    ) -> dict[Unit, Completed]:
        """Return the preprocessor's output of units, with marks."""
        with self.bench.worktree.laid_over(self._marked(marks) if units else {}):
            return dict(zip(units, self._each([(told[unit], ["-E", "-w"]) for unit in units]), strict=True))

    def _sound(
        self, units: Iterable[Unit], told: Mapping[Unit, Command], outputs: Mapping[Unit, Completed]
    ) -> set[Unit]:
        """Return those units that compile for certain: some did, of others the compiler takes what was preprocessed."""
        plain, files = self.bench.shelf(self.tree, self.log), self.bench.files(self.tree)
        done = {u for u in units if u in outputs and (c := plain.find(u, files, Compiled)) and c.built}
        fit = [u for u in units if u in outputs and u.source.endswith(".c") and not outputs[u].returncode]
        fit = [u for u in fit if u not in done and f"{told[u].cwd}/{told[u].argv[-1]}".endswith(f"/{u.source}")]
        calls = [(replace(told[u], argv=told[u].argv[:-1]), _PREPROCESSED) for u in fit]
        said = self._each(calls, [without_marks(outputs[u].stdout, self._tag) for u in fit])
        return done | {unit for unit, answer in zip(fit, said, strict=True) if not answer.returncode}

    def _broken(self, units: Sequence[Unit], told: dict[Unit, Command]) -> dict[Unit, Seen]:
        """Return those units that do not compile; add to the commands that are told what make says later."""
        bench = self.bench
        doubtful = [u for u in units if u in told]
        said = dict(zip(doubtful, self._each([(told[u], _COMPILED) for u in doubtful]), strict=True))
        # Make knows better: perhaps a header is generated for this object alone.
        failed = [u for u in units if u not in told or (u in said and said[u].returncode)]
        made = bench.compile(self.tree, failed, self.log) if failed else {}
        told |= commands(bench, self.tree, [u for u in failed if made[u].built and u not in told], self.log)
        return {u: Seen(False, said=_why(c)) for u, c in made.items() if not (c.built and u in told)}

    def _among(self, files: Iterable[str]) -> set[Mark]:
        """Return the marks in some files."""
        inside = {*files}
        return {mark for mark in self.marks if mark.path in inside}

    def _judge(self, unit: Unit, command: Command, marks: frozenset[Mark], done: Completed) -> Seen:
        """Return what one unit shows, by the preprocessor's output with some marks; ask more where that needs it."""
        whole = self._preprocess(command, frozenset()) if done.returncode else done
        if whole.returncode:
            rows = whole.stderr.decode("utf-8", "replace").splitlines()
            return Seen(False, said=next((row for row in rows if "error" in row), "it cannot be preprocessed"))
        here = {unit.source, *self._files(command, whole)}
        asked = self._among(here)
        plain, every = self._of_output(command, marks & asked, done)
        # A mark may stop what a macro pastes a name for; without those that were seen the others may be.
        while rest := frozenset(mark for mark in marks & asked - every if self._is_come_to(mark, every)):
            more = self._of_output(command, rest, self._preprocess(command, rest))
            plain, every = plain | more[0], every | more[1]
            if not more[1]:
                break
        # An #if sees the body of a macro, but what it counts as is no text.
        plain |= self._breaking(command, [m for m in asked if m.kind == EVALUATED or (m.kind == BODY and m in rest)])
        text = every - plain
        if unit.source.endswith(".S"):
            text, plain = plain | text, set()
        for mark in sorted(text):
            with self.bench.worktree.laid_over(self._marked(frozenset([mark]), DAMAGE)):
                (done_,) = self._each([(command, _COMPILED)])
            plain |= {mark} if done_.returncode else set()
        return Seen(
            True,
            tuple(sorted(plain)),
            tuple(sorted(text - plain)),
            tuple(sorted(here)),
            asked=tuple(sorted(asked)),
        )

    def _files(self, command: Command, done: Completed) -> set[str]:
        """Return the files of the tree that the preprocessor's output names."""
        names = {name.decode("utf-8", "surrogateescape") for name in _FILE.findall(done.stdout)}
        inside = {os.path.normpath(os.path.join(command.cwd, name)) for name in names}
        root = f"{self.bench.kbuild.source}/"
        return {name.removeprefix(root) for name in inside if name.startswith(root)} & self.bench.files(
            self.tree
        ).keys()

    def _of_output(self, command: Command, marks: frozenset[Mark], done: Completed) -> tuple[set[Mark], set[Mark]]:
        """Return the marks outside of strings and all marks of an output; what breaks it is looked at in halves."""
        if not done.returncode:
            plain, every = read_marks(done.stdout, self._tag)
            return {m for m in marks if self._numbers[m] in plain}, {m for m in marks if self._numbers[m] in every}
        if len(marks) < 2:
            return set(marks), set(marks)
        halves = sorted(marks)
        found: tuple[set[Mark], set[Mark]] = (set(), set())
        for half in (halves[: len(halves) // 2], halves[len(halves) // 2 :]):
            part = self._of_output(command, frozenset(half), self._preprocess(command, frozenset(half)))
            found = (found[0] | part[0], found[1] | part[1])
        return found

    def _is_come_to(self, mark: Mark, seen: Collection[Mark]) -> bool:
        """Say whether the preprocessor comes to a line that is compiled if something expands or keeps it."""
        above = before(self.sources[mark.path], mark)
        return mark.kind in (CODE, BODY) and (above not in self.marks or above in seen)

    def _breaking(self, command: Command, marks: Sequence[Mark]) -> set[Mark]:
        """Return those marks at whose places the preprocessor evaluates something."""
        with self.bench.worktree.laid_over(self._marked(frozenset(marks), NUMBERS)):
            if not marks or not self._each([(command, ["-E", "-w"])])[0].returncode:
                return set()
        half = len(marks) // 2
        return self._breaking(command, marks[:half]) | self._breaking(command, marks[half:]) if half else {*marks}

    def _preprocess(self, command: Command, marks: frozenset[Mark]) -> Completed:
        """Return the preprocessor's output with some marks."""
        with self.bench.worktree.laid_over(self._marked(marks)):
            return self._each([(command, ["-E", "-w"])])[0]

    def _marked(self, marks: frozenset[Mark], damage: bytes = b"") -> dict[str, bytes]:
        """Return the files with some marks."""
        return {
            path: marked(
                self.sources[path].text, {m: self._numbers[m] for m in marks if m.path == path}, self._tag, damage
            )
            for path in sorted({mark.path for mark in marks})
        }

    def _each(self, calls: Sequence[tuple[Command, Sequence[str]]], inputs: Sequence[bytes] = ()) -> list[Completed]:
        """Run compilers side by side."""
        kbuild = self.bench.kbuild

        def call(words: tuple[Command, Sequence[str]], text: bytes | None) -> Completed:
            command, more = words
            argv, cwd = [*command.argv, *more], Path(command.cwd)
            done = run(argv, cwd=cwd, stdin=text, check=False, timeout=300, inside=kbuild.inside(cwd))
            if done.killed or was_killed(done.stderr):
                raise Unfinished(done.explain())
            return done

        with ThreadPoolExecutor(max(1, kbuild.jobs)) as pool:
            texts: Sequence[bytes | None] = inputs or [None] * len(calls)
            pairs = zip(calls, texts, strict=True)
            futures = [pool.submit(copy_context().run, call, words, text) for words, text in pairs]
            return [future.result() for future in futures]


def _why(compiled: Compiled) -> str:
    """Return why a unit was not compiled, in one line."""
    rows = sorted(compiled.findings, key=lambda f: (f.file or "", f.line or 0, f.message))
    return "; ".join(f"{f.file}:{f.line}: {f.message}" for f in rows[:1]) or "make does not say how it is compiled"
