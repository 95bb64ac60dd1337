"""The BPF selftests that a patch touches compile: programs for BPF, their skeletons, and the tests that use these.

The Makefile of the tree's own selftests compiles them, warnings are errors there. bpftool makes vmlinux.h of the kernel
after the whole series, the one that `boot` links; the first run links it (a quarter of an hour), then a patch takes
seconds. What fails at the parent in the same way is SKIP. Test modules are a matter of the check build, and a header is
looked at through what includes it. The options are those of [checks.build].
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from patchbot.build.images import Images, kernel_key
from patchbot.build.options import build_options, wanted_options
from patchbot.build.selftests import PROGRAMS, ROOT, Goals, Selftests, find_goals
from patchbot.build.toolchain import CLANG, compiler_of
from patchbot.build.toolchain import PROGRAMS as KERNEL_PROGRAMS
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.news import brought, files_of, moved
from patchbot.errors import MissingTool
from patchbot.model import Finding, Status
from patchbot.progress import tick
from patchbot.run import run, which

NEEDS = KERNEL_PROGRAMS
EXCLUSIVE = True
OPTIONS = ()


def key(subject: Subject, item: Item) -> str | None:
    """Return what the compilers read: both trees, the kernel's types, the tools."""
    options = build_options(subject.tables.get("build", {}))
    try:
        clang = run([which(CLANG, CLANG), "--version"]).stdout.decode()
        kernel = kernel_key(
            subject.scratch, tip(subject), compiler_of(options), wanted_options(options, subject.wishes)
        )
    except MissingTool:
        return None
    return f"{item.parent_tree} {item.tree} {kernel} {clang}"


def check(subject: Subject, item: Item) -> Outcome:
    """Compile what a patch touches, and where that fails, the same at the parent."""
    goals = find_goals(subject.scratch, item.tree, touched(subject, item))
    if not goals.paths:
        return Outcome(Status.SKIP, reason=f"there is nothing to compile below {ROOT} in it")
    log = subject.log("selftests", item)
    log.write_text(f"selftests of {item.commit}\n")
    try:
        for program, package in PROGRAMS.items():
            which(program, package)
        with closing(open_images(subject)) as images:
            image = images.get(tip(subject), log, "tip")
            out = image.kernel.parent / "selftests"
            tests = Selftests(images.worktree.path, image.vmlinux, out, images.kbuild.jobs, subject.sandbox, log)
            tick(f"compiling the selftests of {item.subject}")
            images.move(item.tree)
            found = tests.compile(goals)
            old = find_goals(subject.scratch, item.parent_tree, before_names(subject, item, goals) if found else ())
            before: list[Finding] = []
            if old.paths:
                images.move(item.parent_tree)
                before = tests.compile(old)
    except MissingTool as error:
        return Outcome(Status.SKIP, reason=str(error), log=log)
    return judge(subject, item, goals, found, before, log)


def judge(
    subject: Subject, item: Item, goals: Goals, found: Collection[Finding], before: Iterable[Finding], log: Path
) -> Outcome:
    """Return the outcome of what compilers said with a patch and at its parent."""
    old, new = (files_of(subject.scratch.read, tree) for tree in (item.parent_tree, item.tree))
    findings = [replace(f, status=Status.FAIL) for f in brought(before, found, old, new, moved(subject.scratch, item))]
    stuck = {f for f in found if f not in findings}
    unseen = [path for path in touched(subject, item) if not is_seen(subject, item, goals, path)]
    parts = [f"compiled {listed(goals.paths)}"]
    parts += [f"not compiled here: {listed(unseen)}"] if unseen else []
    parts += [f"does not compile at the parent either: {listed({f.file or f.message for f in stuck})}"] if stuck else []
    status = Status.worst([Status.SKIP if unseen or stuck else Status.PASS, *(f.status for f in findings)])
    return Outcome(status, tuple(findings), "; ".join(parts), len(goals.paths), log)


def before_names(subject: Subject, item: Item, goals: Goals) -> set[str]:
    """Return what was to be compiled, with the old names of what the patch moves."""
    return {*goals.paths, *(path for path, name in moved(subject.scratch, item).items() if name in goals.paths)}


def open_images(subject: Subject) -> Images:
    """Return the kernels that `boot` links."""
    options = build_options(subject.tables.get("build", {}))
    wanted, jobs = wanted_options(options, subject.wishes), options.jobs or subject.jobs
    folder = subject.work / "boot"
    return Images(folder, subject.scratch, compiler_of(options), wanted, jobs, subject.sandbox)


def tip(subject: Subject) -> str:
    """Return the tree after the whole series."""
    return subject.items[-1].tree


def touched(subject: Subject, item: Item) -> list[str]:
    """Return what a patch changes of the selftests, except the modules among them, which the check `build` compiles."""
    return [p for p in item.files if p.startswith(f"{ROOT}/") and (p.endswith(".h") or not in_module(subject, item, p))]


def in_module(subject: Subject, item: Item, path: str) -> bool:
    """Say whether the folder of a file is that of a kernel module."""
    makefile = subject.scratch.read(item.tree, f"{path.rpartition('/')[0]}/Makefile")
    return re.search(rb"\bobj-m\b", makefile or b"") is not None


def is_seen(subject: Subject, item: Item, goals: Goals, path: str) -> bool:
    """Say whether a file was compiled, included by what was, or read by make."""
    if path in goals.paths or path == f"{ROOT}/Makefile":
        return True
    name = PurePosixPath(path).name
    form = rf'^[[:space:]]*#[[:space:]]*include[[:space:]].*["/]{re.escape(name)}"'
    return name.endswith(".h") and bool(subject.scratch.grep_lines(item.tree, form, sorted(goals.paths)))


def listed(paths: Iterable[str]) -> str:
    """Return paths for a sentence, short and not too many."""
    names = sorted(path.removeprefix(f"{ROOT}/") for path in paths)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
