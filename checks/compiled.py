"""Each line that a patch adds or changes in C or assembler reaches a compiler.

Each line gets a mark in a copy of its file, and objects are preprocessed with their own command lines: the lines whose
marks are in the output are part of what is compiled. A macro's line counts where it is expanded. What ends up in a
string or in an assembler's input is damaged, and counts if the object then fails. The configurations are tried in
this order until every line is reached: the campaign's, allyesconfig and allmodconfig, those of other architectures
whose compilers are installed, and some that are made for the missing options. Lines that none compiles are WARN, each
with the reason; comments and blank lines are counted apart.

Patches in a row that touch different files are looked at together first, at the last of them: what an object shows is
kept by the contents of the files that it is made of, and each patch then takes what is true at its own commit, and
asks for the rest.

What compiled each line is in a JSON file beside the log. The configuration and the tools are those of `build`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from patchbot.build.bench import Bench
from patchbot.build.benches import APART, cross_versions, make_lines, open_bench, units_of
from patchbot.build.coverage import Coverage, write_coverage
from patchbot.build.farther import Farther, Plans
from patchbot.build.kbuild import ALLMOD, ALLYES
from patchbot.build.marks import Mark
from patchbot.build.options import BuildOptions, build_options, wanted_options
from patchbot.build.survey import Seen, Survey
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.build.units import Unit
from patchbot.build.users import SOURCES, deciders, includers, users_of
from patchbot.c.source import parse
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.errors import ToolError, Unfinished
from patchbot.git.diffs import added_lines, commit_diffs
from patchbot.model import Finding, Status
from patchbot.series.render import plural

NEEDS = PROGRAMS
EXCLUSIVE = True
OPTIONS = ()

ENDINGS = (*SOURCES, ".h")
#: How many configurations are made for a patch, and for patches that are looked at together.
MADE, MADE_TOGETHER = 6, 12
#: Files that say how others are compiled.
RULES = ("Makefile", "Kbuild", "Kconfig")
#: How many files are compiled for a header, and for a macro of it, in each configuration.
USERS = 4


#: The configurations that were made for patches that were looked at together, by commit.
_plans: dict[str, Plans] = {}


def options_of(subject: Subject) -> BuildOptions:
    """Return [checks.build], which says how to compile."""
    return build_options(subject.tables.get("build", {}))


def key(subject: Subject, item: Item) -> str:
    """Return the input: both trees, the configuration, the tools."""
    options = options_of(subject)
    wanted = [wanted_options(options, subject.wishes), cross_versions(options), options.allyesconfig]
    told = json.dumps(wanted, sort_keys=True)
    return f"{item.parent_tree} {item.tree} {subject.campaign} {compiler_of(options).versions}\n{told}"


def check(subject: Subject, item: Item) -> Outcome:
    """Look for a compiler for each line that a patch adds or changes."""
    log = subject.log("compiled", item)
    coverage = coverage_of(subject, [item])
    if not coverage.left:
        return Outcome(Status.SKIP, reason="it adds or changes no line that a compiler reads")
    options = options_of(subject)
    main = open_bench(subject, options)  # before the log: another run that has the bench writes to that file
    log.write_text(f"compiled of {item.commit}\n")
    used: list[tuple[Bench, list[Unit]]] = []
    failed: list[Finding] = []
    together = neighbours(subject, item)
    subject.pending.difference_update(one.id for one in together)
    if len(together) > 1:
        plans = Plans(MADE_TOGETHER)
        for _ in search(subject, together[-1], main, options, coverage_of(subject, together), plans, log):
            pass
        plans.settled = True
        _plans.update((one.commit, plans) for one in together)
    plans = _plans.get(item.commit) or Plans(MADE)
    for bench, found in search(subject, item, main, options, coverage, plans, log):
        used += [(bench, sorted(found))] if found else []
        failed += judge(bench, item, found, coverage, log)
    explain(main, item, coverage, log)
    write_coverage(coverage, log.with_suffix(".json"))
    findings = [*failed, *coverage.findings()]
    with open(log, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{f.type}: {f.file}:{f.line}: {f.message}\n" for f in findings)
    outcome = Outcome.of(
        findings, examined=len(coverage.by), reason=sentence(coverage), log=log, reproduce=reproduce(item, used)
    )
    return replace(outcome, covered=coverage.covered())


def coverage_of(subject: Subject, items: Sequence[Item]) -> Coverage:
    """Return the coverage of the lines of patches, of which nothing is known yet; each file is in one of them only."""
    commits = [item.commit for item in items]
    texts = (text.decode("utf-8", "surrogateescape") for text in commit_diffs(subject.scratch, commits).values())
    lines = {p: numbers for text in texts for p, numbers in added_lines(text).items() if p.endswith(ENDINGS)}
    there = subject.scratch.ls(commits[-1], *lines) if lines else {}
    lines = {path: lines[path] for path, (mode, _) in there.items() if mode.startswith("100")}  # a link holds no code
    contents = subject.scratch.read_many(commits[-1], sorted(lines))
    return Coverage.of({path: parse(path, data) for path, data in contents.items()}, lines)


def neighbours(subject: Subject, item: Item) -> list[Item]:
    """Return a patch that is still to be judged, with those after it that can be looked at together with it.

    No two touch the same file, and none after the first one touches what many objects depend on.
    """
    found: list[Item] = []
    touched: set[str] = set()
    for one in subject.items[subject.items.index(item) :]:
        if found and (touched & {*one.files} or any(is_shared(path) for path in one.files)):
            break
        touched.update(one.files)
        found += [one] if one.id in subject.pending else []
        if not found:
            break
    return found


def is_shared(path: str) -> bool:
    """Say whether many objects may depend on a file."""
    return path.rpartition("/")[2].startswith(RULES) or (path.endswith(".h") and "include/" in path)


def search(
    subject: Subject, item: Item, main: Bench, options: BuildOptions, coverage: Coverage, plans: Plans, log: Path
) -> Iterator[tuple[Bench, dict[Unit, Seen]]]:
    """Look in one bench after the other until no line is left, and yield each with what its objects showed."""
    for bench, wanted in configurations(main, item, options, coverage, plans, log):
        marks = coverage.left if wanted is None else coverage.left & wanted
        if bench is not main:
            marks = frozenset(mark for mark in marks if not mark.path.startswith(APART))
        if not marks:
            continue
        try:
            found = look(subject, item, bench, coverage, marks, log)
        except Unfinished:  # it says nothing about the lines
            raise
        except ToolError as error:
            if bench is main:
                raise
            why = ("NO_BUILD", "; ".join(line.strip() for line in f"{bench.name}: {error}".splitlines()[:2]))
            coverage.lacking |= {mark.path: why for mark in marks}
        else:
            yield bench, found


def configurations(
    main: Bench, item: Item, options: BuildOptions, coverage: Coverage, plans: Plans, log: Path
) -> Iterator[tuple[Bench, frozenset[Mark] | None]]:
    """Yield the benches to try, in order, and the lines for which each is tried; None for all that are left."""
    yield main, None
    if options.allyesconfig:
        yield main.whole(ALLYES), None
        yield main.whole(ALLMOD), None
        if any(not mark.path.startswith(APART) for mark in coverage.left):
            farther = Farther(main, item.tree, options, coverage, plans, log)
            yield from farther.architectures()
            yield from farther.made()


def look(
    subject: Subject, item: Item, bench: Bench, coverage: Coverage, marks: frozenset[Mark], log: Path
) -> dict[Unit, Seen]:
    """Look in a bench for some lines; first in the files themselves, then in those that include them."""
    found: dict[Unit, Seen] = {}

    def ask(sources: Iterable[str], others: Iterable[Unit] = ()) -> None:
        own = {unit for source in sources for unit in units_of(bench, item.tree, source, log)}
        units = {*own, *others} - found.keys()
        asked = coverage.asked(marks & coverage.left)
        new = Survey(bench, item.tree, asked, coverage.sources, log).seen(units) if units else {}
        coverage.add(bench, new)
        found.update(new)

    def left_in(path: str) -> list[Mark]:
        return [mark for mark in marks & coverage.left if mark.path == path]

    arch = f"arch/{bench.kbuild.compiler.arch.folder}/"
    mine = sorted({m.path for m in marks if not m.path.startswith("arch/") or m.path.startswith(arch)})
    tools = [path for path in mine if path.startswith("tools/")]
    ask((p for p in mine if p.endswith(SOURCES)), bench.tool_units(item.tree, tools, log) if tools else ())
    for path in (path for path in mine if path.endswith(".h") and not path.startswith(APART)):
        if left_in(path):
            ask(users_of(bench, item.tree, path, (), subject.witnesses(item.commit), log, USERS))
        if left_in(path):
            first = deciders(bench, item.tree, coverage.sources[path], includers(bench, item.tree, path))
            ask(users_of(bench, item.tree, path, (), first, log, USERS) if first else ())
        if names := sorted({mark.name for mark in left_in(path) if mark.name}):
            ask(users_of(bench, item.tree, path, names, (), log, USERS))
    return found


def judge(bench: Bench, item: Item, found: dict[Unit, Seen], coverage: Coverage, log: Path) -> list[Finding]:
    """Return a finding for each object that does not compile, but did before the patch or was not there."""
    broken = [unit for unit, seen in found.items() if not seen.built]
    there = [unit for unit in broken if unit.source in bench.files(item.parent_tree)]
    before = bench.compile(item.parent_tree, there, log) if there else {}
    findings = []
    for unit in broken:
        text = f"{unit.obj} does not compile ({bench.name}): {found[unit].said}"
        old = unit in before and not before[unit].built
        known, _ = coverage.lacking.get(unit.source, ("", ""))
        coverage.lacking[unit.source] = ("NO_OBJECT", f"{text}; it did not before the patch either" if old else text)
        # Another configuration says the same again.
        findings += [] if old or known == "NO_OBJECT" else [Finding(Status.FAIL, text, unit.source, type="BUILD")]
    return findings


def explain(bench: Bench, item: Item, coverage: Coverage, log: Path) -> None:
    """Say why the files that no object is made of are in none."""
    for path in sorted({mark.path for mark in coverage.left} - coverage.shown.keys() - coverage.lacking.keys()):
        if path.startswith(APART):
            coverage.lacking[path] = ("NOT_KERNEL", "it is not part of the kernel")
        elif path.endswith(".lds.S"):
            coverage.lacking[path] = ("LINKER_SCRIPT", "it is a script for the linker, which no object is made from")
        elif path.endswith(SOURCES):
            symbols = bench.whole().switched_off(item.tree, path, log)
            need = f": it needs {' and '.join(f'CONFIG_{s}' for s in symbols)}" if symbols else ""
            coverage.lacking[path] = ("NOT_CONFIGURED", f"no Makefile lists it in a configuration that was tried{need}")


def sentence(coverage: Coverage) -> str:
    """Return the numbers of lines in a sentence."""
    total = len(coverage.lines)
    empty = sum(mark is None for mark in coverage.lines.values())
    counts = coverage.counts()
    reached = sum(counts.values())
    parts = [f"{reached} of {plural(total - empty, 'line')} compiled"]
    if counts:
        parts[0] += f" ({', '.join(f'{name} {number}' for name, number in counts.most_common())})"
    if empty:
        parts.append(f"{empty} more hold nothing to compile")
    return "; ".join(parts)


def reproduce(item: Item, used: Sequence[tuple[Bench, Sequence[Unit]]]) -> str:
    """Return one shell line that compiles the objects that were looked at."""
    short = item.commit[:12]
    steps = [f"git worktree add --detach ../compiled-{short} {short}", f"cd ../compiled-{short}"]
    return " && ".join([*steps, *(line for bench, units in used for line in make_lines(bench, units))])
