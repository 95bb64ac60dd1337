"""find_words(): identifiers in code apart from what comments, strings and file names mention."""

import pytest

from patchbot.c import parse
from patchbot.c.words import CODE, COMMENT, DIRECTIVE, STRING, enclosing, find_words, standing


def kinds(text: bytes, *words: str) -> list[tuple[str, str]]:
    return [(o.word, o.kind) for o in find_words(text, words)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"old(x); my_old(x); old_(x); old2; 0xold; $old; xold\n", [("old", CODE)]),
        (b"/* old */ // old\nold /* unended old", [("old", COMMENT)] * 2 + [("old", CODE), ("old", COMMENT)]),
        (b'f("old \\" old", \'"\', old);', [("old", STRING)] * 2 + [("old", CODE)]),
        (b'#include <linux/old.h>\n# include "old.h"\n#define old old\n', [("old", DIRECTIVE), ("old", STRING)]),
        (b"#error old is gone, don't\nold", [("old", DIRECTIVE), ("old", CODE)]),
        (b"it's not \"closed\nold\xff\r\nold", [("old", CODE)] * 2),
        (b"old_sync(old);", [("old_sync", CODE), ("old", CODE)]),
        (b"", []),
    ],
)
def test_words_are_told_apart_by_what_they_stand_in(text: bytes, found: list[tuple[str, str]]) -> None:
    if b"#define" in text:
        found = [*found, ("old", CODE), ("old", CODE)]
    assert kinds(text, "old", "old_sync") == found


def test_a_place_is_named_as_git_names_a_hunk() -> None:
    text = b"int old;\nstatic int\nf(void)\n{\nout:\n\told();\n}\nstruct s x = {\n\t.a = old,\n};\n"
    text += b"#define M(y) \\\n\told(y)\n"
    offsets = [o.start for o in find_words(text, ["old"])]
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
    (place,) = find_words(text, ["old"])
    assert standing(parse("a.c", text), place.start) == (conditions, why)
