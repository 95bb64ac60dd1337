"""The step btf_ids: a row BTF_KFUNC() takes flags of arguments and keeps them in records behind the sets.

BTF_ID_FLAGS() stays as it is: a kernel without this step swallows a further argument of it silently, while it does not
compile a BTF_KFUNC(). tools/ has a copy of the header, which in some kernels lacks the macros; then there is nothing to
change in it.
"""

from __future__ import annotations

import re

from ....c import Source, Span, macros
from ....series import codemod as a
from ....series.campaign import Change, Context
from ....series.tree import Tree
from .facts import BTF_IDS_H, RESOLVE_TEST, TOOLS_BTF_IDS_H, Place, carry_out, fragment, has_macros, says

#: MAX_BPF_FUNC_ARGS of the kernels so far, which the assembler cannot see.
MOST_ARGUMENTS = 12

#: The half of the header that makes something; the other one has empty macros of the same names.
ENABLED, DISABLED = "defined(CONFIG_DEBUG_INFO_BTF)", "!(defined(CONFIG_DEBUG_INFO_BTF))"


def btf_ids(context: Context) -> Change:
    """Add BTF_KFUNC(), which takes flags of arguments, in the kernel's header and in the copy in tools/."""
    remarks = []
    if not context.tree.exists(TOOLS_BTF_IDS_H):
        remarks.append(f"there is no {TOOLS_BTF_IDS_H}")
    elif not makes_sets(context.tree, TOOLS_BTF_IDS_H):
        remarks.append(f"{TOOLS_BTF_IDS_H} is left as it is: it has no BTF_ID_FLAGS() and BTF_KFUNCS_START()")
    return carry_out(context, anchors(context), remarks, missing_headers(context.tree))


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step btf_ids."""
    made = [anchor for path in changed_headers(context.tree) for anchor in anchors_of(path)]
    return [*made, *([expected_flags()] if compares_flags(context.tree) else [])]


def compares_flags(tree: Tree) -> bool:
    """Say whether a selftest knows the flags of a set that the header in tools/ makes."""
    return makes_sets(tree, TOOLS_BTF_IDS_H) and says(tree, RESOLVE_TEST, "BTF_SET8_KFUNCS")


def expected_flags() -> a.Anchor:
    """Return the anchor of the flags that a selftest expects of a set of kfuncs."""
    return a.replace(
        RESOLVE_TEST,
        "the flags of a set",
        a.in_file(),
        a.tokens_like("ASSERT_EQ($flags, BTF_SET8_KFUNCS, $_);"),
        lambda source, span: source.at(span).replace(b"BTF_SET8_KFUNCS", b"BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS"),
        a.contains("ASSERT_EQ($flags, BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS, $_);"),
    )


def changed_headers(tree: Tree) -> list[str]:
    """Return the headers that get argument flags."""
    return [BTF_IDS_H, *([TOOLS_BTF_IDS_H] if makes_sets(tree, TOOLS_BTF_IDS_H) else [])]


def missing_headers(tree: Tree) -> list[a.Report]:
    """Return a report for each header with COUNT_ARGS() that the changed headers include and the tree has not."""
    name, missing = "COUNT_ARGS()", a.Outcome.MISSING
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
    start, end = (a.macro_in(name, ENABLED) for name in ("BTF_KFUNCS_START", "BTF_KFUNCS_END"))
    include = a.tokens_like("#include <linux/compiler.h>")
    empty, disabled = a.macro_in("BTF_ID_FLAGS", DISABLED), fragment("btf_ids-disabled.h.j2")
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
        a.insert_before(
            path,
            "BTF_KFUNCS_START(): before it",
            start,
            a.whole(),
            macros_of_rows,
            a.contains("#define BTF_KFUNC", a.macro_in("BTF_KFUNC", ENABLED)),
        ),
        a.insert_after(
            path,
            "BTF_KFUNC() without CONFIG_DEBUG_INFO_BTF",
            empty,
            a.whole(),
            disabled,
            a.contains("#define BTF_KFUNC", a.macro_in("BTF_KFUNC", DISABLED)),
        ),
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


def macros_of_rows(source: Source, span: Span) -> bytes:
    """Return the macros that make rows with flags of arguments, and say where a set has them.

    Raises AnchorError if BTF_ID_FLAGS(), which BTF_KFUNC() is made of, takes something else than it does now.
    """
    found = [m.params for m in macros(source) if m.name == "BTF_ID_FLAGS"]
    if any(params != ("prefix", "name", "...") for params in found):
        raise a.AnchorError(
            "expected `#define BTF_ID_FLAGS(prefix, name, ...)`, found the parameters "
            + "; ".join(", ".join(params or ()) for params in found)
        )
    return fragment("btf_ids-delimiters.h.j2", most=MOST_ARGUMENTS)
