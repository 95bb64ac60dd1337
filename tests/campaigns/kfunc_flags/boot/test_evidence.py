"""What a boot showed, in figures: only what both kernels said is compared, and nothing is guessed."""

from __future__ import annotations

from dataclasses import replace

from patchbot.campaigns.kfunc_flags.boot.evidence import evidence
from patchbot.campaigns.kfunc_flags.boot.judge import Line
from patchbot.campaigns.kfunc_flags.boot.linked import Linked
from patchbot.campaigns.kfunc_flags.boot.serial import Cost

BASE = Linked(1, 2, 0, (), ids=100)
TIP = Linked(1, 2, 1, (), ids=132, added=24, table=28)
CHEAP, DEAR = Cost(10, 2, 1, 70), Cost(12, 3, 2, 90)
LINES = [
    Line("program", "both", tip="accept", base="accept", tip_cost=DEAR, base_cost=CHEAP),
    Line("program", "never", tip="reject (-22)", base="reject (-22)", tip_cost=CHEAP, base_cost=CHEAP),
    Line("program", "gains", tip="accept", base="reject (-13)", tip_cost=CHEAP, base_cost=CHEAP),
    Line("program", "own", tip="accept", tip_cost=CHEAP),
    Line("program", "lost"),
    Line("set", "good", expected="register", tip="register"),
    Line("selftest", "test", tip="accept", tip_cost=CHEAP),
]


def sums(lines: list[Line], tip: Linked = TIP) -> dict[str, tuple[str, ...]]:
    table = evidence(lines, {"base": BASE, "tip": tip})[0]
    assert table.posted
    return {row[0].strip(): row[1:] for row in table.rows}


def test_programs_that_both_kernels_got_are_counted() -> None:
    found = sums(LINES)
    assert found["accepted"] == ("1", "2")
    assert found["refused"] == ("2", "1")
    assert found["refused before, accepted after"] == ("", "1")
    assert found["accepted before, refused after"] == ("", "0")
    assert found["programs for what only the series has"] == ("-", "1")


def test_what_both_accept_is_summed_up() -> None:
    found = sums([*LINES, replace(LINES[0], name="second")])
    assert "of the 2 programs that both accept:" in found
    assert found["instructions verified"] == ("20", "24")
    assert found["states in all"] == ("4", "6")
    assert found["microseconds, at a billion instructions a second"] == ("140", "180")


def test_a_time_that_is_not_known_of_all_is_left_out() -> None:
    lines = [*LINES, replace(LINES[0], name="second", base_cost=Cost(10, 2, 1))]
    assert "instructions verified" in sums(lines)
    assert not any("microseconds" in label for label in sums(lines))
    assert evidence(lines, {"base": BASE, "tip": TIP})[-1].head[-2:] == ("peak before", "peak after")


def test_a_cost_that_one_kernel_does_not_tell_is_not_compared() -> None:
    assert not any("verified" in label for label in sums([replace(LINES[0], base_cost=None), *LINES[1:]]))
    (alone,) = evidence([Line("program", "p", tip="accept", base="accept")], {"base": BASE, "tip": TIP})
    assert alone.posted


def test_bytes_are_those_of_the_linked_files() -> None:
    found = sums(LINES)
    assert found["bytes of .BTF_ids in vmlinux"] == ("100", "132")
    assert found["of them for flags of arguments"] == ("0", "24")
    assert found["bytes of the table that the kernel makes of these"] == ("-", "28")
    assert not any("table" in label for label in sums(LINES, replace(TIP, table=0)))


def test_each_program_has_a_row() -> None:
    _, changed, each = evidence(LINES, {"base": BASE, "tip": TIP})
    assert changed.posted
    assert changed.rows == (("gains", "reject (-13)", "accept"),)
    assert not each.posted
    assert each.head[:5] == ("program", "before", "after", "insns before", "insns after")
    assert each.rows[0] == ("both", "accept", "accept", "10", "12", "2", "3", "1", "2", "70", "90")
    assert each.rows[3] == ("own", "-", "accept", "-", "10", "-", "2", "-", "1", "-", "70")
    assert [row[0] for row in each.rows] == ["both", "never", "gains", "own", "test"]
