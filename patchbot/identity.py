"""Tell whether something was made by the same code as now: the keys of every store hold this.

A version means nothing in a checkout, or in a campaign or check that somebody is writing; the sources do.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from .bundle import PACKAGE

#: `from ..a import b, (c` and `import patchbot.a`: dots, module, the names in its line.
IMPORT = re.compile(r"[ \t]*+(?:from[ \t]++(\.*+)((?:\w[\w.]*+)?)[ \t]*+)?import\b[ \t]*+(.*)")


def identity(*sources: Path) -> str:
    """Return a digest of files, or of all files below folders, and of what their Python imports from patchbot.

    It is the same wherever they lie, on this machine or another one.
    """
    total = hashlib.sha256()
    files = {file for source in sources for file in reached(source)}
    for name, data in sorted((os.fsencode(file.name), file.read_bytes()) for file in files):
        total.update(b"%b\0%d\0" % (name, len(data)) + data)
    return total.hexdigest()


def file_of(call: Any) -> Path:
    """Return the file of a function, of a partial one, or of a callable object."""
    while isinstance(call, partial):
        call = call.func
    return Path(inspect.getfile(call if inspect.isroutine(call) else type(call)))


@cache
def reached(source: Path) -> frozenset[Path]:
    """Return a file or the files below a folder, and the modules of patchbot that these import, recursively."""
    files = source.rglob("*") if source.is_dir() else (source,)
    found = {file.resolve() for file in files if file.is_file() and "__pycache__" not in file.parts}
    # The whole of patchbot has no other imports from patchbot.
    todo = [] if source == PACKAGE else [file for file in found if file.suffix == ".py"]
    while todo:
        fresh = imported(todo.pop()) - found
        found |= fresh
        todo += fresh
    return frozenset(found)


@cache
def imported(file: Path) -> frozenset[Path]:
    """Return the files of the modules that a Python file imports from patchbot or from its own folder."""
    found = set()
    for dots, module, names in imports(file.read_text(encoding="utf-8", errors="replace")):
        words = re.findall(r"[\w.]+", names)
        full = [f"{module}.{word}" for word in words] if module or dots else words
        for parts in {tuple(filter(None, name.split("."))) for name in (module, *full)}:
            ours = not dots and parts[:1] == (PACKAGE.name,)
            place = (PACKAGE.parent if ours else file.parents[max(len(dots) - 1, 0)]).joinpath(*parts)
            found |= {p.resolve() for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()}
    return frozenset(found)


def imports(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (dots, module, names) of each import in the text of a module."""
    lines = iter(re.sub(r"\\\r?\n", " ", text).splitlines())
    for line in lines:
        if "import" in line and (match := IMPORT.match(line)):
            names = [match[3]]
            if "(" in names[0]:
                while ")" not in names[-1] and (more := next(lines, None)) is not None:
                    names.append(more)
            yield match[1] or "", match[2] or "", " ".join(names)
