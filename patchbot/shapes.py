"""Read JSON that somebody may have damaged: what is not of the expected shape is one error that says where.

A shape is a type, a literal, a pattern (a text that it matches as a whole), `[shape]` for a list of any length,
`[a, b]` for one of just these, `{str: shape}` for any keys, `{"key": shape, "key?": shape}` for these keys (others do
not count), or a tuple of shapes of which one must fit.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: A path that stays inside of a tree and out of a repository.
PATH = re.compile(r"(?s)(?:(?!\.{0,2}(?:/|\Z)|(?i:\.git)(?:/|\Z))[^/\0]+(?:/(?=[^/])|\Z))+")
#: A text with something to read in it.
WORDS = re.compile(r"(?s)\s*+\S.*")
#: No record and no kept answer comes near; what is larger is not read.
MOST = 64 << 20
NAMES = {str: "a text", int: "a number", float: "a number", bool: "true or false", dict: "an object", list: "a list"}


class ShapeError(ValueError):
    """JSON that is none or is of another shape; the message says where and how."""


def read(text: bytes | str, shape: Any) -> Any:
    """Return the JSON in a text; raise ShapeError if there is none of this shape."""
    if len(text) > MOST:
        raise ShapeError(f"it has {len(text) >> 20} MB")
    try:
        value = json.loads(text, parse_constant=refuse)
        insist(value, shape, "")
    except RecursionError as error:
        raise ShapeError("it is nested too deep") from error
    except UnicodeDecodeError as error:
        raise ShapeError(f"byte {error.start} is not UTF-8") from error
    except TypeError as error:  # a row of a database may hold anything
        raise ShapeError(str(error)) from error
    except ValueError as error:
        raise error if isinstance(error, ShapeError) else ShapeError(str(error)) from error
    return value


def once(names: Iterable[str], what: str) -> None:
    """Raise ShapeError if a name is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ShapeError(f"{what} {twice[0]!r} is there twice")


def refuse(constant: str) -> NoReturn:
    """Raise ShapeError for NaN and Infinity, which Python would take."""
    raise ShapeError(f"{constant} is not JSON")


def insist(value: Any, shape: Any, where: str) -> None:
    """Raise ShapeError if a value is not of a shape."""
    if isinstance(shape, tuple):
        if not any(fits(value, one) for one in shape):
            raise ShapeError(f"{place(where)} is {shown(value)}")
    elif isinstance(shape, dict):
        insist(value, dict, where)
        for name, inner in shape.items():
            if name is str:
                for key, part in value.items():
                    insist(part, inner, f"{where}.{key}")
            elif name.rstrip("?") in value:
                insist(value[name.rstrip("?")], inner, f"{where}.{name.rstrip('?')}")
            elif not name.endswith("?"):
                raise ShapeError(f"{place(where)} lacks {name!r}")
    elif isinstance(shape, list):
        insist(value, list, where)
        shapes = shape if len(shape) > 1 else shape * len(value)
        if len(shapes) != len(value):
            raise ShapeError(f"{place(where)} has {len(value)} items, not {len(shapes)}")
        for number, (part, inner) in enumerate(zip(value, shapes, strict=True)):
            insist(part, inner, f"{where}[{number}]")
    elif isinstance(shape, type):
        kinds = (int, float) if shape is float else shape
        if not isinstance(value, kinds) or (isinstance(value, bool) and shape is not bool):
            raise ShapeError(f"{place(where)} is {shown(value)}, not {NAMES[shape]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ShapeError(f"{place(where)} is {value}")
    elif isinstance(shape, re.Pattern):
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise ShapeError(f"{place(where)} is {shown(value)}")
    elif value != shape or type(value) is not type(shape):
        raise ShapeError(f"{place(where)} is {shown(value)}, not {shape!r}")


def fits(value: Any, shape: Any) -> bool:
    """Say whether a value is of a shape."""
    try:
        insist(value, shape, "")
    except ShapeError:
        return False
    return True


def place(where: str) -> str:
    """Return where something is in words."""
    return where.lstrip(".") or "it"


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    return NAMES[type(value)] if isinstance(value, dict | list) else repr(value)[:60]
