"""The tree's own kernel-doc has nothing new to say about the comments in the files that a patch touches.

It is scripts/kernel-doc, in Perl, or tools/docs/kernel-doc, in Python, run with `-none`. A build with W=1 has it look
at the C files that it compiles; here headers have their turn, too, and nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from patchbot.build.log import read_line
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, of_base
from patchbot.errors import ToolError
from patchbot.model import Finding, Status

NEEDS = {"perl": "perl", "python3": "python3"}
OPTIONS = ()

#: The program, by age, and what it imports.
PROGRAMS = ("tools/docs/kernel-doc", "scripts/kernel-doc.py", "scripts/kernel-doc")
LIBRARIES = ("tools/lib/python", "scripts/lib/kdoc")


def touched(item: Item) -> list[str]:
    """Return the files that it reads."""
    return [path for path in item.files if path.endswith((".c", ".h"))]


def key(subject: Subject, item: Item) -> str:
    """Return the files, the program and its interpreters."""
    return key_of(subject, item, touched(item), programs=tuple(NEEDS), own=(*PROGRAMS, *LIBRARIES))


def check(subject: Subject, item: Item) -> Outcome:
    """Run it on the touched files."""
    files = of_base(subject, *PROGRAMS, *LIBRARIES)
    if touched(item) and not files.keys() & {*PROGRAMS}:
        return Outcome(Status.SKIP, reason=f"{subject.base[:12]} has none of {', '.join(PROGRAMS)}")
    return compare(subject, item, "kernel_doc", touched(item), read, needed=lambda *_: files)


def read(side: Side) -> Iterator[Finding]:
    """Yield what it says of one side."""
    program = next(path for path in PROGRAMS if (side.place / path).is_file())
    with (side.place / program).open("rb") as file:
        interpreter = "perl" if b"perl" in file.readline() else "python3"
    said = side.run([interpreter, program, "-none", *side.names], allowed=range(128))
    found = messages(said, str(side.place))
    if "Traceback (most recent call last)" in said or (said.strip() and not found):
        raise ToolError(f"{program} did not do its work; see {side.log}")
    yield from found


def messages(said: str, place: str) -> list[Finding]:
    """Return its messages; what it says twice, as it does of each function, is one."""
    lines = dict.fromkeys(said.splitlines())
    found = (read_line(line, (place,)) for line in lines)
    return [replace(finding, type="kernel-doc") for finding in found if finding]
