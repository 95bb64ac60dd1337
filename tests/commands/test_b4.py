"""A posting for b4: the branch is as b4 makes one, and what b4 changes there comes back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from b4series import BRANCH, MAIL, MARKER, TAG, Series, with_draft
from owned import CAMPAIGN, FILES, maintainers
from tinytree import snapshot

FIRST = """\
from patchbot.model import Edit
from patchbot.series.campaign import Change


def first(context):
    there = context.tree.exists("include/new.h")
    return Change(() if there else (Edit("include/new.h", new=b"int new_a;\\n", create=True),))
"""
STEP = '[[steps]]\nname = "first"\npython = "first.py:first"\nmessage = "rename.txt"\n\n[[steps]]\n'


@pytest.fixture
def series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Series:
    """A draft with three patches for a-next, which need no others."""
    return with_draft(tmp_path, capsys, Series)


def test_the_branch_is_what_b4_makes_and_nothing_else_is_touched(series: Series) -> None:
    before = {**snapshot(series.repo)}
    own = series.refs()
    said = series.run(*MAIL)
    after = snapshot(series.repo)
    assert after.pop("refs").keys() - before.pop("refs").keys() == {f"refs/heads/{BRANCH}"}
    assert after == before
    assert set(own.splitlines()) <= set(series.refs().splitlines())
    assert f"{BRANCH} has 3 patches as v1, change-id " in said
    assert f"\n    git switch {BRANCH}\n    b4 prep --show-info\n    b4 send -o DIR\n" in said
    cover, tracking = series.load()
    info = tracking["series"]
    assert cover.startswith("treewide: Use new_a()\n\n")
    assert cover.endswith("\n\nTo: M A1 <a1@example.org>\nCc: R <r@example.org>")
    assert (info["revision"], info["prefixes"]) == (1, ["RFC", "a-next"])
    assert (
        f"change-id: {info['change-id']}\n"
        in Path(
            series.json("mail", "mine", "--tree", "a-next", "-o", str(series.path.parent / "m"))["series"][0]["cover"]
        ).read_text()
    )
    rows = series.git("log", "--reverse", "--format=%H %ce", f"master..{BRANCH}").splitlines()
    posting = series.git("log", "--reverse", "--format=%T %an %ae %at %B", "master..patchbot/mine.a-next")
    assert series.git("log", "--reverse", "--format=%T %an %ae %at %B", f"{BRANCH}~3..{BRANCH}") == posting
    assert series.git("rev-parse", f"{BRANCH}~3^{{tree}}") == series.git("rev-parse", "master^{tree}")
    assert {row.split()[1] for row in rows} == {series.git("config", "user.email")}


def test_b4_finds_the_cover_on_an_old_base(series: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1500000000 +0000")
    series.git("commit", "-q", "--allow-empty", "-m", "old")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    series.run("regenerate", "mine", "--onto", "master")
    assert series.git("log", "-1", "--format=%ct", "patchbot/mine").startswith("15000000")
    series.run(*MAIL)
    assert series.load()[1]["series"]["revision"] == 1


def test_b4_finds_the_cover_of_a_person_who_writes_as_another_author(series: Series) -> None:
    series.configure("")
    file = series.path.parent / "p.toml"
    file.write_text(file.read_text() + '[author]\nname = "Some Team"\nemail = "team@example.org"\n')
    series.run("generate", "mine")
    series.run(*MAIL)
    assert series.load()[1]["series"]["revision"] == 1
    assert series.git("log", "-1", "--format=%ae", BRANCH) == "team@example.org"


def test_nothing_moves_where_nothing_changed(series: Series) -> None:
    first = series.json(*MAIL)["b4"][0]
    again = series.json(*MAIL)["b4"][0]
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["tip"] == again["tip"] == series.ref(BRANCH)
    assert (again["branch"], again["revision"], again["patches"]) == (BRANCH, 1, 3)
    assert "had already 3 patches" in series.run(*MAIL)


def test_without_a_tree_it_is_that_of_the_campaign_and_all_is_each(series: Series) -> None:
    assert [row["branch"] for row in series.json("mail", "mine", "--b4")["b4"]] == ["b4/mine-tip"]
    rows = series.json("mail", "mine", "--b4", "--all")["b4"]
    assert {row["branch"]: row["patches"] for row in rows} == {BRANCH: 3, "b4/mine-b-next": 1, "b4/mine-tip": 1}


@pytest.mark.parametrize("option", [("-o", "mails"), ("--date", "2026-01-31"), ("--range-diff",)])
def test_what_is_about_files_of_mails_is_refused(series: Series, option: tuple[str, ...]) -> None:
    assert f"so {option[0]} means nothing with it" in series.run(*MAIL, *option, code=2)


def test_a_branch_that_is_in_use_stays_and_the_way_out_is_said(series: Series) -> None:
    series.run(*MAIL)
    series.git("switch", "-q", BRANCH)
    tip = series.ref(BRANCH)
    assert "had already" in series.run(*MAIL)
    series.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    said = series.run(*MAIL, code=2)
    assert f"{BRANCH} is checked out in {series.path}; free it with: git -C {series.path} switch --detach" in said
    assert series.ref(BRANCH) == tip


def test_a_branch_that_patchbot_did_not_make_stays(series: Series) -> None:
    series.git("branch", BRANCH, "master")
    said = series.run(*MAIL, code=2)
    assert f"{BRANCH} is not patchbot's; rename it: git branch -m {BRANCH} <other name>" in said
    assert series.ref(BRANCH) == series.ref("master")


def test_commits_by_hand_on_the_branch_are_named_and_stay(series: Series) -> None:
    series.run(*MAIL)
    series.git("switch", "-q", BRANCH)
    (series.path / "lib/6.c").write_text("int mine;\n")
    series.git("commit", "-q", "-a", "-m", "lib: Mine")
    series.git("switch", "-q", "master")
    tip = series.ref(BRANCH)
    said = series.run(*MAIL, code=2)
    assert (
        f"{BRANCH} was changed by hand, which patchbot takes from patchbot/mine only:\n  {tip[:12]} lib: Mine" in said
    )
    assert f"git branch -m {BRANCH} <other name>" in said
    series.run("regenerate", "mine", "--onto", "master")
    assert series.ref(BRANCH) == tip
    series.git("branch", "-m", BRANCH, "kept")
    series.run(*MAIL)
    assert series.git("log", "-1", "--format=%s", "kept") == "lib: Mine"


@pytest.mark.parametrize("what", ["reword", "drop", "rebase"])
def test_another_change_by_hand_is_refused(series: Series, what: str) -> None:
    series.run(*MAIL)
    if what == "reword":
        series.rewrite(lambda message: message.replace("At ", "Somewhere at "))
    elif what == "drop":
        series.git("branch", "-f", BRANCH, f"{BRANCH}~1")
    else:
        series.commit("on", {"lib/7.c": b"int z;\n"})
        series.git("rebase", "-q", "--keep-empty", "master", BRANCH)
        series.git("switch", "-q", "master")
    tip = series.ref(BRANCH)
    said = series.run(*MAIL, code=2)
    assert {"reword": "a: one: 1: Use new_a()", "drop": "patches are gone", "rebase": "is not on"}[what] in said
    assert series.ref(BRANCH) == tip


def test_what_b4_changed_comes_back_and_survives_a_new_base(series: Series) -> None:
    series.run(*MAIL)
    cover, tracking = series.load()
    change_id = tracking["series"]["change-id"]
    tracking["series"]["prefixes"] = ["a-next", "RFT"]
    cover = cover.replace("treewide: Use new_a()", "treewide: Use the new one", 1).replace("Cc: R <r@", "Cc: S <s@")
    series.store(cover, tracking)
    series.tag("a: two")
    series.commit("move", {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n"})
    said = series.run("regenerate", "mine", "--onto", "master")
    assert series.run("cover", "mine", "--tree", "a-next").startswith("treewide: Use the new one\n")
    assert series.messages("patchbot/mine").count(TAG) == series.messages("patchbot/mine.a-next").count(TAG) == 1
    assert TAG not in said
    assert series.json("edits", "mine")["edits"] == []
    assert series.run(*MAIL)
    cover, tracking = series.load()
    assert cover.startswith("treewide: Use the new one\n")
    assert cover.endswith("To: M A1 <a1@example.org>\nCc: S <s@example.org>")
    assert tracking["series"]["prefixes"] == ["a-next", "RFT"]
    assert (tracking["series"]["change-id"], tracking["series"]["revision"]) == (change_id, 1)
    assert series.ref(f"{BRANCH}~4") == series.ref("master")
    assert series.messages(BRANCH).count(TAG) == 1
    tip = series.ref(BRANCH)
    series.run(*MAIL)
    assert series.ref(BRANCH) == tip


def test_a_tag_for_a_patch_that_changed_meanwhile_is_not_taken(
    series: Series, capsys: pytest.CaptureFixture[str]
) -> None:
    series.run(*MAIL)
    series.commit("move", {"drivers/a/two/2.c": FILES["drivers/a/two/2.c"] + b"int z = old_a;\n"})
    series.run("regenerate", "mine", "--onto", "master")
    series.tag("a: two")
    series.tag("a: one")
    series.run("regenerate", "mine", "--onto", "master")
    assert series.messages("patchbot/mine").count(TAG) == 1
    subject = series.git("log", "--format=%s", f"--grep={TAG}", "patchbot/mine")
    assert subject == "a: one: 1: Use new_a()"


def test_what_was_sent_is_frozen_and_the_next_version_has_what_changed(series: Series) -> None:
    series.run(*MAIL)
    series.tag("a: two")
    series.sent()
    cover, tracking = series.load()
    series.store(cover.replace("- EDITME: use bulletpoints and terse descriptions.", "- Better words."), tracking)
    series.commit("move", {"drivers/a/one/1.c": FILES["drivers/a/one/1.c"] + b"int z = old_a;\n"})
    series.run("regenerate", "mine", "--onto", "master")
    version = series.repo.ref("refs/patchbot/mine/postings/a-next/v1")
    assert json.loads(series.repo.read(version or "", "series.json") or b"")["message_id"] == "1.sent@example.org"
    assert TAG in series.git("log", "--format=%B", f"{version}^")
    row = series.json(*MAIL)["b4"][0]
    assert row["revision"] == 2
    cover, tracking = series.load()
    assert tracking["series"]["history"] == {"v1": ["1.sent@example.org"]}
    assert "EDITME" not in cover
    assert "\nChanges since v1:\n\n" in cover
    assert "\n- Better words.\n" in cover
    assert "\n- Link to v1: https://lore.kernel.org/all/1.sent@example.org/\n" in cover
    assert [f["type"] for f in series.json(*MAIL)["findings"] if f["type"] == "VERSION"] == []


def test_what_was_sent_and_is_not_the_draft_is_for_a_person(series: Series) -> None:
    series.run(*MAIL)
    series.sent(tagged=False)
    said = series.run("regenerate", "mine", "--onto", "master", code=2)
    assert "there is no tag sent/" in said
    assert "patchbot freeze mine --tree a-next --message-id 1.sent@example.org" in said
    series.run("freeze", "mine", "--tree", "a-next", "--message-id", "1.sent@example.org")
    series.run("regenerate", "mine", "--onto", "master")
    found = series.json(*MAIL)
    assert found["b4"][0]["revision"] == 2
    assert [f["message"] for f in found["findings"] if f["type"] == "VERSION"] == [
        "v1 was sent already, so b4 has the next number, v2."
    ]


def test_a_forced_revision_stays_and_counts_once_it_is_sent(series: Series) -> None:
    series.run(*MAIL)
    cover, tracking = series.load()
    tracking["series"]["revision"] = 5
    series.store(cover, tracking)
    (said,) = [f["message"] for f in series.json(*MAIL)["findings"] if f["type"] == "VERSION"]
    assert said == "b4 sends this as v5, as its revision was set; it is v1 here until that is sent."
    series.sent(5)
    series.run(*MAIL)
    assert series.repo.ref("refs/patchbot/mine/postings/a-next/v5")
    assert series.load()[1]["series"]["revision"] == 6


def test_a_letter_that_was_edited_here_and_there_is_settled_by_a_person(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = series.path.parent / "editor"
    editor.write_text('#!/bin/sh\nsed -i -e "1s/.*/treewide: Mine/" -e "/^[<|=>]\\{7\\}/d" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("GIT_EDITOR", str(editor))
    series.run(*MAIL)
    cover, tracking = series.load()
    series.run("cover", "mine", "--tree", "a-next", "--edit")
    series.store(cover.replace("treewide: Use new_a()", "treewide: Theirs", 1), tracking)
    assert "contradicts" in series.run(*MAIL, code=2)
    assert "treewide: Theirs" in series.run("cover", "mine", "--tree", "a-next", "--json", code=2) + series.git(
        "cat-file", "-p", "refs/patchbot/mine/draft:covers.json"
    )
    editor.write_text('#!/bin/sh\nsed -i -e "1,/^>>>>>>>/d" "$1" && sed -i "1s/^/treewide: Settled\\n/" "$1"\n')
    series.run("cover", "mine", "--tree", "a-next", "--edit")
    series.run(*MAIL)
    assert series.load()[0].startswith("treewide: Settled\n")


def test_a_cover_that_no_mail_could_hold_is_named(series: Series) -> None:
    series.run(*MAIL)
    cover, tracking = series.load()
    series.store(cover.replace("\n\n", "\n\ndiff --git a b\n\n", 1), tracking)
    assert f"{BRANCH}: the cover letter: this line would damage the mail: 'diff --git a b'" in series.run(*MAIL, code=2)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "series lacks 'revision'"),
        ({"series": {"revision": "1", "change-id": "x"}}, "series.revision is '1', not a number"),
        ({"series": {"revision": 1, "change-id": "x"}}, "has become another series, 'x'"),
    ],
)
def test_a_tracking_that_b4_would_not_write_is_named(series: Series, table: dict[str, Any], said: str) -> None:
    series.run(*MAIL)
    series.store(series.load()[0], table)
    tip = series.ref(BRANCH)
    assert said in series.run(*MAIL, code=2)
    assert series.ref(BRANCH) == tip


def test_sign_offs_are_a_persons_own(series: Series) -> None:
    series.run(*MAIL)
    mine = "Signed-off-by: Dev <dev@example.org>"
    for subject in ("a: one", "a: two", "a: three"):
        series.tag(subject, mine)
    assert "with --signoff it writes the branch" in series.run(*MAIL, code=2)
    series.run("regenerate", "mine", "--onto", "master")
    assert "Signed-off-by" not in series.messages("patchbot/mine")
    series.run(*MAIL, "--signoff")
    assert series.messages(BRANCH).count("Signed-off-by: ") == 3
    series.run(*MAIL, "--signoff")
    series.sent()
    series.run(*MAIL, "--signoff")
    assert series.repo.ref("refs/patchbot/mine/postings/a-next/v1")


def test_a_description_is_set_by_the_printed_line_and_read_again(series: Series) -> None:
    series.git("config", "b4.prep-cover-strategy", "branch-description")
    config = (series.path / ".git/config").read_text()
    said = series.run(*MAIL)
    assert (series.path / ".git/config").read_text() == config
    assert MARKER not in series.messages(BRANCH)
    (line,) = [row.strip() for row in said.splitlines() if row.strip().startswith("git config ")]
    assert_run(series, line)
    key = f"branch.{BRANCH}"
    tracking = json.loads(series.git("config", f"{key}.b4-tracking"))
    assert tracking["series"]["base-branch"] == series.ref("master")
    assert series.git("config", f"{key}.description").startswith("treewide: Use new_a()\n")
    series.git("config", f"{key}.description", "treewide: Described\n\nBody.\n\nTo: X <x@example.org>")
    series.tag("a: two")
    series.run("regenerate", "mine", "--onto", "master")
    assert series.run("cover", "mine", "--tree", "a-next").startswith("treewide: Described\n")
    assert TAG in series.messages("patchbot/mine.a-next")
    assert series.json(*MAIL)["b4"][0]["describe"] == line
    # Until the line is run again, what it would set counts, and what is set does not.
    series.commit("move", {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n"})
    series.run("regenerate", "mine", "--onto", "master")
    series.run(*MAIL)
    series.git("config", f"{key}.description", "treewide: Stale\n\nBody.")
    series.run(*MAIL)
    assert series.run("cover", "mine", "--tree", "a-next").startswith("treewide: Described\n")
    assert_run(series, line)
    described = series.git("config", f"{key}.description")
    assert described.startswith("treewide: Described\n")
    assert described.endswith("\n\nTo: X <x@example.org>")


def assert_run(series: Series, line: str) -> None:
    """Run a line that patchbot printed, as a person would."""
    subprocess.run(["sh", "-c", line], cwd=series.path, check=True)


def test_a_cover_at_the_tip(series: Series) -> None:
    series.git("config", "b4.prep-cover-strategy", "tip-commit")
    series.run(*MAIL)
    assert MARKER in series.message(BRANCH)
    cover, tracking = series.load()
    assert tracking["series"]["base-branch"] == series.ref("master")
    series.store(cover.replace("treewide: Use new_a()", "treewide: At the tip", 1), tracking)
    series.run("regenerate", "mine", "--onto", "master")
    assert series.run("cover", "mine", "--tree", "a-next").startswith("treewide: At the tip\n")


def test_a_strategy_that_b4_does_not_have_is_named(series: Series) -> None:
    series.git("config", "b4.prep-cover-strategy", "tag")
    said = series.run(*MAIL, code=2)
    assert (
        "b4.prep-cover-strategy in your git configuration is 'tag', which b4 does not have: commit, tip-commit" in said
    )


def test_a_follow_up_lies_on_what_it_needs_and_says_so(series: Series, tmp_path: Path) -> None:
    text = CAMPAIGN.replace("[[steps]]\n", STEP).replace("independent = true\n", "")
    (tmp_path / "mine/campaign.toml").write_text(text)
    (tmp_path / "mine/first.py").write_text(FIRST)
    series.run("generate", "mine")
    series.run("freeze", "mine", "--tree", "tip", "--message-id", "1@example.org")
    series.run(*MAIL)
    info = series.load()[1]["series"]
    needs = info["prerequisites"]
    assert needs[0] == f"base-commit: {series.ref('master')}"
    assert re.fullmatch(r"change-id: \S+-mine-tip-[0-9a-f]{12}:v1", needs[1])
    assert all(re.fullmatch(r"patch-id: [0-9a-f]{40}", row) for row in needs[2:])
    assert len(needs) == 3
    assert info["prefixes"] == ["a-next"]
    subjects = series.git("log", "--reverse", "--format=%s", f"master..{BRANCH}").splitlines()
    assert len(subjects) == 5
    assert subjects[:2] == ["new: Use new_a()", "treewide: Use new_a()"]
    # Where b4 sent the other series, it knows these itself.
    series.git("tag", f"sent/{needs[1].removeprefix('change-id: ').replace(':', '-')}", "patchbot/mine.tip")
    series.run(*MAIL)
    assert series.load()[1]["series"]["prerequisites"] == needs[:2]
    # A person who takes one out of b4's list keeps it out.
    cover, tracking = series.load()
    tracking["series"]["prerequisites"] = needs[:1]
    series.store(cover, tracking)
    series.run(*MAIL)
    assert series.load()[1]["series"]["prerequisites"] == needs[:1]


def test_a_single_patch_has_its_notes_in_the_cover(series: Series) -> None:
    series.run("mail", "mine", "--b4", "--tree", "b-next")
    cover, tracking = series.load("b4/mine-b-next")
    assert cover.startswith("b: Use new_a()\n\n")
    series.store(cover.replace("\n\n", "\n\nMy note.\n\n", 1), tracking, "b4/mine-b-next")
    series.run("mail", "mine", "--b4", "--tree", "b-next")
    assert "\n\nMy note.\n\n" in series.load("b4/mine-b-next")[0]


def test_a_branch_that_was_deleted_is_made_again(series: Series) -> None:
    series.run(*MAIL)
    series.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    series.git("branch", "-q", "-D", BRANCH)
    series.run("regenerate", "mine", "--onto", "master")
    row = series.json(*MAIL)["b4"][0]
    assert (row["changed"], row["revision"]) == (True, 2)
    assert series.load()[1]["series"]["history"] == {"v1": ["1@example.org"]}


def test_a_series_for_one_tree_is_its_only_posting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = (("A1", "", "drivers/a/one/"), ("A2", "", "drivers/a/two/"), ("A3", "", "drivers/a/three/"))
    files = {path: text for path, text in FILES.items() if "/b/" not in path and "/6" not in path}
    world = with_draft(tmp_path, capsys, Series, {**files, "MAINTAINERS": maintainers(*rows)})
    branch = "b4/mine-tip"
    assert [row["branch"] for row in world.json("mail", "mine", "--b4")["b4"]] == [branch]
    cover, tracking = world.load(branch)
    assert (tracking["series"]["prefixes"], tracking["series"]["revision"]) == (["RFC", "tip"], 1)
    world.store(cover.replace("treewide: Use new_a()", "treewide: One tree", 1), tracking, branch)
    world.tag("a: two", branch=branch)
    world.sent(branch=branch)
    world.commit("on", {"lib/7.c": b"int z;\n"})
    world.run("regenerate", "mine", "--onto", "master")
    assert world.repo.ref("refs/patchbot/mine/v1")
    assert world.run("cover", "mine").startswith("treewide: One tree\n")
    assert world.json("mail", "mine", "--b4")["b4"][0]["revision"] == 2
    assert world.messages(branch).count(TAG) == world.messages("patchbot/mine").count(TAG) == 1


def test_what_b4_sent_is_frozen_as_it_was_before_the_tags_that_came_later(series: Series) -> None:
    series.run(*MAIL)
    early = "Acked-by: Early <early@example.org>"
    series.tag("a: one", early)
    series.sent()
    series.tag("a: two")
    said = series.run("regenerate", "mine", "--onto", "master")
    assert "v1 was sent as 1.sent@example.org, and is frozen" in said + series.err
    version = series.repo.ref("refs/patchbot/mine/postings/a-next/v1")
    posted = series.git("log", "--format=%B", f"{version}^")
    assert (early in posted, TAG in posted) == (True, False)
    now = series.messages("patchbot/mine.a-next")
    assert (now.count(early), now.count(TAG)) == (1, 1)
    series.run("regenerate", "mine", "--onto", "master")
    assert "from b4/" not in series.err
    assert [row["revision"] for row in series.json(*MAIL)["b4"]] == [2]


@pytest.mark.parametrize("what", ["trailers", "generate", "cover"])
def test_a_command_that_changes_the_draft_takes_what_was_sent_first(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    series.run(*MAIL)
    series.sent()
    if what == "trailers":
        mails = series.json("mail", "mine", "--tree", "a-next", "-o", str(tmp_path / "m"))["series"][0]["files"]
        subject = Path(mails[2]).read_text().partition("Subject: ")[2].partition("\n")[0]
        head = f"From: Rev One <rev1@example.org>\nSubject: Re: {subject}\nMessage-ID: <r@example.org>\n"
        (tmp_path / "t.mbox").write_text(f"From x Thu Jan  1 00:00:00 2026\n{head}\nFine.\n\n{TAG}\n")
        series.run("trailers", "mine", "--mbox", str(tmp_path / "t.mbox"))
        assert TAG in series.messages("patchbot/mine.a-next")
    elif what == "generate":
        series.commit("move", {"drivers/a/one/1.c": FILES["drivers/a/one/1.c"] + b"int z = old_a;\n"})
        series.run("generate", "mine")
    else:
        cover, tracking = series.load()
        series.store(cover.replace("treewide: Use new_a()", "treewide: Theirs", 1), tracking)
        monkeypatch.setenv("GIT_EDITOR", "true")
        series.run("cover", "mine", "--tree", "a-next", "--edit")
        assert series.run("cover", "mine", "--tree", "a-next").startswith("treewide: Theirs\n")
    version = series.repo.ref("refs/patchbot/mine/postings/a-next/v1")
    assert TAG not in series.git("log", "--format=%B", f"{version}^")
    assert series.json(*MAIL)["b4"][0]["revision"] == 2


def hints(series: Series) -> list[str]:
    """Return what plain `mail` and `status` say of the branch for b4; it must be the same."""
    mails = str(series.path.parent / "mails")
    found = series.json("mail", "mine", "--tree", "a-next", "-o", mails)["findings"]
    said = [finding["message"].removeprefix("The branch ") for finding in found if finding["type"] == "B4"]
    assert [row["message"] for row in series.json("status", "mine")["b4"]] == said
    assert all(line in series.run("status", "mine") for line in said)
    return said


def test_mail_and_status_say_what_of_b4_the_draft_does_not_have(series: Series) -> None:
    series.run(*MAIL)
    assert hints(series) == []
    take_it = "patchbot mail mine --tree a-next --b4"
    series.tag("a: two")
    assert hints(series) == [f"{BRANCH} has tags, which the draft lacks; take that with: {take_it}"]
    cover, tracking = series.load()
    series.store(cover.replace("treewide: Use", "treewide: Say", 1), tracking)
    assert hints(series) == [f"{BRANCH} has tags and a letter, which the draft lacks; take that with: {take_it}"]
    series.sent()
    assert hints(series)[0].startswith(f"{BRANCH} has v1 as it was sent, tags and a letter, which the draft lacks")
    series.run("regenerate", "mine", "--onto", "master")
    assert hints(series) == []
    series.run(*MAIL)
    assert hints(series) == []
    cover, tracking = series.load()
    tracking["series"]["revision"] = 7
    series.store(cover, tracking)
    said = [f"{BRANCH} is to be sent as v7, as its revision was set, and this is v1: {take_it}"]
    assert hints(series) == said
    series.run("regenerate", "mine", "--onto", "master")
    assert hints(series) == said
    series.git("branch", "-f", BRANCH, "master")
    assert hints(series) == [f"{BRANCH} was changed by hand, or cannot be read; see what is wrong with: {take_it}"]
    series.git("branch", "-q", "-D", BRANCH)
    assert hints(series) == []


def test_a_branch_can_be_put_back_to_where_patchbot_looked_last(series: Series) -> None:
    series.run(*MAIL)
    series.tag("a: two")
    series.run("regenerate", "mine", "--onto", "master")
    tip = series.ref(BRANCH)
    for at, why in (
        ("master", "holds no patches any more"),
        ("patchbot/mine.a-next", "does not have b4's cover letter any more"),
    ):
        series.git("branch", "-f", BRANCH, at)
        said = series.run(*MAIL, code=2)
        assert said.count(why) == 1
        back = f"git branch -f {BRANCH} {tip[:12]}"
        assert back in said
        series.git(*back.split()[1:])
        assert "had already 3 patches" in series.run(*MAIL)


def test_a_clean_work_tree_moves_with_the_branch_for_b4(series: Series) -> None:
    series.run(*MAIL)
    series.git("worktree", "add", "-q", str(series.path.parent / "beside"), BRANCH)
    series.commit("move", {"drivers/a/one/1.c": FILES["drivers/a/one/1.c"] + b"int z = old_a;\n"})
    series.run("regenerate", "mine", "--onto", "master")
    assert "with: patchbot mail" in series.run(*MAIL, code=2)
    series.run(*MAIL, "--update-checkout")
    file = series.path.parent / "beside/drivers/a/one/1.c"
    assert file.read_bytes() == b"int x = new_a;\nint z = new_a;\n"
    assert series.git("-C", str(file.parent), "status", "--porcelain") == ""
    assert "--update-checkout is for --b4" in series.run("mail", "mine", "--all", "--update-checkout", code=2)
    shutil.rmtree(series.path.parent / "beside")
    series.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    said = series.run(*MAIL, code=2)
    assert "a work tree that is gone; free it with: git --git-dir=" in said
    assert "or have patchbot move it" not in said
