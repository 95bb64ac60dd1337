"""The line of a key in a TOML file, however it is written."""

import pytest

from patchbot.places import line_of

TEXT = """\
# a comment = 1
[checks]
run = [
    "a",  # jobs = 2
    "b",
]
build.jobs = 2

[checks."odd.name"]
x = { y = 1, "z.z" = 2 }

# between

[[checks.waivers]]
max = 1
[[checks.waivers]]
reason = \"\"\"
max = 2
\"\"\"
max = 3
"""


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("checks", 2),
        ("checks.run", 3),
        ("checks.run[1]", 3),
        ("checks.build.jobs", 7),
        ("checks.odd.name", 9),
        ("checks.odd.name.x.y", 10),
        ("checks.odd.name.x.z.z", 10),
        ("checks.waivers[1].max", 15),
        ("checks.waivers[2]", 16),
        ("checks.waivers[2].reason", 17),
        ("checks.waivers[2].max", 20),
        ("checks.waivers[3]", None),
        ("checks.waivers[1].reason", None),
        ("campaigns", None),
    ],
)
def test_the_line_of_a_key(at: str, line: int | None) -> None:
    assert line_of(TEXT, at) == line
