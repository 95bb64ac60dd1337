"""The step selftests of kfunc_flags, on trees that hold just what it needs and on real kernels.

tests/golden/kfunc_flags/selftests-*/before is what the step meets, after is what it makes: `shared` keeps all test
modules in one folder, `own` gives each one of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import RealKernel
from tinytree import TESTS, commit

from patchbot.c import parse
from patchbot.campaigns.kfunc_flags.campaign import STEPS
from patchbot.campaigns.kfunc_flags.sites import inventory, sets
from patchbot.campaigns.kfunc_flags.steps import facts, selftests
from patchbot.config import CampaignConfig
from patchbot.errors import UserError
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series import render
from patchbot.series.campaign import Change, Context
from patchbot.series.codemod import AnchorError, Outcome
from patchbot.series.tree import Tree

GOLDEN = TESTS / "golden" / "kfunc_flags"
SHAPES = ("shared", "own")
PROGRAMS, TESTS = (f"{selftests.SELFTESTS}/{name}/kfunc_arg_flags.c" for name in ("progs", "prog_tests"))
BEFORE = ("dynptr", "btf_ids", "btf", "verifier", "docs")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    made = {}
    for shape in SHAPES:
        path = tmp_path_factory.mktemp(shape)
        run(["git", "init", "-q", "--template=", "-b", "master", path])
        made[shape] = (path, commit(path, "base", files(GOLDEN / f"selftests-{shape}" / "before")))
    return {shape: Tree(Repo.open(path), sha) for shape, (path, sha) in made.items()}


def context(tree: Tree, base: Tree | None = None) -> Context:
    return Context(tree, base or tree, CampaignConfig("kfunc_flags"), (*BEFORE, "selftests"))


def made(tree: Tree) -> Change:
    return selftests.selftests(context(tree))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_step_makes_the_golden_files(trees, shape):
    change = made(trees[shape])
    wanted = files(GOLDEN / f"selftests-{shape}" / "after")
    tip = trees[shape].edit(change.edits)
    assert {path: tip.read(path) for path in wanted} == wanted
    assert tip.overlay.keys() <= wanted.keys()
    assert all(r.outcome is Outcome.APPLIED for r in change.reports)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_second_run_changes_nothing(trees, shape):
    again(trees[shape].edit(made(trees[shape]).edits))


def again(tip: Tree) -> None:
    change = made(tip)
    assert not change.edits
    assert change.reports
    assert all(r.outcome is Outcome.ALREADY for r in change.reports)


def test_what_a_tree_lacks_is_left_out_and_said(trees):
    own, shared = made(trees["own"]), made(trees["shared"])
    assert not shared.remarks
    assert [r for r in own.remarks if selftests.SHARED_FOLDER in r]
    assert not [e for e in own.edits if selftests.INVALID in e.path or e.path.endswith("Makefile")]
    for change, there in ((shared, True), (own, False)):
        assert any(b"KF_IMPLICIT_ARGS" in e.new for e in change.edits) is there


def test_a_tree_whose_test_kfuncs_programs_cannot_use_gets_no_patch_and_a_remark(tmp_path):
    run(["git", "init", "-q", "--template=", "-b", "master", tmp_path])
    path = f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}/{selftests.TESTMOD}.c"
    change = made(Tree(Repo.open(tmp_path), commit(tmp_path, "base", {path: b"\n"})))
    assert not change.edits
    assert [r for r in change.remarks if selftests.KFUNCS_H in r]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_missing_anchor_is_named(trees, shape):
    def gone(text: bytes, start: int, end: int) -> bytes:
        return text[:start] + text[end:]

    assert spoiled(trees[shape], gone, until_gone=True) == {"shared": 5, "own": 3}[shape]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_doubled_anchor_is_ambiguous(trees, shape):
    def double(text: bytes, start: int, end: int) -> bytes:
        return text[:end] + b"\n" + text[start:end] + text[end:]

    assert spoiled(trees[shape], double) == {"shared": 5, "own": 3}[shape]


def spoiled(base: Tree, spoil, until_gone: bool = False) -> int:
    """Spoil each anchor in turn, insist that the step stops and names it; return how many there were."""
    count = 0
    for anchor in selftests.anchors(context(base)):
        for path in (anchor.path,) if isinstance(anchor.path, str) else anchor.path:
            text = base.read(path)
            for alternative in anchor.alternatives:
                while found := alternative.find(parse(path, text)):
                    text = spoil(text, found[0].start, found[0].end)
                    if not until_gone:
                        break
            with pytest.raises(AnchorError) as caught:
                made(base.overlaid({path: text}))
            assert path in str(caught.value)
            assert anchor.name in str(caught.value)
            count += 1
    return count


def test_a_file_with_another_text_has_drifted(trees):
    tip = trees["shared"].edit(made(trees["shared"]).edits)
    text = tip.read(PROGRAMS).replace(b"__success", b"__failure", 1)
    line = 1 + next(i for i, (a, b) in enumerate(zip(text.split(b"\n"), tip.read(PROGRAMS).split(b"\n"))) if a != b)  # noqa: B905
    for tree in (tip, trees["shared"]):
        with pytest.raises(AnchorError, match=rf"{PROGRAMS}:{line}: a new file: drifted"):
            made(tree.overlaid({PROGRAMS: text}))


def test_a_file_that_stands_alone_is_only_a_part_of_the_patch(trees):
    tip = trees["shared"].edit(made(trees["shared"]).edits)
    with pytest.raises(AnchorError, match="only a part of this patch"):
        made(trees["shared"].overlaid({TESTS: tip.read(TESTS)}))


def test_a_verifier_that_says_something_else_is_an_error(trees):
    path = facts.VERIFIER_C
    text = trees["shared"].read(path).replace(b"expects referenced", b"wants a referenced")
    with pytest.raises(UserError, match=rf"{path}: it has none of the messages 'release kfunc %s expects"):
        made(trees["shared"].overlaid({path: text}))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_kfunc_has_a_row_a_prototype_and_a_program(trees, shape):
    tip = trees[shape].edit(made(trees[shape]).edits)
    folder = selftests.testmod_folder(tip)
    texts = {
        name: tip.read(f"{selftests.SELFTESTS}/{folder}/{name}").decode()
        for name in ("bpf_testmod.c", selftests.KFUNCS_H)
    }
    kfuncs = set(re.findall(r"__bpf_kfunc \w+ (bpf_kfunc_arg_\w+)\(", texts["bpf_testmod.c"]))
    assert len(kfuncs) == 8 + facts.implicit_arguments(tip)
    assert kfuncs == set(re.findall(r"BTF_KFUNC\((bpf_kfunc_arg_\w+), .*KFA_", texts["bpf_testmod.c"]))
    assert kfuncs == set(re.findall(r"\w+ (bpf_kfunc_arg_\w+)\(", texts[selftests.KFUNCS_H]))
    assert kfuncs == set(re.findall(r"\b(bpf_kfunc_arg_\w+)\(", tip.read(PROGRAMS).decode()))


def test_each_bad_set_is_tried_and_each_of_its_kfuncs_is_once_all_right(trees):
    tip = trees["shared"].edit(made(trees["shared"]).edits)
    path = f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}/{selftests.INVALID}.c"
    found = sets.read_sets(tip, path)
    text = tip.read(path).decode()
    assert len(found.sets) == 19
    assert all(text.count(f"&{s.name}") >= 1 for s in found.sets)
    valid = {row.kfunc: row for row in found.rows if row.set == "bpf_test_kfa_valid_ids"}
    for row in found.rows:
        # The build refuses a module in which the flags of a kfunc itself differ between sets.
        assert row.flags == valid[row.kfunc].flags
        if row.set not in ("bpf_test_kfa_valid_ids", "bpf_test_kfa_twice_ids"):
            assert row.arg_flags != valid[row.kfunc].arg_flags


def test_sets_that_disagree_are_tried_where_nothing_else_refuses_them(trees):
    """A module can have one set for a hook: another one is refused there, whatever its flags are."""
    tip = trees["shared"].edit(made(trees["shared"]).edits)
    text = tip.read(f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}/{selftests.INVALID}.c").decode()
    calls = re.findall(r"kfa_(register|refuse)\(BPF_PROG_TYPE_(\w+), (?:&bpf_test_kfa_)?(\w+?)(?:_ids)?[,)]", text)
    tried = {what: number for number, (_, _, what) in enumerate(calls)}
    for what in ("malformed", "inconsistent"):
        (hook,) = {hook for _, hook, name in calls if name == what}
        assert ("register", hook, "valid") not in calls[: tried[what]]
        assert ("register", hook, "valid") in calls[tried[what] :], "the same without its fault is accepted"
    assert ("register", "TRACING", "valid") in calls[: tried["inconsistent"]], "there is something to disagree with"


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("module", [True, False])
def test_messages_fit_a_mail(implicit, module):
    message = render.message("kfunc_flags", None, "selftests.txt.j2", implicit=implicit, module=module)
    subject = message.split("\n")[0]
    assert subject.startswith("selftests/bpf: ")
    assert len(subject) <= 70
    assert max(map(len, message.split("\n"))) <= 75
    assert (selftests.INVALID in message) is module


@pytest.mark.kernel
def test_real_kernels_take_the_step_once(kernel: RealKernel):
    base = kernel.tree
    if not re.search(rb"^#define KF_RCU\b", base.read(facts.BTF_H), re.MULTILINE):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    tree = base
    for step in STEPS:
        if step.name in (*BEFORE, "selftests"):
            seen = context(tree, base)
            change = step.codemod(seen)
            tree = tree.edit(change.edits)
            render.message("kfunc_flags", None, step.template, **step.words(seen, "", change.edits))
    again(tree)
    verifier = tree.read(facts.VERIFIER_C).decode()
    for said in re.findall(r'__msg\("([^"]*)"\)', tree.read(PROGRAMS).decode()):
        assert spoken(said, verifier), said
    rows = [s for s in inventory.audit(tree, CampaignConfig("kfunc_flags")).sites if new(s.details["kfunc"])]
    assert len(rows) == sum(len(re.findall(rb"BTF_(?:ID_FLAGS|KFUNC)\(", e.new)) for e in change.edits)
    assert {s.fate for s in rows} == {"keep"}
    assert all(s.reason for s in rows)


def new(kfunc: str) -> bool:
    return kfunc.startswith(("bpf_kfunc_arg_", "bpf_test_kfa_"))


def spoken(said: str, verifier: str) -> bool:
    """Say whether the words of `said` stand in a format of the verifier; `%s` in it is one word."""
    words = said.split()
    for form in re.findall(r'"((?:[^"\\]|\\.)*)\\n"', verifier):
        patterns = [re.sub(r"%\w+", r"\\S+", re.escape(word).replace("\\%", "%")) for word in form.split()]
        for start in range(len(patterns) - len(words) + 1):
            if all(re.fullmatch(p, w) for p, w in zip(patterns[start:], words, strict=False)):
                return True
    return False
