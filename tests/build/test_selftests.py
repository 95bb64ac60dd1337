"""Tests of patchbot/build/selftests.py and checks/selftests.py: real make, gcc and clang on rules like the kernel's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from subjects import make_subject

from patchbot.build.selftests import CLANG, PROGRAMS, ROOT, Goals, Selftests, find_goals
from patchbot.checking.check import Outcome, Subject, load
from patchbot.errors import MissingTool, ToolError
from patchbot.git.repo import Repo
from patchbot.model import Finding, Status
from patchbot.sandbox import NORMAL

needs_clang = pytest.mark.skipif(
    not all(shutil.which(p) for p in (*PROGRAMS, "make", "gcc")),
    reason=f"apt-get install {' '.join(PROGRAMS.values())}",
)
PROG = f"{ROOT}/progs/one.c"
TEST = f"{ROOT}/prog_tests/one.c"
#: As in the kernel's, a test waits for all skeletons by way of its .d file, and an included .d file is made anew.
MAKEFILE = b"""\
ALL := $(patsubst progs/%.c,$(OUTPUT)/%.skel.h,$(wildcard progs/*.c))
OBJS := $(patsubst prog_tests/%.c,$(OUTPUT)/%.test.o,$(wildcard prog_tests/*.c))
HEADER := $(OUTPUT)/tools/include/vmlinux.h
$(HEADER): $(VMLINUX_BTF)
\tmkdir -p $(@D)
\tcp $< $@
$(OUTPUT)/%.bpf.o: progs/%.c progs/*.h $(HEADER)
\t@printf '  CLNG-BPF [test_progs] %s\\n' $(notdir $@)
\t@$(CLANG) -g -Wall -Werror -I$(dir $(HEADER)) -O2 --target=bpf -c $< -o $@
$(ALL): %.skel.h: %.bpf.o
\t@(echo "struct $(*F) { struct {"; sed -n 's/^int \\(\\w*\\)(.*/void *\\1;/p' progs/$(*F).c; echo "} progs; };") > $@
$(OBJS): $(OUTPUT)/%.test.o: prog_tests/%.c | $(OUTPUT)/%.test.d
\t@printf '  TEST-OBJ [test_progs] %s\\n' $(notdir $@)
\t@cd $(@D) && $(CC) -I. -Wall -Werror -MMD -MT $@ -c $(CURDIR)/$< -o $(@F)
$(OBJS:.o=.d): $(OUTPUT)/%.test.d: prog_tests/%.c | $(ALL)
include $(wildcard $(OBJS:.o=.d))
"""
GOOD = {
    f"{ROOT}/Makefile": MAKEFILE,
    f"{ROOT}/progs/common.h": b"#define ONE 1\n",
    PROG: b'#include "vmlinux.h"\n#include "common.h"\nint first(struct task *t)\n{\n\treturn t->pid + ONE;\n}\n',
    TEST: b'#include "one.skel.h"\n\nvoid test_one(struct one *s)\n{\n\ts->progs.first = 0;\n}\n',
    f"{ROOT}/progs/broken.c": b"#error nobody may ask for this one\n",
    f"{ROOT}/test_kmods/Makefile": b"obj-m := mod.o\n",
    f"{ROOT}/test_kmods/mod.c": b"int x;\n",
}


def edited(path: str, old: bytes, new: bytes) -> Mapping[str, bytes]:
    assert old in GOOD[path]
    return {path: GOOD[path].replace(old, new)}


def laid(tmp_path: Path, files: Mapping[str, bytes], kernel: str = "struct task { int pid; };\n") -> Selftests:
    """Return the selftests of a tree; the file that holds the kernel's types is their header already."""
    for name, text in files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    (tmp_path / "vmlinux").write_text(kernel)
    return Selftests(tmp_path / "tree", tmp_path / "vmlinux", tmp_path / "out", 2, NORMAL, tmp_path / "log")


BOTH = Goals((PROG,), {TEST: ("one.skel.h",)})


@needs_clang
def test_what_is_right_compiles_twice_and_nothing_else_is_asked_for(tmp_path: Path) -> None:
    tests = laid(tmp_path, GOOD)
    for _ in range(2):
        assert tests.compile(BOTH) == []
        assert sorted(p.name for p in (tmp_path / "out").glob("*.o")) == ["one.bpf.o", "one.test.o"]
    assert "broken" not in (tmp_path / "log").read_text()


@needs_clang
@pytest.mark.parametrize(
    ("wrong", "place", "text"),
    [
        (edited(PROG, b"t->pid", b"t->nopid"), (PROG, 5), "no member named 'nopid'"),
        (edited(PROG, b"int first(", b"int other("), (TEST, 5), "has no member named 'first'"),
        (edited(TEST, b"->progs.first", b"->progs.second"), (TEST, 5), "has no member named 'second'"),
        (edited(PROG, b"return t->pid", b"int x;\n\treturn t->pid"), (PROG, 5), "unused variable 'x'"),
    ],
)
def test_a_fault_is_found_at_its_place(
    tmp_path: Path, wrong: Mapping[str, bytes], place: tuple[str, int], text: str
) -> None:
    tests = laid(tmp_path, {**GOOD, **wrong})
    (found,) = tests.compile(BOTH)
    assert (found.file, found.line) == place
    assert text in found.message


@needs_clang
def test_a_change_of_a_header_is_seen(tmp_path: Path) -> None:
    assert laid(tmp_path, GOOD).compile(BOTH) == []
    (found,) = laid(tmp_path, {**GOOD, f"{ROOT}/progs/common.h": b"#define ONE one\n"}).compile(BOTH)
    assert "'one'" in found.message


@needs_clang
def test_what_cannot_make_the_types_is_a_missing_tool(tmp_path: Path) -> None:
    files = {**GOOD, f"{ROOT}/Makefile": MAKEFILE.replace(b"cp $< $@", b"false")}
    with pytest.raises(MissingTool, match=r"no vmlinux.h here; see .*log:\n(.*\n)*.*Error 1"):
        laid(tmp_path, files).compile(BOTH)


@needs_clang
def test_what_make_does_not_build_is_never_right(tmp_path: Path) -> None:
    files = {**GOOD, f"{ROOT}/Makefile": MAKEFILE.replace(b"-c $(CURDIR)/$< -o $(@F)", b"-E $(CURDIR)/$< -o gone")}
    with pytest.raises(ToolError, match=r"make says nothing of one\.test\.o"):
        laid(tmp_path, files).compile(BOTH)


# --- the check


def subject_of(tiny: Repo, where: Path, *changes: Mapping[str, bytes]) -> Subject:
    return make_subject(tiny, "HEAD", [(f"patch {n}\n\nbody\n", dict(c)) for n, c in enumerate(changes, 1)], where)


def module() -> Any:
    patch = load("selftests").patch
    assert patch is not None
    return sys.modules[patch.__module__]


def test_the_goals_are_what_is_touched_and_the_tests_of_a_touched_program(tiny: Repo, tmp_path: Path) -> None:
    light = f"{ROOT}/prog_tests/light.c"
    more = {light: b'#include "one.lskel.h"\n# include "broken.subskel.h"\n'}
    subject = subject_of(tiny, tmp_path, GOOD, more, {PROG: b"int first;\n"}, {light: b"int x;\n"}, {"x.c": b""})
    goals = [find_goals(subject.scratch, item.tree, item.files) for item in subject.items]
    assert goals[0] == Goals((f"{ROOT}/progs/broken.c", PROG), {TEST: ("one.skel.h",)})
    assert goals[1] == Goals((), {light: ("broken.skel.h", "one.lskel.h")})
    assert goals[2] == Goals((PROG,), {light: ("broken.skel.h", "one.lskel.h"), TEST: ("one.skel.h",)})
    assert goals[3] == Goals((), {light: ()})
    assert goals[4] == Goals()


def judged(subject: Subject, found: list[Finding], before: list[Finding]) -> Outcome:
    item = subject.items[-1]
    goals = find_goals(subject.scratch, item.tree, item.files)
    outcome = module().judge(subject, item, goals, found, before, Path("log"))
    assert isinstance(outcome, Outcome)
    return outcome


def test_what_the_parent_says_too_is_no_fault_and_no_pass(tiny: Repo, tmp_path: Path) -> None:
    subject = subject_of(tiny, tmp_path, GOOD)
    known, new = (Finding(Status.FAIL, text, PROG, 1) for text in ("known", "new"))
    assert judged(subject, [], []).status is Status.PASS
    assert judged(subject, [known], [known]).status is Status.SKIP
    assert judged(subject, [known], [known]).reason.endswith("does not compile at the parent either: progs/one.c")
    assert judged(subject, [known, new], [known]).findings == (new,)


def test_what_nothing_compiles_is_named(tiny: Repo, tmp_path: Path) -> None:
    subject = subject_of(tiny, tmp_path, {**GOOD, f"{ROOT}/tool.c": b"", f"{ROOT}/progs/alone.h": b""})
    outcome = judged(subject, [], [])
    assert outcome.status is Status.SKIP
    assert outcome.reason.endswith("not compiled here: progs/alone.h, tool.c")


def test_a_patch_without_selftests_and_a_machine_without_clang_are_skipped(
    tiny: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of(tiny, tmp_path, {"kernel/bpf/x.c": b"int x;\n"}, GOOD)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert module().check(subject, subject.items[0]).reason == f"there is nothing to compile below {ROOT} in it"
    outcome = module().check(subject, subject.items[1])
    assert outcome.status is Status.SKIP
    assert outcome.reason == f"{CLANG} is not installed; Debian has it in the package {CLANG}"
    assert module().key(subject, subject.items[1]) is None
