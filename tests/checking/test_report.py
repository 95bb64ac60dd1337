import io
import json
import re
from dataclasses import replace

from patchbot.checking.check import Item
from patchbot.checking.report import document, merged, show
from patchbot.model import Evidence, Finding, Result, Status
from patchbot.terminal import Terminal, one_line

BAD = Finding(Status.FAIL, "bad [red]markup[/] \x1b[31m and \udcff", "a/[b].c", 7, "TYPE")
RESULTS = [
    Result("applies", "core/a", "1" * 40, Status.PASS, cached=True),
    Result("applies", "core/b", "2" * 40, Status.PASS, seconds=0.25),
    Result(
        "build",
        "core/a",
        "1" * 40,
        Status.WARN,
        "waived: 1 x W (it is old)",
        (Finding(Status.WARN, "w", None, None, "W"),),
    ),
    Result("build", "core/b", "2" * 40, Status.FAIL, "", (BAD,) * 7, log="/logs/b", reproduce="make x.o"),
    Result("build", None, None, Status.SKIP, "no config\nsecond line"),
]
ITEMS = [
    Item(patch, "1" * 40, "0" * 40, "a" * 40, "b" * 40, subject, "core", ("a.c",))
    for patch, subject in [("core/a", "x: Do a"), ("core/b", "x: Do \x07b [bold]")]
]


def shown(limit: int = 5, colour: bool = False) -> str:
    out = io.StringIO()
    console = Terminal(
        file=out, width=120, force_terminal=colour, no_color=not colour, color_system="truecolor" if colour else None
    )
    show(console, ITEMS, RESULTS, limit)
    return out.getvalue()


def test_what_is_right_is_shown_only_if_all_is_asked_for():
    good = Finding(Status.PASS, "program a: accept", None, None, "program")
    result = Result("boot", None, None, Status.WARN, "2 programs", (good, BAD, good))
    for limit, times in ((1, 0), (5, 0), (0, 2)):
        out = io.StringIO()
        show(Terminal(file=out, width=120, no_color=True), ITEMS, [result], limit)
        assert out.getvalue().count("program a: accept") == times
        assert out.getvalue().count("bad [red]") == 1
        assert "more (-v" not in out.getvalue()


def test_figures_are_shown_only_if_all_is_asked_for():
    table = Evidence("Sums", ("", "before", "after"), (("accepted", "61", "107"), ("a\x07", "-", "5")))
    result = Result("boot", None, None, Status.PASS, "2 programs", evidence=(table,))
    for limit, lines in ((5, []), (0, ["  Sums:", "            before  after", "  accepted      61    107"])):
        out = io.StringIO()
        show(Terminal(file=out, width=120, no_color=True), ITEMS, [result], limit)
        assert [line for line in out.getvalue().splitlines() if line in lines] == lines
        assert ("  a\\x07 " in out.getvalue()) == bool(lines)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_has_a_row_for_each_patch_and_one_for_the_series() -> None:
    table = rows(shown())
    assert ["#", "applies", "build", "patch"] in table
    assert ["1", "PASS=", "WARN", "x:", "Do", "a"] in table
    assert ["2", "PASS", "FAIL", "x:", "Do", "\\x07b", "[bold]"] in table
    assert [".", "SKIP", "(the", "series)"] in table


def test_a_subject_that_is_too_long_for_the_terminal_is_cut_but_not_in_a_file() -> None:
    line = "1  PASS=    x: Do what takes so very many words to say"
    said = {}
    for terminal in (True, False):
        out = io.StringIO()
        console = Terminal(file=out, width=50, force_terminal=terminal, color_system=None)
        show(console, [replace(ITEMS[0], subject=line[12:])], RESULTS[:1])
        said[terminal] = [row.rstrip() for row in out.getvalue().splitlines() if "x: Do" in row]
    assert said == {True: [f"{line[:49]}…"], False: [line]}


def test_reasons_findings_and_how_to_repeat_are_listed() -> None:
    text = shown()
    assert "WARN build, patch 1: waived: 1 x W (it is old)" in text
    assert text.count("a/[b].c:7: FAIL bad [red]markup[/] \\x1b[31m and \\xff [TYPE]") == 5
    assert "and 2 more" in text
    assert "log: /logs/b" in text
    assert "repeat with: make x.o" in text
    assert "SKIP build, the series: no config\n    second line" in text
    assert "2 PASS, 1 SKIP, 1 WARN, 1 FAIL, 1 of 5 known before" in text
    assert shown(0).count("a/[b].c:7") == 7


def test_the_table_comes_last_and_once() -> None:
    text = shown()
    assert text.count("(the series)") == 1
    assert text.index("repeat with:") < text.index("(the series)") < text.index("2 PASS, 1 SKIP")


def test_what_a_check_says_of_several_patches_alike_is_said_once() -> None:
    items = [replace(ITEMS[0], id=f"p{n}") for n in range(1, 9)]
    results = [
        Result("applies", f"p{n}", "1" * 40, Status.SKIP, "an earlier patch does not apply") for n in range(3, 9)
    ]
    results += [Result("build", f"p{n}", "1" * 40, Status.SKIP, "nothing to compile") for n in (2, 5, 6)]
    results += [Result("build", "p7", "1" * 40, Status.PASS, "compiled x.o"), replace(RESULTS[4], reason="alone")]
    for limit in (5, 0):
        out = io.StringIO()
        show(Terminal(file=out, width=120, no_color=True), items, results, limit)
        said = [line for line in out.getvalue().splitlines() if re.match(r"[A-Z]+ \w+, ", line)]
        assert said == [
            "SKIP applies, patches 3-8: an earlier patch does not apply",
            "SKIP build, patches 2, 5-6: nothing to compile",
            *(["PASS build, patch 7: compiled x.o"] if limit == 0 else []),
            "SKIP build, the series: alone",
        ]


def test_nothing_from_a_tree_reaches_the_terminal_as_control() -> None:
    assert "\x1b" not in shown()
    assert "\x1b[31m and" not in shown(colour=True)
    assert one_line("a\x1b[2J\r\n\u202eb\tc") == "a\\x1b[2J\\r\\n\\u202eb c"


def test_the_document_has_the_promised_keys() -> None:
    doc = document(RESULTS, campaign="demo", base="0" * 40, tip="2" * 40, seconds=1.23456)
    json.dumps(doc, ensure_ascii=False).encode("utf-8")
    assert list(doc) == ["schema", "campaign", "base", "tip", "worst", "results", "counts", "seconds", "made"]
    assert (doc["schema"], doc["worst"], doc["seconds"]) == (1, "FAIL", 1.235)
    assert doc["counts"] == {"PASS": 2, "SKIP": 1, "WARN": 1, "FAIL": 1, "ERROR": 0}
    result = doc["results"][3]
    assert set(result) == {
        "check", "patch", "commit", "status", "reason", "cached", "seconds", "findings", "log", "reproduce", "date",
        "evidence", "covered", "where",
    }  # fmt: skip
    assert result["findings"][0] == {
        "status": "FAIL",
        "message": "bad [red]markup[/] \x1b[31m and \\udcff",
        "file": "a/[b].c",
        "line": 7,
        "type": "TYPE",
    }
    assert doc["results"][0]["cached"] is True
    assert doc["results"][4]["patch"] is None


def test_a_report_of_several_runs_names_each_machine_and_compiler_once() -> None:
    def run(results: list[Result], compiler: str) -> dict[str, object]:
        return document(results, campaign="demo", base="", tip="", seconds=0.0, compiler=compiler)

    first = run(RESULTS[:2], "")
    both = merged(first, run(RESULTS[2:4], "gcc 12"), ["applies", "build"])
    assert [row["compiler"] for row in both["made"]] == ["", "gcc 12"]
    assert [row["compiler"] for row in merged(both, run(RESULTS[2:4], "gcc 12"), ["build"])["made"]] == ["", "gcc 12"]
    assert merged(first, run(RESULTS[:2], "gcc 12"), [])["made"] == run([], "gcc 12")["made"], "nothing is left of it"
    assert all(set(row) == {"machine", "compiler", "patchbot"} for row in both["made"])


def test_no_results_are_no_pass() -> None:
    assert document([], campaign="demo", base="", tip="", seconds=0.0)["worst"] == "SKIP"
