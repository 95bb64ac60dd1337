"""What a person writes into a cover letter is kept, merged with what is generated later, and never lost."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from owned import CAMPAIGN, FILES, Owned
from tinytree import snapshot

from patchbot.draft.covers import MARK, Cover, Written, merge, rewritten

SCRIPT = '#!/usr/bin/perl\nprint "M A1 <a1\\@example.org> (maintainer:A1)\\n";\n'
COVER = "\n".join(
    (
        '{% extends "campaign/cover-letter.txt.j2" %}',
        "{% block about %}",
        "The word is old.",
        "",
        "It is so in {{ part.sites if part else counts.change }} places.",
        "",
        "{% endblock %}",
        "",
    )
)
PATH = "drivers/a/two/2.c"


class Writer(Owned):
    """A person with an editor: a program that replaces text in the file."""

    def editor(self, *words: str) -> None:
        """Let the editor replace (old, new, ...) in what it is given; without words it leaves the file alone."""
        program = self.path.parent / "editor.py"
        pairs = list(zip(words[::2], words[1::2], strict=True))
        program.write_text(
            "#!/usr/bin/env python3\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n"
            f"seen = pathlib.Path({str(self.path.parent / 'seen')!r})\nseen.write_text(text)\n"
            f"for old, new in {pairs!r}:\n    assert old in text, old\n    text = text.replace(old, new, 1)\n"
            "file.write_text(text)\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    @property
    def seen(self) -> str:
        """What the editor was given last."""
        return (self.path.parent / "seen").read_text()

    def move(self, times: int = 1) -> None:
        """Move the base, so that the posting for a-next changes."""
        self.commit("move", {PATH: FILES[PATH] + b"int z = old_a;\n" * times})
        self.run("regenerate", "mine", "--onto", "master")

    def cover(self, *argv: str) -> str:
        return self.run("cover", "mine", "--tree", "a-next", *argv)

    def mailed(self) -> str:
        document = self.json("mail", "mine", "--tree", "a-next", "-o", str(self.path.parent / "mails"))
        return Path(document["series"][0]["cover"]).read_text()


@pytest.fixture
def writer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Writer:
    world = Writer(tmp_path, capsys, {**FILES, "scripts/get_maintainer.pl": SCRIPT.encode()})
    (tmp_path / "mine/cover.txt").write_text(COVER)
    assert CAMPAIGN
    monkeypatch.setenv("GIT_EDITOR", str(tmp_path / "editor.py"))
    world.editor()
    world.run("generate", "mine")
    return world


def test_a_persons_text_is_kept_and_goes_with_the_base(writer: Writer) -> None:
    before, first = snapshot(writer.repo), writer.ref("master")
    assert "The word is old.\n\nIt is so in 4 places." in writer.cover()
    writer.editor("treewide: Use", "a: Use", "The word is old.", "The word is very old.\n\nAsk me.")
    assert "is kept with the draft" in writer.cover("--edit")
    assert "a-next  3        4      drafted, with a letter of yours" in writer.run("status", "mine")
    assert "# This is the cover letter of a-next v1;" in writer.seen
    assert "\n#" not in writer.cover()
    letter = writer.mailed()
    assert "\nSubject: [RFC PATCH a-next 0/3] a: Use new_a()\n" in letter
    assert "The word is very old.\n\nAsk me.\n\nIt is" in letter
    assert "is unchanged" in writer.run("generate", "mine")
    writer.move()
    assert "Ask me." in writer.cover()
    assert "changes 5 places in 3 files" in " ".join(writer.cover().split())
    writer.run("freeze", "mine", "--tree", "a-next")
    assert "Ask me." in writer.mailed()
    assert writer.json("cover", "mine", "--tree", "a-next")["text"].startswith("a: Use new_a()\n\n")
    writer.git("reset", "-q", "--hard", first)
    assert {**snapshot(writer.repo), "index": b""} == {**before, "index": b""}


def test_text_that_is_not_utf_8_is_refused_with_its_line(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "editor.py").write_text(
        "#!/usr/bin/env python3\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
        "file.write_bytes(b'a: Use\\n\\n' + file.read_bytes() + b'caf\\xe9\\n')\n"
    )
    before = writer.refs()
    said = writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    assert ": this line is not UTF-8; nothing was stored" in said
    assert writer.refs() == before


def test_a_reply_to_a_letter_with_a_persons_title_is_for_its_patches(writer: Writer, tmp_path: Path) -> None:
    writer.editor("treewide: Use", "a: Always use")
    writer.cover("--edit")
    title = "[PATCH a-next 0/3] a: Always use new_a()"
    head = f"From: R <r@example.org>\nMessage-ID: <1@b.c>\nIn-Reply-To: <0@b.c>\nSubject: Re: {title}\n\n"
    (tmp_path / "mbox").write_text(f"From x Mon Sep 17 00:00:00 2001\n{head}Acked-by: R <r@example.org>\n")
    document = writer.json("trailers", "mine", "--mbox", str(tmp_path / "mbox"))
    assert sorted(row["patch"] for row in document["attached"]) == ["rename/A1", "rename/A2", "rename/A3"]
    assert writer.mailed().count("a: Always use new_a()") == 1


def test_unchanged_text_stores_nothing_and_edits_can_be_dropped_and_undone(writer: Writer) -> None:
    before = writer.refs()
    assert "is as it was" in writer.cover("--edit")
    assert writer.refs() == before
    writer.editor("The word", "This word")
    writer.cover("--edit")
    assert "This word is old" in writer.cover()
    writer.run("undo", "mine")
    assert "The word is old" in writer.cover()
    writer.run("undo", "mine")
    writer.cover("--discard-edits")
    assert "The word is old" in writer.cover()
    assert writer.repo.read(writer.ref("refs/patchbot/mine/draft"), "covers.json") is None
    writer.editor("The word", "This word")
    writer.cover("--edit")
    writer.editor("This word", "The word")
    assert "a-next has the generated letter" in writer.cover("--edit")
    assert writer.repo.read(writer.ref("refs/patchbot/mine/draft"), "covers.json") is None


def test_a_text_that_contradicts_what_is_generated_now_is_shown_and_not_mailed(writer: Writer) -> None:
    writer.editor("It is so in 4 places.", "It is so in four places.")
    writer.cover("--edit")
    writer.move()
    document = writer.run("cover", "mine", "--tree", "a-next", code=2)
    settle = "patchbot cover mine --tree a-next --edit"
    assert settle in document
    for again in (["status", "mine"], ["regenerate", "mine", "--onto", "master"]):
        assert f"your cover letter of a-next contradicts what is generated now, and mail waits for you: {settle}" in (
            " ".join(writer.run(*again).split())
        )
        assert writer.json(*again)["letters"] == [{"posting": "a-next", "command": settle}]
    said = writer.run("mail", "mine", "--tree", "a-next", "-o", str(writer.path.parent / "mails"), code=2)
    assert "contradicts what is generated now" in said
    writer.editor()
    assert "contradicts" in writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    writer.editor("in four places", "in four lines")
    said = writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    assert "still holds conflict markers" in said
    for words in ("<<<<<<< generated now", "in 5 places.", "in 4 places.", "in four places.", ">>>>>>> edited by hand"):
        assert words in writer.seen
    writer.editor()
    writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    assert "in four lines" in writer.seen, "what was not stored is there again"
    start, end = writer.seen.index("<<<<<<<"), writer.seen.index("edited by hand\n") + len("edited by hand\n")
    writer.editor(writer.seen[start:end], "It is so in five places.\n")
    writer.cover("--edit")
    assert "in five places." in writer.mailed()
    assert writer.json("status", "mine")["letters"] == []
    assert "<<<" not in writer.mailed()
    writer.run("mail", "mine", "--tree", "tip", "-o", str(writer.path.parent / "other"))


def test_a_persons_changelog_is_kept_for_each_version(writer: Writer) -> None:
    writer.run("freeze", "mine", "--tree", "a-next", "--message-id", "1@example.org")
    writer.move()
    writer.editor("Changes since v1:\n\n", "Changes since v1:\n\n- Ask nicely (Alexei).\n")
    writer.cover("--edit")
    letter = writer.mailed()
    assert "Changes since v1:\n\n- Ask nicely (Alexei).\n" in letter
    assert "- Changed: a: two: 2: Use new_a()\n" in letter
    writer.move(2)
    assert "- Ask nicely (Alexei)." in writer.mailed()
    writer.run("freeze", "mine", "--tree", "a-next", "--message-id", "2@example.org")
    writer.move(3)
    letter = writer.mailed()
    second, first = letter.index("Changes since v2:"), letter.index("Changes since v1:")
    assert second < first < letter.index("Ask nicely (Alexei)") < letter.index("How it was made")
    writer.editor("Changes since v2:\n\n", "Changes since v2:\n\n- Say it twice.\n")
    writer.cover("--edit")
    letter = writer.mailed()
    assert letter.index("Say it twice") < letter.index("Changes since v1:") < letter.index("Ask nicely (Alexei)")
    assert letter.count("Changes since v1:") == 1


def test_an_editor_that_fails_or_a_bad_text_loses_nothing(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.editor("The word", "From: me\n\nThis word")
    said = writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    assert "would damage the mail" in said
    monkeypatch.setenv("GIT_EDITOR", "false")
    said = writer.run("cover", "mine", "--tree", "a-next", "--edit", code=2)
    assert "the editor (false) ended with exit code 1" in said
    monkeypatch.setenv("GIT_EDITOR", str(writer.path.parent / "editor.py"))
    writer.editor("From: me\n\n", "")
    assert "is kept with the draft" in writer.cover("--edit")
    assert "This word" in writer.mailed()


def test_no_configuration_of_the_repository_starts_an_editor(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_EDITOR")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    trap = writer.path.parent / "trap"
    writer.git("config", "core.editor", f"touch {trap};")
    monkeypatch.setenv("EDITOR", str(writer.path.parent / "editor.py"))
    writer.editor("The word", "This word")
    writer.cover("--edit")
    assert "This word" in writer.cover()
    assert not trap.exists()
    (Path.home() / "x.py").write_text((writer.path.parent / "editor.py").read_text().replace("This", "That"))
    writer.git("config", "--global", "core.editor", f"python3 {Path.home() / 'x.py'}")
    writer.cover("--discard-edits")
    writer.cover("--edit")
    assert "That word" in writer.cover()


def test_a_single_patch_has_no_letter(writer: Writer) -> None:
    assert "a single patch has no cover letter" in writer.run("cover", "mine", "--tree", "b-next", code=2)


GENERATED = f"Title\n\nOne.\n\n{MARK}\n\nLast.\n"


def test_the_first_version_has_no_changes_and_keeps_the_place_for_them() -> None:
    letter = merge(Cover(), GENERATED, {})
    assert letter.text == "Title\n\nOne.\n\nLast.\n"
    cover = rewritten(Cover(), letter, "Title\n\nOne.\n\nTwo.\n\nLast, too.\n")
    assert cover.text is not None
    lists = {"1": "Changes since v1:\n\n- A\n"}
    later = merge(cover, GENERATED, lists)
    assert not later.conflict
    for part in ("Two.\n", "Changes since v1:\n\n- A\n", "Last, too.\n"):
        assert part in later.text
    assert later.text.index("One.") < later.text.index("Changes since") < later.text.index("Last, too.")


def test_changes_that_a_person_removes_stay_away_from_that_version_only() -> None:
    letter = merge(Cover(), GENERATED, {"1": "Changes since v1:\n\n- A\n"})
    cover = rewritten(Cover(), letter, "Title\n\nOne.\n\nLast.\n")
    assert cover == Cover(None, {"1": Written("Changes since v1:\n\n- A\n", "")})
    assert merge(cover, GENERATED, {"1": "Changes since v1:\n\n- A\n"}).text == "Title\n\nOne.\n\nLast.\n"
    later = merge(cover, GENERATED, {"2": "Changes since v2:\n\n- B\n"})
    assert later.text == "Title\n\nOne.\n\nChanges since v2:\n\n- B\n\nLast.\n"
