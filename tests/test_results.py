import sqlite3
from pathlib import Path

import pytest

from patchbot.errors import ToolError
from patchbot.model import Finding, Result, Status
from patchbot.results import Store, new_findings, result_key
from patchbot.run import run

RESULT = Result(
    "build",
    "core/x",
    "1" * 40,
    Status.WARN,
    "why",
    (Finding(Status.WARN, "unused variable 'x'", "a.c", 3, "-Wunused"),),
    seconds=1.5,
    log="/tmp/log",
    reproduce="make",
)


def test_a_result_survives_the_store(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "new" / "results.db")
    assert store.get("k") is None
    store.put("k", RESULT)
    store.close()
    again = Store.at(tmp_path / "new" / "results.db")
    assert again.get("k") == RESULT
    found = again.get("k")
    assert found is not None
    assert found.findings[0].line == 3
    assert again.get("other") is None


def test_documents_are_kept_by_name(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results.db")
    assert store.recall("demo") is None
    store.remember("demo", {"schema": 1})
    store.remember("demo", {"schema": 1, "worst": "PASS"})
    assert store.recall("demo") == {"schema": 1, "worst": "PASS"}


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    program = (
        "import sys; from pathlib import Path; from patchbot.results import Store; from patchbot.model import *\n"
        "store = Store.at(Path(sys.argv[1]))\n"
        "for n in range(50): store.put(f'{sys.argv[2]}{n}', Result('c', None, None, Status.PASS))\n"
    )
    import sys
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: run([sys.executable, "-c", program, path, name]), "abc"))
    store = Store.at(path)
    assert all(store.get(f"{name}{n}") for name in "abc" for n in range(50))


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    path.write_bytes(b"this is not a database, not even a little" * 100)
    with pytest.raises(ToolError, match=f"{path} cannot be used: .*may be deleted"):
        Store.at(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="cannot be used"):
        Store.at(tmp_path / "file" / "results.db")


def test_a_damaged_row_is_an_error(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results.db")
    store.put("k", RESULT)
    with sqlite3.connect(tmp_path / "results.db") as other:
        other.execute("update results set result = '[1'")
    with pytest.raises(ToolError, match="cannot be used"):
        store.get("k")


def test_the_key_depends_on_each_part() -> None:
    keys = {
        result_key(*parts)
        for parts in [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("x", "b", "c"), ("ab", "", "c")]
    }
    assert len(keys) == 5


def test_a_replaced_finding_is_new_and_a_moved_one_is_not() -> None:
    old = Finding(Status.WARN, "unused x", "a.c", 3, "W")
    moved = Finding(Status.WARN, "unused x", "a.c", 30, "W")
    other = Finding(Status.WARN, "unused y", "a.c", 3, "W")
    assert new_findings([old], [moved]) == []
    assert new_findings([old], [moved, other, other]) == [other]
    assert new_findings([old, other], [old]) == []
