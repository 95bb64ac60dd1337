"""Read a TOML file, and find the line of a key in it: Python's reader keeps none, and a person looks for one."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import ConfigError

#: How tomllib names a place.
AT_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's content; raise ConfigError that names the line if it is not TOML."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ConfigError(f"{path}:1: this is UTF-16; save it as UTF-8") from error
        raise ConfigError(
            f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        ) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: tables or lists are nested too deep") from error
    except ValueError as error:  # tomllib's own, and Python's for a number of 5000 digits
        at = AT_LINE.search(str(error))
        said = AT_LINE.sub("", str(error))
        if "\r" in text.replace("\r\n", ""):
            said += "; a line ends in a lone carriage return, TOML wants \\n or \\r\\n"
        elif "\0" in text:
            said += "; the file holds NUL, as UTF-16 does; save it as UTF-8"
        place = f":{at[1] or len(data.splitlines())}" if at else ""
        raise ConfigError(f"{path}{place}: {said}") from error


def line_of(text: str, at: str) -> int | None:
    """Return the line, from 1, of the statement that gives a key such as `checks.waivers[2].max`, None without one."""
    return lines_of(text, at).get(at)


@lru_cache(maxsize=32)
def lines_of(text: str, *keys: str) -> dict[str, int]:
    """Return {key: line} of those of the keys that there are; see `line_of`."""
    lines = text.splitlines(keepends=True)
    found: dict[str, int] = {}
    start = 0
    # What is whole up to a line is read, until a key is there: then it is in what was read last.
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:end]))
        except ValueError:  # inside of a value of several lines
            continue
        if new := [key for key in keys if key not in found and holds(table, key)]:
            line = next(n for n in range(start, end) if lines[n].split("#")[0].strip()) + 1
            found |= dict.fromkeys(new, line)
        if len(found) == len(set(keys)):
            break
        start = end
    return found


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
