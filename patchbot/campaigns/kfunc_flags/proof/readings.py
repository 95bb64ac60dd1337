"""Keep what was read from compiled objects, so that an object is compiled once and compared many times.

A series of 25 patches has 900 pairs of (commit, object), but only some 150 different ones. A reading is stored under
the hash of everything that the object was made of; it takes 20 kB where the object takes a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ....build.bench import Bench
from ....build.toolchain import PAHOLE
from ....build.units import Compiled
from ....errors import PatchbotError
from ....identity import identity
from ....store import read_json, write_json
from .btf import Param, read_prototypes
from .btf_ids import BtfIds, IdSet, Pair, Record, read_file
from .meaning import BTF_H, BTF_IDS_H, Flags, read_flags

#: How many lists of dependencies are kept of an object: its headers change little within a series.
REMEMBERED = 8

#: A reading as it is kept.
READING = {
    "object": str,
    "sets": [[str, int, bool, [[str, int]], [[str, [int]]]]],
    "rest": [str],
    "undefined": [str],
    "problems": [str],
    "prototypes": {str: [[str, str, (str, None), (str, None)]]},
}


@dataclass(frozen=True)
class Reading:
    """What one object file says: its `.BTF_ids` and the prototypes of the functions that it defines."""

    object: str
    ids: BtfIds
    prototypes: Mapping[str, tuple[Param, ...]]


def read_object(name: str, path: Path, args_flag: int | None, pahole: str = PAHOLE) -> Reading:
    """Return what an object file says; see btfids.read for `args_flag`."""
    return Reading(name, read_file(path, args_flag), read_prototypes(path, pahole))


@dataclass(frozen=True)
class Shelf:
    """A folder of readings; `scope` is all that decides about every reading but the object's sources."""

    folder: Path
    scope: str

    def find(self, name: str, blobs: Mapping[str, str]) -> Reading | None:
        """Return the reading of an object in a tree whose files have these blob ids, None if there is none yet."""
        for dependencies in self._dependencies(name):
            if all(d in blobs for d in dependencies):
                reading = self._load(name, self._key(name, dependencies, blobs))
                if reading is not None:
                    return reading
        return None

    def put(self, reading: Reading, dependencies: Iterable[str], blobs: Mapping[str, str]) -> None:
        """Store a reading of an object that was made of the files `dependencies` (those that `blobs` has count)."""
        names = sorted({d for d in dependencies if d in blobs})
        known = [names] + [k for k in self._dependencies(reading.object) if k != names]
        write_json(self._place(reading.object, "deps"), known[:REMEMBERED])
        write_json(self._place(reading.object, self._key(reading.object, names, blobs)), reading_to(reading))

    def _key(self, name: str, dependencies: Sequence[str], blobs: Mapping[str, str]) -> str:
        rows = "\n".join(f"{blobs[d]} {d}" for d in dependencies)
        return sha256(f"{self.scope}\n{name}\n{rows}".encode("utf-8", "surrogateescape")).hexdigest()

    def _place(self, name: str, key: str) -> Path:
        return self.folder / name.replace("/", "_") / f"{key}.json"

    def _dependencies(self, name: str) -> list[list[str]]:
        return read_json(self._place(name, "deps"), [[str]], list) or []

    def _load(self, name: str, key: str) -> Reading | None:
        return read_json(self._place(name, key), READING, reading_from)


def reading_to(reading: Reading) -> dict[str, Any]:
    """Return a reading as JSON-able data."""
    ids = reading.ids
    return {
        "object": reading.object,
        "sets": [
            [
                s.name,
                s.flags,
                s.trailer,
                [[p.kfunc, p.flags] for p in s.pairs],
                [[r.kfunc, list(r.flags)] for r in s.records],
            ]
            for s in ids.sets
        ],
        "rest": ids.rest,
        "undefined": ids.undefined,
        "problems": ids.problems,
        "prototypes": {
            name: [[p.name, p.kind, p.struct, p.typedef] for p in params]
            for name, params in sorted(reading.prototypes.items())
        },
    }


def reading_from(data: Mapping[str, Any]) -> Reading:
    """Return the reading that `reading_to` made `data` from."""
    sets = tuple(
        IdSet(
            name,
            flags,
            tuple(Pair(*pair) for pair in pairs),
            trailer,
            tuple(Record(kfunc, tuple(flags_of)) for kfunc, flags_of in records),
        )
        for name, flags, trailer, pairs, records in data["sets"]
    )
    ids = BtfIds(sets, tuple(data["rest"]), tuple(data["undefined"]), tuple(data["problems"]))
    prototypes = {name: tuple(Param(*p) for p in params) for name, params in data["prototypes"].items()}
    return Reading(data["object"], ids, prototypes)


def shelf_of(bench: Bench, work: Path, config: str) -> Shelf:
    """Return where the readings of objects are kept that are compiled with one configuration."""
    compiler = bench.kbuild.compiler
    return Shelf(work / "btf" / compiler.arch.folder, f"{config} {compiler.versions} {readers()}")


@cache
def readers() -> str:
    """Return the identity of what reads objects: what an older one stored is not used."""
    return identity(Path(__file__))


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


def read_of(bench: Bench, tree: str, path: str) -> bytes:
    """Return a file of a tree, nothing if there is none."""
    files = bench.files(tree)
    return bench.scratch.raw(files[path]) if path in files else b""


def flags_of(bench: Bench, tree: str) -> Flags:
    """Return the flags of kfuncs as the headers of a tree define them."""
    return read_flags(read_of(bench, tree, BTF_H), read_of(bench, tree, BTF_IDS_H))
