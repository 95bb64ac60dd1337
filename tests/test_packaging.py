"""Wheel and sdist carry templates, checks and the default configuration, and nothing becomes a top-level package."""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tinytree import TOP

from patchbot.cli import build_parser

ROOT = TOP


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it, as an installer without a checkout would."""
    out = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (commands,) = (action for action in build_parser()._actions if action.dest == "command")
    return commands.choices


def test_the_wheel_has_its_data_inside_the_package(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    others = {n.split("/")[0] for n in names} - {"patchbot"}
    assert others == {n.split("/")[0] for n in names if ".dist-info/" in n or n.endswith("/share/man/man1/patchbot.1")}
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "cwd").mkdir()
    where = subprocess.run(
        [sys.executable, "-c", "import patchbot.bundle as b; print(b.bundled('checks'), b.__file__)"],
        cwd=tmp_path / "cwd",
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.count(str(tmp_path / "site")) == 2
    for argv in (["checks"], ["campaigns", "-v"], ["doctor"], ["init", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "patchbot.cli", *argv], cwd=tmp_path / "cwd", env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_every_bundled_file_is_in_the_wheel(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "checks", "templates", "patchbot.toml", "tests/linux", "patchbot/campaigns"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {f"patchbot/{path.removeprefix('patchbot/')}" for path in tracked} <= names


def test_the_manual_page_of_the_wheel_has_every_command_and_option(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".data/data/share/man/man1/patchbot.1"))
        text = archive.read(name).decode()
    plain = text.replace("\\", "")
    for command, sub in subparsers().items():
        own = plain.split(f".SS fBpatchbot {command}fR\n")[1].split(".SS ")[0]
        assert sub.epilog in own
        for action in sub._actions:
            assert all(f"fB{option}fR" in own for option in action.option_strings if option not in ("-h", "--help"))
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", "-"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_sdist_can_be_tested_and_built(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    assert {"README.md", "COPYING", "Makefile", "patchbot.toml", "tests/conftest.py", "checks/applies.py"} <= names


def test_the_console_script_is_installed():
    script = Path(sys.executable).with_name("patchbot")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("patchbot ")
