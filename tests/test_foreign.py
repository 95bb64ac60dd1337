"""Patterns of other people: many at once say what each says by itself, also where they are too many for that."""

from __future__ import annotations

import pytest

from patchbot.foreign import Patterns, pattern

SOME = ["drivers/.*/foo[^/]*", r"\Q", "(?:a|b)c", "stm", r"foo\.c", "", r"\xe9", "x$"]
LONG = [f"x{{{n % 200}}}(abcdefgh|b|c){{900}}[^z]{{900}}y{n}" for n in range(400)]
TEXTS = ["drivers/net/foo.c", "net/drivers/x/foo", "lib/acbc.c", "bpf_testmod.c", "\udce9", "x", ""]


@pytest.mark.parametrize("begin", [True, False])
@pytest.mark.parametrize("texts", [SOME, [], [*LONG, *SOME]], ids=["some", "none", "too long"])
def test_many_match_as_each_by_itself(texts: list[str], begin: bool) -> None:
    """The long ones do not fit into one set."""
    many = Patterns(texts, begin=begin)
    single = [pattern(text) for text in texts]
    for text in TEXTS:
        wanted = [n for n, one in enumerate(single) if (one.begins(text) if begin else one.within(text))]
        assert many.among(text) == wanted, text
