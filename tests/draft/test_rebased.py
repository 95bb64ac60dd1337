"""A branch that a person rebased: what is upstream's is not by hand, and the way out keeps the edits and the tags."""

import re

import pytest
from versioned import BRANCH, World

TAG = "Reviewed-by: R Person <r@example.org>"
IDS = ["header", "words/b/two.c", "words/a/one.c"]


@pytest.fixture
def drafted(world: World) -> World:
    """A world with a draft on a base, the branch checked out in the work tree, and two more commits on `base`."""
    old = world.base()
    world.run("generate", "sample", "--base", old)
    for number in (1, 2):
        world.base({f"up{number}.txt": b"upstream\n"}, related=True)
    world.git("tag", "old", old)
    world.git("switch", "-q", BRANCH)
    return world


def amend(world: World, *more: str) -> None:
    """Change the last patch and its message."""
    file = world.path / "a/one.c"
    file.write_bytes(file.read_bytes().replace(b"NEW x", b"NEW x /* mine */"))
    world.git("commit", "-q", "-a", "--amend", "-m", "\n\n".join(["sample: Mine", *more]))


def way_out(world: World, *argv: str) -> str:
    """Do what the message says that `check` stops with; return the commit that it names."""
    said = world.run("check", "sample", *argv, code=2)
    onto = re.search(r"patchbot regenerate sample --onto (\w{12})$", said.strip())
    assert onto, said
    for command in (["mail", "sample"], ["freeze", "sample"], ["report", "sample", "--html", "x.html"]):
        assert onto[0] in world.run(*command, code=2), command
    assert onto[0] in world.run("generate", "sample", "--base", onto[1], code=2)
    assert onto[0] in world.run("trailers", "sample", "--mbox", "/dev/null", code=2)
    (line,) = world.json("status", "sample")["stale"]
    assert onto[0] in line
    world.git("switch", "-q", "--detach")
    world.run("regenerate", "sample", "--onto", onto[1])
    return onto[1]


def ids(world: World) -> list[str]:
    return [row["id"] for row in world.record()["patches"]]


@pytest.mark.parametrize("onto", ["base", "base~1", "old"])
def test_the_way_out_keeps_edits_and_tags(drafted: World, onto: str) -> None:
    if onto == "old":  # the draft is on a newer base then
        drafted.git("switch", "-q", "--detach")
        drafted.run("regenerate", "sample", "--onto", "base")
        drafted.git("switch", "-q", BRANCH)
    amend(drafted, TAG)
    drafted.git("rebase", "-q", "--onto", onto, f"{BRANCH}~3")
    shown = {(row["kind"], row["patch"]) for row in drafted.json("edits", "sample")["edits"]}
    assert shown == {("code", IDS[2]), ("message", IDS[2])}
    named = way_out(drafted)
    assert drafted.record()["base"] == drafted.ref(onto) == drafted.ref(named)
    assert ids(drafted) == IDS
    assert "NEW x /* mine */" in drafted.show(BRANCH, "a/one.c")
    assert drafted.message(BRANCH) == f"sample: Mine\n\n{TAG}"
    assert drafted.record()["extra"] == []
    drafted.run("check", "sample", "--only", "applies")
    drafted.run("undo", "sample")
    assert "was rebased onto" in drafted.run("check", "sample", code=2)


def test_a_rebase_can_lead_on_to_another_base(drafted: World) -> None:
    amend(drafted)
    drafted.git("rebase", "-q", "base~1")
    drafted.git("switch", "-q", "--detach")
    drafted.run("regenerate", "sample", "--onto", "base")
    assert (ids(drafted), drafted.record()["extra"]) == (IDS, [])
    assert drafted.record()["base"] == drafted.ref("base")
    assert "mine" in drafted.show(BRANCH, "a/one.c")


def test_onto_a_commit_without_a_name(drafted: World) -> None:
    drafted.git("switch", "-q", "--detach", "old")
    drafted.git("commit", "-q", "--allow-empty", "-m", "nameless")
    new = drafted.ref("HEAD")
    drafted.git("rebase", "-q", "--onto", new, f"{BRANCH}~3", BRANCH)
    drafted.git("switch", "-q", "--detach")
    drafted.run("regenerate", "sample", "--onto", new)
    assert (ids(drafted), drafted.record().get("extra")) == (IDS, None)


def test_what_was_squashed_dropped_and_added_on_the_way_is_by_hand(drafted: World) -> None:
    amend(drafted)
    last = drafted.ref(BRANCH)
    drafted.git("reset", "-q", "--hard", "base")
    drafted.git("cherry-pick", f"{last}~2", last)
    (drafted.path / "mine.txt").write_text("mine\n")
    drafted.git("add", "-A")
    drafted.git("commit", "-q", "-m", "mine: A file")
    way_out(drafted)
    assert ids(drafted) == [IDS[0], IDS[2]]
    assert drafted.subjects()[1:] == ["sample: Mine", "mine: A file"]
    assert {r["kind"] for r in drafted.json("edits", "sample")["edits"]} == {"dropped", "message", "code", "extra"}


def test_a_conflict_that_was_solved_in_the_rebase_is_not_asked_again(drafted: World) -> None:
    drafted.git("switch", "-q", "--detach", "base")
    new = drafted.base({"a/one.c": b"OLD x;\nkeep\nOLD y + 1;\n\n\n\nOLD z;\n"}, related=True)
    drafted.git("switch", "-q", BRANCH)
    drafted.git("rebase", "-q", new, check=False)
    said = drafted.run("regenerate", "sample", "--onto", new, code=2)
    assert "is held by a rebase in progress" in said
    (drafted.path / "a/one.c").write_bytes(b"NEW x;\nkeep\nNEW y + 2;\n\n\n\nOLD z;\n")
    drafted.git("add", "-A")
    drafted.git("commit", "-q", "-C", "REBASE_HEAD")
    drafted.git("rebase", "--continue")
    way_out(drafted)
    # The site that is new there is converted too.
    assert drafted.show(BRANCH, "a/one.c") == "NEW x;\nkeep\nNEW y + 2;\n\n\n\nNEW z;"
    assert ids(drafted) == IDS
    # Somewhere else the person's lines are no answer to what is there.
    other = drafted.base({"a/one.c": b"OLD x;\nkeep\nOLD y + 3;\n"})
    assert "cannot be merged" in drafted.run("regenerate", "sample", "--onto", other, code=2)


def test_a_patch_that_upstream_has_was_not_dropped_by_hand(drafted: World) -> None:
    drafted.git("switch", "-q", "base")
    drafted.git("cherry-pick", "-x", f"{BRANCH}~2")
    drafted.git("commit", "-q", "--allow-empty", "-m", "upstream")
    drafted.git("rebase", "-q", "base", BRANCH)
    way_out(drafted, "--config", str(with_base(drafted)))
    assert ids(drafted) == IDS[1:]
    assert drafted.json("edits", "sample")["edits"] == []


def with_base(world: World) -> str:
    """Say in the patchbot.toml that all commands use what upstream is."""
    file = world.path.parent / "p.toml"
    file.write_text(file.read_text() + '[kernel]\nbase = "base"\n')
    return str(file)


def test_a_branch_of_which_upstream_has_all(drafted: World) -> None:
    with_base(drafted)
    tip = drafted.ref(BRANCH)
    drafted.git("switch", "-q", "base")
    drafted.git("cherry-pick", "-x", f"{BRANCH}~3..{BRANCH}")
    drafted.git("rebase", "-q", "base", BRANCH)
    said = drafted.run("check", "sample", code=2)
    assert said.strip().endswith(f"git branch -f {BRANCH} {tip[:12]}")


def test_copies_of_an_edited_branch_are_not_upstream(drafted: World) -> None:
    old = drafted.ref("old")
    drafted.git("reset", "-q", "--hard", "old")
    drafted.git("cherry-pick", f"{BRANCH}@{{1}}~2")
    drafted.git("commit", "-q", "--amend", "-m", "sample: Reworded")
    drafted.git("cherry-pick", f"{BRANCH}@{{3}}~1", f"{BRANCH}@{{3}}")
    drafted.git("branch", "copy", "HEAD~1")
    amend(drafted)
    drafted.git("commit", "-q", "--allow-empty", "-m", "mine")
    drafted.git("tag", "sent")
    drafted.run("check", "sample", "--only", "applies")
    kinds = [(row["kind"], row["patch"]) for row in drafted.json("edits", "sample")["edits"]]
    assert ("message", "header") in kinds
    assert not [k for k in kinds if k[0] == "dropped"]
    assert drafted.json("status", "sample")["draft"]["rebased"] is None
    assert drafted.record()["base"] == old


def test_a_merge_of_upstream_is_named_with_the_way_out(drafted: World) -> None:
    drafted.git("merge", "-q", "-m", "Merge upstream", "base")
    upstream = drafted.ref("base")[:12]
    for command in ("check", "edits", "freeze", "mail"):
        said = drafted.run(command, "sample", code=2)
        assert "(Merge upstream) is a merge, and a series is a line of commits;" in said
        assert f"take it out with: git rebase {upstream}" in said
    assert "--onto" not in drafted.run("status", "sample")
    drafted.git("rebase", "-q", upstream)
    way_out(drafted)
    assert ids(drafted) == IDS
