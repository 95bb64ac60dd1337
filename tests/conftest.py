"""Seal every test from the person who runs it, and find the kernels that tests can use.

No test sees the real HOME, XDG folders or git configuration. Real kernels come from PATCHBOT_TEST_REPO (a git
repository; PATCHBOT_TEST_REVS names its revisions, else its tags do), else from the cache that `make kernels` fills.
Where none is there, the tests that need one are skipped and say how to get one; with PATCHBOT_NEED_KERNEL=1 they fail.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest
from tinytree import build
from versioned import World, open_world

from patchbot.build import benches
from patchbot.build.arches import ARCHES, X86
from patchbot.build.toolchain import find_once
from patchbot.git.grep import GrepCache
from patchbot.git.repo import Repo
from patchbot.model import kernel_version
from patchbot.paths import cache_dir
from patchbot.run import run
from patchbot.series.tree import Tree

HOW = "no real kernel: `make kernels` (or `patchbot demo`) fetches one, or PATCHBOT_TEST_REPO names a repository"
GITCONFIG = """\
[user]
	name = A Developer
	email = developer@example.org
[init]
	defaultBranch = master
[gc]
	auto = 0
[commit]
	gpgSign = false
[core]
	fsync = none
"""
#: A folder for all the tests of a process.
SEARCHES = Path(mkdtemp(prefix="patchbot-tests-"))
atexit.register(rmtree, SEARCHES, ignore_errors=True)
#: What a test inherits: the folders are looked up before HOME is sealed.
REAL_CACHE = cache_dir()
REAL_CCACHE = os.environ.get("CCACHE_DIR") or str(REAL_CACHE.parent / "ccache")
TEST_REPO = os.environ.get("PATCHBOT_TEST_REPO")

# Tests in the background or under nohup ignore signals, and so would every patchbot that they start.
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


class RealKernel(NamedTuple):
    """A kernel that a test may read but never write."""

    repo: Repo
    commit: str

    @property
    def version(self) -> str:
        """Return what its Makefile says, like 7.3.4."""
        return kernel_version(self.repo.read(self.commit, "Makefile"))

    @property
    def tree(self) -> Tree:
        """Return its tree; all tests share what a search of the whole of it found, which takes seconds."""
        return Tree(self.repo, self.commit, cache=GrepCache(SEARCHES / "grep.sqlite"))


@lru_cache
def real_kernels() -> tuple[RealKernel, ...]:
    """Return the kernels on this machine, newest first."""
    where = Path(TEST_REPO) if TEST_REPO else REAL_CACHE / "linux.git"
    if not where.exists():
        if TEST_REPO:
            raise pytest.UsageError(f"PATCHBOT_TEST_REPO={TEST_REPO} does not exist")
        return ()
    repo = Repo.open(where)
    revs = os.environ.get("PATCHBOT_TEST_REVS", "").split() or sorted(repo.refs("refs/tags/"))
    if len(revs) > 12:
        raise pytest.UsageError(f"{where} has {len(revs)} tags; PATCHBOT_TEST_REVS must name the revisions to test")
    found = {commit: RealKernel(repo, commit) for commit in map(repo.resolve, revs)}
    return tuple(sorted(found.values(), key=lambda k: [int(n) for n in re.findall(r"\d+", k.version)], reverse=True))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernel" in metafunc.fixturenames:
        there = real_kernels()
        metafunc.parametrize("kernel", there or [None], ids=[k.version for k in there] or ["none"], indirect=True)


def needed(kernel: RealKernel | None) -> RealKernel:
    if kernel is None:
        if os.environ.get("PATCHBOT_NEED_KERNEL"):
            pytest.fail(HOW)
        pytest.skip(HOW)
    return kernel


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> RealKernel:
    """Each real kernel on this machine in turn."""
    return needed(request.param)


@pytest.fixture(scope="session")
def kernel73() -> RealKernel:
    """The newest real kernel on this machine."""
    return needed(next(iter(real_kernels()), None))


@pytest.fixture
def borrow(tmp_path: Path) -> Callable[[RealKernel], Repo]:
    """Make a repository of this test's own, in which HEAD is a real kernel whose objects it borrows."""

    def clone(kernel: RealKernel) -> Repo:
        place = tmp_path / "kernel.git"
        run(
            ["git", "clone", "-q", "--bare", "--shared", kernel.repo.git_dir, place], env={"GIT_ALLOW_PROTOCOL": "file"}
        )
        own = Repo.open(place)
        own.git("update-ref", "--no-deref", "HEAD", kernel.commit)
        return own

    return clone


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Run patchbot on a repository; return its exit code and JSON, for an error what it said on stderr."""

    from patchbot.cli import main

    def call(repo: Repo, *argv: str) -> tuple[int, Any]:
        code = main([*argv, "--json", "--kernel", str(repo.git_dir)])
        said = capsys.readouterr()
        document = json.loads(said.out) if said.out else {}
        return code, document if "error" not in document else said.err

    return call


def seal(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let HOME be a folder in which git knows one developer; no terminal, no pager, no editor."""
    (home / ".gitconfig").write_text(GITCONFIG)
    for name in [n for n in os.environ if n.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "CCACHE_DIR": REAL_CCACHE,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_EDITOR": "false",
        "NO_COLOR": "1",
        "TZ": "UTC",
        "COLUMNS": "160",
    }.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(autouse=True)
def quiet_benches() -> Iterator[None]:
    """End the processes that read objects for a bench: the guard of all children gets slow if there are hundreds."""
    yield
    for bench in tuple(benches._open.values()):
        bench.scratch.close()


@pytest.fixture(scope="session", autouse=True)
def sealed_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Seal what fixtures of a module do, which comes before the first of its tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        seal(tmp_path_factory.mktemp("home"), monkeypatch)
        yield


@pytest.fixture(autouse=True)
def sealed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a HOME of its own."""
    return seal(tmp_path_factory.mktemp("home"), monkeypatch)


@pytest.fixture
def tiny(tmp_path: Path) -> Repo:
    """The tiny kernel of tests/linux, committed to a repository of this test's own; the commit is HEAD."""
    return build(tmp_path / "linux")


@pytest.fixture
def no_cross_compiler(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a test all programs of this machine but compilers for other architectures."""
    folder = tmp_path_factory.mktemp("bin")
    hidden = {f"{arch.cross}gcc" for arch in ARCHES.values() if arch != X86}
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            link = folder / program.name
            if program.name not in hidden and not link.is_symlink():
                link.symlink_to(program.absolute())
    monkeypatch.setenv("PATH", str(folder))
    find_once.cache_clear()
    yield
    find_once.cache_clear()


@pytest.fixture
def work(tiny: Repo) -> Path:
    return tiny.git_dir.parent


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """A person's repository and patchbot.toml with the campaign of tests/outside/sample."""
    return open_world(tmp_path, capsys)
