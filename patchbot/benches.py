"""Open the one bench of a repository for every check that compiles, as [checks.build] of patchbot.toml says.

Two checks that compile the same objects must share the work tree, the output folder and the configuration, or each
would undo what the other one built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .bench import Bench, Compiled, Unit, object_of
from .bundle import bundled
from .check import Subject
from .config import known
from .errors import UserError
from .kbuild import Compiler, find_compiler, read_options

OPTIONS = ("config", "cc", "cross_compile", "ccache", "jobs")
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


def open_bench(subject: Subject, options: Mapping[str, Any]) -> Bench:
    """Return the bench of this repository, the same for every check and every patch of a run."""
    folder = subject.work / "build"
    compiler, wanted = compiler_of(options), wanted_options(options)
    old = _open.get(folder)
    if old is not None:
        same = old.kbuild.compiler == compiler and old.options == wanted
        if same and old.scratch.path == subject.scratch.path and folder.exists():
            old.progress = subject.progress
            return old
        old.close()
    jobs = options.get("jobs", subject.jobs)
    _open[folder] = Bench(folder, subject.scratch, compiler, wanted, jobs, subject.progress)
    return _open[folder]


def fetch(bench: Bench, tree: str, units: Sequence[Unit], log: Path) -> list[tuple[Compiled, Path]]:
    """Compile `units` at `tree` for sure and return what was said, and where each object lies until the next call."""
    bench.enter(tree, log)
    return [(result, bench._path(result.unit)) for result in bench._make(tree, units, log)]


def compiler_of(options: Mapping[str, Any]) -> Compiler:
    """Return the compiler that [checks.build] names."""
    known("patchbot.toml", "checks.build", options, OPTIONS)
    for name, kind in {"cc": str, "cross_compile": str, "ccache": bool, "jobs": int}.items():
        if name in options and not isinstance(options[name], kind):
            raise UserError(f"[checks.build] {name} must be a {kind.__name__}, not {options[name]!r}")
    return find_once(options.get("cc"), options.get("cross_compile", ""), options.get("ccache"))


@cache
def find_once(cc: str | None, cross: str, ccache: bool | None) -> Compiler:
    """Ask the tools for their versions once a run."""
    return find_compiler(cc, cross, ccache)


def wanted_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of the configuration fragments, the later ones over the earlier ones."""
    given = options.get("config", "bpf.config")
    merged: dict[str, str] = {}
    for name in [given] if isinstance(given, str) else given:
        path = Path(name).expanduser()
        own = bundled("checks") / name
        if not path.exists() and own.exists():
            path = own
        try:
            merged |= read_options(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"[checks.build] config: {path} cannot be read: {error}") from error
    return merged
