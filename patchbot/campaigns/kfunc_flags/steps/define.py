"""The optional step define: the kfuncs of a set and their flags are given where the kfuncs are defined.

BPF_KFUNC() behind a kfunc is to a set what EXPORT_SYMBOL_GPL() is to the symbol table. The layout of a set stays, so
neither resolve_btfids nor a registration notices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ....c import Source, Span, calls, conditions_at, function, functions
from ....errors import UserError
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Change, Context
from ..sites.inventory import Entry
from ..sites.nouns import DEFINED, KfuncSet, Row
from . import docs, facts
from .btf_ids import DISABLED, ENABLED, MOST_ARGUMENTS
from .facts import BTF_IDS_H, Place, fragment, has_macros, need_source
from .rows import look, wrap

#: The sets whose rows are moved, to show what it looks like.
SETS = ("cpumask_kfunc_btf_ids",)
START, END, ROW = DEFINED, "BPF_KFUNC_SET_END", "BPF_KFUNC"


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step define."""
    header = Place(BTF_IDS_H, a.in_file())
    on, off = a.macro_in(ROW, ENABLED), a.macro_in(ROW, DISABLED)
    checked = a.contains("#define __BPF_KFUNC_CHECK")
    return [
        header.before(
            "what is included for u32",
            a.tokens_like("#include <linux/types.h>"),
            fragment("define-include.h.j2"),
            "#include <linux/build_bug.h>",
        ),
        a.insert_after(
            BTF_IDS_H,
            "struct btf_kfunc_args_ref",
            a.in_struct("btf_kfunc_args_ref"),
            a.whole(),
            fragment("define-check.h.j2", most=MOST_ARGUMENTS),
            checked,
        ),
        a.insert_after(
            BTF_IDS_H,
            "BTF_KFUNCS_END(): after it",
            a.macro_in("BTF_KFUNCS_END", ENABLED),
            a.whole(),
            fragment("define-macros.h.j2"),
            a.contains(f"#define {ROW}", on),
        ),
        a.insert_after(
            BTF_IDS_H,
            f"{ROW}() without CONFIG_DEBUG_INFO_BTF",
            a.macro_in("BTF_KFUNCS_END", DISABLED),
            a.whole(),
            fragment("define-disabled.h.j2"),
            a.contains(f"#define {ROW}", off),
        ),
        docs.new_paragraph("Registering the kfuncs", "docs-define.rst.j2", START.encode()),
    ]


def convert(context: Context) -> Change:
    """Return the edits that move the rows of the sets in SETS behind their kfuncs."""
    found = look(context)
    edits: list[Edit] = []
    for name in SETS:
        owners = [s for s in found.sets if s.name == name]
        if len(owners) != 1:
            there = ", ".join(f"{s.file}:{s.line}" for s in owners) or "none"
            raise UserError(f"expected one set {name}, whose rows are to be behind their kfuncs; found {there}")
        if owners[0].kind != DEFINED:
            entries = [e for e in found.entries if e.row.set == name and e.row.file == owners[0].file]
            edits += moved(need_source(context.tree, owners[0].file), owners[0], entries)
    if edits:
        require(context)
    return Change(tuple(edits))


def require(context: Context) -> None:
    """Raise UserError if this tree cannot have rows behind kfuncs."""
    if not has_macros(context.tree, BTF_IDS_H, START, ROW, END):
        raise UserError(f"{BTF_IDS_H}: expected {ROW}() in it, which an earlier step of the series adds")


def moved(source: Source, owner: KfuncSet, entries: Sequence[Entry]) -> list[Edit]:
    """Return the edits that move the rows of one set; raise UserError with all that keeps it in one piece."""
    block, problems = block_of(source, owner, [e.row.span for e in entries])
    edits = []
    for entry in entries:
        row = entry.row
        definitions = function(source, row.kfunc)
        if row.via is not None or any(mark in source.at(row.span) for mark in (b"/*", b"//")):
            problems.append(f"{entry.where}: {entry.site}: a macro makes the row, or a comment is in it")
        elif len(definitions) != 1 or definitions[0].conditions != conditions_at(source, block.start):
            places = ", ".join(source.where(d.span.start) for d in definitions) or "none"
            problems.append(
                f"{entry.where}: {entry.site}: expected one definition of {row.kfunc}() in this file, under the same "
                f"#if as the set; found {places}"
            )
        elif definitions[0].span.end > block.start:
            problems.append(f"{entry.where}: {entry.site}: expected {row.kfunc}() to be defined before the set ends")
        else:
            after = definitions[0].span.end
            edits.append(Edit(source.path, after, after, b"\n" + written(row), "", entry.site))
    first = opening(source, [edit.start for edit in edits]) if edits else block.start
    if conditions_at(source, first) != conditions_at(source, block.start):
        problems.append(f"{source.where(first)}: the first kfunc of {owner.name} is not under the same #if as the set")
    if problems:
        raise UserError("\n".join(problems))
    start, end = (f"{word}({owner.name})".encode() for word in (START, END))
    edits.append(Edit(source.path, first, first, start + b"\n\n", "", owner.name))
    return [*edits, Edit(source.path, block.start, block.end, end, "", owner.name)]


def block_of(source: Source, owner: KfuncSet, rows: Sequence[Span]) -> tuple[Span, list[str]]:
    """Return where the set is in one piece, and a line for whatever else than rows is in it."""
    begin, end = owner.kind, owner.kind.replace("START", "END")
    (start,), (stop,) = (
        [c.span for c in calls(source, word) if [source.at(a) for a in c.args] == [owner.name.encode()]]
        for word in (begin, end)
    )
    problems, at = [], start.end
    for row in [*sorted(rows), stop]:
        if source.text[at : row.start].strip(b" \t\r\n;"):
            problems.append(f"{source.where(at)}: {owner.name}: expected nothing but rows in the set that is moved")
        at = max(at, row.end)
    return Span(start.start, stop.end), problems


def opening(source: Source, ends: Sequence[int]) -> int:
    """Return where the set is to begin: before the kfuncs that end at `ends`, with what is around all of them."""
    kfunc = min((f.span for f in functions(source) if f.span.end in ends), key=lambda span: span.start)
    around = [c.span for c in calls(source, "__bpf_kfunc_start_defs") if c.span.end <= kfunc.start]
    place = around[-1] if around else a.with_comment(a.whole()).find(source, kfunc)[0]
    return source.text.rfind(b"\n", 0, place.start) + 1


def written(row: Row) -> bytes:
    """Return a row as it is behind its kfunc."""
    flags = [" | ".join(names) or "0" for names in (row.flags, *row.arg_flags)]
    text = f"{ROW}({row.set}, {', '.join([row.kfunc, *flags])});".encode()
    return wrap(text, Span(0, len(text)), text)


def words(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, Any]:
    """Return the variables of the commit message: the sets and how many kfuncs they have."""
    counts = Counter(edit.site.rpartition("@")[2] for edit in edits if "@" in edit.site)
    return {**facts.words(context, key, edits), "sets": sorted(counts.items())}
