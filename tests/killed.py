"""Run patchbot with the sample campaign as a process of its own, so that it can be killed at any moment.

    python killed.py TEMPLATES ARGUMENT...

With KILL_BEFORE=<git command> in the environment it kills itself right before it starts that command on the person's
repository: between what it wrote before and what would have come next.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import sample

from patchbot.cli import main
from patchbot.commands import session
from patchbot.git import repo
from patchbot.series import render

real_bundled, real_run = render.bundled, repo.run


def run(argv: Any, **options: Any) -> Any:
    """Run a program, or die before it."""
    words = [str(word) for word in argv]
    if os.environ.get("KILL_BEFORE") in words and "scratch.git" not in words[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real_run(argv, **options)


repo.run = run
if sys.argv[1]:
    folder = Path(sys.argv[1])
    render.bundled = lambda name: folder if name == "templates" else real_bundled(name)
    session.load_campaign = lambda config: sample.campaign()
sys.exit(main(sys.argv[2:]))
