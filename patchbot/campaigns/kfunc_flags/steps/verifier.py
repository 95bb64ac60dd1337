"""Make the steps dynptr and verifier: which argument a kfunc releases, and which ones may be RCU pointers.

A forgotten place makes a flag silently ineffective, which is a hole in the verifier. Hence every function that fills
the meta of a kfunc is found by its assignments, and no use may remain of a predicate that is now about an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....c import Function, Source, Span, calls, find, function, functions, matches, parse
from ....c.tokens import is_word
from ....errors import UserError
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Change, Context
from ..sites.classify import STRUCTS, rcu_checks_null
from . import readers, referenced
from .facts import (
    BTF_C,
    BTF_H,
    CHECK,
    STRICT,
    TELLING,
    VERIFIER_C,
    Place,
    calls_with_meta,
    carry_out,
    fragment,
    insist_gone,
    meta_struct,
    one_shape,
    predicate,
    releases_first,
    replace_calls,
    source_of,
    strict_functions,
    told_release,
)


def release_dynptr(context: Context) -> Change:
    """Release a dynptr only if the released argument is one."""
    anchors = anchors_release_dynptr(context)
    return carry_out(context, anchors, [one.optional for one in anchors if one.optional])


def anchors_release_dynptr(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step dynptr."""
    source = source_of(context.tree, VERIFIER_C)
    caller, args = (Place(VERIFIER_C, a.in_function(name)) for name in ("check_kfunc_call", "check_kfunc_args"))
    lacks = source is not None and releases_references(source)
    _, meta = anchors_meta(context)
    more = [
        caller.before(
            "before it",
            a.with_comment(a.whole()),
            fragment("dynptr-check.c.j2", meta=meta),
            a.contains("int check_kfunc_release($_) {"),
        ),
        args.before(
            "the type of a dynptr",
            a.tokens_like("if (meta->func_id == special_kfunc_list[KF_bpf_dynptr_from_skb])"),
            fragment("dynptr-obj-release.c.j2"),
            "dynptr_arg_type |= OBJ_RELEASE;",
        ),
        args.instead(
            "the dynptr that bpf_dynptr_file_discard() releases",
            a.statement("dynptr_arg_type |= DYNPTR_TYPE_FILE | OBJ_RELEASE;"),
            "dynptr_arg_type |= DYNPTR_TYPE_FILE;",
            "dynptr_arg_type |= OBJ_RELEASE;",
        ),
    ]
    return [
        caller.instead(
            "what release_reg() releases",
            a.statement("err = release_reg(env, &regs[meta.release_regno], false, !!meta.dynptr.id);"),
            fragment("dynptr-release.c.j2"),
            "release_reg(env, &regs[meta.release_regno], false, is_kfunc_arg_dynptr(meta.btf, arg))",
            optional="kfuncs can't release a dynptr here: check_kfunc_call() only releases references" if lacks else "",
        ),
        *([] if lacks else more),
    ]


def releases_references(source: Source) -> bool:
    """Say whether check_kfunc_call() releases a reference, whatever the argument is."""
    release = "release_reference(env, regs[meta.release_regno].ref_obj_id)"
    return any(find(source, release, f.body) for f in function(source, "check_kfunc_call"))


def verifier(context: Context) -> Change:
    """Support KFA_RELEASE and KFA_RCU."""
    change = carry_out(context, anchors(context), lacking=readers.unseen_readers(context))
    gone = {"is_kfunc_release": (), "is_kfunc_rcu": ()} if releases_first(context.tree) else referenced.KNOWN
    return insist_gone(context, change, VERIFIER_C, gone)


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step verifier."""
    source = source_of(context.tree, VERIFIER_C) or parse(VERIFIER_C, b"")
    owner, meta = anchors_meta(context)
    try:
        first, unknown = releases_first(context.tree), []
    except UserError as error:
        first = not referenced.matching_strictly(source)
        unknown = [a.lost(VERIFIER_C, "which argument KF_RELEASE is about", str(error))]
    return [
        *owner,
        *anchors_flags(context),
        *[filling_anchor(name) for name in filling_functions(source)],
        arg_flags_anchor(meta),
        *unknown,
        *(anchors_first(meta) if first else referenced.anchors_referenced(meta)),
    ]


def anchors_meta(context: Context) -> tuple[list[a.Anchor], str]:
    """Return the anchor in the struct that holds the flags of a called kfunc, and the name of that struct."""
    try:
        meta, path = meta_struct(context.tree)
    except UserError as error:
        return [a.lost(VERIFIER_C, "the struct with kfunc_flags", str(error))], "bpf_call_arg_meta"
    text = "\tu16 kfunc_arg_flags[MAX_BPF_FUNC_ARGS];\n"
    return [Place(path, a.in_struct(meta)).after("kfunc_flags", a.member("kfunc_flags"), text)], meta


def anchors_flags(context: Context) -> list[a.Anchor]:
    """Return the anchors of the definitions of the flags, and of the check of a set for them."""
    release, unknown = told_release(context.tree)
    check = Place(BTF_C, a.in_function(CHECK))
    return [
        *unknown,
        Place(BTF_H, a.macro_in("KFA_VALID_FLAGS")).instead(
            "the flags",
            a.with_comment(a.whole()),
            lambda source, span: fragment("verifier-flags.h.j2", release=release),
            a.contains("#define KFA_RELEASE"),
        ),
        check.before(
            "before it",
            a.with_comment(a.whole()),
            fragment("verifier-check.c.j2", **known_names(context)),
            a.contains("char *btf_check_kfunc_arg($_) {"),
        ),
        check.before(
            "what is wrong",
            a.tokens_like("if (wrong)"),
            fragment("verifier-check-call.c.j2"),
            "btf_check_kfunc_arg(btf, proto, func_flags, args, i)",
        ),
    ]


def known_names(context: Context) -> dict[str, object]:
    """Return the suffixes and structs that this tree's verifier knows, and how it works, for the check of a set."""
    text = context.tree.get(VERIFIER_C) or b""
    null = rcu_checks_null(context.base.get(VERIFIER_C) or b"")
    telling = {**TELLING, "__alloc": "KFA_RELEASE | KFA_RCU"} if null else TELLING
    return {
        "suffixes": [(suffix, flags) for suffix, flags in sorted(telling.items()) if f'"{suffix}"'.encode() in text],
        "null": null,
        "specials": [name for name in STRUCTS if f"BTF_ID(struct, {name})".encode() in text] or ["bpf_dynptr"],
        "fixed": not releases_references(parse(VERIFIER_C, text)),
    }


# The functions that fill the meta of a kfunc


@dataclass(frozen=True)
class Filling:
    """A statement that sets the kfunc's flags in its meta, and the one that sets the argument flags."""

    span: Span
    twin: bytes


def fillings(source: Source, filler: Function) -> list[Filling]:
    """Return the statements of a function that set `kfunc_flags` in the meta of a kfunc."""
    lexed = source.lexed
    found = []
    for match in matches(source, "kfunc_flags = $value;", filler.body):
        number, _ = lexed.token_range(match.span.start, match.span.end)
        owner, dot = lexed.texts[number - 2 : number]
        first, last = lexed.token_range(match.bindings["value"].start, match.bindings["value"].end)
        value = looked_up(source, filler, lexed.texts[first:last])
        if value and dot in (b".", b"->") and is_word(owner):
            twin = b"btf_kfunc_arg_flags(" + value + b", " + owner + dot + b"kfunc_arg_flags);"
            found.append(Filling(Span(lexed.starts[number - 2], match.span.end), twin))
    return found


def looked_up(source: Source, filler: Function, value: Sequence[bytes]) -> bytes:
    """Return the BTF and the id of the kfunc, if `value` is the expression of its flags; b"" if unknown."""
    for at in range(1, len(value) - 1):
        if value[at] in (b".", b"->") and value[at + 1] == b"flags":
            return b", ".join(value[at - 1] + value[at] + member for member in (b"btf", b"id"))
    for lookup in ("btf_kfunc_flags", "btf_kfunc_id_set_contains"):
        for call in calls(source, lookup, filler.body):
            if len(call.args) == 3:
                btf, func_id, _ = (source.at(arg) for arg in call.args)
                return btf + b", " + func_id
    return b""


def filling_functions(source: Source) -> list[str]:
    """Return the functions that set `kfunc_flags` in the meta of a kfunc; if none does, the one that should."""
    return [f.name for f in functions(source) if sets_member(source, f)] or ["bpf_fetch_kfunc_arg_meta"]


def sets_member(source: Source, filler: Function) -> bool:
    """Say whether a function sets the member kfunc_flags of something."""
    return any(find(source, f"{dot}kfunc_flags =", filler.body) for dot in (".", "->"))


def filling_anchor(name: str) -> a.Anchor:
    """Return the anchor of the place where a function fills the meta of a kfunc."""

    def find_it(source: Source) -> Sequence[Span]:
        return [filling.span for f in function(source, name) for filling in fillings(source, f)]

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        a.insist_fit(source, span)
        twin = next(m.twin for f in function(source, name) for m in fillings(source, f) if m.span == span)
        return [Edit(source.path, span.end, span.end, b"\n\t" + twin)]

    scope = a.in_function(name)
    return one_shape(
        f"{name}(): meta of the kfunc",
        VERIFIER_C,
        f"the flags of the kfunc in {name}()",
        find_it,
        edit,
        a.contains("btf_kfunc_arg_flags(", scope),
        scope,
        "meta->kfunc_flags = *kfunc.flags;",
    )


def arg_flags_anchor(meta: str) -> a.Anchor:
    """Return the anchor of kfunc_arg_flags(), which comes before all possible users."""
    text = fragment("verifier-arg-flags.c.j2", meta=meta)
    done = a.contains("u32 kfunc_arg_flags(")
    name = "kfunc_arg_flags(): before its users"
    raw = a.in_function("fetch_kfunc_meta", ["struct bpf_verifier_env *", "s32", "s16", "struct bpf_kfunc_meta *"])
    return a.either(
        name,
        a.insert_after(VERIFIER_C, name, raw, a.whole(), b"\n" + text, done),
        a.insert_before(VERIFIER_C, name, a.in_function("is_kfunc_acquire"), a.whole(), text + b"\n", done),
    )


# If KF_RELEASE is about the first argument


def anchors_first(meta: str) -> list[a.Anchor]:
    """Return the anchors of the predicates and their users."""
    fetch, check = Place(VERIFIER_C, a.in_function("bpf_fetch_kfunc_arg_meta")), a.in_function("check_kfunc_args")
    only, said = Place(VERIFIER_C, a.in_function("validate_ref_obj")), "function expects only one referenced object"
    refused = f'bpf_log(&env->log, "{said} but got %d\\n",\n\t\t\tref_obj->cnt);\n\t\treturn -EINVAL;'
    return [
        only.instead(
            "two referenced arguments",
            a.tokens_like(f'verifier_bug(env, "{said} but got %d\\n", ref_obj->cnt); return -EFAULT;'),
            refused,
            refused,
        ),
        predicate("release", meta, "verifier-release-regno.c.j2", "int kfunc_release_regno("),
        predicate("rcu", meta, "verifier-arg-rcu.c.j2", "bool is_kfunc_arg_rcu("),
        fetch.instead(
            "meta->release_regno",
            a.with_comment(a.statement("if (is_kfunc_release(meta)) meta->release_regno = BPF_REG_1;")),
            "meta->release_regno = kfunc_release_regno(meta);",
            "meta->release_regno = kfunc_release_regno(meta);",
        ),
        one_shape(
            f"{STRICT}(): strict type matching",
            VERIFIER_C,
            f"is_kfunc_release(meta) in {STRICT}(.., argno_t argno)",
            matching_strictly,
            match_released_strictly,
            a.contains("bool release = reg_from_argno(argno) == meta->release_regno;", a.in_function(STRICT)),
            a.in_function(STRICT),
            "is_kfunc_release(meta) && reg_is_referenced(env, reg)",
        ),
        one_shape(
            "check_kfunc_args(): RCU pointers",
            VERIFIER_C,
            "is_kfunc_rcu(meta) in check_kfunc_args()",
            lambda source: [s for s in check.spans(source) if calls_with_meta(source, "is_kfunc_rcu", s)],
            lambda source, span: replace_calls(source, span, "is_kfunc_rcu", b"is_kfunc_arg_rcu(meta, i)"),
            a.contains("is_kfunc_arg_rcu(meta, i)", check),
            check,
            "is_kfunc_rcu(meta)",
        ),
    ]


def matching_strictly(source: Source) -> Sequence[Span]:
    """Find the function that matches types strictly for every argument of a kfunc that releases one."""
    return [
        f.span
        for f in strict_functions(source, "argno", "argno_t")
        if len(find(source, "bool strict_type_match = false;", f.body)) == 1
        and calls_with_meta(source, "is_kfunc_release", f.body)
    ]


def match_released_strictly(source: Source, span: Span) -> Sequence[Edit]:
    """Ask for each argument whether it is the released one, rather than whether the kfunc releases one."""
    at = find(source, "bool strict_type_match = false;", span)[0].start
    new = b"bool release = reg_from_argno(argno) == meta->release_regno;\n\t"
    return [Edit(source.path, at, at, new), *replace_calls(source, span, "is_kfunc_release", b"release")]
