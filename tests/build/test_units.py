"""Which options a Makefile wants for an object."""

import pytest

from patchbot.build.units import switches


@pytest.mark.parametrize(
    ("makefile", "member", "wanted"),
    [
        ("obj-$(CONFIG_A) += a.o b.o\nobj-y += c.o\n", "b.o", ["A"]),
        ("obj-$(CONFIG_A) += a.o\na-objs := x.o y.o\na-$(CONFIG_B) += z.o\n", "y.o", ["A"]),
        ("obj-$(CONFIG_A) += a.o\na-objs := x.o y.o\na-$(CONFIG_B) += z.o\n", "z.o", ["B", "A"]),
        ("obj-$(CONFIG_A) += \\\n\ta.o \\\n\tsub/\n", "sub/", ["A"]),
        ("a-y := b.o\nb-$(CONFIG_C) := a.o\n", "a.o", ["C"]),
        ("obj-y += a.o\n", "b.o", []),
    ],
)
def test_options_of_an_object(makefile: str, member: str, wanted: list[str]) -> None:
    assert switches(makefile, member) == wanted
