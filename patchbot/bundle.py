"""Find what comes with patchbot: the checks, the templates and the default patchbot.toml.

They are at the top in a checkout and inside the package in a wheel; only this module knows both places.
"""

from __future__ import annotations

from pathlib import Path

from .errors import PatchbotError

PACKAGE = Path(__file__).resolve().parent


def bundled(name: str, package: Path = PACKAGE) -> Path:
    """Return the path of a bundled file or folder (`checks`, `templates`, `patchbot.toml`)."""
    inside = package / name
    if inside.exists():
        return inside
    checkout = package.parent
    # Without the guard a wheel with a missing folder would use somebody else's site-packages/<name>.
    if (checkout / "pyproject.toml").is_file() and (checkout / name).exists():
        return checkout / name
    raise PatchbotError(f"{name} is neither in {package} nor in a checkout around it: the installation is broken")
