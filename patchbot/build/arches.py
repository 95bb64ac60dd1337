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
    bits: int = 64

    @property
    def mark(self) -> str:
        """Return what stands behind a message of its compiler: nothing for x86."""
        return f"ARCH={self.make}" if self.folder != "x86" else ""

    @property
    def machine(self) -> str:
        """What `gcc -dumpmachine` starts with."""
        return self.cross.partition("-")[0]


X86 = Arch("x86", "x86_64", "x86_64-linux-gnu-", "gcc-x86-64-linux-gnu")
LITTLE = (("CPU_LITTLE_ENDIAN", "y"), ("PPC64", "y"))
#: By folder; if several would do, the first that is installed is used.
ARCHES: Mapping[str, Arch] = {
    X86.folder: X86,
    **{
        folder: Arch(folder, make or folder, f"{machine}-", f"gcc-{machine}", options, bits)
        for folder, make, machine, options, bits in (
            ("arm64", "", "aarch64-linux-gnu", (), 64),
            ("s390", "", "s390x-linux-gnu", (), 64),
            ("riscv", "", "riscv64-linux-gnu", (), 64),
            ("powerpc", "", "powerpc64le-linux-gnu", LITTLE, 64),
            ("loongarch", "", "loongarch64-linux-gnu", (), 64),
            ("arm", "", "arm-linux-gnueabihf", (), 32),
            ("mips", "", "mips-linux-gnu", (), 32),
            ("m68k", "", "m68k-linux-gnu", (), 32),
            ("alpha", "", "alpha-linux-gnu", (), 64),
            ("sparc", "sparc64", "sparc64-linux-gnu", (), 64),
            ("parisc", "", "hppa-linux-gnu", (), 32),
            ("sh", "", "sh4-linux-gnu", (), 32),
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
        tree = _parsed(condition)
        try:
            return tree is None or self._truth(tree, folder)[0]
        except RecursionError:
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


def wishes_of(conditions: Iterable[str]) -> dict[str, str]:
    """Return which symbols must be on (y) or off (n) for the conditions of `#if`s; of alternatives the first."""
    found: dict[str, str] = {}
    for condition in conditions:
        tree = _parsed(condition)
        found |= _wishes(tree, True) if tree else {}
    return found


def _wishes(node: ast.expr, value: bool) -> dict[str, str]:
    """Return the wishes for which an expression has a value, as far as they are about symbols."""
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = [_wishes(part, value) for part in values]
            if isinstance(op, ast.And) == value:
                return {symbol: wish for part in parts for symbol, wish in part.items()}
            return next((part for part in parts if part), {})
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _wishes(operand, not value)
        case ast.Call(func=ast.Name(), args=[argument]):
            return _wishes(argument, value)
        case ast.Name(id=name) if name.startswith("CONFIG_"):
            return {name.removeprefix("CONFIG_"): "y" if value else "n"}
    return {}


def _parsed(condition: str) -> ast.expr | None:
    """Return the condition of an #if as a tree, None if it is not understood."""
    text = re.sub(r"!(?!=)", " not ", condition.replace("&&", " and ").replace("||", " or "))
    try:
        return ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


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
