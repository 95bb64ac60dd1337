"""Compare the registered sets with those that were read: one that no file shows is made in a way nobody can follow.

A set has no effect until a struct btf_kfunc_id_set names it, and its symbol is local, so both are in one compilation.
Whatever macros, pasted words or oddly named files make a set, its name appears here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ....c import parse
from ....c.tokens import Lexed
from .includes import headers
from .nouns import FileSets
from .plan import SELFTESTS

_NAMED = re.compile(rb"\bset\s*=\s*&|\bbtf_kfunc_id_set\b[^;(]{0,500}=")
_STRUCT = b"btf_kfunc_id_set"


@dataclass(frozen=True)
class Registered:
    """The sets that one file registers, as (name, `file:line`), and unclear registrations, as lines for a person."""

    sets: tuple[tuple[str, str], ...]
    includes: frozenset[str]
    problems: tuple[str, ...]


@lru_cache(maxsize=256)
def registered(path: str, text: bytes) -> Registered:
    """Return the sets that a file registers; test modules, whose rows are kept, may do it in any way."""
    if path.startswith(SELFTESTS) or _STRUCT not in text or not _NAMED.search(text):
        return Registered((), frozenset(), ())
    source = parse(path, text)
    lexed, texts = source.lexed, source.lexed.texts
    named = {
        number: [number + 3]
        for number in lexed.index.get(b"set", ())
        if texts[number - 1] in (b".", b"->")
        and texts[number + 1 : number + 3] == [b"=", b"&"]
        and number + 3 < len(texts)
    }
    problems: list[str] = []
    for number in lexed.index.get(_STRUCT, ()):
        inner = initialiser(lexed, number)
        if named.keys().isdisjoint(inner):
            named[number] = [i + 1 for i in inner if texts[i] == b"&"]
            if not named[number] and len(inner) > 2:
                where = source.where(lexed.starts[number])
                problems.append(f"{where}: cannot tell which set of kfuncs is registered here; expected .set = &<name>")
    sets: list[tuple[str, str]] = []
    for number, names in named.items():
        where = source.where(lexed.starts[number])
        if names and lexed.directive_at(number):
            what = "a macro registers a set of kfuncs, which cannot be followed; expected no macro"
            problems.append(f"{where}: {what}")
        else:
            sets += [(texts[i].decode("utf-8", "replace"), where) for i in names]
    return Registered(tuple(sets), frozenset(headers(path.rpartition("/")[0], text)), tuple(problems))


def initialiser(lexed: Lexed, number: int) -> range:
    """Return the tokens of the braces after `struct btf_kfunc_id_set name =`, an empty range if there are none."""
    texts = lexed.texts
    for at in range(number + 1, min(number + 8, len(texts))):
        if texts[at] == b"{":
            return range(at, lexed.brackets.partner.get(at, len(texts) - 1))
        if texts[at] in (b";", b"(") or (texts[at] == b")" and texts[at + 1 : at + 2] != [b"{"]):
            break
    return range(0)


def unseen(found: Mapping[str, Registered], by_file: Mapping[str, FileSets]) -> list[str]:
    """Return a line for each registered set that is in no file that its compilation can see."""
    everywhere = {s.name for path, read in by_file.items() if not path.endswith(".c") for s in read.sets}
    lines: list[str] = []
    for path in sorted(found):
        here = {s.name for other in (path, *found[path].includes) if other in by_file for s in by_file[other].sets}
        lines += found[path].problems
        lines += [
            f"{where}: registers the set {name}, which is neither in this file nor in one that it includes; expected "
            f"BTF_KFUNCS_START({name}), without macros around it"
            for name, where in found[path].sets
            if name not in here | everywhere
        ]
    return lines
