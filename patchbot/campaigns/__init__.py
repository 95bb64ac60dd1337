"""Find and load a campaign: one of patchbot's, one in a person's folder, or one of an installed distribution.

A campaign is a folder with a campaign.toml, or with a campaign.py that has a function `campaign(config) -> Campaign`.
It is a program that the person chose, and runs as that person.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..config import CampaignConfig, listed
from ..errors import ConfigError, PatchbotError, line_in
from ..series.campaign import Campaign
from ..series.returned import audited
from .folder import TOML, declared
from .loading import function_in

#: The group of entry points in which a distribution names packages that are campaigns.
GROUP = "patchbot.campaigns"
FILE = "campaign.py"


def campaign_names(tables: Iterable[CampaignConfig] = ()) -> list[str]:
    """Return the names of all campaigns: those here, of installed distributions, and of tables with a path."""
    own = {file.parent.name for name in (FILE, TOML) for file in Path(__file__).parent.glob(f"*/{name}")}
    return sorted(own | installed().keys() | {table.name for table in tables if table.path})


def installed() -> dict[str, EntryPoint]:
    """Return the campaigns of installed distributions by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_campaign(config: CampaignConfig) -> Campaign:
    """Load the campaign that a table of patchbot.toml names; raise ConfigError with the place if that fails."""
    own = Path(__file__).parent / config.name
    folder = config.path or (own if own.is_dir() else folder_of(config.name))
    python, toml = (folder / FILE).is_file(), (folder / TOML).is_file()
    if python == toml:
        lacks = f"both {TOML} and {FILE}; which one counts?" if toml else f"neither {TOML} nor {FILE}"
        raise ConfigError(f"{folder} is not a campaign: it has {lacks}")
    if toml:
        return declared(folder, config.name)
    if folder == own:
        ours: Campaign = importlib.import_module(f"{__name__}.{folder.name}.campaign").campaign(config)
        return ours
    try:
        made = function_in(folder, folder / FILE, "campaign", "config")(config)
    except PatchbotError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{line_in(error, folder) or folder / FILE}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Campaign):
        raise ConfigError(f"{folder / FILE}: campaign() must return a Campaign, not {made!r}")
    return replace(made, name=config.name, folder=folder, audit=audited(f"{folder / FILE}: audit()", made.audit))


def folder_of(name: str) -> Path:
    """Return the folder of an installed campaign."""
    point = installed().get(name)
    if point is None:
        known = f"the campaigns are {listed(campaign_names())}"
        raise ConfigError(f"no campaign {name!r}; {known}; for one in a folder of yours, set [campaigns.{name}] path")
    try:
        spec = importlib.util.find_spec(point.value)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the entry point {GROUP} {name} names {point.value}, which is not a package")
    return Path(next(iter(spec.submodule_search_locations)))
