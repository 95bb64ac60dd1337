"""Compile what the check `build` compiled as a person would: check out each patch, make its objects, read nothing.

The commands are those that the check prints to repeat it: the same configurations, the same objects of each patch, one
work tree, and one output folder for each configuration. The base first gets all objects that any of the patches has,
since there has to be something to compare with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: `make O=out-x86 ... W=1 a.o b.o` and the like for an external module, as benches.make_lines() spells it.
GOALS = re.compile(r"(make O=.* W=1(?: M=\S+)?) (.*)")


def script(report: Path, repo: Path, tree: Path) -> str:
    """Return a shell script, given the JSON of `patchbot check --only build` and a place for a work tree."""
    text = report.read_text()
    found = json.loads(text[text.index("{") :])
    return "\n".join(["set -x", *commands(found, repo, tree)]) + "\n"


def commands(found: dict[str, Any], repo: Path, tree: Path) -> Iterator[str]:
    """Yield the commands; what does not compile does not stop them."""
    patches = {row["commit"]: row["reproduce"].split(" && ")[2:] for row in found["results"] if row["reproduce"]}
    lines = list(dict.fromkeys(line for rows in patches.values() for line in rows))
    yield f"git -C {repo} worktree add -q --detach {tree} {found['base']}"
    yield f"cd {tree}"
    yield from (line for line in lines if "KCONFIG_ALLCONFIG=" in line)
    goals: dict[str, set[str]] = {}
    for match in filter(None, map(GOALS.fullmatch, lines)):
        goals.setdefault(match[1], set()).update(match[2].split())
    yield from (f"{head} {' '.join(sorted(names))}" for head, names in goals.items())
    for commit, rows in patches.items():
        yield f"git checkout -q {commit}"
        yield from (line for line in rows if "KCONFIG_ALLCONFIG=" not in line)
