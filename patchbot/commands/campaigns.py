"""List the campaigns, or test one on its golden files."""

from __future__ import annotations

import argparse
from typing import Any

from ..campaigns import campaign_names, load_campaign
from ..campaigns.golden import TESTS, golden
from ..config import CampaignConfig
from ..terminal import cell
from .session import Session

EXAMPLES = ("patchbot campaigns -v        # with their steps",)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--test", metavar="NAME", help="run the golden files of a campaign, or of one in a folder")


def execute(session: Session, *, test: str | None) -> int:
    """Run the command."""
    if test is not None:
        return run_golden(session, test)
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


def run_golden(session: Session, name: str) -> int:
    """Run the golden files of a campaign; return 1 if a step makes something else of them."""
    config = session.config.campaigns.get(name)
    folder = session.cwd / name
    if config is None:
        here = name not in campaign_names() and folder.is_dir()
        config = CampaignConfig(folder.name, path=folder) if here else CampaignConfig(name)
    found = [(one, one.failures()) for one in golden(config)]
    rows = [{"step": str(one), "failures": [{"text": f.text, "diff": f.diff} for f in said]} for one, said in found]
    if not session.emit({"campaign": config.name, "tests": rows}):
        for one, said in found:
            passed = f"{TESTS}/{one}: as in after/; a second run makes no edit, and the patches lose none"
            session.show(*([] if said else [passed]))
            for failure in said:
                session.out.print(cell(f"{TESTS}/{one}: {failure.text}", "bold red"), soft_wrap=True)
                session.out.diff((line, line[:1]) for line in failure.diff)
    return 1 if any(said for _, said in found) else 0
