"""The check `boot`: rows, programs, the machine, what it says, and what is made of it."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tinytree
from conftest import REAL_CACHE
from tinytree import TESTS

from patchbot.build import images, qemu
from patchbot.build.initramfs import pack
from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.boot import fit, judge, linked, programs, selftests, serial
from patchbot.campaigns.kfunc_flags.boot.fit import Kernel, describe
from patchbot.campaigns.kfunc_flags.boot.trials import Expected, LeftOut, Rows, read_rows
from patchbot.campaigns.kfunc_flags.proof.btf_ids import BtfIds, IdSet, Pair
from patchbot.campaigns.kfunc_flags.proof.meaning import Flags, Rule, read_flags
from patchbot.checking.check import load
from patchbot.errors import ToolError, UserError
from patchbot.git.repo import Scratch
from patchbot.model import Finding, Status
from patchbot.run import run

LOGS = TESTS / "logs"
MODULE = "kfa_test"
FLAGS = frozenset({"KFA_RELEASE", "KFA_RCU"})
BEFORE = frozenset({"KF_RELEASE", "KF_RCU", "KF_ACQUIRE", "KF_RET_NULL"})
#: What kernels with the series have: one of now, and one that still takes KF_RELEASE for whichever is referenced.
NEWEST = FLAGS | BEFORE | {"KF_IMPLICIT_ARGS", "KF_RELEASE=first"}
OLDEST = FLAGS | BEFORE | {"KF_TRUSTED_ARGS", "KF_RELEASE=referenced"}
ROW = """
[kind.newtask]
section = "tp_btf/task_newtask"
start = ""
[[program]]
name = "one"
"""
SET = """
[[set]]
name = "s"
rows = "BTF_KFUNC(f, 0, KFA_RCU)"
"""


@pytest.fixture(scope="module")
def shipped() -> Rows:
    return read_rows(bundled("checks/boot/programs.toml"))


def check_module() -> Any:
    """Return the check's own module."""
    series = load("boot").series
    assert series is not None
    return sys.modules[series.__module__]


def rows_of(tmp_path: Path, text: str) -> Rows:
    path = tmp_path / "rows.toml"
    path.write_text(text)
    return read_rows(path)


# --- rows


@pytest.mark.parametrize("have", [NEWEST, OLDEST])
def test_there_are_enough_programs_and_refused_sets(shipped: Rows, have: frozenset[str]) -> None:
    rows = shipped.known_to(have)
    assert len(rows.programs) >= 30
    assert sum(s.refused is not None for s in rows.sets) >= 12
    assert sum(s.refused is None for s in rows.sets) >= 3


def test_each_flag_has_a_pair(shipped: Rows) -> None:
    flags = {flag for p in shipped.programs for flag in p.needs if flag.startswith("KFA_")} | FLAGS
    assert len(flags) == 11
    for have in (NEWEST, OLDEST):
        assert shipped.known_to(have | flags).uncovered(flags) == []
        assert shipped.known_to(have).uncovered(FLAGS) == []
    assert shipped.uncovered({"KFA_NEW", *flags}) == ["KFA_NEW"]


def test_a_pair_differs_only_in_its_argument(shipped: Rows) -> None:
    pairs: dict[str, list[str]] = {}
    for program in shipped.programs:
        if program.argument:
            text = programs.source(program).replace(program.name, "NAME")
            pairs.setdefault(program.row, []).append(text.replace(f"#define ARG {program.argument}\n", ""))
    assert len(pairs) > 30
    assert all(len(texts) == 2 and texts[0] == texts[1] for texts in pairs.values())


def test_a_kernel_without_flags_gets_no_program_that_needs_them(shipped: Rows) -> None:
    rows = shipped.known_to(BEFORE)
    assert not any(p.needs for p in rows.programs)
    assert rows.sets == ()
    older = shipped.known_to(OLDEST - FLAGS)
    assert any(p.needs == {"KF_RELEASE=referenced"} for p in older.programs)
    assert not any(flag.startswith("KFA_") for p in older.programs for flag in p.needs)
    assert any("kfa_legacy_rcu" in p.body for p in rows.programs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('body = "x;"', "either arg"),
        ('body = "x;"\nverdict = "maybe"', "must be accept or reject"),
        ('body = "x;"\nverdict = "reject"', "needs the message"),
        ('body = "f(a);"\narg = { accept = "a", reject = "b" }\nmessage = "m"', "must say ARG"),
        ('body = "f(ARG);"\narg = { accept = "a" }\nmessage = "m"', "needs accept and reject"),
        ('body = "x;"\nverdict = "accept"\nkind = "other"', r"no \[kind.other\]"),
        ('body = "x;"\nverdict = "accept"\nflags = "KFA_RCU"', r"unknown \['flags'\]; known: .*flag"),
        ('body = "x;"\nverdict = "accept"\nneeds = ["v6.12"]', r"needs is \['v6.12'\]; it must be a list of KF_"),
        ('body = "x;"\nverdict = "accept"\nlacks = "KF_RCU"', "lacks is 'KF_RCU'"),
        ('body = "x;"\nverdict = "reject"\nmessage = "("', "cannot be used as a regular expression"),
        ('body = "x;"\nverdict = "accept"\nbase = { verdict = "reject" }', "base needs a verdict"),
        ('body = "x;"\nverdict = "accept"\n[[program]]\nname = "one"\nbody = "x;"\nverdict = "accept"', "two rows"),
        ('body = "x;"\nverdict = "accept"\n[[set]]\nname = "s"\nhook = "rx"\nrows = "R"', "the hook is 'rx'"),
        ('body = "x;"\nverdict = "accept"\n[[set]]\nname = "s"', "has no rows"),
        ('body = "x;"\nverdict = "accept"\n[other]\na = 1', "unknown table"),
        ('body = "x;"\nverdict = "accept"\n' + 2 * SET, "two rows"),
        ('body = "x;"\nverdict = "accept"\n' + SET + SET.replace('"s"', '"t"'), "in the hook tracing, but a module"),
    ],
)
def test_a_row_that_means_nothing_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rows_of(tmp_path, ROW + text)


def test_an_error_gives_the_line_of_the_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows.toml:6: program one"):
        rows_of(tmp_path, ROW + "verdict = 'no'")


# --- programs


@pytest.mark.skipif(not shutil.which(programs.CLANG), reason=f"{programs.CLANG} is not installed")
def test_a_program_that_does_not_compile_names_its_row(tmp_path: Path) -> None:
    header = tmp_path / "program.h"
    header.write_text("typedef unsigned long long __u64;\n#define SEC(x) __attribute__((section(x), used))\n")
    good = rows_of(tmp_path, ROW + 'body = "int n = ARG;"\narg = { accept = "1", reject = "2" }\nmessage = "m"')
    made = programs.compile_programs(good.programs, header, tmp_path, tmp_path / "out", 2)
    assert [path.name for path in made] == ["one_accept.o", "one_reject.o"]
    assert all(path.read_bytes()[:4] == b"\x7fELF" for path in made)
    before = made[0].stat().st_mtime_ns
    assert programs.compile_programs(good.programs, header, tmp_path, tmp_path / "out", 2) == made
    assert made[0].stat().st_mtime_ns == before
    bad = rows_of(tmp_path, ROW + 'body = "nothing();"\nverdict = "accept"')
    with pytest.raises(UserError, match=r"the program one does not compile:\n.*one:11:"):
        programs.compile_programs(bad.programs, header, tmp_path, tmp_path / "out", 2)


def test_the_sets_become_a_table_in_order(shipped: Rows) -> None:
    text = programs.sets_header(shipped.known_to(NEWEST).sets)
    names = re.findall(r'\{ "(\w+)", ', text)
    assert names == [s.name for s in shipped.known_to(NEWEST).sets]
    assert text.count("BTF_KFUNCS_START(") == text.count("BTF_KFUNCS_END(") == len(names) + 1
    good, bad = text.split(programs.HIDE)
    hidden = {s.name for s in shipped.known_to(NEWEST).sets if s.refused is not None}
    assert set(re.findall(r"BTF_KFUNCS_START\(kfa_set_(\w+)\)", bad)) == hidden, "else the module is not built"
    assert "BTF_KFUNCS_START(kfa_implicit)\nBTF_ID_FLAGS(func, kfa_s_implicit, KF_IMPLICIT_ARGS)\n" in good
    assert "BTF_ID_FLAGS(func, kfa_s_huge)\nRECORD(kfa_s_huge, 9001, 0xffffffff, 2)\n" in text
    assert "KFA_NULLABLE" not in text


# --- images


def test_modules_that_a_makefile_wants(tmp_path: Path) -> None:
    (tmp_path / "kfa_test.c").write_text("")
    text = bundled("checks/boot/Makefile").read_text()
    assert images.wanted_modules(text, tmp_path) == ["kfa_test"]
    (tmp_path / "kfa_sets.c").write_text("")
    assert sorted(images.wanted_modules(text, tmp_path)) == ["kfa_sets", "kfa_test"]


def test_complaints_are_the_lines_that_matter() -> None:
    said = "  CC      a.o\nb.c:3:1: error: no such thing\n  CC      d.o\nmake[1]: *** [b.o] Error 1\n"
    assert images.complaints(said) == "b.c:3:1: error: no such thing\nmake[1]: *** [b.o] Error 1"


# --- the machine

#: A kernel of our own for QEMU: says TEXT on the serial line, then ends the machine or hangs.
KERNEL = """
.section .multiboot, "a"
.long 0x1badb002, 0, -0x1badb002
.text
.globl _start
_start:
	mov $text, %esi
1:	lodsb
	test %al, %al
	jz 2f
	mov $0x3f8, %dx
	outb %al, %dx
	jmp 1b
2:	.if REBOOT
	mov $0xfe, %al
	outb %al, $0x64
	.endif
3:	hlt
	jmp 3b
text: .asciz "TEXT"
"""
needs_qemu = pytest.mark.skipif(not shutil.which(qemu.QEMU), reason=f"{qemu.QEMU} ({qemu.PACKAGE}) is not installed")


#: Seconds in which a busy machine starts QEMU.
PATIENCE = 10


def tiny_kernel(tmp_path: Path, text: str, reboot: bool) -> Path:
    source, obj, out = (tmp_path / name for name in ("k.s", "k.o", "kernel"))
    source.write_text(KERNEL.replace("REBOOT", str(int(reboot))).replace("TEXT", text.replace("\n", "\\n")))
    run(["as", "--32", source, "-o", obj])
    run(["ld", "-m", "elf_i386", "-Ttext=0x100000", "--section-start=.multiboot=0xff000", obj, "-o", out])
    return out


def start(tmp_path: Path, kernel: Path, timeout: float) -> tuple[qemu.Boot, str]:
    initramfs = tmp_path / "initramfs"
    pack({"init": b""}, initramfs)
    machine = qemu.boot(kernel, initramfs, tmp_path / "serial.txt", timeout)
    assert (tmp_path / "serial.txt").exists()
    return machine, serial.stopped(serial.parse(machine.serial), machine.serial, machine.timed_out, timeout)


@needs_qemu
def test_a_machine_that_ends(tmp_path: Path) -> None:
    machine, why = start(tmp_path, tiny_kernel(tmp_path, "patchbot: END 0\n", True), 30)
    assert (machine.serial, machine.timed_out, why) == ("patchbot: END 0\n", False, "")


@needs_qemu
def test_a_machine_that_hangs_is_killed_in_time(tmp_path: Path) -> None:
    machine, why = start(tmp_path, tiny_kernel(tmp_path, "Linux version\n", False), PATIENCE)
    assert machine.timed_out
    assert PATIENCE <= machine.seconds < 3 * PATIENCE
    assert why == f"the kernel hangs: {PATIENCE} s passed before the loader finished"
    assert serial.tail(machine.serial) == "Linux version"


@needs_qemu
def test_a_hang_after_the_end_is_one(tmp_path: Path) -> None:
    _, why = start(tmp_path, tiny_kernel(tmp_path, "patchbot: END 0\n", False), PATIENCE)
    assert why == f"the kernel hangs: {PATIENCE} s passed after the loader finished"


@needs_qemu
@pytest.mark.parametrize("reboot", [True, False])
def test_a_machine_without_a_console(tmp_path: Path, reboot: bool) -> None:
    _, why = start(tmp_path, tiny_kernel(tmp_path, "", reboot), PATIENCE)
    assert "no console driver (SERIAL_8250_CONSOLE)" in why


@needs_qemu
def test_a_machine_that_stops_early(tmp_path: Path) -> None:
    _, why = start(tmp_path, tiny_kernel(tmp_path, "Linux version\npatchbot: PROG a a: acc", True), 30)
    assert why == "the machine stopped before the loader finished"


@needs_qemu
def test_a_file_that_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"no kernel" * 1000)
    with pytest.raises(ToolError, match="QEMU cannot run the kernel"):
        start(tmp_path, tmp_path / "kernel", 30)


@needs_qemu
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"tip: .*no console driver.*serial log .*the.tip.serial.txt"),
        ("Linux\n", r"(?s)tip: the kernel hangs: 10 s passed before the loader finished; .*its end:\nLinux"),
        (
            "Kernel panic - not syncing: THE END\n",
            r"tip: the kernel panicked: Kernel panic - not syncing: THE END; serial log .*its end:\nKernel panic",
        ),
        (
            "kfa_test: why\npatchbot: MODULE kfa_test.ko: -8\npatchbot: END 1\n",
            r"tip: the loader cannot insert kfa_test.ko; serial log .*\n.*why",
        ),
    ],
)
def test_what_the_check_says_of_a_kernel_that_does_not_come_to_the_end(tmp_path: Path, text: str, message: str) -> None:
    module = check_module()
    (tmp_path / "init").write_bytes(b"")
    (tmp_path / "kfa_test.ko").write_bytes(b"")
    image = images.Image(tiny_kernel(tmp_path, text, "END" in text), tmp_path, {MODULE: tmp_path / "kfa_test.ko"})
    kernel = SimpleNamespace(what="tip", rows=Rows((), ()))
    with pytest.raises(ToolError, match=message):
        module.run(kernel, image, [], tmp_path, tmp_path / "the.log", module.Options(timeout=PATIENCE))
    assert (tmp_path / "the.tip.serial.txt").read_text().replace("\r", "") == text


# --- a real kernel that does not come to its end


@pytest.fixture(scope="module")
def image() -> Path:
    """Return a kernel that the check linked at some time, or that the environment names."""
    named = os.environ.get("PATCHBOT_TEST_IMAGE")
    found = [Path(named)] if named else sorted(REAL_CACHE.glob("repos/*/boot/images/*/bzImage"))
    if not found:
        pytest.skip("no linked kernel: `patchbot check --only boot` makes one, or PATCHBOT_TEST_IMAGE names a bzImage")
    return found[-1]


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize(
    ("init", "cmdline", "message"),
    [
        (None, "", "the kernel panicked: .*No working init found"),
        ("return 3;", "", "the kernel panicked: .*Attempted to kill init! exitcode=0x00000300"),
        ("for (;;) sleep(1000);", "", "the kernel hangs: 20 s passed before the loader finished"),
        ("for (;;) sleep(1000);", " console=ttyS9 console=null", "no console driver|the kernel hangs"),
    ],
)
def test_a_real_kernel_ends_in_bounded_time(
    tmp_path: Path, image: Path, init: str | None, cmdline: str, message: str
) -> None:
    files = {}
    if init is not None:
        (tmp_path / "init.c").write_text(f"#include <unistd.h>\nint main(void) {{ {init} }}\n")
        run(["gcc", "-static", "-o", tmp_path / "init", tmp_path / "init.c"])
        files["init"] = (tmp_path / "init").read_bytes()
    pack(files, tmp_path / "initramfs")
    machine = qemu.boot(image, tmp_path / "initramfs", tmp_path / "serial", 20, qemu.CMDLINE + cmdline)
    assert machine.seconds < 25
    why = serial.stopped(serial.parse(machine.serial), machine.serial, machine.timed_out, 20)
    assert re.search(message, why)


def test_the_initramfs_is_a_cpio_archive(tmp_path: Path) -> None:
    pack({"init": b"#!x\n", "programs/a.o": b"12345"}, tmp_path / "i")
    data = gzip.decompress((tmp_path / "i").read_bytes())
    assert len(data) % 4 == 0
    if shutil.which("cpio"):
        said = run(["cpio", "-itv"], stdin=data).stdout.decode()
        assert re.search(r"-rwxr-xr-x .* 5 .* programs/a\.o", said)
        assert re.search(r"crw------- .* 5, +1 .* dev/console", said)
    pack({"programs/a.o": b"12345", "init": b"#!x\n"}, tmp_path / "j")
    assert (tmp_path / "i").read_bytes() == (tmp_path / "j").read_bytes()


# --- what a kernel says


def test_a_panic() -> None:
    text = (LOGS / "boot-panic.txt").read_text()
    said = serial.parse(text)
    assert serial.stopped(said, text, False, 60).startswith(
        "the kernel panicked: Kernel panic - not syncing: Attempted"
    )
    assert said.splats[0].startswith("Kernel panic - not syncing: Attempted to kill init!")
    assert "Attempted to kill init! exitcode=0x00000300" in serial.tail(text)


def test_a_hang() -> None:
    text = (LOGS / "boot-hang.txt").read_text()
    assert (
        serial.stopped(serial.parse(text), text, True, 20) == "the kernel hangs: 20 s passed before the loader finished"
    )
    assert serial.tail(text, 6).startswith("Run /init as init process")


def good(shipped: Rows, name: str = "boot-good.txt", have: frozenset[str] = NEWEST) -> tuple[serial.Said, Rows]:
    """Return what a real kernel of a whole series said, shortened, and the rows that it is about."""
    said = serial.parse((LOGS / name).read_text())
    rows = shipped.known_to(have)
    return said, Rows(
        tuple(p for p in rows.programs if judge.key(p) in said.programs),
        tuple(s for s in rows.sets if s.name in said.sets),
    )


def test_a_good_boot(shipped: Rows) -> None:
    said, rows = good(shipped)
    assert said.end == 180
    assert said.splats == ()
    assert {name: module.errno for name, module in said.modules.items()} == {"kfa_test.ko": 0, "kfa_sets.ko": 0}
    lines = judge.judge_programs(rows.programs, said, said, [p.name for p in rows.programs])
    lines += judge.judge_sets(rows, said)
    assert len(lines) == 6 + len(rows.sets)
    assert list(judge.findings(lines)) == []
    shown = list(judge.right(lines))
    assert len(shown) == len(lines)
    assert {f.status for f in shown} == {Status.PASS}
    assert any(
        re.match(r"program rcu0_neighbour_reject: reject \(-22\), before the series reject .*: R2 must be", f.message)
        for f in shown
    )
    text = judge.table(lines)
    assert re.search(r"program +rcu0_neighbour_reject +KFA_RCU +reject +reject \(-22\).*R2 must be referenced", text)
    assert re.search(r"set +release_on_stack .* refuse \(-22\) .* invalid flags 0x1 of argument 5", text)
    assert "FAIL" not in text
    rows = judge.document(lines, {})["lines"]
    assert isinstance(rows, list)
    assert {row["status"] for row in rows} == {"PASS"}


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (
            "rcu0_neighbour_reject: reject -22",
            "rcu0_neighbour_reject: accept 0",
            "program rcu0_neighbour_reject: .*reject",
        ),
        (
            "rcu0_neighbour_accept: accept 0",
            "rcu0_neighbour_accept: reject -22",
            "program rcu0_neighbour_accept: .*accept",
        ),
        (
            "R2 must be referenced or trusted",
            "R1 must be referenced or trusted",
            "program rcu0_neighbour_reject: .*not with",
        ),
        ("SET scalar: -22", "SET scalar: 0", "set scalar: the kernel must refuse it"),
        ("SET good: 0", "SET good: -22", "set good: the kernel must accept it"),
        ("kfunc kfa_s_far (id", "kfunc kfa_s_near (id", "set release_on_stack: .*not with"),
        ("patchbot: SET too_many: -22\n", "", "set too_many: it was never registered"),
    ],
)
def test_one_wrong_word_is_one_finding(shipped: Rows, old: str, new: str, wrong: str) -> None:
    text = (LOGS / "boot-good.txt").read_text()
    assert old in text
    said = serial.parse(text.replace(old, new))
    _, rows = good(shipped)
    lines = judge.judge_programs(rows.programs, said, said, []) + judge.judge_sets(rows, said)
    found = list(judge.findings(lines))
    assert len(found) == 1
    assert found[0].status is Status.FAIL
    assert re.match(wrong, found[0].message)
    assert "    FAIL: " in judge.table(lines)


def test_a_good_boot_of_a_kernel_with_other_words(shipped: Rows) -> None:
    said, rows = good(shipped, "boot-good-6.12.txt", OLDEST)
    assert (said.end, said.splats) == (156, ())
    before = serial.Said(
        {**said.programs, "release0_task_not_whichever.o release0_task_not_whichever": verdict("accept")}
    )
    names = [p.name for p in rows.programs if not p.needs & FLAGS]
    lines = judge.judge_programs(rows.programs, said, before, names) + judge.judge_sets(rows, said)
    assert len(names) == 2
    assert len(lines) == 10 + len(rows.sets)
    assert list(judge.findings(lines)) == []


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("release_tasks_reject: reject -22", "release_tasks_reject: accept 0", "release_tasks_reject: .*must reject"),
        ("kfa_release_tasks expects", "kfa_release_task expects", "release_tasks_reject: rejected, but not with"),
        (
            "rcu0_neighbour_untrusted_accept: accept 0",
            "rcu0_neighbour_untrusted_accept: reject -22",
            "rcu0_neighbour_untrusted_accept: .*must accept",
        ),
        ("NULL pointer passed to trusted arg1", "NULL pointer passed to trusted arg0", "untrusted_reject: .*not with"),
        (": arg#0 pointer type STRUCT", ": arg#1 pointer type STRUCT", "task_release_twice: .*not with"),
        ("SET both_rcus: -22", "SET both_rcus: 0", "set both_rcus: the kernel must refuse it"),
    ],
)
def test_one_wrong_word_of_such_a_kernel_is_one_finding(shipped: Rows, old: str, new: str, wrong: str) -> None:
    text = (LOGS / "boot-good-6.12.txt").read_text()
    assert old in text
    said = serial.parse(text.replace(old, new))
    _, rows = good(shipped, "boot-good-6.12.txt", OLDEST)
    (found,) = judge.findings(judge.judge_programs(rows.programs, said, said, []) + judge.judge_sets(rows, said))
    assert re.search(wrong, found.message)


def test_a_program_that_says_nothing(shipped: Rows) -> None:
    said, rows = good(shipped)
    text = (LOGS / "boot-good.txt").read_text()
    without = serial.parse(text.replace("patchbot: PROG release1_accept.o release1_accept: accept 0\n", ""))
    (found,) = judge.findings(judge.judge_programs(rows.programs, without, said, []))
    assert found.message == "program release1_accept: the loader did not mention it"
    names = [p.name for p in rows.programs]
    (found,) = judge.findings(judge.judge_programs(rows.programs, said, without, names))
    assert found.message == "program release1_accept: before the series: the loader did not mention it"


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("task_release_reject: reject -22", "task_release_reject: accept 0", "before the series the verifier says acc"),
        ("task_release_accept: accept 0", "task_release_accept: reject -22", "before the series the verifier says rej"),
        ("task_release_reject: reject -22", "task_release_reject: reject -13", r"verifier says reject \(-13\)"),
        ("bpf_task_release expects", "bpf_task_release wants", r"verifier says \['.* wants .*now \['.* expects"),
    ],
)
def test_one_wrong_word_before_the_series_is_one_finding(shipped: Rows, old: str, new: str, wrong: str) -> None:
    said, rows = good(shipped)
    text = (LOGS / "boot-good.txt").read_text()
    assert old in text
    before = serial.parse(text.replace(old, new))
    (found,) = judge.findings(judge.judge_programs(rows.programs, said, before, [p.name for p in rows.programs]))
    assert found.status is Status.FAIL
    assert re.search(wrong, found.message)


@pytest.mark.parametrize(
    "splat",
    [
        "WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:12176 check_kfunc_call+0x1/0x2",
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "Oops: Oops: 0000 [#1] SMP",
        "verifier bug: more than one arg with ref_obj_id(1)",
    ],
)
def test_a_complaint_in_a_good_log_is_a_finding(splat: str) -> None:
    text = (LOGS / "boot-good.txt").read_text()
    said = serial.parse(text)
    at = text.index("patchbot: PROG release1_accept.o")
    (found,) = judge.judge_splats(serial.parse(f"{text[:at]}[    1.5] {splat}\n{text[at:]}"), said)
    assert found.status is Status.FAIL
    assert splat in found.message


def test_a_good_log_that_breaks_off() -> None:
    text = (LOGS / "boot-good.txt").read_text()
    torn = text[: text.rindex("patchbot: END")]
    assert serial.stopped(serial.parse(text), text, False, 60) == ""
    assert serial.stopped(serial.parse(torn), torn, False, 60) == "the machine stopped before the loader finished"
    assert "the kernel hangs" in serial.stopped(serial.parse(torn), torn, True, 60)


def test_lines_with_time_stamps() -> None:
    said = serial.parse(
        "[    1.234567] patchbot: LOG a.o a: R1 must be a rcu pointer\r\n"
        "[    1.234568][    T1] patchbot: PROG a.o a: reject -22\n"
        "[    1.3] patchbot: LIB b.o b: libbpf: extern 'x': not found\n<6>[    1.4] patchbot: PROG b.o b: absent -3\n"
        "[    1.5] patchbot: END 2\n".replace("\r", "")
    )
    assert said.programs["a.o a"] == serial.Verdict("reject", -22, ("R1 must be a rcu pointer",))
    assert said.programs["b.o b"].verdict == "absent"
    assert said.end == 2


def test_what_a_verification_took_is_read_of_accepted_and_refused_programs() -> None:
    text = (LOGS / "boot-counted.txt").read_text()
    programs = serial.parse(text).programs
    assert programs["release1_accept.o release1_accept"].cost == serial.Cost(15, 1, 1, 659)
    assert programs["release1_reject.o release1_reject"].cost == serial.Cost(9, 0, 0, 814)
    assert "verification time 814 usec" in programs["release1_reject.o release1_reject"].log
    assert programs["release1_reject.o release1_reject"].reasons == (
        "release kfunc kfa_release1 expects referenced PTR_TO_BTF_ID passed to R2",
        "Verification failed: Call Type Safety: Invalid call argument",
    )
    coarse = serial.parse(text, timed=False).programs["release1_reject.o release1_reject"].cost
    assert coarse == serial.Cost(9, 0, 0, None)
    without = re.sub(r"patchbot: STAT .*\n", "", text)
    assert {p.cost for p in serial.parse(without).programs.values()} == {None}


@pytest.mark.parametrize(
    "line",
    ["processed 1234567890123 insns (limit 1)", "processed 7 insns (limit 1000000) max_states_per_insn 0 total_"],
)
def test_a_torn_line_tells_no_cost(line: str) -> None:
    assert (
        serial.parse(f"patchbot: STAT a.o a: {line}\npatchbot: PROG a.o a: accept 0\n").programs["a.o a"].cost is None
    )


def test_the_clock_of_a_machine_can_count_instructions() -> None:
    plain, counted = (qemu.command(Path("k"), Path("i"), "stdio", counted=counted) for counted in (False, True))
    assert "-icount" not in plain
    assert [word for word in counted if word not in plain] == ["-icount", "shift=0,sleep=off"]


def test_a_torn_number_is_not_success() -> None:
    assert serial.parse("patchbot: SET one: \n").sets["one"].errno != 0


def test_messages_of_a_set_are_its_own() -> None:
    said = serial.parse(
        "patchbot: REGISTER a\nkfunc x (id: 7) has invalid flags 0x2 of argument 0\npatchbot: SET a: -22\n"
        "patchbot: REGISTER b\npatchbot: SET b: -22\n"
    )
    assert said.sets["a"].said == ("kfunc x (id: 7) has invalid flags 0x2 of argument 0",)
    assert said.sets["b"].said == ()
    assert said.splats == ()


def test_a_set_of_the_kernel_itself_is_not_refused() -> None:
    refused = "kfunc bpf_task_release (id: 9) has inconsistent flags of arguments\n"
    assert serial.parse(f"{refused}patchbot: MODULE kfa_test.ko: 0\n").splats == (refused.strip(),)
    assert serial.parse(f"patchbot: MODULE kfa_test.ko: 0\n{refused}").splats == ()


def test_the_kernel_complains_about_itself() -> None:
    text = (
        "WARNING: CPU: 1 PID: 33 at kernel/bpf/btf.c:9000 f+0x1/0x2\n"
        "kfunc bpf_task_release (id: 9) has inconsistent flags of arguments\nkfunc: all is well\n"
    )
    said = serial.parse(text)
    assert len(said.splats) == 2
    found = list(judge.judge_splats(said, serial.parse(text.replace("PID: 33", "PID: 44").splitlines()[0])))
    assert [f.status for f in found] == [Status.WARN, Status.FAIL]


# --- verdicts


def verdict(kind: str, *log: str, errno: int = -22) -> serial.Verdict:
    return serial.Verdict(kind, 0 if kind == "accept" else errno, log)


REJECT = Expected("reject", "R1 must be a rcu pointer")


@pytest.mark.parametrize(
    ("got", "expected", "wrong"),
    [
        (verdict("reject", "R1 must be a rcu pointer"), REJECT, ""),
        (verdict("accept"), Expected("accept"), ""),
        (verdict("accept"), REJECT, "must reject it, but says accept"),
        (verdict("reject", "R9 !read_ok"), Expected("accept"), r"must accept it, but says reject \(-22\): R9 !read_ok"),
        (verdict("reject", "R2 must be a rcu pointer"), REJECT, "rejected, but not with"),
        (verdict("reject"), REJECT, "rejected, but not with .* no message"),
        (verdict("reject", "4: (85) call f ; R1 must be a rcu pointer"), REJECT, "rejected, but not with"),
        (verdict("absent", "extern 'f': not found", errno=-3), REJECT, "never reached the verifier: extern 'f'"),
        (None, REJECT, "did not mention"),
    ],
)
def test_a_verdict_counts_with_its_message_only(got: serial.Verdict | None, expected: Expected, wrong: str) -> None:
    said = judge.mismatch(got, expected)
    assert re.search(wrong, said) if wrong else said == ""


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        (verdict("reject", "func 'f' arg0 has btf_id 5 type", "R1 must be a rcu pointer", "reg #7"), ""),
        (verdict("reject", "R1 must be referenced or trusted"), "before the series the verifier says .*referenced"),
        (verdict("reject", "R1 must be a rcu pointer", "reg #7", errno=-13), r"before the series .* reject \(-13\)"),
        (verdict("accept"), "before the series the verifier says accept"),
        (None, "before the series: the loader did not mention"),
    ],
)
def test_both_kernels_must_say_the_same(before: serial.Verdict | None, wrong: str) -> None:
    now = verdict("reject", "func 'f' arg0 has btf_id 999 type", "R1 must be a rcu pointer", "reg #8")
    said = judge.compare(now, before, None)
    assert re.search(wrong, said) if wrong else said == ""


def test_a_program_that_neither_kernel_can_take_is_a_remark(shipped: Rows) -> None:
    program = next(p for p in shipped.programs if p.name == "scx_task_cpu_accept")
    said = serial.Said({judge.key(program): verdict("absent", "extern 'scx_bpf_task_cpu': not found", errno=-3)})
    (found,) = judge.findings(judge.judge_programs([program], said, said, [program.name]))
    assert found.status is Status.WARN
    assert "neither kernel has what it calls: extern 'scx_bpf_task_cpu'" in found.message
    only_before = serial.Said({judge.key(program): verdict("accept")})
    (found,) = judge.findings(judge.judge_programs([program], said, only_before, [program.name]))
    assert found.status is Status.FAIL


def test_a_row_may_say_what_was_before() -> None:
    now, before = verdict("accept"), verdict("reject", "not yet")
    assert judge.compare(now, before, Expected("reject", "not yet")) == ""
    assert "before the series: " in judge.compare(now, before, Expected("accept"))


@pytest.mark.parametrize(
    ("got", "refused", "wrong"),
    [
        (serial.Registered(0), None, ""),
        (serial.Registered(-22, ("why",)), "wh", ""),
        (serial.Registered(-22), "", ""),
        (serial.Registered(0), "", "must refuse it, but accepts it"),
        (serial.Registered(-22, ("why",)), None, r"refuses it \(-22\): why"),
        (serial.Registered(-22, ("other",)), "why", "not with /why/; the kernel says: other"),
        (None, None, "never registered"),
    ],
)
def test_a_set_is_refused_for_the_right_reason(got: serial.Registered | None, refused: str | None, wrong: str) -> None:
    said = judge.wrong_set(got, refused)
    assert re.search(wrong, said) if wrong else said == ""


def test_selftests_say_themselves_what_they_expect() -> None:
    tags = ("comment:0:test_expect_failure", "comment:1:test_expect_msg=R{{[0-9]}} must (be) a rcu pointer")
    older = ("comment:test_expect_failure", "comment:test_expect_msg=12=R{{[0-9]}} must (be) a rcu pointer")
    said = serial.Said(
        {
            "selftest_a.o good": serial.Verdict("reject", -22, ("R1 must (be) a rcu pointer",), tags),
            "selftest_a.o old": serial.Verdict("reject", -22, ("R1 must (be) a rcu pointer",), older),
            "selftest_a.o older": serial.Verdict("reject", -22, ("12=R1 is something else",), older),
            "selftest_a.o other": serial.Verdict("reject", -22, ("R1 is something else",), tags),
            "selftest_a.o runs": serial.Verdict("accept", 0, (), tags),
            "selftest_a.o well": serial.Verdict("accept", 0, (), ("comment:2:test_expect_success",)),
            "selftest_a.o part": serial.Verdict("accept", 0, (), ()),
            "mine.o mine": serial.Verdict("accept", 0, (), ()),
        }
    )
    lines = {line.name: line.wrong for line in judge.judge_tags(said, ["selftest_a.o"])}
    assert sorted(lines) == [f"selftest_a.o {n}" for n in ("good", "old", "older", "other", "runs", "well")]
    assert "does not say" in lines["selftest_a.o older"]
    assert lines["selftest_a.o good"] == lines["selftest_a.o old"] == lines["selftest_a.o well"] == ""
    assert "does not say" in lines["selftest_a.o other"]
    assert "must reject it" in lines["selftest_a.o runs"]


def test_the_selftests_that_a_series_touches(tmp_path: Path) -> None:
    repo = tinytree.build(tmp_path / "linux")
    folder = f"{selftests.ROOT}/test_kmods"
    scratch = Scratch.at(tmp_path / "scratch", repo)
    tree = repo.tree_of(repo.resolve("HEAD"))
    assert selftests.find_selftests(scratch, tree, ["kernel/bpf/btf.c"]).modules == {}
    found = selftests.find_selftests(scratch, tree, [f"{folder}/bpf_testmod.c", f"{selftests.ROOT}/progs/gone.c"])
    assert found.inserted == {"bpf_testmod"}
    assert found.programs == ()
    assert found.modules["test_kmods/Makefile"] == repo.read(repo.resolve("HEAD"), f"{folder}/Makefile")
    assert "test_kmods/bpf_testmod.c" in found.modules
    assert not any(name.endswith(".gitignore") for name in found.modules)


# --- what a kernel has


def test_what_a_kernel_does_not_get_is_told(shipped: Rows) -> None:
    left = shipped.left_out(OLDEST)
    assert len(left) + len(shipped.known_to(OLDEST).programs) + len(shipped.known_to(OLDEST).sets) == len(
        shipped.programs
    ) + len(shipped.sets)
    assert LeftOut("set", "implicit", "it lacks KF_IMPLICIT_ARGS") in left
    assert LeftOut("program", "legacy_none_accept", "it has KF_TRUSTED_ARGS") in left
    lines = judge.skipped(left)
    assert list(judge.findings(lines)) == []
    assert "    SKIP: not tried on this kernel: it lacks KF_IMPLICIT_ARGS\n" in judge.table(lines)
    document = judge.document(lines, {})["lines"]
    assert isinstance(document, list)
    assert {row["status"] for row in document} == {"SKIP"}
    assert re.search(
        r"^left out, as it lacks KF_IMPLICIT_ARGS: 5 \(program .*, set implicit\)$", judge.group_left_out(left), re.M
    )


def test_features_come_from_the_tree() -> None:
    flags = read_flags(b"#define KF_RELEASE (1 << 1)\n#define KF_RCU (1 << 7)\n#define KFA_RCU (1 << 1)\n", b"")
    assert fit.features(flags, Rule("referenced")) == {"KF_RELEASE", "KF_RCU", "KFA_RCU", "KF_RELEASE=referenced"}


@pytest.mark.skipif(not shutil.which(programs.CLANG), reason=f"{programs.CLANG} is not installed")
def test_a_program_that_calls_what_a_kernel_lacks(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text(
        "void kept(void); void gone(void); void kfa_own(void); void f(void) { kept(); gone(); kfa_own(); }"
    )
    run([programs.CLANG, "-target", "bpf", "-O2", "-c", source, "-o", tmp_path / "a.o"])
    assert fit.called(tmp_path / "a.o") == {"kept", "gone", "kfa_own"}
    own = "__bpf_kfunc void kfa_own(void)"
    assert fit.absent([tmp_path / "a.o"], {"kept"}, own) == {"a": ["gone"]}
    assert fit.absent([tmp_path / "a.o"], {"kept", "gone"}, own) == {}
    (tmp_path / "a.o").write_bytes(b"no object")
    with pytest.raises(ToolError, match=r"a\.o cannot be read"):
        fit.called(tmp_path / "a.o")


def test_a_kfunc_that_only_the_configuration_lacks(tmp_path: Path, shipped: Rows) -> None:
    more = b"BPF_KFUNC(one, bpf_defined, KF_RCU);\nBPF_KFUNC((one, two), bpf_in_two, 0, KFA_RCU);\n"
    repo = tinytree.build(tmp_path / "linux", {"kernel/bpf/more.c": more})
    scratch = Scratch.at(tmp_path / "scratch", repo)
    tree = repo.tree_of(repo.resolve("HEAD"))
    names = ["bpf_qdisc_skb_drop", "scx_bpf_dsq_insert", "bpf_nothing", "bpf_kfree", "bpf_defined", "bpf_in_two", "one"]
    found = ["bpf_defined", "bpf_in_two", "bpf_qdisc_skb_drop", "scx_bpf_dsq_insert"]
    assert fit.rows_in_source(scratch, tree, names) == found
    assert fit.rows_in_source(scratch, tree, []) == []
    kernel = describe(scratch, "tip", tree, shipped)
    left = (LeftOut("program", "p", "", ("bpf_qdisc_skb_drop",)), LeftOut("program", "q", "", ("bpf_nothing",)))
    assert [(f.status, f.message) for f in check_module().judge_config(scratch, replace(kernel, left_out=left))] == [
        (Status.WARN, "this configuration leaves out bpf_qdisc_skb_drop, so no program tries it")
    ]


def test_a_kernel_that_gets_too_little_fails(tmp_path: Path, shipped: Rows) -> None:
    module = check_module()
    said, rows = good(shipped)
    flags = Flags({}, {"KFA_RCU": 1, "KFA_RELEASE": 2}, {})
    left = (LeftOut("program", "a", "it has no kfunc bpf_x", ("bpf_x",)),)
    contents = module.Contents(linked.Linked(53, 0, 0, ()), {"vmlinux": "53 sets"}, ())
    tip = module.Booted(Kernel("tip", "", flags, FLAGS, rows, left), contents, said, "")
    base = module.Booted(Kernel("base", "", flags, FLAGS, Rows((), ())), contents, said, "")
    seconds = {"build": 9, "base": 5, "tip": 5}
    note = Finding(Status.WARN, "one of the notes", None, None, "config")
    outcome = module.outcome_of(tip, base, [], seconds, [note], tmp_path / "the.log")
    messages = [(f.status, f.message) for f in outcome.findings]
    assert (Status.WARN, "one of the notes") in messages
    assert outcome.reason.endswith("boot 10 s, build 9 s")
    refused = sum(row.refused is not None for row in rows.sets)
    assert (Status.FAIL, f"only 6 programs and {refused} sets to refuse; at least 30 and 12") in messages
    assert outcome.status is Status.FAIL
    assert f"{refused} to refuse), 1 left out; 53 sets" in outcome.reason
    log = (tmp_path / "the.log").read_text()
    assert "left out, as it has no kfunc bpf_x: 1 (program a)" in log
    assert [one.posted for one in outcome.evidence] == [True, False]


def test_kernels_that_get_enough_pass(tmp_path: Path, shipped: Rows) -> None:
    """The real log has six programs; here each is there several times, under other names."""
    module = check_module()
    said, rows = good(shipped)
    again = [(p, replace(p, name=f"{p.name}_{n}", row=f"{p.row}_{n}")) for n in range(5) for p in rows.programs]
    verdicts = {judge.key(new): said.programs[judge.key(old)] for old, new in again}
    many, said = replace(rows, programs=tuple(new for _, new in again)), replace(said, programs=verdicts)
    contents = module.Contents(linked.Linked(53, 0, 0, ()), {"vmlinux": "53 sets"}, ())
    kernel = Kernel("tip", "", Flags({}, {"KFA_RCU": 1}, {}), FLAGS, many, ())
    tip, base = (module.Booted(replace(kernel, what=what), contents, said, "") for what in ("tip", "base"))
    outcome = module.outcome_of(tip, base, [], {"build": 9, "base": 5, "tip": 5}, [], tmp_path / "the.log")
    assert [f.message for f in outcome.findings if f.status is not Status.PASS] == []
    assert (outcome.status, outcome.examined) == (Status.PASS, 30 + len(rows.sets))


# --- linked files


def test_order_of_a_set() -> None:
    def pairs(*numbers: str) -> BtfIds:
        return BtfIds((IdSet("s", 3, tuple(linked_pair(n) for n in numbers)),))

    assert list(linked.wrong_order(pairs("5 a", "7 b", "9 c"))) == []
    assert list(linked.wrong_order(pairs("5 a", "9 c", "7 b"))) == ["the set s is not sorted: id 7 follows 9"]
    assert list(linked.wrong_order(pairs("7 b", "7 b"))) == ["the set s is not sorted: id 7 follows 7"]


def linked_pair(name: str) -> Pair:
    return Pair(name, 0)
