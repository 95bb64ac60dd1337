"""The demo on the small kernel goes the whole way, and leaves everything where it says."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from tinytree import patchbot, sh

from patchbot.commands.demo import quoted
from patchbot.errors import UserError


def test_the_whole_way_on_the_small_kernel(tmp_path: Path) -> None:
    done = patchbot("demo", "--small", "-o", "try", cwd=tmp_path, GIT_CONFIG_GLOBAL="/dev/null")
    commands = [line for line in done.stderr.splitlines() if line.startswith("$ ")]
    assert [line.split()[2] for line in commands[1:]] == (
        ["scan", "generate", "check", "mail", "freeze", "trailers", "regenerate", "diff", "check", "mail", "status"]
    )
    assert "the author is A. U. Thor" in done.stderr
    where = tmp_path / "try"
    assert len(list((where / "v1").glob("*.patch"))) == len(list((where / "v2").glob("*.patch"))) == 11
    tags = sh(where / "linux", "git", "log", "--format=%(trailers)", "master..patchbot/kfunc_flags").split("\n")
    assert "Reviewed-by: Gene General <gene@example.org>" in tags
    letter = (where / "v2/0000-cover-letter.patch").read_text()
    assert " v2 " in letter
    assert "Dropped from bpf: Use KFA_RCU and KFA_RELEASE for cpumask kfuncs: Acked-by" in " ".join(letter.split())
    (mail,) = (where / "v2").glob("0008-*")
    assert "\n---\nDropped: Acked-by: Carol Core <carol@example.org> (the patch changed)\n" in mail.read_text()
    assert "FAIL" not in done.stdout


def test_the_tutorial_can_be_typed(tmp_path: Path) -> None:
    patchbot("demo", "--small", "--prepare", "-o", "try", cwd=tmp_path)
    where = tmp_path / "try"
    for command in ("scan", "generate", "check --only applies,checkpatch", "mail -o mails", "freeze"):
        patchbot(*command.split(), cwd=where)
    sh(where / "linux", "git", "-c", "user.name=A", "-c", "user.email=a@example.org", "am", "-q", "../moved.patch")
    assert "1 changed" in patchbot("regenerate", "--onto", "master", cwd=where).stdout


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "mine exists" in patchbot("demo", "--small", "-o", "mine", cwd=tmp_path, code=2).stderr
    assert "leave out --kernel" in patchbot("demo", "--small", "--kernel", "7.2", cwd=tmp_path, code=2).stderr
    assert "--prepare needs --small" in patchbot("demo", "--prepare", cwd=tmp_path, code=2).stderr
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", [b"\xff\xfe", "\U0001f427 \u00e4".encode(), b'a\x7fb"c\\d'])
def test_its_folder_may_have_any_name(tmp_path: Path, name: bytes) -> None:
    where = tmp_path / os.fsdecode(name)
    done = patchbot("demo", "--small", "--prepare", "-o", str(where), cwd=tmp_path)
    assert "is ready" in done.stderr
    assert json.loads(patchbot("scan", "--json", cwd=where).stdout)["counts"]["sets"]
    where.rename(tmp_path / "moved")  # and it may move
    assert json.loads(patchbot("scan", "--json", cwd=tmp_path / "moved").stdout)["counts"]["sets"]


@pytest.mark.parametrize("name", ["\udcff", "\U0001f427", 'a\x7f"\\'])
def test_a_path_in_its_toml(tmp_path: Path, name: str) -> None:
    where = tmp_path / name / "demo"
    for path in (tmp_path / name / "kernel.git", Path("linux")):
        text = quoted(where, path)
        text.encode()
        assert (where / tomllib.loads(f"x = {text}")["x"]).resolve() == (where / path).resolve()
    with pytest.raises(UserError, match="not UTF-8"):
        quoted(tmp_path, tmp_path / "\udcff")
