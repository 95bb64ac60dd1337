"""regenerate: the same patches on another base, a failure that leaves all as it was, and only what differs is read."""

import json
import re

import pytest
from versioned import BRANCH, World

from patchbot.draft.record import read_draft
from patchbot.errors import UserError

MOVED = {"a/one.c": b"above\nOLD x;\nkeep\nOLD y;\nOLD new;\n", "b/two.c": None, "d/four.c": b"OLD f;\n"}


def states(document) -> dict[str, str]:
    return {p["id"]: p["state"] for p in document["patches"]}


def test_patches_are_matched_by_what_they_mean_between_unrelated_histories(world: World):
    old, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", old)
    world.run("freeze", "sample")
    made = world.json("regenerate", "sample", "--onto", new)
    assert states(made) == {"header": "same", "words/a/one.c": "changed", "words/d/four.c": "new"}
    assert made["gone"] == ["words/b/two.c"]
    assert made["from"] == {"version": 1, "base": old}
    assert made["version"] == 2
    assert [(s["site"], s["fate"], s["file"]) for s in made["new_sites"]] == [
        ("a/one.c:n", "change", "a/one.c"),
        ("d/four.c:f", "change", "d/four.c"),
    ]
    assert [s["site"] for s in made["gone_sites"]] == ["b/two.c:z"]
    assert world.ref(BRANCH) == made["tip"]
    assert world.git("merge-base", BRANCH, new) == new


def test_regenerate_is_generate_on_the_new_base(world: World):
    old, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", new)
    direct = world.refs().rpartition("\n")[0]  # without the undo ref, which comes last
    world.run("generate", "sample", "--base", old)
    world.run("regenerate", "sample", "--onto", new)
    assert world.refs().rpartition("\n")[0] == direct
    now = world.refs()
    assert world.json("regenerate", "sample", "--onto", new)["reused"]
    assert world.refs() == now


def test_a_base_that_moved_elsewhere_is_not_read_again(world: World):
    old = world.base()
    other = world.base({"doc/x.txt": b"OL D\n", "c/three.c": b"nothing else\n"})
    world.run("generate", "sample", "--base", old)
    made = world.json("regenerate", "sample", "--onto", other)
    assert made["reused"]
    assert set(states(made).values()) == {"same"}
    reused = world.refs()
    world.run("generate", "sample", "--base", other)
    assert world.refs() == reused


@pytest.mark.parametrize(
    "change", [{"c/three.c": b"OLD q;\n"}, {"a/one.c": b"OLD x;\n"}, {"Makefile": b"VERSION = 7\nPATCHLEVEL = 100\n"}]
)
def test_a_base_that_differs_in_what_counts_is_read_again(world: World, change):
    old, new = world.base(), world.base(change)
    world.run("generate", "sample", "--base", old)
    made = world.json("regenerate", "sample", "--onto", new)
    assert not made["reused"]
    after = world.refs()
    world.run("generate", "sample", "--base", new)
    assert world.refs() == after


def test_a_failure_names_the_site_and_who_changed_it_and_leaves_the_draft(world: World):
    world.base()
    old = world.base()
    world.run("generate", "sample", "--base", old)
    before = world.refs()
    new = world.base({"c/three.c": b"ASK p ASK q\n"}, related=True)
    said = world.run("regenerate", "sample", "--onto", new, code=1)
    assert re.search(rf"c/three\.c:p: needs a decision\n\s+last changed by {new[:12]} \(base 3\)", said)
    assert "c/three.c:q" in said
    assert "the last version is as it was" in said
    assert world.refs() == before


def test_generate_regenerate_and_diff_need_what_they_compare(world: World):
    base = world.base()
    assert "no draft of sample" in world.run("regenerate", "sample", "--onto", base, code=2)
    world.run("generate", "sample", "--base", base)
    assert "no version before the draft" in world.run("diff", "sample", code=2)
    assert "needs --onto" in world.run("regenerate", "sample", code=2)
    assert "no regeneration of sample waits" in world.run("regenerate", "sample", "--continue", code=2)
    assert "no regeneration of sample waits" in world.run("regenerate", "sample", "--abort", code=2)
    assert "has no version v7; there are: draft" in world.run("diff", "sample", "v7", code=2)


def test_a_base_without_anything_left_to_do_changes_nothing(world: World):
    old = world.base()
    done = world.base({"a/one.c": b"NEW x;\n", "b/two.c": None, "inc.h": b"#define ADDED\n"})
    world.run("generate", "sample", "--base", old)
    before = world.refs()
    assert "the series is done" in world.run("regenerate", "sample", "--onto", done)
    assert world.refs() == before


def test_a_branch_in_a_work_tree_is_not_moved(world: World):
    old, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", old)
    world.git("switch", "-q", BRANCH)
    before = world.refs()
    said = world.run("regenerate", "sample", "--onto", new, code=2)
    assert "switch --detach" in said
    assert world.refs() == before


def test_a_record_that_cannot_be_read_is_named(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    blob = world.git("hash-object", "-w", "--stdin", stdin="{")
    tree = world.git("mktree", stdin=f"100644 blob {blob}\tseries.json\n")
    bad = world.git("commit-tree", "-p", BRANCH, "-m", "x", tree)
    world.git("update-ref", "refs/patchbot/sample/draft", bad)
    with pytest.raises(UserError, match=r"(?s)cannot be read.*git update-ref -d refs/patchbot/sample/draft"):
        read_draft(world.repo, "sample")


def test_a_clone_without_the_old_base_has_all_that_is_needed(world: World):
    """The record says what the old series was; what cannot be compared is called unknown and is no failure."""
    old, new = world.base(), world.base(MOVED)
    tag = "Reviewed-by: R Person <r@example.org>"
    world.run("generate", "sample", "--base", old)
    header, two, one = world.git("rev-list", "--reverse", f"{old}..{BRANCH}").splitlines()
    world.rework(*(f"reword|{c}|{world.message(c)}\n\n{tag}" for c in (header, one)), f"pick|{two}")
    world.run("freeze", "sample")
    full, world.path = world.path, world.path.parent / "shallow"
    world.path.mkdir()
    world.git("init", "-q")
    kept = (f"refs/heads/{BRANCH}", "refs/patchbot/sample/v1", "refs/patchbot/sample/draft")
    world.git("fetch", "-q", "--depth=2", f"file://{full}", *(f"{ref}:{ref}" for ref in kept))
    world.git("fetch", "-q", "--depth=1", f"file://{full}", new)
    assert world.git("cat-file", "-t", old, check=False) == ""
    said = world.run("status", "sample", "--base", new)
    assert f": unknown how far, as the draft's base {old[:12]} is not in this clone" in said
    assert "    new site: d/four.c:1: d/four.c:f: change" in said
    made = world.json("regenerate", "sample", "--onto", new)
    assert [(p["id"], p["state"], p["changed"]) for p in made["patches"]] == [
        ("header", "changed", ["unknown"]),
        ("words/d/four.c", "new", []),
        ("words/a/one.c", "changed", ["unknown"]),
    ]
    assert made["gone"] == ["words/b/two.c"]
    assert [s["site"] for s in made["gone_sites"]] == ["b/two.c:z"]
    assert [(d["patch"], d["trailer"]) for d in made["dropped_trailers"]] == [("words/a/one.c", tag)]
    assert world.message(f"{BRANCH}~2").endswith(tag)
    assert "sample: Add a header line" in world.run("diff", "sample")


def test_diff_shows_what_changed_by_stable_id(world: World):
    old, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", old)
    world.run("freeze", "sample")
    said = world.run("regenerate", "sample", "--onto", new)
    assert f"since v1 on {old[:12]}: 1 same, 1 changed, 1 new, 1 gone\n" in said
    said = world.run("diff", "sample")
    assert re.search(r"^ +1: \w{12} = +1: \w{12} sample: Add a header line$", said, re.M)
    assert re.search(r"^ +3: \w{12} ! +3: \w{12} sample: Convert a/one\.c$", said, re.M)
    assert re.search(r"^ +-: -{12} > +2: \w{12} sample: Convert d/four\.c$", said, re.M)
    assert re.search(r"^ +2: \w{12} < +-: -{12} sample: Convert b/two\.c$", said, re.M)
    assert "++NEW new;" in said
    document = world.json("diff", "sample", "v1", "draft")
    rows = {p["id"]: (p["state"], p["changed"]) for p in document["patches"]}
    assert rows["words/a/one.c"] == ("changed", ["message", "code"])
    assert rows["header"] == ("same", [])
    assert json.dumps(document)


def test_without_a_version_the_range_diff_is_shown_on_request(world: World):
    old, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", old)
    said = world.run("regenerate", "sample", "--onto", new, "-v")
    assert "++NEW new;" in said
    assert f"since the last draft on {old[:12]}: 1 same, 1 changed, 1 new, 1 gone\n" in said
    assert "patchbot diff" not in said
    assert "\x1b" not in said
