"""Tests of patchbot/build/kbuild.py, worktree.py and unresolved.py."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from subjects import KFUNCS, make_subject
from toolchain import needs_s390

from patchbot import run as running
from patchbot.build.arches import ARCHES
from patchbot.build.kbuild import (
    Kbuild,
    configure,
    count_members,
    defined_symbols,
    is_member,
    list_members,
    read_dependencies,
    write_options,
)
from patchbot.build.options import BuildOptions, build_options, read_options
from patchbot.build.toolchain import Compiler, compiler_of, find_compiler
from patchbot.campaigns.kfunc_flags.proof.btf_ids import read_symbols, undefined_in_btf_ids
from patchbot.errors import MissingTool, ToolError, UserError
from patchbot.git.repo import Repo
from patchbot.git.worktree import WorkTree
from patchbot.run import run
from patchbot.sandbox import Sandbox

needs_make = pytest.mark.skipif(not (shutil.which("make") and shutil.which("gcc")), reason="make and gcc are needed")
CMD = """\
savedcmd_kernel/bpf/cpumask.o := gcc -c -o kernel/bpf/cpumask.o /tree/kernel/bpf/cpumask.c

source_kernel/bpf/cpumask.o := /tree/kernel/bpf/cpumask.c

deps_kernel/bpf/cpumask.o := \\
    $(wildcard include/config/CPUMASK_OFFSTACK) \\
  /tree/include/linux/compiler-version.h \\
  include/generated/autoconf.h \\

kernel/bpf/cpumask.o: $(deps_kernel/bpf/cpumask.o)

$(deps_kernel/bpf/cpumask.o):
"""


def test_a_fragment_is_read_and_written() -> None:
    options = read_options('# why\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_LSM="bpf"\n\nCONFIG_N=4\n', "x.config")
    assert options == {"A": "y", "B": "n", "LSM": '"bpf"', "N": "4"}
    assert read_options(write_options(options), "again") == options


@pytest.mark.parametrize("line", ["CONFIG_A", "A=y", "CONFIG_A y", "nonsense"])
def test_nonsense_in_a_fragment_is_named_with_its_line(line: str) -> None:
    with pytest.raises(UserError, match=r"mine\.config:2: "):
        read_options(f"CONFIG_OK=y\n{line}\n", "mine.config")


def test_the_bundled_fragment_says_why() -> None:
    text = KFUNCS.config[0].read_text()
    options = read_options(text, "bpf.config")
    assert options["DEBUG_INFO_BTF"] == options["BPF_SYSCALL"] == "y"
    assert len(options) == text.count("\nCONFIG_"), "no option is there twice"
    groups = [group for group in text.split("\n\n") if "CONFIG_" in group]
    assert all(group.lstrip().startswith("#") for group in groups), "each group of options says what it is for"


def test_symbols_that_kconfig_files_define() -> None:
    text = "config A\n\tbool\nmenuconfig B\n  config C\nif A\nconfig D # no\nendif\ncomment 'config E'\n"
    assert defined_symbols([text, "config F\n"]) == {"A", "B", "C", "F"}


def test_what_an_object_was_made_of() -> None:
    assert read_dependencies(CMD) == [
        "/tree/kernel/bpf/cpumask.c",
        "/tree/include/linux/compiler-version.h",
        "include/generated/autoconf.h",
    ]
    assert read_dependencies("savedcmd_x.o := ld -o x.o\n") == []


@pytest.fixture
def kbuild(tiny: Repo, tmp_path: Path) -> Kbuild:
    return Kbuild(tiny.git_dir.parent, tmp_path / "out", Compiler("gcc", "", ""), 2)


@needs_make
def test_kbuild_says_what_belongs_to_the_configuration(kbuild: Kbuild, tmp_path: Path) -> None:
    wanted = {"BPF_SYSCALL": "y", "DEBUG_INFO_BTF": "y", "SCHED_CLASS_EXT": "y", "NO_SUCH": "y"}
    symbols = defined_symbols([(kbuild.source / "Kconfig").read_text()])
    result = configure(kbuild, wanted, symbols, tmp_path / "log")
    assert (result.dropped, result.unknown, result.btf) == (("SCHED_CLASS_EXT",), ("NO_SUCH",), True)
    assert "kernel/bpf/cpumask.o" in list_members(kbuild)("kernel/bpf")[0]
    assert is_member("kernel/bpf/cpumask.o", list_members(kbuild))
    assert not is_member("kernel/bpf/nope.o", list_members(kbuild))
    assert not is_member("kernel/sched/ext/ext.o", list_members(kbuild)), "its folder is not in this configuration"
    more = configure(kbuild, {**wanted, "BPF_JIT": "y"}, symbols, tmp_path / "log")
    assert (more.dropped, more.digest == result.digest) == ((), False)
    assert is_member("kernel/sched/ext/ext.o", list_members(kbuild))


@needs_make
@pytest.mark.parametrize("arch", ["x86", "s390"])
def test_what_is_built_depends_on_the_architecture(kbuild: Kbuild, tmp_path: Path, arch: str) -> None:
    for folder in ("x86", "s390"):
        (kbuild.source / f"arch/{folder}/Kbuild").write_text("obj-y += kernel/\n")
        (kbuild.source / f"arch/{folder}/kernel").mkdir()
        (kbuild.source / f"arch/{folder}/kernel/Makefile").write_text("obj-y += bpf.o\n")
    with open(kbuild.source / "Kbuild", "a") as top:
        top.write("obj-y += arch/$(SRCARCH)/\n")
    own = replace(kbuild, compiler=Compiler("gcc", "", "", ARCHES[arch]))
    configure(own, {"BPF_SYSCALL": "y"}, {"BPF_SYSCALL"}, tmp_path / "log")
    assert (f"CONFIG_{arch.upper()}=y\n") in (own.out / ".config").read_text()
    ask = list_members(own)
    assert {a: is_member(f"arch/{a}/kernel/bpf.o", ask) for a in ("x86", "s390")} == {
        a: a == arch for a in ("x86", "s390")
    }
    assert not is_member(f"arch/{arch}/kernel/nope.o", ask)


@needs_make
def test_folders_that_only_the_top_makefile_names_belong_to_the_kernel(kbuild: Kbuild, tmp_path: Path) -> None:
    (kbuild.source / "lib").mkdir()
    (kbuild.source / "lib/Makefile").write_text("obj-y += bitmap.o\n")
    with open(kbuild.source / "Makefile", "a") as makefile:
        makefile.write("libs-y := lib/ lib/lib.a\nexport ARCH_LIB := $(filter %/,$(libs-y))\n")
    with open(kbuild.source / "Kbuild", "a") as top:
        top.write("obj-y += $(ARCH_LIB)\n")
    configure(kbuild, {"BPF_SYSCALL": "y"}, {"BPF_SYSCALL"}, tmp_path / "log")
    ask = list_members(kbuild)
    assert is_member("lib/bitmap.o", ask)
    assert not is_member("lib/nope.o", ask)


@needs_make
def test_the_objects_of_a_kernel_are_counted_before_it_is_built(kbuild: Kbuild, tmp_path: Path) -> None:
    symbols = defined_symbols(path.read_text() for path in kbuild.source.rglob("Kconfig*"))
    configure(kbuild, {"BPF_SYSCALL": "y"}, symbols, tmp_path / "log")
    sources = [str(path.relative_to(kbuild.source)) for path in sorted(kbuild.source.rglob("*.c"))]
    ask = list_members(kbuild)
    members = [path for path in sources if is_member(path.removesuffix(".c") + ".o", ask)]
    assert count_members(kbuild) == len(members)
    assert 5 < len(members) < len(sources)


@needs_make
def test_the_same_configuration_changes_no_time_stamp(kbuild: Kbuild, tmp_path: Path) -> None:
    wanted = {"BPF_SYSCALL": "y"}
    configure(kbuild, wanted, {"BPF_SYSCALL"}, tmp_path / "log")
    before = (kbuild.out / "include/generated/autoconf.h").stat().st_mtime_ns
    configure(kbuild, wanted, {"BPF_SYSCALL"}, tmp_path / "log")
    assert (kbuild.out / "include/generated/autoconf.h").stat().st_mtime_ns == before


@needs_make
def test_the_environment_cannot_change_the_build(
    kbuild: Kbuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCFLAGS", "-DNOT=OURS -Wsomething")
    monkeypatch.setenv("MAKEFLAGS", "-n")
    mine = tmp_path / "mine"
    mine.write_text("CONFIG_MINE=y\n")
    for name, value in {
        "KCONFIG_CONFIG": str(mine),
        "LLVM": "1",
        "ARCH": "none",
        "KBUILD_EXTMOD": "x",
        "CC": "no",
    }.items():
        monkeypatch.setenv(name, value)
    configure(kbuild, {"BPF_SYSCALL": "y"}, {"BPF_SYSCALL"}, tmp_path / "log")
    kbuild.make(["W=1", "kernel/bpf/cpumask.o"], tmp_path / "log")
    assert (kbuild.out / "kernel/bpf/cpumask.o").exists()
    assert "NOT=OURS" not in (kbuild.out / "kernel/bpf/.cpumask.o.cmd").read_text()
    assert (mine.read_text(), list(tmp_path.glob("mine.*"))) == ("CONFIG_MINE=y\n", [])


def test_what_a_killed_build_wrote_is_removed(kbuild: Kbuild) -> None:
    kbuild.out.mkdir()
    old, new, marker = kbuild.out / "old.o", kbuild.out / "deep/new.o", kbuild.out / ".patchbot-building"
    old.touch()
    os.utime(old, ns=(1, 1))
    marker.touch()
    new.parent.mkdir()
    new.write_bytes(b"half")
    kbuild.recover()
    assert (old.exists(), new.exists(), marker.exists()) == (True, False, False)
    new.write_bytes(b"whole")
    kbuild.recover()
    assert new.exists(), "without the mark nothing was killed"


@needs_s390
@needs_make
@pytest.mark.parametrize(
    ("compiler", "timeout", "why"),
    [
        ("sleep 60", 1.0, "took longer than 1 s"),
        ("yes error | head -c 9000000", 60.0, "wrote more than 1 MB"),
        ("echo 'fatal error: cannot write: No space left on device'; exit 1", 60.0, "No space left on device; see"),
    ],
)
def test_a_build_that_does_not_end_or_floods_leaves_no_half_object(
    kbuild: Kbuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str, timeout: float, why: str
) -> None:
    configure(kbuild, {"BPF_SYSCALL": "y"}, set(), tmp_path / "log")
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\nfor o; do :; done\necho half >kernel/bpf/cpumask.o\n({compiler}) >&2\n")
    slow.chmod(0o755)
    monkeypatch.setattr(running, "MOST_LOGGED", 1 << 20)
    other = replace(kbuild, compiler=replace(kbuild.compiler, cc=str(slow)), sandbox=Sandbox("off"))
    with pytest.raises(ToolError, match=why):
        other.make(["kernel/bpf/cpumask.o"], tmp_path / "log", timeout=timeout)
    assert not (kbuild.out / "kernel/bpf/cpumask.o").exists()
    assert not (kbuild.out / ".patchbot-building").exists()


def test_a_cross_compiler_is_found_with_its_versions() -> None:
    found = find_compiler(None, "s390x-linux-gnu-", False, ARCHES["s390"])
    assert found.variables() == ["ARCH=s390", "CROSS_COMPILE=s390x-linux-gnu-"]
    assert found.versions != find_compiler(None, "", False).versions
    with pytest.raises(MissingTool, match=r"s390x-linux-gnu-gcc makes code for s390x.*compiles for x86_64"):
        find_compiler(None, "s390x-linux-gnu-", False)


@needs_make
@pytest.mark.skipif(not shutil.which("pahole"), reason="pahole is needed")
def test_a_pahole_of_its_own(tmp_path: Path) -> None:
    newer = tmp_path / "pahole"
    newer.write_text("#!/bin/sh\necho v1.99\n")
    newer.chmod(0o755)
    found = compiler_of(BuildOptions(pahole=str(newer), ccache=False))
    assert f"PAHOLE={newer}" in found.variables()
    assert found.versions.endswith("; v1.99"), "what it made is not taken for the work of another"
    assert not any(v.startswith("PAHOLE") for v in find_compiler(None, "", False).variables())
    with pytest.raises(MissingTool, match=r"no/such/pahole is not installed"):
        compiler_of(BuildOptions(pahole="no/such/pahole"))
    with pytest.raises(UserError, match=r"checks.build.pahole is 1, not a text"):
        build_options({"pahole": 1})


def test_a_compiler_for_another_machine_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "arm-gcc"
    other.write_text("#!/bin/sh\necho arm-linux-gnueabihf\n")
    other.chmod(0o755)
    with pytest.raises(MissingTool, match=r"arm-linux-gnueabihf.*cross_compile"):
        find_compiler(str(other), "", False)


@needs_make
@pytest.mark.skipif(not shutil.which("pahole"), reason="pahole is needed")
def test_a_missing_header_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patchbot.build.toolchain.HOST_HEADERS", {"stdio.h": "libc6-dev", "no/such.h": "libnone-dev"})
    with pytest.raises(MissingTool, match=r"need no/such\.h \(Debian: libnone-dev\)$"):
        find_compiler(None, "", False)


@needs_make
def test_a_makefile_that_cannot_be_asked_is_an_error(kbuild: Kbuild, tmp_path: Path) -> None:
    configure(kbuild, {"BPF_SYSCALL": "y"}, {"BPF_SYSCALL"}, tmp_path / "log")
    (kbuild.source / "kernel/bpf/Makefile").write_text("$(error broken)\n")
    with pytest.raises(ToolError, match=r"what it builds in kernel/bpf: (?s:.*)broken"):
        is_member("kernel/bpf/cpumask.o", list_members(kbuild))
    assert not list_members(kbuild)("kernel/bpf/nowhere")[0], "a folder without a Makefile builds nothing"


def test_a_work_tree_moves_and_keeps_what_did_not_change(tiny: Repo, tmp_path: Path) -> None:
    changes = [("one\n\nbody\n", {"kernel/bpf/cpumask.c": b"1\n", "new/file.c": b"2\n"})]
    subject = make_subject(tiny, "HEAD", changes, tmp_path)
    (item,) = subject.items
    tree = WorkTree.at(tmp_path / "tree", subject.scratch)
    assert tree.tree is None
    tree.move(item.parent_tree)
    stamps = {p: p.stat().st_mtime_ns for p in tree.path.rglob("*") if p.is_file()}
    tree.move(item.tree)
    assert tree.tree == item.tree
    changed = {str(p.relative_to(tree.path)) for p in stamps if p.stat().st_mtime_ns != stamps[p]}
    assert changed == {"kernel/bpf/cpumask.c"}
    assert (tree.path / "new/file.c").read_bytes() == b"2\n"
    tree.move(item.parent_tree)
    assert not (tree.path / "new").exists()


def test_a_work_tree_repairs_itself(tiny: Repo, tmp_path: Path) -> None:
    subject = make_subject(tiny, "HEAD", [("one\n\nbody\n", {"a.c": b"1\n"})], tmp_path)
    (item,) = subject.items
    tree = WorkTree.at(tmp_path / "tree", subject.scratch)
    tree.move(item.tree)
    (tree.path / "a.c").write_bytes(b"damaged\n")
    (tree.path / "stray.c").write_bytes(b"stray\n")
    (tree.path / ".gitignore").unlink(missing_ok=True)
    (tmp_path / "tree.index.lock").touch()
    again = WorkTree.at(tmp_path / "tree", subject.scratch)
    again.move(item.tree)
    assert (again.path / "a.c").read_bytes() == b"1\n"
    assert not (again.path / "stray.c").exists()
    assert (again.path / ".gitignore").exists()


BTF_OBJECT = r"""
asm(".pushsection .BTF_ids,\"a\"; .long %s; .popsection");
extern int elsewhere(void);
int f(void) { return elsewhere(); }
"""


@needs_make
@pytest.mark.parametrize(
    ("flags", "expected"),
    [("KFA_RUC", {"KFA_RUC"}), ("(1 << 3)", set()), ("1, KFA_RUC, 2", {"KFA_RUC"}), ("f", set())],
)
def test_undefined_symbols_of_btf_ids(tmp_path: Path, flags: str, expected: set[str]) -> None:
    source = tmp_path / "a.c"
    source.write_text(BTF_OBJECT % flags)
    run(["gcc", "-c", "-o", tmp_path / "a.o", source])
    referred, unused = read_symbols(tmp_path / "a.o")
    assert (referred, unused) == (expected, set()), "elsewhere() is undefined too, but the code refers to it"


@needs_make
def test_an_undefined_symbol_that_is_only_in_the_symbol_table(tmp_path: Path) -> None:
    (tmp_path / "a.s").write_text('.section .BTF_ids,"a"\n.long KFA_RUC - KFA_RUC, other - other\n.weak feeble\n')
    run(["gcc", "-c", "-o", tmp_path / "a.o", tmp_path / "a.s"])
    assert read_symbols(tmp_path / "a.o") == (set(), {"KFA_RUC", "other"})
    text = b"BTF_ID(func, g)\nBTF_ID_FLAGS(func, f,\n\t     0, KFA_RUC)\nint other;\n"
    (finding,) = undefined_in_btf_ids(tmp_path / "a.o", "a.c", text)
    assert ("'KFA_RUC'" in finding.message, finding.file, finding.line) == (True, "a.c", 3)


def test_what_is_no_object_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.o").write_bytes(b"BC\xc0\xde")
    with pytest.raises(ToolError, match="CONFIG_LTO"):
        read_symbols(tmp_path / "a.o")
