"""A campaign and a check of a person's own, used from an installed wheel as they lie in a folder, or by entry point."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sample
from tinytree import TESTS, TOP, commit

from patchbot.git.repo import Repo


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed wheel."""
    out = tmp_path_factory.mktemp("outside")
    argv = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(TOP)]
    subprocess.run(argv, capture_output=True, check=True)
    (wheel,) = out.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(out / "site")
    return out / "site"


class Person:
    """Somebody with a kernel, a folder with a campaign and one with a check, who installed patchbot."""

    def __init__(self, site: Path, home: Path, repo: Repo) -> None:
        self.path, self.home = [site], home
        self.work = repo.git_dir.parent
        self.campaign, self.checks = home / "mine/sample", home / "mine/checks"
        shutil.copytree(TESTS / "outside/sample", self.campaign)
        shutil.copytree(TESTS / "outside/checks", self.checks)
        commit(self.work, "Add lines that say OLD", {k: v for k, v in sample.FILES.items() if k != "Makefile"})

    def configure(self, named: str) -> None:
        """Write patchbot.toml; `named` is the line that says where the campaign is, if one does."""
        checks = f'[checks]\nrun = ["applies", "no_old"]\npath = ["{self.checks}"]\n'
        (self.home / "p.toml").write_text(f'[campaigns.sample]\ntarget = "b-next"\n{named}{checks}')

    def run(self, *argv: str, code: int = 0) -> dict[str, Any]:
        """Run the installed patchbot and return its document."""
        words = [argv[0], "sample", *argv[1:]]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, self.path))}
        full = [sys.executable, "-m", "patchbot.cli", *words, "--json", "--config", str(self.home / "p.toml")]
        done = subprocess.run(full, cwd=self.work, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def person(site: Path, tmp_path: Path, tiny: Repo) -> Person:
    return Person(site, tmp_path, tiny)


def by_path(person: Person) -> None:
    person.configure('path = "mine/sample"\n')


def by_entry_point(person: Person) -> None:
    """Install the campaign as a distribution."""
    where = person.home / "dist"
    shutil.move(person.campaign, where / "my_sample")
    person.campaign = where / "my_sample"
    about = where / "my_sample-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sample\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[patchbot.campaigns]\nsample = my_sample\n")
    person.path.append(where)
    person.configure("")


@pytest.mark.parametrize("how", [by_path, by_entry_point])
def test_a_campaign_and_a_check_of_a_persons_own(person: Person, how: Any) -> None:
    how(person)
    sites = person.run("scan")
    assert [(e["file"], e["line"], e["fate"]) for e in sites["entries"]] == [
        ("a/one.c", 1, "change"),
        ("a/one.c", 3, "change"),
        ("b/two.c", 1, "change"),
    ]
    made = person.run("generate")
    assert [p["id"] for p in made["patches"]] == ["header", "words/b/two.c", "words/a/one.c"]
    results = person.run("check")["results"]
    assert {(r["check"], r["status"]) for r in results} == {("applies", "PASS"), ("no_old", "PASS")}
    assert all(r["cached"] for r in person.run("check")["results"])
    code = person.campaign / "campaign.py"
    code.write_text(code.read_text() + "# said anew\n")
    assert not any(r["cached"] for r in person.run("check")["results"])
    (series, *_) = person.run("mail", "-o", str(person.home / "mails"), code=1)["series"]
    assert "Lines that say OLD say NEW" in Path(series["cover"]).read_text()

    again = person.run("generate")
    assert again["tip"] == made["tip"]
    template = person.campaign / "words.txt.j2"
    template.write_text(template.read_text().replace("Convert {{ count }}", "Turn {{ count }}"))
    reworded = person.run("generate")
    assert reworded["tip"] != made["tip"]
    code.write_text(code.read_text().replace('b"NEW"', 'b"NOW"'))
    changed = person.run("generate")
    assert changed["tip"] not in (made["tip"], reworded["tip"])
    repo = Repo.open(person.work)
    assert b"NOW z" in (repo.read(repo.resolve("patchbot/sample"), "b/two.c") or b"")

    more = commit(person.work, "Add one more", {"b/two.c": b"OLD z;\nOLD zz;\n"})
    moved = person.run("regenerate", "--onto", more)
    assert {p["id"]: p["state"] for p in moved["patches"]}["words/b/two.c"] == "changed"
    assert person.run("check")["results"]


def test_checks_of_another_campaign_are_skipped_with_a_reason(person: Person) -> None:
    by_path(person)
    person.run("generate")
    results = person.run("check", "--only", "btf,boot,sites")["results"]
    assert {(r["check"], r["status"], r["reason"]) for r in results} == {
        (name, "SKIP", "it is only about the campaign kfunc_flags") for name in ("btf", "boot", "sites")
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def campaign(config):\n    return 1 / 0\n", "campaign.py:2: ZeroDivisionError: division by zero"),
        ("def campaign(config:\n", "campaign.py:1: SyntaxError"),
        ("import no_such_module\n", "campaign.py:1: ModuleNotFoundError"),
        ("x = 1\n", "must define campaign(config)"),
        ("def campaign(config):\n    return 3\n", "campaign() must return a Campaign, not 3"),
    ],
)
def test_a_fault_in_a_persons_campaign_is_named_with_its_line(person: Person, text: str, said: str) -> None:
    by_path(person)
    (person.campaign / "campaign.py").write_text(text)
    env = {**os.environ, "PYTHONPATH": str(person.path[0])}
    argv = [sys.executable, "-m", "patchbot.cli", "scan", "sample", "--config", str(person.home / "p.toml")]
    done = subprocess.run(argv, cwd=person.work, env=env, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert said in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import sys; sys.exit(0)", "a campaign or a check ended the program: 0"),
        ("import sys; sys.exit('bye')", "a campaign or a check ended the program: 'bye'"),
        ("1 / 0", "sample/campaign.py:{line}: ZeroDivisionError: division by zero"),
        ("raise ValueError('\\x1b[31m \\udcff')", r"sample/campaign.py:{line}: ValueError: \x1b[31m \xff"),
        ("raise AttributeError('x')", "sample/campaign.py:{line}: AttributeError: x"),
    ],
)
@pytest.mark.parametrize("function", ["audit", "words"])
def test_a_fault_while_a_persons_campaign_runs_is_its_own(person: Person, function: str, line: str, said: str) -> None:
    by_path(person)
    file = person.campaign / "campaign.py"
    head, name, rest = file.read_text().partition(f"def {function}(")
    first, rest = rest.split("\n", 1)
    file.write_text(f"{head}{name}{first}\n    {line}\n{rest}")
    env = {**os.environ, "PYTHONPATH": str(person.path[0])}
    argv = [sys.executable, "-m", "patchbot.cli", "generate", "sample", "--config", str(person.home / "p.toml")]
    done = subprocess.run(argv, cwd=person.work, env=env, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert said.format(line=head.count("\n") + 2) in done.stderr
    assert "\x1b" not in done.stderr
    assert not Repo.open(person.work).refs("refs/heads/patchbot")
