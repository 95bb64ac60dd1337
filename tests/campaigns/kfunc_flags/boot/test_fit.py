"""What each kernel of the check `boot` is to try, by what its linked files and modules hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tinytree

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.boot import fit, programs
from patchbot.campaigns.kfunc_flags.boot.fit import NO_IMPLICIT, Kernel
from patchbot.campaigns.kfunc_flags.boot.linked import Functions, Linked, check_linked
from patchbot.campaigns.kfunc_flags.boot.trials import LeftOut, Rows, read_rows
from patchbot.campaigns.kfunc_flags.proof.meaning import IMPLICIT_ARGS, Flags
from patchbot.git.repo import Scratch
from patchbot.model import Status
from patchbot.run import run

FLAGS = Flags({IMPLICIT_ARGS: 1 << 16}, {"KFA_RCU": 2, "KFA_RELEASE": 1}, {})
BEFORE = frozenset({"KF_RELEASE", "KF_RCU", "KF_RET_NULL", "KF_ACQUIRE", "KF_RELEASE=first", IMPLICIT_ARGS})
AFTER = BEFORE | FLAGS.argument.keys()
#: A linked set: the functions 7 and 9 hide arguments, 8 does not.
SET = """
asm(".pushsection .BTF_ids,\\"a\\"\\n"
    ".local __BTF_ID__set8__s\\n.type __BTF_ID__set8__s, STT_OBJECT\\n.size __BTF_ID__set8__s, 32\\n"
    "__BTF_ID__set8__s:\\n.long 3, 1, 7, 0x10000, 8, 0, 9, 0x10002\\n.popsection");
"""
needs_clang = pytest.mark.skipif(not shutil.which(programs.CLANG), reason=f"{programs.CLANG} is not installed")


@pytest.fixture(scope="module")
def shipped() -> Rows:
    return read_rows(bundled("checks/boot/programs.toml"))


def calling(folder: Path, name: str, *kfuncs: str) -> Path:
    """Return a BPF object that calls kfuncs."""
    source, obj = folder / "a.c", folder / f"{name}.o"
    source.write_text("".join(f"void {k}(void); " for k in kfuncs) + f"void f(void) {{ {'(); '.join(kfuncs)}(); }}")
    run([programs.CLANG, "-target", "bpf", "-O2", "-c", source, "-o", obj])
    return obj


@needs_clang
def test_a_kfunc_that_the_series_lost_fails(tmp_path: Path, shipped: Rows) -> None:
    pairs = (("task_leak", "bpf_task_acquire"), ("put_file_accept", "bpf_put_file"), ("rcu1_accept", "x"))
    objects = [calling(tmp_path, name, kfunc) for name, kfunc in pairs]
    both = {
        "tip": Kernel("tip", "", FLAGS, AFTER, shipped.known_to(AFTER)),
        "base": Kernel("base", "", FLAGS, BEFORE, shipped.known_to(BEFORE)),
    }
    kfuncs = {"tip": frozenset[str](), "base": frozenset({"bpf_task_acquire"})}
    got = fit.without_absent(both, objects, kfuncs, "")
    assert [(row.name, row.kfuncs) for row in got["tip"].left_out] == [
        ("rcu1_accept", ("x",)),
        ("put_file_accept", ("bpf_put_file",)),
    ]
    assert "task_leak" in {p.name for p in got["tip"].rows.programs}
    assert [row.name for row in got["base"].left_out] == ["put_file_accept"]


@pytest.mark.parametrize(
    ("functions", "unmade"),
    [
        (("one", "two", "three"), {"one", "three"}),
        (("one", "two", "three", "one_impl"), {"three"}),
        (("one", "two", "three", "one_impl", "three_impl"), set()),
    ],
)
def test_a_kfunc_that_hides_arguments_needs_a_function_that_has_all(
    tmp_path: Path, functions: tuple[str, ...], unmade: set[str]
) -> None:
    (tmp_path / "s.c").write_text(SET)
    run(["gcc", "-c", "-o", tmp_path / "s.o", tmp_path / "s.c"])
    linked = check_linked(tmp_path / "s.o", Functions(dict(enumerate(functions, 7))), FLAGS)
    assert linked.problems == ()
    assert linked.kfuncs == {"one", "two", "three"}
    assert linked.unmade == unmade
    assert check_linked(tmp_path / "s.o", Functions({7: "a", 8: "b", 9: "c"}), Flags({}, {}, {})).unmade == set()


def test_a_function_that_the_series_loses_is_a_fault() -> None:
    found = fit.judge_implicit({"base": frozenset(), "tip": frozenset({"bpf_wq_set_callback"})}, "v1.24", "")
    assert [(f.status, f.message) for f in found] == [
        (Status.FAIL, "the series loses the function bpf_wq_set_callback_impl of bpf_wq_set_callback")
    ]
    assert fit.judge_implicit({"base": frozenset(), "tip": frozenset()}, "v1.24", "1.26") == []


def test_functions_that_were_never_made_are_told_with_the_tool_to_blame() -> None:
    found = fit.judge_implicit({"base": frozenset({"a", "b"}), "tip": frozenset({"a", "b"})}, "v1.24", "1.26")
    assert [f.status for f in found] == [Status.WARN]
    assert "(a_impl and 1 more)" in found[0].message
    assert "Documentation/process/changes.rst asks for pahole 1.26, and this is v1.24" in found[0].message
    assert "[checks.build] pahole" in found[0].message


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("bash  4.2  bash --version\npahole                 1.26             pahole --version\n", "1.26"),
        ("pahole\n------\n\nFrom Linux 5.2 on, BTF needs pahole v1.16 or later.\n", ""),
        (None, ""),
    ],
)
def test_a_kernel_says_which_pahole_it_wants(tmp_path: Path, text: str | None, asked: str) -> None:
    repo = tinytree.build(tmp_path / "linux")
    if text is not None:
        tinytree.commit(repo.git_dir.parent, "say it", {fit.CHANGES: text.encode()})
    scratch = Scratch.at(tmp_path / "scratch", repo)
    assert fit.asked_pahole(scratch, repo.tree_of(repo.resolve("HEAD"))) == asked


def test_rows_that_need_a_function_that_was_never_made_are_left_out_with_the_reason(shipped: Rows) -> None:
    kernel = Kernel("tip", "", FLAGS, AFTER, shipped.known_to(AFTER), (LeftOut("set", "x", "it lacks KFA_STR"),))
    got = kernel.without(IMPLICIT_ARGS, NO_IMPLICIT)
    assert IMPLICIT_ARGS not in got.features
    assert [row.why for row in got.left_out[:2]] == ["it lacks KFA_STR", NO_IMPLICIT]
    assert {row.name for row in got.left_out[1:]} == {
        *("rcu_implicit_accept", "rcu_implicit_reject"),
        *("rcu_implicit_neighbour_accept", "rcu_implicit_neighbour_reject", "implicit"),
    }
    assert len(kernel.rows.programs) - len(got.rows.programs) == 4
    assert got.rows.uncovered(got.flags.single) == []


@needs_clang
def test_selftests_of_modules_that_hide_arguments(tmp_path: Path) -> None:
    hidden, plain = calling(tmp_path, "hidden", "h", "p"), calling(tmp_path, "plain", "p")

    def holding(kfuncs: str, unmade: str = "") -> Linked:
        return Linked(1, 1, 0, (), frozenset(kfuncs.split()), frozenset(unmade.split()))

    modules = {"testmod": holding("h p q", "h"), "invalid": holding("i", "i"), "other": holding("o")}
    kept, names, left = fit.without_unmade([hidden, plain], modules)
    assert (kept, names) == ([plain], {"testmod", "other"})
    assert [(row.kind, row.name, row.why) for row in left] == [
        ("selftest", "hidden", NO_IMPLICIT),
        ("module", "invalid", NO_IMPLICIT),
    ]
    assert fit.without_unmade([hidden], modules)[1] == {"other"}, "nothing is left that calls the first"


def test_a_gain_is_shown_by_a_kernel_with_the_flag_and_by_the_one_before(shipped: Rows) -> None:
    """Programs that gain go to both kernels of a series with the flag, and to neither verdict of one without it."""
    gaining = {p.name: p for p in shipped.programs if p.base and any("gains" in n for n in p.needs)}
    assert {"rdonly_crypto_params", "rdonly_sun_path", "rdonly_ksock_data", "uninit_crypto_err"} <= gaining.keys()
    assert all(p.base and p.base.verdict == "reject" for p in gaining.values())
    more = Flags({}, {"KFA_RDONLY": 4, "KFA_UNINIT": 8}, {})
    for need in {n for p in gaining.values() for n in p.needs if "gains" in n}:
        assert fit.may_show(need, "base", FLAGS)
        assert fit.may_show(need, "tip", more)
        assert not fit.may_show(need, "tip", FLAGS)
    assert not fit.may_show("KFA_RDONLY", "base", FLAGS)
    assert not {p.name for p in shipped.known_to(AFTER).programs} & gaining.keys()
