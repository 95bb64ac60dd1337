"""The rows of the optional step acquire: which KF_ACQUIRE becomes KFA_ACQUIRE, and who decides that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import RealKernel
from kfunctree import make

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.campaign import campaign
from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.steps import rows
from patchbot.config import CampaignConfig, load
from patchbot.errors import ConfigError
from patchbot.series import render
from patchbot.series.campaign import Context, active_steps
from patchbot.series.generate import generate
from patchbot.series.tree import Tree

KFUNCS = """\
__bpf_kfunc struct a *get(struct a *a, u32 flags)
__bpf_kfunc const struct a *get_const(const struct a *a)
__bpf_kfunc struct a *second(struct b *b, struct a *a)
__bpf_kfunc struct a *lookup(u32 id)
__bpf_kfunc struct a *of(struct b *b)
__bpf_kfunc struct bpf_rb_node *node(struct bpf_rb_root *root, struct bpf_rb_node *node)
__bpf_kfunc void *untyped(void *a)
"""
ROWS = {
    "get": "KF_ACQUIRE | KF_RCU | KF_RET_NULL",
    "get_const": "KF_ACQUIRE",
    "second": "KF_ACQUIRE | KF_SLEEPABLE",
    "lookup": "KF_ACQUIRE | KF_RET_NULL",
    "of": "KF_ACQUIRE | KF_RCU",
    "node": "KF_ACQUIRE",
    "untyped": "KF_ACQUIRE",
}
YES, NO = {"acquire": [0], "reason": "it is the same"}, {"acquire": [], "reason": "it is its parent"}
DECIDED = {"get": YES, "get_const": NO, "second": {"acquire": [1], "reason": "so it is"}}


def text(names: tuple[str, ...] = tuple(ROWS)) -> str:
    definitions = KFUNCS.replace(")\n", ")\n{\n}\n\n")
    listed = "".join(f"BTF_ID_FLAGS(func, {name}, {ROWS[name]})\n" for name in names)
    return f"{definitions}BTF_KFUNCS_START(ids)\n{listed}BTF_KFUNCS_END(ids)\n"


def config(decisions: dict[str, Any], on: bool = True) -> CampaignConfig:
    return CampaignConfig("kfunc_flags", with_=("acquire",) if on else (), decisions=decisions)


def entries(tree: Tree, decisions: dict[str, Any], on: bool = True) -> dict[str, dict[str, Any]]:
    return {e["kfunc"]: e for e in audit(tree, config(decisions, on)).document()["entries"]}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return make(tmp_path, {"kernel/bpf/a.c": text()})


def test_what_the_type_cannot_tell_is_decided_by_name(tree):
    undecided = entries(tree, {})
    assert {k for k, e in undecided.items() if e["fate"] == "refuse"} == {"get", "get_const", "second"}
    assert (
        "the type of argument 1 is returned, but not necessarily the object; decide by name"
        in (undecided["second"]["reason"])
    )
    decided = entries(tree, DECIDED)
    assert {k: e["arg_flags"] for k, e in decided.items() if e["fate"] == "change"} == {
        "get": {"0": ["KFA_RCU", "KFA_ACQUIRE"]},
        "second": {"1": ["KFA_ACQUIRE"]},
        "of": {"0": ["KFA_RCU"]},
    }
    assert {k: e["fate"] for k, e in decided.items() if k not in ("get", "second", "of")} == dict.fromkeys(
        ("get_const", "lookup", "node", "untyped"), "keep"
    )
    assert decided["get_const"]["reason"].endswith("by decision (it is its parent)")
    assert decided["lookup"]["reason"] == "KF_ACQUIRE stays: it does not return an object of the type of an argument"
    assert "KF_ACQUIRE stays" in decided["of"]["reason"]


def test_off_is_as_if_there_were_no_such_step(tree):
    off = entries(tree, DECIDED, on=False)
    assert {k for k, e in off.items() if e["fate"] == "change"} == {"get", "of"}
    assert off["get"]["arg_flags"] == {"0": ["KFA_RCU"]}
    assert off["lookup"]["reason"] == "no argument-specific flag"
    assert entries(tree, {}, on=False) == off


@pytest.mark.parametrize(
    ("kfunc", "argument", "message"),
    [
        ("get", 1, "argument 1 was decided, but it is not a pointer (scalar)"),
        ("get", 2, "argument 2 was decided, but BPF programs pass 2 arguments"),
        ("of", 0, "argument 0 was decided, but the kfunc returns struct a *"),
        ("node", 1, "argument 1 was decided, but the kfunc returns struct bpf_rb_node *"),
    ],
)
def test_a_decision_must_fit_the_prototype(tree, kfunc, argument, message):
    entry = entries(tree, {**DECIDED, kfunc: {"acquire": [argument], "reason": "x"}})[kfunc]
    assert (entry["fate"], entry["reason"]) == ("refuse", f"KF_ACQUIRE: {message}")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0, 1], r" has 2 items, not at most 1"),
        (0, r" is 0, not a list"),
        (["0"], r"\[0\] is '0', not a number"),
        ([-1], r"\[0\] is -1, not a number >= 0"),
    ],
)
def test_a_decision_names_one_argument_or_none(tree, value, message):
    with pytest.raises(ConfigError, match=rf"decisions\.get\.acquire{message}"):
        entries(tree, {"get": {"acquire": value, "reason": "x"}})


def test_a_row_that_is_kept_stays(tree):
    kept = entries(tree, {**DECIDED, "get": {"keep": True, "reason": "as it is"}})["get"]
    assert (kept["fate"], kept["reason"], kept["arg_flags"]) == ("keep", "as it is", {})


def test_a_kfunc_without_definition_is_decided(tmp_path):
    source = text(("get", "second")).replace("struct a *get(", "struct a *other(")
    tree = make(tmp_path, {"kernel/bpf/a.c": source})
    assert entries(tree, {"second": NO})["get"]["fate"] == "refuse"
    found = entries(tree, {"second": NO, "get": {**YES, "rcu": [0]}})["get"]
    assert found["arg_flags"] == {"0": ["KFA_RCU", "KFA_ACQUIRE"]}


def test_conversion(tree):
    wanted = config(DECIDED)
    after = tree
    for flag in ("KF_RCU", "KF_RELEASE", "KF_ACQUIRE"):
        after = after.edit(rows.convert(Context(after, tree, wanted, ()), flag).edits)
    assert after.read("kernel/bpf/a.c").decode().split("(ids)\n")[1].split("\n")[:5] == [
        "BTF_KFUNC(get, KF_RET_NULL, KFA_RCU | KFA_ACQUIRE)",
        "BTF_ID_FLAGS(func, get_const, KF_ACQUIRE)",
        "BTF_KFUNC(second, KF_SLEEPABLE, 0, KFA_ACQUIRE)",
        "BTF_ID_FLAGS(func, lookup, KF_ACQUIRE | KF_RET_NULL)",
        "BTF_KFUNC(of, KF_ACQUIRE, KFA_RCU)",
    ]
    again = rows.convert(Context(after, tree, wanted, ()), "KF_ACQUIRE")
    assert again.edits == ()
    assert again.remarks == ("kernel/bpf/a.c:31: get_const@ids keeps KF_ACQUIRE: it is its parent",)


def test_message_says_which_argument_and_what_stays(tree):
    context = Context(tree, tree, config(DECIDED), ())
    edits = rows.convert(context, "KF_ACQUIRE").edits
    words = rows.words("KF_ACQUIRE")(context, edits[0].key, edits)
    message = render.message("kfunc_flags", None, "convert-acquire.txt.j2", **words)
    assert message.startswith("bpf: Use KFA_ACQUIRE instead of KF_ACQUIRE for a kfuncs\n\n")
    assert "  argument 0 of get()\n  argument 1 of second()\n" in message
    assert "get_const() keeps KF_ACQUIRE: it is its parent.\n" in message
    assert "lookup" not in message
    assert all(len(line) <= 75 for line in message.split("\n"))


def test_one_name_switches_both_steps():
    config_of = lambda **more: CampaignConfig("kfunc_flags", **more)  # noqa: E731
    made = campaign(config_of())
    names = [s.name for s in active_steps(made, config_of(with_=("acquire",)))]
    assert names.index("docs") < names.index("acquire") < names.index("rows") < names.index("acquire-rows")
    assert not {"acquire", "acquire-rows"} & {s.name for s in active_steps(made, config_of())}
    with pytest.raises(ConfigError, match="no step 'acquire-rows'"):
        active_steps(made, config_of(with_=("acquire-rows",)))


@pytest.mark.kernel
def test_real_kernels_take_the_step_and_then_have_nothing_left(kernel: RealKernel):
    base = kernel.tree
    if b"is_kfunc_rcu" not in base.read("kernel/bpf/verifier.c"):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    shipped = load(None, bundled("patchbot.toml")).campaign("kfunc_flags")
    wanted = CampaignConfig(
        "kfunc_flags", target=shipped.target, decisions=shipped.decisions, with_=("acquire", "suffixes")
    )
    made = generate(base, campaign(wanted), wanted)
    converted = [p for p in made.series.patches if p.step == "acquire-rows"]
    sites = sorted(site.partition("@")[0] for patch in converted for site in patch.sites)
    assert {"bpf_task_acquire", "bpf_cgroup_acquire", "bpf_cpumask_acquire"} <= set(sites)
    assert "bpf_cgroup_ancestor" not in sites
    assert "acquire" in [p.id for p in made.series.patches]
    again = generate(made.tip, campaign(wanted), wanted)
    assert again.series.patches == ()
