"""Make an ordered series of patches from a tree and a campaign: THE main path. Nothing here writes anything.

Each step's edits refer to the text that the steps before it left. Splitting must lose nothing: every file after the
last patch is compared with all edits made at once, and the campaign must find nothing left to change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import CampaignConfig
from ..errors import ConfigError, PatchbotError, RefusedSites, UserError
from ..model import Edit, Entry, Patch, Series
from ..progress import tick
from . import maintainers, render
from .campaign import Audit, Campaign, Context, Kept, Step, active_steps, switched, whole
from .edits import apply_edits
from .joins import arrange
from .returned import insist
from .tree import Tree, covers, names_in_edits
from .treenames import doubt
from .trial import attempts


@dataclass(frozen=True)
class Generated:
    """A series, the audit of its base, the codemods' remarks, the tree after all patches, the prefix of each patch."""

    series: Series
    audit: Audit
    remarks: tuple[str, ...]
    tip: Tree
    prefixes: Mapping[str, str]


def generate(tree: Tree, campaign: Campaign, config: CampaignConfig, kept: Kept | None = None) -> Generated:
    """Make the series of a campaign on `tree`; `kept` is what the last draft had.

    Everything that prevents it is reported at once, before anything is written: RefusedSites if sites need a person's
    decision, whatever else is wrong, UserError if the campaign does not understand the tree, or the tree lacks what a
    step edits.
    """
    tick("scan")
    insist_on_trees(tree, campaign, config)
    audit, said = Audit(()), ""
    known: UserError | None = None
    try:
        audit = campaign.audit(tree, config)
    except ConfigError:
        raise
    except UserError as error:
        known = error
        lines = str(error).replace("\n", "\n  ")
        said = f"nothing was written; this has to be put right first:\n  {lines}"
    if audit.refused:
        said = refusal(audit)
    tip = tree
    problems: list[str] = []
    remarks: list[str] = []
    patches: list[Patch] = []
    starts: dict[str, str] = {}
    tried_steps = []
    # If something is wrong, the sites say no more than the audit did.
    wanted = lambda step: not (step.by_owner and (said or problems))  # noqa: E731
    for tried in attempts(tree, campaign, config, wanted, kept=kept):
        name, tip = tried.step.name, tried.after
        tried_steps.append(name)
        if tried.refused is not None:
            if tried.refused is not known:
                problems.append(f"{name}: {tried.refused}")
        elif not (said or problems):
            remarks += [f"{name}: {remark}" for remark in tried.change.remarks]
            patches += split_step(campaign, tried.step, tried.context, tried.change.edits, starts)
    if problems:
        said = said or "nothing was written, because this tree lacks what the series needs:"
    if said:
        raise (RefusedSites if audit.refused else UserError)("\n".join([said, *problems]))
    waiting = [s.name for s in active_steps(campaign, config) if s.name not in tried_steps]
    remarks += [f"{name}: waits until the base has what the other steps make" for name in waiting]
    files = {path for patch in patches for path in patch.files}
    idle = [rule.path for rule in config.owners if not any(covers(rule.path, path) for path in files)]
    remarks += [
        f"owners: no file of the series is or lies below {path}; a path begins at the top of the kernel"
        for path in idle
    ]
    ordered = by_tree(patches, config.target)
    verify(ordered, tree, tip)
    insist_on_independence(campaign, ordered)
    insist_on_sites(audit, campaign.audit(tip, switched(config, (), waiting)), ordered)
    series = Series(campaign.name, tree.kernel(), tuple(ordered), {"counts": dict(audit.counts)})
    return Generated(series, audit, tuple(remarks), tip, starts)


def insist_on_trees(tree: Tree, campaign: Campaign, config: CampaignConfig) -> None:
    """Raise ConfigError for a name that a person gave which more than one tree of MAINTAINERS may have."""
    names = maintainers.sections(tree.get("MAINTAINERS") or b"").tree_names
    own = len(config.owners) - len(campaign.owners)
    given = [("target", "target", config.target)]
    given += [
        (f"owners[{n}].tree", f"{'' if n <= own else 'its own '}owners, {rule.path}", rule.tree)
        for n, rule in enumerate(config.owners, 1)
    ]
    table = f"campaigns.{campaign.name}"
    if wrong := [(key, f"{table}: {what}: {said}") for key, what, name in given if (said := doubt(names, name))]:
        raise ConfigError("\n  ".join(said for _, said in wrong), f"{table}.{wrong[0][0]}")


def insist_on_sites(before: Audit, after: Audit, patches: Sequence[Patch]) -> None:
    """Raise UserError unless the patches change every site that has this fate, and leave nothing more to change."""
    touched = {site for patch in patches for site in patch.sites}
    missed = [s for s in before.sites if s.name not in touched and not before.followed]
    for what, sites in (
        ("no step changes", missed),
        ("after all steps the campaign would still change", after.sites),
    ):
        if left := [f"\n  {s.where}: {s.name}: {s.reason}" for s in sites if s.fate == "change"]:
            count = f"{len(left)} site{'s' if len(left) > 1 else ''} with the fate change"
            raise UserError(f"nothing was written: {what} {count}:{''.join(left)}")


def insist_on_independence(campaign: Campaign, patches: Sequence[Patch]) -> None:
    """Raise UserError where a patch of an independent step shares a file with another patch."""
    alone = {step.name for step in campaign.steps if step.independent}
    first: dict[str, Patch] = {}
    for patch in patches:
        for path in patch.files:
            other = first.setdefault(path, patch)
            if other is not patch and {other.step, patch.step} & alone:
                raise UserError(f"{path}: {other.id} and {patch.id} both change it, so the step is not independent")


def refusal(audit: Audit) -> str:
    """Return the message that names the sites that need a decision, or that no step changes."""
    count = len(audit.refused)
    one, many = ("needs a decision", "need a decision")
    if all(site.fate != "refuse" for site in audit.sites):
        one, many = ("is left after all steps", "are left after all steps")
    sites = "\n".join(f"  {line}" for line in audit.refused)
    return f"{count} site{f's {many}' if count > 1 else f' {one}'}, nothing was written:\n{sites}"


def split_step(
    campaign: Campaign,
    step: Step,
    context: Context,
    edits: Sequence[Edit],
    found: dict[str, str] | None = None,
) -> list[Patch]:
    """Return a step's patches by split key; patch n holds the edits of keys 0..n in the files it touches.

    The prefix of each goes into `found`.
    """
    where = f"step {step.name}: "
    by_owner = step.by_owner and context.config.conversions == "owner"
    split = whole if step.by_owner and context.config.conversions == "treewide" else step.split
    key_of = split(context, edits)
    insist(where + "split", key_of, callable(key_of), "a function")
    groups: dict[str, list[Edit]] = {}
    for edit in edits:
        key = key_of(edit)
        insist(where + "the function that split returned", key, isinstance(key, str), "a text")
        groups.setdefault(key, []).append(edit)
    arranged, starts = arrange(campaign, step, context, groups)
    patches: list[Patch] = []
    upto: dict[str, list[Edit]] = {}
    base = context.tree.files(names_in_edits(edits))
    now: dict[str, Entry | None] = dict(base)
    for key in sorted(arranged):
        mine = sorted(arranged[key])
        for edit in mine:
            upto.setdefault(edit.path, []).append(edit)
        made = apply_edits((e for path in {e.path for e in mine} for e in upto[path]), base.get)
        texts = {path: base.get(path) for path in names_in_edits(mine)} | made
        files = {path: file for path, file in sorted(texts.items()) if file != now.get(path)}
        if not files:
            continue
        now |= files
        touched = sorted(files)
        target = campaign.target_of(context.base, context.config, touched) if by_owner else ""
        words = step.words(context, key, mine)
        insist(where + "words", words, isinstance(words, Mapping), "a mapping")
        message = message_of(campaign, step, words, starts, key)
        sites = tuple(sorted({e.site for e in mine if e.site}))
        named = campaign.owners_of(context.base, touched)
        insist(f"campaign {campaign.name}: owners_of", named, isinstance(named, (list, tuple)), "a list")
        owners = tuple(named)
        if wrong := [name for name in (target, *owners) if not isinstance(name, str)]:
            raise UserError(f"campaign {campaign.name}: {wrong[0]!r} is not the name of a tree or an owner")
        if found is not None and key in starts:
            found[step.id_of(key)] = starts[key]
        patches.append(
            Patch(step.id_of(key), step.name, message, files, sites, target or context.config.target, owners)
        )
    return patches


def message_of(campaign: Campaign, step: Step, words: Mapping[str, Any], starts: dict[str, str], key: str) -> str:
    """Return the message of a patch; a prefix of which the subject gets too long loses its last parts."""
    while True:
        given = {"prefix": starts[key], **words} if key in starts else words
        message = render.message(campaign.name, campaign.folder, step.template, **given)
        shorter = starts.get(key, "").rpartition(": ")[0]
        if not shorter or len(message.partition("\n")[0]) <= render.MOST:
            return message
        starts[key] = shorter


def by_tree(patches: Sequence[Patch], target: str) -> list[Patch]:
    """Sort patches: those for `target` first, then those for other trees, tree by tree, otherwise in their order.

    A tree goes on later where a patch of it needs one of another tree: an earlier one that changes a file of it.
    """
    if twice := [id_ for id_, count in Counter(p.id for p in patches).items() if count > 1]:
        raise PatchbotError(f"two patches have the id {twice[0]}")
    trees: dict[str, list[Patch]] = {}
    waits: dict[str, list[str]] = {}  # {file: patches that change it, in order}
    for patch in patches:
        trees.setdefault(patch.target, []).append(patch)
        for path in patch.files:
            waits.setdefault(path, []).append(patch.id)
    names = sorted(trees, key=lambda name: (name != target, name))
    rest, turn = {name: iter(trees[name]) for name in names}, {path: iter(ids) for path, ids in waits.items()}
    heads, first = {name: next(rest[name]) for name in names}, {path: next(turn[path]) for path in turn}
    ordered: list[Patch] = []
    while heads:
        for name in [name for name in names if name in heads]:
            while (head := heads.get(name)) and all(first[path] == head.id for path in head.files):
                ordered.append(head)
                first |= {path: next(turn[path], "") for path in head.files}
                if following := next(rest[name], None):
                    heads[name] = following
                else:
                    del heads[name]
    return ordered


def verify(patches: Sequence[Patch], base: Tree, tip: Tree) -> None:
    """Raise PatchbotError unless the patches, applied in order, end at `tip`: splitting must lose nothing."""
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
