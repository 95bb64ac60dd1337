"""Make one HTML page of a series and its recorded results: no script, no network, safe with text from anywhere.

A maintainer can open it from an attachment; everything in it is escaped by jinja2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from .. import __version__
from ..errors import PatchbotError
from ..git.diffs import read_diff
from ..model import Status
from ..series import render
from ..terminal import visible


def page(
    report: Mapping[str, Any],
    patches: Sequence[Mapping[str, Any]],
    kernel: Mapping[str, str],
    diffs: Mapping[str, tuple[str, str]],
) -> str:
    """Return the page.

    `report` is the recorded document of `check --json`, without results if there is none; `patches` have id, commit,
    subject, files, owners and target; `kernel` has its version and describe; `diffs` is each commit's message with its
    diffstat, and its diff. All that it says of when and with what something was found comes from the record.
    """
    found = report.get("results", [])
    results = [{**r, "findings": sorted(r["findings"], key=lambda f: -Status(f["status"]).rank)} for r in found]
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
            series_results=[r for r in results if r["patch"] is None],
            version=__version__,
        )
    except jinja2.TemplateError as error:
        raise PatchbotError(f"templates/report/page.html.j2: {error}") from error


def visible_text(value: Any) -> Any:
    """Return the output of an expression in the template, with all text visible."""
    return visible(value) if type(value) is str else value


def row(
    patch: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    checks: Sequence[str],
    diffs: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """Return what the page shows about one patch."""
    return {
        **patch,
        "results": sorted(results, key=lambda r: -Status(r["status"]).rank),
        "status": {**dict.fromkeys(checks, ""), **{r["check"]: r["status"] for r in results}},
        "bad": any(r["status"] in ("FAIL", "ERROR") for r in results),
        "diff": coloured(*diffs.get(patch["commit"], ("", ""))),
    }


def coloured(head: str, diff: str) -> list[tuple[str, str]]:
    """Return [(class, line)] of a patch's text: a(dded), d(eleted), h(ead) or nothing."""
    kinds = {"+": "a", "-": "d", "@": "h", "": "h"}
    above = [("h", line) for line in head.removesuffix("\n").split("\n")] if head else []
    return above + [(kinds.get(row.kind, ""), row.text) for row in read_diff(diff.removesuffix("\n"))]
