"""git's argv is made in patchbot/git/ only, and programs are started in patchbot/run.py only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("patchbot", "checks") for p in (ROOT / folder).rglob("*.py"))
#: run.py starts all programs; plumbing.py names the type of the reader that it got from there.
STARTERS = {"patchbot/run.py", "patchbot/git/plumbing.py"}
#: Run git with the words that they are given: only patchbot/git/ knows such words.
DOORS = {"git", "look", "text"}
START = re.compile(r"(subprocess|pty|multiprocessing)(\..*)?|os\.(system|popen|exec\w*|(posix_)?spawn\w*|fork\w*)")


def git_words(tree: ast.AST) -> Iterator[int]:
    """Yield the lines at which git's argv is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.List) and node.elts and is_git(node.elts[0]):
            yield node.lineno
        if isinstance(node, ast.Call):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Tuple) and first.elts and is_git(first.elts[0]):
                yield node.lineno
            if isinstance(node.func, ast.Attribute) and node.func.attr in DOORS:
                yield node.lineno


def is_git(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "git"


def starts(tree: ast.AST) -> Iterator[int]:
    """Yield the lines at which a program is started, or what starts programs is imported."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        if any(START.fullmatch(name) for name in names):
            yield node.lineno


def test_git_is_asked_in_its_own_folder_only() -> None:
    outside = [path for path in SOURCES if ROOT / "patchbot/git" not in path.parents]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in outside for line in git_words(ast.parse(path.read_bytes()))]
    assert not found, "put a function with a name into patchbot/git/"


def test_programs_are_started_in_one_place_only() -> None:
    others = [path for path in SOURCES if str(path.relative_to(ROOT)) not in STARTERS]
    found = [f"{path.relative_to(ROOT)}:{line}" for path in others for line in starts(ast.parse(path.read_bytes()))]
    assert not found, "use patchbot/run.py"


@pytest.mark.parametrize(
    "text",
    ['run(["git", "log"])', 'argv = ["git", *x]', 'start(("git", "log"))', 'repo.git("log")', "a.b.look(*argv)"],
)
def test_git_is_seen_where_it_is_asked(text: str) -> None:
    assert list(git_words(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess",
        "from subprocess import run",
        "os.system(x)",
        "os.execv(x)",
        "os.posix_spawn(x)",
        "import pty",
    ],
)
def test_a_start_is_seen(text: str) -> None:
    assert list(starts(ast.parse(text)))
