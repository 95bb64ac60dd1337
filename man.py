"""Make the manual page from the parser of the command line: `python man.py FILE`, and by itself in every wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE = Path(__file__).parent


def page() -> str:
    """Return the manual page."""
    sys.path.insert(0, str(HERE))
    from argparse_manpage.manpage import Manpage

    from patchbot import __version__
    from patchbot.cli import build_parser

    parser = build_parser()
    data = {
        "project_name": "patchbot",
        "version": __version__,
        "description": "generate, check and mail a kernel patch series",
        "manual_title": "patchbot",
    }
    for action in parser._actions:
        if action.dest == "command" and isinstance(action.choices, dict):
            for sub in action.choices.values():  # argparse-manpage leaves epilogs out, and prints what it does twice
                sub.description = sub.epilog
    made = Manpage(parser, data, format="single-commands-section")
    return str(made)


class ManHook(BuildHookInterface[Any]):
    """Put the manual page into a wheel; an editable installation has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write it and name it to hatchling."""
        self.place = TemporaryDirectory()
        if version != "editable":
            file = Path(self.place.name) / "patchbot.1"
            file.write_text(page())
            build_data["shared_data"][str(file)] = "share/man/man1/patchbot.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what initialize() wrote."""
        self.place.cleanup()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
