"""Read what KUnit says on a serial line: results as KTAP, between whatever else a kernel says.

A suite's line is not indented, those of its cases by four blanks, those of a case's parameters by eight. The log is
not trusted: it may end anywhere, and what does not look like a result is a remark about the next case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..model import Finding, Status

STAMP = re.compile(r"(?:<\d+>)?\[ *\d+\.\d+\](?:\[[^\]]*\])? ")
RESULT = re.compile(r"( *+)(not ok|ok) \d{1,9}(?: -)? (.*)")
BEGINS = re.compile(r" *+# Subtest: (.*)")
MODULE = re.compile(r" *+# module: (\w+)")
PLAN = re.compile(r"1\.\.(\d{1,6})")
FAILED = re.compile(r" *+# [^:]*+: ((?:EXPECTATION|ASSERTION) FAILED) at ([\w./+,@-]++):(\d{1,7})")
REMARK = re.compile(r" *+# [^:]*+: (.*)")
PANIC = re.compile(r"Kernel panic - not syncing.*|Attempted to kill init.*")
SKIP = " # SKIP"
#: So many remarks about one case are looked at.
MOST_REMARKS = 400


@dataclass(frozen=True)
class Case:
    """The result of one case, by all its parameters: ok, not ok or skip, and for each failure (what, file, line).

    A suite that could not begin or end has a case without a name.
    """

    suite: str
    name: str
    result: str
    failures: tuple[tuple[str, str | None, int | None], ...] = ()

    @property
    def title(self) -> str:
        """Return what it is called."""
        return f"{self.suite}.{self.name}" if self.name else self.suite


@dataclass(frozen=True)
class Ktap:
    """What a kernel said: the cases, the suites and their modules, and how many suites of the `planned` ended.

    `planned` is None where KUnit did not begin. `last` is what began or ended last.
    """

    cases: tuple[Case, ...] = ()
    suites: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    planned: int | None = None
    done: int = 0
    last: str = ""

    def count(self, result: str) -> int:
        """Return how many cases had a result."""
        return sum(case.result == result for case in self.cases)

    def findings(self) -> list[Finding]:
        """Return the failures, each of them once."""
        silent = (("failed, and did not say why", None, None),)
        failed = [case for case in self.cases if case.result == "not ok"]
        rows = (
            (f"{case.title}: {what}", file, line) for case in failed for what, file, line in case.failures or silent
        )
        return [Finding(Status.FAIL, *row, "kunit") for row in dict.fromkeys(rows)]


def read_ktap(text: str) -> Ktap:
    """Return what a serial log holds of KTAP."""
    cases: list[Case] = []
    suites: set[str] = set()
    modules: set[str] = set()
    remarks: list[str] = []
    suite, last, planned, done, failed = "", "", None, 0, False
    for row in text.splitlines():
        stamp = STAMP.match(row)
        line = row[stamp.end() :] if stamp else row
        if result := RESULT.fullmatch(line):
            depth, rest = len(result[1]) // 4, result[3]
            name, skipped, _ = rest.partition(SKIP)
            said = "skip" if skipped and result[2] == "ok" else result[2]
            if depth == 1:
                cases.append(Case(suite, name, said, reasons(remarks) if said == "not ok" else ()))
                failed |= said == "not ok"
                last, remarks = f"after {suite}.{name}", []
            elif depth == 0:
                if said == "not ok" and not failed:
                    cases.append(Case(name, "", said, reasons(remarks)))
                done += 1
                suites.add(name)
                suite, last, remarks, failed = "", f"after {name}", [], False
        elif begins := BEGINS.fullmatch(line):
            if line.startswith("    #"):
                suite, last, remarks, failed = begins[1], f"in {begins[1]}", [], False
                suites.add(suite)
            else:
                last = f"in {suite}.{begins[1]}"
        elif planned is None and (plan := PLAN.fullmatch(line)):
            planned = int(plan[1])
        elif module := MODULE.fullmatch(line):
            modules.add(module[1])
        elif len(remarks) < MOST_REMARKS:
            remarks.append(line)
    return Ktap(tuple(cases), frozenset(suites), frozenset(modules), planned, done, last)


def reasons(remarks: Iterable[str]) -> tuple[tuple[str, str | None, int | None], ...]:
    """Return why a case failed, as (what, file, line), by the remarks before its result."""
    rows = [row for row in remarks if row.strip()]
    found: list[tuple[str, str | None, int | None]] = []
    for row, below in zip(rows, [*rows[1:], ""], strict=True):
        if failed := FAILED.match(row):
            found.append((below.strip().removesuffix(", but") or failed[1], failed[2], int(failed[3])))
    others = (match[1] for row in rows if (match := REMARK.fullmatch(row)))
    rest = (text.strip().removeprefix("# ") for text in others if not text.startswith("pass:"))
    return tuple(found) or tuple((text, None, None) for text in rest)[:1]


def stopped(said: Ktap, text: str, timed_out: bool, timeout: float) -> str:
    """Return why the log `text` of a boot does not have all results, "" if it does."""
    if said.planned is not None and said.done >= said.planned:
        return ""
    where = (said.last or "before the first suite") if said.planned is not None else "before KUnit began"
    if panic := PANIC.search(text):
        return f"the kernel panicked {where}: {panic[0]}"
    if timed_out:
        return f"the kernel hangs {where}: {timeout:g} s passed"
    return f"the machine stopped {where}"
