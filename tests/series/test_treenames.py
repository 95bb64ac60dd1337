"""What a tree is called: two trees are never one, and one tree is not two, in whatever order MAINTAINERS has them."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from conftest import RealKernel
from owned import FILES, GIT, Owned, maintainers

from patchbot.series.maintainers import sections
from patchbot.series.treenames import address, doubt, followed, names_of

TREES = (
    (f"git {GIT}/tip/tip.git sched/core",),
    (f"git {GIT}/xen/tip.git",),
    ("git https://git.kernel.org/pub/scm/linux/kernel/git/tip/tip.git/",),
    (f"git {GIT}/gregkh/usb.git", f"git {GIT}/gregkh/usb-serial.git"),
    ("git git://user@git.kernel.org/pub/scm/linux/kernel/git/balbi/usb",),
    (f"git {GIT}/tegra/linux.git",),
    ("git https://gitlab.freedesktop.org/drm/tegra.git",),
    ("git git://linuxtv.org/media.git",),
    ("git git://linuxtv.org/pinchartl/media drm/du/next",),
    (f"git {GIT}/mkp/scsi.git",),
    (f"git {GIT}/jejb/scsi.git", f"git {GIT}/mkp/scsi.git"),
    ("quilt https://example.org", ""),
)
NAMES = {
    "tip/tip": "tip",
    "xen/tip": "xen/tip",
    "gregkh/usb": "gregkh/usb",
    "gregkh/usb-serial": "usb-serial",
    "balbi/usb": "balbi/usb",
    "tegra/linux": "tegra",
    "drm/tegra": "drm/tegra",
    "linuxtv.org/media": "media",
    "pinchartl/media": "pinchartl/media",
    "mkp/scsi": "scsi",
    "jejb/scsi": "scsi",
}


def test_trees_of_one_name_have_their_owners_and_addresses_of_one_tree_do_not() -> None:
    assert names_of(TREES) == NAMES
    assert names_of(reversed(TREES)) == NAMES
    assert names_of([("git git://a.org/x.git",), ("git git://b.org/x.git",)]) == {
        "a.org/x": "a.org/x",
        "b.org/x": "b.org/x",
    }
    assert names_of([(f"git {GIT}/$(x)/tip.git",), (f"git {GIT}/tip/$(x).git",)]) == {}


def test_what_one_section_gives_under_one_name_is_one_tree_in_any_order() -> None:
    chain = [("git git://h.org/p/a/t", "git git://h.org/p/b/t"), ("git git://h.org/p/b/t", "git git://h.org/p/c/t")]
    for order in permutations([*chain, ("git git://h.org/p/d/t",)]):
        assert names_of(order) == {"a/t": "a/t", "b/t": "a/t", "c/t": "a/t", "d/t": "d/t"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tip", ""),
        ("xen/tip", ""),
        ("a-tree-of-mine", ""),
        ("", ""),
        ("usb", "usb may be balbi/usb or gregkh/usb; name one of them"),
        ("tip/tip", "tip/tip is called tip here"),
    ],
)
def test_a_name_that_several_trees_may_have_is_none(given: str, said: str) -> None:
    assert doubt(names_of(TREES), given) == said


def test_a_tree_that_is_called_otherwise_now_is_known_by_its_patches() -> None:
    assert followed("usb", ["a/usb", "b/usb", "b/usb", "tip", "tip", "tip"]) == "b/usb"
    assert followed("b/usb", ["usb", "tip"]) == "usb"
    assert followed("usb", ["tip"]) == followed("usb", ["usb", "a/usb", "a/usb"]) == "usb"
    assert followed("tegra", ["drm/tegra"]) == "drm/tegra"


def test_the_trees_of_a_real_kernel(kernel: RealKernel) -> None:
    entries = sections(kernel.tree.read("MAINTAINERS"))
    names = entries.tree_names
    assert {long: names[long] for long in ("tip/tip", "xen/tip", "rafael/linux-pm", "vfs/vfs", "jejb/scsi")} == {
        "tip/tip": "tip",
        "xen/tip": "xen/tip",
        "rafael/linux-pm": "rafael/linux-pm",
        "vfs/vfs": "vfs",
        "jejb/scsi": "scsi",
    }
    found = [at for section in entries for at in map(address, section.trees) if at]
    assert {names[at.long].rpartition("/")[2] for at in found} <= {part for at in found for part in at.long.split("/")}


TWO = maintainers(("A", "a/usb", "drivers/a/"), ("B", "b/usb", "drivers/b/"))


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    return Owned(tmp_path, capsys, {**FILES, "MAINTAINERS": TWO})


def test_two_trees_of_one_name_are_two_postings(owned: Owned) -> None:
    rows = {row["name"]: row["target"] for row in owned.json("generate", "mine")["postings"]}
    assert rows == {"tip": "tip", "a-usb": "a/usb", "b-usb": "b/usb"}
    assert owned.json("freeze", "mine", "--tree", "a/usb")["tree"] == "a/usb"
    owned.configure('[[campaigns.mine.owners]]\npath = "lib/"\ntree = "b/usb"\n')
    assert [row["name"] for row in owned.json("generate", "mine")["postings"]] == ["a-usb", "b-usb"]


def test_a_name_of_two_trees_in_the_configuration_is_said_with_its_line(owned: Owned) -> None:
    owned.configure('[[campaigns.mine.owners]]\npath = "lib/"\ntree = "usb"\n')
    said = owned.run("generate", "mine", code=2)
    assert "p.toml:5: campaigns.mine: owners, lib/: usb may be a/usb or b/usb; name one of them" in said
    owned.configure('target = "usb"\n')
    assert "p.toml:3: campaigns.mine: target: usb may be a/usb or b/usb" in owned.run("generate", "mine", code=2)
    campaign = owned.path.parent / "mine/campaign.toml"
    campaign.write_text(campaign.read_text().replace("[sites]", '[[owners]]\npath = "lib/"\ntree = "usb"\n[sites]'))
    owned.configure("")
    said = owned.run("generate", "mine", code=2)
    assert "p.toml:1: campaigns.mine: its own owners, lib/: usb may be a/usb or b/usb" in said


def test_what_was_posted_under_a_name_that_two_trees_have_now_keeps_its_posting(owned: Owned) -> None:
    owned.commit("one usb", {"MAINTAINERS": maintainers(("A", "a/usb", "drivers/a/"), ("B", "a/usb", "drivers/b/"))})
    first = owned.json("generate", "mine")
    assert [(row["name"], row["target"]) for row in first["postings"]] == [("tip", "tip"), ("usb", "usb")]
    before = {row["id"]: row["files"] for row in first["patches"]}
    assert before["rename/A"] == ["drivers/a/one/1.c", "drivers/a/three/3.c", "drivers/a/two/2.c"]
    owned.run("freeze", "mine", "--tree", "usb", "--message-id", "1@example.org")
    rows = (("A", "a/usb", "drivers/a/"), ("A TWO", "b/usb", "drivers/a/two/"), ("B", "a/usb", "drivers/b/"))
    owned.commit("two usb", {"MAINTAINERS": maintainers(*rows)})
    again = owned.json("regenerate", "mine", "--onto", "master")
    assert {row["name"]: (row["target"], row["patches"]) for row in again["postings"]} == {
        "tip": ("tip", ["rename/THE REST"]),
        "usb": ("a/usb", ["rename/A", "rename/B"]),
        "b-usb": ("b/usb", ["rename/A TWO"]),
    }
    assert {row["id"]: row["files"] for row in again["patches"]} == {
        **before,
        "rename/A": ["drivers/a/one/1.c", "drivers/a/three/3.c"],
        "rename/A TWO": ["drivers/a/two/2.c"],
    }
    posted = {row["name"]: row["posted"] for row in owned.json("status", "mine")["postings"]}
    assert posted == {"tip": None, "usb": 1, "b-usb": None}
