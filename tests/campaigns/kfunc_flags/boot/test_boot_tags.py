"""Decl tags of arguments in the BTF of a linked kernel or module, compared with the flags in its kfunc sets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tinytree

from patchbot.bundle import bundled
from patchbot.campaigns.kfunc_flags.boot import fit, linked, programs
from patchbot.campaigns.kfunc_flags.boot.linked import Functions, check_linked, kernel_functions, module_functions
from patchbot.campaigns.kfunc_flags.boot.trials import Rows
from patchbot.campaigns.kfunc_flags.proof.meaning import Flags
from patchbot.git.repo import Scratch
from patchbot.run import run

FLAGS = Flags({}, {"KFA_RELEASE": 1, "KFA_RCU": 2, "KFA_CONST_SZ": 4, "KFA_ALL_FLAGS": 7}, {"BTF_SET8_KFUNC_ARGS": 2})
#: A linked set of the functions 7 and 8, with the flags of their arguments: (RCU) and (0, CONST_SZ | RELEASE).
SET = """
asm(".pushsection .BTF_ids,\\"a\\"\\n"
    ".local __BTF_ID__set8__s\\n.type __BTF_ID__set8__s, STT_OBJECT\\n.size __BTF_ID__set8__s, 24\\n"
    "__BTF_ID__set8__s:\\n.long 2, 3, 7, 0, 8, 0\\n.long 32, 28\\n"
    ".long 7, 1, 2\\n.long 8, 2, 0, 5\\n.popsection");
"""
RIGHT = {7: {(0, "arg:rcu")}, 8: {(1, "arg:const_sz"), (1, "arg:release")}}
C = """
#define TAG(x) __attribute__((btf_decl_tag(x)))
struct s { int x; };
TAG("bpf_kfunc") int one(struct s *p, TAG("arg:rcu") struct s *q) { return p->x + q->x; }
"""
MODULE = C.replace("one", "two").replace("arg:rcu", "arg:release").replace("struct s *p", 'TAG("arg:rcu") struct s *p')
needs_tools = pytest.mark.skipif(
    not (shutil.which(programs.CLANG) and shutil.which("pahole")), reason=f"no {programs.CLANG} or no pahole"
)


def functions(tags: dict[int, set[tuple[int, str]]]) -> Functions:
    return Functions({7: "seven", 8: "eight"}, 9, b"", {func: frozenset(found) for func, found in tags.items()})


@pytest.fixture(scope="module")
def linked_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    (folder / "s.c").write_text(SET)
    run(["gcc", "-c", "-o", folder / "s.o", folder / "s.c"])
    return folder / "s.o"


def test_tags_like_the_flags(linked_set: Path) -> None:
    found = check_linked(linked_set, functions(RIGHT), FLAGS, tagged=True)
    assert found.problems == ()
    assert str(found) == "1 sets, 2 entries, 2 records of arguments, 3 decl tags of arguments"
    untagged = check_linked(linked_set, functions({}), FLAGS)
    assert (untagged.problems, untagged.tags) == ((), None), "a kernel whose tool makes no tags needs none"


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({8: RIGHT[8]}, "the BTF lacks the decl tag arg:rcu of argument 0 of seven"),
        (RIGHT | {7: {(1, "arg:rcu")}}, "the BTF lacks the decl tag arg:rcu of argument 0 of seven"),
        (
            RIGHT | {7: {(0, "arg:rcu"), (1, "arg:rcu")}},
            "the BTF has a decl tag arg:rcu of argument 1 of seven, which has no such flag",
        ),
        (
            RIGHT | {8: {*RIGHT[8], (0, "arg:release")}},
            "the BTF has a decl tag arg:release of argument 0 of eight, which has no such flag",
        ),
    ],
)
def test_tags_unlike_the_flags(linked_set: Path, tags: dict[int, set[tuple[int, str]]], problem: str) -> None:
    assert problem in check_linked(linked_set, functions(tags), FLAGS, tagged=True).problems


@needs_tools
def test_tags_of_a_kernel_and_of_a_module_whose_btf_goes_on_there(tmp_path: Path) -> None:
    for name, text in (("kernel", C), ("module", MODULE)):
        (tmp_path / f"{name}.c").write_text(text)
        run([programs.CLANG, "-g", "-O1", "-c", "-o", tmp_path / f"{name}.o", tmp_path / f"{name}.c"])
    run(["pahole", "-J", tmp_path / "kernel.o"])
    run(["pahole", "-J", "--btf_base", tmp_path / "kernel.o", tmp_path / "module.o"])
    kernel = kernel_functions(tmp_path / "kernel.o")
    module = module_functions(tmp_path / "module.o", kernel)
    tags = {module.names[func]: found for func, found in module.tags.items()}
    assert tags == {"one": {(1, "arg:rcu")}, "two": {(0, "arg:rcu"), (1, "arg:release")}}, (
        "also those whose text the kernel has"
    )
    assert {kernel.names[func] for func in kernel.tags} == {"one"}


@pytest.mark.parametrize(("line", "tagged"), [('\t{ KFA_RCU, "arg:rcu" },\n', True), ("\t/* nothing */\n", False)])
def test_a_kernel_makes_tags_if_its_tool_says_so(tmp_path: Path, line: str, tagged: bool) -> None:
    repo = tinytree.build(tmp_path / "linux")
    tool = tmp_path / "linux" / fit.RESOLVE_BTFIDS
    tool.parent.mkdir(parents=True, exist_ok=True)
    tool.write_text(f"static const struct {{ }} kfunc_arg_tags[] = {{\n{line}}};\n")
    run(["git", "-C", tmp_path / "linux", "add", "-A"])
    tree = run(["git", "-C", tmp_path / "linux", "write-tree"]).stdout.decode().strip()
    scratch = Scratch.at(tmp_path / "scratch", repo)
    assert fit.describe(scratch, "tip", tree, Rows((), ())).tagged is tagged


def test_the_campaign_writes_the_tags_that_are_looked_for() -> None:
    table = (bundled("templates") / "kfunc_flags/decl_tags-table.c.j2").read_text()
    assert f'"{linked.TAG}{{{{ flag.tag }}}}"' in table, "else boot takes the kernel for one that makes no tags"


def test_only_tags_of_parameters_count() -> None:
    tags = [(7, -1, "bpf_kfunc"), (7, 0, "arg:rcu"), (7, 0, "other"), (7, 2, "arg:release"), (8, -1, "arg:rcu")]
    assert linked.by_function(tags) == {7: {(0, "arg:rcu"), (2, "arg:release")}}
