"""A converted row is refused by a tree that does not know flags of arguments, rather than compiled without them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tinytree
from conftest import RealKernel

from patchbot.campaigns.kfunc_flags.steps import btf_ids
from patchbot.config import CampaignConfig
from patchbot.run import run
from patchbot.series.campaign import Context
from patchbot.series.tree import Tree

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")

FILE = """\
#include <linux/btf_ids.h>
#define KF_ACQUIRE (1 << 0)
#define KFA_RCU (1 << 1)
BTF_{kind}_START(ids)
BTF_ID_FLAGS(func, plain, KF_ACQUIRE)
{row}
BTF_{kind}_END(ids)
"""
ROW = "BTF_KFUNC(f, KF_ACQUIRE, KFA_RCU)"
#: Where CONFIG_DEBUG_INFO_BTF is on and off.
BTF = pytest.mark.parametrize("btf", [True, False])
STUBS = {
    "types.h": "typedef unsigned int u32; typedef int s32;\n",
    "compiler.h": "#define ___PASTE(a, b) a##b\n#define __PASTE(a, b) ___PASTE(a, b)\n",
    "compiler_attributes.h": "",
}


def complaint(tree: Tree, folder: Path, text: str, btf: bool, *only: str) -> str:
    """Compile a file with the sets' header of a tree and return what gcc says, "" if it is content."""
    include = folder / "linux"
    include.mkdir(parents=True, exist_ok=True)
    for name, stub in STUBS.items():
        (include / name).write_text(stub)
    for name in ("btf_ids.h", "args.h", "stringify.h"):
        (include / name).write_bytes(tree.get(f"include/linux/{name}") or b"")
    (folder / "rows.c").write_text(text)
    defined = ["-D__maybe_unused=", *(["-DCONFIG_DEBUG_INFO_BTF"] if btf else [])]
    done = run(["gcc", *only, *defined, "-I", folder, "-c", "-o", folder / "o", folder / "rows.c"], check=False)
    return done.stderr.decode() if done.returncode else ""


def refused(base: Tree, folder: Path, btf: bool) -> None:
    plain, converted = (FILE.format(kind="KFUNCS", row=row) for row in ("", ROW))
    assert complaint(base, folder, plain, btf, "-fsyntax-only") == ""
    assert "rows.c:6:" in complaint(base, folder, converted, btf, "-fsyntax-only")
    seen = Context(base, base, CampaignConfig("kfunc_flags"), ("btf_ids",))
    assert complaint(base.edit(btf_ids.btf_ids(seen).edits), folder, converted, btf) == ""


@BTF
def test_the_tiny_kernel_refuses_a_converted_row(tmp_path: Path, btf: bool) -> None:
    repo = tinytree.build(tmp_path / "linux")
    refused(Tree(repo, repo.resolve("HEAD")), tmp_path / "try", btf)


@BTF
@pytest.mark.kernel
def test_a_real_kernel_refuses_a_converted_row(kernel: RealKernel, tmp_path: Path, btf: bool) -> None:
    refused(kernel.tree, tmp_path, btf)


@pytest.mark.kernel
def test_the_row_has_a_name_that_no_kernel_has(kernel: RealKernel) -> None:
    assert kernel.repo.git("grep", "-lw", "-e", "BTF_KFUNC", kernel.commit, check=False).stdout == b""


def test_a_row_outside_of_a_set_of_kfuncs_does_not_compile(tmp_path: Path) -> None:
    """No trailer would say where its flags are, so the kernel would never see them."""
    repo = tinytree.build(tmp_path / "linux")
    base = Tree(repo, repo.resolve("HEAD"))
    tip = base.edit(btf_ids.btf_ids(Context(base, base, CampaignConfig("kfunc_flags"), ("btf_ids",))).edits)
    text = FILE.format(kind="KFUNCS", row=ROW)
    for more in (FILE.format(kind="SET8", row=ROW).replace("(ids)", "(other)"), ROW):
        assert "BTF_KFUNC is only for BTF_KFUNCS_START" in complaint(tip, tmp_path / "try", f"{text}\n{more}", True)
    assert "BTF_KFUNC is only" in complaint(tip, tmp_path / "try", FILE.format(kind="SET8", row=ROW), True)
