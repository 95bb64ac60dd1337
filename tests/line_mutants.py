"""Damage a hundred changed lines of a real series: `make line-mutants`.

What the check `compiled` calls compiled must make the compiler fail, for the object that it names; what it calls not
compiled must not, for each object that the file is part of. The check has to run before, with the same cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from damage import STRICT, damaged
from rich.console import Console

from patchbot.build.arches import ARCHES, X86
from patchbot.build.bench import CAMPAIGN, Bench
from patchbot.build.benches import open_main
from patchbot.build.command import Command, commands
from patchbot.build.options import build_options
from patchbot.build.toolchain import compiler_of
from patchbot.build.units import Unit
from patchbot.checking.check import Item, Subject, items
from patchbot.commands.session import Given, Session
from patchbot.commands.subject import select, subject
from patchbot.run import run

Row = Mapping[str, Any]


def rows_of(series: Subject) -> Iterator[tuple[Item, int, Row]]:
    """Yield each line that the check judged, with its patch."""
    for item in series.items:
        file = series.log("compiled", item).with_suffix(".json")
        if file.exists():
            for row in json.loads(file.read_text())["lines"]:
                if row["compiled"] is not None:
                    yield from ((item, line, row) for line in range(row["first"], row["last"] + 1))


def bench_of(series: Subject, arch: str, config: str) -> Bench:
    """Return the bench of an architecture and a configuration, as the check names them."""
    options = build_options(series.tables.get("build", {}))
    bench = open_main(series, options)
    bench = bench if arch == X86.folder else bench.beside(compiler_of(options, ARCHES[arch]))
    start, _, changed = config.partition(" with ")
    if changed:
        return bench.made(start, dict(word.split("=") for word in changed.split()))
    return bench if config == CAMPAIGN else bench.whole(start)


class Compilers:
    """Compile objects as the check did, with damage; each is compiled once without."""

    def __init__(self, series: Subject) -> None:
        self.series = series
        self.log = series.work / "line-mutants.log"
        self._sound: set[tuple[str, Path, Unit]] = set()

    def fails(self, item: Item, line: int, row: Row, where: Row) -> bool:
        """Say whether an object of a patch does not compile with damage at a line."""
        bench = bench_of(self.series, where["arch"], where["config"])
        unit = Unit(where["source"], where["object"], where["module"])
        bench.enter(item.tree, self.log)
        command = commands(bench, item.tree, [unit], self.log)[unit]
        key = (item.tree, bench.kbuild.out, unit)
        if key not in self._sound:
            if not compiles(bench, command, "-c", "-o", os.devnull):
                bench.ready(item.tree, self.log)  # headers that the build generates are another patch's
            if not compiles(bench, command, "-c", "-o", os.devnull):
                raise SystemExit(f"{unit.obj} of {item.commit[:12]} does not compile ({bench.name})")
            self._sound.add(key)
        text = self.series.scratch.read(item.commit, row["file"]) or b""
        with bench.worktree.laid_over({row["file"]: damaged(text, line)}):
            # A syntax that is wrong is found sooner; what is in a string only the assembler reads.
            return not (compiles(bench, command, "-fsyntax-only") and compiles(bench, command, "-c", "-o", os.devnull))


def compiles(bench: Bench, command: Command, *goal: str) -> bool:
    """Say whether a compiler takes what lies in the work tree."""
    cwd = Path(command.cwd)
    return not run([*command.argv, *STRICT, *goal], cwd=cwd, check=False, inside=bench.kbuild.inside(cwd)).returncode


def main() -> int:
    """Choose lines, damage each, and print what becomes of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--campaign")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    session = Session(
        Given(kernel=args.kernel, campaign=args.campaign, quiet=True), Console(), Console(stderr=True), lambda argv: 2
    )
    commits = select(session, args.campaign)
    series = subject(session, commits.base, items(session.repo, commits), 1)
    every = list(rows_of(series))
    chosen = random.Random(args.seed).sample(every, min(args.count, len(every)))
    chosen.sort(key=lambda one: (series.items.index(one[0]), one[1]))
    print(f"seed {args.seed}: {len(chosen)} of {len(every)} changed lines")
    told: Counter[str] = Counter()
    compilers = Compilers(series)
    for item, line, row in chosen:
        places = [row] if row["compiled"] else row["tried"]
        broken = [compilers.fails(item, line, row, place) for place in places]
        right = any(broken) == row["compiled"]
        said = "compiled" if row["compiled"] else "not compiled"
        what = f"{said}, {'right' if right else 'WRONG'}" if places else f"{said}, in no object"
        told[what] += 1
        if not right:
            print(f"{item.commit[:12]} {row['file']}:{line}: {what}: {row}", flush=True)
    for what, number in sorted(told.items()):
        print(f"{number:4} {what}")
    return 1 if any("WRONG" in what for what in told) else 0


if __name__ == "__main__":
    sys.exit(main())
