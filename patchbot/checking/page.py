"""Make one HTML page of a series and its recorded results: no script, no network, safe with text from anywhere.

A maintainer can open it from an attachment: jinja2 escapes everything in it, and its policy forbids the browser to run
or to fetch anything. So its filter is a style sheet, and a cell of the table is a link into what it opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2

from .. import __version__
from ..errors import PatchbotError
from ..git.diffs import read_diff
from ..model import Status
from ..series import render
from ..terminal import visible

#: Characters of a log that the page holds: the first and the last so many; and of all logs, before those with PASS go.
LOG_ENDS = (4_000, 12_000)
LOGS = 8_000_000
#: Classes of the lines of a diff.
KINDS = {"+": "a", "-": "d", "@": "h", "": "h"}


def page(
    report: Mapping[str, Any],
    patches: Sequence[Mapping[str, Any]],
    kernel: Mapping[str, str],
    diffs: Mapping[str, tuple[str, str]],
    logs: Mapping[str, str] | None = None,
) -> str:
    """Return the page.

    `report` is the recorded document of `check --json`, without results if there is none; `patches` have id, commit,
    subject, files, owners and target; `kernel` has its version and describe; `diffs` is each commit's message with its
    diffstat, and its diff; `logs` are the texts of the logs that the results name. All that it says of when and with
    what something was found comes from the record.
    """
    kept = held(report.get("results", []), logs or {})
    results = [
        {**r, "findings": sorted(r["findings"], key=lambda f: -Status(f["status"]).rank), "text": text}
        for r, text in kept
    ]
    checks = list(dict.fromkeys(r["check"] for r in results))
    environment = render.environment().overlay(autoescape=True, finalize=visible_text, keep_trailing_newline=False)
    rows = [row(patch, [r for r in results if r["commit"] == patch["commit"]], checks, diffs) for patch in patches]
    try:
        return environment.get_template("report/page.html.j2").render(
            campaign=report.get("campaign", ""),
            base=report["base"],
            tip=report["tip"],
            kernel=kernel,
            checks=checks,
            dates=sorted({r["date"][:16].replace("T", " ") for r in results if r.get("date")}),
            made=report.get("made", ()),
            counts=report.get("counts", {}),
            results=results,
            patches=rows,
            targets=list(dict.fromkeys(patch["target"] for patch in patches)),
            covered=any(r.get("covered") for r in results),
            series_results=[r for r in results if r["patch"] is None],
            version=__version__,
        )
    except jinja2.TemplateError as error:
        raise PatchbotError(f"templates/report/page.html.j2: {error}") from error


def visible_text(value: Any) -> Any:
    """Return the output of an expression in the template, with all text visible."""
    return visible(value) if type(value) is str else value


def held(results: Iterable[Mapping[str, Any]], logs: Mapping[str, str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each result with what the page holds of its log; where there are too many, those with PASS get none."""
    room = LOGS
    for result in results:
        text = logs.get(result.get("log") or "", "")
        first, last = LOG_ENDS
        if len(text) > first + last:
            left = len(text) - first - last
            text = f"{text[:first]}\n[... {left} characters are left out ...]\n{text[-last:]}"
        if result["status"] == "PASS":
            text = text if len(text) <= room else ""
        room -= len(text)
        yield result, text


def row(
    patch: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    checks: Sequence[str],
    diffs: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """Return what the page shows about one patch."""
    own = sorted(results, key=lambda r: -Status(r["status"]).rank)
    return {
        **patch,
        "results": own,
        "status": {**dict.fromkeys(checks, ""), **{r["check"]: r["status"] for r in results}},
        "worst": own[0]["status"] if own else "",
        "diff": annotated(*diffs.get(patch["commit"], ("", "")), own),
    }


def annotated(head: str, diff: str, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a patch's text: class, number in the new file, what was found there, who read it.

    The class is a(dded), d(eleted), h(ead) or "". `by` is None for a line about which no check says who read it.
    """
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    readers: dict[tuple[str, int], str] = {}
    for result in results:
        for finding in result["findings"]:
            if finding["file"] and finding["line"]:
                place = (finding["file"], finding["line"])
                found.setdefault(place, []).append({**finding, "check": result["check"]})
        for part in result.get("covered", ()):
            readers |= dict.fromkeys(((part["file"], n) for n in range(part["first"], part["last"] + 1)), part["by"])
    lines: list[dict[str, Any]] = [
        {"kind": "h", "text": line, "number": None, "findings": (), "by": None}
        for line in (head.removesuffix("\n").split("\n") if head else ())
    ]
    for line in read_diff(diff.removesuffix("\n")):
        place = (line.path, line.number or 0)
        lines.append(
            {
                "kind": KINDS.get(line.kind, ""),
                "text": line.text,
                "number": line.number,
                "findings": found.get(place, ()),
                "by": readers.get(place) if line.kind == "+" else None,
            }
        )
    return lines
