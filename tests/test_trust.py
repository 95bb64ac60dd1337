"""What a patchbot.toml may name that was merely found: nothing that runs, until its person trusts it as it is."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
from pathlib import Path

import pytest
from subjects import KFUNCS
from tinytree import commit

from patchbot import trust
from patchbot.build.options import BuildOptions, wanted_options
from patchbot.bundle import bundled
from patchbot.cli import main
from patchbot.config import HARMLESS, load, sift
from patchbot.git.repo import Repo
from patchbot.places import read_toml
from patchbot.run import run

#: A check that leaves a file behind as soon as it is loaded.
EVIL = '''"""A check."""
open({canary!r}, "w").close()
from patchbot.checking.check import Outcome
from patchbot.model import Status
def check(subject, item):
    return Outcome(Status.PASS, examined=1)
'''
FILES = {"GIT_ALLOW_PROTOCOL": "file"}
DECISION = '[campaigns.kfunc_flags.decisions]\nbpf_task_release = {keep = true, reason = "says the tree"}\n'


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def evil(tiny: Repo, canary: Path) -> Path:
    """A work tree that tracks a patchbot.toml with a folder of checks, and decisions."""
    work = tiny.git_dir.parent
    toml = f'[checks]\npath = ["evil"]\n{DECISION}'
    commit(work, "evil", {"patchbot.toml": toml.encode(), "evil/evil.py": EVIL.format(canary=str(canary)).encode()})
    return work


def patchbot(capfd, *argv: object, code: int = 0) -> tuple[str, str]:
    assert main([str(a) for a in argv]) == code
    said = capfd.readouterr()
    return said.out, said.err


def test_what_stands_in_a_clone_names_no_code_and_is_named(evil, canary, tmp_path, capfd):
    clone = tmp_path / "clone"
    run(["git", "clone", "-q", evil, clone], env=FILES)
    out, err = patchbot(capfd, "scan", "-C", clone)
    file = clone / "patchbot.toml"
    assert "kept: says the tree" in out
    assert f"configuration: {file} (not trusted: it lies in the repository {clone})" in err
    assert f"{file}: checks.path is ignored until `patchbot trust {file}`" in err
    for command in ("checks", "doctor", "generate", "check", "status"):
        options = ["--only", "applies"] if command == "check" else []
        _, err = patchbot(capfd, command, "-q", *options, "-C", clone)
        assert "checks.path is ignored" in err
    assert json.loads(patchbot(capfd, "scan", "--json", "-C", clone)[0])["config"] == str(file)
    assert json.loads(patchbot(capfd, "scan", "--json", "-C", tmp_path, "--kernel", clone)[0])["config"] is None
    assert not canary.exists()


def found_in_a_subfolder(work: Path, tmp_path: Path) -> list[object]:
    shutil.move(work / "patchbot.toml", work / "kernel/patchbot.toml")
    shutil.move(work / "evil", work / "kernel/evil")
    return ["-C", work / "kernel"]


def found_by_a_link_to_it(work: Path, tmp_path: Path) -> list[object]:
    (tmp_path / "patchbot.toml").symlink_to(work / "patchbot.toml")
    return ["-C", tmp_path, "--kernel", work]


def found_by_a_link_to_its_folder(work: Path, tmp_path: Path) -> list[object]:
    (tmp_path / "link").symlink_to(work)
    return ["-C", tmp_path / "link"]


def found_by_a_link_out_of_it(work: Path, tmp_path: Path) -> list[object]:
    shutil.move(work / "patchbot.toml", tmp_path / "elsewhere.toml")
    shutil.move(work / "evil", tmp_path / "evil")
    (work / "patchbot.toml").symlink_to("../elsewhere.toml")
    return ["-C", work]


def found_in_the_git_folder(work: Path, tmp_path: Path) -> list[object]:
    shutil.move(work / "patchbot.toml", work / ".git/patchbot.toml")
    shutil.move(work / "evil", work / ".git/evil")
    return ["-C", tmp_path, "--kernel", work]


def found_in_a_bare_repository(work: Path, tmp_path: Path) -> list[object]:
    run(["git", "clone", "-q", "--bare", work, tmp_path / "bare"], env=FILES)
    shutil.copy(work / "patchbot.toml", tmp_path / "bare")
    shutil.copytree(work / "evil", tmp_path / "bare/evil")
    return ["-C", tmp_path / "bare"]


def found_in_another_worktree(work: Path, tmp_path: Path) -> list[object]:
    run(["git", "worktree", "add", "-q", tmp_path / "other"], cwd=work)
    return ["-C", tmp_path / "other"]


def found_in_a_submodule(work: Path, tmp_path: Path) -> list[object]:
    outer = tmp_path / "outer"
    run(["git", "init", "-q", outer])
    run(["git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", work, "sub"], cwd=outer, env=FILES)
    return ["-C", outer / "sub"]


def found_in_an_unpacked_kernel(work: Path, tmp_path: Path) -> list[object]:
    shutil.rmtree(work / ".git")
    return ["-C", work]


@pytest.mark.parametrize(
    "place",
    [
        found_in_an_unpacked_kernel,
        found_in_a_subfolder,
        found_by_a_link_to_it,
        found_by_a_link_to_its_folder,
        found_by_a_link_out_of_it,
        found_in_the_git_folder,
        found_in_a_bare_repository,
        found_in_another_worktree,
        found_in_a_submodule,
    ],
)
def test_wherever_it_is_found_in_a_repository_it_names_no_code(place, evil, canary, tmp_path, capfd):
    argv = place(evil, tmp_path)
    _, err = patchbot(capfd, "checks", *argv)
    assert "checks.path is ignored" in err
    assert not canary.exists()


@pytest.mark.parametrize("how", ["outside", "config", "trusted"])
def test_what_is_the_persons_own_names_code(how, evil, canary, tmp_path, capfd):
    argv: list[object] = ["-C", evil]
    if how == "outside":
        shutil.move(evil / "patchbot.toml", tmp_path / "patchbot.toml")
        shutil.move(evil / "evil", tmp_path / "evil")
        argv = ["-C", tmp_path]
    elif how == "config":
        argv = ["-C", evil, "--config", "patchbot.toml"]
    else:
        said, _ = patchbot(capfd, "trust", evil / "patchbot.toml")
        assert 'checks.path = ["evil"]' in said
        assert f"code: {evil}/evil/evil.py" in said
        assert not canary.exists()
    out, err = patchbot(capfd, "checks", *argv)
    assert "evil: A check." in out
    assert "ignored" not in err
    assert "not trusted" not in err
    assert f"configuration: {argv[1]}/patchbot.toml" in err
    assert canary.exists()


def change_the_file(work: Path) -> None:
    with open(work / "patchbot.toml", "a") as file:
        file.write('[author]\nname = "N"\nemail = "n@example.org"\n')


def change_the_check(work: Path) -> None:
    with open(work / "evil/evil.py", "a") as file:
        file.write("# more\n")


def add_a_check(work: Path) -> None:
    shutil.copy(work / "evil/evil.py", work / "evil/evil2.py")


def replace_the_folder_by_a_link(work: Path) -> None:
    shutil.move(work / "evil", work / "other")
    (work / "other/evil.py").write_text((work / "other/evil.py").read_text() + "# more\n")
    (work / "evil").symlink_to("other")


@pytest.mark.parametrize("change", [change_the_file, change_the_check, add_a_check, replace_the_folder_by_a_link])
def test_what_changed_is_trusted_no_more(change, evil, canary, capfd):
    patchbot(capfd, "trust", evil / "patchbot.toml")
    change(evil)
    _, err = patchbot(capfd, "checks", "-C", evil)
    assert "has changed since it was trusted" in err
    assert "checks.path is ignored" in err
    assert not canary.exists()
    patchbot(capfd, "trust", evil / "patchbot.toml")
    patchbot(capfd, "checks", "-C", evil)
    assert canary.exists()


def test_a_link_to_a_trusted_file_does_not_move_its_folders(evil, canary, tmp_path, capfd):
    mine = tmp_path / "mine"
    (mine / "evil").mkdir(parents=True)
    (mine / "patchbot.toml").write_text('[checks]\npath = ["evil"]\n')
    (mine / "evil/good.py").write_text('"""Good."""\ndef check_series(subject):\n    return None\n')
    (evil / "patchbot.toml").unlink()
    (evil / "patchbot.toml").symlink_to(mine / "patchbot.toml")
    patchbot(capfd, "trust", evil / "patchbot.toml")
    out, _ = patchbot(capfd, "checks", "-C", evil)
    assert "good: Good." in out
    assert not canary.exists()


def test_byte_code_beside_a_trusted_check_is_not_run_and_none_is_written(evil, canary, capfd):
    source = evil / "evil/evil.py"
    cached = py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    source.write_text('"""Harmless."""\ndef check_series(subject):\n    return None\n')
    patchbot(capfd, "trust", evil / "patchbot.toml")
    out, _ = patchbot(capfd, "checks", "-C", evil)
    assert "evil: Harmless." in out
    assert not canary.exists()
    shutil.rmtree(Path(cached).parent)
    patchbot(capfd, "trust", evil / "patchbot.toml")
    patchbot(capfd, "checks", "-C", evil)
    assert not Path(cached).parent.exists()


def test_it_sends_the_branch_to_no_other_repository_and_speaks_for_nobody(evil, tmp_path, capfd):
    shutil.copytree(evil, tmp_path / "other")
    (evil / "patchbot.toml").write_text(
        '[kernel]\npath = "../other"\nbase = "HEAD"\n[author]\nname = "Linus"\nemail = "l@example.org"\n'
    )
    out, err = patchbot(capfd, "generate", "-C", evil, "--json")
    assert "kernel.path is ignored" in err
    assert "author.email is ignored" in err
    tip = json.loads(out)["tip"]
    assert Repo.open(evil).ref("refs/heads/patchbot/kfunc_flags") == tip
    assert Repo.open(tmp_path / "other").ref("refs/heads/patchbot/kfunc_flags") is None
    assert "A Developer" in Repo.open(evil).text("log", "-1", "--format=%an", tip)


def test_no_program_of_it_is_started(evil, canary, capfd):
    (evil / "patchbot.toml").write_text(
        f'[checks.build]\ncc = "sh -c \'touch {canary}\'"\npahole = "{evil}/p"\nconfig = "own"\njobs = 1\n'
    )
    patchbot(capfd, "generate", "-q", "-C", evil)
    _, err = patchbot(capfd, "check", "--only", "applies", "-C", evil)
    for key in ("cc", "pahole", "config"):
        assert f"checks.build.{key} is ignored" in err
    assert "jobs" not in err
    assert not canary.exists()


def test_a_fragment_of_the_tree_does_not_take_the_place_of_the_bundled_one(evil, monkeypatch):
    (evil / "bpf.config").write_text("CONFIG_EVIL=y\n")
    monkeypatch.chdir(evil)
    assert "EVIL" not in wanted_options(BuildOptions(), KFUNCS)


def test_every_key_is_unsafe_that_nobody_called_harmless():
    kept, rest = sift(
        {
            "kernel": {"base": "v1", "path": "x"},
            "run": {"sandbox": "off", "cluster": "tcp://x"},
            "campaigns": {"a.b": {"target": "t", "path": "p", "decisions": {"f": {"keep": True}}}},
            "checks": {"run": ["a"], "command": {"mine": {"run": ["./x"]}}, "build": {"jobs": 2, "cc": "x"}, "btf": {}},
            "future": {"key": 1},
        }
    )
    assert kept["campaigns"]["a.b"] == {"target": "t", "decisions": {"f": {"keep": True}}}
    assert kept["checks"] == {"run": ["a"], "build": {"jobs": 2}, "btf": {}}
    assert kept["kernel"] == {"base": "v1"}
    unsafe = {"kernel.path", "run.sandbox", "run.cluster", "campaigns.a.b.path", "checks.build.cc", "future.key"}
    assert set(rest) == unsafe | {"checks.command.mine.run"}
    assert not sift(read_toml(bundled("patchbot.toml")))[1]
    assert len(set(HARMLESS)) == len(HARMLESS)


def test_a_bad_file_is_an_error_though_it_is_not_trusted(evil, capfd):
    (evil / "patchbot.toml").write_text('[kernle]\npath = "x"\n')
    assert "did you mean kernel?" in patchbot(capfd, "checks", "-C", evil, code=2)[1]
    assert "did you mean kernel?" in patchbot(capfd, "trust", evil / "patchbot.toml", code=2)[1]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": []}', '{"files": {"x": 1}}', "\x00"])
def test_a_damaged_store_trusts_nothing_and_says_so_once(content, evil, canary, capfd):
    patchbot(capfd, "trust", evil / "patchbot.toml")
    trust.store().write_text(content)
    _, err = patchbot(capfd, "checks", "-C", evil)
    assert err.count("is damaged") == 1
    assert not canary.exists()
    patchbot(capfd, "trust", "--list", code=2)
    patchbot(capfd, "trust", evil / "patchbot.toml")
    assert patchbot(capfd, "trust", "--list")[0] == f"{evil}/patchbot.toml\n"


def test_trust_is_revoked_and_kept_by_real_path(evil, canary, tmp_path, capfd):
    (tmp_path / "link").symlink_to(evil)
    patchbot(capfd, "trust", tmp_path / "link/patchbot.toml")
    copy = tmp_path / "copy"
    shutil.copytree(evil, copy)
    patchbot(capfd, "checks", "-C", copy)
    assert not canary.exists()
    patchbot(capfd, "trust", "--revoke", evil / "patchbot.toml")
    patchbot(capfd, "checks", "-C", evil)
    assert not canary.exists()
    assert patchbot(capfd, "trust", "--list")[0] == ""
    assert patchbot(capfd, "trust", code=2)


def test_what_others_can_write_is_not_trusted(evil, canary, tmp_path, capfd):
    shutil.move(evil / "evil", tmp_path / "evil")
    shutil.move(evil / "patchbot.toml", tmp_path / "patchbot.toml")
    (tmp_path / "patchbot.toml").chmod(0o666)
    _, err = patchbot(capfd, "checks", "-C", tmp_path)
    assert "(not trusted: everybody can write it)" in err
    assert "chmod o-w" in patchbot(capfd, "trust", tmp_path / "patchbot.toml", code=2)[1]
    assert not canary.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_user_is_not_trusted(evil, canary, tmp_path, capfd):
    shutil.move(evil / "evil", tmp_path / "evil")
    shutil.move(evil / "patchbot.toml", tmp_path / "patchbot.toml")
    os.chown(tmp_path / "patchbot.toml", 12345, 12345)
    _, err = patchbot(capfd, "checks", "-C", tmp_path)
    assert "(not trusted: it belongs to user 12345)" in err
    assert not canary.exists()
    assert "it belongs to user 12345" in patchbot(capfd, "trust", tmp_path / "patchbot.toml")[1]


def test_a_folder_that_is_too_big_to_be_checks_is_refused(evil, monkeypatch, capfd):
    monkeypatch.setattr(trust, "MOST_FILES", 3)
    (evil / "patchbot.toml").write_text('[checks]\npath = ["."]\n')
    assert "more than 3 files" in patchbot(capfd, "trust", evil / "patchbot.toml", code=2)[1]


def test_an_untrusted_file_keeps_what_is_harmless(tmp_path):
    file = tmp_path / "patchbot.toml"
    file.write_text(f'[checks]\npath = ["x"]\nrun = ["applies"]\n{DECISION}')
    config = load(file, bundled("patchbot.toml"), trusted=False)
    assert config.ignored == ("checks.path",)
    assert config.checks.path == ()
    assert config.checks.run == ("applies",)
    assert "bpf_task_release" in config.campaign(None).decisions
    assert config.checks.waivers
