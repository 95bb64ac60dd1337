"""List the checks."""

from __future__ import annotations

from ..checking.programs import available, load
from .session import Session

EXAMPLES = ("patchbot checks",)


def execute(session: Session) -> int:
    """Run the command."""
    config = session.config.checks
    rows = [{"name": name, "doc": load(name, config).doc, "runs": name in config.run} for name in available(config)]
    if not session.emit({"checks": rows}):
        session.show(*(f"{r['name']}: {r['doc']}{'' if r['runs'] else ' (only when asked for)'}" for r in rows))
    return 0
