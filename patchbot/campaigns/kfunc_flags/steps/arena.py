"""The step arena: KFA_ARENA, a pointer into an arena; KF_ARENA_ARG1 and KF_ARENA_ARG2 are a bit for each argument.

Who reads those bits is resolve_btfids, so that programs see a pointer with an address space. Where pahole does, which
does not know the records, nothing is changed.
"""

from __future__ import annotations

from ....series import codemod as a
from ....series.campaign import Change, Context
from ..sites.classify import reads_arena
from . import docs
from .facts import (
    BTF_H,
    RESOLVE_BTFIDS,
    VERIFIER_C,
    Place,
    carry_out,
    extend_flags,
    fragment,
    free_bit,
    goes_with,
    single_flags,
    source_of,
)
from .resolve_btfids import knows_records, table_anchor, values

FLAG = "KFA_ARENA"
#: The suffixes of names with which the flag can be: the verifier ignores such an argument, or knows it as one of these.
SUFFIXES = ("__ign", "__arena", "__arena__nullable")


def arena(context: Context) -> Change:
    """Add the flag where resolve_btfids reads the flags of the kfunc that it replaces."""
    why = left_out(context)
    if why:
        return Change((), remarks=(f"{FLAG} is left out: {why}",))
    return carry_out(context, anchors(context))


def left_out(context: Context) -> str:
    """Return why the flag is left out, "" if it is not."""
    if not reads_arena(context.base):
        return "resolve_btfids of this tree does not read KF_ARENA_ARG1 and KF_ARENA_ARG2"
    source = source_of(context.tree, RESOLVE_BTFIDS)
    if source is None or not knows_records(source):
        return "the step resolve_btfids, which reads the flags of arguments, is off"
    return ""


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step arena, none if it has nothing to do."""
    if left_out(context):
        return []
    value = values(context.tree).get(FLAG) or f"(1 << {free_bit(context.tree, 'KFA_')})"
    verifier = context.tree.read(VERIFIER_C)
    return [
        Place(BTF_H, a.in_file()).after(
            "the last flag of arguments",
            a.last_of(single_flags("KFA_")),
            fragment("arena-flag.h.j2", value=value),
            a.contains(f"#define {FLAG}"),
        ),
        extend_flags("KFA_VALID_FLAGS", (FLAG,)),
        *[goes_with(suffix, FLAG) for suffix in SUFFIXES if f'"{suffix}"'.encode() in verifier],
        table_anchor(context.tree, {FLAG: value}),
        Place(RESOLVE_BTFIDS, a.in_function("is_arena_arg")).after(
            "after the suffixes",
            a.tokens_like("if (is_arena_param(btf, param)) return true;"),
            fragment("arena-tool.c.j2"),
            f"kfunc->arg_flags[idx] & {FLAG}",
        ),
        docs.new_flags(context, "docs-arena.rst.j2", b"* ``KFA_ARENA``"),
    ]
