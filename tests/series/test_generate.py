"""generate(): the main path, with a campaign that the engine does not know."""

import re
from dataclasses import replace

import pytest
import sample
from sample import CONFIG, tree

from patchbot.config import CampaignConfig
from patchbot.errors import ConfigError, PatchbotError, RefusedSites, UserError
from patchbot.model import REGULAR, Edit, Entry
from patchbot.series.campaign import Audit, Change, active_steps, switched
from patchbot.series.edits import EditError
from patchbot.series.generate import generate, posted, verify


def test_a_series_is_ordered_by_step_then_tree_then_key(tmp_path):
    made = generate(tree(tmp_path), sample.campaign(), CONFIG)
    assert [(p.id, p.target) for p in made.series.patches] == [
        ("header", "b-next"),
        ("words/b/two.c", "b-next"),
        ("words/a/one.c", "a-next"),
    ]
    assert made.series.patches[1].files == {"b/two.c": Entry(REGULAR, b"NEW z;\n\xff\n")}
    assert made.series.patches[2].message == "sample: Convert a/one.c\n\nConvert 2 of them.\n"
    assert made.series.patches[2].sites == ("a/one.c:x", "a/one.c:y")
    assert made.series.patches[2].owners == ("A",)
    assert made.series.kernel.version == "7.99.0"
    assert made.remarks == ("header: nothing left out",)


def test_treewide_conversions_are_one_patch_for_the_campaigns_tree(tmp_path):
    made = generate(tree(tmp_path), sample.campaign(), replace(CONFIG, conversions="treewide"))
    assert [(p.id, p.target, sorted(p.files)) for p in made.series.patches] == [
        ("header", "b-next", ["inc.h"]),
        ("words", "b-next", ["a/one.c", "b/two.c"]),
    ]


def test_parts_of_a_step_are_switched_as_steps_are():
    step = replace(sample.campaign().steps[-1], parts=("upper", "lower"))
    campaign = replace(sample.campaign(), steps=(*sample.campaign().steps[:-1], step))
    on = switched(CONFIG, (), ["lower"])
    assert active_steps(campaign, on) == active_steps(campaign, CONFIG)
    assert on.without == ("lower",)
    with pytest.raises(ConfigError, match=r"no step 'lowr'; did you mean lower\?"):
        active_steps(campaign, switched(CONFIG, (), ["lowr"]))


def test_the_result_has_nothing_left_to_do(tmp_path):
    made = generate(tree(tmp_path), sample.campaign(), CONFIG)
    again = generate(made.tip, sample.campaign(), CONFIG)
    assert again.series.patches == ()


def test_a_file_split_over_two_patches_ends_at_the_same_text(tmp_path):
    by_site = sample.campaign(split=lambda context, edits: lambda edit: edit.site)
    made = generate(tree(tmp_path), by_site, CONFIG)
    texts = [file.data for p in made.series.patches if (file := p.files.get("a/one.c"))]
    assert texts == [b"NEW x;\nkeep\nOLD y;\n", b"NEW x;\nkeep\nNEW y;\n"]
    assert made.tip.get("a/one.c") == texts[-1]


def test_a_loss_in_splitting_is_caught(tmp_path):
    made = generate(tree(tmp_path), sample.campaign(), CONFIG)
    with pytest.raises(PatchbotError, match=r"a/one\.c: the patches together differ"):
        verify(made.series.patches[:-1], tree(tmp_path), made.tip)


def test_every_refused_site_is_listed_at_once(tmp_path):
    with pytest.raises(RefusedSites, match=r"(?s)2 sites need a decision.*c/three\.c:p.*c/three\.c:q") as caught:
        generate(tree(tmp_path, {"c/three.c": b"ASK p ASK q\n"}.items()), sample.campaign(), CONFIG)
    assert caught.value.exit_code == 1


def test_what_is_wrong_is_said_at_once_and_no_site_twice(tmp_path):
    def lacking(context) -> Change:
        raise UserError("inc.h: there is no such thing")

    with pytest.raises(RefusedSites) as caught:
        generate(tree(tmp_path, {"c/three.c": b"ASK p\n"}.items()), sample.campaign(first=lacking), CONFIG)
    assert str(caught.value) == (
        "1 site needs a decision, nothing was written:\n  c/three.c:1: c/three.c:p: needs a decision\n"
        "header: inc.h: there is no such thing"
    )


def test_steps_are_switched_and_unknown_ones_listed():
    campaign = sample.campaign()
    assert [s.name for s in active_steps(campaign, CONFIG)] == ["header", "words"]
    on = switched(CampaignConfig("sample", with_=(), without=("words",)), ["extra"], [])
    assert [s.name for s in active_steps(campaign, on)] == ["header", "extra"]
    off = switched(CampaignConfig("sample", with_=("extra",)), [], ["extra"])
    assert [s.name for s in active_steps(campaign, off)] == ["header", "words"]
    with pytest.raises(ConfigError, match="no step 'nope' \\(known: header, words, extra"):
        active_steps(campaign, CampaignConfig("sample", with_=("nope",)))


def test_a_posted_series_is_bounded(tmp_path):
    patches = generate(tree(tmp_path), sample.campaign(), CONFIG).series.patches
    assert [(t, len(rows)) for t, rows in posted(patches, "b-next", 1)] == [("b-next", 1), ("b-next", 1), ("a-next", 1)]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a", "a: a codemod creates it, but it is a folder"),
        ("a/one.c/x", "a/one.c/x: a codemod creates it, but a/one.c is a file"),
        (".git/hooks/x", "no file of a kernel can have this name"),
        ("b/.GIT/x", "no file of a kernel can have this name"),
        ("../evil", "no file of a kernel can have this name"),
        ("/abs", "no file of a kernel can have this name"),
        ("b//x", "no file of a kernel can have this name"),
        ("", "no file of a kernel can have this name"),
    ],
)
def test_a_new_file_takes_no_other_place(tmp_path, path, said):
    made = sample.campaign(first=lambda context: Change((Edit(path, 0, 0, b"x", create=True),)))
    with pytest.raises(EditError, match=re.escape(said)):
        generate(tree(tmp_path), made, CONFIG)


def test_two_new_files_of_one_step_take_no_other_place(tmp_path):
    edits = tuple(Edit(path, 0, 0, b"x", create=True) for path in ("n", "n/m"))
    with pytest.raises(EditError, match="n: a codemod creates it, but it is a folder"):
        generate(tree(tmp_path), sample.campaign(first=lambda context: Change(edits)), CONFIG)


@pytest.mark.parametrize("changes", [{"owners_of": lambda tree, paths: [1]}, {"target_of": lambda *_: 7}])
def test_names_of_owners_and_trees_are_text(tmp_path, changes):
    with pytest.raises(UserError, match=r"campaign sample: [17] is not the name of a tree or an owner"):
        generate(tree(tmp_path), replace(sample.campaign(), **changes), CONFIG)


def test_a_site_that_no_step_changes_is_not_passed_over(tmp_path):
    base, campaign = tree(tmp_path), sample.campaign()
    sites = generate(base, campaign, CONFIG).audit.sites
    forgotten = replace(sites[0], name="a/other.c:9", file="a/other.c", line=9)
    more = replace(campaign, audit=lambda tree, config: Audit(() if tree.overlay else (*sites, forgotten)))
    with pytest.raises(UserError, match=r"no step changes 1 site with the fate change:\n  a/other.c:9: a/other.c:9"):
        generate(base, more, CONFIG)
    again = replace(campaign, audit=lambda tree, config: Audit(sites[:1]))
    with pytest.raises(UserError, match=r"after all steps the campaign would still change 1 site"):
        generate(base, again, CONFIG)
