"""Each patch compiles without a new warning, with BTF and every kfunc set switched on, in patchbot's own work tree.

The objects of the .c files that a patch touches, and after a change of a header every object that holds a kfunc set,
are compiled at the patch and at its parent with W=1; what the parent does not say is a finding. The configuration is
checks/bpf.config. An undefined symbol in .BTF_ids (a misspelt flag that stands alone) fails, because a compiler never
sees it. What this configuration does not compile is SKIP, never PASS.

Options: config (a fragment, or a list of them, instead of bpf.config), cc, cross_compile, ccache, jobs.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import patchbot
from patchbot.bench import Bench, Compiled, Unit
from patchbot.benches import APART, compiler_of, open_bench, units_of, wanted_options
from patchbot.check import Item, Outcome, Subject
from patchbot.kbuild import ARCH
from patchbot.model import Finding, Status

NEEDS = {
    "bc": "bc",
    "bison": "bison",
    "flex": "flex",
    "gcc": "gcc",
    "ld": "binutils",
    "make": "make",
    "pahole": "pahole or dwarves",
    "perl": "perl",
}
EXCLUSIVE = True

#: The modules that decide what is found; a change of one of them makes the stored results worthless.
READERS = ("bench", "benches", "kbuild", "unresolved", "warnings")
COMPILED = (".c", ".S")
HEADERS = (".h",)
#: Files that a compiler or make reads, but whose effect one object does not show.
UNSEEN = ("Makefile", "Kbuild", "Kconfig")


@dataclass(frozen=True)
class Plan:
    """What to compile for one patch."""

    code: tuple[str, ...]
    before: frozenset[Unit]
    after: frozenset[Unit]


def key(subject: Subject, item: Item) -> str:
    """Return what the compiler reads: both trees, the configuration, the tools, and how their output is read."""
    compiler = compiler_of(subject.options)
    folder = Path(patchbot.__file__).parent
    reader = hashlib.sha256(b"\0".join((folder / f"{name}.py").read_bytes() for name in READERS)).hexdigest()
    options = json.dumps(wanted_options(subject.options), sort_keys=True)
    first = item.parent == subject.base
    return f"{item.parent_tree} {item.tree} {first} {subject.campaign} {compiler.versions} {reader}\n{options}"


def check(subject: Subject, item: Item) -> Outcome:
    """Compile what a patch touches, before and after it."""
    log = subject.log("build", item)
    code = tuple(p for p in item.files if p.endswith(COMPILED + HEADERS) or is_unseen(p))
    if not code:
        return Outcome(Status.SKIP, reason="there is nothing to compile in it")
    log.write_text(f"build of {item.commit} and of its parent {item.parent}\n")
    bench = open_bench(subject, subject.options)
    plan = choose(bench, subject, item, code, log)
    before = bench.compile(item.parent_tree, plan.before, log)
    after = bench.compile(item.tree, plan.after, log)
    findings = [*judge_config(bench, subject, item, log), *judge(before, after)]
    named = {f.file for f in findings}
    unseen = [p for p in code if p not in named and not is_examined(bench, item, p, after)]
    unexamined = {path: why_not(bench, item, path) for path in unseen}
    stuck = [u.obj for u, r in after.items() if not r.built and u in before and not before[u].built]
    with open(log, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"\nobjects: {' '.join(sorted(u.obj for u in after))}\n")
        file.writelines(f"new: {f.file}:{f.line}: {f.message} [{f.type}]\n" for f in findings)
    parts = [f"compiled {names(u.obj for u, r in after.items() if r.built)}"] if after else []
    parts += [f"not compiled here: {names(f'{p} ({why})' for p, why in unexamined.items())}"] if unexamined else []
    parts += [f"does not compile at the parent either: {names(stuck)}"] if stuck else []
    parts += note_unknown(bench, subject, item, log)
    status = Status.worst([Status.SKIP if unexamined or stuck else Status.PASS, *(f.status for f in findings)])
    return Outcome(status, tuple(findings), "; ".join(parts), len(after), log, reproduce(bench, item, after))


def choose(bench: Bench, subject: Subject, item: Item, code: Sequence[str], log: Path) -> Plan:
    """Return the objects to compile: those of touched sources, and the witnesses of touched headers."""
    files = bench.files(item.tree)
    old_files = bench.files(item.parent_tree)
    sources = {p for p in code if p.endswith(COMPILED)}
    headers = [p for p in code if p.endswith(HEADERS)]
    if headers:
        # A header below tools/ has nothing to say to the kernel.
        kernel = any(not p.startswith("tools/") for p in headers)
        sources |= {p for p in subject.witnesses(item.commit) if kernel or p.startswith("tools/")}
    after = {u for s in sorted(sources) if s in files for u in units_of(bench, item.tree, s, log)}
    before = {u for s in sorted(sources) if s in old_files for u in units_of(bench, item.parent_tree, s, log)}
    if any(p.startswith("tools/") for p in code):
        tools = set(bench.tool_units(item.parent_tree, code, log))
        before |= tools
        after |= {*bench.tool_units(item.tree, code, log), *(u for u in tools if u.source in files)}
    return Plan(tuple(code), frozenset(before), frozenset(after))


def judge(before: Mapping[Unit, Compiled], after: Mapping[Unit, Compiled]) -> list[Finding]:
    """Return what is said after the patch and not before it: an error or a new warning, both fail."""
    old = {finding for result in before.values() for finding in result.findings}
    new = {finding for result in after.values() for finding in result.findings} - old
    return [replace(f, status=Status.FAIL) for f in sorted(new, key=lambda f: (f.file or "", f.line or 0, f.message))]


def judge_config(bench: Bench, subject: Subject, item: Item, log: Path) -> list[Finding]:
    """Return the wanted options that the kernel knows and drops: all on the first patch, then new ones."""
    config = bench.config(item.tree, log)
    old = set() if item.parent == subject.base else set(bench.config(item.parent_tree, log).dropped)
    found = [
        Finding(
            Status.WARN,
            f"CONFIG_{symbol}={bench.options[symbol]} is wanted but dropped: a dependency is missing",
            type="config-dropped",
        )
        for symbol in config.dropped
        if symbol not in old
    ]
    if not config.btf:
        text = "CONFIG_DEBUG_INFO_BTF is off, so no kfunc set was compiled; does the kernel accept this pahole?"
        found.append(Finding(Status.WARN, text, type="no-btf"))
    return found


def note_unknown(bench: Bench, subject: Subject, item: Item, log: Path) -> list[str]:
    """Return, for the first patch, the note which wanted options this kernel does not have at all."""
    config = bench.config(item.tree, log)
    if item.parent != subject.base or not config.unknown:
        return []
    return [f"this kernel has no {names(f'CONFIG_{s}' for s in config.unknown)}"]


def is_examined(bench: Bench, item: Item, path: str, after: Mapping[Unit, Compiled]) -> bool:
    """Say whether some object shows the effect of the patch on a file."""
    if path not in bench.files(item.tree):
        return bool(after)
    return any(path in r.files or (path == r.unit.source and not r.built) for r in after.values())


def why_not(bench: Bench, item: Item, path: str) -> str:
    """Return why no object shows the effect of the patch on a file."""
    if path not in bench.files(item.tree):
        return "deleted, and nothing else was compiled"
    if is_unseen(path):
        return "build rules"
    if path.startswith(APART):
        return "not a part of the kernel"
    return "nothing that was compiled includes it" if path.endswith(HEADERS) else "not in this configuration"


def is_unseen(path: str) -> bool:
    """Say whether a file steers the build of the kernel itself."""
    return path.rpartition("/")[2].startswith(UNSEEN) and not path.startswith(APART)


def names(items: Iterable[str]) -> str:
    """Return names for a sentence, not too many."""
    rows = sorted(items)
    return (", ".join(rows[:6]) + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")) or "nothing"


def reproduce(bench: Bench, item: Item, after: Mapping[Unit, Compiled]) -> str:
    """Return one shell line that compiles the same objects."""
    short = item.commit[:12]
    fragment = shlex.quote(str(bench.kbuild.out / ".patchbot-fragment"))
    variables = [f"ARCH={ARCH}", *([f"CROSS_COMPILE={c}"] if (c := bench.kbuild.compiler.cross) else [])]
    make = f"make {' '.join(variables)}"
    kernel = [u.obj for u in sorted(after) if not u.module and not u.tool]
    steps = [f"git worktree add --detach ../build-{short} {short}", f"cd ../build-{short}"]
    steps += [f"{make} KCONFIG_ALLCONFIG={fragment} allnoconfig"]
    steps += [f"{make} -j$(nproc) -k W=1 {' '.join(map(shlex.quote, kernel)) or 'prepare'}"]
    for unit in sorted(u for u in after if u.module):
        goal = unit.obj.removeprefix(f"{unit.module}/")
        steps.append(f"{make} W=1 M={shlex.quote(unit.module)} {shlex.quote(goal)}")
    return " && ".join(steps)
