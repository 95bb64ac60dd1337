"""Find configurations for lines that those of x86 do not reach: other architectures, and some that are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..c.conditions import conditions_at
from .arches import ARCHES, X86, Arch, homes, wishes_of
from .bench import Bench
from .benches import APART, lacks
from .coverage import Coverage
from .kbuild import ALLNO, ALLYES
from .kconfig import Kconfig, kconfig_of
from .marks import Mark
from .options import BuildOptions
from .toolchain import compiler_of

#: How many architectures are tried for the same lines, and how many configurations are made for a patch.
TRIED, MADE = 3, 6


class Farther:
    """What is known of the lines that are left."""

    def __init__(self, main: Bench, tree: str, options: BuildOptions, coverage: Coverage, log: Path) -> None:
        self.main, self.tree, self.options, self.coverage, self.log = main, tree, options, coverage, log
        self.kconfig: Kconfig = kconfig_of(main.scratch, main.steering(tree))
        self._needs: dict[str, list[str]] = {}

    def needs(self, path: str) -> list[str]:
        """Return the options that a file needs which no object showed."""
        if path not in self._needs:
            mine = not path.endswith(".h") and not path.startswith(APART)
            unseen = mine and path not in self.coverage.shown
            self._needs[path] = self.main.whole().switched_off(self.tree, path, self.log) if unseen else []
        return self._needs[path]

    def homes(self, mark: Mark) -> list[str]:
        """Return the folders of the architectures that can have a line."""
        above = conditions_at(self.coverage.sources[mark.path], mark.at)
        found = homes(mark.path, above, self.kconfig)
        return [f for f in found if all(self.kconfig.can_be(symbol, f)[0] for symbol in self.needs(mark.path))]

    def architectures(self) -> Iterator[Bench]:
        """Yield a bench for each architecture that has lines which x86 cannot have, most of them first."""
        tried: Counter[Mark] = Counter()
        done = {X86.folder}
        while True:
            wanted = {mark: found for mark in self.coverage.left if X86.folder not in (found := self.homes(mark))}
            votes = Counter(f for mark, found in wanted.items() for f in found if f not in done and tried[mark] < TRIED)
            if not votes:
                break
            folder = min(votes, key=lambda f: (bool(lacks(self.options, f)), -votes[f], f))
            done.add(folder)
            marks = [mark for mark, found in wanted.items() if folder in found]
            if why := lacks(self.options, folder):
                self.coverage.elsewhere |= {
                    m: f"for {folder}: {why}" for m in marks if m not in self.coverage.elsewhere
                }
            else:
                tried.update(marks)
                yield self.bench(ARCHES[folder])
        self.coverage.elsewhere = {m: why for m, why in self.coverage.elsewhere.items() if not tried[m]}

    def bench(self, arch: Arch) -> Bench:
        """Return the bench of allyesconfig of an architecture."""
        other = self.main if arch == X86 else self.main.beside(compiler_of(self.options, arch))
        return other.whole(ALLYES)

    def made(self) -> Iterator[Bench]:
        """Yield benches of configurations in which some of the lines that are left should be."""
        done: list[tuple[str, Mapping[str, str]]] = []
        while len(done) < MADE:
            todo = [w for mark in sorted(self.coverage.left) if (w := self._wishes(mark)) and w not in done]
            if not todo:
                return
            folder, wishes = todo[0]
            done.append(todo[0])
            whole = self.bench(ARCHES[folder])
            here = self.kconfig.wanted(wishes)
            off = {symbol: value for symbol, value in here.items() if value == "n"}
            yield whole.made(ALLYES, {**off, **wishes})
            if any(self._wishes(mark) == (folder, wishes) for mark in self.coverage.left):
                yield whole.made(ALLNO, here)

    def _wishes(self, mark: Mark) -> tuple[str, Mapping[str, str]] | None:
        """Return the options that a line needs, and an architecture that can have them; None if it needs none."""
        wishes = dict.fromkeys(self.needs(mark.path), "y")
        wishes |= wishes_of(conditions_at(self.coverage.sources[mark.path], mark.at))
        here = [folder for folder in self.homes(mark) if not lacks(self.options, folder)] if wishes else []
        known = [folder for folder in here if folder in ARCHES]
        return (known[0], wishes) if known else None
