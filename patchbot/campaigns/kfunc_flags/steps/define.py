"""The optional step define: the kfuncs of a set and their flags are given where the kfuncs are defined.

BPF_KFUNC() behind a kfunc is to a set what EXPORT_SYMBOL_GPL() is to the symbol table. The layout of a set stays, so
neither resolve_btfids nor a registration notices.
"""

from __future__ import annotations

from ....series import codemod as a
from ....series.campaign import Context
from . import docs
from .btf_ids import DISABLED, ENABLED, MOST_ARGUMENTS
from .facts import BTF_IDS_H, Place, fragment

START, END, ROW = "BPF_KFUNC_SET_START", "BPF_KFUNC_SET_END", "BPF_KFUNC"


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step define."""
    header = Place(BTF_IDS_H, a.in_file())
    on, off = a.macro_in(ROW, ENABLED), a.macro_in(ROW, DISABLED)
    checked = a.contains("#define __BPF_KFUNC_CHECK")
    return [
        header.before(
            "what is included for u32",
            a.tokens_like("#include <linux/types.h>"),
            fragment("define-include.h.j2"),
            "#include <linux/build_bug.h>",
        ),
        a.insert_after(
            BTF_IDS_H,
            "struct btf_kfunc_args_ref",
            a.in_struct("btf_kfunc_args_ref"),
            a.whole(),
            fragment("define-check.h.j2", most=MOST_ARGUMENTS),
            checked,
        ),
        a.insert_after(
            BTF_IDS_H,
            "BTF_KFUNCS_END(): after it",
            a.macro_in("BTF_KFUNCS_END", ENABLED),
            a.whole(),
            fragment("define-macros.h.j2"),
            a.contains(f"#define {ROW}", on),
        ),
        a.insert_after(
            BTF_IDS_H,
            f"{ROW}() without CONFIG_DEBUG_INFO_BTF",
            a.macro_in("BTF_KFUNCS_END", DISABLED),
            a.whole(),
            fragment("define-disabled.h.j2"),
            a.contains(f"#define {ROW}", off),
        ),
        docs.new_paragraph("Registering the kfuncs", "docs-define.rst.j2", START.encode()),
    ]
