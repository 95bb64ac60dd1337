"""JUnit XML, read back by the library that reads it for others."""

import json

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from test_page import PATCH, RESULT
from tinytree import patchbot

from patchbot.checking.junit import junit

EVIL = "]]><x>&\x00\x1b[31m\u202e\udcff"


def test_each_status_is_what_build_servers_call_it():
    names = {"a": "FAIL", "b": "ERROR", "c": "SKIP", "d": "WARN", "e": "PASS"}
    patches = [{**PATCH, "id": name, "commit": name * 40, "subject": f"{name}: {EVIL}"} for name in names]
    finding = {"status": "WARN", "message": EVIL, "file": "a.c", "line": 3, "type": "TYPE"}
    results = [
        {**RESULT, "patch": n, "commit": n * 40, "status": status, "reason": EVIL, "findings": [finding]}
        for n, status in names.items()
    ]
    whole = {**RESULT, "check": "btf", "patch": None, "commit": None, "reason": "", "findings": []}
    suites = list(JUnitXml.fromstring(junit({"campaign": "c", "results": [*results, whole]}, patches)))
    build, btf = suites
    assert (build.name, build.tests, build.failures, build.errors, build.skipped) == ("build", 5, 1, 1, 1)
    cases = list(build)
    assert [type(case.result[0]) if case.result else None for case in cases] == [Failure, Error, Skipped, None, None]
    assert cases[0].name == "0001 a: ]]><x>&\\x00\\x1b[31m\\u202e\\xff"
    assert cases[0].result[0].text == "a.c:3: WARN ]]><x>&\\x00\\x1b[31m\\u202e\\xff [TYPE]"
    assert cases[3].system_out.startswith("WARN\n]]><x>")
    assert [case.name for case in btf] == ["the series"]


def test_the_file_holds_recorded_results_and_replaces_only_its_like(work, tmp_path):
    patchbot("generate", "-q", cwd=work)
    target = tmp_path / "results.xml"
    patchbot("report", "--junit", str(target), cwd=work)
    assert "no check has run" in patchbot("report", "--junit", str(target), cwd=work).stderr
    report = json.loads(patchbot("check", "--only", "applies,checkpatch", "--json", cwd=work).stdout)
    patchbot("report", "--junit", str(target), cwd=work)
    read = JUnitXml.fromfile(str(target))
    assert (read.tests, read.skipped) == (len(report["results"]), report["counts"]["SKIP"])
    assert [suite.name for suite in read] == ["applies", "checkpatch"]
    assert read.time > 0
    assert sum(suite.time for suite in read) == pytest.approx(read.time)
    target.write_text("<html>")
    assert "is not a JUnit file of patchbot" in patchbot("report", "--junit", str(target), cwd=work, code=2).stderr
    assert "not allowed with" in patchbot("report", "--junit", "a", "--html", "b", cwd=work, code=2).stderr
