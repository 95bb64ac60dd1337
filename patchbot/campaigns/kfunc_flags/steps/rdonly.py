"""The step rdonly: KFA_RDONLY, memory that a kfunc only reads, so that read-only maps are fine as they are for helpers.

The verifier checks all memory of a kfunc for reading and writing. A kfunc reads it without a fixup, however: what a
program may read, but may fault, is checked as before.
"""

from __future__ import annotations

from ....series import codemod as a
from ....series.campaign import Change, Context
from ..sites.gains import RDONLY
from . import docs, memory
from .facts import (
    BTF_C,
    BTF_H,
    CHECK_ARG,
    CHECKED,
    Place,
    carry_out,
    extend_flags,
    fragment,
    free_bit,
    has_macros,
    single_flags,
)
from .rows import look


def rdonly(context: Context) -> Change:
    """Add the flag, unless no argument of this tree would have it."""
    if not is_wanted(context):
        return Change((), remarks=(f"{RDONLY} is left out: no kfunc of this tree takes const memory that can have it",))
    return carry_out(context, anchors(context))


def is_wanted(context: Context) -> bool:
    """Say whether the tree has the flag, or an argument that can have it."""
    return has_macros(context.tree, BTF_H, RDONLY) or bool(look(context).changed(RDONLY))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step rdonly, none if it has nothing to do."""
    if not is_wanted(context):
        return []
    check = Place(BTF_C, a.in_function(CHECK_ARG))
    return [
        Place(BTF_H, a.in_file()).after(
            "the last flag of arguments",
            a.last_of(single_flags("KFA_")),
            fragment("rdonly-flag.h.j2", bit=free_bit(context.tree, "KFA_")),
            a.contains("#define KFA_RDONLY"),
        ),
        extend_flags("KFA_VALID_FLAGS", ("KFA_RDONLY",)),
        *[
            check.before("before it", a.with_comment(a.whole()), text, a.contains(f"bool {memory.SIZED_ARG}($_) {{"))
            for text in filter(None, [memory.in_check(context)])
        ],
        check.before("its end", a.statement(CHECKED), fragment("rdonly-check.c.j2"), "if (flags & KFA_RDONLY && $_)"),
        *memory.anchors_access(context),
        docs.new_flags(context, "docs-rdonly.rst.j2", b"* ``KFA_RDONLY``"),
    ]
