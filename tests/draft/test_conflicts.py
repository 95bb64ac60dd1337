"""An edit that contradicts what is generated now: shown, resolved and continued, or let go."""

import re
from pathlib import Path

import pytest
from versioned import BRANCH, World

from patchbot.draft.conflicts import place
from patchbot.draft.restack import Conflict
from patchbot.git.merge import Labels, merge_file, unresolved
from patchbot.model import REGULAR, Entry

SIDES = Labels("ours", "base", "theirs")


def conflicting(world: World) -> tuple[str, str, list[Path]]:
    """Stop a regeneration at edits of a message and of a line that the new base changed; return refs, base, files."""
    base = world.base()
    world.run("generate", "sample", "--base", base)
    header, two, one = world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()
    world.rework(f"pick|{header}", f"pick|{two}", f"edit|{one}|a/one.c|NEW x;|NEW x; /* why */")
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "-m", "sample: By hand\n\nConvert both of them.\n")
    world.git("switch", "-q", "--detach")
    refs = world.refs()
    new = world.base({"a/one.c": b"OLD x; /* because */\nkeep\nOLD y;\nOLD z;\n"})
    said = world.run("regenerate", "sample", "--onto", new, code=2)
    assert "words/a/one.c (sample: Convert a/one.c) cannot be merged:\n  a/one.c\n  its message\n" in said
    assert world.refs() == refs
    files = [Path(line.strip()) for line in re.findall(r"^  (/.*)$", said, re.M)]
    assert [f.name for f in files] == ["one.c", "COMMIT_MESSAGE.txt"]
    assert not any(f.is_relative_to(world.path) for f in files)
    return refs, new, files


def test_a_conflict_shows_both_sides_and_goes_on_when_resolved(world: World):
    refs, new, (code, message) = conflicting(world)
    text = code.read_bytes()
    assert b"<<<<<<< on the branch" not in text
    for part in (b"NEW x; /* because */", b"NEW x; /* why */", b"<<<<<<< generated now", b">>>>>>> edited by hand"):
        assert part in text
    assert "waits for you" in world.run("regenerate", "sample", "--onto", new, code=2)
    assert "still hold conflict markers" in world.run("regenerate", "sample", "--continue", code=2)
    code.write_bytes(b"NEW x; /* because, and why */\nkeep\nNEW y;\nNEW z;\n")
    assert str(message) in world.run("regenerate", "sample", "--continue", code=2)
    message.write_text("sample: By hand\n\nConvert all three of them.\n")
    assert world.refs() == refs
    made = world.json("regenerate", "sample", "--continue")
    assert sorted(e["kind"] for e in made["kept_edits"]) == ["code", "message"]
    assert world.show(BRANCH, "a/one.c").splitlines()[0] == "NEW x; /* because, and why */"
    assert world.message(BRANCH) == "sample: By hand\n\nConvert all three of them."
    assert not code.exists()
    settled = world.refs()
    world.run("regenerate", "sample", "--onto", new)
    assert world.refs() == settled


def test_abort_leaves_all_as_it_was(world: World):
    refs, _, files = conflicting(world)
    assert "as it was" in world.run("regenerate", "sample", "--abort")
    assert world.refs() == refs
    assert not any(f.exists() for f in files)
    assert len(world.json("edits", "sample")["edits"]) == 2
    assert "no regeneration" in world.run("regenerate", "sample", "--abort", code=2)


def test_a_branch_that_moves_while_a_conflict_waits_is_not_overwritten(world: World):
    _, _, files = conflicting(world)
    for file in files:
        file.write_text("resolved: thing\n\nbody\n")
    world.git("branch", "-f", BRANCH, f"{BRANCH}~1")
    before = world.refs()
    assert "has moved since the conflict" in world.run("regenerate", "sample", "--continue", code=2)
    assert world.refs() == before


def test_one_conflict_after_the_other_is_resolved_and_none_twice(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    header, two, one = world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()
    world.rework(
        f"pick|{header}",
        f"edit|{two}|b/two.c|NEW z;|NEW z; /* two */",
        f"edit|{one}|a/one.c|NEW x;|NEW x; /* one */",
        "add|mine: Add|doc.txt|mine\n",
    )
    new = world.base({"a/one.c": b"OLD x; //\n", "b/two.c": b"OLD z; //\n", "doc.txt": b"theirs\n"})
    said = world.run("regenerate", "sample", "--onto", new, code=2)
    for name, text in (("two.c", "NEW z; // two\n"), ("one.c", "NEW x; // one\n"), ("doc.txt", "both\n")):
        (file,) = (Path(line) for line in re.findall(r"^  (/.*)$", said, re.M))
        assert file.name == name
        file.write_text(text)
        said = world.run("regenerate", "sample", "--continue", code=0 if name == "doc.txt" else 2)
    assert world.show(BRANCH, "b/two.c") == "NEW z; // two"
    assert world.show(BRANCH, "a/one.c") == "NEW x; // one"
    assert world.show(BRANCH, "doc.txt") == "both"


def test_a_file_that_is_deleted_on_resolving_goes(world: World):
    base = world.base({"doc.txt": b"old\n"})
    world.run("generate", "sample", "--base", base)
    world.git("switch", "-q", BRANCH)
    world.git("rm", "-q", "doc.txt")
    world.git("commit", "-q", "-m", "mine: Remove")
    world.git("switch", "-q", "--detach")
    said = world.run("regenerate", "sample", "--onto", world.base({"doc.txt": b"new\n"}), code=2)
    (file,) = (Path(line) for line in re.findall(r"^  (/.*)$", said, re.M))
    assert b"commit by hand (deleted)" in file.read_bytes()
    file.unlink()
    world.run("regenerate", "sample", "--continue")
    assert world.git("ls-tree", BRANCH, "doc.txt") == ""


def entry(text: bytes, mode: str = REGULAR) -> Entry:
    return Entry(mode, text)


def test_a_merge_takes_what_only_one_side_changed():
    a, b = entry(b"a\n"), entry(b"b\n")
    assert merge_file(a, b, a, SIDES).entry == b
    assert merge_file(a, a, b, SIDES).entry == b
    assert merge_file(a, a, None, SIDES).entry is None
    assert merge_file(a, entry(b"a\n", "100755"), entry(b"a\nc\n"), SIDES).entry == entry(b"a\nc\n", "100755")
    assert merge_file(None, None, b, SIDES).entry == b


def test_bytes_that_are_no_text_survive_a_merge():
    base = entry(b"\xff1\n2\n3\n4\n5\n")
    ours, theirs = entry(b"\xff0\n2\n3\n4\n5\n"), entry(b"\xff1\n2\n3\n4\n\xfe\n")
    assert merge_file(base, ours, theirs, SIDES).entry == entry(b"\xff0\n2\n3\n4\n\xfe\n")


def test_what_cannot_be_merged_as_text_is_a_conflict():
    binary = merge_file(entry(b"\0a"), entry(b"\0b"), entry(b"\0c"), SIDES)
    link = merge_file(entry(b"a", "120000"), entry(b"b", "120000"), entry(b"c", "120000"), SIDES)
    gone = merge_file(entry(b"a\n"), None, entry(b"c\n"), SIDES)
    for merged in (binary, link, gone):
        assert merged.conflict
        assert merged.entry
        assert unresolved(merged.entry.data)


@pytest.mark.parametrize("path", ["../../evil", "/etc/x", "a/../../b", "a\nb/c"])
def test_no_path_leads_out_of_the_folder_of_conflicts(path, tmp_path):
    name = place(Conflict("../k", "s", path, b"", "d"))
    assert (tmp_path / name).resolve().is_relative_to(tmp_path)
    assert ".." not in name.split("/")


def test_a_conflict_with_a_commit_below_is_solved_once_and_for_all(world: World):
    old = world.base({"a/one.c": b"OLD x;\none\ntwo\nthree\n"})
    world.run("generate", "sample", "--base", old)
    header, two, one = world.git("rev-list", "--reverse", f"{old}..{BRANCH}").splitlines()
    world.git("switch", "-q", "--detach", old)
    (world.path / "a/one.c").write_text("OLD x;\none\ntwo\nmine\n")
    world.git("commit", "-q", "-am", "mine: First")
    world.rework(f"pick|{world.ref('HEAD')}", *(f"pick|{c}" for c in (header, two, one)))
    new = world.base({"a/one.c": b"OLD x;\none\nOLD n;\nthree\n"})
    world.run("regenerate", "sample", "--onto", new, code=2)
    for text in ("OLD x;\none\nOLD n;\nmine\n", "NEW x;\none\nNEW n;\nmine\n"):
        (file,) = world.json("status", "sample", "--base", new)["draft"]["conflict"]
        Path(file).write_text(text)
        world.run("regenerate", "sample", "--continue", code=2 if text.startswith("OLD") else 0)
    assert world.show(BRANCH, "a/one.c") == "NEW x;\none\nNEW n;\nmine"
    world.run(
        "regenerate", "sample", "--onto", world.base({"a/one.c": b"OLD x;\none\nOLD n;\nthree\n", "d.c": b"OLD d;\n"})
    )
    assert world.show(BRANCH, "a/one.c") == "NEW x;\none\nNEW n;\nmine"
    assert world.show(BRANCH, "d.c") == "NEW d;"
