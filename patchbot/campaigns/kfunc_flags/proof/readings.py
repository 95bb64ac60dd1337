"""Keep what was read from compiled objects, so that an object is compiled once and compared many times.

A series of 25 patches has 900 pairs of (commit, object), but only about 150 different objects. A reading is stored
under the hash of everything that the object was made from; it takes 20 kB, the object a megabyte.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ....build.bench import Bench
from ....build.options import PAHOLE
from ....build.units import Compiled, Shelf
from ....errors import PatchbotError
from ....identity import identity
from .btf import Param, read_prototypes
from .btf_ids import BtfIds, read_file
from .meaning import flags_of


class Reading(NamedTuple):
    """The contents of one object file: its `.BTF_ids` and the prototypes of the functions that it defines."""

    object: str
    ids: BtfIds
    prototypes: Mapping[str, tuple[Param, ...]]


def read_object(name: str, path: Path, args_flag: int | None, pahole: str = PAHOLE) -> Reading:
    """Read an object file; see btf_ids.read_file for `args_flag`."""
    return Reading(name, read_file(path, args_flag), read_prototypes(path, pahole))


def shelf_of(bench: Bench, tree: str, log: Path) -> Shelf:
    """Return the store for readings of objects that are configured as for a tree."""
    # With the flag, for where that is new an object may be the same as before.
    return bench.shelf(tree, log, f"{readers()} {flags_of(bench.scratch, tree).trailer}", same=True)


@cache
def readers() -> str:
    """Return the identity of the code that reads objects: what other code stored is not used."""
    return identity(Path(__file__))


def keep_readings(bench: Bench) -> None:
    """Read every object as soon as it is compiled, so that no check compiles it again to read it.

    An object that cannot be read is skipped: the check that needs it says why.
    """

    def read(tree: str, result: Compiled, path: Path) -> None:
        if result.unit.tool or not path.name.endswith(".o"):
            return
        try:
            reading = read_object(
                result.unit.obj, path, flags_of(bench.scratch, tree).trailer, bench.kbuild.compiler.pahole
            )
            shelf = shelf_of(bench, tree, bench.kbuild.out / "config.log")
        except PatchbotError:
            return
        shelf.put(result.unit, bench.made_of(tree, result.unit, result.files), bench.files(tree), reading)

    bench.watch = read
