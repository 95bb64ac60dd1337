"""What kfunc sets mean, read from compiled objects.

What a bench needs is here, apart from the steps, so that a changed codemod does not make anything compile again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....model import Finding


def inspect(obj: Path, source: str, text: bytes) -> Sequence[Finding]:
    """Return the traces of misspelt flags in an object; the modules that read objects are loaded only here."""
    from .btf_ids import undefined_in_btf_ids

    return undefined_in_btf_ids(obj, source, text)


def watch(bench: Any, work: Path) -> None:
    """Read each object as soon as it is compiled."""
    from .readings import keep_readings

    keep_readings(bench)
