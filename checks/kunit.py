"""The KUnit suites that a patch touches pass: a kernel with them boots in QEMU, and no case fails that did not before.

A suite is touched if its source is, or the code that it tests: a file in whose folder it lies, or above its test/,
tests/ or kunit/, and of which it includes the file or uses a name; or a header of include/ that it is called after. The
kernel has the options of these suites and little else. Each patch links one, and its parent's where something fails. A
case that fails there, too, is not new, and the result is SKIP. Options: timeout (seconds for one boot), config
(fragments of .config for suites that need more); what compiles is as in [checks.build].
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated

from msgspec import Meta

from patchbot.build.images import kernel_key
from patchbot.build.ktap import Ktap
from patchbot.build.kunit import Kernels, Tested, find_suites, switches_for, wanted_for
from patchbot.build.options import BuildOptions, build_options, wanted_options
from patchbot.build.qemu import PACKAGE, QEMU
from patchbot.build.toolchain import PROGRAMS, compiler_of
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.checking.news import brought, files_of
from patchbot.config import fit
from patchbot.model import Finding, Status
from patchbot.series.campaign import BuildWishes
from patchbot.series.render import plural
from patchbot.shapes import Text
from patchbot.terminal import some

NEEDS = {**PROGRAMS, QEMU: PACKAGE}
EXCLUSIVE = True


@dataclass(frozen=True)
class Options:
    """[checks.kunit]: the seconds that one boot may take, and fragments of .config.

    A boot takes seconds. KUnit itself gives up a case after 300 s, and then says which one hangs.
    """

    timeout: Annotated[float, Meta(gt=0)] = 600
    config: tuple[Text, ...] = ()


OPTIONS = Options


def key(subject: Subject, item: Item) -> str:
    """Return what the kernels before and after a patch are made from, and how they run."""
    own, options, more = options_of(subject)
    compiler = compiler_of(options)
    kernels = [kernel_key(subject.scratch, tree, compiler, more) for tree in (item.parent_tree, item.tree)]
    return "\n".join([*kernels, json.dumps(own.timeout)])


def check(subject: Subject, item: Item) -> Outcome:
    """Run what a patch touches, and where that fails, the same at the parent."""
    suites = find_suites(subject.scratch, item.parent_tree, item.tree, item.files)
    if not suites:
        return Outcome(Status.SKIP, reason="it touches no KUnit suite, and no code that one beside it tests")
    own, options, more = options_of(subject)
    log = subject.log("kunit", item)
    log.write_text(f"kunit of {item.commit}: {' '.join(suites)}\n")
    switches = switches_for(subject.scratch, item.tree, suites)
    config = wanted_for(subject.scratch, item.tree, switches) | more
    jobs = options.jobs or subject.jobs
    place = (subject.work / "boot", subject.scratch, compiler_of(options), config, jobs, subject.sandbox)
    before: tuple[Finding, ...] = ()
    with closing(Kernels(*place)) as kernels:
        got = kernels.configured(item.tree, log)
        off = {source: [n for n in names if got.get(n, "n") == "n"] for source, names in switches.items()}
        if all(off.values()):
            findings = [Finding(Status.SKIP, lacking(names), path, type="not-run") for path, names in off.items()]
            return Outcome(Status.SKIP, tuple(findings), "none of its suites can be on here", 0, log)
        after = kernels.test(log, log.with_suffix(".serial.txt"), own.timeout)
        if after.findings:
            kernels.configured(item.parent_tree, log)
            before = kernels.test(log, log.with_suffix(".parent.serial.txt"), own.timeout).findings
    return replace(judge(subject, item, suites, off, after, before, log), reproduce=reproduce(item, switches))


def judge(
    subject: Subject,
    item: Item,
    suites: Mapping[str, bytes],
    off: Mapping[str, Sequence[str]],
    after: Tested,
    before: Sequence[Finding],
    log: Path,
) -> Outcome:
    """Return the outcome of what the kernels said with a patch and at its parent."""
    old, new = (files_of(subject.scratch.read, tree) for tree in (item.parent_tree, item.tree))
    # A place is what the log says; it need not be one.
    said = [f if f.file and new(f.file) is not None else replace(f, file=None, line=None) for f in after.findings]
    findings = brought(before, said, old, new)
    stuck = len(after.findings) - len(findings)
    ran, skipped = after.said.count("ok") + after.said.count("not ok"), after.said.count("skip")
    parts = [f"{plural(ran, 'case')} of {', '.join(some(sorted(after.said.suites), 3))} ran"] if ran else []
    parts += [f"{skipped} skipped"] if skipped else []
    parts += [f"{stuck} {'fails' if stuck == 1 else 'fail'} at the parent, too"] if stuck else []
    if after.built and not any(f.type == "stopped" for f in after.findings):
        silent = {source: off[source] for source, text in suites.items() if not has_run(after.said, source, text)}
        findings += [Finding(Status.SKIP, lacking(names), path, type="not-run") for path, names in silent.items()]
    status = Status.worst([Status.SKIP if stuck or not ran else Status.PASS, *(f.status for f in findings)])
    return Outcome(status, tuple(findings), "; ".join(parts) or "no case ran", ran, log)


def has_run(said: Ktap, source: str, text: bytes) -> bool:
    """Say whether a suite of a source ran: KUnit names the module that it would be, newer kernels, and the suite."""
    module = PurePosixPath(source).stem.replace("-", "_")
    return module in said.modules or any(f'"{name}"'.encode() in text for name in said.suites)


def lacking(names: Sequence[str]) -> str:
    """Return why a suite did not run, by those of its options that are off."""
    told = f"{', '.join(f'CONFIG_{name}' for name in names)} is off in what Kconfig makes of the wishes"
    hint = "[checks.kunit] config may name a fragment with what it needs"
    return f"its suite did not run: {told}; {hint}" if names else "its suite did not run"


def reproduce(item: Item, switches: Mapping[str, Sequence[str]]) -> str:
    """Return the shell line that runs the suites by the tree's own tool."""
    place = f"../kunit-{item.commit[:12]}"
    wanted = sorted({f"--kconfig_add=CONFIG_{name}=y" for names in switches.values() for name in names})
    tool = ["tools/testing/kunit/kunit.py", "run", "--arch=x86_64", *wanted]
    return f"git worktree add --detach {place} {item.commit[:12]} && cd {place} && {shlex.join(tool)}"


def options_of(subject: Subject) -> tuple[Options, BuildOptions, dict[str, str]]:
    """Return the check's options, those of [checks.build], and the options of .config in the check's fragments."""
    own = fit("patchbot.toml", "checks.kunit", subject.options, Options)
    more = wanted_options(BuildOptions(config=own.config), BuildWishes())
    return own, build_options(subject.tables.get("build", {})), more
