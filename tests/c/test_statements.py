"""Lines are put beside a statement only where they mean what they say."""

from __future__ import annotations

import pytest

from patchbot.c import parse, statements, unfit
from patchbot.c.tokens import Span
from patchbot.series.codemod import Outcome, in_function, insert_after, insert_before, replace, resolve, statement


class Files:
    """A tree of one file."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()

    def get(self, path: str) -> bytes | None:
        return self.text

    def grep(self, *_: object, **__: object) -> list[str]:
        return []


def function(body: str) -> str:
    return f"int f(int x)\n{{\n{body}}}\n"


FIT = [
    "\tput(x);\n",
    "\tif (x) {\n\t\tput(x);\n\t}\n",
    "\tlist_for_each(a, b) {\n\t\tput(x);\n\t}\n",
    "\tswitch (x) {\n\tcase 1:\n\t\tput(x);\n\t\tbreak;\n\t}\n",
    "out:\n\tput(x);\n\treturn 0;\n",
    "\t/* why */\n\tput(x); /* and so */\n",
    "#ifdef A\n\tput(x);\n#else\n\tget(x);\n#endif\n",
]
UNFIT = {
    "\tif (x)\n\t\tput(x);\n": "if without braces",
    "\tif (x)\n\t\tget(x);\n\telse\n\t\tput(x);\n": "else without braces",
    "\tfor (;;)\n\t\tput(x);\n": "for without braces",
    "\twhile (x)\n\t\tput(x);\n": "loop without braces",
    "\tlist_for_each(a, b)\n\t\tput(x);\n": "loop without braces",
    "\tdo\n\t\tput(x);\n\twhile (x);\n": "do without braces",
}


@pytest.mark.parametrize("body", FIT)
@pytest.mark.parametrize("insert", [insert_before, insert_after])
def test_lines_stand_beside_a_statement_of_a_block(body, insert):
    anchor = insert("a.c", "put", in_function("f"), statement("put(x);"), "\tlook(x);\n")
    edits, (report,) = resolve(Files(function(body)), [anchor])  # type: ignore[arg-type]
    assert report.outcome is Outcome.APPLIED
    assert [e.new for e in edits] == [b"\tlook(x);\n"]


@pytest.mark.parametrize(("body", "why"), UNFIT.items())
@pytest.mark.parametrize("insert", [insert_before, insert_after])
def test_a_statement_that_is_a_whole_body_is_no_place(body, why, insert):
    anchor = insert("a.c", "put", in_function("f"), statement("put(x);"), "\tlook(x);\n")
    edits, (report,) = resolve(Files(function(body)), [anchor])  # type: ignore[arg-type]
    assert (edits, report.outcome) == ([], Outcome.DRIFTED)
    assert why in report.message
    assert report.line == function(body).split("put(x)")[0].count("\n") + 1


@pytest.mark.parametrize(("body", "fits"), [("\tout: put(x);\n", "after"), ("\tput(x); get(x);\n", "before")])
def test_a_line_is_not_shared(body, fits):
    for insert, name in ((insert_before, "before"), (insert_after, "after")):
        anchor = insert("a.c", "put", in_function("f"), statement("put(x);"), "\tlook(x);\n")
        _, (report,) = resolve(Files(function(body)), [anchor])  # type: ignore[arg-type]
        assert (report.outcome is Outcome.APPLIED) == (name == fits), report


def test_one_statement_may_take_the_place_of_a_body_but_not_two():
    text = function("\tif (x)\n\t\tput(x);\n")
    for new, outcome in (("look(x);", Outcome.APPLIED), ("int y = 0;\n\n\t\tlook(y);", Outcome.DRIFTED)):
        anchor = replace("a.c", "put", in_function("f"), statement("put(x);"), new)
        _, (report,) = resolve(Files(text), [anchor])  # type: ignore[arg-type]
        assert report.outcome is outcome


def test_what_is_no_statement_fits_anywhere():
    source = parse("a.c", b"int a; int b;\nstruct s { int c; int d; };\n")
    for word in (b"int a;", b"int b;", b"int c;", b"struct s"):
        at = source.text.index(word)
        assert unfit(source, Span(at, at + len(word))) == ""


@pytest.mark.parametrize(
    "inner", ["x |\n#ifdef CONFIG_A\n\t    y |\n#endif\n\t    z", "\n#ifdef A\nx\n#else\ny\n#endif\n"]
)
def test_a_condition_may_hold_lines_of_the_preprocessor(inner):
    text = function(f"\tif (x)\n\t\tif ({inner})\n\t\t\tput(x);\n").encode()
    begin = text.rindex(b"if (")
    assert "if without braces" in unfit(parse("a.c", text), Span(begin, text.index(b";") + 1))


@pytest.mark.parametrize(
    "body",
    [
        "\tif (x) {\n\t\tget(x);\n\t\tget(x);\n\t\tdo {\n\t\t\tget(x);\n\t\t} while }\n",
        "\tswitch {\n#ifdef A\n#else\n\t} ({\n#endif\n\t}\n",
    ],
)
def test_brackets_that_do_not_fit_lead_to_an_end(body):
    assert len(statements(parse("a.c", function(f"{body}\tput(x);\n").encode()), "put(x);")) <= 1
