"""Use new_call() in place of old_call()."""

from patchbot.c import parse
from patchbot.model import Edit
from patchbot.series.campaign import Change, Context


def rename(context: Context) -> Change:
    """Rename each old_call that is a token of its own."""
    edits = []
    for path in context.tree.grep(["old_call"], ["*.c", "*.h"], word=True):
        lexed = parse(path, context.tree.read(path)).lexed
        for number in lexed.index.get(b"old_call", ()):
            start, end = lexed.spans[number]
            edits.append(Edit(path, start, end, b"new_call"))
    return Change(tuple(edits))
