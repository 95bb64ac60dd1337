"""Each posting has a letter of its own: its patches, its version, what it needs and what was posted before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import started
from owned import CAMPAIGN, FILES, Owned

from patchbot.draft.posted import Series
from patchbot.mail.compose import below_single

SCRIPT = '#!/usr/bin/perl\nprint "M A1 <a1\\@example.org> (maintainer:A1)\\n";\n'
FIRST = """\
from patchbot.model import Edit
from patchbot.series.campaign import Change


def first(context):
    there = context.tree.exists("include/new.h")
    return Change(() if there else (Edit("include/new.h", new=b"int new_a;\\n", create=True),))
"""
STEP = '[[steps]]\nname = "first"\npython = "first.py:first"\nmessage = "rename.txt"\n\n[[steps]]\n'


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    """A campaign whose patches need no others."""
    return Owned(tmp_path, capsys, {**FILES, "scripts/get_maintainer.pl": SCRIPT.encode()})


@pytest.fixture
def shared(owned: Owned, tmp_path: Path) -> Owned:
    """A campaign whose first patch, in `tip`, is needed by those for a-next (three) and b-next (one)."""
    folder = tmp_path / "mine"
    text = CAMPAIGN.replace("[[steps]]\n", STEP).replace("independent = true\n", "")
    folder.joinpath("campaign.toml").write_text(text)
    folder.joinpath("first.py").write_text(FIRST)
    owned.run("generate", "mine")
    return owned


def mailed(world: Owned, *argv: str) -> tuple[list[str], dict[str, Any]]:
    """Return the mails that `mail` writes, and its document."""
    document = world.json("mail", "mine", "-o", str(world.path.parent / "mails"), *argv)
    return [Path(file).read_text() for row in document["series"] for file in row["files"]], document


def told(mail: str) -> str:
    """Return a mail on one line."""
    return " ".join(mail.split())


def test_a_follow_up_is_about_itself_after_two_versions_of_the_first_series(shared: Owned) -> None:
    shared.run("freeze", "mine", "--message-id", "1@example.org")
    shared.commit("move", {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n"})
    shared.run("regenerate", "mine", "--onto", "master")
    shared.run("freeze", "mine", "--message-id", "2@example.org")
    (cover, first, *_), document = mailed(shared, "--tree", "a-next")
    assert "\nSubject: [PATCH a-next 0/3] treewide: Use new_a()\n" in cover
    assert "\nSubject: [PATCH a-next 1/3] a: one: 1: Use new_a()\n" in first
    assert "for a-next, changes 4 places in 3 files." in told(cover)
    assert "in the code of" not in cover
    assert "Changes since" not in cover
    assert "Range-diff" not in cover
    assert "These patches need 1 patch of the series for tip (v2), and wait until their tree has it" in told(cover)
    assert "Link: https://lore.kernel.org/all/2@example.org/\n" in cover
    assert "all/1@example.org" not in cover
    assert "\nprerequisite-message-id: <2@example.org>\nprerequisite-patch-id: " in cover
    assert [row for row in document["findings"] if row["group"] == "stops"] == []
    (alone,), _ = mailed(shared, "--tree", "b-next")
    assert "\nSubject: [PATCH b-next] " in alone
    assert "This patch needs 1 patch of the series for tip (v2), and waits" in told(alone)
    assert alone.count("\nbase-commit: ") == alone.count("\nchange-id: ") == 1


def test_the_posting_of_the_whole_is_that_of_the_campaigns_own_tree(shared: Owned) -> None:
    (cover, *_), _ = mailed(shared, "--tree", "tip")
    assert "\nSubject: [RFC PATCH tip 0/2] " in cover
    waiting = cover.partition("wait until it is in the base")[2].partition("Testing:")[0]
    assert "\n  a-next:\n    a: one: 1: Use new_a()\n    a: two: 2: Use new_a()\n" in waiting
    assert "\n  b-next:\n    b: Use new_a()\n" in waiting
    shared.run("freeze", "mine", "--message-id", "1@example.org")
    assert "posted as v1 (1@example.org)" in shared.run("status", "mine")
    again = [row["message"] for row in mailed(shared, "--tree", "tip")[1]["findings"] if row["type"] == "POSTED"]
    assert again == ["Nothing changed since v1 was posted as <1@example.org>: these are the same patches again."]
    shared.commit("move", {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n"})
    shared.run("regenerate", "mine", "--onto", "master")
    (second, *_), document = mailed(shared, "--tree", "tip")
    assert "POSTED" not in {row["type"] for row in document["findings"]}
    assert "\nSubject: [PATCH tip v2 0/2] " in second
    assert "Changes since v1:\n" in second
    assert "- Link to v1: https://lore.kernel.org/all/1@example.org/\n" in second


def test_a_follow_up_whose_base_has_the_first_series_says_so(shared: Owned) -> None:
    shared.run("freeze", "mine", "--tree", "tip", "--message-id", "1@example.org")
    said = [row["message"] for row in mailed(shared)[1]["findings"] if row["type"] == "VERSION"]
    assert said == ["This was posted as v1 by itself: patchbot mail --tree tip has what comes next."]
    shared.commit("take", {"include/new.h": b"int new_a;\n", "lib/6.c": FILES["lib/6.c"].replace(b"old_a", b"new_a")})
    shared.run("regenerate", "mine", "--onto", "master")
    (cover, *_), document = mailed(shared, "--tree", "a-next")
    assert "\nSubject: [PATCH a-next 0/3] " in cover
    assert "These patches use what the series for tip (v1) added, which their base has." in told(cover)
    assert "Link: https://lore.kernel.org/all/1@example.org/\n" in cover
    assert "prerequisite" not in cover
    assert [row for row in document["findings"] if row["type"] == "NEEDS"] == []


def test_versions_share_a_change_id_and_the_letter_has_a_range_diff_and_all_links(shared: Owned) -> None:
    seen = []
    for number in (1, 2, 3):
        (cover, *_), _ = mailed(shared, "--tree", "a-next")
        seen.append(cover)
        shared.run("freeze", "mine", "--tree", "a-next", "--message-id", f"{number}@example.org")
        path = "drivers/a/two/2.c"
        shared.commit("move", {path: FILES[path] + b"int z = old_a;\n" * number})
        shared.run("regenerate", "mine", "--onto", "master")
    ids = {line for cover in seen for line in cover.splitlines() if line.startswith("change-id: ")}
    assert len(ids) == 1
    assert "-mine-a-next-" in ids.pop()
    assert "\nRange-diff against v2:\n  1: " in seen[2]
    assert " ! " in seen[2].partition("Range-diff")[2]
    assert "Subject: [PATCH a-next v3 0/3]" in seen[2]
    links = "- Link to v2: https://lore.kernel.org/all/2@example.org/\n- Link to v1: https://lore.kernel.org/all/1@"
    assert links in seen[2]
    (other, *_), _ = mailed(shared, "--tree", "a-next", "--no-range-diff")
    assert "Range-diff" not in other
    shared.configure('range_diff = false\nbranches = "https://git.example.org/linux.git"\n')
    (other, *_), _ = mailed(shared, "--tree", "a-next")
    assert "Range-diff" not in other
    assert "\n  https://git.example.org/linux.git patchbot/mine.a-next\n" in other


def test_git_am_takes_a_single_patch_with_its_range_diff(shared: Owned) -> None:
    shared.run("freeze", "mine", "--tree", "b-next", "--message-id", "1@example.org")
    shared.commit("move", {"drivers/b/4.c": FILES["drivers/b/4.c"] + b"int z = old_a;\n"})
    shared.run("regenerate", "mine", "--onto", "master")
    (alone,), document = mailed(shared, "--tree", "b-next")
    assert "\nSubject: [PATCH b-next v2] " in alone
    assert "\nRange-diff against v1:\n" in alone.partition("\n---\n")[2].partition("\ndiff --git")[0]
    assert "- Link to v1: https://lore.kernel.org/all/1@example.org/\n" in alone
    shared.git("switch", "-q", "--detach", "patchbot/mine.b-next~1")
    shared.git("am", "-q", *document["series"][0]["files"])
    assert shared.git("rev-parse", "HEAD^{tree}") == shared.git("rev-parse", "patchbot/mine.b-next^{tree}")
    assert "Range-diff" not in shared.message("HEAD")


def test_all_patches_can_go_through_one_tree_with_acks(owned: Owned) -> None:
    first = owned.json("generate", "mine")
    owned.configure('conversions = "acks"\n')
    document = owned.json("regenerate", "mine", "--onto", "master")
    assert {row["id"] for row in document["patches"]} == {row["id"] for row in first["patches"]}
    assert {row["target"] for row in document["patches"]} == {"tip"}
    (cover, *rest), document = mailed(owned)
    assert len(rest) == 5
    assert (
        "All patches are meant to go through tip; the maintainers of other trees are asked for their Acked-by."
        in told(cover)
    )
    acks = [row for row in document["findings"] if row["type"] == "ACKS"]
    assert [row["message"].partition(":")[0] for row in acks] == ["4 of 4 patches for other trees lack an Acked-by"]
    head = "From: B <b@example.org>\nMessage-ID: <1@b.c>\nSubject: Re: [PATCH tip 5/5] b: Use new_a()\n\n"
    owned.path.joinpath("../mbox").write_text(f"From x\n{head}Acked-by: B <b@example.org>\n")
    owned.run("trailers", "mine", "--mbox", str(owned.path / "../mbox"))
    _, document = mailed(owned)
    assert any("3 of 4 patches for other trees lack" in row["message"] for row in document["findings"])


def test_the_same_mails_again_start_few_programs_and_more_postings_only_one_each(shared: Owned) -> None:
    programs = []
    for number, trees in enumerate((["--all"], ["--tree", "b-next"])):
        again = ["-o", str(shared.path.parent / f"mails{number}")]
        first, _ = mailed(shared, *trees, *again)
        with started() as names:
            second, _ = mailed(shared, *trees, *again)
        assert second == first
        programs.append(Counter(Path(name).name for name in names))
    every, one = programs
    assert {*every} <= {"git", "sh"}, "no get_maintainer.pl, no editor of tags"
    assert one["git"] <= 18, one
    assert every["git"] <= one["git"] + 6, every


def test_the_mails_of_a_series_that_changed_are_made_anew(shared: Owned) -> None:
    before, _ = mailed(shared, "--tree", "tip", "--signoff")
    shared.git("switch", "-q", "patchbot/mine")
    shared.commit("one by hand", {"lib/6.c": b"int x = new_a; /* mine */\n"})
    shared.git("switch", "-q", "master")
    shared.run("regenerate", "mine", "--onto", "master")
    after, _ = mailed(shared, "--tree", "tip", "--signoff")
    assert not any("/* mine */" in mail for mail in before)
    assert any("/* mine */" in mail for mail in after)


def given(world: Owned, who: str, prefix: str, *subjects: str) -> str:
    """Take an Acked-by from replies to patches, and return the tag."""
    tag = f"Acked-by: {who.title()} <{who}@example.org>"
    file = world.path.parent / f"{who}.mbox"
    mails = (
        f"From x Thu Jan  1 00:00:00 2026\nFrom: {tag.partition(': ')[2]}\n"
        f"Subject: Re: [{prefix} {number}/3] {subject}\nMessage-ID: <{who}{number}@example.org>\n\n{tag}\n\n"
        for number, subject in enumerate(subjects, 1)
    )
    file.write_text("".join(mails))
    world.run("trailers", "mine", "--mbox", str(file))
    return tag


def moved(world: Owned, path: str) -> None:
    """Let one more place of a file change on a new base."""
    text = (world.path / path).read_bytes() + b"int more = old_a;\n"
    world.commit(f"move {path}", {path: text})
    world.run("regenerate", "mine", "--onto", "master")


def lost(world: Owned, tree: str = "a-next") -> list[str]:
    """Return who lost a tag, by the mails of a posting: in its list of changes, or below the --- of a patch."""
    mails, _ = mailed(world, "--tree", tree, "--no-range-diff")
    listed = [part.split(" <")[0] for part in told(mails[0].partition("Changes since")[2]).split("Acked-by: ")[1:]]
    noted = [row.split(": ")[2].split(" <")[0] for m in mails for row in m.split("\n") if row.startswith("Dropped: ")]
    assert sorted(listed) == sorted(noted)
    return listed


def test_a_tag_is_said_to_be_dropped_in_one_version(owned: Owned) -> None:
    one, three = "drivers/a/one/1.c", "drivers/a/three/3.c"
    subjects = ("a: one: 1: Use new_a()", "a: two: 2: Use new_a()", "a: three: 3: Use new_a()")
    owned.run("generate", "mine")
    owned.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    given(owned, "first", "PATCH a-next", *subjects)
    moved(owned, one)
    assert lost(owned) == ["First"]
    owned.run("freeze", "mine", "--tree", "a-next", "--message-id", "2@example.org")
    owned.run("regenerate", "mine", "--onto", "master")
    assert lost(owned) == ["First"]  # it is still version 2
    given(owned, "second", "PATCH a-next v2", *subjects)
    assert lost(owned) == []
    moved(owned, three)
    assert lost(owned) == ["First", "Second"]
    # Given once more for version 2 and lost once more: that is new.
    owned.run("freeze", "mine", "--tree", "a-next", "--message-id", "3@example.org")
    given(owned, "first", "PATCH a-next v3", *subjects)
    moved(owned, three)
    assert lost(owned) == ["First"]


def test_a_version_of_the_whole_series_says_nothing_of_the_other_postings(owned: Owned) -> None:
    owned.run("generate", "mine")
    owned.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    given(owned, "first", "PATCH a-next", "a: one: 1: Use new_a()")
    moved(owned, "drivers/a/one/1.c")
    owned.run("freeze", "mine", "--message-id", "2@example.org")
    moved(owned, "lib/6.c")
    assert lost(owned) == ["First"]


def test_a_patch_that_needs_two_series_says_so_in_one_sentence() -> None:
    one, two = (
        Series("tip", "tip", 1, "1@example.org", patches=15),
        Series("tip.2", "tip", 2, "2@example.org", patches=1),
    )
    known = {"patches": [("b: Use new_a()", "b-next")], "part": {"needs": 16}}

    def says(*needs: Series) -> str:
        return "\n".join(below_single("mine", {**known, "needs": [row.facts() for row in needs]}, {}))

    text = says(one, two)
    assert (
        "This patch needs 15 patches of the series for tip (v1) and 1 patch of the series for tip (v2), and waits until"
        " its tree has them: see the prerequisites at the end of this mail." in told(text)
    )
    assert text.count("This patch needs") == 1
    links = "Link: https://lore.kernel.org/all/1@example.org/\nLink: https://lore.kernel.org/all/2@example.org/\n"
    assert f".\n\n{links}\nTesting" in text
    text = told(says(replace(one, there=True), two))
    assert "This patch needs 1 patch of the series for tip (v2), and waits until its tree has it" in text
    assert "This patch uses what the series for tip (v1) added, which its base has." in text
    text = told(says(replace(one, there=True), replace(two, there=True)))
    assert "This patch uses what the series for tip (v1) and the series for tip (v2) added, which its base has." in text
