"""`scan --anchors`: each anchor of each step on a tree, whatever fails, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RealKernel
from tinytree import commit

from patchbot.campaigns.kfunc_flags.campaign import campaign
from patchbot.campaigns.kfunc_flags.steps.facts import carry_out
from patchbot.config import CampaignConfig
from patchbot.git.repo import Repo
from patchbot.series.campaign import Campaign, Change, Context, Step
from patchbot.series.codemod import Anchor, AnchorError, Outcome, contains, either, in_file, insert_after, tokens_like
from patchbot.series.tree import Tree
from patchbot.series.trial import survey, survey_document

VERIFIER = "kernel/bpf/verifier.c"


def spoil(repo: Repo, path: str, old: bytes, new: bytes) -> None:
    text = repo.read(repo.resolve("HEAD"), path)
    assert text is not None
    assert old in text
    commit(repo.git_dir.parent, f"spoil {path}", {path: text.replace(old, new)})


def test_every_anchor_of_every_step_is_there_and_then_already(tiny, cli):
    code, made = cli(tiny, "scan", "--anchors", "--with", "suffixes")
    assert (code, made["schema"]) == (0, 1)
    assert list(dict.fromkeys(a["step"] for a in made["anchors"]))[:6] == [
        "dynptr", "btf_ids", "btf", "verifier", "docs", "suffixes",
    ]  # fmt: skip
    assert {a["outcome"] for a in made["anchors"]} == {"applied"}
    assert all(a["file"] and a["alternative"] and 0 < a["taken"] <= a["alternatives"] for a in made["anchors"])
    assert made["counts"]["anchors"] == made["counts"]["applied"] == len(made["anchors"]) > 40
    assert tiny.refs("refs/heads/patchbot") == {}
    assert cli(tiny, "generate", "--with", "suffixes")[0] == 0
    code, again = cli(tiny, "scan", "--anchors", "--with", "suffixes", "--base", "patchbot/kfunc_flags")
    assert code == 0
    assert {a["outcome"] for a in again["anchors"]} == {"already"}
    assert [(a["step"], a["anchor"], a["taken"]) for a in again["anchors"]] >= [
        (a["step"], a["anchor"], a["taken"]) for a in made["anchors"] if a["anchor"] == "BTF_KFUNCS_END()"
    ]


def test_a_step_that_is_off_is_not_tried(tiny, cli):
    assert "suffixes" not in {a["step"] for a in cli(tiny, "scan", "--anchors")[1]["anchors"]}
    off = cli(tiny, "scan", "--anchors", "--without", "docs")[1]
    assert "docs" not in {a["step"] for a in off["anchors"]}


def test_what_fails_does_not_hide_the_rest(tiny, cli):
    whole = cli(tiny, "scan", "--anchors")[1]["anchors"]
    spoil(tiny, "include/linux/btf_ids.h", b"struct btf_id_set8", b"struct btf_pair_set")
    flags = b"\tmeta->kfunc_flags = *kfunc.flags;\n"
    spoil(tiny, VERIFIER, flags, flags + flags)
    code, made = cli(tiny, "scan", "--anchors")
    assert code == 2
    bad = {a["anchor"]: a for a in made["anchors"] if a["problem"]}
    assert bad["struct btf_id_set8"]["outcome"] == "missing"
    assert bad["bpf_fetch_kfunc_arg_meta(): meta of the kfunc"]["outcome"] == "ambiguous"
    assert bad["bpf_fetch_kfunc_arg_meta(): meta of the kfunc"]["line"] > 1
    assert len(bad) == sum(made["counts"][o] for o in ("missing", "ambiguous", "drifted"))
    good = {(a["step"], a["anchor"]) for a in made["anchors"] if a["outcome"] == "applied"}
    assert good >= {(a["step"], a["anchor"]) for a in whole if a["step"] in ("dynptr", "btf", "docs")}


def test_a_fact_that_is_not_known_hides_no_anchor(tiny, cli):
    spoil(tiny, "include/linux/bpf_verifier.h", b"kfunc_flags;", b"kfunc_bits;")
    code, made = cli(tiny, "scan", "--anchors")
    rows = [a for a in made["anchors"] if a["step"] == "verifier"]
    assert (code, rows[0]["outcome"], rows[0]["taken"]) == (2, "missing", 0)
    assert "expected one struct with a member kfunc_flags" in rows[0]["message"]
    assert {"applied"} == {r["outcome"] for r in rows[1:]}
    assert [a for a in made["anchors"] if a["step"] == "docs"]


def test_the_table_says_the_place_and_what_is_wrong(tiny, capsys):
    from patchbot.cli import main

    where = str(tiny.git_dir)
    spoil(tiny, "include/linux/btf_ids.h", b"BTF_SET8_END(name)", b"BTF_SET8_FINISH(name)")
    assert main(["scan", "--anchors", "--kernel", where]) == 2
    said = capsys.readouterr().out
    assert "include/linux/btf_ids.h:" in said
    assert "btf_ids: include/linux/btf_ids.h:" in said
    assert "nearest:" in said


def made_of(*steps: Step) -> Campaign:
    real = campaign(CampaignConfig("kfunc_flags"))
    return Campaign("c", "", steps, real.audit, real.target_of, real.owners_of, real.witnesses, "")


def after(word: str, text: str) -> Anchor:
    return insert_after("a.c", f"after {word}", in_file(), tokens_like(f"int {word};"), text, contains(text))


def step(name: str, *anchors: Anchor, refuse: str = "") -> Step:
    def codemod(context: Context) -> Change:
        change = carry_out(context, anchors)
        if refuse:
            raise AnchorError(refuse)
        return change

    return Step(name, "", codemod, "", anchors=lambda context: anchors)


@pytest.fixture
def small(tmp_path: Path) -> Tree:
    from patchbot.run import run

    run(["git", "init", "-q", "--template=", "-b", "master", tmp_path])
    return Tree(Repo.open(tmp_path), commit(tmp_path, "base", {"a.c": b"int one;\nint two;\n"}))


def test_a_step_meets_what_the_steps_before_it_left(small):
    steps = (
        step("first", after("one", "int three;"), after("nowhere", "int four;")),
        step("second", after("three", "int five;")),
        step("third", after("two", "int six;"), after("five", "int seven;"), refuse="a.c:1: it is odd"),
        step("fourth", after("six", "int eight;")),
    )
    found = survey(small, made_of(*steps), CampaignConfig("c"))
    assert [(t.step, t.report.outcome) for t in found] == [
        ("first", Outcome.APPLIED), ("first", Outcome.DRIFTED), ("second", Outcome.APPLIED),
        ("third", Outcome.APPLIED), ("third", Outcome.APPLIED), ("third", Outcome.MISSING), ("fourth", Outcome.APPLIED),
    ]  # fmt: skip
    assert found[5].report.message == "a.c:1: it is odd"


def test_a_later_alternative_is_counted(small):
    joined = either("one of two", after("nowhere", "int three;"), after("two", "int three;"))
    (found,) = survey(small, made_of(step("only", joined)), CampaignConfig("c"))
    assert (found.taken, found.alternatives, found.report.line) == (2, 2, 2)
    assert survey_document([found])["counts"] == {
        "anchors": 1, "applied": 1, "already": 0, "missing": 0, "ambiguous": 0, "drifted": 0, "absent": 0,
        "several": 1, "not_first": 1,
    }  # fmt: skip


def test_a_part_that_is_there_already_is_a_problem(small):
    tree = small.overlaid({"a.c": b"int one;\nint three;\nint two;\n"})
    only = step("only", after("one", "int three;"), after("two", "int four;"))
    found = survey(tree, made_of(only), CampaignConfig("c"))
    assert [(t.report.outcome, t.report.is_problem) for t in found] == [
        (Outcome.DRIFTED, True), (Outcome.APPLIED, False),
    ]  # fmt: skip


@pytest.mark.kernel
def test_real_kernels_have_every_anchor(kernel: RealKernel):
    base = kernel.tree
    if b"is_kfunc_rcu" not in base.read(VERIFIER):
        pytest.skip(f"{kernel.version} has no KF_RCU")
    config = CampaignConfig("kfunc_flags", with_=("suffixes",))
    counts = survey_document(survey(base, campaign(config), config))["counts"]
    assert counts["anchors"] == counts["applied"] + counts["absent"] > 45
    assert not counts["missing"] + counts["ambiguous"] + counts["drifted"]
