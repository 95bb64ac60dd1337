"""Find the parameters of a kfunc whose type does not tell what happens to them: they are cast, here or further on.

A `const` that is cast away is no promise. It is looked for in the body, in the variables that get the pointer, and in
the functions of the same file that it is passed to; what other files do with a pointer to const is not.
"""

from __future__ import annotations

import re

from ....c import Function, Source, calls, functions

_CAST = re.compile(
    rb"\(\s*((?:[A-Za-z_]\w*\s+){0,4}[A-Za-z_]\w*\s*\*+|unsigned long|long|u64|__u64|uintptr_t|size_t)\s*\)"
    rb"[\s(&]{0,8}(\w+)"
)
_CONST = re.compile(rb"\bconst\b")
#: A variable that gets a pointer, maybe by a cast, or one into what that points to.
_SET = re.compile(rb"\b(\w+)\s*=(?!=)[\s(&]{0,8}(?:\([\w\s*]{1,80}\*\s*\)[\s(&]{0,8})?(\w+)\s*([;,)+\[]|->)")
_CALLED = re.compile(rb"\b(\w+)\s*\(")
_PASSED = re.compile(rb"[\s(&]{0,8}(\w+)\s*(?:$|[+)\[])")
#: How many functions deep a pointer is followed.
DEEPEST = 4


#: {(where a function starts, how many more its pointers are followed into): the parameters that are cast}
Seen = dict[tuple[int, int], frozenset[str]]


def casts(source: Source, function: Function) -> frozenset[str]:
    """Return the names of the parameters that are cast, unless it is to a pointer to something const."""
    return followed(source, function, DEEPEST, {})


def followed(source: Source, function: Function, deep: int, seen: Seen) -> frozenset[str]:
    """Do what `casts` does, `deep` functions further on; in a file whose functions call each other, each once."""
    key = (function.span.start, deep)
    if key in seen:
        return seen[key]
    body = source.at(function.body)
    names = {param.name.encode(): param.name for param in function.params if param.name}
    known = 0
    while known != len(names):
        known = len(names)
        for match in _SET.finditer(body):
            if match[2] in names and match[1] not in names:
                names[match[1]] = names[match[2]]
    found = {names[m[2]] for m in _CAST.finditer(body) if m[2] in names and not _CONST.search(m[1])}
    seen[key] = frozenset(found | (passed_on(source, function, names, deep - 1, seen) if deep else set()))
    return seen[key]


def passed_on(source: Source, function: Function, names: dict[bytes, str], deep: int, seen: Seen) -> set[str]:
    """Return the parameters, by the variables that hold them, which another function of the file casts."""
    found: set[str] = set()
    called = set(_CALLED.findall(source.at(function.body))) - {function.name.encode()}
    for callee in (f for f in functions(source) if f.name.encode() in called):
        given = [
            (names[match[1]], param.name)
            for call in calls(source, callee.name, function.body)
            for arg, param in zip(call.args, callee.params, strict=False)
            if (match := _PASSED.match(source.at(arg))) and match[1] in names
        ]
        if given:
            cast = followed(source, callee, deep, seen)
            found |= {name for name, param in given if param in cast}
    return found
