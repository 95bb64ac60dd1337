"""A small campaign for tests of the engine: it knows nothing of kfuncs, so the engine cannot either."""

import re

import pytest
from tinytree import commit

from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.model import Edit
from patchbot.run import run
from patchbot.series import render
from patchbot.series.campaign import Audit, Campaign, Change, Context, Step
from patchbot.series.tree import Tree

FILES = {
    "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "a/one.c": b"OLD x;\nkeep\nOLD y;\n",
    "b/two.c": b"OLD z;\n\xff\n",
    "c/three.c": b"nothing\n",
    "inc.h": b"#define NEW\n",
}
TEMPLATES = {
    "header.txt.j2": "sample: Add a header line\n\nThe header needs it.\n",
    "words.txt.j2": "sample: Convert {{ key }}\n\nConvert {{ count }} of them.\n",
}


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
    sites = {}
    for path in tree.grep(["OLD", "ASK"], ["*.c"]):
        for match in re.finditer(rb"(OLD|ASK) (\w)", tree.read(path)):
            fate = "change" if match[1] == b"OLD" else "refuse"
            sites[f"{path}:{match[2].decode()}"] = (fate, path)
    refused = tuple(f"{where}: {site} needs a decision" for site, (fate, where) in sites.items() if fate == "refuse")
    return Audit({"entries": [], "counts": {"change": len(sites)}}, refused, (), sites)


def campaign(split=lambda context, edits: lambda edit: edit.path, first=header) -> Campaign:
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
                lambda context, key, edits: {"key": key, "count": len(edits)},
                by_owner=True,
            ),
            Step("extra", "again", words, "header.txt.j2", optional=True),
        ),
        audit,
        lambda tree, config, paths: "a-next" if paths[0].startswith("a/") else "b-next",
        lambda tree, paths: sorted({p.split("/")[0].upper() for p in paths}),
        lambda tree: ["a/one.c"],
        "sample: A title",
    )


CONFIG = CampaignConfig("sample", "b-next")


@pytest.fixture(autouse=True)
def templates(tmp_path, monkeypatch):
    folder = tmp_path / "templates/sample"
    folder.mkdir(parents=True)
    for name, text in TEMPLATES.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(render, "bundled", lambda name: tmp_path / name)
    render.environment.cache_clear()
    yield
    render.environment.cache_clear()


def tree(tmp_path, changes=()) -> Tree:
    work = tmp_path / "linux"
    work.mkdir(parents=True, exist_ok=True)
    run(["git", "init", "-q", work])
    commit(work, "start", {**FILES, **dict(changes)})
    repo = Repo.open(work)
    return Tree(repo, repo.resolve("HEAD"))
