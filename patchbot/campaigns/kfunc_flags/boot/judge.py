"""Compare what two booted kernels said with what the rows expect, and with each other.

A verdict without its message does not count: a program may be rejected, or a set refused, for the wrong reason. The
table of all verdicts is for a person; the findings are the problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ....foreign import BadPattern, literal, pattern
from ....model import Finding, Status
from .serial import Cost, Registered, Said, Verdict
from .trials import Expected, LeftOut, Program, Rows

#: A number keeps two equal messages apart; older selftests have it before the message.
TAG_MESSAGE = re.compile(r"comment:(?:\d+:test_expect_msg=|test_expect_msg=\d+=)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One row of the table: what was expected, and what both kernels said ("" for one that was not asked).

    `wrong` says what is wrong, "" for nothing, and `status` how bad that is; SKIP is a row that a kernel was not given.
    `tip_cost` and `base_cost` are what the verification of a program took.
    """

    kind: str
    name: str
    flag: str = ""
    expected: str = ""
    tip: str = ""
    base: str = ""
    message: str = ""
    wrong: str = ""
    status: str = Status.FAIL.value
    tip_cost: Cost | None = None
    base_cost: Cost | None = None


def judge_programs(programs: Sequence[Program], tip: Said, base: Said, base_names: Iterable[str]) -> list[Line]:
    """Return a line for each program; `base_names` are those that the kernel before the series got."""
    asked = frozenset(base_names)
    lines = []
    for program in programs:
        now = tip.programs.get(key(program))
        before = base.programs.get(key(program)) if program.name in asked else None
        wrong = mismatch(now, program.expected)
        status = Status.FAIL
        if now and before and now.verdict == before.verdict == "absent":
            # What it calls is in neither configuration or version, which is not the fault of the series.
            wrong, status = f"neither kernel has what it calls: {'; '.join(now.log[-2:])}", Status.WARN
        elif not wrong and program.name in asked:
            wrong = compare(now, before, program.base)
        said = (spell(now), spell(before), found(now, program.expected.message))
        want = program.expected.verdict
        costs = (now.cost if now else None, before.cost if before else None)
        lines.append(Line("program", program.name, program.flag, want, *said, wrong, status.value, *costs))
    return lines


def skipped(rows: Iterable[LeftOut]) -> list[Line]:
    """Return a line for each row that the kernel with the series was not given."""
    why = "not tried on this kernel: "
    return [Line(row.kind, row.name, wrong=why + row.why, status=Status.SKIP.value) for row in rows]


def group_left_out(rows: Iterable[LeftOut]) -> str:
    """Return the rows that the kernel was not given as text: a line for each reason, with the number of rows."""
    names: dict[str, list[str]] = {}
    for row in rows:
        names.setdefault(row.why, []).append(f"{row.kind} {row.name}")
    return "".join(f"left out, as {why}: {len(found)} ({', '.join(found)})\n" for why, found in sorted(names.items()))


def key(program: Program) -> str:
    """Return the loader's name of a program."""
    return f"{program.name}.o {program.name}"


def spell(verdict: Verdict | None) -> str:
    """Return a verdict for the table."""
    if verdict is None:
        return ""
    return verdict.verdict if verdict.verdict == "accept" else f"{verdict.verdict} ({verdict.errno})"


def found(verdict: Verdict | None, message: str) -> str:
    """Return the line in which a message was found, else the first reason that the verifier gave."""
    if verdict is None or verdict.verdict == "accept":
        return ""
    return (line_with(message, verdict.reasons) or next(iter(verdict.reasons), "")).strip()


def line_with(message: str, lines: Iterable[str]) -> str:
    """Return the first line that a regular expression matches, "" if there is none or the expression is ""."""
    return next(filter(pattern(message).within, lines), "") if message else ""


def mismatch(verdict: Verdict | None, expected: Expected) -> str:
    """Return how a verdict differs from the expected one, "" if it does not."""
    if verdict is None:
        return "the loader did not mention it"
    said = found(verdict, expected.message) or "no message"
    if verdict.verdict == "absent":
        return f"it never reached the verifier: {'; '.join(verdict.log[-2:]) or said}"
    if verdict.verdict != expected.verdict:
        why = f": {said}" if verdict.verdict == "reject" else ""
        return f"the verifier must {expected.verdict} it, but says {spell(verdict)}{why}"
    if expected.message and not line_with(expected.message, verdict.reasons):
        return f"rejected, but not with /{expected.message}/; the verifier says: {said}"
    return ""


def compare(now: Verdict | None, before: Verdict | None, base: Expected | None) -> str:
    """Return how the kernel before the series differs from what it should say, "" if it does not."""
    if base is not None:
        wrong = mismatch(before, base)
        return f"before the series: {wrong}" if wrong else ""
    if before is None:
        return "before the series: the loader did not mention it"
    assert now is not None
    if (before.verdict, before.errno) != (now.verdict, now.errno):
        said = found(before, "")
        return f"before the series the verifier says {spell(before)}{f': {said}' if said else ''}"
    if before.reasons != now.reasons:
        old = [line for line in before.reasons if line not in now.reasons]
        new = [line for line in now.reasons if line not in before.reasons]
        return f"before the series the verifier says {old[:1] or 'less'}, now {new[:1] or 'less'}"
    return ""


def judge_sets(rows: Rows, tip: Said) -> list[Line]:
    """Return a line for each kfunc set."""
    lines = []
    for row in rows.sets:
        got = tip.sets.get(row.name)
        want = "register" if row.refused is None else "refuse"
        said = "" if got is None else "register" if got.errno == 0 else f"refuse ({got.errno})"
        message = line_with(row.refused or "", got.said) if got else ""
        lines.append(Line("set", row.name, "", want, said, "", message, wrong_set(got, row.refused)))
    return lines


def wrong_set(got: Registered | None, refused: str | None) -> str:
    """Return how a registration differs from what was expected, "" if it does not."""
    if got is None:
        return "it was never registered"
    said = "; ".join(got.said[-2:]) or "no message"
    if refused is None:
        return f"the kernel must accept it, but refuses it ({got.errno}): {said}" if got.errno else ""
    if got.errno == 0:
        return "the kernel must refuse it, but accepts it"
    if refused and not line_with(refused, got.said):
        return f"refused ({got.errno}), but not with /{refused}/; the kernel says: {said}"
    return ""


def judge_tags(said: Said, objects: Iterable[str]) -> list[Line]:
    """Return a line for each program of the kernel's own selftests, whose expectations are tags in the object."""
    names = tuple(f"{name} " for name in objects)
    lines = []
    for name, verdict in said.programs.items():
        if not name.startswith(names):
            continue
        tags = [re.sub(r"^comment:\d*:?", "", tag) for tag in verdict.tags]
        if "test_auxiliary" in tags or not {"test_expect_failure", "test_expect_success"} & set(tags):
            continue
        want = "reject" if "test_expect_failure" in tags else "accept"
        messages = [match[1] for tag in verdict.tags if (match := TAG_MESSAGE.fullmatch(tag))]
        wrong = mismatch(verdict, Expected(want))
        log = "\n".join(verdict.log)
        first = ""
        try:
            missing = [m for m in messages if not pattern(tag_pattern(m)).within(log)]
            first = tag_pattern(messages[0]) if messages else ""
        except BadPattern as error:
            missing, wrong = [], wrong or f"its expected message cannot be used as a pattern: {error}"
        if not wrong and missing:
            wrong = f"the verifier does not say {missing[0]!r}"
        said_of = (spell(verdict), "", found(verdict, first))
        lines.append(Line("selftest", name, "", want, *said_of, wrong, tip_cost=verdict.cost))
    return lines


def tag_pattern(message: str) -> str:
    """Return a message of a selftest as a regular expression: there, only text in {{ }} is one."""
    parts = re.split(r"(?s)\{\{(.*?)(?:\}\}|\Z)", message)
    return "".join(part if number % 2 else literal(part) for number, part in enumerate(parts))


def judge_splats(tip: Said, base: Said) -> Iterator[Finding]:
    """Yield the kernel's complaints about itself: FAIL if they were not there before the series."""
    old = {numberless(splat) for splat in base.splats}
    for splat in tip.splats:
        status = Status.WARN if numberless(splat) in old else Status.FAIL
        yield Finding(status, f"while loading programs, the kernel says: {splat}", type="splat")


def numberless(splat: str) -> str:
    """Return a complaint without the numbers of processes, lines and addresses."""
    return re.sub(r"0x[0-9a-f]+|\d+", "N", splat)


def findings(lines: Iterable[Line]) -> Iterator[Finding]:
    """Yield a finding for each line that is wrong."""
    for line in lines:
        if line.wrong and line.status != Status.SKIP.value:
            yield Finding(Status(line.status), f"{line.kind} {line.name}: {line.wrong}", type=line.kind)


def right(lines: Iterable[Line]) -> Iterator[Finding]:
    """Yield what the kernels said as expected, as PASS findings."""
    for line in lines:
        if not line.wrong:
            said = line.tip + (f", before the series {line.base}" if line.base else "")
            text = f"{line.kind} {line.name}: {said}{f': {line.message}' if line.message else ''}"
            yield Finding(Status.PASS, text, type=line.kind)


def table(lines: Sequence[Line]) -> str:
    """Return the lines as text, one each, columns aligned."""
    head = Line("kind", "name", "flag", "expected", "tip", "base", "message", "")
    columns = ("kind", "name", "flag", "expected", "tip", "base")
    width = {c: max(len(getattr(line, c)) for line in (head, *lines)) for c in columns}
    rows = []
    for line in (head, *lines):
        cells = [getattr(line, c).ljust(width[c]) for c in columns]
        rows.append("  ".join([*cells, line.message]).rstrip())
        if line.wrong:
            rows.append(f"    {line.status}: {line.wrong}")
    return "\n".join(rows) + "\n"


def document(lines: Iterable[Line], boots: Mapping[str, object]) -> dict[str, object]:
    """Return the lines and facts about the boots for JSON."""
    rows = [{**asdict(line), "status": line.status if line.wrong else Status.PASS.value} for line in lines]
    return {"schema": 1, **boots, "lines": rows}
