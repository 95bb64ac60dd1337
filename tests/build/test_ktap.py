"""What KUnit says on a serial line: logs of a booted Linux 7.3, whole and cut, and texts that are none."""

from __future__ import annotations

import re

import pytest
from tinytree import TESTS

from patchbot.build.ktap import Ktap, read_ktap, stopped

SUITES = {"math-int_pow", "list-kunit-test", "hlist", "klist"}


def log(name: str) -> str:
    return (TESTS / f"logs/{name}.txt").read_text()


def counts(said: Ktap) -> tuple[int, int, int]:
    return said.count("ok"), said.count("not ok"), said.count("skip")


def places(said: Ktap) -> list[tuple[str, str | None, int | None]]:
    return [(f.message, f.file, f.line) for f in said.findings()]


def test_a_log_of_what_passes() -> None:
    said = read_ktap(log("kunit-7.3"))
    assert counts(said) == (65, 0, 1)
    assert (said.planned, said.done, said.suites, said.modules) == (4, 4, SUITES, {"int_pow_kunit", "list_test"})
    assert [case.title for case in said.cases[:2]] == [
        "math-int_pow.int_pow_test",
        "list-kunit-test.list_test_list_init",
    ]
    assert [c.name for c in said.cases if c.result == "skip"] == ["list_test_list_add"], "its reason is no part of it"
    assert (places(said), stopped(said, log("kunit-7.3"), False, 9)) == ([], "")


def test_a_log_of_what_fails() -> None:
    said = read_ktap(log("kunit-failures-7.3"))
    assert counts(said) == (56, 2, 1)
    assert places(said) == [
        (
            "math-int_pow.int_pow_test: Expected tc->expected_result == int_pow(tc->base, tc->exponent)",
            "lib/math/tests/int_pow_kunit.c",
            36,
        ),
        ("klist: failed to initialize (-22)", None, None),
    ]
    assert said.suites == SUITES, "one that could not begin is there, too"


def test_a_log_with_time_stamps_that_ends_in_a_panic() -> None:
    text = log("kunit-panic-7.3")
    said = read_ktap(text)
    assert (said.planned, said.done) == (4, 1)
    assert [row[1:] for row in places(said)] == [("lib/math/tests/int_pow_kunit.c", 36), ("lib/tests/list-test.c", 92)]
    assert (
        places(said)[1][0] == "list-kunit-test.list_test_list_del: Expected list_empty(&list) to be true, but is false"
    )
    panic = "Kernel panic - not syncing: the list is on fire"
    last = "list-kunit-test.list_test_list_del_init_careful"
    assert stopped(said, text, False, 9) == f"the kernel panicked after {last}: {panic}"


@pytest.mark.parametrize("name", ["kunit-7.3", "kunit-failures-7.3"])
def test_a_log_that_ends_early_is_not_whole(name: str) -> None:
    lines = log(name).splitlines()
    whole = counts(read_ktap(log(name)))
    end = max(at for at, line in enumerate(lines) if re.match("(not )?ok 4 klist", line))
    for at in range(end + 1):
        text = "\n".join(lines[:at])
        said = read_ktap(text)
        assert stopped(said, text, False, 9).startswith("the machine stopped"), at
        assert all(some <= every for some, every in zip(counts(said), whole, strict=True)), at


def test_where_it_stopped() -> None:
    begun = "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: sum\n    1..2\n"
    for text, where in (
        ("Linux\n", "before KUnit began"),
        ("KTAP version 1\n1..1\n", "before the first suite"),
        (begun, "in sum"),
        (f"{begun}    ok 1 a\n", "after sum.a"),
        (f"{begun}        KTAP version 1\n        # Subtest: b\n        ok 1 one\n", "in sum.b"),
        (f"{begun}    ok 1 a\nok 1 sum\n", "after sum"),
    ):
        assert stopped(read_ktap(text), text, True, 9) == f"the kernel hangs {where}: 9 s passed"
        assert stopped(read_ktap(text), text, False, 9) == f"the machine stopped {where}"


def test_why_a_case_failed() -> None:
    head = "KTAP version 1\n1..1\n    # Subtest: sum\n"
    for remarks, wanted in (
        ("    # a: EXPECTATION FAILED at lib/sum.c:3\n    Expected x == y, but\n", ("Expected x == y", "lib/sum.c", 3)),
        ("    # a: EXPECTATION FAILED at lib/sum.c:3\n", ("EXPECTATION FAILED", "lib/sum.c", 3)),
        ("    # a: EXPECTATION FAILED at /etc/x y:3\n", ("EXPECTATION FAILED at /etc/x y:3", None, None)),
        ("    # a: try timed out\n", ("try timed out", None, None)),
        ("BUG: something\n    # a: pass:0 fail:1 skip:0 total:1\n", ("failed, and did not say why", None, None)),
        ("    # a: EXPECTATION FAILED at lib/sum.c:3\n    x\n" * 9, ("x", "lib/sum.c", 3)),
    ):
        what, *place = wanted
        assert places(read_ktap(f"{head}{remarks}    not ok 1 a\nnot ok 1 sum\n")) == [(f"sum.a: {what}", *place)]
    many = "".join(f"    # a: EXPECTATION FAILED at lib/sum.c:{n}\n    x\n" for n in range(1000))
    assert len(read_ktap(f"{head}{many}    not ok 1 a\n").findings()) == 200, "a flood of them is cut"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\n\x1b[2J\n",
        "ok\nnot ok 1\nok 1\n",
        "1..99999999999999999999\n",
        " " * 100_000,
        "ok 1 " + "a" * 1_000_000,
    ],
)
def test_what_is_no_log(text: str) -> None:
    assert read_ktap(text).findings() == []
    assert stopped(read_ktap(text), text, False, 1) == "the machine stopped before KUnit began"
