"""The shell and Python scripts that a patch touches can be read, and shellcheck and pyflakes have nothing new to say.

What cannot be read is FAIL, the rest is WARN. Nothing of a script is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, placed, regular
from patchbot.model import Finding, Status

NEEDS = {"python3": "python3", "pyflakes3": "pyflakes3", "shellcheck": "shellcheck"}
OPTIONS = ()

SHELL, PYTHON = "shell", "python"
KINDS = {".sh": SHELL, ".bash": SHELL, ".py": PYTHON}
FIRST = re.compile(rb"#![ \t]*\S*?(?:/|\benv[ \t]+(?:-S[ \t]+)?)(?:(bash|dash|ksh|sh)|(python[\d.]*))\b")
#: Reads Python as the compiler does, and makes nothing of it.
READ = """
import ast, sys, warnings
warnings.simplefilter("ignore")
for name in sys.argv[1:]:
    try:
        ast.parse(open(name, "rb").read(), name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        print(f"{name}:{getattr(error, 'lineno', None) or 1}: error: {getattr(error, 'msg', None) or error}")
"""


def kind_of(path: str, data: bytes) -> str:
    """Return the language of a script by its name, or else by its first line, "" for any other file."""
    named = next((kind for end, kind in KINDS.items() if path.endswith(end)), "")
    match = None if named else FIRST.match(data)
    return named or (SHELL if match and match[1] else PYTHON if match else "")


def touched(subject: Subject, item: Item) -> list[str]:
    """Return the scripts that a patch touches or deletes; without a known name they are executable."""
    found: set[str] = set()
    for tree in (item.parent_tree, item.tree):
        modes = subject.scratch.ls(tree, *item.files)
        wanted = [p for p in item.files if p.endswith(tuple(KINDS)) or modes.get(p, ("",))[0] == "100755"]
        found |= {path for path, data in regular(subject, tree, wanted).items() if kind_of(path, data)}
    return sorted(found)


def key(subject: Subject, item: Item) -> str:
    """Return the scripts and what reads them."""
    return key_of(subject, item, touched(subject, item), programs=tuple(NEEDS))


def check(subject: Subject, item: Item) -> Outcome:
    """Read the touched scripts."""
    return compare(
        subject, item, "scripts", touched(subject, item), look, reason="it touches no shell or Python script"
    )


def look(side: Side) -> Iterator[Finding]:
    """Yield what is wrong with the scripts of one side."""
    kinds = {f"./{path}": kind_of(path, data) for path, data in sorted(side.files.items())}
    shell, python = ([name for name, kind in kinds.items() if kind == wanted] for wanted in (SHELL, PYTHON))
    if shell:
        yield from shell_messages(side.run(["shellcheck", "--norc", "-S", "warning", "-f", "gcc", *shell]))
    if python:
        wrong = list(placed(side.run(["python3", "-I", "-c", READ, *python]), "syntax"))
        yield from wrong
        unread = {finding.file for finding in wrong}
        rest = [name for name in python if name.removeprefix("./") not in unread]
        if rest:
            yield from placed(side.run(["pyflakes3", *rest]), "pyflakes")


def shell_messages(said: str) -> Iterator[Finding]:
    """Yield what shellcheck says; its code is the type. Only what it cannot read is FAIL."""
    for finding in placed(said, "shellcheck"):
        text, _, code = finding.message.rstrip("]").rpartition(" [")
        status = Status.FAIL if text.startswith("error:") and code.startswith("SC1") else Status.WARN
        yield Finding(status, text.partition(": ")[2], finding.file, finding.line, code)
