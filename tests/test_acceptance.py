"""Real kernels, as a person uses patchbot on them. `make acceptance` runs this; it takes as long as a compiler does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import RealKernel

from patchbot.git.repo import Repo
from patchbot.run import run

Borrow = Callable[[RealKernel], Repo]
Cli = Callable[..., tuple[int, Any]]
DRAFT = "refs/heads/patchbot/kfunc_flags"
GOOD = {"PASS", "SKIP", "WARN"}


@pytest.mark.kernel
def test_scan_and_generate(kernel: RealKernel, borrow: Borrow, cli: Cli) -> None:
    repo = borrow(kernel)
    code, scan = cli(repo, "scan")
    assert code == 0, scan
    assert scan["kernel"]["version"] == kernel.version
    counts = scan["counts"]
    assert counts["refuse"] == 0
    assert counts["entries"] == counts["change"] + counts["keep"] == len(scan["entries"])
    assert counts["change"] > 50
    refs = repo.refs("refs/")
    code, made = cli(repo, "generate")
    assert code == 0, made
    assert made["tip"] == repo.ref(DRAFT)
    new = set(repo.refs("refs/")) - set(refs)
    assert {ref for ref in new if not ref.startswith((f"{DRAFT}.", "refs/patchbot/"))} == {DRAFT}
    assert sum(patch["sites"] for patch in made["patches"]) >= counts["change"]
    assert cli(repo, "generate")[1]["tip"] == made["tip"]
    code, again = cli(repo, "generate", "--base", DRAFT)
    assert (code, again["patches"]) == (0, [])


@pytest.mark.kernel
def test_checks_and_mails_of_the_newest(kernel73: RealKernel, borrow: Borrow, cli: Cli, tmp_path: Path) -> None:
    repo = borrow(kernel73)
    _, made = cli(repo, "generate")
    code, report = cli(repo, "check", "--only", "applies,checkpatch")
    bad = [(row["check"], row["patch"], row["findings"]) for row in report["results"] if row["status"] not in GOOD]
    assert (code, bad) == (0, [])
    started = time.monotonic()
    code, again = cli(repo, "check", "--only", "applies,checkpatch")
    assert code == 0
    assert time.monotonic() - started < 15
    assert all(row["cached"] for row in again["results"] if row["patch"])

    code, mailed = cli(repo, "mail", "-o", str(tmp_path / "out"))
    assert code == 0, mailed
    first = mailed["series"][0]
    assert first["to"]
    assert first["cc"]
    files = [tmp_path / "out" / Path(name).name for name in first["files"]]
    patches = [file for file in files if file.name != Path(first["cover"]).name]
    own = next(series for series in made["series"] if series["target"] == first["target"])
    assert len(patches) == len(own["patches"])
    work = tmp_path / "work"
    repo.git("worktree", "add", "-q", "--no-checkout", "--detach", str(work), "HEAD")
    touched = sorted({path for patch in made["patches"] for path in patch["files"]})
    run(["git", "-C", work, "sparse-checkout", "set", "--no-cone", *(f"/{path}" for path in touched)])
    run(["git", "-C", work, "checkout", "-q"])
    run(["git", "-C", work, "am", "-q", *patches])
    commits = {patch["id"]: patch["commit"] for patch in made["patches"]}
    tree = run(["git", "-C", work, "rev-parse", "HEAD^{tree}"]).stdout.decode().strip()
    assert tree == repo.tree_of(commits[own["patches"][-1]])


@pytest.mark.kernel
@pytest.mark.slow
def test_every_patch_of_the_newest_compiles_and_means_the_same(kernel73: RealKernel, borrow: Borrow, cli: Cli) -> None:
    repo = borrow(kernel73)
    _, made = cli(repo, "generate")
    code, report = cli(repo, "check", "--only", "build,btf")
    bad = [(row["patch"], row["reason"], row["findings"]) for row in report["results"] if row["status"] not in GOOD]
    assert (code, bad) == (0, [])
    passed = [row["check"] for row in report["results"] if row["status"] == "PASS"]
    assert passed.count("build") > len(made["patches"]) / 2
    # Every patch, and the series as a whole.
    assert passed.count("btf") == len(made["patches"]) + 1
    whole = next(row for row in report["results"] if row["check"] == "btf" and row["patch"] is None)
    numbers = re.match(
        r"\d+ patches: (\d+) rows \((\d+) arguments\) in (\d+) objects compared with the base, "
        r"(\d+) rewritten, (\d+) differences; ",
        whole["reason"],
    )
    assert numbers, whole["reason"]
    rows, arguments, objects, anew, differences = map(int, numbers.groups())
    _, scan = cli(repo, "scan")
    assert differences == 0
    assert anew >= sum(entry["fate"] == "change" for entry in scan["entries"])
    assert arguments > rows > len(scan["entries"]) * 0.9
    assert objects > 20
    # What nothing compiles is listed, with the reason.
    assert all(f["file"] and f["line"] and " is not compiled: " in f["message"] for f in whole["findings"])
    started = time.monotonic()
    code, again = cli(repo, "check", "--only", "build,btf")
    assert code == 0
    assert time.monotonic() - started < 60
    assert all(row["cached"] for row in again["results"] if row["status"] == "PASS")


@pytest.mark.kernel
def test_a_conversion_of_the_newest_compiles_and_means_the_same(kernel73: RealKernel, borrow: Borrow, cli: Cli) -> None:
    repo = borrow(kernel73)
    _, made = cli(repo, "generate")
    number = next(n for n, patch in enumerate(made["patches"], start=1) if patch["sites"])
    code, report = cli(repo, "check", "--only", "build,btf", "--patches", str(number))
    found = {row["check"]: row["status"] for row in report["results"] if row["patch"]}
    assert (code, found) == (0, {"build": "PASS", "btf": "PASS"}), report["results"]


@pytest.mark.kernel
@pytest.mark.slow
def test_the_newest_boots_and_its_verifier_says_what_is_expected(
    kernel73: RealKernel, borrow: Borrow, cli: Cli
) -> None:
    repo = borrow(kernel73)
    cli(repo, "generate")
    code, report = cli(repo, "check", "--only", "boot")
    (row,) = report["results"]
    assert (code, row["status"], row["reason"]) == (0, "PASS", row["reason"])
    said = json.loads(Path(row["log"]).with_suffix(".json").read_text())
    assert {line["status"] for line in said["lines"]} <= {"PASS", "SKIP"}
    lines = [line for line in said["lines"] if line["status"] == "PASS"]
    assert sum(line["kind"] == "program" for line in lines) >= 30
    assert sum(line["kind"] == "set" and line["expected"] == "refuse" for line in lines) >= 12
    assert any(line["kind"] == "selftest" for line in lines)
