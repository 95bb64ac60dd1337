"""The step resolve_btfids on the real tools: build them as the step leaves them and let them refuse objects."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RealKernel
from elftools.elf.elffile import ELFFile
from test_decl_tags import build_tool, compile_program, finished
from test_infra import STEPS, context, stages, trees  # noqa: F401

from patchbot.c import parse
from patchbot.campaigns.kfunc_flags.steps import facts, resolve_btfids
from patchbot.errors import UserError
from patchbot.run import run
from patchbot.series.tree import Tree

HEAD = """\
#include <linux/btf_ids.h>
%s
#define KF_ACQUIRE (1 << 0)
#define KF_RELEASE (1 << 1)
#define KF_RCU (1 << 7)
#define KF_IMPLICIT_ARGS (1 << 16)
#define KFUNC __attribute__((used, btf_decl_tag("bpf_kfunc")))
struct task { int x; };
struct bpf_prog_aux { int y; };
typedef struct task *task_t;
typedef const char text_t;
KFUNC void put(int n, struct task *t) { }
KFUNC void six(task_t a, int b, int c, int d, int e, struct task *f) { }
KFUNC void mem(const void *p, int p__sz, char *q, text_t *r) { }
KFUNC void hidden(struct task *t, struct bpf_prog_aux *aux) { }
KFUNC void none(void) { }
KFUNC void plain(void) { }
BTF_KFUNCS_START(other)
BTF_ID_FLAGS(func, plain)
%s
BTF_KFUNCS_END(other)
BTF_KFUNCS_START(set)
%s
BTF_KFUNCS_END(set)
"""
NO_SUCH = "there is no such argument"
EXCLUDE = "these flags exclude each other"
WHOLE = "the kfunc has the same flag for all arguments"
#: Rows of the set, rows of another one, and what the tool says, "" if all is well.
CASES = (
    ("BTF_KFUNC(put, 0, 0, KFA_RELEASE)", "", ""),
    ("BTF_KFUNC(put, 0, 0, KFA_RELEASE | KFA_RCU)", "BTF_KFUNC(put, 0, 0, KFA_RELEASE | KFA_RCU)", ""),
    ("BTF_KFUNC(put, KF_RCU, 0, KFA_RELEASE)", "BTF_KFUNC(put, KF_RCU, 0, KFA_RELEASE, 0)", ""),
    ("BTF_KFUNC(put, 0, 0, KFA_RCU, 0, 0)", "", ""),
    ("BTF_KFUNC(six, 0, KFA_RELEASE, 0, 0, 0, 0, KFA_RCU)", "", ""),
    ("BTF_KFUNC(mem, 0, KFA_RDONLY, 0, KFA_UNINIT, KFA_RDONLY)", "", ""),
    ("BTF_KFUNC(hidden, KF_IMPLICIT_ARGS, KFA_RCU)", "", ""),
    ("BTF_KFUNC(hidden, 0, 0, KFA_RCU)", "", ""),
    ("BTF_KFUNC(put, 0, KFA_RELEASE)", "", "put has invalid flags 0x1 of argument 0: it is not a pointer"),
    ("BTF_KFUNC(put, 0, 0, 1 << 30)", "", "of argument 1: a flag is unknown"),
    ("BTF_KFUNC(put, 0, 0, 0, KFA_RCU)", "", f"of argument 2: {NO_SUCH}"),
    ("BTF_KFUNC(none, 0, KFA_RCU)", "", f"of argument 0: {NO_SUCH}"),
    ("BTF_KFUNC(hidden, KF_IMPLICIT_ARGS, 0, KFA_RCU)", "", f"of argument 1: {NO_SUCH}"),
    ("BTF_KFUNC(mem, 0, KFA_RDONLY | KFA_UNINIT)", "", "what is const is not written"),
    ("BTF_KFUNC(mem, 0, 0, 0, KFA_RDONLY)", "", "it is not a pointer to const memory"),
    ("BTF_KFUNC(mem, 0, 0, 0, 0, KFA_UNINIT)", "", "what is const is not written"),
    ("BTF_KFUNC(mem, 0, 0, 0, KFA_UNINIT | KFA_RCU)", "", EXCLUDE),
    ("BTF_KFUNC(put, 0, 0, KFA_ACQUIRE | KFA_RELEASE)", "", EXCLUDE),
    ("BTF_KFUNC(put, 0, 0, KFA_ACQUIRE | KFA_RCU)", "", ""),
    ("BTF_KFUNC(put, KF_RELEASE, 0, KFA_RELEASE)", "", WHOLE),
    ("BTF_KFUNC(put, KF_RCU, 0, KFA_RCU)", "", WHOLE),
    ("BTF_KFUNC(put, KF_ACQUIRE, 0, KFA_ACQUIRE)", "", WHOLE),
    ("BTF_KFUNC(six, 0, KFA_RCU | KFA_RELEASE, 0, 0, 0, 0, KFA_RELEASE)", "", "it has to be in a register"),
    ("BTF_KFUNC(six, 0, 0, 0, 0, 0, 0, KFA_UNINIT)", "", "it has to be in a register"),
    ("BTF_KFUNC(put, 0, 0, KFA_RCU)", "BTF_ID_FLAGS(func, put)", "inconsistent flags of argument 1 across BTF ID sets"),
    ("BTF_KFUNC(put, 0, 0, KFA_RCU)", "BTF_KFUNC(put, 0, 0, KFA_RELEASE)", "inconsistent flags of argument 1"),
)
ROW = "BTF_KFUNC(put, 0, 0, KFA_RELEASE)\nBTF_KFUNC(six, 0, KFA_RCU)"
#: What is put into (the trailer: offset, size; the first record: its number of flags), None leaves it.
TORN: tuple[tuple[int | None, int | None, int | None], ...] = (
    (None, 4, None),
    (None, 31, None),
    (None, 0x7FFFFFF0, None),
    (None, 0xFFFFFFFF, None),
    (0x7FFFFFF0, None, None),
    (-0x7FFFFFF0, None, None),
    (2, None, None),
    (None, None, 4),
    (None, None, 0xFFFFFFFF),
    (None, None, 0x3FFFFFFE),
)
CUT_OFF = "set has a record of argument flags that is cut off"


def tear(path: Path, off: int | None, size: int | None, count: int | None) -> None:
    """Put numbers into an object: into the trailer of its set, and into the first record of that."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        order = "<" if elf.little_endian else ">"
        section = elf.get_section_by_name(".BTF_ids")
        table = elf.get_section_by_name(".symtab")
        (symbol,) = table.get_symbol_by_name("__BTF_ID__set8__set")
    data = bytearray(path.read_bytes())
    start = section["sh_offset"] + symbol["st_value"]
    trailer = start + symbol["st_size"]
    first = start + struct.unpack_from(f"{order}i", data, trailer)[0]
    for at, number in ((trailer, off), (trailer + 4, size), (first + 4, count)):
        if number is not None:
            struct.pack_into(f"{order}I", data, at, number & 0xFFFFFFFF)
    path.write_bytes(data)


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("clang-19") and shutil.which("pahole")), reason="no clang-19 or no pahole")
@pytest.mark.parametrize("target", [[], ["--target=s390x-linux-gnu"]], ids=["native", "big-endian"])
def test_the_tool_refuses_what_the_kernel_refuses(kernel: RealKernel, tmp_path: Path, target: list[str]):
    tree = finished(kernel)
    tool = build_tool(kernel, tree, tmp_path / "tree")
    flags = defined(tree)
    say = said_by(tool, tree, tmp_path, ["clang-19", *target])
    for rows, others, wanted in CASES:
        done, said = say(HEAD % (flags, others, rows), ())
        assert (done == 0, wanted in said) == (not wanted, True), (rows, others, said)
    for torn in TORN:
        done, said = say(HEAD % (flags, "", ROW), torn)
        assert (done, CUT_OFF in said) == (255, True), (torn, said)


def defined(tree: Tree) -> str:
    """Return the argument flags of a tree as the program defines them."""
    return "\n".join(f"#define {n} {v}" for n, v in resolve_btfids.values(tree).items() if n.startswith("KFA_"))


ARENA = """\
#define KF_ARENA_RET (1 << 13)
#define KF_ARENA_ARG1 (1 << 14)
#define KF_ARENA_ARG2 (1 << 15)
KFUNC void *pages(void *map, void *addr__ign, int cnt) { return 0; }
KFUNC void first(void *page, void *other) { }
"""
ARENA_ROWS = {
    "kfunc": "BTF_ID_FLAGS(func, pages, KF_ARENA_RET | KF_ARENA_ARG2)\nBTF_ID_FLAGS(func, first, KF_ARENA_ARG1)",
    "argument": "BTF_KFUNC(pages, KF_ARENA_RET, 0, KFA_ARENA)\nBTF_KFUNC(first, 0, KFA_ARENA)",
    "neither": "BTF_ID_FLAGS(func, pages, KF_ARENA_RET)\nBTF_ID_FLAGS(func, first)",
}


def arena_btf(
    say: Callable[[str, tuple[int | None, ...]], tuple[int, str]], flags: str, where: Path
) -> dict[str, bytes]:
    """Return the BTF that the tool makes of the same kfuncs for each form of their rows."""
    found = {}
    for form, rows in ARENA_ROWS.items():
        program = (HEAD % (flags, "", rows)).replace("BTF_KFUNCS_START(other)", ARENA + "BTF_KFUNCS_START(other)")
        assert say(program, ()) == (0, "")
        found[form] = (where / "made" / "program.o.BTF").read_bytes()
    return found


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("clang-19") and shutil.which("pahole")), reason="no clang-19 or no pahole")
def test_an_argument_in_an_arena_has_the_same_type_in_either_form(kernel: RealKernel, tmp_path: Path):
    tree = finished(kernel, ())
    if "KFA_ARENA" not in resolve_btfids.values(tree):
        pytest.skip(f"resolve_btfids of {kernel.version} does not read flags of arenas")
    tool = build_tool(kernel, tree, tmp_path / "tree")
    made = arena_btf(said_by(tool, tree, tmp_path, ["clang-19"]), defined(tree), tmp_path)
    assert made["argument"] == made["kfunc"] != made["neither"]
    assert b"address_space(1)" in made["argument"]


def said_by(
    tool: Path, tree: Tree, where: Path, compiler: list[str]
) -> Callable[[str, tuple[int | None, ...]], tuple[int, str]]:
    """Return what compiles a program, puts numbers into the object, and says how the tool ends and what it prints."""

    def say(program: str, torn: tuple[int | None, ...]) -> tuple[int, str]:
        shutil.rmtree(where / "made", ignore_errors=True)
        (where / "made").mkdir()
        made = compile_program(tree, where / "made", compiler, program)
        if torn:
            tear(made, *torn)
        done = run([tool, "--btf", made.with_suffix(".btf"), made], check=False)
        return done.returncode, (done.stderr + done.stdout).decode()

    return say


def test_a_tool_that_does_not_know_kfuncs_is_left_alone_and_said(trees):  # noqa: F811
    tree = trees["first"].overlaid({facts.RESOLVE_BTFIDS: b"int main(void)\n{\n\treturn 0;\n}\n"})
    change = STEPS["resolve_btfids"][0](context(tree))
    assert not change.edits
    assert "it does not collect kfuncs in this tree" in change.remarks[0]
    with pytest.raises(UserError, match="so it cannot emit decl tags"):
        STEPS["decl-tags"][0](context(tree))


def test_a_table_that_lacks_a_flag_gets_it(trees):  # noqa: F811
    """A base that has the first series, and a later one that adds flags."""
    seen, change = next((seen, change) for name, seen, change in stages(trees["first"]) if name == "resolve_btfids")
    tip = seen.tree.edit(change.edits)
    more = tip.read(facts.BTF_H).replace(b"#define KFA_RCU\t", b"#define KFA_MORE\t(1 << 14)\n#define KFA_RCU\t")
    change = STEPS["resolve_btfids"][0](context(tip.overlaid({facts.BTF_H: more}), trees["first"]))
    text = tip.edit(change.edits).read(facts.RESOLVE_BTFIDS)
    assert b"#define KFA_MORE\t(1 << 14)\n" in text
    assert b"\t{ KFA_MORE },\n};\n" in text
    assert len(change.edits) == 2
    assert parse("main.c", text)


@pytest.mark.parametrize("shape", ["first", "referenced"])
def test_decl_tags_need_the_flags_of_the_arguments(trees, shape):  # noqa: F811
    seen = next(seen for name, seen, _ in stages(trees[shape]) if name == "resolve_btfids")
    with pytest.raises(UserError, match="the step resolve_btfids, which adds them, must be on"):
        STEPS["decl-tags"][0](seen)
