"""Tests of patchbot/build/same.py: real make and a real compiler on the tiny kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from programs import outcomes, places
from subjects import make_subject

from patchbot.build.benches import open_bench
from patchbot.build.options import build_options
from patchbot.build.same import without_lines
from patchbot.build.units import Compiled, Unit
from patchbot.checking.check import Outcome, Subject
from patchbot.git.repo import Repo
from patchbot.model import Status

HEADER, SOURCE = "include/linux/btf.h", "kernel/bpf/cpumask.c"
WANTED = "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_DEBUG_INFO_BTF=y\nCONFIG_CGROUPS=y\n"
#: An unused function that is not inline: gcc warns about it in each object.
FAULT = b"\nstatic void forgotten(void)\n{\n}\n"


def text(tiny: Repo, path: str) -> bytes:
    data = tiny.read(tiny.resolve("HEAD"), path)
    assert data is not None
    return data


def series(tiny: Repo, where: Path, *changes: Mapping[str, bytes]) -> Subject:
    """Return a series of which each patch makes one change, and one object that shows what a header does."""
    config = where / "wanted.config"
    config.write_text(WANTED)
    commits = [(f"patch {n}\n\nbody\n", change) for n, change in enumerate(changes, 1)]
    subject = make_subject(tiny, "HEAD", commits, where, options={"config": str(config)})
    return replace(subject, witnesses=lambda commit: [SOURCE])


def compiled(outcome: Outcome, what: str = SOURCE.replace(".c", ".o")) -> int:
    """Return how often make compiled something, as the check's log says."""
    assert outcome.log is not None
    return sum(line.startswith("  CC ") and what in line for line in outcome.log.read_text().splitlines())


def test_a_header_that_an_object_sees_no_change_of(tiny: Repo, tmp_path: Path) -> None:
    old = text(tiny, HEADER)
    remark, macro = b"/* a remark */\n" + old, b"/* a remark */\n" + old + b"\n#define NOBODY_USES 1\n"
    found = outcomes("build", series(tiny, tmp_path, {HEADER: remark}, {HEADER: macro}))
    assert [(o.status, o.examined) for o in found] == [(Status.PASS, 1)] * 2
    assert [compiled(o) for o in found] == [1, 0], "the object of the base alone"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"extern int another;\n", id="a declaration"),
        pytest.param(b"static inline int at(void) { return __LINE__; }\n", b"/* one\n more */\n", id="__LINE__"),
        pytest.param(b"static inline int f(int x) { if (x) x++; return x; }\n", b"", id="gone"),
        pytest.param(b"", b"#warning look here\n", id="what only the preprocessor says"),
    ],
)
def test_a_header_that_an_object_sees_a_change_of(tiny: Repo, tmp_path: Path, before: bytes, after: bytes) -> None:
    old = text(tiny, HEADER)
    first = {HEADER: b"/* first */\n" + old + before}
    second = {HEADER: b"/* second */\n" + old + (after + before if after else b"")}
    found = outcomes("build", series(tiny, tmp_path, first, second))
    assert compiled(found[1]) == 1


@pytest.mark.parametrize(("more", "compared", "same"), [("extern int another;\n", 6, 0), ("/* a remark */\n", 12, 12)])
def test_what_all_objects_see_is_found_out_with_a_few(
    tiny: Repo, tmp_path: Path, more: str, compared: int, same: int
) -> None:
    users = {f"kernel/bpf/user{n}.c": b"#include <linux/btf.h>\n" for n in range(12)}
    units = [Unit(path, path.replace(".c", ".o")) for path in sorted(users)]
    makefile = f"obj-y += {' '.join(f'user{n}.o' for n in range(12))}\n".encode()
    first = {**users, "kernel/bpf/Makefile": text(tiny, "kernel/bpf/Makefile") + makefile}
    subject = series(tiny, tmp_path, first, {HEADER: text(tiny, HEADER) + more.encode()})
    subject = replace(subject, witnesses=lambda commit: sorted(users))
    _, found = outcomes("build", subject)
    assert (found.status, compiled(found, "/user")) == (Status.PASS, 12 - same)
    bench, tree, log = open_bench(subject, build_options(subject.options)), subject.items[1].tree, tmp_path / "log"
    shelf = bench.shelf(tree, log, "text")
    assert sum(shelf.find(unit, bench.files(tree), str) is not None for unit in units) == compared


def test_what_was_said_of_a_changed_file_is_asked_again(tiny: Repo, tmp_path: Path) -> None:
    """The same text, but in another line: the message is where it is now, and not new."""
    old = text(tiny, HEADER)
    subject = series(tiny, tmp_path, {HEADER: old + FAULT}, {HEADER: b"\n\n" + old + FAULT})
    first, second = outcomes("build", subject)
    assert [(f, line) for _, f, line, _ in places(first)] == [(HEADER, len((old + FAULT).splitlines()) - 2)]
    assert (second.status, compiled(second)) == (Status.PASS, 1)


def test_other_results_go_along_if_they_ask_for_it(tiny: Repo, tmp_path: Path) -> None:
    """What a reader of objects keeps holds for the same object; what depends on lines or macros does not."""
    subject = series(tiny, tmp_path, {HEADER: b"/* a remark */\n" + text(tiny, HEADER)})
    (item,), unit = subject.items, Unit(SOURCE, SOURCE.replace(".c", ".o"))
    bench = open_bench(subject, build_options(subject.options))
    log = tmp_path / "log"
    (result,) = bench.compile(item.parent_tree, [unit], log).values()
    made_of, before, after = (
        bench.made_of(item.parent_tree, unit, result.files),
        bench.files(item.parent_tree),
        bench.files(item.tree),
    )
    for same in (True, False):
        bench.shelf(item.parent_tree, log, f"{same}", same).put(unit, made_of, before, "known")
    outcomes("build", subject)
    assert bench.shelf(item.tree, log, "True", same=True).find(unit, after, str) == "known"
    assert bench.shelf(item.tree, log, "False").find(unit, after, str) is None
    assert bench.shelf(item.tree, log, same=True).find(unit, after, Compiled) == result


def test_lines_are_left_out_and_files_are_not() -> None:
    one = b'# 1 "a.c"\n# 1 "b.h" 1\nint b;\n# 9 "b.h"\nint c;\n\n\n# 2 "a.c" 2\nint a;\n'
    two = b'# 1 "a.c"\n# 1 "b.h" 1\n\n\nint b;\nint c;\n# 2 "a.c" 2\nint a;\n'
    assert without_lines(one) == without_lines(two) == b'\n# "a.c"\n# "b.h" 1\nint b;\nint c;\n# "a.c" 2\nint a;\n'
    assert without_lines(two) != without_lines(two.replace(b"int b;\n", b"int b; ")), "what stands in one line counts"
    assert without_lines(two) != without_lines(two.replace(b'"b.h" 1\n', b'"b.h" 1 3\n')), "a header of the system"
    assert without_lines(two) != without_lines(two.replace(b"b.h", b"other.h"))
