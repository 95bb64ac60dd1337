"""Make the step resolve_btfids: that tool checks argument flags, so that a build fails, not a boot without its kfuncs.

The tool is built separately, so it has copies of the flags, as it has of those of kfuncs. Where it does not collect
kfuncs (older kernels leave them to pahole), nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ....c import Source, Span, find, function, macros, struct
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Change, Context
from ....series.tree import Tree
from .facts import BTF_H, RESOLVE_BTFIDS, Place, carry_out, fragment, has_macros, need_source, one_shape, source_of

TRANSFORM, COLLECT, PUSH = "btf2btf", "collect_kfuncs", "push_kfunc"
#: The function that knows the types of implicit arguments.
IMPLICIT = "is_kf_implicit_arg"
PREFIX = "KFA_"
TABLE = "kfunc_arg_flags"
#: What is checked of an argument with a flag; flags that a tree lacks are left out of `beside`.
RULES = {
    "KFA_RELEASE": (".pointer = true, .in_reg = true, .once = true", ("KFA_RCU",), "KF_RELEASE"),
    "KFA_RCU": (".pointer = true", (), "KF_RCU"),
    "KFA_RDONLY": (".pointer = true, .to_const = true", (), ""),
    "KFA_UNINIT": (".pointer = true, .to_writable = true, .in_reg = true", (), ""),
    "KFA_NULLABLE": (".pointer = true", ("KFA_NULLABLE",), ""),
    "KFA_STR": (".pointer = true", (), ""),
    "KFA_CONST": (".number = true", (), ""),
    "KFA_SZ": (".number = true", (), ""),
    "KFA_CONST_SZ": (".number = true", (), ""),
    "KFA_IGN": ("", (), ""),
    "KFA_ARENA": (".pointer = true", (), ""),
    "KFA_ACQUIRE": (".pointer = true, .once = true", ("KFA_RCU",), "KF_ACQUIRE"),
}
#: The flags of sets that the tool has in a header of its own, or nowhere.
SET_FLAGS = {"BTF_SET8_KFUNCS": "(1 << 0)", "BTF_SET8_KFUNC_ARGS": "(1 << 1)"}
COLUMNS, TAB = 100, 8
#: The line in the first comment's list that says what is done for kfuncs.
LISTED = re.compile(rb"^ \*   - emits a \"bpf_kfunc\" decl tag[^;]{0,1000};\n", re.MULTILINE)


def resolve_btfids(context: Context) -> Change:
    """Let the tool check argument flags, unless that of this tree does not know kfuncs."""
    if not collects(context.tree):
        why = "resolve_btfids does not check argument flags: it does not collect kfuncs in this tree"
        return Change((), remarks=(why,))
    return carry_out(context, anchors(context))


def collects(tree: Tree) -> bool:
    """Say whether resolve_btfids of a tree collects kfuncs."""
    source = source_of(tree, RESOLVE_BTFIDS)
    return source is not None and COLLECT.encode() in source.lexed.index


def by_set(source: Source) -> bool:
    """Say whether the tool collects kfuncs from the sets, rather than from the decl tags that pahole makes."""
    return any(find(source, "kfunc.flags = set8->pairs[i].flags;", f.body) for f in function(source, COLLECT))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step resolve_btfids, none if it has nothing to do."""
    if not collects(context.tree):
        return []
    source = need_source(context.tree, RESOLVE_BTFIDS)
    if lacking(source, argument_flags(context.tree)) and a.in_initialiser(TABLE).spans(source):
        return [table_anchor(context.tree)]
    sets = by_set(source)
    kfunc, push, collect, transform = (
        Place(RESOLVE_BTFIDS, scope)
        for scope in (a.in_struct("kfunc"), *map(a.in_function, (PUSH, COLLECT, TRANSFORM)))
    )
    compare, check, search = (
        fragment(f"resolve_btfids-{name}.c.j2", by_set=sets, implicit=bool(function(source, IMPLICIT)))
        for name in ("compare", "check", "find")
    )
    same = "} else if (k->flags == kfunc->flags) { return 0; }"
    agree = b"} else if (k->flags == kfunc->flags) {\n\t\t\treturn compare_kfunc_args(k, kfunc);\n\t\t}"
    call = fragment("resolve_btfids-collect.c.j2", by_set=sets, indent="\t\t\t" if sets else "\t\t")
    return [
        table_anchor(context.tree),
        kfunc.after(
            "its flags", a.tokens_like("u32 flags;"), fragment("resolve_btfids-members.c.j2"), "u32 nr_arg_flags;"
        ),
        push.before("before it", a.whole(), compare, a.contains("int compare_kfunc_args($_) {")),
        *([push.instead("the same kfunc", a.tokens_like(same), agree)] if sets else []),
        collect.before("before it", a.with_comment(a.whole()), search, a.contains("int find_kfunc_args($_) {")),
        collect.before(
            "before a kfunc is kept",
            a.statement("err = push_kfunc(ctx, &kfunc);"),
            call,
            "find_kfunc_args(obj, set_id, &kfunc)" if sets else "find_kfunc_args_in_sets(obj, id, &kfunc)",
        ),
        transform.before("before it", a.with_comment(a.whole()), check, a.contains("int check_kfunc_args($_) {")),
        each_kfunc("resolve_btfids-call.c.j2", "check_kfunc_args(ctx.btf, kfunc)"),
        listed("resolve_btfids-comment.c.j2", b"- checks that the flags of arguments"),
    ]


def each_kfunc(template: str, done: str, after: str = "struct kfunc *kfunc = $init;") -> a.Anchor:
    """Return the anchor of what is done for each kfunc that was collected."""
    place = Place(RESOLVE_BTFIDS, a.in_function(TRANSFORM))
    return place.after("for each kfunc", a.tokens_like(after), fragment(template), done)


def listed(template: str, done: bytes) -> a.Anchor:
    """Return the anchor of one more item in the comment that lists what the tool does for kfuncs."""
    item = a.Scope(
        'the item of the decl tag "bpf_kfunc"', lambda source: [Span(*m.span()) for m in LISTED.finditer(source.text)]
    )
    return a.insert_after(
        RESOLVE_BTFIDS,
        "the list of what is done for kfuncs",
        item,
        a.whole(),
        fragment(template),
        lambda source: done in source.text,
        optional="this tool has no comment that lists what it does for kfuncs",
    )


# The flags, and what is known of them


def values(tree: Tree) -> dict[str, str]:
    """Return the flags of kfuncs and of arguments of a tree, in the order of the header, and their values in C."""
    found = {m.name: m.value.split(b"/*")[0].decode().strip() for m in macros(need_source(tree, BTF_H))}
    return {name: value for name, value in found.items() if name.startswith(("KF_", PREFIX)) and "<<" in value}


def argument_flags(tree: Tree) -> list[str]:
    """Return the argument flags of a tree, in the order of the header."""
    return [name for name in values(tree) if name.startswith(PREFIX)]


def row(flag: str, known: Sequence[str]) -> str:
    """Return the row of a flag in the table, with no other flags than those that are `known`."""
    rule, beside, whole = RULES.get(flag, ("", (), ""))
    parts = [flag]
    parts += [f".beside = {' | '.join(found)}"] if (found := [f for f in beside if f in known]) else []
    parts += [f".func_flag = {whole}"] if whole in known else []
    text = "{ " + ", ".join([*parts, rule] if rule else parts) + " }"
    if len(text) + TAB + 1 <= COLUMNS:
        return text
    return "{ " + ", ".join(parts) + ",\n\t  " + rule + " }"


def missing(source: Source, names: Mapping[str, str]) -> bytes:
    """Return the definitions of those names that the tool lacks."""
    there = {m.name for m in macros(source)}
    lines = [f"#define {n}{chr(9) * max(1, (23 - len(n)) // TAB)}{v}" for n, v in names.items() if n not in there]
    return "".join(f"{line}\n" for line in lines).encode()


def lacking(source: Source, flags: Sequence[str]) -> list[str]:
    """Return those of `flags` that the tool has no rule for."""
    spans = a.in_initialiser(TABLE).spans(source)
    return [flag for flag in flags if not any(find(source, flag, span) for span in spans)]


def table_anchor(tree: Tree, added: Mapping[str, str] | None = None) -> a.Anchor:
    """Return the anchor of the flags and their table; a table that lacks flags, or those `added`, gets them."""
    every = {**values(tree), **(added or {})}
    flags = [name for name in every if name.startswith(PREFIX)]
    whole = [kf for flag in flags if (kf := RULES.get(flag, ("", (), ""))[2])]
    wanted = {name: every[name] for name in (*whole, *flags) if name in every}
    header = "tools/include/linux/btf_ids.h"
    wanted = {n: v for n, v in SET_FLAGS.items() if not has_macros(tree, header, n)} | wanted
    rows_of = a.in_initialiser(TABLE)
    before = a.in_struct("kfunc")

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        lines = [row(flag, list(every)) for flag in lacking(source, flags)]
        defined = missing(source, wanted)
        if not rows_of.spans(source):
            text = defined + fragment("resolve_btfids-table.c.j2", rows=lines)
            return [Edit(source.path, span.start, span.start, text)]
        last = [m for m in macros(source) if m.name.startswith(PREFIX)][-1].span.end
        end = source.text.rindex(b"}", span.start, span.end)
        new = "".join(f"\t{line},\n" for line in lines).encode()
        return [Edit(source.path, last, last, b"\n" + defined.rstrip(b"\n")), Edit(source.path, end, end, new)]

    def find_it(source: Source) -> Sequence[Span]:
        place = rows_of.spans(source) or (before.spans(source) if added is None else [])
        return place if lacking(source, flags) else []

    def done(source: Source) -> bool:
        return not lacking(source, flags)

    label = f"struct kfunc, or {TABLE}[]"
    name = "struct kfunc: before it" if added is None else f"{TABLE}[]: the last flag of arguments"
    return one_shape(name, RESOLVE_BTFIDS, label, find_it, edit, done, before)


def knows_records(source: Source) -> bool:
    """Say whether the tool has the flags of the arguments of each kfunc."""
    return any(m.name == "nr_arg_flags" for s in struct(source, "kfunc") for m in s.members)


def words(context: Context, key: str, edits: Sequence[Edit]) -> dict[str, bool]:
    """Return the variables of the commit message."""
    source = source_of(context.base, RESOLVE_BTFIDS)
    return {"by_set": bool(source and by_set(source)), "more": bool(source and knows_records(source))}
