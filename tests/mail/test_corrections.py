"""A person's rules say who gets a patch besides MAINTAINERS, and those who take the patches of a tree always do."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinytree import build

from patchbot.config import CampaignConfig, RecipientRule
from patchbot.git.repo import Repo
from patchbot.mail.corrections import Corrections
from patchbot.mail.recipients import parse
from patchbot.series.maintainers import keepers_of, sections

MAINTAINERS = b"""Maintainers
BPF [GENERAL]
M:\tA Core <core@example.org>
M:\tB Core <also@example.org>
R:\tC Core <c@example.org>
L:\tbpf@example.org
T:\tgit git://git.example.org/bpf-next.git
F:\tkernel/bpf/
F:\tnet/

BPF [ARM]
M:\tArm <arm@example.org>
L:\tbpf@example.org
T:\tgit git://git.example.org/bpf-next.git
F:\tarch/arm/net/bpf.c

SCHED_EXT
R:\tT <t@example.org>
L:\tsched-ext@example.org
T:\tgit://git.example.org/sched_ext.git
F:\tkernel/sched/ext/

TIMERS
M:\tTip <tip@example.org>
L:\tlkml@example.org
T:\tgit git://git.example.org/tip.git
F:\tkernel/time/

MEMORY
M:\tM <m@example.org>
R:\tT <t@example.org>
L:\tmm@example.org
F:\tmm/

THE REST
L:\tlkml@example.org
F:\t*
F:\t*/
"""
ENTRIES = sections(MAINTAINERS)
MM = "M <m@example.org> (maintainer:MEMORY)\nT <t@example.org> (reviewer:MEMORY)\nmm@example.org (open list:MEMORY)\n"


def corrections(*rules: RecipientRule, tree: str = "bpf-next") -> Corrections:
    return Corrections.of(CampaignConfig("x", recipients=rules), None, ENTRIES, tree)


def test_who_takes_the_patches_of_a_tree() -> None:
    assert keepers_of(ENTRIES, "bpf-next") == ("A Core <core@example.org>", "B Core <also@example.org>")
    assert keepers_of(ENTRIES, "sched_ext") == ("T <t@example.org>",), "its reviewers, as nobody maintains it"
    assert keepers_of(ENTRIES, "tip") == (), "a list that gets everything is of no tree"
    assert keepers_of(ENTRIES, "unknown") == keepers_of(ENTRIES, "") == ()


def test_a_patch_for_the_tree_of_others_goes_to_those_who_take_it() -> None:
    who = corrections().apply(parse(MM), ["mm/a.c"])
    assert [r.email for r in who.to] == ["m@example.org", "core@example.org", "also@example.org"]
    assert [r.email for r in who.cc] == ["t@example.org", "mm@example.org"]
    there = parse(MM + "B <also@example.org> (maintainer:BPF [GENERAL])\n")
    assert corrections().apply(there, ["mm/a.c"]).everyone == there.everyone, "one of them has it"
    named = corrections(tree="sched_ext").apply(parse(MM), ["kernel/sched/ext/a.c"])
    assert [r.email for r in named.to] == ["m@example.org", "t@example.org"]
    assert [r.email for r in named.cc] == ["mm@example.org"]


@pytest.mark.parametrize("path", ["mm", "mm/", "mm/a.c", "mm/*.c", "*"])
def test_a_rule_adds_and_drops_where_its_path_is_touched(path: str) -> None:
    rule = RecipientRule(path, ("New <new@example.org>", "M <M@example.org>"), ("T <T@Example.org>", "mm@example.org"))
    rules = corrections(rule, tree="")
    who = rules.apply(parse(MM), ["lib/b.c", "mm/a.c"])
    assert [r.email for r in who.everyone] == ["m@example.org", "new@example.org"]
    assert [r.email for r in who.cc] == ["new@example.org"]
    assert [person.email for _, person in who.added] == ["new@example.org"]
    assert [(place, person.email) for place, person in who.dropped] == [
        ("campaigns.x.recipients[1]", "t@example.org"),
        ("campaigns.x.recipients[1]", "mm@example.org"),
    ]
    if path != "*":
        assert rules.apply(parse(MM), ["lib/mm.c"]).everyone == parse(MM).everyone


def test_the_list_of_the_tree_is_not_dropped() -> None:
    rules = corrections(RecipientRule("mm", drop=("bpf@example.org",)))
    who = rules.apply(parse(MM + "bpf@example.org (open list:BPF [GENERAL])\n"), ["mm/a.c"])
    assert "bpf@example.org" in [r.email for r in who.everyone]
    (found,) = rules.doubts(["mm/a.c"], ["bpf@example.org"])
    assert "bpf@example.org still gets each patch" in found.message


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return build(tmp_path_factory.mktemp("tiny") / "linux")


RULES = """[kernel]
base = "HEAD"
[[campaigns.kfunc_flags.recipients]]
path = "kernel/bpf/cpumask.c"
add = ["Extra Person <extra@example.org>"]
drop = ["carol@example.org"]
[[campaigns.kfunc_flags.recipients]]
path = "kernel/bfp"
add = ["x@example.org"]
[[campaigns.kfunc_flags.recipients]]
path = "kernel/bpf"
drop = ["caro@example.org"]
"""


def test_the_rules_of_a_file_change_the_mails_and_are_named(tiny: Repo, tmp_path: Path, monkeypatch, cli) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patchbot.toml").write_text(RULES)
    assert cli(tiny, "generate")[0] == 0
    code, document = cli(tiny, "mail", "-o", "out")
    assert code == 0, document
    mails = {p.name: p.read_text() for p in (tmp_path / "out").iterdir()}
    (cpumask,) = [text for name, text in mails.items() if "for-cpumask" in name]
    assert "Extra Person <extra@example.org>" in cpumask
    assert "carol@example.org" not in cpumask
    assert any("carol@example.org" in text for text in mails.values())
    place = f"{tmp_path}/patchbot.toml"
    said = [(row["group"], row["message"]) for row in document["findings"]]
    assert ("decide", f"{place}:7: no patch touches 'kernel/bfp'; did you mean kernel/bpf?") in said
    assert ("decide", f"{place}:10: no patch goes to caro@example.org; did you mean carol@example.org?") in said
    known = [text.split(" (")[0] for group, text in said if group == "know" and f"by {place}:3" in text]
    total = len(mails) - 1
    (added,), (dropped,) = document["added"], document["dropped"]
    assert (added["who"], dropped["who"]) == (
        "Extra Person <extra@example.org>",
        "Carol Core <carol@example.org>",
    )
    assert known == [
        f"{added['who']} gets also {added['patches']} of {total} patches, by {place}:3.",
        f"{dropped['who']} does not get {dropped['patches']} of {total} patches, by {place}:3.",
    ]
