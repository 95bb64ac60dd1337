"""What a campaign is to the engine: an ordered list of steps, each a codemod with a message and a way to split it.

The engine knows no campaign by name. A campaign is a module `patchbot/campaigns/<name>/__init__.py` with one
function, `campaign(config) -> Campaign`; it imports the engine, never the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import CampaignConfig
from ..model import Edit
from .anchors import Anchor, Report
from .tree import Tree


@dataclass(frozen=True)
class Context:
    """What a codemod sees: `tree` is the text its edits refer to, `base` the untouched revision, `steps` those on."""

    tree: Tree
    base: Tree
    config: CampaignConfig
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What a codemod sees: `tree` is the text that its edits refer to, `base` the untouched one, `steps` those on."""

    edits: tuple[Edit, ...]
    reports: tuple[Report, ...] = ()
    remarks: tuple[str, ...] = ()


#: From the edits of a step to the function that gives each edit's split key; "" makes one patch of the step.
Splitter = Callable[[Context, Sequence[Edit]], Callable[[Edit], str]]


def whole(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make one patch of a step."""
    return lambda edit: ""


@dataclass(frozen=True)
class Step:
    """One logical step of a series.

    `template` is the commit message, a file in templates/<campaign>/. `words` gives the variables of that template
    for one patch: (context of the step, split key, the patch's edits). An optional step is on only when asked for; one
    that `follows` another is on with it and is not switched itself.
    A step `by_owner` sends each patch to the tree that owns its files, the others go where the campaign goes.
    `anchors` are the places that the codemod edits by name, for `scan --anchors`; None for a step that has sites.
    """

    name: str
    doc: str
    codemod: Callable[[Context], Change]
    template: str
    split: Splitter = whole
    words: Callable[[Context, str, Sequence[Edit]], Mapping[str, Any]] = lambda context, key, edits: {}
    optional: bool = False
    by_owner: bool = False
    follows: str = ""
    anchors: Callable[[Context], Sequence[Anchor]] | None = None

    def __str__(self) -> str:
        """Return `name: doc`, with how an optional step is switched on."""
        switch = f" (with {self.follows})" if self.follows else " (optional)" if self.optional else ""
        return f"{self.name}{switch}: {self.doc}"


@dataclass(frozen=True)
class Audit:
    """Every site of a campaign in a tree and its fate, for `scan` and for what the cover letter counts.

    `document` is the JSON of CLI.md without schema and kernel; `refused` are one-line texts that stop generate.
    `sites` maps a stable site name to (fate, file:line), so that two bases can be compared.
    """

    document: Mapping[str, Any]
    refused: tuple[str, ...]
    warnings: tuple[str, ...]
    sites: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Campaign:
    """A campaign: steps in order, the inventory, whose tree a patch is for, what to compile when a header changes.

    `target_of(tree, config, paths)` names the tree in a subject's brackets that owns these files; `owners_of` names
    the sections of MAINTAINERS; `witnesses(tree)` are the .c files that see the effect of a header change; `title` is
    the cover letter's subject, `cover` its template, `prose` gives it words about the base. A posted series holds at
    most `most` patches.
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
    most: int = 15
    prose: Callable[[Context], Mapping[str, Any]] = lambda context: {}
