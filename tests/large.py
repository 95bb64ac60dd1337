"""A repository with a series of any size, for tests and measurements of how the time grows with it.

A kernel in all that the engine looks at: folders of five files with two places to convert in each, and a MAINTAINERS as
long and as mixed as the kernel's, in which each folder has an owner. The campaign makes one patch for each owner.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinytree import commit

from patchbot.cli import main
from patchbot.commands import session
from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.model import Edit
from patchbot.run import run
from patchbot.series import maintainers, render
from patchbot.series.campaign import Audit, Campaign, Change, Context, Step
from patchbot.series.tree import Tree

#: The size that must be comfortable: 4,000 places in 2,000 files of 400 owners, and 3,300 sections of MAINTAINERS.
OWNERS = 400
SECTIONS = 3300
FILES_EACH = 5
TEMPLATE = "large: Convert what belongs to {{ owner }}\n\nConvert {{ count }} places of {{ owner }}.\n"
GIT = "git://git.kernel.org/pub/scm/linux/kernel/git"
CALL = re.compile(rb"\bold_call\((\w+)\)")
BODY = b"int first_%d(void)\n{\n\treturn old_call(a);\n}\n\n%bint second_%d(void)\n{\n\treturn old_call(b);\n}\n"
FILLER = b"".join(b"static int helper_%d(int x)\n{\n\treturn x + %d;\n}\n\n" % (n, n) for n in range(40))


def files(owners: int = OWNERS, sections: int = SECTIONS) -> dict[str, bytes]:
    """Return {path: bytes} of a kernel with five files of two places for each of `owners`."""
    found = {
        "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
        "MAINTAINERS": list_of(owners, sections),
    }
    for owner in range(owners):
        for number in range(FILES_EACH):
            found[f"{folder(owner)}/file{number}.c"] = BODY % (owner, FILLER, number)
    return found


def folder(owner: int) -> str:
    """Return the folder of an owner; they lie at several depths, as those of drivers do."""
    return f"drivers/area{owner % 20}/dev{owner}" if owner % 4 else f"sound/soc/area{owner % 20}/dev{owner}"


def list_of(owners: int, sections: int) -> bytes:
    """Return MAINTAINERS: the owners among other entries, with every kind of pattern that the kernel's has."""
    entries = []
    for owner in range(owners):
        tree = f"T:\tgit {GIT}/area/area{owner % 20}-next.git\n"
        entries.append(f"DEVICE {owner:04}\nM:\tM <m{owner}@example.org>\nS:\tMaintained\n{tree}F:\t{folder(owner)}/\n")
    for other in range(sections - owners - 1):
        name = f"{other % 7}{other}"
        rows = [
            f"F:\tDocumentation/devicetree/bindings/area{other % 20}/other{name}.yaml",
            f"F:\tdrivers/area{other % 20}/other{name}*",
            f"F:\tinclude/linux/other{name}/",
        ]
        rows += [f"X:\tinclude/linux/other{name}/generated/"] if other % 30 == 0 else []
        rows += [f"N:\tother{name}[0-9]+"] if other % 30 == 1 else []
        rows += [f"F:\tarch/*/other{name}/"] if other % 30 == 2 else []
        entries.append(f"OTHER {other:04}\nM:\tO <o{other}@example.org>\nS:\tMaintained\n" + "\n".join(rows) + "\n")
    rest = "THE REST\nM:\tR <r@example.org>\nL:\tlinux-kernel@example.org\nS:\tBuried\nF:\t*\nF:\t*/\n"
    return "\n".join(["Maintainers List\n----------------\n", *sorted(entries), rest]).encode()


def calls(context: Context) -> Change:
    """Convert each old_call() to new_call()."""
    edits = []
    for path in context.tree.grep(["old_call"], ["*.c"]):
        for match in CALL.finditer(context.tree.read(path)):
            edits.append(Edit(path, match.start(), match.start() + 3, b"new", site=f"{path}:{match[1].decode()}"))
    return Change(tuple(edits))


def audit(tree: Tree, config: CampaignConfig) -> Audit:
    """Return every old_call() of a tree."""
    sites = {}
    for path in tree.grep(["old_call"], ["*.c"]):
        text = tree.read(path)
        for match in CALL.finditer(text):
            line = text.count(b"\n", 0, match.start()) + 1
            sites[f"{path}:{match[1].decode()}"] = ("change", f"{path}:{line}")
    return Audit({"entries": [], "counts": {"change": len(sites)}}, (), (), sites)


def sections_of(tree: Tree) -> tuple[maintainers.Section, ...]:
    """Return the entries of a tree's MAINTAINERS."""
    return maintainers.sections(tree.read("MAINTAINERS"))


def split(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make a patch for each owner."""
    entries = sections_of(context.base)
    return lambda edit: maintainers.owners(entries, edit.path)[0]


def words(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, object]:
    """Return the words of a message."""
    return {"owner": key, "count": len(edits)}


def target_of(tree: Tree, config: CampaignConfig, paths: Sequence[str]) -> str:
    """Return the tree that takes a change of these files."""
    return maintainers.target_of(sections_of(tree), *paths) or config.target


def owners_of(tree: Tree, paths: Sequence[str]) -> Sequence[str]:
    """Return the owners of these files."""
    entries = sections_of(tree)
    return sorted({name for path in paths for name in maintainers.owners(entries, path)})


def campaign(config: CampaignConfig) -> Campaign:
    """Return a campaign of one step that is split by owner."""
    step = Step("calls", "convert calls", calls, "calls.txt.j2", split, words, by_owner=True)
    return Campaign("large", "a large one", (step,), audit, target_of, owners_of, lambda tree: [], "large: A title")


def build(path: Path, owners: int = OWNERS, sections: int = SECTIONS) -> Repo:
    """Commit such a kernel to a new repository at `path`."""
    run(["git", "init", "-q", "--template=", "-b", "master", path])
    commit(path, "Linux 7.99", files(owners, sections))
    return Repo.open(path)


def install(place: Path, put: Callable[[Any, str, Any], None] = setattr) -> list[str]:
    """Make this campaign known to this process and return the arguments that choose it; its files go to `place`."""
    (place / "templates/large").mkdir(parents=True, exist_ok=True)
    (place / "templates/large/calls.txt.j2").write_text(TEMPLATE)
    (place / "large.toml").write_text('[campaigns.large]\ntarget = "large-next"\n')
    real = render.bundled
    put(render, "bundled", lambda name: place / name if name == "templates" else real(name))
    put(session, "load_campaign", campaign)
    render.environment.cache_clear()
    return ["large", "--kernel", str(place / "linux"), "--config", str(place / "large.toml")]


if __name__ == "__main__":  # large.py PLACE COMMAND ARGUMENT...
    sys.exit(main([sys.argv[2], *install(Path(sys.argv[1])), *sys.argv[3:]]))
