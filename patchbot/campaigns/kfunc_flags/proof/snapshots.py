"""Show the kfunc sets of a commit as they are in its objects: compile and read those with sets and kfuncs.

Code that x86 cannot have is read from objects for another architecture, so that some compiler sees each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ....build.arches import X86, Arch
from ....build.bench import Bench
from ....build.benches import Need, elsewhere, open_bench, units_of
from ....build.options import BuildOptions, build_options
from ....build.units import Unit
from ....checking.check import Subject
from ....series.campaign import Site
from .meaning import RCU, RELEASE, flags_of, rule_of
from .readings import Reading, read_object, shelf_of
from .rules import Places, State, uncovered

ABOUT_ARGUMENTS = frozenset({RCU, RELEASE})


@dataclass(frozen=True)
class Snapshot:
    """The sets at one commit: their meaning, the places of the rows, the object of each file, what did not compile."""

    state: State
    places: Places
    units: Mapping[str, Unit]
    broken: Mapping[str, str] = field(default_factory=dict)
    compiled: int = 0

    @property
    def objects(self) -> dict[str, str]:
        """The object of each file that was compiled."""
        return {source: unit.obj for source, unit in self.units.items() if unit.obj in self.state.readings}


@dataclass(frozen=True)
class Sides:
    """Two commits as the objects for one architecture show them."""

    arch: Arch
    before: Snapshot
    after: Snapshot

    @cached_property
    def states(self) -> tuple[State, State]:
        """Return both states without the objects that did not compile in one of them."""
        broken = {*self.before.broken, *self.after.broken}
        return self.before.state.without(broken), self.after.state.without(broken)


@dataclass(frozen=True)
class View:
    """Two commits as the objects for x86, then those for other architectures, show them; what x86 cannot have."""

    sides: tuple[Sides, ...]
    needs: tuple[Need, ...]

    @property
    def main(self) -> Sides:
        """What the objects for x86 show."""
        return self.sides[0]

    def missing(self) -> list[tuple[Site, str]]:
        """Return the entries of the inventory after the patch that no object shows, each with the reason."""
        after = self.main.after
        left = list(uncovered(after.state, after.places, after.objects))
        for sides in self.sides[1:]:
            places = Places([site for site, _ in left])
            still = [id(e) for e, _ in uncovered(sides.after.state, places, sides.after.objects)]
            left = [(site, why) for site, why in left if id(site) in still]
        return [(site, self.reason(site, why)) for site, why in left]

    def reason(self, site: Site, why: str) -> str:
        """Return why no object shows a site."""
        parts = [why_not(site, why, self.main.after)]
        for need in self.needs:
            if site in need.sites:
                parts.append(need.lacking or f"nor is it in an object for {need.arch.folder}")
                parts += [f"{o}: {w}" for s in self.sides if s.arch == need.arch for o, w in s.after.broken.items()]
        return ", ".join(parts)


_snapshots: dict[tuple[str, str], Snapshot] = {}


def look(subject: Subject, old: tuple[str, str], new: tuple[str, str], log: Path) -> View:
    """Return what objects show of two commits, given as (commit, tree); unknown objects are compiled."""
    options = compiling(subject)
    main = Sides(X86, snapshot(subject, *old, log), snapshot(subject, *new, log))
    both = (main.before, main.after)
    uncovered_ = [e for s in both for e, _ in uncovered(s.state, s.places, s.objects)]
    sides, found = [main], []

    def both_beside(bench: Bench, need: Need) -> list[Snapshot]:
        sources = sorted({*need.files, *definitions(need.sites)})
        pair = []
        for one, (_, tree) in zip(both, (old, new), strict=True):
            # x86 knows prototypes of other files.
            blank = replace(one.state, readings={}, others=one.state.prototypes)
            pair.append(show(subject, bench, tree, sources, blank, one.places, log))
        return pair

    for need, pair in elsewhere(subject, options, uncovered_, both_beside):
        found.append(need)
        sides += [Sides(need.arch, *pair)] if pair else []
    return View(tuple(sides), tuple(found))


def snapshot(subject: Subject, commit: str, tree: str, log: Path) -> Snapshot:
    """Return the sets at a commit as the objects for x86 show them."""
    where = (str(subject.work), commit)
    if where not in _snapshots:
        bench = open_bench(subject, compiling(subject))
        sites = subject.sites(commit)
        sources = sorted({*subject.witnesses(commit), *(s.file for s in sites), *definitions(sites)})
        rule = rule_of(subject.scratch, subject.items[0].parent_tree)
        blank = State(flags_of(subject.scratch, tree), rule, {})
        found = show(subject, bench, tree, sources, blank, Places(sites), log)
        for old in list(_snapshots)[:-3]:
            del _snapshots[old]
        _snapshots[where] = found
    return _snapshots[where]


def show(
    subject: Subject, bench: Bench, tree: str, sources: Sequence[str], blank: State, places: Places, log: Path
) -> Snapshot:
    """Return what the objects of source files show; `blank` is the state without any of them."""
    files = bench.files(tree)
    found = {s: units_of(bench, tree, s, log) for s in sources if s.endswith(".c") and s in files}
    units = {source: rows[0] for source, rows in found.items() if rows}
    shelf = shelf_of(bench, tree, log)
    known = {unit: shelf.find(unit, files, Reading) for unit in sorted(set(units.values()))}
    readings = {unit.obj: reading for unit, reading in known.items() if reading is not None}
    missing = [unit for unit, reading in known.items() if reading is None]
    broken = {}
    if missing:
        for result, path in bench.fetch(tree, missing, log):
            name = result.unit.obj
            if result.built:
                # Bench.watch put it on the shelf; if it could not, this says why.
                reading = shelf.find(result.unit, files, Reading)
                pahole = bench.kbuild.compiler.pahole
                readings[name] = reading or read_object(name, path, blank.flags.trailer, pahole)
            else:
                first = min(result.findings, key=lambda f: (f.file or "", f.line or 0), default=None)
                broken[name] = f"{first.file}:{first.line}: {first.message}" if first else "see the log"
    return Snapshot(replace(blank, readings=readings), places, units, broken, len(missing))


def definitions(sites: Sequence[Site]) -> set[str]:
    """Return the files that define the kfuncs whose flags are about arguments: their objects have the prototypes."""
    return {
        str(s.details["prototype"]["file"])
        for s in sites
        if s.details.get("prototype") and (s.details["arg_flags"] or ABOUT_ARGUMENTS & set(s.details["flags"]))
    }


def why_not(site: Site, why: str, snapshot_: Snapshot) -> str:
    """Return why no object shows a row."""
    file = site.file
    if why:
        return why
    if file.startswith("tools/"):
        return "user space, not a module of the kernel"
    if snapshot_.broken:
        return f"{file} does not compile, or is in no object of this configuration"
    return f"{file} is in no object of this configuration"


def compiling(subject: Subject) -> BuildOptions:
    """Return the options of the build."""
    return build_options(subject.tables.get("build", {}))
