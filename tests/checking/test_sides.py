"""What all checks of touched files share: the two sides of a patch, and programs that hang, flood or are killed."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from subjects import make_subject

from patchbot import run as running
from patchbot.checking.check import Outcome
from patchbot.checking.sides import Side, compare, placed, reached
from patchbot.git.repo import Repo
from patchbot.model import Finding, Status
from patchbot.sandbox import Sandbox


def judged(
    tiny: Repo, where: Path, look, *changes: dict[str, bytes | None], modes=None, files=("net/a.c",)
) -> list[Outcome]:
    """Return what `look` makes of each change."""
    subject = make_subject(tiny, "HEAD", [(f"net: {n}\n\nx\n", c) for n, c in enumerate(changes)], where, modes)
    return [compare(subject, item, "mine", [f for f in files if f in item.files], look) for item in subject.items]


def words(side: Side) -> Iterator[Finding]:
    """Find fault with each `bad`, as grep numbers it."""
    yield from placed(side.run(["grep", "-Hn", "bad", *side.names]), "word")


def places_only(side: Side) -> Iterator[Finding]:
    """Find the same fault with each `bad`."""
    yield from (replace(finding, message="bad") for finding in words(side))


def test_a_message_belongs_to_the_patch_that_brought_it(tiny: Repo, tmp_path: Path) -> None:
    changes = [b"int bad;\n", b"\nint bad;\n", b"int bad;\nint more;\n", b"int bad;\nint bad;\n", b"int good;\n"]
    found = judged(tiny, tmp_path, words, *({"net/a.c": text} for text in changes))
    assert [o.status.value for o in found] == ["WARN", "PASS", "PASS", "WARN", "PASS"]
    assert found[1].reason == "looked at net/a.c; 1 message of before"
    assert len(found[3].findings) == 1


def test_a_file_that_moves_takes_its_messages_along(tiny: Repo, tmp_path: Path) -> None:
    text = b"int bad;\nint a;\nint b;\nint c;\n"
    changes = [{"net/a.c": text}, {"net/a.c": None, "net/b.c": text.replace(b"int bad", b"long bad") + b"short bad;\n"}]
    _, second = judged(tiny, tmp_path, places_only, *changes, files=("net/a.c", "net/b.c"))
    assert [(f.file, f.line) for f in second.findings] == [("net/b.c", 5)]


def test_another_run_that_writes_to_the_same_log(tiny: Repo, tmp_path: Path) -> None:
    def look(side: Side) -> Iterator[Finding]:
        def other() -> None:
            side.log.write_text("another run\n")
            (side.place / "go").touch()

        Thread(target=other).start()
        said = side.run(["sh", "-c", "echo one; until [ -e go ]; do sleep 0.01; done; echo two"])
        yield Finding(Status.WARN, said)

    (found,) = judged(tiny, tmp_path, look, {"net/a.c": b"int a;\n"})
    assert [f.message for f in found.findings] == ["one\ntwo\n"]


def test_what_there_is_nothing_to_look_at_in(tiny: Repo, tmp_path: Path) -> None:
    (link,) = judged(tiny, tmp_path, words, {"net/a.c": b"bad"}, modes={"net/a.c": "120000"})
    assert (link.status, link.reason) == (Status.SKIP, "it only deletes what there was to look at")
    (other,) = judged(tiny, tmp_path, words, {"net/b.c": b"bad"})
    assert (other.status, other.reason) == (Status.SKIP, "it touches no such file")


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("sleep 60", "took longer than 1 s and was killed"),
        ("echo first; kill -9 $$", "was killed by SIGKILL"),
        ("echo first; exit 7", "ended with exit code 7"),
        ("echo first; head -c 100000000 /dev/zero | tr '\\0' x", "wrote more than 64 MB and was killed"),
    ],
)
@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_a_program_that_does_not_work_is_an_error(
    shell: str, why: str, sandbox: str, tiny: Repo, tmp_path: Path
) -> None:
    def look(side: Side) -> Sequence[Finding]:
        object.__setattr__(side.subject, "sandbox", Sandbox(sandbox))
        return list(placed(side.run(["sh", "-c", shell], timeout=1 if "sleep" in shell else 60), "x"))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (outcome,) = judged(tiny, tmp_path, look, {"net/a.c": b"int a;\n"})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, "the output is not in memory"
    assert outcome.status is Status.ERROR
    assert why in outcome.reason
    assert outcome.log is not None
    assert str(outcome.log) in outcome.reason
    kept = outcome.log.stat().st_size
    assert kept < running.MOST_LOGGED + 1000
    assert "sleep" in shell or b"first\n" in outcome.log.read_bytes()[:2000], "what it said is kept"


def test_one_of_many_that_does_not_work_leaves_the_others(tiny: Repo, tmp_path: Path) -> None:
    def look(side: Side) -> Iterator[Finding]:
        assert side.attempt(["sh", "-c", "exit 3"], timeout=5) == ""
        yield from words(side)

    (outcome,) = judged(tiny, tmp_path, look, {"net/a.c": b"int bad;\n"})
    assert outcome.status is Status.ERROR
    assert [f.status for f in outcome.findings] == [Status.WARN, Status.ERROR]
    assert "exit code 3" in outcome.findings[1].message


def test_a_program_sees_the_files_and_nothing_of_the_person(tiny: Repo, tmp_path: Path) -> None:
    def look(side: Side) -> Sequence[Finding]:
        said = side.run(["sh", "-c", "cat net/a.c; find . -type f; echo $HOME; ls ~"])
        assert said.splitlines() == ["int a;", "./net/a.c", str(side.place), "net"]
        return []

    judged(tiny, tmp_path, look, {"net/a.c": b"int a;\n"})


def test_odd_names_and_many_files(tiny: Repo, tmp_path: Path) -> None:
    names = (
        "net/-e",
        "net/a b.c",
        "net/\udcff.c",
        "net/a:b.c",
        "net/ü:1: c.c",
        "net/a\nb.c",
        "net/a_b.c",
        "net/a-b.c/x y",
    )
    odd = dict.fromkeys(names, b"bad\n")
    (outcome,) = judged(tiny, tmp_path, words, odd, files=names)
    assert [(f.file, f.line) for f in outcome.findings] == [(name, 1) for name in sorted(names)]
    assert outcome.log is not None
    assert b"net/a+b.c is 'net/a\\nb.c'\n" in outcome.log.read_bytes(), "what it is called there"
    many = {f"net/{n}.c": b"bad\n" for n in range(2000)}
    (outcome,) = judged(tiny, tmp_path, words, many, files=tuple(many))
    assert len(outcome.findings) == outcome.examined == 2000


def test_what_a_program_is_told_is_not_what_it_says(tiny: Repo, tmp_path: Path) -> None:
    def look(side: Side) -> Iterator[Finding]:
        yield from placed(side.run(["sh", "-c", "true\n: a.c:1: bad"]), "x")

    (outcome,) = judged(tiny, tmp_path, look, {"net/a.c": b"int a;\n"})
    assert outcome.status is Status.PASS


def test_a_program_has_all_the_stack_that_it_may_have(tiny: Repo, tmp_path: Path) -> None:
    def look(side: Side) -> Sequence[Finding]:
        assert side.run(["sh", "-c", "test $(ulimit -S -s) = $(ulimit -H -s) && echo so"]) == "so\n"
        return []

    before = resource.getrlimit(resource.RLIMIT_STACK)
    assert [o.status for o in judged(tiny, tmp_path, look, {"net/a.c": b"int a;\n"})] == [Status.PASS]
    assert resource.getrlimit(resource.RLIMIT_STACK) == before, "it is the program's alone"


def test_files_that_name_others_are_followed(tiny: Repo, tmp_path: Path) -> None:
    files = {"a": b"b none", "b": b"c a", "c": b"b net", "d": b"a"}
    subject = make_subject(tiny, "HEAD", [("x: y\n\nz\n", files)], tmp_path)
    tree = subject.items[0].tree
    found = reached(subject, tree, {"a": files["a"]}, lambda path, data: data.decode().split())
    assert found == {"b": files["b"], "c": files["c"]}
