"""Check a series on hosts that are network namespaces, break them, and compare the results with a run in threads.

    python tests/bench/hosts.py [--case CASE,..] [--seed N]
    python tests/bench/hosts.py --kernel REPOSITORY --rev REV

Each host has a HOME, a cache, a host name and a copy of patchbot of its own, and gets the kernel from a git daemon; the
workers are started again when they end, as an init would. A case prints one line, and the exit code is 1 if one is
wrong. With `--kernel` there is one case, of a real kernel. It needs root (ip netns), openssl and git-daemon, and
changes nothing outside of a throw-away folder, but for a bridge that it removes at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from lab import PYTHON, SLOW, TOP, Host, Lab, Wrong

#: What a result may say otherwise than one of another run.
OWN = ("seconds", "date", "where", "cached")


def told(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a run without what each run says otherwise."""
    rows = [{key: value for key, value in row.items() if key not in OWN} for row in report["results"]]
    # A worker's configuration comes along beside the logs.
    return [{**row, "reproduce": re.sub(r"/build/(?:[^ ]*/)?fragments/", "/logs/", row["reproduce"])} for row in rows]


def same(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raise Wrong if two reports differ, with the first difference."""
    if "results" not in there:
        raise Wrong(f"no report: {there}")
    one, two = json.dumps(told(here), indent=1).splitlines(), json.dumps(told(there), indent=1).splitlines()
    for number, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            shared = max(next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0) - 60, 0)
            parts = [f"in threads {a[shared:][:600]}", f"on workers {b[shared:][:600]}"]
            raise Wrong(
                "\n  ".join([*parts, f"after {one[number - 3 : number]}, before {two[number + 1 : number + 3]}"])
            )
    if len(one) != len(two):
        raise Wrong(f"{len(one)} lines in threads, {len(two)} on workers")
    lost = [row["log"] for row in there["results"] if row["log"] and not Path(row["log"]).exists()]
    if lost:
        raise Wrong(f"there is no {lost[0]}")
    if not all(row["where"] for row in there["results"] if row["status"] != "SKIP" and not row["cached"]):
        raise Wrong("a result does not say where it was made")


#: The checks of most cases: cheap ones, and two that need a bench.
SOME = "applies,slow,long"
CASES: dict[str, Callable[[Lab, random.Random], str]] = {}


def case(function: Callable[[Lab, random.Random], str]) -> Callable[[Lab, random.Random], str]:
    """Let a function be a case under its name; it returns what to print, or raises Wrong."""
    CASES[function.__name__.replace("_", "-")] = function
    return function


def truth(lab: Lab, *which: str) -> dict[str, Any]:
    """Return what a run in threads says, of which the other runs know nothing."""
    apart = lab.root / "threads"
    said = json.dumps(lab.check(*(which or ("--only", SOME, "--full")), code=None, cache=apart))
    return json.loads(said.replace(str(apart), str(lab.cache)))


def spread(report: Mapping[str, Any]) -> str:
    """Say how many results were made where."""
    found = Counter(row["where"].split()[0] for row in report["results"] if row["where"])
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))


def everything(lab: Lab, kind: str) -> str:
    some = "applies,checkpatch,build,btf,slow"
    here = truth(lab, "--only", some, "--full")
    there = lab.check("--only", some, "--full", *lab.up(kind), code=None)
    same(here, there)
    return f"{len(there['results'])} results the same ({spread(there)})"


@case
def hosts_tcp(lab: Lab, chance: random.Random) -> str:
    """Three hosts by plain tcp."""
    said = lab.patchbot("check", "--cluster", lab.up()[1], code=2).stderr
    if "whoever reaches a scheduler by plain tcp" not in said:
        raise Wrong(f"plain tcp is not refused: {said}")
    lab.down()
    return everything(lab, "tcp")


@case
def hosts_tls(lab: Lab, chance: random.Random) -> str:
    """Three hosts with certificates."""
    return everything(lab, "tls")


def local(lab: Lab, count: int) -> str:
    here = truth(lab, "--only", "applies,checkpatch,build,slow", "--full")
    start = f"""
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers={count}, threads_per_worker=1, dashboard_address=None) as own:
        print(own.scheduler_address, flush=True)
        sys.stdin.read()
"""
    (lab.root / "start.py").write_text(start)
    env = {**lab.env, "HOME": str(lab.hosts[0].home)}
    with subprocess.Popen(
        [PYTHON, str(lab.root / "start.py")], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as own:
        assert own.stdin is not None
        assert own.stdout is not None
        argv = ["--cluster", own.stdout.readline().strip()]
        there = lab.check("--only", "applies,checkpatch,build,slow", "--full", *argv, code=None)
        own.stdin.close()
    same(here, there)
    processes = {row["where"] for row in there["results"] if row["where"]}
    return f"{len(there['results'])} results the same, of {len(processes)} processes"


@case
def local_2(lab: Lab, chance: random.Random) -> str:
    """Two processes on this machine."""
    return local(lab, 2)


@case
def local_4(lab: Lab, chance: random.Random) -> str:
    """Four processes on this machine."""
    return local(lab, 4)


def wait_until(true: Callable[[], Any], what: str, seconds: float = 300) -> None:
    """Return when something is true; raise Wrong after some seconds."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Wrong(f"after {seconds:.0f} s: not {what}")
        time.sleep(0.05)


def asleep(lab: Lab) -> bool:
    """Say whether a check is at work on a host."""
    return any(host.processes("sleep 0") for host in lab.hosts)


def going(lab: Lab, argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a run, and return it when its checks are at work on a host; raise Wrong if it ends before."""
    run = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    wait_until(lambda: asleep(lab) or run.poll() is not None, "begun")
    if run.poll() is not None:
        raise Wrong(f"it ended before it began: {run.communicate()}")
    return run


def finish(child: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the document of a run; raise Wrong where it has none, and no clear error."""
    out, err = child.communicate(timeout=600)
    if "Traceback" in err:
        raise Wrong(err[-3000:])
    found = json.loads(out) if out else {"error": {"message": err}}
    return {"error": found["error"]["message"]} if "error" in found else found


def rest(lab: Lab, argv: Sequence[str], here: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """Run again after a run that lost something; return how much that had, and how much is left."""
    again = lab.check("--only", SOME, *argv, code=None)
    same(here, again)
    new = [row for row in again["results"] if not row["cached"]]
    kept = [row for row in again["results"] if row["cached"]]
    if "results" in first:
        bad = {(row["check"], row["patch"]) for row in first["results"] if row["status"] in ("ERROR", "SKIP")}
        if bad != {(row["check"], row["patch"]) for row in new}:
            raise Wrong(f"the first run lacks {len(bad)}, the second ran {len(new)}")
    if not kept:
        raise Wrong("nothing of the first run was kept")
    return f"{len(kept)} kept, {len(new)} by the second run, the same"


@case
def kill_workers(lab: Lab, chance: random.Random) -> str:
    """kill -9 at ten moments, of a worker that is chosen by chance."""
    here, argv = truth(lab), lab.up()
    run = going(lab, argv)
    killed = 0
    while killed < 10 and run.poll() is None:
        time.sleep(chance.uniform(0.1, 0.9))
        there = [one for host in lab.hosts for one in host.workers()]
        if there:
            with suppress(psutil.Error):
                chance.choice(there).kill()
                killed += 1
    first = finish(run)
    if told(first) == told(here):
        return f"{killed} killed; the same ({spread(first)})"
    return f"{killed} killed; {rest(lab, argv, here, first)}"


@case
def kill_scheduler(lab: Lab, chance: random.Random) -> str:
    """kill -9 the scheduler in the middle, and start it again."""
    here, argv = truth(lab), lab.up()
    run = going(lab, argv)
    time.sleep(chance.uniform(1, 4))
    lab.scheduler.stop()
    time.sleep(1)
    lab.schedule()
    started = time.monotonic()
    first = finish(run)
    took = time.monotonic() - started
    lab.reach(argv[1])
    what = first.get("error", "").strip() or Counter(
        row["reason"] for row in first["results"] if row["status"] == "ERROR"
    )
    if "results" in first and any(row["status"] == "ERROR" for row in first["results"]):
        raise Wrong(f"not one clear error: {what}")
    return f"after {took:.0f} s: {str(what)[:160]!r}; {rest(lab, argv, here, first)}"


@case
def all_workers_gone(lab: Lab, chance: random.Random) -> str:
    """All workers end for good: the run says so."""
    here, argv = truth(lab), lab.up()
    run = going(lab, argv)
    time.sleep(chance.uniform(2, 4))
    for host in lab.hosts:
        host.stop()
    first = finish(run)
    for host in lab.hosts:
        host.work(argv[1])
    lab.reach(argv[1])
    return f"{first.get('error', '')[:160]!r}; {rest(lab, argv, here, first)}"


def stopped(lab: Lab, chance: random.Random, seconds: float) -> str:
    here, argv = truth(lab), lab.up()
    run = going(lab, argv)
    time.sleep(chance.uniform(0, 1))
    still = chance.choice([one for host in lab.hosts for one in host.workers()])
    still.suspend()
    try:
        if seconds:
            time.sleep(seconds)
            still.resume()
        first = finish(run)
        same(here, first)
    finally:
        with suppress(psutil.Error):
            still.resume()
    return f"{len(first['results'])} results the same ({spread(first)})"


@case
def stop_a_while(lab: Lab, chance: random.Random) -> str:
    """SIGSTOP of a worker for five seconds."""
    return stopped(lab, chance, 5)


@case
def stop_for_ever(lab: Lab, chance: random.Random) -> str:
    """SIGSTOP of a worker for ever; the scheduler gives it up after its worker-ttl, here 60 s."""
    return stopped(lab, chance, 0)


@case
def full_disk(lab: Lab, chance: random.Random) -> str:
    """A host whose HOME is a tmpfs of 3 MB."""
    some = "applies,checkpatch,build,slow"
    here = truth(lab, "--only", some, "--full")
    home = lab.hosts[1].home
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", home], check=True)
    try:
        first = lab.check("--only", some, "--full", *lab.up(), code=None)
        same(here, first)
    finally:
        lab.hosts[1].stop()
        subprocess.run(["umount", "-l", home], check=True)
    return f"{len(first['results'])} results the same ({spread(first)})"


def without(lab: Lab, host: Host, *programs: str) -> None:
    """Hide programs from a host."""
    folder = host.home / "bin"
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name not in programs and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program.absolute())
    host.env["PATH"] = str(folder)


@case
def mixed_kinds(lab: Lab, chance: random.Random) -> str:
    """Only one host has a compiler; none has both of what another check needs; a third needs what none has."""
    both = SLOW.replace("slow", "both").replace('{"sh": "dash"}', '{"xz": "xz-utils", "pahole": "pahole"}')
    (lab.checks / "both.py").write_text(both)
    none = SLOW.replace("slow", "none").replace('{"sh": "dash"}', '{"no-such-program": "no-such-package"}')
    (lab.checks / "none.py").write_text(none)
    here = truth(lab, "--only", "applies,build", "--full")
    without(lab, lab.hosts[0], "gcc", "pahole")
    without(lab, lab.hosts[1], "gcc", "pahole")
    without(lab, lab.hosts[2], "xz")
    argv = lab.up()
    there = lab.check("--only", "applies,build", "--full", *argv, code=None)
    same(here, there)
    where = {row["where"].split()[0] for row in there["results"] if row["check"] == "build" and row["where"]}
    if where != {"ph3"}:
        raise Wrong(f"build ran on {where}")
    skipped = lab.check("--only", "both,none", "--patches", "1", *argv)
    said = [(row["status"], row["reason"]) for row in skipped["results"]]
    if any(status != "SKIP" or not reason for status, reason in said):
        raise Wrong(str(said))
    return f"build on ph3 only; {'; '.join(reason for _, reason in said)}"


def refused(lab: Lab, what: str, change: Callable[[Host], None], *argv: str) -> str:
    change(lab.hosts[1])
    said = lab.patchbot("check", "--only", SOME, "--full", *lab.up(), *argv, code=2).stderr.strip()
    if what not in said or not any(name in said for name in ("ph2", lab.hosts[1].address)):
        raise Wrong(f"it does not name {what} and ph2: {said}")
    return said.splitlines()[-1][:160]


@case
def another_patchbot(lab: Lab, chance: random.Random) -> str:
    """One of the hosts has another patchbot."""

    def change(host: Host) -> None:
        with open(host.code / "patchbot/model.py", "a") as file:
            file.write("\n# Another one.\n")

    try:
        return refused(lab, "patchbot", change)
    finally:
        shutil.copy(TOP / "patchbot/model.py", lab.hosts[1].code / "patchbot/model.py")


@case
def another_check(lab: Lab, chance: random.Random) -> str:
    """The hosts have another source of a check that patchbot brings along."""
    file = "checks/applies.py"
    for host in lab.hosts:
        with open(host.code / file, "a") as text:
            text.write("\n# Another one.\n")
    try:
        said = lab.patchbot("check", "--only", "applies", "--full", *lab.up(), code=2).stderr.strip()
    finally:
        for host in lab.hosts:
            shutil.copy(TOP / file, host.code / file)
    if "the check applies" not in said:
        raise Wrong(said)
    return said.splitlines()[-1][:160]


@case
def no_patchbot(lab: Lab, chance: random.Random) -> str:
    """A worker in whose Python there is no patchbot, or one that knows no cluster."""

    def change(host: Host) -> None:
        (host.code / "patchbot/workers.py").rename(host.code / "workers.py")

    try:
        return refused(lab, "patchbot", change)
    finally:
        (lab.hosts[1].code / "workers.py").rename(lab.hosts[1].code / "patchbot/workers.py")


@case
def ctrl_c(lab: Lab, chance: random.Random) -> str:
    """Ctrl-C at five moments: nothing goes on on any host, and the next run does only the rest."""
    lab.fresh("[checks.slow]\nseconds = 2\n")
    argv, said = lab.up(threads=3), []
    words = ("gcc", "cc1", "make", "sleep 0", "sleep 2", "perl", "git")

    def busy() -> list[str]:
        with suppress(psutil.Error):
            return [
                " ".join(p.cmdline())[:80] for h in lab.hosts for w in words for p in h.processes(w) if p.name() != "sh"
            ]
        return ["?"]

    for _ in range(5):
        run = lab.begin("check", "--only", "build,slow,long", "--full", *argv)
        wait_until(busy, "begun")
        time.sleep(chance.uniform(0, 1.5))
        run.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = run.communicate(timeout=300)
        ended = time.monotonic() - started
        if run.returncode != 130 or "Traceback" in err:
            raise Wrong(f"exit {run.returncode}: {err[-2000:]}")
        quiet = [time.monotonic()]
        until = time.monotonic() + 4
        while time.monotonic() < until:
            if left := busy():
                quiet = [time.monotonic()]
            time.sleep(0.1)
        if busy() or (late := quiet[-1] - started - ended) > 3:
            raise Wrong(f"goes on: {busy() or left} ({late:.1f} s)")
        said.append(f"{ended:.1f}")
    here = truth(lab, "--only", "build,slow,long", "--full")
    same(here, lab.check("--only", "build,slow,long", "--full", *argv, code=None))
    return f"five times, after {', '.join(said)} s; then the same"


@case
def two_at_once(lab: Lab, chance: random.Random) -> str:
    """Two people share the workers; Ctrl-C of one ends what is theirs, and nothing of the other."""
    here, argv = truth(lab), lab.up(threads=3)
    lab.fresh("[checks.slow]\nseconds = 30\n")
    first = lab.begin("check", "--only", "slow", "--full", *argv)
    wait_until(lambda: [p for h in lab.hosts for p in h.processes("sleep 30")], "begun")
    lab.fresh()
    second = going(lab, argv)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=300)
    wait_until(lambda: not [p for h in lab.hosts for p in h.processes("sleep 30")], "ended: the first one's", 60)
    there = finish(second)
    same(here, there)
    return f"the first ended, the other has {len(there['results'])} results, the same"


@case
def next_worker(lab: Lab, chance: random.Random) -> str:
    """Several workers of a host share its bench, run after run, whichever gets it."""
    here, address = truth(lab, "--only", "build", "--full"), lab.schedule()
    lab.hosts[0].work(address)
    argv = lab.reach(address, 1)
    same(here, lab.check("--only", "build", "--full", *argv, code=None))
    lab.hosts[0].work(address, workers=3)
    lab.reach(address, 4)
    for _ in range(2):
        same(here, lab.check("--only", "build", "--full", *argv, code=None))
    return "three runs, the same"


def kernel(lab: Lab, chance: random.Random) -> str:
    """Some patches of a real kernel, with builds."""
    which = ("--only", "applies,checkpatch,build", "--patches", "1-6", "--full")
    there = lab.check(*which, *lab.up("tls"), code=None)
    same(truth(lab, *which), there)
    return f"{len(there['results'])} results the same ({spread(there)})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help="only these, by commas", default=",".join(CASES))
    parser.add_argument("--kernel", type=Path, help="a repository; it is only read")
    parser.add_argument("--rev", default="HEAD")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    bad = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may ignore it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {args.seed}", flush=True)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="patchbot-hosts-")))
        lab = Lab(root, args.kernel, args.rev if args.kernel else "")
        stack.enter_context(lab.network())
        lab.patchbot("generate", "-q")
        cases = {"kernel": kernel} if args.kernel else {name: CASES[name] for name in args.case.split(",")}
        for name, function in cases.items():
            started = time.monotonic()
            lab.cache = lab.root / "you" / name
            lab.fresh()
            try:
                said = function(lab, random.Random(f"{args.seed} {name}"))
            except (Wrong, subprocess.SubprocessError) as error:
                said, bad = f"WRONG: {error}", bad + 1
                for host in (lab.scheduler, *lab.hosts):
                    log = host.home / "log"
                    print(f"--- {host.name}\n{log.read_text()[-1500:] if log.exists() else ''}", file=sys.stderr)
            lab.down()
            print(f"{name:18} {time.monotonic() - started:6.1f} s  {said}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
