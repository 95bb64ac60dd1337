"""Conversions by several threads at once."""

import sys

import pytest

from patchbot.run import run
from patchbot.shapes import ShapeError, Sums, read

PROGRAM = """\
import gc, sys, threading
from patchbot.checking.check import Outcome
from patchbot.shapes import convert
gc.set_threshold(1)
sys.setswitchinterval(1e-6)
told = {"status": "PASS", "findings": [{"status": "WARN", "message": "x"}], "examined": 1}
start = threading.Barrier(6)
threads = [threading.Thread(target=lambda: (start.wait(), convert(told, Outcome))) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_meet_a_class_at_the_same_time() -> None:
    """Without a lock, four in five of these end with a segmentation fault."""
    for _ in range(5):
        run([sys.executable, "-c", PROGRAM])


def test_an_error_is_not_its_own_cause() -> None:
    """Who follows the causes, as dask does before it sends an error, would do so for ever."""
    with pytest.raises(ShapeError) as found:
        read('{"files": 1}', Sums)
    error: BaseException | None = found.value
    for _ in range(5):
        error = error and error.__cause__
    assert error is None
