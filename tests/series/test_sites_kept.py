"""Where words stand is kept from run to run: what is kept wrong, or under an odd name, hides no site."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from owned import FILES, Owned

from patchbot.paths import cache_dir


@pytest.fixture
def owned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Owned:
    return Owned(tmp_path, capsys, {**FILES, ":!odd.c": b"int old_a;\n", "a\nb.c": b"int old_a;\n"})


def test_what_is_kept_wrong_is_made_anew(owned: Owned) -> None:
    right = owned.json("scan", "mine")
    assert {":!odd.c", "a\nb.c"} <= {entry["file"] for entry in right["entries"]}
    (file,) = cache_dir().rglob("answers.sqlite")
    places = 0
    for wrong in (lambda rows: [], lambda rows: [[at + 1, *rest] for at, *rest in rows]):
        with sqlite3.connect(file) as kept:
            for key, value in kept.execute("select key, value from kept").fetchall():
                made = json.loads(value)
                if isinstance(made, dict) and all(isinstance(rows, list) for rows in made.values()):
                    places += 1
                    text = json.dumps({name: wrong(rows) for name, rows in made.items()})
                    kept.execute("update kept set value = ? where key = ?", (text, key))
        assert owned.json("scan", "mine") == right
    assert places >= 2


def test_generate_looks_only_at_files_that_changed(owned: Owned) -> None:
    owned.run("generate", "mine")
    (file,) = cache_dir().rglob("answers.sqlite")
    with sqlite3.connect(file) as kept:
        before = {value for (value,) in kept.execute("select value from kept")}
    assert any("lib/6.c" in value for value in before)
    changed = FILES["lib/6.c"] + b"int z = old_a;\n"
    owned.commit("more", {"lib/6.c": changed})
    made = owned.json("regenerate", "mine", "--onto", "master")
    assert [site["site"] for site in made["new_sites"]] == ["lib/6.c:z:old_a"]
