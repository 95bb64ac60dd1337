"""A campaign that takes files away, gives them other names and modes, and has a program of its own rewrite them."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from patchbot.model import Edit
from patchbot.series import maintainers
from patchbot.series.campaign import Audit, Campaign, Change, Context, Site, Step
from patchbot.series.codemod import edits_between

OLD, NEW = "lib/old", "lib/new"


def rewritten(text: bytes) -> bytes:
    """Return what an outside program makes of a file."""
    return text.replace(b"old_", b"new_")


def move(context: Context) -> Change:
    edits = []
    for path in sorted(context.tree.below(OLD)):
        name = PurePosixPath(path).name
        if path.endswith(".h"):
            edits.append(Edit(path, delete=True))
            continue
        text = context.tree.read(path)
        edits.append(Edit(path, to=f"{NEW}/{name}", mode="100755" if text.startswith(b"#!") else ""))
        edits += edits_between(path, text, rewritten(text))
    return Change(tuple(replace(edit, site=edit.path) for edit in edits))


def audit(tree, config) -> Audit:
    return Audit(tuple(Site(path, path, 1, "change") for path in sorted(tree.below(OLD))))


def campaign(config, split=lambda context, edits: lambda edit: "text" if edit.new else "move") -> Campaign:
    return Campaign(
        "moves",
        "move files",
        (Step("files", "move files", move, "files.txt.j2", split, lambda context, key, edits: {"what": key}),),
        audit,
        maintainers.tree_for,
        maintainers.owners_for,
        lambda tree: (),
        "lib: Move what is old",
        cover="cover.txt.j2",
        folder=Path(__file__).parent,
    )
