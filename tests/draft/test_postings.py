"""A posting a tree: a line of commits of its own, which is checked, mailed, frozen, and done when its tree has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from owned import CAMPAIGN, FILES, NEW, Owned, maintainers
from tinytree import snapshot

from patchbot.commands.trees import whole
from patchbot.draft.postings import Line, Link, Posted, PostingRow, branch_name, divide, needed

STACK = "refs/heads/patchbot/mine"
A_FILES = ("drivers/a/one/1.c", "drivers/a/two/2.c", "drivers/a/three/3.c")
#: What get_maintainer.pl would say, as the kernels here have none of it.
SCRIPT = '#!/usr/bin/perl\nprint "M A1 <a1\\@example.org> (maintainer:A1)\\n";\n'


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    return Owned(tmp_path, capsys, {**FILES, "scripts/get_maintainer.pl": SCRIPT.encode()})


def heads(world: Owned) -> dict[str, str]:
    rows = world.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/patchbot").splitlines()
    return dict(row.split(" ") for row in rows)


def link(id_: str, target: str, *files: str, independent: bool = True, shared: bool = False) -> Link:
    return Link(id_, target, frozenset(files), independent, shared)


def test_each_tree_has_a_branch_with_its_patches_on_the_base_alone(owned: Owned) -> None:
    before = snapshot(owned.repo)
    document = owned.json("generate", "mine")
    rows = [(row["name"], row["target"], row["needs"], row["patches"]) for row in document["postings"]]
    assert rows == [
        ("tip", "tip", 0, ["rename/THE REST"]),
        ("a-next", "a-next", 0, ["rename/A1", "rename/A2", "rename/A3"]),
        ("b-next", "b-next", 0, ["rename/B"]),
    ]
    assert heads(owned) == {STACK: document["tip"], **{row["ref"]: row["tip"] for row in document["postings"]}}
    base = owned.ref("master")
    for row in document["postings"]:
        assert owned.git("merge-base", row["tip"], "master") == base
        assert len(owned.patches(row["ref"])) == len(row["patches"])
    assert owned.git("diff", "--name-only", f"master..{STACK}.a-next").splitlines() == sorted(A_FILES)
    assert owned.git("diff", f"{STACK}.b-next", STACK, "--", "drivers/b") == ""
    assert snapshot(owned.repo) == before
    said = owned.run("generate", "mine")
    assert "is unchanged" in said
    assert "3 postings for 3 trees" in owned.run("regenerate", "mine", "--onto", owned.commit("a", {"x": b""}))


def test_undo_puts_the_branches_back_too(owned: Owned) -> None:
    owned.run("generate", "mine")
    before = heads(owned)
    owned.run("regenerate", "mine", "--onto", owned.commit("take", {"lib/6.c": NEW["lib/6.c"]}))
    after = heads(owned)
    assert f"{STACK}.tip" not in after
    owned.run("undo", "mine")
    assert heads(owned) == before
    owned.run("undo", "mine")
    assert heads(owned) == after
    owned.run("undo", "mine")
    owned.git("update-ref", "-d", "refs/patchbot/mine/draft")
    owned.run("status", "mine", code=2)


def test_a_tree_that_has_its_part_is_done(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.commit("take a", {path: NEW[path] for path in A_FILES})
    said = owned.run("regenerate", "mine", "--onto", "master")
    assert "  done: a-next: 3 patches, 4 sites: no site of it is left in " in said
    assert set(heads(owned)) == {STACK, f"{STACK}.tip", f"{STACK}.b-next"}
    # What is new for that tree is another posting, and what was done stays so.
    owned.commit("add", {"drivers/a/one/new.c": b"int y = old_a;\n"})
    document = owned.json("regenerate", "mine", "--onto", "master")
    assert [row["name"] for row in document["postings"]] == ["tip", "a-next.2", "b-next"]
    assert [row["name"] for row in document["done"]] == ["a-next"]
    said = owned.run("mail", "mine", "--tree", "nothing", "-o", "m", code=2)
    assert "no posting 'nothing'" in said
    assert "there are: tip, a-next.2, b-next" in said


def test_a_tree_that_reverts_its_part_is_not_done(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.run("freeze", "mine", "--tree", "a-next")
    first = owned.git("rev-parse", "master").strip()
    owned.commit("take a", {path: NEW[path] for path in A_FILES})
    assert [row["name"] for row in owned.json("regenerate", "mine", "--onto", "master")["done"]] == ["a-next"]
    document = owned.json("regenerate", "mine", "--onto", first)
    assert document["done"] == []
    assert {row["name"] for row in document["postings"]} == {"tip", "a-next", "b-next"}
    assert "done: " not in owned.run("status", "mine")


def test_a_posting_whose_files_and_functions_have_other_names_is_not_done(owned: Owned) -> None:
    body = "".join(f"int f{n}(void)\n{{\n\treturn {n};\n}}\n" for n in range(9)).encode()
    owned.commit("b: More", {"drivers/b/4.c": body + FILES["drivers/b/4.c"]})
    owned.json("generate", "mine")
    owned.run("freeze", "mine", "--tree", "b-next", "--message-id", "<b-1@example.org>")
    moved = {"drivers/b/4.c": None, "drivers/b/new.c": body + FILES["drivers/b/4.c"]}
    owned.commit("b: Rename", {**moved, "drivers/b/5.c": b"int other_name = old_a;\n"})
    rows = {row["name"]: row for row in owned.json("status", "mine")["postings"]}
    assert (rows["b-next"]["posted"], rows["b-next"]["left"], rows["b-next"]["gone"]) == (1, 2, 0)
    document = owned.json("regenerate", "mine", "--onto", "master")
    assert document["done"] == []
    assert {row["name"]: row["patches"] for row in document["postings"]}["b-next"] == ["rename/B"]
    assert "b-next.2" not in owned.run("status", "mine")


def test_files_that_left_the_kernel_are_not_said_to_be_converted(owned: Owned) -> None:
    owned.json("generate", "mine")
    owned.commit("b: Remove it", {"drivers/b/4.c": None, "drivers/b/5.c": None})
    assert "gone: 2 files, no longer in the kernel" in owned.run("status", "mine")
    said = owned.run("regenerate", "mine", "--onto", "master")
    assert "done: b-next: 1 patch, 2 sites: gone: 2 files, no longer in the kernel" in said
    assert "no site of it is left in" not in said


def test_a_base_that_has_all_of_it_ends_the_series(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.commit("take all", NEW)
    before = owned.refs()
    document = owned.json("regenerate", "mine", "--onto", "master")
    assert document["patches"] == document["postings"] == []
    assert [(row["name"], row["patches"], row["sites"]) for row in document["done"]] == [
        ("tip", 1, 1),
        ("a-next", 3, 4),
        ("b-next", 1, 2),
    ]
    assert len(document["gone"]) == 5
    said = owned.run("regenerate", "mine", "--onto", "master")
    assert "is converted: the series is done; refs/heads/patchbot/mine is as it was" in said
    assert owned.refs() == before


def test_what_a_tree_took_in_another_form_is_shown(owned: Owned) -> None:
    owned.run("generate", "mine")
    changes = {A_FILES[0]: NEW[A_FILES[0]], A_FILES[1]: b"int x = other;\nint y = new_a;\n", A_FILES[2]: None}
    owned.commit("take a", changes)
    document = owned.json("regenerate", "mine", "--onto", "master")
    assert [(row["file"], row["lines"], row["missing"], row["gone"]) for row in document["other_forms"]] == [
        (A_FILES[1], 2, 1, False),
        (A_FILES[2], 1, 1, True),
    ]
    owned.run("undo", "mine")
    said = owned.run("regenerate", "mine", "--onto", "master")
    assert (
        "  in another form: drivers/a/two/2.c (a: two: 2: Use new_a()): it lacks 1 of 2 lines: int x = new_a;" in said
    )
    assert "  in another form: drivers/a/three/3.c (a: three: 3: Use new_a()): the file is gone" in said


def test_status_shows_where_each_tree_is(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.run("freeze", "mine", "--tree", "b-next", "--message-id", "1@example.org")
    base = owned.ref("master")
    said = owned.run("status", "mine", "--base", base).splitlines()
    assert said[2:6] == [
        "tree    patches  sites  state",
        "tip     1        1      drafted",
        "a-next  3        4      drafted",
        "b-next  1        2      posted as v1 (1@example.org)",
    ]
    owned.commit("take some", {A_FILES[0]: NEW[A_FILES[0]], "lib/6.c": NEW["lib/6.c"]})
    document = owned.json("status", "mine")
    assert [(row["name"], row["left"]) for row in document["postings"]] == [("tip", 0), ("a-next", 3), ("b-next", 2)]
    assert document["burn_down"] == [{"name": "draft", "sites": 7}, {"name": "HEAD", "sites": 5}]
    said = owned.run("status", "mine")
    assert "tip     1        1      in the base\na-next  3        4      drafted, 3 sites left\n" in said
    assert "sites to change: draft 7, HEAD 5" in said
    owned.run("regenerate", "mine", "--onto", "master")
    assert "done: in " in owned.run("status", "mine")


def test_status_shows_what_is_left_for_one_tree_beside_what_others_took() -> None:
    document = {
        "draft": {"version": 2, "patches": 1},
        "burn_down": [{"name": "draft", "sites": 3}],
        "versions": [{"version": 1}],
        "upstream": {"converted": False},
        "target": "tip",
    }
    assert whole(document) == ("tip", "1", "3", "drafted")
    assert whole(document | {"versions": [{"version": 2}]})[3] == "posted as v2"
    assert whole(document | {"upstream": {"converted": True}})[3] == "in the base"


def test_a_posting_is_a_version_of_its_own(owned: Owned) -> None:
    owned.run("generate", "mine")
    first = owned.json("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    assert (first["version"], first["new"], first["ref"]) == (1, True, "refs/patchbot/mine/postings/a-next/v1")
    assert not owned.json("freeze", "mine", "--tree", "a-next")["new"]
    assert owned.json("generate", "mine")["version"] == 1  # the whole has none yet
    assert owned.json("status", "mine")["versions"] == []
    owned.commit("move", {A_FILES[1]: b"/* */\n" + FILES[A_FILES[1]] + b"int z = old_a;\n"})
    owned.run("regenerate", "mine", "--onto", "master")
    row = owned.json("status", "mine")["postings"][1]
    assert (row["posted"], row["changed"]) == (1, True)
    document = owned.json("mail", "mine", "--tree", "a-next", "-o", str(owned.path.parent / "mails"))
    cover = Path(document["series"][0]["cover"]).read_text()
    assert "Subject: [PATCH a-next v2 0/3] treewide: Use new_a()" in cover
    assert "for a-next, changes 5 places in 3 files" in " ".join(cover.split())
    assert "https://lore.kernel.org/all/1@example.org/" in cover
    assert owned.json("freeze", "mine", "--tree", "a-next")["version"] == 2
    owned.run("undo", "mine")
    assert "refs/patchbot/mine/postings/a-next/v2" not in owned.refs()


def test_a_base_that_moves_changes_no_posting(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    owned.commit("move", {"README": b"x\n", A_FILES[1]: FILES[A_FILES[1]] + b"int around;\n"})
    owned.run("regenerate", "mine", "--onto", "master")
    row = owned.json("status", "mine")["postings"][1]
    assert (row["name"], row["posted"], row["changed"]) == ("a-next", 1, False)
    assert "posted as v1 (1@example.org)\n" in owned.run("status", "mine")
    owned.git("switch", "-q", "--detach", "patchbot/mine~1")
    owned.git("commit", "-q", "--amend", "-m", "a: three: 3: Other words")
    owned.git("cherry-pick", "patchbot/mine")
    owned.git("branch", "-f", "patchbot/mine")
    owned.git("switch", "-q", "master")
    owned.run("regenerate", "mine", "--onto", "master")
    assert "posted as v1 (1@example.org), changed since\n" in owned.run("status", "mine")


def test_the_versions_of_a_posting_are_compared(owned: Owned, tmp_path: Path) -> None:
    owned.run("generate", "mine")
    assert "has no version before the draft" in owned.run("diff", "mine", "--tree", "a-next", code=2)
    owned.run("freeze", "mine", "--tree", "a-next")
    owned.commit("move", {A_FILES[1]: FILES[A_FILES[1]] + b"int z = old_a;\n"})
    owned.run("regenerate", "mine", "--onto", "master")
    document = owned.json("diff", "mine", "--tree", "a-next")
    assert (document["tree"], document["from"], document["to"]) == ("a-next", "v1", "draft")
    assert [(row["id"], row["state"]) for row in document["patches"]] == [
        ("rename/A1", "same"),
        ("rename/A2", "changed"),
        ("rename/A3", "same"),
    ]
    said = owned.run("diff", "mine", "v1", "draft", "--tree", "a-next")
    assert "++int z = new_a;" in said.replace(" ", "").replace("intz=new_a", "int z = new_a")
    assert "there are: v1, draft" in owned.run("diff", "mine", "v2", "--tree", "a-next", code=2)
    assert "has no version before the draft" in owned.run("diff", "mine", code=2), "the whole has none"


def test_more_than_a_tree_takes_at_once_is_said_where_it_is_posted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"A{n}", "a-next", f"drivers/a/{n}/") for n in range(17)]
    files = {
        "Makefile": FILES["Makefile"],
        "MAINTAINERS": maintainers(*rows, ("B", "b-next", "drivers/b/")),
        **{f"{path}x{name}.c": b"int x = old_a;\n" for name, _, path in [*rows, ("B", "", "drivers/b/")]},
    }
    owned = Owned(tmp_path, capsys, {**files, "scripts/get_maintainer.pl": SCRIPT.encode()})
    owned.run("generate", "mine")
    said = "a-next takes 15 patches at once, and 15 of yours wait there (a-next); with these 2 it would have 17"

    def told(*argv: str) -> list[str]:
        document = owned.json("mail", "mine", *argv, "-o", str(tmp_path / f"mails{len(argv)}"))
        return [row["target"] for row in document["findings"] if row["type"] == "LIMIT" and said in row["message"]]

    assert told("--tree", "a-next.2") == [], "nothing is posted there"
    assert told("--all") == ["a-next"], "all would be posted at once"
    assert "at once" not in owned.run("freeze", "mine", "--tree", "a-next")
    assert told("--tree", "a-next.2") == ["a-next"]
    assert told("--tree", "b-next") == []
    assert next(row["type"] for row in owned.json("freeze", "mine", "--tree", "a-next.2")["findings"]) == "LIMIT"


def test_a_page_of_a_posting_alone(owned: Owned, tmp_path: Path) -> None:
    owned.run("generate", "mine")
    owned.run("check", "mine", "--tree", "b-next", "--only", "applies")
    page = tmp_path / "page.html"
    document = owned.json("report", "mine", "--tree", "b-next", "--html", str(page))
    assert document["recorded"]
    assert "b: Use new_a()" in page.read_text()
    assert "a: one" not in page.read_text()


def test_the_mails_of_each_tree_make_its_branch(owned: Owned, tmp_path: Path) -> None:
    owned.run("generate", "mine")
    document = owned.json("mail", "mine", "--all", "-o", str(tmp_path / "all"))
    assert [row["target"] for row in document["series"]] == ["tip", "a-next", "b-next"]
    for row in document["series"]:
        assert Path(row["files"][0]).parent == tmp_path / "all" / row["target"]
        owned.git("switch", "-q", "--detach", "master")
        patches = [file for file in row["files"] if file != row["cover"]]
        owned.git("am", "-q", *patches)
        assert owned.git("rev-parse", "HEAD^{tree}") == owned.git("rev-parse", f"{STACK}.{row['target']}^{{tree}}")
    assert "one of the two" in owned.run("mail", "mine", "--all", "--tree", "tip", code=2)


def test_a_reply_to_a_cover_letter_is_for_the_patches_of_that_tree(owned: Owned, tmp_path: Path) -> None:
    owned.run("generate", "mine")

    def reply(tree: str, total: int) -> str:
        file = tmp_path / f"{tree}.mbox"
        title = f"[PATCH {tree} 0/{total}] treewide: Use new_a()"
        cover = f"From x Mon Sep 17 00:00:00 2001\nFrom: A <a@b.c>\nMessage-ID: <0@b.c>\nSubject: {title}\n\nHi\n\n"
        head = f"From: R <r@example.org>\nMessage-ID: <1@b.c>\nIn-Reply-To: <0@b.c>\nSubject: Re: {title}\n\n"
        file.write_text(f"{cover}From x Mon Sep 17 00:00:00 2001\n{head}Reviewed-by: R <r@example.org>\n")
        return str(file)

    for other in (reply("b-next", 3), reply("c-next", 3), reply("a-next", 2)):
        assert owned.json("trailers", "mine", "--mbox", other)["attached"] == []
    document = owned.json("trailers", "mine", "--mbox", reply("a-next", 3))
    assert sorted(row["patch"] for row in document["attached"]) == ["rename/A1", "rename/A2", "rename/A3"]
    for ref in (STACK, f"{STACK}.a-next"):
        assert "Reviewed-by: R <r@example.org>" in owned.message(owned.git("rev-list", "-1", ref, "--", A_FILES[0]))
    assert "3 of 3 reviewed" in owned.run("status", "mine")
    owned.run("undo", "mine")
    assert "reviewed" not in owned.run("status", "mine")


def test_a_posting_is_checked_alone(owned: Owned) -> None:
    owned.run("generate", "mine")
    document = owned.json("check", "mine", "--tree", "a-next", "--only", "applies")
    assert [row["status"] for row in document["results"] if row["patch"]] == ["PASS"] * 3
    assert document["tip"] == owned.ref(f"{STACK}.a-next")
    assert "not for a range" in owned.run("check", "master..master", "--tree", "a-next", code=2)


def test_what_people_put_on_top_goes_into_the_postings(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.git("switch", "-q", "patchbot/mine")
    owned.git("commit", "-q", "--amend", "-m", "b: By hand\n\nWhy.")
    (owned.path / "note.txt").write_text("x\n")
    owned.git("add", "note.txt")
    owned.git("commit", "-q", "-m", "doc: Add a note")
    owned.git("switch", "-q", "master")
    assert "which no posting has yet" in owned.run("mail", "mine", "--tree", "b-next", code=2)
    owned.run("regenerate", "mine", "--onto", "master")
    assert owned.patches(f"{STACK}.b-next") == ["b: By hand"]
    assert owned.patches(f"{STACK}.tip") == ["lib: 6: Use new_a()", "doc: Add a note"]


def test_a_branch_that_is_not_as_patchbot_left_it_is_not_moved(owned: Owned) -> None:
    owned.run("generate", "mine")
    before = heads(owned)
    owned.git("switch", "-q", "patchbot/mine.b-next")
    owned.commit("by hand", {"mine.txt": b""})
    owned.git("switch", "-q", "master")
    new = owned.commit("move", {"drivers/b/4.c": b"\n" + FILES["drivers/b/4.c"]})
    said = owned.run("regenerate", "mine", "--onto", new, code=2)
    assert "patchbot/mine.b-next holds commits that patchbot did not make" in said
    assert f"git branch -f patchbot/mine.b-next {before[f'{STACK}.b-next'][:12]}" in said
    assert "did not make" in owned.run("mail", "mine", "--tree", "b-next", code=2)
    assert "its branch is not as patchbot left it" in owned.run("status", "mine")
    assert heads(owned)[STACK] == before[STACK]
    owned.git("branch", "-f", "patchbot/mine.b-next", before[f"{STACK}.b-next"])
    owned.git("worktree", "add", "-q", "../tree", "patchbot/mine.b-next")
    said = owned.run("regenerate", "mine", "--onto", new, code=2)
    assert "patchbot/mine.b-next is checked out in" in said
    assert "patchbot/mine.b-next is checked out in" in owned.run("undo", "mine", code=2)
    assert heads(owned) == before


def test_a_foreign_branch_of_that_name_is_left_alone(owned: Owned) -> None:
    owned.git("branch", "patchbot/mine.b-next")
    said = owned.run("generate", "mine", code=2)
    assert "patchbot/mine.b-next is not patchbot's" in said
    assert set(heads(owned)) == {f"{STACK}.b-next"}
    owned.git("branch", "-D", "patchbot/mine.b-next")
    owned.run("generate", "mine")
    owned.git("branch", "-D", "patchbot/mine.b-next")
    assert "is gone; bring it back" in owned.run("mail", "mine", "--tree", "b-next", code=2)
    owned.run("generate", "mine")
    assert f"{STACK}.b-next" in heads(owned)


def test_what_the_patches_need_lies_below_them(owned: Owned, tmp_path: Path) -> None:
    step = '[[steps]]\nname = "first"\npython = "first.py:first"\nmessage = "rename.txt"\n\n[[steps]]\n'
    mine = owned.path.parent / "mine"
    mine.joinpath("campaign.toml").write_text(CAMPAIGN.replace("[[steps]]\n", step).replace("independent = true\n", ""))
    mine.joinpath("first.py").write_text(
        "from patchbot.model import Edit\nfrom patchbot.series.campaign import Change\n\n\n"
        "def first(context):\n"
        '    there = context.tree.exists("include/new.h")\n'
        '    return Change(() if there else (Edit("include/new.h", new=b"int new_a;\\n", create=True),))\n'
    )
    document = owned.json("generate", "mine")
    assert [(row["name"], row["needs"]) for row in document["postings"]] == [("tip", 0), ("a-next", 1), ("b-next", 1)]
    assert owned.git("rev-parse", f"{STACK}.b-next~1") == owned.git("rev-parse", f"{STACK}.tip~1")
    mails = owned.json("mail", "mine", "--all", "-o", str(tmp_path / "all"))
    assert [len(row["files"]) for row in mails["series"]] == [3, 4, 1]
    base = owned.ref("master")
    ids = [
        [line for line in Path(file).read_text().splitlines() if line.startswith(("base-commit", "prerequisite"))]
        for file in (mails["series"][1]["cover"], mails["series"][2]["files"][0])
    ]
    assert ids[0] == ids[1]
    made = owned.git("patch-id", "--stable", stdin=owned.git("show", f"{STACK}.b-next~1")).split()[0]
    assert ids[0][-1] == f"prerequisite-patch-id: {made}"
    assert ids[0][0] == f"base-commit: {base}"
    assert [line.partition(":")[0] for line in ids[0][1:]] == ["prerequisite-change-id", "prerequisite-patch-id"]
    assert [row["message"] for row in mails["findings"] if row["type"] == "NEEDS"] == [
        "These patches need 1 patch of the series that are posted elsewhere; they wait until the tree has them."
    ] * 2


def test_one_tree_is_one_posting_and_needs_no_branch(owned: Owned) -> None:
    rule = '[[campaigns.mine.owners]]\npath = ":/"\ntree = "tip"\n'
    owned.configure(rule)
    document = owned.json("generate", "mine")
    assert document["postings"] == []
    assert list(heads(owned)) == [STACK]
    assert "leave out the tree" in owned.run("mail", "mine", "--tree", "tip", code=2)
    folder = owned.path.parent / "all"
    assert [row["target"] for row in owned.json("mail", "mine", "--all", "-o", str(folder))["series"]] == ["tip"]
    assert len(list(folder.glob("*.patch"))) == len(document["patches"]) == 1


def test_one_tree_that_is_not_the_campaigns_own_is_a_posting(owned: Owned) -> None:
    owned.configure('[[campaigns.mine.owners]]\npath = ":/"\ntree = "all"\n')
    assert [row["name"] for row in owned.json("generate", "mine")["postings"]] == ["all"]
    assert "--all, or --tree" in owned.run("mail", "mine", code=2)
    mails = owned.json("mail", "mine", "--all", "-o", str(owned.path.parent / "mails"))
    assert [row["target"] for row in mails["series"]] == ["all"]


def test_patches_are_divided_by_tree_and_number_and_stay_where_they_were() -> None:
    links = [link(str(n), "t", f"f{n}") for n in range(5)] + [link("x", "u/v", "g")]
    assert divide(links, 2, (), (), "t") == [
        Line("t", "t", (), (0, 1)),
        Line("t.2", "t", (), (2, 3)),
        Line("t.3", "t", (), (4,)),
        Line("u-v", "u/v", (), (5,)),
    ]
    last = [PostingRow("t.2", "t", (Posted("2", "", ""), Posted("3", "", "")))]
    assert divide(links[2:], 2, last, ("t",), "t") == [
        Line("t.2", "t", (), (0, 1)),
        Line("t.3", "t", (), (2,)),
        Line("u-v", "u/v", (), (3,)),
    ]
    assert divide(links[:2], 2, (), (), "t") == []


def test_what_is_needed_comes_with_what_that_needs() -> None:
    links = [
        link("0", "t", "h", independent=False, shared=True),
        link("1", "t", "f", independent=False),
        link("2", "u", "f", independent=False),
        link("3", "u", "z"),
        link("4", "t", "z"),
    ]
    assert needed(links) == [frozenset(), {0}, {0, 1}, frozenset(), {3}]
    assert divide(links, 9, (), (), "t") == [Line("t", "t", (3,), (0, 1, 4)), Line("u", "u", (0, 1), (2, 3))]


def test_a_patch_that_waits_for_another_tree_is_no_part_of_what_that_waits_for() -> None:
    links = [link("0", "t", "f", "g"), link("1", "u", "f"), link("2", "t", "f"), link("3", "t", "h")]
    assert divide(links, 9, (), (), "t") == [
        Line("t", "t", (), (0, 3)),
        Line("u", "u", (0,), (1,)),
        Line("t.2", "t", (0, 1), (2,)),
    ]


STEPS = """
title = "treewide: Use them"
target = "tip"
[sites]
words = ["old_a", "old_b", "old_c"]
""" + "".join(
    f"""
[[steps]]
name = "{name}"
words = {{ old_{name} = "new_{name}" }}
message = "rename.txt"
split = "{split}"
"""
    for name, split in (("a", "folder:1"), ("b", "owner"), ("c", "folder:1"))
)


def test_steps_of_other_owners_on_the_same_files_wait_for_each_other(owned: Owned, tmp_path: Path) -> None:
    """The first and the last step make patches of a folder for one tree, the one between for each owner."""
    (tmp_path / "mine/campaign.toml").write_text(STEPS)
    text = b"int x = old_a;\nint y = old_b;\nint z = old_c;\n"
    owned.commit("more", {path: text for path in FILES if path.startswith("drivers/")} | {"lib/6.c": b"int x;\n"})
    document = owned.json("generate", "mine")
    assert [row["id"] for row in document["patches"]] == [
        "a/drivers", "b/A1", "b/A2", "b/A3", "b/B", "c/drivers"
    ]  # fmt: skip
    assert [(row["name"], row["patches"], row["needs"]) for row in document["postings"]] == [
        ("a-next", ["a/drivers", "b/A1", "b/A2", "b/A3"], 0),
        ("b-next", ["b/B"], 1),
        ("a-next.2", ["c/drivers"], 5),
    ]
    assert owned.git("diff", f"{STACK}.a-next.2", STACK) == ""
    owned.run("freeze", "mine", "--tree", "b-next", "--message-id", "1@example.org")
    owned.run("mail", "mine", "--tree", "a-next.2", "-o", str(tmp_path / "m"))
    (mail,) = (tmp_path / "m").glob("*.patch")
    words = " ".join(mail.read_text().split())
    series = "4 patches of the series for a-next and 1 patch of the series for b-next (v1)"
    assert f"needs {series}, and waits until its tree has them" in words
    assert "Link: https://lore.kernel.org/all/1@example.org/" in words


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ("net-next", "net-next"),
        ("x86/tip", "x86-tip"),
        ("a..b", "a-.b"),
        ("x.lock", "x-lock"),
        (".", "tree"),
        ("", "tree"),
    ],
)
def test_names_that_a_branch_can_have(tree: str, name: str, owned: Owned) -> None:
    assert branch_name(tree) == name
    owned.git("check-ref-format", f"refs/heads/patchbot/mine.{name}")
