"""Parse the serial log of a booted kernel: the loader's lines, and the kernel's own between them.

The loader writes to the kernel log, so its lines start with `patchbot: ` after the time stamp, and a kernel message
precedes the line of the set that it is about. Nothing is taken for granted: a log that ends early, a panic and a
warning of the kernel are told apart from a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LINE = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[[^\]]*\])? (.*)$")
OURS = re.compile(r"patchbot: ([A-Z]+) (.*)")
#: What only a broken kernel prints.
SPLAT = re.compile(
    r"(?:WARNING|BUG|Oops|KASAN|UBSAN|INFO: (?:rcu|task|possible)|general protection fault|Unable to handle|"
    r"Kernel panic - not syncing|verifier bug|REG INVARIANTS VIOLATION|watchdog: BUG)\b.*"
)
#: The kernel refuses one of its own sets; later on, wrong sets of test modules are refused on purpose.
REFUSED = re.compile(r"kfunc .{0,600}(?:invalid|inconsistent|unexpected) flags.*")
PANIC = re.compile(r"Kernel panic - not syncing.*|Attempted to kill init.*")
NEVER_STARTED = re.compile(r"VFS: Unable to mount root fs|No working init found|Failed to execute /init")
#: Lines of the verifier's log on the way to its reason: instructions, registers, the report that repeats the message.
TRACE = re.compile(
    r"^(?:\d+: |; |func#\d|func '\w+' arg\d|Live regs|processed \d|from \d+ to|mark_precise|R\d+=|"
    r"verification time |stack depth |subprog \d+ |"
    r"arg#\d+ reference type\('UNKNOWN |(?:Reason|At|Causal path|Suggestion):|\s|$)"
)
#: Lines of the verifier's log that tell what it took.
PROCESSED = re.compile(
    r"processed (?P<insns>\d{1,9}) insns \(limit \d+\) max_states_per_insn \d+"
    r" total_states (?P<states>\d{1,9}) peak_states (?P<peak>\d{1,9}) mark_read \d+"
)
TIME = re.compile(r"verification time (\d{1,12}) usec")
#: Numbers of BTF types and functions differ between two kernels with the same message; those of arguments do not.
NUMBER = re.compile(r"(?<=btf_id )\d+|(?<=#)(?<!arg#)(?<!args#)\d+")


@dataclass(frozen=True)
class Cost:
    """What the verification of a program took: instructions, states in all, states at once, microseconds.

    A machine whose clock does not count instructions has a clock too coarse for that: `usec` is None.
    """

    insns: int
    states: int
    peak: int
    usec: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of one program: accept, reject or absent (it never reached the verifier), and the messages.

    `cost` is None where the verifier does not say what it took.
    """

    verdict: str
    errno: int
    log: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cost: Cost | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """The lines of the log that say why, without the instructions before them."""
        return tuple(NUMBER.sub("N", line) for line in self.log if not TRACE.match(line))


@dataclass(frozen=True)
class Registered:
    """The outcome of one kfunc set or module: 0 or -errno, and what the kernel said meanwhile."""

    errno: int
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """Everything that a boot said.

    `programs` by "object program", `sets` and `modules` by name. `end` is the number of commands that the loader
    reports as done, None if it never did. `splats` are complaints of the kernel about itself.
    """

    programs: Mapping[str, Verdict] = field(default_factory=dict)
    sets: Mapping[str, Registered] = field(default_factory=dict)
    modules: Mapping[str, Registered] = field(default_factory=dict)
    end: int | None = None
    splats: tuple[str, ...] = ()


def parse(text: str, *, timed: bool = True) -> Said:
    """Parse a serial log; `timed` tells whether its machine's clock counts instructions."""
    programs: dict[str, Verdict] = {}
    sets: dict[str, Registered] = {}
    modules: dict[str, Registered] = {}
    logs: dict[tuple[str, str], list[str]] = {}
    splats: list[str] = []
    between: list[str] = []
    end = None
    begun = False
    for row in text.splitlines():
        match = LINE.match(row)
        message = match[1] if match else row
        ours = OURS.fullmatch(message) or OURS.search(message)
        if ours is None:
            between.append(message)
            if splat := SPLAT.search(message) or (None if begun else REFUSED.search(message)):
                splats.append(splat[0])
            continue
        begun = True
        kind, rest = ours[1], ours[2]
        name, _, value = rest.partition(": ")
        if kind in ("LOG", "LIB", "TAG", "STAT"):
            logs.setdefault((kind, name), []).append(unescape(value))
        elif kind == "REGISTER":
            between = []
        elif kind in ("SET", "MODULE"):
            (sets if kind == "SET" else modules)[name] = Registered(number(value), tuple(between))
            between = []
        elif kind == "PROG":
            verdict, _, errno = value.partition(" ")
            log = logs.get(("LOG", name)) or logs.get(("LIB", name), [])
            tags, cost = tuple(logs.get(("TAG", name), ())), cost_of(logs.get(("STAT", name), ()), timed)
            programs[name] = Verdict(verdict, number(errno), tuple(log), tags, cost)
        elif kind == "END":
            end = number(rest)
    return Said(programs, sets, modules, end, tuple(dict.fromkeys(splats)))


def cost_of(lines: Iterable[str], timed: bool) -> Cost | None:
    """Return what a verification took by the lines of its log that say so, None if they do not."""
    text = "\n".join(lines)
    found, time = PROCESSED.search(text), TIME.search(text) if timed else None
    if not found:
        return None
    return Cost(int(found["insns"]), int(found["states"]), int(found["peak"]), int(time[1]) if time else None)


def number(text: str) -> int:
    """Return a number that a program printed; a damaged one does not count as 0."""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text.strip()) else -1


def unescape(text: str) -> str:
    """Return text as it was before the kernel log escaped unprintable characters."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), text)


def stopped(said: Said, text: str, timed_out: bool, timeout: float) -> str:
    """Return why a boot is unusable, "" if its loader finished."""
    if said.end is not None and not timed_out:
        return ""
    if panic := PANIC.search(text):
        return f"the kernel panicked: {panic[0]}"
    if timed_out and not text.strip():
        return (
            f"the kernel said nothing within {timeout:g} s: no console driver (SERIAL_8250_CONSOLE) or a hang before it"
        )
    if timed_out:
        where = "after the loader finished" if said.end is not None else "before the loader finished"
        return f"the kernel hangs: {timeout:g} s passed {where}"
    if not text.strip():
        return "the machine stopped without any output on the serial line: no console driver (SERIAL_8250_CONSOLE)?"
    if missing := NEVER_STARTED.search(text):
        return f"the loader did not start: {missing[0]}"
    return "the machine stopped before the loader finished"


def tail(text: str, lines: int = 12) -> str:
    """Return the last lines of a log."""
    return "\n".join(line for line in text.strip().splitlines()[-lines:])
