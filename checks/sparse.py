"""sparse has nothing new to say about the C files that a patch touches (make C=2).

It looks for what a compiler does not: pointers of user space, byte orders, locks. Its warnings are WARN. A kernel may
want a newer sparse than Debian has; its own scripts/checker-valid.sh decides, and the result is SKIP then. The objects
are those of `build`, whose options in [checks.build] count.
"""

from __future__ import annotations

from patchbot.build.benches import open_bench
from patchbot.build.options import build_options
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.build.touched import judge, key_of
from patchbot.build.units import Checker
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.sides import version_of

NEEDS = {**PROGRAMS, "sparse": "sparse"}
EXCLUSIVE = True
OPTIONS = ()

GOALS = ("C=2", "CF=-fdiagnostic-prefix=sparse")
REFUSED = "is not available or not up to date"


def key(subject: Subject, item: Item) -> str:
    """Return both trees, the configuration, the tools and sparse."""
    options = build_options(subject.tables.get("build", {}))
    return key_of(subject, item, options, compiler_of(options).versions, version_of("sparse"))


def check(subject: Subject, item: Item) -> Outcome:
    """Let sparse look at the touched files."""
    bench = open_bench(subject, build_options(subject.tables.get("build", {})))
    checker = Checker(GOALS, f"sparse {version_of('sparse')}", "sparse", REFUSED)
    return judge(subject, item, "sparse", bench, checker)
