"""What has to be put right before a command can work is named in one run; refused sites end scan and generate alike."""

from pathlib import Path

import pytest
from versioned import World


@pytest.fixture
def nobody(world: World, sealed: Path) -> World:
    """A world in which git knows no author."""
    world.base()
    (sealed / ".gitconfig").write_text("")
    return world


def lines(said: str) -> list[str]:
    return said.removeprefix("patchbot: ").splitlines()


def test_author_step_base_and_campaign_are_named_at_once(nobody: World) -> None:
    said = lines(nobody.run("generate", "sample", "-q", "--with", "wrods", "--base", "nope", code=2))
    assert said[0] == "3 things have to be put right first:"
    assert said[1] == "  --with: campaign sample has no step 'wrods'; did you mean words? (known: header, words, extra)"
    assert said[2].startswith("  no author: ")
    assert said[3].startswith("  'nope' names no commit in ")
    said = lines(nobody.run("generate", "sampel", "-q", "--base", "nope", code=2))
    assert said[0] == "3 things have to be put right first:"
    assert said[1].startswith("  no campaign 'sampel' in patchbot.toml; did you mean sample?")
    said = lines(nobody.run("regenerate", "sample", "-q", "--onto", "nope", code=2))
    assert [line[:12] for line in said[1:]] == ["  no author:", "  'nope' nam"]
    said = lines(nobody.run("scan", "sample", "-q", "--base", "nope", "--without", "a,b", code=2))
    assert said[1].count("has no step") == 2
    assert said[2].startswith("  'nope' names no commit in ")


def test_a_step_in_the_file_is_named_with_its_line(nobody: World) -> None:
    file = nobody.path.parent / "p.toml"
    file.write_text(file.read_text() + 'with = ["wrods"]\n')
    for command in ("generate", "mail"):
        said = lines(nobody.run(command, "sample", "-q", code=2))
        assert said[1] == (
            f"  {file}:4: campaign sample has no step 'wrods'; did you mean words? (known: header, words, extra)"
        )
        assert said[2].startswith("  no author: ")


def test_one_thing_is_said_alone(nobody: World) -> None:
    assert lines(nobody.run("freeze", "sample", "-q", code=2))[0].startswith("no author: ")


def test_refused_sites_end_scan_and_generate_alike(world: World) -> None:
    base = world.base({"a/one.c": b"ASK x;\n", "b/two.c": b"OLD z;\n"})
    for command in ("scan", "generate"):
        assert "needs a decision" in world.run(command, "sample", "--base", base, code=1)
    world.base()
    world.run("generate", "sample", "--base", "HEAD")
    assert "needs a decision" in world.run("regenerate", "sample", "--onto", base, code=1)
