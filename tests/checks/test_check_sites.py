"""The check `sites` fails where the preprocessor sees other rows than the inventory, and says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RealKernel
from kfunctree import make
from subjects import make_subject

from patchbot.campaigns.kfunc_flags.sites.branches import branches, plain
from patchbot.campaigns.kfunc_flags.sites.expansion import compared
from patchbot.checking.check import load
from patchbot.git.repo import Repo
from patchbot.git.transaction import publish
from patchbot.model import Status

FLAGS = "#define KF_RELEASE (1 << 1)\n#define KF_SLEEPABLE (1 << 5)\n#define KF_RCU (1 << 7)\n"
SET = "BTF_KFUNCS_START(ids)\nBTF_ID_FLAGS(func, put, KF_RELEASE)\nBTF_KFUNCS_END(ids)\n"
#: Each says a word of the sets, so that it counts as one of their headers.
OTHER = "/* BTF_KFUNCS */\n"


def differences(path: Path, files: dict[str, str]) -> tuple[int, list[tuple[str, str, int]]]:
    tree = make(path / "tree", {"include/linux/btf.h": FLAGS, **files})
    return compared(tree)


def test_the_rows_of_the_tiny_kernel_are_the_same(tiny: Repo, cli: Callable[..., tuple[int, Any]]) -> None:
    assert cli(tiny, "generate", "--with", "suffixes")[0] == 0
    code, made = cli(tiny, "check", "--only", "sites")
    (result,) = made["results"]
    assert (code, result["status"], result["findings"]) == (0, "PASS", [])
    entries = cli(tiny, "scan")[1]["counts"]["entries"]
    assert f"{entries} rows in the base and " in result["reason"]


@pytest.mark.kernel
def test_the_rows_of_a_real_kernel_are_the_same(kernel: RealKernel) -> None:
    count, found = compared(kernel.tree)
    assert found == []
    assert count > 250


def test_a_difference_fails_with_both_lists(tmp_path: Path) -> None:
    files = {"net/a.c": '#include "my.h"\n' + SET, "net/my.h": OTHER + "#define put real_put\n"}
    tree = make(tmp_path / "tree", {"include/linux/btf.h": FLAGS, **files})
    commits = [("x: Say more\n\nIt is needed.\n", {"net/b.c": b"int b;\n"})]
    subject = replace(make_subject(tree.repo, "HEAD", commits, tmp_path), campaign="kfunc_flags")
    publish(tree.repo, subject.scratch, [("refs/heads/draft", subject.items[-1].commit, None)])
    check = load("sites").series
    assert check is not None
    outcome = check(subject)
    assert outcome.status is Status.FAIL
    assert [(f.message, f.file, f.line) for f in outcome.findings] == [
        (f"{what}: only {who} {kfunc} in ids with KF_RELEASE", "net/a.c", 3)
        for what in ("the base", "the tip")
        for who, kfunc in (("the preprocessor sees", "real_put"), ("the inventory has", "put"))
    ]


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        ("#undef KF_SLEEPABLE\n#define KF_SLEEPABLE KF_RELEASE\n", "put in ids with KF_RCU | KF_RELEASE"),
        ("#define KF_SLEEPABLE (1 << 5) | (1 << 9)\n", "put in ids with 0x200 | KF_RCU | KF_SLEEPABLE"),
        ("#define ids other\n", "put in other with KF_RCU | KF_SLEEPABLE"),
        ("#ifdef A\n#define put one\n#else\n#define put two\n#endif\n", "one in ids with KF_RCU | KF_SLEEPABLE"),
    ],
)
def test_what_a_header_changes_is_seen(tmp_path: Path, header: str, seen: str) -> None:
    text = SET.replace("KF_RELEASE", "KF_SLEEPABLE | KF_RCU")
    _, found = differences(tmp_path, {"net/a.c": '#include "my.h"\n' + text, "net/my.h": OTHER + header})
    assert any(message.startswith(f"only the preprocessor sees {seen}") for message, _, _ in found), found


@pytest.mark.parametrize(
    "rows",
    [
        "#ifdef A\nBTF_ID_FLAGS(func, a, KF_RCU)\n#elif defined(B) && \\\n\tC\nBTF_ID_FLAGS(func, b)\n"
        "#else\nBTF_ID(func, c)\n#endif\n",
        "BTF_ID_FLAGS(func, /* , */ a, KF_RCU | // )\n\tKF_RELEASE);\nBTF_ID_FLAGS ( func\n,\nb )\n",
        "#define R(x, f) BTF_ID_FLAGS(func, x, f | KF_RCU)\nR(a, KF_RELEASE) R(b, KF_SLEEPABLE)\n#undef R\n",
        "#if 0\nBTF_ID_FLAGS(func, a)\n#endif\nBTF_KFUNC(a, 0, KFA_X | KFA_Y, 0)\n",
    ],
)
def test_rows_of_many_shapes_are_the_same(tmp_path: Path, rows: str) -> None:
    text = f"BTF_KFUNCS_START(ids)\n{rows}BTF_KFUNCS_END(ids)\n"
    count, found = differences(
        tmp_path, {"net/a.c": text, "include/linux/btf.h": FLAGS + "#define KFA_X 1\n#define KFA_Y 2\n"}
    )
    assert (count > 0, found) == (True, [])


def test_lines_stay_where_they_are() -> None:
    text = plain(b"a /* x\n\ny */ b\\\nc\n// d\n#if A\ne\n#else\nf\n#endif\ng\n")
    assert text == b"a   bc\n\n\n\n \n#if A\ne\n#else\nf\n#endif\ng\n"
    assert branches(text, -1).split(b"\n")[5:] == [b"", b"e", b"", b"f", b"", b"g", b""]
    assert branches(text, 0).split(b"\n")[5:] == [b"", b"e", b"", b"", b"", b"g", b""]
    assert branches(text, 1).split(b"\n")[5:] == [b"", b"", b"", b"f", b"", b"g", b""]
