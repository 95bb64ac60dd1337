"""Add hrtimer_setup() where a kernel lacks it."""

from pathlib import Path

from patchbot.series.campaign import Change, Context
from patchbot.series.codemod import in_file, in_prototype, insert_after, require, resolve, tokens_like, whole

HEADER, SOURCE = "include/linux/hrtimer.h", "kernel/time/hrtimer.c"


def text(name: str) -> bytes:
    """Return the bytes of a file beside this one."""
    return Path(__file__).with_name(name).read_bytes()


def setup(context: Context) -> Change:
    """Insert the prototype after that of hrtimer_init(), and the function after its export."""
    if context.tree.grep(["hrtimer_setup"], [HEADER], word=True):
        return Change(())
    anchors = (
        insert_after(HEADER, "prototype", in_prototype("hrtimer_init"), whole(), text("setup.h")),
        insert_after(SOURCE, "function", in_file(), tokens_like("EXPORT_SYMBOL_GPL(hrtimer_init);"), text("setup.c")),
    )
    edits, reports = resolve(context.tree, anchors)
    require(reports)
    return Change(tuple(edits), tuple(reports))
