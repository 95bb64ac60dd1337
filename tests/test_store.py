"""Stores that somebody damaged, holds or took away: set aside and made anew, or named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from patchbot.errors import UserError
from patchbot.shapes import MOST, Sha, ShapeError, read
from patchbot.store import Answers, Store, read_json, write_json

SOUND = "sound"


def sound(path: Path) -> None:
    with Store(path) as store:
        for number in range(200):
            store.put(f"k{number}", "x" * 500)


def folder(path: Path) -> None:
    (path / "deep").mkdir(parents=True)


def truncated(path: Path) -> None:
    sound(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    sound(path)
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


def other_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create table kept (a, b)")


def view(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create view kept as select 1 as key")


def dangling(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"this is no database, not even a little" * 100),
        lambda path: path.write_bytes(bytes(range(256)) * 64),
        folder,
        truncated,
        overwritten,
        other_table,
        view,
        dangling,
    ],
    ids=["text", "bytes", "folder", "truncated", "overwritten", "other-table", "view", "header-only"],
)
def test_a_damaged_file_is_set_aside_and_made_anew(
    tmp_path: Path, damage: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kept.sqlite"
    damage(path)
    with Store(path) as store:
        for number in range(200):
            store.get(f"k{number}", str)
        store.put("key", SOUND)
        assert store.get("key", str) == SOUND
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{path} cannot be used (" in said
    assert "it is set aside as kept.sqlite.damaged and made anew" in said
    assert (tmp_path / "kept.sqlite.damaged").exists()
    with Store(path) as store:
        assert store.get("key", str) == SOUND


def test_an_empty_file_is_a_new_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept.sqlite").touch()
    with Store(tmp_path / "kept.sqlite") as store:
        store.put("key", SOUND)
    assert capsys.readouterr().err == ""


def test_a_second_damaged_file_replaces_the_first(tmp_path: Path) -> None:
    for text in ("one" * 500, "two" * 500):
        (tmp_path / "kept.sqlite").write_text(text)
        Store(tmp_path / "kept.sqlite").close()
    assert (tmp_path / "kept.sqlite.damaged").read_text() == "two" * 500


def test_a_store_that_is_held_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    Store(path).close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("begin exclusive")
        with pytest.raises(UserError, match=f"another process holds {path}"):
            Store(path, patience=0).put("key", SOUND)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"cannot keep its results in {tmp_path}/file: .*XDG_CACHE_HOME"):
        Store(tmp_path / "file" / "kept.sqlite")
    with pytest.raises(UserError, match=f"cannot keep its results in {tmp_path}/file: "):
        write_json(tmp_path / "file" / "kept.json", {})


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path; from patchbot.errors import UserError\n"
        "from patchbot.store import Store, write_json\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = Store(Path(sys.argv[1]) / 'kept.sqlite')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "file = Path(sys.argv[1]) / 'kept.json'\n"
        "for act in (lambda n: store.put(f'k{n}', 'x' * 5000), lambda n: write_json(file, 'x' * 99999)):\n"
        "    try:\n"
        "        for n in range(100): act(n)\n"
        "        print('no error')\n"
        "    except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.startswith(f"patchbot cannot keep its results in {tmp_path}: ") for line in lines] == [True, True]
    assert not list(tmp_path.glob("tmp*"))


@pytest.mark.parametrize(
    "text", [b"", b"[", b"\xff", b"null", b"[" * 100000, b'{"a": NaN}', b'{"a": "1"}', b'{"b": []}']
)
def test_a_damaged_json_file_is_set_aside(tmp_path: Path, text: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(text)
    assert read_json(path, dict[str, int]) is None
    assert f"{path} cannot be used (" in capsys.readouterr().err
    assert read_json(path, dict[str, int]) is None
    assert capsys.readouterr().err == ""
    write_json(path, {"a": 1})
    assert read_json(path, dict[str, int]) == {"a": 1}


def test_a_folder_in_place_of_a_json_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "kept.json").mkdir()
    assert read_json(tmp_path / "kept.json", dict[str, int]) is None
    assert (tmp_path / "kept.json.damaged").is_dir()


@dataclass
class Kept:
    a: list[int] | None
    b: Mapping[str, str] = field(default_factory=dict)
    c: float = 0.0
    d: tuple[int, int] = (0, 0)
    e: Sha = ""


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('{"a": [1, "x"]}', Kept, r"a\[1\] is 'x', not a number"),
        ('{"a": [], "b": {"x": "y", "z": null}}', Kept, "b.z is None, not a text"),
        ('{"a": [], "d": [1, 2, 3]}', Kept, "d has 3 items, not 2"),
        ('{"a": [], "e": "xyz"}', Kept, "e is 'xyz'$"),
        ('{"a": [], "c": 1e999}', Kept, "1e999 is not JSON"),
        ('{"a": [], "c": 1%s}' % ("0" * 400), Kept, "c is 10*: Number out of range"),
        ('{"a": [], "c": 1%s}' % ("0" * 5000), Kept, "Exceeds the limit"),
        ('{"a": 5}', Kept, "a is 5, not a list"),
        ('{"a": [], "\\ud800": 1}', Kept, "surrogates not allowed"),
        ("true", int, "it is True, not a number"),
        ("[]", Kept, "it is a list, not a table"),
        ("{}", Kept, "it lacks 'a'"),
        ("", int, "Expecting value"),
        ("[" * 100000, list[int], "nested too deep"),
        ('"\udcff"', int, "surrogates not allowed"),
        (" " * (MOST + 1), int, "it has 64 MB"),
    ],
)
def test_what_is_of_another_type_is_named(text: str, kind: type[Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        read(text, kind)


def test_what_was_made_of_the_same_content_is_made_once(tmp_path: Path) -> None:
    made: list[str] = []

    def once(answers: Answers, word: str) -> list[str]:
        return answers.once(list[str], lambda: made.append(word) or [word, "\udcff"], "kind", word)

    file = tmp_path / "answers.sqlite"
    answers = Answers(file, most=2)
    assert [once(answers, word) for word in ("a", "a", "b")] == [["a", "\udcff"], ["a", "\udcff"], ["b", "\udcff"]]
    assert made == ["a", "b"]
    answers.close()
    again = Answers(file, most=2)
    once(again, "b")
    assert made == ["a", "b"], "they are kept from run to run"
    for word in ("c", "a"):
        once(again, word)
    assert made == ["a", "b", "c", "a"], "the oldest went"
    again.close()


def test_answers_are_made_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Answers(tmp_path / "file/answers.sqlite").once(int, lambda: 7, "kind") == 7
    (tmp_path / "damaged").write_text("no database")
    assert Answers(tmp_path / "damaged").once(int, lambda: 7, "kind") == 7


def test_an_error_is_not_kept(tmp_path: Path) -> None:
    def fail() -> int:
        raise UserError("no")

    answers = Answers(tmp_path / "answers")
    for _ in range(2):
        with pytest.raises(UserError, match="no"):
            answers.once(int, fail, "kind")
    assert answers.once(int, lambda: 7, "kind") == 7
    answers.close()


def test_of_many_answers_only_those_of_new_names_are_made(tmp_path: Path) -> None:
    made: list[str] = []

    def each(names: str, kind: object) -> dict[str, list[str]]:
        answers = Answers(tmp_path / "answers")
        try:
            return answers.each(dict[str, list[str]], lambda name: made.append(name) or [name, "\udcff"], names, kind)
        finally:
            answers.close()

    assert each("ab", 1) == {"a": ["a", "\udcff"], "b": ["b", "\udcff"]}
    assert each("bc", 1) == {"b": ["b", "\udcff"], "c": ["c", "\udcff"]}
    assert made == ["a", "b", "c"], "b is kept from run to run"
    assert each("cb", 1).keys() == {"c", "b"}
    assert made == ["a", "b", "c"]
    each("a", 1)
    each("c", 2)
    assert made == ["a", "b", "c", "a", "c"], "a went with the names of another time, and of c another thing is asked"
    (tmp_path / "answers").write_text("no database")
    assert each("a", 1) == {"a": ["a", "\udcff"]}
