"""What a person sees while patchbot works: real counts, a time left only where there is a basis for one, no trace."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from tinytree import build, commit

from patchbot import progress
from patchbot.progress import Board, Lines, Work, count, counted, ended, shown, span, tick, ticked, within
from patchbot.signals import PATIENCE
from patchbot.terminal import Terminal


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return a board that is told, whose clock stands still until a test moves it."""
    made = Board(clock=lambda: made.now)  # type: ignore[attr-defined]
    made.now = 100.0  # type: ignore[attr-defined]
    token = progress._board.set(made)
    yield made
    progress._board.reset(token)


def lines(board: Board, width: int = 80) -> list[str]:
    out = io.StringIO()
    Terminal(file=out, width=width, no_color=True).print(board)
    return [re.sub(r"[━╸╺ ]+", " ", line).strip() for line in out.getvalue().splitlines() if line.strip()]


def test_checks_side_by_side_have_counts_and_go_when_they_end(board):
    for name, total in (("applies", 1), ("build", 15), ("boot", 1)):
        count(name, 0, total)
    assert lines(board) == ["applies 0/1 waits", "build 0/15 waits", "boot 0/1 waits"]
    with within("applies"):
        tick("15 patches")
    with within("build"):
        tick("bpf: Do a")
    board.now += 65
    assert lines(board)[:2] == ["applies 1:05 15 patches", "build 0/15 1:05 bpf: Do a"]
    count("applies", 1, 1)
    count("build", 5, 15)
    with within("build"):
        tick("compiling objects", 4, 12)
    assert lines(board) == ["build 5/15 1:05 about 2:10 left compiling objects 4/12", "boot 0/1 waits"]
    board.now += 10
    assert lines(board)[0].startswith("build 5/15 1:15 about 2:00 left")


def test_one_thing_alone_is_counted_by_what_it_is_at(board):
    tick("searching the whole tree")
    board.now += 7
    assert lines(board) == ["0:07 searching the whole tree"]
    assert [*ticked("mails", "abcd", 4)] == [*"abcd"]
    assert lines(board) == ["4/4 0:07 mails"]
    count("boot", 0, 1)
    with within("boot"):
        tick("building the kernel of the base", 0, 2400)
        board.now += 60
        tick("building the kernel of the base", 600, 2400)
        assert lines(board) == ["boot 600/2400 1:00 about 3:00 left building the kernel of the base"]
        tick("building the kernel of the tip", 812)
        assert lines(board) == ["boot 812 1:00 building the kernel of the tip"]
        tick("building the kernel of the tip", 3, 10)
        board.now += 2
        assert lines(board) == ["boot 3/10 1:02 building the kernel of the tip"], "it began again: no basis yet"


@pytest.mark.parametrize(
    ("done", "total", "changed", "now", "left"),
    [
        (0, 10, 0.0, 50.0, None),  # nothing to judge by
        (5, 0, 50.0, 50.0, None),  # nobody knows how much there is
        (5, 10, 50.0, 50.0, 50.0),
        (5, 10, 50.0, 54.0, 46.0),
        (5, 10, 50.0, 90.0, 40.0),  # the one at work is slow: the others stay as they are
        (9, 10, 90.0, 150.0, None),  # and nobody knows how slow
        (10, 10, 100.0, 100.0, None),
    ],
)
def test_the_time_left_is_that_of_the_mean(done, total, changed, now, left):
    assert Work("", 0.0, done, total, changed).left(now) == left


def test_a_row_keeps_to_one_line_at_any_width(board):
    count("build", 0, 3)
    with within("build"):
        tick("a subject that is very long " * 9 + "\x1b[2J\n")
    for width in (40, 80, 200):
        out = io.StringIO()
        Terminal(file=out, width=width, no_color=True).print(board)
        (line,) = out.getvalue().splitlines()
        assert len(line) <= width
        assert "\x1b" not in line


def test_what_does_not_tick_is_looked_at(monkeypatch):
    board = Board()
    token = progress._board.set(board)
    seen = []

    def look() -> int:
        seen.append(1)
        if len(seen) == 1:
            raise FileNotFoundError
        return 4

    monkeypatch.setattr(progress, "LOOK", 0.01)
    try:
        with counted("objects", 8, look):
            while not board.rows[""].part.done:
                pass
        assert str(board.rows[""].part) == "objects 4/8"
    finally:
        progress._board.reset(token)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.9, "0:07"), (750, "12:30"), (3723, "1:02:03")])
def test_a_time_is_short(seconds, text):
    assert span(seconds) == text


def test_without_a_terminal_nothing_moves_and_what_ended_is_said():
    said = io.StringIO()
    with shown(Terminal(file=said)):
        count("build", 0, 2)
        tick("scan", 1, 2)
        ended("build: 2 PASS, 1.0 s")
    assert said.getvalue() == "build: 2 PASS, 1.0 s\n"
    quiet, terminal = io.StringIO(), io.StringIO()
    with shown(Terminal(file=quiet, quiet=True)):
        ended("build")
    with shown(Terminal(file=terminal, force_terminal=True, width=80)):
        ended("build")
    assert quiet.getvalue() == ""
    assert "build" not in terminal.getvalue()


SLOW = '''"""Take long."""
import time
from patchbot.progress import tick
from patchbot.run import run


def check(subject, item):
    tick("sleeping", 3, 7)
    SLEEP
'''


@pytest.mark.parametrize(("sleep", "presses"), [("run(['sleep', '60'])", 1), ("time.sleep(60)", 2)])
def test_ctrl_c_leaves_a_clean_terminal(tmp_path: Path, sleep: str, presses: int):
    build(tmp_path / "linux")
    commit(tmp_path / "linux", "base\n")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/slow.py").write_text(SLOW.replace("SLEEP", sleep))
    toml = tmp_path / "own.toml"
    toml.write_text(
        '[kernel]\npath = "linux"\n[author]\nname = "A"\nemail = "a@example.org"\n'
        '[checks]\npath = ["checks"]\nrun = ["slow"]\n'
    )
    argv = [sys.executable, "-m", "patchbot.cli", "--config", str(toml)]
    subprocess.run([*argv, "generate"], check=True, capture_output=True)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")} | {"TERM": "xterm"}
    child = subprocess.Popen(
        [*argv, "check"], env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    got, sent = b"", []
    try:
        while part := os.read(ours, 65536):
            got += part
            due = not sent or time.monotonic() > sent[-1] + 1.5 * PATIENCE  # the second ends it at once
            if b"sleeping 3/7" in got and len(sent) < presses and due:
                child.send_signal(signal.SIGINT)
                sent.append(time.monotonic())
    except OSError:  # the end of a pty
        pass
    os.close(ours)
    assert child.wait() == 130
    text = got.decode()
    assert "0/12" in text
    before, _, after = text.rpartition("\x1b[?25h")  # the cursor is there again
    assert "\x1b[?25l" not in after
    if presses == 1:
        wiped, _, after = after.partition("\x1b[2K")
        assert wiped == "\r\x1b[1A"
        assert after.strip() == "patchbot: interrupted; nothing half done was kept"
    else:
        assert before.endswith("\r\x1b[J")
        assert after == ""


class Clock:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_a_line_says_now_and_then_what_takes_long() -> None:
    said: list[str] = []
    clock = Clock()
    lines = Lines(clock=clock, say=said.append)
    for second in range(25):
        clock.now = 100.0 + second
        lines.tick("", "scan", 2 * second, 60)
    assert said == ["20/60 scan (0:10, about 0:20 left)", "40/60 scan (0:20, about 0:10 left)"]
    lines.count("build", 0, 15)
    lines.tick("build", "bpf: Do a", 0, 0)
    lines.count("build", 5, 15)
    clock.now += 12
    lines.count("build", 6, 15)
    lines.count("build", 15, 15)
    assert said[2:] == ["build 6/15 bpf: Do a (0:12, about 0:18 left)"]


@pytest.mark.parametrize(("quiet", "words"), [(False, 1), (True, 0)])
def test_a_short_run_and_a_quiet_one_say_nothing(monkeypatch: pytest.MonkeyPatch, quiet: bool, words: int) -> None:
    for every, most in ((10.0, 0), (0.0, words)):
        monkeypatch.setattr(progress, "EVERY", every)
        out = io.StringIO()
        with shown(Terminal(file=out, quiet=quiet)):
            tick("scan")
        assert out.getvalue().count("scan") == most
