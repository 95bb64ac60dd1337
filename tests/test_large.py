"""Twice the series is twice the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import large
import pytest
from effort import bytecodes, started

from patchbot.campaigns import load_campaign
from patchbot.cli import main
from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.series.generate import generate
from patchbot.series.tree import Tree

#: What `growth` may be; 1 is linear, and 1.67 quadratic.
LINEAR = 1.05


@pytest.fixture
def made(tmp_path: Path) -> Callable[[int], list[str]]:
    """Give the function that builds the kernel of so many owners and returns the arguments that choose it."""

    def build(owners: int) -> list[str]:
        place = tmp_path / str(owners)
        (place / "linux").mkdir(parents=True)
        large.build(place / "linux", owners, owners + 20)
        return large.install(place)

    return build


def growth(work: Callable[[int], int], size: int) -> float:
    """Return by how much the work for another `size` things is more than that for the `size` before them.

    It is 1 where the work is linear; what does not depend on the size falls out.
    """
    work(1)  # what is done once only is done now
    one, two, three = (work(size * n) for n in (1, 2, 3))
    return (three - two) / (two - one)


def test_a_series_is_made_in_linear_time(made: Callable[[int], list[str]], tmp_path: Path) -> None:
    config = CampaignConfig("large", "large-next", path=large.FOLDER)

    def work(size: int) -> int:
        made(size)
        repo = Repo.open(tmp_path / str(size) / "linux")
        tree = Tree(repo, repo.resolve("HEAD"))
        return bytecodes(lambda: generate(tree, load_campaign(config), config))

    assert growth(work, 40) < LINEAR


def test_no_command_starts_a_program_for_each_patch(
    made: Callable[[int], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    def programs(owners: int) -> dict[str, int]:
        argv = made(owners)
        found = {}
        for command in (["generate"], ["check", "--only", "applies"], ["check", "--only", "applies", "--full"]):
            with started() as names:
                assert main([command[0], *argv, *command[1:], "--json", "-q"]) == 0
            found[" ".join(command)] = names.count("git")
            document = json.loads(capsys.readouterr().out)
            assert len(document.get("patches") or document["results"]) == owners
        return found

    assert programs(3) == programs(6)
