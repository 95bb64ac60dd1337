"""Say which arguments get a flag that lets programs pass more than before, and why others do not.

Nothing is converted here, so nothing is refused either: an argument of which this is not known stays as it is, and the
row says why. What a function does with the memory is for a person to read in its body; the decision holds the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ....c import Param
from .classify import OBJECT

RDONLY, UNINIT = "KFA_RDONLY", "KFA_UNINIT"
DECIDE = "decide by name in patchbot.toml"
#: What an argument must be that a person decides about; a struct may be memory or an object, which types do not tell.
DECIDABLE = frozenset({"mem", OBJECT})


@dataclass(frozen=True)
class Gain:
    """The arguments that get a flag, and in words why, or why others do not."""

    arguments: tuple[int, ...] = ()
    why: str = ""
    stays: str = ""


def read_only(
    params: Sequence[Param], classes: Sequence[str], cast: frozenset[str], given: Sequence[int] | None, reason: str
) -> Gain:
    """Return what becomes of the memory that a kfunc promises not to write.

    `cast` are the parameters that are cast to something else; `given` is what was decided, and `reason` why.
    """
    const = [n for n, param in enumerate(params) if points_to_const(param) and classes[n] in DECIDABLE]
    memory = [n for n in const if classes[n] == "mem"]
    if given is None:
        plain = tuple(n for n in memory if params[n].name not in cast)
        stays = [
            f"argument {n} ({params[n].text.decode('utf-8', 'replace')}) stays: its const is cast away; {DECIDE}"
            for n in memory
            if n not in plain
        ]
        return Gain(plain, "const memory that is never cast" if plain else "", "; ".join(stays))
    wrong = [n for n in given if n not in const]
    if wrong:
        return Gain((), "", f"argument {wrong[0]} was decided, but it is not const memory")
    stays = [f"argument {n} stays, by decision ({reason})" for n in memory if n not in given]
    return Gain(tuple(given), f"by decision ({reason})" if given else "", "; ".join(stays))


def write_only(
    params: Sequence[Param], classes: Sequence[str], given: Sequence[int] | None, reason: str, able: bool
) -> Gain:
    """Return what becomes of memory that a kfunc writes whole on each path, which only a person can tell.

    `able` says whether the verifier can check memory for writing only.
    """
    if not given:
        return Gain()
    wrong = [n for n in given if n >= len(params) or classes[n] not in DECIDABLE or points_to_const(params[n])]
    if wrong:
        return Gain((), "", f"argument {wrong[0]} was decided, but it is not memory that can be written")
    if not able:
        return Gain((), "", "this verifier cannot check the memory of a kfunc for writing only")
    return Gain(tuple(given), f"by decision ({reason})")


def points_to_const(param: Param) -> bool:
    """Say whether a parameter is a pointer to something const, as far as its own type tells."""
    to, star, _ = param.type.rpartition("*")
    if not star:
        to, star, _ = param.type.partition("[")
    return bool(star) and re.search(r"\bconst\b", to.rpartition("*")[2]) is not None
