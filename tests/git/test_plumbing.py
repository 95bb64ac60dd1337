"""What a repository or a person's configuration says must not redirect git, start a program or change what git says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tinytree import build

from patchbot.git.held import held
from patchbot.git.repo import Repo, Scratch
from patchbot.git.worktree import WorkTree
from patchbot.run import clean_env, run, which

CPUMASK = "kernel/bpf/cpumask.c"
BRANCH = "refs/heads/patchbot/kfunc_flags"
Cli = Callable[..., tuple[int, Any]]


def git(repo: Repo, *argv: str, stdin: str | None = None) -> str:
    where = repo.git_dir.parent
    done = subprocess.run(
        ["git", *argv], cwd=where, input=stdin, check=True, capture_output=True, errors="surrogateescape"
    )
    return done.stdout.strip()


def entries(cli: Cli, repo: Repo) -> list[str]:
    code, document = cli(repo, "scan")
    assert code == 0, document
    return [f"{e['file']}:{e['line']} {e['kfunc']}" for e in document["entries"]]


def canary(repo: Repo) -> tuple[Path, Path]:
    """Return a program, and the file that it writes if anything starts it."""
    program, sung = repo.git_dir / "canary.sh", repo.git_dir / "sung"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >>{sung}\nexit 1\n')
    program.chmod(0o755)
    return program, sung


@pytest.mark.parametrize(
    "name", ["$PBTEST", "${PBTEST}", "~root", "%h", "a:b", '"q"', "#x", "new\nline", "latin\udce9"]
)
def test_a_repository_is_where_its_path_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, name: str
) -> None:
    other, repo = build(tmp_path / "other"), build(tmp_path / name)
    monkeypatch.setenv("PBTEST", "other")
    monkeypatch.chdir(tmp_path)
    code, said = cli(repo, "generate")
    assert code == 0, said
    assert repo.ref(BRANCH)
    assert other.ref(BRANCH) is None
    code, said = cli(repo, "check", "--only", "applies,checkpatch")
    assert code == 0, said


@pytest.mark.parametrize(
    "name",
    [
        "GIT_DIR",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "GIT_NAMESPACE",
        "GIT_REPLACE_REF_BASE",
        "GIT_GRAFT_FILE",
        "GIT_SHALLOW_FILE",
        "GIT_CONFIG",
        "GIT_EXEC_PATH",
        "GIT_EXTERNAL_DIFF",
        "GIT_ATTR_SOURCE",
        "GIT_DEFAULT_HASH",
        "GIT_LITERAL_PATHSPECS",
        "GIT_ICASE_PATHSPECS",
        "GIT_PYTHON_GIT_EXECUTABLE",
        "GIT_TRACE",
    ],
)
def test_git_variables_of_the_environment_change_nothing(
    tiny: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, name: str
) -> None:
    before = entries(cli, tiny)
    (tmp_path / "empty/pack").mkdir(parents=True)
    monkeypatch.setenv(name, str(tmp_path / "empty"))
    assert entries(cli, Repo.open(tiny.git_dir)) == before


def test_a_child_gets_what_is_let_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = (
        "KCONFIG_CONFIG",
        "LLVM",
        "KBUILD_OUTPUT",
        "ARCH",
        "PYTHONPATH",
        "PERL5OPT",
        "MAKEFILES",
        "LD_PRELOAD",
        "CDPATH",
    )
    for name in names:
        monkeypatch.setenv(name, str(tmp_path))
    assert not set(clean_env()) & set(names)
    assert clean_env({"LLVM": "1"})["LLVM"] == "1"


@pytest.mark.parametrize("folder", [".", "", "scripts"])
def test_a_program_is_not_looked_for_in_the_tree_that_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    (place / "git").write_text("#!/bin/sh\necho of the tree\n")
    (place / "git").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert Path(which("git")).is_absolute()
    assert b"git version" in run(["git", "--version"], cwd=tmp_path).stdout


def replaced(repo: Repo) -> None:
    old = git(repo, "rev-parse", f"HEAD:{CPUMASK}")
    text = git(repo, "cat-file", "blob", old) + "\n/* replaced */\n"
    git(repo, "replace", old, git(repo, "hash-object", "-w", "--stdin", stdin=text))


def emptied(repo: Repo) -> None:
    old = git(repo, "rev-parse", f"HEAD:{CPUMASK}")
    git(repo, "replace", old, git(repo, "hash-object", "-w", "--stdin", stdin="int nothing;\n"))


def another_commit(repo: Repo) -> None:
    tree = git(repo, "rev-parse", "HEAD:kernel")
    git(repo, "replace", "HEAD", git(repo, "commit-tree", tree, "-m", "another"))


def grafted(repo: Repo) -> None:
    (repo.git_dir / "info").mkdir(exist_ok=True)
    (repo.git_dir / "info/grafts").write_text(f"{repo.resolve('HEAD')} {'1' * 40}\n")


@pytest.mark.parametrize("redirect", [replaced, emptied, another_commit, grafted])
def test_what_is_replaced_is_never_seen(tmp_path: Path, cli: Cli, redirect: Callable[[Repo], None]) -> None:
    plain, other = build(tmp_path / "plain"), build(tmp_path / "other")
    redirect(other)
    assert entries(cli, other) == entries(cli, plain)
    tips = [cli(repo, "generate")[1]["tip"] for repo in (plain, other)]
    assert tips[0] == tips[1]
    code, said = cli(other, "check", "--only", "applies")
    assert code == 0, said
    assert cli(other, "mail", "-o", str(tmp_path / "out"))[0] == 0
    assert not [p for p in (tmp_path / "out").glob("*.patch") if b"replaced */" in p.read_bytes()]


def test_a_repository_starts_no_program(tiny: Repo, cli: Cli, tmp_path: Path) -> None:
    program, sung = canary(tiny)
    (tiny.git_dir / "hooks").mkdir(exist_ok=True)
    for hook in (
        "reference-transaction",
        "post-checkout",
        "post-index-change",
        "post-commit",
        "update",
        "applypatch-msg",
    ):
        (tiny.git_dir / "hooks" / hook).symlink_to(program)
    (tiny.git_dir / "info").mkdir(exist_ok=True)
    (tiny.git_dir / "info/attributes").write_text("* diff=evil filter=evil merge=evil\n")
    settings = (
        "core.fsmonitor",
        "gpg.program",
        "gpg.ssh.program",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
    )
    settings += ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "merge.evil.driver", "core.pager")
    settings += ("core.sshCommand", "core.askPass", "core.editor", "credential.helper", "sequence.editor", "alias.log")
    for name in settings:
        git(tiny, "config", name, str(program))
    git(tiny, "config", "log.showSignature", "true")
    mbox = tmp_path / "mbox"
    mbox.write_text(
        "From x Thu Jan  1 00:00:00 2026\nFrom: A <a@example.org>\nMessage-ID: <1@x>\nSubject: Re: x\n\nhi\n"
    )
    base = tiny.resolve("HEAD")
    calls = [
        ["scan"],
        ["generate"],
        ["generate"],
        ["status"],
        ["check", "--only", "applies,checkpatch,build"],
        ["diff"],
    ]
    calls += [["mail", "-o", str(tmp_path / "out")], ["trailers", "--mbox", str(mbox)], ["freeze"], ["edits"], ["diff"]]
    calls += [["regenerate", "--onto", base], ["report", "--html", str(tmp_path / "p.html")]]
    for argv in calls:
        assert cli(tiny, *argv)[0] in (0, 2), argv
        assert not sung.exists(), (argv, sung.read_text())


def test_the_bytes_of_a_tree_are_checked_out(tiny: Repo, sealed: Path, tmp_path: Path) -> None:
    """Neither attributes in the tree nor a filter that the person's configuration defines decide what is compiled."""
    program, sung = canary(tiny)
    for name in ("smudge", "clean"):
        git(tiny, "config", "--global", f"filter.lfs.{name}", f"{program} {name}")
    git(tiny, "config", "--global", "core.autocrlf", "true")
    work = tiny.git_dir.parent
    (work / ".gitattributes").write_text(
        "*.c filter=lfs eol=crlf ident working-tree-encoding=UTF-16\n*.h text eol=crlf\n"
    )
    (work / "id.c").write_bytes(b"/* $Id$ */\n")
    git(tiny, "-c", "core.autocrlf=false", "add", "-f", ".gitattributes")
    oid = git(tiny, "hash-object", "-w", "--no-filters", "id.c")
    git(tiny, "update-index", "--add", "--cacheinfo", f"100644,{oid},id.c")
    sung.unlink(missing_ok=True)
    tree = git(tiny, "write-tree")
    place = WorkTree.at(tmp_path / "tree", Scratch.at(tmp_path / "s.git", tiny))
    place.move(tree)
    assert not sung.exists()
    for path in ("id.c", CPUMASK, "include/linux/btf.h"):
        assert (place.path / path).read_bytes() == subprocess.run(
            ["git", "cat-file", "blob", f"{tree}:{path}"], cwd=work, check=True, capture_output=True
        ).stdout


@pytest.mark.parametrize(
    "settings",
    [
        {"color.ui": "always", "color.grep.filename": "magenta", "color.diff": "always"},
        {"log.showSignature": "true"},
        {"grep.lineNumber": "true", "grep.column": "true", "grep.fullName": "false", "grep.patternType": "perl"},
        {
            "log.date": "relative",
            "log.follow": "true",
            "log.mailmap": "true",
            "format.pretty": "oneline",
            "log.decorate": "full",
        },
        {
            "diff.noprefix": "true",
            "diff.mnemonicPrefix": "true",
            "diff.renames": "copies",
            "diff.context": "0",
            "diff.algorithm": "patience",
        },
        {"core.quotePath": "false", "core.abbrev": "4", "core.commentChar": "!", "core.precomposeUnicode": "true"},
        {
            "format.attach": "x",
            "format.signature": "s",
            "format.subjectPrefix": "X",
            "format.thread": "deep",
            "format.noprefix": "true",
        },
        {"i18n.logOutputEncoding": "ISO-8859-1", "diff.ignoreSubmodules": "all", "blame.blankBoundary": "true"},
        {
            "apply.whitespace": "error-all",
            "am.threeWay": "true",
            "am.keepcr": "true",
            "mailinfo.scissors": "true",
            "core.whitespace": "tab-in-indent",
        },
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_persons_configuration_changes_nothing(
    tmp_path: Path, sealed: Path, cli: Cli, settings: dict[str, str]
) -> None:
    plain, other = build(tmp_path / "plain"), build(tmp_path / "other")

    def all_of(repo: Repo) -> object:
        scan, made = entries(cli, repo), cli(repo, "generate")[1]
        checked = cli(repo, "check", "--only", "applies,checkpatch")[1]["results"]
        status = cli(repo, "status")
        out = tmp_path / f"out-{repo.git_dir.parent.name}"
        date = "2026-01-02T03:04:05+00:00"
        assert cli(repo, "mail", "-o", str(out), "--date", date)[0] == 0
        mails = {p.name: p.read_bytes() for p in out.glob("*.patch")}
        return (
            scan,
            made["tip"],
            [(r["check"], r["patch"], r["status"], r["findings"]) for r in checked],
            status[0],
            mails,
        )

    before = all_of(plain)
    for name, value in settings.items():
        git(other, "config", "--global", name, value)
    assert all_of(other) == before


def test_a_repository_of_another_owner_is_gits_to_allow(tiny: Repo, cli: Cli) -> None:
    if os.geteuid():
        pytest.skip("only root can give a folder to another owner")
    program, sung = canary(tiny)
    assert cli(tiny, "generate")[0] == 0
    git(tiny, "config", "core.fsmonitor", str(program))
    work = tiny.git_dir.parent
    run(["chown", "-R", "1000:1000", work])
    before = sorted(work.rglob("*"))
    for argv in (["scan"], ["status"], ["generate"], ["check", "--only", "applies"], ["freeze"]):
        code, said = cli(tiny, *argv)
        assert (code, "dubious ownership" in str(said)) == (2, True), said
    assert sorted(work.rglob("*")) == before
    assert not sung.exists()
    run(["git", "config", "--global", "--add", "safe.directory", work])
    run(["git", "config", "--global", "--add", "safe.directory", tiny.git_dir])
    assert cli(tiny, "status")[0] == 0


@pytest.mark.parametrize("what", ["gone", "damaged", "another", "empty"])
@pytest.mark.parametrize("lost", [CPUMASK, "kernel/bpf"])
def test_an_object_that_cannot_be_read_is_an_error(tiny: Repo, cli: Cli, what: str, lost: str) -> None:
    oid = git(tiny, "rev-parse", f"HEAD:{lost}")
    text = (tiny.git_dir.parent / CPUMASK).read_text(errors="surrogateescape") + "int one_more;\n"
    foreign = git(tiny, "hash-object", "-w", "--stdin", stdin=text)
    place, other = (tiny.git_dir / f"objects/{o[:2]}/{o[2:]}" for o in (oid, foreign))
    place.chmod(0o644)
    if what == "gone":
        place.unlink()
    else:
        place.write_bytes({"damaged": b"garbage", "another": other.read_bytes(), "empty": b""}[what])
    for argv in (["scan"], ["generate"]):
        code, said = cli(tiny, *argv)
        assert code == 2, said
        assert oid in str(said) or lost in str(said) or "tree object" in str(said)
    assert not tiny.refs("refs/heads/patchbot")


def test_what_one_repository_answers_is_not_believed_of_another(tmp_path: Path, cli: Cli) -> None:
    """Two repositories with one tree: the object that one of them has damaged must not be missed in the other."""
    good, bad = build(tmp_path / "good"), build(tmp_path / "bad")
    git(bad, "config", "core.looseCompression", "0")
    oid = git(bad, "rev-parse", f"HEAD:{CPUMASK}")
    place = bad.git_dir / f"objects/{oid[:2]}/{oid[2:]}"
    plain = git(bad, "hash-object", "-w", "--stdin", stdin="int nothing;\n")
    place.chmod(0o644)
    place.write_bytes((bad.git_dir / f"objects/{plain[:2]}/{plain[2:]}").read_bytes())
    cli(bad, "scan")
    assert any(CPUMASK in row for row in entries(cli, good))


def test_a_repository_with_sha256(tmp_path: Path, cli: Cli) -> None:
    sha1 = build(tmp_path / "sha1")
    repo = build(tmp_path / "sha256")
    shutil.rmtree(repo.git_dir)
    for argv in (["init", "-q", "--object-format=sha256"], ["add", "-A"], ["commit", "-qm", "Linux 7.99"]):
        git(repo, *argv)
    repo = Repo.open(repo.git_dir)
    assert len(repo.resolve("HEAD")) == 64
    assert entries(cli, repo) == entries(cli, sha1)
    for argv in (["generate"], ["check", "--only", "applies,checkpatch"], ["freeze"], ["status"], ["edits"]):
        code, said = cli(repo, *argv)
        assert code == 0, said
    assert cli(repo, "mail", "-o", str(tmp_path / "out"))[0] in (0, 1)


def rebased(repo: Repo, work: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "patchbot/kfunc_flags"], cwd=work, check=True)
    env = {**os.environ, "GIT_SEQUENCE_EDITOR": "sed -i 1s/pick/edit/", "GIT_EDITOR": "true"}
    subprocess.run(["git", "rebase", "-q", "-i", "HEAD~2"], cwd=work, check=True, env=env, capture_output=True)


def applied(repo: Repo, work: Path) -> None:
    """A rebase by git am that stops at a conflict."""
    subprocess.run(["git", "checkout", "-q", "-b", "aside", "patchbot/kfunc_flags~1"], cwd=work, check=True)
    path = subprocess.run(
        ["git", "diff", "--name-only", "patchbot/kfunc_flags~1", "patchbot/kfunc_flags"],
        cwd=work,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[0]
    (work / path).write_text("another text\n")
    subprocess.run(["git", "commit", "-qam", "aside"], cwd=work, check=True)
    subprocess.run(["git", "checkout", "-q", "patchbot/kfunc_flags"], cwd=work, check=True)
    subprocess.run(["git", "rebase", "-q", "--apply", "aside"], cwd=work, check=False, capture_output=True)
    assert (work / ".git/rebase-apply").is_dir() or list(repo.common_dir.glob("worktrees/*/rebase-apply"))


def bisected(repo: Repo, work: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "patchbot/kfunc_flags"], cwd=work, check=True)
    subprocess.run(["git", "bisect", "start", "HEAD", "HEAD~3"], cwd=work, check=True, capture_output=True)


def updated_with_another(repo: Repo, work: Path) -> None:
    """The branch stands in the middle of another one that a rebase --update-refs rewrites."""
    subprocess.run(["git", "checkout", "-q", "-b", "above", "patchbot/kfunc_flags"], cwd=work, check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "above"], cwd=work, check=True)
    env = {**os.environ, "GIT_SEQUENCE_EDITOR": "sed -i 1s/pick/edit/", "GIT_EDITOR": "true"}
    argv = ["git", "rebase", "-q", "-i", "--update-refs", "HEAD~3"]
    subprocess.run(argv, cwd=work, check=True, env=env, capture_output=True)


def checked_out(repo: Repo, work: Path) -> None:
    subprocess.run(["git", "checkout", "-q", "patchbot/kfunc_flags"], cwd=work, check=True)


def reached_by_another_name(repo: Repo, work: Path) -> None:
    subprocess.run(["git", "symbolic-ref", "refs/heads/alias", BRANCH], cwd=work, check=True)
    subprocess.run(["git", "symbolic-ref", "HEAD", "refs/heads/alias"], cwd=work, check=True)


def a_name_for_another(repo: Repo, work: Path) -> None:
    subprocess.run(["git", "branch", "-q", "mine", "patchbot/kfunc_flags"], cwd=work, check=True)
    subprocess.run(["git", "symbolic-ref", BRANCH, "refs/heads/mine"], cwd=work, check=True)


STATES = [rebased, applied, bisected, updated_with_another, checked_out, reached_by_another_name, a_name_for_another]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("linked", [False, True])
def test_a_branch_that_somebody_has_is_not_moved(
    tiny: Repo, cli: Cli, tmp_path: Path, state: Callable[[Repo, Path], None], linked: bool
) -> None:
    assert cli(tiny, "generate")[0] == 0
    work, base = tiny.git_dir.parent, tiny.resolve("HEAD")
    if linked:
        work = tmp_path / "linked"
        git(tiny, "worktree", "add", "-q", "--detach", str(work))
    state(tiny, work)
    before = tiny.refs("refs")
    assert held(tiny, BRANCH)
    git(tiny, "config", "user.name", "Another Person")  # so that the commits are others
    for argv in (["generate", "--base", base], ["regenerate", "--onto", base, "--discard-edits"]):
        code, said = cli(tiny, *argv)
        assert (code, "patchbot/kfunc_flags" in str(said)) == (2, True), said
    assert tiny.refs("refs") == before


def test_a_branch_that_is_about_to_be_born_is_somebodys(tiny: Repo, cli: Cli) -> None:
    base = tiny.resolve("HEAD")
    git(tiny, "symbolic-ref", "HEAD", BRANCH)
    code, said = cli(tiny, "generate", "--base", base)
    assert (code, "checked out" in str(said)) == (2, True)


def test_another_record_is_not_moved_through_a_symbolic_ref(tiny: Repo, cli: Cli) -> None:
    assert cli(tiny, "generate")[0] == 0
    record, master = "refs/patchbot/kfunc_flags/draft", tiny.resolve("HEAD")
    git(tiny, "branch", "mine", record)
    git(tiny, "symbolic-ref", record, "refs/heads/mine")
    mine = tiny.ref("refs/heads/mine")
    git(tiny, "config", "user.name", "Another Person")
    cli(tiny, "generate")
    assert (tiny.ref("refs/heads/mine"), tiny.ref("refs/heads/master")) == (mine, master)


def test_without_git_one_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli, tiny: Repo) -> None:
    patchbot = [sys.executable, "-m", "patchbot.cli"]
    for argv in (["--version"], ["--help"], ["doctor"]):
        done = subprocess.run([*patchbot, *argv], env={"PATH": str(tmp_path)}, cwd=tmp_path, capture_output=True)
        assert done.returncode in (0, 1), done.stderr
    assert b"git-email" in done.stdout
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = cli(tiny, "scan")
    assert (code, "git is not installed; Debian has it in the package git" in said) == (3, True)


def lie(repo: Repo, tip: str, parent: str) -> None:
    """Write a commit-graph which says that `parent` is the first parent of `tip`."""
    git(repo, "commit-graph", "write", "--reachable")
    file = repo.objects / "info/commit-graph"
    data = bytearray(file.read_bytes())
    chunks = {bytes(data[at : at + 4]): int.from_bytes(data[at + 4 : at + 12], "big") for at in range(8, 56, 12)}
    ids, rows = chunks[b"OIDL"], chunks[b"CDAT"]
    order = [data[at : at + 20].hex() for at in range(ids, rows, 20)]
    at = rows + 36 * order.index(tip) + 20
    data[at : at + 4] = order.index(parent).to_bytes(4, "big")
    file.chmod(0o644)
    file.write_bytes(data[:-20] + hashlib.sha1(data[:-20]).digest())


def test_a_commit_graph_that_lies_hides_no_patch(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux")
    assert cli(repo, "generate")[0] == 0
    base, tip = git(repo, "rev-parse", "HEAD"), git(repo, "rev-parse", BRANCH)
    before = repo.commits(base, tip)
    lie(repo, before[-2].sha, before[-5].sha)
    assert len(git(repo, "rev-list", f"{base}..{tip}").split()) == len(before) - 2
    assert repo.commits(base, tip) == before
    assert repo.resolve(f"{BRANCH}~2") == before[-3].sha
    scratch = Scratch.at(tmp_path / "scratch.git", repo)
    assert len(scratch.git("rev-list", f"{base}..{tip}").stdout.split()) == len(before)


def test_no_branch_is_written_through_a_link_to_another_repository(tmp_path: Path, cli: Cli) -> None:
    other, repo = build(tmp_path / "other"), build(tmp_path / "linux")
    theirs = other.git_dir / "refs/heads/patchbot"
    theirs.mkdir()
    (repo.git_dir / "refs/heads/patchbot").symlink_to(theirs)
    code, said = cli(repo, "generate")
    assert code == 2
    assert f"lies in {theirs}, another repository" in str(said)
    assert not list(theirs.iterdir())


def test_refs_and_objects_borrowed_by_links_are_one_repository(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux")
    (work := tmp_path / "work/.git").mkdir(parents=True)
    for name in ("refs", "objects", "config", "packed-refs", "info"):
        (work / name).symlink_to(repo.git_dir / name)
    shutil.copy(repo.git_dir / "HEAD", work)
    code, said = cli(Repo.open(work.parent), "generate")
    assert code == 0, said
    assert repo.ref(BRANCH)


def test_a_damaged_ref_is_named(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux")
    file = repo.git_dir / "refs/patchbot/kfunc_flags/draft"
    file.parent.mkdir(parents=True)
    file.write_text("bad\n")
    code, said = cli(repo, "generate")
    assert code == 2
    assert f"{file} is damaged" in str(said)


def test_a_work_tree_that_is_gone_frees_its_branch_as_is_said(tmp_path: Path, cli: Cli) -> None:
    repo = build(tmp_path / "linux")
    assert cli(repo, "generate")[0] == 0
    git(repo, "worktree", "add", "-q", str(tmp_path / "gone"), "patchbot/kfunc_flags")
    shutil.rmtree(tmp_path / "gone")
    code, said = cli(repo, "generate")
    way = str(said).partition("a work tree that is gone; free it with: ")[2].partition(" (")[0]
    assert (code, way) == (2, f"git --git-dir={repo.git_dir} worktree prune")
    subprocess.run(way.split(), check=True)
    assert cli(repo, "generate")[0] == 0
