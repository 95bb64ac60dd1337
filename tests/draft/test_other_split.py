"""A series that is split in another way: what becomes of tags, and what is said of patches that went and of steps."""

from pathlib import Path

import pytest
from tinytree import build, patchbot, sh

from patchbot.draft.record import FILE

BRANCH = "patchbot/kfunc_flags"
RECORD = "refs/patchbot/kfunc_flags/draft"
TAG = "Reviewed-by: R. Viewer <viewer@example.org>"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    build(tmp_path / "linux")
    patchbot("generate", cwd=tmp_path / "linux")
    return tmp_path / "linux"


def make_treewide(work: Path) -> None:
    (work / ".git/patchbot.toml").write_text('[campaigns.kfunc_flags]\nconversions = "treewide"\n')


def test_a_tag_that_goes_with_its_patch_is_told_by_generate(work: Path) -> None:
    message = sh(work, "git", "log", "-1", "--format=%B", BRANCH).rstrip()
    new = sh(work, "git", "commit-tree", f"{BRANCH}^{{tree}}", "-p", f"{BRANCH}^", "-m", f"{message}\n\n{TAG}").strip()
    sh(work, "git", "branch", "-q", "-f", BRANCH, new)
    patchbot("regenerate", "--onto", "master", cwd=work)
    make_treewide(work)
    assert (
        f"  dropped: {TAG} of rows/kernel/sched/ext/ext.c: the patch is gone" in patchbot("generate", cwd=work).stdout
    )


def test_patches_whose_sites_others_change_now_were_taken_by_nobody(work: Path) -> None:
    make_treewide(work)
    said = patchbot("regenerate", "--onto", "master", cwd=work).stdout
    assert "gone    " in said
    assert "in another form" not in said


def test_no_step_that_the_campaign_no_longer_has_is_to_be_switched_on(work: Path) -> None:
    text = sh(work, "git", "show", f"{RECORD}:{FILE}")
    assert '"steps": [\n' in text
    (work.parent / FILE).write_text(text.replace('"steps": [\n', '"steps": [\n  "rcu",\n'))
    blob = sh(work, "git", "hash-object", "-w", str(work.parent / FILE)).split()[0]
    rows = [row for row in sh(work, "git", "ls-tree", RECORD).splitlines() if not row.endswith(f"\t{FILE}")]
    tree_file = work.parent / "tree"
    tree_file.write_text("\n".join([*rows, f"100644 blob {blob}\t{FILE}", ""]))
    tree = sh(work, "sh", "-c", f"git mktree < {tree_file}").strip()
    parents = [f"-p{sha}" for sha in sh(work, "git", "log", "-1", "--format=%P", RECORD).split()]
    sh(work, "git", "update-ref", RECORD, sh(work, "git", "commit-tree", tree, *parents, "-m", "record").strip())
    assert "steps that are off" not in patchbot("status", cwd=work).stdout
