"""Read what options depend on from a tree's Kconfig files, to find a configuration that has some code.

Only what decides where an option can be on is read: `depends on`, the `if`s and menus around it, and those around
the `source` of its file. Whether a configuration that is made of it holds is Kconfig's own decision. (kconfiglib cannot
read Linux 7.3: it does not know `transitional`.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..git.repo import Scratch
from .arches import Symbols

_WORD = re.compile(r"\A[ \t]*+([A-Za-z-]++)(?:[ \t]++(\S.*+))?$")
_TOKEN = re.compile(r'"[^"]*+"?|\$\([^)]*+\)?|&&|\|\||!=|<=|>=|[!=()<>]|\w+')
_SOURCES = ("source", "rsource", "osource", "orsource")
#: How far to follow what depends on what.
DEPTH = 12

#: An expression: a symbol, or an operator and what it is applied to.
Expression = str | tuple["Expression", ...]


@dataclass
class Option:
    """A symbol: where it is defined, the conditions of each definition, and where it is always on."""

    files: list[str] = field(default_factory=list)
    needs: list[tuple[Expression, ...]] = field(default_factory=list)
    always: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Kconfig(Symbols):
    """The symbols of a tree, with what they depend on."""

    options: Mapping[str, Option] = field(default_factory=dict)

    def can_be(self, symbol: str, folder: str, seen: frozenset[str] = frozenset()) -> tuple[bool, bool]:
        """Say whether an option can be on for the architecture in a folder of arch/, and whether it can be off."""
        option = self.options.get(symbol) or self.options.get(symbol.removesuffix("_MODULE"))
        if option is None:  # nobody can choose it
            return False, True
        if symbol in seen or len(seen) > DEPTH:
            return True, True
        inside = seen | {symbol}
        on = any(
            folder_of(file) in ("", folder) and all(self.truth(e, folder, inside)[0] for e in needs)
            for file, needs in zip(option.files, option.needs, strict=True)
        )
        return on, folder not in option.always

    def truth(self, expression: Expression, folder: str, seen: frozenset[str] = frozenset()) -> tuple[bool, bool]:
        """Return whether an expression can be true and whether it can be false."""
        if isinstance(expression, str):
            return (
                (expression != "n", expression != "y") if expression in "ymn" else self.can_be(expression, folder, seen)
            )
        parts = [self.truth(part, folder, seen) for part in expression[1:]]
        match expression[0]:
            case "&&":
                return all(on for on, _ in parts), any(off for _, off in parts)
            case "||":
                return any(on for on, _ in parts), all(off for _, off in parts)
            case "!":
                return parts[0][1], parts[0][0]
            case "=" if expression[2] in ("y", "m"):
                return parts[0]
            case "=" | "!=" if expression[2] == "n":
                return parts[0] if expression[0] == "!=" else (parts[0][1], parts[0][0])
        return True, True

    def wanted(self, wishes: Mapping[str, str]) -> dict[str, str]:
        """Return wishes ({symbol: y or n}) with what they need besides; of alternatives the first one that fits."""
        found = dict(wishes)
        for symbol in [s for s, value in wishes.items() if value != "n"]:
            self._want(symbol, found, 0)
        return found

    def _want(self, symbol: str, found: dict[str, str], depth: int) -> bool:
        """Add what an option that is on needs; say whether that contradicts nothing that is there."""
        option = self.options.get(symbol)
        for needs in option.needs if option and depth < DEPTH else ():
            new = dict(found)
            if all(self._hold(need, True, new, depth + 1) for need in needs):
                found.update(new)
                return True
        return option is not None and not option.needs

    def _hold(self, expression: Expression, value: bool, found: dict[str, str], depth: int) -> bool:
        """Make an expression true, or false."""
        if isinstance(expression, str):
            if expression in ("y", "m", "n"):
                return (expression != "n") == value
            if expression in found:
                return (found[expression] != "n") == value
            if expression not in self.options:
                return not value
            found[expression] = "y" if value else "n"
            return self._want(expression, found, depth) if value else True
        operator, parts = str(expression[0]), expression[1:]
        if operator == "!":
            return self._hold(parts[0], not value, found, depth)
        if operator in ("=", "!=") and isinstance(parts[1], str) and parts[1] in ("y", "m", "n"):
            return self._hold(parts[0], ((parts[1] != "n") == (operator == "=")) == value, found, depth)
        if (operator == "&&") == value and operator in ("&&", "||"):
            return all(self._hold(part, value, found, depth) for part in parts)
        if operator in ("&&", "||"):
            for part in parts:
                new = dict(found)
                if self._hold(part, value, new, depth):
                    found.update(new)
                    return True
            return False
        return True


def folder_of(file: str) -> str:
    """Return the folder below arch/ that a file is in, "" for any other place."""
    parts = file.split("/")
    return parts[1] if parts[0] == "arch" and len(parts) > 2 else ""


def kconfig_of(scratch: Scratch, files: Mapping[str, str]) -> Kconfig:
    """Return the symbols of a tree, of which {path: object id} is given; read once a run if they stay the same."""
    rows = ((path, oid) for path, oid in files.items() if path.rpartition("/")[2].startswith("Kconfig"))
    return _read(scratch, frozenset(row for row in rows if "\n" not in row[0]))


@lru_cache(maxsize=4)
def _read(scratch: Scratch, files: frozenset[tuple[str, str]]) -> Kconfig:
    """Return the symbols of files, given as (path, object id)."""
    return read_kconfig({path: scratch.raw(oid).decode("utf-8", "replace") for path, oid in sorted(files)})


def read_kconfig(texts: Mapping[str, str]) -> Kconfig:
    """Return the symbols that Kconfig files define, given as {path: text}."""
    options: dict[str, Option] = {}
    done: set[tuple[str, str]] = set()
    folders = sorted({folder for path in texts if (folder := folder_of(path))})
    todo: list[tuple[str, str, tuple[Expression, ...]]] = [("Kconfig", "", ())]
    while todo or (rest := sorted(texts.keys() - {path for path, _ in done})):
        path, arch, above = todo.pop() if todo else (rest[0], "", ())
        if (path, "") in done or (path, arch) in done or path not in texts:
            continue
        done.add((path, arch))
        for kind, name, conditions, always in _entries(texts[path]):
            if kind == "config":
                option = options.setdefault(name, Option())
                option.files.append(path)
                option.needs.append((*above, *conditions))
                option.always |= {folder_of(path)} if always and not conditions else set()
            else:
                base = path.rpartition("/")[0] if kind.startswith(("r", "or")) else ""
                file = f"{base}/{name}".lstrip("/")
                names = [file.replace("$(SRCARCH)", f) for f in folders] if "$(SRCARCH)" in file else [file]
                todo += [(other, "", (*above, *conditions)) for other in names]
    return Kconfig(options=options)


def _entries(text: str) -> Iterator[tuple[str, str, tuple[Expression, ...], bool]]:
    """Yield (config or a kind of source, its name, conditions, whether it is always on) of a Kconfig file."""
    around: list[list[Expression]] = []
    name, always = "", False
    needs: list[Expression] = []
    target: list[Expression] = []
    for line in _lines(text):
        match = _WORD.match(line)
        word, rest = (match[1], match[2] or "") if match else ("", "")
        opens = word in (
            "config",
            "menuconfig",
            "if",
            "menu",
            "choice",
            "comment",
            "endif",
            "endmenu",
            "endchoice",
            *_SOURCES,
        )
        if opens and name:
            yield "config", name, (*(e for part in around for e in part), *needs), always
            name = ""
        if word in ("config", "menuconfig"):
            name, needs, always = rest.strip(), [], False
            target = needs
        elif word in ("if", "menu", "choice"):
            target = [read_expression(rest)] if word == "if" else []
            around.append(target)
        elif word in ("endif", "endmenu", "endchoice"):
            around = around[:-1]
            target = []
        elif word in _SOURCES:
            yield word, rest.strip().strip('"'), tuple(e for part in around for e in part), False
        elif word == "comment":
            target = []
        elif word == "depends" and rest.startswith("on"):
            target.append(read_expression(rest[2:]))
        elif line.split()[:2] == ["def_bool", "y"] and len(line.split()) == 2:
            always = True
    if name:
        yield "config", name, (*(e for part in around for e in part), *needs), always


def _lines(text: str) -> Iterator[str]:
    """Yield the logical lines of a Kconfig file that are neither blank, a remark nor help."""
    help_, least = False, -1
    for line in text.replace("\\\n", " ").expandtabs().splitlines():
        bare = line.strip()
        if not bare:
            continue
        indent = len(line) - len(line.lstrip())
        if help_:
            least = indent if least < 0 else least
            if indent >= least and indent > 0:
                continue
            help_ = False
        if bare in ("help", "---help---"):
            help_, least = True, -1
        elif not bare.startswith("#"):
            yield line.partition(" #")[0].rstrip() if '"' not in line else line


def read_expression(text: str) -> Expression:
    """Return the expression in a text, as far as it is understood; y for nothing."""
    words = _TOKEN.findall(text)
    if "if" in words:
        # `depends on A if B`: only where B is on.
        at = words.index("if")
        return ("||", ("!", read_expression(" ".join(words[at + 1 :]))), read_expression(" ".join(words[:at])))
    words.reverse()
    return _either(words) if words else "y"


def _either(words: list[str]) -> Expression:
    found = _both(words)
    while words and words[-1] == "||":
        words.pop()
        found = ("||", found, _both(words))
    return found


def _both(words: list[str]) -> Expression:
    found = _one(words)
    while words and words[-1] == "&&":
        words.pop()
        found = ("&&", found, _one(words))
    return found


def _one(words: list[str]) -> Expression:
    word = words.pop() if words else "y"
    if word == "!":
        return ("!", _one(words))
    if word == "(":
        found = _either(words)
        if words and words[-1] == ")":
            words.pop()
        return found
    if words and words[-1] in ("=", "!=", "<", ">", "<=", ">="):
        operator = words.pop()
        return (operator, word.strip('"'), words.pop().strip('"') if words else "y")
    return word
