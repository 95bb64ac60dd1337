"""Compile objects at any commit, or return the known result at once.

The key of a result is what the object was made of: the contents of all files that it included, the Makefiles above
it, the configuration and the tools. So two patches that share an object compile it once, and after a rebase only what
the rebase touched is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import MissingTool, ToolError
from ..identity import file_of, identity
from ..model import Finding, Status
from ..progress import counted, tick
from ..series.campaign import nothing
from ..store import Store
from .arches import X86
from .includes import Includes
from .kbuild import (
    ALLNO,
    ALLYES,
    INSTRUMENTS,
    Configured,
    Workplace,
    dependencies_of,
    is_member,
    list_members,
    write_anew,
)
from .log import Said, parse
from .options import read_options
from .prepared import Prepared, makes
from .toolchain import Compiler
from .units import Checker, Compiled, Files, Shelf, Unit, build_rules, digest, object_of, place, steers, switches_of

#: What a configuration is called that the campaign asks for.
CAMPAIGN = "campaign"
#: The file that says that the build's own programs are there.
PREPARED = ".patchbot-prepared"
#: The name under which the sources of generated headers are kept; an object's own list does not name them.
MAKERS = "makers"


class Bench(Workplace):
    """The folder of objects, and the results so far."""

    def __init__(
        self, *workplace: Any, inspect: Callable[[Path, str, bytes], Sequence[Finding]] = nothing, **more: Any
    ) -> None:
        super().__init__(*workplace, **more)
        self.inspect = inspect
        self._maker = identity(Path(__file__), file_of(inspect))
        self.known = Store(self.folder / "compiled.sqlite")
        #: Called with (tree, result, path) of each object while it exists, to keep more about it.
        self.watch: Callable[[str, Compiled, Path], None] = lambda *_: None
        self.checker: Checker | None = None
        self._files: dict[str, Files] = {}
        self._steering: dict[str, dict[str, str]] = {}
        self._includes = Includes(self.scratch)
        #: How the configuration was changed for some lines.
        self.changed = ""
        #: The file with the options of the tree that was asked about last.
        self.fragment = ""
        self._prepared = Prepared()
        self._beside: list[Bench] = []  # the same list for all of them
        self._lists: dict[tuple[str, str], list[set[str]]] = {}
        self._asks: dict[str, Callable[[str], list[set[str]]]] = {}
        self._keys: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Return what is special about the configuration: its architecture or compiler, or what it starts from."""
        start = "made" if self.changed else self.start
        what = self.kbuild.compiler.name
        return what if start == ALLNO else start if what == X86.folder else f"{what}-{start}"

    @property
    def title(self) -> str:
        """Return what the configuration starts from, with what was changed of that for some lines."""
        return f"{self.start} with {self.changed}" if self.changed else self.start if self.start != ALLNO else CAMPAIGN

    @property
    def mark(self) -> str:
        """Return what stands behind a message of this bench: nothing where it is the first one."""
        parts = (self.kbuild.compiler.arch.mark, self.title if self.title != CAMPAIGN else "")
        return " ".join(part for part in parts if part)

    def beside(self, compiler: Compiler) -> Bench:
        """Return the bench of another architecture: the same work tree, but its own output folder and results."""
        return self._other(compiler, {**self.options, **dict(compiler.arch.options)})

    def whole(self, start: str = ALLYES) -> Bench:
        """Return the bench that compiles what the configuration lacks: the same, but with all that Kconfig has."""
        options = {**dict.fromkeys(INSTRUMENTS, "n"), **dict(self.kbuild.compiler.arch.options)}
        return self._other(self.kbuild.compiler, options, start)

    def made(self, start: str, wishes: Mapping[str, str]) -> Bench:
        """Return the bench of a configuration that is made for some lines: one that Kconfig knows, with changes."""
        options = {
            **(self.whole(start).options if start != ALLNO else dict(self.kbuild.compiler.arch.options)),
            **wishes,
        }
        changed = " ".join(f"{symbol}={value}" for symbol, value in sorted(wishes.items()))
        return self._other(self.kbuild.compiler, options, start, changed)

    def checked_by(self, checker: Checker) -> Bench:
        """Return a bench in the same folders whose messages are those of a checker."""
        other = copy(self)
        other.checker, other.watch = checker, lambda *_: None
        other.kbuild = replace(self.kbuild, checker=checker.kind)
        return other

    def _other(self, compiler: Compiler, options: Mapping[str, str], start: str = ALLNO, changed: str = "") -> Bench:
        other = copy(self)
        other.start, other.options, other.changed, other.watch = start, options, changed, lambda *_: None
        other.kbuild = replace(self.kbuild, compiler=compiler)
        for old in [bench for bench in self._beside if (bench.name, bench.kbuild.compiler) == (other.name, compiler)]:
            if (old.start, old.changed) == (start, changed):
                return old
            old.known.close()  # the folder is for one that is made
            self._beside.remove(old)
        folder = self.folder / other.name
        folder.mkdir(exist_ok=True)
        other.kbuild = replace(other.kbuild, out=folder / "out")
        other.kbuild.recover()
        other.known = Store(folder / "compiled.sqlite")
        other._prepared, other._lists, other._asks, other._keys = Prepared(), {}, {}, {}
        self._beside.append(other)
        return other

    def close(self) -> None:
        """Let another process have the bench."""
        for other in self._beside:
            other.known.close()
        self.known.close()
        super().close()

    def files(self, tree: str) -> Files:
        """Return the files of a tree."""
        if tree not in self._files:
            if self._files:
                near, paths = next(reversed(self._files.items()))
                found = paths.after(self.scratch.changes(near, tree))
            else:
                found = Files({path: oid for path, (_, oid) in self.scratch.ls(tree).items()})
            self._files[tree] = found
            self._steering[tree] = {path: oid for path, oid in found.items() if steers(path)}
            for old in list(self._files)[:-4]:
                del self._files[old], self._steering[old]
        return self._files[tree]

    def steering(self, tree: str) -> Mapping[str, str]:
        """Return {path: object id} of the files of a tree that decide about the build of others."""
        self.files(tree)
        return self._steering[tree]

    def enter(self, tree: str, log: Path) -> Configured:
        """Check out `tree` and configure it."""
        if self.worktree.tree != tree:
            self.move(tree)
        key = self._config_key(tree)
        stamp = self.kbuild.out / ".patchbot-configured"
        known = self.known.get(f"config {key}", Configured)
        if known is None or not stamp.exists() or stamp.read_text() != key:
            stamp.unlink(missing_ok=True)
            tick(f"configuring the kernel for {self.name}")
            result = self.configure(log)
            self.known.put(f"config {key}", result)
            write_anew(stamp, key)
            self._prepared.tree = ""
            return result
        return known

    def config(self, tree: str, log: Path) -> Configured:
        """Return the outcome of the wanted options in `tree`."""
        known = self.known.get(f"config {self._config_key(tree)}", Configured) or self.enter(tree, log)
        self.fragment = known.fragment
        return known

    def is_member(self, tree: str, source: str, log: Path) -> bool:
        """Say whether the configuration of `tree` builds an object from `source`."""
        files = self.files(tree)
        rules = {p: files[p] for p in self.rules(tree, source)}
        key = "member " + digest([self._maker, source, self.config(tree, log).digest, rules])
        known = self.known.get(key, bool)
        if known is None:
            known = is_member(object_of(source), partial(self.listed, tree, log))
            self.known.put(key, known)
        return known

    def listed(self, tree: str, log: Path, folder: str) -> list[set[str]]:
        """Return the objects and the folders that a folder has in the configuration of a tree, asked once."""
        files, config = self.files(tree), self.config(tree, log).digest
        top, key = (digest([config, {p: files[p] for p in self.rules(tree, f"{f}/x.c")}]) for f in (".", folder))
        if (folder, key) not in self._lists:
            self.enter(tree, log)
            if top not in self._asks:
                self._asks = {top: list_members(self.kbuild)}
            self._lists[folder, key] = self._asks[top](folder)
        return self._lists[folder, key]

    def ready(self, tree: str, log: Path) -> None:
        """Check out and configure `tree`, and make the headers that the build generates."""
        self.enter(tree, log)
        self._prepare(tree, log)

    def switched_off(self, tree: str, source: str, log: Path) -> list[str]:
        """Return the options that are off in `tree` and that Makefiles name beside a source file and its folders."""
        self.enter(tree, log)
        on = read_options((self.kbuild.out / ".config").read_text("utf-8", "replace"), ".config")
        files = self.files(tree)

        def rules(path: str) -> str:
            return self.scratch.raw(files[path]).decode("utf-8", "replace") if path in files else ""

        return [symbol for symbol in switches_of(rules, source) if on.get(symbol, "n") == "n"]

    def tool_units(self, tree: str, touched: Sequence[str], log: Path) -> list[Unit]:
        """Return the objects of the build's own programs that are made from a touched file."""
        self.enter(tree, log)
        self._prepare(tree, log)
        files = self.files(tree)
        found = []
        for cmd in sorted((self.kbuild.out / "tools").rglob(".*.o.cmd")):
            obj = cmd.with_name(cmd.name[1:-4])
            deps = dependencies_of(self.kbuild, cmd, files)
            if obj.exists() and deps and set(deps) & set(touched) and not obj.name.endswith("-in.o"):
                found.append(Unit(deps[0], str(obj.relative_to(self.kbuild.out))))
        return found

    def module_of(self, tree: str, source: str) -> str:
        """Return the folder of the external module that a source file below tools/ belongs to, "" if there is none."""
        folder = str(PurePosixPath(source).parent)
        oid = self.files(tree).get(f"{folder}/Makefile") if source.startswith("tools/") else None
        if oid is None:
            return ""
        text = self.scratch.raw(oid)
        return folder if re.search(rb"\bobj-m\b", text) else ""

    def includers(self, tree: str, source: str) -> list[str]:
        """Return the sources that include a file by a name in quotes; see Includes."""
        return self._includes.of(tree, self.files(tree), source)

    def compile(self, tree: str, units: Iterable[Unit], log: Path) -> dict[Unit, Compiled]:
        """Return what the compiler says about `units` at `tree`; only unknown ones are compiled."""
        shelf, files = self.shelf(tree, log, same=True), self.files(tree)
        known = {unit: shelf.find(unit, files, Compiled) for unit in sorted(set(units))}
        missing = [unit for unit, result in known.items() if result is None]
        made = [result for result, _ in self.fetch(tree, missing, log)] if missing else []
        found = {unit: replace(result, unit=unit) for unit, result in known.items() if result is not None}
        return found | {result.unit: result for result in made}

    def knows(self, tree: str, units: Iterable[Unit], log: Path) -> bool:
        """Say whether compile() would compile none of `units`."""
        shelf, files = self.shelf(tree, log, same=True), self.files(tree)
        return all(shelf.find(unit, files, Compiled) for unit in units)

    def fetch(self, tree: str, units: Sequence[Unit], log: Path) -> list[tuple[Compiled, Path]]:
        """Compile `units` at `tree` in any case; return the results and the path of each object until the next call."""
        shelf, files = self.shelf(tree, log), self.files(tree)
        self.enter(tree, log)
        results = self._make(tree, units, log)
        for result in results:
            if result.built:
                shelf.put(result.unit, self.made_of(tree, result.unit, result.files), files, result)
        return [(result, self.path(result.unit)) for result in results]

    def shelf(self, tree: str, log: Path, scope: str = "", same: bool = False) -> Shelf:
        """Return the known results of objects configured as for `tree`; `scope` is what else they depend on.

        With `same` they hold for an object that same.py found to be the same, but in line numbers.
        """
        made = [self._maker, self.config(tree, log).digest, self.kbuild.compiler.versions]
        also = [scope, self.checker.goals, self.checker.version] if self.checker else scope
        return Shelf(self.known, digest([*made, also]), digest(made) if same and not self.checker else "")

    def _make(self, tree: str, units: Sequence[Unit], log: Path) -> list[Compiled]:
        """Compile `units` in any case, and return the results."""
        for unit in units:
            self.path(unit).unlink(missing_ok=True)
        if not (self.kbuild.out / PREPARED).exists() or self.makers() is None:
            self._prepare(tree, log)
        paths = [self.path(unit) for unit in units]
        if self._prepared.is_stale(self.scratch, tree):  # make does it, but does not say what it read
            self._prepared.tree = ""
        what = f"compiling objects for {self.name}"
        with counted(what, len(paths), lambda: sum(path.exists() for path in paths)):
            said = self._run_all(units, log)
        results = [self._judge(tree, unit, said) for unit in units]
        for result in results:
            if result.built:
                self.watch(tree, result, self.path(result.unit))
        return results

    def _run_all(self, units: Sequence[Unit], log: Path) -> list[Said]:
        """Run make for objects of the kernel, and once for each external module."""
        kernel = [u.obj for u in units if not u.tool and not u.module]
        said = self._run(["W=1", *kernel] if kernel else ["W=1", "prepare"], log)
        for module in sorted({u.module for u in units if u.module}):
            names = [u for u in units if u.module == module]
            goals = [str(PurePosixPath(u.source).relative_to(module).with_suffix(".o")) for u in names]
            place = [f"MO={self.module_out(module)}"] if self.has_module_out() else []
            found = self._run(["W=1", f"M={self.kbuild.source / module}", *place, *goals], log)
            by_goal = dict(zip(goals, (u.obj for u in names), strict=True))
            said += [replace(s, target=by_goal.get(s.target, s.target)) for s in found]
        return said

    def _run(self, goals: Sequence[str], log: Path) -> list[Said]:
        """Run make and return the findings in its log."""
        said = self.kbuild.make([*goals, *(self.checker.goals if self.checker else ())], log)
        refused = (line for line in said.splitlines() if self.checker and self.checker.refusal in line)
        if line := next(refused, ""):
            raise MissingTool(f"this kernel does not take {self.checker and self.checker.version}: {line}")
        return parse(said, source=str(self.kbuild.source), out=str(self.kbuild.out))

    def _prepare(self, tree: str, log: Path) -> None:
        """Build the programs that the build itself runs, and the headers that it generates."""
        if self._prepared.is_stale(self.scratch, tree):
            if not (self.kbuild.out / PREPARED).exists():  # this takes minutes, in which no object is made
                tick(f"building the programs of the build for {self.name}")
            self._prepared.make(self.kbuild, tree, log, lambda obj: bool(Shelf(self.known, "").made_of(obj)))
            makers = {path for path in self._prepared.inputs & self.files(tree).keys() if makes(path)}
            self.known.put(MAKERS, sorted(makers.union(self.makers() or ())))
            write_anew(self.kbuild.out / PREPARED, "")

    def _judge(self, tree: str, unit: Unit, said: Sequence[Said]) -> Compiled:
        """Return the result of one unit after make."""
        obj = self.path(unit)
        own = [s.finding for s in said if s.target in (unit.obj, str(obj))]
        files = self.files(tree)
        if self.checker:
            own = [f for f in own if f.type == self.checker.kind]
        if not obj.exists():
            if not self.checker and not any(f.status is Status.FAIL for f in own):
                # Something that every object needs could not be made.
                own += [s.finding for s in said if s.finding.status is Status.FAIL and s.target != unit.obj]
            if not own and not self.checker:
                text = f"make did not build {unit.obj}, and did not say why"
                own = [Finding(Status.FAIL, text, unit.source, None, "make")]
            return Compiled(unit, False, tuple(place(f, unit, files) for f in own))
        if not self.checker and not unit.tool:
            own += self.inspect(obj, unit.source, (self.worktree.path / unit.source).read_bytes())
        cmd = obj.with_name(f".{obj.name}.cmd")
        made_of = dependencies_of(self.kbuild, cmd, files) if cmd.is_file() else []
        if not made_of and not unit.tool:
            raise ToolError(f"make built {unit.obj}, but {cmd} does not say from what")
        return Compiled(unit, True, tuple(place(f, unit, files) for f in own), frozenset(made_of))

    def path(self, unit: Unit) -> Path:
        """Return the path of a unit's object."""
        if unit.module:
            name = PurePosixPath(unit.source).relative_to(unit.module).with_suffix(".o")
            own = self.module_out(unit.module) if self.has_module_out() else self.kbuild.source / unit.module
            return own / name
        return self.kbuild.out / unit.obj

    def module_out(self, module: str) -> Path:
        """Return the output folder of an external module."""
        path = self.kbuild.out.with_name("modules") / module
        path.mkdir(parents=True, exist_ok=True)
        return path

    def has_module_out(self) -> bool:
        """Say whether this kernel can build an external module outside its sources (MO=)."""
        return re.search(rb"\bMO\b", (self.kbuild.source / "Makefile").read_bytes()) is not None

    def _config_key(self, tree: str) -> str:
        """Return what the configuration of a tree depends on."""
        if tree not in self._keys:
            files = self.steering(tree)
            names = [p for p in files if p.rpartition("/")[2].startswith("Kconfig")]
            names += [p for p in files if p.startswith("scripts/") and p.count("/") == 1]
            parts = (self._maker, sorted((p, files[p]) for p in names), dict(self.options), self.start)
            self._keys[tree] = digest([*parts, self.kbuild.compiler.versions])
        return self._keys[tree]

    def makers(self) -> list[str] | None:
        """Return the sources that headers for all objects are made from, None as long as nothing was built."""
        return self.known.get(MAKERS, list[str])

    def made_of(self, tree: str, unit: Unit, files: Iterable[str]) -> set[str]:
        """Return the files of a tree that decide about an object that includes `files`."""
        return {*files, *self.rules(tree, *unit.places), *(self.makers() or ())}

    def rules(self, tree: str, *paths: str) -> list[str]:
        """Return the files of a tree that decide how sources are compiled here."""
        steering, arch = self.steering(tree), self.kbuild.compiler.arch.folder
        return sorted({rule for path in paths for rule in build_rules(self.scratch, steering, path, arch)})
