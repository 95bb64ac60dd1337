"""What a result was made with is in its key: each kind of source that changes gives another identity."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbot.bundle import PACKAGE
from patchbot.identity import file_of, identity, imported, reached


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """The sources of a run do not change; those of a test do."""
    yield
    for kept in (reached, imported):
        kept.cache_clear()


def names(source: Path) -> set[str]:
    return {str(p.relative_to(PACKAGE)) if p.is_relative_to(PACKAGE) else p.name for p in reached(source)}


@pytest.mark.parametrize(
    "line",
    [
        "from patchbot.git.worktree import WorkTree",
        "from patchbot.git import worktree",
        "from patchbot.git import (\n    merge,\n    worktree as w,\n)",
        "from patchbot.git import \\\n    merge, \\\n    worktree",
        "import patchbot.git.worktree",
        "import os, patchbot.git.worktree as w",
        "def late():\n    from patchbot.git.worktree import WorkTree",
    ],
)
def test_what_a_check_imports_from_patchbot_is_a_part_of_it(tmp_path: Path, line: str) -> None:
    check = tmp_path / "mine.py"
    check.write_text(f'"""Mine."""\n{line}\n')
    assert {"mine.py", "git/worktree.py", "git/repo.py", "run.py", "git/plumbing.py"} <= names(check)
    assert "mail/replies.py" not in names(check)


def test_a_module_beside_a_check_is_a_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("from more import x\n")
    (tmp_path / "more.py").write_text("x = 1\n")
    (tmp_path / "other.py").write_text("")
    assert names(tmp_path / "mine.py") == {"mine.py", "helper.py", "more.py"}


def test_each_source_that_changes_gives_another_identity(tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    (folder / "templates").mkdir(parents=True)
    check = tmp_path / "mine.py"
    files = [check, tmp_path / "helper.py", folder / "__init__.py", folder / "steps.py", folder / "templates/a.txt.j2"]
    for file in files:
        file.write_text("import helper\n" if file == check else "one\n")
    seen = [identity(check, folder)]
    for file in files:
        file.write_text(file.read_text() + "# two\n")
        seen.append(identity(check, folder))
    (folder / "new.c.j2").write_text("three")
    reached.cache_clear()
    seen.append(identity(check, folder))
    assert len(set(seen)) == len(seen)


def test_byte_code_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = identity(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.cpython-311.pyc").write_bytes(b"x")
    reached.cache_clear()
    assert identity(tmp_path) == before


def test_relative_imports_of_the_package_are_followed() -> None:
    assert {"build/bench.py", "build/log.py", "git/worktree.py"} <= names(PACKAGE / "build/bench.py")
    assert {"campaigns/kfunc_flags/sites/plan.py", "series/anchors.py", "c/items.py"} <= names(
        PACKAGE / "campaigns/kfunc_flags"
    )


CODE = """\
from functools import partial
import helper_of_mine

def edit(context, word=""):
    return helper_of_mine.WORD

class Called:
    def __call__(self, context):
        return edit(context)

CALLS = [edit, partial(edit, word="x"), Called()]
"""


def test_a_series_is_made_anew_where_its_campaign_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of a campaign may lie anywhere; functions, partial ones and objects that are called have a file."""
    folder = tmp_path / "outside"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    (folder / "helper_of_mine.py").write_text("WORD = 'one'\n")
    (folder / "campaign_of_mine.py").write_text(CODE)
    module = importlib.import_module("campaign_of_mine")
    for call in module.CALLS:
        assert file_of(call) == folder / "campaign_of_mine.py"
    before = identity(file_of(module.edit))
    (folder / "helper_of_mine.py").write_text("WORD = 'two'\n")
    assert identity(file_of(module.edit)) != before


def test_it_does_not_matter_where_files_lie(tmp_path: Path) -> None:
    """On another machine the folder of a check may come before patchbot's, and here after it."""
    found = []
    for mine, others in (("a", "b"), ("d", "c")):
        for folder, name, text in ((mine, "check.py", "x = 1\n"), (others, "module.py", "y = 2\n")):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / name).write_text(text)
        found.append(identity(tmp_path / mine, tmp_path / others))
    assert found[0] == found[1]
