"""What the kfunc sets mean to the verifier is the same before and after each patch, byte for byte in .BTF_ids.

Every object that holds a set is compiled with BTF, its .BTF_ids is read, and the flags of each kfunc are spread over
the arguments that they reach by the compiled prototype and by this kernel's verifier. A patch may write a flag in
another way, but not lose a row, change what holds for an argument, miss one of several sets of a kfunc, or touch other
bytes; and the rows must be those of the inventory. No compiler sees any of this: flags are assembler input.
A row that x86 cannot have (`#ifdef CONFIG_S390`) is compiled and judged for an architecture that can, if the compiler
for that is installed; rows that nothing compiles are listed, each with the reason.

The configuration is that of the check `build`. Options: wrong_on_purpose, the files (of test modules) whose sets are
wrong so that the kernel refuses them; only changes of these are judged.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from patchbot.build.arches import X86
from patchbot.build.benches import cross_versions, each_bench, make_lines, open_bench
from patchbot.build.options import wanted_options
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.campaigns.kfunc_flags.proof.meaning import BPF_TYPES, VERIFIER, rule_of
from patchbot.campaigns.kfunc_flags.proof.rules import (
    State,
    agree,
    compare,
    group,
    inspect,
    layout,
    mismatches,
    new_gains,
)
from patchbot.campaigns.kfunc_flags.proof.snapshots import Sides, Snapshot, View, compiling, look
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.config import fit
from patchbot.errors import PatchbotError
from patchbot.model import Finding, Status
from patchbot.series.campaign import Site
from patchbot.series.render import plural
from patchbot.shapes import Text

NEEDS = PROGRAMS
EXCLUSIVE = True
CAMPAIGN = "kfunc_flags"


def key(subject: Subject, item: Item) -> str:
    """Return the input: both trees, the rules of the base, the configuration, the decisions."""
    return f"{item.parent_tree} {item.tree} {common_key(subject)}"


def key_series(subject: Subject) -> str:
    """Return what `check_series` reads."""
    return f"series {' '.join(i.tree for i in subject.items)} {common_key(subject)}"


@dataclass(frozen=True)
class Options:
    """[checks.btf]: the files whose sets the kernel must refuse; only changes of them are judged."""

    wrong_on_purpose: tuple[Text, ...] = ()


OPTIONS = Options


def options_of(subject: Subject) -> Options:
    """Return the check's own options."""
    return fit("patchbot.toml", "checks.btf", subject.options, Options)


def common_key(subject: Subject) -> str:
    """Return what all patches have in common."""
    options = compiling(subject)
    parts = [compiler_of(options).versions, wanted_options(options, subject.wishes), subject.decisions]
    parts += [subject.campaign, options_of(subject).wrong_on_purpose, cross_versions(options)]
    base = subject.scratch.tree_of(subject.base)
    return f"{base}\n{json.dumps(parts, sort_keys=True)}"


def check(subject: Subject, item: Item) -> Outcome:
    """Compare the sets before and after a patch, and judge those after it."""
    log = subject.log("btf", item)
    open_bench(subject, compiling(subject))  # before the log: another run that has the bench writes to that file
    log.write_text(f"btf of {item.commit} and of its parent {item.parent}\n")
    view = look(subject, (item.parent, item.parent_tree), (item.commit, item.tree), log)
    findings = [*everywhere(view, lambda sides: judge(sides, subject)), *unseen(view), *judge_rule(subject, item)]
    first = item.parent == subject.base
    findings += everywhere(view, lambda sides: new_faults(sides, subject, first=first))
    rewritten = list(dict.fromkeys(line for sides in view.sides for line in rewrites(sides)))
    note(log, rewritten, findings)
    rows = sum(len(sides.states[1].rows) for sides in view.sides)
    more = gains(view)
    reason = f"{counted(view)} mean the same{', but for gains' if more else ''}, {len(rewritten)} of them rewritten"
    if findings:
        reason = f"{counted(view)} compared, {len(findings)} findings"
    reason += more + abroad(view)
    if not view.main.after.places.sites:
        reason += "; not compared with an inventory, there is none"
    return Outcome.of(findings, examined=rows, reason=reason, log=log, reproduce=reproduce(subject, item, view))


def judge(sides: Sides, subject: Subject) -> list[Finding]:
    """Return what a patch changed but must not."""
    # Code that cannot be compiled for another architecture at all explains rows that are listed.
    known = sides.before.broken if sides.arch != X86 else {}
    broken = {o: why for o, why in sides.after.broken.items() if o not in known}
    findings = [Finding(Status.FAIL, f"{o} does not compile: {why}", type="BUILD") for o, why in broken.items()]
    old, new = (state.without(apart(sides.after, subject)) for state in sides.states)
    return [*findings, *compare(old, new, sides.after.places, subject.decisions)]


def apart(snapshot_: Snapshot, subject: Subject) -> set[str]:
    """Return the objects whose sets are wrong on purpose, so that nothing can be said of their bytes."""
    return {snapshot_.objects[p] for p in options_of(subject).wrong_on_purpose if p in snapshot_.objects}


def everywhere(view: View, rule: Callable[[Sides], Sequence[Finding]]) -> list[Finding]:
    """Return what a rule finds for x86, and what it finds for other architectures only, with their names."""
    return each_bench((sides.arch.mark, rule(sides)) for sides in view.sides)


def check_series(subject: Subject) -> Outcome:
    """Compare the sets of the base with those of the last patch, and list the rows that are in no object."""
    log = subject.log("btf", None)
    last = subject.items[-1]
    open_bench(subject, compiling(subject))
    log.write_text(f"btf of {subject.base}..{last.commit}\n")
    view = look(subject, (subject.base, subject.items[0].parent_tree), (last.commit, last.tree), log)
    findings = [*everywhere(view, lambda sides: judge(sides, subject)), *unseen(view)]
    missing = view.missing()
    text = "{kfunc}() in {set} is not compiled: "
    listed = [Finding(Status.SKIP, text.format_map(e.details) + why, e.file, e.line, "UNCOVERED") for e, why in missing]
    rewritten = list(dict.fromkeys(line for sides in view.sides for line in rewrites(sides)))
    note(log, rewritten, [*findings, *listed])
    reason = (
        f"{plural(len(subject.items), 'patch', 'patches')}: {counted(view)} compared with the base, "
        f"{len(rewritten)} rewritten, "
        f"{plural(len(findings), 'difference')}{gains(view)}{abroad(view)}; "
        f"{plural(len(listed), 'row is', 'rows are')} not compiled{': ' if listed else ''}{reasons(missing)}"
    )
    # Rows that are listed with a reason don't invalidate the comparison of the others.
    examined = len(view.main.states[1].rows)
    return Outcome(Outcome.of(findings, examined=examined).status, (*findings, *listed), reason, examined, log)


def counted(view: View) -> str:
    """Return how many rows were compared in how many objects."""
    new = view.main.states[1]
    rows, arguments = plural(len(new.rows), "row"), plural(new.arguments, "argument")
    return f"{rows} ({arguments}) in {plural(len(new.readings), 'object')}"


def gains(view: View) -> str:
    """Return which arguments gain what, "" if none does."""
    found = sorted({line for sides in view.sides for line in new_gains(*sides.states)})
    return f"; {plural(len(found), 'argument gains', 'arguments gain')}: {', '.join(found)}" if found else ""


def abroad(view: View) -> str:
    """Return how many rows were compared for other architectures, with those that x86 lacks."""
    text = ""
    own = {(r.set, r.kfunc) for r in view.main.states[1].rows}
    for sides in view.sides[1:]:
        other = sides.states[1]
        only = sorted({f"{r.kfunc}()" for r in other.rows if (r.set, r.kfunc) not in own})
        rows, objects = plural(len(other.rows), "row"), plural(len(other.readings), "object")
        text += f"; compared for {sides.arch.folder}: {rows} in {objects}"
        text += f", only there {', '.join(only)}" if only else ""
    return text


def note(log: Path, rewritten: Sequence[str], findings: Sequence[Finding]) -> None:
    """Write the rewritten rows and the findings to the log."""
    with open(log, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in rewritten)
        file.writelines(f"{f.type}: {f.file}:{f.line}: {f.message}\n" for f in findings)


def new_faults(sides: Sides, subject: Subject, *, first: bool) -> list[Finding]:
    """Return what is wrong after a patch; for all but the first, only what its parent does not have."""
    inherited = set() if first else set(faults(sides.before, subject))
    return [f for f in faults(sides.after, subject, sides.states[0]) if f not in inherited]


def faults(snapshot_: Snapshot, subject: Subject, before: State | None = None) -> list[Finding]:
    """Return what is wrong at one commit: bytes, disagreeing sets, rows that differ from the inventory."""
    places, objects, wrong = snapshot_.places, snapshot_.objects, apart(snapshot_, subject)
    state = snapshot_.state.without(wrong)
    found = [*layout(state), *inspect(state, places), *agree(before, state, places)]
    if places.sites:
        found += mismatches(state, places, {path: obj for path, obj in objects.items() if obj not in wrong})
    return found


def unseen(view: View) -> list[Finding]:
    """Return the rows that a patch changes and that are in no object."""
    before, after = view.main.before.places, view.main.after.places
    was = {text_of(e) for e in before.sites}
    found = []
    for site, why in view.missing():
        if text_of(site) not in was:
            set_, kfunc = str(site.details["set"]), str(site.details["kfunc"])
            text = f"{set_}: the row of {kfunc}() changes, and nothing compiles it: {why}"
            found.append(after.finding("UNCOVERED", text, set_, kfunc))
    return found


def text_of(site: Site) -> str:
    """Return what an entry of the inventory says about a row, without its place."""
    names = ("kfunc", "set", "file", "flags", "arg_flags", "fate")
    return json.dumps([site.entry().get(name) for name in names], sort_keys=True)


def reasons(missing: Sequence[tuple[Site, str]]) -> str:
    """Return the reasons for rows that are not compiled, with their numbers."""
    return "; ".join(f"{number} {why}" for why, number in sorted(Counter(why for _, why in missing).items()))


def rewrites(sides: Sides) -> list[str]:
    """Return a line for each row that is rewritten, with its meaning."""
    old, new = sides.states
    before = group(old.rows, attrgetter("key"))
    lines = []
    for row in new.rows:
        was = before.get(row.key, [])
        if was and (was[0].flags, was[0].records) != (row.flags, row.records):
            meaning = ", ".join(sorted(map(str, row.effects)))
            lines.append(
                f"{row.set}: {row.kfunc}(): {was[0].flags} {was[0].records} is now {row.flags} {row.records}: {meaning}"
            )
    return lines


def judge_rule(subject: Subject, item: Item) -> list[Finding]:
    """Return a finding if the verifier no longer treats the flags of a whole kfunc as the base does."""
    if not {VERIFIER, BPF_TYPES} & set(item.files):
        return []
    old = rule_of(subject.scratch, subject.items[0].parent_tree)
    try:
        new = rule_of(subject.scratch, item.tree)
    except PatchbotError as error:
        return [Finding(Status.FAIL, str(error), VERIFIER, None, "RULE")]
    if new == old:
        return []
    text = f"the verifier treats the flags of a whole kfunc differently: {old} became {new}"
    return [Finding(Status.FAIL, text, VERIFIER, None, "RULE")]


def reproduce(subject: Subject, item: Item, view: View) -> str:
    """Return one shell line that shows the bytes that a patch touches, before and after it."""
    steps = []
    for sides in view.sides:
        units = sides.after.units
        chosen = sorted({unit for source, unit in units.items() if source in item.files} or set(units.values()))
        if not chosen:
            continue
        bench = open_bench(subject, compiling(subject), sides.arch)
        steps += make_lines(bench, chosen)
        places = [unit.obj if unit.module else f"out-{sides.arch.folder}/{unit.obj}" for unit in chosen]
        steps.append(f"readelf -W -s -x .BTF_ids {' '.join(map(shlex.quote, places))}")
    make = " && ".join(steps)
    return (
        f"for c in {item.parent[:12]} {item.commit[:12]}; do git worktree add --detach ../btf-$c $c && "
        f"(cd ../btf-$c && {make}); done"
    )
