"""The kernel before and after the series boots in QEMU, and its verifier accepts and rejects programs as expected.

Both kernels are linked and their kfunc sets looked up as the kernel will (ids resolved, entries sorted, records of
arguments found). Then each boots into a loader that registers kfunc sets, right and wrong ones, and loads programs.
checks/boot/programs.toml says what must become of each and with which message; a verdict without its message does not
count, and where a program means something before the series, both kernels must say the same. Each flag needs two
programs that differ only in its argument. The selftests that the series adds are loaded, too. What a kernel does not
get, since it lacks a flag or a kfunc, is counted and listed with the reason.

The first run takes as long as linking two kernels (15 minutes on two processors, less with ccache); while the images
are known, a run takes half a minute. Options: timeout (seconds for one boot), programs (more files like
programs.toml), and those of [checks.build].
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from patchbot import boot as package
from patchbot.benches import OPTIONS as BUILD_OPTIONS
from patchbot.benches import compiler_of, wanted_options
from patchbot.boot.features import absent, features, rows_in_source, rule_of
from patchbot.boot.images import BuildFailure, Image, Images, kernel_key, libbpf_key
from patchbot.boot.initramfs import pack
from patchbot.boot.judge import (
    Line,
    document,
    findings,
    group_left_out,
    judge_programs,
    judge_sets,
    judge_splats,
    judge_tags,
    skipped,
    table,
)
from patchbot.boot.linked import check_linked, kernel_functions, module_functions
from patchbot.boot.programs import build_loader, compile_programs, sets_header
from patchbot.boot.qemu import boot, shell_line
from patchbot.boot.rows import LeftOut, Rows, read_rows
from patchbot.boot.selftests import Selftests, find_selftests
from patchbot.boot.serial import Said, parse, stopped, tail
from patchbot.bundle import bundled
from patchbot.check import Outcome, Subject
from patchbot.config import known
from patchbot.effective import BTF_H, BTF_IDS_H, Flags, read_flags
from patchbot.errors import ToolError, UserError
from patchbot.model import Finding, Status

NEEDS = {
    "bc": "bc",
    "bison": "bison",
    "clang-19": "clang-19",
    "flex": "flex",
    "gcc": "gcc",
    "ld": "binutils",
    "make": "make",
    "pahole": "pahole or dwarves",
    "perl": "perl",
    "python3": "python3",
    "qemu-system-x86_64": "qemu-system-x86",
}
EXCLUSIVE = True

OPTIONS = ("timeout", "programs", *BUILD_OPTIONS)
MODULE = "kfa_test"
SETS = "kfa_sets"
#: Seconds for one boot: it takes 5 to 20, but 97 on a machine with four times the work that it can do.
TIMEOUT = 300
#: A kernel with flags of arguments that gets fewer was not tried.
LEAST_PROGRAMS = 30
LEAST_REFUSED = 12


@dataclass(frozen=True)
class Kernel:
    """One of the two kernels: what it is made of, the flags that its headers define, the rows that it gets or not."""

    what: str
    tree: str
    flags: Flags
    rows: Rows
    left_out: tuple[LeftOut, ...] = ()

    @property
    def arguments(self) -> frozenset[str]:
        """The flags of arguments, without the names of masks."""
        return single(self.flags)


@dataclass(frozen=True)
class Contents:
    """What was found in a kernel's files: counts by file, what is wrong, the names of the kernel's own kfuncs."""

    counts: Mapping[str, str]
    problems: tuple[str, ...]
    kfuncs: frozenset[str]


@dataclass(frozen=True)
class Booted:
    """A kernel that booted, what it said, and what was found in its files."""

    kernel: Kernel
    contents: Contents
    said: Said
    seconds: float
    reproduce: str


def key_series(subject: Subject) -> str:
    """Return what the kernels are made of, the programs, the tools, and everything that judges."""
    options = options_of(subject)
    compiler, config = compiler_of(build_options(options)), wanted_options(build_options(options))
    trees = (tree_of(subject, subject.base), subject.items[-1].tree)
    kernels = [kernel_key(subject.scratch, tree, compiler, config) for tree in trees]
    folder = Path(str(package.__file__)).parent
    own = [
        *sorted(folder.glob("*.py")),
        *(folder.parent / name for name in ("btfids.py", "btfproto.py", "effective.py")),
        *sorted(bundled("checks/boot").iterdir()),
        *extra(options),
    ]
    read = hashlib.sha256(b"\0".join(path.read_bytes() for path in own if path.is_file())).hexdigest()
    tests = [row for item in subject.items for row in item.files if row.startswith("tools/testing/selftests/bpf/")]
    selftests = subject.scratch.git("ls-tree", trees[1], *sorted(set(tests))).stdout.decode() if tests else ""
    parts = [libbpf_key(subject.scratch, trees[1]), read, options.get("timeout", TIMEOUT), selftests]
    return "\n".join([*kernels, json.dumps(parts)])


def check_series(subject: Subject) -> Outcome:
    """Link, boot and ask both kernels."""
    log = subject.log("boot", None)
    log.write_text(f"boot of {subject.base} and {subject.items[-1].commit}\n")
    options = options_of(subject)
    build = build_options(options)
    rows = all_rows(options)
    trees = {"base": tree_of(subject, subject.base), "tip": subject.items[-1].tree}
    kernels = {what: describe(subject, what, tree, rows) for what, tree in trees.items()}
    jobs = build.get("jobs", subject.jobs)
    folder = subject.work / "boot"
    images = Images(folder, subject.scratch, compiler_of(build), wanted_options(build), jobs, subject.progress)
    started = time.monotonic()
    try:
        selftests = find_selftests(subject.scratch, trees["tip"], [path for i in subject.items for path in i.files])
        built = {what: link(images, kernel, selftests, log) for what, kernel in kernels.items()}
        libbpf = images.libbpf(trees["tip"], log)
        subject.progress("boot: compiling programs")
        objects = compile_programs(kernels["tip"].rows.programs, header(), libbpf, folder / "programs", jobs)
        tests = selftests.compile(images, libbpf, built["tip"].vmlinux, folder / "selftests", log)
        build_loader(bundled("checks/boot/loader.c"), libbpf, folder / "init")
    except BuildFailure as error:
        # A base that does not build says nothing about the series.
        if error.what != "tip":
            raise
        finding = Finding(Status.FAIL, str(error), None, None, "link")
        return Outcome.of([finding], examined=1, log=log, reason=str(error).split("\n")[0])
    finally:
        images.close()
    linked = time.monotonic() - started
    contents = {what: look(kernels[what], built[what]) for what in built}
    kernels = without_absent(kernels, objects, {what: found.kfuncs for what, found in contents.items()})
    wanted = {what: {p.name for p in kernel.rows.programs} for what, kernel in kernels.items()}
    loads = {what: [o for o in objects if o.stem in names] for what, names in wanted.items()}
    loads["tip"] += tests
    booted = {}
    for what in ("base", "tip"):
        image = inserted(built[what], selftests)
        said, seconds, line = run(subject, kernels[what], image, loads[what], folder, log, timeout_of(options))
        booted[what] = Booted(kernels[what], contents[what], said, seconds, line)
    unlinked = rows_in_source(subject.scratch, trees["tip"], {k for row in kernels["tip"].left_out for k in row.kfuncs})
    return judge(booted["tip"], booted["base"], [t.name for t in tests], linked, unlinked, log)


def without_absent(
    kernels: Mapping[str, Kernel], objects: Sequence[Path], kfuncs: Mapping[str, frozenset[str]]
) -> dict[str, Kernel]:
    """Return the kernels without the programs that call what they lack.

    A kfunc that only the kernel before the series has is lost, so its programs stay, and fail.
    """
    own = bundled(f"checks/boot/{MODULE}.c").read_text(encoding="utf-8")
    missing = {what: absent(objects, names, own) for what, names in kfuncs.items()}
    missing["tip"] = {
        name: found
        for name, found in missing["tip"].items()
        if name in missing["base"] or name not in {p.name for p in kernels["base"].rows.programs}
    }
    made = {}
    for what, kernel in kernels.items():
        programs = tuple(p for p in kernel.rows.programs if p.name not in missing[what])
        left = [
            LeftOut("program", p.name, f"it has no kfunc {', '.join(names)}", tuple(names))
            for p in kernel.rows.programs
            if (names := missing[what].get(p.name))
        ]
        made[what] = replace(kernel, rows=replace(kernel.rows, programs=programs), left_out=(*kernel.left_out, *left))
    return made


def link(images: Images, kernel: Kernel, selftests: Selftests, log: Path) -> Image:
    """Return the image of a kernel with its test modules."""
    source = bundled("checks/boot")
    files = {f"own/{name}": (source / name).read_bytes() for name in ("Makefile", f"{MODULE}.c")}
    if kernel.rows.sets:
        files[f"own/{SETS}.c"] = (source / f"{SETS}.c").read_bytes()
        files[f"own/{SETS}.h"] = sets_header(kernel.rows.sets).encode()
    if kernel.what == "tip":
        files |= selftests.modules
    return images.get(kernel.tree, files, log, kernel.what)


def inserted(image: Image, selftests: Selftests) -> Image:
    """Return an image with those of its modules that are inserted when it boots."""
    names = {MODULE, SETS} | selftests.inserted
    return replace(image, modules={name: path for name, path in image.modules.items() if name in names})


def run(
    subject: Subject, kernel: Kernel, image: Image, objects: Sequence[Path], folder: Path, log: Path, timeout: float
) -> tuple[Said, float, str]:
    """Boot a kernel with its modules and programs; return what it said, the seconds, and the line that does the same.

    Raises ToolError with the log's tail if it does not end well.
    """
    subject.progress(f"boot: booting the {kernel.what}")
    # Modules of the kernel's selftests first: ours need nothing of theirs, but theirs of each other by name.
    modules = sorted(image.modules.values(), key=lambda path: (path.stem == SETS, path.stem))
    todo = [f"module {path.name}\n" for path in modules] + [f"object {path.name}\n" for path in objects]
    files = {"init": (folder / "init").read_bytes(), "boot.list": "".join(todo).encode()}
    files |= {f"modules/{path.name}": path.read_bytes() for path in modules}
    files |= {f"programs/{path.name}": path.read_bytes() for path in objects}
    initramfs = folder / f"initramfs-{kernel.what}.cpio.gz"
    pack(files, initramfs)
    serial = log.with_suffix(f".{kernel.what}.serial.txt")
    machine = boot(image.kernel, initramfs, serial, timeout)
    said = parse(machine.serial)
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{kernel.what}: booted {machine.seconds:.1f} s, serial log {serial}\n")
    reproduce = shell_line(image.kernel, initramfs)
    if why := stopped(said, machine.serial, machine.timed_out, timeout):
        raise ToolError(f"{kernel.what}: {why}; serial log {serial}, its end:\n{tail(machine.serial)}")
    own = said.modules.get(f"{MODULE}.ko")
    if said.end != len(todo) or own is None or own.errno:
        end = tail("\n".join(own.said) if own and own.errno else machine.serial)
        what = f"did {said.end} of {len(todo)} things" if said.end != len(todo) else f"cannot insert {MODULE}.ko"
        raise ToolError(f"{kernel.what}: the loader {what}; serial log {serial}, its end:\n{end}")
    return said, machine.seconds, reproduce


def look(kernel: Kernel, image: Image) -> Contents:
    """Return what the kfunc sets in the linked kernel and our module hold, by file, and what is wrong with them."""
    functions = kernel_functions(image.vmlinux)
    counts, problems, kfuncs = {}, [], {}
    # kfa_sets is wrong on purpose.
    for path in (image.vmlinux, image.modules[MODULE]):
        own = functions if path == image.vmlinux else module_functions(path, functions)
        linked = check_linked(path, own, kernel.flags.trailer)
        counts[path.name], kfuncs[path] = str(linked), linked.kfuncs
        problems += [f"{path.name}: {problem}" for problem in linked.problems]
        if not linked.sets:
            problems.append(f"{path.name} holds no kfunc set")
        if kernel.arguments and not linked.records:
            problems.append(
                f"{path.name} holds no flags of arguments, though the kernel has {', '.join(kernel.arguments)}"
            )
    return Contents(counts, tuple(problems), kfuncs[image.vmlinux])


def judge(
    tip: Booted, base: Booted, tests: Sequence[str], linked: float, unlinked: Sequence[str], log: Path
) -> Outcome:
    """Return the outcome, and leave the table of all verdicts in the log and, as JSON, beside it."""
    rows = tip.kernel.rows
    lines: list[Line] = judge_programs(rows.programs, tip.said, base.said, (p.name for p in base.kernel.rows.programs))
    lines += judge_sets(rows, tip.said)
    lines += judge_tags(tip.said, tests)
    found = [Finding(Status.FAIL, f"{problem}", None, None, "linked") for problem in tip.contents.problems]
    found += [Finding(Status.WARN, f"before the series: {p}", None, None, "linked") for p in base.contents.problems]
    found += findings(lines)
    found += [
        Finding(Status.WARN, f"this configuration leaves out {name}, so no program tries it", None, None, "config")
        for name in unlinked
    ]
    found += judge_splats(tip.said, base.said)
    found += [
        Finding(
            Status.FAIL, f"no accepted and rejected program differ only in an argument with {flag}", None, None, "cover"
        )
        for flag in rows.uncovered(tip.kernel.arguments)
    ]
    for name, module in tip.said.modules.items():
        if module.errno:
            text = (
                f"the module {name} cannot be inserted ({module.errno}): {'; '.join(module.said[-3:]) or 'no message'}"
            )
            found.append(Finding(Status.FAIL, text, None, None, "module"))
    programs = sum(line.kind != "set" for line in lines)
    both = sum(bool(line.base) for line in lines)
    sets = [line for line in lines if line.kind == "set"]
    refused = sum(line.expected == "refuse" for line in sets)
    if tip.kernel.arguments and (programs < LEAST_PROGRAMS or refused < LEAST_REFUSED):
        text = f"only {programs} programs and {refused} sets to refuse; at least {LEAST_PROGRAMS} and {LEAST_REFUSED}"
        found.append(Finding(Status.FAIL, text, None, None, "cover"))
    seconds = tip.seconds + base.seconds
    left = tip.kernel.left_out
    reason = (
        f"{programs} programs ({both} on both kernels), {len(sets)} sets ({refused} to refuse), {len(left)} left out;"
        f" {tip.contents.counts['vmlinux']}; boot {seconds:.0f} s, build {linked:.0f} s"
    )
    lines += skipped(left)
    facts = {
        "linked": {"tip": dict(tip.contents.counts), "base": dict(base.contents.counts)},
        "seconds": {"boot": seconds, "build": linked},
    }
    log.with_suffix(".json").write_text(json.dumps(document(lines, facts), indent=1) + "\n")
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"\n{reason}\n{group_left_out(left)}\n{table(lines)}")
    return Outcome.of(found, examined=programs + len(sets), reason=reason, log=log, reproduce=tip.reproduce)


def describe(subject: Subject, what: str, tree: str, rows: Rows) -> Kernel:
    """Return a kernel with the flags that its headers define and the rows that it can have."""
    texts = [subject.scratch.git("cat-file", "blob", f"{tree}:{path}").stdout for path in (BTF_H, BTF_IDS_H)]
    flags = read_flags(texts[0], texts[1])
    have = features(flags, rule_of(subject.scratch, tree))
    return Kernel(what, tree, flags, rows.known_to(have), tuple(rows.left_out(have)))


def single(flags: Flags) -> frozenset[str]:
    """Return the names of the flags of arguments that are one flag, not a mask."""
    return frozenset(name for name in flags.argument if not name.endswith("_FLAGS"))


def all_rows(options: Mapping[str, Any]) -> Rows:
    """Return the rows of programs.toml and of the files that the options name."""
    read = [read_rows(path) for path in (bundled("checks/boot/programs.toml"), *extra(options))]
    rows = Rows(tuple(p for r in read for p in r.programs), tuple(s for r in read for s in r.sets))
    names = [p.name for p in rows.programs]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UserError(f"[checks.boot] programs: two programs are called {twice[0]}")
    return rows


def extra(options: Mapping[str, Any]) -> list[Path]:
    """Return the files with more programs."""
    given = options.get("programs", [])
    return [Path(name).expanduser() for name in ([given] if isinstance(given, str) else given)]


def header() -> Path:
    """Return the header that programs include."""
    return bundled("checks/boot/program.h")


def options_of(subject: Subject) -> Mapping[str, Any]:
    """Return the check's options over those of [checks.build]."""
    known("patchbot.toml", "checks.boot", subject.options, OPTIONS)
    tables: Mapping[str, Mapping[str, Any]] = getattr(subject, "tables", {})
    shared = {name: value for name, value in tables.get("build", {}).items() if name in BUILD_OPTIONS}
    return {**shared, **subject.options}


def build_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say how to compile."""
    return {name: value for name, value in options.items() if name in BUILD_OPTIONS}


def timeout_of(options: Mapping[str, Any]) -> float:
    """Return the seconds that one boot may take."""
    value = options.get("timeout", TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise UserError(f"[checks.boot] timeout must be a number of seconds, not {value!r}")
    return float(value)


def tree_of(subject: Subject, commit: str) -> str:
    """Return the tree of a commit."""
    return subject.scratch.git("rev-parse", f"{commit}^{{tree}}").stdout.decode().strip()
