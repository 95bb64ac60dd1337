"""Anchors on a small file laid over the tiny kernel: each outcome, each builder, each selector."""

from __future__ import annotations

from textwrap import dedent

import pytest

from patchbot.c import Source, Span, find
from patchbot.errors import UserError
from patchbot.model import Edit
from patchbot.series import codemod as a
from patchbot.series.codemod import Alternative, Anchor, AnchorError, Outcome, Report
from patchbot.series.tree import Tree

PATH = "kernel/bpf/some.c"
TEXT = """\
#include <linux/bpf.h>

#define KF_ACQUIRE	(1 << 0)
#define KF_RCU		(1 << 7) /* pointer */

struct tab {
	struct set *sets[MAX];
	struct hook {
		int n;
	} hooks;
};

enum kind { KIND_A, KIND_B };

static int __add(struct tab *tab, int n);

/* Free the table
 * and its sets.
 */
static void free_tab(struct tab *tab)
{
	int i;

	for (i = 0; i < MAX; i++)
		kfree(tab->sets[i]);
	kfree(tab);
}

#ifdef CONFIG_BPF
static int __add(struct tab *tab, int n)
{
	int ret;

	ret = check(tab, n);
	if (ret)
		return ret;
	/* Grow set */
	ret = populate(tab, n);
	return ret;
}
#else
static int __add(struct tab *tab)
{
	return -EINVAL;
}
#endif

static const struct id ids[] = {
	{ 1 },
};
"""


@pytest.fixture
def tree(tiny) -> Tree:
    return Tree(tiny, tiny.resolve("HEAD")).overlaid({PATH: TEXT.encode()})


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def apply(tree: Tree, *anchors: Anchor) -> str:
    """Apply anchors that must all fit, check that they are `already` then, and return the new text."""
    edits, reports = a.resolve(tree, anchors)
    assert [r.outcome for r in reports] == [Outcome.APPLIED] * len(anchors), "\n".join(map(str, reports))
    a.require(reports)
    after = tree.edit(edits)
    again, reports = a.resolve(after, anchors)
    assert again == []
    assert [r.outcome for r in reports] == [Outcome.ALREADY] * len(anchors), "\n".join(map(str, reports))
    a.require(reports)
    return after.read(PATH).decode()


def outcome(tree: Tree, anchor: Anchor) -> Report:
    edits, (report,) = a.resolve(tree, [anchor])
    assert report.outcome is Outcome.APPLIED or edits == []
    return report


POPULATE = "ret = populate(tab, n);"
ADD = ["struct tab *", "int"]


class TestBuilders:
    def test_insert_before(self, tree):
        anchor = a.insert_before(
            PATH, "check", a.in_function("__add", ADD), a.statement(POPULATE), "\tcheck_args(tab);"
        )
        assert apply(tree, anchor) == TEXT.replace(f"\t{POPULATE}", f"\tcheck_args(tab);\n\t{POPULATE}")

    def test_insert_after_a_statement_of_several_lines(self, tree):
        what = a.statement("for ($_; $_; $_) kfree(tab->sets[$i]);")
        anchor = a.insert_after(PATH, "free", a.in_function("free_tab"), what, "\tkfree(tab->args);\n")
        assert apply(tree, anchor) == TEXT.replace("sets[i]);\n", "sets[i]);\n\tkfree(tab->args);\n")

    def test_replace_exactly(self, tree):
        anchor = a.replace(
            PATH, "size", a.in_function("__add", ADD), a.tokens_like("populate(tab, n)"), "populate(tab, n, 1)"
        )
        assert apply(tree, anchor) == TEXT.replace("populate(tab, n)", "populate(tab, n, 1)")

    def test_replace_by_what_holds_the_old(self, tree):
        anchor = a.replace(PATH, "or", a.macro_in("KF_RCU"), a.tokens_like("(1 << 7)"), "((1 << 7) | KF_X)")
        assert apply(tree, anchor) == TEXT.replace("(1 << 7)", "((1 << 7) | KF_X)")

    def test_text_made_from_the_place(self, tree):
        anchor = a.replace(
            PATH,
            "double",
            a.in_initialiser("ids"),
            a.tokens_like("{ $n }"),
            lambda source, span: source.at(span) + b", " + source.at(span),
            done=a.contains("{ 1 }, { 1 }"),
        )
        assert apply(tree, anchor) == TEXT.replace("{ 1 }", "{ 1 }, { 1 }")

    def test_after_the_last_line_without_newline(self, tree):
        bare = tree.overlaid({PATH: b"int a;"})
        anchor = a.insert_after(PATH, "end", a.in_file(), a.tokens_like("int a;"), "int b;")
        assert apply(bare, anchor) == "int a;\nint b;\n"

    def test_crlf_is_kept(self, tree):
        crlf = tree.overlaid({PATH: b"int f(void)\r\n{\r\n\treturn 0;\r\n}\r\n"})
        anchor = a.insert_before(PATH, "x", a.in_function("f"), a.statement("return 0;"), "\ta();\n\tb();\n")
        assert "{\r\n\ta();\r\n\tb();\r\n\treturn" in apply(crlf, anchor)

    def test_the_site_is_the_anchor(self, tree):
        edits, _ = a.resolve(tree, [a.insert_before(PATH, "the name", a.in_function("free_tab"), a.whole(), "x;")])
        assert [e.site for e in edits] == ["the name"]

    def test_the_same_text_elsewhere_is_not_this_edit(self, tree):
        anchor = a.insert_before(PATH, "x", a.in_function("free_tab"), a.statement("kfree(tab);"), "\treturn ret;\n")
        assert outcome(tree, anchor).outcome is Outcome.APPLIED


class TestSelectors:
    @pytest.mark.parametrize(
        ("scope", "what", "line"),
        [
            (a.in_function("__add", ["struct tab *"]), a.whole(), "static int __add(struct tab *tab)\n"),
            (a.in_prototype("__add", ADD), a.whole(), "static int __add(struct tab *tab, int n);"),
            (a.in_struct("tab"), a.member("sets"), "\tstruct set *sets"),
            (a.in_struct("tab"), a.member("hooks"), "\tstruct hook {"),
            (a.in_struct("hook"), a.member("n"), "\t\tint n;"),
            (a.in_enum("kind"), a.member("KIND_B"), "enum kind"),
            (a.in_function("__add", ADD), a.comment("Grow set"), "\t/* Grow set"),
            (a.in_file(), a.last_of(a.macro_definition("KF_")), "#define KF_RCU"),
            (a.in_file(), a.first_of(a.macro_definition("KF_")), "#define KF_ACQUIRE"),
            (a.in_function("free_tab"), a.first_of(a.tokens_like("kfree($_)")), "\t\tkfree(tab->sets"),
            (a.in_function("free_tab"), a.last_of(a.statement("kfree($_);")), "\tkfree(tab);"),
            (a.in_function("free_tab"), a.with_comment(a.whole()), "/* Free the table"),
            (a.in_function("__add", ADD), a.with_comment(a.statement(POPULATE)), "\t/* Grow set"),
            (a.in_function("__add", ADD), a.with_comment(a.statement("return ret;")), None),
            (a.one_of(a.in_struct("gone"), a.in_enum("kind")), a.whole(), "enum kind"),
            (
                a.in_function("free_tab"),
                a.inside(a.statement("for ($...) $_;"), a.tokens_like("kfree($_)")),
                "\t\tkfree(tab->",
            ),
            (a.macro_in("KF_RCU", ""), a.whole(), "#define KF_RCU"),
        ],
    )
    def test_place(self, tree, scope, what, line):
        report = outcome(tree, a.insert_before(PATH, "x", scope, what, "new;"))
        if line is None:
            assert report.outcome is Outcome.AMBIGUOUS
        else:
            assert (report.outcome, report.line) == (Outcome.APPLIED, line_of(TEXT, line)), str(report)

    def test_macro_under_a_condition(self, tree):
        text = b"#ifdef A\n#define X 1\n#else\n#define X 2\n#endif\n"
        two = tree.overlaid({PATH: text})
        for condition, line in (("defined(A)", 2), ("!(defined(A))", 4)):
            report = outcome(two, a.insert_after(PATH, "x", a.macro_in("X", condition), a.whole(), "y;"))
            assert (report.outcome, report.line) == (Outcome.APPLIED, line)
        assert outcome(two, a.insert_after(PATH, "x", a.macro_in("X"), a.whole(), "y;")).outcome is Outcome.AMBIGUOUS
        assert outcome(two, a.insert_after(PATH, "x", a.macro_in("X", ""), a.whole(), "y;")).outcome is Outcome.MISSING


class TestOutcomes:
    def test_missing_file(self, tree):
        report = outcome(tree, a.insert_before("no/such.c", "x", a.in_file(), a.whole(), "y"))
        assert report.outcome is Outcome.MISSING
        assert "no/such.c" in report.message
        with pytest.raises(AnchorError, match=r"no/such\.c"):
            a.require([report])

    def test_missing_function_names_the_nearest_place(self, tree):
        report = outcome(
            tree, a.insert_before(PATH, "x", a.in_function("gone"), a.statement("ret = populate(tab, m);"), "y")
        )
        assert report.outcome is Outcome.MISSING
        assert report.line == line_of(TEXT, POPULATE)
        assert POPULATE in report.message
        assert "gone()" in report.message

    def test_drifted_shows_what_is_there(self, tree):
        anchor = a.insert_before(
            PATH, "x", a.in_function("__add", ADD), a.statement("ret = populate(tab, n, GFP);"), "y"
        )
        report = outcome(tree, anchor)
        assert (report.outcome, report.line) == (Outcome.DRIFTED, line_of(TEXT, POPULATE))
        assert "-ret = populate(tab, n, GFP);" in report.message
        assert f"+{POPULATE}" in report.message

    def test_a_syntax_error_in_the_statement_is_drift(self, tree):
        broken = tree.overlaid({PATH: b"int f(void)\n{\n\tif (a b c)\n\t\tx();\n\treturn 0;\n}\n"})
        report = outcome(broken, a.insert_before(PATH, "x", a.in_function("f"), a.statement("if (a b c) x();"), "y"))
        assert report.outcome is Outcome.DRIFTED
        assert "syntax error" in report.message

    def test_ambiguous_names_all_lines(self, tree):
        report = outcome(tree, a.insert_before(PATH, "x", a.in_function("__add"), a.statement("return $_;"), "y"))
        assert report.outcome is Outcome.AMBIGUOUS
        for part in ("\t\treturn ret", "\treturn ret;\n}", "\treturn -EINVAL"):
            assert str(line_of(TEXT, part)) in report.message

    def test_optional(self, tree):
        gone = a.insert_before(PATH, "x", a.in_function("gone"), a.whole(), "y", optional="only newer trees have it")
        report = outcome(tree, gone)
        assert (report.outcome, report.message, report.is_problem) == (
            Outcome.MISSING,
            "only newer trees have it",
            False,
        )
        nofile = a.insert_before("no.c", "x", a.in_file(), a.whole(), "y", optional="why")
        other = a.insert_before(
            PATH,
            "x",
            a.in_function("free_tab"),
            a.statement("meta.flags = kfunc.flags ? *kfunc.flags : 0;"),
            "y",
            optional="why",
        )
        assert [outcome(tree, x).is_problem for x in (nofile, other)] == [False, False]

    def test_optional_does_not_excuse_drift_or_ambiguity(self, tree):
        scope = a.in_function("__add")
        drifted = a.insert_before(PATH, "x", scope, a.statement("ret = populate(tab, m);"), "y", optional="why")
        ambiguous = a.insert_before(PATH, "x", scope, a.statement("return $_;"), "y", optional="why")
        assert [outcome(tree, x).outcome for x in (drifted, ambiguous)] == [Outcome.DRIFTED, Outcome.AMBIGUOUS]
        for anchor in (drifted, ambiguous):
            with pytest.raises(AnchorError):
                a.require([outcome(tree, anchor)])

    def test_require_names_every_problem(self, tree):
        anchors = [
            a.insert_before(PATH, "good", a.in_function("free_tab"), a.whole(), "y;"),
            a.insert_before(PATH, "first", a.in_function("gone"), a.whole(), "y;"),
            a.insert_before("no.c", "second", a.in_file(), a.whole(), "y;"),
            a.insert_before(PATH, "third", a.in_function("__add"), a.whole(), "y;"),
        ]
        edits, reports = a.resolve(tree, anchors)
        assert len(edits) == 1
        with pytest.raises(AnchorError) as caught:
            a.require(reports)
        for name in ("first", "second", "third"):
            assert name in str(caught.value)
        assert "good" not in str(caught.value)
        assert isinstance(caught.value, UserError)
        assert caught.value.exit_code == 2

    def test_a_part_that_is_there_already_is_drift(self, tree):
        there = a.insert_before(PATH, "there", a.in_function("free_tab"), a.statement("kfree(tab);"), "\tint i;\n")
        new = a.insert_before(PATH, "new", a.in_function("free_tab"), a.statement("kfree(tab);"), "\tnew();\n")
        _, reports = a.resolve(tree, [there, new])
        assert [r.outcome for r in reports] == [Outcome.ALREADY, Outcome.APPLIED]
        with pytest.raises(AnchorError, match="there: drifted"):
            a.require(reports)
        a.require(reports[:1])
        a.require(reports[1:])

    def test_a_bug_in_a_pattern_is_not_an_outcome(self, tree):
        with pytest.raises(Exception, match="metavariables"):
            a.resolve(tree, [a.insert_before(PATH, "x", a.in_file(), a.tokens_like("$a $b"), "y")])


class TestAlternatives:
    def alternative(self, label: str, pattern: str, new: bytes) -> Alternative:
        return Alternative(
            label,
            lambda source: find(source, pattern),
            lambda source, span: [Edit(source.path, span.start, span.end, new)],
            lambda source: new in source.text,
        )

    def test_the_first_that_finds_one_place(self, tree):
        anchor = Anchor(
            "x",
            PATH,
            (
                self.alternative("none", "gone()", b"NN"),
                self.alternative("several", "kfree($_)", b"XX"),
                self.alternative("one", "populate($_)", b"YY"),
                self.alternative("one, too late", "check($_)", b"ZZ"),
            ),
        )
        edits, (report,) = a.resolve(tree, [anchor])
        assert (report.outcome, report.alternative) == (Outcome.APPLIED, "one")
        assert [e.new for e in edits] == [b"YY"]

    def test_several_places_and_no_better_alternative(self, tree):
        anchor = Anchor("x", PATH, (self.alternative("a", "kfree($_)", b"XX"), self.alternative("b", "gone()", b"YY")))
        assert outcome(tree, anchor).outcome is Outcome.AMBIGUOUS

    def test_one_place_found_twice_is_one(self, tree):
        place = Alternative("x", lambda s: [Span(0, 1), Span(0, 1)], lambda s, p: [], lambda s: False)
        assert outcome(tree, Anchor("x", PATH, (place,))).outcome is Outcome.APPLIED

    def test_either_and_the_first_file_that_has_it(self, tree):
        both = tree.overlaid({"include/linux/some.h": b"struct other {\n\tint a;\n};\n"})
        paths = ("no.h", "include/linux/some.h", PATH)
        new = a.insert_after(paths, "n", a.in_struct("tab"), a.member("hooks"), "\tu32 *args;")
        old = a.insert_after(paths, "o", a.in_struct("other"), a.member("gone"), "\tu32 *args;")
        report = outcome(both, a.either("the member", old, new))
        assert (report.outcome, report.path, report.anchor) == (Outcome.APPLIED, PATH, "the member")
        assert apply(both, a.either("the member", old, new)) == TEXT.replace("} hooks;\n", "} hooks;\n\tu32 *args;\n")

    def test_the_worst_file_is_reported(self, tree):
        both = tree.overlaid({"include/linux/some.h": b"int a;\n"})
        anchor = a.insert_after(
            ("include/linux/some.h", PATH), "n", a.in_function("free_tab"), a.statement("kfree(tab->x);"), "y"
        )
        report = outcome(both, anchor)
        assert (report.path, report.outcome) == (PATH, Outcome.DRIFTED)

    def test_no_alternative(self, tree):
        assert outcome(tree, Anchor("x", PATH, ())).outcome is Outcome.MISSING

    def test_done_functions(self, tree):
        source = Source(PATH, TEXT.encode())
        assert a.contains("populate($_)")(source)
        assert a.contains("populate($_)", a.in_function("__add", ADD))(source)
        assert not a.contains("populate($_)", a.in_function("free_tab"))(source)
        assert a.contains_comment("Free the table and its sets.")(source)


def test_text_of_reports(tree):
    report = outcome(tree, a.insert_before(PATH, "the name", a.in_function("gone"), a.whole(), "y"))
    assert str(report).startswith(f"{PATH}: the name: missing: ")
    assert dedent(str(report)) == str(report)


@pytest.mark.kernel
def test_places_of_a_real_kernel(kernel):
    tree = kernel.tree
    btf, ids = "kernel/bpf/btf.c", "include/linux/btf_ids.h"
    lookup = ["const struct btf *", "u32", "const struct bpf_prog *"]
    anchors = [
        a.insert_before(
            btf,
            "check",
            a.in_function("__register_btf_kfunc_id_set"),
            a.statement("ret = btf_populate_kfunc_set(btf, hook, kset);"),
            "\tret = btf_check_kfunc_args(btf, kset->set);\n",
        ),
        a.insert_before(btf, "grow", a.in_function("btf_populate_kfunc_set"), a.comment("Grow set"), "\tgrow();\n"),
        a.insert_after(btf, "tab", a.in_struct("btf_kfunc_set_tab"), a.member("hook_filters"), "\tu32 *arg_flags;\n"),
        a.either(
            "lookup",
            a.insert_after(btf, "new", a.in_function("btf_kfunc_flags", lookup), a.whole(), "int x;\n"),
            a.insert_after(btf, "old", a.in_function("btf_kfunc_id_set_contains", lookup), a.whole(), "int x;\n"),
        ),
        a.insert_after(
            "include/linux/btf.h", "KFA", a.in_file(), a.last_of(a.macro_definition("KF_")), "#define KFA_X 1\n"
        ),
        a.replace(
            ids,
            "flag",
            a.macro_in("BTF_KFUNCS_START", "defined(CONFIG_DEBUG_INFO_BTF)"),
            a.tokens_like("BTF_SET8_KFUNCS"),
            "BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS",
        ),
    ]
    edits, reports = a.resolve(tree, anchors)
    a.require(reports)
    assert [r.outcome for r in reports] == [Outcome.APPLIED] * len(anchors)
    after = tree.edit(edits)
    assert [r.outcome for r in a.resolve(after, anchors)[1]] == [Outcome.ALREADY] * len(anchors)
