"""patchbot.toml: keys override, unknown keys are errors that name file and known keys."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from patchbot.bundle import bundled
from patchbot.config import Config, load
from patchbot.errors import ConfigError
from patchbot.shapes import plain, read


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
        ("[kernel]\npath = 1\n", "kernel.path is 1, not a text"),
        ("[kernel\n", "patchbot.toml:1: "),
        ('[author]\nname = "x"\n', "needs both name and email"),
        ('[campaigns.x]\nwith = "suffixes"\n', "campaigns.x.with is 'suffixes', not a list"),
        ("[campaigns.x]\nwithout = [1]\n", r"campaigns.x.without\[0\] is 1, not a text"),
        ("[campaigns.x]\nwith = [1]\n", r"campaigns.x.with\[0\] is 1, not a text"),
        ("[checks.run]\na = 1\n", "checks.run is a table, not a list"),
        ("[checks.path]\na = 1\n", "checks.path is a table, not a list"),
        ('[campaigns.x]\ntagret = "y"\n', r"\[campaigns.x\] unknown key 'tagret'; did you mean target\?"),
        (
            '[[campaigns.x.recipients]]\npath = "a"\nadd = ["Jo jo@x.y"]\n',
            r"toml:3: campaigns.x.recipients\[1\].add: 'Jo jo@x.y' is not an address",
        ),
        ('[[campaigns.x.recipients]]\npath = "a"\ndrop = ["jo"]\n', "toml:3: .*'jo' is not an address"),
        ('[[campaigns.x.recipients]]\npath = "a"\nadd = ["Jo <jo@x.y>, b@x.y"]\n', "toml:3: .*is not an address"),
        ('[[campaigns.x.recipients]]\npath = "a"\n', r"toml:1: campaigns.x.recipients\[1\] adds and drops nobody"),
        ('[[campaigns.x.recipients]]\npaht = "a"\n', r"toml:2: .*unknown key 'paht'; did you mean path\?"),
        ('[[campaigns.x.recipients]]\nadd = ["a@b.c"]\n', r"recipients\[1\] lacks .path."),
        ('[campaigns.x]\nrecipients = "a@b.c"\n', r"toml:2: .*under \[\[campaigns.x.recipients\]\]"),
        ('[campaigns.x]\nrfc = "no"\n', "campaigns.x.rfc is 'no', not true or false"),
        ("[campaigns.x]\ntag_threshold = 101\n", "campaigns.x.tag_threshold is 101, not a number <= 100"),
        ("[campaigns.x]\ntag_threshold = nan\n", "tag_threshold is nan, not a number >= 0"),
        ('[campaigns.x]\nconversions = "owners"\n', "campaigns.x.conversions is 'owners'"),
        ('[[checks.waivers]]\ncheck = "checkpatch"\n', "lacks type, step, path, max, reason"),
        (
            '[[checks.waivers]]\ncheck="c"\ntype="t"\nstep="s"\npath="p"\nmax=0\nreason="r"\n',
            "max is 0, not a number >= 1",
        ),
        (
            '[[checks.waivers]]\ncheck="c"\ntype="t"\nstep="s"\npath="p"\nmax=1\nreason="r"\noptional="yes"\n',
            "optional is 'yes', not true or false",
        ),
        ('[checks.waivers]\ncheck="c"\n', r"must be a list of tables, each under \[\[checks.waivers\]\]"),
    ],
)
def test_bad_files_are_named_with_what_would_be_right(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, text), bundled("patchbot.toml"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("[kernel]\nbase = 'HEAD'\n".encode("utf-16"), r"patchbot.toml:1: this is UTF-16; save it as UTF-8"),
        ("[kernel]\nbase = 'HEAD'\n".encode("utf-16-le"), r"patchbot.toml:1: .*NUL, as UTF-16 does"),
        (b"# fine\n[kernel]\nbase = 'J\xfcrgen'\n", r"patchbot.toml:3: byte 0xfc is not UTF-8"),
        (b"[kernel]\rbase = 'HEAD'\r", r"patchbot.toml:1: .*a line ends in a lone carriage return"),
        (b"[kernel]\nbase = 'HE\0AD'\n", r"patchbot.toml:2: .*NUL"),
        (b'[kernel]\nbase = "HE\\u0000AD"\n', r"patchbot.toml:2: kernel.base holds a NUL"),
        (b'[kernel]\npath = "a\\u0000"\n', r"patchbot.toml:2: kernel.path holds a NUL"),
        (b'[checks]\nrun = ["a\\u0000"]\n', r"patchbot.toml:2: checks.run\[0\] holds a NUL"),
        (b"\n\n[kernel\n", r"patchbot.toml:3: "),
        (b"[kernel]\nbase = 'a'\nbase = 'b'\n", r"patchbot.toml:3: Cannot overwrite a value"),
        (b"[kernel]\nbase = ", r"patchbot.toml:2: "),
        (b"x = " + b"[" * 5000, r"patchbot.toml: .* too deep"),
        (b"x = " + b"9" * 5000, r"patchbot.toml: "),
        (
            b'[[checks.waivers]]\ncheck="c"\ntype=1\nstep="s"\npath="p"\nmax=1\nreason="r"\n',
            r"checks.waivers\[1\].type is 1, not a text",
        ),
    ],
)
def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path, data, message):
    file = tmp_path / "patchbot.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        load(file, bundled("patchbot.toml"))


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf[kernel]\nbase = 'HEAD'\n", b"[kernel]\r\nbase = 'HEAD'\r\n", b"\xef\xbb\xbf"]
)
def test_what_an_editor_adds_does_not_matter(tmp_path, data):
    file = tmp_path / "patchbot.toml"
    file.write_bytes(data)
    assert load(file, bundled("patchbot.toml")).kernel_base in ("HEAD", None)


def test_own_waivers_come_on_top_of_the_shipped_ones(tmp_path):
    shipped = load(None, bundled("patchbot.toml")).checks.waivers
    same = shipped[0]
    row = '[[checks.waivers]]\ncheck = "checkpatch"\ntype = "{}"\nstep = "{}"\npath = "{}"\nmax = 9\nreason = "mine"\n'
    text = row.format("MINE", "s", "p") + row.format(same.type, same.step, same.path)
    waivers = load(written(tmp_path, text), bundled("patchbot.toml")).checks.waivers
    assert [(w.type, w.max, w.reason) for w in waivers[:2]] == [("MINE", 9, "mine"), (same.type, 9, "mine")]
    assert waivers[2:] == tuple(replace(waiver, optional=True) for waiver in shipped[1:]), "not a person's to remove"
    none = load(written(tmp_path, ""), bundled("patchbot.toml")).checks.waivers
    assert none == tuple(replace(waiver, optional=True) for waiver in shipped)


def test_an_empty_path_names_no_place(tmp_path):
    own = tmp_path / "patchbot.toml"
    own.write_text('[kernel]\npath = ""\n[campaigns.x]\npath = ""\n')
    config = load(own, bundled("patchbot.toml"))
    assert config.kernel_path is None
    assert config.campaign("x").path is None


def test_without_a_name_it_is_the_only_campaign_of_the_users_file(tmp_path):
    def chosen(text: str, trusted: bool = True) -> str:
        return load(written(tmp_path, text), bundled("patchbot.toml"), trusted=trusted).campaign(None).name

    mine = '[campaigns.mine]\npath = "mine"\n'
    assert chosen(mine) == "mine"
    assert chosen("") == chosen('[kernel]\nbase = "x"\n') == "kfunc_flags"
    assert chosen("[campaigns.kfunc_flags]\nrfc = false\n") == "kfunc_flags"
    with pytest.raises(ConfigError, match=r"which campaign.*mine"):
        chosen(mine + "[campaigns.kfunc_flags]\nrfc = false\n")
    with pytest.raises(ConfigError, match="no campaign 'mine'"):
        chosen(mine, trusted=False)


def test_an_unknown_campaign_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"known: kfunc_flags"):
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


def test_what_goes_to_a_worker_is_read_there_as_it_was(tmp_path):
    own = '[campaigns.x]\nwith = ["s"]\n[campaigns.y]\ntarget = "bpf-next"\n'
    for text in ("", own, own + '[kernel]\npath = "linux"\nbase = "v1"\n[run]\ncluster = "tls://host:8786"\n'):
        config = load(written(tmp_path, text), bundled("patchbot.toml"))
        assert read(json.dumps(plain(config, os.fspath)), Config) == config
