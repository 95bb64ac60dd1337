"""Arrange the patches of a step that is split by owner: none too large, small ones of one tree and prefix joined.

Three hundred patches of one file each are nobody's joy, and neither is one of two hundred files. What the last draft
had stays where it was as long as the same tree takes it: a base that moves renames no patch and mixes none anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from ..model import Edit
from . import maintainers
from .campaign import Campaign, Context, Step
from .prefixes import prefixes, told_apart
from .treenames import followed

Groups = Mapping[str, Sequence[Edit]]


def arrange(campaign: Campaign, step: Step, context: Context, groups: Groups) -> tuple[Groups, dict[str, str]]:
    """Return {split key: edits} of the patches of a step, and the prefix of each if the step wants one.

    `groups` is what the step's own split made. Of one file, all edits go to one patch if the step joins.
    """
    if not step.joins or context.config.conversions == "treewide":
        paths = {key: sorted({edit.path for edit in edits}) for key, edits in groups.items()}
        return groups, distinct(campaign, step, context, paths, named(step, context, paths)) if step.prefixed else {}
    made = placed(campaign, step, context, groups)
    starts = named(step, context, made)
    parts = joined(campaign, step, context, made, starts)
    starts = distinct(campaign, step, context, parts, starts)
    home = {path: key for key, paths in parts.items() for path in paths}
    edits: dict[str, list[Edit]] = {key: [] for key in parts}
    for rows in groups.values():
        for edit in rows:
            edits[home[edit.path]].append(edit)
    return edits, {key: starts[key] for key in parts}


def placed(campaign: Campaign, step: Step, context: Context, groups: Groups) -> dict[str, list[str]]:
    """Return {key: files}: those of the last draft in their patch, the others in new ones of their owner."""
    known, most = context.kept.places.get(step.name, {}), context.config.most_files
    made: dict[str, list[str]] = {}
    taken = {key for key, _ in known.values()}
    files = {owner: sorted({edit.path for edit in edits}) for owner, edits in groups.items()}
    trees = {owner: campaign.target_of(context.base, context.config, paths) for owner, paths in files.items()}
    now: dict[tuple[str, str], list[str]] = {}
    for owner, paths in files.items():
        for path in known.keys() & {*paths}:
            now.setdefault(known[path], []).append(trees[owner])
    called = {place: followed(place[1], names) for place, names in now.items()}
    for owner in sorted(groups):
        paths, tree = files[owner], trees[owner]
        rule = maintainers.rule_for(context.config, paths[0])
        ours = [owner]
        fresh = []
        for path in paths:
            key, _ = place = known.get(path, ("", ""))
            same = called.get(place) == tree or context.config.conversions == "acks"
            if key and same and (not rule or number_of(owner, key)):
                made.setdefault(key, []).append(path)
                ours.append(key)
            else:
                fresh.append(path)
        names = (key for n in count(1) if (key := f"{owner} #{n}" if n > 1 else owner) not in taken or key in ours)
        key = next(names)
        for path in fresh:
            while len(made.setdefault(key, [])) >= most:
                key = next(names)
            made[key].append(path)
    return {key: sorted(paths) for key, paths in made.items() if paths}


def number_of(owner: str, key: str) -> bool:
    """Say whether a key is the owner's own."""
    return key == owner or key.startswith(f"{owner} #")


def named(step: Step, context: Context, wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return {key: prefix} of patches: by a person's rule, as in the last draft, else what is found for the files."""
    made = {}
    for key, paths in wanted.items():
        rules = {rule.prefix for path in paths if (rule := maintainers.rule_for(context.config, path)) and rule.prefix}
        whole = all(maintainers.rule_for(context.config, path) for path in paths)
        told = rules.pop() if whole and len(rules) == 1 else context.kept.prefixes.get(step.id_of(key), "")
        if told:
            made[key] = told
    return made | prefixes(context.base, {key: paths for key, paths in wanted.items() if key not in made})


def joined(
    campaign: Campaign, step: Step, context: Context, made: Mapping[str, list[str]], starts: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return {key: files} with small patches that are new joined to another one of their tree and prefix."""
    known = {key for key, _ in context.kept.places.get(step.name, {}).values()}
    out: dict[str, list[str]] = {}
    open_: dict[tuple[str, str], str] = {}
    for key in sorted(made):
        paths = made[key]
        if key in known or any(maintainers.rule_for(context.config, path) for path in paths):
            out[key] = paths
            continue
        place = (campaign.target_of(context.base, context.config, paths), starts[key])
        into = open_.get(place)
        if into and len(out[into]) + len(paths) <= context.config.most_files:
            out[into] = sorted([*out[into], *paths])
        else:
            out[key] = paths
            open_[place] = key
    return out


def distinct(
    campaign: Campaign, step: Step, context: Context, parts: Mapping[str, Sequence[str]], starts: Mapping[str, str]
) -> dict[str, str]:
    """Return {key: prefix} in which new patches for one tree have different ones."""
    groups: dict[tuple[str, str], list[str]] = {}
    for key, paths in parts.items():
        groups.setdefault((campaign.target_of(context.base, context.config, paths), starts[key]), []).append(key)
    made = dict(starts)
    for (_, start), keys in groups.items():
        fresh = {key: parts[key] for key in keys if step.id_of(key) not in context.kept.prefixes}
        if len(keys) > 1 and fresh:
            made |= told_apart(start, fresh)
    return made
