"""Where mails go that nobody said a folder for: never into a work tree or a repository."""

from pathlib import Path

import pytest
from versioned import World


@pytest.fixture
def drafted(world: World) -> World:
    script = b"print 'linux-kernel@vger.kernel.org (open list)', chr(10);\n"
    base = world.base({"scripts/get_maintainer.pl": script, "MAINTAINERS": b""})
    world.run("generate", "sample", "--base", base)
    return world


def mail(world: World, where: Path, *argv: str) -> Path:
    """Run mail in a folder and return where the mails are."""
    where.mkdir(parents=True, exist_ok=True)
    return Path(world.json("mail", "sample", "-C", str(where), *argv)["dir"])


def test_beside_a_work_tree_that_one_is_in(drafted: World, tmp_path: Path) -> None:
    outside = tmp_path / "linux-mails/sample-v1"
    for inside in (drafted.path, drafted.path / "b/deep", drafted.path / ".git/refs"):
        assert mail(drafted, inside) == outside
        assert list(outside.glob("*.patch"))
    assert drafted.git("status", "--porcelain", "--ignored", "-uall") == ""


def test_beside_the_outermost_one(drafted: World, tmp_path: Path) -> None:
    drafted.git("init", "-q", str(tmp_path / "top"))
    drafted.git("init", "-q", "--bare", str(tmp_path / "top/in/bare.git"))
    for inside in ("top/in", "top/in/bare.git/refs"):
        assert mail(drafted, tmp_path / inside) == tmp_path / "top-mails/sample-v1"


def test_here_in_a_folder_of_no_repository_and_as_given_with_o(drafted: World, tmp_path: Path) -> None:
    assert mail(drafted, tmp_path / "plain") == tmp_path / "plain/out/v1"
    assert mail(drafted, drafted.path, "-o", "mine") == drafted.path / "mine"
