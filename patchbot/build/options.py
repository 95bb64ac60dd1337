"""The kernel options that a build wants: fragments of Kconfig's .config, and [checks.build] that names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import UserError
from ..paths import expanded
from ..series.campaign import BuildWishes

#: The keys of [checks.build].
OPTIONS = ("config", "cc", "cross_compile", "ccache", "jobs", "arch", "pahole")


def read_options(text: str, where: str) -> dict[str, str]:
    """Return {symbol: value} of a configuration or fragment, `n` for one not set; raise UserError on nonsense."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if match := re.fullmatch(r"# CONFIG_(\w+) is not set", line):
            found[match[1]] = "n"
        elif match := re.fullmatch(r"CONFIG_(\w+)=(.*)", line):
            found[match[1]] = match[2]
        elif line and not line.startswith("#"):
            raise UserError(f"{where}:{number}: {line!r} is no option (CONFIG_X=y, # CONFIG_X is not set)")
    return found


def write_options(options: Mapping[str, str]) -> str:
    """Return options as a fragment."""
    rows = (f"# CONFIG_{k} is not set" if v == "n" else f"CONFIG_{k}={v}" for k, v in sorted(options.items()))
    return "\n".join(rows) + "\n"


def wanted_options(options: Mapping[str, Any], wishes: BuildWishes) -> dict[str, str]:
    """Return the options of the configuration fragments, the later ones over the earlier ones.

    The campaign's are those of `wishes`; [checks.build] config replaces them and may name one by its file name.
    """
    given = options.get("config", wishes.config)
    by_name = {path.name: path for path in wishes.config}
    merged: dict[str, str] = {}
    for name in [given] if isinstance(given, str) else given:
        path = expanded(name)
        if not path.exists():
            path = by_name.get(str(name), path)
        try:
            merged |= read_options(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"[checks.build] config: {path} cannot be read: {error}") from error
    return merged
