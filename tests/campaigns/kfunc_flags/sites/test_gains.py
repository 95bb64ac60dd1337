"""Which memory gets KFA_RDONLY or KFA_UNINIT, and why other memory does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import RealKernel
from kfunctree import FIRST, make

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.sites.gains import RDONLY, UNINIT
from patchbot.campaigns.kfunc_flags.sites.inventory import audit, inventory
from patchbot.campaigns.kfunc_flags.steps import rows
from patchbot.config import CampaignConfig, load
from patchbot.errors import ConfigError
from patchbot.series import render
from patchbot.series.campaign import Context
from patchbot.series.tree import Tree

KFUNCS = """\
__bpf_kfunc int f(const void *mem, u32 mem__sz)
{
	return *(const char *)mem;
}

__bpf_kfunc int number(struct a *a, const u64 *num)
{
	return *num;
}

__bpf_kfunc int cast(const void *mem, u32 mem__sz)
{
	return fill((void *)mem);
}

__bpf_kfunc int laundered(const char *mem, u32 mem__sz)
{
	return fill((unsigned long)mem);
}

__bpf_kfunc int writes(void *mem, u32 mem__sz)
{
	return 0;
}

__bpf_kfunc int object(const struct a *a)
{
	return 0;
}

__bpf_kfunc int both(struct a *a, const void *mem, u32 mem__sz, const void *more, u32 more__sz)
{
	return 0;
}

__bpf_kfunc int ignored(const char *mem__ign)
{
	return 0;
}

"""
ROWS = """\
BTF_KFUNCS_START(ids)
BTF_ID_FLAGS(func, f)
BTF_ID_FLAGS(func, number, KF_SLEEPABLE)
BTF_ID_FLAGS(func, cast, KF_SLEEPABLE)
BTF_ID_FLAGS(func, laundered)
BTF_ID_FLAGS(func, writes)
BTF_ID_FLAGS(func, object)
BTF_ID_FLAGS(func, both, KF_RCU)
BTF_ID_FLAGS(func, ignored)
BTF_KFUNCS_END(ids)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return make(tmp_path, {"kernel/bpf/a.c": KFUNCS + ROWS})


def config(decisions: dict[str, Any] | None = None, **more: Any) -> CampaignConfig:
    return CampaignConfig("kfunc_flags", decisions=decisions or {}, **more)


def entries(tree: Tree, wanted: CampaignConfig) -> dict[str, dict[str, Any]]:
    return {e["kfunc"]: e for e in audit(tree, wanted).document()["entries"]}


def test_const_memory_is_flagged_unless_it_is_cast(tree):
    found = entries(tree, config())
    assert {k: e["arg_flags"] for k, e in found.items() if e["fate"] == "change"} == {
        "f": {"0": [RDONLY]},
        "number": {"1": [RDONLY]},
        "both": {"0": ["KFA_RCU"], "1": [RDONLY], "3": [RDONLY]},
    }
    for kfunc in ("cast", "laundered"):
        assert found[kfunc]["fate"] == "keep"
        assert "stays: its const is cast away; decide by name in patchbot.toml" in found[kfunc]["reason"]
    assert all(RDONLY not in found[kfunc]["reason"] for kfunc in ("writes", "object", "ignored"))


@pytest.mark.parametrize(
    ("body", "helper"),
    [
        ("const char *at = mem; return fill((char *)at);", ""),
        ("const struct a *at; at = (const struct a *)mem; return fill((void *)&at->b);", ""),
        ("return fill((void *)(mem + 1));", ""),
        ("return fill((T *)&mem[1]);", ""),
        ("return set(0, mem);", "static int set(int n, const char *to)\n{\n\treturn fill((char *)to);\n}\n"),
    ],
)
def test_a_const_that_is_cast_away_further_on_is_seen(tmp_path, body, helper):
    kfunc = f"__bpf_kfunc int f(const char *mem, u32 mem__sz)\n{{\n\t{body}\n}}\n"
    row = "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, f)\nBTF_KFUNCS_END(ids)\n"
    found = entries(make(tmp_path / "cast", {"kernel/bpf/a.c": helper + kfunc + row}), config())["f"]
    assert (found["fate"], found["arg_flags"]) == ("keep", {})
    assert "argument 0 (const char *mem) stays: its const is cast away" in found["reason"]
    read = [text.replace("((void *)", "((const void *)") for text in (helper, kfunc)]
    read = [text.replace("(char *)", "(const char *)").replace("(T *)", "(const T *)") for text in read]
    found = entries(make(tmp_path / "read", {"kernel/bpf/a.c": "".join(read) + row}), config())["f"]
    assert found["arg_flags"] == {"0": [RDONLY]}


def test_functions_that_all_call_each_other_are_read_once(tmp_path):
    """A file of a hostile tree: 40 functions of which each passes the pointer to all, four calls deep."""
    calls = "".join(f"\tg{n}(mem);\n" for n in range(40))
    helpers = "".join(f"static void g{n}(const char *mem)\n{{\n{calls}}}\n" for n in range(40))
    kfunc = f"__bpf_kfunc int f(const char *mem, u32 mem__sz)\n{{\n{calls}\treturn 0;\n}}\n"
    row = "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, f)\nBTF_KFUNCS_END(ids)\n"
    found = entries(make(tmp_path, {"kernel/bpf/a.c": helpers + kfunc + row}), config())["f"]
    assert found["arg_flags"] == {"0": [RDONLY]}


def test_a_cast_in_any_of_several_definitions_is_seen(tmp_path):
    one, other = (
        f"__bpf_kfunc int f(const char *{name}, u32 n__sz)\n{{\n\treturn fill({cast}{name});\n}}\n"
        for name, cast in (("mem", ""), ("other", "(char *)"))
    )
    row = "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, f)\nBTF_KFUNCS_END(ids)\n"
    text = f"#ifdef CONFIG_A\n{one}#else\n{other}#endif\n"
    assert entries(make(tmp_path, {"kernel/bpf/a.c": text + row}), config())["f"]["arg_flags"] == {}


def test_a_person_decides_by_name(tree):
    decided = {
        "f": {"rdonly": [], "reason": "it keeps the pointer"},
        "cast": {"rdonly": [0], "reason": "fill() reads it"},
        "object": {"rdonly": [0], "reason": "it holds numbers only"},
        "both": {"rdonly": [3], "reason": "the first one is kept"},
        "writes": {"rdonly": [0], "reason": "wrong"},
    }
    found = entries(tree, config(decided))
    assert {k: e["arg_flags"] for k, e in found.items() if RDONLY in str(e["arg_flags"])} == {
        "number": {"1": [RDONLY]},
        "cast": {"0": [RDONLY]},
        "object": {"0": [RDONLY]},
        "both": {"0": ["KFA_RCU"], "3": [RDONLY]},
    }
    assert found["f"]["reason"] == f"{RDONLY}: argument 0 stays, by decision (it keeps the pointer)"
    assert found["writes"]["reason"] == f"{RDONLY}: argument 0 was decided, but it is not const memory"
    assert f"{RDONLY}: argument 1 stays, by decision (the first one is kept)" in found["both"]["reason"]


def test_a_kept_row_and_a_step_that_is_off_stay(tree):
    kept = entries(tree, config({"f": {"keep": True, "reason": "as it is"}}))["f"]
    assert (kept["fate"], kept["arg_flags"]) == ("keep", {})
    assert not [e for e in entries(tree, config(without=("rdonly",))).values() if RDONLY in str(e)]


def test_a_decision_is_a_list_of_arguments_or_keeps(tree):
    for wrong in ({"rdonly": 0, "reason": "x"}, {"rdonly": [0], "keep": True, "reason": "x"}, {"reason": "x"}):
        with pytest.raises(ConfigError, match=r"decisions\.f"):
            entries(tree, config({"f": wrong}))


def test_rows_get_the_flag_once(tree):
    wanted = config({"cast": {"rdonly": [0], "reason": "fill() reads it"}})
    context = Context(tree, tree, wanted, ("rdonly",))
    edits = rows.convert(context, RDONLY).edits
    after = tree.edit(edits)
    assert after.read("kernel/bpf/a.c").decode().split("(ids)\n")[1].split("\n")[:8] == [
        "BTF_KFUNC(f, 0, KFA_RDONLY)",
        "BTF_KFUNC(number, KF_SLEEPABLE, 0, KFA_RDONLY)",
        "BTF_KFUNC(cast, KF_SLEEPABLE, KFA_RDONLY)",
        "BTF_ID_FLAGS(func, laundered)",
        "BTF_ID_FLAGS(func, writes)",
        "BTF_ID_FLAGS(func, object)",
        "BTF_KFUNC(both, KF_RCU, 0, KFA_RDONLY, 0, KFA_RDONLY)",
        "BTF_ID_FLAGS(func, ignored)",
    ]
    assert rows.convert(Context(after, tree, wanted, ("rdonly",)), RDONLY).edits == ()
    words = rows.words(RDONLY)(context, edits[0].key, edits)
    message = render.message("kfunc_flags", None, "convert-rdonly.txt.j2", **words)
    assert message.startswith("bpf: Accept read-only memory in a kfuncs\n\n")
    assert "  argument 0 of\n    cast, f\n" in message
    assert "cast(): fill() reads it.\n" in message
    assert max(map(len, message.split("\n"))) <= 75


RAW = (
    FIRST
    + b"""
static int check_stack_range_initialized(struct bpf_call_arg_meta *meta)
{
	return meta->arg_raw_mem.regno == regno;
}
"""
)


def test_memory_that_is_written_whole_is_decided_by_name(tmp_path):
    decided = {
        "writes": {"uninit": [0], "reason": "memset() sets it"},
        "cast": {"uninit": [0], "reason": "wrong"},
        "number": {"uninit": [1], "rdonly": [], "reason": "wrong"},
    }
    able, unable = (
        make(tmp_path / name, {"kernel/bpf/a.c": KFUNCS + ROWS}, verifier=verifier)
        for name, verifier in (("able", RAW), ("unable", FIRST))
    )
    found = entries(able, config(decided))
    assert found["writes"]["arg_flags"] == {"0": [UNINIT]}
    assert found["writes"]["reason"] == f"{UNINIT}: argument 0, by decision (memset() sets it)"
    for kfunc in ("cast", "number"):
        assert UNINIT not in str(found[kfunc]["arg_flags"])
        assert "was decided, but it is not memory that can be written" in found[kfunc]["reason"]
    assert not [e for e in entries(able, config()).values() if UNINIT in str(e["arg_flags"])]
    assert not [e for e in entries(able, config(decided, without=("uninit",))).values() if UNINIT in str(e)]
    stays = entries(unable, config(decided))["writes"]
    assert (stays["fate"], stays["arg_flags"]) == ("keep", {})
    assert "this verifier cannot check the memory of a kfunc for writing only" in stays["reason"]


@pytest.mark.kernel
def test_each_const_memory_of_a_real_kernel_has_a_fate(kernel: RealKernel):
    base = kernel.tree
    if b"is_kfunc_rcu" not in base.read("kernel/bpf/verifier.c"):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    found = inventory(base, load(None, bundled("patchbot.toml")).campaign("kfunc_flags"))
    flagged = {e.row.kfunc: e.plan.arguments[RDONLY] for e in found.changed(RDONLY)}
    assert {"bpf_crypto_ctx_create": (0,), "bpf_sock_addr_set_sun_path": (1,)}.items() <= flagged.items()
    assert len({e.row.file for e in found.changed(RDONLY)}) >= 3
    undecided = [e.site for e in found.entries if "decide by name" in e.plan.reason]
    assert undecided == []
