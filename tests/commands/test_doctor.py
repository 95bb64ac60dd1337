"""What a machine lacks is derived from the checks and found by looking, never assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbot.checking.check import Check, load
from patchbot.commands.doctor import Tool, document, examine, install_command, missing, version_of

CHECK = '''"""A check with needs."""

NEEDS = {needs!r}


def check_series(subject):
    raise NotImplementedError
'''


def with_needs(folder: Path, **checks: dict[str, str]) -> list[Check]:
    for name, needs in checks.items():
        (folder / f"{name}.py").write_text(CHECK.format(needs=needs))
    return [load(name, [folder]) for name in checks]


def by_name(tools: list[Tool]) -> dict[str, Tool]:
    return {tool.name: tool for tool in tools}


def test_what_a_check_needs_is_looked_for(tmp_path: Path) -> None:
    checks = with_needs(
        tmp_path,
        one={"sh": "dash", "no-such-program": "no-such-package", "no/such/header.h": "no-such-dev"},
        two={"no-such-program": "no-such-package", "other-program": "other-package"},
    )
    tools = by_name(examine(checks, ["one"]))
    assert tools["sh"].found
    assert tools["no-such-program"] == Tool("no-such-program", "no-such-package", ("one", "two"), True, None)
    assert not tools["no/such/header.h"].found
    assert not tools["other-program"].required
    assert missing(list(tools.values())) == ["no-such-dev", "no-such-package"]
    assert "other-package" in missing(list(tools.values()), optional=True)
    assert install_command(list(tools.values())) == "apt-get install no-such-dev no-such-package"


def test_whoever_runs_make_needs_its_headers(tmp_path: Path) -> None:
    tools = by_name(examine(with_needs(tmp_path, one={"make": "make", "sh": "dash or bash"}), ["one"]))
    assert tools["gelf.h"].package == "libelf-dev"
    assert tools["gelf.h"].used_by == ("one",)
    assert tools["gelf.h"].required
    assert tools["sh"].package == "dash"
    assert "gelf.h" not in by_name(examine(with_needs(tmp_path, two={"sh": "dash"}), ["two"]))


def test_git_is_always_required_and_has_a_version() -> None:
    git = by_name(examine([], []))["git"]
    assert git.required
    assert git.version is not None
    assert git.version.startswith("2.")


def test_a_header_is_found_by_the_compiler() -> None:
    assert version_of("stdio.h") == ""
    assert version_of("no-such.h") is None


def test_an_empty_machine_lacks_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = examine(with_needs(tmp_path, one={"stdio.h": "libc6-dev"}), ["one"])
    assert not [tool for tool in tools if tool.found]
    assert {"git", "perl", "libc6-dev"} <= set(missing(tools))


def test_the_document_says_what_to_install(tmp_path: Path) -> None:
    tools = examine(with_needs(tmp_path, one={"no-such-program": "no-such-package"}), ["one"])
    text = document(tools)
    assert text["missing"] == ["no-such-package"]
    assert text["install"] == "apt-get install no-such-package"
    row = next(row for row in text["tools"] if row["name"] == "no-such-program")  # type: ignore[attr-defined]
    assert row == {
        "name": "no-such-program",
        "found": False,
        "version": None,
        "package": "no-such-package",
        "required": True,
        "used_by": ["one"],
    }


@pytest.mark.usefixtures("no_cross_compiler")
def test_a_compiler_for_another_architecture_is_named_and_not_required() -> None:
    tools = examine([], [])
    cross = by_name(tools)["s390x-linux-gnu-gcc"]
    assert (cross.package, cross.found, cross.required) == ("gcc-s390x-linux-gnu", False, False)
    assert cross.used_by == ("code of s390",)
    assert "gcc-s390x-linux-gnu" in missing(tools, optional=True)
    assert "gcc-s390x-linux-gnu" not in missing(tools)
