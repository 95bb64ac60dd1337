"""`undo` puts back what the last change replaced, all of it, and only where nothing happened since."""

import json
from pathlib import Path

import pytest
from tinytree import build, commit, patchbot, sh, snapshot

BRANCH = "refs/heads/patchbot/kfunc_flags"
#: A row of a record: v1 was at this commit.
ROW = '{"ref": "refs/patchbot/kfunc_flags/v1", "before": "%s", "now": null}'
UNDO = "refs/patchbot/kfunc_flags/undo"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    build(tmp_path / "linux")
    return tmp_path / "linux"


def refs(work: Path) -> dict[str, str]:
    rows = sh(work, "git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/patchbot", "refs/patchbot")
    return {name: sha for name, sha in (row.split() for row in rows.splitlines()) if name != UNDO}


def test_each_change_is_put_back_and_comes_again(work: Path) -> None:
    first = sh(work, "git", "rev-parse", "HEAD")
    path = work / "kernel/bpf/cpumask.c"
    states = [refs(work)]
    for command in (["generate"], ["freeze"], ["generate", "--without", "release"]):
        patchbot(*command, cwd=work)
        states.append(refs(work))
        said = patchbot("undo", cwd=work).stdout
        assert ("there is no draft" in said) == (BRANCH not in states[-2]), command
        assert refs(work) == states[-2], command
        patchbot("undo", cwd=work)
        assert refs(work) == states[-1], command
    commit(work, "moved", {str(path.relative_to(work)): path.read_bytes() + b"\n"})
    patchbot("regenerate", "--onto", "master", cwd=work)
    document = json.loads(patchbot("undo", "--json", cwd=work).stdout)
    assert refs(work) == states[-1]
    assert {row["ref"] for row in document["refs"]} >= {BRANCH, "refs/patchbot/kfunc_flags/draft"}
    patchbot("check", "--only", "applies", cwd=work)
    assert sh(work, "git", "merge-base", "patchbot/kfunc_flags", "master") == first


def test_what_was_replaced_outlives_a_clean_up(work: Path) -> None:
    patchbot("generate", cwd=work)
    before = refs(work)
    patchbot("generate", "--without", "release", cwd=work)
    sh(work, "git", "reflog", "expire", "--expire=now", "--all")
    sh(work, "git", "gc", "-q", "--prune=now")
    patchbot("undo", cwd=work)
    assert refs(work) == before
    sh(work, "git", "fsck", "--strict")


def test_it_stops_where_it_cannot_put_all_back(work: Path) -> None:
    assert "can be undone" in patchbot("undo", cwd=work, code=2).stderr
    patchbot("generate", cwd=work)
    before = snapshot(build(work.parent / "other")), refs(work)
    sh(work, "git", "worktree", "add", "-q", "../tree", "patchbot/kfunc_flags")
    assert "is checked out in" in patchbot("undo", cwd=work, code=2).stderr
    sh(work.parent / "tree", "git", "commit", "-q", "--allow-empty", "-m", "mine")
    sh(work, "git", "worktree", "remove", "--force", "../tree")
    now = refs(work)
    said = patchbot("undo", cwd=work, code=2).stderr
    assert f"{BRANCH} moved since" in said
    assert refs(work) == now != before[1]
    assert "git branch NAME patchbot/kfunc_flags keeps what it has now" in said
    sh(work, "git", "branch", "mine", "patchbot/kfunc_flags")
    sh(work, *said.rpartition("then: ")[2].split())
    patchbot("undo", cwd=work)
    assert BRANCH not in refs(work)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('[{"ref": "refs/heads/master", "before": null, "now": "%(head)s"}]', "'refs/heads/master' is not a ref of"),
        ('[{"ref": "refs/heads/patchbot/kfunc_flags2", "before": null, "now": "%(head)s"}]', "is not a ref of"),
        ('[{"ref": "refs/patchbot/other/draft", "before": null, "now": null}]', "is not a ref of"),
        ('[{"ref": "refs/patchbot/kfunc_flags/other", "before": "%(head)s", "now": null}]', "is not a ref of"),
        (
            '[{"ref": "refs/patchbot/kfunc_flags/v1 %(head)s\\nupdate refs/heads/mine %(head)s\\n'
            'update refs/patchbot/kfunc_flags/v2", "before": "%(head)s", "now": null}]',
            "is not a ref of",
        ),
        ('[{"ref": "refs/patchbot/kfunc_flags/v1", "before": null, "now": null}]', "does not move"),
        ("[%(row)s, %(row)s]", "names a ref twice"),
        ("[]", "undo.json"),
        ('{"ref": 1}', "undo.json"),
        ("[", "undo.json"),
    ],
)
def test_a_record_that_names_other_refs_moves_nothing(work: Path, rows: str, said: str) -> None:
    patchbot("generate", cwd=work)
    head = sh(work, "git", "rev-parse", "HEAD")
    (work.parent / "undo.json").write_text(rows % {"head": head, "row": ROW % head})
    blob = sh(work, "git", "hash-object", "-w", str(work.parent / "undo.json"))
    tree = sh(work, "sh", "-c", f"printf '100644 blob {blob}\\tundo.json\\n' | git mktree")
    sh(work, "git", "update-ref", UNDO, sh(work, "git", "commit-tree", "-m", "x", tree))
    before = sh(work, "git", "for-each-ref")
    assert said in patchbot("undo", cwd=work, code=2).stderr
    assert sh(work, "git", "for-each-ref") == before
