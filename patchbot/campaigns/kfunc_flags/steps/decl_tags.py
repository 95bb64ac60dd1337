"""Make the optional step decl-tags: resolve_btfids turns argument flags into BTF decl tags, for user space.

That tool is built separately, so it has copies of the flags, as it has of those of kfuncs. Kernels whose tool does not
write BTF at all leave decl tags to pahole, which does not know the records: there this step is impossible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ....c import Source, Span, function, macros
from ....errors import UserError
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Context
from ....series.tree import Tree
from . import docs
from .facts import BTF_H, TOOLS_BTF_IDS_H, Place, fragment, has_macros, need_source, one_shape, source_of

MAIN_C = "tools/bpf/resolve_btfids/main.c"
#: The function that writes BTF, and the one that knows the types of implicit arguments.
TRANSFORM, IMPLICIT = "btf2btf", "is_kf_implicit_arg"
PREFIX = "KFA_"
#: The line in the first comment's list that says what is done for kfuncs.
LISTED = re.compile(rb"^ \*   - emits a \"bpf_kfunc\" decl tag[^;]{0,1000};\n", re.MULTILINE)


@dataclass(frozen=True)
class Flag:
    """A flag of arguments, its value in C, and what follows `arg:` in the tag."""

    name: str
    value: str
    tag: str


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step decl-tags; raise UserError if resolve_btfids does not write BTF."""
    source = source_of(context.tree, MAIN_C)
    if source is None or not function(source, TRANSFORM):
        lacks = f"has no {TRANSFORM}(), so it does not write BTF" if source is not None else "does not exist"
        raise UserError(
            f"{MAIN_C}: it {lacks}, so it cannot emit decl tags for argument flags; "
            "make the series for this tree without the step decl-tags"
        )
    transform, functions = (
        Place(MAIN_C, a.in_function(TRANSFORM)),
        fragment("decl_tags-functions.c.j2", find=lookup(source), implicit=bool(function(source, IMPLICIT))),
    )
    return [
        table_anchor(context.tree),
        transform.before("before it", a.with_comment(a.whole()), functions, a.contains("int add_kfunc_arg_tags($_) {")),
        transform.after(
            "after the kfuncs are known",
            a.tokens_like("err = build_btf2btf_context(obj, &ctx); if (err) goto out;"),
            fragment("decl_tags-call.c.j2"),
            "add_kfunc_arg_tags(obj, &ctx)",
        ),
        comment_anchor(),
        docs.new_paragraph("Flags of the arguments", "docs-decl-tags.rst.j2", b"by a BTF decl tag of the kfunc"),
    ]


def lookup(source: Source) -> str:
    """Return the libbpf function by which the tool finds a function's BTF: without the base BTF if possible."""
    own = "btf__find_by_name_kind_own"
    return own if own.encode() in source.lexed.index else own.removesuffix("_own")


def argument_flags(tree: Tree) -> list[Flag]:
    """Return the argument flags of this tree, in the order of the header."""
    found = [(m.name, m.value.split(b"/*")[0].decode().strip()) for m in macros(need_source(tree, BTF_H))]
    return [
        Flag(name, value, name.removeprefix(PREFIX).lower())
        for name, value in found
        if name.startswith(PREFIX) and "<<" in value
    ]


def table_anchor(tree: Tree) -> a.Anchor:
    """Return the anchor of the table of flags and tags; a table that lacks a flag has drifted."""
    flags = argument_flags(tree)
    set_flag = has_macros(tree, TOOLS_BTF_IDS_H, "BTF_SET8_KFUNC_ARGS")
    before = a.in_struct("kfunc")
    there = a.contains("} kfunc_arg_tags[] = {")

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        text = fragment("decl_tags-table.c.j2", flags=flags, set_flag=set_flag)
        return [Edit(source.path, span.start, span.start, text)]

    def done(source: Source) -> bool:
        return there(source) and all(flag.name.encode() in source.lexed.index for flag in flags)

    def find_it(source: Source) -> Sequence[Span]:
        return [] if there(source) else before.spans(source)

    label = "struct kfunc, and no table of flags of arguments yet"
    return one_shape("struct kfunc: before it", MAIN_C, label, find_it, edit, done, before)


def comment_anchor() -> a.Anchor:
    """Return the anchor of the comment that lists what the tool does for kfuncs."""
    item = a.Scope(
        'the item of the decl tag "bpf_kfunc"', lambda source: [Span(*m.span()) for m in LISTED.finditer(source.text)]
    )
    return a.insert_after(
        MAIN_C,
        "the list of what is done for kfuncs",
        item,
        a.whole(),
        fragment("decl_tags-comment.c.j2"),
        lambda source: b'- emits an "arg:*" decl tag' in source.text,
        optional="this tool has no comment that lists what it does for kfuncs",
    )
