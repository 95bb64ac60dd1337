"""The optional step decl-tags on the real tools: build them as the step leaves them and run them on objects."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from conftest import RealKernel

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.campaign import campaign
from patchbot.campaigns.kfunc_flags.proof.btf import DECL_TAG, EXTRA, FUNC, FUNC_PROTO, parse
from patchbot.campaigns.kfunc_flags.steps.facts import RESOLVE_BTFIDS
from patchbot.config import CampaignConfig, load
from patchbot.run import run
from patchbot.series.generate import generate
from patchbot.series.tree import Tree

TOOL, BPFTOOL = "tools/bpf/resolve_btfids", "tools/bpf/bpftool"
FOLDERS = (
    TOOL,
    BPFTOOL,
    "tools/lib",
    "tools/include",
    "tools/scripts",
    "tools/build",
    "tools/arch/x86/include",
    "scripts",
)
HEADERS = {
    "types.h": "typedef unsigned int u32; typedef int s32;\n",
    "compiler.h": "#define ___PASTE(a, b) a##b\n#define __PASTE(a, b) ___PASTE(a, b)\n",
    "compiler_attributes.h": "",
}
PROGRAM = """\
#include <linux/btf_ids.h>
#define KFA_RELEASE (1 << 0)
#define KFA_RCU (1 << 1)
#define KFUNC __attribute__((used, btf_decl_tag("bpf_kfunc")))
struct task { int x; };
struct bpf_prog_aux { int y; };
KFUNC struct task *get(struct task *t) { return t; }
KFUNC void put(int n, struct task *t) { }
KFUNC void both(struct task *t, int n, struct task *u) { }
KFUNC void hidden(struct task *t, struct bpf_prog_aux *aux) { }
KFUNC void plain(struct task *t) { }
BTF_KFUNCS_START(one)
BTF_ID_FLAGS(func, plain, 1)
BTF_KFUNC(put, 0, 0, KFA_RELEASE)
BTF_KFUNC(both, 0, KFA_RCU | KFA_RELEASE, 0, KFA_RCU)
BTF_KFUNCS_END(one)
BTF_KFUNCS_START(two)
BTF_KFUNC(get, 1, KFA_RCU)
BTF_KFUNC(both, 0, KFA_RCU | KFA_RELEASE, 0, KFA_RCU)
BTF_KFUNC(hidden, 1 << 16, KFA_RELEASE)
BTF_KFUNCS_END(two)
"""
TAGS = {
    ("get", 0, "arg:rcu"),
    ("put", 1, "arg:release"),
    ("both", 0, "arg:rcu"),
    ("both", 0, "arg:release"),
    ("both", 2, "arg:rcu"),
    ("hidden", 0, "arg:release"),
}
#: The tags are there when the prototype with the implicit arguments gets those of the kfunc.
COPIED = {("hidden_impl", 0, "arg:release")}


def tags(blob: bytes) -> set[tuple[str, int, str]]:
    """Return (function, argument, tag) of the decl tags of arguments in BTF."""
    types = parse(blob).types
    order = "<" if blob[:2] == b"\x9f\xeb" else ">"
    at = struct.unpack_from(f"{order}I", blob, 4)[0] + struct.unpack_from(f"{order}I", blob, 8)[0]
    found = set()
    for t in types[1:]:
        info = struct.unpack_from(f"{order}I", blob, at + 4)[0]
        fixed, each = EXTRA.get(t.kind, (0, 0))
        if t.kind == DECL_TAG:
            argument = struct.unpack_from(f"{order}i", blob, at + 12)[0]
            target = types[t.size_or_type]
            if argument >= 0 and target.kind == FUNC:
                prototype = types[target.size_or_type]
                assert prototype.kind == FUNC_PROTO
                assert argument < len(prototype.members)
                found.add((target.name, argument, t.name))
        at += 12 + fixed + each * (info & 0xFFFF)
    return found


def finished(kernel: RealKernel, with_: tuple[str, ...] = ("suffixes", "acquire", "decl-tags")) -> Tree:
    base = kernel.tree
    if b"\nstatic int btf2btf(" not in (base.get(RESOLVE_BTFIDS) or b""):
        pytest.skip(f"resolve_btfids of {kernel.version} does not write BTF")
    shipped = load(None, bundled("patchbot.toml")).campaign("kfunc_flags")
    config = CampaignConfig("kfunc_flags", shipped.target, with_, (), shipped.decisions)
    made = generate(base, campaign(config), config)
    assert generate(made.tip, campaign(config), config).series.patches == ()
    return made.tip


def build_tool(kernel: RealKernel, tree: Tree, source: Path) -> Path:
    """Return resolve_btfids of a tree, built below `source` beside what else of tools/ is needed."""
    source.mkdir()
    archive = run(["git", f"--git-dir={kernel.repo.git_dir}", "archive", kernel.commit, *FOLDERS]).stdout
    run(["tar", "-x", "-C", source], stdin=archive)
    for path in tree.overlay:
        if path.startswith(FOLDERS):
            (source / path).write_bytes(tree.read(path))
    run(["make", "-s", "-C", source / TOOL, "-j2"])
    return source / TOOL / "resolve_btfids"


def compile_program(tree: Tree, where: Path, compiler: list[str], program: str = PROGRAM) -> Path:
    """Return an object with kfunc sets whose BTF is in the file of the same name with .btf."""
    (where / "linux").mkdir()
    for name in ("btf_ids.h", "args.h", "stringify.h"):
        (where / "linux" / name).write_bytes(tree.read(f"include/linux/{name}"))
    for name, text in HEADERS.items():
        (where / "linux" / name).write_text(text)
    (where / "program.c").write_text(program)
    options = ["-g", "-O1", "-DCONFIG_DEBUG_INFO_BTF", "-I", where, "-c", "-o", where / "program.o"]
    run([*compiler, *options, where / "program.c"])
    run(["pahole", "-J", f"--btf_encode_detached={where / 'program.btf'}", where / "program.o"])
    return where / "program.o"


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("pahole")), reason="no gcc or no pahole")
def test_the_tool_makes_tags_of_the_records(kernel: RealKernel, tmp_path: Path):
    tree = finished(kernel)
    source = tmp_path / "tree"
    tool = build_tool(kernel, tree, source)
    wanted = TAGS | COPIED if b"DECL_TAG_KFUNC" in tree.read(RESOLVE_BTFIDS) else TAGS
    targets = {"native": ["gcc"]}
    if shutil.which("clang-19"):
        targets["big"] = ["clang-19", "--target=s390x-linux-gnu"]
    for name, compiler in targets.items():
        where = tmp_path / name
        where.mkdir()
        made = compile_program(tree, where, compiler)
        before = tags((where / "program.btf").read_bytes())
        run([tool, "--btf", where / "program.btf", made])
        assert before == set()
        assert tags(Path(f"{made}.BTF").read_bytes()) == wanted, name
    if wanted == TAGS:
        return  # a kfunc is only printed if it has the decl tag "bpf_kfunc"
    run(["make", "-s", "-C", source / BPFTOOL, "bootstrap", "-j2"])
    show = [source / BPFTOOL / "bootstrap/bpftool", "btf", "dump", "file", f"{tmp_path}/native/program.o.BTF"]
    lines = run([*show, "format", "c"]).stdout.decode().split("\n")
    extern = {
        line.partition("(")[0].split()[-1].strip("*"): at for at, line in enumerate(lines) if line.startswith("extern ")
    }
    said = {name: lines[at - 1] for name, at in extern.items() if "arguments:" in lines[at - 1]}
    assert said == {
        "get": "/* arguments: 0 rcu */",
        "put": "/* arguments: 1 release */",
        "both": "/* arguments: 0 rcu, 0 release, 2 rcu */",
        "hidden": "/* arguments: 0 release */",
    }
    assert set(extern) - set(said) == {"plain", "wrong"}
