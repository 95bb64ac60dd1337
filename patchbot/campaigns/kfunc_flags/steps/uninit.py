"""The step uninit: KFA_UNINIT, memory that a kfunc writes whole on each path, so that it need not be initialized.

Helpers have ARG_PTR_TO_UNINIT_MEM for that. Kfuncs have it where they share the meta of helpers, which says which
register has such memory; elsewhere nothing is changed. Liveness must agree: what is written only is not read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ....c import Source, Span, calls, find, function
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Change, Context
from ..sites.classify import writes_raw_memory
from ..sites.gains import RDONLY, UNINIT
from . import docs, memory
from .facts import (
    BTF_C,
    BTF_H,
    CHECK_ARG,
    CHECKED,
    VERIFIER_C,
    Place,
    carry_out,
    extend_flags,
    fragment,
    free_bit,
    goes_with,
    has_macros,
    meta_struct,
    need_source,
    one_shape,
    single_flags,
)

PREDICATE, UNINITIALIZED = "is_kfunc_arg_uninit", "is_kfunc_uninit"
#: Who asks for the suffix: what a call may do, and what liveness takes it to do.
USERS = {memory.USER: "meta", "bpf_kfunc_stack_access_bytes": "&meta"}


def uninit(context: Context) -> Change:
    """Add the flag where the verifier can check memory for writing only."""
    why = ""
    if not writes_raw_memory(context.base.read(VERIFIER_C)):
        why = "its verifier cannot check the memory of a kfunc for writing only"
    elif not has_macros(context.tree, BTF_H, RDONLY) and not function(
        need_source(context.tree, VERIFIER_C), memory.ACCESS
    ):
        why = f"the step rdonly, which lets an argument say how it is accessed, did not add {RDONLY}"
    if why:
        return Change((), remarks=(f"{UNINIT} for memory is left out: {why}",))
    return carry_out(context, anchors(context))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step uninit, none if it has nothing to do."""
    if not writes_raw_memory(context.base.get(VERIFIER_C) or b""):
        return []
    meta, _ = meta_struct(context.tree)
    check, access = (Place(path, a.in_function(f)) for path, f in ((BTF_C, CHECK_ARG), (VERIFIER_C, memory.ACCESS)))
    user, caller = (Place(VERIFIER_C, a.in_function(f)) for f in (memory.USER, "check_kfunc_call"))
    return [
        Place(BTF_H, a.in_file()).after(
            "the last flag of arguments",
            a.last_of(single_flags("KFA_")),
            fragment("uninit-flag.h.j2", bit=free_bit(context.tree, "KFA_")),
            a.contains("#define KFA_UNINIT"),
        ),
        extend_flags("KFA_VALID_FLAGS", (UNINIT,)),
        check.before("its end", a.statement(CHECKED), fragment("uninit-check.c.j2"), "if (flags & KFA_UNINIT)"),
        goes_with("__uninit", UNINIT),
        access.before(
            "before it",
            a.with_comment(a.whole()),
            fragment("uninit-predicate.c.j2", meta=meta),
            a.contains(f"bool {UNINITIALIZED}($_) {{"),
        ),
        access.instead(
            "its first parameter",
            a.tokens_like(f"const struct {meta} *meta"),
            f"struct {meta} *meta",
            lambda source: any(p.type == f"struct {meta} *" for f in function(source, memory.ACCESS) for p in f.params),
        ),
        access.before(
            "before the access is only read",
            a.statement("if (kfunc_arg_flags(meta, arg) & KFA_RDONLY && !may_fault) return BPF_READ;"),
            fragment("uninit-access.c.j2"),
            "meta->arg_raw_mem.regno = BPF_REG_1 + arg;",
        ),
        user.after(
            "after it",
            a.whole(),
            fragment("uninit-mark.c.j2", meta=meta),
            a.contains("int mark_kfunc_uninit_mem($_) {"),
        ),
        caller.after(
            "after the arguments are checked",
            a.tokens_like("err = check_kfunc_args(env, &meta, insn_idx); if (err < 0) return err;"),
            fragment("uninit-mark-call.c.j2"),
            "mark_kfunc_uninit_mem(env, &meta, insn_idx)",
        ),
        *[asking_anchor(name, text) for name, text in USERS.items()],
        docs.new_flags(context, "docs-uninit.rst.j2", b"* ``KFA_UNINIT``"),
    ]


def asking_anchor(name: str, meta: str) -> a.Anchor:
    """Return the anchor of the one place in a function that asks for the suffix."""
    scope = a.in_function(name)
    pattern = f"{PREDICATE}(btf, &args[$number])"

    def find_it(source: Source) -> Sequence[Span]:
        return [s for f in function(source, name) for s in find(source, pattern, f.body)]

    return one_shape(
        f"{name}(): {PREDICATE}()",
        VERIFIER_C,
        pattern,
        find_it,
        partial(ask_for_either, meta=meta),
        a.contains(f"{UNINITIALIZED}({meta}, $_)", scope),
        scope,
        pattern,
    )


def ask_for_either(source: Source, span: Span, meta: str) -> list[Edit]:
    """Return the edit that asks for the flag as well."""
    (call,) = calls(source, PREDICATE, span)
    number = source.text[call.args[1].start : call.args[1].end].partition(b"[")[2].rstrip(b"]")
    return [Edit(source.path, span.start, span.end, f"{UNINITIALIZED}({meta}, ".encode() + number + b")")]
