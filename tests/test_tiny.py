"""The tiny kernel is a kernel, it can fail, and the whole way from scan to mail works on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tinytree import build, told_to_fail, told_to_lack_an_anchor, told_to_warn

from patchbot.git.repo import Repo
from patchbot.run import Completed, run
from patchbot.series.tree import Tree

DRAFT = "refs/heads/patchbot/kfunc_flags"
Cli = Callable[..., tuple[int, Any]]


def make(source: Path, out: Path, *goals: str) -> Completed:
    return run(["make", "-C", source, f"O={out}", "-k", "-j2", *goals], check=False, timeout=120)


def snapshot(repo: Repo) -> tuple[bytes, bytes, str]:
    """Return what a person would see changed: the work tree, the index, HEAD."""
    where = str(repo.git_dir.parent)
    status = run(["git", "-C", where, "status", "--porcelain", "--ignored"]).stdout
    return status, (repo.git_dir / "index").read_bytes(), (repo.git_dir / "HEAD").read_text()


def test_it_has_the_same_id_everywhere(tmp_path: Path) -> None:
    assert build(tmp_path / "a").resolve("HEAD") == build(tmp_path / "b").resolve("HEAD")


def test_it_says_which_kernel_it_is(tiny: Repo) -> None:
    assert Tree(tiny, tiny.resolve("HEAD")).kernel().version == "7.99.0"
    assert make(tiny.git_dir.parent, tiny.git_dir.parent, "-s", "kernelversion").stdout.strip() == b"7.99.0"


def test_it_compiles_without_a_warning(tiny: Repo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(tiny.git_dir.parent, out, "olddefconfig")
    done = make(tiny.git_dir.parent, out, "W=1", "vmlinux")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"  CC  ") == len(list(out.rglob("*.o"))) > 10
    assert b"  CC  " not in make(tiny.git_dir.parent, out, "W=1", "vmlinux").stdout
    header = tiny.git_dir.parent / "include/net/xdp.h"
    header.write_bytes(header.read_bytes() + b"\n")
    assert make(tiny.git_dir.parent, out, "W=1", "vmlinux").stdout.count(b"  CC  ") == 1


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [(told_to_warn, 0, b"unused variable 'unused' [-Wunused-variable]"), (told_to_fail, 2, b"error: 'undeclared'")],
)
def test_it_can_be_told_to_fail(
    tmp_path: Path, change: Callable[[], Mapping[str, bytes | None]], code: int, text: bytes
) -> None:
    source = build(tmp_path / "linux", change()).git_dir.parent
    make(source, tmp_path / "out", "olddefconfig")
    done = make(source, tmp_path / "out", "kernel/bpf/cpumask.o")
    assert done.returncode == code
    assert text in done.stderr.replace("‘".encode(), b"'").replace("’".encode(), b"'")


def test_every_row_has_a_fate(tiny: Repo, cli: Cli) -> None:
    code, scan = cli(tiny, "scan")
    assert code == 0, scan
    counts = scan["counts"]
    assert counts["refuse"] == 0
    assert counts["change"] > 20
    assert counts["entries"] == counts["change"] + counts["keep"] == len(scan["entries"])
    assert all(entry["reason"] for entry in scan["entries"] if entry["fate"] == "keep")
    vias = {entry["via"] for entry in scan["entries"] if entry["file"] == "net/core/xdp.c"}
    assert vias == {"XDP_METADATA_KFUNC_xxx"}


def test_a_series_leaves_the_person_alone_and_is_the_same_twice(tiny: Repo, tmp_path: Path, cli: Cli) -> None:
    before = snapshot(tiny)
    code, made = cli(tiny, "generate")
    assert code == 0, made
    assert snapshot(tiny) == before
    other = build(tmp_path / "other")
    assert cli(other, "generate")[1]["tip"] == made["tip"] == other.ref(DRAFT)
    assert cli(tiny, "generate")[1]["tip"] == made["tip"]


def test_a_series_on_its_own_tip_finds_nothing_to_do(tiny: Repo, cli: Cli) -> None:
    cli(tiny, "generate")
    refs = tiny.refs("refs/")
    code, again = cli(tiny, "generate", "--base", DRAFT)
    assert (code, again["patches"]) == (0, [])
    assert tiny.refs("refs/") == refs


@pytest.mark.parametrize("optional", ["", "suffixes"])
def test_every_commit_compiles_without_a_warning(tiny: Repo, tmp_path: Path, cli: Cli, optional: str) -> None:
    code, made = cli(tiny, "generate", *(["--with", optional] if optional else []))
    assert code == 0, made
    work = tmp_path / "work"
    tiny.git("worktree", "add", "-q", "--detach", str(work), "HEAD")
    make(work, tmp_path / "out", "olddefconfig")
    for patch in made["patches"]:
        run(["git", "-C", work, "checkout", "-q", patch["commit"]])
        done = make(work, tmp_path / "out", "W=1", "vmlinux")
        assert (done.returncode, done.stderr) == (0, b""), patch["subject"]


def test_a_missing_anchor_stops_before_anything_is_written(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux", told_to_lack_an_anchor())
    refs = repo.refs("refs/")
    code, said = cli(repo, "generate")
    assert code == 2
    assert "kernel/bpf/btf.c" in said
    assert "btf_populate_kfunc_set" in said
    assert repo.refs("refs/") == refs


def test_the_checks_pass_and_a_second_run_reuses_them(tiny: Repo, cli: Cli) -> None:
    cli(tiny, "generate")
    code, first = cli(tiny, "check", "--only", "applies,checkpatch")
    assert code == 0, first
    assert {row["status"] for row in first["results"] if row["patch"]} == {"PASS"}
    _, second = cli(tiny, "check", "--only", "applies,checkpatch")
    assert all(row["cached"] for row in second["results"] if row["patch"])


def test_the_mails_go_to_the_owners(tiny: Repo, tmp_path: Path, cli: Cli) -> None:
    cli(tiny, "generate")
    code, mailed = cli(tiny, "mail", "-o", str(tmp_path / "out"))
    assert code == 0, mailed
    series = mailed["series"]
    assert [one["target"] for one in series] == ["bpf-next"]  # what others own waits on the branch
    assert len(series[0]["files"]) > 5
    everyone = {*series[0]["to"], *series[0]["cc"]}
    assert {"Carol Core <carol@example.org>", "bpf@example.org"} <= everyone
    assert not any("heidi" in who for who in everyone)
    assert "git send-email" in series[0]["send"]
    assert (tmp_path / "out" / Path(series[0]["cover"]).name).exists()


def test_a_follow_up_has_a_letter_of_its_own(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux")
    _, made = cli(repo, "generate")
    first = next(n for n, patch in enumerate(made["patches"]) if ": Use KFA_" in patch["subject"])
    letter = letter_of(repo, tmp_path / "first", cli)
    assert "Subject: [RFC PATCH bpf-next 00/10] bpf: Flags for the arguments of kfuncs\n" in letter
    assert "This series gives kfuncs flags" in letter
    repo.git("update-ref", "refs/heads/taken", made["patches"][first - 1]["commit"])
    repo.git("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in repo.refs("refs/patchbot")).encode())
    repo.git("update-ref", "-d", "refs/heads/patchbot/kfunc_flags")
    code, rest = cli(repo, "generate", "--base", "taken")
    assert code == 0, rest
    assert all(": Use KFA_" in patch["subject"] for patch in rest["patches"])
    letter = letter_of(repo, tmp_path / "rest", cli)
    assert "bpf: Flags for the arguments of kfuncs, conversions\n" in letter.replace("\n conv", " conv")
    assert "The base of these patches has BTF_KFUNC()" in letter
    for words in ("This series gives", "This is an RFC", "Alternatives", "wait until this series"):
        assert words not in letter


def letter_of(repo: Repo, where: Path, cli: Cli) -> str:
    """Return the cover letter of the draft."""
    code, document = cli(repo, "mail", "-o", str(where))
    assert code == 0, document
    return Path(document["series"][0]["cover"]).read_text()
