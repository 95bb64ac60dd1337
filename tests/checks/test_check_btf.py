from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
from subjects import make_subject
from tinytree import build
from toolchain import needs_s390

from patchbot.bundle import bundled
from patchbot.campaigns import load_campaign
from patchbot.campaigns.kfunc_flags.proof.snapshots import _snapshots, snapshot
from patchbot.checking import check
from patchbot.checking.check import Item, Outcome, Subject
from patchbot.config import CampaignConfig, load
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.model import Status
from patchbot.run import run
from patchbot.series.campaign import Site
from patchbot.series.generate import generate
from patchbot.series.tree import Tree

Commits = Sequence[tuple[str, Mapping[str, bytes]]]

HELPERS, CPUMASK, HID = "kernel/bpf/helpers.c", "kernel/bpf/cpumask.c", "drivers/hid/bpf/hid_bpf_dispatch.c"
EXT, IDLE, HEADER = "kernel/sched/ext/ext.c", "kernel/sched/ext/idle.c", "include/linux/btf_ids.h"
FLAGS, VERIFIER = "include/linux/btf.h", "kernel/bpf/verifier.c"
MOVED = "bpf: Add the cpumask kfuncs to their set where they are defined"
FIRST_ROW = b"BTF_KFUNC(bpf_cpumask_first, 0, KFA_RCU)\n"
CPU_ROW = b"BTF_KFUNC(scx_bpf_task_cpu, 0, KFA_RCU)"
SELECT_END = b"BTF_KFUNCS_END(scx_kfunc_ids_select_cpu)"
ZERO = b'".zero 4                                       \\n"\t\\\nword'
HID_ROW = b"BTF_KFUNC(hid_bpf_release_context, KF_SLEEPABLE, KFA_RELEASE)"
HID_ROWS = HID_ROW + b"\nBTF_ID_FLAGS(func, hid_bpf_hw_request, KF_SLEEPABLE)\nBTF_KFUNCS_END(hid_bpf_s"
INVALID = "tools/testing/selftests/bpf/test_kmods/bpf_test_kfa_invalid.c"

DEFAULTS = load(None, bundled("patchbot.toml"))


@dataclass(frozen=True)
class Bench:
    """The tiny kernel, its generated series, and a folder that all tests of this file compile in."""

    repo: Repo
    where: Path
    config: CampaignConfig
    patches: Commits
    module: ModuleType

    def subject(self, commits: Commits) -> Subject:
        made = make_subject(self.repo, "HEAD", commits, self.where, options=DEFAULTS.checks.options["btf"])
        campaign = load_campaign(self.config)
        (made.scratch.objects / "info/alternates").write_text(f"{self.repo.objects}\n")
        repo = Repo.open(made.scratch.path)

        return replace(
            made,
            witnesses=lambda commit: campaign.witnesses(Tree(repo, commit)),
            sites=lambda commit: campaign.audit(Tree(repo, commit), self.config).sites,
            wishes=campaign.wishes,
        )

    def check(self, subject: Subject, item: Item) -> Outcome:
        outcome: Outcome = self.module.check(subject, item)
        return outcome

    def mutated(self, changes: Mapping[str, tuple[bytes, bytes]]) -> Outcome:
        """Check the first patch that has the right texts, with the wrong ones in their place, on all before it."""

        def has(files: Mapping[str, bytes]) -> bool:
            return all(right in files.get(path, b"") for path, (right, _) in changes.items())

        number = next(n for n, (_, files) in enumerate(self.patches) if has(files))
        before: dict[str, bytes] = {}
        for _, files in self.patches[:number]:
            before |= files
        message, files = self.patches[number]
        wrong = {path: files[path].replace(*change) for path, change in changes.items()}
        commits = [("all before", before)] if before else []
        subject = self.subject([*commits, (message, {**files, **wrong})])
        return self.check(subject, subject.items[-1])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return opened(tmp_path_factory.mktemp("btf"))


@pytest.fixture(scope="module")
def defined(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Return a bench whose series also moves the rows of a set behind its kfuncs."""
    return opened(tmp_path_factory.mktemp("defined"), "define")


def opened(where: Path, *steps: str) -> Bench:
    repo = build(where / "linux")
    config = replace(DEFAULTS.campaign("kfunc_flags"), with_=steps)
    made = generate(Tree(repo, repo.resolve("HEAD")), load_campaign(config), config)
    commits = [(p.message, {path: made.tip.read(path) for path in p.files}) for p in made.series.patches]
    loaded = check.load("btf")
    assert loaded.patch is not None
    return Bench(repo, where, config, commits, sys.modules[loaded.patch.__module__])


def types(outcome: Outcome) -> set[str]:
    return {f.type for f in outcome.findings}


def texts(outcome: Outcome) -> str:
    return "\n".join(f"{f.type}: {f.file}:{f.line}: {f.message}" for f in outcome.findings)


def test_the_generated_series_means_the_same(bench: Bench) -> None:
    subject = bench.subject(bench.patches)
    for item in subject.items:
        outcome = bench.check(subject, item)
        assert (outcome.status, texts(outcome)) == (Status.PASS, ""), item.subject
        assert outcome.examined > 40
    whole: Outcome = bench.module.check_series(subject)
    assert whole.status is Status.PASS
    assert "0 differences" in whole.reason
    assert types(whole) == {"UNCOVERED"}
    assert {f.status for f in whole.findings} == {Status.SKIP}
    assert whole.log is not None
    assert (
        "bpf_cpumask_set_cpu(): ('KF_RCU',) () is now () ((), ('KFA_RCU',)): rcu of argument 1" in whole.log.read_text()
    )


#: What goes wrong in a generated patch: {file: (right, wrong)}, and the kind of finding that says so.
MUTANTS: Mapping[str, tuple[Mapping[str, tuple[bytes, bytes]], str]] = {
    "a wrong known flag of an argument": (
        {CPUMASK: (b"bpf_cpumask_first, 0, KFA_RCU)", b"bpf_cpumask_first, 0, KFA_RELEASE)")},
        "EFFECT",
    ),
    "a wrong known flag of the kfunc": (
        {CPUMASK: (b"bpf_cpumask_first, 0,", b"bpf_cpumask_first, KF_SLEEPABLE,")},
        "EFFECT",
    ),
    "a flag of the kfunc lost": (
        {HELPERS: (b"bpf_task_acquire, KF_ACQUIRE | KF_RET_NULL, K", b"bpf_task_acquire, KF_ACQUIRE, K")},
        "EFFECT",
    ),
    "the flag on the argument before": ({CPUMASK: (b"set_cpu, 0, 0, KFA_RCU", b"set_cpu, 0, KFA_RCU")}, "EFFECT"),
    "the flag on the argument after": (
        {CPUMASK: (b"bpf_cpumask_release, 0, KFA", b"bpf_cpumask_release, 0, 0, KFA")},
        "EFFECT",
    ),
    "one of several arguments left out": (
        {CPUMASK: (b"and, 0, KFA_RCU, KFA_RCU, KFA_RCU", b"and, 0, KFA_RCU, KFA_RCU")},
        "EFFECT",
    ),
    "an argument too many": (
        {CPUMASK: (b"bpf_cpumask_populate, 0, KFA_RCU", b"bpf_cpumask_populate, 0, KFA_RCU, KFA_RCU")},
        "EFFECT",
    ),
    "an implicit argument": (
        {EXT: (b"vtime, KF_IMPLICIT_ARGS, KFA_RCU, KFA_RCU", b"vtime, KF_IMPLICIT_ARGS, KFA_RCU, KFA_RCU, KFA_RCU")},
        "RECORD",
    ),
    "an argument in another file's kfunc": (
        {HELPERS: (b"task_vma_new, KF_ITER_NEW, 0, K", b"task_vma_new, KF_ITER_NEW, K")},
        "EFFECT",
    ),
    "a dropped row": ({CPUMASK: (FIRST_ROW, b"")}, "LOST"),
    "a row that was not changed is dropped": (
        {CPUMASK: (b"BTF_ID_FLAGS(func, bpf_cpumask_create, KF_ACQUIRE | KF_RET_NULL)\n", b"")},
        "LOST",
    ),
    "a record dropped": ({CPUMASK: (FIRST_ROW, b"BTF_ID_FLAGS(func, bpf_cpumask_first, 0)\n")}, "EFFECT"),
    "both forms": ({CPUMASK: (b"bpf_cpumask_first, 0, KFA", b"bpf_cpumask_first, KF_RCU, KFA")}, "RECORD"),
    "a row twice": ({CPUMASK: (FIRST_ROW, FIRST_ROW * 2)}, "NEW"),
    "a row in another set": (
        {IDLE: (SELECT_END, b"BTF_KFUNC(scx_bpf_dsq_insert, 0, KFA_RCU)\n" + SELECT_END)},
        "NEW",
    ),
    "one of two sets in one file": (
        {
            HID: (
                HID_ROWS,
                HID_ROWS.replace(HID_ROW, b"BTF_ID_FLAGS(func, hid_bpf_release_context, KF_SLEEPABLE | KF_RELEASE)"),
            )
        },
        "AGREE",
    ),
    "one of two sets in two files": ({IDLE: (CPU_ROW, b"BTF_ID_FLAGS(func, scx_bpf_task_cpu, KF_RCU)")}, "AGREE"),
    "the record of one of two sets": ({IDLE: (CPU_ROW, b"BTF_ID_FLAGS(func, scx_bpf_task_cpu, 0)")}, "AGREE"),
    "a misspelt flag": ({CPUMASK: (b"bpf_cpumask_first, 0, KFA_RCU", b"bpf_cpumask_first, 0, KFA_RUC")}, "UNDEFINED"),
    "a misspelt kfunc": ({CPUMASK: (b"bpf_cpumask_first, 0", b"bpf_cpumask_fist, 0")}, "LOST"),
    "exchanged kfuncs": (
        {CPUMASK: (b"bpf_cpumask_set_cpu, 0, 0, KFA_RCU", b"bpf_cpumask_set_cpu, 0, KFA_RCU, 0")},
        "EFFECT",
    ),
    "no code at all": ({CPUMASK: (b"BTF_KFUNCS_START(cpumask", b"int x = y;\nBTF_KFUNCS_START(cpumask")}, "BUILD"),
    "a set that is no longer one of kfuncs": (
        {HEADER: (b"local, BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS)", b"local, BTF_SET8_KFUNC_ARGS)")},
        "SET",
    ),
    "a header without trailers": ({HEADER: (b"BTF_SET8_KFUNCS | BTF_SET8_KFUNC_ARGS)", b"BTF_SET8_KFUNCS)")}, "SET"),
    "a header that changes flags": (
        {
            HEADER: (
                b'".long " #flags "\\n")\n#define __BTF_ID_FLAGS',
                b'".long " #flags " + 4\\n")\n#define __BTF_ID_FLAGS',
            )
        },
        "EFFECT",
    ),
    "a header that adds bytes": ({HEADER: (ZERO, ZERO.replace(b"zero 4", b"zero 8"))}, "LAYOUT"),
    "flags exchanged in the header": (
        {FLAGS: (b"#define KF_RET_NULL\t(1 << 2)", b"#define KF_RET_NULL\t(1 << 3)")},
        "none",
    ),
    "a verifier that releases another argument": (
        {VERIFIER: (b"KF_RELEASE ? BPF_REG_1", b"KF_RELEASE ? BPF_REG_2")},
        "RULE",
    ),
    "a set that is wrong on purpose does not compile": (
        {INVALID: (b"BTF_KFUNCS_START(bpf_test_kfa_valid", b"int x = y;\nBTF_KFUNCS_START(bpf_test_kfa_valid")},
        "BUILD",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_series_are_found(bench: Bench, name: str) -> None:
    changes, kind = MUTANTS[name]
    outcome = bench.mutated(changes)
    if kind == "none":  # a flag that gets another bit means the same wherever it is compiled
        assert (outcome.status, texts(outcome)) == (Status.PASS, "")
    else:
        assert outcome.status is Status.FAIL
        assert kind in types(outcome), texts(outcome)


def test_a_fault_is_named_at_its_row(bench: Bench) -> None:
    changes, kind = MUTANTS["a wrong known flag of an argument"]
    right, _ = changes[CPUMASK]
    text = next(files[CPUMASK] for _, files in bench.patches if right in files.get(CPUMASK, b""))
    (found,) = bench.mutated(changes).findings
    assert (found.status, found.type, found.file) == (Status.FAIL, kind, CPUMASK)
    assert found.line == text.count(b"\n", 0, text.index(right)) + 1


def test_rows_behind_their_kfuncs_are_the_same(defined: Bench) -> None:
    """Ids, flags of the kfunc and flags of the arguments are as they were, and the other bytes as well."""
    subject = defined.subject(defined.patches)
    item = subject.items[[m.partition("\n")[0] for m, _ in defined.patches].index(MOVED)]
    outcome = defined.check(subject, item)
    assert (outcome.status, texts(outcome)) == (Status.PASS, "")
    assert "mean the same, 0 of them rewritten" in outcome.reason


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        (
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_first, 0, KFA_RCU);",
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_first, 0);",
            "EFFECT",
        ),
        (
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_set_cpu, 0, 0, KFA_RCU);",
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_set_cpu, 0, KFA_RCU);",
            "EFFECT",
        ),
        (
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_acquire, KF_ACQUIRE);",
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_acquire, 0);",
            "EFFECT",
        ),
        (b"BPF_KFUNC(cpumask_kfunc_btf_ids, bpf_cpumask_create, KF_ACQUIRE | KF_RET_NULL);\n", b"", "LOST"),
        (
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_first, 0, KFA_RCU);",
            b"(cpumask_kfunc_btf_ids, bpf_cpumask_first, 0, KFA_RUC);",
            "BUILD",
        ),
    ],
    ids=["no flag", "other argument", "flag of the kfunc", "no row", "misspelt"],
)
def test_mutants_of_rows_behind_their_kfuncs_are_found(defined: Bench, right: bytes, wrong: bytes, kind: str) -> None:
    outcome = defined.mutated({CPUMASK: (right, wrong)})
    assert outcome.status is Status.FAIL
    assert kind in types(outcome), texts(outcome)


def changed_row(bench: Bench, right: bytes, wrong: bytes) -> Subject:
    """Return a patch that changes the helpers' code."""
    text = bench.repo.read(bench.repo.resolve("HEAD"), HELPERS) or b""
    assert right in text
    return bench.subject([("change", {HELPERS: text.replace(right, wrong)})])


@pytest.mark.usefixtures("no_cross_compiler")
def test_a_row_of_another_architecture_is_listed_with_the_package(bench: Bench) -> None:
    subject = bench.subject(bench.patches[:1])
    whole: Outcome = bench.module.check_series(subject)
    (finding,) = (f for f in whole.findings if "bpf_lowcore()" in f.message)
    assert finding.status is Status.SKIP
    assert "under #if CONFIG_S390, s390x-linux-gnu-gcc is not installed" in finding.message
    assert "gcc-s390x-linux-gnu" in finding.message
    assert finding.message.partition("compiled: ")[2] in whole.reason


@pytest.mark.usefixtures("no_cross_compiler")
def test_a_changed_row_that_nothing_compiles_fails(bench: Bench) -> None:
    subject = changed_row(bench, b"bpf_lowcore)", b"bpf_lowcore, KF_SLEEPABLE)")
    outcome = bench.check(subject, subject.items[0])
    assert types(outcome) == {"UNCOVERED"}
    assert "nothing compiles it: under #if CONFIG_S390" in texts(outcome)


@needs_s390
def test_a_row_of_another_architecture_is_compared(bench: Bench) -> None:
    subject = bench.subject(bench.patches)
    whole: Outcome = bench.module.check_series(subject)
    assert "; compared for s390: 20 rows in 1 object, only there bpf_lowcore(); " in whole.reason
    assert "0 differences" in whole.reason
    assert "S390" not in whole.reason
    for item in subject.items:
        outcome = bench.check(subject, item)
        assert (outcome.status, texts(outcome)) == (Status.PASS, ""), item.subject
        assert "only there bpf_lowcore()" in outcome.reason


ROW_OF_S390 = b"BTF_ID_FLAGS(func, bpf_lowcore)\n"


@needs_s390
@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        (b"bpf_lowcore)", b"bpf_lowcore, KF_SLEEPABLE)", "EFFECT"),
        (b"bpf_lowcore)", b"bpf_lowcore, KF_RELAESE)", "UNDEFINED"),
        (b"bpf_lowcore)", b"bpf_low_core)", "LOST"),
        (ROW_OF_S390, b"", "LOST"),
        (ROW_OF_S390, ROW_OF_S390 * 2, "TWICE"),
        (b"*bpf_lowcore(struct cgroup *cgrp)\n{", b"*bpf_lowcore(struct cgroup *cgrp)\n{{", "BUILD"),
    ],
)
def test_mutants_of_a_row_of_another_architecture_are_found(
    bench: Bench, right: bytes, wrong: bytes, kind: str
) -> None:
    subject = changed_row(bench, right, wrong)
    outcome = bench.check(subject, subject.items[0])
    assert outcome.status is Status.FAIL
    assert kind in types(outcome), texts(outcome)
    assert all(f.message.endswith("(ARCH=s390)") for f in outcome.findings if f.type != "UNCOVERED"), texts(outcome)


@needs_s390
def test_a_row_of_another_architecture_that_is_written_anew_counts(bench: Bench) -> None:
    header = {path: data for _, files in bench.patches for path, data in files.items() if path in (HEADER, FLAGS)}
    old = (bench.repo.read(bench.repo.resolve("HEAD"), HELPERS) or b"").replace(
        b"bpf_lowcore)", b"bpf_lowcore, KF_RCU)"
    )
    row = b"BTF_ID_FLAGS(func, bpf_lowcore, KF_RCU)"
    new = old.replace(row, b"BTF_KFUNC(bpf_lowcore, 0, KFA_RCU)")
    wrong = old.replace(row, b"BTF_KFUNC(bpf_lowcore, 0, KFA_RELEASE)")
    subject = bench.subject(
        [("header", {**header, HELPERS: old}), ("new", {HELPERS: new}), ("wrong", {HELPERS: wrong})]
    )
    _, good, bad = (bench.check(subject, item) for item in subject.items)
    assert (good.status, texts(good)) == (Status.PASS, "")
    assert "1 of them rewritten" in good.reason
    assert good.log is not None
    line = "generic_btf_ids: bpf_lowcore(): ('KF_RCU',) () is now () (('KFA_RCU',),): rcu of argument 0"
    assert line in good.log.read_text()
    assert "EFFECT" in types(bad)


@needs_s390
def test_a_fault_that_every_architecture_shows_is_told_once(bench: Bench) -> None:
    outcome = bench.mutated(
        {HELPERS: (b"bpf_task_acquire, KF_ACQUIRE | KF_RET_NULL, K", b"bpf_task_acquire, KF_ACQUIRE, K")}
    )
    assert [f.type for f in outcome.findings] == ["EFFECT"]
    assert "ARCH=" not in texts(outcome)


@needs_s390
def test_an_object_that_never_compiles_for_another_architecture_is_no_fault(bench: Bench) -> None:
    text = bench.repo.read(bench.repo.resolve("HEAD"), HELPERS) or b""
    broken = text.replace(b"#ifdef CONFIG_S390\n__bpf", b"#ifdef CONFIG_S390\nint x = y;\n__bpf", 1)
    subject = bench.subject([("broken", {HELPERS: broken}), ("more", {HELPERS: b"\n" + broken})])
    outcome = bench.check(subject, subject.items[1])
    assert (outcome.status, texts(outcome)) == (Status.PASS, "")
    second = replace(subject, base=subject.items[0].commit, items=subject.items[1:])
    whole: Outcome = bench.module.check_series(second)
    assert "under #if CONFIG_S390, nor is it in an object for s390, kernel/bpf/helpers.o: " in whole.reason


@needs_s390
def test_the_reproducing_line_shows_the_bytes_of_both_architectures(bench: Bench, tmp_path: Path) -> None:
    subject = changed_row(bench, b"bpf_lowcore)", b"bpf_lowcore, KF_SLEEPABLE)")
    (item,) = subject.items
    line = bench.check(subject, item).reproduce
    assert f"for c in {item.parent[:12]} {item.commit[:12]}; do git worktree add --detach ../btf-$c $c && " in line
    for commit in (item.parent, item.commit):
        run(
            [
                "git",
                f"--git-dir={subject.scratch.path}",
                "worktree",
                "add",
                "--detach",
                tmp_path / f"btf-{commit[:12]}",
                commit,
            ]
        )
    (tmp_path / "here").mkdir()
    done = run(["bash", "-c", line.replace("git worktree add --detach ../btf-$c $c && ", "")], cwd=tmp_path / "here")
    said = done.stdout.decode()
    assert said.count("__BTF_ID__func__bpf_lowcore__") == 2, "once before and once after, and never for x86"
    assert said.count("Hex dump of section '.BTF_ids'") == 4


def test_what_the_check_build_compiles_is_not_compiled_again(bench: Bench, tmp_path: Path) -> None:
    header = next(commit for commit in bench.patches if HEADER in commit[1])
    subject = replace(bench.subject([header]), work=tmp_path)
    item = subject.items[0]
    build_check = check.load("build")
    assert build_check.patch is not None
    outcome = build_check.patch(replace(subject, options={}), item)
    assert outcome.examined > 5
    log = subject.log("btf", item)
    before = snapshot(subject, item.parent, item.parent_tree, log)
    after = snapshot(subject, item.commit, item.tree, log)
    # Only what defines a kfunc and holds no set, and the test module, which no witness is.
    assert (before.compiled, after.compiled) == (2, 2)
    assert len(after.state.readings) > 10


def test_rows_that_only_move_are_the_same(bench: Bench) -> None:
    text = bench.repo.read(bench.repo.resolve("HEAD"), CPUMASK) or b""
    row = b"BTF_ID_FLAGS(func, bpf_cpumask_first, KF_RCU)\n"
    moved = text.replace(row, b"").replace(b"BTF_KFUNCS_END(cpumask", row + b"BTF_KFUNCS_END(cpumask")
    subject = bench.subject([("move", {CPUMASK: b"\n\n" + moved})])
    outcome = bench.check(subject, subject.items[0])
    assert (outcome.status, texts(outcome)) == (Status.PASS, "")


def test_the_inventory_is_part_of_it(bench: Bench) -> None:
    subject = bench.subject(bench.patches[:1])

    def without_one(commit: str) -> list[Site]:
        return [site for site in subject.sites(commit) if site.details["kfunc"] != "bpf_cpumask_first"]

    fewer = replace(subject, sites=without_one, work=subject.work)
    _snapshots.clear()
    outcome = bench.check(fewer, fewer.items[0])
    _snapshots.clear()
    assert types(outcome) == {"INVENTORY"}
    assert "a row of bpf_cpumask_first() that the inventory lacks" in texts(outcome)


def test_what_is_wrong_on_purpose_is_not_compared(bench: Bench) -> None:
    text = bench.repo.read(bench.repo.resolve("HEAD"), CPUMASK) or b""
    subject = bench.subject([("more", {CPUMASK: text + b"\nBTF_ID_LIST(more_ids)\nBTF_ID(struct, cpumask)\n"})])
    assert "REST" in types(bench.check(subject, subject.items[0]))
    meant = replace(subject, options={"wrong_on_purpose": [CPUMASK]})
    assert "REST" not in types(bench.check(meant, meant.items[0]))


def test_the_first_patch_answers_for_the_base(bench: Bench) -> None:
    text = bench.repo.read(bench.repo.resolve("HEAD"), CPUMASK) or b""
    row = b"BTF_ID_FLAGS(func, bpf_cpumask_first, KF_RCU)\n"
    twice = {CPUMASK: text.replace(row, row * 2)}
    subject = bench.subject([("broken", twice), ("more", {"Documentation/x.rst": b"x\n"})])
    first, second = (bench.check(subject, item) for item in subject.items)
    assert "TWICE" in types(first)
    assert second.status is Status.PASS


def test_the_key_says_what_is_read(bench: Bench) -> None:
    subject = bench.subject(bench.patches[:2])
    one, other = (bench.module.key(subject, item) for item in subject.items)
    assert one != other
    assert bench.module.key(replace(subject, options={}), subject.items[0]) != one
    assert bench.module.key(subject, replace(subject.items[0], commit="0" * 40)) == one
    assert len({one, other, bench.module.key_series(subject)}) == 3
    none = {**subject.tables, "build": {"arch": []}}
    assert bench.module.key(replace(subject, tables=none), subject.items[0]) != one
    for options in ({"wrong_on_purpose": "x"}, {"unknown": 1}):
        with pytest.raises(UserError, match=r"checks\.btf"):
            bench.module.key(replace(subject, options=options), subject.items[0])


def test_a_decision_of_the_configuration_counts(bench: Bench) -> None:
    text = bench.repo.read(bench.repo.resolve("HEAD"), CPUMASK) or b""
    narrower = text.replace(
        b"BTF_ID_FLAGS(func, bpf_cpumask_first_and, KF_RCU)", b"BTF_KFUNC(bpf_cpumask_first_and, 0, KFA_RCU)"
    )
    infrastructure: dict[str, bytes] = {}
    for _, files in bench.patches:
        infrastructure |= {path: data for path, data in files.items() if path in (HEADER, FLAGS)}
    subject = bench.subject([("header", infrastructure), ("narrower", {CPUMASK: narrower})])
    assert types(bench.check(subject, subject.items[1])) >= {"EFFECT"}
    decided = replace(subject, decisions={"bpf_cpumask_first_and": {"rcu": [0], "reason": "only the first"}})
    assert "EFFECT" not in types(bench.check(decided, subject.items[1]))
