"""Find the undefined symbols that a misspelt kfunc flag leaves in an object file.

BTF_ID_FLAGS() hands its flags to the assembler as text, so a misspelt flag that stands alone compiles without a word:
it becomes a reference to a symbol that nobody defines, and only the final link would notice.
"""

from __future__ import annotations

import re
from pathlib import Path

from ....model import Finding, Status
from .btf_ids import SECTION, elf_file, is_undefined, relocations, symbols_of

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

    Those that may stay undefined (weak ones) do not count.
    """
    with elf_file(obj) as elf:
        undefined = {s.name for s in symbols_of(elf) if is_undefined(s) and s["st_info"]["bind"] != "STB_WEAK"}
        places = {(place, symbol.name) for place, _, symbol in relocations(elf)}
    referred = {name for place, name in places if place == SECTION} & undefined
    return referred, undefined - {name for _, name in places}


def find_row(text: bytes, name: str) -> int | None:
    """Return the line of the source on which a BTF_ID row names `name`, None if there is no such row."""
    for row in ROW.finditer(text):
        if word := re.search(rb"\b%b\b" % re.escape(name.encode()), row[0]):
            return text.count(b"\n", 0, row.start() + word.start()) + 1
    return None
