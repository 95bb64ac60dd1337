"""What the kfunc sets mean to the verifier is the same before and after each patch, byte for byte in .BTF_ids.

Every object that holds a set is compiled with BTF, its .BTF_ids is read, and the flags of each kfunc are spread over
the arguments that they reach by the compiled prototype and by what this kernel's verifier does. A patch may write a
flag in another way, but not lose a row, change what holds for an argument, miss one of several sets of a kfunc, or
touch other bytes; and the rows must be those of the inventory. No compiler sees any of this: flags are assembler input.

The configuration is that of the check `build`. Options: wrong_on_purpose, the files (of test modules) whose sets are
wrong so that the kernel refuses them; only changes of these are judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import patchbot
from patchbot.bench import Bench, Unit
from patchbot.benches import (
    compiler_of,
    flags_of,
    open_bench,
    read_of,
    shelf_of,
    units_of,
    wanted_options,
)
from patchbot.check import Item, Outcome, Subject
from patchbot.config import known
from patchbot.effective import BPF_TYPES, RCU, RELEASE, VERIFIER, Flags, Rule, read_rule
from patchbot.errors import PatchbotError, UserError
from patchbot.model import Finding, Status
from patchbot.readings import Reading, read_object
from patchbot.setdiff import Places, State, agree, compare, group, inspect, layout, mismatches, uncovered

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
READERS = ("bench", "benches", "btfids", "btfproto", "effective", "kbuild", "readings", "setdiff")
ABOUT_ARGUMENTS = frozenset({RCU, RELEASE})


@dataclass(frozen=True)
class Snapshot:
    """The sets at one commit: what they mean, where their rows are, the object of each file, what did not compile."""

    state: State
    places: Places
    objects: Mapping[str, str]
    broken: Mapping[str, str] = field(default_factory=dict)
    compiled: int = 0


_snapshots: dict[tuple[str, str], Snapshot] = {}


def key(subject: Subject, item: Item) -> str:
    """Return what is read: both trees, the rules of the base, the configuration, the decisions, the readers."""
    return f"{item.parent_tree} {item.tree} {common_key(subject)}"


def key_series(subject: Subject) -> str:
    """Return what `check_series` reads."""
    return f"series {' '.join(i.tree for i in subject.items)} {common_key(subject)}"


def common_key(subject: Subject) -> str:
    """Return what all patches have in common."""
    known("patchbot.toml", "checks.btf", subject.options, ("wrong_on_purpose",))
    folder = Path(patchbot.__file__).parent
    readers = hashlib.sha256(b"\0".join((folder / f"{name}.py").read_bytes() for name in READERS)).hexdigest()
    options = build_options(subject)
    parts = [compiler_of(options).versions, wanted_options(options), subject.decisions, subject.campaign]
    parts.append(wrong_on_purpose(subject))
    base = subject.scratch.git("rev-parse", f"{subject.base}^{{tree}}").stdout.decode().strip()
    return f"{base} {readers}\n{json.dumps(parts, sort_keys=True)}"


def check(subject: Subject, item: Item) -> Outcome:
    """Compare the sets before and after a patch, and look at what it leaves."""
    log = subject.log("btf", item)
    log.write_text(f"btf of {item.commit} and of its parent {item.parent}\n")
    before = snapshot(subject, item.parent, item.parent_tree, log)
    after = snapshot(subject, item.commit, item.tree, log)
    old, new = common(before, after)
    findings = [*judge(before, after, subject), *judge_rule(subject, item)]
    # What the parent has as well is not this patch's fault; the first patch answers for what the base has.
    inherited = set() if item.parent == subject.base else set(faults(before, subject))
    findings += [f for f in faults(after, subject, old) if f not in inherited]
    rewritten = rewrites(old, new)
    note(log, rewritten, findings)
    compared = f"{len(new.rows)} rows in {len(new.readings)} objects"
    reason = f"{compared} mean the same, {len(rewritten)} of them written anew"
    if findings:
        reason = f"{compared} compared, {len(findings)} findings"
    if not after.places.entries:
        reason += "; not compared with an inventory, there is none"
    return Outcome.of(findings, examined=len(new.rows), reason=reason, log=log, reproduce=reproduce(item))


def judge(before: Snapshot, after: Snapshot, subject: Subject) -> list[Finding]:
    """Return what a patch changed that it may not."""
    old, new = common(before, after)
    findings = [Finding(Status.FAIL, f"{o} does not compile: {why}", type="BUILD") for o, why in after.broken.items()]
    return [*findings, *compare(old, new, after.places, subject.decisions), *unseen(before, after)]


def check_series(subject: Subject) -> Outcome:
    """Compare the sets of the base with those of the last patch, and list the rows that no object shows."""
    log = subject.log("btf", None)
    log.write_text(f"btf of {subject.base}..{subject.items[-1].commit}\n")
    first = snapshot(subject, subject.base, subject.items[0].parent_tree, log)
    last = snapshot(subject, subject.items[-1].commit, subject.items[-1].tree, log)
    old, new = common(first, last)
    findings = judge(first, last, subject)
    missing = [(entry, why_not(entry, why, last)) for entry, why in uncovered(last.state, last.places, last.objects)]
    listed = [
        Finding(
            Status.SKIP, f"{e['kfunc']}() in {e['set']} is not compiled: {why}", e["file"], int(e["line"]), "UNCOVERED"
        )
        for e, why in missing
    ]
    rewritten = rewrites(old, new)
    note(log, rewritten, [*findings, *listed])
    reason = (
        f"{len(subject.items)} patches: {len(new.rows)} rows ({new.arguments} arguments) in "
        f"{len(new.readings)} objects compared with the base, {len(rewritten)} written anew, "
        f"{len(findings)} differences; "
        f"{len(listed)} rows are not compiled{': ' if listed else ''}{reasons(missing)}"
    )
    # Rows that are listed with a reason don't make the comparison of all others any worse.
    status = Outcome.of(findings, examined=len(new.rows)).status
    return Outcome(status, (*findings, *listed), reason, len(new.rows), log)


def note(log: Path, rewritten: Sequence[str], findings: Sequence[Finding]) -> None:
    """Write to the log what is written anew and what was found."""
    with open(log, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in rewritten)
        file.writelines(f"{f.type}: {f.file}:{f.line}: {f.message}\n" for f in findings)


def snapshot(subject: Subject, commit: str, tree: str, log: Path) -> Snapshot:
    """Return the sets at a commit, compiled as far as that is not known."""
    where = (str(subject.work), commit)
    if where not in _snapshots:
        bench = open_bench(subject, build_options(subject))
        entries = subject.rows(commit)
        sources = sorted({*subject.witnesses(commit), *(e["file"] for e in entries), *definitions(entries)})
        files = bench.files(tree)
        units: dict[str, Unit] = {}
        for source in sources:
            found = units_of(bench, tree, source, log) if source.endswith(".c") and source in files else []
            if found:
                units[source] = found[0]
        flags = flags_of(bench, tree)
        readings, broken, compiled = read_all(subject, bench, tree, sorted(set(units.values())), flags, log)
        objects = {source: unit.obj for source, unit in units.items() if unit.obj in readings}
        state = State(flags, rule_of(bench, subject.items[0].parent_tree), readings)
        for old in list(_snapshots)[:-3]:
            del _snapshots[old]
        _snapshots[where] = Snapshot(state, Places(entries), objects, broken, compiled)
    return _snapshots[where]


def definitions(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the files that define the kfuncs whose flags are about arguments: their objects have the prototypes."""
    return {
        str(e["prototype"]["file"])
        for e in entries
        if e.get("prototype") and (e["arg_flags"] or ABOUT_ARGUMENTS & set(e["flags"]))
    }


def read_all(
    subject: Subject, bench: Bench, tree: str, units: Sequence[Unit], flags: Flags, log: Path
) -> tuple[dict[str, Reading], dict[str, str], int]:
    """Return the readings of objects at a tree, why others do not compile, and how many had to be compiled."""
    files = bench.files(tree)
    shelf = shelf_of(bench, subject.work, bench.config(tree, log).digest)
    readings = {unit.obj: shelf.find(unit.obj, files) for unit in units}
    missing = [unit for unit in units if readings[unit.obj] is None]
    broken = {}
    if missing:
        subject.progress(f"btf: compiling {len(missing)} objects")
        for result, path in bench.fetch(tree, missing, log):
            name = result.unit.obj
            if result.built:
                # Bench.watch put it on the shelf; without that, or if it could not, this says why.
                readings[name] = shelf.find(name, files) or read_object(name, path, flags.trailer)
            else:
                first = min(result.findings, key=lambda f: (f.file or "", f.line or 0), default=None)
                broken[name] = f"{first.file}:{first.line}: {first.message}" if first else "see the log"
    return {name: r for name, r in readings.items() if r is not None}, broken, len(missing)


def common(before: Snapshot, after: Snapshot) -> tuple[State, State]:
    """Return both states without the objects that did not compile in one of them."""
    broken = {*before.broken, *after.broken}
    return before.state.without(broken), after.state.without(broken)


def faults(snapshot_: Snapshot, subject: Subject, before: State | None = None) -> list[Finding]:
    """Return what is wrong at one commit: bytes, disagreeing sets, rows that differ from the inventory."""
    places, objects = snapshot_.places, snapshot_.objects
    apart = {objects[path] for path in wrong_on_purpose(subject) if path in objects}
    state = snapshot_.state.without(apart)
    found = [*layout(snapshot_.state), *inspect(state, places), *agree(before, state, places)]
    if places.entries:
        found += mismatches(state, places, {path: obj for path, obj in objects.items() if obj not in apart})
    return found


def wrong_on_purpose(subject: Subject) -> Sequence[str]:
    """Return the files whose sets the kernel is to refuse: only changes of them are judged."""
    paths = subject.options.get("wrong_on_purpose", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise UserError(f"[checks.btf] wrong_on_purpose must be a list of paths, not {paths!r}")
    return paths


def unseen(before: Snapshot, after: Snapshot) -> list[Finding]:
    """Return the rows that a patch changes and that no object shows."""
    was = {text_of(e) for e in before.places.entries}
    return [
        after.places.finding(
            "UNCOVERED",
            f"{e['set']}: the row of {e['kfunc']}() changes, and nothing compiles it: {why_not(e, why, after)}",
            str(e["set"]),
            str(e["kfunc"]),
        )
        for e, why in uncovered(after.state, after.places, after.objects)
        if text_of(e) not in was
    ]


def text_of(entry: Mapping[str, Any]) -> str:
    """Return what an entry of the inventory says of a row, without its place."""
    names = ("kfunc", "set", "file", "flags", "arg_flags", "fate")
    return json.dumps([entry.get(name) for name in names], sort_keys=True)


def why_not(entry: Mapping[str, Any], why: str, snapshot_: Snapshot) -> str:
    """Return why no object shows a row."""
    file = str(entry["file"])
    if why:
        return why
    if file.startswith("tools/"):
        return "no module of the kernel: user space"
    if snapshot_.broken:
        return f"{file} does not compile, or is in no object of this configuration"
    return f"{file} is in no object of this configuration"


def reasons(missing: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    """Return the reasons for rows that are not compiled, with their numbers."""
    count: dict[str, int] = {}
    for _, why in missing:
        count[why] = count.get(why, 0) + 1
    return "; ".join(f"{number} {why}" for why, number in sorted(count.items()))


def rewrites(old: State, new: State) -> list[str]:
    """Return a line for each row that is written in another way, with what it means."""
    before = group(old.rows)
    lines = []
    for row in new.rows:
        was = before.get((row.object, row.set, row.kfunc), [])
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
    bench = open_bench(subject, build_options(subject))
    old = rule_of(bench, subject.items[0].parent_tree)
    try:
        new = rule_of(bench, item.tree)
    except PatchbotError as error:
        return [Finding(Status.FAIL, str(error), VERIFIER, None, "RULE")]
    if new == old:
        return []
    text = f"what the verifier makes of the flags of a whole kfunc changes: {old} became {new}"
    return [Finding(Status.FAIL, text, VERIFIER, None, "RULE")]


def rule_of(bench: Bench, tree: str) -> Rule:
    """Return what the verifier of a tree does."""
    return read_rule(read_of(bench, tree, VERIFIER), read_of(bench, tree, BPF_TYPES))


def build_options(subject: Subject) -> Mapping[str, Any]:
    """Return [checks.build] of patchbot.toml, which says how objects are compiled."""
    return subject.tables.get("build", {})


def reproduce(item: Item) -> str:
    """Return what shows the bytes by hand."""
    return f"compile the objects at {item.parent[:12]} and {item.commit[:12]}; readelf -x .BTF_ids and -s of both"
