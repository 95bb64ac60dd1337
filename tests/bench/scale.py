"""Run 15,000 checks that sleep on many workers, through patchbot's own executor, and say how well that scales.

`python tests/bench/scale.py [--workers 8,64,256] [--patches 1500] [--wall 60]`: each of 1,500 patches takes on each of
10 benches one of the seconds in seconds.json, which patchbot measured on Linux 7.3.4, divided by the number that makes
the work of so many workers last `--wall` seconds: each row asks for the same number of jobs a second. Each worker is a
process with a cache of its own, forked here, as a machine would be, without what a worker does while nothing happens
(profiles, ticks), which a machine of its own would not notice; the scheduler is `dask scheduler`. A row gives the
efficiency (sum of work / (workers x wall)) and the seconds of CPU of each side. All of it shares the processors of this
machine: what the workers use is missing to the scheduler.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import dask
import distributed

from patchbot.bundle import PACKAGE
from patchbot.checking.check import Item, Subject
from patchbot.checking.cluster import Cluster, Done, Job, Series
from patchbot.checking.runner import run_checks
from patchbot.checking.store import Results
from patchbot.config import ChecksConfig
from patchbot.identity import identity
from patchbot.model import Result, Status
from patchbot.shapes import plain, read

BENCHES = 10
SECONDS = json.loads((Path(__file__).parent / "seconds.json").read_text())["seconds"]
#: Settings of dask for workers of which many share a processor.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}
CHECK = '"""Sleep."""\nEXCLUSIVE = True\ndef key(subject, item):\n    return item.tree\ncheck = print\n'


def lasts(check: str, number: int) -> float:
    """Return how many seconds a bench needs for a patch: any of the real ones, always the same."""
    return float(SECONDS[(number * 7919 + int(check[-1]) * 104729) % 9973 % len(SECONDS)])


def sleep(series: str, job: str) -> str:
    """Do a job as `patchbot.commands.far.do` does, asleep; its series has the divisor in the place of the base."""
    given = read(job, Job)
    (patch,) = given.patches
    time.sleep(lasts(given.check, int(patch or "")) / divisor_of(series))
    result = Result(given.check, patch, "0" * 40, Status.PASS, seconds=1.0, date="2026-01-01T00:00:00")
    return json.dumps(plain(Done((result,), (f"{given.check} {patch}",), "/far", "/far", {}, str(os.getpid()))))


@cache
def divisor_of(series: str) -> float:
    """Return the divisor of a series, read once as `far.opened` does."""
    return float(read(series, Series).base)


def forked(address: str, count: int, place: Path) -> list[int]:
    """Start workers; each has a cache folder of its own, so that it counts as a place for benches."""
    pids = []
    for number in range(count):
        if pid := os.fork():
            pids.append(pid)
            continue
        os.environ["XDG_CACHE_HOME"] = str(place / f"cache{number}")
        os.dup2(os.open(place / "workers", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), 2)
        code = 0
        try:
            asyncio.run(at_work(address, place / f"space{number}"))
        except BaseException:
            code = 1
        os._exit(code)
    return pids


async def at_work(address: str, space: Path) -> None:
    """Be a worker until the scheduler ends."""
    dask.config.set(QUIET)
    worker = distributed.Worker(
        address, nthreads=1, local_directory=str(space), dashboard=False, heartbeat_interval="5s"
    )
    async with worker:
        await worker.finished()


@contextmanager
def hosts(count: int, place: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Yield the address of a scheduler, its process id, and those of its workers."""
    argv = [
        str(Path(sys.executable).parent / "dask"),
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    argv += ["--scheduler-file", str(place / "scheduler.json")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}  # it loads what jobs call, too
    with (
        open(place / "scheduler.log", "wb") as log,
        subprocess.Popen(argv, stdout=log, stderr=log, env=env) as scheduler,
    ):
        while not (place / "scheduler.json").exists() or not (place / "scheduler.json").read_text().strip():
            time.sleep(0.1)
        address = json.loads((place / "scheduler.json").read_text())["address"]
        pids = forked(address, count, place)
        try:
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(count, timeout=300)
            yield address, scheduler.pid, pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            for pid in pids:
                os.waitpid(pid, 0)
            scheduler.terminate()


def used(pids: Sequence[int]) -> float:
    """Return the seconds of CPU that processes have used."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def row(workers: int, patches: int, wall: float) -> str:
    """Run it all on so many workers; return a line of the table."""
    names = [f"bench{number}" for number in range(BENCHES)]
    whole = sum(lasts(name, number) for name in names for number in range(patches))
    divisor = whole / (workers * wall)
    items = tuple(Item(str(n), "0" * 40, "", str(n), "", f"lib: Do {n}", "", ("a.c",)) for n in range(patches))
    series = Series(items, str(divisor), "", "c", {}, "", identity(PACKAGE))
    with tempfile.TemporaryDirectory(prefix="patchbot-scale-") as name:
        place = Path(name)
        (place / "checks").mkdir()
        for each in names:
            (place / f"checks/{each}.py").write_text(CHECK)
        subject = Subject(None, None, "", items, "c", lambda _: (), {}, place)  # type: ignore[arg-type]
        config = ChecksConfig(path=[place / "checks"], run=names)
        with hosts(workers, place) as (address, scheduler, pids), closing(Results(place / "r.sqlite")) as store:
            before = used([scheduler]), used(pids), resource.getrusage(resource.RUSAGE_SELF)
            started = time.monotonic()
            found = run_checks(subject, config, store, execute=Cluster(address, series, sleep))
            took = time.monotonic() - started
            mine = resource.getrusage(resource.RUSAGE_SELF)
            own = mine.ru_utime + mine.ru_stime - before[2].ru_utime - before[2].ru_stime
            cpu = used([scheduler]) - before[0], used(pids) - before[1]
        bad = [r.reason for r in found if r.status is not Status.PASS]
        assert not bad, bad[0]
        assert len(found) == patches * BENCHES
    work, rate = whole / divisor, len(found) / took
    return (
        f"{workers:4} workers, {len(found)} jobs of {work / len(found):.3f} s: {took:.1f} s, {rate:.0f} a second,"
        f" efficiency {work / workers / took:.0%};"
        f" CPU: scheduler {cpu[0]:.1f} s, this {own:.1f} s, workers {cpu[1]:.1f} s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="8,64,256")
    parser.add_argument("--patches", type=int, default=1500)
    parser.add_argument("--wall", type=float, default=60.0)
    args = parser.parse_args()
    first, *rest = args.workers.split(",")
    print(row(int(first), args.patches, args.wall), flush=True)
    if rest:  # in another process, as one with threads should not fork
        argv = ["--workers", ",".join(rest), "--patches", str(args.patches), "--wall", str(args.wall)]
        return subprocess.run([sys.executable, __file__, *argv], check=False).returncode
    return 0


if __name__ == "__main__":
    import scale  # so that the workers find `sleep` in a module

    sys.exit(scale.main())
