"""The step that goes with decl-tags: bpftool prints the tags of arguments in front of the kfuncs of vmlinux.h."""

from __future__ import annotations

from ....series.campaign import Change, Context
from ....series.codemod import (
    Anchor,
    contains,
    in_function,
    insert_after,
    insert_before,
    macro_in,
    replace,
    statement,
    tokens_like,
    whole,
    with_comment,
)
from .facts import carry_out, fragment

BTF_C = "tools/bpf/bpftool/btf.c"
DUMP = "dump_btf_kfuncs"


def bpftool(context: Context) -> Change:
    """Let bpftool print the decl tags of arguments."""
    return carry_out(context, anchors_bpftool(context))


def anchors_bpftool(context: Context) -> list[Anchor]:
    """Return the anchors of the step."""
    dump = in_function(DUMP)
    return [
        insert_after(
            BTF_C,
            "FASTCALL_DECL_TAG",
            macro_in("FASTCALL_DECL_TAG"),
            whole(),
            '#define ARG_DECL_TAG\t\t"arg:"\n',
            contains("#define ARG_DECL_TAG"),
        ),
        insert_before(
            BTF_C,
            f"{DUMP}(): before it",
            dump,
            with_comment(whole()),
            fragment("bpftool-print.c.j2"),
            contains("void dump_kfunc_arg_tags($_) {"),
        ),
        insert_before(
            BTF_C,
            f"{DUMP}(): variables",
            dump,
            statement("struct ptr_array kfuncs = {};"),
            "\tstruct ptr_array arg_tags = {};\n",
            contains("struct ptr_array arg_tags = {};", dump),
        ),
        replace(
            BTF_C,
            f"{DUMP}(): decl tags of arguments",
            dump,
            tokens_like("if (btf_decl_tag(t)->component_idx != -1) continue;"),
            fragment("bpftool-collect.c.j2").rstrip(b"\n"),
            contains("ptr_array_push(t, &arg_tags)", dump),
        ),
        insert_before(
            BTF_C,
            f"{DUMP}(): before a prototype",
            dump,
            statement('printf("extern ");'),
            "\t\tdump_kfunc_arg_tags(btf, t, &arg_tags);\n",
            contains("dump_kfunc_arg_tags(btf, t, &arg_tags);", dump),
        ),
        insert_before(
            BTF_C,
            f"{DUMP}(): what is freed",
            dump,
            statement("ptr_array_free(&kfuncs);"),
            "\tptr_array_free(&arg_tags);\n",
            contains("ptr_array_free(&arg_tags);", dump),
        ),
    ]
