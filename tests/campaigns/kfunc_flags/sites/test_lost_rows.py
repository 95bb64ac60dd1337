"""No row is lost in silence: whatever a set is called, made of or hidden in, it is read or refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from kfunctree import make

from patchbot.c.constants import constant
from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.sites.nouns import SetError
from patchbot.config import CampaignConfig

FLAGS = (
    "#define KF_ACQUIRE (1 << 0)\n#define KF_RELEASE (1 << 1)\n#define KF_SLEEPABLE (1 << 5)\n#define KF_RCU (1 << 7)\n"
)
KFUNC = "__bpf_kfunc void put(struct task_struct *p)\n{\n}\n"
SET = "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, put, KF_RELEASE)\nBTF_KFUNCS_END(ids)\n"
REGISTERED = "static const struct btf_kfunc_id_set all = {\n\t.owner = THIS_MODULE,\n\t.set = &ids,\n};\n"


def said(path: Path, files: dict[str, str]) -> tuple[dict[str, str], str]:
    """Return {site: fate} of a tree, and what is refused."""
    try:
        found = audit(make(path, {"include/linux/btf.h": FLAGS, **files}), CampaignConfig("kfunc_flags"))
    except SetError as error:
        return {}, str(error)
    return {site: fate for site, (fate, _) in found.fates().items()}, "\n".join(found.refused)


@pytest.mark.parametrize(
    "name", ["net/sets.inc", "net/foo.def", "net/sets", "net/kfuncs.tbl", "net/a/b.list", "net/sets.txt", "net/x.c.in"]
)
def test_a_set_in_an_included_file_of_any_name_is_read(tmp_path: Path, name: str) -> None:
    files = {"net/a.c": f'{KFUNC}#include "{name.removeprefix("net/")}"\n{REGISTERED}', name: SET}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


@pytest.mark.parametrize(
    "how",
    [
        "#include __stringify(sets.tbl)\n",
        "#include __stringify( ./sets.tbl )\n",
        "#define IN(x) <x>\n#include IN(sets.tbl)\n",
        "#define SETS sets.tbl\n#include __stringify(SETS)\n",
    ],
)
def test_a_set_in_a_file_whose_name_a_macro_makes_is_read(tmp_path: Path, how: str) -> None:
    files = {"net/a.c": KFUNC + how, "net/sets.tbl": SET + REGISTERED}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


@pytest.mark.parametrize("how", ["-include $(src)/sets.tbl", "-include sets.tbl", "-include '$(src)/sets.tbl'"])
def test_a_set_that_a_makefile_includes_is_read(tmp_path: Path, how: str) -> None:
    files = {"net/Makefile": f"CFLAGS_a.o += {how}\n", "net/a.c": KFUNC, "net/sets.tbl": SET + REGISTERED}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


@pytest.mark.parametrize("name", ["net/a.c_shipped", "Documentation/example.c"])
def test_a_set_in_a_file_that_is_compiled_elsewhere_is_read(tmp_path: Path, name: str) -> None:
    assert said(tmp_path, {name: KFUNC + SET + REGISTERED}) == ({"put@ids": "change"}, "")


@pytest.mark.parametrize("one", ["/* BTF_KFUNCS */\n", ""])
def test_a_set_by_way_of_two_included_files_is_read(tmp_path: Path, one: str) -> None:
    files = {"net/a.c": f'{KFUNC}#include "one"\n{REGISTERED}', "net/one": one + '#include "two"\n', "net/two": SET}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


def test_a_file_that_nothing_includes_is_no_c(tmp_path: Path) -> None:
    assert said(tmp_path, {"scripts/gen.py": f'"""{SET}"""\n', "Documentation/a.rst": SET}) == ({}, "")


@pytest.mark.parametrize("name", ["Documentation/sets.rst", "net/sets.yaml"])
def test_a_set_where_nobody_looks_is_missed_where_it_is_registered(tmp_path: Path, name: str) -> None:
    files = {"net/a.c": f'{KFUNC}#include "/{name}"\n{REGISTERED}', name: SET}
    assert "net/a.c:7: registers the set ids, which is neither in this file nor" in said(tmp_path, files)[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#define CAT(a, b) a##b\nCAT(BTF_KFUNCS_, START)(ids)\nMINE(put)\n", "net/a.c:5: BTF_KFUNCS_ is a piece"),
        ("#define K(x) BTF_##x##_START\nK(KFUNCS)(ids)\nMINE(put)\n", "net/a.c:4: BTF_ is a piece of a set's macro"),
        ("MY_SET(ids, put, KF_RELEASE)\n" + REGISTERED, "net/a.c:7: registers the set ids, which is neither"),
        (
            "MY_SET(ids, put)\nstatic const struct btf_kfunc_id_set all = { THIS_MODULE, &ids };\n",
            "net/a.c:5: registers the set ids",
        ),
        ("MY_SET(ids, put)\nvoid f(struct btf_kfunc_id_set *s)\n{\n\ts->set = &ids;\n}\n", "net/a.c:7: registers"),
        (SET + "static const struct btf_kfunc_id_set all = { .set = GET(ids) };\n", "net/a.c:7: cannot tell which set"),
        (
            SET + "#define REG(x) static const struct btf_kfunc_id_set x##s = { .set = &x }\nREG(other);\n",
            "net/a.c:7: a macro registers a set",
        ),
        ("#define MY(n) __BTF_SET8_START(n, local, BTF_SET8_KFUNCS)\nMY(ids)\n", "net/a.c:4: __BTF_SET8_START inside"),
        ("#define BTF_ID_FLAGS(p, n) __BTF_ID_FLAGS(p, n, KF_RCU)\n" + SET, "net/a.c:4: #define BTF_ID_FLAGS"),
        ("#define put real_put\n" + SET, "net/a.c:4: #define put, which rows of this file use"),
        ("#undef KF_RELEASE\n#define KF_RELEASE 0\n" + SET, "net/a.c:4: #undef KF_RELEASE, which rows of this file"),
        (
            "BTF_KFUNCS_START(ids)\n#ifdef A\n#define R(x) BTF_ID_FLAGS(func, x, KF_RELEASE)\n#else\n"
            "#define R(x) BTF_ID_FLAGS(func, x)\n#endif\nR(put)\nBTF_KFUNCS_END(ids)\n",
            "net/a.c:8: macro R is defined again inside a set",
        ),
        (
            "#ifdef A\n#define LIST R(put)\n#else\n#define LIST R(put) R(more)\n#endif\nBTF_KFUNCS_START(ids)\n"
            "#define R(x) BTF_ID_FLAGS(func, x, KF_RELEASE)\nLIST\nBTF_KFUNCS_END(ids)\n",
            "net/a.c:11: LIST of net/a.c is empty or defined in several ways",
        ),
    ],
)  # fmt: skip
def test_what_the_preprocessor_alone_knows_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in said(tmp_path, {"net/a.c": KFUNC + text})[1]


def test_a_macro_that_is_refused_is_not_read_as_rows(tmp_path: Path) -> None:
    rows = "#define R BTF_ID_FLAGS(func, nowhere, KF_RCU)\nBTF_ID_FLAGS(func, put)\n"
    text = said(tmp_path, {"net/a.c": f"{KFUNC}BTF_KFUNCS_START(ids)\n{rows}BTF_KFUNCS_END(ids)\n"})[1]
    assert text == "net/a.c:5: macro R inside a set has no parameters; expected one that makes a row"


def test_a_header_that_adds_flags_to_rows_is_refused(tmp_path: Path) -> None:
    header = "#undef BTF_ID_FLAGS\n#define BTF_ID_FLAGS(p, n, ...) __BTF_ID_FLAGS(p, n, KF_RELEASE)\n"
    files = {"net/a.c": f'#include "my.h"\n{KFUNC}{SET}', "net/my.h": header}
    assert "net/my.h:1: #undef BTF_ID_FLAGS, which include/linux/btf_ids.h defines" in said(tmp_path, files)[1]


@pytest.mark.parametrize("word", ["BTF_KFUNCS", "any word"])
def test_a_header_that_renames_a_kfunc_is_refused(tmp_path: Path, word: str) -> None:
    files = {"net/a.c": f'#include "my.h"\n{KFUNC}{SET}', "net/my.h": f"/* {word} */\n#define put other\n"}
    assert "net/my.h:2: #define put, which rows of other files use" in said(tmp_path, files)[1]


def test_a_list_with_a_comment_of_two_lines_is_read(tmp_path: Path) -> None:
    files = {
        "net/a.c": f"{KFUNC}#include <net/l.h>\nBTF_KFUNCS_START(ids)\n#define R(x) BTF_ID_FLAGS(func, x)\nLIST\n"
        "BTF_KFUNCS_END(ids)\n",
        "include/net/l.h": "#define LIST /* one\n two */ R(put)\n",
    }
    assert said(tmp_path, files) == ({"put@ids": "keep"}, "")


@pytest.mark.parametrize(
    "definition",
    ["#define MY KF_RELEASE", "#define MY (1 << 1)", "enum { MY = 2 };", "#define KF_MY (1 << 1)", "#define KF_MY 0x2",
     "#define KF_MY BIT(1)", "#define KF_MY 02u", "#define KF_MY (KF_RELEASE)", "#define KF_MY (1 << 1) | (1 << 5)",
     "enum { KF_MY = 1 << 1 };", "#ifdef A\n#define KF_MY (1 << 9)\n#else\n#define KF_MY (1 << 1)\n#endif",
     "#define KF_MY (1\\\n << /* bit */ 1)", "#define KF_MY _BITUL(1)", "#define KF_MY (0x1UL << 0x1)",
     "#define KF_MY (1 << 0 + 1)"],
)  # fmt: skip
def test_a_second_name_for_a_flag_is_refused(tmp_path: Path, definition: str) -> None:
    flag = "KF_MY" if "KF_MY" in definition else "MY"
    files = {"include/linux/btf.h": f"{FLAGS}{definition}\n", "net/a.c": KFUNC + SET.replace("KF_RELEASE", flag)}
    text = said(tmp_path, files)[1]
    assert f"net/a.c:5: put@ids: include/linux/btf.h does not define {flag} as a single flag" in text or (
        f"net/a.c:5: put@ids: {flag} is another name for the bit of KF_RELEASE; expected KF_RELEASE" in text
    )


def test_a_second_name_in_a_set_that_holds_no_kfuncs_is_refused(tmp_path: Path) -> None:
    files = {"net/a.c": KFUNC + SET.replace("KFUNCS", "SET8").replace("KF_RELEASE", "MINE")}
    assert "does not define MINE as a single flag" in said(tmp_path, files)[1]


def test_a_flag_of_the_kfunc_among_those_of_arguments_is_refused(tmp_path: Path) -> None:
    files = {"net/a.c": KFUNC + SET.replace("BTF_ID_FLAGS(func, put, KF", "BTF_KFUNC(put, KF_SLEEPABLE, KF")}
    assert "does not define KF_RELEASE as a single flag" in said(tmp_path, files)[1]


def test_of_two_sets_with_one_name_the_one_with_kfuncs_counts(tmp_path: Path) -> None:
    other = "BTF_SET8_START(ids)\nBTF_SET8_END(ids)\n"
    files = {"net/a.c": f"{KFUNC}#ifdef A\n{SET}#else\n{other}#endif\n"}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


@pytest.mark.parametrize("module", ["#include <linux/module.h>\n", "#include <linux/init.h>\n", ""])
def test_a_module_below_tools_is_a_site(tmp_path: Path, module: str) -> None:
    assert said(tmp_path, {"tools/mut/mut.c": module + KFUNC + SET}) == ({"put@ids": "change"}, "")


def test_a_set_that_a_module_below_tools_includes_is_a_site(tmp_path: Path) -> None:
    files = {"tools/mut/mut.c": f'#include <linux/module.h>\n{KFUNC}#include "s"\n', "tools/mut/s": SET}
    assert said(tmp_path, files) == ({"put@ids": "change"}, "")


def test_a_program_below_tools_is_no_site(tmp_path: Path) -> None:
    text = f"#include <stdio.h>\n{SET}int main(void)\n{{\n}}\n"
    assert said(tmp_path, {"tools/lib/a.c": text}) == ({"put@ids": "keep"}, "")


@pytest.mark.parametrize(
    ("text", "value"),
    [("(1 << 7)", 128), ("0x80", 128), ("0200", 128), ("BIT(7)", 128), ("1U<<3|1", 9), ("(1 << (2 + 1))", 8),
     ("KF_RCU", None), ("", None), ("(1", None), ("1 <<", None), ("1 << 99999999999", None), ("(" * 5000, None),
     ("x(1)", None), ("1 /* a */ << 1", 2), ("08", None), ("0b11", 3), ("7)+(1", None)],
)  # fmt: skip
def test_values_of_flags(text: str, value: int | None) -> None:
    assert constant(text) == value
