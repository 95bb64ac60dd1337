"""What a person changed on the branch: seen, shown, stored and put back on another base."""

import json

import pytest
from versioned import BRANCH, World

from patchbot.git.formatpatch import format_patches
from patchbot.git.repo import Scratch

MOVED = {"a/one.c": b"above\nOLD x;\nkeep\nOLD y;\n", "b/two.c": b"first\n\n\nOLD z;\n\xff\n"}
ADDED = {"a/one.c": b"OLD x;\nkeep\nOLD y;\nsome\nmore\nlines\nOLD new;\n"}
REWORDED = "sample: Put a line at the end of the header\n\nThe header needs it, as the other headers did.\n"


def drafted(world: World) -> tuple[str, list[str]]:
    """Generate on a base; return the base and the branch's commits: header, b/two.c, a/one.c."""
    base = world.base()
    world.run("generate", "sample", "--base", base)
    return base, world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()


def subject_mails(world: World) -> list[str]:
    """Return the file names of the mails that format-patch makes of the commits that change anything."""
    base = world.record()["base"]
    commits = [c for c in world.repo.commits(base, world.repo.resolve(BRANCH)) if "cover" not in c.subject]
    scratch = Scratch.at(world.path.parent / "mails.git", world.repo)
    return [name for name, _ in format_patches(scratch, base, commits, ("--numbered",), {})]


def kinds(document) -> list[tuple[str, str]]:
    return sorted((e["kind"], e["patch"] or "") for e in document)


def test_an_untouched_branch_has_no_edits(world: World):
    drafted(world)
    assert world.json("edits", "sample")["edits"] == []
    assert "nothing on refs/heads/patchbot/sample" in world.run("edits", "sample")


def test_everything_by_hand_is_there_after_the_move(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(
        "empty|cover letter of b4\n\n--- b4-submit-tracking ---\n{}",
        f"reword|{header}|{REWORDED}",
        f"edit|{one}|a/one.c|NEW y|NEW y /* by hand */",
        "add|mine: Add a file|mine.c|int mine;\n",
        f"pick|{two}",
    )
    shown = world.json("edits", "sample")["edits"]
    assert [k for k, _ in kinds(shown)] == ["code", "extra", "extra", "message", "order"]
    assert "+NEW y /* by hand */;" in next(e["diff"] for e in shown if e["kind"] == "code")
    said = world.run("generate", "sample", "--base", "base", code=2)
    assert "patchbot edits sample" in said
    assert "patchbot regenerate sample --onto" in said
    world.json("regenerate", "sample", "--onto", world.base(MOVED))
    expected = [
        "cover letter of b4",
        "sample: Put a line at the end of the header",
        "sample: Convert a/one.c",
        "mine: Add a file",
        "sample: Convert b/two.c",
    ]
    for change in ({}, {"c/three.c": b"only text\n"}):  # the second time from what is stored
        if change:
            world.json("regenerate", "sample", "--onto", world.base({**MOVED, **change}))
        assert world.subjects() == expected
        assert world.show(BRANCH, "a/one.c") == "above\nNEW x;\nkeep\nNEW y /* by hand */;"
        assert world.show(BRANCH, "mine.c") == "int mine;"
        assert world.message(f"{BRANCH}~4").endswith("--- b4-submit-tracking ---\n{}")
        assert [k for k, _ in kinds(world.json("edits", "sample")["edits"])] == [k for k, _ in kinds(shown)]


def test_the_new_patch_of_a_reordered_series_follows_its_neighbour(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"pick|{header}", f"pick|{one}", f"pick|{two}")
    world.run("regenerate", "sample", "--onto", world.base({**MOVED, "c/three.c": b"OLD q;\n"}))
    assert world.subjects() == [
        "sample: Add a header line",
        "sample: Convert a/one.c",
        "sample: Convert b/two.c",
        "sample: Convert c/three.c",
    ]


def test_a_dropped_patch_stays_dropped_until_the_edits_are_discarded(world: World):
    _, (header, _, one) = drafted(world)
    world.rework(f"pick|{header}", f"pick|{one}")
    made = world.json("regenerate", "sample", "--onto", world.base(MOVED))
    assert [p["id"] for p in made["patches"]] == ["header", "words/a/one.c"]
    assert ("dropped", "words/b/two.c") in kinds(made["kept_edits"])
    without = world.base({"b/two.c": None})
    world.run("regenerate", "sample", "--onto", without)
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    assert world.subjects() == ["sample: Add a header line", "sample: Convert a/one.c"]
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--allow-empty", "-m", "mine: One more")
    tip = world.ref(BRANCH)
    world.git("switch", "-q", "--detach")
    made = world.json("regenerate", "sample", "--onto", "base", "--discard-edits")
    assert world.ref("refs/patchbot/sample/before") == tip  # said too fast, it can be taken back
    assert [p["id"] for p in made["patches"]] == ["header", "words/b/two.c", "words/a/one.c"]
    assert made["kept_edits"] == []


def test_generate_puts_stored_edits_back_and_gives_the_same_ids(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"reword|{header}|{REWORDED}", f"pick|{two}", f"pick|{one}")
    new = world.base(MOVED)
    world.run("regenerate", "sample", "--onto", new)
    refs = world.refs()
    world.run("generate", "sample", "--base", new)
    assert world.refs() == refs
    assert world.message(f"{BRANCH}~2") == REWORDED.strip()


def test_a_commit_above_an_edited_one_is_not_edited_itself(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"edit|{header}|inc.h|ADDED|ADDED 1", f"pick|{two}", f"pick|{one}")
    assert kinds(world.json("edits", "sample")["edits"]) == [("code", "header")]


def test_code_by_hand_is_merged_into_what_is_generated_now(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"pick|{header}", f"pick|{two}", f"edit|{one}|a/one.c|NEW x;|NEW x; /* why */")
    made = world.json("regenerate", "sample", "--onto", world.base(ADDED))
    assert kinds(made["kept_edits"]) == [("code", "words/a/one.c")]
    assert world.show(BRANCH, "a/one.c").splitlines()[0] == "NEW x; /* why */"
    assert world.show(BRANCH, "a/one.c").splitlines()[-1] == "NEW new;"


def test_an_edit_that_is_generated_now_is_not_kept(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"pick|{header}", f"pick|{two}", f"pick|{one}", "add|doc: Add|doc.txt|text\n")
    made = world.json("regenerate", "sample", "--onto", world.base({"doc.txt": b"text\n"}))
    assert made["kept_edits"] == []
    assert len(world.subjects()) == 3


def test_the_edit_of_a_patch_that_is_gone_waits_for_it(world: World):
    _, (header, two, one) = drafted(world)
    world.rework(f"pick|{header}", f"reword|{two}|sample: Two by hand\n\nA reason.", f"pick|{one}")
    made = world.json("regenerate", "sample", "--onto", world.base({"b/two.c": None}))
    assert "words/b/two.c" in made["gone"]
    assert kinds(made["kept_edits"]) == [("message", "words/b/two.c")]
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    assert world.subjects()[1] == "sample: Two by hand"


def test_commits_of_other_people_keep_their_author_and_date(world: World):
    drafted(world)
    world.git("switch", "-q", BRANCH)
    world.git(
        "commit", "-q", "--allow-empty", "--author", "Ö B <o@example.org>", "--date", "1700000000 +0200", "-m", "s: o"
    )
    world.git("commit", "-q", "--allow-empty", "-m", "s: last")
    world.git("switch", "-q", "--detach")
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    row = world.git("log", "-1", "--format=%an|%ae|%ad|%cn", "--date=raw", f"{BRANCH}~1")
    assert row == "Ö B|o@example.org|1700000000 +0200|A Developer"


def test_odd_files_and_bytes_that_are_no_utf8_are_carried(world: World):
    drafted(world)
    world.git("switch", "-q", BRANCH)
    (world.path / "run.sh").write_bytes(b"#!/bin/sh\n# \xfc\n")
    (world.path / "run.sh").chmod(0o755)
    (world.path / "link").symlink_to("c/three.c")
    (world.path / 'odd "näme"').write_text("x\n")
    world.git("rm", "-q", "c/three.c")
    world.git("add", "-A")
    (world.path.parent / "message").write_bytes(b"mine: Gr\xfc\xdfe\n\nBody \xff.\n")
    world.git("commit", "-q", "-F", str(world.path.parent / "message"))
    raw = world.repo.raw(world.repo.resolve(BRANCH)).partition(b"\n\n")[2]
    world.git("switch", "-q", "--detach")
    world.run("edits", "sample")
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    listing = world.git("-c", "core.quotePath=false", "ls-tree", BRANCH).splitlines()
    kept = {row.split("\t")[1]: row.split(" ")[0] for row in listing}
    assert (kept["run.sh"], kept["link"]) == ("100755", "120000")
    assert '"odd \\"näme\\""' in kept
    assert "c" not in kept
    assert world.repo.read(world.repo.resolve(BRANCH), "run.sh") == b"#!/bin/sh\n# \xfc\n"
    assert world.repo.raw(world.repo.resolve(BRANCH)).partition(b"\n\n")[2] == raw
    world.run("freeze", "sample")
    world.run("diff", "sample", "v1", "draft")


def test_an_empty_commit_is_no_patch_to_checks_and_mails(world: World):
    _, (header, two, one) = drafted(world)
    world.rework("empty|cover letter of b4", f"pick|{header}", f"pick|{two}", f"pick|{one}")
    report = world.json("check", "sample", "--only", "applies")
    assert {r["patch"] for r in report["results"] if r["patch"]} == {"header", "words/b/two.c", "words/a/one.c"}
    assert report["worst"] == "PASS"
    mails = subject_mails(world)
    assert [name[:7] for name in mails] == ["0001-sa", "0002-sa", "0003-sa"]


def test_tags_by_hand_are_kept_on_the_same_patch_and_dropped_on_another(world: World):
    _, (header, two, one) = drafted(world)
    tag = "Reviewed-by: R Person <r@example.org>"
    world.rework(*(f"reword|{c}|{world.message(c)}\n\n{tag}" for c in (header, one)), f"pick|{two}")
    world.run("freeze", "sample", "--message-id", "<1-v1@example.org>")
    made = world.json("regenerate", "sample", "--onto", world.base(ADDED))
    assert [(d["patch"], d["trailer"]) for d in made["dropped_trailers"]] == [("words/a/one.c", tag)]
    assert "% of the diff changed" in made["dropped_trailers"][0]["reason"]
    subjects = world.subjects()
    messages = {s: world.message(f"{BRANCH}~{len(subjects) - 1 - n}") for n, s in enumerate(subjects)}
    assert messages["sample: Add a header line"].endswith(f"\n\n{tag}")
    assert tag not in messages["sample: Convert a/one.c"]
    again = world.refs()
    world.run("regenerate", "sample", "--onto", "base")
    assert world.refs() == again


def test_how_much_may_change_below_a_tag_is_configured(world: World):
    _, (header, two, one) = drafted(world)
    tag = "Reviewed-by: R Person <r@example.org>"
    world.rework(f"pick|{header}", f"reword|{one}|{world.message(one)}\n\n{tag}", f"pick|{two}")
    config = world.path.parent / "p.toml"
    config.write_text(config.read_text().replace("[campaigns.sample]\n", "[campaigns.sample]\ntag_threshold = 90\n"))
    base = world.base(ADDED)
    assert world.json("regenerate", "sample", "--onto", base)["dropped_trailers"] == []
    base = world.base({"a/one.c": b"OLD x;\nkeep\nOLD y;\nOLD z;\nOLD zz;\n"})
    assert len(world.json("regenerate", "sample", "--onto", base, "--keep-tags", "0")["dropped_trailers"]) == 1


def test_tags_from_mails_are_kept_or_dropped_like_those_by_hand(world: World, tmp_path):
    drafted(world)
    world.run("freeze", "sample", "--message-id", "0@example.org")
    mails = []
    for number, subject in ((1, "sample: Add a header line"), (3, "sample: Convert a/one.c")):
        mails.append(
            "From r@example.org Thu Jan  1 00:00:00 2026\n"
            "From: R Person <r@example.org>\nTo: list@example.org\n"
            f"Subject: Re: [RFC PATCH b-next {number}/3] {subject}\nMessage-ID: <{number}r@example.org>\n"
            f"In-Reply-To: <{number}@example.org>\n\n> {subject}\n\nReviewed-by: R Person <r@example.org>\n\n"
        )
    (tmp_path / "t.mbox").write_text("".join(mails))
    made = world.json("trailers", "sample", "--mbox", str(tmp_path / "t.mbox"))
    assert len(made["attached"]) >= 1, made
    tagged = {row["patch"] for row in made["attached"]}
    for base, gone in ((MOVED, set()), (ADDED, tagged & {"words/a/one.c"})):
        made = world.json("regenerate", "sample", "--onto", world.base(base))
        assert {d["patch"] for d in made["dropped_trailers"]} == gone
        assert world.message(f"{BRANCH}~2").endswith("Reviewed-by: R Person <r@example.org>")
        assert made["kept_edits"] == []
    made = world.json("status", "sample")
    assert made["draft"]["trailers"] == len(tagged) - len(gone)
    assert world.json("diff", "sample")["patches"][0]["state"] == "same"


def test_two_commits_that_may_be_one_patch_are_shown_and_can_be_chosen(world: World):
    text = b"top\nmiddle\n" + b"".join(b"OLD %c;\n" % c for c in range(97, 117))
    base = world.base({"a/one.c": text})
    world.run("generate", "sample", "--base", base)
    header, two, one = world.git("rev-list", "--reverse", f"{base}..{BRANCH}").splitlines()
    world.rework(f"pick|{header}", f"pick|{two}")
    world.git("switch", "-q", BRANCH)
    lines = world.show(one, "a/one.c").split("\n")
    for part in (lines[:12] + text.decode().split("\n")[12:22], lines[:22]):
        (world.path / "a/one.c").write_text("\n".join(part) + "\n")
        world.git("commit", "-q", "-am", "half")
    world.git("switch", "-q", "--detach", base)
    said = world.run("edits", "sample", code=2)
    assert said.count("(half) may be words/a/one.c") == 2
    assert "--match" in said
    second = world.ref(BRANCH)
    chosen = ("--match", f"{second}=words/a/one.c")
    shown = world.json("edits", "sample", *chosen)["edits"]
    extra = ("extra", f"+{world.ref(f'{BRANCH}^')[:12]}")
    assert kinds(shown) == [("code", "words/a/one.c"), extra, ("message", "words/a/one.c")]
    # The other half lies below it, and both halves are next to each other: a conflict that the person solved already.
    assert "a/one.c: as generated, but a person resolved a conflict" in world.run("edits", "sample", *chosen)
    moved = world.base({"a/one.c": b"above\n" + text})
    world.run("regenerate", "sample", "--onto", moved, *chosen)
    for onto in (moved, world.base({"a/one.c": b"above\n" + text, "d/four.c": b"OLD f;\n"}), moved):
        world.run("regenerate", "sample", "--onto", onto)
        assert world.show(f"{BRANCH}^", "a/one.c").count("NEW") == 10
        assert world.show(BRANCH, "a/one.c") == "above\n" + "\n".join(lines[:22])


def test_a_branch_that_was_rebased_elsewhere_says_so(world: World):
    drafted(world)
    other = world.base(MOVED)
    world.git("branch", "-f", BRANCH, other)
    assert "holds no patch any more" in world.run("edits", "sample", code=2)
    world.git("switch", "-q", "--detach")
    world.git("commit", "-q", "--allow-empty", "-m", "nameless")
    world.git("branch", "-f", BRANCH, world.git("commit-tree", "-m", "root", "HEAD^{tree}"))
    assert "does not start at its base" in world.run("edits", "sample", code=2)


def test_the_record_is_enough_to_carry_edits(world: World):
    """The person's own commits may be gone: what they changed is data."""
    _, (header, two, one) = drafted(world)
    world.rework(f"edit|{header}|inc.h|ADDED|ADDED 1", f"pick|{two}", f"pick|{one}")
    world.run("freeze", "sample")
    record = json.loads(world.repo.read(world.ref("refs/patchbot/sample/v1"), "edits.json"))
    assert [p["id"] for p in record["patches"]] == ["header"]
    world.git("branch", "-D", BRANCH)
    world.git("reflog", "expire", "--expire=now", "--all")
    world.git("gc", "-q", "--prune=now")
    world.run("regenerate", "sample", "--onto", world.base(MOVED))
    assert "#define ADDED 1" in world.show(BRANCH, "inc.h")


@pytest.mark.parametrize("message", ["", "\n \n\n"])
def test_a_commit_without_a_message_is_shown_and_stops_what_needs_one(world: World, tmp_path, message):
    base, _ = drafted(world)
    world.run("freeze", "sample")
    world.git("switch", "-q", BRANCH)
    world.git("commit", "-q", "--amend", "--allow-empty-message", "--cleanup=verbatim", "-m", message)
    world.git("switch", "-q", "--detach", base)
    tip = world.ref(BRANCH)[:12]
    assert "reworded (subject '')" in world.run("status", "sample")
    assert "reworded (subject '')" in world.run("edits", "sample")
    assert world.run("diff", "sample").count("!") == 1
    for argv in (["check", "sample"], ["mail", "sample"], ["report", "sample", "--html", str(tmp_path / "p.html")]):
        assert f"{tip}: its message is empty; a commit needs one" in world.run(*argv, code=2)
    assert "its message is empty" in world.run("regenerate", "sample", "--onto", base, code=2)
    assert "patchbot did not make" in world.run("generate", "sample", "--base", base, code=2)


def test_a_commit_by_hand_without_a_message_is_not_carried(world: World):
    base, _ = drafted(world)
    world.rework(f"pick|{BRANCH}")
    (world.path / "by.hand").write_text("x\n")
    world.git("switch", "-q", BRANCH)
    world.git("add", "by.hand")
    world.git("commit", "-q", "--allow-empty-message", "-m", "")
    world.git("switch", "-q", "--detach", base)
    assert "a commit by hand" in world.run("status", "sample")
    assert "its message is empty" in world.run("regenerate", "sample", "--onto", base, code=2)
