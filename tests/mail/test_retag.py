"""`patchbot trailers` on a real repository: what moves, what stays, what is refused."""

from __future__ import annotations

import json
import re
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
    (doubtful,) = [row["id"] for row in trailers(cli, drafted, "plain")[1]["ignored"] if row["id"]]
    code, document = trailers(cli, drafted, "plain", "--accept", doubtful)
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
    for ref in refs:
        if ref.startswith(REF) or ref == "refs/patchbot/sample/draft":
            drafted.git("update-ref", ref, refs[ref])
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
    assert re.search(r"^not taken \[[0-9a-f]{8}\]: <h3@example.com>: Reviewed-by", said, re.M)
    assert "--accept ID" in said
    assert "patchbot/sample is now" in said
    assert not [c for c in said if ord(c) < 32 and c != "\n"]
    assert json.dumps(said)


def reply(tmp_path: Path, *bodies: str, sender: str = RAE) -> list[str]:
    """Write replies to the first patch, each from `sender`, and return the arguments that read them."""
    path = tmp_path / "replies.mbox"
    head = "Subject: Re: [PATCH b-next 1/2] sample: Add a header line\nIn-Reply-To: <p1@example.org>\n"
    path.write_text(
        "".join(
            f"From x Mon Jan  5 10:00:00 2026\nFrom: {sender}\n{head}Message-ID: <m{n}@example.com>\n\n{body}\n\n"
            for n, body in enumerate(bodies)
        )
    )
    return ["--mbox", str(path)]


def test_a_tag_is_accepted_alone_and_stays_without_being_accepted_again(drafted, cli, tmp_path):
    mbox = reply(tmp_path, f"If it builds.\n\nReviewed-by: {RAE}", f"Once renamed:\n\nTested-by: {RAE}")
    ids = {row["line"]: row["id"] for row in cli(drafted, "trailers", "sample", *mbox)[1]["ignored"]}
    wanted, other = f"Tested-by: {RAE}", f"Reviewed-by: {RAE}"
    assert len({*ids.values()}) == 2
    code, document = cli(drafted, "trailers", "sample", *mbox, "--accept", ids[wanted])
    assert (code, [row["trailer"] for row in document["attached"]]) == (0, [wanted])
    assert "on a condition" in document["attached"][0]["note"]
    assert [(row["line"], row["id"]) for row in document["ignored"]] == [(other, ids[other])]
    again = cli(drafted, "trailers", "sample", *mbox)[1]
    assert (again["tip"], again["ignored"]) == (document["tip"], document["ignored"])
    both = cli(drafted, "trailers", "sample", *mbox, "--accept", f"{ids[wanted]},{ids[other].upper()}")[1]
    assert {row["trailer"] for row in both["attached"]} == {wanted, other}
    assert both["ignored"] == []


def test_an_id_that_there_is_not_is_named_and_nothing_moves(drafted, cli, tmp_path):
    mbox = reply(tmp_path, f"If it builds.\n\nReviewed-by: {RAE}", f"Acked-by: {RAE}")
    refs = drafted.refs("refs")
    code, said = cli(drafted, "trailers", "sample", *mbox, "--accept", "12345678")
    (id_,) = [row["id"] for row in cli(drafted, "trailers", "sample", *mbox, "--accept", "")[1]["ignored"]]
    assert (code, "no tag of these mails has the id 12345678" in said, id_ in said) == (2, True, True)
    assert drafted.refs("refs")["refs/heads/master"] == refs["refs/heads/master"]


def test_a_tag_of_a_patch_that_changed_is_accepted_for_that_patch(drafted, cli):
    (row,) = trailers(cli, drafted, "versions", "--threshold", "0")[1]["ignored"]
    assert row["id"]
    document = trailers(cli, drafted, "versions", "--threshold", "0", "--accept", row["id"])[1]
    assert (document["ignored"], row["line"] in [a["trailer"] for a in document["attached"]]) == ([], True)
    assert trailers(cli, drafted, "versions", "--threshold", "0")[1]["ignored"] == []


def test_two_addresses_of_the_mailmap_are_one_person(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    repo = tree(tmp_path).repo
    other = "R. V. <rae@corp.example>"
    commit(repo.git_dir.parent, "map", {".mailmap": f"{RAE} <RAE@corp.example>\n".encode()})
    # What is in a person's own configuration says nothing about the kernel's people.
    (tmp_path / "own").write_text(f"{RAE} <mallory@example.com>\n")
    repo.git("config", "mailmap.file", str(tmp_path / "own"))
    (tmp_path / "patchbot.toml").write_text(sample.TOML)
    assert cli(repo, "generate", "sample")[0] == 0
    mallory = "Mallory <mallory@example.com>"
    mbox = reply(tmp_path, f"Reviewed-by: {other}", f"Acked-by: {mallory}")
    document = cli(repo, "trailers", "sample", *mbox)[1]
    assert [row["trailer"] for row in document["attached"]] == [f"Reviewed-by: {other}"]
    assert [row["line"] for row in document["ignored"]] == [f"Acked-by: {mallory}"]
    mbox = reply(tmp_path, f"Reviewed-by: {other}", "", "Please drop my Reviewed-by.")
    Path(mbox[1]).write_text(Path(mbox[1]).read_text().replace(f"From: {RAE}", f"From: {other}", 1))
    document = cli(repo, "trailers", "sample", *mbox)[1]
    assert document["attached"] == []
    assert read_draft(repo, "sample").trailers == {}


def test_a_misspelt_tag_is_written_as_the_kernel_spells_it(drafted, cli, tmp_path):
    mbox = reply(tmp_path, f"reviewed-By: {RAE}\nAcked-by :  {RAE}")
    document = cli(drafted, "trailers", "sample", *mbox)[1]
    assert take_apart(messages(drafted)[0])[1] == [f"Reviewed-by: {RAE}", f"Acked-by: {RAE}"]
    assert ["its mail spells it" in row["note"] for row in document["attached"]] == [True, True]
    assert cli(drafted, "trailers", "sample", *mbox)[1]["tip"] == document["tip"]


def test_a_tag_that_a_person_misspelt_in_a_commit_is_mended_by_regenerate(drafted, cli):
    work = Path(drafted.git_dir.parent)
    subprocess.run(["git", "switch", "-q", "patchbot/sample"], cwd=work, check=True)
    text = drafted.text("log", "-1", "--format=%B", REF)
    commit(work, f"{text}\n\nReviewed-By: {RAE}\n", amend=True)
    subprocess.run(["git", "switch", "-q", "master"], cwd=work, check=True)
    commit(work, "upstream", {"other.c": b"int other;\n"})
    assert cli(drafted, "regenerate", "sample", "--onto", "master")[0] == 0
    assert f"\nReviewed-by: {RAE}" in drafted.text("log", "-1", "--format=%B", REF)


def test_objections_have_a_group_of_their_own(drafted, cli, tmp_path, capsys):
    from patchbot.cli import main

    mbox = reply(
        tmp_path,
        f"NAK, this breaks arm64.\n\nNacked-by: {RAE}",
        "Sorry, ignore my tag.",
        "> NAK\n> Nacked-by: Else <else@example.com>\n\nI see no problem.",
        f"If it builds.\n\nReviewed-by: {RAE}",
    )
    document = cli(drafted, "trailers", "sample", *mbox)[1]
    assert [row["line"] for row in document["objections"]] == [
        "NAK, this breaks arm64.",
        f"Nacked-by: {RAE}",
        "Sorry, ignore my tag.",
    ]
    assert [row["line"] for row in document["ignored"]] == [f"Reviewed-by: {RAE}"]
    assert main(["trailers", "sample", "--kernel", str(drafted.git_dir), *mbox]) == 0
    said = capsys.readouterr().out
    group, _, rest = said.partition("no tag for this draft found")
    assert group.count(f"OBJECTION by {RAE}: <m0@example.com>: ") == 2
    assert group.count(f"TAKEN BACK by {RAE}: <m1@example.com>: Sorry, ignore my tag.") == 1
    assert "m0@" not in rest
    assert rest.rstrip().endswith("2 replies above are to be settled with their senders before this is posted again")


def test_a_nak_to_a_patch_of_others_is_no_objection_to_this_series(drafted, cli, tmp_path):
    mbox = reply(tmp_path, "NAK")
    path = Path(mbox[1])
    path.write_text(path.read_text().replace("sample: Add a header line", "other: Do something else"))
    document = cli(drafted, "trailers", "sample", *mbox)[1]
    assert document["objections"] == []
    assert ["the draft has no patch" in row["reason"] for row in document["ignored"]] == [True]


def test_a_mailbox_of_other_people_is_not_listed_line_by_line(drafted, cli, tmp_path, capsys):
    from patchbot.cli import main

    mbox = reply(tmp_path, *(f"Acked-by: Other{n} <{RAE.partition('<')[2]}" for n in range(50)))
    path = Path(mbox[1])
    path.write_text(path.read_text().replace("sample: Add a header line", "other: Do something else"))
    for more, listed in (("-q", 20), ("-v", 50)):
        argv = ["trailers", "sample", "--kernel", str(drafted.git_dir), *mbox, *(["-v"] if more == "-v" else [])]
        assert main(argv) == 0
        said = capsys.readouterr().out
        assert said.count("the draft has no patch") == listed
        assert ("30 more lines are about patches that the draft does not have" in said) == (listed == 20)
    assert len(cli(drafted, "trailers", "sample", *mbox)[1]["ignored"]) == 50


def test_the_number_of_git_processes_does_not_grow_with_the_patches(drafted, cli, monkeypatch):
    from patchbot import run

    started: list[str] = []
    start = run.subprocess.Popen

    def counted(argv, *more, **options):
        started.extend(argv)
        return start(argv, *more, **options)

    monkeypatch.setattr(run.subprocess, "Popen", counted)
    code, document = trailers(cli, drafted, "plain")
    assert (code, bool(document["attached"])) == (0, True)
    assert (started.count("diff-tree"), started.count("ls-tree")) == (3, 0)
