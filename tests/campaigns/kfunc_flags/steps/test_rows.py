from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kfunctree import FIRST, OLD_HEADER, REFERENCED, make
from tinytree import TESTS, TOP

from patchbot.campaigns.kfunc_flags.sites.subjects import subject
from patchbot.campaigns.kfunc_flags.steps import rows
from patchbot.config import CampaignConfig, load
from patchbot.errors import UserError
from patchbot.series import render
from patchbot.series.campaign import Change, Context
from patchbot.series.tree import Tree

GOLDEN = TESTS / "golden/kfunc_flags"
CONFIG = CampaignConfig("kfunc_flags")


def convert_rcu(where: Context) -> Change:
    return rows.convert(where, "KF_RCU")


def convert_release(where: Context) -> Change:
    return rows.convert(where, "KF_RELEASE")


def context(tree: Tree, base: Tree | None = None, config: CampaignConfig = CONFIG) -> Context:
    return Context(tree, base or tree, config, ("rcu", "release"))


def convert_both(where: Context) -> Change:
    return rows.convert(where, "KF_RCU", "KF_RELEASE")


def converted(tree: Tree, config: CampaignConfig = CONFIG) -> Tree:
    """Return `tree` after both conversions, made as the series makes them."""
    return tree.edit(convert_both(context(tree, tree, config)).edits)


@pytest.mark.parametrize("name", sorted(p.stem for p in GOLDEN.glob("*.c")))
def test_golden(tmp_path: Path, name: str) -> None:
    before, after = ((GOLDEN / f"{name}{end}").read_bytes() for end in (".c", ".res"))
    verifier = REFERENCED if name.startswith("referenced") else FIRST
    tree = make(tmp_path, {f"kernel/bpf/{name}.c": before}, verifier)
    result = converted(tree)
    assert result.read(f"kernel/bpf/{name}.c").decode() == after.decode()
    assert convert_both(context(result)).edits == ()


def row(tmp_path: Path, text: str, params: str = "struct a *a, struct b *b") -> str:
    """Return what a row of f() becomes."""
    source = f"__bpf_kfunc void f({params})\n{{\n}}\n\nBTF_KFUNCS_START(ids)\n{text}\nBTF_KFUNCS_END(ids)\n"
    result = converted(make(tmp_path, {"kernel/bpf/a.c": source})).read("kernel/bpf/a.c").decode()
    return result.split("(ids)\n", 1)[1].removesuffix("\nBTF_KFUNCS_END(ids)\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BTF_ID_FLAGS(func, f, KF_RCU)", "BTF_KFUNC(f, 0, KFA_RCU, KFA_RCU)"),
        ("BTF_ID_FLAGS(func, f, KF_RCU | KF_A)", "BTF_KFUNC(f, KF_A, KFA_RCU, KFA_RCU)"),
        ("BTF_ID_FLAGS(func, f, KF_A | KF_RCU)", "BTF_KFUNC(f, KF_A, KFA_RCU, KFA_RCU)"),
        ("BTF_ID_FLAGS(func, f, KF_A|KF_RCU|KF_B)", "BTF_KFUNC(f, KF_A|KF_B, KFA_RCU, KFA_RCU)"),
        ("BTF_KFUNC(f, KF_RELEASE, 0, KFA_SZ)", "BTF_KFUNC(f, 0, KFA_RELEASE, KFA_SZ)"),
        ("BTF_KFUNC(f, KF_RELEASE, KFA_A | KFA_B)", "BTF_KFUNC(f, 0, KFA_A | KFA_B | KFA_RELEASE)"),
        (
            "BTF_ID_FLAGS(func, f, KF_RCU | KF_RELEASE)",
            "BTF_KFUNC(f, 0, KFA_RCU | KFA_RELEASE, KFA_RCU)",
        ),
        (
            "BTF_ID_FLAGS(func, f, KF_A | /* why */ KF_RCU | KF_B); /* KF_RCU */",
            "BTF_KFUNC(f, KF_A /* why */ | KF_B, KFA_RCU, KFA_RCU); /* KF_RCU */",
        ),
        ("BTF_ID_FLAGS(func, f, KF_RCU /* why */ | KF_B)", "BTF_KFUNC(f, /* why */ KF_B, KFA_RCU, KFA_RCU)"),
        (
            "BTF_ID_FLAGS(func, f,\n\t     KF_A |\n\t     KF_RCU)",
            "BTF_KFUNC(f,\n\t  KF_A, KFA_RCU, KFA_RCU)",
        ),
    ],
)
def test_only_the_tokens_of_the_flags_change(tmp_path: Path, before: str, after: str) -> None:
    assert row(tmp_path, before) == after


def test_long_rows_are_wrapped_at_100_columns(tmp_path: Path) -> None:
    flags = " | ".join(["KF_SLEEPABLE"] * 5)
    fits = row(tmp_path / "1", f"BTF_ID_FLAGS(func, f, {flags} | KF_RCU)", "struct a *a")
    assert fits == f"BTF_KFUNC(f, {flags}, KFA_RCU)"
    long = row(tmp_path / "2", f"BTF_ID_FLAGS(func, f, {flags} | KF_RCU);", "u64 a, struct a *b, struct a *c")
    assert long == f"BTF_KFUNC(f, {flags}, 0, KFA_RCU,\n\t  KFA_RCU);"
    assert max(len(line.expandtabs(8)) for line in long.split("\n")) <= 100


def test_semicolon_counts(tmp_path: Path) -> None:
    text = "BTF_ID_FLAGS(func, f, %s | KF_RCU)"
    padding = "KF_" + "X" * (100 - len("BTF_KFUNC(f, , KFA_RCU)") - 3)
    assert len(row(tmp_path / "1", text % padding, "struct a *a")) == 100
    assert row(tmp_path / "2", text % padding + ";", "struct a *a").endswith(",\n\t  KFA_RCU);")


def one_row(params: str, flags: str) -> str:
    """Return a file with f() and its row."""
    body = f"__bpf_kfunc void f({params})\n{{\n}}\n"
    return f"{body}\nBTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, f, {flags})\nBTF_KFUNCS_END(ids)\n"


def test_old_header_is_refused(tmp_path: Path) -> None:
    tree = make(tmp_path, {"kernel/bpf/a.c": one_row("struct a *a", "KF_RCU")}, header=OLD_HEADER)
    with pytest.raises(UserError, match=r"include/linux/btf_ids\.h: expected BTF_KFUNC"):
        convert_rcu(context(tree))
    assert convert_release(context(tree)).edits == ()


def test_meaning_is_read_from_the_base(tmp_path: Path) -> None:
    base = make(tmp_path, {"kernel/bpf/a.c": one_row("u64 x, struct a *a", "KF_RELEASE")}, REFERENCED)
    changed = base.overlaid({"kernel/bpf/verifier.c": b"meta->release_regno = kfunc_release_regno(meta);\n"})
    (edit,) = convert_release(context(changed, base)).edits
    assert edit.new == b"BTF_KFUNC(f, 0, 0, KFA_RELEASE)"


def shared_tree(path: Path) -> Tree:
    """Return a tree in which a.c and b.c share a kfunc, b.c and c.c another one, and d.c has its own."""
    text = "{}BTF_KFUNCS_START(ids_{})\n{}BTF_KFUNCS_END(ids_{})\n"
    kfuncs = {"a": ["ab"], "b": ["ab", "bc"], "c": ["bc"], "d": ["only_d"]}
    files = {}
    for name, found in kfuncs.items():
        own = [k for k in found if k.startswith(name) or k == "only_d"]
        bodies = "".join(f"__bpf_kfunc void {k}(struct a *a)\n{{\n}}\n\n" for k in own)
        lines = "".join(f"BTF_ID_FLAGS(func, {k}, KF_RCU)\n" for k in found)
        files[f"kernel/sched/ext/{name}.c"] = text.format(bodies, name, lines, name)
    return make(path, files)


def test_files_that_share_a_kfunc_go_together(tmp_path: Path) -> None:
    where = context(shared_tree(tmp_path))
    change = convert_rcu(where)
    key = rows.split(where, change.edits)
    assert {(e.path[-3:], key(e)[-3:]) for e in change.edits} == {
        ("a.c", "a.c"),
        ("b.c", "a.c"),
        ("c.c", "a.c"),
        ("d.c", "d.c"),
    }
    assert sorted(e.site for e in change.edits) == ["ab@ids_a", "ab@ids_b", "bc@ids_b", "bc@ids_c", "only_d@ids_d"]


def messages(where: Context, change: Change, step: str) -> dict[str, str]:
    """Return the commit message of each patch of a step by split key."""
    words = rows.words(f"KF_{step.upper()}")
    out = {}
    for key in sorted({e.key for e in change.edits}):
        mine = [e for e in change.edits if e.key == key]
        out[key] = render.message("kfunc_flags", None, "convert-rows.txt.j2", **words(where, key, mine))
    return out


def test_message_names_what_is_converted(tmp_path: Path) -> None:
    where = context(shared_tree(tmp_path))
    made = messages(where, convert_rcu(where), "rcu")
    text = made["kernel/sched/ext/a.c"]
    assert text.startswith("sched_ext: Use KFA_RCU")
    assert "  argument 0 of\n    ab, bc\n" in text
    assert "ab() and bc() are in sets of more than one of these files." in text.replace("\n", " ")
    assert "  argument 0 of only_d()\n" in made["kernel/sched/ext/d.c"]
    assert "more than one" not in made["kernel/sched/ext/d.c"]


def test_one_message_for_both_flags_of_a_file(tmp_path: Path) -> None:
    source = (
        "__bpf_kfunc void put(struct a *a)\n{\n}\n\n__bpf_kfunc void look(struct a *a)\n{\n}\n\n"
        "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, put, KF_RELEASE | KF_RCU)\n"
        "BTF_ID_FLAGS(func, look, KF_RCU)\nBTF_KFUNCS_END(ids)\n"
    )
    where = context(make(tmp_path, {"net/xfrm/xfrm_state_bpf.c": source}))
    change = convert_both(where)
    after = where.tree.edit(change.edits).read("net/xfrm/xfrm_state_bpf.c").decode()
    assert "BTF_KFUNC(put, 0, KFA_RCU | KFA_RELEASE)\nBTF_KFUNC(look, 0, KFA_RCU)\n" in after
    words = rows.words("KF_RCU", "KF_RELEASE")(where, "", change.edits)
    text = render.message("kfunc_flags", None, "convert-rows.txt.j2", **words)
    assert text.startswith("xfrm: Use KFA_RCU and KFA_RELEASE for XFRM state kfuncs\n")
    assert "with KFA_RCU instead:\n\n  argument 0 of\n    look, put\n\nKF_RELEASE says" in text
    assert text.count("argument 0 of put()") == 1


def test_message_says_what_is_kept_and_decided(tmp_path: Path) -> None:
    source = (
        "__bpf_kfunc void f(struct a *a, struct b *b)\n{\n}\n\n"
        "__bpf_kfunc void g(struct bpf_iter_x *it__iter)\n{\n}\n\n"
        "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, f, KF_RCU)\nBTF_ID_FLAGS(func, g, KF_RCU)\nBTF_KFUNCS_END(ids)\n"
    )
    decisions = {"f": {"rcu": [1], "reason": "the first is ours"}, "g": {"keep": True, "reason": "only an iterator"}}
    config = CampaignConfig("kfunc_flags", decisions=decisions)
    where = context(make(tmp_path, {"net/xfrm/a.c": source}), config=config)
    change = convert_rcu(where)
    (text,) = messages(where, change, "rcu").values()
    assert "f(): the first is ours.\n" in text
    assert "g() keeps KF_RCU: only an iterator.\n" in text
    assert change.remarks == ("net/xfrm/a.c:11: g@ids keeps KF_RCU: only an iterator",)


def test_rows_kept_alike_make_one_remark_and_those_that_the_series_adds_none(tmp_path: Path) -> None:
    source = (
        "__bpf_kfunc void {0}(struct bpf_iter_x *it__iter)\n{{\n}}\n\n"
        "BTF_KFUNCS_START(ids_{0})\nBTF_ID_FLAGS(func, {0}, KF_RCU)\nBTF_KFUNCS_END(ids_{0})\n"
    )
    files = {f"net/xfrm/{name}.c": source.format(name) for name in "fgh"}
    decisions = {name: {"keep": True, "reason": "only an iterator"} for name in "fgh"}
    config = CampaignConfig("kfunc_flags", decisions=decisions)
    whole = make(tmp_path / "whole", files)
    assert convert_rcu(context(whole, config=config)).remarks == (
        "3 rows keep KF_RCU: only an iterator: f (net/xfrm/f.c:6), g (net/xfrm/g.c:6), h (net/xfrm/h.c:6)",
    )
    (tmp_path / "base").mkdir()
    base = make(tmp_path / "base", {"net/xfrm/g.c": files["net/xfrm/g.c"]})
    assert convert_rcu(context(whole, base, config)).remarks == (
        "net/xfrm/g.c:6: g@ids_g keeps KF_RCU: only an iterator",
    )


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("kernel/bpf/helpers.c", "bpf"),
        ("kernel/bpf/new_thing.c", "bpf"),
        ("kernel/sched/ext.c", "sched_ext"),
        ("kernel/sched/ext/idle.c", "sched_ext"),
        ("drivers/hid/bpf/hid_bpf_dispatch.c", "HID: bpf"),
        ("drivers/base/power/wakeup.c", "PM: wakeup"),
        ("net/netfilter/nf_conntrack_bpf.c", "netfilter"),
        ("drivers/new/thing_bpf.c", "new: bpf"),
    ],
)
def test_prefixes(path: str, prefix: str) -> None:
    assert subject([path]).prefix == prefix
    assert subject([path]).topic


@pytest.mark.kernel
def test_real_kernel_is_converted_once(kernel: Any) -> None:
    config = load(None, TOP / "patchbot.toml").campaign("kfunc_flags")
    base = kernel.tree
    header = base.read(rows.HEADER) + b"#define BTF_KFUNC(name, flags, arg0_flags, ...)\n"
    tree = base.overlaid({rows.HEADER: header})
    seen: list[str] = []
    for step, convert in (("rcu", convert_rcu), ("release", convert_release)):
        where = context(tree, base, config)
        change = convert(where)
        assert change.edits
        made = messages(where, change, step)
        seen += [text.split("\n", 1)[0] for text in made.values()]
        assert all(len(line) <= 75 for text in made.values() for line in text.split("\n"))
        tree = tree.edit(change.edits)
        assert convert(context(tree, base, config)).edits == ()
    assert len(seen) == len(set(seen))
    assert max(map(len, seen)) <= 70
    both = {e.key for e in convert_rcu(context(base.overlaid({rows.HEADER: header}), base, config)).edits}
    assert "kernel/sched/ext/idle.c" not in both
    for path in tree.overlay:
        rows_in = [line for line in tree.read(path).split(b"\n") if b"KFA_R" in line]
        assert path == rows.HEADER or rows_in
        assert all(len(line.expandtabs(8)) <= 100 for line in rows_in)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("KF_A | // it, b) is\n\tKF_RCU", "KF_A /* it, b) is */, KFA_RCU, KFA_RCU"),
        ("KF_RCU | // one\n\tKF_A", "/* one */ KF_A, KFA_RCU, KFA_RCU"),
        ("KF_A // */ odd\n\t| KF_RCU | KF_B", "KF_A /* * / odd */ | KF_B, KFA_RCU, KFA_RCU"),
        ("KF_A | \\\n\tKF_RCU", "KF_A, KFA_RCU, KFA_RCU"),
        ("KF_RCU \\\n\t| KF_A", "KF_A, KFA_RCU, KFA_RCU"),
        ("KF_A | /* http://x */ KF_RCU", "KF_A /* http://x */, KFA_RCU, KFA_RCU"),
        ("KF_RCU // last\n", "0, KFA_RCU, KFA_RCU // last\n"),
    ],
)
def test_comments_and_continued_lines_in_flags(tmp_path: Path, before: str, after: str) -> None:
    assert row(tmp_path, f"BTF_ID_FLAGS(func, f, {before})") == f"BTF_KFUNC(f, {after})"


def test_a_long_line_is_not_broken_in_a_comment(tmp_path: Path) -> None:
    text = f"BTF_ID_FLAGS(func, // {'a, ' * 40}\n\tf, KF_RCU)"
    assert row(tmp_path, text) == f"BTF_KFUNC(/* {('a, ' * 40).strip()} */ f, 0, KFA_RCU, KFA_RCU)"
