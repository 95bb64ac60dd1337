"""Make the optional step suffixes: argument flags that equal the suffixes of argument names.

A facility needs a user in the same series, so this is off by default. The predicates of the suffixes take the number
of the argument instead of its BTF, so that they see its flags; every caller is rewritten, whatever its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....c import Function, Source, Span, calls, find, function, functions, line_span, matches
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Context
from . import docs, memory
from .facts import (
    ALONE,
    BTF_C,
    BTF_H,
    CHECK_ARG,
    CHECKED,
    VERIFIER_C,
    Place,
    extend_flags,
    fragment,
    free_bit,
    goes_with,
    has_macros,
    meta_struct,
    need_source,
    one_shape,
)

MATCH = "btf_param_match_suffix"
ANNOTATED, ANNOTATED_SIZE = "is_kfunc_arg_annotated", "is_kfunc_arg_annotated_size"
SCALAR = "btf_check_kfunc_scalar_arg"
#: How the verifier, and the step uninit, call the BTF parameter of an argument.
PARAMETER = ("&args[$index]", "&btf_params(meta->func_proto)[$index]")


@dataclass(frozen=True)
class Suffix:
    """A suffix of argument names, the predicate that looks for it, and the equal flag."""

    text: str
    predicate: str
    flag: str

    @property
    def asks(self) -> str:
        """The function that asks for the suffix or the flag: a size must not be what is classified before sizes."""
        return ANNOTATED_SIZE if self.flag in ("KFA_SZ", "KFA_CONST_SZ") else ANNOTATED


SUFFIXES = (
    Suffix("__nullable", "is_kfunc_arg_nullable", "KFA_NULLABLE"),
    Suffix("__uninit", "is_kfunc_arg_uninit", "KFA_UNINIT"),
    Suffix("__str", "is_kfunc_arg_const_str", "KFA_STR"),
    Suffix("__k", "is_kfunc_arg_constant", "KFA_CONST"),
    Suffix("__sz", "is_kfunc_arg_mem_size", "KFA_SZ"),
    Suffix("__szk", "is_kfunc_arg_const_mem_size", "KFA_CONST_SZ"),
    Suffix("__ign", "is_kfunc_arg_ignore", "KFA_IGN"),
)
PREDICATES = frozenset(s.predicate for s in SUFFIXES)
ASKING = frozenset((*PREDICATES, ANNOTATED, ANNOTATED_SIZE))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step suffixes."""
    meta, _ = meta_struct(context.tree)
    source = need_source(context.tree, VERIFIER_C)
    names = "|".join(sorted(PREDICATES))
    return [
        *anchors_flags(context),
        *anchors_check(context),
        a.insert_before(
            VERIFIER_C,
            "the first predicate of a suffix",
            a.Scope(names, lambda source: [f.span for f in functions(source) if f.name in PREDICATES][:1]),
            a.whole(),
            fragment("suffixes-annotated.c.j2", meta=meta),
            a.contains(f"bool {ANNOTATED}("),
        ),
        *[predicate_anchor(suffix, meta) for suffix in SUFFIXES],
        *[user_anchor(name, meta) for name in users(source)],
        *anchors_model(context),
        *anchors_docs(context),
    ]


def anchors_flags(context: Context) -> list[a.Anchor]:
    """Return the anchors of the definitions of the flags."""
    rcu, done = a.macro_in("KFA_RCU"), a.contains("#define KFA_NULLABLE")
    uninit = has_uninit(context)
    new = fragment("suffixes-flags.h.j2", bit=free_bit(context.tree, "KFA_"), uninit=uninit)
    more = [s.flag for s in SUFFIXES if not (uninit and s.flag == "KFA_UNINIT")]
    return [
        a.insert_after(BTF_H, "KFA_RCU", rcu, a.whole(), new, done),
        extend_flags("KFA_VALID_FLAGS", more),
    ]


def anchors_check(context: Context) -> list[a.Anchor]:
    """Return the anchors of the check of the flags against the type of the argument."""
    check = Place(BTF_C, a.in_function(CHECK_ARG))
    there = has_uninit(context)
    single = [s for s in SUFFIXES if s.flag != "KFA_NULLABLE" and not (there and s.flag == "KFA_UNINIT")]
    before = memory.in_check(context, flagged=True) + fragment("suffixes-check.c.j2")
    end = (b"" if there else fragment("uninit-check.c.j2")) + fragment("suffixes-check-pointer.c.j2")
    return [
        *memory.anchors_flagged(context),
        check.before("before it", a.with_comment(a.whole()), before, a.contains(f"char *{SCALAR}($_) {{")),
        check.before(
            "other flags", a.tokens_like(ALONE), fragment("suffixes-check-alone.c.j2"), "alone &= ~KFA_NULLABLE;"
        ),
        check.before(
            "before the type of the argument is looked up",
            a.statement("ptr = btf_type_skip_modifiers(btf, param->type, NULL);"),
            fragment("suffixes-check-ignored.c.j2"),
            "if (flags & KFA_IGN)",
        ),
        check.before(
            "before the argument must be a pointer",
            a.tokens_like("if (!btf_type_is_ptr(ptr))"),
            fragment("suffixes-check-scalar.c.j2"),
            f"{SCALAR}(btf, proto, args, i)",
        ),
        check.before("its end", a.statement(CHECKED), end, "if (flags & KFA_STR && $_)"),
        *[goes_with(s.text, s.flag) for s in single],
    ]


def has_uninit(context: Context) -> bool:
    """Say whether the step uninit, which adds one of these flags, too, was made."""
    return "uninit" in context.steps and has_macros(context.tree, BTF_H, "KFA_UNINIT")


def predicate_anchor(suffix: Suffix, meta: str) -> a.Anchor:
    """Return the anchor of a predicate that will take the meta of the kfunc and the argument number."""
    old = ["const struct btf *", "const struct btf_param *"]
    new = [f"const struct {meta} *", "int"]

    def find_it(source: Source) -> Sequence[Span]:
        return [f.span for f in function(source, suffix.predicate) if [p.type for p in f.params[:2]] == old]

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        predicate = next(f for f in function(source, suffix.predicate) if f.span == span)
        return rewrite_predicate(source, predicate, suffix, meta)

    def done(source: Source) -> bool:
        return any([p.type for p in f.params[:2]] == new for f in function(source, suffix.predicate))

    text = f"static bool {suffix.predicate}(const struct btf *btf, const struct btf_param *arg"
    scope = a.in_function(suffix.predicate)
    return one_shape(scope.label, VERIFIER_C, text + ")", find_it, edit, done, scope, text)


def rewrite_predicate(source: Source, predicate: Function, suffix: Suffix, meta: str) -> list[Edit]:
    """Return the edits of one predicate; raise AnchorError if it uses its parameters for something else."""
    btf, arg = (p.name for p in predicate.params[:2])
    param = b"btf_params(meta->func_proto)[arg]"

    def edit(span: Span, new: bytes) -> Edit:
        return Edit(source.path, span.start, span.end, new)

    heads = find(source, f"const struct btf *{btf}, const struct btf_param *{arg}", predicate.head)
    edits = [edit(span, b"const struct " + meta.encode() + b" *meta, int arg") for span in heads]
    for match in matches(source, f"{MATCH}({btf}, {arg}, $suffix)", predicate.body):
        text = source.at(match.bindings["suffix"])
        if text == f'"{suffix.text}"'.encode():
            edits.append(edit(match.span, f"{suffix.asks}(meta, arg, {suffix.flag}, ".encode() + text + b")"))
        else:
            edits.append(edit(match.span, f"{MATCH}(meta->btf, &".encode() + param + b", " + text + b")"))
    for span in find(source, f"btf_type_skip_modifiers({btf}, {arg}->type, NULL)", predicate.body):
        edits.append(edit(span, b"btf_type_skip_modifiers(meta->btf, " + param + b".type, NULL)"))
    covered = [Span(e.start, e.end) for e in edits]
    for name in (btf, arg):
        for token in find(source, name, predicate.span):
            if not any(token in span for span in covered):
                raise a.AnchorError(
                    f"{source.where(token.start)}: {predicate.name}() uses {name} in a way that this step does not know"
                )
    return edits


# The callers of the predicates


@dataclass(frozen=True)
class Use:
    """A place that asks for a suffix: its text, and the BTF parameter that it asks about."""

    span: Span
    param: Span
    new: str


def old_uses(source: Source, user: Function) -> list[Use]:
    """Return the places in a function that ask for a suffix of a parameter rather than for an argument."""
    if user.name in ASKING:
        return []
    found = []
    for suffix in SUFFIXES:
        for call in calls(source, suffix.predicate, user.body):
            if len(call.args) >= 2 and source.at(call.args[0]) not in (b"meta", b"&meta"):
                rest = "".join(", " + source.at(arg).decode() for arg in call.args[2:])
                found.append(Use(call.span, call.args[1], f"{suffix.predicate}({{meta}}, {{index}}{rest})"))
        for call in calls(source, MATCH, user.body):
            if len(call.args) == 3 and source.at(call.args[2]) == f'"{suffix.text}"'.encode():
                new = f'{suffix.asks}({{meta}}, {{index}}, {suffix.flag}, "{suffix.text}")'
                found.append(Use(call.span, call.args[1], new))
    return sorted(found, key=lambda use: use.span)


def new_uses(source: Source, user: Function) -> bool:
    """Say whether a function asks for an argument."""
    return any(
        source.at(call.args[0]) in (b"meta", b"&meta")
        for name in sorted(ASKING)
        for call in calls(source, name, user.body)
        if call.args
    )


def users(source: Source) -> list[str]:
    """Return the functions that ask for a suffix, or for an argument."""
    return [f.name for f in functions(source) if f.name not in ASKING and (old_uses(source, f) or new_uses(source, f))]


def user_anchor(name: str, meta: str) -> a.Anchor:
    """Return the anchor of the places in one function that ask for suffixes."""

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        return rewrite_user(source, next(f for f in function(source, name) if f.span == span), meta)

    def old_users(source: Source) -> list[Span]:
        return [f.span for f in function(source, name) if old_uses(source, f)]

    label, scope = f"predicates of suffixes in {name}()", a.in_function(name)
    anchor = f"{name}(): arguments with suffixes"
    return one_shape(anchor, VERIFIER_C, label, old_users, edit, lambda source: not old_users(source), scope)


def rewrite_user(source: Source, user: Function, meta: str) -> list[Edit]:
    """Return the edits that let a function ask for arguments; raise AnchorError if an argument number is unknown."""
    if any(p.name == "meta" and p.type.endswith(f"struct {meta} *") for p in user.params):
        meta_text = "meta"
    elif find(source, f"struct {meta} meta;", user.body):
        meta_text = "&meta"
    else:
        raise a.AnchorError(
            f"{source.where(user.span.start)}: {user.name}() asks for suffixes, but has no struct {meta}"
        )
    aliases = {
        source.at(m.bindings["name"]): m
        for m in matches(source, "const struct btf_param *$name = &args[$index];", user.body)
    }
    uses = old_uses(source, user)
    edits = []
    for use in uses:
        text = source.at(use.param)
        direct = [m for pattern in PARAMETER for m in matches(source, pattern, use.param) if m.span == use.param]
        match = direct[0] if direct else aliases.get(text)
        if match is None:
            where = source.where(use.span.start)
            raise a.AnchorError(f"{where}: the number of the argument is unknown; expected &args[..], not {text!r}")
        new = use.new.format(meta=meta_text, index=source.at(match.bindings["index"]).decode())
        edits.append(Edit(source.path, use.span.start, use.span.end, new.encode()))
    for name, alias in aliases.items():
        told = [t for t in find(source, name.decode(), user.body) if t not in alias.span]
        if told and all(any(t in use.span for use in uses) for t in told):
            line = line_span(source, alias.span)
            edits.append(Edit(source.path, line.start, line.end, b""))
    return edits


# The rest


def anchors_model(context: Context) -> list[a.Anchor]:
    """Return the anchors of the function model, which tells JITs which arguments may be NULL."""
    if not has_macros(context.tree, "include/linux/bpf.h", "BTF_FMODEL_NULLABLE_ARG"):
        return []
    adder = Place(VERIFIER_C, a.in_function("bpf_add_kfunc_call"))
    done, meta = "func_model.arg_flags[i] |= BTF_FMODEL_NULLABLE_ARG;", a.statement("btf_kfunc_arg_flags($_);")
    return [
        adder.instead("int err", a.statement("int err;"), "int err, i;", done),
        adder.after("flags of the function model", meta, fragment("suffixes-model.c.j2"), done),
    ]


def anchors_docs(context: Context) -> list[a.Anchor]:
    """Return the anchors of the documentation of these flags."""
    return [
        docs.new_section(
            docs.SUFFIXES_CHAPTER, "Argument flags", "docs-suffixes.rst.j2", b":ref:`BPF_kfunc_arg_flags`"
        ),
        docs.new_flags(context, "docs-suffix-flags.rst.j2", b"* ``KFA_NULLABLE``"),
    ]
