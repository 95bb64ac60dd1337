"""The step btf: define KFA_RELEASE and KFA_RCU, and copy the flags of arguments from a set to its BTF, checked.

The check stands before btf_populate_kfunc_set(), because the error path of that function drops every kfunc of the
BTF. The look-up stands behind the one of the kfunc's own flags and has the same rules for its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....c import Source, Span, conditions_at, struct
from ....series.campaign import Change, Context
from ....series.codemod import (
    Anchor,
    AnchorError,
    Scope,
    Selector,
    contains,
    either,
    in_file,
    in_function,
    in_prototype,
    in_struct,
    insert_after,
    last_of,
    statement,
    whole,
    with_comment,
)
from .facts import BTF_C, BTF_H, Place, carry_out, fragment, implicit_arguments, single_flags, told_release

#: What an exported look-up of the flags of a kfunc takes; older kernels give its name to a static function too.
LOOKUP = ("const struct btf *", "u32", "const struct bpf_prog *")


def btf(context: Context) -> Change:
    """Define the flags of arguments and register, validate and look them up."""
    return carry_out(context, anchors_btf(context))


def anchors_btf(context: Context) -> list[Anchor]:
    """Return the anchors of the step btf."""
    tree = context.tree
    release, unknown = told_release(tree)
    functions = (
        "__register_btf_kfunc_id_set",
        "btf_populate_kfunc_set",
        "btf_free_kfunc_set_tab",
        "btf_check_kfunc_protos",
    )
    register, populate, free, check = (Place(BTF_C, in_function(name)) for name in functions)
    tab = Place(BTF_C, in_struct("btf_kfunc_set_tab"))
    return [
        *unknown,
        Place(BTF_H, in_file()).after(
            "the last flag of kfuncs",
            last_of(single_flags("KF_")),
            lambda source, span: flags_of_arguments(source, span, release),
            contains("#define KFA_RELEASE"),
        ),
        behind_one_of(
            BTF_H,
            "the declarations of the look-ups of kfunc flags",
            (in_prototype("btf_kfunc_check_flag"), *lookups(in_prototype)),
            fragment("btf-prototype.h.j2"),
            contains("btf_kfunc_arg_flags("),
        ),
        tab.before("before it", whole(), fragment("btf-structs.c.j2"), contains("struct btf_kfunc_arg_flags_tab {")),
        tab.after(
            "its last member", last_member(), fragment("btf-member.c.j2"), "struct btf_kfunc_arg_flags_tab *arg_flags;"
        ),
        free.before("before the table is freed", statement("kfree(tab);"), "\tkfree(tab->arg_flags);\n"),
        check.after(
            "after it",
            whole(),
            fragment("btf-check.c.j2", implicit=implicit_arguments(tree)),
            contains("int btf_check_kfunc_args($_) {"),
        ),
        populate.before(
            "before it", whole(), fragment("btf-populate.c.j2"), contains("int btf_populate_kfunc_arg_flags($_) {")
        ),
        populate.before(
            "before the set grows",
            with_comment(statement("set = krealloc(tab->sets[hook], $_);")),
            fragment("btf-populate-call.c.j2"),
            "btf_populate_kfunc_arg_flags(btf, add_set)",
        ),
        behind_one_of(
            BTF_C,
            "the look-up of kfunc flags: after it",
            lookups(in_function),
            fragment("btf-lookup.c.j2"),
            contains("btf_kfunc_arg_flags(const struct btf *btf, u32 kfunc_btf_id) {"),
        ),
        register.before(
            "before btf_populate_kfunc_set()",
            statement("ret = btf_populate_kfunc_set(btf, hook, kset);"),
            fragment("btf-check-call.c.j2"),
            "btf_check_kfunc_args(btf, hook, kset->set)",
        ),
    ]


def flags_of_arguments(source: Source, span: Span, release: str) -> bytes:
    """Return the definitions of the flags; raise AnchorError where not every kernel would have them."""
    under = conditions_at(source, span.start)
    if under:
        raise AnchorError(f"it stands under #if {' and '.join(under)}, where flags of arguments cannot stand")
    return fragment("btf-flags.h.j2", release=release)


def lookups(make: Callable[[str, Sequence[str]], Scope]) -> tuple[Scope, ...]:
    """Return the scopes that can be the exported function that looks up the flags of a kfunc for a program."""
    return make("btf_kfunc_flags", LOOKUP), make("btf_kfunc_id_set_contains", LOOKUP)


def behind_one_of(path: str, name: str, scopes: Sequence[Scope], text: bytes, done: Callable[[Source], bool]) -> Anchor:
    """Anchor `text` after the first of `scopes` that the file has."""
    return either(name, *(insert_after(path, name, scope, whole(), text, done) for scope in scopes))


def last_member() -> Selector:
    """Select the last member of the scope, a struct."""

    def find(source: Source, span: Span) -> Sequence[Span]:
        owner = next(s for s in struct(source, "btf_kfunc_set_tab") if s.span == span)
        return [m.span for m in owner.members[-1:]]

    return Selector("the last member", find)
