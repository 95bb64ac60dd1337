import os
from dataclasses import replace
from pathlib import Path

import pytest
from subjects import make_subject

from patchbot.checking.check import Check, Subject, load
from patchbot.checking.runner import run_checks
from patchbot.checking.store import Results
from patchbot.config import ChecksConfig
from patchbot.git.repo import Repo
from patchbot.model import Result, Status
from patchbot.run import run

TEXT = b"".join(b"line %d\n" % n for n in range(1, 60))
BODY = "x: Change {}\n\nThe change is needed.\n"


@pytest.fixture
def check() -> Check:
    return load("applies")


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    tree = tmp_path / "linux"
    for name, data in {"kernel/a.c": TEXT, "kernel/b.c": TEXT, "unrelated.c": TEXT, "latin.txt": b"\xe4\xff\n"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    run(["git", "init", "-q", "--template=", tree])
    run(["git", "add", "-A"], cwd=tree)
    run(["git", "commit", "-q", "-m", "Linux 7.99"], cwd=tree)
    commits = [
        (BODY.format("a"), {"kernel/a.c": TEXT.replace(b"line 5\n", b"LINE 5\n")}),
        (BODY.format("b and add c"), {"kernel/b.c": TEXT + b"end\n", "new/c.c": b"int c;\n"}),
        (
            BODY.format("a again"),
            {"kernel/a.c": TEXT.replace(b"line 5\n", b"LINE 5\n") + b"end", "latin.txt": b"\xe4\xf6\n"},
        ),
    ]
    return make_subject(Repo.open(tree), "HEAD", commits, tmp_path, {"new/c.c": "100755"})


def with_mail(subject: Subject, number: int, old: bytes, new: bytes) -> Subject:
    commit = subject.items[number - 1].commit
    mail = subject.mails[commit]
    assert mail.count(old) == 1
    return replace(subject, mails={**subject.mails, commit: mail.replace(old, new)})


def statuses(subject: Subject, tmp_path: Path) -> tuple[str, list[Result]]:
    store = Results(tmp_path / "results.db")
    results = run_checks(subject, ChecksConfig(run=("applies",)), store)
    store.close()
    return " ".join(r.status.value for r in results), results


def test_a_good_series_passes_and_is_known_the_next_time(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(subject, tmp_path)
    assert text == "PASS PASS PASS", [(r.reason, r.findings) for r in results]
    assert all(r.cached for r in statuses(subject, tmp_path)[1])


def test_nothing_is_left_behind(subject: Subject, tmp_path: Path) -> None:
    before = sorted(p.name for p in subject.work.iterdir())
    refs = subject.repo.refs("refs/"), subject.scratch.git("for-each-ref").stdout
    statuses(subject, tmp_path)
    assert sorted(p.name for p in subject.work.iterdir()) == sorted([*before, "logs"])
    assert (subject.repo.refs("refs/"), subject.scratch.git("for-each-ref").stdout) == refs
    assert run(["git", "status", "--porcelain"], cwd=subject.repo.git_dir.parent).stdout == b""


def test_a_damaged_hunk_fails_at_its_patch_and_is_named(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(with_mail(subject, 2, b"\n line 58\n", b"\n line 5X\n"), tmp_path)
    assert text == "PASS FAIL SKIP"
    (finding,) = results[1].findings
    assert (finding.type, finding.file, finding.line) == ("HUNK", "kernel/b.c", 57)
    assert "@@ -57,3 +57,4 @@" in finding.message
    assert results[2].reason == "an earlier patch does not apply"


def test_a_corrupt_mail_fails(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(with_mail(subject, 1, b"@@ -2,7 +2,7 @@", b"@@ -2,7 +2,9 @@"), tmp_path)
    assert text == "FAIL SKIP SKIP"
    assert results[0].findings[0].type == "CORRUPT"


def test_a_mail_without_a_patch_fails(subject: Subject, tmp_path: Path) -> None:
    commit = subject.items[2].commit
    head = subject.mails[commit].split(b"\n---\n")[0]
    text, results = statuses(replace(subject, mails={**subject.mails, commit: head + b"\n"}), tmp_path)
    assert text == "PASS PASS FAIL"
    assert results[2].findings[0].type == "EMPTY"


def test_another_tree_fails_and_names_the_first_path(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(with_mail(subject, 2, b"\n+int c;\n", b"\n+int d;\n"), tmp_path)
    assert text == "PASS FAIL SKIP"
    (finding,) = results[1].findings
    assert (finding.type, finding.file) == ("TREE", "new/c.c")


def test_a_lost_mode_is_another_tree(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(with_mail(subject, 2, b"new file mode 100755", b"new file mode 100644"), tmp_path)
    assert text == "PASS FAIL SKIP"
    assert results[1].findings[0].file == "new/c.c"


@pytest.mark.parametrize(
    "message",
    ["[x] y: Change a\n\nBody.\n", "y: Change a\n\nBody.\n---\nthis is lost\n", "y: Change a\nas two lines\n\nBody.\n"],
)
def test_a_message_that_does_not_survive_fails(subject: Subject, tmp_path: Path, message: str) -> None:
    (tmp_path / "other").mkdir()
    other = make_subject(subject.repo, subject.base, [(message, {"kernel/a.c": TEXT + b"end\n"})], tmp_path / "other")
    text, results = statuses(other, tmp_path)
    assert text == "FAIL"
    assert results[0].findings[0].type == "MESSAGE"


def test_more_trailers_in_the_mail_are_fine(subject: Subject, tmp_path: Path) -> None:
    signed = b"The change is needed.\n\nSigned-off-by: A Developer <developer@example.org>\n---\n"
    assert statuses(with_mail(subject, 1, b"The change is needed.\n---\n", signed), tmp_path)[0] == "PASS PASS PASS"


def test_a_mail_of_another_base_does_not_apply(subject: Subject, tmp_path: Path) -> None:
    text, _ = statuses(replace(subject, items=subject.items[1:]), tmp_path)
    assert text == "FAIL SKIP", "without patch 1 the tree of patch 2 is another one"


def test_the_users_configuration_does_not_matter(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["HOME"], ".gitconfig").write_text(
        "[commit]\n\tgpgSign = true\n[core]\n\tautocrlf = true\n[apply]\n\twhitespace = fix\n[am]\n\tthreeWay = true\n"
    )
    assert statuses(subject, tmp_path)[0] == "PASS PASS PASS"


def test_a_missing_mail_is_an_error(subject: Subject, tmp_path: Path) -> None:
    text, results = statuses(replace(subject, mails={}), tmp_path)
    assert text == "ERROR ERROR ERROR"
    assert "has no mail" in results[0].reason


@pytest.mark.kernel
def test_thirty_patches_on_a_real_kernel(kernel73: object, tmp_path: Path) -> None:
    repo, base = kernel73.repo, kernel73.commit  # type: ignore[attr-defined]
    names = [p for p in sorted(repo.ls(base, "kernel/bpf")) if p.endswith(".c")][:30]
    commits = [(BODY.format(name), {name: repo.read(base, name) + b"/* end */\n"}) for name in names]
    subject = make_subject(repo, base, commits, tmp_path)
    text, results = statuses(subject, tmp_path)
    assert text == " ".join(["PASS"] * 30)
    assert sum(r.seconds for r in results) < 30
    assert {r.status for r in statuses(subject, tmp_path)[1]} == {Status.PASS}


@pytest.mark.parametrize("lie", ["exit 1", "kill -9 $$", "git() { :; }; exit 0"])
def test_a_git_am_that_lies_is_an_error(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    git = run(["sh", "-c", "command -v git"]).stdout.decode().strip()
    folder = tmp_path / "bin"
    folder.mkdir()
    # Does what it is asked but for `am`: that says one thing and does another.
    work = "" if "git()" in lie else f'{git} "$@"'
    text = f'#!/bin/sh\nfor word; do [ "$word" = am ] && {{ {work or ":"}; {lie}; }}; done\nexec {git} "$@"\n'
    (folder / "git").write_text(text)
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    text, results = statuses(subject, tmp_path)
    assert text == "ERROR ERROR ERROR", results
    assert "git am made" in results[0].reason


def test_lines_that_end_in_cr_are_kept(tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    tree.mkdir()
    dos = b"one\r\ntwo = 1 \r\nthree\r\n" + b"long " * 300 + b"\r\n"
    (tree / "dos.txt").write_bytes(dos)
    (tree / "unix.txt").write_bytes(b"a\nb\n")
    run(["git", "init", "-q", "--template=", tree])
    run(["git", "add", "-A"], cwd=tree)
    run(["git", "commit", "-q", "-m", "Linux 7.99"], cwd=tree)
    commits = [
        (BODY.format("dos"), {"dos.txt": dos.replace(b"two", "zw\xf6lf".encode()) + b"end \t\r\n"}),
        (BODY.format("unix to dos"), {"unix.txt": b"a\r\nb\n"}),
    ]
    text, _ = statuses(make_subject(Repo.open(tree), "HEAD", commits, tmp_path), tmp_path)
    assert text == "PASS PASS"
