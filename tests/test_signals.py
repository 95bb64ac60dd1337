"""Signals end a run with all that it started and leave nothing; a kill leaves nothing that goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from patchbot import signals, temporary
from patchbot.paths import cache_dir
from patchbot.run import run

#: Starts programs that run for a minute: in the main thread, in four others, with a grandchild, deaf to SIGTERM.
BUSY = """\
import os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from patchbot import cli, run as programs, temporary
from patchbot.errors import PatchbotError
from patchbot.run import run

place = Path(sys.argv[1])
tell_guard = programs.tell_guard

def told(line):
    tell_guard(line)
    if line:
        (place / ("told" + line[2:].strip())).touch()

programs.tell_guard = told

def work(number):
    with temporary.folder("busy") as folder:
        (folder / "file").write_text("x")
        deaf = "trap '' TERM; " if number % 2 else ""
        new = f"{place}/new{number}"
        script = f"{deaf}echo $$ >{new}; mv {new} {place}/pid{number}; sleep 60 & wait; sleep 60"
        run(["sh", "-c", script])

class Busy:
    "Work."
    EXAMPLES = ()
    @staticmethod
    def arguments(parser):
        pass
    @staticmethod
    def execute(session, **given):
        if sys.argv[2] == "threads":
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(work, range(40)))
        work(0)
        return 0

sys.modules["patchbot.commands.scan"] = Busy
sys.exit(cli.main(["scan"]))
"""


def start(tmp_path: Path, how: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start it; return it and the programs that it started."""
    count = 4 if how == "threads" else 1
    argv = [sys.executable, "-c", BUSY, str(tmp_path), how]
    pipe = subprocess.PIPE
    child = subprocess.Popen(argv, stderr=pipe, stdout=pipe, text=True)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("pid*"))) < count or len(list(tmp_path.glob("told*"))) < count:
        assert child.poll() is None, child.stderr.read() if child.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.01)
    return child, [int(file.read_text()) for file in tmp_path.glob("pid*")]


def gone(pids: list[int]) -> bool:
    """Say whether nothing is left of some process groups within ten seconds."""
    for pid in pids:
        for _ in range(1000):
            if not running(pid):
                break
            time.sleep(0.01)
        else:
            os.killpg(pid, signal.SIGKILL)
            return False
    return True


def running(group: int) -> bool:
    """Say whether a process of a group runs; one that ended and that nobody has reaped yet does not."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


@pytest.mark.parametrize("how", ["main", "threads"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_ends_all_children_and_leaves_nothing(tmp_path: Path, how: str, name: str) -> None:
    number = signal.Signals[name]
    child, pids = start(tmp_path, how)
    child.send_signal(number)
    if how == "threads":  # a person who presses Ctrl-C twice
        time.sleep(0.05)
        child.send_signal(number)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (128 + number, "")
    assert err == f"patchbot: {'interrupted' if name == 'SIGINT' else f'ended by {name}'}; nothing half done was kept\n"
    assert gone(pids)
    assert list((cache_dir() / "tmp").iterdir()) == []


@pytest.mark.parametrize("how", ["main", "threads"])
def test_a_kill_ends_all_children_and_the_next_run_removes_what_it_left(tmp_path: Path, how: str) -> None:
    child, pids = start(tmp_path, how)
    temporary.sweep()
    assert len(list((cache_dir() / "tmp").iterdir())) == len(pids), "a folder was taken from a run that has it"
    child.kill()
    child.wait()
    assert gone(pids)
    assert len(list((cache_dir() / "tmp").iterdir())) == len(pids)
    temporary.sweep()
    assert list((cache_dir() / "tmp").iterdir()) == []


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    program = BUSY.replace("import os", "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); import os", 1)
    argv = [sys.executable, "-c", program, str(tmp_path), "main"]
    child = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("pid*")) or not list(tmp_path.glob("told*")):
        time.sleep(0.01)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert child.poll() is None
    child.terminate()
    child.communicate(timeout=20)
    assert child.returncode == 128 + signal.SIGTERM


def test_a_signal_waits_until_what_must_be_whole_is_done() -> None:
    done = []
    with pytest.raises(signals.Stopped) as stopped, signals.heard():
        with signals.whole():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")
        done.append("more")
    assert (done, stopped.value.number) == (["whole"], signal.SIGTERM)
    assert not signals.stopped()


def test_what_must_be_whole_still_starts_and_ends_its_programs(tmp_path: Path) -> None:
    done = []
    with pytest.raises(signals.Stopped), signals.heard(), signals.whole():
        os.kill(os.getpid(), signal.SIGTERM)
        for number in (1, 2):
            run(["sh", "-c", f"sleep 0.1; touch {tmp_path}/{number}"], apart=True)
            done.append(number)
    assert (done, sorted(p.name for p in tmp_path.iterdir())) == ([1, 2], ["1", "2"])


def test_a_signal_that_a_finalizer_loses_still_ends_the_run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)  # not pytest's, which keeps it to itself

    class Odd:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(signals.Stopped), signals.heard():
        Odd()
    assert capfd.readouterr().err == ""


def test_a_folder_goes_that_an_ending_program_still_fills() -> None:
    with temporary.folder("busy") as place:
        script = f"n=0; while [ $n -lt 5000 ]; do : >{place}/$n || exit 0; n=$((n+1)); done"
        child = subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL)
        while not (place / "0").exists():
            time.sleep(0.001)
    child.wait()
    assert not place.exists()


#: Sends itself Ctrl-C when the command line begins to load a module.
EARLY = """\
import os, signal, sys

class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "patchbot.terminal":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Hook)
from patchbot.__main__ import main
sys.argv[1:] = ["checks"]
sys.exit(main())
"""


@pytest.mark.parametrize(("before", "code"), [("", 130), ("signal.signal(signal.SIGINT, signal.SIG_IGN)\n", 0)])
def test_ctrl_c_while_the_command_line_is_loaded_is_one_line(before: str, code: int) -> None:
    text = EARLY.replace("class Hook", before + "class Hook")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    said = "patchbot: interrupted; nothing half done was kept\n" if code else ""
    assert (done.returncode, done.stderr) == (code, said)


def test_what_a_campaign_calls_does_not_end_the_process_without_a_word() -> None:
    with signals.staying():
        with pytest.raises(SystemExit, match=r"os._exit\(0\)"):
            os._exit(0)
        if not (child := os.fork()):
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
