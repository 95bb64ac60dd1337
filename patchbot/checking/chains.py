"""Say what goes to which place next, where builds are incremental: patches one after the other, and no place idle.

A chain is a run of patches of one check. It is divided among the places that can do it. One that has nothing left takes
the second half of the longest chain, and a chain whose place is gone waits for the next one that is free.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .tasks import Task


@dataclass
class Chain:
    """Tasks of one check in order; `place` is who does them, "" for nobody."""

    place: str
    tasks: list[Task]


class Chains:
    """What is left to do; places are names."""

    def __init__(self, todo: Iterable[Task], places: Mapping[str, Collection[str]]) -> None:
        """Divide tasks among places, of which each has some programs."""
        by_check: dict[str, list[Task]] = {}
        for one in todo:
            by_check.setdefault(one.check.name, []).append(one)
        self.by_place: dict[str, list[Chain]] = {}
        for tasks in by_check.values():
            for chain in divided(tasks, places):
                self.by_place.setdefault(chain.place, []).append(chain)

    def all(self) -> Iterator[Chain]:
        """Yield the chains, also those of which nothing is left."""
        return (chain for chains in self.by_place.values() for chain in chains)

    def left(self) -> list[Task]:
        """Return what nobody took yet."""
        return [one for chain in self.all() for one in chain.tasks]

    def take(self, place: str, has: Collection[str], places: Collection[str]) -> Task | None:
        """Return the next task for a place with some programs, None if there is none; `places` are those alive."""
        mine = self.by_place.setdefault(place, [])
        own = next((chain for chain in mine if chain.tasks and able(chain.tasks, has)), None)
        if own is None:
            fit = [chain for chain in self.all() if chain.tasks and able(chain.tasks, has)]
            if free := [chain for chain in fit if chain.place not in places]:
                own = max(free, key=length)
                self.by_place[own.place].remove(own)
                own.place = place
                mine.append(own)
            elif (longest := max(fit, key=length, default=None)) and length(longest) > 1:
                middle = length(longest) // 2
                own = Chain(place, longest.tasks[middle:])
                del longest.tasks[middle:]
                mine.append(own)
        return own.tasks.pop(0) if own else None

    def back(self, task: Task, place: str) -> None:
        """Take back a task that a place did not do; it is the next one of what that place did."""
        mine = self.by_place.setdefault(place, [])
        for chain in mine:
            if chain.tasks and chain.tasks[0].check.name == task.check.name:
                chain.tasks.insert(0, task)
                return
        mine.insert(0, Chain(place, [task]))


def able(tasks: Sequence[Task], has: Collection[str]) -> bool:
    """Say whether who has some programs can do a chain."""
    return set(tasks[0].check.needs) <= set(has)


def length(chain: Chain) -> int:
    """Return how much of a chain is left."""
    return len(chain.tasks)


def divided(tasks: list[Task], places: Mapping[str, Collection[str]]) -> list[Chain]:
    """Divide tasks of a check among the places that have what it needs, in runs of patches."""
    fit = [place for place in sorted(places) if able(tasks, places[place])] or [""]
    cuts = [number * len(tasks) // len(fit) for number in range(len(fit) + 1)]
    return [Chain(place, tasks[a:b]) for place, a, b in zip(fit, cuts, cuts[1:], strict=False)]
