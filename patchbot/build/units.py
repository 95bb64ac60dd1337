"""Describe what is compiled: one object, its result, and the files besides its sources that decide about it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeVar

from ..git.objects import FileChange, Objects
from ..model import Finding
from ..store import Store

T = TypeVar("T")

#: What decides, besides the sources, how an object is compiled; the group is the folder of an architecture.
RULES = re.compile(r"(?:scripts/(?:Makefile|Kbuild)[^/]*|Makefile|arch/(\w+)/Makefile[^/]*)")
INCLUDE = re.compile(r"^[ \t]*+-?include[ \t]++([^\n#]++)", re.M)
#: In a Makefile, the option that a list depends on, and the object that it is a list of the parts of.
SWITCH = re.compile(r"\$\(CONFIG_(\w+)\)")
PART = re.compile(r"[ \t]*([\w-]+)-(?:y|m|objs|\$\()")
#: How many lists of dependencies are kept of an object: its headers change little within a series.
REMEMBERED = 8


class Files(dict[str, str]):
    """{path: object id} of a tree."""

    @cached_property
    def folders(self) -> dict[str, str]:
        """{folder: digest of the names in it}."""
        found: dict[str, set[str]] = {}
        for path in self:
            folder, _, name = path.rpartition("/")
            while name not in (names := found.setdefault(folder, set())):
                names.add(name)
                folder, _, name = folder.rpartition("/")
        return {folder: digest(sorted(names)) for folder, names in found.items()}

    def after(self, changes: Mapping[str, FileChange]) -> Files:
        """Return the files after some changes."""
        new = Files({path: oid for path, oid in self.items() if path not in changes})
        new.update((path, change.oid) for path, change in changes.items() if change.status != "D")
        if "folders" in self.__dict__ and self.keys() == new.keys():
            new.__dict__["folders"] = self.folders
        return new


@dataclass(frozen=True, order=True)
class Unit:
    """One object: its source, its path, and the folder if it is part of an external module.

    `obj` is relative to the output folder; a host program's object is built by make's goal `prepare`.
    """

    source: str
    obj: str
    module: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Return what stands in the folders whose Makefiles decide how it is compiled."""
        folder, other, _ = self.obj.partition("/../")
        return (self.source, f"{folder}/x.c") if other else (self.source,)

    @property
    def tool(self) -> bool:
        """Say whether this is part of a program that the build itself runs."""
        return self.obj.startswith("tools/") and not self.module


@dataclass(frozen=True)
class Checker:
    """A program that make also runs on each source: make's variables for that, and its version.

    `kind` is its name and the type of its messages, `refusal` what make says where it does not take the program.
    """

    goals: tuple[str, ...]
    version: str
    kind: str
    refusal: str


@dataclass(frozen=True)
class Compiled:
    """What the compiler said about a unit, and the files of the tree that it was made from; none if it failed.

    What it said twice, in two places, is there twice.
    """

    unit: Unit
    built: bool
    findings: tuple[Finding, ...]
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shelf:
    """The known results of objects, by the contents of the files each was made from; `scope` is all else that decides.

    Files of a tree are given as {path: object id}. What comes to a folder that something was included from may be found
    before another file of its name, so the names in these folders count, too. With `same`, the part of the scope that
    decides about the object itself, an object that is known to be the same as another one has the results of that.
    """

    store: Store
    scope: str
    same: str = ""

    def find(self, unit: Unit, files: Files, kind: type[T]) -> T | None:
        """Return the known result of an object of this tree as a value of a type; None if there is none."""
        for names in self.made_of(unit.obj):
            if all(name in files for name in names):
                content = contents(unit, names, files)
                known = self.store.get(self._key(content), kind)
                if known is None and (other := self._other(content)):
                    known = self.store.get(self._key(other), kind)
                if known is not None:
                    return known
        return None

    def put(self, unit: Unit, made_of: Iterable[str], files: Files, value: Any) -> None:
        """Keep the result of an object that was made from some files (those of the tree count)."""
        names = sorted({name for name in made_of if name in files})
        known = [names, *(k for k in self.made_of(unit.obj) if k != names)]
        self.store.put(f"made of {unit.obj}", known[:REMEMBERED])
        self.store.put(self._key(contents(unit, names, files)), value)

    def put_same(self, unit: Unit, made_of: Iterable[str], old: Files, new: Files) -> None:
        """Keep that the object that is made from some files is the same in two trees."""
        names = sorted({name for name in made_of if name in old and name in new})
        before, after = contents(unit, names, old), contents(unit, names, new)
        self.store.put(f"same {self.same} {after}", self._other(before) or before)

    def made_of(self, obj: str) -> list[list[str]]:
        """Return the lists of files that an object was made from, the latest first; none if it was never kept."""
        return self.store.get(f"made of {obj}", list[list[str]]) or []

    def _other(self, content: str) -> str | None:
        """Return the contents of another object that is the same."""
        return self.store.get(f"same {self.same} {content}", str) if self.same else None

    def _key(self, content: str) -> str:
        return "object " + digest([self.scope, content])


def contents(unit: Unit, names: Sequence[str], files: Files) -> str:
    """Return a digest of an object's name, of the files that it is made from and of the names in their folders."""
    folders = sorted({name.rpartition("/")[0] for name in names})
    beside = [(folder, files.folders[folder]) for folder in folders]
    return digest([unit.obj, unit.module, [(name, files[name]) for name in names], beside])


def object_of(source: str) -> str:
    """Return the object that kbuild makes from a source file."""
    return str(PurePosixPath(source).with_suffix(".o"))


def steers(path: str) -> bool:
    """Say whether a file can decide how others are compiled."""
    name = path.rpartition("/")[2]
    return path.startswith("scripts/") or name.startswith(("Makefile", "Kbuild", "Kconfig")) or name.endswith(".mk")


def build_rules(objects: Objects, files: Mapping[str, str], source: str, arch: str) -> list[str]:
    """Return the files of a tree that decide how `source` is compiled for the architecture in the folder `arch`."""
    folders = [str(parent) for parent in PurePosixPath(source).parents if str(parent) != "."]
    chain = [f"{folder}/{name}" for folder in folders for name in ("Makefile", "Kbuild")] + ["Kbuild"]
    found = ((p, RULES.fullmatch(p)) for p in files if p.count("/") < 3)
    scripts = [p for p, match in found if match and match[1] in (None, arch)]
    there = {path for path in chain if path in files}
    more = {rule for path in there for rule in included(files, path, objects.once(includes, files[path]))}
    return sorted({*there, *more, *scripts})


def includes(objects: Objects, makefile: str) -> list[str]:
    """Return what the Makefile with an id includes, as it stands there."""
    return [word for line in INCLUDE.findall(objects.raw(makefile).decode("utf-8", "replace")) for word in line.split()]


def included(files: Mapping[str, str], path: str, names: Iterable[str]) -> set[str]:
    """Return the files of a tree that a Makefile includes; where a variable hides which, all that it may be."""
    found: set[str] = set()
    folder = path.rpartition("/")[0]
    for name in names:
        plain = os.path.normpath(name.replace("$(srctree)/", "").replace("$(src)", folder).replace("$(obj)", folder))
        if "$" not in plain:
            found.update({plain, f"{folder}/{plain}"} & files.keys())
        elif folder:
            above = f"{folder.rpartition('/')[0] or folder}/"
            found.update(p for p in files if p.startswith(above) and not p.rpartition("/")[2].startswith("Kconfig"))
    return found


def switches(makefile: str, member: str) -> list[str]:
    """Return the options that a Makefile names beside an object (x.o) or folder (x/), or beside what it is part of."""
    heads: dict[str, list[str]] = {}
    for line in makefile.replace("\\\n", " ").splitlines():
        head, _, members = line.partition("=")
        for name in members.split():
            heads.setdefault(name, []).append(head)
    found: list[str] = []
    todo = [member]
    while todo:
        for head in heads.pop(todo.pop(), ()):  # once: a Makefile may go round in circles
            found += SWITCH.findall(head)
            whole = PART.match(head)
            todo += [f"{whole[1]}.o"] if whole and whole[1] not in ("obj", "lib", "subdir") else []
    return list(dict.fromkeys(found))


def switches_of(rules: Callable[[str], str], source: str) -> list[str]:
    """Return the options that Makefiles name beside a source file and its folders; `rules` gives the text of a path."""
    found = []
    for name in (object_of(source), *(f"{p}/" for p in PurePosixPath(source).parents if str(p) != ".")):
        folder, _, member = name.rstrip("/").rpartition("/")
        for file in ("Makefile", "Kbuild"):
            found += switches(rules(f"{folder}/{file}".lstrip("/")), member + "/" * name.endswith("/"))
    return list(dict.fromkeys(found))


def place(finding: Finding, unit: Unit, files: Mapping[str, str]) -> Finding:
    """Return a finding with a file that the tree has: host programs are compiled from their own folder."""
    if finding.file is None or (finding.file not in files and unit.source.endswith(f"/{finding.file}")):
        return replace(finding, file=unit.source)
    return finding


def digest(value: object) -> str:
    """Return the digest of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()
