"""Tests of patchbot/build/prepared.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbot.build.prepared import inputs_of, is_stale
from patchbot.git.objects import FileChange

BOUNDS = """\
savedcmd_kernel/bounds.s := gcc -Wp,-MMD,kernel/.bounds.s.d -I/src/include -S -o kernel/bounds.s /src/kernel/bounds.c

source_kernel/bounds.s := /src/kernel/bounds.c

deps_kernel/bounds.s := \\
    $(wildcard include/config/SMP) \\
  /src/include/linux/page-flags.h \\
  /src/arch/x86/include/asm/../../../../include/linux/mmzone.h \\
  include/generated/autoconf.h \\

kernel/bounds.s: $(deps_kernel/bounds.s)
"""
CHECKED = """\
savedcmd_.checked-atomic-long.h := if [ "$$(sed -n '$$s:// ::p' /src/include/linux/atomic/atomic-long.h)" != "x" ]; then
"""
PROGRAM = """\
cmd_main.o := gcc -c -o main.o main.c

main.o: main.c ../../../include/linux/shared.h \\
  /usr/include/stdio.h
"""
OBJECT = "savedcmd_kernel/fork.o := gcc -c -o kernel/fork.o /src/kernel/fork.c\n\ndeps := /src/include/linux/slab.h\n"


def change(status: str = "M") -> FileChange:
    """Return a change of a file."""
    return FileChange(status, "100644", "1" * 40, ("100644", "2" * 40))


@pytest.fixture
def inputs(tmp_path: Path) -> set[str]:
    """What an output folder was made from in which one object of the kernel lies."""
    files = {
        "kernel/.bounds.s.cmd": BOUNDS,
        "..checked-atomic-long.h.cmd": CHECKED,
        "tools/x/.main.o.cmd": PROGRAM,
        "kernel/.fork.o.cmd": OBJECT,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return inputs_of(tmp_path, Path("/src"), lambda obj: obj == "kernel/fork.o")


@pytest.mark.parametrize(
    "path",
    [
        "kernel/bounds.c",
        "include/linux/page-flags.h",
        "include/linux/mmzone.h",  # named by a way that goes up and down again
        "include/linux/atomic/atomic-long.h",  # only the command names it
        "include/linux/shared.h",  # named from the folder of the program
        "kernel/Makefile",
        "init/Kconfig",
        "kernel/time/timeconst.bc",
        "scripts/mod/modpost.c",
        "tools/bpf/resolve_btfids/main.c",
        "tools/include/linux/btf_ids.h",
        "arch/s390/tools/opcodes.txt",
        "arch/x86/include/asm/cpufeatures.h",
        "include/uapi/linux/bpf.h",
        "localversion-next",
    ],
)
def test_a_file_that_something_is_made_from(inputs: set[str], path: str) -> None:
    assert is_stale({path: change()}, inputs)


@pytest.mark.parametrize(
    "path",
    [
        "kernel/fork.c",
        "include/linux/slab.h",  # only an object of the kernel includes it
        "tools/testing/selftests/bpf/Makefile",
        "Documentation/bpf/kfuncs.rst",
        "MAINTAINERS",
    ],
)
def test_a_file_that_nothing_is_made_from(inputs: set[str], path: str) -> None:
    assert not is_stale({path: change()}, inputs)


@pytest.mark.parametrize("status", ["A", "D", "T"])
def test_a_header_that_comes_or_goes_may_stand_before_another(inputs: set[str], status: str) -> None:
    assert is_stale({"include/linux/slab.h": change(status)}, inputs)
    assert not is_stale({"Documentation/x.rst": change(status)}, inputs)


def test_all_objects_count_if_none_is_known_to_be_one_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / ".fork.o.cmd").write_text(OBJECT)
    assert is_stale({"include/linux/slab.h": change()}, inputs_of(tmp_path, Path("/src"), lambda obj: False))
