"""What the jobs of a run do when workers come, go and cannot go on; a few lines stand for dask's scheduler."""

import itertools
import random
from collections import deque

import pytest

from patchbot.checking.check import Item, load
from patchbot.checking.flow import STUCK, Flow, Sent
from patchbot.checking.tasks import Task
from patchbot.errors import ToolError, UserError
from patchbot.model import Status
from patchbot.workers import PATIENCE, RETRIES, Unfit

CHECK = '"""Build."""\ncheck = print\nEXCLUSIVE = True\nNEEDS = {"gcc": "gcc"}\n'
GCC = ["gcc"]


class Job:
    """What dask calls a future."""

    def __init__(self, task, workers):
        self.task, self.workers, self.status, self.key, self.error = task, workers, "pending", object(), None

    def exception(self):
        return self.error


class Scheduler:
    """Workers by address, what was sent, what ended, and what was cancelled."""

    def __init__(self, **workers):
        self.workers, self.jobs, self.ready, self.cancelled = workers, [], deque(), []
        self.given, self.gone = True, False

    def nthreads(self):
        if self.gone:
            raise OSError("closed")
        return dict.fromkeys(self.workers, 1)

    def processing(self):
        return {"w": [job.key for job in self.jobs]} if self.given else {}

    def cancel(self, jobs, force):
        self.cancelled += jobs

    def send(self, task, workers):
        self.jobs.append(Job(task, workers))
        return self.jobs[-1]

    def add(self, job):
        pass

    def has_ready(self):
        return bool(self.ready)

    def __next__(self):
        return self.ready.popleft()

    def meet(self, new):
        return {name: self.workers[name] for name in new}

    def end(self, job, error=None, status=""):
        job.status, job.error = status or ("error" if error else "finished"), error
        self.ready.append((job, None))


def offer(place, has=GCC):
    return {"has": has, "place": place}


@pytest.fixture
def flow(tmp_path):
    """Return (scheduler, flow) of some patches on some workers."""

    def made(count, exclusive=True, **workers):
        (tmp_path / "b.py").write_text(CHECK if exclusive else CHECK.replace("True", "False"))
        build = load("b", [tmp_path])
        items = [Item(f"p{n}", "", "", "", "", "", "", ("a.c",)) for n in range(count)]
        todo = [Task(build, (item,), "", list, (None,)) for item in items]
        own = Scheduler(**workers)
        flow = Flow(own, own, dict(workers), todo, send=own.send, meet=own.meet, take=lambda task, said: (task, []))
        assert list(flow.survey()) == []
        flow.fill(flow.places)
        return own, flow

    return made


def settled(own, flow, job, error=None, status=""):
    own.end(job, error, status)
    return list(flow.settle(flow.unsent(job), *next(own)))


def said(found):
    return [(one.items[0].id, result.status, result.reason) for one, results in found for result in results]


def test_a_place_that_cannot_go_on_is_left_alone_and_another_does_its_work(flow):
    own, flow = flow(4, a=offer("A"), b=offer("B"))
    first = own.jobs[0]
    assert first.workers == ["a"]
    assert settled(own, flow, first, Unfit("A", "A: only 3 MB are free")) == []
    assert list(flow.places) == ["B"]
    for job in own.jobs:
        if job in flow.sent:
            settled(own, flow, job)
            flow.fill(flow.places)
    assert [job.task.items[0].id for job in own.jobs if job.workers == ["b"]][-1] == "p0"
    assert flow.left() == []


def test_where_no_place_can_go_on_each_patch_says_why(flow):
    own, flow = flow(3, a=offer("A"))
    for job in list(flow.sent):
        settled(own, flow, job, Unfit("A", "A: only 3 MB are free"))
    why = "the cluster gave no result: A: only 3 MB are free"
    assert sorted(said(flow.survey())) == [(f"p{n}", Status.ERROR, why) for n in range(3)]
    assert flow.left() == []


def test_a_patch_whose_worker_dies_again_and_again_is_given_up_and_what_waited_behind_it_is_not(flow):
    own, flow = flow(2, w0=offer("0"))
    found = []
    for number in range(1, RETRIES + 2):
        own.workers = {f"w{number}": offer(str(number))}
        found += flow.survey()
        flow.fill(flow.places)
    assert said(found) == [
        ("p0", Status.ERROR, f"the cluster gave no result: {RETRIES + 1} workers died while they did it")
    ]
    assert [one.items[0].id for one in flow.left()] == ["p1"]


def test_a_run_that_nobody_can_go_on_with_ends_after_a_while_and_not_before(flow):
    own, flow = flow(2, a=offer("A"))
    own.workers = {"b": offer("B", [])}
    assert list(flow.survey()) == []
    flow.helpless -= PATIENCE + 1
    with pytest.raises(ToolError, match=r"no worker that has gcc is left; the results so far are kept, and the same"):
        list(flow.survey())
    own.workers["c"] = offer("C")
    assert list(flow.survey()) == []
    flow.fill(flow.places)
    assert own.jobs[-1].workers == ["c"]


def test_what_no_worker_was_given_is_sent_again_after_a_while_and_not_before(flow):
    own, flow = flow(1, exclusive=False, a=offer("A"))
    own.given = False
    (job,) = flow.sent
    assert list(flow.survey()) == []
    assert job in flow.sent
    flow.sent[job] = Sent(job.task, "", "", flow.sent[job].since - STUCK - 1)
    assert list(flow.survey()) == []
    flow.fill(flow.places)
    assert own.cancelled == [job]
    assert [one.task for one in own.jobs] == [job.task, job.task]


def test_what_is_sent_again_and_again_is_given_up(flow):
    own, flow = flow(1, exclusive=False, a=offer("A"))
    own.given, found = False, []
    for _ in range(int(PATIENCE / STUCK) + 1):
        (job,) = flow.sent
        flow.sent[job] = Sent(job.task, "", "", flow.sent[job].since - STUCK - 1)
        found += flow.survey()
        flow.fill(flow.places)
    (row,) = said(found)
    assert row[:2] == ("p0", Status.ERROR)
    assert flow.left() == []


def test_a_gone_scheduler_ends_the_run_and_so_does_a_worker_that_is_not_like_this_machine(flow):
    own, flow = flow(2, a=offer("A"))
    one, two = own.jobs
    with pytest.raises(UserError, match="install there"):
        settled(own, flow, one, UserError("install there what runs here"))
    with pytest.raises(ToolError, match=r"the scheduler is gone, or it began anew; the results so far are kept"):
        settled(own, flow, two, status="cancelled")
    own.gone = True
    with pytest.raises(ToolError, match=r"the scheduler is gone \(closed\)"):
        list(flow.survey())


def test_any_other_error_is_that_of_the_patch(flow):
    own, flow = flow(1, a=offer("A"))
    assert said(settled(own, flow, own.jobs[0], ValueError("bad"))) == [
        ("p0", Status.ERROR, "the cluster gave no result: ValueError: bad")
    ]


@pytest.mark.parametrize("seed", range(20))
def test_places_of_unlike_speed_seldom_leave_their_chain_and_none_waits_while_there_is_work(flow, seed):
    chance = random.Random(seed)
    speed = {"a": 1, "b": 1, "c": chance.choice([2, 5])}
    own, flow = flow(300, **{name: offer(name) for name in speed})
    done = {name: [] for name in speed}
    while flow.left():
        on_way = [job for job in own.jobs if job in flow.sent]
        waiting = len(flow.chains.left())
        assert {job.workers[0] for job in on_way} == set(speed) or waiting <= len(speed)
        (place,) = chance.choices(list(speed), speed.values())
        if mine := [job for job in on_way if job.workers == [place]]:
            done[place].append(int(mine[0].task.items[0].id[1:]))
            settled(own, flow, mine[0])
            flow.fill([place])
    assert sorted(itertools.chain(*done.values())) == list(range(300))
    left = sum(two != one + 1 for numbers in done.values() for one, two in itertools.pairwise(numbers))
    assert left <= 20, f"{left} of 297 times a bench went to a commit that is not the next one"
