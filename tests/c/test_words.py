"""find_words(): identifiers in code apart from what comments, strings and file names mention."""

import pytest

from patchbot.c import parse
from patchbot.c.words import CODE, COMMENT, DIRECTIVE, STRING, call_at, enclosing, find_words, standing


def kinds(text: bytes, *words: str) -> list[tuple[str, str]]:
    return [(o.word, o.kind) for o in find_words("a.c", text, words)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"old(x); my_old(x); old_(x); old2; 0xold; xold\n", [("old", CODE)]),
        (b"/* old */ // old\nold /* unended old", [("old", COMMENT)] * 2 + [("old", CODE), ("old", COMMENT)]),
        (b'f("old \\" old", \'"\', old);', [("old", STRING)] * 2 + [("old", CODE)]),
        (b'#include <linux/old.h>\n# include "old.h"\n#define old old\n', [("old", DIRECTIVE), ("old", STRING)]),
        (b"#error old is gone, don't\nold", [("old", DIRECTIVE), ("old", CODE)]),
        (b"it's not \"closed\nold\xff\r\nold", [("old", CODE)] * 2),
        (b"old_sync(old);", [("old_sync", CODE), ("old", CODE)]),
        (b"\tmov $old, %rax\n\tpushq $old\n", [("old", CODE)] * 2),
        (b"", []),
    ],
)
def test_words_are_told_apart_by_what_they_stand_in(text: bytes, found: list[tuple[str, str]]) -> None:
    if b"#define" in text:
        found = [*found, ("old", CODE), ("old", CODE)]
    assert kinds(text, "old", "old_sync") == found


def test_in_another_language_than_c_nothing_hides_a_word() -> None:
    text = b"fn f<'a>(t: &'a T) { old(t) }\n// don't old\nSee drivers/*/x: old, \"old\".\n#include old\nolder\n"
    for path in ("rust/x.rs", "Documentation/x.rst", "drivers/Kconfig", "drivers/Makefile", "scripts/old.py"):
        found = find_words(path, text, ["old"])
        assert [text[o.start : o.end] for o in found] == [b"old"] * 5
        assert {o.kind for o in found} == {CODE}
    assert len({o.kind for o in find_words("a.S", text, ["old"])}) > 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"f(a, b);", (2, 7)),
        (b"f ( )", (0, 5)),
        (b"f(/* a, b */)", (0, 13)),
        (b"f(void) { }", (0, 7)),
        (b"f\\\n /* ( */ (g(a, b), (s){1, 2}, x[i, j], \"),\", ',')", (5, 52)),
        (b"f(({ int a, b; a; }), c)", (2, 24)),
        (b"f;", None),
        (b"f(a, b", None),
        (b"f(" + b"a, " * 30000 + b")", None),
    ],
)
def test_the_arguments_of_a_call_are_counted(text: bytes, found: tuple[int, int] | None) -> None:
    assert call_at(text, 1) == found


def test_a_place_is_named_as_git_names_a_hunk() -> None:
    text = b"int old;\nstatic int\nf(void)\n{\nout:\n\told();\n}\nstruct s x = {\n\t.a = old,\n};\n"
    text += b"#define M(y) \\\n\told(y)\n"
    offsets = [o.start for o in find_words("a.c", text, ["old"])]
    assert enclosing(text, offsets) == ["old", "f", "x", "M"]
    assert enclosing(b"\told();", [1]) == [""]


@pytest.mark.parametrize(
    ("text", "conditions", "why"),
    [
        (b"#if 0\nold();\n#endif\n", ("0",), "in #if 0"),
        (b"#ifdef A\nold();\n#endif\n", ("defined(A)",), ""),
        (b"#define M(x) \\\n\told(x)\n", (), "in the definition of the macro M"),
        (b"#if old\n#endif\n", (), "in #if"),
    ],
)
def test_what_may_hide_a_place_is_known(text: bytes, conditions: tuple[str, ...], why: str) -> None:
    (place,) = find_words("a.c", text, ["old"])
    assert standing(parse("a.c", text), place.start) == (conditions, why)
