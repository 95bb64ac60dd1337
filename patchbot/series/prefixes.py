"""Find the start of a subject, such as `net: phy`, as those write it who work on the files of a patch.

A campaign's table counts first, then what the last draft had, so that no patch changes its name when the base moves;
then the history of the files, and where that says nothing (a base that was imported, a shallow clone), their path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby
from os.path import commonpath
from pathlib import PurePosixPath

from ..git.history import touched
from ..progress import tick
from .tree import Tree

#: Folders that say nothing in a subject.
PLAIN = ("drivers", "include", "include/linux", "kernel", "arch")
#: How many commits are looked at: what the kernel takes in a release.
HISTORY = 15_000
#: How many commits of a file, or of its folder, count; a file with fewer than LEAST has its folder asked as well.
COUNTED = 20
LEAST = 3
#: A commit of more files than this is about none of them.
WIDE = 50
START = re.compile(r"(?:\[[\w /.-]{1,20}\] ?)?((?:[\w./+{},&*@-]+(?: [\w./+&-]+)?: )(?:[\w./+{},&*@-]+: )*)", re.A)
#: What a subject may begin with that names no part of the kernel.
NOTHING = re.compile(r"(?:tree-?wide|revert|reapply|merge|cocci(?:nelle|check)?|checkpatch|(?:bug)?fix)\b", re.I)


def prefixes(tree: Tree, wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return {name: prefix} of patches of which each touches some files."""
    found = from_history(tree, {path for paths in wanted.values() for path in paths}) if wanted else {}
    return {
        name: majority(found[path] for path in paths if path in found) or from_path(paths)
        for name, paths in wanted.items()
    }


def from_history(tree: Tree, paths: set[str]) -> dict[str, str]:
    """Return {file: the prefix of most of the last commits that touch it or its folder}, without those unknown."""
    folders, missing = {parent(path) for path in paths}, set(paths)
    votes: dict[str, list[str]] = {}
    for subject, names in touched(tree.repo, tree.commit, HISTORY):
        tick("who writes which subject")
        start = start_of(subject)
        if not start or len(names) > WIDE:
            continue
        for name in {*(paths.intersection(names)), *folders.intersection(map(parent, names))}:
            votes.setdefault(name, []).append(start)
            if len(votes[name]) == COUNTED:
                missing.discard(name)
        if not missing:
            break
    found = {}
    for path in paths:
        mine = votes.get(path, [])[:COUNTED]
        if len(mine) < LEAST:
            mine = mine + votes.get(parent(path), [])[:COUNTED]
        if start := majority(mine):
            found[path] = start
    return found


def parent(path: str) -> str:
    """Return the folder of a file, with a slash at its end, so that it is no file's name."""
    return f"{path.rpartition('/')[0]}/"


def start_of(subject: str) -> str:
    """Return the prefix of a subject, "" if it has none that says where a change is."""
    match = START.match(subject)
    if not match or NOTHING.match(match[1]) or len(match[1]) > 60:
        return ""
    return match[1].removesuffix(": ")


def majority(starts: Iterable[str]) -> str:
    """Return the longest start, by its parts, that more than half of some prefixes have; "" if there is none."""
    rows = list(starts)
    counts = Counter(start for row in rows for start in accumulate(row.split(": "), "{}: {}".format))
    usual = [start for start, count in counts.items() if count * 2 > len(rows)]
    return max(usual, key=lambda start: start.count(": "), default="")


def from_path(paths: Sequence[str]) -> str:
    """Return the prefix of a patch of some files by what folder they have in common."""
    if len(paths) == 1:
        place = re.sub(r"\.\w+$", "", paths[0])
    else:
        place = commonpath([str(PurePosixPath(path).parent) for path in paths])
        if not place or place in PLAIN:
            return without_common(paths)
    for folder in PLAIN:
        place = place.removeprefix(f"{folder}/")
    # A path is longer than a subject has room for, and often says a name twice.
    parts = [part for part, _ in groupby(place.split("/"))]
    return ": ".join(parts[:1] + parts[1:][-2:])


def without_common(paths: Sequence[str]) -> str:
    """Return the prefix of a patch of files without a common folder, headers aside where there are others."""
    sources = [path for path in paths if not path.startswith(("include/", "Documentation/"))] or list(paths)
    folders = Counter(str(PurePosixPath(path).parent) for path in sources)
    folder, count = max(sorted(folders.items()), key=lambda row: row[1])
    if count * 2 > len(sources) and folder not in (".", *PLAIN):
        return from_path([f"{folder}/a", f"{folder}/b"])
    names = sorted({from_path([path]).partition(": ")[0] for path in sources})
    return ", ".join(names) if len(names) == 2 else "treewide"


def told_apart(start: str, groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return {name: prefix} of patches of some files each that would all have the prefix `start`.

    What they touch below their common folder is added, as deep as it takes; nothing where they touch the same there.
    """
    top = commonpath([str(PurePosixPath(path).parent) for paths in groups.values() for path in paths])
    below = {name: [PurePosixPath(path).relative_to(top) for path in paths] for name, paths in groups.items()}
    labels: dict[str, str] = {}
    for depth in range(1, 1 + max(len(path.parts) for paths in below.values() for path in paths)):
        labels = {}
        for name, paths in below.items():
            first, *others = [PurePosixPath(*row).stem for row in sorted({path.parts[:depth] for path in paths})]
            labels[name] = f"{first}{',' if len(others) == 1 else ' to'} {others[-1]}" if others else first
        if len({*labels.values()}) == len(labels):
            break
    return {name: f"{start}: {label}" for name, label in labels.items()}
