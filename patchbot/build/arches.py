"""Tell which architectures can have code that x86 cannot, and which compiler makes it.

A row under `#ifdef CONFIG_S390` is in no object for x86. Which symbols belong to which architecture is read from the
tree's Kconfig files; only the compilers are a list, and it is here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Arch:
    """An architecture: its folder below arch/, make's ARCH=, the prefix of its tools and their Debian package.

    `options` is what its configuration needs besides the common options.
    """

    folder: str
    make: str
    cross: str
    package: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def mark(self) -> str:
        """Return what stands behind a message of its compiler: nothing for x86."""
        return f"ARCH={self.make}" if self.folder != "x86" else ""

    @property
    def machine(self) -> str:
        """What `gcc -dumpmachine` starts with."""
        return self.cross.partition("-")[0]


X86 = Arch("x86", "x86_64", "x86_64-linux-gnu-", "gcc-x86-64-linux-gnu")
#: By folder; if several would do, the first that is installed is used.
ARCHES: Mapping[str, Arch] = {
    X86.folder: X86,
    **{
        folder: Arch(folder, folder, f"{machine}-linux-gnu-", f"gcc-{machine}-linux-gnu", options)
        for folder, machine, options in (
            ("arm64", "aarch64", ()),
            ("s390", "s390x", ()),
            ("riscv", "riscv64", ()),
            ("powerpc", "powerpc64le", (("CPU_LITTLE_ENDIAN", "y"), ("PPC64", "y"))),
            ("loongarch", "loongarch64", ()),
        )
    },
}

_CONFIG = re.compile(r"[ \t]*(?:menu)?config[ \t]+(\w+)[ \t]*")
_SYMBOL = re.compile(r"\bCONFIG_(\w+)")


@dataclass(frozen=True)
class Symbols:
    """Where Kconfig symbols are defined: folders below arch/, "" for any other place.

    `always` names the folders in which a symbol is on in every configuration.
    """

    folders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    always: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def can_be(self, symbol: str, folder: str) -> tuple[bool, bool]:
        """Say whether a symbol can be on in an architecture, and whether it can be off; both if it is unknown."""
        places = self.folders.get(symbol)
        on = not places or "" in places or folder in places
        return on, folder not in self.always.get(symbol, ())

    def allow(self, condition: str, folder: str) -> bool:
        """Say whether the condition of an #if can be true in an architecture; if it is not understood, it can."""
        text = re.sub(r"!(?!=)", " not ", condition.replace("&&", " and ").replace("||", " or "))
        try:
            tree = ast.parse(f"({text})", mode="eval")
            return self._truth(tree.body, folder)[0]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return True

    def _truth(self, node: ast.expr, folder: str) -> tuple[bool, bool]:
        """Return whether an expression can be true and whether it can be false."""
        match node:
            case ast.BoolOp(op=op, values=values):
                on, off = zip(*(self._truth(value, folder) for value in values), strict=True)
                return (all(on), any(off)) if isinstance(op, ast.And) else (any(on), all(off))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                on_, off_ = self._truth(operand, folder)
                return off_, on_
            case ast.Call(func=ast.Name(), args=[argument]):  # defined(X), IS_ENABLED(X)
                return self._truth(argument, folder)
            case ast.Name(id=name) if name.startswith("CONFIG_"):
                return self.can_be(name.removeprefix("CONFIG_"), folder)
        return True, True


def read_symbols(rows: Iterable[tuple[str, str]]) -> Symbols:
    """Return the symbols that lines of Kconfig files define, given as (path, line) with the two lines that follow each.

    Lines of one file that are not adjacent must be separated by a row with another path ("" will do).
    """
    folders: dict[str, set[str]] = {}
    always: dict[str, set[str]] = {}
    rows = list(rows)
    for number, (path, line) in enumerate(rows):
        match = _CONFIG.fullmatch(line)
        if not match:
            continue
        parts = PurePosixPath(path).parts
        folder = parts[1] if len(parts) > 2 and parts[0] == "arch" else ""
        folders.setdefault(match[1], set()).add(folder)
        after = [text.split() for where, text in rows[number + 1 : number + 3] if where == path]
        if after[:1] == [["def_bool", "y"]] and not any(words[:1] == ["depends"] for words in after[1:]):
            always.setdefault(match[1], set()).add(folder)
    return Symbols({s: frozenset(f) for s, f in folders.items()}, {s: frozenset(f) for s, f in always.items()})


def named_symbols(conditions: Iterable[str]) -> frozenset[str]:
    """Return the Kconfig symbols in preprocessor conditions."""
    return frozenset(s for c in conditions for s in _SYMBOL.findall(c))


def homes(file: str, conditions: Sequence[str], symbols: Symbols, known: Collection[str] = ARCHES) -> list[str]:
    """Return the folders of the architectures that can have the code of a file under some conditions.

    Those that only the path or symbols name, and that are not `known`, come last.
    """
    parts = PurePosixPath(file).parts
    if parts[0] == "arch":
        return [parts[1]]
    named = {f for c in conditions for s in _SYMBOL.findall(c) for f in symbols.folders.get(s, ()) if f}
    folders = [*known, *sorted(named - set(known))]
    return [folder for folder in folders if all(symbols.allow(c, folder) for c in conditions)]
