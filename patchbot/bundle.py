"""Where the files that come with patchbot are: inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from .errors import PatchbotError


def bundled(name: str) -> Path:
    """Return the path of a bundled file or folder, as `templates`; raise PatchbotError if it is missing."""
    package = Path(__file__).resolve().parent
    # The package first: in a wheel, ../templates would be somebody else's top-level folder.
    for place in (package / name, package.parent / name):
        if place.exists():
            return place
    raise PatchbotError(
        f"this installation of patchbot lacks {name} (looked in {package} and {package.parent})"
    )
