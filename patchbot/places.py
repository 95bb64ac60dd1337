"""Find the line of a key in a TOML file: Python's reader keeps none, and a person looks for one."""

from __future__ import annotations

import re
import tomllib
from typing import Any


def line_of(text: str, at: str) -> int | None:
    """Return the line, from 1, of the statement that gives a key such as `checks.waivers[2].max`, None without one."""
    lines = text.splitlines(keepends=True)
    start = 0
    # What is whole up to a line is read, until the key is there: then it is in what was read last.
    for end in range(1, len(lines) + 1):
        try:
            there = holds(tomllib.loads("".join(lines[:end])), at)
        except ValueError:  # inside of a value of several lines
            continue
        if there:
            return next(n for n in range(start, end) if lines[n].split("#")[0].strip()) + 1
        start = end
    return None


def holds(value: Any, at: str) -> bool:
    """Say whether a key is in a value; a name in it may have dots itself, and tables of a list are counted from 1."""
    if not at:
        return True
    if isinstance(value, list) and (number := re.match(r"\[(\d+)\]\.?", at)):
        tables = all(isinstance(row, dict) for row in value)
        return not tables or (int(number[1]) <= len(value) and holds(value[int(number[1]) - 1], at[number.end() :]))
    if not isinstance(value, dict):
        return False
    starts = (name for name in value if at.startswith(name) and at[len(name) : len(name) + 1] in ("", ".", "["))
    return any(holds(value[name], at[len(name) :].removeprefix(".")) for name in starts)
