"""The steps that test what the optional steps of kfunc_flags add, on the trees of test_selftests_step.py.

tests/golden/kfunc_flags/selftests-*/optional holds the files that differ from `after` once these steps were made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, combinations

import pytest
from conftest import RealKernel
from test_selftests_step import BEFORE, GOLDEN, SHAPES, files, spoken
from tinytree import commit

from patchbot.bundle import bundled
from patchbot.c import parse
from patchbot.campaigns.kfunc_flags.campaign import STEPS, campaign
from patchbot.campaigns.kfunc_flags.sites import sets
from patchbot.campaigns.kfunc_flags.sites.inventory import audit
from patchbot.campaigns.kfunc_flags.steps import facts, selftests
from patchbot.cli import main
from patchbot.config import CampaignConfig, load
from patchbot.git.repo import Repo
from patchbot.run import run
from patchbot.series import render
from patchbot.series.campaign import Change, Context, Step, active_steps
from patchbot.series.codemod import AnchorError, Outcome
from patchbot.series.generate import generate
from patchbot.series.tree import Tree

OPTIONAL = {s.follows: s for s in STEPS if s.optional and s.name.endswith("-selftests")}
SUBSETS = list(chain.from_iterable(combinations(OPTIONAL, n + 1) for n in range(len(OPTIONAL))))
FLAGS = {
    "suffixes": ["KFA_NULLABLE", "KFA_UNINIT", "KFA_STR", "KFA_CONST", "KFA_SZ", "KFA_CONST_SZ", "KFA_IGN"],
    "acquire": ["KFA_ACQUIRE"],
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    """Trees that have what the step selftests makes."""
    made = {}
    for shape in SHAPES:
        path = tmp_path_factory.mktemp(shape)
        run(["git", "init", "-q", "--template=", "-b", "master", path])
        made[shape] = (path, commit(path, "base", files(GOLDEN / f"selftests-{shape}" / "after")))
    return {shape: Tree(Repo.open(path), sha) for shape, (path, sha) in made.items()}


def context(tree: Tree, steps: Sequence[str] = ()) -> Context:
    return Context(tree, tree, CampaignConfig("kfunc_flags"), (*BEFORE, *steps))


def made(tree: Tree, names: Sequence[str] = tuple(OPTIONAL)) -> tuple[Tree, list[Change]]:
    changes = []
    for name in names:
        changes.append(OPTIONAL[name].codemod(context(tree, names)))
        tree = tree.edit(changes[-1].edits)
    return tree, changes


def test_each_follows_its_step_and_stands_behind_the_selftests():
    names = [s.name for s in STEPS]
    # define changes where a row is written, which programs cannot see.
    assert {*OPTIONAL, "define"} == {s.name for s in STEPS if s.optional and not s.follows}
    assert all(names.index("selftests") < names.index(s.name) < names.index("rows") for s in OPTIONAL.values())
    config = CampaignConfig("kfunc_flags", with_=("acquire",))
    on = {s.name for s in active_steps(campaign(config), config)}
    assert on & {s.name for s in OPTIONAL.values()} == {"acquire-selftests"}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_steps_make_the_golden_files(trees, shape):
    tip, changes = made(trees[shape])
    wanted = files(GOLDEN / f"selftests-{shape}" / "optional")
    assert {path: tip.read(path) for path in wanted} == wanted
    assert tip.overlay.keys() == wanted.keys()
    assert all(r.outcome is Outcome.APPLIED for change in changes for r in change.reports)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_a_second_run_changes_nothing(trees, shape, names):
    tip, changes = made(trees[shape], names)
    assert all(change.edits for change in changes)
    for change in (selftests.selftests(context(tip, names)), *made(tip, names)[1]):
        assert not change.edits
        assert change.reports
        assert all(r.outcome is Outcome.ALREADY for r in change.reports)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_that_comes_later_leaves_the_others_as_they_are(trees, shape):
    tip, _ = made(trees[shape], ("acquire",))
    later, (suffixes, acquire) = made(tip, ("suffixes", "acquire"))
    assert suffixes.edits
    assert not acquire.edits
    assert all(len(later.read(path)) > len(tip.read(path)) for path in {e.path for e in suffixes.edits})


def test_nothing_but_lines_is_added(trees):
    tip, changes = made(trees["shared"])
    assert all(e.start == e.end and e.new.endswith(b"\n") for change in changes for e in change.edits)
    text = tip.read(selftests.PROGRAMS)
    assert text.startswith(trees["shared"].read(selftests.PROGRAMS))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_each_kfunc_has_a_row_a_prototype_and_programs_of_both_kinds(trees, shape, names):
    tip, _ = made(trees[shape], names)
    folder = f"{selftests.SELFTESTS}/{selftests.testmod_folder(tip)}"
    source, header = (tip.read(f"{folder}/{name}").decode() for name in ("bpf_testmod.c", selftests.KFUNCS_H))
    kfuncs = set(re.findall(r"^__bpf_kfunc .*?(bpf_kfunc_arg_\w+)\(", source, re.MULTILINE))
    rows = dict(re.findall(r"BTF_KFUNC\((bpf_kfunc_arg_\w+), (.*KFA_.*)\)", source))
    programs = tip.read(selftests.PROGRAMS).decode()
    assert len(kfuncs) == 8 + facts.implicit_arguments(tip) + 8 * ("suffixes" in names) + 2 * ("acquire" in names)
    assert kfuncs == set(rows)
    assert kfuncs == set(re.findall(r"^[a-z].*?(bpf_kfunc_arg_\w+)\(", header, re.MULTILINE))
    assert kfuncs == set(re.findall(r"\b(bpf_kfunc_arg_\w+)\(", programs))
    bodies = programs.split("\nSEC(")[1:]
    for flag in [flag for name in names for flag in FLAGS.get(name, [])]:
        users = [kfunc for kfunc, flags in rows.items() if re.search(rf"\b{flag}\b", flags)]
        calls = [body for body in bodies if any(f"{kfunc}(" in body for kfunc in users)]
        assert any("__success" in body for body in calls), flag
        assert any("__failure" in body for body in calls), flag


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_each_bad_set_is_tried_and_each_of_its_kfuncs_is_once_all_right(trees, names):
    tip, _ = made(trees["shared"], names)
    path = f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}/{selftests.INVALID}.c"
    found, before = sets.read_sets(tip, path), sets.read_sets(trees["shared"], path)
    text = tip.read(path).decode()
    table = re.search(r"malformed\[\] = \{\n(.*?)\n\};", text, re.DOTALL)
    assert table is not None
    more = [s.name for s in found.sets if s.name not in {s.name for s in before.sets}]
    assert len(more) == 15 * ("suffixes" in names) + 5 * ("acquire" in names)
    assert all(table[1].count(f"&{name} }}") == 1 for name in more)
    valid = {row.kfunc: row for row in found.rows if row.set == "bpf_test_kfa_valid_ids"}
    for row in found.rows:
        if row.set in more:
            # The build refuses a module in which the flags of a kfunc itself differ between sets.
            assert row.flags == valid[row.kfunc].flags
            assert row.arg_flags != valid[row.kfunc].arg_flags
    tried = {flag for row in found.rows if row.set in more for flags in row.arg_flags for flag in flags}
    assert tried >= {flag for name in names for flag in FLAGS.get(name, [])}


@pytest.mark.parametrize("names", [n for n in SUBSETS if "decl-tags" in n], ids="+".join)
def test_the_expected_tags_are_the_flags_of_the_rows(trees, names):
    tip, _ = made(trees["shared"], names)
    folder = f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}"
    wanted: dict[str, set[tuple[int, str]]] = {}
    for kfunc, arg, tag in re.findall(r'\{ "(\w+)", (\d+), "arg:(\w+)" \}', tip.read(selftests.TESTS).decode()):
        wanted.setdefault(kfunc, set()).add((int(arg), f"KFA_{tag.upper()}"))
    rows = {row.kfunc: row for row in sets.read_sets(tip, f"{folder}/{selftests.TESTMOD}.c").rows}
    for kfunc, tags in wanted.items():
        assert tags == {(i, flag) for i, flags in enumerate(rows[kfunc].arg_flags) for flag in flags}
    tried = {flag for tags in wanted.values() for _, flag in tags}
    assert tried == {"KFA_RELEASE", "KFA_RCU", *(flag for name in names for flag in FLAGS.get(name, []))}


def test_what_a_tree_lacks_is_left_out_and_said(trees, tmp_path):
    _, own = made(trees["own"])
    assert [bool(change.remarks) for change in own] == [True, True, False]
    assert all(selftests.SHARED_FOLDER in r for change in own for r in change.remarks)
    assert not [e for change in own for e in change.edits if selftests.INVALID in e.path]
    assert not [r for change in made(trees["shared"])[1] for r in change.remarks]
    folder = f"{selftests.SELFTESTS}/{selftests.SHARED_FOLDER}"
    run(["git", "init", "-q", "--template=", "-b", "master", tmp_path])
    nothing = Tree(Repo.open(tmp_path), commit(tmp_path, "base", {f"{folder}/x.h": b"\n"}))
    without = nothing.overlaid({f"{folder}/{selftests.KFUNCS_H}": b"\n"})
    for tree, needed in ((nothing, selftests.KFUNCS_H), (without, selftests.PROGRAMS)):
        for change in made(tree)[1]:
            assert not change.edits
            assert [r for r in change.remarks if needed in r]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", OPTIONAL.values(), ids=lambda step: step.name)
@pytest.mark.parametrize("gone", [True, False], ids=["gone", "doubled"])
def test_an_anchor_that_does_not_fit_is_named(trees, shape, step, gone):
    assert step.anchors is not None
    anchors = step.anchors(context(trees[shape]))
    assert len(anchors) == (2 if step.follows == "decl-tags" else 8 if shape == "shared" else 4)
    tried = 0
    for anchor in anchors:
        assert isinstance(anchor.path, str)
        if "the end of the" in anchor.name and anchor.path in (selftests.PROGRAMS, selftests.TESTS):
            continue  # every file has an end
        if not gone and ("the last" in anchor.name or "includes" in anchor.name):
            continue  # the last or the first of several
        spoil(trees[shape], step, anchor.path, anchor.name, gone)
        tried += 1
    assert tried or step.follows == "decl-tags"


def spoil(tree: Tree, step: Step, path: str, name: str, gone: bool) -> None:
    """Take away or double what an anchor finds, and insist that the step stops and names it."""
    assert step.anchors is not None
    (anchor,) = (a for a in step.anchors(context(tree)) if (a.path, a.name) == (path, name))
    text = tree.read(path)
    while found := anchor.alternatives[0].find(parse(path, text)):
        piece = text[found[0].start : found[0].end]
        text = text[: found[0].start] + (b"" if gone else piece + b"\n" + piece) + text[found[0].end :]
        if not gone:
            break
    with pytest.raises(AnchorError) as caught:
        step.codemod(context(tree.overlaid({path: text})))
    assert path in str(caught.value)
    assert name in str(caught.value)


def test_a_test_of_tags_that_knows_no_new_flags_has_drifted(trees):
    tip, _ = made(trees["shared"], ("decl-tags",))
    with pytest.raises(AnchorError, match="test_kfunc_arg_flags_decl_tags"):
        made(tip, ("suffixes", "decl-tags"))


@pytest.mark.parametrize("step", OPTIONAL.values(), ids=lambda step: step.name)
@pytest.mark.parametrize("module", [True, False])
def test_messages_fit_a_mail(step, module):
    message = render.message("kfunc_flags", None, step.template, module=module)
    subject = message.split("\n")[0]
    assert subject.startswith("selftests/bpf: Test ")
    assert len(subject) <= 70
    assert max(map(len, message.split("\n"))) <= 75
    assert (selftests.INVALID in message) is (module and step.follows != "decl-tags")


@pytest.mark.parametrize(
    ("refused", "wanted"),
    [
        ("kernel function %s args#%d pointer type %s %s is not supported", "is not supported"),
        ("kernel function %s %s pointer type %s %s is not supported", "is not supported"),
        ("kernel function %s returns pointer type %s %s is not supported", "only read is supported"),
    ],
)
def test_an_object_in_place_of_memory_is_refused_in_the_words_of_the_verifier(refused, wanted):
    assert selftests.said(f"{refused}\nonly read is supported".encode(), selftests.OBJECT) == wanted


def test_what_the_steps_do_is_said(tiny, capsys):
    assert main(["campaigns", "-v"]) == 0
    said = capsys.readouterr().out
    assert "    suffixes (optional): flags equal to the suffixes" in said
    assert "    suffixes-selftests (with suffixes): test kfuncs, programs" in said
    assert main(["generate", "--kernel", str(tiny.git_dir), "--with", "suffixes", "--dry-run", "-v"]) == 0
    said = capsys.readouterr().err
    assert "\nstep: suffixes-selftests (with suffixes): " in said
    assert "\noff: acquire-selftests (with acquire): " in said


@pytest.mark.kernel
def test_real_kernels_take_the_steps_once(kernel: RealKernel):
    base = kernel.tree
    if not re.search(rb"^#define KF_RCU\b", base.read(facts.BTF_H), re.MULTILINE):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    tags = b"\nstatic int btf2btf(" in (base.get(facts.RESOLVE_BTFIDS) or b"")
    with_ = tuple(OPTIONAL) if tags else ("suffixes", "acquire")
    shipped = load(None, bundled("patchbot.toml")).campaign("kfunc_flags")
    config = CampaignConfig("kfunc_flags", shipped.target, with_, (), shipped.decisions)
    generated = generate(base, campaign(config), config)
    ids = [p.id for p in generated.series.patches]
    tests = [id_ for id_ in ids[ids.index("selftests") + 1 :] if id_.endswith("-selftests")]
    assert [t for t in tests if t not in ("rdonly-selftests", "uninit-selftests")] == [f"{n}-selftests" for n in with_]
    assert generate(generated.tip, campaign(config), config).series.patches == ()
    verifier = generated.tip.read(facts.VERIFIER_C).decode()
    for said in re.findall(r'__msg\("([^"]*)"\)', generated.tip.read(selftests.PROGRAMS).decode()):
        assert spoken(said, verifier), said
    entries = audit(generated.tip, config).document()["entries"]
    rows = [e for e in entries if e["kfunc"].startswith(("bpf_kfunc_arg_", "bpf_test_kfa_"))]
    assert {e["fate"] for e in rows} == {"keep"}
