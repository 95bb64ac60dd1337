"""Open the one bench of a repository for every check that compiles, as [checks.build] of patchbot.toml says.

Two checks that compile the same objects must share the work tree, the output folder and the configuration, or each
would undo what the other one built. What x86 cannot have is compiled beside it for an architecture that can.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..bundle import bundled
from ..campaigns.kfunc_flags.proof import readings
from ..campaigns.kfunc_flags.proof.btf import PAHOLE
from ..campaigns.kfunc_flags.proof.meaning import BTF_H, BTF_IDS_H, Flags, read_flags
from ..campaigns.kfunc_flags.proof.readings import Shelf, read_object
from ..checking.check import Subject
from ..config import known
from ..errors import PatchbotError, UserError
from ..git.repo import Scratch
from ..identity import identity
from ..paths import expanded
from .arches import X86, Arch
from .bench import Bench
from .kbuild import Compiler, find_compiler, read_options
from .units import Compiled, Unit, object_of

OPTIONS = ("config", "cc", "cross_compile", "ccache", "jobs", "arch", "pahole")
#: Nothing below these folders is a part of the kernel.
APART = ("tools/", "samples/", "scripts/", "usr/", "Documentation/")

_open: dict[Path, Bench] = {}


def units_of(bench: Bench, tree: str, source: str, log: Path, depth: int = 3) -> list[Unit]:
    """Return the objects that hold a source file: its own, or that of the files that include it."""
    if module := bench.module_of(tree, source):
        return [Unit(source, object_of(source), module)]
    if source.startswith(APART) or not depth:
        return []
    if bench.is_member(tree, source, log):
        return [Unit(source, object_of(source))]
    found = (units_of(bench, tree, s, log, depth - 1) for s in bench.includers(tree, source))
    return [unit for units in found for unit in units]


def open_bench(subject: Subject, options: Mapping[str, Any], arch: Arch = X86) -> Bench:
    """Return the bench of this repository, the same for every check and every patch of a run."""
    main = open_main(subject, options)
    if arch == X86:
        return main
    other = main.beside(cross_compiler(options, arch))
    other.progress = subject.progress
    keep_readings(other, subject.work)
    return other


def open_main(subject: Subject, options: Mapping[str, Any]) -> Bench:
    """Return the bench that compiles for x86."""
    folder = subject.work / "build"
    compiler, wanted = compiler_of(options), wanted_options(options)
    old = _open.get(folder)
    if old is not None:
        same = old.kbuild.compiler == compiler and old.options == wanted and old.kbuild.sandbox == subject.sandbox
        if same and old.scratch.path == subject.scratch.path and folder.exists():
            old.progress = subject.progress
            return old
        old.close()
    jobs = options.get("jobs", subject.jobs)
    _open[folder] = Bench(folder, subject.scratch, compiler, wanted, jobs, subject.progress, subject.sandbox)
    keep_readings(_open[folder], subject.work)
    return _open[folder]


def shelf_of(bench: Bench, work: Path, config: str) -> Shelf:
    """Return where the readings of objects are kept that are compiled with one configuration."""
    compiler = bench.kbuild.compiler
    return Shelf(work / "btf" / compiler.arch.folder, f"{config} {compiler.versions} {readers()}")


@cache
def readers() -> str:
    """Return the identity of what reads objects: what an older one stored is not used."""
    return identity(Path(readings.__file__))


def keep_readings(bench: Bench, work: Path) -> None:
    """Have every object read as soon as it is compiled, so that no check compiles it a second time to read it.

    An object that cannot be read is passed over: the check that needs it says why.
    """

    def read(tree: str, result: Compiled, path: Path) -> None:
        if result.unit.tool or not path.name.endswith(".o"):
            return
        try:
            files = bench.files(tree)
            reading = read_object(result.unit.obj, path, flags_of(bench, tree).trailer, bench.kbuild.compiler.pahole)
            config = bench.config(tree, bench.kbuild.out / "config.log").digest
        except PatchbotError:
            return
        made_of = {*result.files, *bench.rules(tree, result.unit.source)}
        shelf_of(bench, work, config).put(reading, made_of, files)

    bench.watch = read


@lru_cache(maxsize=64)
def blob(scratch: Scratch, oid: str) -> bytes:
    """Return an object of a scratch repository, read once."""
    return scratch.git("cat-file", "blob", oid).stdout


def read_of(bench: Bench, tree: str, path: str) -> bytes:
    """Return a file of a tree, nothing if there is none."""
    files = bench.files(tree)
    return blob(bench.scratch, files[path]) if path in files else b""


def flags_of(bench: Bench, tree: str) -> Flags:
    """Return the flags of kfuncs as the headers of a tree define them."""
    return read_flags(read_of(bench, tree, BTF_H), read_of(bench, tree, BTF_IDS_H))


def compiler_of(options: Mapping[str, Any]) -> Compiler:
    """Return the compiler that [checks.build] names."""
    known("patchbot.toml", "checks.build", options, OPTIONS)
    for name, kind in {"cc": str, "cross_compile": str, "ccache": bool, "jobs": int, "pahole": str}.items():
        if name in options and not isinstance(options[name], kind):
            raise UserError(f"[checks.build] {name} must be a {kind.__name__}, not {options[name]!r}")
    return find_once(
        options.get("cc"), options.get("cross_compile", ""), options.get("ccache"), X86, pahole_of(options)
    )


def cross_compiler(options: Mapping[str, Any], arch: Arch) -> Compiler:
    """Return the compiler for another architecture; raise MissingTool that names its package."""
    return find_once(None, arch.cross, options.get("ccache"), arch, pahole_of(options))


def pahole_of(options: Mapping[str, Any]) -> str:
    """Return the pahole that [checks.build] names; a path is absolute, as make goes elsewhere."""
    name = options.get("pahole", PAHOLE)
    return str(expanded(name).absolute()) if "/" in name else str(name)


@cache
def find_once(cc: str | None, cross: str, ccache: bool | None, arch: Arch, pahole: str) -> Compiler:
    """Ask the tools for their versions once a run."""
    return find_compiler(cc, cross, ccache, arch, pahole)


def wanted_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of the configuration fragments, the later ones over the earlier ones."""
    # Not by its name alone: a tree that one stands in may have a file of that name.
    given = options.get("config", str(bundled("checks") / "bpf.config"))
    merged: dict[str, str] = {}
    for name in [given] if isinstance(given, str) else given:
        path = expanded(name)
        own = bundled("checks") / name
        if not path.exists() and own.exists():
            path = own
        try:
            merged |= read_options(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"[checks.build] config: {path} cannot be read: {error}") from error
    return merged


def make_lines(bench: Bench, units: Sequence[Unit]) -> list[str]:
    """Return the shell commands that configure a kernel and compile objects as a bench does, in an output folder."""
    compiler = bench.kbuild.compiler
    make = f"make O=out-{compiler.arch.folder} {' '.join(compiler.variables())}"
    fragment = shlex.quote(str(bench.kbuild.out / ".patchbot-fragment"))
    kernel = [u.obj for u in sorted(units) if not u.module and not u.tool]
    lines = [f"{make} KCONFIG_ALLCONFIG={fragment} allnoconfig"]
    lines += [f"{make} -j$(nproc) -k W=1 {' '.join(map(shlex.quote, kernel)) or 'prepare'}"]
    for unit in sorted(u for u in units if u.module):
        goal = unit.obj.removeprefix(f"{unit.module}/")
        lines.append(f"{make} W=1 M={shlex.quote(unit.module)} {shlex.quote(goal)}")
    return lines
