"""Read prototypes of functions as they were compiled, from pahole's BTF of one object file.

Which argument a flag reaches depends on types behind typedefs and macros, so a prototype found in the source is an
opinion; this one is what the verifier will see. pahole encodes an object in 20 ms; DWARF in Python would take 10 s.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .... import temporary
from ....build.options import PAHOLE
from ....errors import ToolError
from ....run import run, which

MAGIC = 0xEB9F
(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC) = range(
    1, 16
)
FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(16, 20)
#: Bytes after a type's common part: (fixed, for each of its `vlen` members).
EXTRA = {
    INT: (4, 0),
    ARRAY: (12, 0),
    STRUCT: (0, 12),
    UNION: (0, 12),
    ENUM: (0, 8),
    FUNC_PROTO: (0, 8),
    VAR: (4, 0),
    DATASEC: (0, 12),
    DECL_TAG: (4, 0),
    ENUM64: (0, 12),
}
#: What the verifier's btf_type_skip_modifiers() skips.
MODIFIERS = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})


@dataclass(frozen=True)
class BtfType:
    """A type: `size_or_type` is the id that it refers to, or its size; `members` are (name, type) of a FUNC_PROTO.

    `component` is the parameter or member that a DECL_TAG is about, -1 for the whole of what it refers to.
    """

    kind: int
    name: str
    size_or_type: int
    members: tuple[tuple[str, int], ...] = ()
    component: int = -1


class Param(NamedTuple):
    """A parameter as the verifier sees it, without modifiers: `kind` is scalar, pointer, function or other.

    `struct` is the name of the struct or union that a pointer is to ("" if it has none), None if it points to
    something else. `typedef` is the first typedef's name on the way to it. A pointer to a function is a `function`.
    `const` says that what a pointer is to is const.
    """

    name: str
    kind: str
    struct: str | None = None
    typedef: str | None = None
    const: bool = False


@dataclass(frozen=True)
class Btf:
    """The types of a BTF blob by id, and its strings; type 0 is void."""

    types: tuple[BtfType, ...]
    strings: bytes = b""

    def skip(self, number: int) -> BtfType:
        """Return a type without its modifiers and typedefs."""
        for _ in range(len(self.types)):
            found = self.types[number]
            if found.kind not in MODIFIERS:
                return found
            number = found.size_or_type
        raise ToolError(f"BTF: the modifiers of the type {number} form a cycle")

    def typedef(self, number: int) -> str | None:
        """Return the name of the first typedef of a type, None if it has none."""
        while self.types[number].kind in MODIFIERS:
            if self.types[number].kind == TYPEDEF:
                return self.types[number].name
            number = self.types[number].size_or_type
        return None

    def const(self, number: int) -> bool:
        """Say whether a type is const, by itself or behind typedefs."""
        while self.types[number].kind in MODIFIERS:
            if self.types[number].kind == CONST:
                return True
            number = self.types[number].size_or_type
        return False

    def names(self) -> dict[int, str]:
        """Return {type id: name} of all functions."""
        return {number: t.name for number, t in enumerate(self.types) if t.kind == FUNC}

    def prototypes(self) -> dict[str, tuple[Param, ...]]:
        """Return the parameters of each function by name."""
        found = {}
        for t in self.types:
            if t.kind == FUNC:
                members = self.types[t.size_or_type].members
                found[t.name] = tuple(self.param(name, number) for name, number in members)
        return found

    def param(self, name: str, number: int) -> Param:
        """Return a parameter of a type."""
        if number == 0:
            return Param(name, "other")  # "..."
        t = self.skip(number)
        if t.kind in (INT, ENUM, ENUM64):
            return Param(name, "scalar")
        if t.kind != PTR:
            return Param(name, "other")
        to = self.skip(t.size_or_type)
        typedef = self.typedef(t.size_or_type)
        if to.kind == FUNC_PROTO:
            return Param(name, "function", None, typedef)
        # The verifier takes the struct of a forward declaration from vmlinux, where it is complete.
        is_struct = to.kind in (STRUCT, UNION, FWD)
        return Param(name, "pointer", to.name if is_struct else None, typedef, self.const(t.size_or_type))


def parse(blob: bytes, number: int = 1, before: bytes = b"") -> Btf:
    """Return the types of a BTF blob (header, types, strings); raise ToolError if it is not one.

    That of a module continues another one: its first type has this `number`, its strings follow those `before`.
    """
    try:
        order = "<" if struct.unpack_from("<H", blob)[0] == MAGIC else ">"
        magic, version, _, header, type_off, type_len, str_off, str_len = struct.unpack_from(f"{order}HBBIIIII", blob)
        if magic != MAGIC or version != 1:
            raise ToolError(f"not BTF of version 1: it starts with {blob[:4].hex()}")
        strings = before + blob[header + str_off : header + str_off + str_len]
        at, end = header + type_off, header + type_off + type_len
        types = [BtfType(0, "void", 0)] * number
        while at < end:
            name, info, size_or_type = struct.unpack_from(f"{order}III", blob, at)
            kind, vlen = info >> 24 & 0x1F, info & 0xFFFF
            if not INT <= kind <= ENUM64:
                raise ToolError(f"BTF: the type {len(types)} is of the unknown kind {kind}")
            at += 12
            fixed, each = EXTRA.get(kind, (0, 0))
            members: tuple[tuple[str, int], ...] = ()
            if kind == FUNC_PROTO:
                words = struct.unpack_from(f"{order}{2 * vlen}I", blob, at)
                members = tuple((text(strings, words[i]), words[i + 1]) for i in range(0, 2 * vlen, 2))
            component = struct.unpack_from(f"{order}i", blob, at)[0] if kind == DECL_TAG else -1
            types.append(BtfType(kind, text(strings, name), size_or_type, members, component))
            at += fixed + each * vlen
    except struct.error as error:
        raise ToolError(f"BTF ends too early: {error}") from error
    bad = [t for t in types if t.kind in MODIFIERS | {PTR, FUNC} and t.size_or_type >= len(types)]
    bad += [t for t in types if any(number >= len(types) for _, number in t.members)]
    if bad:
        raise ToolError(f"BTF: the type {bad[0].name!r} refers to one that does not exist")
    return Btf(tuple(types), strings)


def text(strings: bytes, offset: int) -> str:
    """Return the string at an offset."""
    end = strings.find(b"\0", offset)
    return strings[offset : end if end >= 0 else len(strings)].decode("utf-8", "replace")


def read_prototypes(path: Path, pahole: str = PAHOLE) -> Mapping[str, tuple[Param, ...]]:
    """Return the parameters of each function that an object file defines, by name.

    The object must have debug information; one without is a ToolError.
    """
    with temporary.folder("btf") as folder:
        blob = folder / "btf"
        done = run([which(pahole, PAHOLE), f"--btf_encode_detached={blob}", path], check=False)
        if done.returncode or not blob.exists():
            raise ToolError(f"pahole makes no BTF of {path}: {done.explain()}")
        return parse(blob.read_bytes()).prototypes()
