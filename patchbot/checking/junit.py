"""Write recorded results in the form that build servers read: a suite for each check, a case for each patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from junitparser.junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from ..terminal import visible


def junit(report: Mapping[str, Any], patches: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the XML of a document of `check --json`; `patches` have id, commit and subject.

    FAIL is a failure, ERROR an error, SKIP is skipped; WARN passes, and its output says what was found.
    """
    names = {patch["commit"]: f"{number:04} {patch['subject']}" for number, patch in enumerate(patches, 1)}
    suites: dict[str, TestSuite] = {}
    for result in report.get("results", ()):
        check = visible(result["check"])
        suite = suites.setdefault(check, TestSuite(check))
        name = names.get(result["commit"], result["patch"] or "the series")
        case = TestCase(visible(name), f"{visible(report['campaign'])}.{check}", result["seconds"])
        reason, found = visible(result["reason"]), "\n".join(map(line, result["findings"]))
        outcome = {"FAIL": Failure, "ERROR": Error, "SKIP": Skipped}.get(result["status"])
        if outcome is not None:
            said = outcome(reason or found.partition("\n")[0], result["status"])
            said.text = found
            case.result = [said]
        else:
            case.system_out = "\n".join(filter(None, [result["status"], reason, found]))
        where, again = result["where"], result["reproduce"]
        aside = [f"made by the worker {where}" if where else "", f"repeat with: {again}" if again else ""]
        if any(aside):
            case.system_err = visible("\n".join(filter(None, aside)))
        suite.add_testcase(case)
    whole = JUnitXml(visible(report["campaign"]))
    for suite in suites.values():
        suite.update_statistics()
        whole.add_testsuite(suite)
    whole.update_statistics()
    return bytes(whole.tostring())


def line(finding: Mapping[str, Any]) -> str:
    """Return a finding as compilers write it."""
    place = f"{finding['file']}:{finding['line'] or 1}: " if finding["file"] else ""
    kind = f" [{finding['type']}]" if finding["type"] else ""
    return visible(f"{place}{finding['status']} {finding['message']}{kind}")
