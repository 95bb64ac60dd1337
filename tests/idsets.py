"""Compile kfunc sets without a kernel: a reduced btf_ids.h of our own that lays out the same bytes."""

from __future__ import annotations

from pathlib import Path

from patchbot.run import run

HEADER = r"""
#define S(n) S_(n)
#define S_(n) #n
#define GLUE(a, b) GLUE_(a, b)
#define GLUE_(a, b) a##b
#define IDS(sub) ".pushsection .BTF_ids," #sub ",\"a\"\n"
#define OBJ(sym) ".local " sym "\n.type " sym ", STT_OBJECT\n.size " sym ", 4\n" sym ":\n.long 0\n"
#define ID(kind, name) asm(IDS(0) OBJ("__BTF_ID__" #kind "__" #name "__" S(__COUNTER__)) ".popsection\n");
#define LIST(name) asm(IDS(0) #name ":\n.popsection\n");
#define SET8(name, flags) asm(IDS(0) #name ":\n.local __BTF_ID__set8__" #name "\n__BTF_ID__set8__" #name ":\n" \
	".long 0\n.long " S(flags) "\n.popsection\n");
#define SET8_END(name) asm(IDS(0) ".size __BTF_ID__set8__" #name ", .-" #name "\n.popsection\n");
#define ROW(name, flags) asm(IDS(0) OBJ("__BTF_ID__func__" #name "__" S(__COUNTER__)) \
	".long " S(flags) "\n.popsection\n");
#define ARGS(name, cnt, ...) asm(IDS(1) OBJ("__BTF_ID__func__" #name "__" S(__COUNTER__)) \
	".long " #cnt "\n.long " S((__VA_ARGS__)) "\n.popsection\n");
#define ARGS2(name, one, two) asm(IDS(1) OBJ("__BTF_ID__func__" #name "__" S(__COUNTER__)) \
	".long 2\n.long " S(one) ", " S(two) "\n.popsection\n");
#define KFUNCS(name) SET8(name, 3) asm(IDS(1) ".Largs_" #name ":\n.popsection\n");
#define KFUNCS_END(name) SET8_END(name) asm(IDS(1) ".Lend_" #name ":\n.popsection\n" \
	IDS(0) ".long .Largs_" #name " - " #name "\n.long .Lend_" #name " - .Largs_" #name "\n.popsection\n");
"""


def compile_sets(folder: Path, text: str, *options: str, cross: str = "") -> Path:
    """Compile C that uses the macros above, with the compiler of a prefix; return the object file."""
    source = folder / "sets.c"
    source.write_text(HEADER + text)
    target = folder / "sets.o"
    run([f"{cross}gcc", "-c", *options, "-o", target, source])
    return target
