"""Show results: a table of patches and checks for people, the document of `check --json` for programs.

Messages come from compilers, scripts and trees, so nothing in them is markup and no control character reaches the
terminal.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.text import Text

from .. import __version__
from ..model import Finding, Result, Status
from ..series.render import plural
from ..shapes import plain
from ..terminal import Terminal, one_line
from .check import Item

STYLES = {
    Status.PASS: "green",
    Status.SKIP: "dim",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.ERROR: "bold magenta",
}


def worst(results: Sequence[Result]) -> Status:
    """Return the worst status, SKIP without results."""
    return Status.worst([r.status for r in results])


def document(
    results: Sequence[Result], *, campaign: str, base: str, tip: str, seconds: float, compiler: str = ""
) -> dict[str, Any]:
    """Return the document of `check --json`; it names this machine, and the `compiler` if one was needed."""
    uname = platform.uname()
    machine = f"{uname.system} {uname.release} on {plural(os.cpu_count() or 1, f'{uname.machine} processor')}"
    rows = [plain(fit_for_json(r)) for r in results]
    return {
        "schema": 1,
        "campaign": campaign,
        "base": base,
        "tip": tip,
        **summed(rows),
        "seconds": round(seconds, 3),
        "made": [{"machine": machine, "compiler": compiler, "patchbot": __version__}],
    }


def summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows of results for a document, with the worst status and the number of each."""
    counts = Counter(row["status"] for row in rows)
    worst = Status.worst([Status(status) for status in counts]).value
    return {"worst": worst, "results": rows, "counts": {status.value: counts[status.value] for status in Status}}


def fit_for_json(result: Result) -> Result:
    """Return a result with texts that UTF-8 can hold."""
    found = (
        replace(f, message=encodable(f.message), file=encodable(f.file) if f.file else None) for f in result.findings
    )
    reason, reproduce = encodable(result.reason), encodable(result.reproduce)
    seconds = round(result.seconds, 3)
    return replace(result, reason=reason, reproduce=reproduce, findings=tuple(found), seconds=seconds)


def merged(old: Mapping[str, Any] | None, new: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """Return the report of one tip after another run: new results replace known ones, the rest stays."""
    if old is None:
        return new
    judged = {(r["check"], r["patch"]) for r in new["results"]}
    kept = [r for r in old["results"] if (r["check"], r["patch"]) not in judged]
    places = {check: number for number, check in enumerate(order)}
    rows = sorted([*kept, *new["results"]], key=lambda r: places.get(r["check"], len(places)))
    made = [row for row in old.get("made", ()) if row not in new["made"]] if kept else []
    return new | summed(rows) | {"made": [*made, *new["made"]]}


def show(console: Terminal, items: Sequence[Item], results: Sequence[Result], limit: int = 5) -> None:
    """Print the report: the details of each status that is not a plain PASS, then the table.

    `limit` is how many findings of one result are shown; 0 shows all of them, including those with PASS, and the reason
    of each PASS.
    """
    numbers = {item.id: number for number, item in enumerate(items, 1)}
    for alike in grouped(results):
        first = alike[0]
        told = not limit or first.status is not Status.PASS or first.patch is None
        if (told and first.reason) or any(not limit or f.status is not Status.PASS for f in first.findings):
            console.tell(details(first, whose(alike, numbers), limit))
            for text in again(first):
                console.say(text)
    console.say("")
    console.table(*matrix(items, results), cut=True)
    console.say(summary(results))


def grouped(results: Sequence[Result]) -> list[list[Result]]:
    """Merge results without findings that a check gives for several patches with the same words.

    So after a patch that does not apply, the unchecked ones share one line.
    """
    groups: dict[object, list[Result]] = {}
    for result in results:
        whole = result.patch is None or result.findings or result.log
        key = id(result) if whole else (result.check, result.status, result.reason)
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def whose(results: Sequence[Result], numbers: Mapping[str, int]) -> str:
    """Return `patch 2`, `patches 2, 5-7` or `the series` for merged results."""
    found = sorted(number for r in results if (number := numbers.get(r.patch or "")))
    if not found:
        return one_line(results[0].patch or "the series")
    runs: list[list[int]] = []
    for number in found:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    said = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"patch{'es' if len(found) > 1 else ''} {said}"


def matrix(items: Sequence[Item], results: Sequence[Result]) -> tuple[list[str], list[tuple[str | Text, ...]]]:
    """Return heads and rows of the table of patches and checks; a cell is the worst result, `.` if there is none."""
    checks = list(dict.fromkeys(r.check for r in results))
    rows: list[tuple[str, str, str | None]] = [(str(n), item.subject, item.id) for n, item in enumerate(items, 1)]
    if any(r.patch is None for r in results):
        rows.append(("", "(the series)", None))
    found: dict[tuple[str, str | None], list[Result]] = {}
    for result in results:
        found.setdefault((result.check, result.patch), []).append(result)
    cells: list[tuple[str | Text, ...]] = []
    for number, subject, patch in rows:
        cells.append((number, *(judged(found.get((check, patch), [])) for check in checks), subject))
    return ["#", *checks, "patch"], cells


def judged(results: Sequence[Result]) -> Text:
    """Return a status in its colour, with `=` after it if it was known before."""
    if not results:
        return Text(".", style="dim")
    status = worst(results)
    mark = "=" if all(r.cached for r in results) else ""
    return Text(status.value + mark, style=STYLES[status])


def details(result: Result, where: str, limit: int) -> Text:
    """Return the lines about one result: its reason, its findings with file and line."""
    reason = [one_line(line) for line in result.reason.splitlines()]
    head = f" {one_line(result.check)}, {where}{f': {reason[0]}' if reason and reason[0] else ''}\n"
    text = Text.assemble((result.status.value, STYLES[result.status]), head, *(f"    {line}\n" for line in reason[1:]))
    wrong = [f for f in result.findings if f.status is not Status.PASS]
    shown = wrong[:limit] if limit else result.findings
    for finding in shown:
        said = f" {one_line(finding.message)}{f' [{one_line(finding.type)}]' if finding.type else ''}\n"
        status = (finding.status.value, STYLES[finding.status])
        text.append_text(Text.assemble("  ", (place(finding), "bold"), status, said))
    for one in () if limit else result.evidence:
        text.append("".join(f"  {one_line(line)}\n" for line in (f"{one.title}:", *one.lines())))
    if limit and len(shown) < len(wrong):
        text.append(f"  and {len(wrong) - len(shown)} more (-v shows all)\n", style="dim")
    text.rstrip()
    return text


def again(result: Result) -> list[str]:
    """Return the lines that name the log of a failure and how to repeat it."""
    if result.status.rank < Status.FAIL.rank:
        return []
    log = [f"  log: {one_line(result.log)}"] if result.log else []
    return log + ([f"  repeat with: {one_line(result.reproduce)}"] if result.reproduce else [])


def place(finding: Finding) -> str:
    """Return `file:line: `, as far as it is known."""
    if finding.file is None:
        return ""
    return one_line(finding.file) + (f":{finding.line}" if finding.line is not None else "") + ": "


def summary(results: Sequence[Result]) -> Text:
    """Return the last line: the number of results of each status, and how many were known before."""
    counts = Counter(r.status for r in results)
    known = sum(r.cached for r in results)
    parts = [Text(f"{counts[status]} {status.value}", STYLES[status]) for status in Status if counts[status]]
    return Text(", ").join([*parts, Text(f"{known} of {len(results)} known before")])


def encodable(text: str) -> str:
    """Return a text that UTF-8 can hold: other bytes are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()
