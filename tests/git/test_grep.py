"""An answer derived from another tree's must be the one that a search of the whole tree gives."""

import os
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from patchbot.errors import UserError
from patchbot.git.grep import GrepCache
from patchbot.git.repo import Repo

NEEDLES = ["put_it", "__mark"]
FIRST = {
    "a.c": b"put_it(x);\n",
    "gone.c": b"put_it(x);\n",
    "loses.c": b"__mark\n",
    "same.h": b"\xff __mark\n",
    "other.txt": b"put_it\n",
    "c.c": b"nothing\n",
}
SECOND = {
    "a.c": b"above\nput_it(x);\n",
    "loses.c": b"gone\n",
    "same.h": b"\xff __mark\n",
    "other.txt": b"put_it, and more\n",
    "c.c": b"input_item __mark2\n",
    "binary.c": b"\0put_it\n",
    "late.c": b"x" * 8000 + b"\0put_it\n",
    "twin.c": b"above\nput_it(x);\n",
    "dir/\xfcber b.c": b"put_it\n",
    'dir/"q".h': b"(__mark)\n",
    "empty.c": b"",
}


def commit(work: Path, files: Mapping[str | bytes, bytes], link: str = "") -> str:
    for old in work.iterdir():
        if old.name != ".git":
            subprocess.run(["rm", "-r", old], check=True)
    for name, data in files.items():
        path = os.fsencode(work) + b"/" + (name.encode("latin-1") if isinstance(name, str) else name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data)
    if link:
        (work / "link.c").symlink_to(link)
    run = ["git", "-C", str(work), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*run, "add", "-A"], check=True)
    subprocess.run([*run, "commit", "-qm", "x", "--allow-empty"], check=True)
    return subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    (tmp_path / "linux").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "linux")], check=True)
    return Repo.open(tmp_path / "linux")


@pytest.mark.parametrize("word", [False, True])
@pytest.mark.parametrize("pathspecs", [["*.c", "*.h"], [], ["dir"]])
def test_a_derived_answer_is_that_of_a_search(repo, tmp_path, word, pathspecs):
    work = tmp_path / "linux"
    first, second = commit(work, FIRST), commit(work, SECOND, link="put_it")
    for old, new in ((first, second), (second, first)):
        cache = GrepCache(tmp_path / f"{old}.sqlite")
        plain = [repo.grep(c, NEEDLES, pathspecs, word=word) for c in (old, new)]
        assert plain[0] != plain[1]
        assert cache.grep(repo, old, NEEDLES, pathspecs, word=word) == plain[0]
        asked: list[object] = []
        searching, repo.grep = repo.grep, lambda *args, into=asked, **options: into.append(args)
        assert cache.grep(repo, new, NEEDLES, pathspecs, word=word) == plain[1]
        repo.grep = searching
        assert asked == []


def test_a_file_that_a_partial_clone_lacks_is_named(repo, tmp_path):
    work = tmp_path / "linux"
    first, second = commit(work, FIRST), commit(work, SECOND)
    cache = GrepCache(tmp_path / "c.sqlite")
    cache.grep(repo, first, NEEDLES, ["*.c"], word=False)
    oid = repo.text("rev-parse", f"{second}:c.c")
    (work / f".git/objects/{oid[:2]}/{oid[2:]}").unlink()
    with pytest.raises(UserError, match=f"{oid} is not in .*fetches nothing"):
        cache.grep(repo, second, NEEDLES, ["*.c"], word=False)


@pytest.mark.parametrize("data", [b"no database" * 100, b"", None])
def test_a_cache_that_cannot_be_used_is_only_slower(repo, tmp_path, data):
    first = commit(tmp_path / "linux", FIRST)
    path = tmp_path / "c.sqlite"
    path.mkdir() if data is None else path.write_bytes(data)
    cache = GrepCache(path)
    for _ in range(2):
        assert cache.grep(repo, first, NEEDLES, ["*.c"], word=False) == ["a.c", "gone.c", "loses.c"]


@pytest.mark.parametrize("kept", ["{", "[1]", "null", '{"a": 1}', "[" * 100_000, '["\\ud800"'])
def test_an_answer_of_another_shape_is_not_believed(repo, tmp_path, kept, capsys):
    first = commit(tmp_path / "linux", FIRST)
    cache = GrepCache(tmp_path / "c.sqlite")
    wanted = cache.grep(repo, first, NEEDLES, ["*.c"], word=False)
    with closing(sqlite3.connect(tmp_path / "c.sqlite")) as db, db:
        db.execute("update kept set value = ?", (kept,))
    assert cache.grep(repo, first, NEEDLES, ["*.c"], word=False) == wanted
    assert "cannot be read and is dropped" in capsys.readouterr().err
