"""What was posted and is divided otherwise now: it is shown where its patches went, and nothing of it is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from owned import FILES, Owned

TAG = "Reviewed-by: R. Viewer <viewer@example.org>"
RULE = '[[campaigns.mine.owners]]\npath = "drivers/b/"\ntree = "a-next"\n'
POSTED = "posted as v1 (1@example.org); its patches are now in "


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    made = Owned(tmp_path, capsys, {**FILES, "scripts/get_maintainer.pl": b"#!/usr/bin/perl\n"})
    made.run("generate", "mine")
    made.run("freeze", "mine", "--tree", "b-next", "--message-id", "1@example.org")
    return made


def tag(world: Owned) -> None:
    """Give the patch of b-next, the last one, a tag and a letter."""
    world.git("switch", "-q", "patchbot/mine")
    message = world.git("log", "-1", "--format=%B")
    world.git("commit", "-q", "--amend", "-m", f"{message}\n\n{TAG}")
    world.git("switch", "-q", "master")
    world.run("regenerate", "mine", "--onto", "master")


@pytest.mark.parametrize(
    ("more", "into"), [(RULE, ["a-next"]), ('conversions = "acks"\n', ["tip"]), ('conversions = "treewide"\n', ["tip"])]
)
def test_it_is_shown_where_its_patches_are_and_comes_back_with_its_tags(
    owned: Owned, more: str, into: list[str]
) -> None:
    tag(owned)
    assert TAG in owned.message("patchbot/mine.b-next")
    before = owned.ref("patchbot/mine"), owned.json("status", "mine")["postings"]
    owned.configure(more)
    again = owned.json("generate", "mine")
    assert "b-next" not in [row["name"] for row in again["postings"]]
    for document in (again, owned.json("status", "mine"), owned.json("regenerate", "mine", "--onto", "master")):
        (row,) = document["elsewhere"]
        told = {"name": "b-next", "version": 1, "message_id": "1@example.org", "patches": 1, "sites": 2, "into": into}
        assert row.items() >= told.items()
    said = POSTED + into[0]
    assert f"b-next: {said}" in owned.run("regenerate", "mine", "--onto", "master")
    rows = owned.run("status", "mine").splitlines()
    assert [row.split("  ")[-1].strip() for row in rows if row.startswith("b-next ")] == [said]
    assert f"no posting 'b-next'; it was {said} (there are: " in owned.run("mail", "mine", "--tree", "b-next", code=2)
    owned.configure("")
    owned.run("generate", "mine")
    assert (owned.ref("patchbot/mine"), owned.json("status", "mine")["postings"]) == before
    assert TAG in owned.message("patchbot/mine.b-next")
    assert owned.json("status", "mine")["elsewhere"] == []
    assert not owned.record().get("dropped_trailers")


def test_a_step_with_another_name_keeps_the_posting(owned: Owned) -> None:
    campaign = owned.path.parent / "mine/campaign.toml"
    text = campaign.read_text()
    campaign.write_text(text.replace('name = "rename"', 'name = "other"'))
    owned.run("generate", "mine")
    document = owned.json("status", "mine")
    assert [(row["name"], row["posted"]) for row in document["postings"]] == [
        ("tip", None),
        ("a-next", None),
        ("b-next", 1),
    ]
    assert document["elsewhere"] == []


def test_some_of_a_posting_that_is_elsewhere_is_said(owned: Owned) -> None:
    owned.configure(RULE.replace("drivers/b/", "drivers/b/5.c"))
    document = owned.json("generate", "mine")
    said = "posted as v1 (1@example.org); some of it is now in a-next"
    assert [row["state"] for row in document["elsewhere"]] == [said]
    assert f"\nb-next: {said}\n" in owned.run("status", "mine")


def test_a_name_that_was_posted_is_not_used_for_other_patches(owned: Owned) -> None:
    owned.configure(RULE)
    owned.run("generate", "mine")
    owned.commit("new", {"drivers/b/new.c": b"int x = old_a;\n"})
    owned.configure(RULE.replace("drivers/b/", "drivers/b/[45].c"))
    document = owned.json("regenerate", "mine", "--onto", "master")
    rows = {row["name"]: row["patches"] for row in document["postings"]}
    assert "b-next" not in rows
    assert len(rows["b-next.2"]) == 1
    assert [(row["name"], row["into"]) for row in document["elsewhere"]] == [("b-next", ["a-next"])]


def test_what_nobody_makes_any_more_is_said_too(owned: Owned) -> None:
    owned.configure('[campaigns.mine.decisions]\n"drivers/b/" = { reason = "not now" }\n')
    owned.run("generate", "mine")
    assert "posted as v1 (1@example.org); its patches are no longer in the draft" in owned.run("status", "mine")


def test_tags_of_a_patch_that_is_gone_do_not_count(owned: Owned) -> None:
    tag(owned)
    assert owned.json("status", "mine")["draft"]["trailers"] == 1
    owned.configure('conversions = "treewide"\n')
    assert f"dropped: {TAG} of rename/B: the patch is gone" in owned.run("generate", "mine")
    assert "dropped" not in owned.run("regenerate", "mine", "--onto", "master"), "it was said once"
    assert owned.json("status", "mine")["draft"]["trailers"] == 0
    kept = json.loads(owned.show("refs/patchbot/mine/draft", "trailers.json"))
    assert [row["trailer"] for row in kept["rename/B"]] == [TAG]


def test_the_letter_of_a_posting_waits_for_it(owned: Owned, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = owned.path.parent / "editor"
    editor.write_text('#!/bin/sh\necho "Words of mine." >> "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("GIT_EDITOR", str(editor))
    owned.run("cover", "mine", "--tree", "a-next", "--edit")
    owned.configure('conversions = "treewide"\n')
    owned.run("generate", "mine")
    owned.run("regenerate", "mine", "--onto", "master")
    owned.configure("")
    owned.run("generate", "mine")
    assert "Words of mine." in owned.run("cover", "mine", "--tree", "a-next")
