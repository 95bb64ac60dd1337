"""Find what must be compiled for another architecture than x86, and whether this machine can.

Every site is to be seen by some compiler; one that none sees is listed with what would help.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..checking.check import Subject
from ..errors import MissingTool, UserError
from ..git.repo import Scratch
from ..series.campaign import Site
from .arches import ARCHES, X86, Arch, Symbols, homes, named_symbols, read_symbols
from .toolchain import cross_compiler


@dataclass(frozen=True)
class Need:
    """Sites that x86 cannot have and an architecture can; `lacking` says why it is not compiled."""

    arch: Arch
    sites: tuple[Site, ...]
    lacking: str = ""

    @property
    def files(self) -> set[str]:
        """The files that hold the sites."""
        return {site.file for site in self.sites}


def cross_versions(options: Mapping[str, Any]) -> list[str]:
    """Return the versions of the tools for other architectures that this machine has: what decides what is compiled."""
    found = []
    for arch in others(options):
        try:
            found.append(f"{arch.folder}: {cross_compiler(options, arch).versions}")
        except MissingTool:
            found.append(f"{arch.folder}: missing")
    return found


def others(options: Mapping[str, Any]) -> list[Arch]:
    """Return the architectures that may be compiled for besides x86: [checks.build] arch, else all known ones."""
    names = options.get("arch")
    if names is None:
        return [arch for arch in ARCHES.values() if arch != X86]
    if not isinstance(names, list) or not set(names) <= set(ARCHES):
        raise UserError(f"[checks.build] arch must be a list of {', '.join(ARCHES)}, not {names!r}")
    return [arch for arch in ARCHES.values() if arch.folder in names and arch != X86]


def needs(subject: Subject, options: Mapping[str, Any], sites: Iterable[Site]) -> list[Need]:
    """Return which of some sites x86 cannot have, by the architecture to compile them for.

    Of several architectures that can, one whose compiler is there is taken.
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


def lacks(options: Mapping[str, Any], folder: str) -> str:
    """Return why nothing is compiled for an architecture, "" if that is possible."""
    if folder not in ARCHES:
        return f"patchbot knows no compiler for arch/{folder}"
    if ARCHES[folder] not in others(options):
        return f"{folder} is not in [checks.build] arch"
    try:
        cross_compiler(options, ARCHES[folder])
    except MissingTool as error:
        return str(error).replace("; ", ", ")
    return ""


@lru_cache(maxsize=16)
def find_symbols(scratch: Scratch, tree: str, names: frozenset[str]) -> Symbols:
    """Return where the Kconfig files of a tree define some symbols; looked for once a run."""
    if not names:
        return Symbols()
    form = rf"^[[:space:]]*(menu)?config[[:space:]]+({'|'.join(sorted(names))})[[:space:]]*$"
    return read_symbols(scratch.grep_lines(tree, form, [":(glob)**/Kconfig*"], after=2))
