"""Tests of checks/build.py: real make and a real compiler on the tiny kernel, then on a real one."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from conftest import RealKernel
from subjects import make_subject, site_of
from tinytree import TESTS, bounds, with_bounds
from toolchain import needs_s390

from patchbot import run as running
from patchbot.checking.check import Outcome, Subject, load
from patchbot.checking.tasks import run_task, tasks
from patchbot.git.repo import Repo
from patchbot.model import Status
from patchbot.progress import shown
from patchbot.terminal import Terminal

LACKING = [tool for tool in ("gcc", "make", "pahole", "perl") if not shutil.which(tool)]
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {LACKING}")

CPUMASK = "kernel/bpf/cpumask.c"
SETS = [CPUMASK, "kernel/bpf/helpers.c", "kernel/sched/ext/ext.c"]
WANTED = "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_CGROUPS=y\nCONFIG_SCHED_CLASS_EXT=y\n"
Change = Mapping[str, bytes | None]


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    file = tmp_path / "wanted.config"
    file.write_text(WANTED)
    return file


def subject_of(tiny: Repo, where: Path, wanted: Path, changes: Sequence[Change]) -> Subject:
    """Return a series of which each patch makes one change."""
    commits = [(f"patch {n}\n\nbody\n", change) for n, change in enumerate(changes, 1)]
    subject = make_subject(tiny, "HEAD", commits, where, options={"config": str(wanted)})
    return replace(subject, witnesses=lambda commit: SETS)


def run_all(subject: Subject) -> list[Outcome]:
    check = load("build")
    assert check.patch is not None
    return [check.patch(subject, item) for item in subject.items]


def text(tiny: Repo, path: str) -> bytes:
    data = tiny.read(tiny.resolve("HEAD"), path)
    assert data is not None
    return data


def edited(tiny: Repo, path: str, old: bytes, new: bytes) -> Change:
    data = text(tiny, path)
    assert old in data
    return {path: data.replace(old, new, 1)}


def compiled(outcome: Outcome) -> int:
    """Return how many objects make compiled, as the check's log says."""
    assert outcome.log is not None
    return len(re.findall(r"^  CC ", outcome.log.read_text(), re.M))


def test_a_misspelt_flag_that_stands_alone(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad = edited(tiny, CPUMASK, b"bpf_cpumask_release, KF_RELEASE)", b"bpf_cpumask_release, KF_RELAESE)")
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [bad]))
    (finding,) = outcome.findings
    assert outcome.status is Status.FAIL
    assert (finding.file, finding.type) == (CPUMASK, "undefined-flag")
    assert "'KF_RELAESE'" in finding.message
    assert finding.line is not None
    assert b"KF_RELAESE" in bad[CPUMASK].splitlines()[finding.line - 1]


def test_a_misspelt_flag_in_an_expression(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad = edited(tiny, CPUMASK, b"KF_ACQUIRE | KF_RET_NULL", b"KF_ACQUIRE | KF_RET_NUL")
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [bad]))
    assert outcome.status is Status.FAIL
    assert {f.file for f in outcome.findings} == {CPUMASK}


def test_a_dropped_semicolon_fails_once(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad = edited(tiny, CPUMASK, b"return NULL;", b"return NULL")
    good = {CPUMASK: text(tiny, CPUMASK)}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [bad, good]))
    assert first.status is Status.FAIL
    assert [(f.file, f.type) for f in first.findings] == [(CPUMASK, "error")]
    assert "';'" in first.findings[0].message
    assert second.status is Status.PASS, "the patch that mends it is fine"


def test_what_does_not_compile_before_is_no_pass(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad = edited(tiny, CPUMASK, b"return NULL;", b"return NULL")
    still = {CPUMASK: bad[CPUMASK] + b"\n/* and a comment */\n"}
    _, second = run_all(subject_of(tiny, tmp_path, wanted, [bad, still]))
    assert second.status is Status.SKIP
    assert "at the parent either: kernel/bpf/cpumask.o" in second.reason


def test_a_new_warning_fails_an_old_one_does_not(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    warns = edited(tiny, CPUMASK, b"{\n\treturn NULL;", b"{\n\tint unused;\n\n\treturn NULL;")
    moved = {CPUMASK: b"/* one more line */\n" + warns[CPUMASK]}
    other = {CPUMASK: moved[CPUMASK].replace(b"int unused;", b"int another;")}
    first, second, third = run_all(subject_of(tiny, tmp_path, wanted, [warns, moved, other]))
    assert [(f.type, f.message) for f in first.findings] == [("-Wunused-variable", "unused variable 'unused'")]
    assert first.status is Status.FAIL
    assert second.status is Status.PASS, "a warning that merely moved is not new"
    assert third.status is Status.FAIL, "a warning replaced by another one is new"


def test_what_is_new_belongs_to_the_patch_that_brought_it(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """A warning counts in its function, once for each place, and it may move between files."""
    calm, helpers = text(tiny, CPUMASK), text(tiny, "kernel/bpf/helpers.c")
    odd = b"\nint odd(void);\nint odd(void)\n{\n\tint unused;\n\n\treturn 0;\n}\n"
    changes = [
        {CPUMASK: calm + odd},
        {CPUMASK: calm},
        {CPUMASK: calm + odd},
        {CPUMASK: calm, "kernel/bpf/helpers.c": helpers + odd},
        {"kernel/bpf/helpers.c": helpers + odd.replace(b"\n\treturn 0", b"\t{ int unused; }\n\treturn 0")},
        {"kernel/bpf/helpers.c": helpers + odd.replace(b"odd", b"even") + odd.replace(b"int unused;", b"")},
    ]
    outcomes = run_all(subject_of(tiny, tmp_path, wanted, changes))
    assert [o.status.value for o in outcomes] == ["FAIL", "PASS", "FAIL", "PASS", "FAIL", "FAIL"]
    line = len(helpers.splitlines()) + 6
    assert [(f.file, f.line) for f in outcomes[4].findings] == [("kernel/bpf/helpers.c", line)]


def test_a_header_compiles_every_set(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    header = {"include/linux/btf.h": text(tiny, "include/linux/btf.h") + b"\n/* end */\n"}
    source = {CPUMASK: text(tiny, CPUMASK) + b"\n/* end */\n"}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [header, source]))
    assert (first.status, first.examined) == (Status.PASS, 3)
    assert compiled(first) == 3, "the objects of the parent: the compiler reads the same after the patch"
    assert (second.status, second.examined) == (Status.PASS, 1)
    assert compiled(second) == 1, "the parent's object is known from the patch before"


def test_nothing_is_compiled_twice(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    changes = [
        {CPUMASK: text(tiny, CPUMASK) + b"\n/* 1 */\n"},
        {"kernel/bpf/helpers.c": text(tiny, "kernel/bpf/helpers.c") + b"\n/* 2 */\n"},
    ]
    subject = subject_of(tiny, tmp_path, wanted, changes)
    before = run_all(subject)
    after = run_all(subject)
    assert [o.status for o in after] == [o.status for o in before] == [Status.PASS] * 2
    assert [compiled(o) for o in after] == [0, 0]


def waiting(subject: Subject) -> Subject:
    """Return a subject as a check gets it that has all patches to judge."""
    return replace(subject, pending={item.id for item in subject.items})


def test_the_next_patches_are_compiled_in_one_go(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """Each message belongs to its own patch all the same; what changes once more, or a header, is another matter."""
    sets = [{path: text(tiny, path) + b"\n/* 1 */\n"} for path in SETS]
    sets[1] = {SETS[1]: text(tiny, SETS[1]) + b"\nstatic int unused;\n"}
    again = {CPUMASK: text(tiny, CPUMASK) + b"\n/* 2 */\n"}
    header = {"include/linux/btf.h": text(tiny, "include/linux/btf.h") + b"\nextern int more;\n"}
    subject = subject_of(tiny, tmp_path, wanted, [*sets, again, header])
    check = load("build")
    assert check.patch is not None
    found = [check.patch(waiting(subject), item) for item in subject.items]
    assert [o.status for o in found] == [*(Status.PASS, Status.FAIL), *[Status.PASS] * 3]
    assert [f.file for f in found[1].findings] == [SETS[1]]
    assert [compiled(o) for o in found] == [3 + 3 + 1, 0, 0, 0, 3], "cpumask.c is in between what it is at no end"


def test_a_later_patch_does_not_help_with_a_generated_header(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """From kernel/bounds.c comes a header for all: what an object made of it is no file of the tree."""
    early = text(tiny, CPUMASK) + b"\n#include <generated/bounds.h>\nint early[SECOND];\n"
    later = {"kernel/bounds.c": bounds("FIRST 1", "SECOND 2")}
    changes = [with_bounds(tiny, "FIRST 1"), {CPUMASK: early}, {SETS[1]: text(tiny, SETS[1]) + b"\n/* 1 */\n"}, later]
    subject = subject_of(tiny, tmp_path, wanted, changes)
    check = load("build")
    assert check.patch is not None
    found = [check.patch(waiting(subject), item) for item in subject.items]
    assert found[1].status is Status.FAIL, [o.reason for o in found]
    assert "SECOND" in found[1].findings[0].message


@pytest.mark.parametrize("main", ["", CPUMASK])
@pytest.mark.parametrize(
    ("old", "new", "user"),
    [
        pytest.param("#define OURS(x) (x)", "#define THEIRS(x) (x)", "int user = OURS(1);", id="macro that is gone"),
        pytest.param("#define OURS(x) (x)", "#define OURS(x) (2 * (x))", "char *user = OURS((char *)0);", id="macro"),
        pytest.param("int f(int x);", "int f(int x, int y);", "int user(void) { return f(1); }", id="parameter"),
        pytest.param(
            "struct s { int x; };", "struct s { int y; };", "int u(struct s *s) { return s->x; }", id="member"
        ),
        pytest.param("enum { OLD };", "enum { NEW };", "int user = OLD;", id="constant"),
        pytest.param("#include <linux/other.h>", "", "int user = OTHER;", id="header"),
    ],
)
def test_who_uses_what_a_header_lost_is_compiled(
    tiny: Repo, tmp_path: Path, wanted: Path, main: str, old: str, new: str, user: str
) -> None:
    """Many include the header, one that comes late uses what changed; an object of the campaign may show it, too."""
    header, include, names = "include/linux/ours.h", b"#include <linux/ours.h>\n", [f"user{n}" for n in range(6)]
    objects = f"obj-y += {' '.join(n + '.o' for n in names)}\n".encode()
    first = {
        header: f"{old}\n#define MORE 1\n".encode(),
        "include/linux/other.h": b"#define OTHER 1\n",
        **{f"net/core/{name}.c": include for name in names},
        "net/core/user5.c": include + user.encode() + b"\n",
        "net/core/Makefile": text(tiny, "net/core/Makefile") + objects,
        **({main: include + text(tiny, main)} if main else {}),
    }
    second = {header: f"{new}\n#define MORE 1\n".encode()}
    if main:  # the patch mends one user of them all
        second[main] = first[main] + b"/* mended */\n"
    _, outcome = run_all(subject_of(tiny, tmp_path, wanted, [first, second]))
    fails = [f for f in outcome.findings if f.status is Status.FAIL]
    assert {f.file for f in fails} <= {"net/core/user5.c", header}, outcome
    assert fails


def test_users_of_a_header_that_are_too_many_are_counted(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    header, names = "include/linux/ours.h", [f"user{n}" for n in range(20)]
    objects = f"obj-y += {' '.join(n + '.o' for n in names)}\n".encode()
    first = {
        header: b"#define OURS 1\n",
        **{f"net/core/{name}.c": b"#include <linux/ours.h>\nint %b = OURS;\n" % name.encode() for name in names},
        "net/core/Makefile": text(tiny, "net/core/Makefile") + objects,
    }
    _, outcome = run_all(subject_of(tiny, tmp_path, wanted, [first, {header: b"#define OURS 2\n"}]))
    assert (outcome.status, outcome.examined) == (Status.PASS, 3 + 16)
    assert "16 of the 20 files that show what changed in include/linux/ours.h" in outcome.reason


def test_a_file_that_is_found_before_another_one(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    user = "kernel/bpf/cpumask.c"
    changes = [
        {
            "include/linux/ours.h": b"#define OURS 1\n",
            user: text(tiny, user) + b'#include "linux/ours.h"\nint o = OURS;\n',
        },
        {"kernel/bpf/linux/ours.h": b"#define THEIRS 1\n"},
    ]
    first, second = run_all(subject_of(tiny, tmp_path, wanted, changes))
    assert (first.status, second.status) == (Status.PASS, Status.FAIL), second


def test_what_another_configuration_has_is_compiled_in_one_go_too(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    changes = [{path: text(tiny, path) + b"\n/* 1 */\n"} for path in (NET, CPUMASK)]
    subject = subject_of(tiny, tmp_path, wanted, changes)
    check = load("build")
    assert check.patch is not None
    first = check.patch(waiting(subject), subject.items[0])
    assert (first.status, compiled(first)) == (Status.PASS, 2), "cpumask.c is no matter of allyesconfig"


def test_a_rebase_compiles_what_it_touched(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    change = {CPUMASK: text(tiny, CPUMASK) + b"\n/* 1 */\n"}
    run_all(subject_of(tiny, tmp_path, wanted, [change]))
    elsewhere = {"net/core/xdp.c": text(tiny, "net/core/xdp.c") + b"\n/* new in the base */\n"}
    rebased = subject_of(tiny, tmp_path, wanted, [elsewhere, change])
    check = load("build")
    assert check.patch is not None
    outcome = check.patch(rebased, rebased.items[1])
    assert (outcome.status, compiled(outcome)) == (Status.PASS, 0)


NET = "net/core/xdp.c"


def test_what_is_not_in_the_configuration_is_no_pass(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    subject = subject_of(tiny, tmp_path, wanted, [{NET: text(tiny, NET) + b"\n/* end */\n"}])
    (outcome,) = run_all(replace(subject, options={**subject.options, "allyesconfig": False}))
    assert outcome.status is Status.SKIP
    assert f"1 of 1 file not compiled: {NET} (not in this configuration)" in outcome.reason
    assert [(f.status, f.file) for f in outcome.findings] == [(Status.SKIP, NET)]


def test_what_the_configuration_lacks_is_compiled_in_allyesconfig(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    fine = {path: text(tiny, path) + b"\n/* end */\n" for path in (NET, CPUMASK)}
    bad = {NET: fine[NET] + b"\nstatic int unused;\n"}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [fine, bad]))
    assert (first.status, first.findings) == (Status.PASS, ())
    assert first.reason == "compiled kernel/bpf/cpumask.o; in allyesconfig net/core/xdp.o"
    assert [(f.status, f.file, f.type) for f in second.findings] == [(Status.FAIL, NET, "-Wunused-variable")]
    assert second.findings[0].message.endswith("(allyesconfig)")
    assert second.reason == "compiled in allyesconfig net/core/xdp.o"
    assert "make O=out-allyesconfig ARCH=x86_64 -j$(nproc) -k W=1 net/core/xdp.o" in second.reproduce
    assert second.log is not None
    assert "SYNC" not in second.log.read_text(), "it is configured once"


@pytest.mark.parametrize("path", [CPUMASK, NET])
def test_a_warning_of_a_file_that_moves_is_not_new(tiny: Repo, tmp_path: Path, wanted: Path, path: str) -> None:
    odd = b"\nint odd(void);\nint odd(void)\n{\n\tint unused;\n\n\treturn 0;\n}\n"
    warns = text(tiny, path) + odd
    makefile, obj = f"{path.rpartition('/')[0]}/Makefile", Path(path).stem.encode()
    rules = {makefile: text(tiny, makefile).replace(obj + b".o", obj + b"2.o")}
    moves = {path: None, path.replace(".c", "2.c"): warns.replace(b"int unused", b"long unused"), **rules}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [{path: warns}, moves]))
    assert first.status is Status.FAIL
    assert not [f for f in second.findings if f.status is Status.FAIL], second.findings


def test_allyesconfig_makes_no_error_of_a_warning(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    kconfig = {"Kconfig": text(tiny, "Kconfig") + b'\nconfig NET_WERROR\n\tbool "Errors"\n\tdepends on NET\n'}
    subject = subject_of(tiny, tmp_path, wanted, [{**kconfig, NET: text(tiny, NET) + b"\n/* end */\n"}])
    run_all(subject)
    config = (subject.work / "build/allyesconfig/out/.config").read_text()
    assert "CONFIG_NET=y" in config
    assert "# CONFIG_NET_WERROR is not set" in config


def test_a_header_beside_its_users_is_compiled_with_them(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    header, ours = "net/core/ours.h", "static inline int ours(void)\n{\n\treturn 0;\n}\n"
    add = {header: ours.encode(), NET: text(tiny, NET) + b'\n#include "ours.h"\n'}
    bad = {header: ours.replace("return 0", "return no").encode()}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [add, bad]))
    assert first.status is Status.PASS, first
    assert [(f.status, f.file) for f in second.findings] == [(Status.FAIL, header)]


def test_what_no_configuration_builds_is_named_with_the_reason(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    never = b'\nconfig NEVER\n\tbool "Not on x86"\n\tdepends on S390\n'
    rules = b"obj-$(CONFIG_NEVER) += pair.o\npair-y += \\\n\tone.o two.o\n"
    add = {
        "Kconfig": text(tiny, "Kconfig") + never,
        "net/core/Makefile": text(tiny, "net/core/Makefile") + rules,
        **{f"net/core/{name}.c": b"int in_pair;\n" for name in ("one", "lonely")},
        CPUMASK: text(tiny, CPUMASK) + b"\n/* end */\n",
        "rust/kernel/lib.rs": b"\n",
    }
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [add]))
    assert outcome.status is Status.SKIP
    assert "compiled kernel/bpf/cpumask.o; 5 of 6 files not compiled: " in outcome.reason
    nor = "not compiled: not in this configuration, nor in allyesconfig"
    assert {f.file: f.message for f in outcome.findings if f.file and not f.file.startswith(("Kc", "net/core/M"))} == {
        "net/core/lonely.c": nor,
        "net/core/one.c": f"{nor}: it needs CONFIG_NEVER",
        "rust/kernel/lib.rs": "not compiled: it is Rust, not C",
    }


def test_a_part_that_is_not_compiled_keeps_the_patch_from_passing(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    both = {path: text(tiny, path) + b"\n/* end */\n" for path in (NET, CPUMASK)}
    subject = subject_of(tiny, tmp_path, wanted, [both])
    (outcome,) = run_all(replace(subject, options={**subject.options, "allyesconfig": False}))
    assert outcome.status is Status.SKIP
    assert "compiled kernel/bpf/cpumask.o" in outcome.reason
    assert NET in outcome.reason


def test_documentation_is_nothing_to_compile(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [{"Documentation/new.rst": b"New\n"}]))
    assert (outcome.status, outcome.reason) == (Status.SKIP, "it holds nothing to compile")


def test_a_file_that_another_one_includes(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    part = "kernel/bpf/part.c"
    add = {part: b"int in_a_part;\n", CPUMASK: text(tiny, CPUMASK) + b'\n#include "part.c"\n'}
    change = {part: b"int in_a_part;\nstatic int unused_part;\n"}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [add, change]))
    assert first.status is Status.PASS
    assert [(f.file, f.type) for f in second.findings] == [(part, "-Wunused-variable")]
    assert "compiled kernel/bpf/cpumask.o" in second.reason


def test_a_header_that_nothing_includes_is_no_pass(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [{"include/linux/lonely.h": b"int lonely;\n"}]))
    assert outcome.status is Status.SKIP
    assert "include/linux/lonely.h (nothing that was compiled includes it)" in outcome.reason


def test_a_test_module(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    module = "tools/testing/selftests/bpf/test_kmods/bpf_testmod.c"
    fine = {module: text(tiny, module) + b"\n/* end */\n"}
    bad = {module: text(tiny, module) + b"\nint unfinished = ;\n"}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [fine, bad]))
    assert first.status is Status.PASS, first
    assert [(f.status, f.file) for f in second.findings] == [(Status.FAIL, module)]


def test_dropped_and_unknown_options_are_told_on_the_first_patch(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    wanted.write_text(WANTED + "CONFIG_NET_SCH_BPF=y\nCONFIG_NO_SUCH=y\n")
    changes = [{CPUMASK: text(tiny, CPUMASK) + b"/* %d */\n" % n} for n in (1, 2)]
    first, second = run_all(subject_of(tiny, tmp_path, wanted, changes))
    assert [(f.status, f.type) for f in first.findings] == [(Status.WARN, "config-dropped")]
    assert "CONFIG_NET_SCH_BPF=y" in first.findings[0].message
    assert "this kernel has no CONFIG_NO_SUCH" in first.reason
    assert (second.status, second.findings) == (Status.PASS, ())


def test_without_btf_it_says_that_it_is_blind(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    wanted.write_text(WANTED.replace("CONFIG_DEBUG_INFO_BTF=y", "# CONFIG_DEBUG_INFO_BTF is not set"))
    (outcome,) = run_all(subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n"}]))
    assert "no-btf" in {f.type for f in outcome.findings}
    assert outcome.status is Status.WARN


def test_the_users_repository_is_left_alone(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    def state() -> list[bytes]:
        where = tiny.git_dir.parent
        files = sorted(p for p in where.rglob("*") if p.is_file())
        return [f"{p} {p.stat().st_mtime_ns}".encode() for p in files]

    before = state()
    run_all(subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n/* end */\n"}]))
    assert state() == before


def test_the_reproducing_line_compiles_the_same_objects(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    bad = edited(tiny, CPUMASK, b"{\n\treturn NULL;", b"{\n\tint unused;\n\n\treturn NULL;")
    subject = subject_of(tiny, tmp_path, wanted, [bad])
    (outcome,) = run_all(subject)
    source = tmp_path / "by-hand"
    line = outcome.reproduce.partition(" && ")[2].partition(" && ")[2]
    subject.scratch.git("read-tree", subject.items[0].tree, env={"GIT_INDEX_FILE": str(tmp_path / "i")})
    source.mkdir()
    subject.scratch.git(
        "checkout-index", "-a", env={"GIT_INDEX_FILE": str(tmp_path / "i"), "GIT_WORK_TREE": str(source)}, cwd=source
    )
    done = subprocess.run(["bash", "-c", line], cwd=source, capture_output=True, text=True, timeout=120)
    assert "unused variable" in done.stderr + done.stdout, outcome.reproduce
    assert outcome.reproduce.startswith("git worktree add --detach")


HELPERS = "kernel/bpf/helpers.c"
S390_ROW = {"file": HELPERS, "kfunc": "bpf_lowcore", "set": "generic_btf_ids", "conditions": ["CONFIG_S390"]}
IN_S390 = b"#ifdef CONFIG_S390\n__bpf_kfunc struct cgroup *bpf_lowcore(struct cgroup *cgrp)\n{\n"


def with_rows(subject: Subject) -> Subject:
    """Return a series whose inventory has a row that x86 lacks."""
    return replace(subject, sites=lambda commit: [site_of(S390_ROW)])


@needs_s390
def test_a_file_with_a_row_that_x86_lacks_is_compiled_for_what_has_it(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    warns = edited(tiny, HELPERS, IN_S390, IN_S390 + b"\tint unused;\n\n")
    fails = edited(tiny, HELPERS, IN_S390, IN_S390 + b"\tint x = y;\n\n")
    everywhere = {HELPERS: fails[HELPERS] + b"\nint nonsense = ;\n"}
    fine = {HELPERS: text(tiny, HELPERS)}
    changes = [warns, fails, everywhere, fine]
    first, second, third, fourth = run_all(with_rows(subject_of(tiny, tmp_path, wanted, changes)))
    assert [(f.file, f.type) for f in first.findings] == [(HELPERS, "-Wunused-variable")]
    assert first.status is Status.FAIL
    assert first.findings[0].message.endswith("(ARCH=s390)")
    assert first.reason.startswith("compiled kernel/bpf/helpers.o; for s390 kernel/bpf/helpers.o")
    assert first.examined == 2
    assert "make O=out-s390 ARCH=s390 CROSS_COMPILE=s390x-linux-gnu- -j$(nproc) -k W=1 kernel/bpf/helpers.o" in (
        first.reproduce
    )
    assert "'y' undeclared" in " ".join(f.message for f in second.findings)
    assert second.status is Status.FAIL
    assert [("ARCH=" in f.message) for f in third.findings] == [False], "what every compiler says is told once"
    assert fourth.status is Status.PASS


@needs_s390
def test_a_file_of_another_architecture_is_compiled_for_it(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    kbuild = {"Kbuild": text(tiny, "Kbuild") + b"obj-$(CONFIG_S390) += arch/s390/\n"}
    path = "arch/s390/bpf.c"
    add = {**kbuild, "arch/s390/Makefile": b"obj-y += bpf.o\n", path: b"int in_s390;\n"}
    bad = {path: b"int in_s390;\nint unfinished = ;\n"}
    first, second = run_all(subject_of(tiny, tmp_path, wanted, [add, bad]))
    assert "for s390 arch/s390/bpf.o" in first.reason
    assert [(f.status, f.file) for f in second.findings] == [(Status.FAIL, path)]


@pytest.mark.usefixtures("no_cross_compiler")
def test_what_no_compiler_here_sees_is_named_with_its_package(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    code = {HELPERS: text(tiny, HELPERS) + b"\n/* end */\n"}
    arch = {"arch/s390/bpf.c": b"int in_s390;\n"}
    first, second = run_all(with_rows(subject_of(tiny, tmp_path, wanted, [code, arch])))
    assert first.status is Status.PASS, "x86 has the rest of the file"
    assert "not compiled of kernel/bpf/helpers.c: the code that x86 cannot have (s390x-linux-gnu-gcc is" in first.reason
    assert "gcc-s390x-linux-gnu" in first.reason
    assert second.status is Status.SKIP
    assert "arch/s390/bpf.c (s390x-linux-gnu-gcc is not installed" in second.reason


@needs_s390
def test_a_compiler_that_goes_away_counts(
    tiny: Repo, tmp_path: Path, wanted: Path, request: pytest.FixtureRequest
) -> None:
    check = load("build")
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n"}])
    with_it = check.patch_key(subject, subject.items[0])
    assert with_it is not None
    assert "s390x-linux-gnu-gcc" in with_it
    request.getfixturevalue("no_cross_compiler")
    assert check.patch_key(subject, subject.items[0]) != with_it


@pytest.mark.parametrize(
    ("does", "why"),
    [
        ("kill -9 $$", r"something that make ran was killed"),
        ("echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1", r"terminated program cc1"),
        ("yes error | head -c 9000000 >&2", r"wrote more than 1 MB and was killed"),
    ],
)
def test_a_compiler_that_is_killed_or_floods_is_an_error_and_nothing_of_it_is_kept(
    tiny: Repo, tmp_path: Path, wanted: Path, monkeypatch: pytest.MonkeyPatch, does: str, why: str
) -> None:
    compiler, cause = tmp_path / "mycc", tmp_path / "cause"
    compiler.write_text(f"""#!/bin/sh\n[ -e {cause} ] && case "$*" in *cpumask.c*) {does};; esac\nexec gcc "$@"\n""")
    compiler.chmod(0o755)
    cause.touch()
    monkeypatch.setattr(running, "MOST_LOGGED", 1 << 20)
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n"}])
    subject = replace(subject, options={**subject.options, "cc": str(compiler), "ccache": False})
    (task,) = tasks(load("build"), subject, subject.items, whole=True)
    (result,) = run_task(subject, task)
    assert result.status is Status.ERROR
    assert re.search(why, result.reason), result.reason
    cause.unlink()
    (result,) = run_task(subject, task)
    assert (result.status, result.findings) == (Status.PASS, ())


def test_a_kill_in_the_middle_leaves_nothing_wrong(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    """Kill patchbot with its compiler while it compiles, then check again: half an object must not count."""
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n/* end */\n"}])
    slow = tmp_path / "bin/slow-gcc"
    slow.parent.mkdir()
    slow.write_text(
        '#!/bin/sh\ncase "$*" in *cpumask.c*) for a; do last=$o; o=$a; [ "$last" = -o ] && echo half >"$a"; done\n'
        'echo $$ >new; mv new compiling; sleep 60;; esac\nexec gcc "$@"\n'
    )
    slow.chmod(0o755)
    program = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/checks']\n"
        "from pathlib import Path\nfrom test_check_build import *\nfrom patchbot.git.repo import Repo\n"
        "where = Path(sys.argv[2])\n"
        "s = subject_of(Repo.open(Path(sys.argv[3])), where, where / 'wanted.config', [{CPUMASK: b'\\n'}])\n"
        "run_all(replace(s, options={**s.options, 'cc': sys.argv[4], 'ccache': False}))\n"
    )
    argv = [sys.executable, "-c", program, str(TESTS), str(tmp_path)]
    child = subprocess.Popen([*argv, str(tiny.git_dir.parent), str(slow)], start_new_session=True, env=dict(os.environ))
    out = subject.work / "build/out"
    for _ in range(300):
        if (out / "compiling").exists() or child.poll() is not None:
            break
        time.sleep(0.1)
    assert child.poll() is None, "it must be killed while it compiles"
    # Stopped, it cannot end its children kindly: make would remove the half object.
    os.kill(child.pid, signal.SIGSTOP)
    for line in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
        if b"make" in Path(f"/proc/{line}/cmdline").read_bytes():
            os.killpg(int(line), signal.SIGKILL)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert (out / ".patchbot-building").exists()
    assert (out / "kernel/bpf/cpumask.o").read_text() == "half\n"
    (outcome,) = run_all(subject)
    assert (outcome.status, outcome.findings) == (Status.PASS, ())
    assert (out / "kernel/bpf/cpumask.o").read_bytes().startswith(b"\x7fELF")


def test_a_second_patchbot_waits_and_says_for_whom(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n/* end */\n"}])
    program = (
        "import sys\nfrom pathlib import Path\nfrom patchbot.turns import Turn, call_me\n"
        "call_me('check')\nTurn(Path(sys.argv[1]), 'it', print)\nprint('locked', flush=True)\nsys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", program, str(subject.work / "build/lock")]
    said = io.StringIO()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()

        def let_go() -> None:
            while "waiting" not in said.getvalue():
                time.sleep(0.01)
            child.stdin.close()

        Thread(target=let_go, daemon=True).start()
        with shown(Terminal(file=said)):
            (outcome,) = run_all(subject)
    assert outcome.status is Status.PASS
    assert said.getvalue().startswith(
        f"waiting for `patchbot check` (process {child.pid}), which works on the objects in"
    )


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"confg": "x"}, "did you mean config"),
        ({"config": "no-such.config"}, "no-such.config cannot be read"),
        ({"jobs": "many"}, "checks.build.jobs is .many., not a number"),
        ({"cc": "no-such-gcc"}, "no-such-gcc is not installed"),
    ],
)
def test_options_are_checked(
    tiny: Repo, tmp_path: Path, wanted: Path, options: Mapping[str, object], complaint: str
) -> None:
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n"}])
    with pytest.raises(Exception, match=complaint):
        run_all(replace(subject, options=options))


def test_the_key_is_about_trees_and_tools(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    check = load("build")
    subject = subject_of(tiny, tmp_path, wanted, [{CPUMASK: text(tiny, CPUMASK) + b"\n"}])
    item = subject.items[0]
    key = check.patch_key(subject, item)
    assert key == check.patch_key(subject, replace(item, commit="0" * 40, subject="another message"))
    assert key != check.patch_key(subject, replace(item, tree=item.parent_tree))
    wanted.write_text(WANTED + "CONFIG_NET=y\n")
    assert key != check.patch_key(subject, item)


@pytest.mark.kernel
@pytest.mark.slow
def test_hand_made_faults_in_a_real_kernel(kernel: RealKernel, tmp_path: Path) -> None:
    def old(path: str) -> bytes:
        data = kernel.repo.read(kernel.commit, path)
        assert data is not None
        return data

    crypto, rows, stat = "kernel/bpf/crypto.c", "kernel/bpf/map_iter.c", "kernel/cgroup/rstat.c"
    ext = next(p for p in sorted(kernel.repo.ls(kernel.commit, "kernel/sched")) if p.endswith("/ext.c"))
    row = b"BTF_ID_FLAGS(func, bpf_map_sum_elem_count"
    line = next(r for r in old(rows).splitlines() if r.startswith(row))
    changes = [
        {rows: old(rows).replace(line, row + b", KFA_RUC)")},
        {crypto: old(crypto).replace(b"\treturn err;\n", b"\treturn err\n", 1)},
        {stat: old(stat) + b"\nvoid css_patchbot(void);\nvoid css_patchbot(void)\n{\n\tint unused;\n}\n"},
        {ext: old(ext) + b"\n/* included by build_policy.c */\n"},
        {"tools/lib/string.c": old("tools/lib/string.c") + b"\n/* a part of resolve_btfids */\n"},
        {"drivers/block/loop.c": old("drivers/block/loop.c") + b"\n/* not configured */\n"},
    ]
    commits = [(f"patch {n}\n\nbody\n", change) for n, change in enumerate(changes, 1)]
    outcomes = run_all(make_subject(kernel.repo, kernel.commit, commits, tmp_path))
    assert [o.status.value for o in outcomes] == ["FAIL", "FAIL", "FAIL", "PASS", "PASS", "SKIP"]
    kinds = [{f.type for f in o.findings} for o in outcomes[:3]]
    assert kinds == [{"undefined-flag"}, {"error"}, {"-Wunused-variable"}]
    assert "compiled kernel/sched/build_policy.o" in outcomes[3].reason
    assert "tools/bpf/resolve_btfids" in outcomes[4].reason
