"""Read patchbot.toml into frozen dataclasses.

The project's own patchbot.toml holds the defaults; the user's file overrides them key by key, and its waivers are added
to the shipped ones. An unknown key is an error that lists the known ones: a misspelt option that is silently ignored is
worse than none.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from msgspec import Meta

from . import shapes
from .errors import ConfigError
from .model import Identity
from .paths import expanded
from .places import line_of, read_toml
from .shapes import MaybeTree, Text, Words

T = TypeVar("T")

#: How the scripts of a tree run: in a sandbox if that works here, without one, or only in one.
AUTO, OFF, REQUIRED = MODES = ("auto", "off", "required")

#: The keys that count in an untrusted file (`*` is any name): what the output shows, but nothing that names a program,
#: a folder, another repository or a person. A new key is not among them until somebody has thought about it.
HARMLESS = (
    *("kernel.base", "checks.checkpatch.strict", "checks.checkpatch.max_line_length"),
    *(
        f"campaigns.*.{key}"
        for key in ("target", "with", "without", "conversions", "decisions", "owners", "recipients")
    ),
    *(f"campaigns.*.{key}" for key in ("most_files", "url", "branches", "range_diff", "rfc", "tag_threshold")),
    *("checks.run", "checks.waivers", "checks.btf.wrong_on_purpose", "checks.boot.timeout", "run.jobs"),
    *(f"checks.{name}.{key}" for name in ("build", "boot") for key in ("ccache", "jobs", "arch")),
)
#: The keys of [checks] besides the tables of the checks.
LISTS = ("run", "path", "waivers")
#: A person or a list, in ASCII but for the name.
ADDRESS = re.compile(r"\A(?:[^<>@\0-\x1f\x7f]*<)?[!-;=?A-~]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+>?\Z")
#: What a waiver is about; a person's waiver with the same values replaces the shipped one.
WAIVED = ("check", "type", "step", "path")


@dataclass(frozen=True)
class Waiver:
    """Accept up to `max` findings of one type of one check, in one step's patches and one path, for a reason.

    `optional` means that not every kernel has them, so an unused one is not a warning. `campaign` is the only one that
    it is for.
    """

    check: Text
    type: Text
    step: Text
    path: Text
    max: Annotated[int, Meta(ge=1)]
    reason: Text
    optional: bool = False
    campaign: Text = ""


@dataclass(frozen=True)
class RecipientRule:
    """Correct who gets the patches that touch a path (a folder, a file or a pattern): people to add, and to drop."""

    path: Words
    add: tuple[Words, ...] = ()
    drop: tuple[Words, ...] = ()


@dataclass(frozen=True)
class OwnerRule:
    """Correct who owns a path (a folder, a file or a pattern): the tree that takes its patches, their prefix."""

    path: Words
    tree: Annotated[str, Meta(pattern=r"\A(?:[A-Za-z0-9][\w.+/-]*)?\Z")] = ""
    prefix: Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z")] = ""


@dataclass(frozen=True)
class CampaignConfig:
    """One [campaigns.<name>] table.

    `path` is the folder of a campaign that did not come with patchbot, `jobs` is how many programs a codemod starts at
    a time (0: as many as there are processors), `url` is where the campaign's source is, `branches` where a person
    publishes the branches, `range_diff` puts one into the first mail from version 2 on, `rfc` None means that version
    1 is an RFC, and `tag_threshold` is the percentage of a patch's diff that may change before its tags are dropped.
    The first of the `owners` that has a path counts. A patch of a step that is split by owner has at most `most_files`.
    Of the steps split by owner, `conversions` makes patches for each owner's tree, for the campaign's, or one for that.
    """

    name: Text
    target: MaybeTree = ""
    with_: tuple[Text, ...] = ()
    without: tuple[Text, ...] = ()
    decisions: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    url: Text = ""
    branches: Text = ""
    range_diff: bool = True
    rfc: bool | None = None
    tag_threshold: Annotated[float, Meta(ge=0, le=100)] = 0.0
    path: Path | None = None
    jobs: Annotated[int, Meta(ge=0)] = 0
    recipients: tuple[RecipientRule, ...] = ()
    owners: tuple[OwnerRule, ...] = ()
    most_files: Annotated[int, Meta(ge=1)] = 20
    conversions: Literal["owner", "acks", "treewide"] = "owner"

    def document(self) -> dict[str, Any]:
        """Return the table as JSON, without what depends on this machine."""
        return {key: value for key, value in asdict(self).items() if key not in ("path", "jobs")}


@dataclass(frozen=True)
class ChecksConfig:
    """The [checks] table; `programs` are its tables `command.<name>`, which run in `folder`."""

    run: tuple[Text, ...] = ()
    path: tuple[Path, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    programs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(frozen=True)
class Run:
    """The [run] table: how scripts of a tree run, how many at once, on which cluster, whose workers see `remote`."""

    sandbox: Any = AUTO
    jobs: Annotated[int, Meta(ge=1)] | None = None
    cluster: Text = ""
    remote: Text = ""


@dataclass(frozen=True)
class Config:
    """All of patchbot.toml; `file` is the user's file, None if there are only the defaults.

    `own` are the campaigns that it has a table of, `ignored` its keys that do not count, as it is not trusted.
    """

    file: Path | None
    kernel_path: Path | None
    kernel_base: str | None
    author: Identity | None
    campaigns: Mapping[str, CampaignConfig]
    checks: ChecksConfig
    ignored: tuple[str, ...] = ()
    run: Run = Run()
    own: tuple[str, ...] = ()

    def campaign(self, name: str | None) -> CampaignConfig:
        """Return a campaign's table; without a name the only one in the user's file, else the only one there is."""
        if name is None:
            names = self.own or tuple(self.campaigns)
            if len(names) != 1:
                raise ConfigError(f"which campaign? patchbot.toml has {listed(names)}")
            (name,) = names
        if name not in self.campaigns:
            hint = suggestion(name, list(self.campaigns))
            raise ConfigError(f"no campaign {name!r} in patchbot.toml{hint} (known: {listed(self.campaigns)})")
        return self.campaigns[name]


def load(file: Path | None, defaults: Path, own: dict[str, Any] | None = None, *, trusted: bool = True) -> Config:
    """Read the defaults and, if there is one, the user's file over them; raise ConfigError with file and key.

    `own` is the content of the file, if it was read. Of an untrusted file only the harmless keys count.
    """
    merged = read_toml(defaults)
    if file is None:
        return build(merged, None, defaults.parent)
    own = read_toml(file) if own is None else own
    try:
        config = build(over(merged, own), file, file.parent)
    except ConfigError as error:
        raise located(error, file) from error
    names = tuple(own.get("campaigns", ()))
    if trusted:
        return replace(config, own=names)
    kept, rest = sift(own)
    return replace(build(over(merged, kept), file, file.parent), ignored=tuple(rest), own=names)


def located(error: ConfigError, file: Path | None) -> ConfigError:
    """Return an error about a key of a file with the line of the key, or of the table that should have it."""
    if file is None or not error.at:
        return error
    said = str(error).removeprefix(f"{file}: ").removeprefix("patchbot.toml: ")
    text, at, line = file.read_text(encoding="utf-8-sig"), error.at, None
    while at and line is None:
        line = line_of(text, at)
        at = at.rpartition(".")[0]
    return ConfigError(f"{file}:{line}: {said}" if line else f"{file}: {said}")


def over(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults overridden by a person's file; its waivers are added to theirs."""
    merged = merge(shipped, own)
    if isinstance(merged.get("checks"), dict):
        rows = shipped.get("checks", {}).get("waivers", [])
        checks = own.get("checks", {})
        mine = checks.get("waivers", []) if isinstance(checks, Mapping) else []
        merged["checks"]["waivers"] = add_shipped(mine, rows)
    return merged


def sift(data: Mapping[str, Any], above: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the harmless tables of a file, and {key: value} of everything else."""
    kept, rest = dict[str, Any](), dict[str, Any]()
    for name, value in data.items():
        key = (*above, name)
        ways = (way.split(".") for way in HARMLESS)
        patterns = [way for way in ways if all(a in ("*", b) for a, b in zip(way, key, strict=False))]
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


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Return `low` overridden by `high`, tables key by key; everything else is replaced whole."""
    out = dict(low)
    for key, value in high.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def add_shipped(own: Any, shipped: list[dict[str, Any]]) -> Any:
    """Return a person's waivers, followed by the shipped ones for other findings, whose use is nobody's to mend."""
    if not isinstance(own, list) or not all(isinstance(row, dict) for row in own):
        return own  # checks() reports what is wrong with it
    places = [tuple(row.get(key) for key in WAIVED) for row in own]
    rest = [row for row in shipped if tuple(row.get(key) for key in WAIVED) not in places]
    return own + [{**row, "optional": True} for row in rest]


@dataclass(frozen=True)
class Tables:
    """The tables of the file."""

    kernel: dict[str, Any] = field(default_factory=dict)
    author: dict[str, Any] = field(default_factory=dict)
    campaigns: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kernel:
    """The [kernel] table."""

    path: Path | None = None
    base: Text | None = None


@dataclass(frozen=True)
class Author:
    """The [author] table."""

    name: Text = ""
    email: Text = ""


def build(data: Mapping[str, Any], file: Path | None, folder: Path) -> Config:
    """Return the Config of a parsed file; `folder` is what relative paths are relative to."""
    where = str(file or "patchbot.toml")
    tables = fit(where, "", data, Tables)
    kernel, author = fit(where, "kernel", placed(tables.kernel), Kernel), fit(where, "author", tables.author, Author)
    if tables.author and not (author.name and author.email):
        raise ConfigError(f"{where}: [author] needs both name and email", "author")
    run = fit(where, "run", tables.run, Run)
    if run.sandbox not in MODES:
        wanted = f"must be one of {', '.join(MODES)}, not {run.sandbox!r}{suggestion(str(run.sandbox), MODES)}"
        raise ConfigError(f"{where}: run.sandbox {wanted}", "run.sandbox")
    campaigns = {}
    for name, table in tables.campaigns.items():
        people = recipient_rules(where, f"campaigns.{name}.recipients", table.get("recipients", []))
        rules = owner_rules(where, f"campaigns.{name}.owners", table.get("owners", []))
        given = {key: value for key, value in placed(table).items() if key not in ("recipients", "owners")}
        known = fit(where, f"campaigns.{name}", given, CampaignConfig, name=name)
        path = known.path and folder / expanded(str(known.path))
        campaigns[name] = replace(known, recipients=people, owners=rules, path=path)
    checks = checks_of(where, folder, tables.checks)
    for number, waiver in enumerate(checks.waivers, 1):
        if waiver.campaign and waiver.campaign not in campaigns:
            text = f"there is no campaign {waiver.campaign!r}{suggestion(waiver.campaign, list(campaigns))}"
            at = f"checks.waivers[{number}]"
            raise ConfigError(f"{where}: {at}: {text} (known: {listed(campaigns)})", f"{at}.campaign")
    return Config(
        file,
        kernel.path and folder / expanded(str(kernel.path)),
        kernel.base,
        Identity(author.name, author.email) if tables.author else None,
        campaigns,
        checks,
        run=run,
    )


def listed_tables(where: str, key: str, rows: Any, kind: type[T]) -> tuple[T, ...]:
    """Return the tables of a list; raise ConfigError for what does not fit."""
    if not isinstance(rows, list):
        raise ConfigError(f"{where}: {key} must be a list of tables, each under [[{key}]]", key)
    return tuple(fit(where, f"{key}[{number}]", row, kind) for number, row in enumerate(rows, 1))


def recipient_rules(where: str, key: str, rows: Any) -> tuple[RecipientRule, ...]:
    """Return a list of tables that each correct who gets what; raise ConfigError for what does not fit."""
    rules = listed_tables(where, key, rows, RecipientRule)
    for number, rule in enumerate(rules, 1):
        for name, people in (("add", rule.add), ("drop", rule.drop)):
            at = f"{key}[{number}].{name}"
            if wrong := [text for text in people if not ADDRESS.fullmatch(text)]:
                raise ConfigError(f"{where}: {at}: {wrong[0]!r} is not an address like Name <user@host>", at)
        if not (rule.add or rule.drop):
            raise ConfigError(f"{where}: {key}[{number}] adds and drops nobody", f"{key}[{number}]")
    return rules


def owner_rules(where: str, key: str, rows: Any) -> tuple[OwnerRule, ...]:
    """Return a list of tables that each say who owns a path; raise ConfigError for what does not fit."""
    rules = listed_tables(where, key, rows, OwnerRule)
    if idle := [n for n, rule in enumerate(rules, 1) if not (rule.tree or rule.prefix)]:
        raise ConfigError(f"{where}: {key}[{idle[0]}] names no tree and no prefix", f"{key}[{idle[0]}]")
    return tuple(replace(rule, prefix=rule.prefix.strip().removesuffix(":")) for rule in rules)


def placed(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without an empty `path`, which names no place."""
    return {key: value for key, value in table.items() if key != "path" or value != ""}


def checks_of(where: str, folder: Path, data: Mapping[str, Any]) -> ChecksConfig:
    """Return the [checks] table; its sub-tables are the options of the check with that name."""
    rows = data.get("waivers", [])
    options = {name: value for name, value in data.items() if isinstance(value, dict) and name not in LISTS}
    given = {name: value for name, value in data.items() if name not in options}
    programs = options.pop("command", {})
    for number, row in enumerate(rows if isinstance(rows, list) else (), 1):
        needed, at = (*WAIVED, "max", "reason"), f"checks.waivers[{number}]"
        if isinstance(row, dict) and (missing := [name for name in needed if row.get(name) in (None, "")]):
            blind = "a waiver without a bound and a reason is a blind spot"
            raise ConfigError(f"{where}: {at} lacks {', '.join(missing)}; {blind}", at)
    waivers = listed_tables(where, "checks.waivers", rows, Waiver)
    made = fit(where, "checks", given | {"waivers": []}, ChecksConfig, options=options, programs=programs)
    paths = tuple(folder / expanded(str(path)) for path in made.path)
    return replace(made, path=paths, waivers=waivers, folder=folder)


def fit(where: str, key: str, data: Any, kind: type[T], **more: Any) -> T:
    """Return a table of a file as a dataclass; raise ConfigError for a key or a value that does not fit.

    `more` are fields that do not come from the table.
    """
    if isinstance(data, dict):
        refuse_unknown(where, key, data, [name.rstrip("_") for name in get_type_hints(kind) if name not in more])
        data = {f"{name}_" if iskeyword(name) else name: value for name, value in data.items()} | more
    try:
        return shapes.convert(data, kind, key)
    except shapes.ShapeError as error:
        raise ConfigError(f"{where}: {error}", error.at) from error


def refuse_unknown(where: str, key: str, data: Iterable[str], names: Sequence[str]) -> None:
    """Raise ConfigError for a key that is not among `names`."""
    for name in data:
        if name not in names:
            place = f"[{key}] " if key else ""
            hint = suggestion(name, names)
            known = f"known: {', '.join(names)}" if names else "there are none"
            raise ConfigError(f"{where}: {place}unknown key {name!r}{hint} ({known})", f"{key}.{name}".lstrip("."))


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return which of some names a person may have meant, "" if none is similar."""
    close = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Return names for a message."""
    return ", ".join(sorted(names)) or "none"
