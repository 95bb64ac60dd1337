"""status: versions, where the draft is, what is by hand, how far upstream moved, and what to do about it."""

from versioned import BRANCH, World

MOVED = {"a/one.c": b"OLD x;\nkeep\nOLD new;\n", "b/two.c": None}


def test_without_a_series_it_says_how_to_make_one(world: World):
    world.base()
    assert "make one: patchbot generate sample" in world.run("status", "sample", code=2)


def test_versions_and_draft_in_words(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.run("freeze", "sample", "--message-id", "<1@example.org>")
    tip = world.ref(BRANCH)
    said = world.run("status", "sample").splitlines()
    assert said == [
        f"v1: {tip[:12]} on {base[:12]}, 3 patches, posted as 1@example.org",
        f"draft (v1): {tip[:12]} on {base[:12]}, 3 patches, 0 edits by hand, 0 tags",
        "HEAD is the draft's base",
        "tree    patches  sites  state",
        "b-next  2        2      posted as v1 (1@example.org)",
        "a-next  1        2      drafted",
        "sites to change: v1 4, draft 4",
        "stale: The branch as it is was not checked; do it with: patchbot check sample",
    ]


def test_how_far_upstream_moved_and_which_sites_are_new_and_gone_there(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    related = world.base({"a/one.c": b"OLD x;\nkeep\nOLD new;\n"}, related=True)
    said = world.run("status", "sample", "--base", related).splitlines()
    assert f"{related} is {related[:12]}: 1 commit further, 1 file differs" in said
    assert "    new site: a/one.c:3: a/one.c:n: change" in said
    assert "    gone site: a/one.c:3: a/one.c:y: change" in said
    assert f"stale: the base is not {related}: patchbot regenerate sample --onto {related}" in said
    other = world.base(MOVED)
    said = world.run("status", "sample", "--base", other)
    assert f"{other[:12]}: an unrelated history, 2 files differ" in said
    assert "    gone site: b/two.c:1: b/two.c:z: change" in said
    asks = world.base({"a/one.c": b"ASK x;\nkeep\nOLD y;\n"})
    said = world.run("status", "sample", "--base", asks)
    assert "    changed site: a/one.c:1: a/one.c:x: refuse (was change)" in said


def test_the_own_branch_is_no_upstream(world: World):
    """HEAD is the guess where no upstream is configured, and a person works on the branch."""
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.git("switch", "-q", BRANCH)
    said = world.run("status", "sample")
    tip = world.ref(BRANCH)[:12]
    assert f"HEAD is {tip}, and nothing is left to change there: it holds the series already" in said
    assert "kernel.base" in said
    assert "--onto" not in said
    assert "site:" not in said
    world.git("commit", "-q", "--allow-empty", "-m", "sample: A note")
    said = world.run("status", "sample").splitlines()
    assert any(line.startswith("    +") and line.endswith(": a commit by hand (sample: A note)") for line in said)
    assert f"stale: commits by hand are not stored yet: patchbot regenerate sample --onto {base[:12]}" in said
    document = world.json("status", "sample")
    assert document["upstream"]["converted"]
    assert not document["draft"]["stored"]


def test_edits_are_named_in_words(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    header, _, one = world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()
    world.rework(f"pick|{one}", f"reword|{header}|sample: By hand\n\nBody.", "add|mine: Add|x.txt|x\n")
    said = world.run("status", "sample")
    key = world.ref(BRANCH)[:12]
    for line in (
        "header: reworded (subject 'sample: By hand')",
        f"+{key}: a commit by hand (mine: Add)",
        "words/b/two.c: dropped by hand",
        "the patches: in another order than the generated one",
    ):
        assert f"    {line}\n" in said
    shown = world.run("edits", "sample").splitlines()
    assert shown[-3:] == ["    1 words/a/one.c", "    2 header", f"    3 +{key}"]
    said = world.run("regenerate", "sample", "--onto", world.base(MOVED))
    assert f"by hand: {world.ref(BRANCH)[:12]}  mine: Add" in said
    assert "2 patches and 1 by hand, 3 files" in said


def test_a_conflict_that_waits_is_named(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    header, two, one = world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()
    world.rework(f"edit|{header}|inc.h|ADDED|ADDED 1", f"pick|{two}", f"pick|{one}")
    new = world.base({"inc.h": b"#define NEWER\n"})
    said = world.run("regenerate", "sample", "--onto", new, code=2)
    assert "patchbot regenerate sample --continue" in said
    said = world.run("status", "sample", "--base", new)
    assert "\na regeneration waits for you: edit these, then: patchbot regenerate sample --continue;" in said
    assert "\n    waits for you: /" in said
    assert "--onto" not in said
    assert world.json("status", "sample")["draft"]["conflict"]


def with_base(world: World, base: str) -> None:
    """Say in patchbot.toml what the base is."""
    file = world.path.parent / "p.toml"
    file.write_text(f'{file.read_text()}[kernel]\nbase = "{base}"\n')


def test_who_put_the_series_elsewhere_is_not_sent_back(world: World):
    old = world.base()
    world.git("branch", "configured", old)
    with_base(world, "configured")
    world.run("generate", "sample")
    for new in (world.base(MOVED), world.base(related=True)):  # an unrelated history, then a commit further there
        world.run("regenerate", "sample", "--onto", new)
        said = world.run("status", "sample")
        assert f"configured is {old[:12]}: an unrelated history, " in said
        assert "--onto" not in said
    world.git("branch", "-f", "configured", f"{new}~1")
    said = world.run("status", "sample")
    assert "the draft's base is further" in said
    assert "--onto" not in said
    moved = world.base()
    world.git("branch", "-f", "configured", moved)
    line = "stale: the base is not configured: patchbot regenerate sample --onto configured"
    assert line in world.run("status", "sample").splitlines()


def test_head_is_a_guess_that_sends_nobody_anywhere_else(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.base(MOVED)  # HEAD is there now
    assert "--onto" not in world.run("status", "sample")


def test_a_base_that_is_gone_is_said_and_the_rest_is_shown(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    tip = world.ref(BRANCH)
    with_base(world, "gone/master")
    said = world.run("status", "sample").splitlines()
    assert said[0] == f"draft (v1): {tip[:12]} on {base[:12]}, 3 patches, 0 edits by hand, 0 tags"
    assert said[1].startswith("unknown how far upstream has moved: 'gone/master' names no commit in ")
    assert "'other' names no commit" in world.run("status", "sample", "--base", "other", code=2)


def test_a_bare_repository_without_a_head(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.git("clone", "-q", "--mirror", str(world.path), str(world.path.parent / "bare"))
    world.path = world.path.parent / "bare"
    world.git("symbolic-ref", "HEAD", "refs/heads/nowhere")
    said = world.run("status", "sample").splitlines()
    assert said[1].startswith("unknown how far upstream has moved: 'HEAD' names no commit in ")
    stale = [line for line in said if line.startswith("stale: ")]
    assert stale == ["stale: The branch as it is was not checked; do it with: patchbot check sample"]


def test_a_branch_that_is_gone_comes_back(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    tip = world.ref(BRANCH)
    world.git("branch", "-q", "-D", BRANCH)
    again = f"patchbot regenerate sample --onto {base[:12]}"
    assert f"stale: {BRANCH} is gone; bring it back with: {again}" in world.run("status", "sample").splitlines()
    world.run(*again.split()[1:])
    assert world.ref(BRANCH) == tip


def test_a_step_of_the_command_line_is_not_lost_unsaid(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base, "--without", "header")
    assert "steps that are off" not in world.run("status", "sample")
    world.run("generate", "sample", "--base", base, "--with", "extra")
    said = 'the draft has steps that are off now: with = ["extra"] in [campaigns.sample] keeps them on'
    assert f"stale: {said}" in world.run("status", "sample").splitlines()


def test_no_version_is_made_of_a_branch_that_is_gone(world: World):
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.git("branch", "-q", "-D", BRANCH)
    assert "is gone; bring it back with: patchbot regenerate sample" in world.run("freeze", "sample", code=2)
    assert world.git("for-each-ref", "refs/patchbot/sample/v1") == ""
