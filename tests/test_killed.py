"""kill -9 at any moment of a regeneration leaves the old draft or the new one; running it again gives the new one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tinytree import TESTS
from versioned import BRANCH, World

DRIVER = TESTS / "killed.py"
MOVED = {"a/one.c": b"above\nOLD x;\nkeep\nOLD y;\n", "d/four.c": b"OLD f;\n"}


def start(world: World, onto: str, **env: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, str(DRIVER), "regenerate", "sample", "--onto", onto, "-q"]
    argv += ["--kernel", str(world.path), "--config", str(world.path.parent / "p.toml")]
    return subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def restore(world: World, refs: dict[str, str]) -> None:
    for name, sha in refs.items():
        world.git("update-ref", name, sha)


def draft(world: World) -> dict[str, str]:
    """Return where branch and record are."""
    return {ref: world.ref(ref) for ref in (f"refs/heads/{BRANCH}", "refs/patchbot/sample/draft")}


def made(world: World) -> tuple[str, dict]:
    """Return the branch and what the record says of it: its id holds a digest of patchbot's own source, too."""
    return world.ref(BRANCH), world.record()


def test_a_killed_regeneration_leaves_the_old_draft_or_the_new_one(world: World):
    seed = int(os.environ.get("PATCHBOT_TEST_SEED") or random.SystemRandom().randrange(10**6))
    with world.capsys.disabled():
        print(f"\nseed {seed}; repeat with PATCHBOT_TEST_SEED={seed}")
    base = world.base()
    world.run("generate", "sample", "--base", base)
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "-m", "sample: By hand\n\nConvert 2 of them.\n")
    world.git("switch", "-q", "--detach")
    old = draft(world)
    onto = world.base(MOVED)
    began = time.monotonic()
    assert start(world, onto).wait() == 0
    took = time.monotonic() - began
    new = made(world)
    assert draft(world) != old
    chance = random.Random(seed)
    moments = sorted(chance.uniform(0, took) for _ in range(10))
    plans: list[float | str] = [*moments, "index-pack", "update-ref", "update-ref"]
    for plan in plans:
        restore(world, old)
        world.git("reflog", "expire", "--expire=now", "--all")
        world.git("gc", "-q", "--prune=now")  # else the objects are there from the run before
        child = start(world, onto, **({"KILL_BEFORE": plan} if isinstance(plan, str) else {}))
        if isinstance(plan, float):
            time.sleep(plan)
            child.kill()
        code = child.wait()
        assert isinstance(plan, float) or code == -signal.SIGKILL, plan
        time.sleep(0.3)  # what git was doing for it ends on its own
        assert draft(world) == old or made(world) == new, plan
        if isinstance(plan, str):
            assert draft(world) == old
        assert world.git("fsck", "--full", "--strict", "--no-dangling") == ""
        again = start(world, onto)
        assert (again.wait(), (again.stderr.read() if again.stderr else b"")) == (0, b"")
        assert made(world) == new, plan
    left = list((Path(os.environ["XDG_CACHE_HOME"]) / "patchbot/tmp").glob("*"))
    assert left == []
