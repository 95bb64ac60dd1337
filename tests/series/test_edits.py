"""apply_edits: in any order, overlaps and double insertions are errors."""

from __future__ import annotations

import pytest

from patchbot.model import Edit
from patchbot.series.edits import EditError, apply_edits, apply_to_text

TEXT = {"a.c": b"0123456789", "b.c": b"\xff\xfe"}


def apply(*edits: Edit) -> dict[str, bytes]:
    return apply_edits(edits, TEXT.get)


def test_offsets_refer_to_the_base_text_in_any_order():
    one, two, three = Edit("a.c", 8, 9, b""), Edit("a.c", 0, 1, b"abc"), Edit("a.c", 5, 5, b"|")
    assert apply(one, two, three) == apply(three, two, one) == {"a.c": b"abc1234|5679"}


def test_bytes_that_are_not_utf8_survive():
    assert apply(Edit("b.c", 2, 2, b"\xfd")) == {"b.c": b"\xff\xfe\xfd"}


def test_an_edit_without_effect_changes_no_file():
    assert apply(Edit("a.c", 1, 2, b"1")) == {}


def test_adjacent_edits_do_not_overlap():
    assert apply(Edit("a.c", 0, 2, b"x"), Edit("a.c", 2, 4, b"y")) == {"a.c": b"xy456789"}


@pytest.mark.parametrize(
    "pair",
    [
        (Edit("a.c", 0, 3, b"x", site="one"), Edit("a.c", 2, 4, b"y", site="two")),
        (Edit("a.c", 2, 2, b"x", site="one"), Edit("a.c", 2, 2, b"y", site="two")),
        (Edit("a.c", 0, 9, b"x", site="one"), Edit("a.c", 2, 4, b"y", site="two")),
    ],
)
def test_overlaps_name_file_line_and_both_sites(pair):
    with pytest.raises(EditError, match=r"a\.c:1: the edits of one and two overlap"):
        apply(*pair)


def test_an_edit_outside_of_the_file_is_refused():
    with pytest.raises(EditError, match="outside the file"):
        apply(Edit("a.c", 5, 11, b""))


def test_a_file_is_created_once_and_only_if_it_is_new():
    assert apply(Edit("new.c", 0, 0, b"x\n", create=True)) == {"new.c": b"x\n"}
    with pytest.raises(EditError, match="it exists"):
        apply(Edit("a.c", 0, 0, b"x", create=True))
    with pytest.raises(EditError, match="does not exist"):
        apply(Edit("new.c", 0, 0, b"x"))


def test_edits_of_a_file_copy_it_once() -> None:
    class Text(bytes):
        copied = 0

        def __getitem__(self, part: slice) -> Text:
            return self.counted(super().__getitem__(part))

        def __add__(self, more: bytes) -> Text:
            return self.counted(super().__add__(more))

        def counted(self, made: bytes) -> Text:
            Text.copied += len(made)
            return Text(made)

    text = Text(b"old;\n" * 1000)
    edits = [Edit("a.c", at, at + 3, b"new") for at in range(0, len(text), 5)]
    assert apply_to_text("a.c", text, edits) == b"new;\n" * 1000
    assert Text.copied < len(text)
