"""Tags in commit messages, their store and their proof, and what becomes of them when the patch changes."""

import re
import subprocess

import pytest
from sample import tree

from patchbot.draft.trailers import (
    Given,
    apply_to_message,
    diff_id,
    format_trailers,
    is_trailer,
    measure,
    merge,
    read_trailers,
    survives,
    take_apart,
)
from patchbot.git.diffs import diff_lines, diff_of
from patchbot.shapes import ShapeError

MESSAGES = {
    "no block": "s: x\n\nbody\n",
    "signed": "s: x\n\nbody\n\nSigned-off-by: A <a@b.c>\n",
    "only a subject": "s: x\n",
    "a subject like a trailer": "s: x\nt: y\n",
    "order": 's: x\n\nbody\n\nFixes: 123456789abc ("y")\nCc: a@b.c\nLink: https://x.y\n',
    "a quarter": "s\n\nSigned-off-by: A <a@b.c>\n[a: did this]\nx\n",
    "less than a quarter": "s\n\nSigned-off-by: A <a@b.c>\none\ntwo\nthree\nfour\n",
    "folded": "s\n\nb\n\nFoo: b\n  more\nAcked-by: X <x@y.z>\n",
    "below": "s\n\nb\n\nAcked-by: X <x@y.z>\n---\nv2: Reviewed-by: nobody\n",
    "prose": "s\n\nb\n\nFoo: b\nand more\n",
    "blank lines with spaces": "s\n\nb\n \nFoo: b\n \n\n",
    "comment": "s\n\nb\n\nFoo : b\n# c\nBar: x\n",
    "not utf-8": "s\n\nb\n\nAcked-by: J\udcfcrgen <j@y.z>\n",
    "empty": "",
}


def trailers_of(message: str) -> list[str]:
    return [re.sub(r"\n[ \t]+", " ", row) for row in take_apart(message)[1] if is_trailer(row)]


def parsed_by_git(message: str) -> list[str]:
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_trailers_are_those_that_git_sees(message):
    assert [t.replace(" : ", ": ") for t in trailers_of(message)] == parsed_by_git(message)


@pytest.mark.parametrize("message", [m for m in MESSAGES.values() if m], ids=[k for k, m in MESSAGES.items() if m])
def test_a_tag_is_added_once_and_all_else_is_kept(message):
    new = ["Reviewed-by: R <r@s.t>", "Tested-by: T <t@u.v> # on arm64"]
    tagged = apply_to_message(message, new)
    assert sorted(parsed_by_git(tagged)) == sorted([*parsed_by_git(message), *new])
    kept = tagged.split("\n")
    for line in new:
        kept.remove(line)
    assert [k for k in kept if k.strip()] == [k for k in message.split("\n") if k.strip()]
    assert apply_to_message(tagged, [*new, "reviewed-BY: Other Name <R@S.T>"]) == tagged


def test_very_many_tags_of_two_kinds_stand_in_their_order():
    tags = [f"{name}: P{n} <p{n}@b.c>" for n in range(3000) for name in ("Acked-by", "Reviewed-by")]
    found = trailers_of(apply_to_message("s\n\nb\n", tags))
    assert [row for row in found if row.startswith("A")] == tags[::2]
    assert found == [*tags[1::2], *tags[::2]]


def test_tags_stand_in_the_order_of_the_documents():
    message = MESSAGES["order"].replace("Cc:", "Signed-off-by: A <a@b.c>\nCc:")
    tags = ["Acked-by: K <k@k.k>", "Reviewed-by: R <r@s.t>", "Tested-by: T <t@u.v>", "Suggested-by: S <s@s.s>"]
    names = [t.split(":")[0] for t in trailers_of(apply_to_message(message, tags))]
    wanted = ["Fixes", "Suggested-by", "Signed-off-by", "Tested-by", "Reviewed-by", "Acked-by", "Cc", "Link"]
    assert names == wanted


@pytest.mark.parametrize("text", ["Reviewed-by: A <a@b.c>\nSigned-off-by: B <b@b.c>", "no trailer", ""])
def test_what_is_no_trailer_is_not_added(text):
    with pytest.raises(ValueError, match="is not a trailer"):
        apply_to_message("s\n\nb\n", [text])


def test_the_store_keeps_the_first_proof_and_one_tag_a_person():
    one = Given("Reviewed-by: R <r@s.t>", "1@x", 1, "abc", "R <r@s.t>")
    again = Given("reviewed-by: Robert <R@s.t>", "2@x", 2, "abd")
    other = Given("Tested-by: R <r@s.t>", "2@x", 2, "abd")
    assert merge({"p": [one]}, {"p": [again, other], "q": [again], "r": []}) == {"p": (one, other), "q": (again,)}


def test_a_tag_given_again_for_a_newer_diff_has_the_newer_proof():
    old = Given("Reviewed-by: R <r@s.t>", "1@x", 1, "abc")
    new = Given("Reviewed-by: R <r@s.t>", "2@x", 2, "abd")
    assert merge({"p": [old]}, {"p": [new]}) == merge({"p": [new]}, {"p": [old]}) == {"p": (new,)}


def test_a_store_is_read_back_from_a_commit(tmp_path):
    given = {"words/a": (Given("Reviewed-by: Jürgen <r@s.t>", "1@x", 1, "abc", "Jürgen <r@s.t>"),)}
    repo = tree(tmp_path, {"trailers.json": format_trailers(given), "c/three.c": b"x"}.items()).repo
    assert read_trailers(repo, repo.resolve("HEAD")) == given
    none = tree(tmp_path / "none")
    assert read_trailers(none.repo, none.commit) == {}
    broken = tree(tmp_path / "broken", {"trailers.json": b'{"p": [{"trailer": 1}]}'}.items())
    with pytest.raises(ShapeError, match=r"trailers\.json: p\[0\]\.trailer is 1, not a text"):
        read_trailers(broken.repo, broken.commit)


def commit_of(tmp_path, name: str, before: bytes, after: bytes):
    work = tmp_path / name
    repo = tree(work, {"a/one.c": before}.items()).repo
    (work / "linux/a/one.c").write_bytes(after)
    subprocess.run(["git", "commit", "-qam", "s: change\n\nbody\n"], cwd=work / "linux", check=True)
    mail = subprocess.run(
        ["git", "format-patch", "--stdout", "-1"], cwd=work / "linux", check=True, capture_output=True
    )
    return diff_of(repo, repo.resolve("HEAD^"), repo.resolve("HEAD")), mail.stdout


TEXT = b"".join(b"line %d\n" % n for n in range(40))


def test_a_patch_that_only_moved_is_the_same(tmp_path):
    old, mail = commit_of(tmp_path, "old", TEXT, TEXT.replace(b"line 30", b"new"))
    new, _ = commit_of(tmp_path, "new", b"above\n" * 7 + TEXT, b"above\n" * 7 + TEXT.replace(b"line 30", b"new"))
    assert diff_id(old) == diff_id(new) == diff_id(diff_lines(mail)) != ""
    assert diff_id(diff_lines(mail.replace(b"\n", b"\r\n"))) == diff_id(old)
    assert survives(diff_id(old), diff_id(new), None).kept


def test_a_neighbour_that_changed_does_not_change_the_patch(tmp_path):
    old, _ = commit_of(tmp_path, "old", TEXT, TEXT.replace(b"line 30", b"new"))
    near = TEXT.replace(b"line 29", b"--- changed")
    new, _ = commit_of(tmp_path, "new", near, near.replace(b"line 30", b"new"))
    assert diff_id(old) == diff_id(new)


@pytest.mark.parametrize("change", [(b"new", b"newer"), (b"line 30", b"line 30 ")])
def test_a_patch_with_another_line_is_another_patch(tmp_path, change):
    old, _ = commit_of(tmp_path, "old", TEXT, TEXT.replace(b"line 30", b"new"))
    new, _ = commit_of(tmp_path, "new", *(t.replace(*change) for t in (TEXT, TEXT.replace(b"line 30", b"new"))))
    cost = measure(old, new)
    assert diff_id(old) != diff_id(new)
    assert 0 < cost < 50
    verdict = survives(diff_id(old), diff_id(new), cost)
    assert not verdict.kept
    assert "none may change" in verdict.reason
    assert survives(diff_id(old), diff_id(new), cost, 50).kept
    assert not survives(diff_id(old), diff_id(new), cost, cost - 0.1).kept


def test_an_unknown_diff_does_not_survive():
    assert not survives("", "", None).kept
    assert not survives("", "abc", None, 100).kept
    assert diff_id(diff_lines(b"From: x\n\nno diff here\n@@ -1 +1 @@\n-x\n+y\n")) == ""
