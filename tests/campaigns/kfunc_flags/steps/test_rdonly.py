"""KFA_RDONLY: where the verifier checks memory, and what tests the flag; see test_infra.py and test_gains.py, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_infra import context, finished, stages, trees  # noqa: F401
from test_selftests_step import BEFORE, GOLDEN, SHAPES, files
from tinytree import commit

from patchbot.campaigns.kfunc_flags.campaign import STEPS
from patchbot.campaigns.kfunc_flags.steps import facts, memory, selftests
from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series import render
from patchbot.series.campaign import Context
from patchbot.series.codemod import AnchorError, Outcome
from patchbot.series.tree import Tree

RDONLY, TESTS, ROWS = (next(s for s in STEPS if s.name == f"rdonly{end}") for end in ("", "-selftests", "-rows"))
UNINIT = next(s for s in STEPS if s.name == "uninit")
FLAG = b"#define KFA_RDONLY\t(1 << 2)\n"


def before(trees: dict[str, Tree], shape: str) -> Tree:  # noqa: F811
    return next(seen.tree for name, seen, _ in stages(trees[shape]) if name == "rdonly")


def test_without_the_step_docs_there_is_no_list_to_add_to(trees):  # noqa: F811
    tree = next(seen.tree for name, seen, _ in stages(trees["first"]) if name == "docs")
    seen = context(tree, trees["first"])
    with pytest.raises(AnchorError, match="the list of argument flags: missing"):
        RDONLY.codemod(seen)
    change = RDONLY.codemod(replace(seen, steps=("rdonly",)))
    assert facts.KFUNCS_RST not in {edit.path for edit in change.edits}
    assert "the step docs is off" in next(r.message for r in change.reports if r.outcome is Outcome.MISSING)


@pytest.mark.parametrize(
    ("shape", "old", "new", "message"),
    [
        (
            "first",
            b"get_func_arg_reg(caller, regs, i - 1);",
            b"some_reg(caller);",
            "which argument the register buff_reg is",
        ),
        ("first", b"BPF_READ | BPF_WRITE, true", b"BPF_WRITE, true", "is not asked for BPF_READ | BPF_WRITE"),
        ("referenced", b"&regs[regno + 1];", b"regs + regno;", "which argument the register size_reg is"),
        (
            "referenced",
            b"mem_size, BPF_WRITE, true",
            b"mem_size - 1, BPF_WRITE, true",
            r"check_mem_reg\(\): the access",
        ),
    ],
)
def test_a_check_that_is_not_understood_is_not_guessed(trees, shape, old, new, message):  # noqa: F811
    tree = before(trees, shape)
    text = tree.read(facts.VERIFIER_C)
    assert text.count(old) == 1
    with pytest.raises(AnchorError, match=message):
        RDONLY.codemod(context(tree.overlaid({facts.VERIFIER_C: text.replace(old, new)}), trees[shape]))


def test_a_tree_without_such_a_kfunc_does_not_get_the_flag(trees):  # noqa: F811
    for shape in ("first", "referenced"):
        tree = before(trees, shape).overlaid({"kernel/bpf/kfuncs.c": b"\n"})
        change = RDONLY.codemod(context(tree, trees[shape]))
        assert not change.edits
        assert "KFA_RDONLY is left out: no kfunc of this tree" in change.remarks[0]


def test_only_a_verifier_that_knows_raw_memory_gets_uninit(trees):  # noqa: F811
    left_out = UNINIT.codemod(context(before(trees, "referenced"), trees["referenced"]))
    assert not left_out.edits
    assert "its verifier cannot check the memory of a kfunc for writing only" in left_out.remarks[0]
    alone = UNINIT.codemod(context(before(trees, "first"), trees["first"]))
    assert not alone.edits
    assert "did not add KFA_RDONLY" in alone.remarks[0]


def test_a_call_is_broken_behind_a_comma():
    call = memory.filled(b"err = f(", [b"a" * 40, b"b" * 40, b"c" * 10], 16)
    assert call == b"err = f(" + b"a" * 40 + b",\n\t\t\t" + b"b" * 40 + b", " + b"c" * 10 + b")"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_flag_is_tested_once(shape, tmp_path):
    run(["git", "init", "-q", "--template=", "-b", "master", tmp_path])
    sha = commit(tmp_path, "base", files(GOLDEN / f"selftests-{shape}" / "after"))
    plain = Tree(Repo.open(tmp_path), sha)
    seen = lambda tree: Context(tree, tree, CampaignConfig("kfunc_flags"), (*BEFORE, "rdonly"))  # noqa: E731
    assert not TESTS.codemod(seen(plain)).edits
    tree = plain.overlaid({facts.BTF_H: plain.read(facts.BTF_H) + FLAG})
    change = TESTS.codemod(seen(tree))
    tip = tree.edit(change.edits)
    assert all(e.start == e.end and e.new.endswith(b"\n") for e in change.edits)
    assert b"int rdonly_first(void *unused)" in tip.read(selftests.PROGRAMS)
    testmod = next(path for path in tip.overlay if path.endswith("/bpf_testmod.c"))
    assert b"BTF_KFUNC(bpf_kfunc_arg_rdonly_test, " in tip.read(testmod)
    assert any(b"&bpf_test_kfa_rdonly_ids" in (tip.get(p) or b"") for p in tip.overlay) == (shape == "shared")
    again = TESTS.codemod(seen(tip))
    assert not again.edits
    assert {r.outcome for r in again.reports} == {Outcome.ALREADY}


@pytest.mark.parametrize("module", [True, False])
@pytest.mark.parametrize("objects", [True, False])
def test_the_message_fits_a_mail(module, objects):
    message = render.message("kfunc_flags", None, TESTS.template, module=module, objects=objects)
    assert max(map(len, message.split("\n"))) <= 75
    assert ("kernel object" in message) == objects
    assert ROWS.follows == TESTS.follows == "rdonly"
