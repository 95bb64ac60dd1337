"""Conversions by several threads at once."""

import sys

from patchbot.run import run

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
