"""The tree's own semantic patches in scripts/coccinelle have nothing new to report about the C files of a patch.

It is `make coccicheck MODE=report` for these files alone, with the options that each script names. A script that takes
longer than `timeout` makes the result ERROR, as one does that spatch cannot read; what the others report counts.

Options: timeout (seconds for a script and each file; 120), without (scripts that are not run, as `free/kfree`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import Side, compare, key_of, of_base, placed
from patchbot.config import fit
from patchbot.git.export import kept_export, tree_files
from patchbot.model import Finding, Status
from patchbot.progress import tick
from patchbot.shapes import Text

NEEDS = {"ocamlopt": "ocaml", "spatch": "coccinelle"}

SCRIPTS = "scripts/coccinelle"
#: Options of a script with which it reads headers.
INCLUDING = ("--all-includes", "--local-includes", "--recursive-includes", "--include-headers-for-types")
COLUMNS = re.compile(r"^\d+-\d+: ")


@dataclass(frozen=True)
class Options:
    """[checks.coccicheck]."""

    timeout: Annotated[float, Meta(gt=0)] = 120
    without: tuple[Text, ...] = ()


OPTIONS = Options


def touched(item: Item) -> list[str]:
    """Return the files that spatch reads."""
    return [path for path in item.files if path.endswith((".c", ".h"))]


def key(subject: Subject, item: Item) -> str:
    """Return the files, the scripts, the headers that some of them read, and spatch."""
    more = dict(subject.options)
    return key_of(subject, item, touched(item), more, programs=tuple(NEEDS), own=(SCRIPTS, "include"))


def check(subject: Subject, item: Item) -> Outcome:
    """Run the scripts on the touched files."""
    options = fit("patchbot.toml", "checks.coccicheck", subject.options, Options)
    scripts = {
        path: data
        for path, data in of_base(subject, SCRIPTS).items()
        if re.search(rb"virtual\s+report\b", data) and path[len(SCRIPTS) + 1 : -len(".cocci")] not in options.without
    }
    if touched(item) and not scripts:
        return Outcome(Status.SKIP, reason=f"{subject.base[:12]} has no script in {SCRIPTS}")
    headers = headers_of(subject) if touched(item) else None

    loud: set[str] = set()

    def look(side: Side) -> Iterator[Finding]:
        # What has nothing to say after the patch needs not be asked before it.
        asked = sorted(scripts if side.after else loud)
        for number, script in enumerate(asked):
            tick("spatch", number, len(asked))
            for finding in report(side, script, scripts[script], headers, options.timeout):
                loud.add(script)
                yield finding

    reads = [headers] if headers else []
    return compare(subject, item, "coccicheck", touched(item), look, needed=lambda *_: scripts, reads=reads)


def headers_of(subject: Subject) -> Path | None:
    """Return the folder of the headers of the base, for scripts that read some."""
    include = subject.scratch.things([f"{subject.base}:include"])[f"{subject.base}:include"]
    if include is None:
        return None
    files = partial(tree_files, subject.scratch, subject.base, "include", ".h")
    return kept_export(subject.work, [include.oid, "include"], files) / "include"


def report(side: Side, script: str, text: bytes, headers: Path | None, timeout: float) -> Iterator[Finding]:
    """Yield what a script reports of one side; its name is the type."""
    named = re.search(rb"^//[ \t]*Options:(.*)$", text, re.M)
    options = named[1].decode("utf-8", "replace").split() if named else []
    if headers and any(option in INCLUDING for option in options):
        options += ["-I", str(headers)]
    # What it made of a file is kept beside that for the next script: parsing takes most of the time.
    argv = ["spatch", "--cocci-file", script, "-D", "report", "--no-show-diff", "--very-quiet", "--use-cache"]
    yield from messages(
        side.attempt([*argv, *options, *side.names], timeout=timeout * len(side.names)), Path(script).stem
    )


def messages(said: str, script: str) -> Iterator[Finding]:
    """Yield what a script reports; what it calls an error is one only if a person says so."""
    for finding in placed(said, script):
        yield replace(finding, status=Status.WARN, message=COLUMNS.sub("", finding.message))
