"""Find the list macros of headers: the rows of some sets are listed in a header and expanded in the set."""

from __future__ import annotations

import re

from ....c import macro, parse
from ....series.tree import Tree

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]+)[">]', re.MULTILINE)
#: The same in a macro, for `#include MACRO`.
_NAMED = re.compile(rb'[<"]([^<>"\n]+)[>"]')
#: An include whose name a macro makes from its arguments, such as __stringify(); then any word may be the name.
_MADE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]+\w+[ \t]*\(", re.MULTILINE)
_WORD = re.compile(rb"[\w.+/-]+")
#: Files that a Makefile makes the compiler include before anything else.
_FORCED = re.compile(rb"-include[ \t=]+['\"]?([^\s'\"]+)")


def included_macro(tree: Tree, path: str, text: bytes, name: str) -> tuple[str, bytes]:
    """Return (header, value) of an object-like macro that `path` or a header it includes defines, ("", b"") if none.

    If it is defined in several ways, it is (header, b"").
    """
    folder = path.rpartition("/")[0]
    found: list[tuple[str, bytes]] = []
    for header in dict.fromkeys((path, *headers(folder, text))):
        body = text if header == path else tree.get(header)
        if body is not None and re.search(rb"\b%b\b" % name.encode(), body):
            found += [(header, m.value) for m in macro(parse(header, body), name) if m.params is None]
    if len({b" ".join(value.split()) for _, value in found}) > 1:
        return found[0][0], b""
    return found[0] if found else ("", b"")


def headers(folder: str, text: bytes) -> list[str]:
    """Return the possible paths of the headers that `text` includes, in the order of the text."""
    out = []
    for match in _INCLUDE.finditer(text):
        name = match[2].decode("utf-8", "surrogateescape")
        out += included_paths(f"{folder}/x", name)[match[1] == b"<" :]
    return out


def included_paths(path: str, name: str) -> list[str]:
    """Return the possible paths of a file that `path` includes by `name`."""
    return [joined(path.rpartition("/")[0], name), f"include/{name}", f"include/uapi/{name}"]


def beside(path: str, text: bytes) -> list[str]:
    """Return the files that `text` of `path` includes in quotes, relative to its folder."""
    quoted = (m[2].decode("utf-8", "surrogateescape") for m in _INCLUDE.finditer(text) if m[1] == b'"')
    return sorted({included_paths(path, name)[0] for name in quoted})


def joined(folder: str, name: str) -> str:
    """Return the path of a file as named from `folder`, without `.` and `..`."""
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def named(text: bytes, *, directly: bool = False) -> frozenset[str]:
    """Return everything that `text` may include by name; `directly` leaves out names in macros."""
    found = [m[2] for m in _INCLUDE.finditer(text)] if directly else _NAMED.findall(text)
    if not directly and _MADE.search(text):
        found += _WORD.findall(text)
    return frozenset(name.decode("utf-8", "surrogateescape") for name in found)


def is_makefile(path: str) -> bool:
    """Say whether Kbuild reads a file to know how to compile."""
    name = path.rpartition("/")[2]
    return name.startswith(("Makefile", "Kbuild")) or name.endswith(".mk")


def forced(text: bytes) -> frozenset[str]:
    """Return the files that a Makefile makes the compiler include, by the names it uses."""
    return frozenset(name.decode("utf-8", "surrogateescape") for name in _FORCED.findall(text))
