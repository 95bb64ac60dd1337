"""Make the step btf_ids: BTF_ID_FLAGS() takes argument flags and keeps them in records after the sets.

Before this step the macro silently drops further arguments, so the conversions depend on it. tools/ has a copy of the
header, which in some kernels lacks the macros; then there is nothing to change in it.
"""

from __future__ import annotations

import re

from ....c import Source, Span, find, macros
from ....series import codemod as a
from ....series.campaign import Change, Context
from ....series.tree import Tree
from .facts import BTF_IDS_H, TOOLS_BTF_IDS_H, Place, carry_out, fragment, has_macros

#: MAX_BPF_FUNC_ARGS in the kernels so far; more flags than this use an undefined macro, a compile error.
MOST_ARGUMENTS = 12

#: The half of the header with real macros; the other half has empty ones of the same names.
ENABLED = "defined(CONFIG_DEBUG_INFO_BTF)"


def btf_ids(context: Context) -> Change:
    """Let BTF_ID_FLAGS() take argument flags, in the kernel's header and in the copy in tools/."""
    remarks = []
    if not context.tree.exists(TOOLS_BTF_IDS_H):
        remarks.append(f"there is no {TOOLS_BTF_IDS_H}")
    elif not makes_sets(context.tree, TOOLS_BTF_IDS_H):
        remarks.append(f"{TOOLS_BTF_IDS_H} is left as it is: it has no BTF_ID_FLAGS() and BTF_KFUNCS_START()")
    return carry_out(context, anchors(context), remarks, missing_headers(context.tree))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step btf_ids."""
    return [anchor for path in changed_headers(context.tree) for anchor in anchors_of(path)]


def changed_headers(tree: Tree) -> list[str]:
    """Return the headers that get argument flags."""
    return [BTF_IDS_H, *([TOOLS_BTF_IDS_H] if makes_sets(tree, TOOLS_BTF_IDS_H) else [])]


def missing_headers(tree: Tree) -> list[a.Report]:
    """Return a report for each header with COUNT_ARGS() that the changed headers include and the tree lacks."""
    name, missing = "COUNT_ARGS() and CONCATENATE()", a.Outcome.MISSING
    return [
        a.Report(name, needed, None, missing, "", f"the file does not exist; {path} needs it", False)
        for path in changed_headers(tree)
        if not tree.exists(needed := path.replace("btf_ids.h", "args.h"))
    ]


def makes_sets(tree: Tree, path: str) -> bool:
    """Say whether a header has the macros for sets of kfuncs."""
    return has_macros(tree, path, "BTF_ID_FLAGS", "BTF_KFUNCS_START")


def anchors_of(path: str) -> list[a.Anchor]:
    """Return the anchors in one of the two headers."""
    set8, struct = a.macro_in("BTF_SET8_KFUNCS"), a.in_struct("btf_id_set8")
    rows, start, end = (a.macro_in(name, ENABLED) for name in ("BTF_ID_FLAGS", "BTF_KFUNCS_START", "BTF_KFUNCS_END"))
    include = a.tokens_like("#include <linux/compiler.h>")
    delimiters, delimited = fragment("btf_ids-delimiters.h.j2"), a.contains("#define __BTF_KFUNC_ARGS_START")
    first, first_new = a.tokens_like("__BTF_SET8_START(name, local, BTF_SET8_KFUNCS)"), fragment("btf_ids-start.h.j2")
    last, last_new = a.tokens_like("BTF_SET8_END(name)"), fragment("btf_ids-end.h.j2")
    return [
        a.insert_after(path, "BTF_SET8_KFUNCS", set8, a.whole(), set_flag, a.contains("#define BTF_SET8_KFUNC_ARGS")),
        Place(path, struct).after(
            "", a.whole(), fragment("btf_ids-structs.h.j2"), a.contains("struct btf_kfunc_args {")
        ),
        Place(path, a.in_file()).before(
            "the includes under CONFIG_DEBUG_INFO_BTF",
            include,
            fragment("btf_ids-include.h.j2"),
            "#include <linux/args.h>",
        ),
        a.replace(path, "BTF_ID_FLAGS()", rows, a.whole(), extended_id_flags, a.contains("#define __BTF_ID_ARG_FLAGS")),
        a.insert_before(path, "BTF_KFUNCS_START(): before it", start, a.whole(), delimiters, delimited),
        a.replace(
            path,
            "BTF_KFUNCS_START()",
            start,
            first,
            first_new.rstrip(b"\n"),
            a.contains("__BTF_KFUNC_ARGS_START(name)", start),
        ),
        a.replace(
            path, "BTF_KFUNCS_END()", end, last, last_new.rstrip(b"\n"), a.contains("__BTF_KFUNC_ARGS_END(name)", end)
        ),
    ]


def set_flag(source: Source, span: Span) -> bytes:
    """Return the definition of the new set flag; raise AnchorError if another one has its bit."""
    new = fragment("btf_ids-set-flag.h.j2")
    (bit,) = re.findall(rb"<<\s*(\d+)", new)
    taken = [m.name for m in macros(source) if m.name.startswith("BTF_SET8_") and is_bit(m.value, int(bit))]
    if taken:
        raise a.AnchorError(f"{' and '.join(taken)} has bit {bit.decode()} of the set flags, which is needed here")
    return new


def is_bit(value: bytes, bit: int) -> bool:
    """Say whether the value of a macro is one bit."""
    text = re.sub(rb"/\*(?:.*?\*/|.*)|//.*|[\s()UuLl]", b"", value, flags=re.DOTALL)
    return text in (b"1<<%d" % bit, b"BIT%d" % bit, b"%d" % (1 << bit), b"0x%x" % (1 << bit))


def extended_id_flags(source: Source, span: Span) -> bytes:
    """Return BTF_ID_FLAGS() with the record of the arguments appended, and the macros that make the record.

    Raises AnchorError if the macro has other parameters or another body: further arguments would be lost silently.
    """
    found = find(source, "__BTF_ID_FLAGS(prefix, name, ##__VA_ARGS__, 0)", span)
    (defined,) = (m for m in macros(source) if m.span == span)
    if len(found) != 1 or defined.params != ("prefix", "name", "..."):
        raise a.AnchorError(
            "expected `#define BTF_ID_FLAGS(prefix, name, ...) __BTF_ID_FLAGS(prefix, name, ##__VA_ARGS__, 0)`, "
            f"found `{' '.join(source.at(span).decode('utf-8', 'replace').split())}`"
        )
    return (
        source.text[span.start : found[0].end]
        + b" \\\n\t__BTF_ID_ARG_FLAGS(prefix, name, ##__VA_ARGS__)"
        + source.text[found[0].end : span.end].rstrip()
        + b"\n"
        + fragment("btf_ids-arg-flags.h.j2", most=MOST_ARGUMENTS)
    )
