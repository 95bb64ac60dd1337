"""get_maintainer.pl runs outside of the user's tree, and nothing it prints gets into a header unchecked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import RealKernel
from tinytree import TESTS, commit

from patchbot.errors import MissingTool, ToolError, UserError
from patchbot.git.repo import Repo
from patchbot.mail.recipients import (
    MAINTAINERS,
    READ,
    SCRIPT,
    Recipient,
    ask,
    export,
    parse,
    recipient_of,
    recipients,
    without_guesses,
)
from patchbot.run import run
from patchbot.sandbox import NORMAL
from patchbot.series import maintainers

LOGS = TESTS / "logs"

# Says who is in MAINTAINERS if the patch touches a file, and what it was given.
ASK = b"""#!/usr/bin/perl
die "not a kernel" unless -f "COPYING" && -d "lib" && -e "MAINTAINERS";
my $files = join(",", map { m{^\\+\\+\\+ b/(\\S+)} ? $1 : () } <STDIN>);
die "$files\\n" if $files =~ /broken/;
open(my $in, "<", "MAINTAINERS") or die;
while (<$in>) { print "$1 (maintainer:$files @ARGV)\\n" if /^M:\\t(.*)/; }
print "folder (open list)\\n" if -d "drivers/folder";
"""


def patch(path: str, sha: str = "a" * 40) -> bytes:
    head = f"From {sha} Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n\nbody\n---\n"
    return f"{head}diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n".encode()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    where = tmp_path / "linux"
    run(["git", "init", "-q", "--template=", where])
    people = b"NAME\nM:\tJos\xc3\xa9 <jose@example.org>\nF:\tdrivers/folder\nF:\tlib/\n"
    commit(where, "base", {SCRIPT: ASK, "MAINTAINERS": people, "drivers/folder/a.c": b"a\n"})
    return Repo.open(where)


def test_logs_of_two_releases() -> None:
    new = parse((LOGS / "get_maintainer-7.3.txt").read_text())
    assert len(new.everyone) == 53
    assert new.rejected == ()
    assert new.to[2] == Recipient("macro@orcam.me.uk", "Maciej W. Rozycki", "maintainer:3C509 NETWORK DRIVER")
    assert str(new.to[2]) == '"Maciej W. Rozycki" <macro@orcam.me.uk>'
    assert [str(r) for r in new.cc if r.is_list][:2] == ["linux-kernel@vger.kernel.org", "linux-input@vger.kernel.org"]
    assert "Tejun Heo" in {r.name for r in new.cc}
    assert not {r.email for r in new.to} & {r.email for r in new.cc}
    old = parse((LOGS / "get_maintainer-6.12.txt").read_text())
    assert "Alexei Starovoitov <ast@kernel.org>" in map(str, old.to), "6.12 says supporter where 7.3 says maintainer"
    assert len(old.everyone) == 46


@pytest.mark.parametrize(
    "line",
    [
        "Eve <eve@example.org>\rBcc: victim@example.org (maintainer:X)",
        "Eve\x0bBcc: <eve@example.org> (maintainer:X)",
        "Bcc: eve@example.org (open list)",
        "Eve <eve@example.org, victim@example.org> (maintainer:X)",
        "Eve <eve> (maintainer:X)",
        "Eve <eve@> (maintainer:X)",
        "Eve <@example.org> (maintainer:X)",
        "Eve <eve@exa$mple.org> (maintainer:X)",
        "Eve <\u00e9ve@example.org> (maintainer:X)",
        "Eve <a@b.example> <c@d.example> (maintainer:X)",
        "nobody",
    ],
)
def test_what_is_no_address_is_rejected(line: str) -> None:
    assert recipient_of(line) is None
    assert parse(line + "\n").rejected == (line,)


def test_quotes_around_a_name_are_not_a_part_of_it() -> None:
    named = {text: str(recipient_of(f"{text} <x@example.org>")) for text in ('"Jr., J"', 'J "Jay" X', 'J "Jay"', '"')}
    assert [text.removesuffix(" <x@example.org>") for text in named.values()] == [
        '"Jr., J"',
        r'"J \"Jay\" X"',
        r'"J \"Jay\""',
        r'"\""',
    ]


def test_roles_decide_between_to_and_cc() -> None:
    who = parse(
        "A (B) <a@example.org> (maintainer:X (y))\n"
        "k@example.org (maintainer:X:Keyword:foo)\n"
        "r@example.org (reviewer:X)\n"
        "l@example.org (moderated list:X)\n"
        "A@example.org (reviewer:Y)\n"
    )
    assert [r.email for r in who.to] == ["a@example.org"]
    assert who.to[0].name == "A (B)"
    assert [r.email for r in who.cc] == ["k@example.org", "r@example.org", "l@example.org"]


ENTRIES = b"""Maintainers
TEST FRAMEWORK
M:\tT <t@example.org>
F:\ttests/

ARM/STM32 ARCHITECTURE AND FIRMWARE
M:\tChip <chip@example.org>
N:\tstm

OTHER CHIP
M:\tO <o@example.org>
N:\tother
"""


def test_who_is_in_it_for_the_letters_of_a_path_gets_nothing() -> None:
    entries = maintainers.sections(ENTRIES)
    said = (
        "T <t@example.org> (maintainer:TEST FRAMEWORK)\n"
        "Chip <chip@example.org> (maintainer:ARM/STM32 ARCHITECTURE AND FIR...)\n"
        "stm@example.org (moderated list:ARM/STM32 ARCHITECTURE AND FIR...)\n"
        "Both <both@example.org> (reviewer:TEST FRAMEWORK,maintainer:ARM/STM32 ARCHITECTURE AND FIR...)\n"
        "O <o@example.org> (maintainer:OTHER CHIP)\n"
    )
    who = without_guesses(parse(said), entries, ["tests/testmod.c", "drivers/other.c"])
    assert [r.email for r in who.everyone] == ["t@example.org", "both@example.org", "o@example.org"]
    assert [r.email for r in who.guessed] == ["chip@example.org", "stm@example.org"]
    named = without_guesses(parse(said), entries, ["tests/testmod.c", "drivers/stm.c"])
    assert named.guessed == (), "nobody else names drivers/stm.c"


def test_runs_the_trees_own_script_once(repo: Repo, tmp_path: Path) -> None:
    base = repo.resolve("HEAD")
    cache = tmp_path / "cache"
    before = sorted((tmp_path / "linux").rglob("*"))
    first, second = recipients(repo, base, [patch("lib/a.c"), patch("lib/b.c")], cache)
    assert [str(r) for r in first.everyone] == ["José <jose@example.org>"]
    assert first.to[0].role.startswith("maintainer:lib/a.c --no-git --no-git-fallback")
    assert second.to[0].role.startswith("maintainer:lib/b.c ")
    assert sorted((tmp_path / "linux").rglob("*")) == before
    kept = {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()}
    moved = patch("lib/a.c", "b" * 40)
    assert recipients(repo, base, [moved, patch("lib/b.c")], cache) == [first, second]
    assert {p: p.stat().st_mtime_ns for p in cache.rglob("*") if p.is_file()} == kept


def test_a_folder_in_a_pattern_without_its_slash_is_one_where_the_tree_has_it(repo: Repo, tmp_path: Path) -> None:
    where = tmp_path / "linux"
    there = repo.resolve("HEAD")
    run(["git", "rm", "-q", "-r", "drivers/folder"], cwd=where)
    gone = commit(where, "without the folder")
    for base, folder in ((gone, False), (there, True), (gone, False)):
        (who,) = recipients(repo, base, [patch("drivers/folder/new/b.c")], tmp_path / "cache")
        assert who.rejected == (("folder (open list)",) if folder else ())


def test_a_broken_answer_on_disk_is_asked_again(repo: Repo, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    answer = recipients(repo, repo.resolve("HEAD"), [patch("lib/a.c")], cache)
    (kept,) = cache.rglob("*.json")
    kept.write_text('{"everyone": [{"email": ')
    assert recipients(repo, repo.resolve("HEAD"), [patch("lib/a.c")], cache) == answer


def test_failures_say_what_is_missing(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolError, match=r"get_maintainer\.pl of this tree failed"):
        recipients(repo, repo.resolve("HEAD"), [patch("lib/broken.c")], tmp_path / "cache")
    where = tmp_path / "linux"
    run(["git", "rm", "-q", SCRIPT], cwd=where)
    bare = commit(where, "without the script")
    with pytest.raises(UserError, match=SCRIPT):
        recipients(repo, bare, [patch("lib/a.c")], tmp_path / "cache")
    git = tmp_path / "bin"
    git.mkdir()
    (git / "git").symlink_to(run(["which", "git"]).stdout.decode().strip())
    monkeypatch.setenv("PATH", str(git))
    with pytest.raises(MissingTool, match="package perl"):
        recipients(repo, repo.resolve("HEAD~1"), [patch("lib/a.c")], tmp_path / "cache")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('print STDERR "no MAINTAINERS\\n"; exit 0;', "its answer is empty: .*\n.*no MAINTAINERS"),
        ("exit 0;", "its answer is empty"),
        ('print "A <a@example.org> (maintainer:"; exit 0;', "its answer is cut"),
        ('$| = 1; print "A <a@example.org> (maintainer:X)\\n"; kill 9, $$;', "failed: .*(?:SIGKILL|137)"),
        ('print "A <a@example.org> (maintainer:X)\\n"; exit 2;', "failed: .*exit code 2"),
    ],
)
def test_a_script_that_lies_is_an_error(repo: Repo, tmp_path: Path, body: str, message: str) -> None:
    where = tmp_path / "linux"
    base = commit(where, "another script", {SCRIPT: f"#!/usr/bin/perl\n{body}\n".encode()})
    with pytest.raises(ToolError, match=message):
        recipients(repo, base, [patch("lib/a.c")], tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.json"))


@pytest.mark.kernel
def test_the_part_of_maintainers_says_what_all_of_it_says(kernel: RealKernel, tmp_path: Path) -> None:
    """Of each 3,000th file, and of words that are keywords: whom the real script names.

    Of sections that fit as well, it is chance whose role somebody gets who is in both.
    """
    read = {path: kernel.repo.read(kernel.commit, path) for path in READ}
    files = {path: data for path, data in read.items() if data is not None}
    entries = maintainers.sections(files[MAINTAINERS])
    export(files, [], tmp_path / "whole")
    sizes = []
    for number, path in enumerate(sorted(kernel.repo.ls(kernel.commit))[::3000]):
        mail = patch(path).replace(
            b"+b", b"+rcu_dereference(clk, __percpu, dma_fence, KASAN)" if number % 5 == 0 else b"+b"
        )
        part = entries.part([path], mail.decode())
        sizes.append(len(part))
        export({**files, MAINTAINERS: part}, [], tmp_path / str(number))
        said = [parse(ask("perl", tmp_path / name, NORMAL, mail)).everyone for name in ("whole", str(number))]
        whole, some = ({(who.email, who.name, who.is_list) for who in one} for one in said)
        assert whole == some, path
    assert len(sizes) > 25
    assert max(sizes) < len(files[MAINTAINERS]) / 10


@pytest.mark.kernel
def test_real_script_agrees_with_maintainers(kernel: RealKernel, tmp_path: Path) -> None:
    paths = [
        "kernel/bpf/verifier.c",
        "drivers/hid/bpf/hid_bpf_dispatch.c",
        "mm/memcontrol.c",
        "net/core/filter.c",
        "arch/x86/net/bpf_jit_comp.c",
        "drivers/net/ethernet/3com/3c509.c",
    ]
    entries = maintainers.sections(kernel.repo.read(kernel.commit, "MAINTAINERS") or b"")
    answers = recipients(kernel.repo, kernel.commit, [patch(p) for p in paths], tmp_path, os.cpu_count() or 1)
    for path, who in zip(paths, answers, strict=True):
        found = [section for _, section in maintainers.ranked(entries, path)]
        lists = {name for section in found for name in section.lists}
        assert {r.email for r in who.everyone if r.is_list} == lists, path
        people = " ".join(line for section in found for line in (*section.maintainers, *section.reviewers))
        assert {r.email for r in who.everyone if not r.is_list} <= set(
            people.replace("<", " ").replace(">", " ").split()
        )
        assert who.to, path
        assert "torvalds@linux-foundation.org" not in {r.email for r in who.everyone}
        assert who.rejected == ()
