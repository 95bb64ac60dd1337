"""Read what the last commits of a history say they are about: their subjects, and the files that each touches.

Whole histories are a million commits long, so only the newest are read, a fixed number: the same commits give the same
answer, on any machine. What a shallow or partial clone lacks is not there, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator

from .objects import Objects

#: How many commits are read at a time: whoever has heard enough stops.
CHUNK = 1000


def touched(repo: Objects, tip: str, most: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the subject of each of the newest commits, without merges, and the files that it touches, newest first."""
    asked = repo.look("rev-list", "--no-merges", f"-n{most}", tip, check=False).stdout.decode().split()
    for start in range(0, len(asked), CHUNK):
        stdin = "".join(f"{sha}\n" for sha in asked[start : start + CHUNK]).encode()
        # The \1 begins a commit: without it nothing tells a subject from a path.
        argv = ("diff-tree", "--stdin", "-r", "-z", "--name-only", "--no-renames", "--format=%x01%s%x00")
        said = repo.look(*argv, stdin=stdin, check=False).stdout.decode("utf-8", "replace")
        for row in said.split("\1")[1:]:
            subject, *paths = row.split("\0")
            yield subject, [path.removeprefix("\n") for path in paths if path.strip("\n")]
