"""`patchbot trailers` on a real repository: what moves, what stays, what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import sample
from sample import tree
from test_threads import MAILS, RAE, TED
from tinytree import commit, snapshot

from patchbot.draft.record import branch, read_draft
from patchbot.draft.trailers import take_apart

REF = branch("sample")


@pytest.fixture
def drafted(tmp_path, monkeypatch, cli):
    """A repository with a draft of the sample campaign."""
    monkeypatch.chdir(tmp_path)
    repo = tree(tmp_path).repo
    (tmp_path / "patchbot.toml").write_text(sample.TOML)
    code, said = cli(repo, "generate", "sample")
    assert code == 0, said
    return repo


def trailers(cli, repo, name: str, *argv: str):
    return cli(repo, "trailers", "sample", "--mbox", str(MAILS / f"{name}.mbox"), *argv)


def messages(repo) -> list[str]:
    rows = repo.text("log", "--reverse", "--format=%B%x00", f"HEAD..{REF}").split("\0")
    return [row.strip() + "\n" for row in rows if row.strip()]


def trees(repo) -> list[str]:
    return repo.text("log", "--format=%T %an %ad", f"HEAD..{REF}").splitlines()


def test_tags_are_in_the_commits_and_their_proof_is_in_the_record(drafted, cli):
    before, files, draft = snapshot(drafted), trees(drafted), read_draft(drafted, "sample")
    code, document = trailers(cli, drafted, "plain", "--sloppy")
    assert code == 0
    assert snapshot(drafted) == before
    assert trees(drafted) == files
    assert [take_apart(message)[1] for message in messages(drafted)] == [
        [f"Tested-by: {TED} # qemu, arm64", f"Reviewed-by: {TED}", f"Acked-by: {RAE}"],
        [f"Reviewed-by: {TED}"],
        [],
    ]
    after = read_draft(drafted, "sample")
    assert document["tip"] == drafted.ref(REF) == after.tip != draft.tip
    assert [p.commit for p in after.patches] == [c.sha for c in drafted.commits(after.base, after.tip)]
    assert [p.commit for p in after.generated] == [p.commit for p in draft.patches]
    assert [g.message_id for g in after.trailers["header"]] == ["r1@example.com", "r2@example.net", "r2@example.net"]
    assert {row["patch"] for row in document["attached"]} == {"header", "words/b/two.c"}
    assert document["attached"][0]["from"] == RAE
    assert set(document["attached"][0]) >= {"patch", "trailer", "message_id", "from"}
    assert [row["line"] for row in document["ignored"]] == [f"Suggested-by: {RAE}"]
    drafted.git("fsck", "--strict")


def test_the_same_mails_again_move_nothing(drafted, cli):
    first = trailers(cli, drafted, "plain")[1]
    refs = drafted.refs("refs")
    again = trailers(cli, drafted, "plain")[1]
    assert again == first
    assert drafted.refs("refs") == refs
    third = trailers(cli, drafted, "twice")[1]
    assert third["tip"] != first["tip"]
    assert len(read_draft(drafted, "sample").trailers["header"]) == 4
    assert trailers(cli, drafted, "twice")[1]["tip"] == third["tip"]


def test_a_tag_that_was_taken_back_leaves_the_draft(drafted, cli, tmp_path):
    before = drafted.text("log", "--format=%B", f"HEAD..{REF}")
    assert trailers(cli, drafted, "base64")[0] == 0
    back = (
        b"From: Someone <juergen@example.com>\nSubject: Re: [PATCH b-next 1/2] sample: Add a header line\n"
        b"Message-ID: <back@example.com>\nIn-Reply-To: <b64@example.com>\n\nPlease drop my tag.\n"
    )
    for name, data in (
        ("back", back),
        ("both", (MAILS / "base64.mbox").read_bytes() + b"From x Mon Jan  5 10:00:00 2026\n"),
    ):
        path = tmp_path / f"{name}.mbox"
        path.write_bytes(data + (back if name == "both" else b""))
        code, document = cli(drafted, "trailers", "sample", "--mbox", str(path))
        assert (code, document["attached"]) == (0, [])
        reasons = [row["reason"] for row in document["ignored"] if row["line"].startswith("Reviewed-by")]
        assert ["taken back in <back@example.com>" in reason for reason in reasons] == [True]
        assert drafted.text("log", "--format=%B", f"HEAD..{REF}") == before
        assert read_draft(drafted, "sample").trailers == {}


def test_a_thread_without_tags_for_it_moves_nothing(drafted, cli, tmp_path):
    refs = drafted.refs("refs")
    code, document = trailers(cli, drafted, "versions", "--threshold", "0")
    assert [row["line"] for row in document["ignored"]] == [f"Reviewed-by: {RAE}"]
    assert {"message_id", "line", "reason"} <= set(document["ignored"][0])
    path = tmp_path / "none.mbox"
    path.write_bytes(b"From: A <a@b.c>\nSubject: Re: lunch\nMessage-ID: <1@b.c>\n\nAcked-by: A <a@b.c>\n")
    drafted.git("update-ref", REF, refs[REF])
    record = "refs/patchbot/sample/draft"
    drafted.git("update-ref", record, refs[record])
    code, document = cli(drafted, "trailers", "sample", "--mbox", str(path))
    assert (code, document["attached"], document["tip"]) == (0, [], refs[REF])
    undo = "refs/patchbot/sample/undo"
    assert drafted.refs("refs") | {undo: ""} == refs | {undo: ""}


def test_a_changed_patch_takes_a_tag_only_as_far_as_allowed(drafted, cli):
    code, document = trailers(cli, drafted, "versions", "--threshold", "25")
    assert code == 0
    assert document["ignored"] == []
    assert f"Reviewed-by: {RAE}" in take_apart(messages(drafted)[1])[1]
    code, said = trailers(cli, drafted, "versions", "--threshold", "nan")
    assert (code, "--threshold: invalid percentage value: 'nan'" in said) == (2, True)


def test_how_far_is_allowed_may_stand_in_the_configuration(drafted, cli):
    with Path("patchbot.toml").open("a") as file:
        file.write("tag_threshold = 25\n")
    line = [f"Reviewed-by: {RAE}"]
    assert [row["line"] for row in trailers(cli, drafted, "versions", "--threshold", "0")[1]["ignored"]] == line
    assert trailers(cli, drafted, "versions")[1]["ignored"] == []


def test_a_branch_that_is_checked_out_is_not_moved(drafted, cli):
    subprocess.run(["git", "switch", "-q", "patchbot/sample"], cwd=drafted.git_dir.parent, check=True)
    refs = drafted.refs("refs")
    code, said = trailers(cli, drafted, "plain")
    assert code == 2
    assert "switch --detach" in said
    undo = "refs/patchbot/sample/undo"
    assert drafted.refs("refs") | {undo: ""} == refs | {undo: ""}


def test_what_a_person_committed_is_carried(drafted, cli):
    work = Path(drafted.git_dir.parent)
    subprocess.run(["git", "switch", "-q", "patchbot/sample"], cwd=work, check=True)
    commit(work, "mine: Add a file\n\nBy hand.", {"mine.c": b"mine\n"})
    subprocess.run(["git", "switch", "-q", "master"], cwd=work, check=True)
    files = trees(drafted)
    code, document = trailers(cli, drafted, "plain")
    assert code == 0, document
    assert trees(drafted) == files
    assert messages(drafted)[-1] == "mine: Add a file\n\nBy hand.\n"
    assert drafted.text("log", "-1", "--format=%an %cn", REF) == "A Maintainer A Developer"
    draft = read_draft(drafted, "sample")
    assert draft.tip == document["tip"] == drafted.ref(REF)
    assert [e.subject for e in draft.handmade.extras] == ["mine: Add a file"]
    assert f"Acked-by: {RAE}" in take_apart(messages(drafted)[0])[1]


def test_a_tag_that_was_dropped_and_given_again_is_not_called_dropped(drafted, cli, monkeypatch):
    trailers(cli, drafted, "quoted-printable")
    work = drafted.git_dir.parent
    commit(work, "upstream", {"b/two.c": b"OLD z;\nOLD q;\n"})
    code, document = cli(drafted, "regenerate", "sample", "--onto", "master")
    assert code == 0, document
    assert [d["trailer"] for d in document["dropped_trailers"]] == ["Acked-by: Björn Töpel <bjorn@example.com>"]
    base = read_draft(drafted, "sample").base
    assert "Dropped" not in drafted.text("log", "--format=%B", f"{base}..{REF}")  # a note is for the mail
    code, document = trailers(cli, drafted, "quoted-printable")
    assert document["attached"] == []
    code, document = trailers(cli, drafted, "quoted-printable", "--threshold", "60")
    assert [a["patch"] for a in document["attached"]] == ["words/b/two.c"]
    text = drafted.text("log", "--format=%B", f"{base}..{REF}")
    assert "---" not in text
    assert "Acked-by: Björn Töpel <bjorn@example.com>" in text
    code, again = cli(drafted, "regenerate", "sample", "--onto", "master")
    assert (code, again["tip"], again["dropped_trailers"]) == (0, document["tip"], [])


def test_a_frozen_version_stays_and_its_tags_go_to_the_next(drafted, cli):
    code, said = cli(drafted, "freeze", "sample")
    assert code == 0, said
    frozen = drafted.ref("refs/patchbot/sample/v1")
    code, document = trailers(cli, drafted, "gaps")
    assert [(a["patch"], a["version"], a["note"]) for a in document["attached"]] == [
        ("header", 1, ""),
        ("words/b/two.c", 1, ""),
    ]
    assert drafted.ref("refs/patchbot/sample/v1") == frozen
    draft = read_draft(drafted, "sample")
    assert draft.version == 2
    assert draft.document.version is None


@pytest.mark.parametrize(("argv", "text"), [(("--mbox", "none.mbox"), "no such file"), ((), "")])
def test_what_a_person_can_mend_is_exit_2(drafted, cli, argv, text):
    if argv:
        code, said = cli(drafted, "trailers", "sample", *argv)
        assert text in said
    else:
        drafted.git("update-ref", "-d", "refs/patchbot/sample/draft")
        code, said = trailers(cli, drafted, "plain")
        assert "patchbot generate sample" in said
    assert code == 2


def test_the_table_shows_what_was_taken_and_what_was_not(drafted, cli, capsys):
    from patchbot.cli import main

    argv = ["trailers", "sample", "--kernel", str(drafted.git_dir), "--mbox"]
    assert main([*argv, str(MAILS / "hostile.mbox")]) == 0
    said = capsys.readouterr().out
    assert "Acked-by: Mallory <mallory@example.com>" in said
    assert "not taken: <h3@example.com>: Reviewed-by" in said
    assert "patchbot/sample is now" in said
    assert not [c for c in said if ord(c) < 32 and c != "\n"]
    assert json.dumps(said)
