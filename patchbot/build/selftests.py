"""Compile the user-space half of the BPF selftests with the tree's own Makefile, and only what a patch touches.

Its rules make a test wait for the skeletons of all programs, a thousand of them; here a test gets those that it
includes. Flags, bpftool, libbpf and vmlinux.h are the Makefile's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ..errors import MissingTool, ToolError, Unfinished
from ..git.repo import Scratch
from ..model import Finding
from ..run import run, which
from ..sandbox import Sandbox
from .log import ending, parse, was_killed
from .toolchain import CLANG

ROOT = "tools/testing/selftests/bpf"
PROGRAM = re.compile(rf"{ROOT}/progs/(\w+)\.c")
TEST = re.compile(rf"{ROOT}/prog_tests/(\w+)\.c")
INCLUDES = r'^[[:space:]]*#[[:space:]]*include[[:space:]]+"[[:alnum:]_]+\.(sub|l)?skel\.h"'
SKELETON = re.compile(r'"(\w+)\.(?:sub)?(l?skel\.h)"')
#: {program: Debian package}: the compiler of BPF code, and what bpftool's own programs are made with.
PROGRAMS = {CLANG: CLANG, "llvm-strip": "llvm"}


@dataclass(frozen=True)
class Goals:
    """What to compile: the paths of programs, and those of tests with the skeletons that each includes."""

    programs: tuple[str, ...] = ()
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def paths(self) -> frozenset[str]:
        """The files that are compiled, except the programs that only make a skeleton for a test."""
        return frozenset((*self.programs, *self.tests))


@dataclass(frozen=True)
class Selftests:
    """The selftests in a work tree, the kernel `vmlinux` whose types they see, and a folder to compile them in."""

    tree: Path
    vmlinux: Path
    out: Path
    jobs: int
    sandbox: Sandbox
    log: Path

    def compile(self, goals: Goals) -> list[Finding]:
        """Return what the compilers say of goals; raise MissingTool if there is nothing to compile them with."""
        self.out.mkdir(exist_ok=True)
        # What make knows of an object's headers lies in the .d files, and those ask for the skeletons of all programs.
        for old in self.out.glob("*.[dho]"):
            old.unlink()
        header = self.out / "tools/include/vmlinux.h"
        said = self._make([header])
        if not header.exists():
            raise MissingTool(f"the tree's bpftool makes no vmlinux.h here; see {self.log}:\n{ending(said)}")
        skeletons = sorted({self.out / name for names in goals.tests.values() for name in names})
        tests = {
            self.out / f"{PurePosixPath(path).stem}.test.o": [self.out / name for name in names]
            for path, names in goals.tests.items()
        }
        programs = [self.out / f"{PurePosixPath(path).stem}.bpf.o" for path in goals.programs]
        said = self._make([*programs, *skeletons])
        ready = [test for test, names in tests.items() if all(name.exists() for name in names)]
        said += self._make(ready, [test.with_suffix(".d") for test in ready])
        found = [self._placed(row.finding) for row in parse(said, source=str(self.tree), out=str(self.out))]
        missing = [goal.name for goal in (*programs, *skeletons, *ready) if not goal.exists()]
        if missing and not found:
            raise ToolError(f"make says nothing of {', '.join(missing)}; see {self.log}:\n{ending(said)}")
        return found

    def _make(self, goals: Sequence[Path], old: Iterable[Path] = ()) -> str:
        """Have the selftests' Makefile make goals as if the files `old` were made already; return what it said."""
        if not goals:
            return ""
        argv: list[str | Path] = [
            "make",
            "-C",
            self.tree / ROOT,
            "-k",
            f"-j{self.jobs}",
            "--output-sync=target",
            f"OUTPUT={self.out}",
        ]
        argv += [f"VMLINUX_BTF={self.vmlinux}", f"CLANG={which(CLANG, CLANG)}", "CC=gcc", "SKIP_LLVM=1"]
        inside = self.sandbox.around(self.tree, [self.tree, self.out], [self.vmlinux])
        before = self.log.stat().st_size if self.log.exists() else 0
        whole = [*argv, *(word for file in old for word in ("-o", file)), *goals]
        done = run(whole, log=self.log, check=False, timeout=1800, inside=inside)
        said = self.log.read_bytes()[before:]
        if done.killed or (done.returncode and was_killed(said)):
            raise Unfinished(f"something that make ran was killed; see {self.log}:\n{ending(said)}")
        return said.decode("utf-8", "replace")

    def _placed(self, finding: Finding) -> Finding:
        """Return a finding with its path in the tree, as make speaks from the folder of the selftests."""
        below = f"{ROOT}/{finding.file}"
        return replace(finding, file=below) if finding.file and (self.tree / below).is_file() else finding


def find_goals(scratch: Scratch, tree: str, touched: Iterable[str]) -> Goals:
    """Return what there is to compile of the files that a patch touches, and of the tests of the touched programs."""
    paths = sorted(path for path in touched if PROGRAM.fullmatch(path) or TEST.fullmatch(path))
    if not paths:
        return Goals()
    there = scratch.ls(tree, *paths)
    programs = {path: match[1] for path in there if (match := PROGRAM.fullmatch(path))}
    tests: dict[str, set[str]] = {path: set() for path in there if TEST.fullmatch(path)}
    included: dict[str, set[str]] = {}
    for path, line in scratch.grep_lines(tree, INCLUDES, [f":(glob){ROOT}/prog_tests/*.c"]):
        included.setdefault(path, set()).update(".".join(match.groups()) for match in SKELETON.finditer(line))
    own = {f"{name}.{kind}" for name in programs.values() for kind in ("skel.h", "lskel.h")}
    tests |= {path: names for path, names in included.items() if path in tests or names & own}
    return Goals(tuple(sorted(programs)), {path: tuple(sorted(names)) for path, names in sorted(tests.items())})
