"""Compare what kfunc sets mean before and after a patch, and with the source: the rules of the check `btf`.

Nothing here runs a program: readings of objects go in, findings come out, so that each rule can be tested alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from ....model import Finding, Status
from ....series.campaign import Site
from .btf import Param
from .btf_ids import IdSet
from .meaning import ACQUIRE, GAINS, OBJECT, RCU, RELEASE, Effect, Flags, Rule, classify, effects, spell, visible
from .readings import Reading

T = TypeVar("T")
K = TypeVar("K")

#: Only arguments in registers can be released.
REGISTERS = 5
KFUNCS, KFUNC_ARGS = "BTF_SET8_KFUNCS", "BTF_SET8_KFUNC_ARGS"


@dataclass(frozen=True)
class Row:
    """A compiled row: the names of the flags of the kfunc and of each argument, and their combined effects."""

    object: str
    set: str
    kfunc: str
    flags: tuple[str, ...]
    arguments: tuple[tuple[str, ...], ...]
    effects: frozenset[Effect]

    @property
    def key(self) -> tuple[str, str, str]:
        """The place of the row: object, set and kfunc."""
        return self.object, self.set, self.kfunc

    @property
    def records(self) -> tuple[tuple[str, ...], ...]:
        """The argument flags without empty ones at the end: no record is the same as one of zeros."""
        return trimmed(self.arguments)


@dataclass(frozen=True)
class State:
    """All objects that matter at one commit: those with sets, and those that define the kfuncs.

    `others` are prototypes that none of these objects has.
    """

    flags: Flags
    rule: Rule
    readings: Mapping[str, Reading]
    others: Mapping[str, tuple[Param, ...]] = field(default_factory=dict)

    @cached_property
    def prototypes(self) -> dict[str, tuple[Param, ...]]:
        """Prototypes by function."""
        found = dict(self.others)
        for name in sorted(self.readings, reverse=True):
            found.update(self.readings[name].prototypes)
        return found

    def prototype(self, object_: str, kfunc: str) -> tuple[Param, ...] | None:
        """Return the parameters of a kfunc as the object of its row defines it, else another one; None if none does."""
        own = self.readings[object_].prototypes.get(kfunc)
        return self.prototypes.get(kfunc) if own is None else own

    def knows(self, kfunc: str) -> bool:
        """Say whether any object defines a kfunc, or any set has it."""
        return kfunc in self.prototypes or any(row.kfunc == kfunc for row in self.rows)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All rows of all sets, kfuncs or not, in the order of objects, sets and the source."""
        found = []
        for name in sorted(self.readings):
            for owner in self.readings[name].ids.sets:
                records = {r.kfunc: r.flags for r in owner.records}
                for pair in owner.pairs:
                    flags = spell(pair.flags, self.flags.kfunc)
                    arguments = tuple(spell(mask, self.flags.argument) for mask in records.get(pair.kfunc, ()))
                    params = self.prototype(name, pair.kfunc)
                    meaning = effects(pair.kfunc, flags, arguments, params, self.rule, self.flags.unread)
                    found.append(Row(name, owner.name, pair.kfunc, flags, arguments, meaning))
        return tuple(found)

    @property
    def arguments(self) -> int:
        """The number of pairs of a row's kfunc and an argument; a kfunc without a known prototype has none."""
        return sum(len(self.prototype(row.object, row.kfunc) or ()) for row in self.rows)

    def without(self, objects: Collection[str]) -> State:
        """Return this state without some objects."""
        return replace(self, readings={n: r for n, r in self.readings.items() if n not in objects})

    @cached_property
    def sets(self) -> dict[tuple[str, str], IdSet]:
        """The sets by object and name."""
        return {(name, s.name): s for name, reading in self.readings.items() for s in reading.ids.sets}


@dataclass(frozen=True)
class Places:
    """The places of rows in the source; `entries` are those of the inventory (kfunc, set, file, line...)."""

    sites: Sequence[Site]

    @cached_property
    def by_name(self) -> dict[tuple[str, str], tuple[str, int]]:
        """File and line by set and kfunc, and of a set (its first row) under the kfunc ""."""
        found: dict[tuple[str, str], tuple[str, int]] = {}
        for site in self.sites:
            place = (site.file, site.line)
            for kfunc in (str(site.details["kfunc"]), ""):
                found.setdefault((str(site.details["set"]), kfunc), place)
        return found

    def finding(
        self, kind: str, message: str, set_: str = "", kfunc: str = "", status: Status = Status.FAIL
    ) -> Finding:
        """Return a finding about a row or a set, with its place if that is known."""
        file, line = self.by_name.get((set_, kfunc)) or self.by_name.get((set_, "")) or (None, None)
        return Finding(status, message, file, line, kind)


def trimmed(arguments: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the argument flags without empty ones at the end, each sorted."""
    out = [tuple(sorted(names)) for names in arguments]
    while out and not out[-1]:
        out.pop()
    return tuple(out)


def spelled(flags: Sequence[str]) -> str:
    """Return flags as in C."""
    return " | ".join(flags) or "0"


def listed(effects_: Iterable[Effect]) -> str:
    """Return effects as text."""
    found = sorted(effects_, key=lambda e: (e.argument is None, e.argument or 0, e.what))
    return ", ".join(map(str, found)) or "nothing"


def compare(before: State, after: State, places: Places, decided: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what a patch changed but must not: rows, their effects, the kind of sets, other bytes of the section.

    `decided` gives, by kfunc, the arguments (`rcu`, `release`, `acquire`) that a person chose if no prototype tells.
    """
    old_rows, new_rows = group(before.rows, attrgetter("key")), group(after.rows, attrgetter("key"))
    for key in sorted(old_rows.keys() | new_rows.keys()):
        object_, set_, kfunc = key
        old, new = old_rows.get(key, []), new_rows.get(key, [])
        if len(new) < len(old):
            yield places.finding("LOST", f"{set_}: the row of {kfunc}() is lost in {object_}", set_, kfunc)
        elif len(new) > len(old) and not before.knows(kfunc):
            continue  # a new function: there is nothing to compare it with
        elif len(new) > len(old):
            many = "another row" if old else "a row"
            yield places.finding("NEW", f"{set_}: {kfunc}() gets {many} in {object_}", set_, kfunc)
        else:
            for one, other in zip(old, new, strict=True):
                text = changed(one, other, decided.get(kfunc, {}))
                if text:
                    yield places.finding("EFFECT", f"{set_}: {kfunc}(): {text}", set_, kfunc)
    for owner in sorted(before.sets.keys() | after.sets.keys()):
        text = changed_set(before, after, owner)
        if text:
            yield places.finding("SET", f"{owner[1]}: {text}", owner[1])
    for name in sorted(before.readings.keys() & after.readings.keys()):
        was, now = before.readings[name].ids.rest, after.readings[name].ids.rest
        if was != now:
            lost, gained = list(Counter(was) - Counter(now)), list(Counter(now) - Counter(was))
            text = f"lost {', '.join(lost[:3]) or 'nothing'}, gained {', '.join(gained[:3]) or 'nothing'}"
            text = text if lost or gained else "the order of ids"
            yield Finding(Status.FAIL, f"{name}: .BTF_ids changes outside the sets: {text}", type="REST")


def group(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return {key: the items that have it}."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def changed(old: Row, new: Row, decision: Mapping[str, Any]) -> str:
    """Return what a row's change means, "" if its meaning is the same, or what a person decided."""
    if old.effects == new.effects:
        return ""
    lost, gained = old.effects - new.effects, new.effects - old.effects - gains_of(new)
    for word in ("rcu", "release", "acquire"):
        if decision.get(word) and reached(new, word) == set(decision[word]):
            lost = frozenset(e for e in lost if e.what.partition(" ")[0] != word)
            gained = frozenset(e for e in gained if e.what != word)
    if not lost and not gained:
        return ""
    how = f"{spelled(old.flags)}{args(old)} became {spelled(new.flags)}{args(new)}"
    return f"{how}: lost {listed(lost)}; gained {listed(gained)}"


def gains_of(row: Row) -> frozenset[Effect]:
    """Return what lets programs pass more to single arguments of a row; `wrong` says whether that is fine."""
    return frozenset(e for e in row.effects if e.what in GAINS and e.argument is not None)


def new_gains(before: State, after: State) -> list[str]:
    """Return what each argument gains, e.g. `rdonly of argument 1 of f()`, once for all sets of a kfunc."""
    had = {(row.kfunc, effect) for row in before.rows for effect in gains_of(row)}
    new = {(row.kfunc, effect) for row in after.rows for effect in gains_of(row) if before.knows(row.kfunc)}
    return [f"{effect} of {kfunc}()" for kfunc, effect in sorted(new - had)]


def reached(row: Row, word: str) -> set[int]:
    """Return the arguments for which an effect holds."""
    return {e.argument for e in row.effects if e.what == word and e.argument is not None}


def args(row: Row) -> str:
    """Return the flags of a row's arguments as BTF_KFUNC() takes them."""
    return "".join(f", {spelled(names)}" for names in row.arguments)


def changed_set(before: State, after: State, key: tuple[str, str]) -> str:
    """Return what is wrong with a change of a set, "" if nothing is."""
    old, new = before.sets.get(key), after.sets.get(key)
    if old is None and new is not None and not any(before.knows(p.kfunc) for p in new.pairs):
        return ""
    if old is None or new is None:
        return f"the set is {'lost' if new is None else 'new'} in {key[0]}"
    was, now = set(spell(old.flags, before.flags.set)), set(spell(new.flags, after.flags.set))
    # Only the patch that introduces the flag in the header may set it, and then on every set of kfuncs.
    if KFUNC_ARGS not in before.flags.set and KFUNC_ARGS in after.flags.set and KFUNCS in was:
        was |= {KFUNC_ARGS}
    return "" if was == now else f"the set's flags {spelled(sorted(was))} became {spelled(sorted(now))}"


def layout(state: State) -> Iterator[Finding]:
    """Yield the bytes of a section that make no sense, and flags that are undefined symbols."""
    for name, reading in sorted(state.readings.items()):
        for problem in reading.ids.problems:
            yield Finding(Status.FAIL, f"{name}: .BTF_ids: {problem}", type="LAYOUT")
        for symbol in reading.ids.undefined:
            text = f"{name}: .BTF_ids needs {symbol}, which nothing defines: a misspelt flag?"
            yield Finding(Status.FAIL, text, type="UNDEFINED")


def inspect(state: State, places: Places) -> Iterator[Finding]:
    """Yield the problems at one commit, whatever was before: what the kernel would refuse or never see."""
    for (_, set_), owner in sorted(state.sets.items()):
        kinds = spell(owner.flags, state.flags.set)
        unknown = [k for k in kinds if k not in state.flags.set]
        if unknown:
            yield places.finding("SET", f"{set_}: the set has the unknown flag {unknown[0]}", set_)
        if KFUNC_ARGS in state.flags.set and (KFUNCS in kinds) != (KFUNC_ARGS in kinds):
            yield places.finding(
                "SET",
                f"{set_}: {KFUNC_ARGS} belongs to sets of kfuncs, and to all of them; this one has {spelled(kinds)}",
                set_,
            )
        rows = Counter(p.kfunc for p in owner.pairs)
        for kfunc, number in sorted(Counter(r.kfunc for r in owner.records).items()):
            if kfunc not in rows:
                text = f"{set_}: there are argument flags for {kfunc}(), which is not in the set"
                yield places.finding("RECORD", text, set_)
            if number > 1:
                yield places.finding("RECORD", f"{set_}: {kfunc}() has {number} records of arguments", set_, kfunc)
        for kfunc, number in sorted(rows.items()):
            if number > 1:
                yield places.finding("TWICE", f"{set_}: {kfunc}() is in the set {number} times", set_, kfunc)
    for row in state.rows:
        for text in wrong(row, state):
            yield places.finding("RECORD", f"{row.set}: {row.kfunc}(): {text}", row.set, row.kfunc)


def wrong(row: Row, state: State) -> Iterator[str]:
    """Yield what the kernel would refuse in a row, or what cannot be intended."""
    for names, known in ((row.flags, state.flags.kfunc), *((a, state.flags.argument) for a in row.arguments)):
        yield from (f"the flag {name} has no name in the header" for name in names if name not in known)
    if not row.arguments:
        return
    given = {n: set(names) for n, names in enumerate(row.arguments)}
    if not row.arguments[-1]:
        yield "the record ends with an argument without a flag"
    releases = [n for n, names in given.items() if "KFA_RELEASE" in names]
    if len(releases) > 1:
        yield f"arguments {releases} are released; a kfunc can release one"
    if any(n >= REGISTERS for n in releases):
        yield f"argument {releases[-1]} is released, but it is not in a register"
    for whole, single in ((RELEASE, "KFA_RELEASE"), (RCU, "KFA_RCU"), (ACQUIRE, "KFA_ACQUIRE")):
        if whole in row.flags and any(single in names for names in given.values()):
            yield f"both {whole} and {single}: the kernel refuses a flag on the kfunc and on an argument"
    params = state.prototype(row.object, row.kfunc)
    if params is None:
        yield "argument flags, but no compiled object has the prototype"
        return
    classes = classify(row.kfunc, params, row.flags, state.rule)
    if len(row.arguments) > visible(classes):
        yield f"flags of {len(row.arguments)} arguments, but a program passes {visible(classes)}"
    pointers = {n for n, p in enumerate(params) if p.kind == "pointer"}
    for n, held in given.items():
        if (
            held & {"KFA_RELEASE", "KFA_RCU", "KFA_ACQUIRE", "KFA_RDONLY", "KFA_UNINIT", "KFA_ARENA"}
            and n not in pointers
        ):
            yield f"{spelled(sorted(held))} on argument {n}, which is not a pointer"
        elif "KFA_RDONLY" in held and (classes[n] not in ("memory", OBJECT) or not params[n].const):
            what = "writable by its prototype" if classes[n] in ("memory", OBJECT) else f"not memory ({classes[n]})"
            yield f"KFA_RDONLY on argument {n}, which is {what}"
        elif "KFA_UNINIT" in held and (classes[n] not in ("memory", "dynptr", OBJECT) or params[n].const):
            yield f"KFA_UNINIT on argument {n}, which is {'const' if params[n].const else classes[n]}"


def agree(before: State | None, after: State, places: Places) -> Iterator[Finding]:
    """Yield the kfuncs whose rows in several sets differ in argument flags, or in other flags but not in `before`."""
    old = group(before.rows if before else (), lambda row: row.kfunc)
    for kfunc, rows in sorted(group(after.rows, lambda row: row.kfunc).items()):
        sets = ", ".join(sorted({r.set for r in rows}))
        if len({r.records for r in rows}) > 1:
            text = f"{kfunc}() has different argument flags in {sets}; the kernel registers only the first"
            yield places.finding("AGREE", text, rows[-1].set, kfunc)
        elif len({r.effects for r in rows}) > 1 and len({r.effects for r in old.get(kfunc, ())}) == 1:
            text = f"{kfunc}() no longer has the same flags in {sets}"
            yield places.finding("AGREE", text, rows[-1].set, kfunc)


def mismatches(state: State, places: Places, objects: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the differences between compiled rows and the inventory; `objects` gives the object of a compiled file.

    A row under #if may be missing: `uncovered` lists those.
    """
    compiled = group(state.rows, attrgetter("key"))
    listed_ = group((s for s in places.sites if s.file in objects), lambda s: site_key(s, objects))
    for key in sorted(compiled.keys() | listed_.keys()):
        object_, set_, kfunc = key
        rows, entries = compiled.get(key, []), listed_.get(key, [])
        sure = [e for e in entries if not e.conditions]
        if not entries:
            text = f"{set_}: {object_} has a row of {kfunc}() that the inventory lacks"
            yield places.finding("INVENTORY", text, set_)
        elif not len(sure) <= len(rows) <= len(entries):
            text = f"{set_}: {object_} has {len(rows)} rows of {kfunc}(), the inventory {len(entries)}"
            yield places.finding("INVENTORY", text, set_, kfunc)
        else:
            for row in rows:
                if not any(says(site, row) for site in entries):
                    said = "; ".join(f"{spelled(e.details['flags'])}, {dict(e.details['arg_flags'])}" for e in entries)
                    text = f"{spelled(row.flags)}{args(row)}, but the inventory says {said}"
                    yield places.finding("INVENTORY", f"{set_}: {kfunc}() is compiled as {text}", set_, kfunc)


def says(site: Site, row: Row) -> bool:
    """Say whether an entry of the inventory matches a compiled row.

    The `arg_flags` of an entry that will change are those that it will have; the row has some of them.
    """
    given = {n: set(site.details["arg_flags"].get(str(n), ())) for n in range(len(row.arguments))}
    now = {n: set(names) for n, names in enumerate(row.arguments)}
    if tuple(sorted(site.details["flags"])) != row.flags:
        return False
    if site.fate == "change":
        return all(names <= given[n] for n, names in now.items())
    return now == given and len(trimmed(row.arguments)) == max(
        (int(n) + 1 for n in site.details["arg_flags"]), default=0
    )


def uncovered(state: State, places: Places, objects: Mapping[str, str]) -> Iterator[tuple[Site, str]]:
    """Yield the entries of the inventory that no object has, each with the reason if it is known."""
    compiled = Counter(row.key for row in state.rows)
    for site in places.sites:
        if site.file not in objects:
            yield site, ""
        elif compiled[key := site_key(site, objects)]:
            compiled[key] -= 1
        else:
            yield site, "under #if " + " && ".join(site.conditions)


def site_key(site: Site, objects: Mapping[str, str]) -> tuple[str, str, str]:
    """Return where a row of the inventory belongs: object, set and kfunc."""
    return objects[site.file], str(site.details["set"]), str(site.details["kfunc"])
