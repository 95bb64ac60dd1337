"""The door to git: reading, writing beside the user's repository, and handing over in one transaction."""

import os
import resource
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from tinytree import sh, snapshot

from patchbot.errors import UserError
from patchbot.git.fastimport import Kept, NewCommit, quote
from patchbot.git.held import held
from patchbot.git.plumbing import object_id
from patchbot.git.repo import Repo, Scratch
from patchbot.git.transaction import publish
from patchbot.model import REGULAR, Entry, Identity
from patchbot.store import Answers

ME = Identity("A U Thor", "author@example.org")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    work = tmp_path / "linux"
    work.mkdir()
    sh(work, "git", "init", "-q", "-b", "master")
    sh(work, "git", "config", "user.name", "Some Body")
    sh(work, "git", "config", "user.email", "some@example.org")
    (work / "a.c").write_bytes(b"int a;\n\xff\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "dir").mkdir()
    (work / "dir/ü b.c").write_text("needle here\n")
    sh(work, "git", "add", "-A")
    date = "2026-01-02T03:04:05 +0200"
    sh(work, "git", "commit", "-qm", "start", GIT_COMMITTER_DATE=date, GIT_AUTHOR_DATE=date)
    return Repo.open(work)


def commit(id_: str, files: dict[str, bytes], message: str = "x: y\n\nbody\n", author: Identity = ME) -> NewCommit:
    return NewCommit(
        id_,
        message,
        author,
        "1700000000 +0000",
        {path: Entry("100755" if path == "run.sh" else REGULAR, data) for path, data in files.items()},
    )


def scratch(repo: Repo, tmp_path: Path) -> Scratch:
    return Scratch.at(tmp_path / "scratch.git", repo)


def test_files_are_read_as_bytes_and_missing_ones_are_none(repo):
    head = repo.resolve("HEAD")
    assert repo.read(head, "a.c") == b"int a;\n\xff\n"
    assert repo.read(head, "b.c") is None
    assert repo.read(head, "dir") is None
    assert repo.read(head, "a.c\n--evil") is None
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"odd\n").stdout.decode().strip()
    rows = f"100644 blob {blob}\ta\nb.c\0".encode()
    odd = repo.git("mktree", "-z", stdin=rows).stdout.decode().strip()
    assert repo.read_many(odd, ["a\nb.c"]) == {"a\nb.c": b"odd\n"}
    assert repo.ls(head)["run.sh"][0] == "100755"
    assert repo.grep(head, ["needle"]) == ["dir/ü b.c"]
    assert repo.committer_date(head)[1] == "+0200"


@pytest.mark.parametrize("rev", ["nope", "--output=/tmp/x", "HEAD:a.c", ""])
def test_what_names_no_commit_is_the_users_to_fix(repo, rev):
    with pytest.raises(UserError, match="names no commit"):
        repo.resolve(rev)


@pytest.mark.parametrize("name", ["a\u2028b", "a\u0085b", "ü"])
def test_refs_whatever_their_names_hold(repo, name):
    sh(repo.git_dir.parent, "git", "branch", name)
    assert set(repo.refs("refs/heads")) == {"refs/heads/master", f"refs/heads/{name}"}
    assert set(repo.names("refs/heads", "contains", "HEAD")) == {"master", name}
    assert repo.refs("refs/none") == {}
    assert repo.names("refs/none", "contains", "HEAD") == []


def test_a_folder_that_is_no_repository_is_named(tmp_path):
    with pytest.raises(UserError, match="not a git repository"):
        Repo.open(tmp_path)
    with pytest.raises(UserError, match="no such directory"):
        Repo.open(tmp_path / "nope")


def test_a_foreign_git_dir_in_the_environment_changes_nothing(repo, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert repo.resolve("HEAD") == repo.refs("refs/heads")["refs/heads/master"]


def test_writing_leaves_the_users_repository_as_it_was_until_it_is_published(repo, tmp_path):
    before, objects = snapshot(repo), sorted((repo.git_dir / "objects").rglob("*"))
    base = repo.resolve("HEAD")
    made = scratch(repo, tmp_path).write(
        base, [commit("one", {"a.c": b"x\n"}), commit("two", {"run.sh": b"y\n", "new/z.c": b"\xfe"})]
    )
    assert snapshot(repo) == before
    assert sorted((repo.git_dir / "objects").rglob("*")) == objects
    assert [c.id for c in made] == ["one", "two"]
    assert made[0].parent == base
    publish(repo, scratch(repo, tmp_path), [("refs/heads/patchbot/x", made[1].sha, None)])
    assert snapshot(repo) == before
    assert repo.read(made[1].sha, "new/z.c") == b"\xfe"
    assert repo.ls(made[1].sha)["run.sh"][0] == "100755"
    assert sh(repo.git_dir, "git", "fsck", "--full", "--strict") == ""


def test_the_same_input_gives_the_same_ids(repo, tmp_path):
    base = repo.resolve("HEAD")
    first = Scratch.at(tmp_path / "1.git", repo).write(base, [commit("one", {"a.c": b"x\n"})])
    again = Scratch.at(tmp_path / "2.git", repo).write(base, [commit("one", {"a.c": b"x\n"})])
    assert first == again


def test_one_ref_that_moved_meanwhile_stops_all_of_them(repo, tmp_path):
    made = scratch(repo, tmp_path).write(repo.resolve("HEAD"), [commit("one", {"a.c": b"x\n"})])
    publish(repo, scratch(repo, tmp_path), [("refs/patchbot/x/a", made[0].sha, None)])
    updates = [("refs/patchbot/x/b", made[0].sha, None), ("refs/patchbot/x/a", repo.resolve("HEAD"), "1" * 40)]
    with pytest.raises(UserError, match="somebody else moved refs/patchbot/x/a meanwhile"):
        publish(repo, scratch(repo, tmp_path), updates)
    assert sorted(repo.refs("refs/patchbot")) == ["refs/patchbot/x/a"]


def test_nothing_in_names_messages_or_paths_breaks_out_of_the_stream(repo, tmp_path):
    evil = Identity("A\nfrom 0000 <x@y>\n", "a>b@c\n")
    odd = 'odd"\\name\nfile.c'
    made = scratch(repo, tmp_path).write(
        repo.resolve("HEAD"), [commit("one", {odd: b"x"}, "s: t\n\ndone\nM 100644 inline z\n", evil)]
    )
    assert quote(odd) == '"odd\\"\\\\name\\nfile.c"'
    tree = scratch(repo, tmp_path).git("ls-tree", "-z", "--name-only", made[0].sha).stdout.decode().split("\0")
    assert odd in tree
    assert "z" not in tree
    shown = scratch(repo, tmp_path).git("show", "-s", "--format=%an|%ae|%B", made[0].sha).stdout.decode()
    assert shown.startswith("Afrom 0000 x@y|ab@c|s: t")


def test_a_folder_takes_the_place_of_a_file_and_a_file_that_of_a_folder(repo, tmp_path):
    there = commit("one", {"f": b"x\n", "d/x": b"x\n"})
    turned = commit("two", {"f/x": b"y\n", "d": b"y\n"})
    turned = replace(turned, files={**turned.files, "f": None, "d/x": None})
    made = scratch(repo, tmp_path).write(repo.resolve("HEAD"), [there, turned])
    assert repo.ls(repo.resolve("HEAD")).keys() | {"d", "f/x"} == scratch(repo, tmp_path).ls(made[-1].sha).keys()


def test_the_record_holds_only_its_own_files(repo, tmp_path):
    record = replace(commit("", {"series.json": b"{}"}), alone=True)
    made = scratch(repo, tmp_path).write(repo.resolve("HEAD"), [commit("one", {"a.c": b"x\n"}), record])
    listing = scratch(repo, tmp_path).git("ls-tree", "-r", "--name-only", made[-1].sha).stdout
    assert listing == b"series.json\n"
    assert made[-1].parent == made[0].sha


def test_a_linked_work_tree_is_seen_as_a_place_where_a_branch_is_checked_out(repo, tmp_path):
    sh(repo.git_dir.parent, "git", "worktree", "add", "-q", "-b", "patchbot/x", str(tmp_path / "linked"))
    assert held(repo, "refs/heads/patchbot/x") == [
        f"is checked out in {tmp_path / 'linked'}; free it with: git -C {tmp_path / 'linked'} switch --detach"
    ]
    linked = Repo.open(tmp_path / "linked")
    assert linked.key == repo.key
    assert linked.resolve("HEAD") == repo.resolve("HEAD")


def test_a_bare_repository_with_a_sparse_work_tree_is_read(repo, tmp_path):
    sh(tmp_path, "git", "clone", "-q", "--bare", str(repo.git_dir.parent), "bare.git")
    sh(tmp_path / "bare.git", "git", "worktree", "add", "-q", "--no-checkout", "--detach", str(tmp_path / "sparse"))
    sh(tmp_path / "sparse", "git", "sparse-checkout", "set", "dir")  # moves core.bare to another file
    for path in (tmp_path / "bare.git", tmp_path / "sparse"):
        bare = Repo.open(path)
        assert bare.read(bare.resolve("HEAD"), "a.c") == b"int a;\n\xff\n"


def test_a_shallow_clone_is_read_and_its_missing_history_is_explained(repo, tmp_path):
    sh(repo.git_dir.parent, "git", "commit", "-q", "--allow-empty", "-m", "second")
    sh(tmp_path, "git", "clone", "-q", "--depth=1", f"file://{repo.git_dir.parent}", "shallow")
    shallow = Repo.open(tmp_path / "shallow")
    assert shallow.shallow
    assert shallow.read(shallow.resolve("HEAD"), "a.c")
    with pytest.raises(UserError, match="shallow"):
        shallow.resolve("HEAD~1")
    made = Scratch.at(tmp_path / "s.git", shallow).write(shallow.resolve("HEAD"), [commit("one", {"a.c": b"x\n"})])
    assert made[0].tree


@pytest.mark.parametrize("lost", ["dir/ü b.c", "dir", ""])
def test_an_object_that_is_lost_is_no_file_that_is_missing(repo, lost):
    """Where a tree names a file, its bytes must be there; a clone that lacks them must not look like another kernel."""
    head = repo.resolve("HEAD")
    assert [repo.read(head, path) for path in ("no.c", "dir/no.c", "no/no.c", "a.c/no.c", "dir")] == [None] * 5
    oid = repo.text("rev-parse", f"{head}:{lost}")
    (repo.git_dir / f"objects/{oid[:2]}/{oid[2:]}").unlink()
    with pytest.raises(UserError):
        Repo.open(repo.git_dir.parent).read(head, "dir/ü b.c")


def test_a_reader_that_was_killed_is_started_again(repo):
    head = repo.resolve("HEAD")
    text = repo.read(head, "a.c")
    assert text
    for wait in (True, False):  # until it is gone, and while it is going
        reader = repo._batch.process
        reader.kill()
        if wait:
            reader.wait()
        assert repo.read(head, "a.c") == text
        assert repo.read(head, "no such file") is None
        assert repo.raw(head).startswith(b"tree ")
        assert repo._batch.process is not reader


def test_a_reader_among_more_than_a_thousand_open_files(repo):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    files = []
    try:
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        fresh = Repo.open(repo.git_dir)
        assert fresh.read(fresh.resolve("HEAD"), "no such file") is None
        assert fresh._batch.process.stdout.fileno() > 1024
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_partial_clone_is_refused_clearly_and_fetches_nothing(repo, tmp_path):
    work = repo.git_dir.parent
    sh(work, "git", "config", "uploadpack.allowFilter", "true")
    sh(tmp_path, "git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{work}", "partial")
    partial = Repo.open(tmp_path / "partial")
    before = sorted((partial.git_dir / "objects").rglob("*"))
    for _ in range(20):  # git's reader ends itself, sooner or later than it is asked for more
        with pytest.raises(UserError, match="partial clone"):
            partial.read(partial.resolve("HEAD"), "a.c")
    with pytest.raises(UserError, match="partial clone"):
        partial.grep(partial.resolve("HEAD"), ["needle"])
    with pytest.raises(UserError, match="partial clone"):
        partial.read_many(partial.resolve("HEAD"), ["a.c"])
    assert sorted((partial.git_dir / "objects").rglob("*")) == before


def test_both_repositories_read_alike(repo, tmp_path):
    head, lent = repo.resolve("HEAD"), scratch(repo, tmp_path)
    (made,) = lent.write(head, [commit("a", {"a.c": b"int b;\n", "dir/new": b"needle\nafter\n"})])
    for objects in (repo, lent):
        assert objects.read(head, "a.c") == b"int a;\n\xff\n"
        assert {name: mode for name, (mode, _) in objects.folder(head).items()} == {
            "a.c": "100644",
            "dir": "040000",
            "run.sh": "100755",
        }
        assert objects.folder(f"{head}:dir") == {"ü b.c": objects.ls(head)["dir/ü b.c"]}
        assert objects.grep_lines(head, "^need.e", [":/"]) == [("dir/ü b.c", "needle here")]
        assert objects.grep_lines(head, "nothing", [":/"]) == []
        assert objects.folders(head) == {"dir"}
        several = objects.read_many(head, ["dir/ü b.c", "a.c"])
        assert list(several) == ["dir/ü b.c", "a.c"]
        assert several["a.c"] == b"int a;\n\xff\n"
        with pytest.raises(UserError, match="no such file"):
            objects.read_many(head, ["a.c", "no such file.c"])
        assert objects.has(head)
        assert not objects.has("0" * 40)
        assert objects.parent(head) is None
    assert not repo.has(made.sha)
    assert lent.tree_of(made.sha) == made.tree
    assert lent.parent(made.sha) == head
    assert lent.merge_base(head, made.sha) == head
    assert lent.count(head, made.sha) == 1
    changes = lent.changes(head, made.sha)
    assert {path: change.status for path, change in changes.items()} == {"a.c": "M", "dir/new": "A"}
    assert lent.raw(changes["dir/new"].blob) == b"needle\nafter\n"
    assert lent.changes(made.sha, head)["dir/new"].blob is None
    assert lent.grep_lines(made.sha, "needle", [":/"], after=1) == [
        ("dir/new", "needle"),
        ("dir/new", "after"),
        ("", "--"),
        ("dir/ü b.c", "needle here"),
    ]


def test_the_reader_ends_with_its_repository(repo, tmp_path):
    for objects in (repo, scratch(repo, tmp_path)):
        objects.read(repo.resolve("HEAD"), "a.c")
        reader = objects._batch.process
        objects.close()
        assert reader.poll() is not None
        assert objects.read(repo.resolve("HEAD"), "a.c")
        objects.close()


def test_a_file_that_git_has_is_written_by_its_id(repo, tmp_path):
    head, lent = repo.resolve("HEAD"), scratch(repo, tmp_path)
    mode, oid = lent.ls(head)["a.c"]
    files = {"copy of\ta.c": Kept(mode, oid), "a.c": None}
    (made,) = lent.write(head, [replace(commit("a", {}), files=files)])
    assert lent.read(made.sha, "copy of\ta.c") == b"int a;\n\xff\n"
    assert "a.c" not in lent.ls(made.sha)


def test_a_file_that_only_seems_to_be_there_is_not_named_by_its_id(repo, tmp_path):
    head, lent = repo.resolve("HEAD"), scratch(repo, tmp_path)
    oid = object_id("sha1", "blob", b"int b;\n")
    place = repo.git_dir / "objects" / oid[:2] / oid[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(zlib.compress(b"blob 7\0int e;\n"))
    with pytest.raises(UserError, match=f"the content of object {oid} does not match its id"):
        lent.write(head, [commit("b", {"b.c": b"int b;\n"})])


def test_content_that_does_not_make_its_id_is_not_read(repo):
    head = repo.resolve("HEAD")
    ids = {path: oid for path, (_, oid) in repo.ls(head).items()}
    one, other = (repo.git_dir / "objects" / ids[p][:2] / ids[p][2:] for p in ("a.c", "run.sh"))
    one.chmod(0o644)
    one.write_bytes(other.read_bytes())
    for ask in (lambda: repo.read(head, "a.c"), lambda: repo.read_many(head, ["a.c"])):
        with pytest.raises(UserError, match=r"git fsck|git cannot read"):
            ask()


def test_refs_are_held_still_for_who_only_reads_until_patchbot_moves_one(repo: Repo, tmp_path: Path) -> None:
    one = repo.resolve("HEAD")
    sh(tmp_path / "linux", "git", "branch", "patchbot/x")
    repo.hold_still()
    assert repo.refs("refs/heads/patchbot/") == {"refs/heads/patchbot/x": one}
    assert repo.ref("refs/heads/patchbot/x") == one
    assert repo.ref("refs/heads/patchbot") is None
    sh(tmp_path / "linux", "git", "branch", "patchbot/y")
    assert repo.ref("refs/heads/patchbot/y") is None
    scratch = Scratch.at(tmp_path / "scratch.git", repo)
    (made,) = scratch.write(one, [commit("1", {"a.c": b"int b;\n"})])
    publish(repo, scratch, [("refs/heads/patchbot/x", made.sha, one)], one)
    assert repo.refs("refs/heads/patchbot/") == {"refs/heads/patchbot/x": made.sha, "refs/heads/patchbot/y": one}
    assert (repo.parent(made.sha), repo.parent(one), repo.parent(f"{one}^{{tree}}")) == (one, None, None)


def test_what_a_name_means_is_asked_anew_each_time(repo: Repo, tmp_path: Path) -> None:
    one = repo.resolve("HEAD")
    scratch = Scratch.at(tmp_path / "scratch.git", repo)
    scratch.answers = Answers(tmp_path / "answers.sqlite")
    two, three = scratch.write(one, [commit("1", {"a.c": b"int b;\n"}), commit("2", {"a.c": b"int c;\n", "b.c": b""})])
    for made, files in ((two, []), (three, ["b.c"])):
        scratch.git("update-ref", "--no-deref", "HEAD", made.sha)
        assert scratch.commits(one, "HEAD")[-1].sha == made.sha
        assert [*scratch.ls("HEAD", "b.c")] == files
        assert scratch.commits(one, made.sha)[-1].sha == made.sha
    scratch.close()
