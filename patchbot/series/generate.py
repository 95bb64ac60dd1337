"""THE main path: from a tree and a campaign to an ordered series of patches. Pure: nothing here writes anything.

Each step's edits refer to the text that the steps before left. Splitting must lose nothing: the last patch's text
of every file is compared with all edits made at once, and the campaign must find nothing left to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..config import CampaignConfig, listed
from ..errors import ConfigError, PatchbotError, RefusedSites, UserError
from ..model import Edit, Entry, Patch, Series
from ..progress import tick
from . import render
from .campaign import Audit, Campaign, Context, Step
from .edits import apply_edits
from .tree import Tree, names


@dataclass(frozen=True)
class Generated:
    """A series, the audit of its base, what the codemods remarked on the way, and the tree after all patches."""

    series: Series
    audit: Audit
    remarks: tuple[str, ...]
    tip: Tree


def active_steps(campaign: Campaign, config: CampaignConfig) -> tuple[Step, ...]:
    """Return the steps that are on; raise ConfigError for a step that does not exist or cannot be switched."""
    names = [s.name for s in campaign.steps if not s.follows]
    for name in (*config.with_, *config.without):
        if name not in names:
            raise ConfigError(f"campaign {campaign.name} has no step {name!r}; it has {', '.join(names)}")
    both = set(config.with_) & set(config.without)
    if both:
        raise ConfigError(f"campaign {campaign.name}: {listed(both)} both with and without")
    on = {s.name for s in campaign.steps if s.name not in config.without and (not s.optional or s.name in config.with_)}
    return tuple(s for s in campaign.steps if (s.follows or s.name) in on)


def generate(tree: Tree, campaign: Campaign, config: CampaignConfig) -> Generated:
    """Make the series of a campaign on `tree`.

    Raises RefusedSites with the complete list where a site needs a person's decision, UserError (AnchorError) where
    the tree lacks what a step edits; in both cases before anything is written.
    """
    tick("scan", 0, 0)
    audit = campaign.audit(tree, config)
    if audit.refused:
        raise refusal(audit.refused)
    steps = active_steps(campaign, config)
    on = tuple(s.name for s in steps)
    current, patches, remarks = tree, [], []
    problems: list[str] = []
    for number, step in enumerate(steps):
        tick("generate", number, len(steps))
        if problems and (step.optional or step.by_owner):
            continue  # it builds on what is not there, so it would only repeat the problem
        context = Context(current, tree, config, on)
        try:
            change = step.codemod(context)
        except UserError as error:
            problems.append(f"{step.name}: {error}")
            continue
        remarks += [f"{step.name}: {remark}" for remark in change.remarks]
        current = current.edit(change.edits)
        patches += split_step(campaign, step, context, change.edits)
    if problems:
        raise UserError("nothing was written, because this tree lacks what the series needs:\n" + "\n".join(problems))
    ordered = order(patches, config.target)
    verify(ordered, tree, current)
    series = Series(campaign.name, tree.kernel(), tuple(ordered), {"counts": dict(audit.counts)})
    return Generated(series, audit, tuple(remarks), current)


def refusal(refused: Sequence[str]) -> RefusedSites:
    """Return the error that names the sites that need a decision."""
    count = len(refused)
    sites = "\n".join(f"  {line}" for line in refused)
    return RefusedSites(f"{count} site{'s need' if count > 1 else ' needs'} a decision, nothing was written:\n{sites}")


def split_step(campaign: Campaign, step: Step, context: Context, edits: Sequence[Edit]) -> list[Patch]:
    """Return a step's patches by split key; patch n holds the edits of keys 0..n in the files it touches."""
    key_of = step.split(context, edits)
    groups: dict[str, list[Edit]] = {}
    for edit in edits:
        groups.setdefault(key_of(edit), []).append(edit)
    patches: list[Patch] = []
    upto: dict[str, list[Edit]] = {}
    base = context.tree.files(names(edits))
    now: dict[str, Entry | None] = dict(base)
    for key in sorted(groups):
        mine = sorted(groups[key])
        for edit in groups[key]:
            upto.setdefault(edit.path, []).append(edit)
        made = apply_edits((e for path in {e.path for e in mine} for e in upto[path]), base.get)
        whole = {path: base.get(path) for path in names(mine)} | made
        files = {path: file for path, file in sorted(whole.items()) if file != now.get(path)}
        if not files:
            continue
        now |= files
        touched = sorted(files)
        target = campaign.target_of(context.base, context.config, touched) if step.by_owner else ""
        message = render.message(campaign.name, campaign.folder, step.template, **step.words(context, key, mine))
        sites = tuple(sorted({e.site for e in mine if e.site}))
        owners = tuple(campaign.owners_of(context.base, touched))
        if wrong := [name for name in (target, *owners) if not isinstance(name, str)]:
            raise UserError(f"campaign {campaign.name}: {wrong[0]!r} is not the name of a tree or of an owner")
        stable = f"{step.name}/{key}" if key else step.name
        patches.append(Patch(stable, step.name, message, files, sites, target or context.config.target, owners))
    return patches


def order(patches: Sequence[Patch], target: str) -> list[Patch]:
    """Put the patches for `target` first and those for other trees after them, tree by tree, else as they are."""
    ordered = sorted(patches, key=lambda p: (p.target != target, p.target if p.target != target else ""))
    if twice := [id_ for id_, count in Counter(p.id for p in ordered).items() if count > 1]:
        raise PatchbotError(f"two patches have the id {twice[0]}")
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for sequence, seen in ((patches, before), (ordered, after)):
        for patch in sequence:
            for path in patch.files:
                seen.setdefault(path, []).append(patch.id)
    for path, ids in before.items():
        if after[path] != ids:
            raise PatchbotError(f"{path}: {', '.join(ids)} go to different trees but depend on each other's order")
    return ordered


def verify(patches: Sequence[Patch], base: Tree, tip: Tree) -> None:
    """Raise PatchbotError unless the patches, one on the other, end at `tip`: splitting must lose nothing."""
    paths = sorted(tip.overlay.keys() | {path for patch in patches for path in patch.files})
    now: dict[str, Entry | None] = dict(base.files(paths))
    for patch in patches:
        if idle := [path for path, file in patch.files.items() if now.get(path) == file]:
            raise PatchbotError(f"{patch.id} does not change {idle[0]}")
        now |= patch.files
    after = tip.files(paths)
    for path in paths:
        if now.get(path) != after.get(path):
            raise PatchbotError(f"{path}: the patches together differ from all edits at once")


def posted(patches: Sequence[Patch], target: str, most: int) -> list[tuple[str, list[Patch]]]:
    """Return [(tree, patches)] as they would be posted: the campaign's own tree first, at most `most` in one series."""
    groups: dict[str, list[Patch]] = {}
    for patch in patches:
        groups.setdefault(patch.target, []).append(patch)
    out = []
    for name in sorted(groups, key=lambda n: (n != target, n)):
        rows = groups[name]
        out += [(name, rows[i : i + most]) for i in range(0, len(rows), most)]
    return out


def switched(config: CampaignConfig, with_: Sequence[str], without: Sequence[str]) -> CampaignConfig:
    """Return `config` with the steps of the command line on and off; the command line wins."""
    on = tuple(dict.fromkeys([*(s for s in config.with_ if s not in without), *with_]))
    off = tuple(dict.fromkeys([*(s for s in config.without if s not in with_), *without]))
    return replace(config, with_=on, without=off)
