"""Rewrite rows: a flag of the kfunc becomes a flag of the arguments that it is about.

Such a row is a BTF_KFUNC(), which a kernel that does not know flags of arguments refuses to compile. Only the tokens of
the row change; its comments, its `;` and its layout stay. One patch holds all files that share a
kfunc, because the kernel and resolve_btfids refuse a kfunc whose flags differ between two sets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from ....c import Span, Token, macro, parse, tokens
from ....errors import UserError
from ....model import Edit
from ....series.campaign import Change, Context
from ..sites.classify import read_verifier
from ..sites.inventory import Entry, Inventory, components, inventory
from ..sites.nouns import Row
from ..sites.plan import ARGUMENT_FLAG, OPTIONAL, UNDECIDED, merged, numbered, read_decisions
from ..sites.subjects import subject

HEADER = "include/linux/btf_ids.h"
KFUNC_ROW = "BTF_KFUNC"
#: A row behind the kfunc; the set comes before the name.
DEFINED_ROW = "BPF_KFUNC"
MAX_COLUMNS = 100
TAB = 8

_CONTINUED = re.compile(rb"\\\r?\n[ \t]*")
_COMMENT = re.compile(rb"/\*(?:.*?\*/|.*)|//([^\n]*)", re.DOTALL)


def convert(context: Context, *flags: str) -> Change:
    """Return the edits that convert some flags in the step's tree; raise UserError if the header would drop them."""
    found = look(context)
    entries = found.changed(*flags)
    if entries:
        require_header(context)
    keys = {path: group[0] for group in components(found, *flags) for path in group}
    edits: dict[tuple[str, Span], Edit] = {}
    shared: list[Edit] = []
    for entry in entries:
        path, span = entry.row.file, entry.row.span
        if (path, span) in edits:  # one row puts the kfunc into several sets: the further sites need no edit but a name
            shared.append(Edit(path, len(shared), len(shared), b"", keys[path], entry.site))
            continue
        wanted = {flag: entry.plan.arguments[flag] for flag in flags if flag in entry.plan.arguments}
        new = rewrite(context.tree.read(path), entry.row, wanted)
        edits[path, span] = Edit(path, span.start, span.end, new, keys[path], entry.site)
    kept: dict[tuple[str, str], list[Entry]] = {}
    for flag, entry in ((flag, entry) for flag in flags for entry in found.entries):
        # What the series itself adds is as it is to be.
        if flag in entry.row.flags and flag not in entry.plan.arguments and context.base.exists(entry.row.file):
            kept.setdefault((flag, why_kept(context, entry, flag)), []).append(entry)
    remarks = tuple(say_kept(flag, why, rows) for (flag, why), rows in kept.items() if why)
    return Change((*edits.values(), *shared), remarks=remarks)


def say_kept(flag: str, why: str, rows: Sequence[Entry]) -> str:
    """Return what is to be said of rows that keep a flag for the same reason."""
    if len(rows) == 1:
        return f"{rows[0].where}: {rows[0].site} keeps {flag}: {why}"
    return f"{len(rows)} rows keep {flag}: {why}: {', '.join(f'{e.row.kfunc} ({e.where})' for e in rows)}"


#: The last context and its inventory: each of a step's 20 messages asks for the same one.
_last: list[tuple[Context, Inventory]] = []


def look(context: Context) -> Inventory:
    """Return the inventory of the step's tree; the meaning of the flags is read from the untouched verifier."""
    if not _last or _last[0][0] is not context:
        _last[:] = [(context, inventory(context.tree, context.config, read_verifier(context.base)))]
    return _last[0][1]


def require_header(context: Context) -> None:
    """Raise UserError if this tree has no row that takes flags of arguments."""
    if not macro(parse(HEADER, context.tree.read(HEADER)), KFUNC_ROW):
        raise UserError(f"{HEADER}: expected {KFUNC_ROW}() in it, which an earlier step of the series adds")


def split(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make one patch of the files that share a converted kfunc; the key is the first of them."""
    return lambda edit: edit.key


def rewrite(text: bytes, row: Row, arguments: Mapping[str, Sequence[int]]) -> bytes:
    """Return the new bytes of a row's span: without the flags in `arguments`, with the argument forms of them there."""
    name, *rest = row.args[row.macro != KFUNC_ROW :]
    flags, *given = rest or (Span(name.end, name.end),)
    wanted = merged(row.arg_flags, arguments)
    kept = text[flags.start : flags.end] or b", 0"
    for flag in arguments:
        if flag in row.flags:
            kept = without_flag(kept, flag)
    pieces = [head_of(text, row, name), text[name.start : flags.start], kept]
    end = flags.end
    for number, names in enumerate(wanted):
        spelled = b" | ".join(n.encode() for n in names) or b"0"
        if number < len(given):
            same = names == row.arg_flags[number]
            pieces += [
                text[end : given[number].start],
                text[given[number].start : given[number].end] if same else spelled,
            ]
            end = given[number].end
        else:
            pieces.append(b", " + spelled)
    pieces.append(text[end : row.span.end])
    return wrap(text, row.span, aligned(text, row.span, b"".join(pieces)))


def head_of(text: bytes, row: Row, name: Span) -> bytes:
    """Return what stands before the name of the kfunc in a row with flags of arguments; `func,` goes, comments stay."""
    if row.macro in (KFUNC_ROW, DEFINED_ROW):
        return text[row.span.start : name.start]
    macro_name, _, func, comma = tokens(text, row.span.start, name.start)
    (first,) = tokens(text, name.start, name.end)
    comments = remark(text, func, comma, after=True) + remark(text, comma, first, after=True)
    return KFUNC_ROW.encode() + text[macro_name.end : func.start] + comments


def aligned(text: bytes, span: Span, new: bytes) -> bytes:
    """Return a new row whose further lines are aligned to its open bracket, where those of the old one were."""
    column = width(text[text.rfind(b"\n", 0, span.start) + 1 : span.start])
    was, now = (column + width(row[: row.index(b"(") + 1]) for row in (text[span.start : span.end], new))
    first, *more = new.split(b"\n")
    return b"\n".join([first, *(indent(now) + m.lstrip(b" \t") if lead(m) == was else m for m in more)])


def lead(line: bytes) -> int:
    """Return the column of the first character of a line."""
    return width(line[: len(line) - len(line.lstrip(b" \t"))])


def indent(column: int) -> bytes:
    """Return the tabs and blanks up to a column."""
    return b"\t" * (column // TAB) + b" " * (column % TAB)


def without_flag(text: bytes, flag: str) -> bytes:
    """Return flags without one of them and its `|`, `0` if none is left."""
    found = tokens(text, 0, len(text))
    at = next(i for i, token in enumerate(found) if token.text == flag.encode())
    if len(found) == 1:
        return b"0"
    if at == 0:
        return (
            remark(text, found[0], found[1], after=True)
            + remark(text, found[1], found[2], after=True)
            + text[found[2].start :]
        )
    head = text[: found[at - 2].end]
    return (
        head
        + remark(text, found[at - 2], found[at - 1])
        + remark(text, found[at - 1], found[at])
        + text[found[at].end :]
    )


def remark(text: bytes, one: Token, two: Token, after: bool = False) -> bytes:
    """Return the comment between two tokens, with a blank that separates it from the rest; b"" if there is none.

    Code follows on the same line, so a comment that ends with its line becomes one that does not.
    """
    between = _CONTINUED.sub(b" ", text[one.end : two.start]).strip()
    between = _COMMENT.sub(within_line, between)
    if not between:
        return b""
    return between + b" " if after else b" " + between


def within_line(comment: re.Match[bytes]) -> bytes:
    """Return a comment in the form that does not end with its line."""
    if comment[1] is None:
        return comment[0]
    return b"/* " + comment[1].replace(b"*/", b"* /").strip() + b" */"


def wrap(text: bytes, span: Span, new: bytes) -> bytes:
    """Break overlong lines of a new row at commas, aligned to its open bracket as the kernel does."""
    column = width(text[text.rfind(b"\n", 0, span.start) + 1 : span.start])
    align = column + width(new[: new.index(b"(") + 1])
    semicolon = text[span.end : span.end + 1] == b";"
    lines = new.split(b"\n")
    out: list[bytes] = []
    while lines:
        line = lines.pop(0)
        start = 0 if out else column
        room = MAX_COLUMNS - (1 if semicolon and not lines else 0)
        if width(line, start) > room and not _COMMENT.search(line):
            cuts = [
                i + 1
                for i in range(len(line) - 1)
                if line[i : i + 2] == b", " and width(line[: i + 1], start) <= MAX_COLUMNS
            ]
            if cuts and line[: cuts[-1]].strip():
                lines.insert(0, indent(align) + line[cuts[-1] :].lstrip())
                line = line[: cuts[-1]]
        out.append(line)
    return b"\n".join(out)


def width(line: bytes, column: int = 0) -> int:
    """Return the column after `line`, tabs being 8 wide."""
    return len((b" " * column + line).expandtabs(TAB))


def words(*flags: str) -> Callable[[Context, str, Sequence[Edit]], Mapping[str, Any]]:
    """Return the function that gives the words of a conversion's commit message; `uses` has those of each flag."""

    def say(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, Any]:
        found = look(context)
        sites = {edit.site for edit in edits}
        files = sorted({edit.path for edit in edits})
        entries = [e for e in found.changed(*flags) if e.row.file in files and e.site in sites]
        named = subject(files)
        treewide = len(files) > 1 and context.config.conversions == "treewide"
        return {
            "prefix": "bpf, treewide" if treewide else named.prefix,
            "topic": named.topic,
            "kfuncs": sorted({e.row.kfunc for e in entries}),
            "uses": [use for flag in flags if (use := use_of(context, found, flag, files, sites))],
            "shared": in_several_files(entries),
            "shared_files": len(files) > 1,
            "verifier": found.verifier,
        }

    return say


def use_of(
    context: Context, found: Inventory, flag: str, files: Sequence[str], sites: Set[str]
) -> Mapping[str, Any] | None:
    """Return the words about one flag in a patch of some files and sites, None if it converts no such flag."""
    entries = [e for e in found.changed(flag) if e.row.file in files and e.site in sites]
    about = {e.row.kfunc: e.plan.arguments[flag] for e in entries}
    kept: dict[str, set[str]] = {}
    for entry in found.entries:
        if entry.row.file in files and flag in entry.row.flags and flag not in entry.plan.arguments:
            kept.setdefault(why_kept(context, entry, flag), set()).add(f"{entry.row.kfunc}()")
    memories = {f"{numbered(n)} of {e.row.kfunc}()" for e in entries if (n := memory(e, about[e.row.kfunc]))}
    return about and {
        "flag": flag,
        "argument_flag": ARGUMENT_FLAG[flag],
        "kfuncs": sorted(about),
        "table": table(about),
        "many": any(len(numbers) > 1 for numbers in about.values()),
        "several": any(len(e.classes) > len(about[e.row.kfunc]) for e in entries),
        "memory": sorted(memories),
        "kept": [(sorted(kfuncs), reason) for reason, kfuncs in sorted(kept.items()) if reason],
        "decided": decided(context, entries, flag),
    }


def why_kept(context: Context, entry: Entry, flag: str) -> str:
    """Return why a row keeps a flag, "" if nobody would expect it to lose it.

    Most flags of an optional conversion stay because of the prototype; only a person's decision is worth a line.
    """
    if flag not in OPTIONAL:
        return entry.plan.reason
    decision = read_decisions(context.config).get(entry.row.kfunc, UNDECIDED)
    return decision.reason if decision.arguments(flag) is not None else ""


def table(about: Mapping[str, Sequence[int]]) -> list[tuple[str, list[str]]]:
    """Return [(which arguments, kfuncs)], the most common first."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for kfunc in sorted(about):
        groups.setdefault(tuple(about[kfunc]), []).append(kfunc)
    return [(numbered(a), groups[a]) for a in sorted(groups, key=lambda a: (-len(groups[a]), a))]


def memory(entry: Entry, arguments: Sequence[int]) -> list[int]:
    """Return those of `arguments` that are memory, not kernel objects."""
    return [n for n in arguments if n < len(entry.classes) and entry.classes[n] == "mem"]


def in_several_files(entries: Sequence[Entry]) -> list[str]:
    """Return the kfuncs that have rows in more than one file, as `f()`."""
    count = Counter(kfunc for kfunc, _ in {(e.row.kfunc, e.row.file) for e in entries})
    return sorted(f"{kfunc}()" for kfunc, number in count.items() if number > 1)


def decided(context: Context, entries: Sequence[Entry], flag: str) -> list[tuple[str, str]]:
    """Return (kfunc, reason) of those whose arguments a person chose."""
    decisions = read_decisions(context.config)
    kfuncs = sorted({e.row.kfunc for e in entries})
    return [(k, decisions[k].reason) for k in kfuncs if k in decisions and decisions[k].arguments(flag) is not None]
