"""A campaign that makes one patch for each owner in MAINTAINERS."""

import re

from patchbot.model import Edit
from patchbot.series import maintainers
from patchbot.series.campaign import Audit, Campaign, Change, Site, Step

CALL = re.compile(rb"\bold_call\((\w+)\)")


def places(tree):
    """Yield the path and the match of each old_call()."""
    for path in tree.grep(["old_call"], ["*.c"]):
        for match in CALL.finditer(tree.read(path)):
            yield path, match


def calls(context):
    """Convert each old_call() to new_call()."""
    found = places(context.tree)
    return Change(tuple(Edit(p, m.start(), m.start() + 3, b"new", site=f"{p}:{m[1].decode()}") for p, m in found))


def audit(tree, config):
    """Return every old_call() of a tree."""
    found = [(p, m, m.string.count(b"\n", 0, m.start()) + 1) for p, m in places(tree)]
    return Audit(tuple(Site(f"{p}:{m[1].decode()}", p, line, "change") for p, m, line in found))


def split(context, edits):
    """Make a patch for each owner."""
    return lambda edit: maintainers.owners_for(context.base, [edit.path])[0]


def campaign(config):
    """Return a campaign of one step."""
    words = {"words": lambda context, key, edits: {"owner": key, "count": len(edits)}, "by_owner": True}
    step = Step("calls", "convert calls", calls, "calls.txt.j2", split, **words)
    trees, owners = maintainers.tree_for, maintainers.owners_for
    return Campaign("large", "a large one", (step,), audit, trees, owners, lambda tree: [], "large: A title")
