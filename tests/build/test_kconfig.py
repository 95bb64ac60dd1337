"""Tests of patchbot/build/kconfig.py: what options depend on."""

from __future__ import annotations

import pytest
from conftest import RealKernel

from patchbot.build.kconfig import Kconfig, kconfig_of, read_expression, read_kconfig

TEXTS = {
    "Kconfig": 'mainmenu "Linux"\nsource "arch/$(SRCARCH)/Kconfig"\nsource "drivers/Kconfig"\n',
    "arch/x86/Kconfig": "config X86\n\tdef_bool y\n\nconfig SMP\n\tbool\n",
    "arch/s390/Kconfig": "config S390\n\tdef_bool y\n\nconfig CCW\n\tdef_bool y if MMU\n",
    "drivers/Kconfig": """\
menu "Drivers"
	depends on HAS_IOMEM

config HAS_IOMEM
	bool "it"
	help
		Text that speaks of things:

		config NOT_ONE
		depends on NOT_THIS
	depends on S390 || \\
		X86

if SMP && !UP
source "drivers/net/Kconfig"
endif

config UP
	bool
	# a remark
	depends on CCW = y if SMP

endmenu

config LAST
	tristate "last"
	depends on (X86 && NONE_SUCH) || S390
""",
    "drivers/net/Kconfig": "menuconfig NETDEV\n\tbool\n\nchoice\n\tdepends on NETDEV\nconfig ONE\n\tbool\nendchoice\n",
}


@pytest.fixture(scope="module")
def kconfig() -> Kconfig:
    return read_kconfig(TEXTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", "A"),
        ("A && !B || C", ("||", ("&&", "A", ("!", "B")), "C")),
        ("!(A = y) # why", ("!", ("=", "A", "y"))),
        ("A if B", ("||", ("!", "B"), "A")),
        ('"$(ARCH)" = "arm"', ("=", "$(ARCH)", "arm")),
        ("", "y"),
        ("((A", "A"),
    ],
)
def test_an_expression(text: str, expected: object) -> None:
    assert read_expression(text) == expected


def test_options_are_read_with_what_is_around_them(kconfig: Kconfig) -> None:
    assert set(kconfig.options) == {"X86", "SMP", "S390", "CCW", "HAS_IOMEM", "UP", "LAST", "NETDEV", "ONE"}
    assert kconfig.options["ONE"].needs == [("HAS_IOMEM", ("&&", "SMP", ("!", "UP")), "NETDEV")]
    assert kconfig.options["HAS_IOMEM"].needs == [("HAS_IOMEM", ("||", "S390", "X86"))]
    assert kconfig.options["UP"].needs == [("HAS_IOMEM", ("||", ("!", "SMP"), ("=", "CCW", "y")))]
    assert kconfig.options["S390"].always == {"s390"}
    assert not kconfig.options["CCW"].always


@pytest.mark.parametrize(
    ("symbol", "folders"),
    [("X86", ["x86"]), ("ONE", ["x86"]), ("LAST", ["s390"]), ("CCW", ["s390"]), ("HAS_IOMEM", ["x86", "s390"])],
)
def test_where_an_option_can_be_on(kconfig: Kconfig, symbol: str, folders: list[str]) -> None:
    assert [f for f in ("x86", "s390", "arm64") if kconfig.can_be(symbol, f)[0]] == folders


def test_what_an_option_needs_is_wanted_too(kconfig: Kconfig) -> None:
    assert kconfig.wanted({"ONE": "y"}) == {
        "ONE": "y",
        "HAS_IOMEM": "y",
        "S390": "y",
        "SMP": "y",
        "UP": "n",
        "NETDEV": "y",
    }
    assert kconfig.wanted({"LAST": "y"}) == {"LAST": "y", "S390": "y"}, "an alternative that there is not is left out"
    assert kconfig.wanted({"ONE": "n"}) == {"ONE": "n"}


@pytest.mark.kernel
def test_options_of_a_real_kernel(kernel: RealKernel) -> None:
    files = {path: oid for path, (_, oid) in kernel.repo.ls(kernel.commit).items()}
    found = kconfig_of(kernel.repo, files)  # type: ignore[arg-type]
    assert len(found.options) > 15000
    folders = ("x86", "arm64", "powerpc", "s390", "m68k")
    assert [f for f in folders if found.can_be("SPAPR_TCE_IOMMU", f)[0]] == ["powerpc"]
    assert [f for f in folders if found.can_be("CTCM", f)[0]] == ["s390"]
    assert [f for f in folders if found.can_be("MPTCP", f)[0]] == list(folders)
    assert {"MPTCP": "y", "NET": "y", "INET": "y"}.items() <= found.wanted({"MPTCP": "y"}).items()
