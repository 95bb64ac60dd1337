"""Compile the objects that a patch touches, before and after it, and tell what it brought.

judge() is the whole of a check that hears another compiler, or a checker: what the campaign's configuration does not
build is compiled in allyesconfig of the same bench; code that x86 cannot have is left to the check `build`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..checking.check import Item, Outcome, Subject
from ..checking.news import Texts, brought, files_of, moved, united
from ..errors import MissingTool, ToolError
from ..model import Finding, Status
from ..series.render import plural
from ..terminal import some
from .bench import Bench
from .benches import APART, each_bench, make_lines, units_of
from .options import BuildOptions, build_options, wanted_options
from .same import keep_same
from .units import Checker, Compiled, Unit
from .users import built, showing

#: How many patches are looked ahead.
AHEAD = 16
#: How many files are compiled for a header, of those that show it and of the campaign's witnesses.
USERS = 4


@dataclass(frozen=True)
class Built:
    """What was said in one bench about the objects before and after a patch, and {file: its new name}."""

    bench: Bench
    before: Mapping[Unit, Compiled]
    after: Mapping[Unit, Compiled]
    moves: Mapping[str, str]

    def and_also(self, more: Built) -> Built:
        """Return what was said about these objects and others of the bench."""
        return Built(self.bench, {**self.before, **more.before}, {**self.after, **more.after}, self.moves)

    def brought(self, old: Texts, new: Texts) -> list[Finding]:
        """Return the messages that the patch brought, given the texts of the files before and after it."""
        before, after = (united(r.findings for r in side.values()) for side in (self.before, self.after))
        return brought(before, after, old, new, self.moves)


def key_of(subject: Subject, item: Item, options: BuildOptions, versions: str, *more: object) -> str:
    """Return what the results of objects depend on: both trees, the configuration and the tools."""
    told = json.dumps([wanted_options(options, subject.wishes), options.allyesconfig, *more], sort_keys=True)
    return f"{item.parent_tree} {item.tree} {subject.campaign} {versions}\n{told}"


def compile_sides(bench: Bench, item: Item, sources: Collection[str], log: Path, code: Sequence[str] = ()) -> Built:
    """Compile the objects of sources on both sides, and those of the build's own programs made from files of `code`.

    What a patch moves is compiled by its old name before it.
    """
    trees, moves = (item.parent_tree, item.tree), moved(bench.scratch, item)
    asked = {*sources, *(path for path, name in moves.items() if name in sources)}
    sides = [
        {u for s in sorted(asked) if s in bench.files(tree) for u in units_of(bench, tree, s, log)} for tree in trees
    ]
    if any(path.startswith("tools/") for path in code):
        tools = [set(bench.tool_units(tree, code, log)) for tree in trees]
        sides[0] |= tools[0]
        sides[1] |= {*tools[1], *(u for u in tools[0] if u.source in bench.files(item.tree))}
    before = bench.compile(item.parent_tree, sides[0], log)
    keep_same(bench, *trees, before, sides[1], log)
    return Built(bench, before, bench.compile(item.tree, sides[1], log), moves)


def judge(
    subject: Subject, item: Item, check: str, bench: Bench, checker: Checker | None = None, worst: Status | None = None
) -> Outcome:
    """Compile what a patch touches in a bench and in its allyesconfig; new messages count as `worst`, if that is given.

    With a checker only what that says counts, and not whether the object compiles.
    """
    log = subject.log(check, item)
    log.write_text(f"{check} of {item.commit} and of its parent {item.parent}\n")
    todo = {path for path in item.files if path.endswith((".c", ".h")) and path in bench.files(item.tree)}
    todo -= {path for path in todo if path.startswith(APART) and not bench.module_of(item.tree, path)}
    if not todo:
        return Outcome(Status.SKIP, reason="it touches no C of the kernel that is still there")
    old, new = (files_of(subject.scratch.read, tree) for tree in (item.parent_tree, item.tree))
    found: list[tuple[str, list[Finding]]] = []
    done: list[Unit] = []
    broken: set[str] = set()
    lines = [f"git worktree add --detach ../{check}-{item.commit[:12]} {item.commit[:12]}"]
    lines += [f"cd ../{check}-{item.commit[:12]}"]
    allyes = build_options(subject.tables.get("build", {})).allyesconfig
    try:
        for one in (bench, *([bench.whole()] if allyes else [])):
            if not todo:
                break
            used = one.checked_by(checker) if checker else one
            built = compile_sides(used, item, sources_of(subject, item, used, todo, log), log)
            found.append((one.mark, built.brought(old, new)))
            for unit, result in built.after.items():
                todo -= {*result.files, unit.source} if result.built else set()
                broken |= set() if result.built else {unit.source}
            done += built.after
            lines += make_lines(used, sorted(built.after)) if built.after else []
    except MissingTool as error:
        return Outcome(Status.SKIP, reason=str(error), log=log)
    except ToolError as error:
        return Outcome(Status.ERROR, reason=str(error), log=log)
    findings = [replace(f, status=worst or f.status) for f in each_bench(found)]
    for path in sorted(todo):
        why = "it does not compile here" if path in broken else "no object here shows it"
        findings.append(Finding(Status.SKIP, why, path, type="not-compiled"))
    with log.open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"new: {f.file or ''}:{f.line or ''}: {f.message} [{f.type}]\n" for f in findings)
    parts = [f"looked at {', '.join(some([unit.obj for unit in done], 3))}"] if done else []
    parts += [f"{plural(len(todo), 'file')} not looked at: {', '.join(some(sorted(todo), 3))}"] if todo else []
    return Outcome.of(findings, examined=len(done), reason="; ".join(parts), log=log, reproduce=" && ".join(lines))


def compile_ahead(
    bench: Bench, item: Item, later: Sequence[Item], sources: Iterable[str], log: Path, but: Bench | None = None
) -> None:
    """Compile in two goes what a patch and the next ones touch, if those change nothing but C files.

    Only C files differ then between this patch and the last of them, so each object is the same at its own patch and
    at the last that touches it. One object at a time leaves processors idle, and make looks at everything for each.
    What another bench compiles (`but`) is left out.
    """
    some = [item]
    for one in later[:AHEAD]:
        if one.parent != some[-1].commit or not all(path.endswith(".c") for path in one.files):
            break
        some.append(one)
    mine = {unit for path in sources for unit in units_of(bench, item.tree, path, log)}
    if len(some) == 1 or bench.knows(item.tree, mine, log):
        return
    paths = {path for one in some for path in one.files if path.endswith(".c") and not path.startswith(APART)}
    for tree in (item.parent_tree, some[-1].tree):
        wanted = [path for path in sorted(paths) if path in bench.files(tree)]
        if but:
            wanted = [path for path in wanted if not units_of(but, tree, path, log)]
        bench.compile(tree, {unit for path in wanted for unit in units_of(bench, tree, path, log)}, log)


def sources_of(subject: Subject, item: Item, bench: Bench, paths: Iterable[str], log: Path) -> set[str]:
    """Return the .c files among some files, and for each header a few that show it."""
    headers = {path for path in paths if not path.endswith(".c")}
    users = [
        user
        for path in sorted(headers)
        for user in built(bench, item.tree, shown_by(subject, item, bench, path, log)[0], log, USERS)
    ]
    return {*paths} - headers | {*users, *(subject.witnesses(item.commit)[:USERS] if headers else ())}


def shown_by(subject: Subject, item: Item, bench: Bench, header: str, log: Path) -> tuple[list[str], int]:
    """Return the sources that show what a patch changed in a header; see showing()."""
    old, new = (subject.scratch.read(tree, header) or b"" for tree in (item.parent_tree, item.tree))
    return showing(bench, item.tree, header, old, new, log)
