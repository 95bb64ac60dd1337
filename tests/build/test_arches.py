"""Tests of patchbot/build/arches.py and patchbot/build/benches.py: what x86 cannot have, and who compiles it."""

from __future__ import annotations

from pathlib import Path

import pytest
from subjects import make_subject, site_of
from tinytree import build
from toolchain import needs_s390

from patchbot.build.arches import ARCHES, Symbols, homes, named_symbols, read_symbols
from patchbot.build.benches import cross_versions, find_symbols, lacks, needs, others
from patchbot.build.options import BuildOptions, build_options
from patchbot.checking.check import Subject
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.series.campaign import Site

KNOWN = Symbols(
    {
        "S390": frozenset({"s390"}),
        "ARM64": frozenset({"arm64"}),
        "UML": frozenset({"um"}),
        "X86": frozenset({"x86"}),
        "NUMA": frozenset({"x86", "arm64"}),
        "NET": frozenset({""}),
        "64BIT": frozenset({"s390", ""}),
    },
    {"S390": frozenset({"s390"}), "X86": frozenset({"x86"})},
)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], None),
        (["CONFIG_NET"], None),
        (["CONFIG_NO_SUCH"], None),
        (["FOO > 3"], None),
        (["10UL << 3 nonsense ("], None),
        (["CONFIG_S390"], ["s390"]),
        (["defined(CONFIG_S390)"], ["s390"]),
        (["IS_ENABLED(CONFIG_S390)"], ["s390"]),
        (["CONFIG_NET", "CONFIG_S390 && CONFIG_NET"], ["s390"]),
        (["CONFIG_S390", "CONFIG_ARM64"], []),
        (["defined(CONFIG_S390) || defined(CONFIG_ARM64)"], ["arm64", "s390"]),
        (["(CONFIG_NET && CONFIG_ARM64) || (CONFIG_S390 && X > 2)"], ["arm64", "s390"]),
        (["CONFIG_NUMA"], ["x86", "arm64"]),
        (["CONFIG_64BIT"], None),
        (["!CONFIG_X86"], [f for f in ARCHES if f != "x86"]),
        (["!(CONFIG_X86) && (CONFIG_S390)"], ["s390"]),
        (["!(CONFIG_X86 && CONFIG_NET)"], None),
        (["!CONFIG_S390"], [f for f in ARCHES if f != "s390"]),
        (["CONFIG_UML"], ["um"]),
        (["!" * 5000 + "CONFIG_S390"], None),
        (["(" * 500 + "CONFIG_S390" + ")" * 500], None),
    ],
)
def test_who_can_have_what_stands_under_conditions(conditions: list[str], expected: list[str] | None) -> None:
    found = homes("kernel/bpf/helpers.c", conditions, KNOWN)
    if expected is None:
        assert "x86" in found, "what is not known to be impossible is possible"
    else:
        assert found == expected


def test_a_file_of_an_architecture_is_at_home_there() -> None:
    assert homes("arch/s390/kernel/bpf.c", [], KNOWN) == ["s390"]
    assert homes("arch/x86/kernel/bpf.c", ["CONFIG_S390"], KNOWN) == ["x86"]


def test_symbols_are_read_from_kconfig_files() -> None:
    lines = [
        ("arch/s390/Kconfig", "config S390"),
        ("arch/s390/Kconfig", "\tdef_bool y"),
        ("arch/s390/Kconfig", "\tselect X"),
        ("", "--"),
        ("arch/x86/Kconfig", "config X86_32"),
        ("arch/x86/Kconfig", "\tdef_bool y"),
        ("arch/x86/Kconfig", "\tdepends on !64BIT"),
        ("", "--"),
        ("arch/Kconfig", "\tmenuconfig JIT "),
        ("arch/Kconfig", "\tbool"),
        ("net/Kconfig", "config S390"),
    ]
    found = read_symbols(lines)
    assert found.folders == {"S390": {"s390", ""}, "X86_32": {"x86"}, "JIT": {""}}
    assert found.always == {"S390": {"s390"}}


def test_symbols_in_conditions() -> None:
    assert named_symbols(["CONFIG_A && defined(CONFIG_B)", "XCONFIG_C"]) == {"A", "B"}


@pytest.fixture
def subject(tiny: Repo, tmp_path: Path) -> Subject:
    return make_subject(tiny, "HEAD", [("one\n\nbody\n", {"a.c": b"1\n"})], tmp_path)


def entry(*conditions: str, file: str = "kernel/bpf/helpers.c") -> Site:
    return site_of({"file": file, "kfunc": "f", "set": "s", "conditions": conditions})


def test_the_tree_says_whose_symbol_it_is(subject: Subject) -> None:
    tree = subject.items[0].parent_tree
    found = find_symbols(subject.scratch, tree, frozenset({"S390", "X86", "CGROUPS", "NO_SUCH"}))
    assert found.folders == {"S390": {"s390"}, "X86": {"x86"}, "CGROUPS": {""}}
    assert found.always == {"S390": {"s390"}, "X86": {"x86"}}
    assert find_symbols(subject.scratch, tree, frozenset()) == Symbols()


def test_only_what_x86_cannot_have_is_needed(subject: Subject) -> None:
    mine = [entry(), entry("CONFIG_CGROUPS"), entry("CONFIG_S390", file="include/linux/rows.h")]
    assert needs(subject, BuildOptions(), mine) == []
    s390, bpf = entry("CONFIG_S390"), entry(file="arch/s390/kernel/bpf.c")
    (need,) = needs(subject, BuildOptions(), [*mine, s390, bpf])
    assert (need.arch.folder, need.sites) == ("s390", (s390, bpf))
    assert need.files == {"kernel/bpf/helpers.c", "arch/s390/kernel/bpf.c"}


@pytest.mark.usefixtures("no_cross_compiler")
def test_a_missing_compiler_is_named_with_its_package(subject: Subject) -> None:
    (need,) = needs(subject, BuildOptions(), [entry("CONFIG_S390")])
    assert need.lacking == "s390x-linux-gnu-gcc is not installed, Debian has it in the package gcc-s390x-linux-gnu"
    assert "s390: missing" in cross_versions(BuildOptions())
    (need,) = needs(subject, BuildOptions(), [entry(file="arch/um/kernel/bpf.c")])
    assert need.lacking == "patchbot knows no compiler for arch/um"


@needs_s390
def test_a_compiler_that_is_installed_is_taken(subject: Subject) -> None:
    (need,) = needs(subject, BuildOptions(), [entry("CONFIG_S390")])
    assert (need.arch, need.lacking) == (ARCHES["s390"], "")
    (versions,) = cross_versions(build_options({"arch": ["s390"]}))
    assert versions.startswith("s390: s390x-linux-gnu-gcc ")
    assert "GNU assembler" in versions
    assert "pahole" in versions or "v1." in versions, "pahole's version decides as well"


def test_the_option_arch(subject: Subject) -> None:
    (need,) = needs(subject, build_options({"arch": []}), [entry("CONFIG_S390")])
    assert need.lacking == lacks(build_options({"arch": ["arm64"]}), "s390") == "s390 is not in [checks.build] arch"
    assert [a.folder for a in others(build_options({"arch": ["x86", "s390"]}))] == ["s390"]
    assert cross_versions(build_options({"arch": []})) == []
    with pytest.raises(UserError, match=r"\[checks.build\] arch must be a list of x86, arm64, s390, .*not \['vax'\]"):
        others(build_options({"arch": ["vax"]}))
    with pytest.raises(UserError, match=r"checks.build.arch is 's390', not a list"):
        build_options({"arch": "s390"})


def test_another_architecture_does_as_well(tmp_path: Path) -> None:
    """Nothing is about one architecture: the tiny kernel gets a row for one whose compiler is rarely there."""
    repo = build(tmp_path / "linux", {"arch/loongarch/Kconfig": b"config LOONGARCH\n\tbool\n\tdefault y\n"})
    subject = make_subject(repo, "HEAD", [("one\n\nbody\n", {"a.c": b"1\n"})], tmp_path)
    (need,) = needs(subject, BuildOptions(), [entry("CONFIG_LOONGARCH")])
    assert need.arch.package == "gcc-loongarch64-linux-gnu"
