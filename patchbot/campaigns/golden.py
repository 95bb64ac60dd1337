"""Run the golden files of a campaign: tests/STEP/before must become tests/STEP/after, and stay so.

A second run on the result must make no edit, and the step's patches together must lose none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

from .. import temporary
from ..config import CampaignConfig
from ..errors import PatchbotError, UserError
from ..git import small
from ..series.campaign import Campaign, Context, Step
from ..series.generate import split_step, verify
from ..series.tree import Tree
from . import load_campaign

TESTS = "tests"
#: What a tree has besides the files of a test.
TREE = {
    "Makefile": b"VERSION = 7\nPATCHLEVEL = 99\nSUBLEVEL = 0\nEXTRAVERSION =\n",
    "MAINTAINERS": b"THE REST\nL:\tlinux-kernel@vger.kernel.org\nF:\t*\nF:\t*/\n",
}


@dataclass(frozen=True)
class Failure:
    """What is wrong with a step, and the lines of a diff from what was wanted to what was made."""

    text: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class Golden:
    """The golden files of one step, in `folder`."""

    campaign: Campaign
    config: CampaignConfig
    step: Step
    folder: Path

    def __str__(self) -> str:
        """Return the name of the step."""
        return self.step.name

    def failures(self) -> list[Failure]:
        """Return what is wrong, [] if nothing is."""
        with temporary.folder("golden") as place:
            base = files(self.folder / "before")
            repo = small.make(place / "linux", {**TREE, **base})
            try:
                tree = Tree(repo, repo.resolve("HEAD"))
                return list(self._failures(tree, base, files(self.folder / "after")))
            except PatchbotError as error:
                return [Failure(str(error))]
            finally:
                repo.close()

    def check(self) -> None:
        """Raise AssertionError that shows all that is wrong."""
        if found := self.failures():
            raise AssertionError("\n".join(line for f in found for line in (f"{self}: {f.text}", *f.diff)))

    def _failures(self, tree: Tree, base: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> Iterator[Failure]:
        """Yield what is wrong on a tree."""
        context = self._context(tree)
        change = self.step.codemod(context)
        if not change.edits:
            yield Failure(f"the step edits nothing in {self.folder.name}/before")
        after = tree.edit(change.edits)
        for path in sorted(base.keys() | wanted.keys() | after.overlay.keys()):
            made = after.get(path)
            if path not in wanted and path in TREE and made == tree.get(path):
                continue
            if made != wanted.get(path):
                yield Failure(f"{path} is not as in {self.folder.name}/after", difference(path, wanted.get(path), made))
        if again := self.step.codemod(self._context(Tree(tree.repo, tree.commit, after.overlay))).edits:
            where = sorted({edit.path for edit in again})
            yield Failure(f"a second run still makes {len(again)} edits, in {', '.join(where[:5])}")
        verify(split_step(self.campaign, self.step, context, change.edits), tree, after)

    def _context(self, tree: Tree) -> Context:
        """Return what the step's codemod sees."""
        return Context(tree, tree, self.config, tuple(s.name for s in self.campaign.steps))


def golden(config: CampaignConfig) -> list[Golden]:
    """Return the golden files of a campaign, in the order of its steps; raise UserError where there are none."""
    campaign = load_campaign(config)
    config = replace(config, target=config.target or campaign.target)
    folder = (campaign.folder or Path(__file__).parent / config.name) / TESTS
    found = [Golden(campaign, config, s, folder / s.name) for s in campaign.steps if (folder / s.name).is_dir()]
    names = [step.name for step in campaign.steps]
    if odd := [p.name for p in sorted(folder.glob("*/before")) for p in [p.parent] if p.name not in names]:
        raise UserError(f"{folder / odd[0]}: there is no step {odd[0]!r}; there are {', '.join(names)}")
    if not found:
        raise UserError(f"{folder}: no golden files: before/ and after/ in a folder with the name of a step are such")
    for one in found:
        for part in ("before", "after"):
            if not (one.folder / part).is_dir():
                raise UserError(f"{one.folder}: it lacks the folder {part}")
    return found


def files(folder: Path) -> dict[str, bytes]:
    """Return {path: bytes} of the files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def difference(path: str, wanted: bytes | None, made: bytes | None) -> tuple[str, ...]:
    """Return the lines of a diff from what was wanted of a file to what was made; a file that is not there is empty."""
    one, two = ((text or b"").decode("utf-8", "surrogateescape").splitlines() for text in (wanted, made))
    names = [
        f"{what}/{path}" if text is not None else "/dev/null" for what, text in (("wanted", wanted), ("made", made))
    ]
    rows = tuple(unified_diff(one, two, names[0], names[1], lineterm=""))
    same = "(they differ in their line ends)" if wanted and made else f"({names[wanted is None]}: an empty file)"
    return rows or (same,)
