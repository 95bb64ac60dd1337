"""Read `.BTF_ids` of an object file: the kfunc sets as the kernel will see them, whatever the source looked like.

A kfunc's flags are assembler input, so no C tool ever sees them: a wrong one compiles, and with DEBUG_INFO_BTF=n
nothing of a set exists at all. The only proof is in the bytes. Every byte of the section is accounted for: the sets,
the trailer after a set that says where the flags of its kfuncs' arguments are, those records, and the rest.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from ....errors import ToolError

SECTION = ".BTF_ids"
PREFIX = "__BTF_ID__"
SET8 = f"{PREFIX}set8__"
FUNC = f"{PREFIX}func__"
WORD = 4
HEADER = 8  # of a set: count, flags
PAIR = 8
TRAILER = 8


@dataclass(frozen=True, order=True)
class Pair:
    """A row of a set: a kfunc and the flags of the whole of it."""

    kfunc: str
    flags: int


@dataclass(frozen=True, order=True)
class Record:
    """The flags of a kfunc's arguments: `flags[n]` are those of argument n."""

    kfunc: str
    flags: tuple[int, ...]


@dataclass(frozen=True)
class IdSet:
    """A BTF_SET8; `trailer` says whether the location of records follows it, `records` are those it leads to."""

    name: str
    flags: int
    pairs: tuple[Pair, ...]
    trailer: bool = False
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class BtfIds:
    """What a `.BTF_ids` section holds.

    `rest` is everything that belongs to no BTF_SET8, in order, as text: labels, lists, plain sets. `undefined` are
    the symbols that the section needs and the object lacks (a misspelt flag is one). `problems` are bytes that make
    no sense, each as a sentence.
    """

    sets: tuple[IdSet, ...] = ()
    rest: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """The section's bytes, its byte order as `struct` spells it, and its symbols by offset."""

    data: bytes
    order: str
    symbols: Mapping[int, tuple[str, ...]]
    sizes: Mapping[str, int]

    def word(self, offset: int) -> int:
        """Return the u32 at `offset`."""
        return int(struct.unpack_from(f"{self.order}I", self.data, offset)[0])

    def id_at(self, offset: int) -> str | None:
        """Return the symbol `__BTF_ID__<kind>__<name>__<number>` at `offset`, None if there is none or more."""
        found = [s for s in self.symbols.get(offset, ()) if is_id(s)]
        return found[0] if len(found) == 1 else None


def is_id(symbol: str) -> bool:
    """Say whether a symbol stands for one BTF id (that of a set stands for the set)."""
    return symbol.startswith(PREFIX) and not symbol.startswith((SET8, f"{PREFIX}set__"))


def name_of(symbol: str) -> str:
    """Return the name in `__BTF_ID__func__<name>__<number>`, cut where resolve_btfids cuts it: at the last `__`."""
    return symbol.removeprefix(PREFIX).partition("__")[2].rpartition("__")[0]


def kfunc_of(symbol: str | None) -> str | None:
    """Return the function that a symbol stands for, None if it stands for something else."""
    return name_of(symbol) if symbol is not None and symbol.startswith(FUNC) else None


def read_file(path: Path, args_flag: int | None, names: Mapping[int, str] | None = None) -> BtfIds:
    """Return what `.BTF_ids` of a file holds, see `read`; raise ToolError if there is no such ELF file."""
    try:
        return read(path.read_bytes(), args_flag, names)
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from error
    except ToolError as error:
        raise ToolError(f"{path}: {error}") from error


def read(elf: bytes, args_flag: int | None, names: Mapping[int, str] | None = None) -> BtfIds:
    """Return what `.BTF_ids` of an ELF file holds, nothing if it has no such section.

    `args_flag` is the flag of a set that says that a trailer follows (BTF_SET8_KFUNC_ARGS of the header that the
    file was compiled with), None if there is none. `names` gives the functions by BTF id: with it the ids of a linked
    and sorted file are looked up; without it they must be zero, as the compiler leaves them, and the symbols name them.
    """
    try:
        file = ELFFile(io.BytesIO(elf))
        section = file.get_section_by_name(SECTION)
        if section is None:
            return BtfIds()
        index = int(file.get_section_index(SECTION) or 0)
        undefined, odd = relocations(file, index)
        symbols: dict[int, tuple[str, ...]] = {}
        sizes: dict[str, int] = {}
        table = file.get_section_by_name(".symtab")
        start = 0 if file["e_type"] == "ET_REL" else int(section["sh_addr"])
        if isinstance(table, SymbolTableSection):
            for symbol in table.iter_symbols():
                if symbol["st_shndx"] == index and symbol["st_info"]["type"] != "STT_SECTION":
                    offset = int(symbol["st_value"]) - start
                    symbols[offset] = (*symbols.get(offset, ()), str(symbol.name))
                    sizes[str(symbol.name)] = int(symbol["st_size"])
        data = bytes(section.data())
    except (ELFError, UnicodeDecodeError, struct.error) as error:
        raise ToolError(f"not an ELF file that can be read: {error}") from error
    order = "<" if file.little_endian else ">"
    return parse(Section(data, order, symbols, sizes), args_flag, names, undefined, odd)


def relocations(file: ELFFile, index: int) -> tuple[list[str], list[str]]:
    """Return the undefined symbols that a section refers to, and what else is relocated in it."""
    undefined: set[str] = set()
    odd: list[str] = []
    for section in file.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"] == index and file["e_type"] == "ET_REL":
            table = file.get_section(section["sh_link"])
            assert isinstance(table, SymbolTableSection)
            for relocation in section.iter_relocations():
                symbol = table.get_symbol(relocation["r_info_sym"])
                if symbol["st_shndx"] == "SHN_UNDEF":
                    undefined.add(str(symbol.name))
                else:
                    odd.append(f"the word at {relocation['r_offset']:#x} is only known to the linker")
    return sorted(undefined), odd


def parse(
    section: Section,
    args_flag: int | None,
    names: Mapping[int, str] | None,
    undefined: list[str],
    problems: list[str],
) -> BtfIds:
    """Return what the bytes say; `problems` are known already."""
    problems = list(problems)
    covered: list[tuple[int, int, str]] = []
    areas: list[tuple[int, int, str]] = []
    sets = []
    for offset, symbol in sorted((o, s) for o, found in section.symbols.items() for s in found if s.startswith(SET8)):
        name = symbol.removeprefix(SET8)
        size = section.sizes[symbol]
        if size < HEADER or (size - HEADER) % PAIR or offset + size > len(section.data):
            problems.append(f"the set {name} has the size {size}, which is no header and whole pairs")
            continue
        flags = section.word(offset + WORD)
        pairs = read_pairs(section, name, offset, size, names, problems)
        if section.word(offset) != (len(pairs) if names is not None else 0):
            problems.append(f"the set {name} says that it has {section.word(offset)} entries")
        trailer = args_flag is not None and bool(flags & args_flag)
        records: tuple[Record, ...] = ()
        end = offset + size
        if trailer and end + TRAILER > len(section.data):
            problems.append(f"the set {name} says that records of arguments exist, and the section ends after it")
        elif trailer:
            start = offset + int(struct.unpack_from(f"{section.order}i", section.data, end)[0])
            area = (start, start + section.word(end + WORD))
            records = read_records(section, name, *area, names, problems)
            areas.append((*area, name))
            end += TRAILER
        covered.append((offset, end, name))
        sets.append(IdSet(name, flags, tuple(pairs), trailer, records))
    if areas and names is None:  # a linked file has those of each object file in turn
        problems += gaps(section, covered, areas)
    rest, stray = read_rest(section, covered + areas)
    if names is None:
        problems += [f"the word at {at:#x}, {section.word(at):#x}, belongs to no set and no record" for at in stray]
    return BtfIds(tuple(sorted(sets, key=lambda s: s.name)), tuple(rest), tuple(undefined), tuple(problems))


def read_pairs(
    section: Section, name: str, offset: int, size: int, names: Mapping[int, str] | None, problems: list[str]
) -> list[Pair]:
    """Return the pairs of a set, in order."""
    pairs = []
    for at in range(offset + HEADER, offset + size, PAIR):
        kfunc = read_id(section, at, names)
        if kfunc is None:
            problems.append(f"the set {name} has an entry at {at:#x} that stands for no function")
            kfunc = "?"
        pairs.append(Pair(kfunc, section.word(at + WORD)))
    return pairs


def read_id(section: Section, at: int, names: Mapping[int, str] | None) -> str | None:
    """Return the function that the word at an offset stands for, None if it stands for none."""
    if names is not None:
        return names.get(section.word(at))
    return kfunc_of(section.id_at(at)) if section.word(at) == 0 else None


def read_records(
    section: Section, name: str, start: int, end: int, names: Mapping[int, str] | None, problems: list[str]
) -> tuple[Record, ...]:
    """Return the records in [start, end), in order."""
    records = []
    at = start
    if not 0 <= start <= end <= len(section.data):
        problems.append(f"the set {name} has its records at {start:#x}..{end:#x}, outside of the section")
        return ()
    while at < end:
        if at + 2 * WORD > end:
            problems.append(f"the records of the set {name} end in the middle of one, at {at:#x}")
            break
        kfunc, count = read_id(section, at, names), section.word(at + WORD)
        after = at + (2 + count) * WORD
        if kfunc is None or count == 0 or after > end:
            problems.append(f"the set {name} has a record at {at:#x} that makes no sense ({count} arguments)")
            break
        flags = tuple(section.word(i) for i in range(at + 2 * WORD, after, WORD))
        records.append(Record(kfunc, flags))
        at = after
    return tuple(records)


def gaps(section: Section, covered: list[tuple[int, int, str]], areas: list[tuple[int, int, str]]) -> Iterator[str]:
    """Yield what is wrong with the places of records: they follow all else, without a gap and without overlap.

    A row with flags of arguments in a set without a trailer leaves such a gap.
    """
    at = min(start for start, _, _ in areas)
    if at < (last := max(end for _, end, _ in covered)):
        yield f"records of arguments start at {at:#x}, before the last set ends ({last:#x})"
    for start, end, name in sorted(areas):
        if start != at:
            yield f"the records of the set {name} start at {start:#x}, and what is before them ends at {at:#x}"
        at = max(at, end)
    if at != len(section.data):
        yield f"{len(section.data) - at} bytes after the last record belong to no set"


def read_rest(section: Section, covered: list[tuple[int, int, str]]) -> tuple[list[str], list[int]]:
    """Return what no set covers, a line for each label and word, and the places of words that are not zero.

    The compiler leaves zero for each id; the numbers at the ends of symbols, which follow the line numbers, are cut.
    """
    taken = {at for start, end, _ in covered for at in range(start, end)}
    lines: list[str] = []
    stray = []
    for at in range(0, len(section.data) - len(section.data) % WORD, WORD):
        if at in taken:
            continue
        found = sorted(section.symbols.get(at, ()))
        lines += [f"{symbol}:" for symbol in found if not is_id(symbol) and not symbol.startswith(SET8)]
        ids = [s.removeprefix(PREFIX).rpartition("__")[0] for s in found if is_id(s)]
        lines.append(f"{' '.join(ids) or 'word'} {section.word(at):#x}")
        if section.word(at):
            stray.append(at)
    return lines, stray
