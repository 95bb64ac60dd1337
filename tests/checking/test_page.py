"""The HTML page: complete, escaped, and honest about what was not run."""

import json
import os
import re

from tinytree import patchbot

from patchbot.checking.page import annotated, page

EVIL = "<script>alert(1)</script>&\x1b[31m\u202e"
PATCH = {"id": "a", "commit": "c" * 40, "subject": EVIL, "files": [EVIL], "owners": [EVIL], "target": EVIL}
FINDING = {"status": "FAIL", "message": EVIL, "file": EVIL, "line": 3, "type": EVIL}
RESULT = {
    "check": "build",
    "patch": "a",
    "commit": "c" * 40,
    "status": "FAIL",
    "reason": EVIL,
    "log": EVIL,
    "findings": [FINDING],
    "reproduce": EVIL,
    "cached": False,
    "seconds": 1,
    "date": "2026-01-31T12:30:45",
    "evidence": [],
    "where": "",
}
KERNEL = {"version": "7.99", "describe": "v7.99-3-gabc"}


def test_text_from_anywhere_is_escaped():
    report = {"campaign": EVIL, "base": "b" * 40, "tip": "t" * 40, "results": [RESULT], "counts": {"FAIL": 1}}
    text = page(
        report,
        [PATCH],
        {"version": EVIL, "describe": EVIL},
        {"c" * 40: (EVIL, f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+{EVIL}\n")},
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 8
    assert text.count("\\x1b[31m\\u202e") == text.count("&lt;script&gt;")
    assert not set(text) & {"\x1b", "\u202e"}
    assert 'class="patch worst-FAIL of-1" open' in text


def test_what_is_wrong_with_the_series_comes_before_what_is_right():
    right = {**FINDING, "status": "PASS", "message": "program rcu_accept: accept"}
    wrong = {**FINDING, "status": "WARN", "message": "this pahole is old"}
    series = {**RESULT, "check": "boot", "patch": None, "commit": None, "status": "WARN", "findings": [right, wrong]}
    report = {"campaign": "c", "base": "b" * 40, "tip": "t" * 40, "results": [series], "counts": {"WARN": 1}}
    text = page(report, [PATCH], KERNEL, {})
    assert "<b>boot</b>: " in text
    assert text.index("this pahole is old") < text.index("program rcu_accept: accept") < text.index("<h2>Patches")


def test_when_and_with_what_results_were_made_is_on_the_page_and_the_series_once():
    made = [{"machine": f"Linux {n}", "compiler": gcc, "patchbot": "0.1"} for n, gcc in ((5, ""), (6, "gcc 12 &c"))]
    later = {**RESULT, "check": "btf", "status": "PASS", "date": "2026-02-01T09:00:00"}
    report = {"campaign": "c", "base": "b" * 40, "tip": "t" * 40, "results": [RESULT, later], "counts": {"FAIL": 1}}
    patch = {**PATCH, "subject": "bpf: Do it", "files": ["a.c"]}
    text = page({**report, "made": made}, [patch], KERNEL, {})
    assert text.count("bpf: Do it") == 1
    assert "<dt>kernel</dt><dd>Linux 7.99 (<code>v7.99-3-gabc</code>), base <code>bbbbbbbbbbbb</code></dd>" in text
    assert "<dt>checked</dt><dd>2026-01-31 12:30 to 2026-02-01 09:00 UTC</dd>" in text
    assert text.count("<dt>machine</dt>") == 2
    assert text.count("<dt>compiler</dt><dd>gcc 12 &amp;c</dd>") == 1
    assert page({**report, "results": [later]}, [patch], KERNEL, {}).count("2026-02-01 09:00 UTC</dd>") == 1
    assert "<dt>checked" not in page({**report, "results": []}, [patch], KERNEL, {})


def test_figures_of_a_check_are_a_table_with_text_from_anywhere_escaped():
    table = {"title": EVIL, "head": ["", "before", EVIL], "rows": [["accepted", "61", EVIL]], "posted": True}
    series = {**RESULT, "patch": None, "commit": None, "evidence": [table]}
    report = {"campaign": "c", "base": "b" * 40, "tip": "t" * 40, "results": [series], "counts": {"FAIL": 1}}
    text = page(report, [PATCH], KERNEL, {})
    assert '<td>accepted</td><td class="n">61</td><td class="n">&lt;script' in text
    assert "<script" not in text


def test_lines_of_a_diff_are_told_apart_and_the_message_is_not_coloured():
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n"
    rows = annotated("subject\n\n@@ -1 +1 @@\n+ not added\n", diff, [])
    kinds = {line["text"]: line["kind"] for line in rows}
    assert kinds["-old"] == "d"
    assert kinds["+new"] == "a"
    assert kinds["+++ b/x"] == "h"
    assert kinds["+ not added"] == "h"
    assert kinds[" same"] == ""


def test_the_page_shows_recorded_results_only(work, tmp_path):
    patchbot("generate", "-q", cwd=work)
    target = tmp_path / "page.html"
    first = patchbot("report", "--html", str(target), cwd=work)
    assert "no check has run" in first.stderr
    assert "none recorded yet" in target.read_text()
    patchbot("check", "--only", "applies", "-q", cwd=work)
    patchbot("check", "--only", "checkpatch", "-q", cwd=work)
    done = json.loads(patchbot("report", "--html", str(target), "--json", cwd=work).stdout)
    assert done["recorded"]
    text = target.read_text()
    assert "<span>applies</span><span>checkpatch</span>" in text
    assert "<dt>kernel</dt><dd>Linux 7.99.0, base <code>" in text, "no tag names it"
    assert re.search(r"<dt>checked</dt><dd>\d{4}-\d\d-\d\d \d\d:\d\d.* UTC</dd>", text)
    assert re.search(r"<dt>machine</dt><dd>Linux .* processors?, with patchbot \d", text)
    assert "<dt>compiler</dt>" not in text, "nothing was compiled"
    assert "no such directory" in patchbot("report", "--html", "nope/x.html", cwd=work, code=2).stderr


def test_the_page_is_put_in_the_place_of_files_only(work, tmp_path):
    patchbot("generate", "-q", cwd=work)
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "/dev/null"):
        assert "is not a regular file" in patchbot("report", "--html", str(place), cwd=work, code=2).stderr
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    patchbot("report", "--html", str(tmp_path / "link"), cwd=work)
    assert (tmp_path / "link").is_symlink()
    assert "<html" in (tmp_path / "page.html").read_text()


def test_the_page_takes_the_place_of_no_other_file(work, tmp_path):
    patchbot("generate", "-q", cwd=work)
    before = (work / ".git/config").read_bytes()
    assert "is not a page of" in patchbot("report", "--html", ".git/config", cwd=work, code=2).stderr
    assert (work / ".git/config").read_bytes() == before
    (tmp_path / "empty.html").touch()
    for _ in range(2):
        patchbot("report", "--html", str(tmp_path / "empty.html"), cwd=work)
