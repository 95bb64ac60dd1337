"""Diffs that real git makes of awkward files, read with unidiff, and the mails that they come in."""

from pathlib import Path

import pytest
from tinytree import commit, sh

from patchbot.errors import ToolError
from patchbot.git.diffs import commit_diffs, commit_text, diff_lines, mail_parts, numstat, read_diff
from patchbot.git.repo import Repo

BEFORE = {
    "crlf.c": b"one\r\ntwo\r\n\r\nthree\r\n",
    "latin.c": b"/* \xe4 */\nint a;\x0cint b;\x85\n",
    "headers.txt": b"first\n-- a/x\n++ b/x\nlast\n",
    "blob.bin": b"\0\1\2" * 99,
    "run.sh": b"#!/bin/sh\n",
    "gone.c": b"int gone;",
    "old name.c": b"".join(b"line %d\n" % n for n in range(30)),
    "dir/t\tab \xfc.c": b"x\n",
}
AFTER = {
    **BEFORE,
    "crlf.c": b"one\r\nTWO\r\n\r\nthree\r\n",
    "latin.c": b"/* \xf6 */\nint a;\x0cint c;\x85\n",
    "headers.txt": b"first\n-- a/y\n++ b/y\n@@ -1 +1 @@\ndiff --git a/no b/no\nlast\n",
    "blob.bin": b"\0\2\1" * 99,
    "new.c": b"int x;",
    "empty.c": b"",
    "new name.c": BEFORE["old name.c"].replace(b"line 7\n", b"line seven\n"),
    "dir/t\tab \xfc.c": b"y\n",
}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name.encode("latin-1").decode("utf-8", "surrogateescape")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    folder = tmp_path_factory.mktemp("awkward") / "linux"
    folder.mkdir()
    sh(folder, "git", "init", "-q")
    write(folder, BEFORE)
    commit(folder, "start", {})
    for name in ("gone.c", "old name.c"):
        (folder / name).unlink()
    write(folder, {name: data for name, data in AFTER.items() if name not in ("gone.c", "old name.c")})
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("run.sh")
    commit(folder, "x: Change it all\n\n@@ -1 +1 @@\n--- a/message\n+++ b/message\ndiff --git a/m b/m\n", {})
    return Repo.open(folder)


@pytest.mark.parametrize("options", [(), ("-M",), ("--text",), ("--binary",), ("-U0",), ("-W",)])
def test_every_line_keeps_its_bytes_its_kind_and_its_file(repo: Repo, options: tuple[str, ...]) -> None:
    tip = repo.resolve("HEAD")
    raw = repo.look("diff-tree", "-p", *options, f"{tip}^", tip).stdout
    rows = read_diff(raw.decode("utf-8", "surrogateescape"))
    assert "\n".join(row.text for row in rows).encode("utf-8", "surrogateescape") == raw
    paths = {row.path for row in rows if row.path}
    new = {name.encode("latin-1").decode("utf-8", "surrogateescape") for name in AFTER} - {"old name.c"}
    assert paths == new | {"run.sh", "link", *(["old name.c"] if options != ("-M",) else [])}
    for row in rows:
        assert row.kind == "" or row.kind == row.text[0]
    text = {(row.kind, row.text) for row in rows if row.path == "headers.txt"}
    assert {("-", "--- a/x"), ("+", "+++ b/y"), ("+", "+diff --git a/no b/no"), ("", "+++ b/headers.txt")} <= text
    assert [row.text for row in rows if row.path == "crlf.c" and row.kind in ("+", "-")] == ["-two\r", "+TWO\r"]
    assert {row.kind for row in rows if row.path in ("run.sh", "empty.c")} == {""}
    assert [row.kind for row in rows if row.path == "new.c"][-3:] == ["@", "+", "\\"]


def test_what_git_counts_is_what_is_read(repo: Repo) -> None:
    tip = repo.resolve("HEAD")
    text = commit_diffs(repo, [tip])[tip]
    rows = read_diff(text.decode("utf-8", "surrogateescape"))
    found = numstat(repo, [tip])
    assert found["files"] == len({row.path for row in rows if row.path})
    assert (found["insertions"], found["deletions"]) == tuple(sum(row.kind == kind for row in rows) for kind in "+-")
    assert commit_diffs(repo, []) == {}


def test_a_message_is_no_diff_whatever_it_holds(repo: Repo) -> None:
    head, diff = commit_text(repo, repo.resolve("HEAD"))
    assert head.startswith("x: Change it all\n\n@@ -1 +1 @@\n")
    assert "files changed" in head
    assert read_diff(diff)[0].path == "blob.bin"
    assert [row.kind for row in read_diff(diff)[:3]] == ["", "", ""]


def test_a_mail_is_taken_apart_as_git_am_does() -> None:
    log, below, diff = mail_parts("Subject: x\n\nbody\n --- \n---\n x | 2\n---\n\ndiff --git a/x b/x\n---\n")
    assert (log, below, diff) == ("Subject: x\n\nbody\n --- \n", "---\n x | 2\n---\n\n", "diff --git a/x b/x\n---\n")
    assert mail_parts("a\n\nb\ndiff --git a/x b/x\n") == ("a\n\nb\n", "", "diff --git a/x b/x\n")
    assert mail_parts("a\n\nb") == ("a\n\nb", "", "")


def test_a_diff_that_is_cut_is_refused_and_yet_read_where_it_is_a_persons() -> None:
    cut = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,5 +1,5 @@\n a\n-b\n+c\n"
    with pytest.raises(ToolError, match="cannot be read"):
        read_diff(cut)
    assert diff_lines(cut.encode()) == (b"--- a/x", b"+++ b/x", b"-b", b"+c")


@pytest.mark.parametrize("options", [["-M"], ["--no-renames"], ["--binary"]], ids=" ".join)
def test_a_path_that_git_writes_ambiguously_is_understood(tmp_path: Path, options: list[str]) -> None:
    work = tmp_path / "linux"
    work.mkdir()
    sh(work, "git", "init", "-q")
    long = b"".join(b"%d\n" % n for n in range(20))
    files = {"a b/c": b"x\n", "o b/old": long, "z b/bin": b"\0\1", "g b/x b/y": b"1\n", 's "b/q': b"1\n"}
    odd = ("d b/\u00e9.c", 'd b/"', "d b/\t", "d b/\\", "d b/\udcff.c")
    files |= dict.fromkeys(odd, b"1\n")
    commit(work, "start", files)
    for name in ("o b/old", "g b/x b/y"):
        (work / name).unlink()
    tip = commit(
        work,
        "change",
        {"a b/c": b"y\n", "new": long, "z b/bin": b"\0\2", "f b/b/f": b"", 's "b/q': b"2\n"}
        | dict.fromkeys(odd, b"2\n"),
    )
    said = (
        Repo.open(work)
        .look("diff-tree", "-p", "--no-commit-id", *options, tip)
        .stdout.decode("utf-8", "surrogateescape")
    )
    rows = read_diff(said)
    gone = set() if options == ["-M"] else {"o b/old"}
    assert {row.path for row in rows} == {"a b/c", "new", "z b/bin", "g b/x b/y", "f b/b/f", 's "b/q', *odd} | gone
    assert "\n".join(row.text for row in rows) == said


def test_names_that_are_not_those_of_one_file_are_refused() -> None:
    with pytest.raises(ToolError, match="not the name of one file, given twice"):
        read_diff("diff --git a/x b/Documentation/new\nnew file mode 100644\n")
