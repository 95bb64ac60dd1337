"""Open the one bench of a repository for every check that compiles, as [checks.build] of patchbot.toml says.

Two checks that compile the same objects must share the work tree, the output folder and the configuration, or each
would undo the other's builds. Code that x86 cannot have is also compiled for an architecture that can: some compiler
should see every site, and a site that none sees is listed with what would help.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from ..checking.check import Subject
from ..errors import ConfigError, MissingTool, ToolError, Unfinished
from ..git.repo import Scratch
from ..model import Finding
from ..series.campaign import Site
from .arches import ARCHES, X86, Arch, Symbols, homes, named_symbols, read_symbols
from .bench import Bench
from .borrowed import borrowed
from .options import BuildOptions, wanted_options
from .toolchain import compiler_of
from .units import Unit, object_of

T = TypeVar("T")

#: Nothing below these folders is part of the kernel.
APART = ("tools/", "scripts/", "usr/", "Documentation/")

_open: dict[Path, Bench] = {}


@dataclass(frozen=True)
class Need:
    """Sites that an architecture can have and x86 cannot; `lacking` says why they are not compiled."""

    arch: Arch
    sites: tuple[Site, ...]
    lacking: str = ""

    @property
    def files(self) -> set[str]:
        """The files that hold the sites."""
        return {site.file for site in self.sites}


def cross_versions(options: BuildOptions) -> list[str]:
    """Return the versions of this machine's tools for other architectures, on which depends what is compiled."""
    found = []
    for arch in others(options):
        try:
            found.append(f"{arch.folder}: {compiler_of(options, arch).versions}")
        except MissingTool:
            found.append(f"{arch.folder}: missing")
    return found


def others(options: BuildOptions) -> list[Arch]:
    """Return the architectures to compile for besides x86: [checks.build] arch, else all known ones."""
    names = ARCHES if options.arch is None else options.arch
    if not set(names) <= set(ARCHES):
        text = f"[checks.build] arch must be a list of {', '.join(ARCHES)}, not {list(names)!r}"
        raise ConfigError(text, "checks.build.arch")
    return [arch for arch in ARCHES.values() if arch.folder in names and arch != X86]


def needs(subject: Subject, options: BuildOptions, sites: Iterable[Site]) -> list[Need]:
    """Return the sites that x86 cannot have, by the architecture to compile them for.

    Of several possible architectures, one whose compiler is installed is used.
    """
    sites = [s for s in sites if s.file.endswith((".c", ".S"))]
    tree = subject.items[0].parent_tree
    symbols = find_symbols(subject.scratch, tree, named_symbols(c for s in sites for c in s.conditions))
    wanted: dict[str, list[Site]] = {}
    for site in sites:
        folders = homes(site.file, site.conditions, symbols)
        if folders and X86.folder not in folders:
            here = [folder for folder in folders if not lacks(options, folder)]
            wanted.setdefault((here or folders)[0], []).append(site)
    rows = sorted(wanted.items())
    return [Need(ARCHES.get(f) or Arch(f, f, "", ""), tuple(found), lacks(options, f)) for f, found in rows]


def lacks(options: BuildOptions, folder: str) -> str:
    """Return why nothing is compiled for an architecture, "" if it can be."""
    if folder == X86.folder:
        return ""
    if folder not in ARCHES:
        return f"patchbot knows no compiler for arch/{folder}"
    if ARCHES[folder] not in others(options):
        return f"{folder} is not in [checks.build] arch"
    try:
        compiler_of(options, ARCHES[folder])
    except MissingTool as error:
        return str(error).replace("; ", ", ")
    return ""


@lru_cache(maxsize=16)
def find_symbols(scratch: Scratch, tree: str, names: frozenset[str]) -> Symbols:
    """Return where the Kconfig files of a tree define some symbols; searched once a run."""
    if not names:
        return Symbols()
    form = rf"^[[:space:]]*(menu)?config[[:space:]]+({'|'.join(sorted(names))})[[:space:]]*$"
    return read_symbols(scratch.grep_lines(tree, form, [":(glob)**/Kconfig*"], after=2))


def units_of(bench: Bench, tree: str, source: str, log: Path, depth: int = 3) -> list[Unit]:
    """Return the objects that hold a source file: its own, or those of the files that include it."""
    if module := bench.module_of(tree, source):
        return [Unit(source, object_of(source), module)]
    if source.startswith(APART) or not depth:
        return []
    if bench.is_member(tree, source, log) or makes_header(bench, tree, source, log):
        return [Unit(source, object_of(source))]
    if name := borrowed(bench, tree, log).get(object_of(source)):
        return [Unit(source, name)]
    found = (units_of(bench, tree, s, log, depth - 1) for s in bench.includers(tree, source))
    return [unit for units in found for unit in units]


def makes_header(bench: Bench, tree: str, source: str, log: Path) -> bool:
    """Say whether the build makes a header for all objects from what a compiler says of a source: kernel/bounds.c."""
    if not source.endswith(".c"):
        return False
    if bench.makers() is None:
        bench.ready(tree, log)
    return source in (bench.makers() or ()) and (bench.kbuild.out / source).with_suffix(".s").exists()


def open_bench(subject: Subject, options: BuildOptions, arch: Arch = X86) -> Bench:
    """Return the bench of this repository, the same for every check and every patch of a run."""
    main = open_main(subject, options)
    if arch == X86:
        return main
    other = main.beside(compiler_of(options, arch))
    subject.wishes.watch(other, subject.work)
    return other


def open_main(subject: Subject, options: BuildOptions) -> Bench:
    """Return the bench that compiles for x86."""
    folder = subject.work / "build"
    compiler, wanted = compiler_of(options), wanted_options(options, subject.wishes)
    old = _open.get(folder)
    if old is not None:
        same = old.kbuild.compiler == compiler and old.options == wanted and old.inspect == subject.wishes.inspect
        same &= old.kbuild.sandbox == subject.sandbox and old.scratch.path == subject.scratch.path
        if same and folder.exists():
            return old
        old.close()
    jobs, inspect = options.jobs or subject.jobs, subject.wishes.inspect
    bench = Bench(folder, subject.scratch, compiler, wanted, jobs, subject.sandbox, inspect=inspect)
    _open[folder] = bench
    subject.wishes.watch(bench, subject.work)
    return bench


def close_benches() -> None:
    """Let other processes have the benches of this one."""
    for folder in list(_open):
        _open.pop(folder).close()


def elsewhere(
    subject: Subject, options: BuildOptions, sites: Iterable[Site], work: Callable[[Bench, Need], T]
) -> Iterator[tuple[Need, T | None]]:
    """Yield what some sites need from other architectures, each with what `work` gives; else `lacking` says why."""
    for need in needs(subject, options, sites):
        done = None
        if not need.lacking:
            try:
                done = work(open_bench(subject, options, need.arch), need)
            except Unfinished:
                raise
            except ToolError as error:
                # For example a compiler that is too old for this kernel.
                need = replace(need, lacking=f"for {need.arch.folder}: {error}".splitlines()[0])
        yield need, done


def each_bench(found: Iterable[tuple[str, Iterable[Finding]]]) -> list[Finding]:
    """Return the findings of each bench that those before it lack, with the bench's mark."""
    all_: list[Finding] = []
    for mark, findings in found:
        new = [f for f in findings if f not in all_]
        all_ += [replace(f, message=f"{f.message} ({mark})") for f in new] if mark else new
    return all_


def make_lines(bench: Bench, units: Sequence[Unit]) -> list[str]:
    """Return the shell commands that configure a kernel and compile objects as a bench does, in an output folder."""
    compiler = bench.kbuild.compiler
    make = f"make O=out-{bench.name} {' '.join(compiler.variables())}"
    fragment = shlex.quote(bench.fragment)
    wanted = " ".join(["W=1", *(bench.checker.goals if bench.checker else ())])
    kernel = [u.obj for u in sorted(units) if not u.module and not u.tool]
    lines = [f"{make} KCONFIG_ALLCONFIG={fragment} {bench.start}"]
    lines += [f"{make} -j$(nproc) -k {wanted} {' '.join(map(shlex.quote, kernel)) or 'prepare'}"]
    for unit in sorted(u for u in units if u.module):
        goal = unit.obj.removeprefix(f"{unit.module}/")
        lines.append(f"{make} {wanted} M={shlex.quote(unit.module)} {shlex.quote(goal)}")
    return lines
