"""Files that go, get another name and another mode: from the codemod to the mails, and on a base that moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from outside.moves import campaign as module
from tinytree import TESTS, commit

from patchbot.cli import main
from patchbot.config import CampaignConfig
from patchbot.errors import PatchbotError
from patchbot.git.repo import Repo
from patchbot.model import REGULAR, Entry
from patchbot.run import run
from patchbot.series.edits import EditError
from patchbot.series.generate import generate, verify
from patchbot.series.tree import Tree

OWNED = b"""
OLD THINGS
M:\tOle Old <ole@example.org>
L:\told@example.org
S:\tMaintained
F:\tlib/old/

NEW THINGS
M:\tNed New <ned@example.org>
L:\tnew@example.org
S:\tMaintained
F:\tlib/new/
"""
ONE = b"".join(b"int line_%d;\n" % n for n in range(20)) + b"int old_one(void);\n"
FILES = {"lib/old/one.c": ONE, "lib/old/run": b"#!/bin/sh\necho old_run\n", "lib/old/gone.h": b"#define GONE\n"}
SCRIPT = "scripts/get_maintainer.pl"
CONFIG = CampaignConfig("moves", "b-next")


@pytest.fixture
def repo(tiny: Repo) -> Repo:
    work = tiny.git_dir.parent
    changes = {path: (work / path).read_bytes() for path in ("MAINTAINERS", SCRIPT)}
    changes["MAINTAINERS"] += OWNED
    # The real script knows renames.
    changes[SCRIPT] = changes[SCRIPT].replace(rb"m{^--- a/(\S+)}", rb"m{^(?:--- a/|rename \w+ )(\S+)}")
    commit(work, "Add old things", {**FILES, **changes})
    return tiny


def files(repo: Repo, rev: str) -> dict[str, tuple[str, bytes | None]]:
    sha = repo.resolve(rev)
    return {path: (mode, repo.read(sha, path)) for path, (mode, _) in repo.ls(sha, "lib").items()}


def test_splitting_loses_nothing(repo: Repo) -> None:
    base = Tree(repo, repo.resolve("HEAD"))
    made = generate(base, module.campaign(CONFIG), CONFIG)
    patches = {p.id: p for p in made.series.patches}
    assert patches["files/move"].files == {
        "lib/new/one.c": Entry(REGULAR, ONE),
        "lib/new/run": Entry("100755", FILES["lib/old/run"]),
        **dict.fromkeys(FILES),
    }
    assert patches["files/text"].files == {
        "lib/new/one.c": Entry(REGULAR, module.rewritten(ONE)),
        "lib/new/run": Entry("100755", b"#!/bin/sh\necho new_run\n"),
    }
    assert patches["files/move"].owners == ("NEW THINGS", "OLD THINGS")
    assert patches["files/text"].owners == ("NEW THINGS",)
    for lost in (
        {},
        {"lib/old/gone.h": Entry(REGULAR, b"")},
        {"lib/new/run": Entry(REGULAR, b"#!/bin/sh\necho new_run\n")},
    ):
        with pytest.raises(PatchbotError, match=r"the patches together differ|does not change"):
            verify(made.series.patches[1:] if not lost else made.series.patches, base, made.tip.overlaid(lost))
    again = generate(made.tip, module.campaign(CONFIG), CONFIG)
    assert again.series.patches == ()
    assert made.tip.below("lib/old") == set()
    assert not made.tip.exists("lib/old/one.c")
    assert made.tip.grep(["line_7"], ["lib"]) == ["lib/new/one.c"]


@pytest.mark.parametrize("taken", ["lib/new/one.c", "lib/new", "lib/new/one.c/more"])
def test_a_new_name_takes_no_other_place(repo: Repo, taken: str) -> None:
    at = commit(repo.git_dir.parent, "Add it", {taken: b"x\n"})
    with pytest.raises(EditError, match="lib/new"):
        generate(Tree(repo, at), module.campaign(CONFIG), CONFIG)


def test_what_is_no_file_stays(repo: Repo) -> None:
    work = repo.git_dir.parent
    (work / "lib/old/link").symlink_to("one.c")
    with pytest.raises(EditError, match="lib/old/link: a codemod edits it, but it is a symbolic link"):
        generate(Tree(repo, commit(work, "Add a link")), module.campaign(CONFIG), CONFIG)


def test_from_the_codemod_to_the_mails(repo: Repo, tmp_path: Path, capsys: Any) -> None:
    toml = tmp_path / "p.toml"
    toml.write_text(f'[campaigns.moves]\npath = "{TESTS / "outside/moves"}"\ntarget = "b-next"\n')
    work, mails = repo.git_dir.parent, tmp_path / "mails"

    def call(*argv: str) -> str:
        code = main([argv[0], "moves", *argv[1:], "--config", str(toml), "--kernel", str(work)])
        said = capsys.readouterr()
        assert code in (0, 1), said
        return str(said.out)

    def checked() -> set[tuple[str, str]]:
        results = json.loads(call("check", "--only", "applies,checkpatch", "--json"))["results"]
        return {(r["check"], r["status"]) for r in results if r["patch"]}

    call("generate")
    assert files(repo, "patchbot/moves") == {
        **{path: it for path, it in files(repo, "HEAD").items() if not path.startswith("lib/old/")},
        "lib/new/one.c": (REGULAR, module.rewritten(ONE)),
        "lib/new/run": ("100755", b"#!/bin/sh\necho new_run\n"),
    }
    drafted = repo.refs("refs/")
    call("generate")
    assert repo.refs("refs/") == drafted
    assert checked() == {("applies", "PASS"), ("checkpatch", "PASS")}
    call("mail", "-o", str(mails))
    (first,) = mails.rglob("*0001*.patch")
    text = first.read_text()
    assert "rename from lib/old/one.c\nrename to lib/new/one.c\n" in text
    assert "old mode 100644\nnew mode 100755\n" in text
    assert "delete mode 100644 lib/old/gone.h" in text
    assert {"ole@example.org", "ned@example.org"} <= {word.strip("<>,") for word in text.split()}

    run(["git", "checkout", "-q", "patchbot/moves"], cwd=work)
    commit(
        work, "lib: Bring the text\n\nMine.", {"lib/new/one.c": module.rewritten(ONE) + b"/* by hand */\n"}, amend=True
    )
    run(["git", "checkout", "-q", "master"], cwd=work)
    moved = commit(work, "Go on", {"lib/old/one.c": b"int above;\n" + ONE, "lib/old/two.c": b"int old_two;\n"})
    call("regenerate", "--onto", moved)
    after = files(repo, "patchbot/moves")
    assert after["lib/new/one.c"] == (REGULAR, b"int above;\n" + module.rewritten(ONE) + b"/* by hand */\n")
    assert after["lib/new/two.c"] == (REGULAR, b"int new_two;\n")
    assert after["lib/new/run"][0] == "100755"
    assert not [path for path in after if path.startswith("lib/old/")]
    assert checked() == {("applies", "PASS"), ("checkpatch", "PASS")}
