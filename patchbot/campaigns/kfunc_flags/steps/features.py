"""What helpers can say of an argument, and whether kfuncs can after the series: the table of the cover letter.

A row stands in the letter only if the tree shows both sides of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....c import find, function
from ....config import CampaignConfig
from ....series.campaign import Context
from ....series.tree import Tree
from . import facts
from .verifier import releases_references

#: Where the verifier checks the arguments of a kfunc, the newer place first.
CHECKS = ("check_kfunc_args", "check_kfunc_mem_size_reg")
#: What only helpers can have, unless the verifier has such a type for kfuncs.
UNKNOWN = {
    "ARG_PTR_TO_MAP_KEY": "memory is a key of a map",
    "ARG_PTR_TO_MAP_VALUE": "memory is a value of a map",
    "ARG_PTR_TO_PERCPU_BTF_ID": "a variable is one for each CPU",
}


def prose(context: Context) -> Mapping[str, Any]:
    """Return the variables of the cover letter."""
    return context.base.once(told, context.steps)


def told(base: Tree, steps: Sequence[str]) -> Mapping[str, Any]:
    """Return what a base says to a letter about some steps."""
    context = Context(base, base, CampaignConfig("kfunc_flags"), tuple(steps))
    return {**facts.words(context, "", ()), "features": features(context), "owned": keeps_second(context)}


def features(context: Context) -> list[tuple[str, str, str]]:
    """Return (what is said of an argument, by helpers, by kfuncs), without what the tree does not show."""
    verifier = facts.need_source(context.base, facts.VERIFIER_C)
    dynptr = "" if releases_references(verifier) else "KFA_RELEASE"
    # The flag that follows the access is whether 0 is a valid size.
    any_size = any(
        find(verifier, f"BPF_WRITE, true, {meta}", f.body)
        for name in CHECKS
        for f in function(verifier, name)
        for meta in ("meta", "&meta")
    )
    rows = [
        ("memory is only read", "MEM_RDONLY", "KFA_RDONLY" if "rdonly" in context.steps else ""),
        ("memory need not be initialized", "MEM_UNINIT", "KFA_UNINIT" if "uninit" in context.steps else ""),
        ("a reference is released", "OBJ_RELEASE", "KFA_RELEASE"),
        ("a dynptr is released", "OBJ_RELEASE", dynptr),
        *[("a size is not 0", name, "") for name in ("ARG_MEM_SIZE", "ARG_CONST_SIZE") if any_size],
        *[(what, name, "") for name, what in UNKNOWN.items() if not find(verifier, f"case KF_{name}:")],
    ]
    return [
        (what, helper, kfunc or "no") for what, helper, kfunc in rows if facts.says(context.base, facts.BPF_H, helper)
    ]


def keeps_second(context: Context) -> bool:
    """Say whether the verifier takes the node that is added to a list or a tree from the second register."""
    verifier = facts.need_source(context.base, facts.VERIFIER_C)
    return any(find(verifier, "insert_off = regs[BPF_REG_2]", f.body) for f in function(verifier, "check_kfunc_call"))
