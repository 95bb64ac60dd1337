from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from kfunctree import FIRST, REFERENCED, make
from tinytree import TOP

from patchbot.campaigns.kfunc_flags.sites.inventory import audit, components, inventory, witnesses
from patchbot.campaigns.kfunc_flags.sites.nouns import SetError
from patchbot.config import CampaignConfig, load
from patchbot.errors import ConfigError, UserError

DEFINITIONS = """\
__bpf_kfunc void put(struct task_struct *p)
{
}

__bpf_kfunc void look(struct task_struct *p, u32 flags)
{
}
"""


def config(decisions: dict[str, dict[str, Any]] | None = None, without: tuple[str, ...] = ()) -> CampaignConfig:
    return CampaignConfig("kfunc_flags", decisions=decisions or {}, without=without)


def one_set(rows: str, name: str = "ids", definitions: str = DEFINITIONS) -> str:
    return f"{definitions}\nBTF_KFUNCS_START({name})\n{rows}BTF_KFUNCS_END({name})\n"


def scan(path: Path, text: str, decisions: dict[str, dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Return {kfunc: entry} of a tree with one file."""
    found = audit(make(path, {"kernel/bpf/a.c": text}, **more), config(decisions))
    return {entry["kfunc"]: entry for entry in found.document()["entries"]}


def test_entry_says_all_there_is(tmp_path: Path) -> None:
    rows = "#ifdef CONFIG_S390\nBTF_ID_FLAGS(func, look,\n\t     KF_RCU | KF_SLEEPABLE);\n#endif\n"
    entry = scan(tmp_path, one_set(rows))["look"]
    assert {k: entry[k] for k in ("set", "file", "line", "end_line", "flags", "conditions", "via")} == {
        "set": "ids",
        "file": "kernel/bpf/a.c",
        "line": 11,
        "end_line": 12,
        "flags": ["KF_RCU", "KF_SLEEPABLE"],
        "conditions": ["CONFIG_S390"],
        "via": None,
    }
    assert entry["prototype"] == {
        "file": "kernel/bpf/a.c",
        "line": 5,
        "params": [
            {"index": 0, "text": "struct task_struct *p", "name": "p", "class": "btf_id"},
            {"index": 1, "text": "u32 flags", "name": "flags", "class": "scalar"},
        ],
    }
    assert (entry["fate"], entry["arg_flags"]) == ("change", {"0": ["KFA_RCU"]})


def test_counts_and_sites(tmp_path: Path) -> None:
    rows = "BTF_ID_FLAGS(func, put, KF_RELEASE)\nBTF_ID_FLAGS(func, look)\n"
    tree = make(
        tmp_path,
        {
            "kernel/bpf/a.c": one_set(rows),
            "net/b.c": "BTF_KFUNCS_START(other)\nBTF_ID_FLAGS(func, put, KF_RELEASE)\nBTF_KFUNCS_END(other)\n",
            "Documentation/c.rst": one_set(rows, "example"),
        },
    )
    found = audit(tree, config())
    assert found.document()["counts"] == {
        "files": 2,
        "sets": 2,
        "entries": 3,
        "kfuncs": 2,
        "change": 2,
        "keep": 1,
        "refuse": 0,
    }
    assert found.fates()["put@other"] == ("change", "net/b.c:2")
    assert witnesses(tree) == ["kernel/bpf/a.c", "net/b.c"]
    assert components(inventory(tree, config()), "KF_RELEASE") == [("kernel/bpf/a.c", "net/b.c")]
    assert components(inventory(tree, config()), "KF_RCU") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (one_set("BTF_ID_FLAGS(func, put)\nMYSTERY(put)\n"), "a.c:11: 'MYSTERY' in the set ids; expected BTF_ID_FLAGS"),
        (one_set("BTF_ID_FLAGS(func, put, KF_A +)\n"), "a.c:10: flags 'KF_A +'; expected 0 or names"),
        (one_set("BTF_ID_FLAGS(struct, put)\n"), "a.c:10: BTF_ID_FLAGS(struct, put); expected BTF_ID_FLAGS(func,"),
        (one_set("BTF_ID_FLAGS(func, put\n"), "a.c:10: BTF_ID_FLAGS without a complete ( ... )"),
        (one_set("BTF_ID(func, put, 1)\n"), "a.c:10: BTF_ID(func, put, ...) takes no flags"),
        (one_set("#pragma once\n"), "a.c:10: #pragma inside a set"),
        (
            one_set("#define ROW(x) x\nROW(put)\n"),
            "a.c:10: macro ROW inside a set; expected its body to be BTF_ID_FLAGS",
        ),
        (one_set("#define ROW(x) BTF_ID_FLAGS(func, x)\nLIST\n"), "a.c:11: 'LIST' in the set ids: neither this file"),
        ("BTF_KFUNCS_START(a)\nBTF_ID_FLAGS(func, f)\n", "a.c:1: the set a has no BTF_KFUNCS_END(a)"),
        ("BTF_KFUNCS_START(a)\nBTF_KFUNCS_START(b)\nBTF_KFUNCS_END(b)\n", "a.c:2: BTF_KFUNCS_START inside the set a"),
        (
            "BTF_KFUNCS_START(a)\nBTF_KFUNCS_END(b)\n",
            "a.c:2: BTF_KFUNCS_END(b) ends a set that is not open; expected BTF_KFUNCS_END(a)",
        ),
        ("BTF_KFUNCS_START(a)\nBTF_SET8_END(a)\n", "expected BTF_KFUNCS_END(a)"),
        (
            "BTF_KFUNCS_START(a)\nBTF_KFUNCS_END(a)\nBTF_KFUNCS_END(a)\n",
            "a.c:3: BTF_KFUNCS_END without BTF_KFUNCS_START",
        ),
        ("#define SET BTF_KFUNCS_START(a)\nSET\n", "a.c:1: BTF_KFUNCS_START inside a macro"),
        ("BTF_KFUNCS_START()\nBTF_KFUNCS_END(a)\n", "a.c:1:"),
    ],
)
def test_what_is_not_understood_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SetError) as error:
        scan(tmp_path, text)
    assert f"kernel/bpf/{message}" in str(error.value) or message in str(error.value)
    assert error.value.exit_code == 2


def test_comments_strings_and_definitions_are_no_sets(tmp_path: Path) -> None:
    text = (
        '/* BTF_KFUNCS_START(a) */ // BTF_KFUNCS_START(b)\nconst char *s = "BTF_KFUNCS_START(c)";\n'
        "#define BTF_KFUNCS_START(name) \\\n\tBTF_SET8_START(name)\n#ifdef BTF_KFUNCS_START\n#endif\n"
    )
    assert scan(tmp_path, text) == {}


def test_rows_of_a_list_macro(tmp_path: Path) -> None:
    text = (
        "#include <net/list.h>\nBTF_KFUNCS_START(ids)\n#define LIST_KFUNC(_, name) BTF_ID_FLAGS(func, name, KF_RCU)\n"
        "LIST_KFUNC_xxx\nLIST_KFUNC(x, direct)\n#undef LIST_KFUNC\nBTF_KFUNCS_END(ids)\n"
    )
    found = scan(tmp_path, text)
    assert [(e["kfunc"], e["line"], e["via"]) for e in found.values()] == [
        ("from_list_one", 4, "LIST_KFUNC_xxx"),
        ("from_list_two", 4, "LIST_KFUNC_xxx"),
        ("direct", 5, "LIST_KFUNC"),
    ]
    assert {e["fate"] for e in found.values()} == {"refuse"}
    assert "by hand" in found["direct"]["reason"]


def test_prototype_in_another_file_beats_a_stub(tmp_path: Path) -> None:
    tree = make(
        tmp_path,
        {
            "kernel/bpf/a.c": "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, look, KF_RCU)\nBTF_KFUNCS_END(ids)\n",
            "kernel/bpf/b.c": "__bpf_kfunc int look(u32 flags, struct task_struct *p)\n{\n\treturn 0;\n}\n",
            "include/linux/look.h": "static inline int look(struct task_struct *p)\n{\n\treturn 0;\n}\n",
            "tools/lib/look.c": "__bpf_kfunc int look(struct cgroup *p)\n{\n\treturn 0;\n}\n",
        },
    )
    (entry,) = inventory(tree, config()).entries
    assert entry.plan.arguments == {"KF_RCU": (1,)}


def test_unmarked_definition_elsewhere_is_found(tmp_path: Path) -> None:
    tree = make(
        tmp_path,
        {
            "kernel/bpf/a.c": "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, look, KF_RCU)\nBTF_KFUNCS_END(ids)\n",
            "kernel/b.c": "int look(u32 flags, struct task_struct *p)\n{\n\treturn 0;\n}\n",
        },
    )
    (entry,) = inventory(tree, config()).entries
    assert entry.plan.arguments == {"KF_RCU": (1,)}


TWICE = """\
#ifdef CONFIG_A
__bpf_kfunc void look(struct task_struct *p)
{
}
#else
__bpf_kfunc void look(%s)
{
}
#endif
"""


def test_two_definitions(tmp_path: Path) -> None:
    rows = "BTF_ID_FLAGS(func, look, KF_RCU)\n"
    same = scan(tmp_path / "same", one_set(rows, definitions=TWICE % "struct task_struct *other"))
    assert same["look"]["fate"] == "change"
    differ = scan(tmp_path / "differ", one_set(rows, definitions=TWICE % "struct cgroup *c"))
    assert differ["look"]["fate"] == "refuse"
    assert "different parameters at kernel/bpf/a.c:2, kernel/bpf/a.c:6" in differ["look"]["reason"]
    decided = {"look": {"rcu": [0], "reason": "both take one"}}
    assert (
        scan(tmp_path / "decided", one_set(rows, definitions=TWICE % "struct cgroup *c"), decided)["look"]["fate"]
        == "change"
    )


def test_missing_prototype_is_refused_only_where_it_matters(tmp_path: Path) -> None:
    found = scan(tmp_path, one_set("BTF_ID_FLAGS(func, made, KF_RCU)\nBTF_ID_FLAGS(func, other)\n"))
    assert found["made"]["fate"] == "refuse"
    assert "no definition of made() found" in found["made"]["reason"]
    assert (found["other"]["fate"], found["other"]["prototype"]) == ("keep", None)


CLASSES = """\
__bpf_kfunc void f(%s)
{
}
"""


@pytest.mark.parametrize(
    ("params", "flags", "classes"),
    [
        ("struct task_struct *p, const struct cpumask *m, union addr *u", "", "btf_id btf_id btf_id"),
        ("u32 a, u64 b__k, enum e c, bool d", "", "scalar const scalar scalar"),
        ("void *b, u32 b__sz, char *d, u32 d__szk", "", "mem mem_size mem const_mem_size"),
        ("struct opts *o, u32 o__sz, const int rdonly_buf_size", "", "mem mem_size alloc_size"),
        ("int *a, unsigned long *b, bool *c, u8 d[16]", "", "mem mem mem mem"),
        ("struct xdp_md *ctx, struct xdp_buff *x", "", "ctx btf_id"),
        ("struct bpf_dynptr *d, const struct bpf_dynptr *e__nullable", "", "dynptr dynptr"),
        ("struct bpf_iter_x *it, struct bpf_iter_y *x__iter", "KF_ITER_NEW", "iter btf_id"),
        ("struct bpf_iter_x *it__iter, struct bpf_iter_y *x", "", "iter btf_id"),
        ("void *p__alloc, void *q__refcounted_kptr", "", "alloc_btf_id refcounted_kptr"),
        ("struct bpf_list_head *a, struct bpf_list_node *b", "", "list_head list_node"),
        ("struct bpf_rb_root *a, struct bpf_rb_node *b", "", "rb_root rb_node"),
        ("const char *s__str, void *m__map, void *n__const_map", "", "const_str map map"),
        ("struct bpf_wq *a, struct bpf_timer *b, struct bpf_task_work *c", "", "wq timer task_work"),
        ("unsigned long *f__irq_flag, struct bpf_res_spin_lock *l", "", "irq_flag res_spin_lock"),
        ("int (cb)(void *a, int *b), bpf_task_work_callback_t d", "", "callback callback"),
        ("u64 *a__arena, struct s *b__arena__nullable", "", "arena arena"),
        ("void *x__ign, struct bpf_prog_aux *aux", "", "ignored prog_aux"),
        ("u32 a, struct bpf_prog_aux *aux, u64 off", "KF_IMPLICIT_ARGS", "scalar implicit implicit"),
        ("struct btf_struct_meta *meta", "KF_IMPLICIT_ARGS", "implicit"),
        ("void", "", ""),
    ],
)
def test_classes(tmp_path: Path, params: str, flags: str, classes: str) -> None:
    rows = f"BTF_ID_FLAGS(func, f{', ' + flags if flags else ''})\n"
    entry = scan(tmp_path, one_set(rows, definitions=CLASSES % params))["f"]
    assert [p["class"] for p in entry["prototype"]["params"]] == classes.split()


def test_kfuncs_that_the_verifier_names_take_the_context(tmp_path: Path) -> None:
    text = "__bpf_kfunc void bpf_session_cookie(void *obj)\n{\n}\n"
    entry = scan(tmp_path, one_set("BTF_ID_FLAGS(func, bpf_session_cookie)\n", definitions=text))["bpf_session_cookie"]
    assert entry["prototype"]["params"][0]["class"] == "ctx"


def test_release_by_verifier(tmp_path: Path) -> None:
    text = "__bpf_kfunc void drop(struct sk_buff *skb, struct list *to)\n{\n}\n"
    rows = one_set("BTF_ID_FLAGS(func, drop, KF_RELEASE)\n", definitions=text)
    assert scan(tmp_path / "1", rows)["drop"]["arg_flags"] == {"0": ["KFA_RELEASE"]}
    refused = scan(tmp_path / "2", rows, verifier=REFERENCED)["drop"]
    assert (refused["fate"], refused["arg_flags"]) == ("refuse", {})
    assert "arguments 0 and 1 could be the referenced one" in refused["reason"]
    decided = {"drop": {"release": [1], "reason": "the list"}}
    assert scan(tmp_path / "3", rows, decided, verifier=REFERENCED)["drop"]["arg_flags"] == {"1": ["KFA_RELEASE"]}
    assert "releases argument 0" in scan(tmp_path / "4", rows, decided)["drop"]["reason"]


def test_verifier_that_is_not_known(tmp_path: Path) -> None:
    tree = make(tmp_path, {"kernel/bpf/a.c": one_set("")}, verifier=b"int x;\n")
    with pytest.raises(UserError, match=r"kernel/bpf/verifier\.c: cannot tell which argument"):
        inventory(tree, config())


def test_flag_that_nothing_can_bear_needs_a_decision(tmp_path: Path) -> None:
    text = one_set("BTF_ID_FLAGS(func, f, KF_RCU)\n", definitions=CLASSES % "struct bpf_iter_x *it__iter, u64 s")
    found = audit(make(tmp_path / "1", {"kernel/bpf/a.c": text}), config())
    assert found.refused == (
        "kernel/bpf/a.c:6: f@ids: KF_RCU: no argument is a pointer to a kernel object, so none can have the flag; "
        "decide by name in patchbot.toml",
    )
    kept = scan(tmp_path / "2", text, {"f": {"keep": True, "reason": "only an iterator"}})["f"]
    assert (kept["fate"], kept["reason"]) == ("keep", "only an iterator")


def test_rows_of_one_kfunc_must_agree(tmp_path: Path) -> None:
    text = (
        one_set("BTF_ID_FLAGS(func, look, KF_RCU)\n")
        + "BTF_KFUNCS_START(b)\nBTF_ID_FLAGS(func, look)\nBTF_KFUNCS_END(b)\n"
    )
    found = audit(make(tmp_path, {"kernel/bpf/a.c": text}), config())
    assert found.fates()["look@ids"][0] == "refuse"
    assert "differ between its sets: see kernel/bpf/a.c:13" in found.refused[0]


def test_reasons_to_keep(tmp_path: Path) -> None:
    rows = one_set("BTF_ID_FLAGS(func, put, KF_RELEASE)\n")
    module = "#include <linux/module.h>\n" + rows.replace("(ids)", "(module_ids)")
    tree = make(
        tmp_path,
        {
            "kernel/bpf/a.c": one_set("BTF_ID_FLAGS(func, put, KF_TRUSTED_ARGS)\nBTF_KFUNC(look, 0, KFA_RCU)\n"),
            "net/fmodret.c": "BTF_SET8_START(hooks)\nBTF_ID(func, hook)\nBTF_SET8_END(hooks)\n",
            "tools/testing/selftests/bpf/module.c": module,
            "tools/testing/selftests/bpf/user.c": rows.replace("(ids)", "(user_ids)"),
        },
    )
    reasons = {e.site: e.plan.reason for e in inventory(tree, config()).entries}
    assert reasons["look@ids"] == "already converted"
    assert "KF_TRUSTED_ARGS is deprecated" in reasons["put@ids"]
    assert "not a set of kfuncs" in reasons["hook@hooks"]
    assert "test module" in reasons["put@module_ids"]
    assert "user space" in reasons["put@user_ids"]


def test_conversion_can_be_switched_off(tmp_path: Path) -> None:
    tree = make(tmp_path, {"kernel/bpf/a.c": one_set("BTF_ID_FLAGS(func, put, KF_RELEASE)\n")})
    (entry,) = inventory(tree, config(without=("release",))).entries
    assert (entry.plan.fate, entry.plan.reason) == ("keep", "the conversion of KF_RELEASE is switched off")


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"rcu": [0]}, "decisions.put: a decision needs a reason"),
        ({"rcu": [0], "reason": " "}, "needs a reason"),
        (
            {"rcu": [0], "reasn": "x", "reason": "y"},
            "unknown key 'reasn'; did you mean reason? (known: rcu, release, acquire, keep, optional, reason, "
            "rdonly, uninit)",
        ),
        ({"rcu": 0, "reason": "x"}, "decisions.put.rcu is 0, not a list"),
        ({"rcu": [True], "reason": "x"}, "decisions.put.rcu[0] is True, not a number"),
        ({"rcu": [1, 1], "reason": "x"}, "must be a list of distinct argument numbers"),
        ({"release": [0, 1], "reason": "x"}, "release has 2 items, not 1"),
        ({"keep": "yes", "reason": "x"}, "keep is 'yes', not true or false"),
        ({"keep": True, "rcu": [0], "reason": "x"}, "expected either `keep = true`, or"),
        ({"reason": "x"}, "expected either `keep = true`, or"),
    ],
)
def test_bad_decisions(tmp_path: Path, decision: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        scan(tmp_path, one_set("BTF_ID_FLAGS(func, put, KF_RELEASE)\n"), {"put": decision})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"rcu": [2], "reason": "x"}, "argument 2 was decided, but BPF programs pass 2 arguments"),
        ({"rcu": [1], "reason": "x"}, "argument 1 was decided, but it is not a pointer (scalar)"),
    ],
)
def test_decision_that_does_not_fit_is_refused(tmp_path: Path, decision: dict[str, Any], message: str) -> None:
    entry = scan(tmp_path, one_set("BTF_ID_FLAGS(func, look, KF_RCU)\n"), {"look": decision})["look"]
    assert entry["fate"] == "refuse"
    assert message in entry["reason"]


def test_decision_about_what_is_not_there_is_a_warning(tmp_path: Path) -> None:
    tree = make(tmp_path, {"kernel/bpf/a.c": one_set("")})
    decisions = {"gone": {"keep": True, "reason": "x"}, "maybe": {"keep": True, "optional": True, "reason": "x"}}
    assert audit(tree, config(decisions)).warnings == (
        "patchbot.toml has a decision for gone(), which is in no kfunc set of this tree",
    )


def test_same_answer_for_a_dirty_overlay(tmp_path: Path) -> None:
    text = one_set("BTF_ID_FLAGS(func, look, KF_RCU)\n")
    tree = make(tmp_path, {"kernel/bpf/a.c": "int nothing;\n"}, verifier=FIRST)
    assert inventory(tree, config()).entries == ()
    assert [e.row.kfunc for e in inventory(tree.overlaid({"kernel/bpf/a.c": text.encode()}), config()).entries] == [
        "look"
    ]


#: By release: sets, rows, kfuncs, files, kfuncs with KF_RELEASE and with KF_RCU.
KNOWN = {
    "7.3": (60, 497, 453, 38, 28, 61),
    "7.2": (54, 459, 421, 35, 27, 59),
    "6.12": (43, 274, 264, 28, 20, 46),
}


def shipped() -> CampaignConfig:
    """Return the campaign's table of the project's own patchbot.toml."""
    return load(None, TOP / "patchbot.toml").campaign("kfunc_flags")


@pytest.mark.kernel
def test_real_kernel_counts(kernel: Any) -> None:
    release = ".".join(kernel.version.split(".")[:2])
    if release not in KNOWN:
        pytest.skip(f"the sets of {release} were not counted by hand")
    started = time.process_time()
    document = audit(kernel.tree, shipped()).document()
    seconds = time.process_time() - started
    counts, entries = document["counts"], document["entries"]
    flagged = [len({e["kfunc"] for e in entries if flag in e["flags"]}) for flag in ("KF_RELEASE", "KF_RCU")]
    assert (counts["sets"], counts["entries"], counts["kfuncs"], counts["files"], *flagged) == KNOWN[release]
    assert counts["refuse"] == 0
    assert counts["change"] > 50
    for entry in entries:
        kernel_row = not entry["file"].startswith("tools/") and entry["set"] != "bpf_mptcp_fmodret_ids"
        assert entry["reason"]
        if kernel_row:
            assert entry["prototype"], entry["kfunc"]
    assert {e["via"] for e in entries} == {None, "XDP_METADATA_KFUNC_xxx"}
    assert seconds < 30


@pytest.mark.kernel
def test_real_kernel_arguments(kernel: Any) -> None:
    found = inventory(kernel.tree, shipped())
    flags = {e.row.kfunc: e.arg_flags for e in found.entries if e.plan.fate == "change"}
    assert flags["bpf_cpumask_and"] == (("KFA_RCU",), ("KFA_RCU",), ("KFA_RCU",))
    assert flags["bpf_iter_task_vma_new"] == ((), ("KFA_RCU",))
    assert flags["bpf_cpumask_set_cpu"] == ((), ("KFA_RCU",))
    assert flags["bpf_task_release"] == (("KFA_RELEASE",),)
    assert flags["hid_bpf_release_context"] == (("KFA_RELEASE",),)
    if "bpf_qdisc_skb_drop" in flags:
        assert flags["bpf_qdisc_skb_drop"] == (("KFA_RELEASE",),)
    if "__scx_bpf_select_cpu_and" in flags:
        assert flags["__scx_bpf_select_cpu_and"] == (("KFA_RCU",), ("KFA_RCU",), ("KFA_RCU",))
    assert "bpf_kfunc_call_test_release" not in flags
