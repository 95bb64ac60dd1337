"""What kfunc sets mean, read from compiled objects.

What a bench needs stands here, apart from the steps: another codemod is no reason to compile anything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....model import Finding


def inspect(obj: Path, source: str, text: bytes) -> Sequence[Finding]:
    """Return what a misspelt flag leaves in an object; only checks that compile load what reads objects."""
    from .btf_ids import undefined_in_btf_ids

    return undefined_in_btf_ids(obj, source, text)


def watch(bench: Any, work: Path) -> None:
    """Have each object read as soon as it is compiled."""
    from .readings import keep_readings

    keep_readings(bench)
