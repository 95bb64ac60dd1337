"""apply_edits: in any order, overlaps and contradictions are errors; edits_between: what is equal is left alone."""

from __future__ import annotations

import random

import pytest
from effort import bytecodes

from patchbot.model import REGULAR, Edit, Entry
from patchbot.series.edits import EditError, anchors, apply_edits, apply_to_text, edits_between

TEXT = {"a.c": b"0123456789", "b.c": b"\xff\xfe"}


FILES = {path: Entry(REGULAR, text) for path, text in TEXT.items()}
FILES |= {"link": Entry("120000", b"a.c"), "sub": Entry("160000", b""), "run.sh": Entry("100755", b"#!\n")}


def made(*edits: Edit) -> dict[str, Entry | None]:
    return apply_edits(edits, FILES.get)


def apply(*edits: Edit) -> dict[str, bytes | None]:
    return {path: file and file.data for path, file in made(*edits).items()}


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


def test_a_file_goes_gets_another_name_and_another_mode():
    assert made(Edit("a.c", delete=True)) == {"a.c": None}
    assert made(Edit("run.sh", to="go.sh")) == {"run.sh": None, "go.sh": Entry("100755", b"#!\n")}
    assert made(Edit("a.c", mode="100755")) == {"a.c": Entry("100755", TEXT["a.c"])}
    assert made(Edit("run.sh", mode="100755")) == {}
    assert made(Edit("new.sh", new=b"x", create=True, mode="100755")) == {"new.sh": Entry("100755", b"x")}


def test_edits_of_the_text_stand_beside_a_new_name_and_mode():
    edits = (Edit("a.c", 0, 1, b"x"), Edit("a.c", 0, 0, b"y"), Edit("a.c", to="c.c"), Edit("a.c", mode="100755"))
    assert made(*edits) == made(*edits[::-1]) == {"a.c": None, "c.c": Entry("100755", b"yx123456789")}
    assert made(Edit("a.c", 0, 1, b"x", to="c.c")) == {"a.c": None, "c.c": Entry(REGULAR, b"x123456789")}


DELETE, MOVE = Edit("a.c", delete=True), Edit("a.c", to="c.c")


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ((DELETE, Edit("a.c", 0, 1, b"")), "a.c: a codemod both deletes and edits it"),
        ((DELETE, MOVE), "a.c: a codemod both deletes and edits it"),
        ((DELETE, Edit("a.c", mode="100755")), "a.c: a codemod both deletes and edits it"),
        ((DELETE, DELETE), "a.c: a codemod both deletes and edits it"),
        ((Edit("a.c", 0, 1, delete=True),), "a.c: a codemod both deletes and edits it"),
        ((Edit("new.c", new=b"x", create=True), Edit("new.c", to="c.c")), "new.c: a codemod both creates and edits it"),
        ((Edit("new.c", create=True, delete=True),), "new.c: a codemod both creates and edits it"),
        (
            (Edit("new.c", delete=True),),
            "new.c: a codemod deletes it, but it does not exist; on the tree that it made it must make no edit",
        ),
        ((Edit("a.c", to="b.c"),), "b.c: a codemod renames a.c to this, but the name is taken"),
        ((Edit("a.c", to="a.c"),), "a.c: a codemod renames a.c to this, but the name is taken"),
        ((MOVE, Edit("b.c", to="c.c")), "c.c: a codemod renames b.c to this, but the name is taken"),
        ((MOVE, Edit("c.c", new=b"x", create=True)), "c.c: a codemod renames a.c to this, but the name is taken"),
        (
            (Edit("a.c", to="b.c"), Edit("b.c", delete=True)),
            "b.c: a codemod renames a.c to this, but the name is taken",
        ),
        ((MOVE, Edit("a.c", to="d.c")), "a.c: a codemod gives it more than one name: c.c, d.c"),
        ((Edit("a.c", mode="100755"), Edit("a.c", mode=REGULAR)), "a.c: a codemod gives it more than one mode: 100644"),
        ((Edit("a.c", mode="100600"),), "a.c: a codemod gives it the mode 100600; a file has 100644 or 100755"),
        ((Edit("a.c", mode="120000"),), "a.c: a codemod gives it the mode 120000; a file has 100644 or 100755"),
        ((Edit("link", 0, 0, b"x"),), "link: a codemod edits it, but it is a symbolic link"),
        ((Edit("link", delete=True),), "link: a codemod edits it, but it is a symbolic link"),
        ((Edit("sub", to="bus"),), "sub: a codemod edits it, but it is a submodule"),
    ],
)
def test_contradictions_name_the_file(edits, said):
    for some in (edits, edits[::-1]):
        with pytest.raises(EditError) as caught:
            apply_edits(some, FILES.get)
        assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        (b"a\nif (del_timer(x))\nb\n", b"a\nif (timer_delete(x))\nb\n", [(6, 15, b"timer_delete")]),
        (b"a\r\nb\r\n\xff", b"a\r\nc\r\n\xff", [(3, 4, b"c")]),
        (b"a\nb\nc\n", b"a\nc\nd\n", [(2, 4, b""), (6, 6, b"d\n")]),
        (b"a\nb", b"a\nb\n", [(3, 3, b"\n")]),
        (b"ab\ncd\n", b"xab\ncdx\n", [(0, 0, b"x"), (5, 5, b"x")]),
        (b"", b"a\n", [(0, 0, b"a\n")]),
        (b"same", b"same", []),
    ],
)
def test_edits_between_two_texts_leave_what_is_equal_alone(old, new, places):
    edits = edits_between("f", old, new)
    assert [(e.start, e.end, e.new) for e in edits] == places
    assert apply_edits(edits, {"f": Entry(REGULAR, old)}.get).get("f", Entry(REGULAR, old)).data == new


def test_edits_between_any_two_texts_make_one_of_the_other():
    dice = random.Random(1)
    parts = (b"a", b"bb", b"\n", b"\r\n", b"\xff", b"\0", b"")
    for _ in range(2000):
        old, new = (b"".join(dice.choices(parts, k=dice.randrange(14))) for _ in range(2))
        done = apply_edits(edits_between("f", old, new), {"f": Entry(REGULAR, old)}.get)
        assert done == ({} if old == new else {"f": Entry(REGULAR, new)})


def test_edits_between_a_text_and_none_make_and_delete_the_file():
    assert edits_between("f", None, b"x") == [Edit("f", new=b"x", create=True)]
    assert edits_between("f", b"x", None) == [Edit("f", delete=True)]
    assert edits_between("f", None, None) == []


def test_many_lines_that_stay_in_place_are_not_compared_with_each_other() -> None:
    old = b"".join(b"a%d;\nf(%d);\n" % (n, n) for n in range(20000))
    edits = edits_between("a.c", old, old.replace(b"f(", b"g("))
    assert len(edits) == 20000
    assert apply_to_text("a.c", old, edits) == old.replace(b"f(", b"g(")
    shifted = edits_between("a.c", old[:40], b"x\n" + old[:36])
    assert (shifted[0].start, shifted[0].new) == (0, b"x\n")


def test_lines_that_go_in_many_places_take_no_square_of_the_time() -> None:
    def work(number: int) -> int:
        old = b"".join(b"int f%d(void)\n{\n\told_a();\n\treturn 0;\n}\n\n" % n for n in range(number))
        new = old.replace(b"\told_a();\n", b"")
        edits = edits_between("a.c", old, new)
        assert [(e.end - e.start, e.new) for e in edits] == [(len("\told_a();\n"), b"")] * number
        assert apply_to_text("a.c", old, edits) == new
        return bytecodes(lambda: edits_between("a.c", old, new))

    assert work(400) < 2.5 * work(200)


def test_a_line_that_moved_is_no_anchor() -> None:
    assert anchors([b"a", b"b", b"x", b"c", b"x"], [b"c", b"a", b"x", b"b"]) == [(0, 1), (1, 3)]
    assert anchors([], [b"a"]) == []
