"""Read the kernel options that a build wants: fragments of Kconfig's .config, and [checks.build], which names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from ..config import fit
from ..errors import ConfigError, UserError
from ..paths import expanded
from ..series.campaign import BuildWishes
from ..shapes import Text

PAHOLE = "pahole"


@dataclass(frozen=True)
class BuildOptions:
    """[checks.build]: fragments of .config in place of the campaign's, and what compiles.

    `allyesconfig` says whether what these lack is compiled in that. `ccache` None means "if it is installed", `arch`
    None means every architecture that patchbot knows.
    """

    # Not Text: two unions of a text with a pattern and a list in one class, and msgspec ends Python with a crash.
    config: str | tuple[Text, ...] | None = None
    cc: Text | None = None
    cross_compile: Text = ""
    ccache: bool | None = None
    jobs: Annotated[int, Meta(ge=1)] | None = None
    arch: tuple[str, ...] | None = None
    allyesconfig: bool = True
    pahole: Text = PAHOLE

    def __post_init__(self) -> None:
        """Refuse what no path can hold."""
        if self.config and "\0" in self.config:
            raise ValueError("its config holds a NUL, which no path can have")


def build_options(table: Mapping[str, Any]) -> BuildOptions:
    """Return [checks.build] of patchbot.toml."""
    return fit("patchbot.toml", "checks.build", table, BuildOptions)


def read_options(text: str, where: str) -> dict[str, str]:
    """Return {symbol: value} of a configuration or fragment, `n` for one not set; raise UserError for other text."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if match := re.fullmatch(r"# CONFIG_(\w+) is not set", line):
            found[match[1]] = "n"
        elif match := re.fullmatch(r"CONFIG_(\w+)=(.*)", line):
            found[match[1]] = match[2]
        elif line and not line.startswith("#"):
            raise UserError(f"{where}:{number}: {line!r} is not an option (CONFIG_X=y, # CONFIG_X is not set)")
    return found


def write_options(options: Mapping[str, str]) -> str:
    """Return options as a fragment."""
    rows = (f"# CONFIG_{k} is not set" if v == "n" else f"CONFIG_{k}={v}" for k, v in sorted(options.items()))
    return "\n".join(rows) + "\n"


def wanted_options(options: BuildOptions, wishes: BuildWishes) -> dict[str, str]:
    """Return the options of the configuration fragments; later ones override earlier ones.

    The campaign's fragments are in `wishes`; [checks.build] config replaces them and may name one by its file name.
    """
    given = options.config if options.config is not None else map(str, wishes.config)
    by_name = {path.name: path for path in wishes.config}
    merged: dict[str, str] = {}
    for name in [given] if isinstance(given, str) else given:
        path = expanded(name)
        if not path.exists():
            path = by_name.get(name, path)
        try:
            merged |= read_options(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"[checks.build] config: {path} cannot be read: {error}", "checks.build.config"
            ) from error
    return merged
