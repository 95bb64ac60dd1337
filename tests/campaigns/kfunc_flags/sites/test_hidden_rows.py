"""A row must not be overlooked: what cannot be read is named, all of it at once, and what a row hides is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from kfunctree import make

from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.sites.nouns import SetError
from patchbot.config import CampaignConfig

FLAGS = """\
#define KF_ACQUIRE (1 << 0)
#define KF_RELEASE (1 << 1)
#define KF_RCU (1 << 7)
#define KF_BOTH (KF_RCU | \\
    KF_ACQUIRE)
"""
KFUNCS = (
    "__bpf_kfunc void put(struct task_struct *p)\n{\n}\n__bpf_kfunc void look(struct task_struct *p, u32 n)\n{\n}\n"
)


def refused(path: Path, text: str, decisions: dict | None = None) -> tuple[str, ...]:
    """Return the refusals of a tree with one file."""
    tree = make(path, {"kernel/bpf/a.c": text, "include/linux/btf.h": FLAGS})
    return audit(tree, CampaignConfig("kfunc_flags", decisions=decisions or {})).refused


def one_set(rows: str, name: str = "ids") -> str:
    return f"BTF_KFUNCS_START({name})\n{rows}BTF_KFUNCS_END({name})\n"


def test_all_that_is_not_understood_is_named_at_once(tmp_path: Path) -> None:
    files = {
        "kernel/bpf/a.c": KFUNCS
        + one_set("BTF_ID_FLAGS(func, put, KF_A +)\nMYSTERY(put)\nBTF_ID_FLAGS(func, look)\n#pragma once\n")
        + one_set("BTF_ID_FLAGS(struct, put)\n", "more"),
        "net/b.c": "BTF_KFUNCS_END(lost)\n" + one_set("BTF_ID_FLAGS(func, nowhere, KF_RCU)\n", "third"),
        "drivers/c.c": "BTF_KFUNCS_START(open)\nBTF_ID_FLAGS(func, put)\n",
    }
    with pytest.raises(SetError) as error:
        audit(make(tmp_path, files, verifier=b"int x;\n"), CampaignConfig("kfunc_flags"))
    lines = str(error.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "kernel/bpf/verifier.c",
        "drivers/c.c:1",
        "kernel/bpf/a.c:8",
        "kernel/bpf/a.c:9",
        "kernel/bpf/a.c:11",
        "kernel/bpf/a.c:14",
        "net/b.c:1",
        "net/b.c:3",
    ]
    assert "nowhere@third: no definition of nowhere() found" in lines[-1]


@pytest.mark.parametrize("name", ["net/rows.h", "net/rows.inc", "net/rows.c", "net/rows.def"])
def test_rows_outside_of_a_set_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetError, match=rf"{name}:2: BTF_ID_FLAGS outside a set; expected BTF_KFUNCS_START or"):
        audit(make(tmp_path, {name: "\nBTF_ID_FLAGS(func, put, KF_RCU)\n"}), CampaignConfig("kfunc_flags"))


def test_rows_of_an_included_file_are_named(tmp_path: Path) -> None:
    files = {"net/a.c": one_set('#include "rows.h"\n'), "net/rows.h": "BTF_ID_FLAGS(func, put, KF_RCU)\n"}
    with pytest.raises(SetError, match=r"net/a.c:2: #include inside a set(.|\n)*net/rows.h:1: BTF_ID_FLAGS outside"):
        audit(make(tmp_path, files), CampaignConfig("kfunc_flags"))


def test_a_set_that_is_made_without_its_macro_is_named(tmp_path: Path) -> None:
    text = "__BTF_SET8_START(ids, local, BTF_SET8_KFUNCS)\nBTF_ID_FLAGS(func, put, KF_RCU)\nBTF_SET8_END(ids)\n"
    with pytest.raises(SetError) as error:
        audit(make(tmp_path, {"net/a.c": text}), CampaignConfig("kfunc_flags"))
    assert [line.split(" ")[:2] for line in str(error.value).splitlines()] == [
        ["net/a.c:1:", "__BTF_SET8_START"],
        ["net/a.c:2:", "BTF_ID_FLAGS"],
        ["net/a.c:3:", "BTF_SET8_END"],
    ]


def test_macros_that_make_rows_are_no_rows_by_themselves(tmp_path: Path) -> None:
    assert refused(tmp_path, "#define ROW(x) BTF_ID_FLAGS(func, x, KF_RCU)\n/* BTF_ID_FLAGS(func, a) */\n") == ()


@pytest.mark.parametrize("flag", ["KF_BOTH", "MY_FLAGS", "KF_RCU | KF_BOTH"])
def test_a_flag_that_hides_others_is_refused(tmp_path: Path, flag: str) -> None:
    (line,) = refused(tmp_path, KFUNCS + one_set(f"BTF_ID_FLAGS(func, put, {flag})\n"))
    assert f"include/linux/btf.h does not define {flag.split()[-1]} as a single flag" in line


def test_a_flag_that_hides_others_can_be_kept_by_decision(tmp_path: Path) -> None:
    decisions = {"put": {"keep": True, "reason": "it is fine"}}
    assert refused(tmp_path, KFUNCS + one_set("BTF_ID_FLAGS(func, put, KF_RCU | KF_BOTH)\n"), decisions) == ()


def test_a_flag_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, KFUNCS + one_set("BTF_ID_FLAGS(func, put, KF_RCU | KF_RCU)\n"))
    assert line.startswith("kernel/bpf/a.c:8: put@ids: KF_RCU occurs twice")


def test_a_typedef_that_may_be_a_pointer_is_refused(tmp_path: Path) -> None:
    kfunc = "__bpf_kfunc void both(struct task_struct *p, task_ref_t q, u64 n, enum x e)\n{\n}\n"
    text = kfunc + one_set("BTF_ID_FLAGS(func, both, KF_RCU)\n")
    (line,) = refused(tmp_path, text)
    assert "both@ids: argument 1 may be a pointer in disguise (task_ref_t); decide by name" in line


def test_a_typedef_that_may_be_a_pointer_can_be_decided(tmp_path: Path) -> None:
    kfunc = "__bpf_kfunc void both(struct task_struct *p, task_ref_t q)\n{\n}\n"
    decisions = {"both": {"rcu": [0], "reason": "the other one is a number"}}
    assert refused(tmp_path, kfunc + one_set("BTF_ID_FLAGS(func, both, KF_RCU)\n"), decisions) == ()


def test_a_flag_in_a_set_that_holds_no_kfuncs_is_refused(tmp_path: Path) -> None:
    rows = "BTF_SET8_START(ids)\nBTF_ID_FLAGS(func, put, KF_RELEASE)\nBTF_ID_FLAGS(func, look)\nBTF_SET8_END(ids)\n"
    (line,) = refused(tmp_path, KFUNCS + rows)
    assert line.endswith("put@ids: KF_RELEASE in a BTF_SET8_START; expected BTF_KFUNCS_START")


def test_a_tree_whose_sets_cannot_say_that_they_hold_kfuncs_is_named(tmp_path: Path) -> None:
    files = {"net/a.c": "BTF_SET8_START(ids)\nBTF_ID_FLAGS(func, put)\nBTF_SET8_END(ids)\n"}
    found = audit(make(tmp_path, files, header=b"#define BTF_SET8_START(name)\n"), CampaignConfig("kfunc_flags"))
    assert any("include/linux/btf_ids.h: it has no BTF_KFUNCS_START()" in warning for warning in found.warnings)
