"""Tests of patchbot/build/command.py and marks.py on what real kernels' make and gcc said."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbot.build.command import read_commands
from patchbot.build.marks import read_marks, without_marks

LOGS = Path(__file__).parent.parent / "logs"
TAG = "5eed5eed5eed5eed"


def test_the_command_of_an_object_is_read_from_make() -> None:
    found = read_commands((LOGS / "make-n-6.12-m68k.txt").read_text(), "/out")
    assert found.keys() == {"arch/m68k/amiga/amisound.o"}
    command = found["arch/m68k/amiga/amisound.o"]
    assert command.cwd == "/out"
    assert command.argv[:3] == ("m68k-linux-gnu-gcc", "-nostdinc", "-I/src/arch/m68k/include")
    assert command.argv[-2:] == ("-D__KBUILD_MODNAME=kmod_amisound", "/src/arch/m68k/amiga/amisound.c")
    assert '-DKBUILD_MODNAME="amisound"' in command.argv
    assert not {"-c", "-o", "-Wp,-MMD,arch/m68k/amiga/.amisound.o.d"} & {*command.argv}


@pytest.mark.parametrize(
    ("said", "argv"),
    [
        ("gcc -O2 -c -o x.o x.c", ("gcc", "-O2", "x.c")),
        ("set -e; ccache gcc -c \\\n -o x.o x.c; fixdep x.d x.o 'gcc -c -o y.o y.c'", ("gcc", "x.c")),
        ("echo gcc -c -o x.o x.c", None),
        ("gcc -c -o x.o 'x.c", None),
        ("gcc -c x.c -o", None),
    ],
)
def test_only_what_compiles_is_a_command(said: str, argv: tuple[str, ...] | None) -> None:
    found = read_commands(said, "/out")
    assert {name: command.argv for name, command in found.items()} == ({"x.o": argv} if argv else {})


def test_marks_are_read_from_what_was_preprocessed() -> None:
    output = (LOGS / "preprocessed-7.3.txt").read_bytes()
    plain, every = read_marks(output, TAG)
    runs = (353, 354), (355, 360), (361, 365), (366, 370), (371, 375), (376, 379), (380, 384)
    assert plain == every == {number for run in runs for number in range(*run)}
    assert b"patchbot" not in without_marks(output, TAG)
    assert len(without_marks(output, TAG).splitlines()) == len(output.splitlines())
    text = output.replace(b'"__BTF_ID__func__bpf_crypto_decrypt', f'"patchbot_{TAG}_7_ \\" patchbot_{TAG}_8_'.encode())
    plain, every = read_marks(text, TAG)
    assert (plain & {7, 8}, every & {7, 8}) == (set(), {7, 8})
    other = TAG.replace("5", "6")
    assert read_marks(text, other) == (set(), set())
    assert without_marks(text, other) == text
