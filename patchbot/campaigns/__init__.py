"""The campaigns, one package each; a name in patchbot.toml is the name of a folder here."""

from __future__ import annotations

import importlib
import pkgutil

from ..config import CampaignConfig, listed
from ..errors import ConfigError
from ..series.campaign import Campaign


def campaign_names() -> list[str]:
    """Return the names of the campaigns that this installation has."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg)


def load_campaign(config: CampaignConfig) -> Campaign:
    """Import the campaign that a table of patchbot.toml names."""
    if config.name not in campaign_names():
        raise ConfigError(f"no campaign {config.name!r}; there are {listed(campaign_names())}")
    module = importlib.import_module(f"{__name__}.{config.name}")
    made = module.campaign(config)
    assert isinstance(made, Campaign)
    return made
