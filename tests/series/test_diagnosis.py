"""A name that the new text uses must be known where the text goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from kfunctree import make

from patchbot.model import Edit
from patchbot.series.diagnosis import unknown_names

FILE = """\
static DEFINE_MUTEX(lock);
static int count;

int helper(struct thing *t);

int f(struct thing *t, int err)
{
	int n = 0;

	if (err)
		goto out;
	HERE;
out:
	return n + t->size;
}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    headers = {"include/linux/far.h": "int far_away(int x);\n#define FAR 1\n"}
    return make(tmp_path_factory.mktemp("t"), {"kernel/a.c": FILE, **headers})


@pytest.mark.parametrize(
    ("new", "names"),
    [
        ("n = helper(t);", []),
        ("n = far_away(FAR) + count;", []),
        ("int own = 1, more; struct thing *p = t;\n\n\tmore = own + p->size;", []),
        ("goto out;", []),
        ("/* what ever */ n++; /* and more */", []),
        ("n = nowhere(t);", ["nowhere"]),
        ("n = t->width;", ["width"]),
        ("n = NOWHERE;", ["NOWHERE"]),
        ("goto end;", ["end"]),
        ("helper(t, ret);", ["ret"]),
        ("ret = helper(t);\n\tif (ret)\n\t\tgoto end;", ["end", "ret"]),
        ("struct other o; n = o.size;", ["other"]),
        ("helper(thing);", ["thing"]),
        ("helper(size);", ["size"]),
    ],
)
def test_names_in_a_function(tree, new, names):
    at = FILE.index("HERE;")
    edit = Edit("kernel/a.c", at, at + 5, new.encode())
    assert unknown_names(tree, [edit]) == ({edit: names} if names else {})


def test_what_the_edits_define_is_known_to_each_other(tree):
    at = FILE.index("HERE;")
    call = Edit("kernel/a.c", at, at + 5, b"own(t)->member = count_of(n);")
    defined = Edit(
        "kernel/a.c", 0, 0, b"#define count_of(x) x\nstruct s {\n\tint member;\n};\nstruct s *own(struct thing *t);\n"
    )
    assert unknown_names(tree, [defined, call]) == {}
    assert unknown_names(tree, [call]) == {call: ["count_of", "member", "own"]}


def test_words_in_a_comment_are_no_names(tree):
    text = "/* one */\n" + FILE
    edit = Edit("kernel/a.c", 5, 5, b" nonsense here, and there")
    assert unknown_names(tree.overlaid({"kernel/a.c": text.encode()}), [edit]) == {}


def test_other_files_are_not_looked_at(tree):
    path = Path("Documentation/x.rst")
    edit = Edit(str(path), 0, 0, b"nothing known here")
    assert unknown_names(tree.overlaid({str(path): b"text\n"}), [edit]) == {}


def test_a_variable_of_another_function_is_not_known(tree):
    text = FILE + "int g(void)\n{\n\tTHERE;\n}\n"
    at, there = text.index("HERE;"), text.index("THERE;")
    edits = [Edit("kernel/a.c", at, at + 5, b"int own = n;"), Edit("kernel/a.c", there, there + 6, b"return own;")]
    assert unknown_names(tree.overlaid({"kernel/a.c": text.encode()}), edits) == {edits[1]: ["own"]}
