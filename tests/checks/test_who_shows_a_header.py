"""A patch that breaks who is far from what it touches fails `build`, also where an object near by shows the header."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_check_build import CPUMASK, Change, run_all, subject_of, text, wanted
from tinytree import bounds, with_bounds

from patchbot.git.repo import Repo
from patchbot.model import Status

__all__ = ["wanted"]
OURS, WRAP = "include/linux/ours.h", "include/linux/wrap.h"
INCLUDE = b"#include <linux/ours.h>\n"


def files_of(tiny: Repo, header: str, far: str, wrap: str = "") -> dict[str, bytes | None]:
    """Return a tree where two objects include a header, one of them by way of another header if that has a text."""
    near = "net/core/Makefile", "net/mptcp/Makefile"
    return {
        OURS: header.encode(),
        **({WRAP: INCLUDE + wrap.encode()} if wrap else {}),
        "net/core/near.c": INCLUDE + b"int near;\n",
        "net/mptcp/far.c": (INCLUDE.replace(b"ours", b"wrap") if wrap else INCLUDE) + far.encode(),
        near[0]: text(tiny, near[0]) + b"obj-y += near.o\n",
        near[1]: text(tiny, near[1]) + b"obj-y += far.o\n",
    }


def fails(tiny: Repo, tmp_path: Path, wanted: Path, *changes: Change) -> set[str | None]:
    """Return the files of the failures of the last patch."""
    last = run_all(subject_of(tiny, tmp_path, wanted, changes))[-1]
    assert last.status is Status.FAIL, last
    return {f.file for f in last.findings if f.status is Status.FAIL}


HEADER = "struct s { int a; int b; };\nint ours(int x);\n#define M(x) (x)\nint do_fast(void);\ntypedef int ours_t;\n"


@pytest.mark.parametrize(
    ("wrap", "far", "old", "new"),
    [
        pytest.param(
            "static inline int w(int x) { return ours(x); }",
            "int far;",
            "ours(int x)",
            "ours(int x, int y)",
            id="inline",
        ),
        pytest.param("#define OUTER(x) M(x)", "int far = OUTER(1);", "M(x) (x)", "M(x, y) (x)", id="macro"),
        pytest.param(
            "#define CALL(n) do_##n()", "int far(void) { return CALL(fast); }", "do_fast", "do_quick", id="paste"
        ),
        pytest.param(
            "struct t { struct s in; };",
            '_Static_assert(sizeof(struct t) == 8, "wire");',
            "int b;",
            "int b; int c;",
            id="layout",
        ),
        pytest.param(
            "struct u { ours_t v; };",
            '_Static_assert(sizeof(struct u) == 4, "wire");',
            "typedef int",
            "typedef long",
            id="typedef",
        ),
        pytest.param(
            "#define GETB(p) ((p)->b)", "int far(struct s *s) { return GETB(s); }", "int b;", "int bb;", id="member"
        ),
    ],
)
def test_by_way_of_another_header(
    tiny: Repo, tmp_path: Path, wanted: Path, wrap: str, far: str, old: str, new: str
) -> None:
    first = files_of(tiny, HEADER, f"{far}\n", f"{wrap}\n")
    assert fails(tiny, tmp_path, wanted, first, {OURS: HEADER.replace(old, new).encode()}) & {"net/mptcp/far.c", WRAP}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "#ifdef CONFIG_NO\nint no;\n#endif\nint ours(int x);\n",
            "#ifdef CONFIG_NO\nint no;\nint ours(int x);\n#endif\n",
        ),
        (
            "#ifdef CONFIG_NO\n#define theirs(x) (x)\n#else\n#define ours(x) (x)\n#endif\n",
            "#ifdef CONFIG_NO\n#define ours(x) (x)\n#else\n#define theirs(x) (x)\n#endif\n",
        ),
        ("#undef ours\n#define ours(x) (x)\n", "#define ours(x) (x)\n#undef ours\n"),
    ],
    ids=["under", "exchanged", "undef"],
)
def test_lines_that_only_change_places(tiny: Repo, tmp_path: Path, wanted: Path, old: str, new: str) -> None:
    first = files_of(tiny, old, "int far(void) { return ours(1); }\n")
    second = {OURS: new.encode(), "net/core/near.c": INCLUDE + b"int near;\nint more;\n"}
    assert fails(tiny, tmp_path, wanted, first, second) == {"net/mptcp/far.c"}


def test_the_one_that_asks_for_a_part_of_it(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    header = (
        "#ifdef CREATE\nstruct e { int a; };\nint def(struct e *e);\nint def(struct e *e) { return e->a; }\n#endif\n"
    )
    first = files_of(tiny, header, "int far;\n")
    first["net/mptcp/far.c"] = b"#define CREATE\n" + INCLUDE
    second = {OURS: header.replace("e->a", "e->bad").encode(), "net/core/near.c": INCLUDE + b"int near;\nint more;\n"}
    assert fails(tiny, tmp_path, wanted, first, second) == {OURS}


def test_the_one_that_asks_for_a_part_of_it_by_way_of_another_header(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    header = "#ifdef CREATE\nstatic inline int def(int a) { return a; }\n#endif\n"
    first = files_of(tiny, header, "int far;\n", "int wrap(void);\n")
    first["net/mptcp/far.c"] = b"#define CREATE\n#include <linux/wrap.h>\n"
    second = {
        OURS: header.replace("return a", "return b").encode(),
        "net/core/near.c": INCLUDE + b"int near;\nint more;\n",
    }
    assert fails(tiny, tmp_path, wanted, first, second) == {OURS}


def test_users_that_no_configuration_builds_are_in_nobodys_place(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    first = files_of(tiny, "#define M(x) (x)\n", "int far = M(1);\n")
    first |= {f"kernel/bpf/a{n:02}.c": INCLUDE + b"int a = M(1);\n" for n in range(16)}
    assert fails(tiny, tmp_path, wanted, first, {OURS: b"#define M(x, y) (x)\n"}) == {"net/mptcp/far.c"}


def test_a_header_that_is_made_from_a_source(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    user = text(tiny, CPUMASK) + b"\n#include <generated/bounds.h>\nint user = TWO;\n"
    first = {**with_bounds(tiny, "ONE 1", "TWO 2"), CPUMASK: user}
    assert fails(tiny, tmp_path, wanted, first, {"kernel/bounds.c": bounds("ONE 1")}) == {CPUMASK}


def test_code_by_another_name(tiny: Repo, tmp_path: Path, wanted: Path) -> None:
    first = {"kernel/bpf/ops.inc": b"int a;\n", CPUMASK: text(tiny, CPUMASK) + b'\n#include "ops.inc"\n'}
    assert fails(tiny, tmp_path, wanted, first, {"kernel/bpf/ops.inc": b"int a\n"}) <= {CPUMASK, "kernel/bpf/ops.inc"}


@pytest.mark.parametrize("early", [True, False])
def test_an_object_that_is_listed_and_has_no_source(tiny: Repo, tmp_path: Path, wanted: Path, early: bool) -> None:
    makefile = "kernel/bpf/Makefile"
    listed: Change = {makefile: text(tiny, makefile) + b"obj-y += other.o\n"}
    other: Change = {"kernel/bpf/other.c": b"int other;\n"}
    changes = [listed] if early else [{**listed, **other}, {"kernel/bpf/other.c": None}]
    last = run_all(subject_of(tiny, tmp_path, wanted, changes))[-1]
    text_ = "kernel/bpf/other.o is listed, but there is no kernel/bpf/other.c, and no rule makes it"
    (fail,) = [f for f in last.findings if f.status is Status.FAIL]
    assert (fail.file, fail.message.startswith(text_)) == (makefile, True)
