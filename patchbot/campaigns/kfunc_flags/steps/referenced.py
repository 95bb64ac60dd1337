"""Make the step verifier for kernels in which KF_RELEASE is about whichever argument is referenced, as in older ones.

There the verifier learns the released argument while it checks the arguments, and pointers must be trusted only if the
kfunc asks for it. A kfunc that releases something asks for it, by whichever flag.
"""

from __future__ import annotations

from ....c import Source, Span
from ....series.codemod import Anchor, contains, in_function, statement, tokens_like, whole, with_comment
from .facts import (
    STRICT,
    VERIFIER_C,
    Place,
    calls_with_meta,
    fragment,
    one_shape,
    predicate,
    replace_calls,
    strict_functions,
)

ARGS = "check_kfunc_args"
#: Where the predicates may still be about all arguments of a kfunc; elsewhere they must be about one.
KNOWN = {
    "is_kfunc_release": (
        "static bool is_kfunc_release(const struct",
        "KF_TRUSTED_ARGS) || is_kfunc_release(meta);",
        "is_kfunc_release(meta) && !meta->release_regno",
    ),
    "is_kfunc_rcu": ("static bool is_kfunc_rcu(const struct", "is_kfunc_trusted_args(meta) || is_kfunc_rcu(meta)"),
}


def anchors_referenced(meta: str) -> list[Anchor]:
    """Return the anchors in a verifier whose kfunc meta is `struct meta`."""
    call = Place(VERIFIER_C, in_function("check_kfunc_call"))
    return [
        predicate("release", meta, "verifier-referenced-release.c.j2", "bool is_kfunc_arg_release("),
        predicate("rcu", meta, "verifier-referenced-rcu.c.j2", "bool is_kfunc_arg_rcu("),
        one_shape(
            f"{STRICT}(): strict type matching",
            VERIFIER_C,
            f"is_kfunc_release(meta) in {STRICT}(.., int argno)",
            matching_strictly,
            lambda source, span: replace_calls(source, span, "is_kfunc_release", b"is_kfunc_arg_release(meta, argno)"),
            contains("is_kfunc_arg_release(meta, argno)", in_function(STRICT)),
            in_function(STRICT),
            "is_kfunc_release(meta) && reg->ref_obj_id",
        ),
        condition(
            "two referenced arguments",
            "if (is_kfunc_release(meta) && meta->ref_obj_id)",
            "if (meta->kfunc_flags & KF_RELEASE && meta->ref_obj_id)",
        ),
        condition(
            "meta->release_regno",
            "if (is_kfunc_release(meta)) meta->release_regno = regno;",
            "if (is_kfunc_arg_release(meta, i))\n\t\t\t\tmeta->release_regno = regno;",
        ),
        condition(
            "pointers that must be trusted or RCU pointers",
            "if (!is_kfunc_trusted_args(meta) && !is_kfunc_rcu(meta))",
            "if (!is_kfunc_trusted_args(meta) && !is_kfunc_arg_rcu(meta, i))",
        ),
        condition("pointers that are not trusted", "if (!is_kfunc_rcu(meta))", "if (!is_kfunc_arg_rcu(meta, i))"),
        condition(
            "OBJ_RELEASE",
            "if (is_kfunc_release(meta) && reg->ref_obj_id)",
            "if (is_kfunc_arg_release(meta, i) && reg->ref_obj_id)",
        ),
        call.before(
            "before it",
            with_comment(whole()),
            fragment("verifier-referenced-alias.c.j2", meta=meta),
            contains("int check_kfunc_release($_) {"),
        ),
        call.before(
            "before the reference is released",
            statement("err = release_reference(env, regs[meta.release_regno].ref_obj_id);"),
            fragment("verifier-referenced-alias-call.c.j2"),
            "err = check_kfunc_release(env, &meta);",
        ),
    ]


def condition(what: str, old: str, new: str) -> Anchor:
    """Return the anchor of one condition in check_kfunc_args()."""
    return Place(VERIFIER_C, in_function(ARGS)).instead(what, tokens_like(old), new, new)


def matching_strictly(source: Source) -> list[Span]:
    """Find the function that matches types strictly for every argument of a kfunc that releases one."""
    return [
        f.span for f in strict_functions(source, "argno", "int") if calls_with_meta(source, "is_kfunc_release", f.body)
    ]
