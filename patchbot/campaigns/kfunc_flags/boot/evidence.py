"""Count what a boot showed, for people who decide about the series: before it against after it.

Only figures that both kernels gave are compared; a figure that is not known is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....model import Evidence
from .judge import Line
from .linked import Linked
from .serial import Cost

WHEN = ("before", "after")
#: What is said of each field of Cost.
COSTS = {
    "insns": "instructions verified",
    "states": "states in all",
    "peak": "states at once, the sum of the most",
    "usec": "microseconds, at a billion instructions a second",
}


def evidence(lines: Sequence[Line], linked: Mapping[str, Linked]) -> tuple[Evidence, ...]:
    """Return what two boots showed: the sums, the programs whose verdict changes, and what each program took.

    `linked` are the kernels' files. A table without rows is left out.
    """
    rows = [*verdicts(lines), *costs(lines), *sizes(linked["base"], linked["tip"])]
    known = [line for line in lines if line.tip_cost]
    names = told([cost for line in known for cost in (line.base_cost, line.tip_cost) if cost])
    each = tuple((line.name, line.base or "-", line.tip, *both(line, names)) for line in known)
    head = ("program", *WHEN, *(f"{name} {when}" for name in names for when in WHEN))
    changed = tuple((line.name, line.base, line.tip) for line in lines if changes(line))
    tables = (
        Evidence("The kernel before and after the series in QEMU", ("", *WHEN), tuple(rows), posted=True),
        Evidence("Programs whose verdict changes", ("", *WHEN), changed, posted=True),
        Evidence("What the verification of each program took", head, each),
    )
    return tuple(table for table in tables if table.rows)


def changes(line: Line) -> bool:
    """Say whether both kernels got a program and say different things of it."""
    return bool(line.base and line.tip) and line.base.split(" ")[0] != line.tip.split(" ")[0]


def verdicts(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return how many of the programs that both kernels got were accepted and refused, and of which that changed."""
    pairs = [(line.base.split(" ")[0], line.tip.split(" ")[0]) for line in lines if line.base and line.tip]
    new = sum(bool(line.tip) and not line.base for line in lines if line.kind == "program")
    counts = [{verdict: sum(pair[n] == verdict for pair in pairs) for verdict in ("accept", "reject")} for n in (0, 1)]
    return [
        (f"of the {len(pairs)} programs that both kernels get:", "", ""),
        ("  accepted", str(counts[0]["accept"]), str(counts[1]["accept"])),
        ("  refused", str(counts[0]["reject"]), str(counts[1]["reject"])),
        ("  refused before, accepted after", "", str(pairs.count(("reject", "accept")))),
        ("  accepted before, refused after", "", str(pairs.count(("accept", "reject")))),
        ("programs for what only the series has", "-", str(new)),
    ]


def costs(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return what the programs that both kernels accept took, summed up."""
    pairs = [
        (line.base_cost, line.tip_cost)
        for line in lines
        if line.base == line.tip == "accept" and line.base_cost and line.tip_cost
    ]
    if not pairs:
        return []
    rows = [(f"of the {len(pairs)} programs that both accept:", "", "")]
    for name in told([cost for pair in pairs for cost in pair]):
        before, after = (sum(getattr(pair[n], name) for pair in pairs) for n in (0, 1))
        rows.append((f"  {COSTS[name]}", str(before), str(after)))
    return rows


def sizes(base: Linked, tip: Linked) -> list[tuple[str, str, str]]:
    """Return the bytes of the kernel's sets, of the records among them, and of the table that is made of these."""
    return [
        ("bytes of .BTF_ids in vmlinux", str(base.ids), str(tip.ids)),
        ("  of them for flags of arguments", str(base.added), str(tip.added)),
        *([("bytes of the table that the kernel makes of these", "-", str(tip.table))] if tip.table else []),
    ]


def both(line: Line, names: Sequence[str]) -> list[str]:
    """Return what a program took, before and after, in the order of the columns."""
    return [str(getattr(cost, name)) if cost else "-" for name in names for cost in (line.base_cost, line.tip_cost)]


def told(costs: Sequence[Cost]) -> list[str]:
    """Return the names of what is known of all verifications."""
    return [name for name in COSTS if all(getattr(cost, name) is not None for cost in costs)]
