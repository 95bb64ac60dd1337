"""Put back what the last change of the draft replaced."""

from __future__ import annotations

from ..draft.record import branch, refuse_in_the_way
from ..draft.undo import undo
from ..draft.write import workshop
from ..shapes import plain
from .session import Session, alone

EXAMPLES = ("patchbot undo                # once more brings it back",)


@alone()
def execute(session: Session, name: str) -> int:
    """Put it back."""
    refuse_in_the_way(session.repo, name)
    with workshop(session.repo) as scratch:
        moved = undo(session.repo, scratch, name)
    if not session.emit({"campaign": name, "refs": plain(moved)}):
        for row in moved:
            was = f", it was {row.before[:12]}" if row.before else ""
            session.show(f"{row.ref} is {f'{row.now[:12]} again' if row.now else 'gone'}{was}")
        if any(row.now is None for row in moved if row.ref == branch(name)):
            session.show("there is no draft any more; undo once more to get it back")
    return 0
