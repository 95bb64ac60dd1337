"""A few kills and a few rounds of many runs at once; `make kills` does a thousand."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tinytree import TESTS


@pytest.mark.parametrize("how", [("--kills", "12"), ("--crowd", "2")], ids=["kills", "crowd"])
def test_whatever_is_killed_and_whatever_runs_beside_it(how: tuple[str, str], tmp_path: Path) -> None:
    seed = os.environ.get("PATCHBOT_TEST_SEED") or str(random.SystemRandom().randrange(10**6))
    argv = [sys.executable, str(TESTS / "kills.py"), *how, "--seed", seed]
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, ""), f"repeat with PATCHBOT_TEST_SEED={seed}"
    assert list(tmp_path.iterdir()) == []
