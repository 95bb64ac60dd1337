"""dtschema finds no new fault in the device-tree bindings that a patch touches.

dt-doc-validate (`pipx install dtschema`; Debian's own may be older than what the kernel asks for) judges each touched
.yaml below Documentation/devicetree/bindings, with the files that it refers to. The examples in it are not compiled:
`make dt_binding_check` does that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, of_base, placed, reached, version_of
from patchbot.model import Finding, Status

NEEDS = {"dt-doc-validate": "dt-schema"}
OPTIONS = ()

PROGRAM = "dt-doc-validate"
BINDINGS = "Documentation/devicetree/bindings"
REFERENCE = re.compile(rb"\$ref:[ \t]*[\"']?([^\s\"'#]+)")
WANTED = re.compile(rb"^DT_SCHEMA_MIN_VERSION = ([\d.]+)$", re.M)
#: A message without a line.
PLACELESS = re.compile(r"^(\S[^:\n]*\.yaml): (.*)$")


def touched(item: Item) -> list[str]:
    """Return the bindings that a patch touches."""
    return [path for path in item.files if path.startswith(f"{BINDINGS}/") and path.endswith(".yaml")]


def key(subject: Subject, item: Item) -> str:
    """Return all bindings, and dtschema."""
    mine = touched(item)
    return key_of(subject, item, [*mine, *([BINDINGS] if mine else [])], programs=tuple(NEEDS))


def check(subject: Subject, item: Item) -> Outcome:
    """Validate the touched bindings."""
    wanted = WANTED.search(of_base(subject, f"{BINDINGS}/Makefile").get(f"{BINDINGS}/Makefile", b""))
    needed, have = (numbers(wanted[1].decode()) if wanted else []), numbers(version_of(PROGRAM))
    if touched(item) and wanted and have < needed:
        which = f"{PROGRAM} {'.'.join(map(str, have))} is too old"
        return Outcome(
            Status.SKIP, reason=f"{which}: this kernel asks for {wanted[1].decode()} (pipx install dtschema)"
        )
    return compare(subject, item, "dtschema", touched(item), validate, needed=partial(reached, subject, named=named))


def numbers(version: str) -> list[int]:
    """Return the numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", version)]


def named(path: str, data: bytes) -> Iterator[str]:
    """Yield where the bindings may be that one refers to."""
    for name in REFERENCE.findall(data):
        text = name.decode("utf-8", "replace")
        if text.startswith("/schemas/"):
            yield f"{BINDINGS}/{text.removeprefix('/schemas/')}"
        else:
            yield os.path.normpath(os.path.join(os.path.dirname(path), text))


def validate(side: Side) -> Iterator[Finding]:
    """Yield the faults of one side."""
    yield from faults(side.run([PROGRAM, "-n", "-u", BINDINGS, *side.names]).replace(f"{side.place}/", ""))


def faults(said: str) -> Iterator[Finding]:
    """Yield the faults that dt-doc-validate names; the first line with a tab is the reason, more of them explain it."""
    for row in re.split(r"\n(?!\t)", said):
        first, _, reason = row.partition("\n\t")
        text = f"{first} {reason.partition(chr(10))[0]}".rstrip()
        if found := list(placed(text, "schema")):
            yield from (replace(one, status=Status.FAIL) for one in found)
        elif match := PLACELESS.match(text):
            yield Finding(Status.FAIL, match[2], match[1].removeprefix("./"), type="schema")
