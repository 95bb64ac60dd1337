"""Check the kfunc sets of a linked kernel or module: what resolve_btfids and the linker made of them.

An object file has zeros for ids and is not sorted; only after linking can a set be searched, and only then is it
known that the records of arguments are where the set says. The same goes for KF_IMPLICIT_ARGS: resolve_btfids makes
the functions that programs and the verifier look for, in some kernels from tags that only a newer pahole writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ....errors import ToolError
from ..proof.btf import DECL_TAG, STRUCT, parse
from ..proof.btf_ids import SECTION, TRAILER, WORD, BtfIds, Pair, elf_file, read_file
from ..proof.meaning import ARGUMENT_PREFIX, IMPLICIT_ARGS, Flags

#: The suffix of a kfunc with KF_IMPLICIT_ARGS and all its arguments.
IMPL = "_impl"
#: What the kernel keeps of the flags of one kfunc's arguments.
ENTRY = "btf_kfunc_arg_flags"
#: Decl tags that stand for flags of arguments: `arg:release` for KFA_RELEASE.
TAG = "arg:"


@dataclass(frozen=True)
class Functions:
    """The functions of a BTF by id, and the number of types and the strings after which a module's BTF continues.

    `tags` are the decl tags of their parameters: (number of the parameter, tag). `entry` is the size of what the kernel
    keeps of the flags of a kfunc's arguments, 0 if it keeps none.
    """

    names: Mapping[int, str]
    types: int = 1
    strings: bytes = b""
    tags: Mapping[int, frozenset[tuple[int, str]]] = field(default_factory=dict)
    entry: int = 0


@dataclass(frozen=True)
class Linked:
    """What was examined in one file, and each problem as a sentence.

    `kfuncs` are those of its sets, `unmade` those of them that hide arguments but lack the function that has them all.
    `tags` is the number of decl tags that were compared with argument flags, None if the kernel makes none.
    `ids` are the bytes of .BTF_ids, `added` those of them that are records or lead to some, `table` those that the
    kernel will keep of the records.
    """

    sets: int
    pairs: int
    records: int
    problems: tuple[str, ...]
    kfuncs: frozenset[str] = frozenset()
    unmade: frozenset[str] = frozenset()
    tags: int | None = None
    ids: int = 0
    added: int = 0
    table: int = 0

    def __str__(self) -> str:
        """Return the counts for a report."""
        tags = "" if self.tags is None else f", {self.tags} decl tags of arguments"
        return f"{self.sets} sets, {self.pairs} entries, {self.records} records of arguments{tags}"


def section(path: Path, name: str) -> bytes:
    """Return a section of an ELF file; raise ToolError if there is none."""
    with elf_file(path) as file:
        found = file.get_section_by_name(name)
        if found is None:
            raise ToolError(f"{path} has no section {name}")
        return bytes(found.data())


def kernel_functions(vmlinux: Path) -> Functions:
    """Return the functions in a kernel's BTF."""
    return read_functions(section(vmlinux, ".BTF"), Functions({}))


def module_functions(module: Path, kernel: Functions) -> Functions:
    """Return the functions that a module can name: the kernel's, and those of its own BTF, which continues it."""
    try:
        # Built outside the kernel's tree: ids continue after the few types of the kernel that the module names.
        kernel = read_functions(section(module, ".BTF.base"), Functions({}))
    except ToolError:
        pass
    return read_functions(section(module, ".BTF"), kernel)


def read_functions(blob: bytes, before: Functions) -> Functions:
    """Return the functions of a BTF that continues another one, together with those of the other."""
    btf = parse(blob, before.types, before.strings)
    tags = by_function((t.size_or_type, t.component, t.name) for t in btf.types if t.kind == DECL_TAG)
    entry = next((t.size_or_type for t in btf.types if t.kind == STRUCT and t.name == ENTRY), before.entry)
    return Functions({**before.names, **btf.names()}, len(btf.types), btf.strings, {**before.tags, **tags}, entry)


def by_function(tags: Iterable[tuple[int, int, str]]) -> dict[int, frozenset[tuple[int, str]]]:
    """Return those decl tags (what for, component, tag) that are about parameters, by function."""
    found: dict[int, frozenset[tuple[int, str]]] = {}
    for target, component, tag in tags:
        if component >= 0 and tag.startswith(TAG):
            found[target] = found.get(target, frozenset()) | {(component, tag)}
    return found


def check_linked(path: Path, functions: Functions, flags: Flags, *, tagged: bool = False) -> Linked:
    """Check the kfunc sets of a linked file: ids resolved, entries sorted, records found through the trailers.

    With `tagged` its BTF must have a decl tag for each argument flag, and no other.
    """
    names = {number: f"{number} {name}" for number, name in functions.names.items()}
    ids = read_file(path, flags.trailer, names)
    problems = (*ids.problems, *wrong_order(ids), *foreign(ids), *(wrong_tags(ids, functions, flags) if tagged else ()))
    implicit = flags.kfunc.get(IMPLICIT_ARGS, 0)
    have = frozenset(functions.names.values())
    hiding = {name_of(p) for s in ids.sets for p in s.pairs if p.flags & implicit}
    return Linked(
        len(ids.sets),
        sum(len(s.pairs) for s in ids.sets),
        sum(len(s.records) for s in ids.sets),
        problems,
        frozenset(name_of(p) for s in ids.sets for p in s.pairs),
        frozenset(kfunc for kfunc in hiding if f"{kfunc}{IMPL}" not in have),
        sum(len(functions.tags.get(n, ())) for n in numbers(ids)) if tagged else None,
        len(section(path, SECTION)),
        sum(TRAILER * s.trailer + sum(WORD * (2 + len(r.flags)) for r in s.records) for s in ids.sets),
        functions.entry * len({r.kfunc for s in ids.sets for r in s.records}),
    )


def name_of(pair: Pair) -> str:
    """Return the kfunc of an entry, which is `<id> <name>`."""
    return pair.kfunc.partition(" ")[2]


def wrong_order(ids: BtfIds) -> Iterator[str]:
    """Yield the sets in which a binary search would fail; entries are `<id> <name>`."""
    for one in ids.sets:
        numbers = [number(p.kfunc) for p in one.pairs]
        for before, after in pairwise(numbers):
            if before >= after:
                yield f"the set {one.name} is not sorted: id {after} follows {before}"
                break


def foreign(ids: BtfIds) -> Iterator[str]:
    """Yield records of kfuncs that are not in their set."""
    for one in ids.sets:
        inside = {p.kfunc for p in one.pairs}
        strange = [r.kfunc for r in one.records if r.kfunc not in inside]
        yield from (f"the set {one.name} has argument flags of {name}, which is not in it" for name in strange)


def wrong_tags(ids: BtfIds, functions: Functions, flags: Flags) -> Iterator[str]:
    """Yield the kfuncs whose decl tags differ from their argument flags."""
    wanted = {
        number(record.kfunc): frozenset(
            (argument, f"{TAG}{name.removeprefix(ARGUMENT_PREFIX).lower()}")
            for argument, value in enumerate(record.flags)
            for name, bit in flags.single.items()
            if value & bit
        )
        for one in ids.sets
        for record in one.records
    }
    for func in numbers(ids):
        want, have = wanted.get(func, frozenset()), functions.tags.get(func, frozenset())
        name = functions.names.get(func, str(func))
        for argument, tag in sorted(want - have):
            yield f"the BTF lacks the decl tag {tag} of argument {argument} of {name}"
        for argument, tag in sorted(have - want):
            yield f"the BTF has a decl tag {tag} of argument {argument} of {name}, which has no such flag"


def numbers(ids: BtfIds) -> list[int]:
    """Return the BTF ids of the kfuncs of all sets, each once."""
    return sorted({number(pair.kfunc) for one in ids.sets for pair in one.pairs})


def number(kfunc: str) -> int:
    """Return the id in `<id> <name>`, 0 for one that was not resolved."""
    word = kfunc.partition(" ")[0]
    return int(word) if word.isdigit() else 0
