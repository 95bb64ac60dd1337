"""What counts as new: each way in which a message comes, goes, moves or is replaced."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from patchbot.checking.news import brought, files_of, united
from patchbot.git.repo import Repo
from patchbot.model import Finding, Status

ONE = b"int one(void)\n{\n\tint a;\n\tint a;\n\n\treturn 1;\n}\n"
QUIET = b"\nint two(int x)\n{\n\treturn x;\n}\n"
TWO = b"\nint two(int x)\n{\n\tint a;\n\n\treturn x;\n}\n"


def said(text: bytes, words: bytes = b"int a;", message: str = "unused 'a'", file: str = "a.c") -> list[Finding]:
    """Return a message about each line of a text that holds some words."""
    lines = [n for n, line in enumerate(text.split(b"\n"), 1) if words in line]
    return [Finding(Status.WARN, message, file, n, "-Wunused") for n in lines]


def new_lines(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[tuple[str | None, int | None]]:
    """Return the places that are new where a program finds fault with each `int a;` of both sides."""
    before, after = (
        [finding for path, text in side.items() for finding in said(text, file=path)] for side in (old, new)
    )
    return [(f.file, f.line) for f in brought(before, after, old.get, new.get)]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (b"", TWO, [4]),
        (TWO, TWO, []),
        (TWO, b"\n/* more */\n" + TWO, []),
        (TWO, b"", []),
        (TWO, TWO.replace(b"\tint a;\n", b"\tint a;\n\tint a;\n"), [5]),
        (TWO, ONE, [3, 4]),
        (ONE, ONE.replace(b"\tint a;\n", b"\tint b;\n", 1), []),
        (ONE + TWO, TWO + ONE, []),
        (TWO, TWO.replace(b"two(", b"twice("), []),
        (ONE + TWO, ONE.replace(b"int a;", b"int b;") + TWO.replace(b"int a;", b"int a;\n\tint a;"), [12]),
        (TWO, TWO.replace(b"\tint a;", b"\tstatic int a;"), []),
        (TWO, TWO.replace(b"two(", b"twice(").replace(b"\tint a;", b"\tstatic int a;"), [4]),
    ],
    ids=[
        "it comes",
        "it stays",
        "it moves",
        "it goes",
        "one more",
        "in another function",
        "one less",
        "functions change places",
        "the function gets another name",
        "one goes there and comes here",
        "its line is written anew",
        "function and line are others",
    ],
)
def test_in_one_file(old: bytes, new: bytes, lines: list[int]) -> None:
    assert new_lines({"a.c": old}, {"a.c": new}) == [("a.c", line) for line in lines]


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ({"a.c": ONE + TWO, "b.c": b""}, {"a.c": ONE, "b.c": TWO}, []),
        ({"a.c": ONE + TWO, "b.c": b""}, {"a.c": ONE + b"int x(void)\n{\n\treturn two(1);\n}\n", "b.c": TWO}, []),
        ({"a.c": TWO, "b.c": QUIET}, {"a.c": QUIET, "b.c": TWO}, [("b.c", 4)]),
        ({"a.c": TWO}, {"b.c": TWO}, []),
        ({"a.c": TWO, "b.c": b""}, {"a.c": TWO, "b.c": TWO}, [("b.c", 4)]),
        ({"a.c": TWO, "b.c": b""}, {"a.c": b"", "b.c": ONE}, [("b.c", 3), ("b.c", 4)]),
        ({"a.rst": b"int a;\n"}, {"b.rst": b"\nint a;\n"}, []),
        ({"a.rst": b"int a;\n"}, {"b.rst": b"the int a;\n"}, [("b.rst", 1)]),
    ],
    ids=[
        "the function moves",
        "it moves and is still called",
        "another function of the same name",
        "the file moves",
        "a copy",
        "another function",
        "a paragraph",
        "another paragraph",
    ],
)
def test_between_files(
    old: Mapping[str, bytes], new: Mapping[str, bytes], places: list[tuple[str | None, int | None]]
) -> None:
    assert new_lines(old, new) == places


def test_a_file_that_moves_takes_its_messages_along() -> None:
    old, new = {"a.c": TWO, "x/a.c": b""}, {"b/a.c": TWO.replace(b"int a;", b"static int a;"), "x/a.c": b""}
    text = "unused 'a', see a.c:4:1 and x/a.c, not a.cc or a.c/d"
    before = [*said(TWO, message=text), Finding(Status.FAIL, "undefined in a.c")]
    after = [*said(new["b/a.c"], message=text.replace(" a.c:", " b/a.c:"), file="b/a.c")]
    after += [Finding(Status.FAIL, "undefined in b/a.c")]
    assert brought(before, after, old.get, new.get, {"a.c": "b/a.c"}) == []
    assert len(brought(before, after, old.get, new.get)) == 2
    twice = brought(before, [*after, *after], old.get, new.get, {"a.c": "b/a.c"})
    assert len(twice) == 2


def test_another_message_of_the_same_count_is_new() -> None:
    before, after = said(TWO), said(TWO, message="unused 'b'")
    assert brought(before, after, {"a.c": TWO}.get, {"a.c": TWO}.get) == after


def test_numbers_of_lines_in_a_text_do_not_count() -> None:
    before, after = (said(TWO, message=f"locked in line {n}, see b.c:{n}:1") for n in (4, 40))
    assert not brought(before, after, {"a.c": TWO}.get, {"a.c": TWO}.get)
    other = said(TWO, message="locked in line 4, see c.c:4:1")
    assert brought(before, other, {"a.c": TWO}.get, {"a.c": TWO}.get) == other


def test_a_comment_is_about_the_function_below_it() -> None:
    doc = b"/**\n * two() - it\n * int a;\n */\n"
    old = ONE.replace(b"int a", b"int b") + doc + TWO[1:]
    new = old.replace(doc, b"int between(void);\nint between(void)\n{\n\treturn 3;\n}\n\n" + doc)
    assert new_lines({"a.c": old}, {"a.c": new}) == []


def test_what_has_no_place_counts_as_often_as_it_is_there() -> None:
    one = Finding(Status.FAIL, "undefined reference", None, None, "ld")
    assert brought([one], [one], {}.get, {}.get) == []
    assert brought([one], [one, one], {}.get, {}.get) == [one]
    past = Finding(Status.WARN, "odd", "a.c", 99, "x")
    assert brought([], [past], {}.get, {"a.c": b"short\n"}.get) == [past]


def test_a_message_of_a_header_is_one_however_many_objects_see_it() -> None:
    header = said(ONE, file="a.h")
    assert len(united([header, header, said(TWO)])) == 3
    assert len(united([said(ONE) + said(ONE)[:1]])) == 3, "twice in one line is two"


def test_files_of_a_tree_are_read_and_others_are_not(tiny: Repo) -> None:
    text = files_of(tiny.read, tiny.resolve("HEAD"))
    assert b"VERSION" in (text("Makefile") or b"")
    assert [text(path) for path in ("none.c", "/usr/include/stdio.h", "../x.h")] == [None] * 3
