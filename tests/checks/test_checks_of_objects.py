"""The checks that hear another compiler or a checker: real make, sparse and clang on the tiny kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RealKernel
from programs import needs, outcomes, places, subject_of
from tinytree import TESTS, build, told

from patchbot.build.log import parse
from patchbot.checking.check import Subject, load
from patchbot.git.repo import Repo
from patchbot.model import Status

CPUMASK, NET = "kernel/bpf/cpumask.c", "net/core/xdp.c"
WANTED = "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_CGROUPS=y\n"
RULE = (
    b"\t$(if $(strip $(filter-out FORCE,$?) $(changed-command) $(if $(wildcard $@),,missing)),$(call make-object),@:)\n"
)
CHECK = b"\t$(if $(filter 2,$(C)),@echo '  CHECK   $(@:.o=.c)'; sparse $(CF) $(CPPFLAGS) $(srcroot)/$(@:.o=.c))\n"
REFUSE = b"\n$(if $(C),$(warning C=2 specified, but sparse is not available or not up to date))\n"
#: {check: (code without a fault, code with one, its status, type and words)}.
FAULTS = {
    "sparse": (
        b"\nint more(int *p);\nint more(int *p)\n{\n\treturn *p;\n}\n",
        b"\n#ifdef __CHECKER__\n#define NODEREF __attribute__((noderef))\n#else\n#define NODEREF\n#endif\n"
        b"int more(int NODEREF *p);\nint more(int NODEREF *p)\n{\n\treturn *p;\n}\n",
        ("WARN", "sparse"),
        "dereference of noderef expression",
    ),
    "clang": (
        b"\nint more(int p);\nint more(int p)\n{\n\treturn p;\n}\n",
        b"\nint more(int p);\nint more(int p)\n{\n\tp = p; return p;\n}\n",
        ("FAIL", "-Wself-assign"),
        "explicitly assigning value of variable",
    ),
}
EACH = pytest.mark.parametrize("check", [pytest.param(name, marks=needs(name)) for name in FAULTS])


@pytest.fixture
def tree(tmp_path: Path) -> Repo:
    return build(tmp_path / "linux", told("scripts/Makefile.build", RULE, RULE + CHECK))


def text(tree: Repo, path: str) -> bytes:
    data = tree.read(tree.resolve("HEAD"), path)
    assert data is not None
    return data


def series(tree: Repo, where: Path, *changes: Mapping[str, bytes | None]) -> Subject:
    config = where.parent / "wanted.config"
    config.write_text(WANTED)
    return replace(subject_of(tree, where, changes), tables={"build": {"config": str(config)}})


@EACH
def test_a_fault_is_found_where_it_is_new(check: str, tree: Repo, tmp_path: Path) -> None:
    good, bad, (status, kind), words = FAULTS[check]
    old = text(tree, CPUMASK)
    moved = b"/* one more line */\n" + old + bad
    changes = [{CPUMASK: old + good}, {CPUMASK: old + bad}, {CPUMASK: moved}, {CPUMASK: old}, {"tools/x.c": b"x\n"}]
    first, second, third, fourth, other = outcomes(check, series(tree, tmp_path / "s", *changes))
    assert (first.status, first.reason) == (Status.PASS, "looked at kernel/bpf/cpumask.o")
    assert places(second) == [(status, CPUMASK, len((old + bad).splitlines()) - 1, kind)]
    assert words in second.findings[0].message
    assert f"../{check}-" in second.reproduce
    assert ("C=2" in second.reproduce) == (check == "sparse")
    assert (third.status, fourth.status) == (Status.PASS, Status.PASS), "it moved, and it went"
    assert (other.status, other.reason) == (Status.SKIP, "it touches no C of the kernel that is still there")


@EACH
@pytest.mark.parametrize(("path", "makefile"), [(CPUMASK, "kernel/bpf/Makefile"), (NET, "net/core/Makefile")])
def test_what_a_file_that_moves_had_is_not_new(
    check: str, path: str, makefile: str, tree: Repo, tmp_path: Path
) -> None:
    _, bad, (status, kind), _ = FAULTS[check]
    old, name, again = text(tree, path), path.replace(".c", "2.c"), bad.replace(b"more", b"again")
    obj = Path(path).stem.encode()
    rules = {makefile: text(tree, makefile).replace(obj + b".o", obj + b"2.o")}
    # Neither the lines nor their neighbours are what they were.
    more = (old + bad).replace(b"return ", b"return  ").replace(b"p = p;", b"p  = p;") + again
    first, second, third = outcomes(
        check, series(tree, tmp_path / "s", {path: old + bad}, {path: None, name: more, **rules}, {name: old})
    )
    assert len(first.findings) == 1
    assert places(second) == [(status, name, len(more.splitlines()) - 1, kind)]
    assert third.status is Status.PASS


@EACH
def test_what_the_configuration_lacks_is_looked_at_in_allyesconfig(check: str, tree: Repo, tmp_path: Path) -> None:
    good, bad, (status, kind), _ = FAULTS[check]
    old = text(tree, NET)
    fine, wrong = outcomes(check, series(tree, tmp_path / "s", {NET: old + good}, {NET: old + bad}))
    assert fine.status is Status.PASS
    assert [(s, f, k) for s, f, _, k in places(wrong)] == [(status, NET, kind)]
    assert wrong.findings[0].message.endswith("(allyesconfig)")


@EACH
def test_what_no_object_shows_is_no_pass(check: str, tree: Repo, tmp_path: Path) -> None:
    (outcome,) = outcomes(check, series(tree, tmp_path / "s", {"net/core/alone.h": b"int alone;\n"}))
    assert outcome.status is Status.SKIP
    assert places(outcome) == [("SKIP", "net/core/alone.h", None, "not-compiled")]
    assert outcome.reason == "1 file not looked at: net/core/alone.h"


@EACH
def test_what_does_not_compile_before_is_no_pass(check: str, tree: Repo, tmp_path: Path) -> None:
    broken = text(tree, CPUMASK) + b"int unfinished = ;\n"
    changes = [{CPUMASK: broken}, {CPUMASK: broken + FAULTS[check][0]}]
    first, second = outcomes(check, series(tree, tmp_path / "s", *changes))
    assert (first.status is Status.FAIL) == (check == "clang"), "that it does not compile is the matter of `build`"
    assert second.status is Status.SKIP
    assert second.findings[0].message == "it does not compile here"


@EACH
def test_a_header_is_looked_at_with_a_file_that_includes_it(check: str, tree: Repo, tmp_path: Path) -> None:
    good, bad, (status, kind), _ = FAULTS[check]
    header = "kernel/bpf/more.h"
    added = {header: good, CPUMASK: text(tree, CPUMASK) + b'\n#include "more.h"\n'}
    fine, wrong = outcomes(check, series(tree, tmp_path / "s", added, {header: bad}))
    assert fine.status is Status.PASS, fine
    assert places(wrong) == [(status, header, len(bad.splitlines()) - 1, kind)]


@EACH
def test_it_leaves_the_results_of_build_alone(check: str, tree: Repo, tmp_path: Path) -> None:
    """The objects are in one place, and each check reads what its own program said."""
    _, bad, _, _ = FAULTS[check]
    subject = series(tree, tmp_path / "s", {CPUMASK: text(tree, CPUMASK) + bad})
    built = replace(subject, options=subject.tables["build"])
    assert [o.status for o in outcomes("build", built)] == [Status.PASS], "gcc has nothing to say"
    assert outcomes(check, subject)[0].findings
    assert [o.status for o in outcomes("build", built)] == [Status.PASS]
    assert outcomes(check, subject)[0].findings, "and again, from what is known"


@EACH
def test_the_key_is_about_trees_and_the_configuration(check: str, tree: Repo, tmp_path: Path) -> None:
    subject = series(tree, tmp_path / "s", {CPUMASK: text(tree, CPUMASK) + b"\n"})
    key, item = load(check).patch_key, subject.items[0]
    assert key(subject, item) == key(subject, replace(item, commit="0" * 40, subject="other words"))
    assert key(subject, item) != key(subject, replace(item, tree=item.parent_tree))
    other = replace(subject, tables={"build": {**subject.tables["build"], "allyesconfig": False}})
    assert key(subject, item) != key(other, item)


@needs("sparse")
def test_a_kernel_that_wants_a_newer_sparse(tree: Repo, tmp_path: Path) -> None:
    makefile = text(tree, "Makefile").replace(b"\nMAKEFLAGS +=", REFUSE + b"\nMAKEFLAGS +=", 1)
    changes = [{"Makefile": makefile}, {CPUMASK: text(tree, CPUMASK) + FAULTS["sparse"][1]}]
    for _ in range(2):  # what it did not say is not known
        outcome = outcomes("sparse", series(tree, tmp_path / "s", *changes))[1]
        assert outcome.status is Status.SKIP
        assert "this kernel does not take sparse" in outcome.reason
        assert "not up to date" in outcome.reason


def test_what_sparse_says_is_read_beside_gcc() -> None:
    said = parse((TESTS / "logs/sparse-7.3.txt").read_text(), source="/home/dev/tree", out="/home/dev/out")
    rows = [(s.target, s.finding.status.value, s.finding.file, s.finding.line, s.finding.type) for s in said]
    assert rows == [("kernel/bpf/cpumask.o", "WARN", "kernel/bpf/cpumask.c", 539, "sparse")]


@pytest.mark.kernel
@pytest.mark.slow
@needs("clang")
def test_clang_on_a_real_kernel(kernel: RealKernel, tmp_path: Path) -> None:
    old = kernel.repo.read(kernel.commit, "kernel/bpf/tnum.c")
    assert old is not None
    changes = [{"kernel/bpf/tnum.c": old + FAULTS["clang"][at]} for at in (0, 1)]
    first, second = outcomes("clang", subject_of(kernel.repo, tmp_path / "s", changes, base=kernel.commit))
    assert first.status is Status.PASS, first
    assert [f.type for f in second.findings] == ["-Wself-assign"]
