"""The campaign of tests/outside/sample on a repository of a few files, for tests of the engine."""

from outside.sample import campaign as module
from tinytree import TESTS, commit

from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series.campaign import Campaign
from patchbot.series.tree import Tree

FOLDER = TESTS / "outside/sample"
CONFIG = CampaignConfig("sample", "b-next", path=FOLDER)
#: A patchbot.toml that has the campaign.
TOML = f'[campaigns.sample]\npath = "{FOLDER}"\ntarget = "b-next"\n'
FILES = {
    "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "a/one.c": b"OLD x;\nkeep\nOLD y;\n",
    "b/two.c": b"OLD z;\n\xff\n",
    "c/three.c": b"nothing\n",
    "inc.h": b"#define NEW\n",
}


def campaign(**changes) -> Campaign:
    return module.campaign(CONFIG, **changes)


def tree(tmp_path, changes=()) -> Tree:
    work = tmp_path / "linux"
    work.mkdir(parents=True, exist_ok=True)
    run(["git", "init", "-q", work])
    commit(work, "start", {**FILES, **dict(changes)})
    repo = Repo.open(work)
    return Tree(repo, repo.resolve("HEAD"))
