"""Choose what each of the two kernels tries: the rows that fit it, and why it is not given the others.

What a kernel can do becomes known in three steps: its headers name the flags, the linked file shows which kfuncs the
configuration left in and whether resolve_btfids did what KF_IMPLICIT_ARGS needs, and the modules hold those of the
selftests. Rows are chosen by that, never by a version: a backport is as good as a release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ....errors import ToolError
from ....git.repo import Scratch
from ....model import Finding, Status
from ..proof.btf_ids import elf_file, is_undefined, symbols_of
from ..proof.meaning import IMPLICIT_ARGS, RELEASE, Flags, Rule, flags_of, rule_of
from .linked import IMPL, TAG, Linked
from .trials import GAINS, LeftOut, Rows

CHANGES = "Documentation/process/changes.rst"
RESOLVE_BTFIDS = "tools/bpf/resolve_btfids/main.c"
NO_IMPLICIT = f"its BTF lacks the functions that {IMPLICIT_ARGS} needs"

#: Where kfuncs are; searching every file of a kernel takes ten times as long.
FOLDERS = ("block", "crypto", "drivers", "fs", "io_uring", "kernel", "lib", "mm", "net", "security", "virt", "include")


@dataclass(frozen=True)
class Kernel:
    """One of the two kernels: its tree, the flags that its headers define, the rows that it is given or not.

    `tagged` says whether its resolve_btfids turns argument flags into decl tags.
    """

    what: str
    tree: str
    flags: Flags
    features: frozenset[str]
    rows: Rows
    left_out: tuple[LeftOut, ...] = ()
    tagged: bool = False

    def without(self, feature: str, why: str) -> Kernel:
        """Return the kernel without the rows that need a feature, as only its headers have that."""
        have = self.features - {feature}
        left = [replace(row, why=why) for row in self.rows.left_out(have)]
        return replace(self, features=have, rows=self.rows.known_to(have), left_out=(*self.left_out, *left))


def describe(scratch: Scratch, what: str, tree: str, rows: Rows) -> Kernel:
    """Return a kernel with the flags that its headers define and the rows that it can be given."""
    flags = flags_of(scratch, tree)
    have = features(flags, rule_of(scratch, tree))
    have |= {need for p in rows.programs for need in p.needs if may_show(need, what, flags)}
    tool = scratch.read(tree, RESOLVE_BTFIDS) or b""
    return Kernel(what, tree, flags, have, rows.known_to(have), tuple(rows.left_out(have)), f'"{TAG}'.encode() in tool)


def features(flags: Flags, rule: Rule) -> frozenset[str]:
    """Return the names that `needs` and `lacks` of a row may hold: KF_ and KFA_ flags, and what KF_RELEASE is about."""
    return frozenset((*flags.kfunc, *flags.argument, f"{RELEASE}={rule.release}"))


def may_show(need: str, what: str, flags: Flags) -> bool:
    """Say whether a kernel can show a gain: one that has the flag, or the one before the series."""
    return need.startswith(GAINS) and (what == "base" or need.removeprefix(GAINS) in flags.argument)


def called(obj: Path) -> frozenset[str]:
    """Return the undefined functions of a BPF object: the kfuncs that it calls."""
    with elf_file(obj) as file:
        symbols = list(symbols_of(file))
    if not symbols:
        raise ToolError(f"{obj} has no symbols")
    return frozenset(s.name for s in symbols if is_undefined(s))


def absent(objects: Iterable[Path], kfuncs: Collection[str], own: str) -> dict[str, list[str]]:
    """Return {name of an object: kfuncs that it calls and the kernel lacks}.

    `kfuncs` are those of the kernel, `own` is the source of the test module, whose kfuncs are never excused.
    """
    ours = frozenset(re.findall(r"\w+", own))
    missing = {obj.stem: sorted(called(obj) - set(kfuncs) - ours) for obj in objects}
    return {name: names for name, names in missing.items() if names}


def rows_in_source(scratch: Scratch, tree: str, names: Collection[str]) -> list[str]:
    """Return the kfuncs that have a row in the source of a tree: the configuration leaves these out, not the kernel."""
    if not names:
        return []
    before = r"BTF_ID_FLAGS\(func, *|BTF_KFUNC\( *|BPF_KFUNC\((\w+|\([^)]*\)), *"
    pattern = rf"({before})({'|'.join(sorted(names))})\b"
    return sorted(
        {found[-1] for _, line in scratch.grep_lines(tree, pattern, FOLDERS) for found in re.findall(pattern, line)}
    )


def asked_pahole(scratch: Scratch, tree: str) -> str:
    """Return the minimum version of pahole that a kernel's own document asks for, "" if it names none."""
    text = (scratch.read(tree, CHANGES) or b"").decode("utf-8", "replace")
    found = re.search(r"^pahole\s+(\d[\w.]*)\s", text, re.MULTILINE)
    return found[1] if found else ""


def judge_implicit(unmade: Mapping[str, frozenset[str]], pahole: str, asked: str) -> list[Finding]:
    """Return the problems of kfuncs that hide arguments; `unmade` has those of base and tip that lack the function.

    A function that the series loses is a fault. If it was missing before, the tools are too old: Linux 7.0 to 7.2 make
    it from tags that only a newer pahole writes, of the version that they ask for (`asked`).
    """
    found = [
        Finding(Status.FAIL, f"the series loses the function {kfunc}{IMPL} of {kfunc}", type="implicit")
        for kfunc in sorted(unmade["tip"] - unmade["base"])
    ]
    if old := sorted(unmade["base"]):
        text = (
            f"{NO_IMPLICIT} ({old[0]}{IMPL} and {len(old) - 1} more), so nothing that needs these was tried; "
            f"{CHANGES} asks for pahole {asked or '(no version named)'}, and this is {pahole}: name a newer one in"
            " [checks.build] pahole; `make pahole` gets one"
        )
        found.append(Finding(Status.WARN, text, type="implicit"))
    return found


def without_absent(
    kernels: Mapping[str, Kernel], objects: Sequence[Path], kfuncs: Mapping[str, frozenset[str]], own: str
) -> dict[str, Kernel]:
    """Return the kernels without the programs that call what they lack; `own` is the source of the test module.

    A kfunc that only the kernel before the series has is lost, so its programs stay and fail.
    """
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


def without_unmade(
    tests: Sequence[Path], modules: Mapping[str, Linked]
) -> tuple[list[Path], frozenset[str], list[LeftOut]]:
    """Return which selftests can be tried if NO_IMPLICIT applies: objects, names of modules, and what is left out.

    A module with such a kfunc is inserted only if a program that can be tried calls another one of it.
    """
    unmade = frozenset(kfunc for one in modules.values() for kfunc in one.unmade)
    calls = {test: called(test) for test in tests}
    kept = [test for test in tests if not calls[test] & unmade]
    wanted = frozenset(kfunc for test in kept for kfunc in calls[test])
    names = frozenset(name for name, one in modules.items() if not one.unmade or one.kfuncs & wanted)
    left = [LeftOut("selftest", test.stem, NO_IMPLICIT) for test in tests if test not in kept]
    left += [LeftOut("module", name, NO_IMPLICIT) for name in sorted(modules.keys() - names)]
    return kept, names, left
