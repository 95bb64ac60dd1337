"""Check a series on hosts that are network namespaces, break them, and compare the results with a run in threads.

    python tests/bench/hosts.py [--case CASE,..] [--seed N] [--kernel REPOSITORY --rev REV]

Each host has a HOME, a cache, a host name and a copy of patchbot of its own, and gets the kernel from a git daemon; the
workers are started again when they end, as an init would. A case prints one line, and the exit code is 1 if one is
wrong. `--kernel` takes a real kernel for the case `kernel`. It needs root (ip netns), openssl and git-daemon, and
changes nothing outside of a throw-away folder, but for a bridge that it removes at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
from tinytree import TOP, build  # noqa: E402

NET = "10.213.77"
GIT, SCHEDULER = 9418, 8786
PYTHON = sys.executable
DASK = [PYTHON, "-m", "dask"]
#: What a result may say otherwise than one of another run.
OWN = ("seconds", "date", "where", "cached")
#: Copied to each host: patchbot with what lies beside it.
PROGRAM = ("patchbot", "checks", "templates", "patchbot.toml", "pyproject.toml")
CERTIFICATES = """\
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab -keyout ca.key -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=host -keyout key.pem -out host.csr
openssl x509 -req -days 2 -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem
"""
#: Says what each patch is, after a while, and who asked; `SECONDS` and the rest are of the lab's patchbot.toml.
SLOW = '''\
"""Say what each patch is."""
from patchbot.checking.check import Outcome
from patchbot.model import Finding, Status
from patchbot.run import run
NEEDS = {"sh": "dash"}
def key(subject, item):
    return item.tree
def check(subject, item):
    log = subject.log("slow", item)
    log.write_bytes(b"")
    run(["sleep", str(subject.options.get("seconds", 0.3))], log=log)
    found = Finding(Status.WARN, item.subject, item.files[0], 1, type="SUBJECT")
    return Outcome.of([found], examined=1, reason=f"see {log}", log=log)
'''
LONG = SLOW.replace("slow", "long").replace("0.3", "0.5") + "EXCLUSIVE = True\n"


class Wrong(Exception):
    """Something that must hold does not."""


@dataclass
class Host:
    """A machine: where it is, and what runs on it."""

    root: Path
    name: str
    number: int
    env: dict[str, str] = field(default_factory=dict)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.code = self.root / self.name, self.root / f"{self.name}-code"
        self.home.mkdir()
        self.code.mkdir()
        for part in PROGRAM:
            copy = shutil.copytree if (TOP / part).is_dir() else shutil.copy
            copy(TOP / part, self.code / part)
        (self.code / "tests").mkdir()
        (self.code / "tests/linux").symlink_to(TESTS / "linux")
        self.reset()

    @property
    def address(self) -> str:
        return f"{NET}.{self.number}"

    def reset(self) -> None:
        """Give it the environment of a fresh machine."""
        self.env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(self.code),
            "TMPDIR": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONWARNINGS": "ignore",
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "60s",
            "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false",
            **{f"DASK_DISTRIBUTED__COMM__TLS__{n}": v for n, v in tls(self.root).items()},
        }

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a program in the host's network, under the host's name."""
        inside = ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"']
        with open(self.home / "log", "ab") as log:
            child = subprocess.Popen(
                [*inside, self.name, *argv], env=self.env, cwd=self.home, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(child)
        return child

    def work(self, address: str, *, threads: int = 2, workers: int = 1) -> None:
        """Start workers, again and again."""
        argv = [*DASK, "worker", address, "--nthreads", str(threads), "--no-nanny", "--no-dashboard"]
        again = 'while :; do "$@"; sleep 1; done'
        for _ in range(workers):
            self.start("sh", "-c", again, "worker", *argv, "--local-directory", str(self.home / "dask"))

    def processes(self, word: str) -> list[psutil.Process]:
        """Return what runs on it with a word in its command line."""
        found = []
        for child in self.running:
            with suppress(psutil.Error):
                for one in psutil.Process(child.pid).children(recursive=True):
                    with suppress(psutil.Error):
                        found += [one] if word in " ".join(one.cmdline()) else []
        return found

    def workers(self) -> list[psutil.Process]:
        """Return the processes of its workers, without those that start them again."""
        return [one for one in self.processes("-m dask worker") if one.name() != "sh"]

    def stop(self) -> None:
        """Switch it off."""
        for child in self.running:
            with suppress(psutil.Error):
                for one in [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]:
                    with suppress(psutil.Error):
                        one.kill()
            child.wait()
        self.running.clear()


def tls(root: Path) -> dict[str, str]:
    """Return dask's settings of certificates."""
    both = {
        f"{who}__{what}": str(root / f"{what.lower()}.pem")
        for who in ("SCHEDULER", "WORKER", "CLIENT")
        for what in ("KEY", "CERT")
    }
    return {"CA_FILE": str(root / "ca.pem"), **both}


class Lab:
    """A person's machine with a series of the tiny kernel, a scheduler's, and three others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        subprocess.run(["sh", "-ec", CERTIFICATES], cwd=root, check=True, capture_output=True)
        self.repo = build(root / "linux").git_dir.parent
        self.checks = root / "mychecks"
        self.checks.mkdir()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.scheduler = Host(root, "ph0", 10)
        self.hosts = [Host(root, f"ph{n}", 10 + n) for n in (1, 2, 3)]
        self.env = {
            **self.scheduler.env,
            "HOME": str(root / "you"),
            "PYTHONPATH": str(TOP),
            "TMPDIR": str(root / "you"),
        }
        (root / "you").mkdir()
        (root / "you/.gitconfig").write_text("[user]\n\tname = A Developer\n\temail = developer@example.org\n")
        self.fresh()

    def fresh(self, config: str = "") -> None:
        """Let the person's checks and patchbot.toml be the lab's, with more."""
        for name, text in (("slow", SLOW), ("long", LONG)):
            (self.checks / f"{name}.py").write_text(text)
        remote = f"git://{NET}.1:{GIT}/linux/.git"
        text = f'[run]\nremote = "{remote}"\n[checks]\npath = ["{self.checks}"]\n{config}'
        (self.root / "patchbot.toml").write_text(text)

    def patchbot(self, *argv: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run patchbot as the person does."""
        done = self.begin(*argv)
        out, err = done.communicate(timeout=900)
        if (code is not None and done.returncode != code) or "Traceback" in err:
            raise Wrong(f"exit {done.returncode}, not {code}: {' '.join(argv)}\n{out[-2000:]}\n{err[-4000:]}")
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    def begin(self, *argv: str) -> subprocess.Popen[str]:
        """Start patchbot as the person does."""
        words = [PYTHON, "-m", "patchbot.cli", *argv, "--config", str(self.root / "patchbot.toml")]
        return subprocess.Popen(
            words, cwd=self.repo, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def check(self, *argv: str, code: int | None = 0) -> dict[str, Any]:
        """Return the document of a check."""
        said = self.patchbot("check", "--json", *argv, code=code)
        return json.loads(said.stdout) if said.stdout else {"error": said.stderr}

    @contextmanager
    def network(self) -> Iterator[None]:
        """Connect the hosts, and let them fetch the person's commits."""
        ip = lambda *argv: subprocess.run(["ip", *argv], check=True, capture_output=True)  # noqa: E731
        names = [host.name for host in (self.scheduler, *self.hosts)]
        try:
            ip("link", "add", "pbr0", "type", "bridge")
            ip("addr", "add", f"{NET}.1/24", "dev", "pbr0")
            ip("link", "set", "pbr0", "up")
            for host in (self.scheduler, *self.hosts):
                ip("netns", "add", host.name)
                ip("link", "add", f"v{host.name}", "type", "veth", "peer", "name", "eth0", "netns", host.name)
                ip("link", "set", f"v{host.name}", "master", "pbr0", "up")
                ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
                ip("-n", host.name, "link", "set", "eth0", "up")
                ip("-n", host.name, "link", "set", "lo", "up")
            where = [f"--listen={NET}.1", f"--port={GIT}", f"--base-path={self.root}", "--export-all", "--reuseaddr"]
            self.daemon = subprocess.Popen(["git", "daemon", *where], stderr=subprocess.DEVNULL)
            yield
        finally:
            self.down()
            if self.daemon:
                self.daemon.terminate()
                self.daemon.wait()
            for name in names:
                subprocess.run(["ip", "netns", "del", name], capture_output=True)
            subprocess.run(["ip", "link", "del", "pbr0"], capture_output=True)

    def schedule(self, kind: str = "tcp") -> str:
        """Start a scheduler; return its address."""
        address = f"{kind}://{self.scheduler.address}:{SCHEDULER}"
        self.scheduler.start(*DASK, "scheduler", "--host", address, "--no-dashboard")
        return address

    def up(self, kind: str = "tcp", **how: int) -> list[str]:
        """Start the scheduler and the workers; return the arguments that name it."""
        address = self.schedule(kind)
        for host in self.hosts:
            host.work(address, **how)
        return self.reach(address)

    def reach(self, address: str, most: int = 3) -> list[str]:
        """Return the arguments that name a scheduler, once its workers are there."""
        wait = f"from distributed import Client; Client({address!r}, timeout=300).wait_for_workers({most}, 300)"
        subprocess.run([PYTHON, "-c", wait], env=self.env, check=True, capture_output=True)
        return ["--cluster", address, *(["--insecure"] if address.startswith("tcp") else [])]

    def down(self) -> None:
        """Switch all off, and let the hosts forget what they have."""
        for host in (*self.hosts, self.scheduler):
            host.stop()
            shutil.rmtree(host.home, ignore_errors=True)
            host.home.mkdir(exist_ok=True)
            host.reset()


def told(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a run without what each run says otherwise."""
    rows = [{key: value for key, value in row.items() if key not in OWN} for row in report["results"]]
    # A worker's configuration comes along beside the logs.
    return [{**row, "reproduce": row["reproduce"].replace("/build/fragments/", "/logs/")} for row in rows]


def same(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Raise Wrong if two reports differ, with the first difference."""
    if "results" not in there:
        raise Wrong(f"no report: {there}")
    one, two = json.dumps(told(here), indent=1).splitlines(), json.dumps(told(there), indent=1).splitlines()
    for number, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            raise Wrong(
                f"in threads {a.strip()[:600]}\n  on workers {b.strip()[:600]}\n  after {one[number - 3 : number]}"
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


def truth(lab: Lab, some: str = SOME) -> dict[str, Any]:
    """Return what a run in threads says."""
    return lab.check("--only", some, "--full", code=None)


def spread(report: Mapping[str, Any]) -> str:
    """Say how many results were made where."""
    found = Counter(row["where"].split()[0] for row in report["results"] if row["where"])
    return ", ".join(f"{name} {count}" for name, count in sorted(found.items()))


def everything(lab: Lab, kind: str) -> str:
    some = "applies,checkpatch,build,btf,slow"
    here = truth(lab, some)
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
    here = truth(lab, "applies,checkpatch,build,slow")
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


def begun(lab: Lab, run: subprocess.Popen[str]) -> None:
    """Return when checks of a run are at work on a host; raise Wrong if the run ends before."""
    wait_until(lambda: asleep(lab) or run.poll() is not None, "begun")
    if run.poll() is not None:
        raise Wrong(f"it ended before it began: {run.communicate()}")


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
    return f"{len(kept)} kept, {len(new)} by the second run, the same"


@case
def kill_workers(lab: Lab, chance: random.Random) -> str:
    """kill -9 at ten moments, of a worker that is chosen by chance."""
    here, argv = truth(lab), lab.up()
    run = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    begun(lab, run)
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
    run = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    begun(lab, run)
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
    run = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    begun(lab, run)
    for host in lab.hosts:
        host.stop()
    first = finish(run)
    for host in lab.hosts:
        host.work(argv[1])
    lab.reach(argv[1])
    return f"{first.get('error', '')[:160]!r}; {rest(lab, argv, here, first)}"


def stopped(lab: Lab, chance: random.Random, seconds: float) -> str:
    here, argv = truth(lab), lab.up()
    run = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    begun(lab, run)
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
    here = truth(lab, some)
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
    both = SLOW.replace("slow", "both").replace('{"sh": "dash"}', '{"perl": "perl", "pahole": "pahole"}')
    (lab.checks / "both.py").write_text(both)
    none = SLOW.replace("slow", "none").replace('{"sh": "dash"}', '{"no-such-program": "no-such-package"}')
    (lab.checks / "none.py").write_text(none)
    here = truth(lab, "applies,build")
    without(lab, lab.hosts[0], "gcc", "pahole")
    without(lab, lab.hosts[1], "gcc", "pahole")
    without(lab, lab.hosts[2], "perl")
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
    if what not in said or "ph2" not in said:
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
    here = truth(lab, "build,slow,long")
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
    second = lab.begin("check", "--json", "--only", SOME, "--full", *argv)
    begun(lab, second)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=300)
    wait_until(lambda: not [p for h in lab.hosts for p in h.processes("sleep 30")], "ended: the first one's", 60)
    there = finish(second)
    same(here, there)
    return f"the first ended, the other has {len(there['results'])} results, the same"


@case
def next_worker(lab: Lab, chance: random.Random) -> str:
    """Several workers of a host share its bench, run after run, whichever gets it."""
    here, address = truth(lab, "build"), lab.schedule()
    lab.hosts[0].work(address)
    argv = lab.reach(address, 1)
    same(here, lab.check("--only", "build", "--full", *argv, code=None))
    lab.hosts[0].work(address, workers=3)
    lab.reach(address, 4)
    for _ in range(2):
        same(here, lab.check("--only", "build", "--full", *argv, code=None))
    return "three runs, the same"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help="only these, by commas", default=",".join(CASES))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    bad = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {args.seed}", flush=True)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="patchbot-hosts-")))
        lab = Lab(root)
        stack.enter_context(lab.network())
        lab.patchbot("generate", "-q")
        for name in args.case.split(","):
            started = time.monotonic()
            lab.fresh()
            try:
                said = CASES[name](lab, random.Random(f"{args.seed} {name}"))
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
