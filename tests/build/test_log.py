"""Tests of patchbot/build/log.py on logs that real builds of Linux 7.2 and 7.3 wrote (gcc 12, clang 19)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinytree import TESTS

from patchbot.build.log import Growing, Said, parse
from patchbot.model import Status

LOGS = TESTS / "logs"
SOURCE, OUT = "/home/dev/patchbot/build/tree", "/home/dev/patchbot/build/out"


def read(name: str) -> list[Said]:
    return parse((LOGS / name).read_text(encoding="utf-8"), source=SOURCE, out=OUT)


def row(said: Said) -> tuple[object, ...]:
    finding = said.finding
    return said.target, finding.status.value, finding.file, finding.line, finding.type, finding.message


def test_the_objects_of_a_build_are_counted_as_its_log_grows(tmp_path: Path) -> None:
    log = tmp_path / "the.log"
    log.write_text("  CC      kernel/before.o\n")
    growing = Growing(log)
    assert growing.objects() == 0
    for text, count in (
        ("  HOSTCC  scripts/mod/a.o\n  CC      scripts/mod/empty.o\n  CC      /out/tools/objtool/check.o\n", 0),
        ("  CC      kernel/fork.o\nkernel/fork.c:1:2: warning: x\n  AS      arch/x86/entry", 1),
        ("/entry.o\n  CC [M]  net/a.o\n  LD [M]  net/a.ko\n  AR      net/built-in.a\n", 3),
        ("  LD      vmlinux\n", 3),
    ):
        with log.open("a") as file:
            file.write(text)
        assert growing.objects() == count
    assert Growing(tmp_path / "none yet").objects() == 0


def test_what_gcc_the_assembler_and_make_say() -> None:
    assert [row(s) for s in read("build-faults.txt")] == [
        (
            "kernel/bpf/cpumask.o",
            "FAIL",
            None,
            None,
            "assembler",
            "invalid operands (*UND* and *ABS* sections) for '|'",
        ),
        ("kernel/bpf/crypto.o", "FAIL", "kernel/bpf/crypto.c", 83, "error", "expected ';' before '}' token"),
        ("kernel/bpf/nope.o", "FAIL", None, None, "no-rule", "make has no rule for kernel/bpf/nope.o"),
        (
            "kernel/bpf/rqspinlock.o",
            "FAIL",
            "kernel/bpf/rqspinlock.c",
            18,
            "fatal-error",
            "linux/bpfx.h: No such file or directory",
        ),
        (
            "kernel/bpf/map_iter.o",
            "WARN",
            "kernel/bpf/map_iter.c",
            206,
            "-Wunused-variable",
            "unused variable 'unused_thing'",
        ),
    ]


def test_what_clang_says() -> None:
    assert [row(s) for s in read("build-clang.txt")] == [
        ("kernel/bpf/crypto.o", "FAIL", "kernel/bpf/crypto.c", 83, "error", "expected ';' after return statement"),
        (
            "kernel/bpf/map_iter.o",
            "WARN",
            "kernel/bpf/map_iter.c",
            205,
            "-Wunused-variable",
            "unused variable 'unused_thing'",
        ),
        ("kernel/bpf/cpumask.o", "FAIL", None, None, "error", "expected relocatable expression"),
    ]


def test_kernel_doc_says_everything_twice_and_is_heard_once() -> None:
    found = [s for s in read("build-warnings.txt") if s.finding.type == "kernel-doc"]
    messages = [s.finding.message for s in found]
    assert len(messages) == len(set(messages)) == 9
    assert row(found[4]) == (
        "kernel/sched/ext/ext.o",
        "WARN",
        "kernel/sched/ext/ext.c",
        2724,
        "kernel-doc",
        "function parameter 'sch' not described in 'finish_dispatch'",
    )


def test_a_warning_of_a_header_belongs_to_each_object() -> None:
    found = [s for s in read("build-warnings.txt") if s.finding.file == "kernel/sched/ext/internal.h"]
    assert [s.target for s in found] == ["kernel/sched/ext/cid.o", "kernel/sched/ext/idle.o"]
    assert len({s.finding for s in found}) == 1


def test_modpost_names_the_module_and_the_symbol() -> None:
    found = read("build-modpost.txt")
    assert found[0].finding.file == "bpf_test_modorder_x.ko"
    assert found[0].finding.message == "symbol 'KFA_RUC' undefined!"
    assert {s.finding.type for s in found} == {"modpost"}, "make's own line is explained by them"


def test_the_linker_names_the_misspelt_flag() -> None:
    found = {s.finding.message: s.finding for s in read("build-undefined.txt")}
    flag = found["undefined reference to 'KFA_RUC'"]
    assert (flag.status, flag.file, flag.type) == (Status.FAIL, "map_iter.c", "ld")
    assert found["undefined reference to 'bpf_map_get_with_uref'"].file == "kernel/bpf/map_iter.c"
    assert found["undefined reference to 'bpf_map_get_with_uref'"].line == 112


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "vmlinux.o: warning: objtool: do_one+0x1f: unreachable instruction",
            ("WARN", "vmlinux.o", None, "objtool", "do_one: unreachable instruction"),
        ),
        (
            "a/b.c:7:3: error: 'x' undeclared [-Werror=implicit]",
            ("FAIL", "a/b.c", 7, "-Wimplicit", "'x' undeclared"),
        ),
        (
            "WARNING: unmet direct dependencies detected for HID_BPF",
            ("WARN", None, None, "kconfig", "unmet direct dependencies detected for HID_BPF"),
        ),
        (
            "make[3]: *** [../scripts/Makefile.build:229: kernel/x.o] Error 127",
            ("FAIL", "kernel/x.o", None, "make", "make could not build kernel/x.o (Error 127)"),
        ),
        (
            f"{SOURCE}/a.c:3:1: warning: see {SOURCE}/b.h",
            ("WARN", "a.c", 3, "warning", "see b.h"),
        ),
    ],
)
def test_one_line(line: str, expected: tuple[object, ...]) -> None:
    (said,) = parse(line, source=SOURCE, out=OUT)
    finding = said.finding
    assert (finding.status.value, finding.file, finding.line, finding.type, finding.message) == expected


@pytest.mark.parametrize(
    "line",
    [
        "cc1: all warnings being treated as errors",
        "a/b.c:7:3: note: declared here",
        "In file included from a/b.c:1:",
        "  CC      kernel/bpf/core.o",
        "make[1]: Target 'kernel/bpf/nope.o' not remade because of errors.",
        "1 warning generated.",
        "",
    ],
)
def test_no_finding(line: str) -> None:
    assert parse(line, source=SOURCE, out=OUT) == []


def test_a_finding_that_moved_is_the_same() -> None:
    here, there = (parse(f"a.c:{n}:1: warning: x+0x{n} is bad [-Wx]", source=SOURCE, out=OUT) for n in (3, 99))
    assert here == there
    assert here[0].finding.line != there[0].finding.line


def test_the_failure_of_a_folder_is_only_a_consequence() -> None:
    log = "  CC      a/b/c.o\na/b/c.c:1:1: error: bad\n"
    log += "make[2]: *** [m:1: a/b/c.o] Error 1\nmake[1]: *** [m:1: a/b] Error 2\n"
    assert [s.finding.message for s in parse(log, source=SOURCE, out=OUT)] == ["bad"]
