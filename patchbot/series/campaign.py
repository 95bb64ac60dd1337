"""What a campaign is to the engine: an ordered list of steps, each a codemod with a message and a way to split it.

The engine knows no campaign by name. A campaign is a module `patchbot/campaigns/<name>/__init__.py` with one
function, `campaign(config) -> Campaign`; it imports the engine, never the reverse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import CampaignConfig, OwnerRule, listed, suggestion
from ..errors import ConfigError
from ..model import Edit, Finding
from .anchors import Anchor, Report
from .tree import Tree


@dataclass(frozen=True)
class Kept:
    """What the last draft had, for the next one to keep.

    `places` is {step: {file: (split key, tree of the patch)}}, `prefixes` {patch: prefix that was found for it}.
    """

    places: Mapping[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a codemod sees: `tree` is the text its edits refer to, `base` the untouched revision, `steps` those on.

    `kept` is what the last draft had.
    """

    tree: Tree
    base: Tree
    config: CampaignConfig
    steps: tuple[str, ...]
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True)
class Change:
    """What a codemod returns: edits, the outcome of each anchor, and remarks for the cover letter."""

    edits: tuple[Edit, ...]
    reports: tuple[Report, ...] = ()
    remarks: tuple[str, ...] = ()


#: Takes the edits of a step and returns the function that gives each edit's split key; "" means one patch.
Splitter = Callable[[Context, Sequence[Edit]], Callable[[Edit], str]]


def whole(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make one patch of a step."""
    return lambda edit: ""


@dataclass(frozen=True)
class Step:
    """One logical step of a series.

    `template` is the commit message, a file in the campaign's folder or in templates/<campaign>/. `words` gives the
    variables of that template for one patch: (context of the step, split key, the patch's edits). An optional step is
    on only when asked for; one that `follows` another is on with it and cannot be switched itself; its codemod leaves
    out those of its `parts` that are off. A step `by_owner` sends each patch to the tree that owns its files, unless
    the conversions are treewide; the others go to the campaign's target. The patches of an
    `independent` step apply to the base alone, so that trees can take them in any order. A `last` step waits until the
    base has all that the steps before it make. Patches of a step that `joins` are made larger or smaller: small ones
    of one tree and prefix become one. The template of a step that is `prefixed` has the variable `prefix`.
    `anchors` are the places that the codemod edits by name, for `scan --anchors`; None for a step with sites.
    """

    name: str
    doc: str
    codemod: Callable[[Context], Change]
    template: str
    split: Splitter = whole
    words: Callable[[Context, str, Sequence[Edit]], Mapping[str, Any]] = lambda context, key, edits: {}
    optional: bool = False
    by_owner: bool = False
    independent: bool = False
    last: bool = False
    joins: bool = False
    prefixed: bool = False
    follows: str = ""
    parts: tuple[str, ...] = ()
    anchors: Callable[[Context], Sequence[Anchor]] | None = None

    def id_of(self, key: str) -> str:
        """Return the stable id of the patch with a split key."""
        return f"{self.name}/{key}" if key else self.name

    def __str__(self) -> str:
        """Return `name: doc`, with how an optional step is switched on."""
        switch = f" (with {self.follows})" if self.follows else " (optional)" if self.optional else ""
        parts = f" (parts: {', '.join(self.parts)})" if self.parts else ""
        return f"{self.name}{switch}: {self.doc}{parts}"


@dataclass(frozen=True)
class Site:
    """One place that a campaign is about, and its fate: change, keep (why), refuse (why) or left (why).

    A site that is refused needs a decision, one that is left should have changed and did not: both stop generate.
    `name` is stable from base to base, `conditions` are the #if around it; `details` is what else the campaign
    knows, as JSON, for `scan --json` and for the campaign's own checks.
    """

    name: str
    file: str
    line: int
    fate: str
    reason: str = ""
    conditions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Return file:line."""
        return f"{self.file}:{self.line}"

    def entry(self) -> dict[str, Any]:
        """Return the site as `scan --json` has it."""
        own = {"name": self.name, "file": self.file, "line": self.line, "fate": self.fate, "reason": self.reason}
        return {**self.details, **own, "conditions": list(self.conditions)}


@dataclass(frozen=True)
class Audit:
    """Every site of a campaign in a tree, for `scan` and the counts of the cover letter; `more` joins the document.

    `followed` says that the fates were read from the edits of the steps, not foretold.
    """

    sites: tuple[Site, ...]
    warnings: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    followed: bool = False

    @property
    def stopping(self) -> tuple[Site, ...]:
        """Return the sites that need a decision, or that no step changes."""
        return tuple(s for s in self.sites if s.fate in ("refuse", "left"))

    @property
    def refused(self) -> tuple[str, ...]:
        """Return a line for each site that needs a decision, or that no step changes."""
        return tuple(f"{s.where}: {s.name}: {s.reason}" for s in self.stopping)

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many sites there are, and how many have each fate; the campaign's own counts if it has any."""
        fates = Counter(s.fate for s in self.sites)
        plain = {"sites": len(self.sites), **{fate: fates[fate] for fate in ("change", "keep", "refuse")}}
        return self.more.get("counts") or plain

    @property
    def kept(self) -> Counter[str]:
        """Return the reasons why sites are kept, and how many have each."""
        return Counter(s.reason for s in self.sites if s.fate == "keep")

    def fates(self) -> dict[str, tuple[str, str]]:
        """Return {site: (fate, file:line)}, so that two bases can be compared."""
        return {s.name: (s.fate, s.where) for s in self.sites}

    def document(self) -> dict[str, Any]:
        """Return the JSON of `scan` without schema and kernel."""
        own = {"entries": [s.entry() for s in self.sites], "counts": self.counts}
        return {**{k: v for k, v in self.more.items() if k not in own}, **own}


def nothing(obj: Path, source: str, text: bytes) -> Sequence[Finding]:
    """Find nothing in an object."""
    return ()


@dataclass(frozen=True)
class BuildWishes:
    """What a campaign wants from a build and from the objects that it makes.

    `config` are fragments of Kconfig's .config for a kernel that has the code in question. `inspect(object file, its
    source, the source's text)` finds what no compiler reports. `watch(bench, patchbot's folder)` makes a bench (of
    build/bench.py) keep more of each object, so that no check compiles it again.
    """

    config: tuple[Path, ...] = ()
    inspect: Callable[[Path, str, bytes], Sequence[Finding]] = nothing
    watch: Callable[[Any, Path], None] = lambda bench, work: None


@dataclass(frozen=True)
class Campaign:
    """A campaign: steps in order, the inventory, the tree that a patch is for, what to compile when a header changes.

    `target_of(tree, config, paths)` names the tree in a subject's brackets that owns these files; `owners_of` names
    the sections of MAINTAINERS; `witnesses(tree)` are the .c files that see the effect of a header change; `title` is
    the cover letter's subject, `cover` its template, `prose` gives it words about the base. `target` is the tree where
    patchbot.toml names none. A posted series holds at most `most` patches. `columns` are what `scan` shows of a site
    besides its place and fate. `owners` correct who owns what, below those of patchbot.toml. `folder` holds the
    templates of a campaign in a folder; the loader sets it. `programs` outside of it make edits.
    """

    name: str
    doc: str
    steps: tuple[Step, ...]
    audit: Callable[[Tree, CampaignConfig], Audit]
    target_of: Callable[[Tree, CampaignConfig, Sequence[str]], str]
    owners_of: Callable[[Tree, Sequence[str]], Sequence[str]]
    witnesses: Callable[[Tree], Sequence[str]]
    title: str
    cover: str = "cover-letter.txt.j2"
    target: str = ""
    most: int = 15
    prose: Callable[[Context], Mapping[str, Any]] = lambda context: {}
    wishes: BuildWishes = field(default_factory=BuildWishes)
    columns: Mapping[str, Callable[[Site], str]] = field(default_factory=dict)
    owners: tuple[OwnerRule, ...] = ()
    folder: Path | None = None
    programs: tuple[Path, ...] = ()


def active_steps(campaign: Campaign, config: CampaignConfig) -> tuple[Step, ...]:
    """Return the steps that are on; raise ConfigError for a step that does not exist or cannot be switched."""
    if wrong := unknown_steps(campaign, (*config.with_, *config.without)):
        raise ConfigError("; ".join(wrong))
    both = set(config.with_) & set(config.without)
    if both:
        raise ConfigError(f"campaign {campaign.name}: {listed(both)} cannot be both in with and in without")
    on = {s.name for s in campaign.steps if s.name not in config.without and (not s.optional or s.name in config.with_)}
    return tuple(s for s in campaign.steps if (s.follows or s.name) in on)


def unknown_steps(campaign: Campaign, names: Sequence[str]) -> list[str]:
    """Return a text for each of some names that is not a step which can be switched."""
    steps = [name for s in campaign.steps if not s.follows for name in (s.name, *s.parts)]
    return [
        f"campaign {campaign.name} has no step {name!r}{suggestion(name, steps)} (known: {', '.join(steps)})"
        for name in names
        if name not in steps
    ]


def switched(config: CampaignConfig, with_: Sequence[str], without: Sequence[str]) -> CampaignConfig:
    """Return `config` with the steps of the command line on and off; the command line wins."""
    on = tuple(dict.fromkeys([*(s for s in config.with_ if s not in without), *with_]))
    off = tuple(dict.fromkeys([*(s for s in config.without if s not in with_), *without]))
    return replace(config, with_=on, without=off)
