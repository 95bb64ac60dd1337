"""regenerate on real kernels: from release to release, and onto a release that was changed as upstream changes it."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import RealKernel, real_kernels

from patchbot.cli import main
from patchbot.git.fastimport import NewCommit
from patchbot.git.repo import Repo, Scratch
from patchbot.git.transaction import publish
from patchbot.model import REGULAR, Entry, Identity

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
BRANCH = "refs/heads/patchbot/kfunc_flags"
XFRM = "net/xfrm/xfrm_state_bpf.c"
UPSTREAM = Identity("Up Stream", "up@example.org")
Change = Callable[[bytes], bytes] | bytes


class Moved:
    """A clone of a kernel in which upstream moves and a person works."""

    def __init__(self, kernel: RealKernel, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        subprocess.run(["git", "clone", "-q", "--bare", "--shared", kernel.repo.git_dir, folder / "k.git"], check=True)
        self.path = folder / "k.git"
        self.repo = Repo.open(self.path)
        self.base = kernel.commit
        self.scratch = Scratch.at(folder / "s.git", self.repo)
        self.capsys = capsys

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Run patchbot; return exit code, stdout and stderr."""
        self.capsys.readouterr()
        code = main([*argv, "--kernel", str(self.path)])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *argv: str) -> dict:
        code, out, err = self.run(*argv, "--json", "-q")
        assert code == 0, err
        return json.loads(out)

    def upstream(self, changes: Mapping[str, Change], parent: str | None = None) -> str:
        """Commit what upstream did and return the commit."""
        base = parent or self.base
        files = {}
        for path, change in changes.items():
            old = self.repo.read(base, path) or b""
            new = change if isinstance(change, bytes) else change(old)
            assert new != old, path
            files[path] = Entry(REGULAR, new)
        (made,) = self.scratch.write(
            base, [NewCommit("", "up: Change it\n\nBody.\n", UPSTREAM, "1767225700 +0000", files)]
        )
        publish(self.repo, self.scratch, [(f"refs/heads/up-{made.sha[:12]}", made.sha, None)])
        return made.sha

    def git(self, *argv: str) -> str:
        """Return what git says on stdout, however it ends."""
        return self.repo.git(*argv, check=False).stdout.decode().strip()

    def series(self) -> dict:
        """Return series.json of the draft."""
        return json.loads(self.repo.read("refs/patchbot/kfunc_flags/draft", "series.json"))

    def tip(self) -> str | None:
        return self.repo.ref(BRANCH)


def put(old: str, new: str) -> Change:
    """Replace a text that is there exactly once."""

    def change(text: bytes) -> bytes:
        assert text.count(old.encode()) == 1, old
        return text.replace(old.encode(), new.encode())

    return change


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """One cache for all: what was searched in a release is not searched again for the next test."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cached(cache, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def moved(kernel73, tmp_path, capsys) -> Moved:
    """The newest kernel with a frozen series."""
    made = Moved(kernel73, tmp_path, capsys)
    made.json("generate", "--base", made.base)
    made.json("freeze")
    return made


def states(document: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"same": [], "changed": [], "new": []}
    for patch in document["patches"]:
        found[patch["state"]].append(patch["id"])
    return found


def sites(rows: list[dict]) -> list[str]:
    return sorted(row["site"] for row in rows)


def named(entries: list[dict]) -> dict[str, str]:
    """Return {site: fate} of the rows that `scan --json` prints: a site is the kfunc's row in a set of that name."""
    count: Counter[str] = Counter()
    found = {}
    for entry in entries:
        name = f"{entry['kfunc']}@{entry['set']}"
        count[name] += 1
        found[name + (f"#{count[name]}" if count[name] > 1 else "")] = entry["fate"]
    return found


def test_from_release_to_release_and_back_sites_are_the_difference_of_the_inventories(kernel73, tmp_path, capsys):
    """The releases are commits without a common ancestor; each step freezes a version."""
    kernels = [k for k in reversed(real_kernels()) if k.repo.git_dir == kernel73.repo.git_dir]
    if len(kernels) < 2:
        pytest.skip("one kernel only")
    made = Moved(kernels[0], tmp_path, capsys)
    known = {k.commit: named(made.json("scan", "--base", k.commit)["entries"]) for k in kernels}
    direct = {}
    for kernel in kernels:
        direct[kernel.commit] = made.json("generate", "--base", kernel.commit)["tip"]
    patches = made.json("generate", "--base", kernels[0].commit)["patches"]
    for number, (old, new) in enumerate(pairwise([*kernels, *reversed(kernels[:-1])]), 1):
        made.json("freeze", "--message-id", f"{number}@example.org")
        assert made.git("merge-base", old.commit, new.commit) == ""
        document = made.json("regenerate", "--onto", new.commit)
        assert document["from"] == {"version": number, "base": old.commit}
        before, after = known[old.commit], known[new.commit]
        assert sites(document["new_sites"]) == sorted(set(after) - set(before))
        assert sites(document["gone_sites"]) == sorted(set(before) - set(after))
        changed = {row["site"]: (row["was"], row["fate"]) for row in document["changed_sites"]}
        assert changed == {s: (before[s], after[s]) for s in set(before) & set(after) if before[s] != after[s]}
        was, now = ({p["id"] for p in rows} for rows in (patches, document["patches"]))
        assert sorted(document["gone"]) == sorted(was - now)
        assert sorted(states(document)["new"]) == sorted(now - was)
        # A step that both have is the same patch, whatever became of the lines around it.
        assert {"btf_ids", "btf", "verifier", "docs", "selftests"} <= was & now
        assert made.tip() == document["tip"] == direct[new.commit]
        assert set(made.repo.refs("refs/patchbot/kfunc_flags/")) == {
            f"refs/patchbot/kfunc_flags/{name}" for name in ("draft", *(f"v{n}" for n in range(1, number + 1)))
        }
        patches = document["patches"]


def test_a_base_that_moved_elsewhere_gives_the_same_patches(moved: Moved):
    onto = moved.upstream({"CREDITS": lambda text: text + b"N: Somebody\n"})
    document = moved.json("regenerate", "--onto", onto)
    assert document["reused"]
    assert states(document)["changed"] == states(document)["new"] == document["gone"] == []
    assert document["seconds"] < 5
    tip = moved.tip()
    moved.json("generate", "--base", onto)
    assert moved.tip() == tip


def test_a_new_row_is_a_new_site(moved: Moved):
    row = "BTF_ID_FLAGS(func, bpf_xdp_xfrm_state_release, KF_RELEASE)\n"
    kfunc = "__bpf_kfunc void bpf_xdp_xfrm_state_drop(struct xfrm_state *x)\n{\n\txfrm_state_put(x);\n}\n\n"
    add_row = put(row, row + row.replace("release", "drop", 1))
    add_kfunc = put("__bpf_kfunc_end_defs();", kfunc + "__bpf_kfunc_end_defs();")
    onto = moved.upstream({XFRM: lambda text: add_row(add_kfunc(text))})
    document = moved.json("regenerate", "--onto", onto)
    (found,) = document["new_sites"]
    assert found["site"] == "bpf_xdp_xfrm_state_drop@xfrm_state_kfunc_set"
    assert found["file"] == XFRM
    assert found["line"] > 100
    assert states(document)["changed"] == [f"rows/{XFRM}"]
    assert b"bpf_xdp_xfrm_state_drop, 0, KFA_RELEASE)" in moved.repo.read(moved.tip(), XFRM)


def test_a_removed_set_takes_its_patch_along(moved: Moved):
    onto = moved.upstream(
        {XFRM: lambda text: re.sub(rb"BTF_KFUNCS_START.*BTF_KFUNCS_END[^\n]*\n", b"", text, flags=re.S)}
    )
    document = moved.json("regenerate", "--onto", onto)
    assert document["gone"] == [f"rows/{XFRM}"]
    assert sites(document["gone_sites"]) == [
        "bpf_xdp_get_xfrm_state@xfrm_state_kfunc_set",
        "bpf_xdp_xfrm_state_release@xfrm_state_kfunc_set",
    ]
    assert states(document)["changed"] == states(document)["new"] == []


def test_a_set_that_moves_to_another_file_changes_which_patch_converts_it(moved: Moved):
    old = moved.repo.read(moved.base, XFRM)
    onto = moved.upstream({XFRM: b"/* moved */\n", "net/xfrm/xfrm_bpf_new.c": old})
    document = moved.json("regenerate", "--onto", onto)
    assert document["gone"] == [f"rows/{XFRM}"]
    assert states(document)["new"] == ["rows/net/xfrm/xfrm_bpf_new.c"]
    assert document["new_sites"] == document["gone_sites"] == []


def test_a_number_before_the_released_argument_asks_and_names_who_put_it_there(moved: Moved):
    """The verifier releases argument 0, which is none any more: that is a person's decision."""
    change = put(
        "bpf_xdp_xfrm_state_release(struct xfrm_state *x)", "bpf_xdp_xfrm_state_release(u32 y, struct xfrm_state *x)"
    )
    onto = moved.upstream({XFRM: change})
    before = moved.tip()
    code, _, said = moved.run("regenerate", "--onto", onto)
    assert code == 1
    site = r"bpf_xdp_xfrm_state_release@xfrm_state_kfunc_set: "
    assert re.search(rf"{XFRM}:\d+: {site}.*\n\s+last changed by {onto[:12]} \(up: Change it\)", said)
    assert moved.tip() == before


def test_refused_rows_and_lost_anchors_are_named_together(moved: Moved):
    change = put(
        "bpf_xdp_xfrm_state_release(struct xfrm_state *x)", "bpf_xdp_xfrm_state_release(u32 y, struct xfrm_state *x)"
    )
    rename = {"kernel/bpf/btf.c": lambda text: text.replace(b"btf_check_kfunc_protos", b"btf_check_protos_of_kfunc")}
    code, _, said = moved.run("regenerate", "--onto", moved.upstream({XFRM: change, **rename}))
    assert code == 2
    assert XFRM in said
    assert "kernel/bpf/btf.c" in said


def test_a_struct_that_moved_to_a_header_is_named(moved: Moved):
    text = moved.repo.read(moved.base, "kernel/bpf/btf.c")
    struct = re.search(rb"struct btf_kfunc_set_tab \{.*?\n\};\n", text, re.S)[0]
    onto = moved.upstream(
        {
            "kernel/bpf/btf.c": lambda text: text.replace(struct, b""),
            "include/linux/btf.h": lambda text: text.replace(b"\nstruct btf;\n", b"\nstruct btf;\n" + struct),
        }
    )
    before = moved.tip()
    code, _, said = moved.run("regenerate", "--onto", onto)
    assert code == 2
    assert re.search(rf"kernel/bpf/btf\.c.*btf_kfunc_set_tab(.*\n)+?\s+last changed by {onto[:12]}", said)
    assert moved.tip() == before


def test_another_value_of_a_flag_changes_nothing_but_its_context(moved: Moved):
    onto = moved.upstream(
        {"include/linux/btf.h": lambda text: re.sub(rb"(#define KF_RELEASE\s+)\(1 << 1\)", rb"\1(1 << 29)", text)}
    )
    document = moved.json("regenerate", "--onto", onto)
    assert document["gone"] == states(document)["new"] == []
    assert all(p["changed"] in ([], ["context"]) for p in document["patches"])


def test_anchors_that_are_gone_are_all_named_with_the_commit_that_took_them(moved: Moved):
    onto = moved.upstream(
        {
            "kernel/bpf/btf.c": lambda text: text.replace(b"btf_check_kfunc_protos", b"btf_check_protos_of_kfunc"),
            "kernel/bpf/verifier.c": lambda text: text.replace(b"check_kfunc_args", b"check_args_of_kfunc"),
        }
    )
    before = moved.tip()
    code, _, said = moved.run("regenerate", "--onto", onto)
    assert code == 2
    assert "kernel/bpf/btf.c" in said
    assert "kernel/bpf/verifier.c" in said
    assert f"last changed by {onto[:12]} (up: Change it)" in said
    assert "the last version is as it was" in said
    assert moved.tip() == before


def test_a_patch_that_was_merged_upstream_is_gone(moved: Moved):
    first = moved.repo.commits(moved.base, moved.tip())[0]
    files = {p: moved.repo.read(first.sha, p) for p in moved.repo.changed_paths(moved.base, first.sha)}
    onto = moved.upstream(files)
    document = moved.json("regenerate", "--onto", onto)
    assert document["gone"] == ["dynptr"]
    assert states(document)["new"] == []


def add_section(text: bytes) -> bytes:
    """Add a last section to the chapter before `Registering the kfuncs`, numbered as it has to be."""
    chapter = re.search(rb"^(\d+)\.(\d+) Registering the kfuncs$", text, re.M)
    before = b"%d.%d." % (int(chapter[1]), int(chapter[2]) - 1)
    number = max(int(n) for n in re.findall(rb"^" + re.escape(before) + rb"(\d+) ", text, re.M)) + 1
    heading = b"%b%d One more flag" % (before, number)
    added = heading + b"\n" + b"-" * len(heading) + b"\n\nText.\n\n"
    return text[: chapter.start()] + added + text[chapter.start() :]


def test_tags_for_three_patches_and_the_cover_survive_where_the_patch_is_the_same(moved: Moved, tmp_path):
    posted = next(row for row in moved.json("generate", "--base", moved.base)["series"])
    total, names = len(posted["patches"]), posted["patches"]
    subjects = {p["id"]: p["subject"] for p in moved.series()["patches"]}
    moved.json("freeze", "--message-id", "0@example.org")
    docs, verifier, last = names.index("docs"), names.index("verifier"), total - 1
    mails = []
    for number in (-1, docs, verifier, last):
        title = posted["cover"]["subject"] if number < 0 else subjects[names[number]]
        mails.append(
            "From r@example.org Thu Jan  1 00:00:00 2026\n"
            f"From: R Person <r@example.org>\nMessage-ID: <{number + 1}r@example.org>\n"
            f"Subject: Re: [PATCH {posted['target']} {number + 1:02}/{total}] {title}\n"
            f"In-Reply-To: <{number + 1}@example.org>\n\n> {title}\n\n"
            f"{'Acked-by' if number < 0 else 'Reviewed-by'}: R Person <r@example.org>\n\n"
        )
    (tmp_path / "t.mbox").write_text("".join(mails))
    found = moved.json("trailers", "--mbox", str(tmp_path / "t.mbox"))
    assert found["ignored"] == []
    assert len(found["attached"]) == total + 3
    # The section that the series adds has another number after this one, and the verifier's lines move.
    onto = moved.upstream(
        {
            "Documentation/bpf/kfuncs.rst": add_section,
            "kernel/bpf/verifier.c": lambda text: text.replace(b"\n#include", b"\n/* up */\n#include", 1),
        }
    )
    document = moved.json("regenerate", "--onto", onto)
    changed = {p["id"] for p in document["patches"] if "code" in p["changed"]}
    assert changed == {"docs"}
    tag, ack = ("Reviewed-by: R Person <r@example.org>", "Acked-by: R Person <r@example.org>")
    assert sorted((d["patch"], d["trailer"]) for d in document["dropped_trailers"]) == [("docs", ack), ("docs", tag)]
    for commit in moved.repo.commits(onto, moved.tip())[:total]:
        message = moved.repo.raw(commit.sha).partition(b"\n\n")[2].decode()
        name = next(p["id"] for p in document["patches"] if p["commit"] == commit.sha)
        above, _, below = message.partition("\n---\n")
        assert (ack in above) == (name != "docs")
        assert (tag in above) == (name in (names[verifier], names[last]))
        assert below.count("Dropped: ") == (2 if name == "docs" else 0)
