"""Read a campaign.toml: a campaign without a line of Python around its codemods.

It says what the sites are and which codemod each step is; what becomes of every site is read from what the steps did.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Meta

from ..config import CampaignConfig, OwnerRule, fit, located, owner_rules, suggestion
from ..errors import ConfigError, UserError
from ..model import Edit
from ..places import line_of, read_toml
from ..run import search_path
from ..series import maintainers
from ..series.campaign import Audit, Campaign, Change, Context, Step
from ..series.edits import EditError
from ..series.sites import Followed, Keep, Wanted
from ..series.splits import KINDS, splitter
from ..series.tree import Tree
from ..series.trial import attempts
from ..shapes import Line, Text, TreeName, Words
from . import codemods

T = TypeVar("T")
TOML = "campaign.toml"
COVER = "cover.txt"
#: What a step may be; each is a key with what makes the edits.
CODEMODS = ("words", "cocci", "python", "command")

#: Options of spatch that say what it reads and writes, or how many of it run.
OURS = (
    *("-o", "--in-place", "--out-place", "--suffix", "--dir", "-dir", "--file-groups", "--patch", "--sp-file", "--sp"),
    *("--cocci-file", "--jobs", "-j", "--index", "--max", "--tmp-dir", "--test", "--testall", "--save-tmp-files"),
)

Word = Annotated[str, Meta(pattern=r"\A[A-Za-z_]\w*\Z")]
Seconds = Annotated[float, Meta(gt=0, le=86400)]


@dataclass(frozen=True)
class CampaignTable:
    """What campaign.toml holds."""

    title: Line
    steps: list[dict[str, Any]]
    doc: Text = ""
    target: TreeName = ""
    sites: dict[str, Any] = field(default_factory=dict)
    owners: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SitesTable:
    """Its [sites]."""

    words: tuple[Word, ...] = ()
    paths: tuple[Words, ...] = Wanted.paths
    keep: list[dict[str, Any]] = field(default_factory=list)
    arguments: Mapping[Word, Annotated[int, Meta(ge=0)]] = field(default_factory=dict)


@dataclass(frozen=True)
class KeepTable:
    """One of its [[sites.keep]]."""

    reason: Words
    path: Text = ""
    word: Text = ""
    site: Text = ""


@dataclass(frozen=True)
class StepTable:
    """One of its [[steps]]: one of CODEMODS, and how its edits become patches.

    `options` are spatch's; `timeout` is in seconds, for a file with cocci, else for the step.
    """

    name: Annotated[str, Meta(pattern=r"\A[\w.-]+\Z")]
    message: Words
    doc: Text = ""
    words: Mapping[Word, Word] | None = None
    comments: bool = False
    cocci: Text = ""
    options: tuple[Text, ...] = ()
    python: Text = ""
    command: tuple[Text, ...] = ()
    timeout: Seconds | None = None
    split: Text = "whole"
    independent: bool = False
    last: bool = False
    optional: bool = False


class Declared:
    """The campaign of a campaign.toml at work: its steps, and the sites as they are followed through them."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.campaign: Campaign | None = None
        self._key: tuple[Tree, CampaignConfig] | None = None
        self._done: dict[str, Change | UserError] = {}

    def follow(self, tree: Tree, config: CampaignConfig) -> Followed:
        """Return what follows the sites of a base, the same one as long as it is asked for the same base."""
        if self._key is None or self._key[0] is not tree or self._key[1] != config:
            self._key, self._done = (tree, config), {}
            self.followed = Followed.start(tree, self.wanted.decided(config))
        return self.followed

    def codemod(self, step: str, make: codemods.Codemod) -> Callable[[Context], Change]:
        """Return the codemod of a step: made once for each base, with its edits followed and told by site."""

        def run(context: Context) -> Change:
            followed = self.follow(context.base, context.config)
            if step not in self._done:
                try:
                    change = make(context, followed)
                    edits = followed.advance(context.tree, context.tree.fresh(change.edits))
                    self._done[step] = replace(change, edits=tuple(edits))
                except (UserError, EditError) as error:
                    self._done[step] = UserError(f"step {step}: {error}")
            done = self._done[step]
            if isinstance(done, UserError):
                raise done
            return done

        return run

    def audit(self, tree: Tree, config: CampaignConfig) -> Audit:
        """Return every site with what became of it; raise UserError where a step fails."""
        assert self.campaign is not None
        followed = self.follow(tree, config)
        for tried in attempts(tree, self.campaign, config, lambda step: True, "scan"):
            if tried.refused is not None:
                raise tried.refused
        return followed.audit()


def declared(folder: Path, name: str) -> Campaign:
    """Return the campaign of a folder with a campaign.toml; raise ConfigError with file, line and key."""
    file = folder / TOML
    data = read_toml(file)
    table = decode(file, "", data, CampaignTable)
    sites = decode(file, "sites", table.sites, SitesTable)
    rules = [decode(file, f"sites.keep[{n}]", row, KeepTable) for n, row in enumerate(sites.keep, 1)]
    for number, rule in enumerate(rules, 1):
        if not (rule.path or rule.word or rule.site):
            raise ConfigError(f"{at(file, f'sites.keep[{number}]', '')}: it names no path, word or site")
    for word in sites.arguments:
        if word not in sites.words:
            hint = suggestion(word, sites.words)
            raise ConfigError(f"{at(file, 'sites', 'arguments')}: {word!r} is not among the words of [sites]{hint}")
    kept = tuple(Keep(r.reason, r.path, r.word, r.site) for r in rules)
    wanted = Wanted(sites.words, sites.paths, kept, sites.arguments)
    made = Declared(wanted)
    steps: list[Step] = []
    programs: list[Path] = []
    for number, row in enumerate(table.steps, 1):
        key = f"steps[{number}]"
        step = decode(file, key, row, StepTable)
        say = partial(at, file, key)
        if step.name in [other.name for other in steps]:
            raise ConfigError(f"{say('name')}: there are two steps {step.name!r}")
        steps.append(step_of(folder, step, made, say))
        # One of the folder counts with the folder.
        own = step.command and "/" in step.command[0] and not Path(step.command[0]).is_absolute()
        if step.command and not own and (program := shutil.which(step.command[0], path=search_path())):
            programs.append(Path(program))
    if not steps:
        raise ConfigError(f"{file}: it has no [[steps]]")
    made.campaign = Campaign(
        name=name,
        doc=table.doc or table.title,
        steps=tuple(steps),
        audit=made.audit,
        target_of=maintainers.tree_for,
        owners_of=maintainers.owners_for,
        witnesses=lambda tree: (),
        title=table.title,
        cover=COVER if (folder / COVER).is_file() else "campaign/cover-letter.txt.j2",
        target=table.target,
        owners=rules_of(file, table),
        folder=folder,
        programs=tuple(programs),
    )
    return made.campaign


def rules_of(file: Path, table: CampaignTable) -> tuple[OwnerRule, ...]:
    """Return the [[owners]] of the file."""
    try:
        return owner_rules(str(file), "owners", table.owners)
    except ConfigError as error:
        raise located(error, file) from error


def step_of(folder: Path, table: StepTable, made: Declared, say: Callable[[str], str]) -> Step:
    """Return a step; `say` gives the place of one of its keys."""
    kinds = [kind for kind in CODEMODS if getattr(table, kind) not in (None, "", ())]
    if len(kinds) != 1:
        what = f"both {' and '.join(kinds)}" if kinds else "no codemod"
        raise ConfigError(f"{say('name')}: step {table.name} has {what}; a step has one of {', '.join(CODEMODS)}")
    split = splitter(table.split)
    if split is None:
        hint = suggestion(table.split, ("whole", "file", "folder:2", "owner", "tree"))
        raise ConfigError(f"{say('split')}: split is {table.split!r}, not {KINDS}{hint}")
    if not (folder / table.message).is_file():
        raise ConfigError(f"{say('message')}: {table.message} is not in {folder}")
    for key, *fits in (("comments", "words"), ("options", "cocci"), ("timeout", "cocci", "python", "command")):
        if getattr(table, key) and kinds[0] not in fits:
            raise ConfigError(f"{say(key)}: {key} is for a step with {' or '.join(fits)}")
    if used := [option for option in table.options if option.partition("=")[0] in OURS]:
        raise ConfigError(
            f"{say('options')}: {used[0]} is not for a campaign: patchbot says which files spatch reads and writes"
        )
    for word in table.words or ():
        if word not in made.wanted.words:
            hint = suggestion(word, made.wanted.words)
            raise ConfigError(f"{say('words')}: {word!r} is not among the words of [sites]{hint}")
    codemod = {
        "words": lambda: codemods.words(table.words or {}, comments=table.comments),
        "cocci": lambda: codemods.cocci(folder, table.cocci, table.options, table.timeout, say),
        "python": lambda: codemods.python(folder, table.python, table.timeout, say),
        "command": lambda: codemods.command(folder, table.command, table.timeout, say),
    }[kinds[0]]()
    return Step(
        table.name,
        table.doc or f"{kinds[0]}, split by {table.split}",
        made.codemod(table.name, codemod),
        table.message,
        split,
        message_words,
        optional=table.optional,
        by_owner=table.split != "whole",
        independent=table.independent,
        last=table.last,
        joins=table.split == "owner",
        prefixed=True,
    )


def message_words(context: Context, key: str, edits: Sequence[Edit]) -> Mapping[str, Any]:
    """Return the variables of a commit message."""
    paths = sorted({edit.path for edit in edits})
    return {"key": key, "files": paths, "sites": len([e for e in edits if e.site])}


def decode(file: Path, key: str, data: Any, kind: type[T]) -> T:
    """Return a table of the file as a dataclass; raise ConfigError that names the line of what does not fit."""
    try:
        return fit(str(file), key, data, kind)
    except ConfigError as error:
        raise located(error, file) from error


def at(file: Path, key: str, name: str) -> str:
    """Return file:line of a key of a table, of the table where it lacks the key, of the file where there is neither."""
    text = file.read_text("utf-8-sig")
    line = line_of(text, f"{key}.{name}".strip(".")) or line_of(text, key)
    return f"{file}:{line}" if line else str(file)
