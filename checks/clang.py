"""clang compiles the C files that a patch touches without a new warning (make LLVM=-19 W=1).

clang-19 is what every kernel from 6.12 to 7.3 takes. It has a configuration and objects of its own, as [checks.build]
says; what that does not build is compiled in allyesconfig. A new warning fails, as in `build`.
"""

from __future__ import annotations

from patchbot.build.benches import open_bench
from patchbot.build.options import build_options
from patchbot.build.toolchain import LLVM_PROGRAMS, PROGRAMS, clang_of
from patchbot.build.touched import judge, key_of
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.model import Status

NEEDS = {**PROGRAMS, **LLVM_PROGRAMS}
EXCLUSIVE = True
OPTIONS = ()


def key(subject: Subject, item: Item) -> str:
    """Return both trees, the configuration and the tools."""
    options = build_options(subject.tables.get("build", {}))
    return key_of(subject, item, options, clang_of(options).versions)


def check(subject: Subject, item: Item) -> Outcome:
    """Compile the objects that a patch touches with clang."""
    options = build_options(subject.tables.get("build", {}))
    bench = open_bench(subject, options).beside(clang_of(options))
    return judge(subject, item, "clang", bench, worst=Status.FAIL)
