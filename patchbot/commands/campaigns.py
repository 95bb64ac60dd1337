"""List the campaigns there are, one line each."""

from __future__ import annotations

import argparse
from typing import Any

from ..config import CampaignConfig
from ..session import Session, campaign_names, load_campaign


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments: none."""


def execute(session: Session) -> int:
    """Run the command."""
    rows: list[dict[str, Any]] = []
    for name in campaign_names():
        config = session.config.campaigns.get(name, CampaignConfig(name))
        made = load_campaign(config)
        steps = [{"name": s.name, "doc": s.doc, "optional": s.optional} for s in made.steps]
        rows.append({"name": name, "doc": made.doc, "configured": name in session.config.campaigns, "steps": steps})
    if not session.emit({"campaigns": rows}):
        for row in rows:
            session.show(f"{row['name']}: {row['doc']}")
            for step in row["steps"] if session.args.verbose else []:
                session.show(f"    {step['name']}{' (optional)' if step['optional'] else ''}: {step['doc']}")
    return 0
