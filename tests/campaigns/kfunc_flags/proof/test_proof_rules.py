from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from idsets import compile_sets
from subjects import site_of

from patchbot.build.units import Files, Shelf, Unit
from patchbot.campaigns.kfunc_flags.proof.meaning import Flags, Rule
from patchbot.campaigns.kfunc_flags.proof.readings import Reading, read_object
from patchbot.campaigns.kfunc_flags.proof.rules import (
    Places,
    State,
    agree,
    compare,
    inspect,
    layout,
    mismatches,
    uncovered,
)
from patchbot.model import Finding
from patchbot.shapes import convert, plain
from patchbot.store import Store

OLD = Flags(
    {"KF_ACQUIRE": 1, "KF_RELEASE": 2, "KF_RET_NULL": 4, "KF_SLEEPABLE": 32, "KF_RCU": 128}, {}, {"BTF_SET8_KFUNCS": 1}
)
NEW = replace(
    OLD,
    argument={"KFA_ACQUIRE": 1, "KFA_RELEASE": 2, "KFA_RCU": 128},
    set={"BTF_SET8_KFUNCS": 1, "BTF_SET8_KFUNC_ARGS": 2},
)
FIRST = Rule("first")

CODE = """
#define KFUNC __attribute__((used, noinline))
struct task_struct; struct cpumask;
KFUNC void put(struct task_struct *p) { }
KFUNC void both(struct task_struct *p, int n, const struct cpumask *m) { }
KFUNC void plain(struct task_struct *p) { }
KFUNC void old(void) { }
"""
WHOLE = """
ROW(put, 2)
ROW(both, 128 | 32)
ROW(plain, 32)
"""
SINGLE = """
ROW(put, 0)
ARGS(put, 1, 2)
ROW(both, 32)
ARGS3(both, 128, 0, 128)
ROW(plain, 32)
"""
ARGS3 = """
#define ARGS3(name, a, b, c) asm(IDS(1) OBJ("__BTF_ID__func__" #name "__" S(__COUNTER__)) \\
	".long 3\\n.long " S(a) ", " S(b) ", " S(c) "\\n.popsection\\n");
"""

Make = Callable[..., State]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that compiles rows to a state; more than one text makes more objects."""

    def state(flags: Flags, *texts: str, rest: str = "LIST(l)\nID(struct, x)\n") -> State:
        readings: dict[str, Reading] = {}
        for number, text in enumerate(texts, 1):
            start, end = f"KFUNCS(set{number})\n", f"KFUNCS_END(set{number})\n"
            if flags is OLD:
                start, end = f"SET8(set{number}, 1)\n", f"SET8_END(set{number})\n"
            source = ARGS3 + (CODE if number == 1 else "int other(void) { return 0; }") + start + text + end + rest
            path = compile_sets(tmp_path, source, "-g")
            readings[f"o{number}.o"] = read_object(f"o{number}.o", path, flags.trailer)
        return State(flags, FIRST, readings)

    return state


NOWHERE = Places(())


def at(*entries: Mapping[str, Any]) -> Places:
    """Return the places of entries of the inventory."""
    return Places([site_of(entry) for entry in entries])


def kinds(findings: Any) -> list[str]:
    return [f"{f.type}: {f.message}" for f in findings]


def test_an_exact_conversion_changes_nothing(make: Make) -> None:
    before, between, after = make(OLD, WHOLE), make(NEW, WHOLE), make(NEW, SINGLE)
    for one, other in ((before, between), (between, after), (before, after)):
        assert kinds(compare(one, other, NOWHERE, {})) == []
        assert kinds(inspect(other, NOWHERE)) == []
        assert kinds(agree(one, other, NOWHERE)) == []
    assert [r.kfunc for r in after.rows] == ["put", "both", "plain"]
    assert after.arguments == 1 + 3 + 1


#: What goes wrong in a conversion, and the kind of finding that says so.
MUTANTS: Mapping[str, tuple[str, str, str]] = {
    "a wrong known flag": ("ARGS(put, 1, 2)", "ARGS(put, 1, 128)", "EFFECT"),
    "a flag on a neighbour": ("ARGS3(both, 128, 0, 128)", "ARGS3(both, 128, 128, 0)", "EFFECT"),
    "one argument short": ("ARGS3(both, 128, 0, 128)", "ARGS(both, 1, 128)", "EFFECT"),
    "one argument too many": ("ROW(plain, 32)", "ROW(plain, 32)\nARGS(plain, 1, 128)", "EFFECT"),
    "a dropped row": ("ROW(plain, 32)\n", "", "LOST"),
    "a dropped record": ("ARGS(put, 1, 2)\n", "", "EFFECT"),
    "a row twice": ("ROW(plain, 32)\n", "ROW(plain, 32)\nROW(plain, 32)\n", "NEW"),
    "a new row": ("ROW(plain, 32)\n", "ROW(plain, 32)\nROW(old, 0)\n", "NEW"),
    "another flag lost": ("ROW(both, 32)", "ROW(both, 0)", "EFFECT"),
    "another flag gained": ("ROW(plain, 32)", "ROW(plain, 33)", "EFFECT"),
    "an unknown bit": ("ROW(plain, 32)", "ROW(plain, 32 | 1 << 30)", "EFFECT"),
    "the flag of the kfunc stays too": ("ROW(put, 0)", "ROW(put, 2)", "RECORD"),
    "a record twice": ("ARGS(put, 1, 2)\n", "ARGS(put, 1, 2)\nARGS(put, 1, 2)\n", "RECORD"),
    "a record of another kfunc": ("ARGS(put, 1, 2)\n", "ARGS(put, 1, 2)\nARGS(strange, 1, 2)\n", "RECORD"),
    "a record that ends with nothing": ("ARGS(put, 1, 2)\n", "ARGS2(put, 2, 0)\n", "RECORD"),
    "a misspelt flag": ("ARGS(put, 1, 2)\n", "ARGS(put, 1, KFA_RELAESE)\n", "UNDEFINED"),
    "a wrong kfunc": ("ROW(put, 0)\n", "ROW(putt, 0)\n", "LOST"),
    "two kfuncs exchanged": ("ROW(both, 32)", "ROW(both, 0)\nROW(extra, 32)", "EFFECT"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_a_conversion_are_found(make: Make, name: str) -> None:
    right, wrong, kind = MUTANTS[name]
    assert right in SINGLE
    before, after = make(NEW, WHOLE), make(NEW, SINGLE.replace(right, wrong))
    found = kinds([*compare(before, after, NOWHERE, {}), *layout(after), *inspect(after, NOWHERE)])
    assert any(text.startswith(kind) for text in found), found


def test_a_new_function_may_get_a_row_and_a_set(make: Make) -> None:
    before = make(NEW, WHOLE)
    more = make(NEW, WHOLE + "ROW(young, 0)\n", "ROW(younger, 32)\n")
    assert kinds(compare(before, more, NOWHERE, {})) == []
    known = make(NEW, WHOLE, "ROW(plain, 32)\n")
    assert [k.split(":")[0] for k in kinds(compare(before, known, NOWHERE, {}))] == ["NEW", "SET"]


def test_the_finding_says_what_changed_and_where(make: Make) -> None:
    before, after = make(NEW, WHOLE), make(NEW, SINGLE.replace("ARGS3(both, 128, 0, 128)", "ARGS3(both, 128, 128, 0)"))
    places = at({"set": "set1", "kfunc": "both", "file": "kernel/x.c", "line": 12})
    found = [f for f in compare(before, after, places, {}) if f.type == "EFFECT"]
    text = (
        "set1: both(): KF_RCU | KF_SLEEPABLE became KF_SLEEPABLE, KFA_RCU, KFA_RCU, 0: "
        "lost rcu of argument 2; gained rcu of argument 1"
    )
    assert [(f.message, f.file, f.line) for f in found] == [(text, "kernel/x.c", 12)]


def test_two_sets_of_one_kfunc_agree(make: Make) -> None:
    second = "ROW(put, 2)\n"
    before = make(NEW, WHOLE, second)
    assert kinds(agree(None, before, NOWHERE)) == []
    forgotten = make(NEW, SINGLE, second)
    assert kinds(compare(before, forgotten, NOWHERE, {})) == []
    assert "put() has different argument flags in set1, set2" in kinds(agree(before, forgotten, NOWHERE))[0]
    both = make(NEW, SINGLE, "ROW(put, 0)\nARGS(put, 1, 2)\n")
    assert kinds(agree(before, both, NOWHERE)) == []
    # They may differ in other flags if they did before.
    other = make(NEW, WHOLE, "ROW(put, 2 | 32)\n")
    assert kinds(agree(before, other, NOWHERE)) == ["AGREE: put() no longer has the same flags in set1, set2"]
    assert kinds(agree(other, other, NOWHERE)) == []


def test_a_decision_allows_what_it_says_and_no_more(make: Make) -> None:
    before = make(NEW, WHOLE)
    narrower = make(NEW, SINGLE.replace("ARGS3(both, 128, 0, 128)", "ARGS(both, 1, 128)"))
    assert kinds(compare(before, narrower, NOWHERE, {"both": {"rcu": [0], "reason": "..."}})) == []
    for decision in ({"rcu": [2]}, {"rcu": [0, 1]}, {"release": [0]}, {}):
        assert kinds(compare(before, narrower, NOWHERE, {"both": decision})), decision
    lost_too = make(
        NEW, SINGLE.replace("ARGS3(both, 128, 0, 128)", "ARGS(both, 1, 128)").replace("both, 32", "both, 0")
    )
    assert "KF_SLEEPABLE" in kinds(compare(before, lost_too, NOWHERE, {"both": {"rcu": [0]}}))[0]


def test_what_is_acquired_moves_to_an_argument_by_decision_only(make: Make) -> None:
    before = make(OLD, "ROW(put, 1)\n")
    after = make(NEW, "ROW(put, 0)\nARGS(put, 1, 1)\n")
    (finding,) = kinds(compare(before, after, NOWHERE, {}))
    assert "lost acquire of what is returned; gained acquire of argument 0" in finding
    assert kinds(compare(before, after, NOWHERE, {"put": {"acquire": [0], "reason": "it is returned"}})) == []
    for decision in ([], [1]):
        assert len(kinds(compare(before, after, NOWHERE, {"put": {"acquire": decision}}))) == 1
    lost = make(NEW, "ROW(put, 0)\n")
    for decision in ([], [0]):
        assert len(kinds(compare(before, lost, NOWHERE, {"put": {"acquire": decision}}))) == 1
    both = make(NEW, "ROW(put, 1)\nARGS(put, 1, 1)\n")
    assert any("both KF_ACQUIRE and KFA_ACQUIRE" in text for text in kinds(inspect(both, NOWHERE)))


def test_the_kind_of_a_set_may_only_change_with_the_header(make: Make) -> None:
    before = make(NEW, WHOLE)
    reading = before.readings["o1.o"]
    plain = reading.ids.sets[0]._replace(flags=2)
    after = replace(before, readings={"o1.o": reading._replace(ids=reading.ids._replace(sets=(plain,)))})
    assert "set1: the set's flags" in kinds(compare(before, after, NOWHERE, {}))[0]
    assert "BTF_SET8_KFUNC_ARGS belongs to sets of kfuncs" in kinds(inspect(after, NOWHERE))[0]
    old = make(OLD, WHOLE)
    forgotten = replace(before, readings=old.readings)
    assert kinds(compare(old, forgotten, NOWHERE, {}))
    assert kinds(inspect(forgotten, NOWHERE))
    lost = replace(before, readings={"o1.o": reading._replace(ids=reading.ids._replace(sets=()))})
    assert any("the set is lost" in text for text in kinds(compare(before, lost, NOWHERE, {})))


def test_bytes_outside_of_the_sets_stay(make: Make) -> None:
    before, after = make(NEW, WHOLE), make(NEW, WHOLE, rest="LIST(l)\nID(struct, y)\n")
    assert kinds(compare(before, after, NOWHERE, {})) == [
        "REST: o1.o: .BTF_ids changes outside the sets: lost struct__x 0x0, gained struct__y 0x0"
    ]
    swapped = [make(NEW, WHOLE, rest=f"LIST(l)\nID(struct, {a})\nID(struct, {b})\n") for a, b in ("xy", "yx")]
    assert "order" in kinds(compare(swapped[0], swapped[1], NOWHERE, {}))[0]


def entry(kfunc: str, *flags: str, conditions: tuple[str, ...] = (), **arg_flags: list[str]) -> dict[str, Any]:
    given = {name.removeprefix("a"): names for name, names in arg_flags.items()}
    return {
        "kfunc": kfunc,
        "set": "set1",
        "file": "a.c",
        "line": 5,
        "flags": list(flags),
        "conditions": list(conditions),
        "arg_flags": given,
        "fate": "keep",
    }


RIGHT = [
    entry("put", a0=["KFA_RELEASE"]),
    entry("both", "KF_SLEEPABLE", a0=["KFA_RCU"], a2=["KFA_RCU"]),
    entry("plain", "KF_SLEEPABLE"),
]
OBJECTS = {"a.c": "o1.o"}


def test_compiled_rows_equal_the_inventory(make: Make) -> None:
    state = make(NEW, SINGLE)
    assert kinds(mismatches(state, at(*RIGHT), OBJECTS)) == []
    planned = {**entry("put", "KF_RELEASE", a0=["KFA_RELEASE"]), "fate": "change"}
    rest = [entry("both", "KF_RCU", "KF_SLEEPABLE"), RIGHT[2]]
    assert kinds(mismatches(make(NEW, WHOLE), at(planned, *rest), OBJECTS)) == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([entry("put", a1=["KFA_RELEASE"]), *RIGHT[1:]], "put() is compiled as"),
        ([entry("put", a0=["KFA_RCU"]), *RIGHT[1:]], "put() is compiled as"),
        ([entry("put", "KF_RCU", a0=["KFA_RELEASE"]), *RIGHT[1:]], "put() is compiled as"),
        ([entry("put"), *RIGHT[1:]], "put() is compiled as"),
        ([entry("put", a0=["KFA_RELEASE"], a1=["KFA_RCU"]), *RIGHT[1:]], "put() is compiled as"),
        (RIGHT[1:], "has a row of put() that the inventory lacks"),
        ([*RIGHT, entry("more")], "has 0 rows of more(), the inventory 1"),
        ([*RIGHT, RIGHT[2]], "has 1 rows of plain(), the inventory 2"),
    ],
)
def test_rows_that_differ_from_the_inventory_are_found(make: Make, entries: list[dict[str, Any]], words: str) -> None:
    found: list[Finding] = list(mismatches(make(NEW, SINGLE), at(*entries), OBJECTS))
    assert any(words in f.message for f in found), kinds(found)


def test_rows_that_are_not_compiled_are_listed(make: Make) -> None:
    state = make(NEW, SINGLE)
    s390 = entry("odd", conditions=("CONFIG_S390", "defined(X)"))
    elsewhere = {**entry("far"), "file": "b.c"}
    places = at(*RIGHT, s390, elsewhere)
    assert kinds(mismatches(state, places, OBJECTS)) == []
    found = [(s.details["kfunc"], why) for s, why in uncovered(state, places, OBJECTS)]
    assert found == [("odd", "under #if CONFIG_S390 && defined(X)"), ("far", "")]


def test_readings_are_kept_by_what_the_object_was_made_of(make: Make, tmp_path: Path) -> None:
    reading = make(NEW, SINGLE).readings["o1.o"]
    assert convert(plain(reading), Reading) == reading
    store, unit = Store(tmp_path / "kept.sqlite"), Unit("a.c", "o1.o")

    def find(blobs: Mapping[str, str], name: str = "o1.o", scope: str = "config 1") -> Reading | None:
        return Shelf(store, scope).find(Unit("a.c", name), Files(blobs), Reading)

    blobs = {"a.c": "1", "a.h": "2", "b.h": "3"}
    assert find(blobs) is None
    Shelf(store, "config 1").put(unit, ["a.c", "a.h", "include/generated/autoconf.h"], Files(blobs), reading)
    assert find(blobs) == reading
    assert find({**blobs, "b.h": "4"}) == reading
    assert find({**blobs, "a.h": "4"}) is None
    assert find({"a.c": "1"}) is None
    assert find(blobs, "o2.o") is None
    assert find(blobs, scope="config 2") is None
    # Another list of dependencies does not make the first one forgotten; what is damaged is only a miss.
    Shelf(store, "config 1").put(unit, ["a.c", "b.h"], Files({**blobs, "a.c": "9"}), reading)
    assert find(blobs) == reading
    with sqlite3.connect(tmp_path / "kept.sqlite") as connection:
        connection.execute("update kept set value = '{'")
    assert find(blobs) is None
