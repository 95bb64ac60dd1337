"""Kill patchbot at a thousand moments, and run many at once: what must hold after every single one.

    python tests/kills.py [--kills 1000] [--seed N] [--kernel REPOSITORY --rev REV]
    python tests/kills.py --crowd 50 [--seed N]

A run is killed (SIGKILL, SIGTERM, SIGHUP) at a random moment, or right before one of its git commands in the person's
repository. Afterwards no byte of the person's is another one, branch and record are both the old ones or both the new
ones, no child lives on, and the same command gives what it gives undisturbed and leaves nothing but that. With --crowd,
eight runs at a time share a repository, and each must say what it says alone.

Each run is forked from this process, which has everything imported: signals and children are real, and a run starts in
no time.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from tinytree import DATE, build

from patchbot import run as running
from patchbot.cli import main

NAME = "kfunc_flags"
BRANCH = f"refs/heads/patchbot/{NAME}"
OURS = (BRANCH, f"refs/patchbot/{NAME}/")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
PERSON = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A Maintainer"), ("EMAIL", "maintainer@example.org"), ("DATE", DATE))
}
PR_SET_CHILD_SUBREAPER = 36


class Wrong(Exception):
    """Something that must hold does not."""


@dataclass
class Ended:
    """How a run ended: its exit code, or minus the signal; its stdout and stderr; how long it took."""

    code: int
    out: str
    err: str
    seconds: float
    commands: int = 0

    @property
    def document(self) -> Any:
        """Return its JSON without what every run says otherwise."""
        return plain(json.loads(self.out)) if self.out else None


def plain(value: Any) -> Any:
    """Return JSON data without times, and without what says only whether a result was known."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ("seconds", "cached", "log", "reused", "date")}
    return [plain(v) for v in value] if isinstance(value, list) else value


@dataclass
class Plan:
    """When and how to kill: after `seconds`, or before the `command`th git command in the person's repository."""

    number: int
    seconds: float = 0.0
    command: int = 0

    def __str__(self) -> str:
        when = f"before git command {self.command}" if self.command else f"after {self.seconds:.3f} s"
        return f"{signal.Signals(self.number).name} {when}"


@dataclass
class Lab:
    """Folders of a trial: `linux` is the person's repository, `out` is where mails and pages go."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home = self.place("home")
        self.place("tmp")
        (home / ".gitconfig").write_text("[user]\n\tname = A Developer\n\temail = developer@example.org\n")
        self.env = {"HOME": str(home), "PATH": os.environ["PATH"], "TMPDIR": str(self.root / "tmp"), "TZ": "UTC"}
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "NO_COLOR": "1"}

    def place(self, name: str) -> Path:
        """Return a folder of the trial."""
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return self.root / name

    @property
    def repo(self) -> Path:
        """Return the person's repository."""
        return self.root / "linux"

    @property
    def git_dir(self) -> Path:
        """Return its git folder."""
        return self.repo / ".git" if (self.repo / ".git").exists() else self.repo

    @property
    def cache(self) -> Path:
        """Return patchbot's cache."""
        return self.root / "home/.cache/patchbot"

    def git(self, *argv: str, check: bool = True, stdin: bytes | None = None, **env: str) -> str:
        """Run git as the person would."""
        done = subprocess.run(
            ["git", f"--git-dir={self.git_dir}", *argv], env=self.env | PERSON | env, capture_output=True, input=stdin
        )
        if check and done.returncode:
            raise Wrong(f"git {' '.join(argv)}: {done.stderr.decode()}")
        return (done.stdout + (b"" if check else done.stderr)).decode("utf-8", "replace").strip()

    def forget(self) -> None:
        """Remove what runs wrote elsewhere: mails, and results of checks, which a frozen version holds."""
        shutil.rmtree(self.place("out"))
        for file in self.cache.glob("repos/*/results.sqlite*"):
            file.unlink()

    def refs(self) -> dict[str, str]:
        """Return all refs."""
        rows = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(row.split(" ", 1) for row in rows)

    def start(self, argv: Sequence[str], plan: Plan | None = None, name: str = "run") -> int:
        """Fork a run; with a plan for a command it kills itself there."""
        pid = os.fork()
        if pid:
            return pid
        code = 99
        try:
            os.environ.clear()
            os.environ.update(self.env)
            tempfile.tempdir = None
            os.chdir(self.root)
            for number, (file, flags) in enumerate(
                ((os.devnull, os.O_RDONLY), (f"{name}.out", os.O_WRONLY), (f"{name}.err", os.O_WRONLY))
            ):
                os.dup2(os.open(file, flags | (os.O_CREAT | os.O_TRUNC if number else 0), 0o644), number)
            counting(str(self.git_dir), plan, self.root / f"{name}.commands")
            code = main([*argv, "--kernel", str(self.repo)])
            sys.stdout.flush()
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException as error:
            sys.stderr.write(f"escaped: {error!r}\n")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait(self, pid: int, started: float, name: str = "run") -> Ended:
        """Wait for a run."""
        _, status = os.waitpid(pid, 0)
        said = [(self.root / f"{name}.{end}").read_text(errors="replace") for end in ("out", "err")]
        commands = self.root / f"{name}.commands"
        count = len(commands.read_bytes()) if commands.exists() else 0
        return Ended(os.waitstatus_to_exitcode(status), said[0], said[1], time.monotonic() - started, count)

    def run(self, argv: Sequence[str], plan: Plan | None = None) -> Ended:
        """Run patchbot, and kill it as planned."""
        started = time.monotonic()
        pid = self.start(argv, plan)
        if plan and not plan.command:
            time.sleep(plan.seconds)
            os.kill(pid, plan.number)
        return self.wait(pid, started)


def counting(git_dir: str, plan: Plan | None, file: Path) -> None:
    """Note each git command in the person's repository, and die before one where it is planned."""
    real, seen = running.start, 0

    def start(args: tuple[str, ...], *rest: Any, **options: Any) -> Any:
        nonlocal seen
        if args[:2] == ("git", f"--git-dir={git_dir}"):
            seen += 1
            if plan is None:
                file.write_bytes(b"x" * seen)
            elif plan.command == seen:
                os.kill(os.getpid(), plan.number)
        return real(args, *rest, **options)

    running.start = start


def left_alive(seconds: float = 5.0) -> list[str]:
    """Wait for the children that a run left; return the command lines of those that go on."""
    until = time.monotonic() + seconds
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return []
        if pid:
            continue
        if time.monotonic() > until:
            own = f"PPid:\t{os.getpid()}\n"
            found = []
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    if own in status.read_text():
                        found.append((status.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120])
                except OSError:
                    continue
            return found or ["?"]
        time.sleep(0.01)


def snapshot(lab: Lab) -> dict[str, str]:
    """Return {path: mode and digest} of everything in the person's repository that is not patchbot's to change."""
    found = {}
    for folder, names, files in os.walk(lab.repo):
        at = Path(folder)
        inside = at.relative_to(lab.git_dir).as_posix() if at.is_relative_to(lab.git_dir) else ""
        if inside == "objects" or inside.removeprefix("logs/").startswith(("refs/patchbot", "refs/heads/patchbot")):
            names.clear()
            continue
        for name in files:
            path = at / name
            mode = path.lstat().st_mode
            data = os.readlink(path).encode() if stat.S_ISLNK(mode) else path.read_bytes()
            found[str(path.relative_to(lab.repo))] = f"{mode:o} {hashlib.sha1(data).hexdigest()}"
    return found


def litter(lab: Lab) -> list[str]:
    """Return what no run may leave behind."""
    packs = lab.git_dir / "objects/pack"
    found = [*packs.glob("*.keep"), *packs.glob("tmp_*"), *lab.git_dir.rglob("*.lock")]
    found += [*(lab.cache / "tmp").glob("*"), *(lab.root / "tmp").iterdir(), *lab.root.glob(".*")]
    found += [p for p in lab.cache.rglob("*") if p.name.startswith(".") and "build" not in p.parts]
    found += lab.place("out").rglob(".*")
    return [str(p.relative_to(lab.root)) for p in found]


def contents(folder: Path) -> dict[str, bytes]:
    """Return {path: bytes} of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def need(right: bool, text: str) -> None:
    """Raise Wrong with a text unless something is right."""
    if not right:
        raise Wrong(text)


@dataclass
class Scene:
    """A command, and the repository that it starts from."""

    name: str
    argv: tuple[str, ...]
    prepare: Callable[[Lab], None] = lambda _: None


def generated(lab: Lab) -> None:
    """Have a draft."""
    done = lab.run(["generate", "-q"])
    need(done.code == 0, f"generate: {done.err}")


def amended(lab: Lab) -> None:
    """Have a draft whose last patch a person reworded, and another base, `next`, to move it to."""
    generated(lab)
    message = lab.git("log", "-1", "--format=%B", BRANCH) + "\n\nSeen by a person.\n"
    tip = lab.git("commit-tree", f"{BRANCH}^{{tree}}", "-p", f"{BRANCH}^", stdin=message.encode())
    lab.git("update-ref", BRANCH, tip)
    index = str(lab.root / "index")
    lab.git("read-tree", "HEAD", GIT_INDEX_FILE=index)
    blob = lab.git("hash-object", "-w", "--stdin", stdin=b"another file\n")
    lab.git("update-index", "--add", "--cacheinfo", f"100644,{blob},another", GIT_INDEX_FILE=index)
    tree = lab.git("write-tree", GIT_INDEX_FILE=index)
    lab.git("update-ref", "refs/heads/next", lab.git("commit-tree", tree, "-p", "HEAD", "-m", "Next"))
    Path(index).unlink()


def reviewed(lab: Lab) -> None:
    """Have a draft, and an mbox with a reply to its first patch."""
    generated(lab)
    done = lab.run(["mail", "-o", "posted", "--json", "-q"])
    need(done.code == 0, f"mail: {done.err}")
    first = next(p for p in sorted((lab.root / "posted").glob("0001-*.patch")))
    head, _, body = first.read_text().partition("\n\n")
    subject = next(line for line in head.splitlines() if line.startswith("Subject: ")).removeprefix("Subject: ")
    quoted = "".join(f"> {line}\n" for line in body.splitlines())
    lines = [
        "From r@example.org Thu Jan  1 00:00:00 2026",
        "From: Rev Iewer <r@example.org>",
        f"Subject: Re: {subject}",
        "Message-ID: <1@example.org>",
        "In-Reply-To: <0@example.org>",
        "Date: Thu, 1 Jan 2026 00:00:00 +0000",
        "",
        quoted + "\nReviewed-by: Rev Iewer <r@example.org>\n",
    ]
    (lab.root / "replies.mbox").write_text("\n".join(lines))
    shutil.rmtree(lab.root / "posted")


SCENES = (
    Scene("generate", ("generate", "--json")),
    Scene("regenerate", ("regenerate", "--onto", "next", "--json"), amended),
    Scene("freeze", ("freeze", "--json"), generated),
    Scene("trailers", ("trailers", "--mbox", "replies.mbox", "--json"), reviewed),
    Scene("check", ("check", "--only", "applies,checkpatch", "--full", "--json"), generated),
    Scene("mail", ("mail", "-o", "out/mails", "--json"), generated),
)


@dataclass
class Trial:
    """A scene that was run undisturbed: what it starts from and what it must come to."""

    lab: Lab
    scene: Scene
    template: Path
    before: dict[str, str]
    after: dict[str, str]
    lone: Ended
    bytes_: dict[str, str]
    mails: dict[str, bytes]

    @classmethod
    def of(cls, lab: Lab, scene: Scene, source: Path) -> Trial:
        """Prepare a scene and run it once."""
        shutil.rmtree(lab.repo, ignore_errors=True)
        shutil.copytree(source, lab.repo, symlinks=True)
        scene.prepare(lab)
        template = lab.root / f"{scene.name}.template"
        lab.repo.rename(template)
        shutil.copytree(template, lab.repo, symlinks=True)
        before, bytes_ = lab.refs(), snapshot(lab)
        lab.forget()
        lone = lab.run(scene.argv)
        need(lone.code == 0, f"{scene.name} alone: {lone.code} {lone.err}")
        need(litter(lab) == [], f"{scene.name} alone leaves {litter(lab)}")
        return cls(lab, scene, template, before, lab.refs(), lone, bytes_, contents(lab.place("out")))

    def plan(self, chance: random.Random, number: int) -> Plan:
        """Choose a moment."""
        if self.lone.commands and chance.random() < 0.4:
            return Plan(number, command=chance.randint(1, self.lone.commands))
        return Plan(number, chance.uniform(0, self.lone.seconds * 1.05))

    def kill(self, plan: Plan) -> str:
        """Run and kill, and see to it that all is well; return how it ended."""
        lab = self.lab
        shutil.rmtree(lab.repo)
        shutil.copytree(self.template, lab.repo, symlinks=True)
        lab.forget()
        done = lab.run(self.scene.argv, plan)
        alive = left_alive()
        need(not alive, f"goes on: {alive}")
        allowed = {0, -plan.number, 128 + plan.number}
        need(done.code in allowed, f"exit code {done.code}: {done.err}")
        need(not any(w in done.err for w in ("Traceback", "a bug in", "escaped", "Exception")), f"said {done.err}")
        refs = lab.refs()
        need(refs in (self.before, self.after), f"refs are neither the old nor the new ones: {refs}")
        need(done.code != 0 or refs == self.after, "it said that it was done")
        self.compare("the kill")
        if plan.number != signal.SIGKILL:
            need(litter(lab) == [], f"it leaves {litter(lab)}")
        again = lab.run(self.scene.argv)
        need(again.code == 0, f"the next run: {again.code} {again.err}")
        need(lab.refs() == self.after, f"the next run gives other refs: {lab.refs()}")
        need(
            again.document == self.lone.document or self.known(again), f"the next run says something else: {again.out}"
        )
        need(contents(lab.place("out")) == self.mails, "the next run writes other files")
        need(litter(lab) == [], f"the next run leaves {litter(lab)}")
        self.compare("the next run")
        need(not left_alive(), "a child of the next run goes on")
        return "done" if done.code == 0 else "new" if refs == self.after != self.before else "old"

    def known(self, again: Ended) -> bool:
        """Say whether a second run may say something else: what the first one did is there already."""
        return self.scene.name in ("freeze", "regenerate") and again.document["tip"] == self.lone.document["tip"]

    def compare(self, what: str) -> None:
        """Compare what is the person's with what it was."""
        now = snapshot(self.lab)
        changed = sorted(k for k in {*now, *self.bytes_} if now.get(k) != self.bytes_.get(k))
        need(not changed, f"{what} changed {changed}")
        said = self.lab.git("fsck", "--strict", "--no-dangling", check=False)
        need(said == "", f"git fsck after {what}: {said}")


def subreaper() -> None:
    """Have what a killed run leaves become a child of this process, not of init; it has no other child."""
    running.forget()
    left_alive()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kills(root: Path, count: int, seed: int, source: Path, scenes: Sequence[Scene] = SCENES) -> Counter[str]:
    """Kill `count` times, each scene in turn; return how often it ended how. Raises Wrong with the moment."""
    subreaper()
    lab = Lab(root)
    chance = random.Random(seed)
    trials = [Trial.of(lab, scene, source) for scene in scenes]
    found: Counter[str] = Counter()
    for number in range(count):
        trial = trials[number % len(trials)]
        plan = trial.plan(chance, SIGNALS[chance.randrange(len(SIGNALS))])
        try:
            found[f"{trial.scene.name} {trial.kill(plan)}"] += 1
        except Wrong as error:
            raise Wrong(f"seed {seed}, kill {number}, {trial.scene.name}, {plan}: {error}") from error
    return found


#: Commands that say the same however often and beside whatever they run; the first ones also with an empty cache.
CROWD = (
    ("scan", "--json"),
    ("generate", "--json"),
    ("check", "--only", "applies,checkpatch", "--json"),
    ("check", "--only", "applies,checkpatch", "--full", "--json"),
    ("edits", "--json"),
    ("regenerate", "--onto", "HEAD", "--json"),
    ("mail", "-o", "out/mails", "--json"),
    ("report", "--html", "out/page.html", "--json"),
    ("status", "--json"),
)
COLD = 6


def crowd(root: Path, rounds: int, seed: int, source: Path, size: int = 8) -> Counter[str]:
    """Run `size` commands at once on one repository, `rounds` times; each must say what it says alone."""
    subreaper()
    lab = Lab(root)
    shutil.copytree(source, lab.repo, symlinks=True)
    lab.place("out")
    generated(lab)
    lab.run(CROWD[2])
    alone = {argv: lab.run(argv) for argv in CROWD}
    for argv, done in alone.items():
        need(done.code == 0, f"{argv} alone: {done.code} {done.err}")
    refs, files, chance = lab.refs(), contents(lab.place("out")), random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(rounds):
        cold = number % 2 == 1
        if cold:
            shutil.rmtree(lab.cache)
        chosen = [chance.choice(CROWD[:COLD] if cold else CROWD) for _ in range(size)]
        started = time.monotonic()
        pids = [lab.start(argv, name=f"run{n}") for n, argv in enumerate(chosen)]
        ended = [lab.wait(pid, started, f"run{n}") for n, pid in enumerate(pids)]
        for argv, done in zip(chosen, ended, strict=True):
            where = f"seed {seed}, round {number}, {' '.join(argv)}"
            need(done.code == 0, f"{where}: exit code {done.code}: {done.err}")
            need(done.document == alone[argv].document, f"{where}: says {done.out}")
            found[argv[0]] += 1
        need(lab.refs() == refs, f"seed {seed}, round {number}: other refs")
        need(contents(lab.place("out")) == files, f"seed {seed}, round {number}: other files")
        need(litter(lab) == [], f"seed {seed}, round {number}: left {litter(lab)}")
        if cold:
            lab.run(CROWD[2])
    return found


def borrowed(kernel: Path, rev: str, place: Path) -> Path:
    """Return a bare repository at `place` that borrows a real kernel's objects; its HEAD is `rev`."""
    subprocess.run(["git", "clone", "-q", "--bare", "--shared", kernel, place], check=True)
    oid = subprocess.run(
        ["git", f"--git-dir={place}", "rev-parse", f"{rev}^{{commit}}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["git", f"--git-dir={place}", "update-ref", "--no-deref", "HEAD", oid], check=True)
    return place


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--crowd", type=int, metavar="ROUNDS")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kernel", type=Path, help="a repository with a real kernel, instead of the tiny one")
    parser.add_argument("--rev", default="HEAD")
    return parser.parse_args()


def lines(found: Counter[str]) -> Iterator[str]:
    """Yield a line a row."""
    for name, number in sorted(found.items()):
        yield f"{number:5} {name}"


if __name__ == "__main__":
    args = arguments()
    print(f"seed {args.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="patchbot-kills-") as folder:
        top = Path(folder)
        if args.kernel:
            world = borrowed(args.kernel.resolve(), args.rev, top / "source")
        else:
            world = build(top / "source").git_dir.parent
        began = time.monotonic()
        if args.crowd is not None:
            result = crowd(top / "lab", args.crowd, args.seed, world)
        else:
            result = kills(top / "lab", args.kills, args.seed, world)
        print("\n".join(lines(result)))
        print(f"{sum(result.values())} in {time.monotonic() - began:.0f} s, all well")
