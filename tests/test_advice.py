"""What a message advises can be typed: the commands of patchbot that it names exist, with the options that it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tinytree import TOP

from patchbot.cli import COMMANDS, build_parser

#: A command to type; after a mere colon it may also be a sentence.
ADVICE = re.compile(r"(?P<sure>(?:with|then|run): |`|\$ |)(?<![^`:$] )patchbot (?P<words>[^`;,:()\n]*)")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a module, an X for each value in one, and the line of each."""
    tree = ast.parse(file.read_text())
    inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in ast.walk(n) if v is not n}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value


def wrong(text: str) -> list[str]:
    """Return what the advice in a text names that is not there."""
    found = []
    for match in ADVICE.finditer(text):
        name, *_ = match["words"].split() or [""]
        if name not in COMMANDS:
            found += [f"patchbot {name}"] if match["sure"] and not name.startswith(("-", "COMMAND", "X")) else []
            continue
        known = options(name)
        found += [
            f"patchbot {name} {option}" for option in OPTION.findall(match["words"]) if option not in {*known, "--X"}
        ]
    return found


def options(name: str) -> set[str]:
    """Return the options of a command."""
    commands = next(a for a in build_parser([name])._actions if a.dest == "command")
    return set(commands.choices[name]._option_string_actions)


def test_every_message() -> None:
    found = [
        f"{file.relative_to(TOP)}:{line}: {what}"
        for folder in ("patchbot", "checks")
        for file in sorted((TOP / folder).rglob("*.py"))
        for line, text in texts(file)
        for what in wrong(text)
    ]
    assert found == []


def test_the_papers() -> None:
    found = []
    for file in (TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found += [f"{file.name}:{number}: {what}" for what in wrong(line.split("  # ")[0])]
    assert found == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mend it with: patchbot generate X --onto X", ["patchbot generate --onto"]),
        ("`patchbot regen --onto X` does it", ["patchbot regen"]),
        ("go on with: patchbot regenerate X --onto X; or let it go: --abort", []),
    ],
)
def test_a_wrong_advice_is_found(text: str, said: list[str]) -> None:
    assert wrong(text) == said
