"""The house: who may import whom, what only one folder may do, and that the engine knows no campaign."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tinytree import TOP

#: From the ground up; what stands in one row does not see each other. Files at the top of patchbot/ are the ground.
FLOORS = (
    ("ground",),
    ("c", "git"),
    ("series",),
    ("draft",),
    ("mail", "checking"),
    ("build",),
    ("campaigns",),
    ("commands",),
    ("checks", "testing"),
)
RANK = {folder: rank for rank, row in enumerate(FLOORS) for folder in row}
#: The entry; it imports a command when it is asked for it.
ENTRY = "patchbot.cli"
#: What the commands have in common.
SHARED_BY_COMMANDS = ("__init__", "b4", "far", "letter", "session", "show", "subject", "trees")
LONGEST = 400
#: What names the kernel's own tools, options and attributes, and no campaign.
KERNEL_WORDS = re.compile(r"DEBUG_INFO_BTF|VMLINUX_BTF|__bpf_kfunc|\bref_kfunc\b")
CAMPAIGN_WORDS = re.compile(r"kfunc|\bKFA?_|BTF")

Modules = Mapping[str, ast.Module]


def modules(top: Path) -> dict[str, ast.Module]:
    """Return {name: syntax tree} of all modules below patchbot/ and checks/."""
    found = {}
    for folder in ("patchbot", "checks"):
        for file in sorted((top / folder).rglob("*.py")):
            name = ".".join(file.relative_to(top).with_suffix("").parts)
            found[name] = ast.parse(file.read_text())
    return found


def imported(name: str, known: Modules) -> Iterator[str]:
    """Yield the modules of `known` that one of them imports."""
    package = name.split(".")[:-1]
    for node in ast.walk(known[name]):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            wanted = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (w for w in wanted if w in known)
        yield from (f"{w}.__init__" for w in wanted if f"{w}.__init__" in known)


def room(name: str) -> str:
    """Return the folder of a module."""
    first, *rest = name.split(".")
    return first if first == "checks" else rest[0] if rest[0] in RANK else "ground"


def wrong_ways(known: Modules) -> list[str]:
    """Return the imports that go up, or to the side."""
    found = []
    for name in known:
        if name == ENTRY:
            continue
        for other in sorted(set(imported(name, known))):
            here, there = room(name), room(other)
            if here != there and RANK[there] >= RANK[here]:
                found.append(f"{name} imports {other}")
            if (
                here == "build"
                and there == "checking"
                and other not in ("patchbot.checking.check", "patchbot.checking.news", "patchbot.checking.__init__")
            ):
                found.append(f"{name} imports {other}: build sees of checking only what a check is, and what is new")
            if here not in ("checks", "commands", "campaigns") and re.match(r"patchbot\.campaigns\.\w+\.", other):
                found.append(f"{name} imports {other}: only a campaign knows itself")
            if here == "commands" and re.match(r"patchbot\.campaigns\.\w+\.", other):
                found.append(f"{name} imports {other}: commands load campaigns by name")
            if here == there == "commands" and other.rpartition(".")[2] not in SHARED_BY_COMMANDS:
                found.append(f"{name} imports {other}: no command imports another")
    return found


def cycles(known: Modules) -> list[list[str]]:
    """Return the modules that import each other, as lists."""
    arrows = {name: {o for o in imported(name, known) if o != name and not o.endswith("__init__")} for name in known}
    reach: dict[str, set[str]] = {}
    for name in arrows:
        todo, seen = list(arrows[name]), set()
        while todo:
            if (one := todo.pop()) not in seen:
                seen.add(one)
                todo += arrows[one]
        reach[name] = seen
    return [[a, b] for a in reach for b in reach[a] if a < b and a in reach[b]]


@pytest.fixture(scope="module")
def known() -> dict[str, ast.Module]:
    return modules(TOP)


def test_imports_go_down(known: Modules) -> None:
    assert wrong_ways(known) == []


def test_no_modules_import_each_other(known: Modules) -> None:
    assert cycles(known) == []


def test_modules_are_short_and_say_why_they_exist(known: Modules) -> None:
    for name, tree in known.items():
        file = TOP / (name.replace(".", "/") + ".py")
        assert len(file.read_text().splitlines()) < LONGEST, name
        assert ast.get_docstring(tree), name


def test_the_engine_knows_no_campaign() -> None:
    found = []
    for file in sorted((TOP / "patchbot").rglob("*.py")):
        if "campaigns" in file.relative_to(TOP).parts:
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if CAMPAIGN_WORDS.search(KERNEL_WORDS.sub("", line)):
                found.append(f"{file.relative_to(TOP)}:{number}: {line.strip()}")
    assert found == []


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("patchbot.run", "from .git import repo", "patchbot.run imports patchbot.git.repo"),
        ("patchbot.git.grep", "from ..series.tree import Tree", "patchbot.git.grep imports patchbot.series.tree"),
        ("patchbot.mail.rules", "from ..checking import check", "patchbot.mail.rules imports patchbot.checking.check"),
        ("patchbot.c.tokens", "import patchbot.git.repo", "patchbot.c.tokens imports patchbot.git.repo"),
        ("patchbot.build.benches", "from ..checking import runner", "only what a check is, and what is new"),
        ("patchbot.commands.scan", "from ..campaigns.kfunc_flags import campaign", "load campaigns by name"),
        ("patchbot.commands.status", "from .scan import execute", "no command imports another"),
        ("patchbot.draft.write", "from checks import applies", "patchbot.draft.write imports checks.applies"),
    ],
)
def test_each_rule_of_imports_can_fail(known: Modules, name: str, line: str, said: str) -> None:
    broken = {**known, name: ast.parse(line)}
    assert any(said in text for text in wrong_ways(broken))


def test_the_rule_of_circles_can_fail() -> None:
    made = {"patchbot.a": ast.parse("from . import b"), "patchbot.b": ast.parse("from .a import x")}
    assert cycles(made) == [["patchbot.a", "patchbot.b"]]
