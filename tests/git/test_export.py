from pathlib import Path

import pytest

from patchbot.errors import ToolError, UserError
from patchbot.git.export import LANDMARK_FOLDERS, kept_export, tree_files, write_files
from patchbot.git.objects import Thing
from patchbot.git.repo import Repo, Scratch
from patchbot.run import run


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    tree = tmp_path / "linux"
    for name, data in {"a b.c": b"\xff\n", "d/x.h": b"", "d/y.c": b"y\n"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "d/link.h").symlink_to("/etc/passwd")
    run(["git", "init", "-q", "--template=", tree])
    run(["git", "add", "-A"], cwd=tree)
    run(["git", "commit", "-q", "-m", "Linux 7.99"], cwd=tree)
    repo = Repo.open(tree)
    scratch = Scratch.at(tmp_path / "scratch.git", repo)
    scratch.git("update-ref", "refs/heads/base", repo.resolve("HEAD"))
    return scratch


def test_names_are_looked_up_and_read_in_one_go(scratch: Scratch) -> None:
    found = scratch.things(["base:a b.c", "base:no such file", "base:d", "0123456789abcdef", "base:a\nb", "base:d/x.h"])
    assert list(found) == ["base:a b.c", "base:no such file", "base:d", "0123456789abcdef", "base:d/x.h"]
    assert found["base:no such file"] is None
    assert found["0123456789abcdef"] is None
    tree, blob, empty = found["base:d"], found["base:a b.c"], found["base:d/x.h"]
    assert isinstance(tree, Thing)
    assert tree.kind == "tree"
    assert blob
    assert empty
    assert [data for _, data in scratch.blobs([blob.oid, empty.oid, blob.oid])] == [b"\xff\n", b"", b"\xff\n"]
    assert scratch.things([]) == {}
    with pytest.raises(UserError, match="patchbot fetches nothing"):
        list(scratch.blobs(["0" * 40]))


def test_links_of_the_tree_are_not_exported(scratch: Scratch) -> None:
    assert tree_files(scratch, "base", "d") == {"d/x.h": b"", "d/y.c": b"y\n"}
    assert tree_files(scratch, "base", "d", ".h") == {"d/x.h": b""}


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match="a path that leads out of it"):
        write_files(tmp_path, {name: b""})


def test_an_export_is_made_once(tmp_path: Path) -> None:
    first = kept_export(tmp_path, ["k", 1], lambda: {"include/x.h": b"1"})
    assert (first / "include/x.h").read_bytes() == b"1"
    assert all((first / name).is_dir() for name in LANDMARK_FOLDERS)
    assert kept_export(tmp_path, ["k", 1], lambda: 1 / 0) == first  # type: ignore[arg-type, return-value]
    assert kept_export(tmp_path, ["k", 2], dict) != first
    with pytest.raises(ZeroDivisionError):
        kept_export(tmp_path, ["k", 3], lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert len(list((tmp_path / "export").iterdir())) == 2, "nothing half made is left"
