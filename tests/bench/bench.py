"""Measure patchbot on real kernels: seconds, wall and CPU, and the peak memory of each command, cold and again.

`python tests/bench/bench.py [--repo REPO --rev REV --old REV] [--build]` prints a table; --json prints numbers only.
Without --repo it takes the two newest kernels of patchbot's cache (`make kernels`). The series moves from the older one
to the newer one, of which nothing was searched before, and then to a base where only other files differ. The last rows
are of a made-up series of 400 patches, and of changes of a whole tree (see treewide.py), with the seconds that they may
take on two idle cores, and what they cost at least. Everything is written to a throw-away folder.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from patchbot.git.fastimport import NewCommit
from patchbot.git.kernels import imported
from patchbot.git.repo import Repo, Scratch
from patchbot.git.transaction import publish
from patchbot.model import REGULAR, Entry, Identity
from patchbot.paths import cache_dir
from patchbot.run import run

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(Path(__file__).parent))
import large  # noqa: E402
import plainloop  # noqa: E402
import treewide  # noqa: E402
from treewide import Row  # noqa: E402

PATCHBOT = [sys.executable, "-m", "patchbot.cli"]
COMMANDS = {
    "scan": ["scan", "--json"],
    "scan again": ["scan", "--json"],
    "generate": ["generate", "--json"],
    "generate again": ["generate", "--json"],
    "check applies,checkpatch": ["check", "--only", "applies,checkpatch", "--json"],
    "check again": ["check", "--only", "applies,checkpatch", "--json"],
}
#: In another repository and cache: {0} is the older kernel, {1} the newer one, {2} the newer one and a commit.
MOVES = {
    "generate on the old base": ["generate", "--base", "{0}", "--json"],
    "freeze": ["freeze", "--json"],
    "regenerate": ["regenerate", "--onto", "{1}", "--json"],
    "diff": ["diff", "--json"],
    "regenerate, same sites": ["regenerate", "--onto", "{2}", "--json"],
}
BUILD = {
    "check build": ["check", "--only", "build", "--json"],
    "check build again": ["check", "--only", "build", "--json"],
}
#: prctl()'s PR_SET_CHILD_SUBREAPER: whose parent ended without waiting for it becomes a child of this process.
SUBREAPER = 36
#: On the repository of large.py, with the seconds that are the goal.
LARGE = {
    "generate, 4,000 sites": (["generate", "--json"], 3.0),
    "check applies, 4,000 sites": (["check", "--only", "applies", "--json"], 8.0),
}


@dataclass(frozen=True)
class Measured:
    """One command: what it is called, how it ended, seconds (wall and CPU), the largest process of it in MiB.

    `goal` is how many seconds it should take at most, `floor` how many it costs at least, 0 if nobody said.
    """

    name: str
    code: int
    seconds: float
    cpu: float
    mib: float
    goal: float = 0.0
    floor: float = 0.0


def measure(name: str, argv: Sequence[str], env: dict[str, str], log: Path, goal: float = 0.0) -> Measured:
    """Run one command to its end; what its sandboxes leave behind has its seconds, too."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    with open(log, "ab") as out:
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        _, status, used = os.wait4(child.pid, 0)
    wall, cpu = time.monotonic() - started, used.ru_utime + used.ru_stime
    with contextlib.suppress(ChildProcessError):
        while (left := os.wait4(-1, os.WNOHANG))[0]:
            cpu += left[2].ru_utime + left[2].ru_stime
    return Measured(name, os.waitstatus_to_exitcode(status), wall, cpu, used.ru_maxrss / 1024, goal)


def borrow(repo: Path, rev: str, place: Path) -> Path:
    """Make a repository that has the objects of another one, so that the other one stays as it is."""
    env = {"GIT_ALLOW_PROTOCOL": "file"}
    run(["git", "clone", "-q", "--bare", "--shared", repo, place], env=env)
    own = Repo.open(place)
    own.git("update-ref", "--no-deref", "HEAD", own.resolve(rev))
    return place


def move_on(repo: Path, commit: str, place: Path) -> str:
    """Commit a change of a file that no series looks at upon `commit`; return the commit."""
    own = Repo.open(repo)
    scratch = Scratch.at(place, own)
    files = {"CREDITS": Entry(REGULAR, (own.read(commit, "CREDITS") or b"") + b"N: Some Body\n")}
    new = NewCommit("", "credits: Add somebody\n", Identity("Some Body", "s@example.org"), "1767225700 +0000", files)
    (made,) = scratch.write(commit, [new])
    publish(own, scratch, [("refs/heads/moved", made.sha, None)])
    return made.sha


def chosen(args: argparse.Namespace) -> None:
    """Put the kernels of the cache where no repository was named; the oldest one is for changes of a whole tree."""
    args.oldest_repo, args.oldest = args.repo, args.old or args.rev
    if args.repo is None:
        there = imported(cache_dir())
        if not there:
            raise SystemExit("there is no kernel in the cache: make kernels, or --repo REPO --rev REV")
        args.repo, args.rev = there[0].repo, there[0].commit
        args.old = there[1].commit if len(there) > 1 else None
        args.oldest_repo, args.oldest = there[-1].repo, there[-1].commit


def on(repo: Path, commands: dict[str, list[str]]) -> list[Row]:
    """Return commands on a repository, with their names and no goal."""
    return [Row(what, [*PATCHBOT, *argv, "--kernel", str(repo)]) for what, argv in commands.items()]


def plans(args: argparse.Namespace, place: Path) -> Iterator[tuple[Path, Iterable[Row]]]:
    """Yield (folder of the cache, commands) of each part of the table."""
    if not args.treewide:
        kernel = borrow(args.repo, args.rev, place / "linux.git")
        yield place / "cache", on(kernel, {**COMMANDS, **(BUILD if args.build else {})})
        if args.old:
            second = borrow(args.repo, args.rev, place / "moves.git")
            new = Repo.open(second).resolve("HEAD")
            revs = (Repo.open(args.repo).resolve(args.old), new, move_on(second, new, place / "scratch.git"))
            moves = {what: [word.format(*revs) for word in argv] for what, argv in MOVES.items()}
            yield place / "moves-cache", on(second, moves)
        large.build(place / "linux")
        script = [sys.executable, str(TESTS / "large.py"), str(place)]
        yield place / "large-cache", [Row(what, [*script, *argv], goal) for what, (argv, goal) in LARGE.items()]
    oldest = borrow(args.oldest_repo, args.oldest, place / "treewide.git")
    yield place / "treewide-cache", treewide.rows(place, oldest, Repo.open(oldest).resolve("HEAD"))


def compared(args: argparse.Namespace, place: Path, env: dict[str, str]) -> Iterator[Measured]:
    """Yield the check `build` of a new draft, then the plain loop over what it compiled."""
    kernel, report, log = borrow(args.repo, args.rev, place / "linux.git"), place / "report", place / "log"
    env = {**env, "CCACHE_DISABLE": "1"}
    yield measure("generate", [*PATCHBOT, "generate", "--kernel", str(kernel)], env, log)
    some = ["--patches", args.loop] if args.loop else []
    check = [*PATCHBOT, "check", "--only", "build", *some, "--json", "-q", "--kernel", str(kernel)]
    yield measure("check build", check, env, report)
    if not report.read_text(errors="replace").startswith('{"schema"'):
        raise SystemExit(log.read_text(errors="replace")[-2000:] + report.read_text(errors="replace")[-2000:])
    again = measure("check build again", check, env, place / "again")
    (place / "loop.sh").write_text(plainloop.script(report, kernel, place / "plain"))
    loop = measure("plain loop", ["sh", str(place / "loop.sh")], env, log)
    yield from (again, loop)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path)
    parser.add_argument("--rev", default="HEAD")
    parser.add_argument("--old", help="an older kernel, from which the series moves to REV")
    parser.add_argument("--build", action="store_true", help="compile too, which takes many minutes")
    parser.add_argument("--treewide", action="store_true", help="only the changes of a whole tree")
    parser.add_argument(
        "--loop", nargs="?", const="", help="the check build and a plain loop, as for `check --patches`"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    chosen(args)
    found = []
    with tempfile.TemporaryDirectory(prefix="patchbot-bench-", dir=os.environ.get("TMPDIR")) as name:
        place = Path(name)
        (place / "gitconfig").write_text("[user]\n\tname = A Developer\n\temail = developer@example.org\n")
        env = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": str(place / "gitconfig"),
            "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(Path("~/.cache/ccache").expanduser())),
        }
        if args.loop is not None:
            _, check, _, loop = (
                show(row) for row in compared(args, place, {**env, "XDG_CACHE_HOME": str(place / "c")})
            )
            print(f"ratio {check.seconds / loop.seconds:.2f} wall, {check.cpu / loop.cpu:.2f} CPU")
            return 0
        for cache, rows in plans(args, place):
            env["XDG_CACHE_HOME"] = str(cache)
            for row in rows:
                measured = measure(row.name, row.argv, env, place / "log", row.goal)
                found.append(replace(measured, floor=row.floor()))
                if not args.json:
                    print(table_row(found[-1]), flush=True)
        if args.json:
            print(json.dumps([asdict(row) for row in found], indent=1))
        elif any(row.code not in (0, 1) for row in found):
            print((place / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
    return int(any(row.code not in (0, 1) for row in found))


def show(row: Measured) -> Measured:
    """Print a line of the table."""
    print(table_row(row), flush=True)
    return row


def table_row(row: Measured) -> str:
    """Return a line of the table."""
    floor = f"   at least {row.floor:.1f} s" if row.floor else ""
    goal = f"   goal {row.goal:.3g} s" if row.goal else ""
    return f"{row.name:26} {row.seconds:8.2f} s {row.cpu:8.2f} s CPU {row.mib:7.0f} MiB   exit {row.code}{floor}{goal}"


if __name__ == "__main__":
    sys.exit(main())
