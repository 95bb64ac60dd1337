import json
import sqlite3
from pathlib import Path

import pytest

from patchbot.checking.store import Results, result_key
from patchbot.model import Finding, Result, Status
from patchbot.run import run
from patchbot.shapes import plain

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
    store = Results(tmp_path / "new" / "results.db")
    assert store.get("k") is None
    store.put("k", RESULT)
    store.close()
    again = Results(tmp_path / "new" / "results.db")
    assert again.get("k") == RESULT
    found = again.get("k")
    assert found is not None
    assert found.findings[0].line == 3
    assert again.get("other") is None


REPORT = {
    "campaign": "demo",
    "base": "1" * 40,
    "tip": "2" * 40,
    "worst": "PASS",
    "results": (plain(RESULT),),
    "counts": {"PASS": 1},
    "seconds": 1.0,
}


def test_reports_are_kept_by_name(tmp_path: Path) -> None:
    store = Results(tmp_path / "results.db")
    assert store.recall("demo") is None
    store.remember("demo", {"schema": 1})
    store.remember("demo", REPORT)
    assert store.recall("demo") == REPORT


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    program = (
        "import sys; from pathlib import Path\n"
        "from patchbot.checking.store import Results; from patchbot.model import *\n"
        "store = Results(Path(sys.argv[1]))\n"
        "for n in range(50): store.put(f'{sys.argv[2]}{n}', Result('c', None, None, Status.PASS))\n"
    )
    import sys
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: run([sys.executable, "-c", program, path, name]), "abc"))
    store = Results(path)
    assert all(store.get(f"{name}{n}") for name in "abc" for n in range(50))


@pytest.mark.parametrize(
    "change",
    [
        "[1",
        "[]",
        "null",
        "7",
        "NaN",
        "[" * 10000,
        '"' + "x" * 100 + '"',
        json.dumps({**plain(RESULT), "status": "GOOD"}),
        json.dumps({**plain(RESULT), "reason": None}),
        json.dumps({**plain(RESULT), "seconds": float("nan")}),
        json.dumps({**plain(RESULT), "findings": {"status": "PASS"}}),
        json.dumps({**plain(RESULT), "findings": [{"status": "PASS"}]}),
        b"\xff\xfe",
        5,
    ],
)
def test_a_row_of_another_shape_is_forgotten(
    tmp_path: Path, change: object, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Results(tmp_path / "results.db")
    store.put("k", RESULT)
    with sqlite3.connect(tmp_path / "results.db") as other:
        other.execute("update kept set value = ?", (change,))
    assert store.get("k") is None
    assert f"{tmp_path}/results.db: the entry result k cannot be read" in capsys.readouterr().err
    assert store.get("k") is None, "it is said once"
    assert capsys.readouterr().err == ""
    store.put("k", RESULT)
    assert store.get("k") == RESULT


@pytest.mark.parametrize("change", [{"results": None}, {"results": [{}]}, {"worst": "GOOD"}, {"counts": [1]}])
def test_a_report_of_another_shape_is_forgotten(tmp_path: Path, change: dict[str, object]) -> None:
    store = Results(tmp_path / "results.db")
    store.remember("demo", REPORT | change)
    assert store.recall("demo") is None


def test_the_key_depends_on_each_part() -> None:
    keys = {
        result_key(*parts)
        for parts in [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("x", "b", "c"), ("ab", "", "c")]
    }
    assert len(keys) == 5
