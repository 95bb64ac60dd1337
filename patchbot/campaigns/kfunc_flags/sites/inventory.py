"""Account for every row of every kfunc set in a tree, with its prototype, the class of each argument and its fate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ....config import CampaignConfig
from ....errors import UserError
from ....progress import ticked
from ....series.campaign import Audit, Site
from ....series.tree import Tree
from .classify import Verifier, classify, read_verifier
from .files import SETS_HEADER, candidates, defining
from .flags import macros_of, read_flags
from .nouns import FileSets, KfuncSet, Row, SetError
from .plan import SELFTESTS, UNDECIDED, Case, Plan, in_question, merged, plan_row, read_decisions, refuse
from .prototypes import TOOLS, Missing, Prototype, find_prototypes
from .registrations import registered, unseen
from .sets import read_sets
from .shadows import foreign

#: Below tools/: the signs of kernel code, and those of user space.
_MODULE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<linux/module\.h>|^MODULE_LICENSE\b", re.MULTILINE)
_KERNEL = re.compile(rb"<linux/(?:module|init)\.h>|\bMODULE_LICENSE\b|\b__bpf_kfunc\b|\bbtf_kfunc_id_set\b")
_USER = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*<(?:bpf/|std\w+\.h|string\.h|unistd\.h)|\bint main\(", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A row, what is known about its kfunc, and its plan; `site` is its name, the same in every tree."""

    site: str
    row: Row
    prototype: Prototype | Missing
    classes: tuple[str, ...]
    plan: Plan

    @property
    def where(self) -> str:
        """Return `file:line` of the row."""
        return f"{self.row.file}:{self.row.line}"

    @property
    def arg_flags(self) -> tuple[tuple[str, ...], ...]:
        """Return the flags of each argument in the row after its plan."""
        return merged(self.row.arg_flags, self.plan.arguments)


@dataclass(frozen=True)
class Inventory:
    """All sets and rows of a tree, in the order of files and text."""

    sets: tuple[KfuncSet, ...]
    entries: tuple[Entry, ...]
    verifier: Verifier
    warnings: tuple[str, ...]

    def changed(self, *flags: str) -> tuple[Entry, ...]:
        """Return the entries in which any of some flags will be converted."""
        return tuple(
            e for e in self.entries if e.plan.fate == "change" and not e.plan.arguments.keys().isdisjoint(flags)
        )


def inventory(tree: Tree, config: CampaignConfig, verifier: Verifier | None = None) -> Inventory:
    """Return the inventory of `tree`; raise SetError with everything that is not understood and all refused rows.

    `verifier` says what the flags mean; a step whose tree has a changed verifier passes the one of the base.
    """
    problems: list[str] = []
    try:
        verifier = verifier or read_verifier(tree)
    except UserError as error:
        problems.append(str(error))
        verifier = Verifier("unknown", False, frozenset(), frozenset())
    decisions = read_decisions(config)
    files = candidates(tree)
    by_file = {path: read_sets(tree, path) for path in ticked("files that have to do with sets", files, len(files))}
    problems += [line for path in sorted(by_file) for line in by_file[path].problems]
    problems += unseen({path: registered(path, tree.read(path)) for path in files}, by_file)
    problems += foreign(tree, by_file)
    by_file = {path: found for path, found in by_file.items() if found.sets}
    flags = read_flags(tree)
    user_space = {path for path in by_file if is_user_space(path, tree.read(path))}
    kernel = [row for path, found in by_file.items() if path not in user_space for row in found.rows]
    needed = {row.kfunc for row in kernel if set(in_question(config)) & set(row.flags)}
    prototypes = find_prototypes(tree, [(row.kfunc, row.file) for row in kernel], defining(tree, files), needed)
    entries: list[Entry] = []
    names: Counter[str] = Counter()
    for path in sorted(by_file):
        owners = owners_in(by_file[path])
        for row in by_file[path].rows:
            prototype = prototypes.get((row.kfunc, path), Missing("user space: not looked for"))
            classes = (
                () if isinstance(prototype, Missing) else classify(row.kfunc, prototype.params, row.flags, verifier)
            )
            decision, user = decisions.get(row.kfunc, UNDECIDED), path in user_space
            case = Case(row, owners[row.set], user, prototype, classes, verifier, flags, decision, config)
            site = f"{row.kfunc}@{row.set}"
            names[site] += 1
            site += f"#{names[site]}" if names[site] > 1 else ""
            entries.append(Entry(site, row, prototype, classes, plan_row(case)))
    present = {e.row.kfunc for e in entries}
    lacking = [k for k, d in decisions.items() if k not in present and not d.optional]
    warnings = tuple(
        f"patchbot.toml has a decision for {k}(), which is in no kfunc set of this tree" for k in sorted(lacking)
    )
    if by_file and not macros_of(tree, SETS_HEADER, "BTF_KFUNCS_START"):
        warnings += (
            f"{SETS_HEADER}: it has no BTF_KFUNCS_START(), so no set of this tree can say that it holds kfuncs",
        )
    sets = tuple(s for path in sorted(by_file) for s in by_file[path].sets)
    entries = agreed(entries)
    if problems:
        refused = [f"{e.where}: {e.site}: {e.plan.reason}" for e in entries if e.plan.fate == "refuse"]
        raise SetError("\n".join([*problems, *refused]))
    return Inventory(sets, tuple(entries), verifier, warnings)


def is_user_space(path: str, text: bytes) -> bool:
    """Say whether a file is a user-space program, in which a set is only a test of the section's format.

    Tests that are not modules are; elsewhere below tools/, a file without a sign of either counts as kernel code.
    """
    if path.startswith(SELFTESTS):
        return not _MODULE.search(text)
    return path.startswith(TOOLS) and not _KERNEL.search(text) and _USER.search(text) is not None


def owners_in(found: FileSets) -> dict[str, KfuncSet]:
    """Return the sets of a file by name; of two with the same name (under #if and #else), one that holds kfuncs."""
    return {s.name: s for s in sorted(found.sets, key=lambda s: s.kfunc)}


def agreed(entries: Sequence[Entry]) -> list[Entry]:
    """Return `entries`, with those refused whose kfunc would get argument flags in only some of its sets.

    The kernel refuses to register a kfunc whose argument flags differ between two sets.
    """
    plans: dict[str, set[tuple[tuple[str, tuple[int, ...]], ...]]] = {}
    for entry in entries:
        if entry.plan.fate == "change" or (entry.plan.fate == "keep" and not entry.row.file.startswith(TOOLS)):
            plans.setdefault(entry.row.kfunc, set()).add(tuple(sorted(entry.plan.arguments.items())))
    out = []
    for entry in entries:
        if entry.plan.fate == "change" and len(plans[entry.row.kfunc]) > 1:
            others = sorted(e.where for e in entries if e.row.kfunc == entry.row.kfunc and e.site != entry.site)
            entry = replace(
                entry, plan=refuse(f"the rows of {entry.row.kfunc}() differ between its sets: see {', '.join(others)}")
            )
        out.append(entry)
    return out


def components(found: Inventory, *flags: str) -> list[tuple[str, ...]]:
    """Return the files that must be converted in one patch: those connected by a kfunc that both convert, sorted."""
    by_kfunc: dict[str, set[str]] = {}
    for entry in found.changed(*flags):
        by_kfunc.setdefault(entry.row.kfunc, set()).add(entry.row.file)
    groups: list[set[str]] = []
    for files in by_kfunc.values():
        touching = [g for g in groups if g & files]
        groups = [g for g in groups if not g & files] + [files.union(*touching)]
    return sorted(tuple(sorted(g)) for g in groups)


def witnesses(tree: Tree) -> list[str]:
    """Return the kernel's .c files that hold sets: they show the effect of a change of the sets' header."""
    return [
        path
        for path in candidates(tree)
        if path.endswith(".c") and not path.startswith(TOOLS) and read_sets(tree, path).sets
    ]


def audit(tree: Tree, config: CampaignConfig) -> Audit:
    """Return every site of the campaign in `tree` and its fate."""
    found = inventory(tree, config)
    return Audit(tuple(map(site_of, found.entries)), found.warnings, document(found))


def document(found: Inventory) -> dict[str, Any]:
    """Return the JSON document of an inventory."""
    fates = Counter(e.plan.fate for e in found.entries)
    return {
        "sets": [{**asdict(s), "kfunc": s.kfunc, "conditions": list(s.conditions)} for s in found.sets],
        "counts": {
            "files": len({s.file for s in found.sets}),
            "sets": len(found.sets),
            "entries": len(found.entries),
            "kfuncs": len({e.row.kfunc for e in found.entries}),
            **{fate: fates[fate] for fate in ("change", "keep", "refuse")},
        },
    }


def site_of(entry: Entry) -> Site:
    """Turn a row into a site."""
    row = entry.row
    details = {
        "kfunc": row.kfunc,
        "set": row.set,
        "end_line": row.end_line,
        "flags": list(row.flags),
        "via": row.via,
        "prototype": prototype_document(entry),
        "arg_flags": {str(i): list(names) for i, names in enumerate(entry.arg_flags) if names},
    }
    return Site(entry.site, row.file, row.line, entry.plan.fate, entry.plan.reason, tuple(row.conditions), details)


def prototype_document(entry: Entry) -> dict[str, Any] | None:
    """Return the JSON of a prototype, None if there is none."""
    prototype = entry.prototype
    if isinstance(prototype, Missing):
        return None
    params = [
        {"index": i, "text": p.text.decode("utf-8", "replace"), "name": p.name, "class": c}
        for i, (p, c) in enumerate(zip(prototype.params, entry.classes, strict=True))
    ]
    return {"file": prototype.file, "line": prototype.line, "params": params}


#: What `scan` shows of a row besides place and fate.
COLUMNS: Mapping[str, Callable[[Site], str]] = {
    "kfunc": lambda site: str(site.details["kfunc"]),
    "set": lambda site: str(site.details["set"] or ""),
    "flags": lambda site: "|".join(site.details["flags"]),
    "argument flags": lambda site: " ".join(f"{n}:{'|'.join(f)}" for n, f in site.details["arg_flags"].items()),
}
