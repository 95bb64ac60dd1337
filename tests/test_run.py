"""Programs that patchbot reads: they may take long and say much, but neither without end."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from patchbot import run as running
from patchbot.errors import Unfinished
from patchbot.run import run


def is_alive(pid: str) -> bool:
    """Say whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("where", ["", " >&2"])
def test_one_that_does_not_stop_talking_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(running, "MOST_READ", 4 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unfinished, match=r"^sh -c .* wrote more than 4 MB and was killed$"):
        run(
            ["sh", "-c", f"echo $$ >pid; yes | head -c 100000 >line; while cat line; do sleep 0.001; done{where}"],
            cwd=tmp_path,
        )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    assert not is_alive((tmp_path / "pid").read_text().strip())


def test_one_that_takes_its_time_is_read_whole(tmp_path: Path) -> None:
    text = bytes(range(256)) * 20_000
    done = run(["sh", "-c", "sleep 0.3; cat; sleep 0.3; echo end >&2"], stdin=text)
    assert (done.stdout, done.stderr) == (text, b"end\n"), "it is looked after meanwhile"


def test_one_that_hangs_is_ended() -> None:
    started = time.monotonic()
    with pytest.raises(Unfinished, match=r"^sh -c echo x; sleep 60 took longer than 0\.5 s and was killed$"):
        run(["sh", "-c", "echo x; sleep 60"], timeout=0.5)
    assert time.monotonic() - started < 30
