"""Run a SmPL script with Coccinelle's spatch on single files of a tree, and keep what it made of each.

One process a file: `spatch --jobs` loses sites without a word. What spatch cannot parse it leaves out with exit code
0; here that is said with its lines. Results are kept by script, options, version of spatch and the content of what it
read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from .. import temporary
from ..errors import MissingTool, ToolError, UserError
from ..git.export import kept_export, write_files
from ..identity import identity
from ..model import Edit
from ..paths import cache_dir
from ..progress import tick
from ..run import Completed, run, which
from ..store import Store
from .edits import MODES, edits_between
from .tree import Tree

PACKAGE = "coccinelle"
#: Seconds for a file.
PATIENCE = 120.0
DECIDE = 'each is to be decided by name: [[sites.keep]] path = ".." reason = ".."; a step may have another `timeout`'
#: Options that make spatch read headers.
INCLUDING = ("--include", "--all-includes", "--local-includes", "--recursive-includes", "-I")
HEADERS = ("include", "arch/x86/include")
LATE = "spatch took longer than"
UNPARSED = "spatch did not parse this"
PARSE_ERROR = re.compile(
    r'parse error\s++= File "([^"\n]*+)", line \d++.*+\n(?:.*+\n){0,4}?badcount: \d++\n((?:(?:bad:|BAD:!!!!!).*+\n)*)'
)
BAD = re.compile(r"(?:bad:|BAD:!!!!!) ?")
FAILURE = re.compile(r"(?m)^(?:EXN|Fatal error|exn while in|.*already tagged token).*$", re.I)
#: Of what spatch says of a script: rows that tell nothing, a place, values of OCaml, and rows without a value.
NOISE = re.compile(r"init_defs|Warning: PARSING|whole content\b")
PLACE = re.compile(r'(?:File "[^"\n]*+", )?\bline (\d++)')
VALUE = re.compile(r"\(Tag\d")
EMPTY = ("", "around = ''")


@dataclass(frozen=True)
class Trouble:
    """What spatch did not do in the lines `line` to `end` of a file; `whole` says that it gave the file up."""

    line: int
    end: int
    text: str
    whole: bool = False


@dataclass(frozen=True)
class Result:
    """What spatch made of a file: (start, end, new bytes as Latin-1) of each edit, and its troubles."""

    made: tuple[tuple[int, int, str], ...]
    troubles: tuple[Trouble, ...] = ()

    def edits(self, path: str) -> Iterator[Edit]:
        """Yield the edits of the file, called `path`."""
        for start, end, new in self.made:
            yield Edit(path, start, end, new.encode("latin-1"))


def patch(
    tree: Tree, script: Path, options: Sequence[str], paths: Sequence[str], jobs: int, timeout: float
) -> dict[str, Result]:
    """Return {path: result} of a script on files of a tree, `jobs` at a time (0: all processors), `timeout` s for each.

    Raises UserError where spatch is missing or cannot read the script.
    """
    try:
        program = which("spatch", PACKAGE)
    except MissingTool as error:
        raise UserError(str(error)) from error
    insist_on_script(program, script)
    files = {path: file.data for path, file in tree.files(paths).items() if file.mode in MODES}
    make = [identity(Path(__file__)), version(program), script.read_text("utf-8", "surrogateescape"), list(options)]
    found: dict[str, Result] = {}
    with Store(cache_dir() / "spatch.sqlite") as store:
        headers = Headers(tree) if any(o.startswith(INCLUDING) for o in options) else None
        keys = {}
        for path, text in files.items():
            read = [hashlib.sha256(text).hexdigest(), headers.digest(path) if headers else "", PurePosixPath(path).name]
            keys[path] = hashlib.sha256(json.dumps([make, read]).encode("utf-8", "surrogateescape")).hexdigest()
            if (known := store.get(keys[path], Result)) is not None:
                found[path] = known
        todo = [path for path in sorted(files) if path not in found]

        def take(path: str, result: Result) -> None:
            found[path] = result
            if not any(trouble.text.startswith(LATE) for trouble in result.troubles):
                store.put(keys[path], result)

        pool = ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0)), thread_name_prefix="spatch")
        try:
            waiting: dict[Future[Result], str] = {}
            for path in todo:
                argv = [program, "--verbose-parsing", *([] if headers else ["--no-includes"]), *options]
                near = headers.near(path) if headers else {}
                argv += headers.options if headers else []
                waiting[pool.submit(one, argv, script, path, files[path], near, timeout)] = path
            while waiting:
                tick("spatch", len(todo) - len(waiting), len(todo))
                for future in wait(waiting, return_when=FIRST_COMPLETED)[0]:
                    take(waiting[future], future.result())
                    del waiting[future]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for future, path in waiting.items():  # what was found while the run was ended is kept, too
                if not future.cancelled() and future.exception() is None:
                    take(path, future.result())
    return {path: found[path] for path in sorted(found)}


@lru_cache
def version(program: str) -> str:
    """Return what spatch says of its version."""
    return run([program, "--version"], check=False, timeout=30).stdout.decode("utf-8", "replace").split("\n")[0]


def insist_on_script(program: str, script: Path) -> None:
    """Raise UserError where spatch cannot read a script."""
    done = run([program, "--parse-cocci", script], check=False, timeout=60)
    if done.returncode:
        line, said = complaint((done.stderr + b"\n" + done.stdout).decode("utf-8", "replace"))
        said = said or f"spatch --parse-cocci ended with exit code {done.returncode}"
        raise UserError(f"{script}{f':{line}' if line else ''}: spatch cannot read it: {said}")


def complaint(said: str) -> tuple[int, str]:
    """Return the line (0: unknown) that spatch complains about, and what it says, without the values it has inside."""
    rows = [row for row in map(str.strip, said.splitlines()) if row and not NOISE.match(row)]
    places = [found for row in rows if (found := PLACE.search(row))]
    line = next((int(found[1]) for found in sorted(places, key=lambda found: "File" not in found[0])), 0)
    rows = [re.split(r"[\[(]", row, maxsplit=1)[0] if VALUE.search(row) else row for row in rows]
    words = [row.strip(" :,=") for row in rows if not row.startswith("File ")]
    if not line and "unexpected code before the first rule" in words:
        line = 1
    return line, "; ".join(dict.fromkeys(word for word in words if word not in EMPTY))[:300]


def one(argv: Sequence[str], script: Path, path: str, text: bytes, near: Mapping[str, bytes], timeout: float) -> Result:
    """Return what spatch makes of one file, in a folder of its own."""
    with temporary.folder("spatch") as place:
        write_files(place, {**near, path: text})
        full = [*argv, "--sp-file", str(script), "--in-place", path]
        try:
            done = run(full, cwd=place, env={"TMPDIR": str(place)}, timeout=timeout, check=False)
        except ToolError as error:
            if "took longer" not in str(error):
                raise
            return Result((), (Trouble(1, 1, f"{LATE} {timeout:g} s", whole=True),))
        new = (place / path).read_bytes()
    troubles = tuple(dict.fromkeys(troubles_in(done, path, text)))
    if any(trouble.whole for trouble in troubles):
        return Result((), troubles)
    made = edits_between(path, text, tidied(text, new))
    return Result(tuple((e.start, e.end, e.new.decode("latin-1")) for e in made), troubles)


def tidied(old: bytes, new: bytes) -> bytes:
    """Return what spatch made of a text without the lines of blanks that it leaves where it takes statements away."""
    known = {*old.split(b"\n")}
    return b"\n".join(line for line in new.split(b"\n") if not line or line.strip() or line in known)


def troubles_in(done: Completed, path: str, text: bytes) -> Iterator[Trouble]:
    """Yield what spatch says of a file that it did not parse, or why it gave up."""
    said = (done.stderr + b"\n" + done.stdout).decode("latin-1")
    lines = [line.rstrip() for line in text.decode("latin-1").split("\n")]
    for match in PARSE_ERROR.finditer(said):
        # Where a macro of spatch's own is expanded, the place is one in its standard.h; so the quoted lines count.
        rows = [row[len(mark[0]) :].rstrip() for row in match[2].split("\n") if (mark := BAD.match(row))]
        places = [n for n in range(len(lines)) if rows and lines[n : n + len(rows)] == rows]
        if places:
            yield from (Trouble(n + 1, n + len(rows), UNPARSED) for n in places)
        elif match[1] == path:
            yield Trouble(1, len(lines), f"{UNPARSED}, or another part of the file")
    if failure := FAILURE.search(said):
        yield Trouble(1, 1, f"spatch gave this file up: {failure[0].strip()[:200]}", whole=True)
    elif done.returncode:
        yield Trouble(1, 1, f"spatch ended with exit code {done.returncode}: {said.strip()[-200:]}", whole=True)


class Headers:
    """The headers of a tree for a script that wants them: those that all see, and those beside a file."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.blobs = {p: oid for p, (_, oid) in tree.repo.ls(tree.commit, *HEADERS).items() if p.endswith(".h")}
        tree.repo.depend(self.blobs)
        laid = {p: hashlib.sha256(f.data).hexdigest() if f else "" for p, f in tree.overlay.items() if p.endswith(".h")}
        self.all = hashlib.sha256(json.dumps([self.blobs, sorted(laid.items())]).encode()).hexdigest()
        place = kept_export(cache_dir(), ["spatch", self.all], self.files)
        self.options = [word for folder in HEADERS for word in ("-I", str(place / folder))]

    def files(self) -> dict[str, bytes]:
        """Return those that all files see."""
        read = dict(zip(self.blobs, (data for _, data in self.tree.repo.blobs(self.blobs.values())), strict=True))
        laid = {p: f.data for p, f in self.tree.overlay.items() if f and p.endswith(".h") and p.startswith(HEADERS)}
        return {**read, **laid}

    def near(self, path: str) -> dict[str, bytes]:
        """Return those in the folder of a file."""
        folder = str(PurePosixPath(path).parent)
        names = [p for p in self.tree.below(folder) if p.endswith(".h") and str(PurePosixPath(p).parent) == folder]
        return {name: self.tree.read(name) for name in names if name != path}

    def digest(self, path: str) -> str:
        """Return a digest of what spatch may read for a file."""
        near = [(name, hashlib.sha256(data).hexdigest()) for name, data in sorted(self.near(path).items())]
        return hashlib.sha256(json.dumps([self.all, near]).encode("utf-8", "surrogateescape")).hexdigest()
