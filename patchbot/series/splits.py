"""Split the edits of a step into patches, as a campaign's file names it: whole, file, folder:N, owner, tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from ..model import Edit
from . import maintainers
from .campaign import Context, Splitter, whole

NOBODY = "THE REST"
KINDS = "whole, file, folder:N, owner or tree"


def splitter(name: str) -> Splitter | None:
    """Return how to split by a name of KINDS, None for another."""
    if match := re.fullmatch(r"folder:([1-9])", name):
        return by_folder(int(match[1]))
    return {"whole": whole, "file": by_file, "owner": by_owner, "tree": by_tree}.get(name)


def by_file(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make a patch of each file."""
    return lambda edit: edit.path


def by_folder(depth: int) -> Splitter:
    """Make a patch of what lies below each folder that is so deep."""
    return lambda context, edits: lambda edit: "/".join(PurePosixPath(edit.path).parent.parts[:depth]) or "."


def by_owner(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make a patch for the section of MAINTAINERS that names a file best; the files of a person's rule are apart."""
    entries = maintainers.sections(context.base.get("MAINTAINERS") or b"")

    def owner(edit: Edit) -> str:
        rule = maintainers.rule_for(context.config, edit.path)
        return rule.path if rule else next(iter(maintainers.owners(entries, edit.path)), NOBODY)

    return owner


def by_tree(context: Context, edits: Sequence[Edit]) -> Callable[[Edit], str]:
    """Make a patch for each tree."""
    return lambda edit: maintainers.tree_for(context.base, context.config, [edit.path])
