"""The table that a person looks at while checks run."""

import io
import re
from contextlib import closing
from dataclasses import replace

from patchbot.checking.check import Item, load
from patchbot.checking.live import SPARE, Grid, pick
from patchbot.checking.runner import Pace
from patchbot.checking.store import Results
from patchbot.checking.tasks import Task
from patchbot.model import Finding, Result, Status
from patchbot.progress import shown
from patchbot.terminal import Terminal

ITEMS = [Item(f"p{n}", f"{n:040x}", "", "", "", f"bpf: Do {n}", "", ("a.c",)) for n in range(1, 31)]
EVERY = [item.id for item in ITEMS]


def drawn(grid: Grid, height: int = 12, width: int = 60) -> list[str]:
    out = io.StringIO()
    Terminal(file=out, width=width, height=height, no_color=True).print(grid)
    return [re.sub(r" +", " ", line).strip() for line in out.getvalue().splitlines()]


def result(check: str, patch: str | None, status: Status = Status.PASS, **more) -> Result:
    return Result(check, patch, None, status, **more)


def test_a_row_shows_what_is_known_runs_and_waits():
    grid = Grid(ITEMS[:3])
    assert drawn(grid) == [""] or drawn(grid) == []
    todo = [("build", "p1"), ("build", "p2"), ("build", "p3"), ("btf", None)]
    grid.plan(["applies", "build", "btf"], todo, [result("applies", item.id, cached=True) for item in ITEMS[:3]])
    grid.begin([("build", "p1")])
    grid.begin([("build", "p2")])
    grid.end([result("build", "p1", Status.WARN)])
    assert drawn(grid) == [
        "applies build btf",
        "1 PASS= WARN . bpf: Do 1",
        "2 PASS= runs . bpf: Do 2",
        "3 PASS= . . bpf: Do 3",
        ". . . (the series)",
    ]


def test_no_terminal_is_too_low_and_what_happens_is_seen_first():
    grid = Grid(ITEMS)
    todo = [("build", patch) for patch in EVERY]
    grid.plan(["build"], todo, [])
    grid.end([result("build", patch, Status.FAIL if patch == "p3" else Status.PASS) for patch in EVERY[:20]])
    grid.begin([("build", "p21")])
    rows = drawn(grid, height=10)
    assert rows == [
        "build",
        "3 FAIL bpf: Do 3",
        "21 runs bpf: Do 21",
        "22 . bpf: Do 22",
        "23 . bpf: Do 23",
        "24 . bpf: Do 24",
        "and 25 more rows: 19 done, 6 to do",
    ]
    assert len(drawn(grid, height=1)) == 3


def test_what_runs_where_nobody_sees_it_is_not_done():
    grid = Grid(ITEMS)
    grid.plan(["build"], [("build", patch) for patch in EVERY], [])
    grid.begin([("build", patch) for patch in EVERY])
    assert drawn(grid, height=10)[-1].endswith(" more rows: 0 done, 25 to do")


def test_rows_that_are_done_fill_what_is_left_and_the_order_stays():
    assert pick(["a", "b", "c", "d"], {"c"}, set(), {"d"}, 3) == ["b", "c", "d"]
    assert pick(["a", "b", "c", None], {None}, {"a"}, set(), 2) == ["a", None]


def test_the_first_failure_is_said_at_once_and_only_that():
    out = io.StringIO()
    grid = Grid(ITEMS[:3])
    grid.plan(["build"], [("build", item.id) for item in ITEMS[:3]], [])
    found = Finding(Status.FAIL, "error: \x1b[2Jno", "a.c", 3)
    with shown(Terminal(file=out, width=100)):
        grid.end([result("build", "p1", Status.WARN, reason="odd")])
        assert out.getvalue() == ""
        grid.end([result("build", "p2", Status.FAIL, findings=(found,))])
        assert out.getvalue() == "FAIL build, patch 2\n  a.c:3: FAIL error: \\x1b[2Jno\n"
        grid.end([result("build", "p3", Status.FAIL, findings=(found,))])
        assert out.getvalue().count("FAIL build") == 1


def test_the_time_left_is_what_the_last_run_took(tmp_path):
    (tmp_path / "mine.py").write_text('"""Say nothing."""\ncheck = print\n')
    mine = load("mine", [tmp_path])
    todo = [Task(mine, (item,), item.subject, list, (None,)) for item in ITEMS[:3]]
    pace = Pace({"mine": {"p1": 10.0, "p2": 20.0}}, todo, jobs=2)
    assert pace.of(mine) == (0, 3, (10 + 20 + 15) / 2)
    pace.done(replace(todo[1], keys=("other",)))
    assert pace.of(mine) == (1, 3, (10 + 15) / 2)
    assert not pace.ended(mine)
    assert Pace({}, todo, jobs=2).of(mine) == (0, 3, None)


def test_a_run_remembers_how_long_it_took(tmp_path):
    with closing(Results(tmp_path / "results.sqlite")) as store:
        assert store.seconds("c") == {}
        store.took("c", [result("build", "p1", seconds=3.0), result("build", "p2", Status.SKIP, seconds=1.0)])
        store.took("c", [result("build", "p1", seconds=9.0, cached=True), result("btf", None, seconds=4.0)])
        assert store.seconds("c") == {"build": {"p1": 3.0}, "btf": {"": 4.0}}
        assert store.seconds("d") == {}


def test_workers_are_named_by_host_and_one_that_is_lost_is_said():
    out = io.StringIO()
    grid = Grid(ITEMS[:4])
    grid.plan(["build", "mine"], [(check, item.id) for check in ("build", "mine") for item in ITEMS[:4]], [])
    for number, host in enumerate(("build1", "build1", "build2"), 1):
        assert grid.join(f"tcp://{number}", host) == grid.join(f"tcp://{number}", host)
    assert drawn(grid, height=30)[-4:] == [
        "3 workers: 0 at work, 3 idle",
        "build1 1 idle",
        "build1 2 idle",
        "build2 1 idle",
    ]
    grid.begin([("build", "p1")], "tcp://3")
    grid.begin([("mine", "p2")], "tcp://2")
    grid.begin([("mine", "p3")], "tcp://2")
    grid.begin([("build", "p9")], "tcp://1")  # not of this run
    with shown(Terminal(file=out, width=100)):
        grid.leave("tcp://3", lost=True)
        grid.leave("tcp://1", lost=False)
    assert out.getvalue() == "the worker build2 1 is lost, and 2 workers are left; what it was doing is done again\n"
    assert grid.join("tcp://4", "build2") == "build2 2"
    assert drawn(grid, height=30) == [
        "build mine",
        "1 . . bpf: Do 1",
        "2 . runs bpf: Do 2",
        "3 . runs bpf: Do 3",
        "4 . . bpf: Do 4",
        "2 workers: 1 at work, 1 idle, 1 lost",
        "build1 2 mine 2, 3",
        "build2 2 idle",
    ]


def test_many_workers_leave_room_for_the_patches_and_those_at_work_are_seen():
    grid = Grid(ITEMS)
    grid.plan(["build"], [("build", patch) for patch in EVERY], [])
    for number in range(1, 65):
        grid.join(f"tcp://{number}", "\x1b[2Jbuild" if number == 7 else "build")
    grid.begin([("build", "p5")], "tcp://60")
    grid.begin([("build", "p6")], "tcp://7")
    rows = drawn(grid, height=15)
    assert rows[:3] == ["build", "1 . bpf: Do 1", "2 . bpf: Do 2"]
    assert rows[-6:] == [
        "and 25 more rows: 0 done, 25 to do",
        "64 workers: 2 at work, 62 idle",
        "\\x1b[2Jbuild 1 build 6",
        "build 59 build 5",
        "build 1 idle",
        "build 2 idle",
    ]
    assert len(rows) <= 15 - SPARE + 1
    assert len(drawn(grid, height=1)) <= 4
