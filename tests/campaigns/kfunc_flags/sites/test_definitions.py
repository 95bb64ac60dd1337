"""Sets whose rows are behind the kfuncs, as the inventory and the preprocessor see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kfunctree import make

from patchbot.campaigns.kfunc_flags.sites.expansion import compared
from patchbot.campaigns.kfunc_flags.sites.inventory import inventory
from patchbot.campaigns.kfunc_flags.sites.nouns import FileSets, SetError
from patchbot.campaigns.kfunc_flags.sites.sets import read_sets
from patchbot.campaigns.kfunc_flags.steps import rows
from patchbot.config import CampaignConfig
from patchbot.series.campaign import Context
from patchbot.series.tree import Tree

CONFIG = CampaignConfig("kfunc_flags")
FILE = "kernel/bpf/a.c"
KFUNCS = """\
BPF_KFUNC_SET_START(one)
__bpf_kfunc void f(struct a *a)
{
}
BPF_KFUNC(one, f, KF_RCU);

BPF_KFUNC_SET_START(two)
__bpf_kfunc void g(struct a *a, int n, struct b *b)
{
}
BPF_KFUNC((one, two), g, KF_RCU | KF_A, 0, KFA_SZ);
#ifdef CONFIG_X
__bpf_kfunc void h(struct a *a)
{
}
BPF_KFUNC((two), h,
0);
#endif
BPF_KFUNC_SET_END(one)
BPF_KFUNC_SET_END(two)
static const struct btf_kfunc_id_set a = { .owner = THIS_MODULE, .set = &one };
static const struct btf_kfunc_id_set b = { .owner = THIS_MODULE, .set = &two };
"""
FLAGS = "#define KF_RCU (1 << 7)\n#define KF_A (1 << 0)\n#define KFA_SZ (1 << 3)\n#define KFA_RCU (1 << 1)\n"


def tree_of(folder: Path, text: str) -> Tree:
    return make(folder, {FILE: text, "include/linux/btf.h": FLAGS})


def read(folder: Path, text: str) -> FileSets:
    return read_sets(tree_of(folder, text), FILE)


def test_sets_and_rows_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, KFUNCS)
    assert found.problems == ()
    assert [(s.name, s.line, s.kfunc) for s in found.sets] == [("one", 1, True), ("two", 7, True)]
    assert [(r.kfunc, r.set, r.line, r.end_line, r.flags, r.arg_flags, r.conditions) for r in found.rows] == [
        ("f", "one", 5, 5, ("KF_RCU",), (), ()),
        ("g", "one", 11, 11, ("KF_RCU", "KF_A"), ((), ("KFA_SZ",)), ()),
        ("g", "two", 11, 11, ("KF_RCU", "KF_A"), ((), ("KFA_SZ",)), ()),
        ("h", "two", 16, 17, (), (), ("CONFIG_X",)),
    ]


def test_they_are_next_to_sets_in_one_piece(tmp_path: Path) -> None:
    text = KFUNCS.replace(
        "#endif\n", "#endif\nBTF_KFUNCS_START(three)\nBTF_ID_FLAGS(func, f, KF_RCU)\nBTF_KFUNCS_END(three)\n"
    )
    found = read(tmp_path, text)
    assert found.problems == ()
    assert [(r.kfunc, r.set) for r in found.rows][-1] == ("f", "three")
    assert {s.name for s in found.sets} == {"one", "two", "three"}


def test_the_preprocessor_sees_the_same(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, KFUNCS)
    assert compared(tree) == (4, [])
    tree = tree.overlaid({FILE: KFUNCS.replace("BPF_KFUNC(one, f", "#define ROW BPF_KFUNC\nROW(one, f").encode()})
    assert compared(tree)[1]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("BPF_KFUNC_SET_END(one)\n", "", f"{FILE}:1: the set one has no BPF_KFUNC_SET_END(one)"),
        ("BPF_KFUNC_SET_START(two)", "", f"{FILE}:11: BPF_KFUNC() for the set two, which is not open"),
        (
            "BPF_KFUNC_SET_END(two)\n",
            "BPF_KFUNC_SET_END(two)\nBPF_KFUNC(two, f, 0);\n",
            "the set two, which is not open",
        ),
        ("BPF_KFUNC_SET_END(two)", "BPF_KFUNC_SET_END(three)", "and the set is not open"),
        ("BPF_KFUNC_SET_START(two)", "BPF_KFUNC_SET_START(one)", "and the set is open"),
        ("(one, f, KF_RCU)", "(one, f)", f"{FILE}:5: BPF_KFUNC(one, f); expected BPF_KFUNC(<set>, <name of the kfunc>"),
        ("(one, f, KF_RCU)", "(one, f, KF_RCU + 1)", "flags 'KF_RCU + 1'"),
        ("((one, two), g", "((one two), g", "the sets '( one two )'"),
        ("((one, two), g", "((one, one), g", "the sets '( one , one )'"),
        ("((one, two), g", "(one two, g", "the sets 'one two'"),
        ("BPF_KFUNC(one, f, KF_RCU);", "BTF_ID_FLAGS(func, f, KF_RCU)", "BTF_ID_FLAGS outside"),
        ("BPF_KFUNC(one, f, KF_RCU);", "#define R BPF_KFUNC(one, f, KF_RCU)\nR;", "BPF_KFUNC inside a macro"),
        ("BPF_KFUNC(one, f", "#define BPF_KFUNC(...)\nBPF_KFUNC(one, f", "#define BPF_KFUNC, which"),
        ("BPF_KFUNC(one, f", "#define R(x) BPF_##x\nR(KFUNC)(one, f", "BPF_ is a piece of a set's macro"),
    ],
)
def test_what_is_not_understood_is_said(tmp_path: Path, old: str, new: str, problem: str) -> None:
    found = read(tmp_path, KFUNCS.replace(old, new, 1))
    assert any(problem in line for line in found.problems), found.problems


def test_a_piece_of_a_name_is_fine_where_no_set_is(tmp_path: Path) -> None:
    assert read(tmp_path, "#define R(x) BPF_##x\nBTF_KFUNCS_START(one)\nBTF_KFUNCS_END(one)\n").problems == ()


def test_a_registered_set_is_found(tmp_path: Path) -> None:
    inventory(tree_of(tmp_path / "a", KFUNCS), CONFIG)
    with pytest.raises(SetError, match="registers the set two"):
        inventory(tree_of(tmp_path / "b", KFUNCS.replace("_START(two)", "_START(three)")), CONFIG)


def test_their_flags_are_converted(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, KFUNCS)
    change = rows.convert(Context(tree, tree, CONFIG, ("rcu",)), "KF_RCU")
    assert {e.site for e in change.edits} == {"f@one", "g@one", "g@two"}
    after = tree.edit(change.edits)
    assert [line for line in after.read(FILE).decode().split("\n") if line.startswith("BPF_KFUNC(")] == [
        "BPF_KFUNC(one, f, 0, KFA_RCU);",
        "BPF_KFUNC((one, two), g, KF_A, KFA_RCU, KFA_SZ, KFA_RCU);",
        "BPF_KFUNC((two), h,",
    ]
    assert rows.convert(Context(after, tree, CONFIG, ("rcu",)), "KF_RCU").edits == ()
