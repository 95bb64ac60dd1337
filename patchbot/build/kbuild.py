"""Drive a kernel's own build: configure, ask what belongs to the configuration, compile objects, read dependencies.

Everything happens in an output folder of patchbot's own (O=), so neither the sources nor a person's objects are
touched. What gets built is kbuild's decision: its own scripts are asked, no Makefile is guessed at.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import ToolError, Unfinished
from ..git.repo import Scratch
from ..git.worktree import WorkTree
from ..progress import note, tick
from ..run import run
from ..sandbox import NORMAL, Sandbox
from ..turns import Turn
from .log import ending, was_killed
from .options import read_options, write_options
from .toolchain import Compiler

ALLNO, ALLYES, ALLMOD = "allnoconfig", "allyesconfig", "allmodconfig"
#: What slows a compiler down, wants programs of its own or changes the code: it is off where all else is on.
INSTRUMENTS = ("GCC_PLUGINS", "GCOV_KERNEL", "KASAN", "KCOV", "KCSAN", "UBSAN")
#: How a line ends where the disk is at fault, and not the source.
FULL = b": No space left on device"

LIST_MEMBERS = """\
.PHONY: patchbot-list
patchbot-list:
	@printf 'object %s\\n' $(real-obj-y) $(real-obj-m) $(lib-y) $(always-y)
	@printf 'folder %s\\n' $(subdir-ym)
"""
#: Read by make before all Makefiles: a goal that prints the environment of what the top Makefile starts.
PRINT_EXPORTS = """\
.PHONY: patchbot-exports
patchbot-exports:
	@printf '\\0' && env -0
"""
#: In its direct mode ccache does not see a new file that is found before one that an object was made from.
CCACHE = {"CCACHE_NODIRECT": "1"}
#: Variables of a make itself.
MAKES_OWN = ("MAKEFILES", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMERR", "MAKE_TERMOUT", "MFLAGS")


@dataclass(frozen=True)
class Kbuild:
    """A kernel's sources, an output folder, and the way to call make there."""

    source: Path
    out: Path
    compiler: Compiler
    jobs: int = 1
    sandbox: Sandbox = NORMAL
    checker: str = ""

    def inside(self, cwd: Path, *writes: Path) -> list[str]:
        """Return the sandbox for make: it writes here and to `writes`."""
        compiler = self.compiler
        binutils = [f"{compiler.cross}ld", f"{compiler.cross}gcc", "make"]
        programs = [*shlex.split(compiler.cc), *binutils, compiler.pahole, *([self.checker] if self.checker else [])]
        return self.sandbox.around(cwd, [self.source, self.out, self.out.with_name("modules"), *writes], (), programs)

    def variables(self) -> list[str]:
        """Return the variables of every call of make."""
        return [*self.compiler.variables(), f"O={self.out}", f"CC={self.compiler.cc}", "V=0"]

    def make(self, goals: Sequence[str], log: Path, *writes: Path, timeout: float = 3600) -> str:
        """Run make, whether it succeeds or not, and return its output, which is also in `log`."""
        argv = ["make", "-C", str(self.source), "-k", f"-j{self.jobs}", "--output-sync=target", "--no-print-directory"]
        # A killed compiler leaves half an object that looks fresh: `recover` finds what is newer than this.
        marker = self.out / ".patchbot-building"
        write_anew(marker, "")
        before = log.stat().st_size if log.exists() else 0
        inside = self.inside(self.source, *writes)
        try:
            argv += [*self.variables(), *goals]
            done = run(argv, env=CCACHE, log=log, check=False, timeout=timeout, inside=inside)
            with open(log, "rb") as file:
                file.seek(before)
                said = file.read()
            if done.killed:
                raise Unfinished(f"{done.explain()}; see {log}")
            if done.returncode and was_killed(said):
                raise Unfinished(f"something that make ran was killed; see {log}:\n{ending(said)}")
            if any(line.endswith(FULL) for line in said.splitlines()):
                raise Unfinished(f"make in {self.out}{FULL.decode()}; see {log}")
        except ToolError:
            self.recover()
            raise
        marker.unlink()
        return said.decode("utf-8", "replace")

    def recover(self) -> None:
        """Remove what a killed build wrote."""
        marker = self.out / ".patchbot-building"
        if not marker.exists():
            return
        started = marker.stat().st_mtime_ns
        for folder, _, names in os.walk(self.out):
            for name in names:
                path = Path(folder, name)
                if path.lstat().st_mtime_ns >= started:
                    path.unlink()
        marker.unlink(missing_ok=True)


def has_failed(said: str) -> bool:
    """Say whether make could not make a goal, by its output."""
    return re.search(r"^make: \*\*\*", said, re.M) is not None


def write_anew(path: Path, text: str) -> None:
    """Write a file in an output folder, even where a Makefile put a link to one of the person's files in its place."""
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


class Configured(NamedTuple):
    """The outcome of the wanted options: the digest of the result, the dropped and the unknown ones.

    `fragment` is a file that has the wanted ones, for whoever does it again.
    """

    digest: str
    dropped: tuple[str, ...]
    unknown: tuple[str, ...]
    btf: bool
    fragment: str


def configure(
    kbuild: Kbuild, wanted: Mapping[str, str], symbols: Iterable[str], log: Path, start: str = ALLNO
) -> Configured:
    """Make .config from `start` plus `wanted`; `symbols` are those that the tree's Kconfig files define.

    An unchanged configuration keeps its time stamp, so nothing is compiled again.
    """
    kbuild.out.mkdir(parents=True, exist_ok=True)
    fragment = kbuild.out / ".patchbot-fragment"
    told = write_options(wanted)
    write_anew(fragment, told)
    kept = kbuild.out.with_name("fragments") / f"{hashlib.sha256(told.encode()).hexdigest()[:12]}.config"
    kept.parent.mkdir(exist_ok=True)
    write_anew(kept, told)
    # `syncconfig` writes auto.conf, which lists what belongs to the configuration.
    for goals in ([f"KCONFIG_ALLCONFIG={fragment}", start], ["syncconfig"]):
        said = kbuild.make(goals, log)
        if has_failed(said):
            raise ToolError(f"make {goals[-1]} failed; see {log}:\n{ending(said)}")
    config = kbuild.out / ".config"
    if not config.is_file():
        raise ToolError(f"make succeeded in configuring the kernel, but there is no {config}; see {log}")
    text = config.read_text(encoding="utf-8", errors="replace")
    got = read_options(text, ".config")
    known = set(symbols)
    missed = {s for s, value in wanted.items() if got.get(s, "n") != value}
    on = "\n".join(f"{s}={v}" for s, v in sorted(got.items()) if v != "n")
    return Configured(
        hashlib.sha256(on.encode()).hexdigest(),
        tuple(sorted(missed & known)),
        tuple(sorted(missed - known)),
        got.get("DEBUG_INFO_BTF") == "y",
        str(kept),
    )


class Workplace:
    """A folder with a work tree and an output folder for all kernels; one process at a time may use it."""

    #: What it makes, in what a person reads.
    makes = "objects"
    #: What the configuration starts from.
    start = ALLNO

    def __init__(
        self,
        folder: Path,
        scratch: Scratch,
        compiler: Compiler,
        options: Mapping[str, str],
        jobs: int,
        sandbox: Sandbox = NORMAL,
        *,
        out: str = "out",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._turn = Turn(folder / "lock", f"the {self.makes} in {folder}", note)  # held as long as the object lives
        self.folder = folder
        self.scratch = scratch
        self.options = options
        self.worktree = WorkTree.at(folder / "tree", scratch)
        self.kbuild = Kbuild(self.worktree.path, folder / out, compiler, jobs, sandbox)
        self.kbuild.recover()

    def close(self) -> None:
        """Let another process have the folder."""
        self._turn.end()

    def move(self, tree: str) -> None:
        """Check out a tree."""
        if not (self.worktree.path / "Makefile").exists():
            tick("checking out the kernel for the first time")
        self.worktree.move(tree)

    def configure(self, log: Path) -> Configured:
        """Configure the work tree; see `configure`."""
        kconfigs = sorted(self.worktree.path.rglob("Kconfig*"))
        texts = (p.read_text(encoding="utf-8", errors="replace") for p in kconfigs if p.is_file())
        symbols = defined_symbols(texts)
        # A warning that the parent gives, too, is no reason to have no object.
        calm = {name: "n" for name in symbols if self.start != ALLNO and name.endswith("WERROR")}
        return configure(self.kbuild, {**calm, **self.options}, symbols, log, self.start)


def defined_symbols(texts: Iterable[str]) -> set[str]:
    """Return the symbols that Kconfig files define."""
    return {name for text in texts for name in re.findall(r"^[ \t]*(?:menu)?config[ \t]+(\w+)[ \t]*$", text, re.M)}


def list_members(kbuild: Kbuild) -> Callable[[str], list[set[str]]]:
    """Return what asks scripts/Makefile.build which objects and folders a folder has here ("." is the top).

    It may be called from several threads, as long as neither the configuration nor the top Makefiles change.
    """
    extra = kbuild.out / ".patchbot-list.mk"
    write_anew(extra, LIST_MEMBERS)
    return partial(ask_members, kbuild, extra, read_exports(kbuild))


def read_exports(kbuild: Kbuild) -> dict[str, str]:
    """Return what the top Makefiles export: the folders below lib/ and arch/ are listed there, and nowhere else."""
    extra = kbuild.out / ".patchbot-exports.mk"
    write_anew(extra, PRINT_EXPORTS)
    argv = ["make", "-C", str(kbuild.source), "--no-print-directory", *kbuild.variables(), "patchbot-exports"]
    done = run(argv, env={"MAKEFILES": str(extra)}, check=False, inside=kbuild.inside(kbuild.source))
    if done.returncode:
        raise ToolError(f"the kernel's Makefile does not say what it exports: {done.explain()}")
    rows = (row.partition("=") for row in done.stdout.decode("utf-8", "surrogateescape").split("\0")[1:])
    return {name: value for name, _, value in rows if name and name not in MAKES_OWN}


def ask_members(kbuild: Kbuild, extra: Path, exports: Mapping[str, str], folder: str) -> list[set[str]]:
    """Return the objects and folders of a folder, given the Makefile with the goal that prints them."""
    source = str(kbuild.source)
    argv = ["make", "-rR", "-s", "--no-print-directory", "-f", f"{source}/scripts/Makefile.build", "-f", str(extra)]
    argv += ["-I", source, f"srctree={source}", f"srcroot={source}", "objtree=.", f"VPATH={source}", f"obj={folder}"]
    argv += [*kbuild.compiler.variables(), f"CC={kbuild.compiler.cc}", "CONFIG_SHELL=sh", "patchbot-list"]
    done = run(argv, cwd=kbuild.out, env=exports, check=False, timeout=60, inside=kbuild.inside(kbuild.out))
    if done.returncode:
        if any((kbuild.source / folder / name).exists() for name in ("Kbuild", "Makefile")):
            raise ToolError(f"kbuild does not say what it builds in {folder}: {done.explain()}")
        return [set(), set()]
    rows = [line.partition(" ") for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return [
        {form for kind, _, name in rows if kind == k and name for form in (name, os.path.normpath(name))}
        for k in ("object", "folder")
    ]


def is_member(obj: str, ask: Callable[[str], list[set[str]]]) -> bool:
    """Say whether the configuration builds an object: some Makefile on the way down to it lists it.

    make would compile any .c file named on its command line, even one that is not part of the kernel. `ask` is what
    list_members() returns.
    """
    return _walk(obj, ask)


def is_folder(path: str, ask: Callable[[str], list[set[str]]]) -> bool:
    """Say whether the configuration builds what is in a folder."""
    return path == "." or _walk(f"{path}/", ask)


def _walk(obj: str, ask: Callable[[str], list[set[str]]]) -> bool:
    """Go down to an object, or to a folder with a slash at its end, as far as Makefiles list the way."""
    folder = "."
    parts = PurePosixPath(obj).parts
    folders: set[str] = set()
    for depth in range(len(parts)):
        objects, below = ask(folder)
        if obj in objects:
            return True
        # Some folders are listed further up: arch/ itself has no Makefile.
        folders |= below
        folder = "/".join(parts[: depth + 1])
        if not any(f == folder or f.startswith(f"{folder}/") for f in folders):
            return False
    return obj == f"{folder}/"


def count_members(kbuild: Kbuild) -> int:
    """Return about how many objects the configuration builds: those of the folders that the top of the tree lists."""
    tick("counting the objects of the kernel")
    found, seen, folders = 0, {"."}, {"."}
    ask = list_members(kbuild)
    with ThreadPoolExecutor(kbuild.jobs) as pool:
        while folders:
            rows = list(pool.map(ask, sorted(folders)))
            found += sum(name.endswith(".o") for objects, _ in rows for name in objects)
            folders = {folder for _, below in rows for folder in below} - seen
            seen |= folders
    return found


def dependencies_of(kbuild: Kbuild, cmd: Path, files: Collection[str]) -> list[str]:
    """Return the files of the tree, which has `files`, that an object was made from by its .cmd file, source first."""
    found = []
    root = f"{kbuild.source}/"
    for name in read_dependencies(cmd.read_text(encoding="utf-8", errors="replace")):
        if name.startswith(root):
            path = os.path.normpath(name.removeprefix(root))
            found += [path] if path in files else []
        elif not name.startswith("/") and cmd.is_relative_to(kbuild.out / "tools"):
            # Relative to the program's own folder, which the .cmd file does not name.
            here = os.path.normpath(cmd.parent.relative_to(kbuild.out) / name)
            end = "/" + re.sub(r"^(?:\.{1,2}/)+", "", name)
            near = [here] if here in files else [p for p in files if p.startswith("tools/") and p.endswith(end)]
            found += near if len(near) == 1 else []
    return list(dict.fromkeys(found))


def read_dependencies(cmd: str) -> list[str]:
    """Return the files that an object was made from, by the .cmd file that fixdep wrote."""
    rows = re.search(r"^deps_\S+ := \\\n((?:.*\\\n)*)", cmd, re.M)
    source = re.search(r"^source_\S+ := (\S+)$", cmd, re.M)
    found = [source[1]] if source else []
    for line in rows[1].splitlines() if rows else []:
        name = line.rstrip("\\").strip()
        if name and not name.startswith("$(wildcard"):
            found.append(name)
    return found
