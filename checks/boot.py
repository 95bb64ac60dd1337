"""The kernel before and after the series boots in QEMU, and its verifier accepts and rejects programs as expected.

Both kernels are linked and their kfunc sets looked up as the kernel will (ids resolved, entries sorted, records of
arguments found; where resolve_btfids makes decl tags of them, on the right parameters). Then each boots into a loader
that registers kfunc sets, right and wrong ones, and loads programs. checks/boot/programs.toml says which verdict each
must get, and with which message; a verdict without its message does not count, and where a program means something
before the series, both kernels must say the same. Each flag needs two programs that differ only in its argument. The
selftests that the series adds are loaded, too. What a kernel is not given, since it lacks a flag or a kfunc, is
counted and listed with the reason.

The first run links two kernels (15 minutes on two processors, less with ccache); once the images exist, a run takes
half a minute. Options: timeout (seconds for one boot), programs (more files like
programs.toml), counted (true: the machine's clock counts instructions, so that times of verification can be compared; a
boot takes four times as long), and those of [checks.build].
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from patchbot.build.images import BuildFailure, Image, Images, kernel_key, libbpf_key
from patchbot.build.initramfs import pack
from patchbot.build.options import BuildOptions, wanted_options
from patchbot.build.qemu import PACKAGE, QEMU, boot, shell_line
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.boot import fit, judge, linked
from patchbot.campaigns.kfunc_flags.boot.evidence import evidence
from patchbot.campaigns.kfunc_flags.boot.fit import Kernel
from patchbot.campaigns.kfunc_flags.boot.judge import Line
from patchbot.campaigns.kfunc_flags.boot.programs import CLANG, build_loader, compile_programs, sets_header
from patchbot.campaigns.kfunc_flags.boot.selftests import find_selftests
from patchbot.campaigns.kfunc_flags.boot.serial import Said, parse, stopped, tail
from patchbot.campaigns.kfunc_flags.boot.trials import LeftOut, Rows, read_rows
from patchbot.campaigns.kfunc_flags.proof.meaning import IMPLICIT_ARGS
from patchbot.checking.check import Outcome, Subject
from patchbot.config import fit as fitted
from patchbot.errors import ToolError, UserError
from patchbot.git.repo import Scratch
from patchbot.model import Finding, Status
from patchbot.progress import tick
from patchbot.shapes import Text

NEEDS = {**PROGRAMS, CLANG: CLANG, "python3": "python3", QEMU: PACKAGE}
EXCLUSIVE = True
CAMPAIGN = "kfunc_flags"

MODULE = "kfa_test"
SETS = "kfa_sets"
#: A kernel with argument flags that is given fewer was not really tried.
LEAST_PROGRAMS = 30
LEAST_REFUSED = 12


@dataclass(frozen=True)
class Options(BuildOptions):
    """[checks.boot]: more files like programs.toml, the seconds that one boot may take, and how kernels are built.

    A boot takes 5 to 20 seconds, but 97 on a machine with four times the load that it can carry; with
    `counted`, for which the machine's clock counts instructions, it takes four times as long.
    """

    timeout: Annotated[float, Meta(gt=0)] = 300
    counted: bool = False
    programs: str | tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no path can hold."""
        super().__post_init__()
        if "\0" in self.programs:
            raise ValueError("its programs hold a NUL, which no path can have")


OPTIONS = Options


@dataclass(frozen=True)
class Built:
    """A kernel and its modules, the functions in its BTF, and the contents of its kfunc sets."""

    image: Image
    functions: linked.Functions
    sets: linked.Linked

    def module(self, name: str, kernel: Kernel) -> linked.Linked:
        """Return what the kfunc sets of a module of the kernel hold."""
        path = self.image.modules[name]
        functions = linked.module_functions(path, self.functions)
        return linked.check_linked(path, functions, kernel.flags, tagged=kernel.tagged)


@dataclass(frozen=True)
class Contents:
    """What was found in a kernel's files: in vmlinux, counts by file, and problems."""

    vmlinux: linked.Linked
    counts: Mapping[str, str]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Booted:
    """A kernel that booted, its output, and what was found in its files."""

    kernel: Kernel
    contents: Contents
    said: Said
    reproduce: str


def key_series(subject: Subject) -> str:
    """Return what the kernels are made from, the programs and the tools."""
    options = options_of(subject)
    compiler, config = compiler_of(options), wanted_options(options, subject.wishes)
    trees = (subject.scratch.tree_of(subject.base), subject.items[-1].tree)
    kernels = [kernel_key(subject.scratch, tree, compiler, config) for tree in trees]
    own = [*sorted(bundled("checks/boot").iterdir()), *extra(options)]
    read = hashlib.sha256(b"\0".join(path.read_bytes() for path in own if path.is_file())).hexdigest()
    tests = [row for item in subject.items for row in item.files if row.startswith("tools/testing/selftests/bpf/")]
    selftests = subject.scratch.ls(trees[1], *sorted(set(tests))) if tests else {}
    parts = [libbpf_key(subject.scratch, trees[1]), read, options.timeout, options.counted, selftests]
    return "\n".join([*kernels, json.dumps(parts)])


def check_series(subject: Subject) -> Outcome:
    """Link and boot both kernels, and judge what they say."""
    log = subject.log("boot", None)
    options = options_of(subject)
    rows = all_rows(options)
    trees = {"base": subject.scratch.tree_of(subject.base), "tip": subject.items[-1].tree}
    kernels = {what: fit.describe(subject.scratch, what, tree, rows) for what, tree in trees.items()}
    jobs = options.jobs or subject.jobs
    folder = subject.work / "boot"
    compiler, config = compiler_of(options), wanted_options(options, subject.wishes)
    images = Images(folder, subject.scratch, compiler, config, jobs, subject.sandbox)
    log.write_text(f"boot of {subject.base} and {subject.items[-1].commit}\n")
    started = time.monotonic()
    try:
        selftests = find_selftests(subject.scratch, trees["tip"], [path for i in subject.items for path in i.files])
        built = {"base": link(images, kernels["base"], {}, log)}
        if hopeless := bool(built["base"].sets.unmade):
            kernels = {what: kernel.without(IMPLICIT_ARGS, fit.NO_IMPLICIT) for what, kernel in kernels.items()}
        built["tip"] = link(images, kernels["tip"], selftests.modules, log)
        libbpf = images.libbpf(trees["tip"], log)
        objects = compile_programs(
            kernels["tip"].rows.programs, bundled("checks/boot/program.h"), libbpf, folder / "programs", jobs
        )
        tests = selftests.compile(images, libbpf, built["tip"].image.vmlinux, folder / "selftests", log)
        build_loader(bundled("checks/boot/loader.c"), libbpf, folder / "init")
    except BuildFailure as error:
        # A base that does not build says nothing about the series.
        if error.what != "tip":
            raise
        finding = Finding(Status.FAIL, str(error), type="link")
        return Outcome.of([finding], examined=1, log=log, reason=str(error).split("\n")[0])
    finally:
        images.close()
    seconds = {"build": time.monotonic() - started}
    own = bundled(f"checks/boot/{MODULE}.c").read_text(encoding="utf-8")
    kernels = fit.without_absent(kernels, objects, {what: one.sets.kfuncs for what, one in built.items()}, own)
    touched = selftests.inserted
    if hopeless:
        tip = built["tip"]
        modules = {name: tip.module(name, kernels["tip"]) for name in touched & tip.image.modules.keys()}
        tests, touched, left = fit.without_unmade(tests, modules)
        kernels["tip"] = replace(kernels["tip"], left_out=(*kernels["tip"].left_out, *left))
    booted = {}
    for what, kernel in kernels.items():
        names = {p.name for p in kernel.rows.programs}
        loads = [o for o in objects if o.stem in names] + (tests if what == "tip" else [])
        image = inserted(built[what].image, touched)
        said, seconds[what], line = run(kernel, image, loads, folder, log, options)
        booted[what] = Booted(kernel, look(kernel, built[what]), said, line)
    unmade = {what: one.sets.unmade for what, one in built.items()}
    asked = fit.asked_pahole(subject.scratch, trees["base"])
    notes = fit.judge_implicit(unmade, compiler.versions.split("; ")[-1], asked)
    notes += judge_config(subject.scratch, kernels["tip"])
    return outcome_of(booted["tip"], booted["base"], [t.name for t in tests], seconds, notes, log)


def link(images: Images, kernel: Kernel, more: Mapping[str, bytes], log: Path) -> Built:
    """Return a linked kernel with its test modules: ours, and those of the files `more`."""
    image = images.get(kernel.tree, log, kernel.what)
    functions = linked.kernel_functions(image.vmlinux)
    sets = linked.check_linked(image.vmlinux, functions, kernel.flags, tagged=kernel.tagged)
    source = bundled("checks/boot")
    files = {f"own/{name}": (source / name).read_bytes() for name in ("Makefile", f"{MODULE}.c")}
    if "KF_RELEASE=first" in kernel.features:
        files["own/Makefile"] += b"ccflags-y += -DRELEASES_FIRST\n"
    if kernel.rows.sets:
        files[f"own/{SETS}.c"] = (source / f"{SETS}.c").read_bytes()
        files[f"own/{SETS}.h"] = sets_header(kernel.rows.sets).encode()
    files.update(more)
    return Built(images.with_modules(image, kernel.tree, files, log, kernel.what), functions, sets)


def inserted(image: Image, touched: frozenset[str]) -> Image:
    """Return an image with the modules that are inserted when it boots: ours, and those of the series."""
    names = {MODULE, SETS} | touched
    return replace(image, modules={name: path for name, path in image.modules.items() if name in names})


def run(
    kernel: Kernel, image: Image, objects: Sequence[Path], folder: Path, log: Path, options: Options
) -> tuple[Said, float, str]:
    """Boot a kernel with its modules and programs; return its output, the seconds, and a shell line that does the same.

    Raises ToolError with the log's tail if it does not end well.
    """
    tick(f"booting the kernel of the {kernel.what}")
    # Modules of the kernel's selftests first: ours need nothing of theirs, but theirs need each other, by name.
    modules = sorted(image.modules.values(), key=lambda path: (path.stem == SETS, path.stem))
    weak = {program.name for program in kernel.rows.programs if program.weak}
    todo = [f"module {path.name}\n" for path in modules]
    todo += [f"{'weak' if path.stem in weak else 'object'} {path.name}\n" for path in objects]
    files = {"init": (folder / "init").read_bytes(), "boot.list": "".join(todo).encode()}
    files |= {f"modules/{path.name}": path.read_bytes() for path in modules}
    files |= {f"programs/{path.name}": path.read_bytes() for path in objects}
    initramfs = folder / f"initramfs-{kernel.what}.cpio.gz"
    pack(files, initramfs)
    serial = log.with_suffix(f".{kernel.what}.serial.txt")
    machine = boot(image.kernel, initramfs, serial, options.timeout, counted=options.counted)
    said = parse(machine.serial, timed=options.counted)
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{kernel.what}: booted {machine.seconds:.1f} s, serial log {serial}\n")
    reproduce = shell_line(image.kernel, initramfs, counted=options.counted)
    if why := stopped(said, machine.serial, machine.timed_out, options.timeout):
        raise ToolError(f"{kernel.what}: {why}; serial log {serial}, its end:\n{tail(machine.serial)}")
    own = said.modules.get(f"{MODULE}.ko")
    if said.end != len(todo) or own is None or own.errno:
        end = tail("\n".join(own.said) if own and own.errno else machine.serial)
        what = f"did {said.end} of {len(todo)} commands" if said.end != len(todo) else f"cannot insert {MODULE}.ko"
        raise ToolError(f"{kernel.what}: the loader {what}; serial log {serial}, its end:\n{end}")
    return said, machine.seconds, reproduce


def look(kernel: Kernel, built: Built) -> Contents:
    """Return what the kfunc sets in the linked kernel and our module hold, by file, and their problems."""
    counts, problems = {}, []
    # kfa_sets is wrong on purpose.
    for name, held in (("vmlinux", built.sets), (f"{MODULE}.ko", built.module(MODULE, kernel))):
        counts[name] = str(held)
        problems += [f"{name}: {problem}" for problem in held.problems]
        if not held.sets:
            problems.append(f"{name} holds no kfunc set")
        if (single := kernel.flags.single) and not held.records:
            problems.append(f"{name} holds no argument flags, though the kernel has {', '.join(single)}")
    return Contents(built.sets, counts, tuple(problems))


def outcome_of(
    tip: Booted, base: Booted, tests: Sequence[str], seconds: Mapping[str, float], notes: Iterable[Finding], log: Path
) -> Outcome:
    """Return the outcome, and write the table of all verdicts to the log and, as JSON, next to it."""
    rows = tip.kernel.rows
    lines = judge.judge_programs(rows.programs, tip.said, base.said, (p.name for p in base.kernel.rows.programs))
    lines += [*judge.judge_sets(rows, tip.said), *judge.judge_tags(tip.said, tests)]
    sets = [line for line in lines if line.kind == "set"]
    programs, refused = len(lines) - len(sets), sum(line.expected == "refuse" for line in sets)
    found = [Finding(Status.FAIL, problem, type="linked") for problem in tip.contents.problems]
    found += [Finding(Status.WARN, f"before the series: {p}", type="linked") for p in base.contents.problems]
    found += [*judge.findings(lines), *judge.right(lines), *notes, *judge.judge_splats(tip.said, base.said)]
    found += untried(tip, programs, refused)
    took = {"boot": seconds["tip"] + seconds["base"], "build": seconds["build"]}
    reason = (
        f"{programs} programs ({sum(bool(line.base) for line in lines)} on both kernels), {len(sets)} sets ({refused}"
        f" to refuse), {len(tip.kernel.left_out)} left out; {tip.contents.counts['vmlinux']};"
        f" boot {took['boot']:.0f} s, build {took['build']:.0f} s"
    )
    counts = {"tip": dict(tip.contents.counts), "base": dict(base.contents.counts)}
    keep_table(log, reason, lines, tip.kernel.left_out, {"linked": counts, "seconds": took})
    figures = evidence(lines, {"base": base.contents.vmlinux, "tip": tip.contents.vmlinux})
    count = programs + len(sets)
    return Outcome.of(found, examined=count, reason=reason, log=log, reproduce=tip.reproduce, evidence=figures)


def keep_table(
    log: Path, reason: str, lines: Sequence[Line], left: Sequence[LeftOut], facts: Mapping[str, object]
) -> None:
    """Append the table of all verdicts to the log, and write it as JSON next to it."""
    lines = [*lines, *judge.skipped(left)]
    log.with_suffix(".json").write_text(json.dumps(judge.document(lines, facts), indent=1) + "\n")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"\n{reason}\n{judge.group_left_out(left)}\n{judge.table(lines)}")


def untried(tip: Booted, programs: int, refused: int) -> Iterator[Finding]:
    """Yield why the tip's kernel cannot show anything: flags without a pair, modules, too few rows."""
    for flag in tip.kernel.rows.uncovered(tip.kernel.flags.single):
        text = f"no pair of an accepted and a rejected program differs only in an argument with {flag}"
        yield Finding(Status.FAIL, text, type="cover")
    for name, module in tip.said.modules.items():
        if module.errno:
            why = "; ".join(module.said[-3:]) or "no message"
            text = f"the module {name} cannot be inserted ({module.errno}): {why}"
            yield Finding(Status.FAIL, text, type="module")
    if tip.kernel.flags.single and (programs < LEAST_PROGRAMS or refused < LEAST_REFUSED):
        text = f"only {programs} programs and {refused} sets to refuse; at least {LEAST_PROGRAMS} and {LEAST_REFUSED}"
        yield Finding(Status.FAIL, text, type="cover")


def judge_config(scratch: Scratch, kernel: Kernel) -> list[Finding]:
    """Return the kfuncs that a kernel lacks only because its configuration leaves them out."""
    names = fit.rows_in_source(scratch, kernel.tree, {kfunc for row in kernel.left_out for kfunc in row.kfuncs})
    text = "this configuration leaves out {}, so no program tries it"
    return [Finding(Status.WARN, text.format(name), type="config") for name in names]


def all_rows(options: Options) -> Rows:
    """Return the rows of programs.toml and of the files that the options name."""
    read = [read_rows(path) for path in (bundled("checks/boot/programs.toml"), *extra(options))]
    rows = Rows(tuple(p for r in read for p in r.programs), tuple(s for r in read for s in r.sets))
    names = [p.name for p in rows.programs]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UserError(f"[checks.boot] programs: two programs are called {twice[0]}")
    return rows


def extra(options: Options) -> list[Path]:
    """Return the files with more programs."""
    given = [options.programs] if isinstance(options.programs, str) else options.programs
    return [Path(name).expanduser() for name in given]


def options_of(subject: Subject) -> Options:
    """Return the check's options over those of [checks.build]."""
    shared = {k: v for k, v in subject.tables.get("build", {}).items() if k in BuildOptions.__annotations__}
    return fitted("patchbot.toml", "checks.boot", {**shared, **subject.options}, Options)
