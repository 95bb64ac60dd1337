"""No file that a patch of the step words touches says OLD any more."""

from patchbot.checking.check import Item, Outcome, Subject
from patchbot.model import Finding, Status

CAMPAIGN = "sample"


def key(subject: Subject, item: Item) -> str:
    """Return what is read."""
    return item.tree


def check(subject: Subject, item: Item) -> Outcome:
    """Look at each file of a patch."""
    found = []
    for path in item.files if item.step == "words" else ():
        text = subject.scratch.git("cat-file", "blob", f"{item.tree}:{path}").stdout
        if b"OLD" in text:
            found.append(Finding(Status.FAIL, "OLD is left", path, text[: text.index(b"OLD")].count(b"\n") + 1, "left"))
    reason = "" if item.step == "words" else f"the step {item.step} converts nothing"
    return Outcome.of(found, examined=len(item.files), reason=reason)
