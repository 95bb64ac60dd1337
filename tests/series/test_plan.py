"""Who gets which patch, what its subject begins with, and that neither changes when the base moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from owned import FILES, NEW, Owned

from patchbot.config import CampaignConfig, OwnerRule
from patchbot.series.maintainers import tree_for
from patchbot.series.prefixes import from_history, from_path, majority, start_of, told_apart
from patchbot.series.tree import Tree


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    return Owned(tmp_path, capsys)


def ids(document: dict) -> dict[str, list[str]]:
    return {row["id"]: row["files"] for row in document["patches"]}


@pytest.mark.parametrize(
    ("subject", "start"),
    [
        ("net: phy: Fix it", "net: phy"),
        ("drm/amd/display: Fix it: now", "drm/amd/display"),
        ("mm, slab: Fix it", "mm, slab"),
        ("[media] cx88: Fix it", "cx88"),
        ("perf tools: Fix it", "perf tools"),
        ("ARM: dts: imx6q-x.dtsi: Fix it", "ARM: dts: imx6q-x.dtsi"),
        ("fixp-arith: Fix it", "fixp-arith"),
        ("Fix it in the driver: it is odd", ""),
        ("treewide: Fix it", ""),
        ("Revert: net: Fix it", ""),
        ('Revert "net: Fix it"', ""),
        ("Fix it", ""),
        ("", ""),
        ("a" * 61 + ": Fix it", ""),
        ("é: Fix it", ""),
    ],
)
def test_the_prefix_of_a_subject(subject: str, start: str) -> None:
    assert start_of(subject) == start


def test_the_longest_start_that_most_have() -> None:
    assert majority(["a: b", "a: b: c", "a: d"]) == "a: b"
    assert majority(["a: b", "a: c"]) == "a"
    assert majority(["a", "b"]) == ""
    assert majority([]) == ""


def test_the_prefix_comes_from_the_last_commits_of_the_file_else_of_its_folder(owned: Owned) -> None:
    for number, start in enumerate(["one", "one", "other", "one: deep", "treewide"]):
        owned.commit(f"{start}: Do {number}", {"drivers/a/one/1.c": b"int x = old_a; /* %d */\n" % number})
    owned.commit("b: Add it", {"drivers/b/Kconfig": b"\n"})
    owned.commit("wide: Do it", {"lib/6.c": b"int x = old_a;\n\n"} | {f"w/{n}": b"" for n in range(60)})
    tree = Tree(owned.repo, owned.ref("HEAD"))
    paths = {"drivers/a/one/1.c", "drivers/a/two/2.c", "drivers/b/4.c", "lib/6.c"}
    assert from_history(tree, paths) == {"drivers/a/one/1.c": "one", "drivers/b/4.c": "b"}
    owned.run("generate", "mine")
    assert owned.patches() == [
        "lib: 6: Use new_a()",
        "one: Use new_a()",
        "a: two: 2: Use new_a()",
        "a: three: 3: Use new_a()",
        "b: Use new_a()",
    ]
    assert from_path(["drivers/a/1.c", "drivers/b/2.c"]) == "a, b"


def test_a_base_that_moves_renames_no_patch_and_joins_none_anew(owned: Owned) -> None:
    owned.configure("most_files = 2\n")
    for folder in ("one", "two", "three"):
        owned.commit("same: Do it", {f"drivers/a/{folder}/Kconfig": b"\n"})
    first = owned.json("generate", "mine")
    assert ids(first) == {
        "rename/THE REST": ["lib/6.c"],
        "rename/A1": ["drivers/a/one/1.c", "drivers/a/two/2.c"],
        "rename/A3": ["drivers/a/three/3.c"],
        "rename/B": ["drivers/b/4.c", "drivers/b/5.c"],
    }
    assert owned.record()["prefixes"]["rename/A1"] == "same: one, two"
    # Others name it otherwise now, and A1 has taken its part: A2 stays in the patch, and that keeps its name.
    for number in range(9):
        owned.commit("new: Do it", {"drivers/a/two/Kconfig": b"\n" * number})
    owned.commit("take", {"drivers/a/one/1.c": NEW["drivers/a/one/1.c"], "drivers/b/40.c": b"int z = old_a;\n"})
    again = owned.json("regenerate", "mine", "--onto", "master")
    assert ids(again) == {
        "rename/THE REST": ["lib/6.c"],
        "rename/A1": ["drivers/a/two/2.c"],
        "rename/A3": ["drivers/a/three/3.c"],
        "rename/B": ["drivers/b/4.c", "drivers/b/5.c"],
        "rename/B #2": ["drivers/b/40.c"],
    }
    assert [row["subject"].split(":")[0] for row in again["patches"]] == ["lib", "same", "same", "b", "b"]
    # Who changes the size of patches wants others.
    owned.configure("most_files = 3\n")
    larger = owned.json("regenerate", "mine", "--onto", "master")
    assert ids(larger)["rename/B"] == ["drivers/b/4.c", "drivers/b/40.c", "drivers/b/5.c"]


def test_a_person_corrects_tree_and_prefix_by_path(owned: Owned) -> None:
    owned.run("generate", "mine")
    rule = '[[campaigns.mine.owners]]\npath = "drivers/b/4.c"\ntree = "c-next"\nprefix = "c: four:"\n'
    owned.configure(rule + '[[campaigns.mine.owners]]\npath = "lib/"\nprefix = "lib"\n')
    made = owned.json("generate", "mine")
    assert [(row["id"], row["target"], row["subject"]) for row in made["patches"]] == [
        ("rename/lib/", "tip", "lib: Use new_a()"),
        ("rename/A1", "a-next", "a: one: 1: Use new_a()"),
        ("rename/A2", "a-next", "a: two: 2: Use new_a()"),
        ("rename/A3", "a-next", "a: three: 3: Use new_a()"),
        ("rename/B", "b-next", "b: Use new_a()"),
        ("rename/drivers/b/4.c", "c-next", "c: four: Use new_a()"),
    ]


def test_the_table_of_the_campaign_counts_below_that_of_the_person(owned: Owned) -> None:
    toml = owned.path.parent / "mine/campaign.toml"
    toml.write_text(toml.read_text() + '[[owners]]\npath = "lib/"\nprefix = "lib: all"\ntree = "l"\n')
    assert owned.json("generate", "mine")["patches"][-1]["subject"] == "lib: all: Use new_a()"
    owned.configure('[[campaigns.mine.owners]]\npath = "lib/*"\nprefix = "mine"\n')
    assert owned.json("generate", "mine")["patches"][0]["subject"] == "mine: Use new_a()"


def test_a_prefix_that_makes_the_subject_too_long_is_cut(owned: Owned) -> None:
    long = f"b: {'four' * 5}: {'forty' * 9}"
    owned.configure(f'[[campaigns.mine.owners]]\npath = "drivers/b/4.c"\nprefix = "{long}"\n')
    subjects = {row["id"]: row["subject"] for row in owned.json("generate", "mine")["patches"]}
    assert subjects["rename/drivers/b/4.c"] == f"b: {'four' * 5}: Use new_a()"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('path = "a/"\n', "p.toml:3: campaigns.mine.owners[1] names no tree and no prefix"),
        ('path = "a/"\nprefx = "a"\n', "unknown key 'prefx'; did you mean prefix?"),
        ('tree = "a"\n', "lacks 'path'"),
        ('path = "a/"\ntree = "a b"\n', "campaigns.mine.owners[1].tree is 'a b'"),
        ('path = "a/"\nprefix = "a\\nb"\n', "prefix is"),
    ],
)
def test_a_rule_that_does_not_fit_is_named(owned: Owned, rule: str, said: str) -> None:
    owned.configure(f"[[campaigns.mine.owners]]\n{rule}")
    assert said in owned.run("generate", "mine", code=2)


def test_the_plan_is_a_table_with_the_mails_for_people(owned: Owned) -> None:
    before = owned.refs()
    document = owned.json("generate", "mine", "--dry-run")
    assert document["plan"][-1] == {
        "target": "b-next",
        "owner": "B",
        "prefix": "b",
        "patches": 1,
        "files": 2,
        "sites": 2,
    }
    # b and the patch of tip are alone, the three for a-next have a cover letter: r@ reviews all but that of tip.
    assert document["mails"] == {"mails": 6, "people": 5, "median": 2, "most": 5, "busiest": "r@example.org"}
    said = owned.run("generate", "mine", "--dry-run").splitlines()
    assert said[1] == "tree    patches  files  sites  prefix       owner"
    assert said[2] == "tip     1        1      1      lib: 6       THE REST"
    assert said[-2] == (
        "5 patches for 3 trees, 6 files, 7 sites; 6 mails to 5 people by MAINTAINERS: median 2, most 5 (r@example.org)"
    )
    assert owned.refs() == before
    assert "Use new_a()" in owned.run("generate", "mine", "--dry-run", "-v")


def test_the_plan_counts_whom_the_mails_go_to(owned: Owned) -> None:
    keyword = b"KEYS\nM:\tKey <key@example.org>\nM:\tGone <gone@example.org>\nK:\t^.*new_a | nobody\nF:\tkeys/\n\n"
    keepers = (
        b"TREE\nM:\tTaker <taker@example.org>\nL:\tb@lists.example.org\nT:\tgit git://x.org/x/b-next.git\nF:\t*/b/\n\n"
    )
    files = {"MAINTAINERS": keepers + keyword + FILES["MAINTAINERS"], ".get_maintainer.ignore": b"gone@example.org\n"}
    owned.commit("more people", files)
    owned.configure('[[campaigns.mine.recipients]]\npath = "lib/"\nadd = ["Friend <friend@example.org>"]\n')
    mails = owned.json("generate", "mine", "--dry-run")["mails"]
    # Key gets all six, a1@ to a3@ two each, r@ all but that of tip; m b@, taker@ and friend@ one each.
    assert mails == {"mails": 6, "people": 8, "median": 2, "most": 6, "busiest": "key@example.org"}


def test_a_rule_of_another_tree_is_a_vote_of_its_files(owned: Owned) -> None:
    tree = Tree(owned.repo, owned.ref("HEAD"))
    config = CampaignConfig("mine", "tip", owners=(OwnerRule("drivers/a/one/", "x"), OwnerRule("drivers/a/", "", "p")))
    assert tree_for(tree, config, ["drivers/a/one/1.c"]) == "x"
    assert tree_for(tree, config, ["drivers/a/two/2.c"]) == "a-next"


@pytest.mark.parametrize(
    ("paths", "prefix"),
    [
        (["drivers/video/backlight/a.c", "drivers/video/backlight/b.c", "include/linux/a.h"], "video: backlight"),
        (["drivers/memstick/host/tifm_ms.c", "drivers/mmc/host/tifm_sd.c"], "memstick, mmc"),
        (["arch/arm/mach-pxa/a.c", "arch/x86/kernel/b.c"], "arm, x86"),
        (["kernel/a.c", "kernel/b.c"], "a, b"),
        (["kernel/a.c", "kernel/b.c", "kernel/c.c"], "treewide"),
        (["fs/a.c", "mm/b.c", "net/c.c"], "treewide"),
        (["include/linux/a.h", "include/net/b.h"], "linux, net"),
    ],
)
def test_files_without_a_folder_of_their_own_have_a_prefix(paths: list[str], prefix: str) -> None:
    assert from_path(paths) == prefix


def test_patches_of_one_prefix_are_told_apart_by_what_they_touch() -> None:
    groups = {
        "A": ["net/can/a.c", "net/x25/b.c"],
        "B": ["net/dccp/c.c"],
        "C": ["net/atm/a.c", "net/llc/b.c", "net/rds/c.c"],
    }
    assert told_apart("net", groups) == {"A": "net: can, x25", "B": "net: dccp", "C": "net: atm to rds"}
    same = {"A": ["drivers/md/raid1.c", "drivers/md/raid5.c"], "B": ["drivers/md/dm.c"]}
    assert told_apart("md", same) == {"A": "md: raid1, raid5", "B": "md: dm"}
    deep = {"A": ["a/b/one.c"], "B": ["a/b/two.c", "a/c/x.c"], "C": ["a/b/two.h", "a/c/x.c"]}
    assert told_apart("a", deep) == {"A": "a: one", "B": "a: two, x", "C": "a: two, x"}
