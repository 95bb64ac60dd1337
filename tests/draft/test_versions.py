"""Versions: frozen once, never for an unchanged result, and the facts of what changed since."""

import json
import subprocess

from versioned import BRANCH, World

from patchbot.draft.versions import changes_since
from patchbot.git.repo import Scratch
from patchbot.series import render

MOVED = {"a/one.c": b"above\nOLD x;\nkeep\nOLD y;\nOLD new;\n", "b/two.c": None, "d/four.c": b"OLD f;\n"}
V1 = "refs/patchbot/sample/v1"


def test_an_unchanged_result_makes_no_version(world: World):
    base = world.base()
    made = world.json("generate", "sample", "--base", base)
    assert made["version"] == 1
    assert world.json("freeze", "sample")["new"]
    refs = world.refs()
    again = world.json("freeze", "sample")
    assert (again["version"], again["new"]) == (1, False)
    assert world.json("generate", "sample", "--base", base)["version"] == 1
    assert "v1 is" in world.run("freeze", "sample")
    assert world.ref(V1) in refs


def test_a_version_keeps_what_it_was_made_of_and_never_moves(world: World):
    base, new = world.base(), world.base(MOVED)
    world.run("generate", "sample", "--base", base)
    tip = world.ref(BRANCH)
    world.run("freeze", "sample", "--message-id", "https://lore.kernel.org/all/1.2-v1-0-a@example.org/")
    v1 = world.ref(V1)
    record = json.loads(world.show(V1, "series.json"))
    assert (record["base"], record["message_id"], record["version"]) == (base, "1.2-v1-0-a@example.org", 1)
    assert record["config"]["target"] == "b-next"
    assert record["patchbot"]
    made = world.json("regenerate", "sample", "--onto", new)
    assert made["version"] == 2
    world.run("freeze", "sample")
    world.git("branch", "-D", BRANCH)
    world.git("gc", "-q", "--prune=now")
    assert world.ref(V1) == v1
    assert world.ref(f"{V1}^1") == tip
    assert world.ref("refs/patchbot/sample/v2^1") == made["tip"]


def test_a_message_id_can_be_added_after_sending(world: World):
    world.run("generate", "sample", "--base", world.base())
    world.run("freeze", "sample")
    assert "now with" in world.run("freeze", "sample", "--message-id", "<a@b>")
    assert json.loads(world.show(V1, "series.json"))["message_id"] == "a@b"
    assert world.json("freeze", "sample")["message_id"] == "a@b"
    assert "is not a Message-ID" in world.run("freeze", "sample", "--message-id", "no id", code=2)


def test_freezing_takes_in_what_a_person_committed(world: World):
    world.run("generate", "sample", "--base", world.base())
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "-m", "sample: By hand\n\nA reason.\n")
    world.git("commit", "-q", "--allow-empty", "-m", "mine: One more")
    made = world.json("freeze", "sample")
    assert made["tip"] == world.ref(BRANCH)
    world.git("switch", "-q", "--detach")
    record = json.loads(world.show(V1, "series.json"))
    assert [p["subject"] for p in record["patches"]][-1] == "sample: By hand"
    assert [e["subject"] for e in record["extra"]] == ["mine: One more"]
    world.run("regenerate", "sample", "--onto", world.base({"b/two.c": None}))
    assert world.subjects()[-2:] == ["sample: By hand", "mine: One more"]


def test_freeze_is_told_which_patch_a_commit_is(world: World):
    ids = [p["id"] for p in world.json("generate", "sample", "--base", world.base())["patches"]]
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "-m", "mine: A patch of my own\n\nA reason.\n")
    assert "is one of" in world.run("freeze", "sample", "--match", "HEAD=nothing", code=2)
    world.run("freeze", "sample", "--match", "HEAD=")
    record = json.loads(world.show(V1, "series.json"))
    assert [e["subject"] for e in record["extra"]] == ["mine: A patch of my own"]
    assert [p["id"] for p in record["patches"]] == ids[:-1]


def test_the_facts_of_a_new_version_are_those_of_the_two_bases(world: World, tmp_path):
    world.run("generate", "sample", "--base", world.base())
    assert changes_since(world.repo, Scratch.at(tmp_path / "s.git", world.repo), "sample") is None
    world.run("freeze", "sample", "--message-id", "1@example.org")
    assert changes_since(world.repo, Scratch.at(tmp_path / "s.git", world.repo), "sample") is None
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    since = changes_since(world.repo, Scratch.at(tmp_path / "s.git", world.repo), "sample")
    assert since["version"] == 1
    assert since["link"] == "https://lore.kernel.org/all/1@example.org/"
    assert [s["site"] for s in since["new_sites"]] == ["a/one.c:n", "d/four.c:f"]
    assert [s["site"] for s in since["gone_sites"]] == ["b/two.c:z"]
    assert since["patches"] == {
        "same": ["sample: Add a header line"],
        "changed": ["sample: Convert a/one.c"],
        "new": ["sample: Convert d/four.c"],
        "gone": ["sample: Convert b/two.c"],
    }


def test_the_cover_letter_lists_what_changed(monkeypatch):
    monkeypatch.undo()
    site = {"fate": "change", "file": "a.c", "line": 1}
    since = {
        "version": 1,
        "message_id": "1@example.org",
        "link": "https://lore.kernel.org/all/1@example.org/",
        "earlier": [],
        "base": [{"describe": "v7.2", "version": "7.2.0"}, {"describe": "v7.3", "version": "7.3.0"}],
        "rebased": True,
        "new_sites": [{"site": "f@s", **site}, {"site": "g@s", **site, "fate": "keep"}],
        "gone_sites": [],
        "changed_sites": [{"site": "h@s", **site, "was": "keep"}],
        "patches": {"same": ["bpf: Same"], "changed": ["bpf: Other"], "new": [], "gone": ["bpf: Gone"]},
        "dropped_trailers": [{"patch": "x", "subject": "bpf: Other", "trailer": "Acked-by: A <a@b>", "reason": "why"}],
    }
    render.environment.cache_clear()
    text = render.render("campaign/changes.txt.j2", since=since, thing="row")
    assert text.splitlines() == [
        "Changes since v1:",
        "",
        "- Rebased from v7.2 (7.2.0) to v7.3 (7.3.0).",
        "- New: 1 row to change, f@s.",
        "- New: 1 row that stays as it is.",
        "- h@s: was keep, now change.",
        "- Changed: bpf: Other",
        "- Gone: bpf: Gone",
        "- Dropped from bpf: Other: Acked-by: A <a@b> (why)",
        "- Link to v1: https://lore.kernel.org/all/1@example.org/",
    ]


def test_status_says_what_is_there_and_what_is_stale(world: World):
    base = world.base()
    assert "no series of sample" in world.run("status", "sample", code=2)
    world.run("generate", "sample", "--base", base)
    world.run("freeze", "sample", "--message-id", "1@example.org")
    new = world.base(MOVED)
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "-m", "sample: By hand\n\nA reason.\n")
    world.git("switch", "-q", "--detach")
    document = world.json("status", "sample", "--base", new)
    assert [(v["version"], v["message_id"], v["patches"]) for v in document["versions"]] == [(1, "1@example.org", 3)]
    assert document["draft"]["edits"][0]["kind"] == "message"
    upstream = document["upstream"]
    assert (upstream["commit"], upstream["related"]) == (new, False)
    assert [s["site"] for s in upstream["new_sites"]] == ["a/one.c:n", "d/four.c:f"]
    assert len(document["stale"]) == 3
    said = world.run("status", "sample", "--base", new)
    assert "an unrelated history, 3 files differ" in said
    assert "gone site: b/two.c:1: b/two.c:z: change" in said
    assert "stale: The branch as it is was not checked" in said
    ahead = world.base({"doc.txt": b"x\n"}, related=True)
    world.run("regenerate", "sample", "--onto", new, "--discard-edits")
    document = world.json("status", "sample", "--base", ahead)
    assert (document["upstream"]["related"], document["upstream"]["commits"]) == (True, 1)


def test_colour_is_for_a_terminal(world: World):
    world.run("generate", "sample", "--base", world.base())
    world.run("freeze", "sample")
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    assert "\x1b" not in world.run("diff", "sample")
    assert subprocess.run(["git", "fsck", "--full", "--strict"], cwd=world.path, capture_output=True).returncode == 0
