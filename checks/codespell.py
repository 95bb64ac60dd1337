"""codespell knows none of the words that a patch adds, to files and to its message, as misspelt.

checkpatch looks for the 1,700 misspellings of the tree's scripts/spelling.txt; codespell's own list is larger. Words of
a file that were misspelt before are not findings.

Option: ignore (words that are right, in small letters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, placed
from patchbot.config import fit
from patchbot.errors import ToolError
from patchbot.git.commits import read_commit
from patchbot.model import Finding
from patchbot.shapes import Text

NEEDS = {"codespell": "codespell"}

#: Where the message lies; codespell takes these others for its own configuration.
MESSAGE = "patchbot-message"
CONFIGURES = ("setup.cfg", ".codespellrc", "pyproject.toml", MESSAGE)


@dataclass(frozen=True)
class Options:
    """[checks.codespell]."""

    ignore: tuple[Text, ...] = ()


OPTIONS = Options


def key(subject: Subject, item: Item) -> str:
    """Return the files, the message, and codespell."""
    message = read_commit(subject.scratch, item.commit).message
    return key_of(subject, item, item.files, message, dict(subject.options), programs=tuple(NEEDS))


def check(subject: Subject, item: Item) -> Outcome:
    """Spell the touched files and the message."""
    files = [path for path in item.files if path not in CONFIGURES]
    return compare(subject, item, "codespell", files, spell)


def spell(side: Side) -> Iterator[Finding]:
    """Yield the misspelt words of one side."""
    options = fit("patchbot.toml", "checks.codespell", side.subject.options, Options)
    names = side.names
    if side.after:
        (side.place / MESSAGE).write_text(read_commit(side.subject.scratch, side.item.commit).message)
        names.append(MESSAGE)
    ignored = ["-L", ",".join(options.ignore)] if options.ignore else []
    said = side.run(["codespell", "--check-hidden", "--count", *ignored, *names], allowed=range(256))
    found = list(placed(said, "spelling"))
    if str(len(found)) not in said.split("\n"):  # its exit status is that number, too, up to 255
        raise ToolError(f"codespell does not say that it found {len(found)} words; see {side.log}")
    yield from (replace(f, file=None, line=None) if f.file == MESSAGE else f for f in found)
