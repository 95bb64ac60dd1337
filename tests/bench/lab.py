"""Machines that are network namespaces, for hosts.py: each has a HOME, a cache, a host name and a patchbot of its own.

They get the kernel from a git daemon, and their workers are started again when they end, as an init would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))
from tinytree import TOP, build  # noqa: E402

from patchbot.git.repo import Repo  # noqa: E402

NET = "10.213.77"
GIT, SCHEDULER = 9418, 8786
PYTHON = sys.executable
DASK = [PYTHON, "-m", "dask"]
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
    """A person's machine with a series of the tiny kernel, or of a real one, a scheduler's, and three others."""

    def __init__(self, root: Path, kernel: Path | None = None, base: str = "") -> None:
        self.root = root
        subprocess.run(["sh", "-ec", CERTIFICATES], cwd=root, check=True, capture_output=True)
        self.repo = root / "linux.git"
        if kernel:
            subprocess.run(["git", "clone", "-q", "--bare", "--shared", kernel, self.repo], check=True)
        else:
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
        self.cache, self.base = root / "you/.cache", base
        (root / "you/.gitconfig").write_text("[user]\n\tname = A Developer\n\temail = developer@example.org\n")
        self.fresh()

    def fresh(self, config: str = "") -> None:
        """Let the person's checks and patchbot.toml be the lab's, with more."""
        for name, text in (("slow", SLOW), ("long", LONG)):
            (self.checks / f"{name}.py").write_text(text)
        remote = f"git://{NET}.1:{GIT}/{Repo.open(self.repo).git_dir.relative_to(self.root)}"
        kernel = f'[kernel]\nbase = "{self.base}"\n' if self.base else ""
        text = f'{kernel}[run]\nremote = "{remote}"\n[checks]\npath = ["{self.checks}"]\n{config}'
        (self.root / "patchbot.toml").write_text(text)

    def patchbot(self, *argv: str, code: int | None = 0, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run patchbot as the person does, with the cache of the case or another one."""
        done = self.begin(*argv, cache=cache)
        out, err = done.communicate(timeout=900)
        if (code is not None and done.returncode != code) or "Traceback" in err:
            raise Wrong(f"exit {done.returncode}, not {code}: {' '.join(argv)}\n{out[-2000:]}\n{err[-4000:]}")
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    def begin(self, *argv: str, cache: Path | None = None) -> subprocess.Popen[str]:
        """Start patchbot as the person does."""
        words = [PYTHON, "-m", "patchbot.cli", *argv, "--config", str(self.root / "patchbot.toml")]
        env = {**self.env, "XDG_CACHE_HOME": str(cache or self.cache)}
        return subprocess.Popen(
            words, cwd=self.repo, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def check(self, *argv: str, code: int | None = 0, cache: Path | None = None) -> dict[str, Any]:
        """Return the document of a check."""
        said = self.patchbot("check", "--json", *argv, code=code, cache=cache)
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
