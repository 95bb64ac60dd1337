"""A small campaign as a person would have it: it knows nothing of kfuncs, so the engine cannot either."""

import re
from pathlib import Path

from patchbot.model import Edit
from patchbot.series.campaign import Audit, Campaign, Change, Context, Site, Step


def header(context: Context) -> Change:
    text = context.tree.read("inc.h")
    if b"ADDED" in text:
        return Change(())
    return Change((Edit("inc.h", len(text), len(text), b"#define ADDED\n", site="inc"),), remarks=("nothing left out",))


def words(context: Context) -> Change:
    edits = []
    for path in context.tree.grep(["OLD"], ["*.c"]):
        for match in re.finditer(rb"OLD (\w)", context.tree.read(path)):
            edits.append(Edit(path, match.start(), match.start() + 3, b"NEW", site=f"{path}:{match[1].decode()}"))
    return Change(tuple(edits))


def audit(tree, config) -> Audit:
    sites = []
    for path in tree.grep(["OLD", "ASK"], ["*.c"]):
        for match in re.finditer(rb"(OLD|ASK) (\w)", tree.read(path)):
            fate = "change" if match[1] == b"OLD" else "refuse"
            line = tree.read(path).count(b"\n", 0, match.start()) + 1
            sites.append(Site(f"{path}:{match[2].decode()}", path, line, fate, "needs a decision"))
    return Audit(tuple(sites), (), {"counts": {"change": len(sites)}})


def campaign(config, split=lambda context, edits: lambda edit: edit.path, first=header) -> Campaign:
    return Campaign(
        "sample",
        "a sample",
        (
            Step("header", "add a header line", first, "header.txt.j2"),
            Step(
                "words",
                "convert words",
                words,
                "words.txt.j2",
                split,
                lambda context, key, edits: {"key": key or "everything", "count": len(edits)},
                by_owner=True,
            ),
            Step("extra", "again", words, "header.txt.j2", optional=True),
        ),
        audit,
        lambda tree, config, paths: "a-next" if paths[0].startswith("a/") else "b-next",
        lambda tree, paths: sorted({p.split("/")[0].upper() for p in paths}),
        lambda tree: ["a/one.c"],
        "sample: A title",
        folder=Path(__file__).parent,
    )
