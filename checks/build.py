"""Each patch compiles without a new warning, in the campaign's configuration or in allyesconfig.

The objects of the .c files that a patch touches, and after a change of a header every object that holds a kfunc set,
are compiled at the patch and at its parent with W=1; a message that the parent does not give is a finding. An
undefined symbol in .BTF_ids (a misspelt flag that stands alone) fails, because a compiler never sees it. What the
campaign's configuration does not build is compiled in allyesconfig, and what that does not build either is named, with
the reason, and makes the result SKIP, never PASS. A file with a row that x86 cannot have, or below arch/ of another
architecture, is compiled for that too if the compiler is installed.

Options: config (a fragment, or a list of them, instead of the campaign's), allyesconfig (false: only the campaign's
configuration), cc, cross_compile, ccache, jobs, pahole (the program to use instead of the installed one), and arch: the
architectures to compile for besides x86 where needed (default: all whose compiler is installed).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from patchbot.build.arches import X86
from patchbot.build.bench import Bench
from patchbot.build.benches import (
    APART,
    cross_versions,
    each_bench,
    elsewhere,
    make_lines,
    makes_header,
    open_bench,
)
from patchbot.build.kbuild import ALLYES
from patchbot.build.options import BuildOptions, build_options
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.build.touched import Built, compile_ahead, compile_sides, key_of, shown_by
from patchbot.build.units import Compiled, Unit
from patchbot.build.users import built as built_of
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.news import files_of
from patchbot.errors import ToolError, Unfinished
from patchbot.model import Finding, Status
from patchbot.series.campaign import Site
from patchbot.series.render import plural

NEEDS = PROGRAMS
EXCLUSIVE = True
OPTIONS = BuildOptions

COMPILED = (".c", ".S")
HEADERS = (".h",)
#: How many files that show what changed in a header are compiled besides those that a campaign names.
USERS = 16
#: Code that no C compiler reads.
OTHERS = {".rs": "Rust", ".dts": "a device tree", ".dtsi": "a device tree", ".dtso": "a device tree"}
#: Files that nothing includes, whatever they are called.
TEXTS = (".rst", ".txt", ".md", ".yaml", ".json", ".py", ".sh", ".pl")
#: Files that a compiler or make reads, but whose effect one object does not show.
UNSEEN = ("Makefile", "Kbuild", "Kconfig")


def key(subject: Subject, item: Item) -> str:
    """Return the input: both trees, the configuration, the tools, and the code that reads their output."""
    options = build_options(subject.options)
    first = item.parent == subject.base
    return key_of(subject, item, options, compiler_of(options).versions, first, cross_versions(options))


def check(subject: Subject, item: Item) -> Outcome:
    """Compile the objects that a patch touches, before and after it."""
    log = subject.log("build", item)
    code = tuple(p for p in item.files if p.endswith((*COMPILED, *HEADERS, *OTHERS)) or is_unseen(p))
    odd = [p for p in item.files if p not in code and not p.endswith(TEXTS) and not p.startswith(APART)]
    none = Outcome(Status.SKIP, reason="it holds nothing to compile")
    if not code and not odd:
        return none
    options = build_options(subject.options)
    bench = open_bench(subject, options)  # before the log: another run that has the bench writes to that file
    code += tuple(p for p in odd if any(bench.includers(tree, p) for tree in (item.parent_tree, item.tree)))
    if not code:
        return none
    log.write_text(f"build of {item.commit} and of its parent {item.parent}\n")
    sources = choose(subject, item, code)
    later = subject.later(item) if set(code) == sources else ()
    compile_ahead(bench, item, later, sources, log)
    main = compile_sides(bench, item, sources, log, code)
    users = find_users(subject, item, main, code, log)
    main = main.and_also(compile_sides(bench, item, {path for one in users for path in one.near}, log))
    others, lacking = compile_elsewhere(subject, item, sources, log)
    if options.allyesconfig:
        more, why = compile_rest(main, item, {*code, *sources}, users, later, log)
        others, lacking = [*more, *others], {**why, **lacking}
    findings = [*judge_config(bench, subject, item, log), *find_unmade(bench, item, options, log)]
    old, new = (files_of(subject.scratch.read, tree) for tree in (item.parent_tree, item.tree))
    brought = each_bench((b.bench.mark, b.brought(old, new)) for b in (main, *others))
    findings += [replace(finding, status=Status.FAIL) for finding in brought]  # errors and warnings
    after = [result for built in (main, *others) for result in built.after.values()]
    named = {f.file for f in findings}
    unseen = [p for p in code if p not in named and not is_examined(bench, item, p, after)]
    unexamined = {path: lacking.get(path) or why_not(bench, item, path) for path in unseen}
    findings += [Finding(Status.SKIP, f"not compiled: {why}", p, type="not-compiled") for p, why in unexamined.items()]
    stuck = [obj for built in (main, *others) for obj in find_stuck(built) if built.bench.kbuild.compiler.arch == X86]
    with open(log, "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"\nobjects: {' '.join(sorted(r.unit.obj for r in after))}\n")
        file.writelines(f"new: {f.file}:{f.line}: {f.message} [{f.type}]\n" for f in findings)
    shown: list[str] = []
    parts = [note for one in users if (note := one.note())]
    for built in (main, *others):
        where = "" if built is main else f"{'in' if built.bench.start == ALLYES else 'for'} {built.bench.name} "
        if done := [u.obj for u, r in built.after.items() if r.built]:
            shown.append(f"{'' if shown else 'compiled '}{where}{names(done)}")
        if broken := [obj for obj in find_stuck(built) if obj not in stuck]:
            parts.append(f"{where}these compile neither before nor after it: {names(broken)}")
    parts = [*shown, *parts]
    if unexamined:
        told = names(f"{path} ({why})" for path, why in unexamined.items())
        parts.append(f"{len(unexamined)} of {plural(len(code), 'file')} not compiled: {told}")
    parts += [
        f"not compiled of {p}: the code that x86 cannot have ({w})" for p, w in lacking.items() if p not in unexamined
    ]
    parts += [f"does not compile at the parent either: {names(stuck)}"] if stuck else []
    parts += note_unknown(bench, subject, item, log)
    status = Status.worst([Status.SKIP if stuck else Status.PASS, *(f.status for f in findings)])
    return Outcome(status, tuple(findings), "; ".join(parts), len(after), log, reproduce(item, [main, *others]))


def choose(subject: Subject, item: Item, code: Sequence[str]) -> set[str]:
    """Return the sources to compile: the touched ones, and the witnesses of touched headers."""
    sources = {p for p in code if p.endswith(COMPILED)}
    headers = [p for p in code if p.endswith(HEADERS)]
    if headers:
        # A header below tools/ does not matter to the kernel.
        kernel = any(not p.startswith("tools/") for p in headers)
        sources |= {p for p in subject.witnesses(item.commit) if kernel or p.startswith("tools/")}
    return sources


@dataclass
class Users:
    """The sources that show what changed in a header: those that are compiled, and others that allyesconfig may build.

    `many` is how many have to show it.
    """

    header: str
    near: list[str]
    far: list[str]
    many: int

    def note(self) -> str:
        """Return how many were compiled if that is not all of them."""
        if len(self.near) >= self.many:
            return ""
        if self.many == 1:
            return f"the one file that shows what changed in {self.header} is in no configuration"
        return f"{len(self.near)} of the {self.many} files that show what changed in {self.header}"


def find_users(subject: Subject, item: Item, main: Built, code: Iterable[str], log: Path) -> list[Users]:
    """Return for each header the sources that show what changed in it; a source may make one that objects include."""
    found = []
    for path in code:
        other = not path.endswith((*COMPILED, *OTHERS)) and not is_unseen(path)
        if is_x86(path) and (other or makes_header(main.bench, item.tree, path, log)):
            users, many = shown_by(subject, item, main.bench, path, log)
            if other and is_examined(main.bench, item, path, [*main.after.values()]):
                users = users[:many]
            near = built_of(main.bench, item.tree, users, log, USERS)
            found.append(Users(path, near, [user for user in users if user not in near], many))
    return found


def compile_elsewhere(
    subject: Subject, item: Item, sources: Iterable[str], log: Path
) -> tuple[list[Built], dict[str, str]]:
    """Compile for other architectures the sources that x86 cannot have in full; return why some are not compiled."""
    sites = [s for s in subject.sites(item.commit) if s.file in sources]
    sites += [Site(path, path, 1, "change") for path in sorted(sources) if path.startswith("arch/")]
    found = []
    lacking = {}
    options = build_options(subject.options)
    for need, built in elsewhere(
        subject, options, sites, lambda bench, need: compile_sides(bench, item, need.files, log)
    ):
        found += [built] if built else []
        lacking.update(dict.fromkeys(sorted(need.files), need.lacking) if need.lacking else {})
    return found, lacking


def compile_rest(
    main: Built, item: Item, code: Iterable[str], users: Sequence[Users], later: Sequence[Item], log: Path
) -> tuple[list[Built], dict[str, str]]:
    """Compile in allyesconfig the code of x86 that `main` did not, and users of headers; return why some is not."""
    files, seen = main.bench.files(item.tree), [*main.after.values()]
    rest = [p for p in sorted(code) if p in files and is_x86(p) and not is_examined(main.bench, item, p, seen)]
    sources = [p for p in rest if p.endswith(COMPILED)]
    if not sources and not any(one.far for one in users):
        return [], {}
    bench = main.bench.whole()
    try:
        compile_ahead(bench, item, later, sources, log, main.bench)
        more = {path for one in users for path in built_of(bench, item.tree, one.far, log, USERS - len(one.near))}
        built = compile_sides(bench, item, {*sources, *more}, log)
        for one in users:
            one.near += [path for path in one.far if path in more]
    except Unfinished:
        raise
    except ToolError as error:
        return [], dict.fromkeys(rest, f"{ALLYES}: {str(error).splitlines()[0]}")
    left = [p for p in sources if not is_examined(bench, item, p, [*built.after.values()])]
    return [built] if built.after else [], {p: need_of(bench, item, p, log) for p in left}


def need_of(bench: Bench, item: Item, source: str, log: Path) -> str:
    """Return which option a source needs that allyesconfig lacks, as far as the Makefile of its folder says so."""
    symbols = bench.switched_off(item.tree, source, log)
    need = f": it needs {' and '.join(f'CONFIG_{s}' for s in symbols)}" if symbols else ""
    return f"not in this configuration, nor in {ALLYES}{need}"


def find_stuck(built: Built) -> list[str]:
    """Return the objects that compile neither before nor after a patch."""
    before = built.before
    return [u.obj for u, r in built.after.items() if not r.built and u in before and not before[u].built]


def judge_config(bench: Bench, subject: Subject, item: Item, log: Path) -> list[Finding]:
    """Return the wanted options that the kernel knows but drops: all for the first patch, then new ones."""
    config = bench.config(item.tree, log)
    old = set() if item.parent == subject.base else set(bench.config(item.parent_tree, log).dropped)
    text = "CONFIG_{}={} is wanted but dropped: a dependency is missing"
    found = [
        Finding(Status.WARN, text.format(symbol, bench.options[symbol]), type="config-dropped")
        for symbol in config.dropped
        if symbol not in old
    ]
    if not config.btf and "DEBUG_INFO_BTF" in bench.options:
        text = "CONFIG_DEBUG_INFO_BTF is off, so no kfunc set was compiled; does the kernel accept this pahole?"
        found.append(Finding(Status.WARN, text, type="no-btf"))
    return found


def find_unmade(bench: Bench, item: Item, options: BuildOptions, log: Path) -> list[Finding]:
    """Return the objects that Makefiles list after a patch, and not before it, and that nothing can make."""
    files, before = bench.files(item.tree), bench.files(item.parent_tree)
    rules = {p for p in item.files if p.rpartition("/")[2] in UNSEEN[:2]}
    gone = {p for p in item.files if p.endswith(COMPILED) and p not in files}
    folders = sorted({p.rpartition("/")[0] or "." for p in rules | gone if is_x86(p)})
    found: dict[str, Finding] = {}
    for one in (bench, *([bench.whole()] if options.allyesconfig and folders else [])):
        for folder in folders:
            try:
                lacking = [
                    {o for o in one.listed(t, log, folder)[0] if o.endswith(".o") and not source_of(o, there)}
                    for t, there in ((item.parent_tree, before), (item.tree, files))
                ]
            except ToolError:
                if one is bench:
                    raise
                continue  # compile_rest() says what it lacks
            units = {Unit(f"{obj[:-1]}c", obj) for obj in lacking[1] - lacking[0] - found.keys()}
            for unit, result in one.compile(item.tree, units, log).items():
                file = next((p for p in (f"{folder}/Kbuild", f"{folder}/Makefile") if p in files), None)
                if not result.built:
                    text = f"{unit.obj} is listed, but there is no {unit.source}, and no rule makes it ({one.name})"
                    found[unit.obj] = Finding(Status.FAIL, text, file, type="no-source")
    return list(found.values())


def source_of(obj: str, files: Container[str]) -> str:
    """Return the file that an object is made from by its name, "" if there is none."""
    return next((name for end in (*COMPILED, ".rs") if (name := f"{obj[:-2]}{end}") in files), "")


def note_unknown(bench: Bench, subject: Subject, item: Item, log: Path) -> list[str]:
    """Return, for the first patch, a note about the wanted options that this kernel does not have at all."""
    unknown = bench.config(item.tree, log).unknown if item.parent == subject.base else ()
    return [f"this kernel has no {names(f'CONFIG_{s}' for s in unknown)}"] if unknown else []


def is_examined(bench: Bench, item: Item, path: str, after: Sequence[Compiled]) -> bool:
    """Say whether some object shows the effect of the patch on a file."""
    if path not in bench.files(item.tree):
        return bool(after)
    return any(path in r.files or (path == r.unit.source and not r.built) for r in after)


def why_not(bench: Bench, item: Item, path: str) -> str:
    """Return why no object shows the effect of the patch on a file."""
    if path not in bench.files(item.tree):
        return "deleted, and nothing else was compiled"
    if is_unseen(path):
        return "build rules"
    if other := next((what for end, what in OTHERS.items() if path.endswith(end)), ""):
        return f"it is {other}, not C"
    if path.startswith(APART):
        return "not part of the kernel"
    return "nothing that was compiled includes it" if path.endswith(HEADERS) else "not in this configuration"


def is_x86(path: str) -> bool:
    """Say whether a file may be part of a kernel for x86."""
    return not path.startswith((*APART, "arch/")) or path.startswith("arch/x86/")


def is_unseen(path: str) -> bool:
    """Say whether a file steers the build of the kernel itself."""
    return path.rpartition("/")[2].startswith(UNSEEN) and not path.startswith(APART)


def names(items: Iterable[str]) -> str:
    """Return a few names for a sentence."""
    rows = sorted(items)
    return (", ".join(rows[:6]) + (f" and {len(rows) - 6} more" if len(rows) > 6 else "")) or "nothing"


def reproduce(item: Item, built: Sequence[Built]) -> str:
    """Return one shell line that compiles the same objects."""
    short = item.commit[:12]
    steps = [f"git worktree add --detach ../build-{short} {short}", f"cd ../build-{short}"]
    return " && ".join([*steps, *(line for one in built for line in make_lines(one.bench, sorted(one.after)))])
