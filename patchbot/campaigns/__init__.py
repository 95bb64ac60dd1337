"""Find and load a campaign: one of patchbot's, one in a person's folder, or one of an installed distribution.

A campaign is a folder whose campaign.py has a function `campaign(config) -> Campaign`. It is a program that the person
chose, and runs as that person.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from ..config import CampaignConfig, listed
from ..errors import ConfigError, PatchbotError, line_in
from ..series.campaign import Campaign

#: The group of entry points in which a distribution names packages that are campaigns.
GROUP = "patchbot.campaigns"
FILE = "campaign.py"


def campaign_names(tables: Iterable[CampaignConfig] = ()) -> list[str]:
    """Return the names of all campaigns: those here, of installed distributions, and of tables with a path."""
    own = {file.parent.name for file in Path(__file__).parent.glob(f"*/{FILE}")}
    return sorted(own | installed().keys() | {table.name for table in tables if table.path})


def installed() -> dict[str, EntryPoint]:
    """Return the campaigns of installed distributions by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def load_campaign(config: CampaignConfig) -> Campaign:
    """Load the campaign that a table of patchbot.toml names; raise ConfigError with the place if that fails."""
    own = Path(__file__).parent / config.name
    folder = config.path or (own if (own / FILE).is_file() else folder_of(config.name))
    try:
        made = function(folder, ours=folder == own)(config)
    except PatchbotError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{line_in(error, folder) or folder / FILE}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Campaign):
        raise ConfigError(f"{folder / FILE}: campaign() must return a Campaign, not {made!r}")
    return made if folder == own else replace(made, name=config.name, folder=folder)


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


def function(folder: Path, *, ours: bool) -> Callable[..., object]:
    """Return `campaign` of a folder's campaign.py, loaded as a package so that it can import its neighbours."""
    file = folder / FILE
    if ours:
        return cast(Callable[..., object], importlib.import_module(f"{__name__}.{folder.name}.{file.stem}").campaign)
    if not file.is_file():
        raise ConfigError(f"{folder} is not a campaign: it has no {FILE}")
    name = "patchbot_campaign_" + re.sub(r"\W", "_", str(folder.resolve()))
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Byte code next to the sources could be up to a second older than they are.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    made = getattr(module, "campaign", None)
    if not callable(made):
        raise ConfigError(f"{file} must define campaign(config)")
    return cast(Callable[..., object], made)
