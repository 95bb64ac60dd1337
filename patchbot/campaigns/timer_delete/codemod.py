"""Remove the wrappers that have the old names."""

from patchbot.c import functions, parse
from patchbot.model import Edit
from patchbot.series.campaign import Change, Context

HEADER = "include/linux/timer.h"
WRAPPERS = ("del_timer", "del_timer_sync")


def drop(context: Context) -> Change:
    """Remove the definitions of the wrappers, with the comments above them and the blank line below."""
    source = parse(HEADER, context.tree.read(HEADER))
    edits = []
    for function in functions(source):
        if function.name not in WRAPPERS:
            continue
        start, end = function.span.start, function.span.end
        comments = [comment for comment in source.lexed.comments if comment.end <= start]
        if comments and not source.text[comments[-1].end : start].strip():
            start = comments[-1].start
        while source.text[end : end + 1] == b"\n":
            end += 1
        edits.append(Edit(HEADER, start, end))
    return Change(tuple(edits))
