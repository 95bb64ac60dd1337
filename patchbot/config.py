"""patchbot.toml as frozen dataclasses.

The project's own patchbot.toml is the default; the user's file overrides it key by key, and its waivers come on top
of the shipped ones. A key that patchbot does not know is an error that lists the known ones: a misspelt option that is
silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .model import Identity
from .paths import expanded

#: How the scripts of a tree run: in a sandbox if that works here, without one, or never without.
AUTO, OFF, REQUIRED = MODES = ("auto", "off", "required")

#: What counts in a file that nobody trusts, `*` is any name: what the output shows, and nothing that names a program, a
#: folder, another repository or a person. A new key is not among them until somebody has thought about it.
HARMLESS = (
    "kernel.base",
    *(
        f"campaigns.*.{key}"
        for key in ("target", "with", "without", "conversions", "decisions", "owners", "recipients")
    ),
    *(f"campaigns.*.{key}" for key in ("most_files", "url", "rfc", "tag_threshold")),
    *("checks.run", "checks.waivers", "checks.btf.wrong_on_purpose", "checks.boot.timeout"),
    *(f"checks.{name}.{key}" for name in ("build", "boot") for key in ("ccache", "jobs", "arch")),
    *("checks.checkpatch.strict", "checks.checkpatch.max_line_length"),
)
#: What a waiver is about; one with the same in a person's file stands for the shipped one.
WAIVED = ("check", "type", "step", "path")
#: How tomllib names a place.
AT_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


@dataclass(frozen=True)
class Waiver:
    """Accept up to `max` findings of one type of one check, in one step's patches and one path, for a reason.

    `optional` says that not every kernel has them, so that one which is not used is no warning. `campaign` names the
    only one that it is for.
    """

    check: str
    type: str
    step: str
    path: str
    max: int
    reason: str
    optional: bool = False
    campaign: str = ""


@dataclass(frozen=True)
class CampaignConfig:
    """One [campaigns.<name>] table.

    `path` is the folder of a campaign that is not patchbot's own, `url` is where the campaign's source is, `rfc` None
    means that version 1 is an RFC, and `tag_threshold` is how many percent of a patch's diff may change before a tag of
    it is dropped.
    """

    name: str
    target: str = ""
    with_: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    decisions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    url: str = ""
    rfc: bool | None = None
    tag_threshold: float = 0.0
    path: Path | None = None

    def document(self) -> dict[str, Any]:
        """Return the table as JSON, without what is about this machine."""
        return {key: value for key, value in asdict(self).items() if key != "path"}


@dataclass(frozen=True)
class ChecksConfig:
    """The [checks] table: which checks run in which order, extra folders of checks, options by check, waivers."""

    run: tuple[str, ...] = ()
    path: tuple[Path, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True)
class Config:
    """All of patchbot.toml; `file` is the user's file, None if only the defaults hold.

    `ignored` names the keys of it that do not count, since nobody trusts it.
    """

    file: Path | None
    kernel_path: Path | None
    kernel_base: str | None
    author: Identity | None
    campaigns: Mapping[str, CampaignConfig]
    checks: ChecksConfig
    ignored: tuple[str, ...] = ()
    sandbox: str = AUTO

    def campaign(self, name: str | None) -> CampaignConfig:
        """Return a campaign's table; without a name the only one there is."""
        if name is None:
            if len(self.campaigns) == 1:
                return next(iter(self.campaigns.values()))
            raise ConfigError(f"which campaign? patchbot.toml has {listed(self.campaigns)}")
        if name not in self.campaigns:
            raise ConfigError(f"no campaign {name!r} in patchbot.toml; it has {listed(self.campaigns)}")
        return self.campaigns[name]


def load(file: Path | None, defaults: Path, own: dict[str, Any] | None = None, *, trusted: bool = True) -> Config:
    """Read the defaults and, if there is one, the user's file over them; raise ConfigError with file and key.

    `own` is the content of the file, if it was read. Of a file that is not trusted only what is harmless counts.
    """
    merged = read_toml(defaults)
    if file is None:
        return build(merged, None, defaults.parent)
    own = read_toml(file) if own is None else own
    config = build(over(merged, own), file, file.parent)
    if trusted:
        return config
    kept, rest = sift(own)
    return replace(build(over(merged, kept), file, file.parent), ignored=tuple(rest))


def over(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults with a person's file over them; its waivers come on top of theirs."""
    merged = merge(shipped, own)
    if isinstance(merged.get("checks"), dict):
        rows = shipped.get("checks", {}).get("waivers", [])
        merged["checks"]["waivers"] = add_shipped(merged["checks"].get("waivers", []), rows)
    return merged


def sift(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is harmless of a file, as tables, and {key: value} of all else."""
    kept: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in data.items():
        key = (*above, name)
        patterns = [
            p for p in (h.split(".") for h in HARMLESS) if all(a in ("*", b) for a, b in zip(p, key, strict=False))
        ]
        if any(len(p) == len(key) for p in patterns):
            kept[name] = value
        elif isinstance(value, Mapping):
            inner, deeper = sift(value, key)
            rest |= deeper
            if inner or not value:
                kept[name] = inner
        else:
            rest[".".join(key)] = value
    return kept, rest


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's content; raise ConfigError that names the line where it is none."""
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
        raise ConfigError(f"{path}: tables or lists in one another are too deep") from error
    except ValueError as error:  # tomllib's own, and Python's for a number of 5000 digits
        at = AT_LINE.search(str(error))
        said = AT_LINE.sub("", str(error))
        if "\r" in text.replace("\r\n", ""):
            said += "; a line ends with a carriage return alone, TOML wants \\n or \\r\\n"
        elif "\0" in text:
            said += "; the file holds NUL, as UTF-16 does; save it as UTF-8"
        place = f":{at[1] or len(data.splitlines())}" if at else ""
        raise ConfigError(f"{path}{place}: {said}") from error


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Return `low` with the keys of `high` over it, tables key by key; everything else is replaced whole."""
    out = dict(low)
    for key, value in high.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def add_shipped(own: Any, shipped: list[dict[str, Any]]) -> Any:
    """Return a person's waivers and, after them, the shipped ones that are for other findings."""
    if not isinstance(own, list) or not all(isinstance(row, dict) for row in own):
        return own  # checks() says what is wrong with it
    places = [tuple(row.get(key) for key in WAIVED) for row in own]
    return own + [row for row in shipped if tuple(row.get(key) for key in WAIVED) not in places]


def build(data: Mapping[str, Any], file: Path | None, folder: Path) -> Config:
    """Return the Config of a parsed file; `folder` is what relative paths are relative to."""
    where = str(file or "patchbot.toml")
    known(where, "", data, ("kernel", "author", "campaigns", "run", "checks"))
    kernel = table(where, "kernel", data.get("kernel", {}))
    known(where, "kernel", kernel, ("path", "base"))
    author = table(where, "author", data.get("author", {}))
    known(where, "author", author, ("name", "email"))
    if author and not (
        text(where, "author.name", author.get("name")) and text(where, "author.email", author.get("email"))
    ):
        raise ConfigError(f"{where}: [author] needs both name and email")
    campaigns = {
        name: campaign(where, folder, name, table(where, f"campaigns.{name}", value))
        for name, value in table(where, "campaigns", data.get("campaigns", {})).items()
    }
    run = table(where, "run", data.get("run", {}))
    known(where, "run", run, ("sandbox",))
    sandbox = run.get("sandbox", AUTO)
    if sandbox not in MODES:
        close = difflib.get_close_matches(str(sandbox), MODES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"{where}: run.sandbox must be one of {', '.join(MODES)}, not {sandbox!r}{hint}")
    path = text(where, "kernel.path", kernel.get("path"))
    return Config(
        file,
        (folder / expanded(path)) if path else None,
        text(where, "kernel.base", kernel.get("base")),
        Identity(author["name"], author["email"]) if author else None,
        campaigns,
        checks(where, folder, table(where, "checks", data.get("checks", {}))),
        sandbox=sandbox,
    )


def campaign(where: str, folder: Path, name: str, data: Mapping[str, Any]) -> CampaignConfig:
    """Return one [campaigns.<name>] table."""
    key = f"campaigns.{name}"
    known(where, key, data, ("target", "with", "without", "decisions", "url", "rfc", "tag_threshold", "path"))
    decisions = table(where, f"{key}.decisions", data.get("decisions", {}))
    rfc = data.get("rfc")
    if not (rfc is None or isinstance(rfc, bool)):
        raise ConfigError(f"{where}: {key}.rfc must be true or false, not {rfc!r}")
    threshold = data.get("tag_threshold", 0)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 100:
        raise ConfigError(f"{where}: {key}.tag_threshold must be percent, a number from 0 to 100, not {threshold!r}")
    return CampaignConfig(
        name,
        text(where, f"{key}.target", data.get("target")) or "",
        strings(where, f"{key}.with", data.get("with", [])),
        strings(where, f"{key}.without", data.get("without", [])),
        {k: table(where, f"{key}.decisions.{k}", v) for k, v in decisions.items()},
        text(where, f"{key}.url", data.get("url")) or "",
        rfc,
        float(threshold),
        folder / expanded(path) if (path := text(where, f"{key}.path", data.get("path"))) else None,
    )


def checks(where: str, folder: Path, data: Mapping[str, Any]) -> ChecksConfig:
    """Return the [checks] table; its sub-tables are the options of the check with that name."""
    rows = data.get("waivers", [])
    if not isinstance(rows, list):
        raise ConfigError(f"{where}: checks.waivers must be a list of tables, each with [[checks.waivers]] over it")
    options = {k: v for k, v in data.items() if isinstance(v, dict)}
    known(where, "checks", {k: v for k, v in data.items() if k not in options}, ("run", "path", "waivers"))
    waivers = []
    fields = (*WAIVED, "max", "reason")
    for number, row in enumerate(rows, 1):
        key = f"checks.waivers[{number}]"
        known(where, key, table(where, key, row), (*fields, "optional", "campaign"))
        missing = [f for f in fields if row.get(f) in (None, "")]
        if missing:
            raise ConfigError(
                f"{where}: {key} lacks {', '.join(missing)}; a waiver without a bound and a reason is a blind spot"
            )
        for name in (*WAIVED, "reason"):
            text(where, f"{key}.{name}", row[name])
        if not isinstance(row["max"], int) or row["max"] < 1:
            raise ConfigError(f"{where}: {key}.max must be a number from 1, not {row['max']!r}")
        optional = row.get("optional", False)
        if not isinstance(optional, bool):
            raise ConfigError(f"{where}: {key}.optional must be true or false, not {optional!r}")
        owner = text(where, f"{key}.campaign", row.get("campaign")) or ""
        waivers.append(replace(Waiver(*(row[f] for f in fields)), optional=optional, campaign=owner))
    paths = tuple(folder / expanded(p) for p in strings(where, "checks.path", data.get("path", [])))
    return ChecksConfig(strings(where, "checks.run", data.get("run", [])), paths, options, tuple(waivers))


def known(where: str, key: str, data: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raise ConfigError for a key that is not among `names`."""
    names = tuple(names)
    for name in data:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            place = f"[{key}] " if key else ""
            raise ConfigError(f"{where}: {place}unknown key {name!r}{hint} (known: {', '.join(names)})")


def table(where: str, key: str, value: Any) -> Mapping[str, Any]:
    """Return a value that must be a table."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {key} must be a table, not {value!r}")
    return value


def text(where: str, key: str, value: Any) -> str | None:
    """Return a value that must be a string if it is there."""
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{where}: {key} must be a string, not {value!r}")
    if value and "\0" in value:
        raise ConfigError(f"{where}: {key} holds a NUL, which no name and no path can have")
    return value


def strings(where: str, key: str, value: Any) -> tuple[str, ...]:
    """Return a value that must be a list of strings."""
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{where}: {key} must be a list of strings, not {value!r}")
    return tuple(text(where, key, v) or "" for v in value)


def listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(sorted(names)) or "none"
