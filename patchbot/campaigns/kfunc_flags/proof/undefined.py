"""Find the undefined symbols that a misspelt kfunc flag leaves in an object file.

BTF_ID_FLAGS() hands its flags to the assembler as text, so a misspelt flag that stands alone compiles without a word:
it becomes a reference to a symbol that nobody defines, and only the final link would notice.
"""

from __future__ import annotations

import re
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from ....errors import ToolError
from ....model import Finding, Status

SECTION = ".BTF_ids"
ROW = re.compile(rb"\bBTF_ID\w*\s*\((?:[^()]|\([^()]*\))*\)")


def undefined_in_btf_ids(obj: Path, source: str, text: bytes) -> list[Finding]:
    """Return a finding for each undefined symbol in the .BTF_ids of an object made of `text`, the file `source`.

    These are the symbols that a relocation of the section refers to, and those that no relocation at all refers to if
    a BTF_ID row of the source names them (an assembler may fold the reference and keep the symbol).
    """
    referred, unused = read_symbols(obj)
    lines = {name: find_row(text, name) for name in referred | unused}
    found = []
    for name in sorted(referred | {n for n in unused if lines[n]}):
        message = f"'{name}' in .BTF_ids is no number but an undefined symbol: a misspelt flag?"
        found.append(Finding(Status.FAIL, message, source, lines[name], "undefined-flag"))
    return found


def read_symbols(obj: Path) -> tuple[set[str], set[str]]:
    """Return the undefined symbols that relocations of .BTF_ids name, and those that no relocation names.

    Raises ToolError if the file is no ELF object (link-time optimisation makes such files).
    """
    referred: set[str] = set()
    elsewhere: set[str] = set()
    undefined: set[str] = set()
    try:
        with open(obj, "rb") as file:
            elf = ELFFile(file)
            for section in elf.iter_sections():
                if isinstance(section, SymbolTableSection):
                    undefined |= {s.name for s in section.iter_symbols() if is_undefined(s)}
                if not isinstance(section, RelocationSection) or not section["sh_info"]:
                    continue
                symbols = elf.get_section(section["sh_link"])
                place = elf.get_section(section["sh_info"]).name
                numbers = {r["r_info_sym"] for r in section.iter_relocations()}
                assert isinstance(symbols, SymbolTableSection)
                names = {s.name for s in map(symbols.get_symbol, numbers) if is_undefined(s)}
                if place == SECTION:
                    referred |= names
                else:
                    elsewhere |= names
    except (ELFError, OSError, KeyError, ValueError) as error:
        raise ToolError(f"{obj} is not an ELF object that can be read ({error}); is CONFIG_LTO on?") from error
    return referred, undefined - elsewhere - referred


def is_undefined(symbol: object) -> bool:
    """Say whether a symbol is one that some other object must define."""
    entry = symbol.entry  # type: ignore[attr-defined]
    named = bool(symbol.name)  # type: ignore[attr-defined]
    return named and entry["st_shndx"] == "SHN_UNDEF" and entry["st_info"]["bind"] != "STB_WEAK"


def find_row(text: bytes, name: str) -> int | None:
    """Return the line of the source on which a BTF_ID row names `name`, None if there is no such row."""
    for row in ROW.finditer(text):
        if word := re.search(rb"\b%b\b" % re.escape(name.encode()), row[0]):
            return text.count(b"\n", 0, row.start() + word.start()) + 1
    return None
