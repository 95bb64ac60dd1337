"""Read the programs and kfunc sets that are tried in a booted kernel, and the expected outcome of each.

They are rows of a TOML file, so that adding one needs no code; the file itself explains the keys. A pair of programs is
one row, so its two programs can differ only in the one argument.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .... import foreign
from ....errors import UserError

PROGRAM_KEYS = frozenset(
    ("name", "kind", "body", "arg", "verdict", "message", "declare", "flag", "needs", "lacks", "gains", "weak", "base")
)
SET_KEYS = frozenset(("name", "kfuncs", "rows", "hook", "refused", "needs", "lacks"))
HOOKS = ("tracing", "syscall", "tc", "xdp", "fmodret")
VERDICTS = ("accept", "reject")
FLAG = re.compile(r"\bKFA?_[A-Z_0-9]+\b")
#: What a kernel has that gains from a flag, or that shows what was before it.
GAINS = "gains from "
FEATURE = re.compile(r"KFA?_[A-Z_0-9]+|KF_RELEASE=(?:first|referenced)")


@dataclass(frozen=True)
class Expected:
    """A verdict, and the regular expression for the verifier's message with it ("" for an accepted program)."""

    verdict: str
    message: str = ""


@dataclass(frozen=True)
class Program:
    """One program: `row` is the name of its row, `argument` what ARG is in it, `line` where the row starts."""

    name: str
    row: str
    section: str
    start: str
    body: str
    declare: str
    argument: str
    expected: Expected
    base: Expected | None
    flag: str
    needs: frozenset[str]
    lacks: frozenset[str]
    line: int
    weak: bool = False


@dataclass(frozen=True)
class SetRow:
    """One kfunc set: `refused` is the expected message, None if the set must be accepted."""

    name: str
    kfuncs: tuple[str, ...]
    rows: str
    hook: str
    refused: str | None
    needs: frozenset[str]
    lacks: frozenset[str]


@dataclass(frozen=True)
class LeftOut:
    """A program or set that a kernel is not given, why ("it lacks ..."), and the kfuncs that the kernel lacks."""

    kind: str
    name: str
    why: str
    kfuncs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Everything that a boot tries."""

    programs: tuple[Program, ...]
    sets: tuple[SetRow, ...]

    def known_to(self, features: Collection[str]) -> Rows:
        """Return the rows that a kernel with these features (see fit.py) can have."""
        return Rows(
            tuple(p for p in self.programs if not unfit(p, features)),
            tuple(s for s in self.sets if not unfit(s, features)),
        )

    def left_out(self, features: Collection[str]) -> list[LeftOut]:
        """Return the rows that such a kernel cannot have."""
        found = [LeftOut("program", p.name, unfit(p, features)) for p in self.programs]
        found += [LeftOut("set", s.name, unfit(s, features)) for s in self.sets]
        return [row for row in found if row.why]

    def uncovered(self, flags: Iterable[str]) -> list[str]:
        """Return the flags that no pair of an accepted and a rejected program covers."""
        pairs: dict[str, set[tuple[str, str]]] = {}
        for program in self.programs:
            pairs.setdefault(program.flag, set()).add((program.row, program.expected.verdict))
        return [
            flag
            for flag in sorted(flags)
            if not any({(row, v) for v in VERDICTS} <= pairs.get(flag, set()) for row, _ in pairs.get(flag, ()))
        ]


def unfit(row: Program | SetRow, features: Collection[str]) -> str:
    """Return why a kernel with these features cannot have a row, "" if it can."""
    have = frozenset(features)
    if missing := sorted(row.needs - have):
        return f"it lacks {', '.join(missing)}"
    if extra := sorted(row.lacks & have):
        return f"it has {', '.join(extra)}"
    return ""


def read_rows(path: Path) -> Rows:
    """Return the rows of a file; raise UserError that names the row for anything that makes no sense."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}") from error
    where = {name: f"{path}:{line}" for name, line in starts(text).items()}
    if unknown := set(data) - {"kind", "program", "set"}:
        raise UserError(f"{path}: unknown table {sorted(unknown)}; known: kind, program, set")
    programs = [p for row in data.get("program", []) for p in read_program(row, data.get("kind", {}), where)]
    sets = [read_set(row, where) for row in data.get("set", [])]
    for names in ([p.name for p in programs], [s.name for s in sets]):
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise UserError(f"{path}: two rows are called {twice[0]}")
    hooks = [s.hook for s in sets if s.refused is None]
    if twice := sorted({h for h in hooks if hooks.count(h) > 1}):
        raise UserError(f"{path}: two sets must be accepted in the hook {twice[0]}, but a module can have one there")
    return Rows(tuple(programs), tuple(sets))


def starts(text: str) -> dict[str, int]:
    """Return {"program name" or "set name": line} of the rows."""
    found = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.fullmatch(r"\[\[(\w+)\]\]\s*(?:#.*)?", line):
            table = match[1]
        elif table and (match := re.match(r'name\s*=\s*"([^"]*)"', line)):
            found[f"{table} {match[1]}"] = number
            table = ""
    return found


def read_program(
    row: Mapping[str, Any], kinds: Mapping[str, Mapping[str, str]], where: Mapping[str, str]
) -> list[Program]:
    """Return the programs of a row: one, or two that differ in ARG."""
    name, place = named("program", row, PROGRAM_KEYS, where)
    kind = row.get("kind", "newtask")
    if kind not in kinds or not {"section", "start"} <= set(kinds[kind]):
        raise UserError(f"{place}: program {name}: no [kind.{kind}] with section and start; known: {', '.join(kinds)}")
    body = row.get("body", "")
    pair = row.get("arg")
    if (pair is None) == ("verdict" not in row):
        raise UserError(f"{place}: program {name} needs either arg = {{ accept, reject }} or verdict")
    if pair is not None and (set(pair) != set(VERDICTS) or not re.search(r"\bARG\b", body)):
        raise UserError(f"{place}: program {name}: arg needs accept and reject, and the body must say ARG")
    verdicts = VERDICTS if pair else (row["verdict"],)
    message = pattern(place, name, row.get("message", ""))
    gains = frozenset(GAINS + flag for flag in wanted(row, "gains", place, name))
    if gains and "base" not in row:
        raise UserError(f"{place}: program {name}: what gains from a flag needs base, which has not got it")
    made = []
    for verdict in verdicts:
        if verdict not in VERDICTS:
            raise UserError(f"{place}: program {name}: the verdict is {verdict!r}; it must be accept or reject")
        if verdict == "reject" and not message:
            raise UserError(f"{place}: program {name}: a rejected program needs the message that says why")
        made.append(
            Program(
                name=f"{name}_{verdict}" if pair else name,
                row=name,
                section=kinds[kind]["section"],
                start=kinds[kind]["start"],
                body=body,
                declare=row.get("declare", ""),
                argument=str(pair[verdict]) if pair else "",
                expected=Expected(verdict, message if verdict == "reject" else ""),
                base=read_base(row.get("base"), place, name),
                flag=row.get("flag", "") if pair else "",
                needs=wanted(row, "needs", place, name) | gains,
                lacks=wanted(row, "lacks", place, name),
                line=int(place.rpartition(":")[2] or 0),
                weak=row.get("weak") is True,
            )
        )
    return made


def read_base(row: Mapping[str, str] | None, place: str, name: str) -> Expected | None:
    """Return what a row says about the kernel before the series, None if both kernels must say the same."""
    if row is None:
        return None
    verdict, message = row.get("verdict", ""), pattern(place, name, row.get("message", ""))
    if set(row) - {"verdict", "message"} or verdict not in VERDICTS or (verdict == "reject" and not message):
        raise UserError(f"{place}: program {name}: base needs a verdict and, if that is reject, a message")
    return Expected(verdict, message)


def read_set(row: Mapping[str, Any], where: Mapping[str, str]) -> SetRow:
    """Return the set of a row."""
    name, place = named("set", row, SET_KEYS, where)
    hook = row.get("hook", "tracing")
    if hook not in HOOKS:
        raise UserError(f"{place}: set {name}: the hook is {hook!r}; known: {', '.join(HOOKS)}")
    if not row.get("rows"):
        raise UserError(f"{place}: set {name} has no rows")
    kfuncs = tuple(k.strip() for k in row.get("kfuncs", "").split(";") if k.strip())
    refused = pattern(place, name, row["refused"]) if "refused" in row else None
    needs = wanted(row, "needs", place, name) | frozenset(FLAG.findall(row["rows"]))
    if not any(flag.startswith("KFA_") for flag in needs):
        # Registering a set shows nothing on a kernel without argument flags.
        needs |= {"KFA_RCU"}
    return SetRow(name, kfuncs, row["rows"], hook, refused, needs, wanted(row, "lacks", place, name))


def wanted(row: Mapping[str, Any], key: str, place: str, name: str) -> frozenset[str]:
    """Return the features that a row needs, or needs to be absent."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(f, str) and FEATURE.fullmatch(f) for f in found):
        raise UserError(
            f"{place}: {name}: {key} is {found!r}; it must be a list of KF_ or KFA_ flags, KF_RELEASE=first or"
            " KF_RELEASE=referenced"
        )
    return frozenset(found)


def named(table: str, row: Mapping[str, Any], keys: Collection[str], where: Mapping[str, str]) -> tuple[str, str]:
    """Return the name and the place of a row; refuse keys that nobody reads."""
    name = row.get("name", "")
    place = where.get(f"{table} {name}", table)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{place}: {table} {name!r} needs a name of lower-case letters, digits and _")
    if unknown := set(row) - set(keys):
        raise UserError(f"{place}: {table} {name}: unknown {sorted(unknown)}; known: {', '.join(sorted(keys))}")
    return name, place


def pattern(place: str, name: str, text: str) -> str:
    """Return a regular expression; raise UserError for text that is not one."""
    try:
        foreign.pattern(text)
    except foreign.BadPattern as error:
        raise UserError(f"{place}: {name}: {text!r} cannot be used as a regular expression: {error}") from error
    return text
