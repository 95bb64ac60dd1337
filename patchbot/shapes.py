"""Read JSON that may be damaged into typed values: anything that does not fit is one error that says where.

The types themselves, dataclasses with annotated fields, say what fits; msgspec compares. Its messages have a program's
kind of path, without the keys of mappings, so they are put into words here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T")

#: msgspec learns what a class is like when it first meets it; two threads that do so at once end Python with a crash.
_learning = RLock()

SHA = re.compile(r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
#: A path that stays inside a tree and out of its repository.
PATH = re.compile(r"(?s)\A(?:(?!\.{0,2}(?:/|\Z)|(?i:\.git)(?:/|\Z))[^/\0]+(?:/(?=[^/])|\Z))+\Z")
#: A text that is not blank.
WORDS = re.compile(r"(?s)\A\s*+\S")
#: One line of text that is not blank, as a subject.
LINE = re.compile(r"\A[^\S\x00-\x1f]*+[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*+\Z")
#: The name of a tree, as it stands in a subject's brackets; and that or "", for what a default leaves open.
TREE = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._+/-]*+\Z")
MAYBE_TREE = re.compile(rf"(?:\A\Z|{TREE.pattern})")
Sha = Annotated[str, msgspec.Meta(pattern=SHA.pattern)]
TreePath = Annotated[str, msgspec.Meta(pattern=PATH.pattern)]
#: A text that may be a name: the system allows no NUL in names.
Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
Words = Annotated[str, msgspec.Meta(pattern=WORDS.pattern)]
Line = Annotated[str, msgspec.Meta(pattern=LINE.pattern)]
TreeName = Annotated[str, msgspec.Meta(pattern=TREE.pattern)]
MaybeTree = Annotated[str, msgspec.Meta(pattern=MAYBE_TREE.pattern)]
#: What a text must be that a pattern does not match.
MEANT = {
    WORDS: "a text that is not blank",
    LINE: "one line of text",
    TREE: (tree := "the name of a tree, such as bpf-next"),
    MAYBE_TREE: tree,
}

#: No record and no kept answer comes near this; anything larger is not read.
MOST = 64 << 20
NAMES = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "object": "a table",
    "array": "a list",
}
STEP = re.compile(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]")


@dataclass(frozen=True)
class Sums:
    """A list of files with a digest of each."""

    files: Mapping[str, str]


@dataclass(frozen=True)
class Mails:
    """What patchbot wrote to a folder: {name of a mail: the digests of what it may hold}."""

    mails: Mapping[str, Sequence[str]]


class ShapeError(ValueError):
    """Text that is not JSON, or JSON of another shape; the message says where and how, `at` only where."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.at = at


def read(text: bytes | str, kind: type[T]) -> T:
    """Return the JSON in a text as a value of a type; raise ShapeError if it does not fit."""
    if len(text) > MOST:
        raise ShapeError(f"it has {len(text) >> 20} MB")
    try:
        # Python's reader, as texts may hold bytes that are not UTF-8, as lone surrogates.
        return convert(json.loads(text, parse_constant=refuse, parse_float=finite), kind)
    except RecursionError as error:
        raise ShapeError("it is nested too deep") from error
    except UnicodeDecodeError as error:
        raise ShapeError(f"byte {error.start} is not UTF-8") from error
    except TypeError as error:  # a database row may hold anything
        raise ShapeError(str(error)) from error
    except ShapeError:
        raise
    except ValueError as error:
        raise ShapeError(str(error)) from error


def convert(value: Any, kind: type[T], at: str = "") -> T:
    """Convert a plain value to a type; raise ShapeError, with the place from `at` on, if it does not fit."""
    try:
        with _learning:
            return msgspec.convert(value, kind, dec_hook=path_of)
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        where, found = locate(deepcopy(value), kind, path)
        place = f"{at}{where}".lstrip(".")
        raise ShapeError(explain(said, place or "it", found), place) from error


def path_of(kind: type[Any], value: Any) -> Any:
    """Turn a text into a path, the only type here that msgspec does not know."""
    if kind is not Path or not isinstance(value, str) or "\0" in value:
        raise ValueError("Expected `str`, got another")
    return Path(value)


def locate(value: Any, kind: type[Any], path: str) -> tuple[str, Any]:
    """Return the place that the path of an error means, with the keys that it does not name, and the value there."""
    where, here = "", value
    for name, number in STEP.findall(path):
        if number == "...":
            key = culprit(value, kind, here)
            where, here = f"{where}.{key}", here[key]
        elif number:
            where, here = f"{where}[{number}]", here[int(number)]
        else:
            where, here = f"{where}.{name.rstrip('_')}", here[name]  # `with_` is what Python calls a key `with`
    return where, here


def culprit(value: Any, kind: type[Any], mapping: dict[str, Any]) -> str:
    """Return the key of a mapping inside a value that makes it misfit: alone in the mapping it still does."""
    for key, part in list(mapping.items()):
        mapping.clear()
        mapping[key] = part
        try:
            with _learning:
                msgspec.convert(value, kind, dec_hook=path_of)
        except msgspec.ValidationError as error:
            if "[...]" in str(error):
                break
    return key


def explain(said: str, place: str, found: Any) -> str:
    """Return msgspec's message about a place, in words."""
    if match := re.fullmatch(r"Object missing required field `(.*)`", said):
        return f"{place} lacks {match[1]!r}"
    if isinstance(found, str) and "\0" in found:
        return f"{place} holds a NUL, which no name or path can have"
    what = f"{place} is {shown(found)}"
    if match := re.fullmatch(r"Expected `array` of length (<= |>= |)(\d+)(?:, got \d+)?", said):
        least = {"<= ": "at most ", ">= ": "at least ", "": ""}[match[1]]
        return f"{place} has {len(found)} items, not {least}{match[2]}"
    if match := re.fullmatch(r"Expected `([^`]*)`( [<>]= .*|, got .*)", said):
        names = [NAMES.get(name, name) for name in match[1].split(" | ") if name != "null"]
        return f"{what}, not {' or '.join(names)}{match[2] if '=' in match[2] else ''}"
    if " matching regex " in said:
        meant = [f", not {words}" for known, words in MEANT.items() if repr(known.pattern) in said]
        return f"{what}{''.join(meant)}"
    return f"{what}: {said}"


def once(names: Iterable[str], what: str) -> None:
    """Raise ShapeError if a name occurs twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ShapeError(f"{what} {twice[0]!r} occurs twice")


def refuse(constant: str) -> NoReturn:
    """Raise ShapeError for NaN and Infinity, which Python would accept."""
    raise ShapeError(f"{constant} is not JSON")


def finite(digits: str) -> float:
    """Return a number; raise ShapeError for one that is too large."""
    value = float(digits)
    return value if math.isfinite(value) else refuse(digits)


def shown(value: Any) -> str:
    """Return a value in the form for messages."""
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:60]


def plain(value: Any, other: Callable[[Any], Any] | None = None) -> Any:
    """Return a typed value as JSON-able data; bytes are kept, and `other` turns into data what is none."""
    return msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=other)
