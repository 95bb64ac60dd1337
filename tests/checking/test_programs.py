"""A person's program as a check: what it is given, what its output means, and what is wrong with its table."""

import json
import os
import re
from pathlib import Path

import pytest
from tinytree import build, commit, patchbot, sh

TABLE = '[checks.command.mine]\nrun = ["./mine", "{patch}", "{commit}"]\n'


@pytest.fixture
def work(tmp_path: Path) -> Path:
    build(tmp_path / "linux")
    (tmp_path / "patchbot.toml").write_text(f'[kernel]\npath = "linux"\n{TABLE}')
    patchbot("generate", cwd=tmp_path)
    return tmp_path


def program(work: Path, text: str) -> None:
    (work / "mine").write_text(f"#!/bin/sh\n{text}\n")
    (work / "mine").chmod(0o755)


def said(work: Path, code: int, *more: str) -> str:
    return " ".join(patchbot("check", "--only", "mine", "--patches", "1", *more, cwd=work, code=code).stdout.split())


def test_it_gets_the_patch_and_its_commit(work: Path) -> None:
    program(work, 'cp "$1" got; git log -1 --format=%s "$2" > subject; test -z "$(cat)"')
    assert "1 PASS" in said(work, 0)
    subject = sh(work / "linux", "git", "log", "--reverse", "--format=%s", "master..patchbot/kfunc_flags").split("\n")[
        0
    ]
    assert subject[:40] in (work / "got").read_text()
    assert (work / "subject").read_text().strip() == subject


def test_its_lines_are_findings(work: Path) -> None:
    program(work, "echo kernel/bpf/btf.c:12: too long; echo note; echo a.c:3:4: warning: odd >&2; exit 3")
    text = said(work, 1)
    assert "kernel/bpf/btf.c:12: FAIL too long" in text
    assert "a.c:3: WARN warning: odd" in text
    program(work, "echo kernel/bpf/btf.c:12: too long")
    assert "kernel/bpf/btf.c:12: WARN too long" in said(work, 0)
    program(work, "echo it is bad; exit 3")
    assert "exit status 3: it is bad" in said(work, 1)
    program(work, "exit 4")
    assert "exit status 4: it printed nothing" in said(work, 1)


def test_the_result_is_known_until_the_program_changes(work: Path) -> None:
    program(work, "echo x >> runs")
    assert "0 of 1 known before" in said(work, 0)
    assert "1 of 1 known before" in said(work, 0)
    program(work, "echo x >> runs # newer")
    assert "0 of 1 known before" in said(work, 0)
    assert (work / "runs").read_text() == "x\n" * 2


def test_one_that_hangs_floods_or_is_killed(work: Path) -> None:
    (work / "patchbot.toml").write_text(f'[kernel]\npath = "linux"\n{TABLE}timeout = 1\n')
    program(work, "sleep 60")
    assert "took longer than 1 s and was killed" in said(work, 3)
    program(work, "kill -9 $$")
    assert "was killed by SIGKILL" in said(work, 3)
    (work / "bad").touch()
    (work / "patchbot.toml").write_text(f'[kernel]\npath = "linux"\n{TABLE}')
    program(work, "test ! -e bad || head -c 100000000 /dev/zero")
    assert "wrote more than 64 MB and was killed" in said(work, 3)
    (work / "bad").unlink()
    assert "0 of 1 known before" in said(work, 0), "nothing of it is kept"
    program(work, "echo a.c:1: first; head -c 30000000 /dev/zero; exit 1")
    assert "a.c:1: FAIL first" in said(work, 1)


def test_all_that_it_says_is_read_and_what_is_left_out_is_said(work: Path) -> None:
    program(work, "yes 'kernel/bpf/btf.c: fine' | head -c 1048550; echo; echo kernel/bpf/btf.c:1234: odd; exit 1")
    assert "kernel/bpf/btf.c:1234: FAIL odd" in said(work, 1), "it is after the first MB"
    program(work, "seq 1 20000 | sed 's/.*/a.c:&: warning: odd/'; echo the end; exit 1")
    text = said(work, 1)
    assert "it names 20000 places, of which the first 1000 are here" in text
    assert "exit status 1: the end" in text
    program(work, "printf 'a.c:7: '; head -c 100000 /dev/zero | tr '\\0' x; echo; echo b.c:8: more; exit 1")
    found = json.loads(patchbot("check", "--only", "mine", "--patches", "1", "--json", cwd=work, code=1).stdout)
    rows = [(row["file"], row["line"], row["message"]) for row in found["results"][0]["findings"]]
    assert rows == [("a.c", 7, "x" * 1000 + " [...]"), ("b.c", 8, "more")]


def test_names_with_colons_blanks_and_other_bytes_are_found(work: Path) -> None:
    names = ["net/a:1: b.c", "net/ü c.c", " d.c", "net/\udcff.c"]
    commit(work / "linux", "net: Add odd names\n\nWhy.\n", dict.fromkeys(names, b"int a;\n"))
    (work / "mine").write_bytes(
        b"#!/bin/sh\n" + os.fsencode("".join(f"echo './{name}:3: odd'\n" for name in names)) + b"echo 'net/a:2: it'\n"
    )
    (work / "mine").chmod(0o755)
    argv = ("check", "HEAD~1..HEAD", "--only", "mine", "--json", "-C", "linux", "--config", "../patchbot.toml")
    for known in (False, True):
        (result,) = json.loads(patchbot(*argv, cwd=work).stdout)["results"]
        rows = [(row["file"], row["line"], row["message"]) for row in result["findings"]]
        assert rows == [(name.replace("\udcff", "\\udcff"), 3, "odd") for name in names] + [("net/a", 2, "it")]
        assert result["cached"] == known


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ('run = ["./none"]', "none is not a program (chmod +x)"),
        ('run = ["./mine", "{patchs}"]', "nothing is called {patchs}; did you mean patch?"),
        ("run = []", "checks.command.mine.run"),
        ('runs = ["./mine"]', "unknown key 'runs'; did you mean run?"),
        ('run = ["./mine"]\n[checks.mine]\nx = 1', "unknown key 'x'"),
    ],
)
def test_a_wrong_table_is_refused(work: Path, table: str, wanted: str) -> None:
    program(work, "")
    (work / "patchbot.toml").write_text(f'[kernel]\npath = "linux"\n[checks.command.mine]\n{table}\n')
    done = patchbot("check", "--only", "mine", cwd=work, code=3 if "chmod" in wanted else 2)
    assert re.sub(r"\s+", " ", wanted) in " ".join((done.stdout + done.stderr).split())


def test_it_is_listed_and_its_name_is_its_own(work: Path) -> None:
    program(work, "")
    assert "mine: the program ./mine" in patchbot("checks", cwd=work).stdout
    text = (work / "patchbot.toml").read_text().replace("command.mine", "command.applies")
    (work / "patchbot.toml").write_text(text)
    assert "two checks are called applies" in patchbot("checks", cwd=work, code=2).stderr


def test_a_repository_cannot_name_one(work: Path) -> None:
    (work / "patchbot.toml").unlink()
    (work / "linux/.git/patchbot.toml").write_text(TABLE)
    program(work / "linux", "touch ran")
    assert "there is no check 'mine'" in patchbot("check", "--only", "mine", cwd=work / "linux", code=2).stderr
    assert not (work / "linux/ran").exists()
