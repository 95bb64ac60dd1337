"""Make the optional step acquire: KFA_ACQUIRE, for a kfunc that takes a reference on an argument and returns it.

KF_ACQUIRE is about the return value and stays on kfuncs that return another object than the one passed to them.
"""

from __future__ import annotations

from ....series import codemod as a
from ....series.campaign import Context
from . import docs
from .facts import (
    ALONE,
    BTF_C,
    BTF_H,
    CHECK_ARG,
    CHECKED,
    Place,
    extend_flags,
    fragment,
    free_bit,
    meta_struct,
    predicate,
    single_flags,
)


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step acquire."""
    meta, _ = meta_struct(context.tree)
    return [
        Place(BTF_H, a.in_file()).after(
            "the last flag of arguments",
            a.last_of(single_flags("KFA_")),
            fragment("acquire-flag.h.j2", bit=free_bit(context.tree, "KFA_")),
            a.contains("#define KFA_ACQUIRE"),
        ),
        extend_flags("KFA_VALID_FLAGS", ("KFA_ACQUIRE",)),
        *anchors_check(),
        predicate("acquire", meta, "acquire-verifier.c.j2", "bool is_kfunc_arg_acquire("),
        docs.new_flags(context, "docs-acquire.rst.j2", b"* ``KFA_ACQUIRE``"),
    ]


def anchors_check() -> list[a.Anchor]:
    """Return the anchors of the check of the flag against the prototype."""
    check = Place(BTF_C, a.in_function(CHECK_ARG))
    returned = a.contains("bool btf_kfunc_returns_arg($_) {")
    return [
        check.before("before it", a.with_comment(a.whole()), fragment("acquire-returned.c.j2"), returned),
        check.before(
            "other flags", a.tokens_like(ALONE), fragment("acquire-check-alone.c.j2"), "alone &= ~KFA_ACQUIRE;"
        ),
        check.before("its end", a.statement(CHECKED), fragment("acquire-check.c.j2"), "if (flags & KFA_ACQUIRE)"),
    ]
