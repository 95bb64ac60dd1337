from __future__ import annotations

from pathlib import Path

import pytest
from idsets import compile_sets
from toolchain import needs_s390

from patchbot.campaigns.kfunc_flags.proof.btf_ids import IdSet, Pair, Record, kfunc_of, read_file
from patchbot.errors import ToolError

ARGS = 2
BIG_ENDIAN = "s390x-linux-gnu-"

TWO_SETS = """
KFUNCS(one)
ROW(first, 1 << 1)
ROW(second_2__x, 0)
ARGS2(second_2__x, 0, 1 << 1)
KFUNCS_END(one)
LIST(things)
ID(struct, task_struct)
asm(".pushsection .BTF_ids,0,\\"a\\"\\n.zero 4\\n.popsection\\n");
ID(func, first)
KFUNCS(two)
ROW(third, 4)
ARGS2(third, 1, 2)
ROW(fourth, 8)
ARGS(fourth, 1, 5)
KFUNCS_END(two)
KFUNCS(empty)
KFUNCS_END(empty)
"""


@pytest.mark.parametrize(
    ("cross", "options"), [("", ()), ("", ("-m32",)), pytest.param(BIG_ENDIAN, (), marks=needs_s390)]
)
def test_sets_pairs_trailers_and_records_are_read(tmp_path: Path, cross: str, options: tuple[str, ...]) -> None:
    found = read_file(compile_sets(tmp_path, TWO_SETS, *options, cross=cross), ARGS)
    assert found.problems == ()
    assert found.undefined == ()
    assert found.sets == (
        IdSet("empty", 3, (), True),
        IdSet("one", 3, (Pair("first", 2), Pair("second_2__x", 0)), True, (Record("second_2__x", (0, 2)),)),
        IdSet("two", 3, (Pair("third", 4), Pair("fourth", 8)), True, (Record("third", (1, 2)), Record("fourth", (5,)))),
    )
    assert found.rest == ("things:", "struct__task_struct 0x0", "word 0x0", "func__first 0x0")


def test_a_header_without_trailers_is_read_as_one(tmp_path: Path) -> None:
    text = "SET8(one, 1)\nROW(first, 1 << 7)\nSET8_END(one)\nSET8(fmodret, 0)\nROW(hook, 0)\nSET8_END(fmodret)\n"
    found = read_file(compile_sets(tmp_path, text), None)
    assert found.sets == (IdSet("fmodret", 0, (Pair("hook", 0),)), IdSet("one", 1, (Pair("first", 128),)))
    assert found.rest == ()


def test_an_object_without_the_section_has_no_sets(tmp_path: Path) -> None:
    assert read_file(compile_sets(tmp_path, "int nothing;"), ARGS).sets == ()


def test_a_misspelt_flag_is_an_undefined_symbol(tmp_path: Path) -> None:
    found = read_file(compile_sets(tmp_path, "KFUNCS(one)\nROW(first, KF_RELAESE)\nKFUNCS_END(one)"), ARGS)
    assert found.undefined == ("KF_RELAESE",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "SET8(one, 1)\nROW(f, 0)\nARGS(f, 1, 2)\nSET8_END(one)\nKFUNCS(two)\nKFUNCS_END(two)",
            "belongs to no set and",
        ),
        ("KFUNCS(two)\nKFUNCS_END(two)\nSET8(one, 1)\nROW(f, 0)\nARGS(f, 1, 2)\nSET8_END(one)", "belong to no set"),
        ("KFUNCS(one)\nROW(f, 0)\nARGS(f, 3, 2)\nKFUNCS_END(one)", "makes no sense (3 arguments)"),
        ("KFUNCS(one)\nROW(f, 0)\nARGS(f, 0, 2)\nKFUNCS_END(one)", "makes no sense (0 arguments)"),
        ("SET8(one, 3)\nROW(f, 0)\nSET8_END(one)", "the section ends after it"),
        ("SET8(one, 1)\nID(struct, s)\nID(struct, s)\nSET8_END(one)", "does not stand for a function"),
        ("SET8(one, 1)\nID(func, s)\nSET8_END(one)", "not a header and whole pairs"),
        ("SET8(one, 3)\nROW(f, 0)\nSET8_END(one)\nID(func, x)\nID(func, y)\nLIST(q)", "before it ends"),
        (
            'SET8(one, 3)\nROW(f, 0)\nSET8_END(one)\nasm(".pushsection .BTF_ids\\n.long 999, 8\\n.popsection");',
            "outside the section",
        ),
    ],
)
def test_bytes_that_make_no_sense_are_said(tmp_path: Path, text: str, problem: str) -> None:
    found = read_file(compile_sets(tmp_path, text), ARGS)
    assert any(problem in p for p in found.problems), found


def test_numbers_of_symbols_do_not_count(tmp_path: Path) -> None:
    one = read_file(compile_sets(tmp_path, TWO_SETS), ARGS)
    other = read_file(compile_sets(tmp_path, "int shift[__COUNTER__ + 1];\n" + TWO_SETS), ARGS)
    assert one == other


def test_a_linked_file_is_read_by_its_ids(tmp_path: Path) -> None:
    text = """
asm(".pushsection .BTF_ids,0,\\"a\\"\\n.local __BTF_ID__set8__one\\n__BTF_ID__set8__one:\\n.long 2, 1, 12, 7, 11, 8\\n"
    ".size __BTF_ID__set8__one, 24\\n.popsection");
"""
    file = compile_sets(tmp_path, text)
    found = read_file(file, ARGS, {11: "eleven", 12: "twelve"})
    assert found.sets == (IdSet("one", 1, (Pair("twelve", 7), Pair("eleven", 8))),)
    assert found.problems == ()
    assert "does not stand for a function" in read_file(file, ARGS, {11: "eleven"}).problems[0]
    assert any("says that it has 2 entries" in p for p in read_file(file, ARGS).problems)


def test_a_file_that_is_no_elf_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.o").write_bytes(b"\x7fELF\2\1 no")
    with pytest.raises(ToolError, match=r"x\.o"):
        read_file(tmp_path / "x.o", ARGS)
    (tmp_path / "z.o").write_bytes(b"text")
    with pytest.raises(ToolError, match="not an ELF"):
        read_file(tmp_path / "z.o", ARGS)
    with pytest.raises(ToolError, match="No such file"):
        read_file(tmp_path / "y.o", ARGS)


@pytest.mark.parametrize(
    ("symbol", "kfunc"),
    [
        ("__BTF_ID__func____scx_bpf_dsq_insert_vtime__12345", "__scx_bpf_dsq_insert_vtime"),
        ("__BTF_ID__func__scx_bpf_dsq_insert___v2__12345", "scx_bpf_dsq_insert___v2"),
        ("__BTF_ID__struct__task_struct__1", None),
    ],
)
def test_names_in_symbols(symbol: str, kfunc: str | None) -> None:
    assert kfunc_of(symbol) == kfunc
