"""Keep the workers of a cluster at work on the tasks of a run, and see who comes, who is gone and who cannot go on.

Few jobs are on their way at a time, so that the death of a worker says something about what it did, and not about what
waited. A chain of patches stays on its place (see chains.py) and is never taken from a worker that lives: a build that
has to begin anew costs more than a worker that waits.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ToolError, UserError
from ..model import Result, Status
from ..workers import LOOK, PATIENCE, RETRIES, Unfit, arrived, lost
from .chains import Chains
from .check import Check, Outcome
from .tasks import Task, result_of

#: Seconds after which a job that no worker was given is sent again.
STUCK = 5.0
#: How many jobs are on their way to a bench, and to each thread: the next one must not wait for this machine.
AHEAD = 2
DIED = f"{RETRIES + 1} workers died while they did it"
#: What a worker offers: its programs ("has"), and where its benches are ("place"), which others may share.
Offers = dict[str, Mapping[str, Any]]
Found = tuple[Task, list[Result]]


@dataclass(frozen=True)
class Sent:
    """A task on its way since a time; `worker` and `place` are where it has to run, "" for anywhere."""

    task: Task
    worker: str
    place: str
    since: float


class Flow:
    """The tasks of a run on a cluster.

    `send` submits a task to one of some workers (None for any), `meet` says what new ones offer, `take` makes results
    of what a job returned.
    """

    def __init__(
        self,
        client: Any,
        completed: Any,
        offers: Offers,
        todo: Sequence[Task],
        *,
        send: Callable[[Task, list[str] | None], Any],
        meet: Callable[[Sequence[str]], Offers],
        take: Callable[[Task, str], Found],
    ) -> None:
        self.client, self.completed, self.offers = client, completed, offers
        self.send, self.meet, self.take = send, meet, take
        self.shunned: dict[str, Unfit] = {}
        self.sent: dict[Any, Sent] = {}
        self.busy: Counter[str] = Counter()
        self.deaths: Counter[tuple[Any, ...]] = Counter()
        self.waits: Counter[tuple[Any, ...]] = Counter()
        self.threads = len(offers)
        self.helpless = time.monotonic()
        self.crowd = deque(one for one in todo if not one.check.exclusive)
        self.take_stock()
        self.chains = Chains((one for one in todo if one.check.exclusive), self.places)

    def left(self) -> list[Task]:
        """Return what has not ended."""
        return [*(sent.task for sent in self.sent.values()), *self.crowd, *self.chains.left()]

    def __iter__(self) -> Iterator[Found]:
        """Yield each task with its results as it ends; raise ToolError if nothing can go on."""
        looked = 0.0
        while self.crowd or self.sent or self.chains.left():
            if time.monotonic() - looked > LOOK:
                yield from self.survey()
                looked = time.monotonic()
                self.fill(self.places)
            if (ended := arrived(self.completed)) and ended[0] in self.sent:
                sent = self.unsent(ended[0])
                yield from self.settle(sent, *ended)
                self.fill([sent.place] if sent.place in self.places else [])

    def take_stock(self) -> None:
        """Find out anew which places of benches can be used, and the programs there: somebody came, or went."""
        self.usable = {w: o for w, o in sorted(self.offers.items()) if o["place"] not in self.shunned}
        self.places = {o["place"]: frozenset(o["has"]) for o in self.usable.values()}
        self.fit: dict[str, list[str]] = {}

    def able(self, check: Check) -> list[str]:
        """Return the workers that can do a check."""
        if check.name not in self.fit:
            self.fit[check.name] = [worker for worker, offer in self.usable.items() if can(check, offer)]
        return self.fit[check.name]

    def fill(self, places: Sequence[str] | Mapping[str, Any]) -> None:
        """Send what some places can take, and what anybody can."""
        for place in sorted(places):
            while self.busy[place] < AHEAD and (one := self.chains.take(place, self.places[place], self.places)):
                worker = next(w for w in self.able(one.check) if self.offers[w]["place"] == place)
                self._send(one, worker, place)
        for _ in range(min(len(self.crowd), AHEAD * self.threads - self.busy[""])):
            self._send(self.crowd.popleft())

    def _send(self, task: Task, worker: str = "", place: str = "") -> None:
        workers = [worker] if worker else self.able(task.check) if self.shunned else None
        future = self.send(task, workers)
        self.sent[future] = Sent(task, worker, place, time.monotonic())
        self.busy[place] += 1
        self.completed.add(future)

    def unsent(self, future: Any) -> Sent:
        """Return what is no longer on its way."""
        sent = self.sent.pop(future)
        self.busy[sent.place] -= 1
        return sent

    def settle(self, sent: Sent, future: Any, said: Any) -> Iterator[Found]:
        """Yield the results of what ended; raise UserError where a worker is not like this machine."""
        if future.status == "finished":
            yield self.take(sent.task, said)
            return
        if future.status != "error":  # nobody here did that
            raise ToolError(lost("the scheduler is gone, or it began anew"))
        error = future.exception()
        if isinstance(error, UserError):
            raise error
        if isinstance(error, Unfit):
            self.shunned[error.place] = error
            self.take_stock()
            self.again(sent)
        else:
            died = type(error).__name__ == "KilledWorker"  # its text is about dask's tasks
            yield failed(sent.task, DIED if died else f"{type(error).__name__}: {error}")

    def again(self, sent: Sent) -> None:
        """Let somebody else do a task."""
        if sent.place:
            self.chains.back(sent.task, sent.place)
        else:
            self.crowd.appendleft(sent.task)

    def survey(self) -> Iterator[Found]:
        """See who is there; yield what cannot be done. Raise ToolError if nobody has been able to go on for long."""
        try:
            there = self.client.nthreads()
            self.offers = {worker: offer for worker, offer in self.offers.items() if worker in there}
            if new := sorted(set(there) - set(self.offers)):
                self.offers |= self.meet(new)
            self.take_stock()
        except UserError:
            raise
        except Exception as error:
            raise ToolError(lost(f"the scheduler is gone ({error})")) from error
        self.threads = sum(there.values())
        hit, back = set(), []
        for future, sent in list(self.sent.items()):
            if not sent.worker or sent.worker in there:
                continue
            self.unsent(future)
            self.client.cancel([future], force=True)
            # What waited behind another job on the worker is not the reason.
            self.deaths[tuple(sent.task.parts)] += sent.worker not in hit
            hit.add(sent.worker)
            if self.deaths[tuple(sent.task.parts)] > RETRIES:
                yield failed(sent.task, DIED)
            else:
                back.append(sent)
        for sent in reversed(back):  # so that the first one is again the first of its chain
            self.again(sent)
        yield from self.send_again()
        yield from self.impossible()

    def send_again(self) -> Iterator[Found]:
        """Send what no worker was given: dask does not look again when a new one says, after it came, what it has."""
        given = {key for keys in self.client.processing().values() for key in keys}
        for future, sent in list(self.sent.items()):
            old = time.monotonic() - sent.since > STUCK
            if old and future.status == "pending" and future.key not in given:
                self.unsent(future)
                self.client.cancel([future], force=True)
                self.waits[tuple(sent.task.parts)] += 1
                if self.waits[tuple(sent.task.parts)] * STUCK > PATIENCE:
                    yield failed(sent.task, f"it was with no worker for {PATIENCE} s, or an answer could not be sent")
                else:
                    self.again(sent)

    def impossible(self) -> Iterator[Found]:
        """Yield what nobody can do because of a worker that cannot go on; raise ToolError if all wait for somebody."""
        for one in self.crowd, *(chain.tasks for chain in self.chains.all()):
            for task in [task for task in one if not self.able(task.check)]:
                if whys := [str(why) for why in self.shunned.values()]:
                    one.remove(task)
                    yield failed(task, "; ".join(whys))
        if any(self.able(task.check) for task in self.left()):
            self.helpless = time.monotonic()
        elif self.left() and time.monotonic() - self.helpless > PATIENCE:
            programs = sorted({tool for task in self.left() for tool in task.check.needs})
            what = f" that has {', '.join(programs)}" if programs else ""
            raise ToolError(lost(f"no worker{what} is left"))


def can(check: Check, offer: Mapping[str, Any]) -> bool:
    """Say whether a worker has what a check needs."""
    return set(check.needs) <= set(offer["has"])


def failed(task: Task, why: str) -> Found:
    """Return a task for which there is no result."""
    none = Outcome(Status.ERROR, reason=f"the cluster gave no result: {why}")
    return task, [result_of(task.check, item, none, 0.0) for item in task.items]
