"""Measure what a cluster on this machine costs: the same checks by two threads, and by two workers of dask.

`python tests/bench/overhead.py --kernel REPO [--only checkpatch] [--patches 1-24] [--times 3]` runs `check --full` of a
draft in turn with threads and on a scheduler with two workers, and prints seconds and CPU of each. CPU is that of the
whole machine, as nobody waits for what ends in a sandbox: let nothing else run. The first round fills caches and is
left out. The workers run with the settings that docs/cluster.md recommends, or with dask's own by --default.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false", "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"}


def used() -> float:
    """Return the seconds of CPU that this machine has used."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--campaign", default="kfunc_flags")
    parser.add_argument("--only", default="checkpatch")
    parser.add_argument("--patches", default="1-24")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--default", action="store_true")
    args = parser.parse_args()
    env = {**os.environ, **({} if args.default else QUIET)}
    check = [
        str(BIN / "patchbot"),
        "check",
        args.campaign,
        "--full",
        "-q",
        "--json",
        "--jobs",
        "2",
        "--kernel",
        args.kernel,
    ]
    check += ["--only", args.only, "--patches", args.patches]
    with tempfile.TemporaryDirectory(prefix="patchbot-overhead-") as name, open(Path(name) / "log", "wb") as log:
        scheduler = Path(name) / "scheduler.json"
        dask = [str(BIN / "dask")]
        start = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file"]
        started = [subprocess.Popen([*start, str(scheduler)], stdout=log, stderr=log, env=env)]
        work = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", name]
        for number in range(2):
            cache = {**env, "XDG_CACHE_HOME": f"{name}/cache{number}"}
            argv = [*work, "--scheduler-file", str(scheduler)]
            started.append(subprocess.Popen(argv, stdout=log, stderr=log, env=cache))
        while not scheduler.exists() or not scheduler.read_text().strip():
            time.sleep(0.1)
        address = scheduler.read_text().partition('"address": "')[2].partition('"')[0]
        found: dict[str, list[tuple[float, float]]] = {"threads": [], "cluster": []}
        for _ in range(args.times + 1):
            for how, rows in found.items():
                before, began = used(), time.monotonic()
                more = ["--cluster", address] if how == "cluster" else []
                code = subprocess.run([*check, *more], stdout=log, stderr=log, check=False).returncode
                rows.append((time.monotonic() - began, used() - before))
                print(f"{how:8} {rows[-1][0]:7.2f} s  {rows[-1][1]:7.2f} s CPU  exit {code}", flush=True)
        for process in started:
            process.terminate()
            process.wait()
    wall, cpu = (
        statistics.median(r[n] for r in found["cluster"][1:]) / statistics.median(r[n] for r in found["threads"][1:])
        for n in (0, 1)
    )
    print(f"cluster / threads: {wall:.2f} wall, {cpu:.2f} CPU (medians; load {os.getloadavg()[0]:.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
