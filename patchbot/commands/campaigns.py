"""List the campaigns."""

from __future__ import annotations

from typing import Any

from ..campaigns import campaign_names, load_campaign
from ..config import CampaignConfig
from .session import Session

EXAMPLES = ("patchbot campaigns -v        # with their steps",)


def execute(session: Session) -> int:
    """Run the command."""
    rows: list[dict[str, Any]] = []
    texts: dict[str, list[str]] = {}
    for name in campaign_names(session.config.campaigns.values()):
        config = session.config.campaigns.get(name, CampaignConfig(name))
        made = load_campaign(config)
        steps = [{"name": s.name, "doc": s.doc, "optional": s.optional, "follows": s.follows} for s in made.steps]
        texts[name] = [str(s) for s in made.steps]
        rows.append({"name": name, "doc": made.doc, "configured": name in session.config.campaigns, "steps": steps})
    if not session.emit({"campaigns": rows}):
        for row in rows:
            session.show(f"{row['name']}: {row['doc']}")
            session.show(*(f"    {text}" for text in texts[row["name"]] if session.args.verbose))
    return 0
