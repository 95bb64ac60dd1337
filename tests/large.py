"""A repository with a series of any size, for tests and measurements of how the time grows with it.

A kernel in all that the engine looks at: folders of five files with two places to convert in each, and a MAINTAINERS as
long and as mixed as the kernel's, in which each folder has an owner. The campaign makes one patch for each owner.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tinytree import TESTS, commit

from patchbot.cli import main
from patchbot.git.repo import Repo
from patchbot.run import run

#: The size that must be comfortable: 4,000 places in 2,000 files of 400 owners, and 3,300 sections of MAINTAINERS.
OWNERS = 400
SECTIONS = 3300
FILES_EACH = 5
FOLDER = TESTS / "outside/large"
GIT = "git://git.kernel.org/pub/scm/linux/kernel/git"
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


def build(path: Path, owners: int = OWNERS, sections: int = SECTIONS) -> Repo:
    """Commit such a kernel to a new repository at `path`."""
    run(["git", "init", "-q", "--template=", "-b", "master", path])
    commit(path, "Linux 7.99", files(owners, sections))
    return Repo.open(path)


def install(place: Path) -> list[str]:
    """Write patchbot.toml to `place` and return the arguments that choose it and the kernel beside it."""
    (place / "large.toml").write_text(f'[campaigns.large]\npath = "{FOLDER}"\ntarget = "large-next"\n')
    return ["large", "--kernel", str(place / "linux"), "--config", str(place / "large.toml")]


if __name__ == "__main__":  # large.py PLACE COMMAND ARGUMENT...
    sys.exit(main([sys.argv[2], *install(Path(sys.argv[1])), *sys.argv[3:]]))
