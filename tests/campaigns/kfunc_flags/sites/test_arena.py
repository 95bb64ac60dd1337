"""Which rows get KFA_ARENA for KF_ARENA_ARG1 and KF_ARENA_ARG2, and why others keep these; and what the rows become."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RealKernel
from kfunctree import make

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.sites.inventory import inventory
from patchbot.campaigns.kfunc_flags.sites.plan import ARENA
from patchbot.campaigns.kfunc_flags.steps import facts, rows
from patchbot.config import CampaignConfig, load
from patchbot.series import render
from patchbot.series.campaign import Context
from patchbot.series.tree import Tree

CODE = """\
__bpf_kfunc void *alloc(void *p__map, void *addr__ign, u32 cnt)
{
	return NULL;
}

__bpf_kfunc void both(void *a, void *b)
{
}

__bpf_kfunc void number(u64 n)
{
}

__bpf_kfunc void *returns(u64 n)
{
	return NULL;
}

BTF_KFUNCS_START(ids)
BTF_ID_FLAGS(func, alloc, KF_ARENA_RET | KF_ARENA_ARG2 | KF_SPINLOCK_SAFE)
BTF_ID_FLAGS(func, both, KF_ARENA_ARG1 | KF_ARENA_ARG2)
BTF_ID_FLAGS(func, returns, KF_ARENA_RET)
%sBTF_KFUNCS_END(ids)
"""
READS = {facts.RESOLVE_BTFIDS: "return kfunc->flags & KF_ARENA_ARG1;\n"}
CONFIG = CampaignConfig("kfunc_flags")


def arena_tree(where: Path, *, reads: bool = True, more: str = "") -> Tree:
    return make(where, {"kernel/bpf/a.c": CODE % more, **(READS if reads else {})})


def plans(tree: Tree, config: CampaignConfig = CONFIG) -> dict[str, tuple[str, str]]:
    return {e.row.kfunc: (e.plan.fate, e.plan.reason) for e in inventory(tree, config).entries}


def test_rows_are_converted_where_resolve_btfids_reads_the_flags(tmp_path: Path) -> None:
    tree = arena_tree(tmp_path)
    found = plans(tree)
    assert found["alloc"] == ("change", "KF_ARENA_ARG2: argument 1, which it is about")
    assert found["both"][0] == "change"
    assert found["returns"] == ("keep", "no argument-specific flag")
    change = rows.convert(Context(tree, tree, CONFIG, ("arena",)), *ARENA)
    text = tree.edit(change.edits).read("kernel/bpf/a.c").decode()
    assert "BTF_KFUNC(alloc, KF_ARENA_RET | KF_SPINLOCK_SAFE, 0, KFA_ARENA)\n" in text
    assert "BTF_KFUNC(both, 0, KFA_ARENA, KFA_ARENA)\n" in text
    assert "BTF_ID_FLAGS(func, returns, KF_ARENA_RET)\n" in text


def test_where_pahole_reads_them_they_stay(tmp_path: Path) -> None:
    found = plans(arena_tree(tmp_path, reads=False))
    why = "from the set, and does not know records of argument flags"
    assert found["alloc"] == ("keep", f"pahole reads KF_ARENA_ARG2 {why}")
    assert found["both"] == ("keep", f"pahole reads KF_ARENA_ARG1 and KF_ARENA_ARG2 {why}")


@pytest.mark.parametrize("step", ["arena", "resolve_btfids"])
def test_a_step_that_is_off_converts_nothing(tmp_path: Path, step: str) -> None:
    found = plans(arena_tree(tmp_path), CampaignConfig("kfunc_flags", without=(step,)))
    assert found["alloc"] == ("keep", "the conversion of KF_ARENA_ARG2 is switched off")


def test_what_is_no_pointer_stops_the_series(tmp_path: Path) -> None:
    found = plans(arena_tree(tmp_path, more="BTF_ID_FLAGS(func, number, KF_ARENA_ARG1)\n"))
    assert found["number"] == ("refuse", "KF_ARENA_ARG1: argument 0, which it is about, is not a pointer")


def test_the_message_fits_a_mail(tmp_path: Path) -> None:
    tree = arena_tree(tmp_path)
    seen = Context(tree, tree, CONFIG, ("arena",))
    change = rows.convert(seen, *ARENA)
    words = rows.words(*ARENA)(seen, "", change.edits)
    message = render.message("kfunc_flags", None, "convert-arena.txt.j2", **words)
    assert max(map(len, message.split("\n"))) <= 75
    assert "  argument 0 of both()\n" in message
    assert "  argument 1 of\n    alloc, both\n" in message


@pytest.mark.kernel
def test_no_row_of_a_real_kernel_has_both_forms(kernel: RealKernel) -> None:
    base = kernel.tree
    found = inventory(base, load(None, bundled("patchbot.toml")).campaign("kfunc_flags"))
    flagged = [e for e in found.entries if set(ARENA) & set(e.row.flags)]
    kept = [e for e in flagged if e.plan.fate == "keep"]
    user_space = [e for e in kept if e.row.file.startswith("tools/testing/selftests/bpf/prog_tests/")]
    reads = b"KF_ARENA_ARG1" in (base.get(facts.RESOLVE_BTFIDS) or b"")
    assert not [e for e in flagged if e.plan.fate == "refuse"]
    assert len(kept) == (len(user_space) if reads else len(flagged))
