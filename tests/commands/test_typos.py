"""A typo in patchbot.toml is said once, with its line and the nearest name, before anything runs: exit 2."""

import pytest
from versioned import BRANCH, World

OWN = '''"""A check of a person."""
from dataclasses import dataclass

from patchbot.checking.check import Outcome
from patchbot.errors import ConfigError


@dataclass(frozen=True)
class Options:
    most: int = 10


OPTIONS = %s


def check(subject, item):
    if "raise" in subject.options:
        raise ConfigError("checks.own.raise: not today", "checks.own.raise")
    return Outcome.of([], examined=1)
'''

#: A waiver without its campaign, check and step.
WAIVER = '[[checks.waivers]]\ntype = "A"\npath = "*"\nreason = "r"\n'


def complaint(world: World, text: str, *command: str) -> str:
    """Run a command with some more in patchbot.toml; return what it says, which is one line about the file."""
    file = world.path.parent / "p.toml"
    before = file.read_text()
    file.write_text(before + text)
    said = world.run(*command, "-q", code=2)
    file.write_text(before)
    (line,) = said.splitlines()
    start = before.count("\n") + 1
    place, _, rest = line.removeprefix(f"patchbot: {file}:").partition(": ")
    return f"{int(place) - start}: {rest}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[checks.checkpatch]\nstrict = true\nmax_line_lenght = 80\n",
            "2: [checks.checkpatch] unknown key 'max_line_lenght'; did you mean max_line_length? (known: ",
        ),
        ("[checks.checkpatch]\nmax_line_length = 0\n", "1: checks.checkpatch.max_line_length is "),
        ("[checks.build]\nccahe = true\n", "1: [checks.build] unknown key 'ccahe'; did you mean ccache? (known: "),
        ("[checks.applies]\nx = 1\n", "1: [checks.applies] unknown key 'x' (there are none)"),
        ("[checks.aplies]\nx = 1\n", "0: [checks] unknown key 'aplies'; did you mean applies? (known: "),
        ('[checks]\nrun = ["aplies"]\n', "1: there is no check 'aplies'; did you mean applies? (known: "),
        ('[checks]\npath = ["nowhere"]\n', "1: [checks] path: "),
        (
            WAIVER + 'max = 1\ncampaign = "sample"\ncheck = "chekpatch"\nstep = "words"\n',
            "6: checks.waivers[1]: there is no check 'chekpatch'; did you mean checkpatch? (known: ",
        ),
        (
            WAIVER + 'max = 1\ncampaign = "sample"\ncheck = "checkpatch"\nstep = "wrods"\n',
            "7: checks.waivers[1]: sample has no step 'wrods'; did you mean words? (known: ",
        ),
        (
            WAIVER + 'max = 1\ncampaign = "sampel"\ncheck = "checkpatch"\nstep = "words"\n',
            "5: checks.waivers[1]: there is no campaign 'sampel'; did you mean sample? (known: ",
        ),
        (
            WAIVER + 'check = "checkpatch"\nstep = "words"\n',
            "0: checks.waivers[1] lacks max;",
        ),
        (
            '[campaigns.kfunc_flag]\ntarget = "x"\n',
            "0: [campaigns.kfunc_flag]: there is no such campaign; did you mean kfunc_flags? (known: ",
        ),
        (
            '[campaigns.kfunc_flags]\nwihtout = ["a"]\n',
            "1: [campaigns.kfunc_flags] unknown key 'wihtout'; did you mean without? (known: ",
        ),
        ("[run]\nsandbox = 'of'\n", "1: run.sandbox must be one of auto, off, required, not 'of'; did you mean off?"),
    ],
)
def test_a_typo_is_said_once(world: World, text: str, said: str) -> None:
    base = world.base()
    world.run("generate", "sample", "--base", base)
    assert complaint(world, text, "check", "sample").startswith(said)


@pytest.mark.parametrize("options", ["Options", '("most", "raise")'])
def test_options_of_a_check_of_ones_own(world: World, options: str) -> None:
    base = world.base()
    world.run("generate", "sample", "--base", base)
    folder = world.path.parent / "mine"
    folder.mkdir()
    (folder / "own.py").write_text(OWN % options)
    table = '[checks]\nrun = ["own"]\npath = ["mine"]\n[checks.own]\n'
    said = complaint(world, f"{table}mots = 3\n", "check", "sample")
    assert said.startswith("4: [checks.own] unknown key 'mots'; did you mean most? (known: most")
    if options == "Options":
        assert complaint(world, f"{table}most = 'x'\n", "check", "sample").startswith("4: checks.own.most is 'x'")
    else:  # what only the check itself knows
        assert complaint(world, f"{table}most = 1\nraise = 1\n", "check", "sample") == "5: checks.own.raise: not today"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('bpf_x = { relase = [0], reason = "r" }', "unknown key 'relase'; did you mean release?"),
        ("bpf_x = { keep = true }", "a decision needs a reason, which is printed"),
        ('bpf_x = { rcu = "0", reason = "r" }', ".rcu is "),
        ('bpf_x = { reason = "r" }', "expected either `keep = true`, or "),
    ],
)
def test_a_decision(world: World, row: str, said: str) -> None:
    world.base()
    said_all = complaint(world, f"[campaigns.kfunc_flags.decisions]\n{row}\n", "scan", "kfunc_flags")
    assert said_all.startswith("1: ")
    assert said in said_all
    assert "campaigns.kfunc_flags.decisions.bpf_x" in said_all


def test_nothing_runs_before(world: World) -> None:
    """Not one check, and no build folder is made."""
    base = world.base()
    world.run("generate", "sample", "--base", base)
    complaint(world, "[checks.build]\njosb = 1\n", "check", "sample", "--only", "applies,build")
    assert "was not checked" in world.run("status", "sample")
    assert world.ref(BRANCH)


def test_options_have_whole_names(world: World) -> None:
    world.base()
    for option in ("--js", "--verb", "--withou=a"):
        assert f"unrecognized arguments: {option}" in world.run("generate", "sample", option, code=2)
