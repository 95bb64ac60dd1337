"""Start patchbot: until the command line is loaded, which takes a moment, Ctrl-C ends it at once."""

from __future__ import annotations

import os
import signal
from types import FrameType


def interrupted(number: int, _: FrameType | None) -> None:
    """End the process as the command line ends an interrupted run; nothing was begun."""
    os.write(2, b"patchbot: interrupted; nothing half done was kept\n")
    os._exit(128 + number)


def main() -> int:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupted)
    from .cli import main as run

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
