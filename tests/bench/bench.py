"""Measure patchbot on a real kernel: wall seconds and the peak memory of each command, cold and again.

`python tests/bench/bench.py [--repo REPO --rev REV] [--build]` prints a table; --json prints the numbers only. Without
--repo it takes the newest kernel of patchbot's cache (`make kernels`). Everything is written to a throw-away folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from patchbot.git import Repo
from patchbot.kernels import imported
from patchbot.paths import cache_dir
from patchbot.run import run

PATCHBOT = [sys.executable, "-m", "patchbot.cli"]
COMMANDS = {
    "scan": ["scan", "--json"],
    "scan again": ["scan", "--json"],
    "generate": ["generate", "--json"],
    "generate again": ["generate", "--json"],
    "check applies,checkpatch": ["check", "--only", "applies,checkpatch", "--json"],
    "check again": ["check", "--only", "applies,checkpatch", "--json"],
}
BUILD = {
    "check build": ["check", "--only", "build", "--json"],
    "check build again": ["check", "--only", "build", "--json"],
}


@dataclass(frozen=True)
class Measured:
    """One command: what it is called, how it ended, wall seconds, the largest process of it in MiB."""

    name: str
    code: int
    seconds: float
    mib: float


def measure(name: str, argv: list[str], env: dict[str, str], log: Path) -> Measured:
    """Run one command to its end."""
    started = time.monotonic()
    with open(log, "ab") as out:
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        _, status, used = os.wait4(child.pid, 0)
    return Measured(name, os.waitstatus_to_exitcode(status), time.monotonic() - started, used.ru_maxrss / 1024)


def borrow(repo: Path, rev: str, place: Path) -> Path:
    """Make a repository that has the objects of another one, so that the other one stays as it is."""
    env = {"GIT_ALLOW_PROTOCOL": "file"}
    run(["git", "clone", "-q", "--bare", "--shared", repo, place], env=env)
    own = Repo.open(place)
    own.git("update-ref", "--no-deref", "HEAD", own.resolve(rev))
    return place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path)
    parser.add_argument("--rev", default="HEAD")
    parser.add_argument("--build", action="store_true", help="compile too, which takes many minutes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.repo is None:
        there = imported(cache_dir())
        if not there:
            parser.error("there is no kernel in the cache: make kernels, or --repo REPO --rev REV")
        args.repo, args.rev = there[0].repo, there[0].commit
    with tempfile.TemporaryDirectory(prefix="patchbot-bench-", dir=os.environ.get("TMPDIR")) as name:
        place = Path(name)
        kernel = borrow(args.repo, args.rev, place / "linux.git")
        (place / "gitconfig").write_text("[user]\n\tname = A Developer\n\temail = developer@example.org\n")
        env = {
            **os.environ,
            "XDG_CACHE_HOME": str(place / "cache"),
            "GIT_CONFIG_GLOBAL": str(place / "gitconfig"),
            "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(Path("~/.cache/ccache").expanduser())),
        }
        rows = []
        for what, argv in {**COMMANDS, **(BUILD if args.build else {})}.items():
            rows.append(measure(what, [*PATCHBOT, *argv, "--kernel", str(kernel)], env, place / "log"))
            if not args.json:
                row = rows[-1]
                print(f"{row.name:26} {row.seconds:8.2f} s {row.mib:7.0f} MiB   exit {row.code}", flush=True)
        if args.json:
            print(json.dumps([asdict(row) for row in rows], indent=1))
        elif any(row.code not in (0, 1) for row in rows):
            print((place / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
    return int(any(row.code not in (0, 1) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
