"""Run a SmPL script with Coccinelle's spatch on single files of a tree, and keep what it made of each.

The files are divided among the processors of this machine, or the workers of a cluster. Results are kept by script,
options, version of spatch and the content of what it read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import cache, partial
from pathlib import Path, PurePosixPath
from uuid import uuid4

from .. import temporary
from ..bundle import PACKAGE as BOT
from ..errors import MissingTool, ToolError, UserError
from ..git.export import kept_export
from ..identity import identity
from ..paths import cache_dir
from ..progress import tick
from ..run import run, which
from ..shapes import plain, read
from ..store import Store
from ..workers import (
    PATIENCE,
    RETRIES,
    arrived,
    at_work,
    connected,
    halt_all,
    library,
    lost,
    offer,
    present,
    scheduler,
    unlike,
)
from . import piece
from .edits import MODES
from .piece import LATE, PACKAGE, Piece, Result, one, version
from .tree import Tree

#: Seconds for a file.
FOR_A_FILE = 120.0
DECIDE = 'each is to be decided by name: [[sites.keep]] path = ".." reason = ".."; a step may have another `timeout`'
#: Options that make spatch read headers.
INCLUDING = ("--include", "--all-includes", "--local-includes", "--recursive-includes", "-I")
HEADERS = ("include", "arch/x86/include")
#: Of what spatch says of a script: rows that tell nothing, a place, values of OCaml, and rows without a value.
NOISE = re.compile(r"init_defs|Warning: PARSING|whole content\b")
PLACE = re.compile(r'(?:File "[^"\n]*+", )?\bline (\d++)')
VALUE = re.compile(r"\(Tag\d")
EMPTY = ("", "around = ''")
#: What makes a script read other files.
ELSEWHERE = re.compile(r"(?m)^[ \t]*(?:#[ \t]*include|using)\b")


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
    make = [
        identity(Path(piece.__file__)),
        version(program),
        script.read_text("utf-8", "surrogateescape"),
        list(options),
    ]
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
            tick("spatch", len(todo) - len(files) + len(found), len(todo))
            if not any(trouble.text.startswith(LATE) for trouble in result.troubles):
                store.put(keys[path], result)

        given = ["--verbose-parsing", *([] if headers else ["--no-includes"]), *options]
        given += headers.options if headers else []
        smpl = script.read_text("utf-8", "surrogateescape")
        pieces = []
        for path in todo:
            near = {name: text.decode("latin-1") for name, text in headers.near(path).items()} if headers else {}
            pieces.append(Piece(smpl, tuple(given), path, files[path].decode("latin-1"), near, timeout))
        # Headers and what the script includes are read from folders of this machine.
        if scheduler()[0] and not headers and not ELSEWHERE.search(smpl):
            far(version(program), pieces, take)
        else:
            here(jobs or len(os.sched_getaffinity(0)), script, pieces, take)
    return {path: found[path] for path in sorted(found)}


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


def here(jobs: int, script: Path, pieces: Sequence[Piece], take: Callable[[str, Result], None]) -> None:
    """Give `take` the path and the result of each piece as it ends, `jobs` at a time."""
    tick("spatch", 0, len(pieces))
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="spatch")
    waiting = {pool.submit(one, each, script): each.path for each in pieces}
    try:
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED)[0]:
                take(waiting[future], future.result())
                del waiting[future]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for future, path in waiting.items():  # what was found while the run was ended is kept, too
            if not future.cancelled() and future.exception() is None:
                take(path, future.result())


def far(program: str, pieces: Sequence[Piece], take: Callable[[str, Result], None]) -> None:
    """Give `take` what the workers of a scheduler make of pieces, as they end; `program` is the version of spatch.

    Raises UserError where no worker has spatch, or one has another version of it or another patchbot.
    """
    if not pieces:
        return
    distributed, run_id = library(), uuid4().hex
    like = json.dumps([run_id, identity(BOT), program])
    with connected(distributed, *scheduler()) as client:
        client.register_plugin(offer(distributed, ["spatch"]), name="patchbot spatch")
        if not any(client.run(present, ["spatch"]).values()):
            raise UserError(f"no worker has spatch (Debian: {PACKAGE})")
        submit = partial(client.submit, pure=False, retries=RETRIES, resources={"spatch": 1})
        tick("spatch", 0, len(pieces))
        waiting = {submit(do, like, json.dumps(plain(each))): each.path for each in pieces}
        completed, seen = distributed.as_completed(list(waiting), loop=client.loop), time.monotonic()
        try:
            while waiting:
                if (future := arrived(completed)) is None:
                    there = client.scheduler_info(n_workers=-1)["workers"].values()
                    if any("spatch" in worker["resources"] for worker in there):
                        seen = time.monotonic()
                    elif time.monotonic() - seen > PATIENCE:
                        raise ToolError(lost("no worker that has spatch is left"))
                    continue
                try:
                    result = read(future.result(), Result)
                except UserError:
                    raise
                except Exception as error:
                    why = f"{type(error).__name__}: {error}"
                    raise ToolError(f"{waiting[future]}: the cluster gave no result: {why}") from error
                take(waiting.pop(future), result)
        finally:
            if waiting:
                halt_all(client, list(waiting), run_id)


def do(like: str, text: str) -> str:
    """Make the Result of a Piece, on a worker, both as JSON; raise UserError where it is not `like` the other side."""
    run_id, patchbot, program = read(like, tuple[str, str, str])
    with at_work(run_id):
        if patchbot != made_with():
            raise UserError(unlike("patchbot"))
        if program != version(which("spatch", PACKAGE)):
            raise UserError(unlike("spatch"))
        given = read(text, Piece)
        with temporary.folder("smpl") as place:
            script = place / "script.cocci"
            script.write_text(given.script, "utf-8", "surrogateescape")
            return json.dumps(plain(one(given, script)))


@cache
def made_with() -> str:
    """Return the identity of this patchbot, which stays as it was when the process began."""
    return identity(BOT)
