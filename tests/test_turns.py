"""One at a time: locks that say who has them, and last as long as anything that their holder started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from patchbot.errors import ToolError, UserError
from patchbot.turns import Turn

HOLDER = """\
import sys
from pathlib import Path
from patchbot.run import start
from patchbot.turns import Turn, call_me
call_me("generate")
turn = Turn(Path(sys.argv[1]), "it", print)
if sys.argv[2] == "apart":
    start(("sh", "-c", "echo $$; exec sleep 60"), None, None, False, None, apart=True).stdout.readline()
print("locked", flush=True)
sys.stdin.read()
"""


def holder(path: Path, how: str = "") -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", HOLDER, str(path), how]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "locked\n"
    return child


def test_who_waits_says_once_for_whom_and_then_has_it(tmp_path: Path) -> None:
    child = holder(tmp_path / "lock")
    said: list[str] = []
    threading.Timer(0.5, child.communicate).start()
    with Turn(tmp_path / "lock", "the draft of x", said.append):
        assert child.wait() == 0
    assert said == [f"waiting for `patchbot generate` (process {child.pid}), which works on the draft of x"]


def test_who_hangs_is_named_after_a_while(tmp_path: Path) -> None:
    child = holder(tmp_path / "lock")
    with pytest.raises(UserError, match=rf"`patchbot generate` \(process {child.pid}\) has worked on it for more than"):
        Turn(tmp_path / "lock", "it", print, limit=0.1)
    child.communicate()
    Turn(tmp_path / "lock", "it", pytest.fail).end()


def test_what_a_killed_run_left_running_is_waited_for(tmp_path: Path) -> None:
    child = holder(tmp_path / "lock", "apart")
    child.kill()
    child.wait()
    left = [
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/status")
        if (status.parent / "cmdline").exists() and holds(status.parent, tmp_path / "lock")
    ]
    assert len(left) == 1
    with pytest.raises(UserError, match="has worked on"):
        Turn(tmp_path / "lock", "it", print, limit=0.1)
    os.kill(left[0], signal.SIGKILL)
    Turn(tmp_path / "lock", "it", print, limit=10).end()


def holds(process: Path, file: Path) -> bool:
    try:
        return any(Path(os.readlink(fd)) == file for fd in (process / "fd").iterdir())
    except OSError:
        return False


def test_an_end_is_an_end_whatever_children_do(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "lock", "it", print)
    from patchbot.run import kill, start

    child = start(("sleep", "60"), None, None, False, None)
    turn.end()
    Turn(tmp_path / "lock", "it", pytest.fail).end()
    kill(child)


def test_a_run_does_not_wait_for_itself(tmp_path: Path) -> None:
    with Turn(tmp_path / "lock", "it", print), pytest.raises(ToolError, match="this run already has it"):
        Turn(tmp_path / "lock", "it", print)


def test_what_else_is_in_the_file_is_not_said(tmp_path: Path) -> None:
    child = holder(tmp_path / "lock")
    (tmp_path / "lock").write_bytes(b"1 \x1b[31mrm -rf\n" * 100)
    said: list[str] = []
    threading.Timer(0.3, child.communicate).start()
    Turn(tmp_path / "lock", "it", said.append).end()
    assert said == ["waiting for another patchbot, which works on it"]
    time.sleep(0)
