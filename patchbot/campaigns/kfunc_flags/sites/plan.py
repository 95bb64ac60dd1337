"""Decide the fate of a row: which arguments its flags are about, or why it is kept.

A conversion must not change what a program may do. So the rules follow what the verifier of this very tree does with
the flag, and where a prototype cannot tell, a person decides by name in patchbot.toml, with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from msgspec import Meta

from ....config import CampaignConfig, fit
from ....errors import ConfigError
from ....series.render import listing
from .classify import NOT_POINTERS, OBJECT, Verifier, is_pointer, is_scalar, struct_of
from .flags import Flags
from .gains import RDONLY, UNINIT, Gain, read_only, write_only
from .nouns import KfuncSet, Row
from .prototypes import Missing, Prototype

RCU, RELEASE, ACQUIRE = "KF_RCU", "KF_RELEASE", "KF_ACQUIRE"
#: The flags that are each about the argument of their place here.
ARENA = ("KF_ARENA_ARG1", "KF_ARENA_ARG2")
#: The argument flag for each kfunc flag, which is about all arguments, the first one, or the returned one.
ARGUMENT_FLAG = {RCU: "KFA_RCU", RELEASE: "KFA_RELEASE", ACQUIRE: "KFA_ACQUIRE", RDONLY: RDONLY, UNINIT: UNINIT}
ARGUMENT_FLAG |= dict.fromkeys(ARENA, "KFA_ARENA")
#: The flags of a whole kfunc among them.
WHOLE = (RCU, RELEASE, ACQUIRE, *ARENA)
#: The step, or the part of one, that converts or adds a flag, by its name in `with` and `without`.
STEP = {RCU: "rcu", RELEASE: "release", ACQUIRE: "acquire", RDONLY: "rdonly", UNINIT: "uninit"}
STEP |= dict.fromkeys(ARENA, "arena")
#: The flags that are converted only on request.
OPTIONAL = frozenset({ACQUIRE})
#: Only an argument in a register can be released.
REGISTER_ARGUMENTS = 5
#: If KF_RCU also refuses NULL, it means something for these as well.
NULL_CLASSES = frozenset({OBJECT, "alloc_btf_id", "mem", "map"})
RELEASABLE = frozenset({OBJECT, "alloc_btf_id", "refcounted_kptr", "dynptr"})
DECIDE = "decide by name in patchbot.toml"
#: The number of an argument, from 0.
Number = Annotated[int, Meta(ge=0)]
SELFTESTS = "tools/testing/selftests/"


@dataclass(frozen=True)
class Decision:
    """What a person decided about a kfunc; `optional` means that not every tree has it.

    An empty `acquire` means that the kfunc returns another object than its argument; `rdonly` names the memory that it
    only reads, `uninit` the memory that it writes whole on each path.
    """

    rcu: Annotated[tuple[Number, ...], Meta(min_length=1)] | None = None
    release: tuple[Number] | None = None
    acquire: Annotated[tuple[Number, ...], Meta(max_length=1)] | None = None
    keep: bool = False
    optional: bool = False
    reason: str = ""
    rdonly: tuple[Number, ...] | None = None
    uninit: Annotated[tuple[Number, ...], Meta(max_length=1)] | None = None

    def arguments(self, flag: str) -> tuple[int, ...] | None:
        """Return the arguments that a flag is about, None if nothing was decided."""
        conversions = {RCU: self.rcu, RELEASE: self.release, ACQUIRE: self.acquire}
        return {**conversions, RDONLY: self.rdonly, UNINIT: self.uninit}.get(flag)


UNDECIDED = Decision(None, None, None, False, False, "")


@dataclass(frozen=True)
class Case:
    """A row and everything that its fate depends on."""

    row: Row
    owner: KfuncSet
    user_space: bool
    prototype: Prototype | Missing
    classes: tuple[str, ...]
    verifier: Verifier
    flags: Flags
    decision: Decision
    config: CampaignConfig


@dataclass(frozen=True)
class Plan:
    """The fate of a row, and for each converted flag the arguments that it is about."""

    fate: str
    reason: str
    arguments: Mapping[str, tuple[int, ...]]


def keep(reason: str) -> Plan:
    """Return the plan that changes nothing."""
    return Plan("keep", reason, {})


def refuse(reason: str) -> Plan:
    """Return the plan that stops the series until a person decides."""
    return Plan("refuse", reason, {})


def merged(arg_flags: Sequence[Sequence[str]], arguments: Mapping[str, Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    """Add the argument form of each flag to its `arguments` in `arg_flags`, up to the last argument that has any."""
    out = [list(names) for names in arg_flags]
    for flag, numbers in arguments.items():
        for number in numbers:
            out += [[] for _ in range(number + 1 - len(out))]
            if ARGUMENT_FLAG[flag] not in out[number]:
                out[number].append(ARGUMENT_FLAG[flag])
    return trimmed(out)


def trimmed(flags: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the flags up to the last argument that has any."""
    used = max((number for number, names in enumerate(flags, 1) if names), default=0)
    return tuple(tuple(names) for names in flags[:used])


def read_decisions(config: CampaignConfig) -> dict[str, Decision]:
    """Return the decisions of patchbot.toml; raise ConfigError for one that is invalid or has no reason."""
    return {
        kfunc: read_decision(f"campaigns.{config.name}.decisions.{kfunc}", d) for kfunc, d in config.decisions.items()
    }


def read_decision(where: str, data: Mapping[str, Any]) -> Decision:
    """Return one decision."""
    made = fit("patchbot.toml", where, data, Decision)
    if not made.reason.strip():
        raise ConfigError(f"{where}: a decision needs a reason, which is printed", where)
    rcu = tuple(sorted(set(made.rcu or ())))
    if len(rcu) < len(made.rcu or ()):
        text = f"{where}.rcu must be a list of distinct argument numbers, not {list(made.rcu or ())}"
        raise ConfigError(text, f"{where}.rcu")
    if made.keep == any(made.arguments(flag) is not None for flag in STEP):
        words = listing([f"`{word}`" for flag, word in STEP.items() if flag not in ARENA])
        raise ConfigError(f"{where}: expected either `keep = true`, or arguments for any of {words}", where)
    return replace(made, rcu=rcu or None, reason=made.reason.strip())


def off(config: CampaignConfig, flag: str) -> bool:
    """Say whether the conversion of a flag is off."""
    if flag in ARENA and "resolve_btfids" in config.without:
        return True
    return STEP[flag] in config.without or (flag in (RCU, RELEASE) and "rows" in config.without)


def in_question(config: CampaignConfig) -> tuple[str, ...]:
    """Return the flags whose rows are sites: an optional conversion has no sites unless it is on."""
    return tuple(
        flag for flag in WHOLE if flag not in OPTIONAL or (STEP[flag] in config.with_ and not off(config, flag))
    )


def plan_row(case: Case) -> Plan:
    """Return the plan for a row."""
    row, owner = case.row, case.owner
    asked = [flag for flag in in_question(case.config) if flag not in ARENA or case.verifier.arena]
    wanted = [flag for flag in asked if flag in row.flags]
    other = case.user_space or row.file.startswith(SELFTESTS)
    if wanted and not owner.kfunc and not case.decision.keep and not other:
        return refuse(f"{' and '.join(row.flags)} in a {owner.kind}; expected BTF_KFUNCS_START")
    fixed = untouched(row, owner, case.user_space, wanted)
    plan = keep(fixed) if fixed is not None else converted(case, wanted)
    return plan if other else doubted(case, gaining(case, plan))


def gaining(case: Case, plan: Plan) -> Plan:
    """Return `plan` with the arguments that programs can pass more to from then on."""
    row, prototype, decision = case.row, case.prototype, case.decision
    if plan.fate == "refuse" or decision.keep or not case.owner.kfunc or isinstance(prototype, Missing):
        return plan
    params, classes, why = prototype.params, case.classes, decision.reason
    gains = {
        RDONLY: read_only(params, classes, prototype.cast, decision.rdonly, why),
        UNINIT: write_only(params, classes, decision.uninit, why, case.verifier.raw_memory),
    }
    for flag, gain in gains.items():
        if not off(case.config, flag) and not off(case.config, RDONLY):
            plan = with_gain(row, plan, flag, gain)
    return plan


def with_gain(row: Row, plan: Plan, flag: str, gain: Gain) -> Plan:
    """Return `plan` with the arguments that get one flag, and why others do not."""
    found = tuple(n for n in gain.arguments if n >= len(row.arg_flags) or flag not in row.arg_flags[n])
    if not found and not gain.stays:
        return plan
    if found and row.via is not None:
        return replace(plan, reason=f"{plan.reason}; {flag} stays out, as the macro {row.via} makes the row")
    reasons = [plan.reason] if plan.arguments or "KFA_" in plan.reason else []
    reasons += [f"{flag}: {numbered(found)}, {gain.why}"] if found else []
    reasons += [f"{flag}: {gain.stays}"] if gain.stays else []
    arguments = {**plan.arguments, **({flag: found} if found else {})}
    return Plan("change" if arguments else "keep", "; ".join(reasons), arguments)


def converted(case: Case, wanted: Sequence[str]) -> Plan:
    """Return the plan for a row that has flags to convert."""
    row, decision = case.row, case.decision
    if decision.keep:
        return keep(decision.reason)
    switched_off = [flag for flag in wanted if off(case.config, flag)]
    wanted = [flag for flag in wanted if flag not in switched_off]
    if not wanted:
        return keep(f"the conversion of {' and '.join(switched_off)} is switched off")
    if row.via is not None:
        return refuse(f"the macro {row.via} makes this row: its {' and '.join(wanted)} must be converted by hand")
    if isinstance(case.prototype, Missing) and any(decision.arguments(flag) is None for flag in wanted):
        return refuse(f"{case.prototype.reason}; {DECIDE}")
    arguments: dict[str, tuple[int, ...]] = {}
    reasons, stays = [], []
    for flag in wanted:
        given = decision.arguments(flag)
        because = f" ({decision.reason})" if given is not None else ""
        other = another(given, case.prototype, case.classes) if flag == ACQUIRE else ""
        if other:
            stays.append(f"{flag} stays: {other}{because}")
            continue
        found, why = place(flag, given, case)
        if not found:
            return refuse(f"{flag}: {why}")
        arguments[flag] = found
        reasons.append(f"{flag}: {why}{because}")
    stays += [f"{flag} stays: its conversion is switched off" for flag in switched_off]
    text = "; ".join([*reasons, *stays])
    return Plan("change", text, arguments) if arguments else keep(text)


def doubted(case: Case, plan: Plan) -> Plan:
    """Return `plan`, or a refusal if a flag or a type hides what the row says about its arguments."""
    row, prototype = case.row, case.prototype
    doubts = [case.flags.doubt(flag, WHOLE) for flag in row.flags]
    doubts += [case.flags.doubt(flag, (), "KFA_") for names in row.arg_flags for flag in names]
    if any(doubts) and not case.decision.keep:
        return refuse("; ".join(dict.fromkeys(filter(None, doubts))))
    twice = sorted({flag for flag in plan.arguments if row.flags.count(flag) > 1})
    if twice:
        return refuse(f"{' and '.join(twice)} occurs twice; expected each flag once")
    if plan.fate == "change" and case.decision == UNDECIDED and not isinstance(prototype, Missing):
        hidden = [i for i, c in enumerate(case.classes) if c == "scalar" and not is_scalar(prototype.params[i])]
        if hidden:
            types = ", ".join(prototype.params[i].type for i in hidden)
            return refuse(f"{numbered(hidden)} may be a pointer in disguise ({types}); {DECIDE}")
    return plan


def untouched(row: Row, owner: KfuncSet, user_space: bool, wanted: Sequence[str]) -> str | None:
    """Return why a row does not concern this campaign, None if it does."""
    if user_space:
        return "user space: a test of the section's format, which registers no kfunc"
    if not owner.kfunc:
        return "not a set of kfuncs: BTF_SET8_START leaves BTF_SET8_KFUNCS out (fmodret hooks and the like)"
    if not wanted:
        if any(row.arg_flags):
            return "already converted"
        if "KF_TRUSTED_ARGS" in row.flags:
            return "KF_TRUSTED_ARGS is deprecated (it became the default) and is about the whole kfunc"
        if arena := [flag for flag in ARENA if flag in row.flags]:
            return f"pahole reads {' and '.join(arena)} from the set, and does not know records of argument flags"
        return "no argument-specific flag"
    if row.file.startswith(SELFTESTS):
        return "test module: it tests the flags of whole kfuncs, which stay supported"
    return None


def place(flag: str, given: tuple[int, ...] | None, case: Case) -> tuple[tuple[int, ...], str]:
    """Return the arguments that a flag is about and why, or no argument and why not.

    `given` is the decided answer; it is required if there is no prototype.
    """
    prototype, classes, verifier = case.prototype, case.classes, case.verifier
    if flag in ARENA:
        return in_arena(flag, prototype)
    if flag == RELEASE and verifier.release == "first" and given not in (None, (0,)):
        return (), f"argument {given[0]} was decided, but this verifier releases argument 0" if given else ""
    if given is not None:
        wrong = "" if isinstance(prototype, Missing) else checked(flag, given, prototype, classes)
        return ((), wrong) if wrong else (given, f"{numbered(given)}, by decision")
    assert not isinstance(prototype, Missing)
    if flag == ACQUIRE:
        which = numbered(of_returned_type(prototype, classes))
        return (), f"the type of {which} is returned, but not necessarily the object; {DECIDE}"
    return released(classes, verifier) if flag == RELEASE else protected(classes, verifier)


def in_arena(flag: str, prototype: Prototype | Missing) -> tuple[tuple[int, ...], str]:
    """Return the argument that points into an arena, and why, or no argument and why not."""
    number = ARENA.index(flag)
    if isinstance(prototype, Missing):
        return (), prototype.reason
    if number >= len(prototype.params) or not is_pointer(prototype.params[number]):
        return (), f"argument {number}, which it is about, is not a pointer"
    return (number,), f"argument {number}, which it is about"


def another(given: tuple[int, ...] | None, prototype: Prototype | Missing, classes: Sequence[str]) -> str:
    """Return why a kfunc returns another object than its argument, "" if it may return the same."""
    if given == ():
        return "it returns another object than its argument, by decision"
    if given is None and not isinstance(prototype, Missing) and not of_returned_type(prototype, classes):
        return "it does not return an object of the type of an argument"
    return ""


def of_returned_type(prototype: Prototype, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the arguments that are pointers to kernel objects of the struct that the kfunc returns."""
    struct = struct_of(prototype.returns)
    return tuple(
        i
        for i, (param, c) in enumerate(zip(prototype.params, classes, strict=True))
        if c == OBJECT and struct is not None and struct_of(param.type) == struct
    )


def checked(flag: str, given: Sequence[int], prototype: Prototype, classes: Sequence[str]) -> str:
    """Return what is wrong with decided arguments, "" if nothing is."""
    if flag == RELEASE and given[0] >= REGISTER_ARGUMENTS:
        return f"argument {given[0]} was decided, but only the first {REGISTER_ARGUMENTS} are in registers"
    visible = [c for c in classes if c != "implicit"]
    for number in given:
        if number >= len(visible):
            return f"argument {number} was decided, but BPF programs pass {len(visible)} arguments"
        if visible[number] in NOT_POINTERS:
            return f"argument {number} was decided, but it is not a pointer ({visible[number]})"
        if flag == ACQUIRE and number not in of_returned_type(prototype, classes):
            return f"argument {number} was decided, but the kfunc returns {prototype.returns}"
    return ""


def released(classes: Sequence[str], verifier: Verifier) -> tuple[tuple[int, ...], str]:
    """Return the argument that KF_RELEASE is about."""
    if verifier.release == "first":
        if not classes or classes[0] in NOT_POINTERS:
            return (), "this verifier releases argument 0, which is not a pointer"
        return (0,), "argument 0, the one that the verifier releases"
    found = tuple(i for i, c in enumerate(classes) if c in RELEASABLE)
    if len(found) != 1 or found[0] >= REGISTER_ARGUMENTS:
        which = numbered(found) if found else "no argument"
        return (), f"{which} could be the referenced one that this verifier releases; {DECIDE}"
    return found, f"argument {found[0]}, the only one that can be referenced"


def protected(classes: Sequence[str], verifier: Verifier) -> tuple[tuple[int, ...], str]:
    """Return the arguments that KF_RCU is about: the pointers to kernel objects; see the verifier's use of KF_RCU."""
    meant = NULL_CLASSES if verifier.rcu_checks_null else {OBJECT}
    found = tuple(i for i, c in enumerate(classes) if c in meant)
    if "map" in classes:
        return (), f"it is unclear whether it is about the map; {DECIDE}"
    if not found:
        return (), f"no argument is a pointer to a kernel object, so none can have the flag; {DECIDE}"
    memory = tuple(i for i in found if classes[i] == "mem")
    why = f"{numbered(found)}, {'a pointer to a kernel object' if len(found) == 1 else 'pointers to kernel objects'}"
    return found, why + (f" ({numbered(memory)} is memory: here KF_RCU is what refuses NULL)" if memory else "")


def numbered(arguments: Sequence[int]) -> str:
    """Return `argument 0`, `arguments 0, 1 and 2`."""
    return f"argument{'' if len(arguments) == 1 else 's'} {listing(arguments)}"
