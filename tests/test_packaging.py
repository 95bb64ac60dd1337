"""Wheel and sdist carry templates, checks and the default configuration, and nothing becomes a top-level package."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tinytree import TOP

ROOT = TOP


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it, as an installer without a checkout would."""
    out = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_wheel_has_its_data_inside_the_package(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert {n.split("/")[0] for n in names} - {"patchbot"} == {n.split("/")[0] for n in names if ".dist-info/" in n}
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
        ["git", "ls-files", "checks", "templates", "patchbot.toml", "tests/linux"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {f"patchbot/{path}" for path in tracked} <= names


def test_the_sdist_can_be_tested_and_built(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {n.split("/", 1)[1] for n in archive.getnames() if "/" in n}
    assert {"README.md", "COPYING", "Makefile", "patchbot.toml", "tests/conftest.py", "checks/applies.py"} <= names


def test_the_console_script_is_installed():
    script = Path(sys.executable).with_name("patchbot")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("patchbot ")
