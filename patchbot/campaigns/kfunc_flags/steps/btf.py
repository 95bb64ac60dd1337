"""Make the step btf: check the argument flags of a set and copy them to its BTF.

The check comes before btf_populate_kfunc_set(), because the error path of that function drops every kfunc of the
BTF. The look-up follows the one of the kfunc's own flags and has the same rules for its callers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ....c import Source, Span, conditions_at, struct
from ....series import codemod as a
from ....series.campaign import Context
from .facts import BTF_C, BTF_H, Place, fragment, implicit_arguments, single_flags

#: The parameters of an exported look-up of a kfunc's flags; older kernels have a static function of that name too.
LOOKUP = ("const struct btf *", "u32", "const struct bpf_prog *")


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step btf."""
    tree = context.tree
    functions = (
        "__register_btf_kfunc_id_set",
        "btf_populate_kfunc_set",
        "btf_free_kfunc_set_tab",
        "btf_check_kfunc_protos",
    )
    register, populate, free, check = (Place(BTF_C, a.in_function(name)) for name in functions)
    tab = Place(BTF_C, a.in_struct("btf_kfunc_set_tab"))
    return [
        Place(BTF_H, a.in_file()).after(
            "the last flag of kfuncs",
            a.last_of(single_flags("KF_")),
            known_flags,
            a.contains("#define KFA_VALID_FLAGS"),
        ),
        behind_one_of(
            BTF_H,
            "the declarations of the look-ups of kfunc flags",
            (a.in_prototype("btf_kfunc_check_flag"), *lookups(a.in_prototype)),
            fragment("btf-prototype.h.j2"),
            a.contains("btf_kfunc_arg_flags("),
        ),
        tab.before(
            "before it", a.whole(), fragment("btf-structs.c.j2"), a.contains("struct btf_kfunc_arg_flags_tab {")
        ),
        tab.after(
            "its last member", last_member(), fragment("btf-member.c.j2"), "struct btf_kfunc_arg_flags_tab *arg_flags;"
        ),
        free.before("before the table is freed", a.statement("kfree(tab);"), "\tkfree(tab->arg_flags);\n"),
        check.after(
            "after it",
            a.whole(),
            fragment("btf-check.c.j2", implicit=implicit_arguments(tree)),
            a.contains("int btf_check_kfunc_args($_) {"),
        ),
        populate.before(
            "before it", a.whole(), fragment("btf-populate.c.j2"), a.contains("int btf_populate_kfunc_arg_flags($_) {")
        ),
        populate.before(
            "before the set grows",
            a.with_comment(a.statement("set = krealloc(tab->sets[hook], $_);")),
            fragment("btf-populate-call.c.j2"),
            "btf_populate_kfunc_arg_flags(btf, add_set)",
        ),
        behind_one_of(
            BTF_C,
            "the look-up of kfunc flags: after it",
            lookups(a.in_function),
            fragment("btf-lookup.c.j2"),
            a.contains("btf_kfunc_arg_flags(const struct btf *btf, u32 kfunc_btf_id, u16 *flags) {"),
        ),
        register.before(
            "before btf_populate_kfunc_set()",
            a.statement("ret = btf_populate_kfunc_set(btf, hook, kset);"),
            fragment("btf-check-call.c.j2"),
            "btf_check_kfunc_args(btf, hook, kset->set)",
        ),
    ]


def known_flags(source: Source, span: Span) -> bytes:
    """Return the definition of the flags that are known; raise AnchorError if it is under a condition."""
    under = conditions_at(source, span.start)
    if under:
        raise a.AnchorError(f"it is under #if {' and '.join(under)}, where argument flags cannot be")
    return fragment("btf-valid.h.j2")


def lookups(make: Callable[[str, Sequence[str]], a.Scope]) -> tuple[a.Scope, ...]:
    """Return the possible scopes of the exported function that looks up the flags of a kfunc for a program."""
    return make("btf_kfunc_flags", LOOKUP), make("btf_kfunc_id_set_contains", LOOKUP)


def behind_one_of(
    path: str, name: str, scopes: Sequence[a.Scope], text: bytes, done: Callable[[Source], bool]
) -> a.Anchor:
    """Anchor `text` after the first of `scopes` that the file has."""
    return a.either(name, *(a.insert_after(path, name, scope, a.whole(), text, done) for scope in scopes))


def last_member() -> a.Selector:
    """Select the last member of the scope, a struct."""

    def find(source: Source, span: Span) -> Sequence[Span]:
        owner = next(s for s in struct(source, "btf_kfunc_set_tab") if s.span == span)
        return [m.span for m in owner.members[-1:]]

    return a.Selector("the last member", find)
