"""Fetch real kernels for the tests into patchbot's cache: `python tests/fetch_kernels.py newest 7.2 6.12`.

A version that is gone from Debian's archive is told and replaced by the newest there is; anything else that goes
wrong ends with exit code 1, after the other versions were tried.
"""

from __future__ import annotations

import sys

from patchbot.errors import PatchbotError
from patchbot.git.kernels import fetch
from patchbot.paths import cache_dir


def main(versions: list[str]) -> int:
    failed = 0
    for version in versions:
        try:
            kernel = fetch(None if version == "newest" else version, cache_dir(), say, refresh=version == "newest")
            print(f"{version}: Linux {kernel.version}, {kernel.tag} in {kernel.repo}")
        except PatchbotError as error:
            say(f"{version}: {error}")
            failed = 1
    return failed


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["newest"]))
