"""The hand-over of a series: beside a gc, beside others who move the same refs, and what is said when it fails."""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from tinytree import commit

from patchbot.draft.record import branch, record_ref
from patchbot.errors import UserError
from patchbot.git import transaction
from patchbot.git.repo import Repo, Scratch
from patchbot.git.transaction import publish

NAME = "kfunc_flags"
READERS = [("check",), ("mail", "-o", "mails"), ("report", "--html", "page.html"), ("edits",), ("status",), ("diff",)]
WRITERS = [("generate",), ("freeze",), ("regenerate", "--onto", "HEAD")]


@pytest.fixture
def world(tiny: Repo, cli, monkeypatch) -> Repo:
    monkeypatch.chdir(tiny.git_dir.parent.parent)
    assert cli(tiny, "generate")[0] == 0
    return tiny


def lose(repo: Repo, name: str) -> str:
    """Take an object away."""
    oid = repo.text("rev-parse", name)
    for pack in (repo.objects / "pack").glob("*.pack"):
        data = pack.read_bytes()
        for file in pack.parent.glob(f"{pack.stem}.*"):
            file.unlink()
        repo.git("unpack-objects", "-q", stdin=data)
    (repo.objects / oid[:2] / oid[2:]).unlink()
    return oid


@pytest.mark.parametrize("what", ["branch", "branch^{tree}", "branch~3^{tree}", "record", "record:series.json"])
def test_a_series_whose_objects_are_gone_is_explained_with_a_way_out(world: Repo, cli, what: str) -> None:
    name = what.replace("branch", branch(NAME)).replace("record", record_ref(NAME))
    oid = lose(world, name)
    said = ""
    for argv in [*READERS, *WRITERS]:
        code, out = cli(Repo.open(world.git_dir), *argv)
        if code == 0:  # it does not need what is gone
            assert argv[0] in ("status", "edits", "generate", "diff", "freeze", "report", "mail"), (argv, out)
            continue
        if argv[0] == "diff" and "has no" in str(out):
            continue
        assert (code, oid in out) == (2, True), (argv, out)
        said = out
    refs = [line.split()[-1] for line in said.splitlines() if "update-ref -d" in line]
    assert refs
    for ref in refs:
        world.git("update-ref", "-d", ref)
    assert cli(Repo.open(world.git_dir), "generate")[0] == 0
    assert world.git("fsck", "--strict", "--no-dangling").stdout == b""


def test_objects_that_lie_about_unreached_are_handed_over_all_the_same(world: Repo, cli) -> None:
    """fast-import leaves out what the repository has; a gc takes that away, unless it is in the new pack, too."""
    first = world.refs("refs/")
    for ref in (*world.refs("refs/heads/patchbot"), *world.refs("refs/patchbot")):
        world.git("update-ref", "-d", ref)
    old = {file.stem for file in (world.objects / "pack").glob("*.pack")}
    assert cli(world, "generate")[0] == 0
    assert world.refs("refs/") == first
    for stem in old:  # as a gc that had listed them before
        for file in (world.objects / "pack").glob(f"{stem}.*"):
            file.unlink()
    assert (
        subprocess.run(["git", f"--git-dir={world.git_dir}", "fsck", "--strict"], capture_output=True).returncode == 0
    )
    assert not list((world.objects / "pack").glob("*.keep"))


def test_a_gc_beside_it_takes_nothing_away(world: Repo, cli) -> None:
    ends = threading.Event()

    def collect() -> None:
        while not ends.is_set():
            subprocess.run(["git", f"--git-dir={world.git_dir}", "gc", "-q", "--prune=now"], capture_output=True)

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for _ in range(3):
            for ref in (branch(NAME), record_ref(NAME)):
                world.git("update-ref", "-d", ref)
            code, out = cli(world, "generate")
            assert (code, world.ref(branch(NAME)) is not None) in ((0, True), (2, False)), out
    finally:
        ends.set()
        thread.join()
    done = subprocess.run(["git", f"--git-dir={world.git_dir}", "fsck", "--strict"], capture_output=True)
    assert done.returncode == 0, done


def test_a_mark_of_a_killed_run_is_removed_and_no_other(world: Repo, tmp_path: Path) -> None:
    packs = world.objects / "pack"
    marks = {
        "dead": f"patchbot {os.getpid()} 1\n",
        "alive": f"patchbot {transaction.here()}\n",
        "theirs": "receive-pack 17 on host\n",
        "like": "patchbot is good\n",
    }
    for name, text in marks.items():
        (packs / f"pack-{name}.keep").write_text(text)
    (packs / "pack-odd.keep").write_bytes(b"\xff\0")
    transaction.sweep(world)
    assert sorted(f.stem for f in packs.glob("*.keep")) == ["pack-alive", "pack-like", "pack-odd", "pack-theirs"]


def test_a_ref_that_a_killed_git_left_locked_is_named(world: Repo, cli) -> None:
    lock = world.git_dir / f"{branch(NAME)}.lock"
    lock.touch()
    before = world.refs("refs/")
    commit(world.git_dir.parent, "next", {"drivers/new.c": b"int x;\n"})
    code, out = cli(world, "regenerate", "--onto", "HEAD")
    assert code == 2
    assert str(lock) in out
    assert "delete that file" in out
    assert "fatal" not in out
    assert world.refs("refs/patchbot") == {k: v for k, v in before.items() if k.startswith("refs/patchbot")}
    lock.unlink()
    assert cli(world, "regenerate", "--onto", "HEAD")[0] == 0


@pytest.mark.parametrize(
    ("there", "now", "said"),
    [
        ("HEAD", None, "somebody else moved refs/patchbot/x/a meanwhile"),
        ("HEAD", "1" * 40, "somebody else moved refs/patchbot/x/a meanwhile"),
        (None, "1" * 40, "somebody else moved refs/patchbot/x/a meanwhile"),
        ("below", None, "refs/patchbot/x/a/b is in the way of refs/patchbot/x/a"),
    ],
)
def test_a_ref_that_another_one_moved_is_told_plainly(tiny: Repo, tmp_path: Path, there, now, said) -> None:
    if there:
        tiny.git("update-ref", "refs/patchbot/x/a" + ("/b" if there == "below" else ""), "HEAD")
    scratch = Scratch.at(tmp_path / "s.git", tiny)
    with pytest.raises(UserError, match=said) as error:
        head = tiny.resolve("HEAD")
        publish(tiny, scratch, [("refs/patchbot/y", head, None), ("refs/patchbot/x/a", head, now)])
    assert "fatal" not in str(error.value)
    assert "refs/patchbot/y" not in tiny.refs("refs/")
