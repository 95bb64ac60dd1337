"""Find configurations for lines that those of x86 do not reach: other architectures, and some that are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

#: How many architectures are tried for the same lines.
TRIED = 3

#: An architecture's folder, with the options that lines need there: (symbol, y or n).
Wishes = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Plan:
    """A configuration that is made: for an architecture, from what, with which options, for lines with which wishes."""

    folder: str
    start: str
    options: Mapping[str, str]
    wishes: frozenset[tuple[str, str]]


@dataclass
class Plans:
    """The configurations that were made; once `settled` no other is. `most` limits how often lines are a reason."""

    most: int
    rows: list[Plan] = field(default_factory=list)
    settled: bool = False


class Farther:
    """What is known of the lines that are left."""

    def __init__(
        self, main: Bench, tree: str, options: BuildOptions, coverage: Coverage, plans: Plans, log: Path
    ) -> None:
        self.main, self.tree, self.options, self.coverage, self.log = main, tree, options, coverage, log
        self.plans = plans
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

    def architectures(self) -> Iterator[tuple[Bench, frozenset[Mark]]]:
        """Yield a bench for each architecture that has lines which x86 cannot have, and these, most of them first."""
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
                yield self.bench(ARCHES[folder]), frozenset(marks)
        self.coverage.elsewhere = {m: why for m, why in self.coverage.elsewhere.items() if not tried[m]}

    def bench(self, arch: Arch) -> Bench:
        """Return the bench of allyesconfig of an architecture."""
        other = self.main if arch == X86 else self.main.beside(compiler_of(self.options, arch))
        return other.whole(ALLYES)

    def made(self) -> Iterator[tuple[Bench, frozenset[Mark]]]:
        """Yield benches of configurations in which some of the lines that are left should be, and these lines."""
        for plan in self.plans.rows if self.plans.settled else self._planned():
            fit = (mark for mark in self.coverage.left if (w := self._wishes(mark)) and plan.wishes.issuperset(w[1]))
            if marks := frozenset(mark for mark in fit if plan.folder in self.homes(mark)):
                yield self.bench(ARCHES[plan.folder]).made(plan.start, plan.options), marks

    def _planned(self) -> Iterator[Plan]:
        """Yield plans, and keep them: first for as many lines as agree, then for what that did not reach."""
        tried: set[Wishes] = set()
        alone: set[Wishes] = set()
        for _ in range(self.plans.most):
            wanted = dict.fromkeys(w for mark in sorted(self.coverage.left) if (w := self._wishes(mark)))
            chosen = self._agreeing([w for w in wanted if w not in tried]) or [w for w in wanted if w not in alone][:1]
            if not chosen:
                return
            tried.update(chosen)
            alone.update(chosen if len(chosen) == 1 else [])
            folder = chosen[0][0]
            wishes = {symbol: value for _, pairs in chosen for symbol, value in pairs}
            here = self.kconfig.wanted(wishes)
            off = {symbol: value for symbol, value in here.items() if value == "n"}
            for start, options in ((ALLYES, {**off, **wishes}), (ALLNO, here)):
                self.plans.rows.append(Plan(folder, start, options, frozenset(wishes.items())))
                yield self.plans.rows[-1]

    def _agreeing(self, wanted: Sequence[Wishes]) -> list[Wishes]:
        """Return the first wishes, and those of the same architecture that contradict neither it nor each other."""
        chosen: list[Wishes] = []
        known: dict[str, str] = {}
        for wishes in wanted:
            needs = self.kconfig.wanted(dict(wishes[1]))
            if not chosen or (wishes[0] == chosen[0][0] and all(known.get(s, v) == v for s, v in needs.items())):
                chosen.append(wishes)
                known |= needs
        return chosen

    def _wishes(self, mark: Mark) -> Wishes | None:
        """Return an architecture that can have the options that a line needs, and these; None if it needs none."""
        if self.coverage.came_to(mark):
            return None
        wishes = dict.fromkeys(self.needs(mark.path), "y")
        wishes |= wishes_of(conditions_at(self.coverage.sources[mark.path], mark.at))
        here = [folder for folder in self.homes(mark) if not lacks(self.options, folder)] if wishes else []
        known = [folder for folder in here if folder in ARCHES]
        return (known[0], tuple(sorted(wishes.items()))) if known else None
