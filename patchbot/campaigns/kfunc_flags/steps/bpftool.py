"""Make the step that follows decl-tags: bpftool prints the tags of arguments before the kfuncs in vmlinux.h."""

from __future__ import annotations

from ....series import codemod as a
from ....series.campaign import Context
from .facts import Place, fragment

BTF_C = "tools/bpf/bpftool/btf.c"
DUMP = "dump_btf_kfuncs"


def anchors(context: Context) -> list[a.Anchor]:
    """Return the anchors of the step."""
    dump, tag = Place(BTF_C, a.in_function(DUMP)), "FASTCALL_DECL_TAG"
    return [
        a.insert_after(
            BTF_C,
            tag,
            a.macro_in(tag),
            a.whole(),
            '#define ARG_DECL_TAG\t\t"arg:"\n',
            a.contains("#define ARG_DECL_TAG"),
        ),
        dump.before(
            "before it",
            a.with_comment(a.whole()),
            fragment("bpftool-print.c.j2"),
            a.contains("void dump_kfunc_arg_tags($_) {"),
        ),
        dump.before("variables", a.statement("struct ptr_array kfuncs = {};"), "\tstruct ptr_array arg_tags = {};\n"),
        dump.instead(
            "decl tags of arguments",
            a.tokens_like("if (btf_decl_tag(t)->component_idx != -1) continue;"),
            fragment("bpftool-collect.c.j2"),
            "ptr_array_push(t, &arg_tags)",
        ),
        dump.before(
            "before a prototype", a.statement('printf("extern ");'), "\t\tdump_kfunc_arg_tags(btf, t, &arg_tags);\n"
        ),
        dump.before("what is freed", a.statement("ptr_array_free(&kfuncs);"), "\tptr_array_free(&arg_tags);\n"),
    ]
