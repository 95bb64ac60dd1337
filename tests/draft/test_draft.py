"""The draft in the user's repository: deterministic, refused where it would lose or surprise."""

import subprocess
from pathlib import Path

import pytest
import sample
from sample import CONFIG, tree
from tinytree import snapshot

from patchbot.draft.record import (
    Facts,
    branch,
    document_of,
    plain_commits,
    publish,
    read_draft,
    write_record,
)
from patchbot.errors import UserError
from patchbot.git.commits import author_of, read_commit
from patchbot.git.diffs import numstat
from patchbot.git.fastimport import NewCommit
from patchbot.git.repo import Repo, Scratch
from patchbot.model import REGULAR, Entry, Identity
from patchbot.series.generate import generate


def draft(repo_tree, folder: Path, extra=None):
    made = generate(repo_tree, sample.campaign(), CONFIG)
    scratch = Scratch.at(folder, repo_tree.repo)
    author = author_of(repo_tree.repo, None)
    commits = scratch.write(made.series.kernel.base, plain_commits(repo_tree.repo, made.series, author))
    document = document_of(made.series, commits, Facts(**(extra or {})))
    record = write_record(scratch, author, commits[-1].sha, document)
    return scratch, commits, record


def put(repo_tree, folder: Path, extra=None) -> bool:
    scratch, commits, record = draft(repo_tree, folder, extra)
    return publish(repo_tree.repo, scratch, "sample", commits[0].parent, commits[-1].sha, record)


def test_generate_twice_gives_the_same_ids_and_moves_nothing_the_second_time(tmp_path):
    base = tree(tmp_path)
    before = snapshot(base.repo)
    assert put(base, tmp_path / "1.git")
    assert snapshot(base.repo) | {"refs": 0} == before | {"refs": 0}
    refs, objects = base.repo.refs("refs"), sorted((base.repo.git_dir / "objects").rglob("*"))
    assert not put(base, tmp_path / "2.git")
    assert base.repo.refs("refs") == refs
    assert sorted((base.repo.git_dir / "objects").rglob("*")) == objects


def test_dates_follow_the_base_and_the_author_is_the_persons(tmp_path):
    base = tree(tmp_path)
    put(base, tmp_path / "1.git")
    seconds, zone = base.repo.committer_date(base.commit)
    rows = base.repo.text(
        "log", "--reverse", "--format=%an|%ae|%ad|%cd", "--date=raw", f"{base.commit}..{branch('sample')}"
    )
    dates = [f"{seconds + n} {zone}" for n in (1, 2, 3)]
    assert rows.splitlines() == [f"A Developer|developer@example.org|{d}|{d}" for d in dates]


def test_the_record_tells_what_was_generated(tmp_path):
    base = tree(tmp_path)
    put(base, tmp_path / "1.git", {"counts": {"change": 3}})
    kept = read_draft(base.repo, "sample")
    assert kept.tip == base.repo.ref(branch("sample"))
    assert kept.base == base.commit
    assert [p.id for p in kept.patches] == ["header", "words/b/two.c", "words/a/one.c"]
    assert kept.document.counts == {"change": 3}


def test_numbers_are_those_of_git(tmp_path):
    scratch, commits, _ = draft(tree(tmp_path), tmp_path / "1.git")
    assert numstat(scratch, [c.sha for c in commits]) == {"patches": 3, "files": 3, "insertions": 4, "deletions": 3}


def test_a_branch_with_a_persons_commit_is_refused_and_kept(tmp_path):
    base = tree(tmp_path)
    put(base, tmp_path / "1.git")
    work = base.repo.git_dir.parent
    for argv in (
        ["switch", "-q", "patchbot/sample"],
        ["commit", "-q", "--allow-empty", "-m", "mine"],
        ["switch", "-q", "-"],
    ):
        subprocess.run(["git", *argv], cwd=work, check=True)
    tip = base.repo.ref(branch("sample"))
    changed = tree(tmp_path / "again", {"a/one.c": b"OLD q;\n"}.items())
    subprocess.run(["git", "fetch", "-q", changed.repo.git_dir, "HEAD:new"], cwd=work, check=True)
    moved = type(base)(base.repo, base.repo.resolve("new"))
    said = r"(?s)commits that patchbot did not make.*mine.*--onto [0-9a-f]{12}\n.*git branch -m patchbot/sample"
    with pytest.raises(UserError, match=said):
        put(moved, tmp_path / "2.git")
    assert base.repo.ref(branch("sample")) == tip


def test_a_branch_that_is_checked_out_is_not_moved(tmp_path):
    base = tree(tmp_path)
    put(base, tmp_path / "1.git")
    work = base.repo.git_dir.parent
    (work / "a/one.c").write_text("OLD other;\n")
    subprocess.run(["git", "commit", "-qam", "upstream"], cwd=work, check=True)
    subprocess.run(["git", "switch", "-q", "patchbot/sample"], cwd=work, check=True)
    moved = type(base)(base.repo, base.repo.resolve("master"))
    with pytest.raises(UserError, match=r"is checked out in .*switch --detach"):
        put(moved, tmp_path / "2.git")


def test_a_branch_named_patchbot_is_in_the_way(tmp_path):
    base = tree(tmp_path)
    subprocess.run(["git", "branch", "patchbot"], cwd=base.repo.git_dir.parent, check=True)
    subprocess.run(["git", "update-ref", "refs/patchbot/x", "HEAD"], cwd=base.repo.git_dir.parent, check=True)
    with pytest.raises(UserError, match="git branch -m patchbot"):
        put(base, tmp_path / "1.git")


def test_no_author_says_how_to_set_one(tmp_path, monkeypatch):
    base = tree(tmp_path)
    (tmp_path / "empty").touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"user\.name and user\.email.*\[author\]"):
        author_of(Repo.open(base.repo.git_dir.parent), None)
    assert author_of(base.repo, Identity("X", "x@y")) == Identity("X", "x@y")


@pytest.mark.parametrize(
    "name",
    [
        "Pat Author Jr.",
        '"Pat" Author',
        "Pat <Author>",
        " ., Pat ;:",
        "O'Pat'",
        "Pat\\",
        "J\u00fcrgen Gro\u00df",
        "A: B",
    ],
)
def test_the_author_is_who_git_would_name(tiny: Repo, name: str):
    tiny.git("config", "user.name", name)
    who = author_of(tiny, None)
    said = tiny.git("var", "GIT_AUTHOR_IDENT").stdout.decode()
    assert who == author_of(tiny, Identity(name, who.email))
    assert who.name.rstrip(".") == said.partition(" <")[0].rstrip(".")  # newer git leaves a dot


@pytest.mark.parametrize("name", ["...", "\t", "<>"])
def test_a_name_of_which_nothing_is_left_is_none(tiny: Repo, name: str):
    tiny.git("config", "user.name", name)
    with pytest.raises(UserError, match=r"user\.name that a commit can hold"):
        author_of(tiny, None)
    with pytest.raises(UserError, match=r"\[author\] of patchbot.toml has no user\.name"):
        author_of(tiny, Identity(name, "a@example.org"))


def test_a_name_in_another_encoding_is_read_by_what_git_says_it_is(tiny: Repo):
    with open(tiny.git_dir / "config", "ab") as file:
        file.write(b"[user]\n\tname = J\xfcrgen Gro\xdf\n")
    for encoding in ("", "UTF-8", "nope", "hex"):
        tiny.git("config", "i18n.commitEncoding", encoding)
        with pytest.raises(UserError, match=r"user\.name of git for .* is not UTF-8"):
            author_of(Repo.open(tiny.git_dir), None)
    tiny.git("config", "i18n.commitEncoding", "ISO-8859-1")
    assert author_of(Repo.open(tiny.git_dir), None).name == "J\u00fcrgen Gro\u00df"


def altered(repo: Repo, old: bytes, new: bytes) -> str:
    """Return HEAD with a part of its header replaced, as git would not write it."""
    raw = repo.raw(repo.resolve("HEAD"))
    assert old in raw
    argv = ("hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    return repo.git(*argv, stdin=raw.replace(old, new)).stdout.decode().strip()


@pytest.mark.parametrize("zone", ["+051800", "-7349423", "-2359", "+0560", "+1401"])
def test_a_zone_that_is_none_is_taken_for_utc(tiny: Repo, zone: str):
    at = altered(tiny, b" +0000\ncommitter", f" {zone}\ncommitter".encode())
    assert read_commit(tiny, at).date == "1767225600 +0000"
    at = altered(tiny, b" +0000\n\n", f" {zone}\n\n".encode())
    assert tiny.committer_date(at) == (1767225600, "+0000")


@pytest.mark.parametrize("date", [b"", b" +0000", b" 99999999999999 +0000", b" -5 +0000", b" soon"])
def test_a_commit_without_a_date_is_named(tiny: Repo, date: bytes):
    at = altered(tiny, b"> 1767225600 +0000\n\n", b">" + date + b"\n\n")
    with pytest.raises(UserError, match=f"{at[:12]} has no usable committer date"):
        tiny.committer_date(at)
    assert read_commit(tiny, altered(tiny, b"> 1767225600 +0000\nc", b">" + date + b"\nc")).date == ""


@pytest.mark.parametrize(
    ("author", "name", "email"),
    [
        (b"Old Tz <o@e> 5 +0000", "Old Tz", "o@e"),
        (b"Old Tz", "Old Tz", ""),
        (b"<o@e> 5 +0000", "", "o@e"),
        (b" <> 5 +0000", "", ""),
        (b"J\xfcrgen <j@e> 5 +0000", "J\u00fcrgen", "j@e"),
    ],
)
def test_odd_authors_are_read(tiny: Repo, author: bytes, name: str, email: str):
    at = altered(
        tiny,
        b"A Maintainer <maintainer@example.org> 1767225600 +0000\ncommitter",
        author + b"\nencoding ISO-8859-1\ncommitter",
    )
    assert read_commit(tiny, at).author == Identity(name, email)


def test_a_series_on_a_commit_with_an_odd_zone_can_be_written(tmp_path: Path, tiny: Repo):
    at = altered(tiny, b" +0000\n\n", b" +051800\n\n")
    new = NewCommit("a", "x\n", Identity("A", "a@e"), "5 +0000", {"f": Entry(REGULAR, b"x")}, author_date="5 -7349423")
    (made,) = Scratch.at(tmp_path / "scratch.git", tiny).write(at, [new])
    assert made.subject == "x"
