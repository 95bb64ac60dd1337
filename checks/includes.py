"""No patch makes headers include each other in a circle, or a file include another one twice.

The tree's own scripts say what is included: headerdep.pl for the headers below include/ (and from there on in all that
these include), checkincludes.pl for the files that a patch touches. A circle is new if an #include that closes it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, of_base, reached
from patchbot.model import Finding, Status

NEEDS = {"perl": "perl"}
OPTIONS = ()

CIRCLES, TWICE = "scripts/headerdep.pl", "scripts/checkincludes.pl"
#: Where headers are found by their names, in this order.
FOLDERS = ("include", "include/uapi")
INCLUDE = re.compile(rb"^#[ \t]*include[ \t]*<([^>\n]+)>", re.M)
EDGE = re.compile(r"^\t(\S+) -> (\S+);$", re.M)
DOUBLE = re.compile(r"^(\S[^:\n]*): (\S+) is included more than once\.$", re.M)


def touched(item: Item) -> list[str]:
    """Return the files that may include others."""
    return [path for path in item.files if path.endswith((".c", ".h", ".S"))]


def key(subject: Subject, item: Item) -> str:
    """Return the files, all headers, the scripts and perl."""
    return key_of(subject, item, [*touched(item), *FOLDERS], programs=tuple(NEEDS), own=(CIRCLES, TWICE))


def check(subject: Subject, item: Item) -> Outcome:
    """Look for circles and repetitions."""
    scripts = of_base(subject, CIRCLES, TWICE)
    if touched(item) and len(scripts) < 2:
        return Outcome(Status.SKIP, reason=f"{subject.base[:12]} lacks {CIRCLES} or {TWICE}")

    def needed(tree: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
        headers = {path: data for path, data in files.items() if path.startswith("include/")}
        return {**reached(subject, tree, headers, included), **scripts}

    return compare(subject, item, "includes", touched(item), look, needed=needed)


def included(path: str, data: bytes) -> Iterator[str]:
    """Yield where the headers may be that a file includes."""
    for name in INCLUDE.findall(data):
        yield from (f"{folder}/{name.decode('utf-8', 'replace')}" for folder in FOLDERS)


def look(side: Side) -> Iterator[Finding]:
    """Yield the repetitions and the circles of one side."""
    for file, header in DOUBLE.findall(side.run(["perl", TWICE, *side.names])):
        yield Finding(Status.WARN, f"{header} is included more than once", file.removeprefix("./"), type="twice")
    headers = [path for path in sorted(side.files) if path.startswith("include/")]
    if headers:
        folders = [word for folder in FOLDERS for word in ("-I", folder)]
        said = side.run(["perl", CIRCLES, "--graph", *folders, *headers])
        yield from circles(said, side.files)


def circles(graph: str, files: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield a finding for each #include of some headers that closes a circle, in the graph of headerdep.pl."""
    below: dict[str, set[str]] = {}
    for one, other in EDGE.findall(graph):
        below.setdefault(one, set()).add(other)
    for path in sorted(files):
        name = re.sub(r"^(?:include/uapi|include)/", "", path)
        for match in INCLUDE.finditer(files[path]):
            other = match[1].decode("utf-8", "replace")
            if name != path and mangled(name) in reachable(below, mangled(other)):
                text = f"a circle: {name} includes {other}, which includes {name}"
                line = files[path].count(b"\n", 0, match.start()) + 1
                yield Finding(Status.WARN, text, path, line, "circle")


def mangled(name: str) -> str:
    """Return what headerdep.pl calls a header in its graph."""
    return re.sub(r"[./-]", lambda m: "__" if m[0] == "/" else "_", name)


def reachable(below: Mapping[str, set[str]], start: str) -> set[str]:
    """Return a header and all that it includes, by whatever way."""
    seen, todo = {start}, [start]
    while todo:
        new = below.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen
