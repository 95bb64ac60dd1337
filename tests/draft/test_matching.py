"""Which commit is which patch, and tags that come out of a message and go back in."""

import subprocess

import pytest
from tinytree import commit

from patchbot.draft.matching import Diff, Known, cost, diffs, match, parse_choices
from patchbot.draft.trailers import Given, apply_to_message, without_tags
from patchbot.errors import UserError
from patchbot.git.repo import Repo

TAG = Given("Reviewed-by: R Person <r@example.org>", "m@example.org", 1, "x")
MESSAGE = "a: Subject\n\nBody.\n"


@pytest.fixture
def repo(tmp_path) -> Repo:
    subprocess.run(["git", "init", "-q", tmp_path / "r"], check=True)
    return Repo.open(tmp_path / "r")


def made(repo: Repo, text: bytes, name: str = "f.c") -> tuple[str, str]:
    """Commit a file on a fresh start and return (commit, subject)."""
    folder = repo.git_dir.parent
    subprocess.run(["git", "checkout", "-q", "--orphan", "x"], cwd=folder, check=True)
    commit(folder, "start", {name: b"0\n" * 9})
    sha = commit(folder, f"change {name}", {name: text})
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=folder, check=True)
    subprocess.run(["git", "branch", "-D", "-q", "x"], cwd=folder, check=True)
    return sha, f"change {name}"


def known(repo: Repo, id_: str, text: bytes, name: str = "f.c") -> Known:
    return Known(id_, *made(repo, text, name))


def test_the_cost_is_that_of_range_diff():
    one, two = (Diff((b"diff --git a/f b/f", b"@@", b" a", b"+" + x, b" b")) for x in (b"1", b"2"))
    assert cost(one, one) == 0
    assert cost(one, two) == 7  # one line out, one in, four around them, and the line that says where


def test_a_diff_is_the_same_wherever_its_lines_are(repo):
    folder = repo.git_dir.parent
    commit(folder, "start", {"f.c": b"0\n" * 9})
    low = commit(folder, "one", {"f.c": b"0\n" * 9 + b"x\n"})
    commit(folder, "start", {"f.c": b"1\n" + b"0\n" * 9})
    high = commit(folder, "two", {"f.c": b"1\n" + b"0\n" * 9 + b"x\n"})
    found = diffs(repo, [low, high])
    assert found[low].digest == found[high].digest
    assert found[low].lines


def test_commits_are_known_by_id_then_by_diff_then_by_cost(repo):
    base = b"0\n" * 9
    long = b"".join(b"line %d\n" % n for n in range(20))
    first = known(repo, "first", base + b"one\n")
    second = known(repo, "second", base + b"two\n", "g.c")
    third = known(repo, "third", base + long, "h.c")
    (repo.git_dir.parent / "noise").write_text("x")
    same = made(repo, base + b"two\n", "g.c")
    amended = made(repo, base + long.replace(b"line 7\n", b"line seven\n"), "h.c")
    other = made(repo, base + b"mine\n", "mine.c")
    rows = [(first.sha, first.subject), same, amended, other]
    assert match([first, second, third], rows, repo) == {
        first.sha: "first",
        same[0]: "second",
        amended[0]: "third",
    }


def test_what_a_person_says_counts(repo):
    first = known(repo, "first", b"0\n" * 9 + b"one\n")
    other = made(repo, b"0\n", "o.c")
    rows = [(first.sha, first.subject), other]
    assert match([first], rows, repo, {other[0]: "first", first.sha: ""}) == {other[0]: "first"}
    assert parse_choices(["abc=first", "def="], lambda rev: rev * 2, ["first"]) == {"abcabc": "first", "defdef": ""}
    for bad in ("abc", "abc=nope"):
        with pytest.raises(UserError, match="PATCH is one of first"):
            parse_choices([bad], str, ["first"])


@pytest.mark.parametrize("signed", ["", "\nSigned-off-by: A Person <a@example.org>\n"])
def test_tags_come_out_as_they_went_in(signed):
    message = MESSAGE + signed
    tagged = apply_to_message(message, [TAG])
    assert tagged != message
    assert without_tags(tagged, [TAG]) == (message, [TAG.trailer])
    noted = f"{tagged}---\nDropped: Acked-by: B <b@example.org> (it changed)\n"  # as older drafts have it
    assert without_tags(noted, [TAG]) == (message, [TAG.trailer])


def test_a_tag_that_nobody_stored_is_found_and_a_sign_off_stays():
    message = MESSAGE + "\nTested-by: T <t@example.org>\nSigned-off-by: A <a@example.org>\n"
    text, taken = without_tags(message, [])
    assert taken == ["Tested-by: T <t@example.org>"]
    assert text == MESSAGE + "\nSigned-off-by: A <a@example.org>\n"
    assert without_tags(MESSAGE, [TAG]) == (MESSAGE, [])
