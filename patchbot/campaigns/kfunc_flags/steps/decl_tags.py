"""Make the optional step decl-tags: resolve_btfids turns argument flags into BTF decl tags, for user space.

The step resolve_btfids has taught the tool the records. Kernels whose tool does not collect kfuncs leave decl tags to
pahole, which does not know the records: there this step is impossible.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....c import Source, Span, function
from ....errors import UserError
from ....model import Edit
from ....series import codemod as a
from ....series.campaign import Context
from ....series.tree import Tree
from . import docs
from .facts import RESOLVE_BTFIDS, Place, fragment, one_shape, source_of
from .resolve_btfids import PREFIX, TABLE, TRANSFORM, argument_flags, each_kfunc, knows_records, listed


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step decl-tags; raise UserError if resolve_btfids does not know the flags."""
    source = source_of(context.tree, RESOLVE_BTFIDS)
    if source is None or not function(source, TRANSFORM):
        lacks = f"has no {TRANSFORM}(), so it does not write BTF" if source is not None else "does not exist"
        raise UserError(
            f"{RESOLVE_BTFIDS}: it {lacks}, so it cannot emit decl tags for argument flags; "
            "make the series for this tree without the step decl-tags"
        )
    if not knows_records(source):
        raise UserError(
            f"{RESOLVE_BTFIDS}: struct kfunc has no argument flags, so it cannot emit decl tags for them; "
            "the step resolve_btfids, which adds them, must be on, or the step decl-tags off"
        )
    functions = fragment("decl_tags-functions.c.j2", add_decl_tag=bool(function(source, "add_decl_tag")))
    return [
        table_anchor(context.tree),
        Place(RESOLVE_BTFIDS, a.in_function(TRANSFORM)).before(
            "before it", a.with_comment(a.whole()), functions, a.contains("int add_kfunc_arg_tags($_) {")
        ),
        each_kfunc(
            "decl_tags-call.c.j2",
            "add_kfunc_arg_tags(&ctx, kfunc)",
            "err = check_kfunc_args(ctx.btf, kfunc); if (err) goto out;",
        ),
        listed("decl_tags-comment.c.j2", b'- emits an "arg:*" decl tag'),
        docs.new_paragraph("Flags of the arguments", "docs-decl-tags.rst.j2", b"by a BTF decl tag of the kfunc"),
    ]


def table_anchor(tree: Tree) -> a.Anchor:
    """Return the anchor of the table of flags and tags; a table that lacks a flag has drifted."""
    flags = argument_flags(tree)
    before = a.in_struct("kfunc")
    there = a.contains("} kfunc_arg_tags[] = {")

    def edit(source: Source, span: Span) -> Sequence[Edit]:
        text = fragment(
            "decl_tags-table.c.j2", tags=[{"name": f, "tag": f.removeprefix(PREFIX).lower()} for f in flags]
        )
        return [Edit(source.path, span.start, span.start, text)]

    def done(source: Source) -> bool:
        return there(source) and all(flag.encode() in source.lexed.index for flag in flags)

    def find_it(source: Source) -> Sequence[Span]:
        return [] if there(source) else before.spans(source)

    label = f"struct kfunc behind {TABLE}[], and no table of decl tags yet"
    return one_shape("struct kfunc: before it", RESOLVE_BTFIDS, label, find_it, edit, done, before)
