"""The optional step define: what compilers, assemblers and linkers make of sets whose rows are behind their kfuncs.

The header is that of the tiny kernel after the steps that the macros need; the real ones are tried where they are.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import RealKernel
from elftools.elf.elffile import ELFFile
from tinytree import TESTS, build

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.campaign import STEPS, campaign
from patchbot.campaigns.kfunc_flags.proof.btf import parse
from patchbot.campaigns.kfunc_flags.proof.btf_ids import BtfIds, IdSet, Pair, Record, read_file
from patchbot.campaigns.kfunc_flags.sites.sets import read_sets
from patchbot.campaigns.kfunc_flags.steps import define
from patchbot.campaigns.kfunc_flags.steps.facts import BTF_IDS_H
from patchbot.config import CampaignConfig, load
from patchbot.errors import UserError
from patchbot.run import Completed, run
from patchbot.series.campaign import Context
from patchbot.series.generate import Generated, generate
from patchbot.series.tree import Tree

KFUNC_ARGS = 2
BTF = "-DCONFIG_DEBUG_INFO_BTF"
OPTIONS = ("-std=gnu11", "-O2", "-Wall", "-Werror")
#: What the macros need of the kernel around them.
HEADERS = {
    "types.h": "typedef unsigned int u32; typedef int s32;\n",
    "compiler.h": "#define ___PASTE(a, b) a##b\n#define __PASTE(a, b) ___PASTE(a, b)\n",
    "compiler_attributes.h": "#define __maybe_unused __attribute__((__unused__))\n",
    "build_bug.h": "#define static_assert(expr) _Static_assert(expr, #expr)\n",
}
HEAD = """\
#include <linux/compiler_attributes.h>
#include <linux/btf_ids.h>
#define KF_A (1 << 1)
#define KF_B (1 << 5)
#define KFA_RELEASE (1 << 0)
#define KFA_RCU (1 << 1)
#define kfunc __attribute__((__used__)) void
struct task { int x; };
void named(struct task *t);
"""
ONE = (
    HEAD
    + """
BPF_KFUNC_SET_START(first)
kfunc get(struct task *t) { }
BPF_KFUNC(first, get, KF_A);
BPF_KFUNC_SET_START(second)
kfunc both(struct task *t, int n, struct task *u) { }
BPF_KFUNC((first, second), both, KF_A | KF_B, KFA_RCU | KFA_RELEASE, 0, KFA_RCU);
BTF_ID_LIST(list)
BTF_ID(struct, task)
BTF_KFUNCS_START(block)
BTF_ID_FLAGS(func, both, KF_A | KF_B)
BTF_KFUNCS_END(block)
kfunc put(int n, struct task *t) { }
BPF_KFUNC((second), put, 0, 0, KFA_RELEASE);
BPF_KFUNC_SET_END(first)
BPF_KFUNC_SET_START(none)
kfunc plain(void) { }
BPF_KFUNC(second, plain, 0);
BPF_KFUNC_SET_END(second)
BPF_KFUNC_SET_END(none)
const void *used_first[] = { &first, &second, &none, &list, &block };
"""
)
FIRST = (
    IdSet("block", 3, (Pair("both", 34),), True),
    IdSet("first", 3, (Pair("get", 2), Pair("both", 34)), True, (Record("both", (3, 0, 2)),)),
    IdSet("none", 3, (), True),
    IdSet(
        "second",
        3,
        (Pair("both", 34), Pair("put", 0), Pair("plain", 0)),
        True,
        (Record("both", (3, 0, 2)), Record("put", (0, 1))),
    ),
)
#: The counters of the preprocessor are the same as in the other file.
OTHER = (
    HEAD
    + """
BPF_KFUNC_SET_START(third)
kfunc one(struct task *t) { }
BPF_KFUNC(third, one, 0, KFA_RCU);
BPF_KFUNC_SET_START(fourth)
kfunc two(struct task *t, int n, struct task *u) { }
BPF_KFUNC((fourth, third), two, KF_A, 0, 0, KFA_RELEASE);
BPF_KFUNC_SET_END(third)
BPF_KFUNC_SET_END(fourth)
const void *used_second[] = { &third, &fourth };
"""
)
SECOND = (
    IdSet("fourth", 3, (Pair("two", 2),), True, (Record("two", (0, 0, 1)),)),
    IdSet("third", 3, (Pair("one", 0), Pair("two", 2)), True, (Record("one", (2,)), Record("two", (0, 0, 1)))),
)
ALL = tuple(sorted(FIRST + SECOND))


@dataclass(frozen=True)
class Compiler:
    """A command, and what makes it compile for a machine; `package` is where Debian has it."""

    command: str
    options: tuple[str, ...] = ()
    package: str = ""

    def __str__(self) -> str:
        return " ".join((self.command, *self.options))


GCC = Compiler("gcc", (), "gcc")
CLANGS = tuple(Compiler(f"clang{v}", (), f"clang{v} and lld{v}") for v in ("", "-19"))
COMPILERS = (
    GCC,
    Compiler("gcc", ("-m32",), "gcc"),
    *(Compiler(f"{m}-gcc", (), f"gcc-{m}") for m in ("riscv64-linux-gnu", "s390x-linux-gnu", "arm-linux-gnueabi")),
    *CLANGS,
    Compiler("clang", ("-m32",), "clang"),
    *(Compiler("clang", (f"--target={m}-linux-gnu",), "clang") for m in ("riscv64", "s390x", "aarch64", "powerpc64")),
    Compiler("clang-19", ("--target=loongarch64-linux-gnu",), "clang-19"),
)


def needed(compiler: Compiler, *also: str) -> None:
    """Skip the test where a program is lacking."""
    lacking = [name for name in (compiler.command, *also) if not shutil.which(name)]
    if lacking:
        pytest.skip(f"no {' and '.join(lacking)}: apt-get install {compiler.package}")


def with_macros(tree: Tree) -> Tree:
    """Return a tree after the steps btf_ids and define."""
    base, names = tree, ("btf_ids", "define")
    for step in STEPS:
        if step.name in names:
            change = step.codemod(Context(tree, base, CampaignConfig("kfunc_flags", with_=("define",)), names))
            tree = tree.edit(change.edits)
    return tree


@pytest.fixture(scope="module")
def tiny_headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repo = build(tmp_path_factory.mktemp("tiny") / "linux")
    return headers(Tree(repo, repo.resolve("HEAD")), tmp_path_factory.mktemp("headers"))


@pytest.fixture
def include(tiny_headers: Path, tmp_path: Path) -> Path:
    """Return a folder with the headers of the tiny kernel, in which there is room for more."""
    return Path(shutil.copytree(tiny_headers, tmp_path / "include"))


def headers(tree: Tree, folder: Path) -> Path:
    where = folder / "include/linux"
    where.mkdir(parents=True)
    for name in ("args.h", "stringify.h"):
        (where / name).write_bytes(tree.read(f"include/linux/{name}"))
    for name, text in HEADERS.items():
        (where / name).write_text(text)
    (where / "btf_ids.h").write_bytes(with_macros(tree).read(BTF_IDS_H))
    return folder / "include"


def compiled(compiler: Compiler, include: Path, text: str, *more: str, name: str = "sets") -> tuple[Path, Completed]:
    source, target = include / f"{name}.c", include / f"{name}.o"
    source.write_text(text)
    options = [*compiler.options, *OPTIONS, "-I", include, *more, "-c", "-o", target, source]
    return target, run([compiler.command, *options], check=False)


def read(made: Path) -> BtfIds:
    """Return the sets of an object, of the linked one where only the linker knows the distance of two labels."""
    found = read_file(made, KFUNC_ARGS)
    if any("only the linker knows" in p for p in found.problems):
        needed(Compiler("ld.lld", (), "lld"))
        run(["ld.lld", "-e", "0", "-o", made.with_suffix(".linked"), made])
        return read_file(made.with_suffix(".linked"), KFUNC_ARGS)
    return found


@pytest.mark.parametrize("compiler", COMPILERS, ids=str)
def test_rows_land_in_their_sets(compiler: Compiler, include: Path) -> None:
    needed(compiler)
    made, done = compiled(compiler, include, ONE, BTF)
    assert (done.returncode, done.stderr) == (0, b"")
    found = read(made)
    assert found.sets == FIRST
    assert found.problems == ()
    assert found.undefined == ()
    assert found.rest == ("list:", "struct__task 0x0")


@pytest.mark.parametrize("compiler", [GCC, *CLANGS], ids=str)
def test_nothing_is_left_of_them_without_btf(compiler: Compiler, include: Path) -> None:
    needed(compiler)
    made, done = compiled(compiler, include, ONE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_file(made, KFUNC_ARGS) == BtfIds()


@pytest.mark.parametrize("lto", ["full", "thin"])
@pytest.mark.parametrize("clang", CLANGS, ids=str)
def test_lto_keeps_the_sets_of_two_files_apart(clang: Compiler, lto: str, include: Path) -> None:
    """Full LTO makes one assembler input of both files."""
    linker = clang.command.replace("clang", "ld.lld")
    needed(clang, linker)
    texts = {"one": ONE, "other": OTHER}
    made = [compiled(clang, include, text, BTF, f"-flto={lto}", name=n)[0] for n, text in texts.items()]
    run([linker, "-r", "-o", include / "whole.o", *made])
    assert read_file(include / "whole.o", KFUNC_ARGS).sets == ALL
    run([linker, "-e", "0", "-o", include / "whole", *made])
    assert read_file(include / "whole", KFUNC_ARGS).sets == ALL


@pytest.mark.parametrize("clang", CLANGS, ids=str)
def test_full_lto_refuses_two_sets_of_one_name(clang: Compiler, include: Path) -> None:
    linker = clang.command.replace("clang", "ld.lld")
    needed(clang, linker)
    again = OTHER
    for old, new in (("one", "uno"), ("two", "dos"), ("fourth", "fifth"), ("used_second", "used_again")):
        again = again.replace(old, new)
    texts = {"one": OTHER, "other": again}
    made = [compiled(clang, include, text, BTF, "-flto=full", name=n)[0] for n, text in texts.items()]
    done = run([linker, "-r", "-o", include / "whole.o", *made], check=False)
    assert done.returncode != 0
    assert b"__BTF_ID__set8__third' is already defined" in done.stderr


ROW = "BPF_KFUNC(list, named, KF_A);\n"
OPEN, CLOSE = "BPF_KFUNC_SET_START(list)\n", "BPF_KFUNC_SET_END(list)\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROW + OPEN + CLOSE, "BPF_KFUNC before BPF_KFUNC_SET_START(list)"),
        (OPEN + CLOSE + ROW, "BPF_KFUNC after BPF_KFUNC_SET_END(list)"),
        (OPEN + ROW.replace("list", "(list, other)") + CLOSE, "BPF_KFUNC before BPF_KFUNC_SET_START(other)"),
        (OPEN + CLOSE + OPEN + CLOSE, "already defined"),
        (OPEN + CLOSE + CLOSE, "already defined"),
        (CLOSE, "L__kfunc_args_list"),
        (OPEN + ROW + "const void *p = &list;\n", "list"),
    ],
    ids=["before", "after", "other set", "open twice", "closed twice", "never open", "never closed"],
)
@pytest.mark.parametrize("compiler", [GCC, CLANGS[0]], ids=str)
def test_rows_without_their_set_do_not_compile(compiler: Compiler, text: str, said: str, include: Path) -> None:
    needed(compiler)
    made, done = compiled(compiler, include, HEAD + text, BTF)
    assert done.returncode != 0
    if compiler is GCC or "L__" not in said:
        assert said.encode() in done.stderr
    assert not made.exists()


@pytest.mark.parametrize("more", [(BTF,), ()], ids=["BTF", "no BTF"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("BPF_KFUNC(list, named, KF_C);", "KF_C"),
        ("BPF_KFUNC(list, named, KF_A, KFA_RUC);", "KFA_RUC"),
        ("BPF_KFUNC(list, nmaed, KF_A, KFA_RCU);", "nmaed"),
        ("BPF_KFUNC(list, named, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, KFA_RCU);", "static assertion failed"),
    ],
    ids=["flag", "flag of an argument", "kfunc", "too many"],
)
def test_the_compiler_sees_what_is_misspelt(row: str, said: str, more: Sequence[str], include: Path) -> None:
    needed(GCC)
    _, done = compiled(GCC, include, HEAD + OPEN + row + "\n" + CLOSE, *more)
    assert done.returncode != 0
    assert said.encode() in done.stderr


def test_twelve_arguments_can_have_flags(include: Path) -> None:
    needed(GCC)
    row = f"BPF_KFUNC(list, named, 0, {', '.join(map(str, range(1, 13)))});\n"
    made, done = compiled(GCC, include, HEAD + OPEN + row + CLOSE, BTF)
    assert (done.returncode, done.stderr) == (0, b"")
    (found,) = read_file(made, KFUNC_ARGS).sets
    assert found.records == (Record("named", tuple(range(1, 13))),)


@pytest.mark.kernel
def test_the_header_of_a_kernel_does_the_same(kernel: RealKernel, tmp_path: Path) -> None:
    include = headers(kernel.tree, tmp_path)
    for compiler in COMPILERS:
        if shutil.which(compiler.command):
            made, done = compiled(compiler, include, ONE, BTF)
            assert (done.returncode, done.stderr) == (0, b"")
            assert (read(made).sets, read(made).problems) == (FIRST, ())


#: What the tool that resolves ids is made of.
TOOL = "tools/bpf/resolve_btfids"
FOLDERS = (TOOL, "tools/lib", "tools/include", "tools/scripts", "tools/build", "tools/arch/x86/include", "scripts")


def resolved(tool: Path, whole: Path) -> dict[int, str]:
    """Have the ids of a linked file resolved as this tree's scripts do it; return {id: function} of its BTF."""
    if b"--patch_btfids" not in run([tool, "-h"], check=False).stderr:
        run(["pahole", "-J", whole])
        run([tool, whole])
        with open(whole, "rb") as file:
            section = ELFFile(file).get_section_by_name(".BTF")
            assert section is not None
            return parse(bytes(section.data())).names()
    run(["pahole", "-J", f"--btf_encode_detached={whole}.in", whole])
    run([tool, "--btf", f"{whole}.in", whole])
    run([tool, "--patch_btfids", f"{whole}.BTF_ids", whole])
    return parse(Path(f"{whole}.BTF").read_bytes()).names()


@pytest.mark.kernel
@pytest.mark.slow
def test_resolve_btfids_resolves_and_sorts_them(kernel: RealKernel, tmp_path: Path) -> None:
    """The tool of the tree, untouched, on a linked object with the BTF that pahole makes of it."""
    needed(GCC, "pahole", "ld")
    source = tmp_path / "tree"
    source.mkdir()
    archive = run(["git", f"--git-dir={kernel.repo.git_dir}", "archive", kernel.commit, *FOLDERS]).stdout
    run(["tar", "-x", "-C", source], stdin=archive)
    run(["make", "-s", "-C", source / TOOL, "-j2"])
    include = headers(kernel.tree, tmp_path)
    texts = {"one": ONE, "other": OTHER}
    made = [compiled(GCC, include, text, BTF, "-g", name=n)[0] for n, text in texts.items()]
    whole = include / "whole"
    run(["ld", "-e", "0", "-o", whole, *made])
    names = resolved(source / TOOL / "resolve_btfids", whole)
    found = read_file(whole, KFUNC_ARGS, names)
    assert found.problems == ()
    assert [s._replace(pairs=tuple(sorted(s.pairs))) for s in found.sets] == [
        s._replace(pairs=tuple(sorted(s.pairs))) for s in ALL
    ]
    ids = {name: number for number, name in names.items()}
    for one in found.sets:
        assert [ids[p.kfunc] for p in one.pairs] == sorted(ids[p.kfunc] for p in one.pairs)


# The step on a tree

CPUMASK = "kernel/bpf/cpumask.c"
SET = "cpumask_kfunc_btf_ids"


PLAIN = load(None, bundled("patchbot.toml")).campaign("kfunc_flags")
CONFIG = replace(PLAIN, with_=("define",))


def made_of(tree: Tree) -> Generated:
    return generate(tree, campaign(CONFIG), CONFIG)


def tiny_tree(folder: Path, *changes: tuple[bytes, bytes]) -> Tree:
    repo = build(folder / "linux")
    tree = Tree(repo, repo.resolve("HEAD"))
    text = tree.read(CPUMASK)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return tree.overlaid({CPUMASK: text})


def rows_of(tree: Tree) -> list[tuple[str, str, tuple[str, ...], tuple[tuple[str, ...], ...]]]:
    return sorted((r.kfunc, r.set, r.flags, r.arg_flags) for r in read_sets(tree, CPUMASK).rows)


def test_the_rows_of_a_set_move_behind_its_kfuncs(tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path)
    made = made_of(tree)
    assert made.tip.read(CPUMASK) == (TESTS / "golden/kfunc_flags/define/cpumask.c").read_bytes()
    patch = next(p for p in made.series.patches if p.id == "define-rows")
    assert list(patch.files) == [CPUMASK]
    assert "Use BPF_KFUNC() for the 8 kfuncs of cpumask_kfunc_btf_ids, so that each" in patch.message
    assert rows_of(made.tip) == rows_of(generate(tree, campaign(PLAIN), PLAIN).tip)


def test_a_second_run_finds_nothing_to_move(tmp_path: Path) -> None:
    tip = made_of(tiny_tree(tmp_path)).tip
    assert made_of(tip).series.patches == ()
    sites = campaign(CONFIG).audit(tip, CONFIG).sites
    assert {s.fate for s in sites if s.details["set"] == SET} == {"keep"}


def test_rows_that_moved_before_they_were_converted_are_converted(tmp_path: Path) -> None:
    """A tree can have the macros and sets of this kind, and flags of whole kfuncs in them."""
    tree = tiny_tree(tmp_path)
    context = Context(with_macros(tree), tree, CONFIG, ("btf_ids", "define"))
    moved = context.tree.edit(define.convert(context).edits)
    assert b"BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_first, KF_RCU);" in moved.read(CPUMASK)
    after = made_of(moved)
    assert after.tip.read(CPUMASK) == (TESTS / "golden/kfunc_flags/define/cpumask.c").read_bytes()


def shape(one: IdSet) -> IdSet:
    return one._replace(pairs=tuple(sorted(one.pairs)), records=tuple(sorted(one.records)))


def test_the_objects_have_the_same_sets(tmp_path: Path) -> None:
    needed(GCC)
    base = tiny_tree(tmp_path)
    found = []
    for tree in (generate(base, campaign(PLAIN), PLAIN).tip, made_of(base).tip):
        where = tmp_path / f"tree{len(found)}"
        for path in ("include/linux", "include/uapi/linux"):
            shutil.copytree(TESTS / "linux" / path, where / path)
        for path in tree.overlay:
            if path.startswith("include/"):
                (where / path).write_bytes(tree.read(path))
        (where / "sets.c").write_bytes(tree.read(CPUMASK))
        run(
            ["gcc", "-std=gnu11", BTF, "-I", where / "include", "-I", where / "include/uapi", "-c", "sets.c"], cwd=where
        )
        found.append(read_file(where / "sets.o", KFUNC_ARGS))
    before, after = found
    assert before.problems == after.problems == ()
    assert before.rest == after.rest
    assert [shape(s) for s in before.sets] == [shape(s) for s in after.sets]
    assert len(after.sets[0].pairs) == 8
    assert len(after.sets[0].records) == 6


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            b"BTF_ID_FLAGS(func, bpf_cpumask_acquire",
            b"/* taken */\nBTF_ID_FLAGS(func, bpf_cpumask_acquire",
            "nothing but rows",
        ),
        (
            b"BTF_ID_FLAGS(func, bpf_cpumask_acquire, KF_ACQUIRE)",
            b"#ifdef A\nBTF_ID_FLAGS(func, bpf_cpumask_acquire, KF_ACQUIRE)\n#endif",
            "nothing but rows",
        ),
        (b"bpf_cpumask_acquire, KF_ACQUIRE)", b"bpf_cpumask_acquire, KF_ACQUIRE /* one */)", "a comment is in it"),
        (
            b"__bpf_kfunc struct bpf_cpumask *bpf_cpumask_create",
            b"#ifdef A\nint bpf_cpumask_create(void)\n{\n}\n#endif\n__bpf_kfunc struct bpf_cpumask *bpf_cpumask_create",
            "expected one definition of bpf_cpumask_create()",
        ),
        (
            b"BTF_KFUNCS_END(cpumask_kfunc_btf_ids)\n",
            b"BTF_ID_FLAGS(func, later, 0)\nBTF_KFUNCS_END(cpumask_kfunc_btf_ids)\nvoid later(void)\n{\n}\n",
            "expected later() to be defined before the set",
        ),
        (
            b"BTF_KFUNCS_END(cpumask_kfunc_btf_ids)\n",
            b"BTF_ID_FLAGS(func, bpf_elsewhere, KF_RET_NULL)\nBTF_KFUNCS_END(cpumask_kfunc_btf_ids)\n",
            "expected one definition of bpf_elsewhere() in this file",
        ),
    ],
    ids=["comment", "condition", "comment in a row", "two definitions", "later", "elsewhere"],
)
def test_a_set_that_cannot_be_moved_is_refused(tmp_path: Path, old: bytes, new: bytes, problem: str) -> None:
    tree = tiny_tree(tmp_path, (old, new))
    context = Context(with_macros(tree), tree, CONFIG, ("btf_ids", "define"))
    with pytest.raises(UserError, match=re.escape(problem)):
        define.convert(context)


def test_a_tree_without_the_set_is_told(tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path)
    tree = tree.overlaid({CPUMASK: tree.read(CPUMASK).replace(SET.encode(), b"other")})
    with pytest.raises(UserError, match=f"expected one set {SET}"):
        define.convert(Context(tree, tree, CONFIG, ("define",)))


def test_a_header_without_the_macros_is_refused(tmp_path: Path) -> None:
    tree = tiny_tree(tmp_path)
    with pytest.raises(UserError, match=r"btf_ids\.h: expected BPF_KFUNC\(\) in it"):
        define.convert(Context(tree, tree, CONFIG, ("define",)))


@pytest.mark.kernel
def test_the_set_of_a_kernel_moves(kernel: RealKernel) -> None:
    base = kernel.tree
    context = Context(with_macros(base), base, CONFIG, ("btf_ids", "define"))
    tip = context.tree.edit(define.convert(context).edits)
    assert rows_of(tip) == rows_of(base)
    assert read_sets(tip, CPUMASK).problems == ()
    assert [s.kind for s in read_sets(tip, CPUMASK).sets] == ["BPF_KFUNC_SET_START"]
    assert define.convert(Context(tip, base, CONFIG, ("btf_ids", "define"))).edits == ()
