"""patchbot.toml: keys override, unknown keys are errors that name file and known keys."""

from pathlib import Path

import pytest

from patchbot.bundle import bundled
from patchbot.config import load
from patchbot.errors import ConfigError


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "patchbot.toml"
    file.write_text(text)
    return file


def test_the_users_file_overrides_key_by_key(tmp_path):
    defaults = written(
        tmp_path,
        '[campaigns.x]\ntarget = "a"\nwith = ["s"]\n[campaigns.x.decisions]\nf = { keep = true, reason = "r" }\n',
    )
    own = tmp_path / "own.toml"
    own.write_text(
        '[kernel]\npath = "linux"\n[campaigns.x]\ntarget = "b"\n'
        '[campaigns.x.decisions]\ng = { keep = true, reason = "q" }\n'
    )
    config = load(own, defaults)
    campaign = config.campaign(None)
    assert (campaign.target, campaign.with_, sorted(campaign.decisions)) == ("b", ("s",), ["f", "g"])
    assert config.kernel_path == tmp_path / "linux"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[kernle]\npath = "x"\n', r"unknown key 'kernle'; did you mean kernel\?"),
        ('[kernel]\npaht = "x"\n', r"\[kernel\] unknown key 'paht'.*known: path, base"),
        ("[kernel]\npath = 1\n", "kernel.path must be a string"),
        ("[kernel\n", "patchbot.toml: "),
        ('[author]\nname = "x"\n', "needs both name and email"),
        ('[campaigns.x]\nwith = "suffixes"\n', "must be a list of strings"),
        ('[campaigns.x]\ntagret = "y"\n', r"\[campaigns.x\] unknown key 'tagret'; did you mean target\?"),
        ('[campaigns.x]\nrfc = "no"\n', "campaigns.x.rfc must be true or false, not 'no'"),
        ("[campaigns.x]\ntag_threshold = 101\n", "tag_threshold must be percent, a number from 0 to 100, not 101"),
        ("[campaigns.x]\ntag_threshold = nan\n", "tag_threshold must be percent"),
        ('[[checks.waivers]]\ncheck = "checkpatch"\n', "lacks type, step, path, max, reason"),
        (
            '[[checks.waivers]]\ncheck="c"\ntype="t"\nstep="s"\npath="p"\nmax=0\nreason="r"\n',
            "max must be a number from 1",
        ),
        (
            '[[checks.waivers]]\ncheck="c"\ntype="t"\nstep="s"\npath="p"\nmax=1\nreason="r"\noptional="yes"\n',
            "optional must be true or false, not 'yes'",
        ),
        ('[checks.waivers]\ncheck="c"\n', r"must be a list of tables, each with \[\[checks.waivers\]\]"),
    ],
)
def test_bad_files_are_named_with_what_would_be_right(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, text), bundled("patchbot.toml"))


def test_own_waivers_come_on_top_of_the_shipped_ones(tmp_path):
    shipped = load(None, bundled("patchbot.toml")).checks.waivers
    same = shipped[0]
    row = '[[checks.waivers]]\ncheck = "checkpatch"\ntype = "{}"\nstep = "{}"\npath = "{}"\nmax = 9\nreason = "mine"\n'
    text = row.format("MINE", "s", "p") + row.format(same.type, same.step, same.path)
    waivers = load(written(tmp_path, text), bundled("patchbot.toml")).checks.waivers
    assert [(w.type, w.max, w.reason) for w in waivers[:2]] == [("MINE", 9, "mine"), (same.type, 9, "mine")]
    assert waivers[2:] == shipped[1:]


def test_an_unknown_campaign_lists_the_known_ones():
    with pytest.raises(ConfigError, match="it has kfunc_flags"):
        load(None, bundled("patchbot.toml")).campaign("nope")


def test_the_shipped_example_is_valid_once_uncommented(tmp_path):
    lines = bundled("templates").joinpath("init/patchbot.toml").read_text().splitlines()
    bare = [
        line.removeprefix("# ")
        for line in lines[1:]
        if line.startswith("# ") and ("=" in line or line.startswith("# ["))
    ]
    config = load(written(tmp_path, "\n".join(bare)), bundled("patchbot.toml"))
    assert config.campaign(None).with_ == ("suffixes",)
    assert config.checks.waivers
