"""Find the list macros of headers: the rows of some sets are named in a header and made where the set is."""

from __future__ import annotations

import re

from ...tree import Tree


def included_macro(tree: Tree, path: str, text: bytes, name: str) -> tuple[str, bytes]:
    """Return (header, value) of an object-like macro that `path` or a header it includes defines, ("", b"") if none."""
    folder = path.rpartition("/")[0]
    wanted = re.compile(
        rb"^[ \t]*#[ \t]*define[ \t]+" + name.encode() + rb"(?![\w(])((?:\\\r?\n|[^\n])*)", re.MULTILINE
    )
    for header in (path, *headers(folder, text)):
        body = text if header == path else tree.get(header)
        match = wanted.search(body) if body is not None else None
        if match:
            return header, match[1]
    return "", b""


def headers(folder: str, text: bytes) -> list[str]:
    """Return where the headers that `text` includes can be, in the order of the text."""
    out = []
    for match in re.finditer(rb'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]+)[">]', text, re.MULTILINE):
        name = match[2].decode("utf-8", "surrogateescape")
        if match[1] == b'"':
            out.append(f"{folder}/{name}" if folder else name)
        out += [f"include/{name}", f"include/uapi/{name}"]
    return out
