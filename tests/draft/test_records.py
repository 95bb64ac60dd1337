"""Records in refs that somebody damaged: only a person can decide about them, so every command names the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchbot.git.repo import Repo

DRAFT = "refs/patchbot/kfunc_flags/draft"
V1 = "refs/patchbot/kfunc_flags/v1"
EDITS = {"patches": [], "extra": [], "dropped": [], "sequence": [], "reordered": False}


def rewrite(repo: Repo, ref: str, files: dict[str, bytes | None]) -> None:
    """Give a record other files, its parents as they are."""
    rows: dict[str, str] = {}
    for line in repo.git("ls-tree", ref).stdout.decode().splitlines():
        meta, name = line.split("\t")
        rows[name] = meta
    for name, data in files.items():
        if data is None:
            rows.pop(name, None)
        else:
            oid = repo.git("hash-object", "-w", "--stdin", stdin=data).stdout.decode().strip()
            rows[name] = f"100644 blob {oid}"
    tree = repo.git("mktree", stdin="".join(f"{meta}\t{name}\n" for name, meta in rows.items()).encode())
    parents = repo.git("rev-parse", f"{ref}^@").stdout.decode().split()
    argv = [arg for parent in parents for arg in ("-p", parent)]
    made = repo.git("commit-tree", tree.stdout.decode().strip(), *argv, "-m", "record")
    repo.git("update-ref", ref, made.stdout.decode().strip())


@pytest.fixture
def drafted(tiny: Repo, cli: Callable[..., tuple[int, Any]]) -> Repo:
    assert cli(tiny, "generate")[0] == 0
    return tiny


def series(repo: Repo, **changes: object) -> bytes:
    document = json.loads(repo.git("show", f"{DRAFT}:series.json").stdout)
    return json.dumps({k: v for k, v in (document | changes).items() if v is not ...}).encode()


def patch(repo: Repo, **changes: object) -> bytes:
    first, *rest = json.loads(repo.git("show", f"{DRAFT}:series.json").stdout)["patches"]
    return series(repo, patches=[first | changes, *rest])


COMMANDS = (
    ["status"],
    ["generate"],
    ["check", "--only", "applies"],
    ["mail"],
    ["freeze"],
    ["edits"],
    ["diff"],
    ["regenerate", "--onto", "HEAD"],
    ["report", "--html", "report.html"],
    ["trailers", "--mbox", "mbox"],
)


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_every_command_names_the_record_and_the_way_out(
    drafted: Repo, cli: Callable[..., tuple[int, Any]], argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mbox").write_bytes(b"From x Thu Jan  1 00:00:00 1970\nSubject: x\n\nx\n")
    rewrite(drafted, DRAFT, {"series.json": b'{"patches": [1]}'})
    code, said = cli(drafted, *argv)
    assert code == 2, said
    assert f"the record {DRAFT} cannot be read: series.json: " in str(said)
    assert f"git update-ref -d {DRAFT}" in str(said)
    drafted.git("update-ref", "-d", DRAFT)
    assert "cannot be read" not in str(cli(drafted, "status")[1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda repo: None, "it is missing"),
        (lambda repo: b"", "Expecting value"),
        (lambda repo: b"\xff\xfe\x00", "UTF-8|utf-16|Expecting"),
        (lambda repo: b"[" * 20000, "nested too deep"),
        (lambda repo: b"null", "it is None, not a table"),
        (lambda repo: b" " * (65 << 20), "it has 65 MB"),
        (lambda repo: series(repo, patches=[[]]), r"patches\[0\] is a list, not a table"),
        (lambda repo: series(repo, patches=...), "it lacks 'patches'"),
        (lambda repo: series(repo, base="HEAD"), "base is 'HEAD'"),
        (lambda repo: series(repo, base=None), "base is None"),
        (lambda repo: series(repo, version="2"), "version is '2', not a number"),
        (lambda repo: series(repo, version=float("nan")), "NaN is not JSON"),
        (
            lambda repo: series(repo, sites={"a": ["change"]}),
            r"sites\.a has 1 items, not 2",
        ),
        (lambda repo: series(repo, kernel={"base": 5}), "kernel.base is 5"),
        (lambda repo: series(repo, kernel={"base": "-x", "version": "", "describe": ""}), "kernel.base is '-x', not "),
        (lambda repo: patch(repo, commit="--all"), r"patches\[0\]\.commit is '--all'"),
        (lambda repo: patch(repo, files=["../../.bashrc"]), r"files\[0\] is '\.\./\.\./\.bashrc'"),
        (lambda repo: patch(repo, files=["a/.GIT/config"]), r"files\[0\] is 'a/\.GIT/config'"),
        (lambda repo: patch(repo, subject=5), "subject is 5, not a text"),
        (
            lambda repo: series(repo, patches=[json.loads(series(repo))["patches"][0]] * 2),
            "the patch .* occurs twice",
        ),
    ],
)
def test_a_damaged_series_is_named(
    drafted: Repo, cli: Callable[..., tuple[int, Any]], damage: Callable[[Repo], bytes | None], message: str
) -> None:
    rewrite(drafted, DRAFT, {"series.json": damage(drafted)})
    code, said = cli(drafted, "edits")
    assert code == 2
    text = said["error"]["message"] if isinstance(said, dict) else said
    assert re.search(rf"the record {DRAFT} cannot be read: series\.json: .*(?:{message})", text), text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("edits.json", b"["),
        ("edits.json", json.dumps(EDITS | {"sequence": None}).encode()),
        ("edits.json", json.dumps(EDITS | {"patches": [{"id": "x"}]}).encode()),
        ("edits.json", b'{"patches": ' + b"[" * 20000),
        ("trailers.json", b"[]"),
        ("trailers.json", b'{"p": [{"trailer": 1}]}'),
        ("trailers.json", b'{"p": {"trailer": "x"}}'),
    ],
)
def test_damaged_edits_and_tags_are_named(
    drafted: Repo, cli: Callable[..., tuple[int, Any]], name: str, data: bytes
) -> None:
    rewrite(drafted, DRAFT, {name: data})
    code, said = cli(drafted, "status")
    assert code == 2
    assert f"the record {DRAFT} cannot be read: {name}: " in str(said)
    assert f"git update-ref -d {DRAFT}" in str(said)


@pytest.mark.parametrize("kind", ["blob", "tree", "root"])
def test_a_ref_that_is_no_record_is_named(drafted: Repo, cli: Callable[..., tuple[int, Any]], kind: str) -> None:
    assert cli(drafted, "freeze")[0] == 0
    oid = {"blob": f"{DRAFT}:series.json", "tree": f"{DRAFT}^{{tree}}", "root": "HEAD"}[kind]
    drafted.git("update-ref", "-d", V1)
    drafted.git("update-ref", V1, drafted.text("rev-parse", oid).strip())
    for argv in (["status"], ["edits"], ["diff"]):
        code, said = cli(drafted, *argv)
        assert (code, f"the record {V1} cannot be read" in str(said)) == (2, True), (argv, said)


def test_a_damaged_list_of_what_was_read_is_said_and_made_anew(
    drafted: Repo, capsys: pytest.CaptureFixture[str], cli: Callable[..., tuple[int, Any]]
) -> None:
    tip = drafted.ref("refs/heads/patchbot/kfunc_flags")
    for data in (b"[", b"[]", b'{"maker": 1}', b"[" * 20000, b"\xff"):
        rewrite(drafted, DRAFT, {"reads.json": data})
        assert cli(drafted, "generate")[0] == 0
        assert drafted.ref("refs/heads/patchbot/kfunc_flags") == tip


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 20000, b'{"asked": 1, "rows": []}', None])
def test_a_damaged_stopped_regeneration_can_be_let_go(
    drafted: Repo, cli: Callable[..., tuple[int, Any]], sealed: Path, data: bytes | None
) -> None:
    (work,) = (sealed / ".cache" / "patchbot" / "repos").iterdir()
    state = work / "regenerate" / "kfunc_flags" / "state.json"
    state.parent.mkdir(parents=True)
    state.mkdir() if data is None else state.write_bytes(data)
    for argv in (["status"], ["regenerate", "--onto", "HEAD"]):
        code, said = cli(drafted, *argv)
        assert code == 2
        assert "give it up with: patchbot regenerate kfunc_flags --abort" in str(said)
    assert cli(drafted, "regenerate", "--abort")[0] == 0
    assert cli(drafted, "status")[0] == 0


@pytest.mark.parametrize("argv", COMMANDS, ids=lambda argv: argv[0])
def test_a_record_whose_commits_are_gone_names_the_way_out(drafted: Repo, cli: Any, argv: list[str]) -> None:
    rewrite(drafted, DRAFT, {"series.json": patch(drafted, commit="0123456789abcdef" * 2 + "01234567")})
    code, text = cli(drafted, *argv)
    assert code == 2
    assert "no commit 0123456789abcdef" in str(text)
    assert f"git update-ref -d {DRAFT}" in str(text)


@pytest.mark.parametrize(
    "line", ["no tag", "Reviewed-by: X <x@y.z>\nAcked-by: Z <z@y.z>", "Signed-off-by: Z <z@y.z>", "Acked-by: Z\n <z@y>"]
)
def test_a_record_with_a_tag_that_is_none_names_the_way_out(drafted: Repo, cli: Any, line: str) -> None:
    first = json.loads(drafted.git("show", f"{DRAFT}:series.json").stdout)["patches"][0]["id"]
    row = {"trailer": line, "message_id": "a@b", "version": 1, "patch_id": ""}
    rewrite(drafted, DRAFT, {"trailers.json": json.dumps({first: [row]}).encode()})
    code, text = cli(drafted, "status")
    assert code == 2
    assert "is not a tag" in str(text)
    assert f"git update-ref -d {DRAFT}" in str(text)
