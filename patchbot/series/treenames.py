"""Name the trees of MAINTAINERS by the last part of their address, with the owner where several trees have that name.

Two addresses are of one tree if owner and name are the same, or if one section gives both under one name. Of several
trees with a name, the one whose owner has that name, too, or that has no owner, is called so alone: `tip/tip` is tip,
`xen/tip` is not. Neither the order of MAINTAINERS nor what a campaign touches decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

URL = re.compile(r"(?<![a-z+])[a-z+]++://\S+")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

#: Names that do not tell whose tree it is; its folder does.
ANONYMOUS = re.compile(r"linux(-[0-9.]+)?|kernel|mainline")


@dataclass(frozen=True, order=True)
class Address:
    """The name of a tree, and the one that has its owner, too; `own` says that the short one is its owner's name."""

    name: str
    long: str
    own: bool


def address(value: str) -> Address | None:
    """Return what the address in a T: line says, None for a line without one.

    `git git://git.kernel.org/pub/scm/linux/kernel/git/bpf/bpf-next.git` is `bpf-next`, and `bpf/bpf-next`.
    """
    url = URL.search(value)
    if not url:
        return None
    parts = [part for part in url[0].split("://", 1)[1].split("/") if part]
    parts = [parts[0].rpartition("@")[2].lower(), *(part.removesuffix(".git").lstrip("~") for part in parts[1:])]
    place = next((n for n in range(len(parts) - 1, 0, -1) if not ANONYMOUS.fullmatch(parts[n])), 0)
    # A repository without a name of its own has its owner's; what lies right below the host has no owner.
    after = parts[place + 1 : place + 2]
    owner, last = (parts[place], after[0]) if after else (parts[place - 1], parts[place])
    if not place or not (NAME.fullmatch(owner) and NAME.fullmatch(last)):
        return None
    return Address(parts[place], f"{owner}/{last}", bool(after) or owner == last or place == 1)


def names_of(sections: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return {long name: name} of the trees of MAINTAINERS; `sections` are the T: lines of each section."""
    one: dict[str, set[str]] = {}
    known: set[Address] = set()
    for lines in sections:
        by_name: dict[str, set[str]] = {}
        for found in filter(None, map(address, lines)):
            known.add(found)
            by_name.setdefault(found.name, set()).add(found.long)
        for longs in by_name.values():
            joined = longs.union(*(one.get(long, set()) for long in longs))
            one |= dict.fromkeys(joined, joined)
    trees: dict[str, set[frozenset[str]]] = {}
    for found in known:
        trees.setdefault(found.name, set()).add(frozenset(one[found.long]))
    own = {found.long for found in known if found.own}
    made: dict[str, str] = {}
    for name, several in trees.items():
        chosen = [tree for tree in several if len(several) == 1 or tree & own]
        for tree in several:
            made |= dict.fromkeys(tree, name if chosen == [tree] else min(tree))
    return made


def doubt(names: Mapping[str, str], given: str) -> str:
    """Return why a name that a person gave cannot be used, "" if it can; `names` are those of `names_of`."""
    if given in names.values():
        return ""
    if given in names:
        return f"{given} is called {names[given]} here"
    several = sorted({name for name in names.values() if short(name) == given})
    return f"{given} may be {' or '.join(several)}; name one of them" if several else ""


def short(name: str) -> str:
    """Return the part of a name that several trees may have: `tip` of `xen/tip`."""
    owner, _, last = name.rpartition("/")
    return owner if owner and ANONYMOUS.fullmatch(last) else last


def followed(target: str, now: Iterable[str]) -> str:
    """Return what a tree is called now whose patches go to the trees `now`: another owner, but the same name."""
    count = Counter(name for name in now if short(name) == short(target))
    return target if target in count else max(sorted(count), key=lambda name: count[name], default=target)
