"""Run the golden files of a campaign with pytest.

import pytest
from patchbot.testing import golden_files

@pytest.mark.parametrize("step", golden_files("path/of/the/campaign"), ids=str)
def test_golden(step):
    step.check()
"""

from __future__ import annotations

from pathlib import Path

from .campaigns.golden import Golden, golden
from .config import CampaignConfig


def golden_files(folder: str | Path) -> list[Golden]:
    """Return the golden files of each step of the campaign in a folder; `check()` of one raises AssertionError."""
    path = Path(folder).resolve()
    return golden(CampaignConfig(path.name, path=path))
