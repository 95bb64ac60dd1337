"""Read `.BTF_ids` of an object file: the kfunc sets as the kernel will see them, whatever the source looks like.

A kfunc's flags are assembler input, so no C tool ever sees them: a wrong one compiles, and with DEBUG_INFO_BTF=n
sets do not exist at all. The only proof is in the bytes. Every byte of the section is accounted for: the sets, the
trailer after a set that says where its argument flags are, those records, and the rest. A misspelt flag that stands
alone compiles silently to a symbol that nobody defines; only the final link would notice.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from ....errors import ToolError
from ....model import Finding, Status

SECTION = ".BTF_ids"
PREFIX = "__BTF_ID__"
SET8 = f"{PREFIX}set8__"
FUNC = f"{PREFIX}func__"
WORD = 4
HEADER = 8  # of a set: count, flags
PAIR = 8
SHN_UNDEF, STB_WEAK = 0, 2
TRAILER = 8
#: A row in the source.
ROW = re.compile(rb"\b(?:BTF_ID\w*|B[TP]F_KFUNC)\s*\((?:[^()]|\([^()]*\))*\)")


class Pair(NamedTuple):
    """A row of a set: a kfunc and the flags of the whole kfunc."""

    kfunc: str
    flags: int


class Record(NamedTuple):
    """The flags of a kfunc's arguments: `flags[n]` are those of argument n."""

    kfunc: str
    flags: tuple[int, ...]


class IdSet(NamedTuple):
    """A BTF_SET8; `trailer` says whether the location of its records follows, `records` are those records."""

    name: str
    flags: int
    pairs: tuple[Pair, ...]
    trailer: bool = False
    records: tuple[Record, ...] = ()


class BtfIds(NamedTuple):
    """The contents of a `.BTF_ids` section.

    `rest` is everything that belongs to no BTF_SET8, in order, as text: labels, lists, plain sets. `undefined` are
    the symbols that the section needs and the object lacks (a misspelt flag is one). `problems` are bytes that make
    no sense, one sentence each.
    """

    sets: tuple[IdSet, ...] = ()
    rest: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@contextmanager
def elf_file(path: Path) -> Iterator[ELFFile]:
    """Yield an ELF file; raise ToolError if it cannot be read, even if that only shows later."""
    try:
        with open(path, "rb") as file:
            yield ELFFile(file)
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}") from error
    except (ELFError, struct.error, KeyError, ValueError) as error:
        text = f"{path} cannot be read: it is not an ELF file (an object with CONFIG_LTO?) or is damaged: {error}"
        raise ToolError(text) from error


def symbols_of(elf: ELFFile) -> Iterator[Any]:
    """Yield the symbols of an ELF file that have a name."""
    for section in elf.iter_sections():
        if isinstance(section, SymbolTableSection):
            yield from (symbol for symbol in section.iter_symbols() if symbol.name)


def is_undefined(symbol: Any) -> bool:
    """Say whether another file must define a symbol."""
    return bool(symbol["st_shndx"] == "SHN_UNDEF")


def relocations(elf: ELFFile, only: str | None = None) -> Iterator[tuple[str, int, Any]]:
    """Yield the section, the offset and the symbol of each relocation of an object, or `only` of one section."""
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"]:
            place = elf.get_section(section["sh_info"]).name
            if only not in (None, place):
                continue
            table = elf.get_section(section["sh_link"])
            assert isinstance(table, SymbolTableSection)
            symbol = cache(table.get_symbol)
            yield from ((place, r["r_offset"], symbol(r["r_info_sym"])) for r in section.iter_relocations())


def undefined_symbols(elf: ELFFile) -> dict[int, str]:
    """Return the numbers and names of the symbols of an object that another file must define (weak ones need not).

    An object has thousands: pyelftools takes a second for them and for its relocations.
    """
    form, of = ("IBBHQQ", itemgetter(0, 1, 3)) if elf.elfclass == 64 else ("IIIBBH", itemgetter(0, 3, 5))
    found = {}
    for section in elf.iter_sections("SHT_SYMTAB"):
        names = bytes(elf.get_section(section["sh_link"]).data())
        rows = struct.iter_unpack(byte_order(elf) + form, section.data())
        for number, (name, info, shndx) in enumerate(map(of, rows)):
            if shndx == SHN_UNDEF and info >> 4 != STB_WEAK and name:
                found[number] = names[name : names.index(b"\0", name)].decode("utf-8", "replace")
    return found


def referred_symbols(elf: ELFFile) -> Iterator[tuple[str, set[int]]]:
    """Yield each section with relocations, and the numbers of the symbols that these are about."""
    word, shift = ("Q", 32) if elf.elfclass == 64 else ("I", 8)
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"]:
            form = byte_order(elf) + word * (3 if section.is_RELA() else 2)
            numbers = {row[1] >> shift for row in struct.iter_unpack(form, section.data())}
            yield elf.get_section(section["sh_info"]).name, numbers


def byte_order(elf: ELFFile) -> str:
    """Return the byte order of an ELF file as `struct` spells it."""
    return "<" if elf.little_endian else ">"


def is_id(symbol: str) -> bool:
    """Say whether a symbol stands for one BTF id (the symbol of a set stands for the set)."""
    return symbol.startswith(PREFIX) and not symbol.startswith((SET8, f"{PREFIX}set__"))


def kfunc_of(symbol: str) -> str | None:
    """Return the name in `__BTF_ID__func__<name>__<number>`, cut where resolve_btfids cuts it: at the last `__`."""
    return symbol.removeprefix(FUNC).rpartition("__")[0] if symbol.startswith(FUNC) else None


@dataclass
class Section:
    """The section's bytes, its byte order as `struct` spells it, its symbols by offset (name, size), its problems.

    `names` gives the functions by BTF id, None if the compiler left zeros for all ids.
    """

    data: bytes
    order: str
    symbols: Mapping[int, list[tuple[str, int]]]
    names: Mapping[int, str] | None
    problems: list[str] = field(default_factory=list)

    def word(self, offset: int) -> int:
        """Return the u32 at `offset`."""
        return int(struct.unpack_from(f"{self.order}I", self.data, offset)[0])

    def function(self, at: int) -> str | None:
        """Return the function that the word at an offset stands for, None if it does not stand for one."""
        if self.names is not None:
            return self.names.get(self.word(at))
        found = [name for name, _ in self.symbols.get(at, ()) if is_id(name)]
        return kfunc_of(found[0]) if len(found) == 1 and self.word(at) == 0 else None

    def pairs(self, name: str, start: int, end: int) -> Iterator[Pair]:
        """Yield the pairs of a set, in order."""
        for at in range(start, end, PAIR):
            kfunc = self.function(at)
            if kfunc is None:
                self.problems.append(f"the set {name} has an entry at {at:#x} that does not stand for a function")
            yield Pair(kfunc or "?", self.word(at + WORD))

    def records(self, name: str, at: int, end: int) -> Iterator[Record]:
        """Yield the records in [at, end), in order."""
        if not 0 <= at <= end <= len(self.data):
            self.problems.append(f"the set {name} has its records at {at:#x}..{end:#x}, outside the section")
            return
        while at < end:
            if at + 2 * WORD > end:
                self.problems.append(f"the last record of the set {name} is incomplete, at {at:#x}")
                return
            kfunc, count = self.function(at), self.word(at + WORD)
            after = at + (2 + count) * WORD
            if kfunc is None or count == 0 or after > end:
                text = f"the set {name} has a record at {at:#x} that makes no sense ({count} arguments)"
                self.problems.append(text)
                return
            yield Record(kfunc, tuple(self.word(i) for i in range(at + 2 * WORD, after, WORD)))
            at = after


def read_file(path: Path, args_flag: int | None, names: Mapping[int, str] | None = None) -> BtfIds:
    """Return the contents of `.BTF_ids` of an ELF file, nothing without that section; raise ToolError for other files.

    `args_flag` is the flag of a set that says that a trailer follows (BTF_SET8_KFUNC_ARGS of the header that the
    file was compiled with), None if there is none. `names` gives the functions by BTF id: with it, the ids of a linked
    and sorted file are looked up; without it they must be zero, as the compiler leaves them, and the symbols name them.
    """
    with elf_file(path) as file:
        part = file.get_section_by_name(SECTION)
        if part is None:
            return BtfIds()
        symbols: dict[int, list[tuple[str, int]]] = {}
        section = Section(bytes(part.data()), byte_order(file), symbols, names)
        index, start, undefined = file.get_section_index(SECTION), int(part["sh_addr"]), set()
        if file["e_type"] == "ET_REL":
            start = 0
            for _, offset, symbol in relocations(file, SECTION):
                if is_undefined(symbol):
                    undefined.add(str(symbol.name))
                else:
                    section.problems.append(f"only the linker knows the word at {offset:#x}")
        for symbol in symbols_of(file):
            if symbol["st_shndx"] != index or symbol["st_info"]["type"] == "STT_SECTION":
                continue
            if not symbol.name.startswith("$"):  # how some architectures mark data
                row = (str(symbol.name), int(symbol["st_size"]))
                symbols.setdefault(int(symbol["st_value"]) - start, []).append(row)
    sets, rest = read_sets(section, args_flag)
    return BtfIds(sets, rest, tuple(sorted(undefined)), tuple(section.problems))


def read_sets(section: Section, args_flag: int | None) -> tuple[tuple[IdSet, ...], tuple[str, ...]]:
    """Return the sets by name, and what belongs to none of them; every byte that makes no sense is a problem."""
    covered: list[tuple[int, int, str]] = []
    areas: list[tuple[int, int, str]] = []
    sets = []
    problems = section.problems
    for offset, symbol, size in sorted((at, *row) for at, rows in section.symbols.items() for row in rows):
        if not symbol.startswith(SET8):
            continue
        name, end = symbol.removeprefix(SET8), offset + size
        if size < HEADER or (size - HEADER) % PAIR or end > len(section.data):
            problems.append(f"the set {name} has the size {size}, which is not a header and whole pairs")
            continue
        count, flags = section.word(offset), section.word(offset + WORD)
        pairs = tuple(section.pairs(name, offset + HEADER, end))
        if count != (len(pairs) if section.names is not None else 0):
            problems.append(f"the set {name} says that it has {count} entries")
        trailer = args_flag is not None and bool(flags & args_flag)
        records: tuple[Record, ...] = ()
        if trailer and end + TRAILER > len(section.data):
            problems.append(f"the set {name} says that records of arguments exist, but the section ends after it")
        elif trailer:
            start = offset + int(struct.unpack_from(f"{section.order}i", section.data, end)[0])
            area = (start, start + section.word(end + WORD))
            records = tuple(section.records(name, *area))
            areas.append((*area, name))
            end += TRAILER
        covered.append((offset, end, name))
        sets.append(IdSet(name, flags, pairs, trailer, records))
    if areas and section.names is None:  # a linked file has those of one object file after the other
        problems += gaps(section, covered, areas)
    rest = tuple(read_rest(section, covered + areas))
    return tuple(sorted(sets, key=lambda s: s.name)), rest


def gaps(section: Section, covered: list[tuple[int, int, str]], areas: list[tuple[int, int, str]]) -> Iterator[str]:
    """Yield the problems in the places of records: from the first on there is nothing but records and sets.

    They follow each other without a gap and without overlap: first the records of the sets that are in one piece, then
    each set whose rows are behind the kfuncs and its records. A row with flags of arguments in a set without a trailer
    leaves a gap.
    """
    ends = {name: end for _, end, name in covered}
    for start, _, name in areas:
        if start < ends[name]:
            yield f"the records of the set {name} start at {start:#x}, before it ends ({ends[name]:#x})"
    first = min(start for start, _, _ in areas)
    at = max((end for start, end, _ in covered if start < first), default=first)
    pieces = [(start, end, f"the records of the set {name} start") for start, end, name in areas]
    pieces += [(start, end, f"the set {name} starts") for start, end, name in covered if start >= first]
    for start, end, what in sorted(pieces):
        if start != max(at, first):
            yield f"{what} at {start:#x}, and what is before ends at {at:#x}"
        at = max(at, end)
    if at != len(section.data):
        yield f"{len(section.data) - at} bytes after the last record belong to no set"


def read_rest(section: Section, covered: list[tuple[int, int, str]]) -> Iterator[str]:
    """Yield what belongs to no set, a line for each label and word; words that are not zero are problems.

    The compiler leaves zero for each id; the numbers at the ends of symbols, which follow the line numbers, are cut.
    """
    taken = {at for start, end, _ in covered for at in range(start, end)}
    for at in range(0, len(section.data) - len(section.data) % WORD, WORD):
        if at in taken:
            continue
        found = sorted(name for name, _ in section.symbols.get(at, ()))
        yield from (f"{symbol}:" for symbol in found if not is_id(symbol) and not symbol.startswith(SET8))
        ids = [s.removeprefix(PREFIX).rpartition("__")[0] for s in found if is_id(s)]
        word = section.word(at)
        yield f"{' '.join(ids) or 'word'} {word:#x}"
        if word and section.names is None:
            section.problems.append(f"the word at {at:#x}, {word:#x}, belongs to no set and no record")


def undefined_in_btf_ids(obj: Path, source: str, text: bytes) -> list[Finding]:
    """Return a finding for each undefined symbol in the .BTF_ids of an object made of `text`, the file `source`.

    These are the symbols that a relocation of the section refers to, and those that no relocation at all refers to if
    a BTF_ID row of the source names them (an assembler may fold the reference and keep the symbol).
    """
    referred, unused = read_symbols(obj)
    lines = {name: find_row(text, name) for name in referred | unused}
    found = []
    for name in sorted(referred | {n for n in unused if lines[n]}):
        message = f"'{name}' in .BTF_ids is an undefined symbol, not a number: a misspelt flag?"
        found.append(Finding(Status.FAIL, message, source, lines[name], "undefined-flag"))
    return found


def read_symbols(obj: Path) -> tuple[set[str], set[str]]:
    """Return the undefined symbols that relocations of .BTF_ids name, and those that no relocation names.

    Those that may stay undefined (weak ones) do not count.
    """
    with elf_file(obj) as elf:
        undefined = undefined_symbols(elf)
        places = [(place, undefined.keys() & numbers) for place, numbers in referred_symbols(elf)]
    referred = {undefined[number] for place, numbers in places if place == SECTION for number in numbers}
    return referred, set(undefined.values()) - {undefined[n] for _, numbers in places for n in numbers}


def find_row(text: bytes, name: str) -> int | None:
    """Return the line of the source on which a BTF_ID row names `name`, None if there is no such row."""
    for row in ROW.finditer(text):
        if word := re.search(rb"\b%b\b" % re.escape(name.encode()), row[0]):
            return text.count(b"\n", 0, row.start() + word.start()) + 1
    return None
