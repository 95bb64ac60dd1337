"""A clean work tree moves along with its branch where the person asks for it; any other stops it before it begins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from owned import FILES, Owned

OPTION = "--update-checkout"
STACK = "patchbot/mine"


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    """A draft whose branch is checked out; `master` moved on, changed a file and added two."""
    world = Owned(tmp_path, capsys)
    world.run("generate", "mine")
    world.git("switch", "-q", "master")
    new = {"lib/6.c": FILES["lib/6.c"] + b"int z = old_a;\n", "lib/7.c": b"int x = old_a;\n", "lib/8.o": b"x"}
    world.commit("move", new)
    world.git("switch", "-q", STACK)
    return world


def state(world: Owned, *places: Path) -> dict[str, object]:
    """Return the refs, and of each work tree HEAD, the index and all files."""
    found: dict[str, object] = {"refs": world.git("for-each-ref")}
    for place in places or (world.path,):
        git = ["git", "-C", str(place)]
        for argv in (["rev-parse", "HEAD"], ["ls-files", "-s"], ["status", "--porcelain"]):
            found[f"{place} {argv}"] = subprocess.run([*git, *argv], capture_output=True, check=False).stdout
        files = [p for p in sorted(place.rglob("*")) if p.is_file() and ".git" not in p.parts]
        found |= {str(file): (file.read_bytes(), file.is_symlink()) for file in files}
    return found


def regenerate(world: Owned, code: int = 0, *argv: str) -> str:
    """Move the draft to the new base."""
    return world.run("regenerate", "mine", "--onto", "master", *argv, code=code)


def clean(place: Path) -> bool:
    """Say whether a work tree is just what its HEAD has."""
    done = subprocess.run(["git", "-C", str(place), "status", "--porcelain"], capture_output=True, check=True)
    return done.stdout == b""


def test_nothing_moves_unless_it_is_asked_for_and_the_command_is_named(owned: Owned) -> None:
    before = state(owned)
    said = regenerate(owned, 2)
    assert state(owned) == before
    assert f"is checked out in {owned.path}; free it with: git -C {owned.path} switch --detach" in said
    assert said.rstrip().endswith(
        f"patchbot regenerate --kernel {owned.path} --config {owned.path.parent / 'p.toml'} mine --onto master {OPTION}"
    )


def test_a_clean_work_tree_moves_with_each_command(owned: Owned, tmp_path: Path) -> None:
    (owned.path / "mine.txt").write_text("not git's")
    regenerate(owned, 0, OPTION)
    assert owned.git("symbolic-ref", "HEAD") == f"refs/heads/{STACK}"
    assert owned.git("status", "--porcelain") == "?? mine.txt"
    assert (owned.path / "lib/7.c").read_text() == "int x = new_a;\n"
    assert owned.git("diff", "--stat", "master", "--", "Makefile", "MAINTAINERS") == ""
    after = state(owned)
    owned.run("undo", "mine", OPTION)
    assert not (owned.path / "lib/7.c").exists()
    assert owned.git("status", "--porcelain") == "?? mine.txt"
    owned.run("undo", "mine", OPTION)
    assert {k: v for k, v in state(owned).items() if k != "refs"} == {k: v for k, v in after.items() if k != "refs"}
    assert "no such" not in owned.run("generate", "mine", "--base", "master", OPTION)


def write(name: str, data: str, *then: str) -> Callable[[Owned], None]:
    """Return what writes a file into the work tree and runs git."""

    def do(world: Owned) -> None:
        (world.path / name).parent.mkdir(exist_ok=True)
        (world.path / name).write_text(data)
        if then:
            world.git(*then)

    return do


def rebasing(world: Owned) -> None:
    """Stop in the middle of a rebase."""
    world.git("-c", "sequence.editor=sed -i 1s/^pick/edit/", "rebase", "-q", "-i", "HEAD~2", check=False)


def merging(world: Owned) -> None:
    """Stop in the middle of a merge that changes nothing."""
    world.git("merge", "-q", "--no-commit", "--no-ff", "-s", "ours", "master")


@pytest.mark.parametrize(
    ("disturb", "words"),
    [
        (write("drivers/b/4.c", "mine\n"), "changes that are not committed: drivers/b/4.c"),
        (write("lib/6.c", "mine\n", "add", "lib/6.c"), "changes that are not committed: lib/6.c"),
        (write("new.c", "mine\n", "add", "-N", "new.c"), "changes that are not committed: new.c"),
        (write("lib/7.c", "mine\n"), "lib/7.c is in the way of a file of the series"),
        (write("lib/7.c/mine", "mine\n"), "is in the way of a file of the series"),
        (write(".git/info/exclude", "*.o\n"), ""),
        (rebasing, "is held by a rebase in progress"),
        (merging, "where a merge is in progress"),
        (write(".git/index.lock", ""), "index.lock"),
    ],
)
def test_what_could_be_lost_stops_it_before_anything_moved(
    owned: Owned, disturb: Callable[[Owned], None], words: str
) -> None:
    if not words:  # git itself would overwrite a file that it is told to ignore
        write("lib/8.o", "mine")(owned)
        words = "lib/8.o is in the way"
    disturb(owned)
    before = state(owned)
    assert words in regenerate(owned, 2, OPTION)
    assert state(owned) == before


@pytest.mark.parametrize("bare", [False, True])
def test_linked_work_trees_move_too_all_of_them_or_none(owned: Owned, tmp_path: Path, bare: bool) -> None:
    owned.git("switch", "-q", "--detach", "master")
    if bare:
        subprocess.run(["git", "clone", "-q", "--mirror", owned.path, tmp_path / "bare"], check=True)
        owned.path = tmp_path / "bare"
    names = {"one": STACK, "two": f"{STACK}.b-next"}
    for name, ref in names.items():
        owned.git("worktree", "add", "-q", str(tmp_path / name), ref)
    (tmp_path / "two/lib/7.c").write_text("mine")
    before = state(owned, tmp_path / "one", tmp_path / "two")
    assert "two/lib/7.c is in the way" in regenerate(owned, 2, OPTION)
    assert state(owned, tmp_path / "one", tmp_path / "two") == before
    (tmp_path / "two/lib/7.c").unlink()
    regenerate(owned, 0, OPTION)
    assert clean(tmp_path / "one")
    assert clean(tmp_path / "two")
    assert (tmp_path / "one/lib/7.c").read_text() == "int x = new_a;\n"
    assert (tmp_path / "two/lib/7.c").read_text() == "int x = old_a;\n"


def test_a_branch_that_would_go_is_not_taken_from_a_work_tree(owned: Owned) -> None:
    owned.run("undo", "mine", code=2)
    before = state(owned)
    assert f"{STACK} would go, and is checked out in" in owned.run("undo", "mine", OPTION, code=2)
    assert state(owned) == before


def test_a_sparse_work_tree_stays_sparse(owned: Owned) -> None:
    owned.git("sparse-checkout", "set", "--cone", "drivers/b")
    regenerate(owned, 0, OPTION)
    assert owned.git("status", "--porcelain") == ""
    assert not (owned.path / "lib").exists()
    assert (owned.path / "drivers/b/4.c").read_text() == "int x = new_a;\n"
    owned.git("sparse-checkout", "disable")
    assert (owned.path / "lib/7.c").read_text() == "int x = new_a;\n"


def test_no_program_of_the_repository_runs(owned: Owned, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0" >> {ran}\ncat\n')
    program.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "post-merge", "pre-commit"):
        (owned.path / ".git/hooks").mkdir(exist_ok=True)
        (owned.path / ".git/hooks" / hook).symlink_to(program)
    for key in ("core.fsmonitor", "core.editor", "filter.a.b=c.clean", "filter.a.b=c.smudge", "filter.evil.process"):
        owned.git("config", key, str(program))
    attributes = owned.path / ".git/info/attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("*.c filter=a.b=c\n*.txt filter=evil\n")
    (owned.path / "lib/6.c").touch()  # git has to read it again
    ran.unlink(missing_ok=True)
    refs = owned.git("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "for-each-ref")
    said = regenerate(owned, 2, OPTION)
    assert "is made by the filter a.b=c, which only git itself may run" in said
    assert owned.git("-c", "core.hooksPath=/dev/null", "for-each-ref") == refs
    attributes.write_text("*.txt filter=evil\n")
    regenerate(owned, 0, OPTION)
    assert (owned.path / "lib/7.c").read_text() == "int x = new_a;\n"
    assert not ran.exists(), ran.read_text()


def test_a_work_tree_comes_back_where_the_refs_cannot_move(owned: Owned) -> None:
    before = state(owned)
    (owned.path / ".git/refs/heads/patchbot/mine.b-next.lock").write_text("")
    assert "is locked" in regenerate(owned, 2, OPTION)
    assert state(owned) == before
